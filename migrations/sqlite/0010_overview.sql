-- The overview: each person's choices, and counts of runs that are exact at any size.

-- What a person chose for themselves. Nothing here decides what anybody may do.
create table platform_user_preferences (
    platform_user_id integer primary key references platform_users (id),
    dashboard_window text not null check (dashboard_window in ('1h', '24h', '7d', '30d')),
    updated_at       text not null
);

-- Durations are counted in steps, each about 9 % longer than the one before: a percentile that is
-- read from them is off by at most half a step. Step 0 is for what has no duration.
create table duration_steps (
    step    integer primary key check (step >= 1),
    from_ms integer not null unique check (from_ms >= 0)
);
insert into duration_steps (step, from_ms)
with recursive steps (n, ms) as (
    select 0, 1.0
    union all
    select n + 1, ms * 1.0905077326652577 from steps where n < 251
)
select row_number() over (order by from_ms), from_ms
from (select 0 as from_ms union select cast(ms as integer) from steps) x;

-- Ended runs by the hour and the day of their creation, their outcome and how long they took.
create table operation_run_hours (
    hour    text not null,
    outcome text not null,
    took    integer not null,
    runs    integer not null check (runs >= 0),
    primary key (hour, outcome, took)
) without rowid;
create table operation_run_days (
    day     text not null,
    outcome text not null,
    took    integer not null,
    runs    integer not null check (runs >= 0),
    primary key (day, outcome, took)
) without rowid;
-- There is one writer at a time, so nobody waits for a counter: triggers raise it at once, and
-- nothing is ever appended here.
create table operation_run_deltas (
    hour    text not null,
    outcome text not null,
    took    integer not null,
    runs    integer not null
);
create view operation_run_hour_counts as select hour, outcome, took, runs from operation_run_hours;
create view operation_run_day_counts as select day, outcome, took, runs from operation_run_days;

-- How long a run took that did something: from its start, or from its creation if it never started.
create view operation_run_durations as
    select id, case when outcome in ('succeeded', 'partially_succeeded', 'failed') then
        (select d.step from duration_steps d where d.from_ms <= max(0, cast(round(
         (julianday(completed_at) - julianday(coalesce(started_at, created_at))) * 86400000) as integer))
         order by d.from_ms desc limit 1) else 0 end as took
    from operation_runs;

-- REPLACE deletes without firing delete triggers on a connection without recursive triggers.
create trigger operation_runs_no_replace before insert on operation_runs
when exists (select 1 from operation_runs where id = new.id)
begin select raise(abort, 'a run is never replaced'); end;
create trigger operation_runs_keep_number before update of id on operation_runs when new.id <> old.id
begin select raise(abort, 'a run keeps its number'); end;

-- A change of the counts: a place to write it down once, for every way a run comes or goes.
create view operation_run_changes as select hour, outcome, took, runs from operation_run_deltas;
create trigger operation_run_changes_counted instead of insert on operation_run_changes begin
    insert into operation_run_hours (hour, outcome, took, runs)
    values (new.hour, new.outcome, new.took, max(new.runs, 0))
    on conflict (hour, outcome, took) do update set runs = operation_run_hours.runs + new.runs;
    delete from operation_run_hours
    where hour = new.hour and outcome = new.outcome and took = new.took and runs = 0;
    insert into operation_run_days (day, outcome, took, runs)
    values (substr(new.hour, 1, 10) || 'T00:00:00+00:00', new.outcome, new.took, max(new.runs, 0))
    on conflict (day, outcome, took) do update set runs = operation_run_days.runs + new.runs;
    delete from operation_run_days
    where day = substr(new.hour, 1, 10) || 'T00:00:00+00:00' and outcome = new.outcome
    and took = new.took and runs = 0;
end;

create trigger operation_runs_counted_insert after insert on operation_runs when new.status = 'completed' begin
    insert into operation_run_changes (hour, outcome, took, runs)
    select substr(new.created_at, 1, 13) || ':00:00+00:00', new.outcome, case when new.outcome in ('succeeded', 'partially_succeeded', 'failed') then
        (select d.step from duration_steps d where d.from_ms <= max(0, cast(round(
         (julianday(new.completed_at) - julianday(coalesce(new.started_at, new.created_at))) * 86400000) as integer))
         order by d.from_ms desc limit 1) else 0 end, 1
    where new.status = 'completed';
end;
create trigger operation_runs_counted_update
after update of status, outcome, created_at, started_at, completed_at on operation_runs
when old.status = 'completed' or new.status = 'completed' begin
    insert into operation_run_changes (hour, outcome, took, runs)
    select substr(old.created_at, 1, 13) || ':00:00+00:00', old.outcome, case when old.outcome in ('succeeded', 'partially_succeeded', 'failed') then
        (select d.step from duration_steps d where d.from_ms <= max(0, cast(round(
         (julianday(old.completed_at) - julianday(coalesce(old.started_at, old.created_at))) * 86400000) as integer))
         order by d.from_ms desc limit 1) else 0 end, -1
    where old.status = 'completed';
    insert into operation_run_changes (hour, outcome, took, runs)
    select substr(new.created_at, 1, 13) || ':00:00+00:00', new.outcome, case when new.outcome in ('succeeded', 'partially_succeeded', 'failed') then
        (select d.step from duration_steps d where d.from_ms <= max(0, cast(round(
         (julianday(new.completed_at) - julianday(coalesce(new.started_at, new.created_at))) * 86400000) as integer))
         order by d.from_ms desc limit 1) else 0 end, 1
    where new.status = 'completed';
end;
create trigger operation_runs_counted_delete after delete on operation_runs when old.status = 'completed' begin
    insert into operation_run_changes (hour, outcome, took, runs)
    select substr(old.created_at, 1, 13) || ':00:00+00:00', old.outcome, case when old.outcome in ('succeeded', 'partially_succeeded', 'failed') then
        (select d.step from duration_steps d where d.from_ms <= max(0, cast(round(
         (julianday(old.completed_at) - julianday(coalesce(old.started_at, old.created_at))) * 86400000) as integer))
         order by d.from_ms desc limit 1) else 0 end, -1
    where old.status = 'completed';
end;

insert into operation_run_hours (hour, outcome, took, runs)
select substr(r.created_at, 1, 13) || ':00:00+00:00', r.outcome, d.took, count(*)
from operation_runs r join operation_run_durations d on d.id = r.id where r.status = 'completed' group by 1, 2, 3;
insert into operation_run_days (day, outcome, took, runs)
select substr(hour, 1, 10) || 'T00:00:00+00:00', outcome, took, sum(runs) from operation_run_hours group by 1, 2, 3;

-- What failed, newest first, with all that offenders are counted by.
create index operation_runs_failed on operation_runs
    (created_at desc, id desc, type, tenant_id, reason_code, workspace_id)
    where outcome in ('failed', 'partially_succeeded');
create index operation_runs_audit_gaps on operation_runs (created_at) where audit_gaps > 0;

-- Failures that say the same in other words share a fingerprint. Windows look at the creation of the
-- run, as everywhere.
alter table operation_run_failures add column fingerprint text not null default ''
    check (fingerprint = '' or (length(fingerprint) = 12 and fingerprint not glob '*[^0-9a-f]*'));
alter table operation_run_failures add column run_created_at text;
update operation_run_failures set run_created_at =
    (select r.created_at from operation_runs r where r.id = operation_run_failures.run_id);
create trigger operation_run_failures_dated after insert on operation_run_failures begin
    update operation_run_failures set run_created_at =
        (select r.created_at from operation_runs r where r.id = new.run_id)
    where id = new.id;
end;
create index operation_run_failures_window on operation_run_failures
    (run_created_at, fingerprint, reason_code, run_id, tenant_id, occurred_at, id);
create index operation_run_failures_fingerprint on operation_run_failures (fingerprint, run_created_at, run_id);
