-- Review packs expire and name the evidence they were made of; an onboarding session keeps its last
-- completed checkpoint; the ledger says from when on it is complete; a worker says how far its clock
-- is from the database's.

-- From when on no event is missing because it was pruned: one row once something was, none before.
create table product_usage_kept (
    id        integer primary key not null check (id = 1),
    kept_from text not null
);
-- What was pruned before there was this table. Summaries look back 60 days at most, so older prunes
-- do not matter.
insert into product_usage_kept (id, kept_from)
select 1, min(max(p.cutoff), strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) from (
    select strftime('%Y-%m-%dT%H:%M:%f+00:00', r.started_at,
        '-' || coalesce(json_extract(r.context, '$.inputs.days'), 90) || ' days') as cutoff
    from operation_runs r
    where r.type = 'product_usage.prune' and r.started_at > strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-60 days')
        and coalesce(json_extract(r.summary_counts, '$.deleted'), 0) <> 0
    union all
    select strftime('%Y-%m-%dT%H:%M:%f+00:00', json_extract(a.metadata, '$.cutoff')) from audit_logs a
    where a.occurred_at > strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-60 days') and a.action = 'product_usage.pruned'
        and coalesce(json_extract(a.metadata, '$.deleted'), 0) <> 0
) p
where p.cutoff is not null having max(p.cutoff) is not null;

-- A pack without a fingerprint or an expiry is from before there were any: it is never reused.
alter table review_packs add column expires_at text;
alter table review_packs add column evidence_fingerprint text check (evidence_fingerprint is null
    or (length(evidence_fingerprint) = 64 and evidence_fingerprint not glob '*[^0-9a-f]*'));

alter table tenant_onboarding_sessions add column last_completed_checkpoint text;

-- Positive: ahead of the database. None: it was not measured.
alter table workers add column clock_offset_seconds integer;
