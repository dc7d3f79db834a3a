-- What the customers' plane keeps and the console reads: findings, reports, packs, and the
-- ledger of product usage.

create table provider_connections (
    id                integer primary key,
    workspace_id      integer not null,
    tenant_id         integer not null,
    provider          text not null,
    status            text not null check (status in ('connected', 'degraded', 'consent_expired', 'disconnected')),
    last_error_code   text,
    last_checked_at   text,
    consent_expires_at text,
    created_at        text not null,
    foreign key (tenant_id, workspace_id) references tenants (id, workspace_id)
);
create index provider_connections_tenant on provider_connections (tenant_id);

create table findings (
    id                integer primary key,
    workspace_id      integer not null,
    tenant_id         integer not null,
    recurrence_key    text not null,
    title             text not null,
    severity          text not null check (severity in ('critical', 'high', 'medium', 'low')),
    status            text not null check (status in
                      ('open', 'acknowledged', 'new', 'triaged', 'resolved', 'duplicate')),
    first_seen_at     text,
    last_seen_at      text,
    times_seen        integer check (times_seen is null or times_seen >= 1),
    sla_days          integer check (sla_days is null or sla_days > 0),
    due_at            text,
    duplicate_of_id   integer references findings (id),
    created_at        text not null,
    updated_at        text not null,
    foreign key (tenant_id, workspace_id) references tenants (id, workspace_id),
    check ((status = 'duplicate') = (duplicate_of_id is not null))
);
create index findings_tenant on findings (tenant_id, id);
create index findings_recurrence on findings (tenant_id, recurrence_key, id);

create table tenant_onboarding_sessions (
    id              integer primary key,
    workspace_id    integer not null references workspaces (id),
    tenant_id       integer,
    user_id         integer references users (id),
    checkpoint_key  text not null,
    lifecycle_state text not null,
    created_at      text not null,
    updated_at      text not null,
    completed_at    text,
    foreign key (tenant_id, workspace_id) references tenants (id, workspace_id)
);
create index tenant_onboarding_sessions_tenant on tenant_onboarding_sessions (tenant_id);

create table stored_reports (
    id           integer primary key,
    workspace_id integer not null,
    tenant_id    integer not null,
    run_id       integer references operation_runs (id),
    report_type  text not null,
    created_at   text not null,
    foreign key (tenant_id, workspace_id) references tenants (id, workspace_id)
);
create index stored_reports_tenant on stored_reports (tenant_id, created_at desc);

create table review_packs (
    id                 integer primary key,
    workspace_id       integer not null,
    tenant_id          integer not null,
    run_id             integer references operation_runs (id),
    status             text not null check (status in ('requested', 'ready', 'failed')),
    include_operations boolean not null,
    include_pii        boolean not null,
    created_at         text not null,
    foreign key (tenant_id, workspace_id) references tenants (id, workspace_id)
);
create index review_packs_tenant on review_packs (tenant_id, created_at desc);

create table product_usage_events (
    id           integer primary key,
    workspace_id integer not null,
    tenant_id    integer not null,
    user_id      integer references users (id),
    event_name   text not null,
    feature_area text not null,
    subject_type text not null check (subject_type in
                 ('tenant_onboarding_session', 'tenant', 'operation_run', 'stored_report', 'review_pack')),
    subject_id   text not null check (length(subject_id) between 1 and 120
                 and subject_id not glob '*[^A-Za-z0-9._:+/-]*'),
    metadata     text not null default '{}' check (json_type(metadata) = 'object'),
    occurred_at  text not null,
    foreign key (tenant_id, workspace_id) references tenants (id, workspace_id),
    check (event_name || ' ' || feature_area in (
        'product.onboarding.checkpoint_completed onboarding',
        'product.support_diagnostics.opened support_diagnostics',
        'product.operations.started operations',
        'product.stored_report.created stored_reports',
        'product.review_pack.requested review_pack'))
);
create index product_usage_events_time on product_usage_events (occurred_at, event_name);
