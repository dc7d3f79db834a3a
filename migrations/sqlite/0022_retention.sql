-- Retention of more than the ledger: what finds old rows, what says that they are gone, and how a run
-- goes that has more rows than may be deleted at once.

-- From when on nothing of a kind is missing because it was pruned; no row while nothing was. Of runs also
-- the newest that is gone.
create table data_kept (
    data      text primary key not null,
    kept_from text not null,
    newest_id integer
);

-- Runs that go piece by piece. From the first piece on they count as gone. Plain ids, so that no lock of
-- the runs is needed to make it.
create table operation_runs_leaving (
    run_id integer primary key not null,
    since  text not null
);

-- The run that a row was about, once that run is gone.
alter table notifications add column gone_run_id integer;
alter table alert_deliveries add column gone_run_id integer;
alter table stored_reports add column gone_run_id integer;
alter table review_packs add column gone_run_id integer;

-- A plan that a run has used stays as long as that run; its targets go piece by piece where the run does.
drop trigger runbook_plans_kept;
create trigger runbook_plans_kept before delete on runbook_plans
when old.used_by_run_id is not null and exists (select 1 from operation_runs r where r.id = old.used_by_run_id)
begin select raise(abort, 'a plan that was used stays'); end;
drop trigger runbook_plan_targets_kept;
create trigger runbook_plan_targets_kept before delete on runbook_plan_targets
when exists (select 1 from runbook_plans p where p.id = old.plan_id and not exists
             (select 1 from operation_runs_leaving l where l.run_id = p.used_by_run_id))
begin select raise(abort, 'a plan never changes'); end;

-- Those who hold all capabilities get the new one.
update platform_users
set capabilities = (
    select json_group_array(name) from (
        select value as name from json_each(platform_users.capabilities)
        union all select 'platform.runbooks.retention.prune'
    )
)
where (
        select count(distinct value) from json_each(platform_users.capabilities)
        where value in ('platform.access_system_panel', 'platform.console.view', 'platform.ops.view',
            'platform.ops.manage', 'platform.runbooks.view', 'platform.runbooks.run',
            'platform.runbooks.findings.lifecycle_backfill', 'platform.runbooks.operations.reconcile_stale',
            'platform.runbooks.product_usage.prune', 'platform.runbooks.publish', 'platform.schedules.manage',
            'platform.approvals.decide', 'platform.support_diagnostics.view',
            'platform.support_requests.create', 'platform.break_glass.use', 'platform.audit.view',
            'platform.users.manage', 'platform.settings.manage', 'platform.tenants.manage')
    ) = 19
    and not exists (
        select 1 from json_each(platform_users.capabilities) where value = 'platform.runbooks.retention.prune'
    );

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
create index operation_runs_plan on operation_runs (plan_id) where plan_id is not null;
