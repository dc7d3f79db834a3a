-- What tells this platform from any other, whatever address leads to it.
insert into platform_settings (key, value, updated_at)
values ('platform_id', lower(hex(randomblob(16))), strftime('%Y-%m-%dT%H:%M:%f+00:00'))
on conflict (key) do nothing;
