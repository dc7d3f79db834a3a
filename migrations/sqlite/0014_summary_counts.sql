-- Counts of a run: a closed list of keys, never negative. A target whose items failed is a failed
-- target, with its counts.

-- 1. Counts that older versions or other programs stored: unknown keys go, negative values become 0,
-- and what is left adds up. No valid row is touched.
with cleaned as (
    select r.id, r.status, (
        select json_group_object(c.key, max(0, cast(c.value as integer)))
        from json_each(r.summary_counts) c
        where c.key in ('total', 'processed', 'succeeded', 'failed', 'skipped', 'created', 'updated', 'deleted',
                        'tenants', 'items')
          and (c.type in ('integer', 'real') or (c.type = 'text' and c.value glob '[-0-9]*'))
          and abs(cast(c.value as real)) < 1e16) as counts
    from operation_runs r
    where json_type(r.summary_counts) <> 'object' or exists (
        select 1 from json_each(r.summary_counts) c
        where c.key not in ('total', 'processed', 'succeeded', 'failed', 'skipped', 'created', 'updated', 'deleted',
                            'tenants', 'items')
           or c.type <> 'integer' or c.value not between 0 and 9999999999999999)
), added as (
    select c.id, c.status, c.counts,
           coalesce(c.counts ->> 'succeeded', 0) + coalesce(c.counts ->> 'failed', 0)
           + coalesce(c.counts ->> 'skipped', 0) as done
    from cleaned c
), totals as (
    select a.id, a.status, a.counts,
           case when a.status = 'completed' then a.done else max(a.counts ->> 'total', a.done) end as total
    from added a
)
update operation_runs set summary_counts = case
    when t.counts ->> 'total' is null then t.counts
    else json_set(t.counts, '$.total', t.total, '$.processed', case
        when t.status = 'completed' then t.total
        else min(coalesce(t.counts ->> 'processed', 0), t.total) end)
    end
from totals t where t.id = operation_runs.id;

-- 2. Items of a target that failed, and how many it has in all, where its executor says so.
alter table operation_run_targets add column item_total integer check (item_total is null or item_total >= 0);
alter table operation_run_targets add column failed_items integer not null default 0
    check (failed_items >= 0 and (failed_items = 0 or status in ('pending', 'failed')));

-- 3. Ended runs with failed items whose one target says something else: the target failed, for the
-- run's reason.
update operation_run_targets set status = 'failed', reason_code = coalesce(r.reason_code, 'unexpected_error')
from operation_runs r
where r.id = operation_run_targets.run_id and r.outcome in ('failed', 'partially_succeeded', 'cancelled')
  and r.target_count = 1 and operation_run_targets.status in ('succeeded', 'skipped')
  and coalesce(r.summary_counts ->> 'failed', 0) > 0;
update operation_run_targets set
    item_total = r.summary_counts ->> 'total',
    items = coalesce(r.summary_counts ->> 'succeeded', 0) + (r.summary_counts ->> 'failed'),
    failed_items = r.summary_counts ->> 'failed'
from operation_runs r
where r.id = operation_run_targets.run_id and r.outcome in ('failed', 'partially_succeeded', 'cancelled')
  and r.target_count = 1 and operation_run_targets.status = 'failed' and coalesce(r.summary_counts ->> 'failed', 0) > 0
  and r.summary_counts ->> 'total' is not null and r.summary_counts ->> 'items' is null;

-- This engine adds no check to a table that is there: triggers hold the rule.
create trigger operation_runs_counts_insert before insert on operation_runs
when json_type(new.summary_counts) <> 'object' or exists (
    select 1 from json_each(new.summary_counts) c
    where c.key not in ('total', 'processed', 'succeeded', 'failed', 'skipped', 'created', 'updated', 'deleted',
                        'tenants', 'items')
       or c.type <> 'integer' or c.value not between 0 and 9999999999999999)
begin select raise(abort, 'operation_runs_summary_counts: an unknown key, or no whole number of at least 0'); end;
create trigger operation_runs_counts_update before update of summary_counts on operation_runs
when json_type(new.summary_counts) <> 'object' or exists (
    select 1 from json_each(new.summary_counts) c
    where c.key not in ('total', 'processed', 'succeeded', 'failed', 'skipped', 'created', 'updated', 'deleted',
                        'tenants', 'items')
       or c.type <> 'integer' or c.value not between 0 and 9999999999999999)
begin select raise(abort, 'operation_runs_summary_counts: an unknown key, or no whole number of at least 0'); end;
