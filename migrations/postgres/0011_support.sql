-- Support requests: what the record refuses by itself, and how it is looked up.

alter table support_requests
    -- As strict as whoever reads it.
    add constraint support_requests_reference check (reference ~ '^SR-[0-7]'),
    add constraint support_requests_created_at check (created_at >= '2000-01-01T00:00Z' and created_at < '2100-01-01T00:00Z'),
    add constraint support_requests_ids check (workspace_id > 0 and tenant_id > 0 and created_by_platform_user > 0 and run_id > 0),
    add constraint support_requests_created_by_name check (length(created_by_name) between 1 and 200),
    add constraint support_requests_summary check (btrim(summary, E' \t\n\r\u00a0') <> ''),
    add constraint support_requests_notes check (length(reproduction_notes) between 1 and 10000),
    add constraint support_requests_contact_name check (length(contact_name) between 1 and 200),
    add constraint support_requests_contact_email check (length(contact_email) between 3 and 254
        and contact_email ~ '^[!-?A-~]+@[!-?A-~]+$'),
    add constraint support_requests_context check (jsonb_typeof(context) = 'object'),
    add constraint support_requests_version check (context_schema_version >= 1),
    -- What was attached is there, and nothing else is.
    add constraint support_requests_attachment check
        ((attachment_mode = 'diagnostic_snapshot_attached') = (coalesce(jsonb_typeof(context -> 'diagnostics'), 'null') = 'object'));

create index support_requests_tenant on support_requests (tenant_id, created_at desc, id desc);
create index support_requests_workspace on support_requests (workspace_id, created_at desc, id desc);
create index support_requests_run on support_requests (run_id) where run_id is not null;
