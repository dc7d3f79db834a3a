-- Review packs expire and name the evidence they were made of; an onboarding session keeps its last
-- completed checkpoint; the ledger says from when on it is complete; a worker says how far its clock
-- is from the database's.

-- From when on no event is missing because it was pruned: one row once something was, none before.
create table product_usage_kept (
    id        bigint primary key check (id = 1),
    kept_from timestamptz not null
);
-- What was pruned before there was this table. Summaries look back 60 days at most, so older prunes
-- do not matter. This reads only, and comes first, so that no lock is held meanwhile.
insert into product_usage_kept (id, kept_from)
select 1, least(max(p.cutoff), now()) from (
    select r.started_at - (case when r.context #>> '{inputs,days}' ~ '^\d{1,5}$'
        then (r.context #>> '{inputs,days}')::bigint else 90 end) * interval '1 day' as cutoff
    from operation_runs r
    where r.type = 'product_usage.prune' and r.started_at > now() - interval '60 days'
        and coalesce(r.summary_counts ->> 'deleted', '0') <> '0'
    union all
    select (a.metadata ->> 'cutoff')::timestamptz from audit_logs a
    where a.occurred_at > now() - interval '60 days' and a.action = 'product_usage.pruned'
        and coalesce(a.metadata ->> 'deleted', '0') <> '0'
        and a.metadata ->> 'cutoff' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d'
) p
having max(p.cutoff) is not null;

-- A pack without a fingerprint or an expiry is from before there were any: it is never reused.
alter table review_packs
    add column expires_at timestamptz,
    add column evidence_fingerprint text check (evidence_fingerprint ~ '^[0-9a-f]{64}$');

alter table tenant_onboarding_sessions add column last_completed_checkpoint text;

-- Positive: ahead of the database. None: it was not measured.
alter table workers add column clock_offset_seconds bigint;
