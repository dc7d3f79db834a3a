-- What tells this platform from any other, whatever address leads to it.
insert into platform_settings (key, value, updated_at)
values ('platform_id', gen_random_uuid()::text, clock_timestamp())
on conflict (key) do nothing;
