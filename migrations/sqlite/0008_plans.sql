-- Plans that a start is bound to, and the locks that keep runs of a runbook apart.

alter table runbook_plans add column inputs text not null default '{}';
-- Whether the phrase is compulsory, or only if something is typed at all.
alter table runbook_plans add column must_confirm boolean not null default true;
-- How many tenants the person might have aimed at: what the plan's share is a share of.
alter table runbook_plans add column fleet_count integer not null default 0 check (fleet_count >= 0);
-- How many runs the expected duration is drawn from.
alter table runbook_plans add column expected_runs integer not null default 0 check (expected_runs >= 0);
-- Without row ids, by which REPLACE could name a row of another key. No plan was stored before.
drop table runbook_plan_targets;
create table runbook_plan_targets (
    plan_id        integer not null references runbook_plans (id) on delete cascade,
    ordinal        integer not null check (ordinal >= 0),
    tenant_id      integer references tenants (id),
    affected_count integer not null check (affected_count >= 0),
    total_count    integer not null check (total_count >= affected_count),
    primary key (plan_id, ordinal)
) without rowid;
create index runbook_plans_expiry on runbook_plans (expires_at) where used_by_run_id is null;
create index runbook_plan_targets_affected on runbook_plan_targets (plan_id, affected_count desc, ordinal);

-- A plan is what somebody was shown: nothing in it changes, but that a run has used it, once.
create trigger runbook_plans_immutable before update on runbook_plans
when old.used_by_run_id is not null or new.used_by_run_id is null
  or new.id is not old.id or new.runbook is not old.runbook or new.scope_kind is not old.scope_kind
  or new.scope is not old.scope or new.hash is not old.hash or new.affected_count is not old.affected_count
  or new.total_count is not old.total_count or new.tenant_count is not old.tenant_count
  or new.phrase is not old.phrase or new.expected_seconds is not old.expected_seconds
  or new.platform_user_id is not old.platform_user_id or new.created_at is not old.created_at
  or new.expires_at is not old.expires_at or new.inputs is not old.inputs
  or new.must_confirm is not old.must_confirm or new.fleet_count is not old.fleet_count
  or new.expected_runs is not old.expected_runs
begin select raise(abort, 'a plan never changes'); end;
create trigger runbook_plan_targets_immutable before update on runbook_plan_targets
begin select raise(abort, 'a plan never changes'); end;
-- Targets go only with their plan, and a plan that a run has used stays.
create trigger runbook_plans_kept before delete on runbook_plans when old.used_by_run_id is not null
begin select raise(abort, 'a plan that was used stays'); end;
create trigger runbook_plan_targets_kept before delete on runbook_plan_targets
when exists (select 1 from runbook_plans p where p.id = old.plan_id)
begin select raise(abort, 'a plan never changes'); end;
-- REPLACE deletes without firing delete triggers on a connection without recursive triggers.
create trigger runbook_plans_no_replace before insert on runbook_plans
when exists (select 1 from runbook_plans where id = new.id)
begin select raise(abort, 'a plan never changes'); end;
create trigger runbook_plan_targets_no_replace before insert on runbook_plan_targets
when exists (select 1 from runbook_plan_targets where plan_id = new.plan_id and ordinal = new.ordinal)
begin select raise(abort, 'a plan never changes'); end;

create trigger runbook_plan_targets_closed before insert on runbook_plan_targets
when new.ordinal >= (select case p.scope_kind when 'platform' then 1 else p.tenant_count end
                     from runbook_plans p where p.id = new.plan_id)
begin select raise(abort, 'a plan never changes'); end;

-- Which tenants an active run of a runbook works on. Tenant 0 stands for the one run over
-- many tenants, or over the platform, that a runbook may have at a time.
create table runbook_scope_locks (
    runbook   text not null,
    tenant_id integer not null check (tenant_id >= 0),
    run_id    integer not null references operation_runs (id) on delete cascade,
    primary key (runbook, tenant_id)
) without rowid;
create index runbook_scope_locks_run on runbook_scope_locks (run_id);

-- However a run ends, its locks end with it.
create trigger operation_runs_release_locks after update of status on operation_runs
when new.status = 'completed'
begin delete from runbook_scope_locks where run_id = new.id; end;

-- Runs that are active already hold what they would have taken.
insert into runbook_scope_locks (runbook, tenant_id, run_id)
select r.type, t.tenant_id, r.id from operation_runs r join operation_run_targets t on t.run_id = r.id
where r.status in ('queued', 'running') and t.tenant_id is not null order by r.id
on conflict do nothing;
insert into runbook_scope_locks (runbook, tenant_id, run_id)
select r.type, 0, r.id from operation_runs r
where r.status in ('queued', 'running') and r.scope_kind <> 'tenant' order by r.id
on conflict do nothing;
