-- What must never change once written, and what is sent.

-- Append-only tables hold plain ids: nothing that happens elsewhere cascades into them.
create table audit_logs (
    id               integer primary key,
    plane            text not null check (plane in ('system', 'admin')),
    actor_kind       text not null check (actor_kind in ('platform_user', 'system', 'customer', 'anonymous')),
    actor_id         integer,
    actor_name       text,
    origin           text,
    action           text not null check (action glob '[a-z0-9_]*.*[a-z0-9_]' and action not glob '*[^a-z0-9_.]*' and action not glob '*..*'),
    status           text not null check (status in ('succeeded', 'failed', 'denied', 'throttled', 'refused')),
    workspace_id     integer,
    tenant_id        integer,
    run_id           integer,
    target_type      text,
    target_id        text,
    before_state     text,
    after_state      text,
    metadata         text not null default '{}',
    break_glass      boolean not null default false,
    occurred_at      text not null
);
create index audit_logs_newest on audit_logs (occurred_at desc, id desc);
create index audit_logs_run on audit_logs (run_id, id) where run_id is not null;
create index audit_logs_tenant on audit_logs (tenant_id, id) where tenant_id is not null;

create table support_requests (
    id                       integer primary key,
    reference                text not null unique check (length(reference) = 29 and reference glob 'SR-*'
                             and substr(reference, 4) not glob '*[^0-9A-HJKMNP-TV-Z]*'),
    workspace_id             integer not null,
    tenant_id                integer not null,
    run_id                   integer,
    primary_context          text not null check (primary_context in ('tenant', 'operation_run')),
    created_by_platform_user integer not null,
    created_by_name          text not null,
    severity                 text not null default 'normal' check (severity in ('low', 'normal', 'high', 'blocking')),
    summary                  text not null check (length(summary) between 1 and 500),
    reproduction_notes       text,
    contact_name             text,
    contact_email            text,
    attachment_mode          text not null check (attachment_mode in
                             ('diagnostic_snapshot_attached', 'canonical_context_only')),
    context_schema_version   integer not null,
    context                  text not null,
    created_at               text not null,
    check ((primary_context = 'operation_run') = (run_id is not null))
);
create index support_requests_newest on support_requests (created_at desc, id desc);

create trigger audit_logs_no_update before update on audit_logs
begin select raise(abort, 'audit_logs is append-only'); end;
create trigger audit_logs_no_delete before delete on audit_logs
begin select raise(abort, 'audit_logs is append-only'); end;
-- REPLACE deletes without firing delete triggers on a connection without recursive triggers.
create trigger audit_logs_no_replace before insert on audit_logs
when exists (select 1 from audit_logs where id = new.id)
begin select raise(abort, 'audit_logs is append-only'); end;

create trigger support_requests_no_update before update on support_requests
begin select raise(abort, 'support_requests is append-only'); end;
create trigger support_requests_no_delete before delete on support_requests
begin select raise(abort, 'support_requests is append-only'); end;
-- REPLACE deletes without firing delete triggers on a connection without recursive triggers.
create trigger support_requests_no_replace before insert on support_requests
when exists (select 1 from support_requests where id = new.id or reference = new.reference)
begin select raise(abort, 'support_requests is append-only'); end;

create table notifications (
    id               integer primary key,
    platform_user_id integer not null references platform_users (id) on delete cascade,
    kind             text not null,
    run_id           integer references operation_runs (id) on delete cascade,
    title            text not null,
    created_at       text not null,
    read_at          text,
    -- One terminal notification per run, however often it is completed.
    unique (run_id, kind)
);
create index notifications_inbox on notifications (platform_user_id, created_at desc, id desc);

create table alert_deliveries (
    id              integer primary key,
    event           text not null,
    run_id          integer references operation_runs (id) on delete cascade,
    payload         text not null,
    status          text not null default 'pending' check (status in ('pending', 'delivered', 'dead')),
    attempts        integer not null default 0 check (attempts >= 0),
    last_error      text,
    next_attempt_at text not null,
    created_at      text not null,
    delivered_at    text,
    unique (event, run_id),
    check ((status = 'delivered') = (delivered_at is not null))
);
create index alert_deliveries_due on alert_deliveries (next_attempt_at) where status = 'pending';
