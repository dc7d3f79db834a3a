#!/bin/sh
# A whole maintenance by the command line alone, as a script does it: count, look, start by the
# plan, follow to the end. It stops at the first surprise.
set -eu

key=findings.lifecycle_backfill
reason="--reason-code DATA_REPAIR"

fail() {
    echo "$*" >&2
    exit 1
}

# ends CODE COMMAND..: runs a command that has to end with CODE.
ends() {
    want=$1
    shift
    code=0
    "$@" >out 2>err || code=$?
    [ "$code" -eq "$want" ] || fail "exit code $code instead of $want: $* ($(cat err))"
}

# field NAME: the first field of that name in the last answer, one field a line.
field() {
    sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" out | head -n 1
}

# Nothing chosen is an error, never everything.
ends 2 tenantpilot runbooks preflight "$key" --json

ends 0 tenantpilot runbooks preflight "$key" --all-tenants --json
plan=$(field id)
phrase=$(field phrase)
affected=$(field affected_count)
[ "$(field tenant_count)" -eq 4 ] || fail "not 4 tenants"
[ "$phrase" = "BACKFILL 4" ] || fail "another phrase: $phrase"
[ "$affected" -gt 0 ] || fail "nothing to do"
[ -n "$(field hash)" ] || fail "no hash"
[ -n "$(field expires_at)" ] || fail "no expiry"

# What is wrong is told apart by exit codes, and starts nothing.
ends 2 tenantpilot --no-input runbooks start "$key" --plan "$plan" $reason --reason "March import"
ends 2 tenantpilot runbooks start "$key" --plan "$plan" --confirm "$phrase"
ends 5 tenantpilot runbooks start "$key" --plan "$plan" $reason --reason "March import" --confirm "BACKFILL 3"
ends 4 tenantpilot runbooks start "$key" --plan 4711 $reason --reason "March import" --confirm "$phrase"
ends 0 tenantpilot runs list --json
[ -z "$(field id)" ] || fail "something was started"

ends 0 tenantpilot runbooks start "$key" --plan "$plan" $reason --reason "March import" \
    --confirm "$phrase" --dry-run --json
[ "$(field dry_run)" = true ] || fail "no rehearsal"

tenantpilot worker --no-schedule --quiet &
worker=$!
trap 'kill "$worker" 2>/dev/null || true' EXIT

ends 0 tenantpilot --no-input runbooks start "$key" --plan "$plan" $reason \
    --reason "March import" --confirm "$phrase" --request-id march-1 --json
[ "$(field created)" = true ] || fail "not created"
# The run's own id is the last one of the answer's fields in its order: plan, then run.
run=$(sed -n '/^  "run": {/,/^  }/p' out | sed -n 's/^    "id": \([0-9]*\),*$/\1/p')
[ -n "$run" ] || fail "no run"

ends 0 tenantpilot runs watch "$run" --exit-status --interval 100ms --timeout 5m

# A plan is good for one start; the same request again is the same run.
ends 5 tenantpilot runbooks start "$key" --plan "$plan" $reason --reason "March import" --confirm "$phrase"
ends 0 tenantpilot runbooks start "$key" --plan "$plan" $reason --reason "March import" \
    --confirm "$phrase" --request-id march-1 --json
[ "$(field created)" = false ] || fail "started twice"

ends 0 tenantpilot runbooks preflight "$key" --all-tenants --json
[ "$(field affected_count)" -eq 0 ] || fail "something was left undone"
ends 5 tenantpilot runbooks start "$key" --all-tenants $reason --reason "March import" --confirm "$phrase"

kill "$worker"
wait "$worker" || fail "the worker did not end in order"
trap - EXIT
echo "run $run"
