-- Who sees all workspaces is said, and no longer follows from rows that are missing.

alter table platform_users add column view_all boolean not null default false;

update platform_users set view_all = true
where not exists (select 1 from platform_user_workspaces w where w.platform_user_id = platform_users.id);

-- Workspaces are archived. One that is deleted all the same must not change anybody's view.
-- A foreign key cannot be altered here, so the table is made again; nothing refers to it.
create table platform_user_workspaces_new (
    platform_user_id integer not null references platform_users (id) on delete cascade,
    workspace_id     integer not null references workspaces (id) on delete restrict,
    primary key (platform_user_id, workspace_id)
);
insert into platform_user_workspaces_new (platform_user_id, workspace_id)
select platform_user_id, workspace_id from platform_user_workspaces;
drop table platform_user_workspaces;
alter table platform_user_workspaces_new rename to platform_user_workspaces;
