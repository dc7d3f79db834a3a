-- Counts of a run: a closed list of keys, never negative. A target whose items failed is a failed
-- target, with its counts.

-- 1. Counts that older versions or other programs stored: unknown keys go, negative values become 0,
-- and what is left adds up. No valid row is touched.
with cleaned as (
    select r.id, r.status, coalesce((
        select jsonb_object_agg(c.key, greatest(0, floor((c.value #>> '{}')::numeric))::bigint)
        from jsonb_each(case when jsonb_typeof(r.summary_counts) = 'object' then r.summary_counts else '{}' end) c
        where c.key in ('total', 'processed', 'succeeded', 'failed', 'skipped', 'created', 'updated', 'deleted',
                        'tenants', 'items')
          and c.value #>> '{}' ~ '^-?[0-9]{1,16}(\.[0-9]{1,16})?$'), '{}') as counts
    from operation_runs r
    where r.summary_counts::text !~ '^\{("(total|processed|succeeded|failed|skipped|created|updated|deleted|tenants|items)": [0-9]{1,16}(, |(?=\})))*\}$'
), added as (
    select c.id, c.status, c.counts,
           coalesce((c.counts ->> 'succeeded')::bigint, 0) + coalesce((c.counts ->> 'failed')::bigint, 0)
           + coalesce((c.counts ->> 'skipped')::bigint, 0) as done
    from cleaned c
), totals as (
    select a.id, a.status, a.counts,
           case when a.status = 'completed' then a.done else greatest((a.counts ->> 'total')::bigint, a.done) end as total
    from added a
)
update operation_runs r set summary_counts = case
    when not t.counts ? 'total' then t.counts
    else t.counts || jsonb_build_object('total', t.total, 'processed', case
        when t.status = 'completed' then t.total
        else least(coalesce((t.counts ->> 'processed')::bigint, 0), t.total) end)
    end
from totals t where t.id = r.id;

-- 2. Ended runs with failed items whose one target says something else: the target failed, for the
-- run's reason.
update operation_run_targets g set status = 'failed', reason_code = coalesce(r.reason_code, 'unexpected_error')
from operation_runs r
where r.id = g.run_id and r.outcome in ('failed', 'partially_succeeded', 'cancelled') and r.target_count = 1
  and g.status in ('succeeded', 'skipped') and coalesce((r.summary_counts ->> 'failed')::bigint, 0) > 0;

-- 3. The schema, last, so that its locks are short; runs before targets, in the order in which workers
-- take them. Rows that are there were just looked at, so the check need not read them again.
alter table operation_runs add constraint operation_runs_summary_counts check (
    summary_counts::text ~ '^\{("(total|processed|succeeded|failed|skipped|created|updated|deleted|tenants|items)": [0-9]{1,16}(, |(?=\})))*\}$'
) not valid;

-- Items of a target that failed, and how many it has in all, where its executor says so.
alter table operation_run_targets add column item_total bigint;
alter table operation_run_targets add column failed_items bigint not null default 0;
alter table operation_run_targets add constraint operation_run_targets_items check (
    (item_total is null or item_total >= 0) and failed_items >= 0
    and (failed_items = 0 or status in ('pending', 'failed'))
) not valid;

update operation_run_targets g set
    item_total = (r.summary_counts ->> 'total')::bigint,
    items = coalesce((r.summary_counts ->> 'succeeded')::bigint, 0) + (r.summary_counts ->> 'failed')::bigint,
    failed_items = (r.summary_counts ->> 'failed')::bigint
from operation_runs r
where r.id = g.run_id and r.outcome in ('failed', 'partially_succeeded', 'cancelled') and r.target_count = 1
  and g.status = 'failed' and coalesce((r.summary_counts ->> 'failed')::bigint, 0) > 0
  and r.summary_counts ? 'total' and not r.summary_counts ? 'items';
