-- Runs of which something is missing that their end should have written, for the overview.

create index operation_runs_gaps on operation_runs (created_at)
    where audit_gaps > 0 or notification_gaps > 0 or alert_gaps > 0;
