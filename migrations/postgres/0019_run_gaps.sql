-- Runs of which something is missing that their end should have written, for the overview.

-- Writers wait while it is made; readers, also of an older version, do not. operation_runs_audit_gaps
-- stays: dropping it here would lock readers out, too, and it holds a few rows at most.
create index operation_runs_gaps on operation_runs (created_at)
    where audit_gaps > 0 or notification_gaps > 0 or alert_gaps > 0;
