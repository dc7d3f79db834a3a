-- The newest of the findings that share a recurrence key is found without reading them all.

drop index findings_recurrence;
create index findings_recurrence on findings (tenant_id, recurrence_key, created_at, id);
