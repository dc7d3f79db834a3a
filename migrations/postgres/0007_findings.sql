-- The newest of the findings that share a recurrence key is the first one found. The status,
-- which tells which of them are open, stays out of every index: it changes often, and a change
-- of no indexed column is the cheap kind.

drop index findings_recurrence;
create index findings_recurrence on findings (tenant_id, recurrence_key, created_at, id);
