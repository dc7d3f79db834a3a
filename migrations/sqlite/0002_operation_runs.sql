-- Operation runs: the record and the queue item in one, with targets, failures and leases.

create table runbook_plans (
    id               integer primary key,
    runbook          text not null,
    scope_kind       text not null check (scope_kind in ('tenant', 'tenants', 'workspace', 'all', 'platform')),
    scope            text not null,
    hash             text not null check (length(hash) = 64),
    affected_count   integer not null check (affected_count >= 0),
    total_count      integer not null check (total_count >= affected_count),
    tenant_count     integer not null check (tenant_count >= 0),
    phrase           text not null,
    expected_seconds integer,
    platform_user_id integer references platform_users (id),
    created_at       text not null,
    expires_at       text not null,
    used_by_run_id   integer,
    check (expires_at > created_at)
);

create table runbook_plan_targets (
    plan_id        integer not null references runbook_plans (id) on delete cascade,
    ordinal        integer not null check (ordinal >= 0),
    tenant_id      integer references tenants (id),
    affected_count integer not null check (affected_count >= 0),
    total_count    integer not null check (total_count >= affected_count),
    primary key (plan_id, ordinal)
);

create table operation_runs (
    id                  integer primary key,
    workspace_id        integer references workspaces (id),
    tenant_id           integer,
    user_id             integer references users (id),
    platform_user_id    integer references platform_users (id),
    initiator_name      text,
    source              text not null check (source in ('console', 'cli', 'deploy_hook', 'schedule', 'admin')),
    type                text not null check (type glob '[a-z0-9_]*.*[a-z0-9_]' and type not glob '*[^a-z0-9_.]*' and type not glob '*..*'),
    scope_kind          text not null check (scope_kind in ('tenant', 'tenants', 'workspace', 'all', 'platform')),
    status              text not null default 'queued' check (status in ('queued', 'running', 'completed')),
    outcome             text not null default 'pending' check (outcome in
                        ('pending', 'succeeded', 'partially_succeeded', 'failed', 'blocked', 'cancelled')),
    -- The commonest reason of its failures, copied here for lists and filters.
    reason_code         text,
    identity_hash       text not null check (length(identity_hash) = 64),
    -- What the caller gave, so that a retry after a lost answer finds its run.
    request_id          text unique,
    summary_counts      text not null default '{}',
    context             text not null default '{}',
    target_count        integer not null default 0 check (target_count >= 0),
    fence               integer not null default 0 check (fence >= 0),
    lease_owner         text,
    takeovers           integer not null default 0 check (takeovers >= 0),
    audit_gaps          integer not null default 0 check (audit_gaps >= 0),
    plan_id             integer references runbook_plans (id),
    retry_of_run_id     integer references operation_runs (id),
    break_glass         boolean not null default false,
    paused_at           text,
    cancel_requested_at text,
    created_at          text not null,
    started_at          text,
    completed_at        text,
    updated_at          text not null,
    foreign key (tenant_id, workspace_id) references tenants (id, workspace_id),
    check ((status = 'completed') = (outcome <> 'pending')),
    check ((status = 'completed') = (completed_at is not null)),
    check ((status = 'running') = (lease_owner is not null)),
    check ((scope_kind = 'tenant') = (tenant_id is not null)),
    check (tenant_id is null or workspace_id is not null),
    check (paused_at is null or status = 'queued'),
    check (user_id is null or platform_user_id is null),
    -- Counts never go above the total, and a completed run adds up.
    check (summary_counts ->> 'total' is null or coalesce(summary_counts ->> 'processed', 0) <= coalesce(summary_counts ->> 'total', 0)),
    check (summary_counts ->> 'total' is null or status <> 'completed'
           or coalesce(summary_counts ->> 'succeeded', 0) + coalesce(summary_counts ->> 'failed', 0) + coalesce(summary_counts ->> 'skipped', 0) = coalesce(summary_counts ->> 'total', 0))
);

-- At most one active run per identity: the one rule that no read before a write can keep.
create unique index operation_runs_one_active on operation_runs (identity_hash)
    where status in ('queued', 'running');
-- Lists, newest first; one index per leading filter, each in the order of the page.
create index operation_runs_newest on operation_runs (created_at desc, id desc);
create index operation_runs_by_outcome on operation_runs (outcome, created_at, id);
create index operation_runs_by_type on operation_runs (type, created_at, id);
create index operation_runs_by_tenant on operation_runs (tenant_id, created_at, id);
create index operation_runs_by_workspace on operation_runs (workspace_id, created_at, id);
create index operation_runs_by_reason on operation_runs (reason_code, created_at, id)
    where reason_code is not null;
create index operation_runs_active on operation_runs (created_at desc, id desc)
    where status in ('queued', 'running');

create table operation_run_targets (
    run_id       integer not null references operation_runs (id) on delete cascade,
    ordinal      integer not null check (ordinal >= 0),
    kind         text not null check (kind in ('tenant', 'platform')),
    tenant_id    integer references tenants (id),
    status       text not null default 'pending' check (status in ('pending', 'succeeded', 'failed', 'skipped')),
    starts       integer not null default 0 check (starts >= 0),
    reason_code  text,
    progress     text not null default '{}',
    updated_at   text not null,
    primary key (run_id, ordinal),
    check ((kind = 'tenant') = (tenant_id is not null)),
    check ((status = 'failed') = (reason_code is not null))
);
create index operation_run_targets_tenant on operation_run_targets (tenant_id, run_id);

create table operation_run_failures (
    id          integer primary key,
    run_id      integer not null references operation_runs (id) on delete cascade,
    tenant_id   integer references tenants (id),
    reason_code text not null check (length(reason_code) between 1 and 80),
    message     text not null check (length(message) <= 500),
    occurred_at text not null
);
create index operation_run_failures_run on operation_run_failures (run_id, id);
create index operation_run_failures_reason on operation_run_failures (reason_code, occurred_at);

-- The lease's owner and expiry stand apart from the run, so that a heartbeat never waits
-- behind a step that holds the run's row.
create table operation_run_leases (
    run_id       integer primary key references operation_runs (id) on delete cascade,
    owner        text not null,
    acquired_at  text not null,
    heartbeat_at text not null,
    expires_at   text not null
);
create index operation_run_leases_expiry on operation_run_leases (expires_at);

-- Consoles of this engine see changes through the database's data_version; there is nothing
-- to notify.
