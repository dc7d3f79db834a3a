-- The overview: each person's choices, and counts of runs that are exact at any size.

-- What a person chose for themselves. Nothing here decides what anybody may do.
create table platform_user_preferences (
    platform_user_id bigint primary key references platform_users (id),
    dashboard_window text not null check (dashboard_window in ('1h', '24h', '7d', '30d')),
    updated_at       timestamptz not null
);

-- Durations are counted in steps, each about 9 % longer than the one before: a percentile that is
-- read from them is off by at most half a step. Step 0 is for what has no duration.
create table duration_steps (
    step    bigint primary key check (step >= 1),
    from_ms bigint not null unique check (from_ms >= 0)
);
insert into duration_steps (step, from_ms)
with recursive steps (n, ms) as (
    select 0, 1.0::double precision
    union all
    select n + 1, ms * 1.0905077326652577 from steps where n < 251
)
select row_number() over (order by from_ms), from_ms
from (select 0 as from_ms union select cast(trunc(ms) as bigint) from steps) x;

-- How long a run took that did something: from its start, or from its creation if it never started.
create function run_milliseconds(created timestamptz, started timestamptz, completed timestamptz)
returns bigint language sql immutable parallel safe as $$
    select greatest(0, cast(round(extract(epoch from completed - coalesce(started, created)) * 1000) as bigint))
$$;
create function run_duration_step(outcome text, created timestamptz, started timestamptz, completed timestamptz)
returns bigint language sql stable parallel safe as $$
    select case when outcome in ('succeeded', 'partially_succeeded', 'failed') then
        (select d.step from duration_steps d where d.from_ms <= run_milliseconds(created, started, completed)
         order by d.from_ms desc limit 1) else 0 end
$$;

-- Ended runs by the hour and the day of their creation, their outcome and how long they took.
create table operation_run_hours (
    hour    timestamptz not null,
    outcome text not null,
    took    bigint not null,
    runs    bigint not null,
    primary key (hour, outcome, took)
);
create table operation_run_days (
    day     timestamptz not null,
    outcome text not null,
    took    bigint not null,
    runs    bigint not null,
    primary key (day, outcome, took)
);
-- What is still to be added to both. Whoever ends a run appends here, so that nobody waits for a
-- counter that somebody else is raising; a worker folds it.
create table operation_run_deltas (
    hour    timestamptz not null,
    outcome text not null,
    took    bigint not null,
    runs    bigint not null
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);
create view operation_run_hour_counts as
    select hour, outcome, took, runs from operation_run_hours
    union all
    select hour, outcome, took, runs from operation_run_deltas;
create view operation_run_day_counts as
    select day, outcome, took, runs from operation_run_days
    union all
    select date_trunc('day', hour, 'UTC') as day, outcome, took, runs from operation_run_deltas;

create function count_run() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' and old.status = 'completed' then
        insert into operation_run_deltas (hour, outcome, took, runs)
        values (date_trunc('hour', old.created_at, 'UTC'), old.outcome,
                run_duration_step(old.outcome, old.created_at, old.started_at, old.completed_at), -1);
    end if;
    if tg_op <> 'DELETE' and new.status = 'completed' then
        insert into operation_run_deltas (hour, outcome, took, runs)
        values (date_trunc('hour', new.created_at, 'UTC'), new.outcome,
                run_duration_step(new.outcome, new.created_at, new.started_at, new.completed_at), 1);
    end if;
    return null;
end $$;
create trigger operation_runs_counted_insert after insert on operation_runs
    for each row when (new.status = 'completed') execute function count_run();
create trigger operation_runs_counted_update
    after update of status, outcome, created_at, started_at, completed_at on operation_runs
    for each row when (old.status = 'completed' or new.status = 'completed') execute function count_run();
create trigger operation_runs_counted_delete after delete on operation_runs
    for each row when (old.status = 'completed') execute function count_run();

insert into operation_run_hours (hour, outcome, took, runs)
select date_trunc('hour', created_at, 'UTC'), outcome,
       run_duration_step(outcome, created_at, started_at, completed_at), count(*)
from operation_runs where status = 'completed' group by 1, 2, 3;
insert into operation_run_days (day, outcome, took, runs)
select date_trunc('day', hour, 'UTC'), outcome, took, sum(runs) from operation_run_hours group by 1, 2, 3;

-- No calendar has such a time, and no list can be cut at it.
alter table operation_runs add constraint operation_runs_finite check (isfinite(created_at));

-- What failed, newest first, with all that offenders are counted by.
create index operation_runs_failed on operation_runs (created_at desc, id desc)
    include (type, tenant_id, reason_code, workspace_id)
    where outcome in ('failed', 'partially_succeeded');
create index operation_runs_audit_gaps on operation_runs (created_at) where audit_gaps > 0;

-- Failures that say the same in other words share a fingerprint. Windows look at the creation of the
-- run, as everywhere.
alter table operation_run_failures
    add column fingerprint text not null default '' check (fingerprint = '' or fingerprint ~ '^[0-9a-f]{12}$'),
    add column run_created_at timestamptz;
update operation_run_failures f set run_created_at = r.created_at from operation_runs r where r.id = f.run_id;
create function date_failure() returns trigger language plpgsql as $$
begin
    select r.created_at into new.run_created_at from operation_runs r where r.id = new.run_id;
    -- Without its run the row is refused by its foreign key, which is checked later.
    new.run_created_at := coalesce(new.run_created_at, new.occurred_at);
    return new;
end $$;
create trigger operation_run_failures_dated before insert on operation_run_failures
    for each row execute function date_failure();
create index operation_run_failures_window on operation_run_failures (run_created_at)
    include (fingerprint, reason_code, run_id, tenant_id, occurred_at, id);
create index operation_run_failures_fingerprint on operation_run_failures (fingerprint, run_created_at, run_id);
