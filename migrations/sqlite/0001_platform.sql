-- The platform itself: its settings, customers, their people, and the people who run it.

create table platform_settings (
    key        text primary key,
    value      text not null,
    updated_at text not null
);

create table workspaces (
    id          integer primary key,
    name        text not null check (length(name) between 1 and 200),
    created_at  text not null,
    archived_at text
);

create table tenants (
    id           integer primary key,
    workspace_id integer not null references workspaces (id),
    name         text not null check (length(name) between 1 and 200),
    is_platform  boolean not null default false,
    created_at   text not null,
    archived_at  text,
    -- Lets other tables refer to a tenant together with its workspace, so that a row can
    -- never name a tenant of another workspace.
    unique (id, workspace_id)
);
create index tenants_workspace on tenants (workspace_id, id);
create unique index tenants_one_platform on tenants (is_platform) where is_platform;

-- People of the customers' plane. They never log in here.
create table users (
    id            integer primary key,
    workspace_id  integer not null references workspaces (id),
    email         text not null unique,
    name          text not null,
    password_hash text,
    active        boolean not null default true,
    created_at    text not null
);

create table platform_users (
    id                 integer primary key,
    username           text not null unique check (length(username) between 1 and 64),
    display_name       text not null,
    password_hash      text not null,
    capabilities       text not null,
    active             boolean not null default true,
    -- Grows with every change of capabilities, password, views or the active flag; a
    -- session made under an older number has ended.
    credential_version integer not null default 1,
    created_at         text not null,
    updated_at         text not null
);

create table platform_user_workspaces (
    platform_user_id integer not null references platform_users (id) on delete cascade,
    workspace_id     integer not null references workspaces (id) on delete cascade,
    primary key (platform_user_id, workspace_id)
);

create table platform_sessions (
    id                 integer primary key,
    token_hash         text not null unique check (length(token_hash) = 64),
    platform_user_id   integer not null references platform_users (id) on delete cascade,
    kind               text not null check (kind in ('console', 'cli', 'ssh')),
    origin             text not null,
    credential_version integer not null,
    created_at         text not null,
    last_active_at     text not null,
    idle_seconds       integer not null check (idle_seconds > 0),
    expires_at         text not null,
    ended_at           text,
    end_reason         text,
    check ((ended_at is null) = (end_reason is null))
);
create index platform_sessions_user on platform_sessions (platform_user_id) where ended_at is null;

-- The throttle's window; a row per origin and normalised user name.
create table login_attempts (
    origin       text not null,
    username     text not null,
    window_start text not null,
    n            integer not null,
    primary key (origin, username)
);

create table break_glass_grants (
    id               integer primary key,
    platform_user_id integer not null references platform_users (id) on delete cascade,
    reason_code      text not null check (reason_code in ('DATA_REPAIR', 'INCIDENT', 'SUPPORT', 'SECURITY')),
    reason           text not null check (length(reason) between 1 and 500),
    granted_at       text not null,
    expires_at       text not null,
    ended_at         text,
    check (expires_at > granted_at)
);
create unique index break_glass_one_open on break_glass_grants (platform_user_id) where ended_at is null;
