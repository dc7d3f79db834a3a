-- What lists and pages say beside a run's own state: whether a worker is there, and a tenant's name. A
-- worker's heartbeat is no hint.
create trigger workers_came_or_went after insert or delete on workers
    for each row execute function notify_run_change();
create trigger workers_changed after update on workers
    for each row when (old.stopping is distinct from new.stopping or old.outage is distinct from new.outage)
    execute function notify_run_change();
create trigger tenants_renamed after update of name, archived_at on tenants
    for each statement execute function notify_run_change();
