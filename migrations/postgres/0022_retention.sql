-- Retention of more than the ledger: what finds old rows, what says that they are gone, and how a run
-- goes that has more rows than may be deleted at once.

-- From when on nothing of a kind is missing because it was pruned; no row while nothing was. Of runs also
-- the newest that is gone.
create table data_kept (
    data      text primary key,
    kept_from timestamptz not null,
    newest_id bigint
);

-- Runs that go piece by piece. From the first piece on they count as gone. Plain ids, so that no lock of
-- the runs is needed to make it.
create table operation_runs_leaving (
    run_id bigint primary key,
    since  timestamptz not null
);

-- The run that a row was about, once that run is gone.
alter table notifications add column gone_run_id bigint;
alter table alert_deliveries add column gone_run_id bigint;
alter table stored_reports add column gone_run_id bigint;
alter table review_packs add column gone_run_id bigint;

-- A plan that a run has used stays as long as that run; its targets go piece by piece where the run does.
create or replace function refuse_plan_loss() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'runbook_plans' then
        if old.used_by_run_id is not null
           and exists (select 1 from operation_runs r where r.id = old.used_by_run_id) then
            raise exception 'a plan that was used stays' using errcode = 'TP001';
        end if;
    elsif exists (select 1 from runbook_plans p where p.id = old.plan_id and not exists
                  (select 1 from operation_runs_leaving l where l.run_id = p.used_by_run_id)) then
        raise exception 'a plan never changes' using errcode = 'TP001';
    end if;
    return old;
end $$;

-- A hint for consoles only where a request came or went: a cascade that finds none fires it as well.
create or replace trigger operation_run_requests_changed after insert or delete on operation_run_requests
    for each row execute function notify_run_change();

-- Those who hold all capabilities get the new one.
update platform_users
set capabilities = capabilities || '["platform.runbooks.retention.prune"]'::jsonb
where capabilities @> '["platform.access_system_panel", "platform.console.view", "platform.ops.view",
        "platform.ops.manage", "platform.runbooks.view", "platform.runbooks.run",
        "platform.runbooks.findings.lifecycle_backfill", "platform.runbooks.operations.reconcile_stale",
        "platform.runbooks.product_usage.prune", "platform.runbooks.publish", "platform.schedules.manage",
        "platform.approvals.decide", "platform.support_diagnostics.view",
        "platform.support_requests.create", "platform.break_glass.use", "platform.audit.view",
        "platform.users.manage", "platform.settings.manage", "platform.tenants.manage"]'::jsonb
    and not capabilities ? 'platform.runbooks.retention.prune';

-- What is old, in the order of its age.
create index notifications_age on notifications (created_at);
create index alert_deliveries_age on alert_deliveries (created_at);
create index stored_reports_age on stored_reports (created_at);
create index review_packs_expiry on review_packs (expires_at) where expires_at is not null;
create index review_packs_without_expiry on review_packs (created_at) where expires_at is null;
create index platform_sessions_expiry on platform_sessions (expires_at);
create index login_attempts_age on login_attempts (window_start);
-- What names a run or a plan: one that goes looks for each of them.
create index alert_deliveries_run on alert_deliveries (run_id) where run_id is not null;
create index stored_reports_run on stored_reports (run_id) where run_id is not null;
create index review_packs_run on review_packs (run_id) where run_id is not null;
-- Last, because it is the largest: writers wait while it is made, readers do not.
create index operation_runs_plan on operation_runs (plan_id) where plan_id is not null;
