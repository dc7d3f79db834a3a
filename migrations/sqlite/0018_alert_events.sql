-- Which types and tenants have alerted and not succeeded since: what a recovery is told of by.

-- Plain ids, so that no delete cascades into it; tenant 0 is the platform itself.
create table open_alerts (
    run_type   text not null,
    tenant_id  integer not null,
    event      text not null,
    run_id     integer not null,
    alerted_at text not null,
    primary key (run_type, tenant_id)
) without rowid;
