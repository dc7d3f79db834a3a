-- Execution: what a step leaves behind, what is asked of a run, and who works.

-- When it last became free to claim: at its creation where nothing else is said.
alter table operation_runs add column queued_at timestamptz;
-- How the targets are worked through: concurrency, error threshold, canary.
alter table operation_runs add column rollout jsonb not null default '{}';
-- The steps done when it was last claimed: a takeover without progress finds the same number.
alter table operation_runs add column takeover_mark bigint not null default 0;
-- Why its end left targets undone.
alter table operation_runs add column stop_reason text check (stop_reason is null or stop_reason in
    ('cancelled', 'error_threshold', 'canary_failed', 'worker_lost', 'closed', 'blocked'));

-- The marker that makes a step's effect happen once, and the exact source of every count.
alter table operation_run_targets add column steps bigint not null default 0 check (steps >= 0);
alter table operation_run_targets add column errors bigint not null default 0 check (errors >= 0);
alter table operation_run_targets add column step_started_at timestamptz;
alter table operation_run_targets add column next_attempt_at timestamptz;
alter table operation_run_targets add column items bigint not null default 0 check (items >= 0);
alter table operation_run_targets add column created bigint not null default 0 check (created >= 0);
alter table operation_run_targets add column updated bigint not null default 0 check (updated >= 0);
alter table operation_run_targets add column deleted bigint not null default 0 check (deleted >= 0);
create index operation_run_targets_pending on operation_run_targets (run_id, ordinal) where status = 'pending';

-- What people ask of a run that a worker holds. Apart from the run's row, so that asking
-- never waits behind a step that holds it.
create table operation_run_requests (
    run_id           bigint not null references operation_runs (id) on delete cascade,
    kind             text not null check (kind in ('cancel', 'pause')),
    platform_user_id bigint references platform_users (id),
    requested_by     text,
    requested_at     timestamptz not null,
    acknowledged_at  timestamptz,
    primary key (run_id, kind)
);

-- Worker processes and their last sign of life, by the database's clock.
create table workers (
    id                text primary key,
    name              text not null,
    version           text not null,
    runbooks          jsonb not null,
    slots             bigint not null check (slots >= 1),
    heartbeat_seconds double precision not null check (heartbeat_seconds > 0),
    started_at        timestamptz not null,
    heartbeat_at      timestamptz not null,
    stopping          boolean not null default false
);

create trigger operation_run_requests_changed after insert or delete on operation_run_requests
    for each statement execute function notify_run_change();

-- The unread count stands on every screen, so it has to cost next to nothing.
create index notifications_unread on notifications (platform_user_id) where read_at is null;

-- What tried a run again.
create index operation_runs_retries on operation_runs (retry_of_run_id) where retry_of_run_id is not null;
