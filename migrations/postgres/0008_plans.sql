-- Plans that a start is bound to, and the locks that keep runs of a runbook apart.

alter table runbook_plans add column inputs jsonb not null default '{}';
-- Whether the phrase is compulsory, or only if something is typed at all.
alter table runbook_plans add column must_confirm boolean not null default true;
-- How many tenants the person might have aimed at: what the plan's share is a share of.
alter table runbook_plans add column fleet_count bigint not null default 0 check (fleet_count >= 0);
-- How many runs the expected duration is drawn from.
alter table runbook_plans add column expected_runs bigint not null default 0 check (expected_runs >= 0);
create index runbook_plans_expiry on runbook_plans (expires_at) where used_by_run_id is null;
create index runbook_plan_targets_affected on runbook_plan_targets (plan_id, affected_count desc, ordinal);

-- A plan is what somebody was shown: nothing in it changes, but that a run has used it, once.
create function refuse_plan_change() returns trigger language plpgsql as $$
begin
    if old.used_by_run_id is not null or new.used_by_run_id is null
       or (to_jsonb(new) - 'used_by_run_id') is distinct from (to_jsonb(old) - 'used_by_run_id') then
        raise exception 'a plan never changes' using errcode = 'TP001';
    end if;
    return new;
end $$;
create trigger runbook_plans_immutable before update on runbook_plans
    for each row execute function refuse_plan_change();
create trigger runbook_plan_targets_immutable before update on runbook_plan_targets
    for each row execute function refuse_change();
-- Targets go only with their plan, and a plan that a run has used stays.
create function refuse_plan_loss() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'runbook_plans' then
        if old.used_by_run_id is not null then
            raise exception 'a plan that was used stays' using errcode = 'TP001';
        end if;
    elsif exists (select 1 from runbook_plans p where p.id = old.plan_id) then
        raise exception 'a plan never changes' using errcode = 'TP001';
    end if;
    return old;
end $$;
create trigger runbook_plans_kept before delete on runbook_plans
    for each row execute function refuse_plan_loss();
create trigger runbook_plan_targets_kept before delete on runbook_plan_targets
    for each row execute function refuse_plan_loss();

create function refuse_other_targets() returns trigger language plpgsql as $$
begin
    if new.ordinal >= (select case p.scope_kind when 'platform' then 1 else p.tenant_count end
                       from runbook_plans p where p.id = new.plan_id) then
        raise exception 'a plan never changes' using errcode = 'TP001';
    end if;
    return new;
end $$;
create trigger runbook_plan_targets_closed before insert on runbook_plan_targets
    for each row execute function refuse_other_targets();
create trigger runbook_plans_no_truncate before truncate on runbook_plans
    for each statement execute function refuse_change();
create trigger runbook_plan_targets_no_truncate before truncate on runbook_plan_targets
    for each statement execute function refuse_change();
-- They hold for replication roles and sessions with triggers turned off, too.
alter table runbook_plans enable always trigger runbook_plans_immutable;
alter table runbook_plans enable always trigger runbook_plans_kept;
alter table runbook_plans enable always trigger runbook_plans_no_truncate;
alter table runbook_plan_targets enable always trigger runbook_plan_targets_immutable;
alter table runbook_plan_targets enable always trigger runbook_plan_targets_kept;
alter table runbook_plan_targets enable always trigger runbook_plan_targets_closed;
alter table runbook_plan_targets enable always trigger runbook_plan_targets_no_truncate;

-- Which tenants an active run of a runbook works on. Tenant 0 stands for the one run over
-- many tenants, or over the platform, that a runbook may have at a time.
create table runbook_scope_locks (
    runbook   text not null,
    tenant_id bigint not null check (tenant_id >= 0),
    run_id    bigint not null references operation_runs (id) on delete cascade,
    primary key (runbook, tenant_id)
);
create index runbook_scope_locks_run on runbook_scope_locks (run_id);

-- However a run ends, its locks end with it.
create function release_scope_locks() returns trigger language plpgsql as $$
begin
    delete from runbook_scope_locks where run_id = new.id;
    return null;
end $$;
create trigger operation_runs_release_locks after update of status on operation_runs
    for each row when (new.status = 'completed') execute function release_scope_locks();

create trigger runbook_scope_locks_no_truncate before truncate on runbook_scope_locks
    for each statement execute function refuse_change();

-- Runs that are active already hold what they would have taken.
insert into runbook_scope_locks (runbook, tenant_id, run_id)
select r.type, t.tenant_id, r.id from operation_runs r join operation_run_targets t on t.run_id = r.id
where r.status in ('queued', 'running') and t.tenant_id is not null order by r.id
on conflict do nothing;
insert into runbook_scope_locks (runbook, tenant_id, run_id)
select r.type, 0, r.id from operation_runs r
where r.status in ('queued', 'running') and r.scope_kind <> 'tenant' order by r.id
on conflict do nothing;
