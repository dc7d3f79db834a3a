-- The ledger of product usage: what it refuses by itself, and counts of it that are exact at any
-- size.

-- What an event may say: truth values, whole numbers and machine tokens under the keys of its
-- kind; nothing nested, no null, no free text. One function, which is planned once, instead of
-- several expressions, which are read anew by every statement.
create function is_usage_event(event text, area text, subject text, subject_id text, facts jsonb)
returns boolean language plpgsql immutable as $$
begin
    return jsonb_typeof(facts) = 'object' and case event
        when 'product.onboarding.checkpoint_completed' then area = 'onboarding'
            and subject = 'tenant_onboarding_session'
            and facts - array['checkpoint_key', 'lifecycle_state', 'completed_at'] = '{}'
            and coalesce(facts ->> 'completed_at', '0000-00-00T00:00Z')
                ~ '^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$'
        when 'product.support_diagnostics.opened' then area = 'support_diagnostics'
            and subject in ('tenant', 'operation_run')
            and facts - array['source_surface', 'operation_type'] = '{}'
        when 'product.operations.started' then area = 'operations' and subject = 'operation_run'
            and facts - array['operation_type'] = '{}'
        when 'product.stored_report.created' then area = 'stored_reports'
            and subject = 'stored_report' and facts - array['report_type'] = '{}'
        when 'product.review_pack.requested' then area = 'review_pack' and subject = 'review_pack'
            and facts - array['source_surface', 'include_operations', 'include_pii'] = '{}'
            and coalesce(jsonb_typeof(facts -> 'include_operations'), 'boolean') = 'boolean'
            and coalesce(jsonb_typeof(facts -> 'include_pii'), 'boolean') = 'boolean'
        else false end
        and coalesce(facts ->> 'source_surface', 'tenant') in
            ('tenant_dashboard', 'operation_run_viewer', 'tenant', 'tenant_review')
        and subject_id ~ '^[A-Za-z0-9._:+/-]{1,120}$'
        and not jsonb_path_exists(facts,
            'strict $.* ? (!(@.type() == "boolean") && !(@.type() == "number" && @.floor() == @)
             && !(@.type() == "string" && @ like_regex "^[A-Za-z0-9._:+/-]{1,120}$"))', '{}', true);
end $$;

-- A customer's event names a customer of its own workspace.
alter table users add constraint users_of_workspace unique (id, workspace_id);
alter table product_usage_events
    drop constraint product_usage_events_user_id_fkey,
    drop constraint product_usage_events_check,
    drop constraint product_usage_events_metadata_check,
    drop constraint product_usage_events_subject_id_check,
    drop constraint product_usage_events_subject_type_check,
    add constraint product_usage_events_time check
        (occurred_at >= '2000-01-01T00:00Z' and occurred_at < '2100-01-01T00:00Z'),
    add constraint product_usage_events_user foreign key (user_id, workspace_id)
        references users (id, workspace_id),
    add constraint product_usage_events_catalog check
        (is_usage_event(event_name, feature_area, subject_type, subject_id, metadata));
-- Whether a workspace was active is one look per workspace; and the edges of one's own windows.
create index product_usage_events_workspace
    on product_usage_events (workspace_id, occurred_at, event_name);

-- An event is a fact: it is written once, and goes with its retention.
create trigger product_usage_events_immutable before update on product_usage_events
    for each row execute function refuse_change();
create trigger product_usage_events_no_truncate before truncate on product_usage_events
    for each statement execute function refuse_change();

-- What was counted: per hour, per day, and per workspace and day. It may fall below zero for a moment,
-- while a deletion was folded in and what it deletes was not.
create table product_usage_hours (
    hour       timestamptz not null,
    event_name text not null,
    events     bigint not null,
    primary key (hour, event_name)
);
create table product_usage_days (
    day        timestamptz not null,
    event_name text not null,
    events     bigint not null,
    primary key (day, event_name)
);
create table product_usage_workspace_days (
    workspace_id bigint not null,
    day          timestamptz not null,
    event_name   text not null,
    events       bigint not null,
    primary key (workspace_id, day, event_name)
);
create index product_usage_workspace_days_day on product_usage_workspace_days (day, workspace_id);
-- What is still to be added to all three. Everybody who writes an event appends here, so that nobody
-- waits for a counter that somebody else is raising; a worker folds it.
create table product_usage_deltas (
    hour         timestamptz not null,
    workspace_id bigint not null,
    event_name   text not null,
    events       bigint not null
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);

create view product_usage_hour_counts as
    select hour, event_name, events from product_usage_hours
    union all
    select hour, event_name, events from product_usage_deltas;
create view product_usage_day_counts as
    select day, event_name, events from product_usage_days
    union all
    select date_trunc('day', hour, 'UTC') as day, event_name, events from product_usage_deltas;
create view product_usage_workspace_day_counts as
    select workspace_id, day, event_name, events from product_usage_workspace_days
    union all
    select workspace_id, date_trunc('day', hour, 'UTC') as day, event_name, events
    from product_usage_deltas;

create function count_usage() returns trigger language plpgsql as $$
begin
    insert into product_usage_deltas (hour, workspace_id, event_name, events)
    values (date_trunc('hour', new.occurred_at, 'UTC'), new.workspace_id, new.event_name, 1);
    return null;
end $$;
create trigger product_usage_events_counted after insert on product_usage_events
    for each row execute function count_usage();
-- Events go in thousands.
create function uncount_usage() returns trigger language plpgsql as $$
begin
    insert into product_usage_deltas (hour, workspace_id, event_name, events)
    select date_trunc('hour', e.occurred_at, 'UTC'), e.workspace_id, e.event_name, -count(*)
    from gone e group by 1, 2, 3;
    return null;
end $$;
create trigger product_usage_events_uncounted after delete on product_usage_events
    referencing old table as gone for each statement execute function uncount_usage();

insert into product_usage_hours (hour, event_name, events)
select date_trunc('hour', occurred_at, 'UTC'), event_name, count(*)
from product_usage_events group by 1, 2;
insert into product_usage_days (day, event_name, events)
select date_trunc('day', hour, 'UTC'), event_name, sum(events) from product_usage_hours group by 1, 2;
insert into product_usage_workspace_days (workspace_id, day, event_name, events)
select workspace_id, date_trunc('day', occurred_at, 'UTC'), event_name, count(*)
from product_usage_events group by 1, 2, 3;
