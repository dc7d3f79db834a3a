-- Who sees all workspaces is said, and no longer follows from rows that are missing.

alter table platform_users add column view_all boolean not null default false;

update platform_users u set view_all = true
where not exists (select 1 from platform_user_workspaces w where w.platform_user_id = u.id);

-- Workspaces are archived. One that is deleted all the same must not change anybody's view.
alter table platform_user_workspaces
    drop constraint platform_user_workspaces_workspace_id_fkey,
    add constraint platform_user_workspaces_workspace_id_fkey
        foreign key (workspace_id) references workspaces (id) on delete restrict;
