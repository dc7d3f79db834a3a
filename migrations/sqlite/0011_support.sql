-- Support requests: what the record refuses by itself, and how it is looked up.

create table support_requests_checked (
    id                       integer primary key,
    reference                text not null unique check (typeof(reference) = 'text' and length(reference) = 29
                             and reference glob 'SR-[0-7]*' and substr(reference, 4) not glob '*[^0-9A-HJKMNP-TV-Z]*'
                             and instr(reference, char(0)) = 0),
    workspace_id             integer not null,
    tenant_id                integer not null,
    run_id                   integer,
    primary_context          text not null check (primary_context in ('tenant', 'operation_run')),
    created_by_platform_user integer not null,
    created_by_name          text not null,
    severity                 text not null default 'normal' check (severity in ('low', 'normal', 'high', 'blocking')),
    summary                  text not null check (length(summary) between 1 and 500 and typeof(summary) = 'text'
                             and instr(summary, char(0)) = 0),
    reproduction_notes       text,
    contact_name             text,
    contact_email            text,
    attachment_mode          text not null check (attachment_mode in
                             ('diagnostic_snapshot_attached', 'canonical_context_only')),
    context_schema_version   integer not null,
    context                  text not null,
    created_at               text not null check (created_at glob '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]*+00:00'
                             and replace(substr(created_at, 20), '+00:00', '') not glob '*[^.0-9]*' and typeof(created_at) = 'text'
                             and instr(created_at, char(0)) = 0
                             -- A day that the calendar has.
                             and strftime('%Y-%m-%dT%H:%M:%S', substr(created_at, 1, 19)) is substr(created_at, 1, 19)
                             and substr(created_at, 12, 2) < '24'
                             and created_at >= '2000' and created_at < '2100'),
    check ((primary_context = 'operation_run') = (run_id is not null)),
    constraint support_requests_ids check (workspace_id > 0 and tenant_id > 0 and created_by_platform_user > 0
        and (run_id is null or run_id > 0)),
    constraint support_requests_created_by_name check (length(created_by_name) between 1 and 200
        and instr(created_by_name, char(0)) = 0),
    constraint support_requests_summary check (trim(summary, ' ' || char(9) || char(10) || char(13) || char(160)) <> ''),
    constraint support_requests_notes check (reproduction_notes is null or typeof(reproduction_notes) = 'text'
        and length(reproduction_notes) between 1 and 10000 and instr(reproduction_notes, char(0)) = 0),
    constraint support_requests_contact_name check (contact_name is null or typeof(contact_name) = 'text'
        and length(contact_name) between 1 and 200 and instr(contact_name, char(0)) = 0),
    constraint support_requests_contact_email check (contact_email is null or typeof(contact_email) = 'text'
        and length(contact_email) between 3 and 254 and instr(contact_email, char(0)) = 0
        and contact_email not glob '*[^!-~]*' and contact_email glob '?*@?*' and contact_email not glob '*@*@*'),
    constraint support_requests_context check (typeof(context) = 'text' and instr(context, char(0)) = 0
        and json_valid(context) and json_type(context) = 'object'),
    constraint support_requests_version check (typeof(context_schema_version) = 'integer' and context_schema_version >= 1),
    -- What was attached is there, and nothing else is.
    constraint support_requests_attachment check ((attachment_mode = 'diagnostic_snapshot_attached')
        = (coalesce(json_type(context, '$.diagnostics'), 'null') = 'object'))
) strict;
insert into support_requests_checked select id, reference, workspace_id, tenant_id, run_id, primary_context,
    created_by_platform_user, created_by_name, severity, summary, reproduction_notes, contact_name, contact_email,
    attachment_mode, context_schema_version, context, created_at from support_requests;
drop table support_requests;
alter table support_requests_checked rename to support_requests;

create index support_requests_newest on support_requests (created_at desc, id desc);
create index support_requests_tenant on support_requests (tenant_id, created_at desc, id desc);
create index support_requests_workspace on support_requests (workspace_id, created_at desc, id desc);
create index support_requests_run on support_requests (run_id) where run_id is not null;

create trigger support_requests_no_update before update on support_requests
begin select raise(abort, 'support_requests is append-only'); end;
create trigger support_requests_no_delete before delete on support_requests
begin select raise(abort, 'support_requests is append-only'); end;
-- REPLACE deletes without firing delete triggers on a connection without recursive triggers.
create trigger support_requests_no_replace before insert on support_requests
when exists (select 1 from support_requests where id = new.id or reference = new.reference)
begin select raise(abort, 'support_requests is append-only'); end;
