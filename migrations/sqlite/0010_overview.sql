-- The overview: each person's choices, and counts of runs that are exact at any size.

-- What a person chose for themselves. Nothing here decides what anybody may do.
create table platform_user_preferences (
    platform_user_id integer primary key references platform_users (id),
    dashboard_window text not null check (dashboard_window in ('1h', '24h', '7d', '30d')),
    updated_at       text not null
);
