-- The platform's settings under their names, and the newer capabilities for those who held all.

-- The old names stay: a console of the previous version still reads them.
insert into platform_settings (key, value, updated_at)
select case key when 'environment_label' then 'environment.label' else 'environment.color' end, value, updated_at
from platform_settings where key in ('environment_label', 'environment_color')
on conflict (key) do nothing;

insert into platform_settings (key, value, updated_at)
values
    ('product_usage.retention_days', '90', strftime('%Y-%m-%dT%H:%M:%f+00:00'))
on conflict (key) do nothing;

update platform_users
set capabilities = (
    select json_group_array(name) from (
        select value as name from json_each(platform_users.capabilities)
        union all
        select value from json_each('["platform.runbooks.publish", "platform.schedules.manage",
            "platform.approvals.decide", "platform.settings.manage", "platform.tenants.manage"]')
    )
)
where (
        select count(distinct value) from json_each(platform_users.capabilities)
        where value in ('platform.access_system_panel', 'platform.console.view', 'platform.ops.view',
            'platform.ops.manage', 'platform.runbooks.view', 'platform.runbooks.run',
            'platform.runbooks.findings.lifecycle_backfill', 'platform.runbooks.operations.reconcile_stale',
            'platform.runbooks.product_usage.prune', 'platform.support_diagnostics.view',
            'platform.support_requests.create', 'platform.break_glass.use', 'platform.audit.view',
            'platform.users.manage')
    ) = 14
    and not exists (
        select 1 from json_each(platform_users.capabilities)
        where value in ('platform.runbooks.publish', 'platform.schedules.manage',
            'platform.approvals.decide', 'platform.settings.manage', 'platform.tenants.manage')
    );
