-- The oldest schema whose programs go on with this one: they know this value. A migration that takes away
-- what they need sets it to its own version, all others leave it.
insert into platform_settings (key, value, updated_at)
values ('oldest_program', '23', clock_timestamp())
on conflict (key) do nothing;
