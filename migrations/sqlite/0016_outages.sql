-- Outages: what the database said of a failure, what could not be written at a run's end, and
-- what a worker waits for.

-- Codes and names of the schema's own rules, never values. One row per kind of failure of a run.
create table operation_run_faults (
    run_id          integer not null references operation_runs (id) on delete cascade,
    during          text not null check (during in ('step', 'end', 'notification', 'alert', 'audit')),
    code            text not null check (length(code) <= 8),
    constraint_name text not null default '' check (length(constraint_name) <= 63),
    table_name      text not null default '' check (length(table_name) <= 63),
    times           integer not null default 1 check (times >= 1),
    first_at        text not null,
    last_at         text not null,
    primary key (run_id, during, code, constraint_name, table_name)
);

-- Beside audit_gaps: what the end of a run should have written and could not.
alter table operation_runs add column notification_gaps integer not null default 0 check (notification_gaps >= 0);
alter table operation_runs add column alert_gaps integer not null default 0 check (alert_gaps >= 0);

-- Why a target was skipped, where it has a reason of its own. A failed target keeps its reason in
-- reason_code.
alter table operation_run_targets add column skip_reason text
    check (skip_reason is null or (status = 'skipped' and length(skip_reason) between 1 and 80));

-- The condition of the database that a worker waits for, in words; none while there is none.
alter table workers add column outage text check (outage is null or length(outage) <= 200);
