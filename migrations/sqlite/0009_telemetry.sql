-- The ledger of product usage: what it refuses by itself, and counts of it that are exact at any
-- size.

-- A customer's event names a customer of its own workspace.
create unique index users_of_workspace on users (id, workspace_id);
create table product_usage_events_checked (
    id           integer primary key,
    workspace_id integer not null,
    tenant_id    integer not null,
    user_id      integer,
    event_name   text not null,
    feature_area text not null,
    subject_type text not null,
    subject_id   text not null check (length(subject_id) between 1 and 120
                 and subject_id not glob '*[^A-Za-z0-9._:+/-]*'
                 and typeof(subject_id) = 'text' and instr(subject_id, char(0)) = 0),
    metadata     text not null default '{}' check (json_valid(metadata) and json_type(metadata) = 'object'
                 and typeof(metadata) = 'text' and instr(metadata, char(0)) = 0 and instr(metadata, '\') = 0),
    -- The counts below cut it into hours.
    occurred_at  text not null check (occurred_at glob '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]*+00:00'
                 and replace(substr(occurred_at, 20), '+00:00', '') not glob '*[^.0-9]*' and typeof(occurred_at) = 'text'
                 and instr(occurred_at, char(0)) = 0 and julianday(occurred_at) is not null
                 and occurred_at >= '2000' and occurred_at < '2100'),
    foreign key (tenant_id, workspace_id) references tenants (id, workspace_id),
    constraint product_usage_events_user foreign key (user_id, workspace_id) references users (id, workspace_id),
    check (event_name || ' ' || feature_area in (
        'product.onboarding.checkpoint_completed onboarding',
        'product.support_diagnostics.opened support_diagnostics',
        'product.operations.started operations',
        'product.stored_report.created stored_reports',
        'product.review_pack.requested review_pack')),
    constraint product_usage_events_subject check (event_name || ' ' || subject_type in (
        'product.onboarding.checkpoint_completed tenant_onboarding_session',
        'product.support_diagnostics.opened tenant',
        'product.support_diagnostics.opened operation_run',
        'product.operations.started operation_run',
        'product.stored_report.created stored_report',
        'product.review_pack.requested review_pack')),
    constraint product_usage_events_keys check (case event_name
        when 'product.onboarding.checkpoint_completed'
            then json_remove(metadata, '$.checkpoint_key', '$.lifecycle_state', '$.completed_at')
        when 'product.support_diagnostics.opened'
            then json_remove(metadata, '$.source_surface', '$.operation_type')
        when 'product.operations.started' then json_remove(metadata, '$.operation_type')
        when 'product.stored_report.created' then json_remove(metadata, '$.report_type')
        else json_remove(metadata, '$.source_surface', '$.include_operations', '$.include_pii') end = '{}'),
    -- Truth values, whole numbers and machine tokens; nothing nested, no null, no free text.
    constraint product_usage_events_values check (
        coalesce(json_type(metadata, '$.checkpoint_key'), 'text') in ('text', 'integer')
        and coalesce(json_type(metadata, '$.lifecycle_state'), 'text') in ('text', 'integer')
        and coalesce(json_type(metadata, '$.operation_type'), 'text') in ('text', 'integer')
        and coalesce(json_type(metadata, '$.report_type'), 'text') in ('text', 'integer')
        and coalesce(json_extract(metadata, '$.checkpoint_key'), 'x') not glob '*[^A-Za-z0-9._:+/-]*'
        and coalesce(json_extract(metadata, '$.lifecycle_state'), 'x') not glob '*[^A-Za-z0-9._:+/-]*'
        and coalesce(json_extract(metadata, '$.operation_type'), 'x') not glob '*[^A-Za-z0-9._:+/-]*'
        and coalesce(json_extract(metadata, '$.report_type'), 'x') not glob '*[^A-Za-z0-9._:+/-]*'
        and length(coalesce(json_extract(metadata, '$.checkpoint_key'), 'x')) between 1 and 120
        and length(coalesce(json_extract(metadata, '$.lifecycle_state'), 'x')) between 1 and 120
        and length(coalesce(json_extract(metadata, '$.operation_type'), 'x')) between 1 and 120
        and length(coalesce(json_extract(metadata, '$.report_type'), 'x')) between 1 and 120),
    constraint product_usage_events_kinds check (
        coalesce(json_type(metadata, '$.source_surface'), 'text') = 'text'
        and coalesce(json_extract(metadata, '$.source_surface'), 'tenant') in
            ('tenant_dashboard', 'operation_run_viewer', 'tenant', 'tenant_review')
        and coalesce(json_type(metadata, '$.include_operations'), 'true') in ('true', 'false')
        and coalesce(json_type(metadata, '$.include_pii'), 'true') in ('true', 'false')
        and coalesce(json_type(metadata, '$.completed_at'), 'text') = 'text'
        and coalesce(json_extract(metadata, '$.completed_at'), '0000-00-00T')
            glob '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T*'
        and substr(coalesce(json_extract(metadata, '$.completed_at'), ''), 12) not glob '*[^0-9:.Z+-]*'
        and coalesce(json_extract(metadata, '$.completed_at'), 'x') not glob '*[^A-Za-z0-9._:+/-]*'
        and length(coalesce(json_extract(metadata, '$.completed_at'), 'x')) between 1 and 120)
);
insert into product_usage_events_checked
    (id, workspace_id, tenant_id, user_id, event_name, feature_area, subject_type, subject_id, metadata, occurred_at)
select id, workspace_id, tenant_id, user_id, event_name, feature_area, subject_type, subject_id, metadata, occurred_at
from product_usage_events order by id;
drop table product_usage_events;
alter table product_usage_events_checked rename to product_usage_events;
create index product_usage_events_time on product_usage_events (occurred_at, event_name);
-- Whether a workspace was active is one look per workspace; and the edges of one's own windows.
create index product_usage_events_workspace
    on product_usage_events (workspace_id, occurred_at, event_name);

-- An event is a fact: it is written once, and goes with its retention.
create trigger product_usage_events_immutable before update on product_usage_events
begin select raise(abort, 'an event never changes'); end;
-- REPLACE deletes without firing delete triggers on a connection without recursive triggers.
create trigger product_usage_events_no_replace before insert on product_usage_events
when exists (select 1 from product_usage_events where id = new.id)
begin select raise(abort, 'an event never changes'); end;

-- What was counted: per hour, per day, and per workspace and day.
create table product_usage_hours (
    hour       text not null,
    event_name text not null,
    events     integer not null check (events >= 0),
    primary key (hour, event_name)
) without rowid;
create table product_usage_days (
    day        text not null,
    event_name text not null,
    events     integer not null check (events >= 0),
    primary key (day, event_name)
) without rowid;
create table product_usage_workspace_days (
    workspace_id integer not null,
    day          text not null,
    event_name   text not null,
    events       integer not null check (events >= 0),
    primary key (workspace_id, day, event_name)
) without rowid;
create index product_usage_workspace_days_day on product_usage_workspace_days (day, workspace_id);

-- There is one writer at a time, so nobody waits for a counter: triggers raise it at once, and
-- nothing is ever appended here.
create table product_usage_deltas (
    hour         text not null,
    workspace_id integer not null,
    event_name   text not null,
    events       integer not null
);
create view product_usage_hour_counts as
    select hour, event_name, events from product_usage_hours;
create view product_usage_day_counts as
    select day, event_name, events from product_usage_days;
create view product_usage_workspace_day_counts as
    select workspace_id, day, event_name, events from product_usage_workspace_days;

create trigger product_usage_events_counted after insert on product_usage_events begin
    insert into product_usage_hours (hour, event_name, events)
    values (substr(new.occurred_at, 1, 13) || ':00:00+00:00', new.event_name, 1)
    on conflict (hour, event_name) do update set events = events + 1;
    insert into product_usage_days (day, event_name, events)
    values (substr(new.occurred_at, 1, 10) || 'T00:00:00+00:00', new.event_name, 1)
    on conflict (day, event_name) do update set events = events + 1;
    insert into product_usage_workspace_days (workspace_id, day, event_name, events)
    values (new.workspace_id, substr(new.occurred_at, 1, 10) || 'T00:00:00+00:00', new.event_name, 1)
    on conflict (workspace_id, day, event_name) do update set events = events + 1;
end;
create trigger product_usage_events_uncounted after delete on product_usage_events begin
    update product_usage_hours set events = events - 1
    where hour = substr(old.occurred_at, 1, 13) || ':00:00+00:00' and event_name = old.event_name;
    delete from product_usage_hours where events = 0
    and hour = substr(old.occurred_at, 1, 13) || ':00:00+00:00' and event_name = old.event_name;
    update product_usage_days set events = events - 1
    where day = substr(old.occurred_at, 1, 10) || 'T00:00:00+00:00' and event_name = old.event_name;
    delete from product_usage_days where events = 0
    and day = substr(old.occurred_at, 1, 10) || 'T00:00:00+00:00' and event_name = old.event_name;
    update product_usage_workspace_days set events = events - 1
    where workspace_id = old.workspace_id and day = substr(old.occurred_at, 1, 10) || 'T00:00:00+00:00'
    and event_name = old.event_name;
    delete from product_usage_workspace_days where events = 0
    and workspace_id = old.workspace_id and day = substr(old.occurred_at, 1, 10) || 'T00:00:00+00:00'
    and event_name = old.event_name;
end;

insert into product_usage_hours (hour, event_name, events)
select substr(occurred_at, 1, 13) || ':00:00+00:00', event_name, count(*)
from product_usage_events group by 1, 2;
insert into product_usage_days (day, event_name, events)
select substr(hour, 1, 10) || 'T00:00:00+00:00', event_name, sum(events)
from product_usage_hours group by 1, 2;
insert into product_usage_workspace_days (workspace_id, day, event_name, events)
select workspace_id, substr(occurred_at, 1, 10) || 'T00:00:00+00:00', event_name, count(*)
from product_usage_events group by 1, 2, 3;
