//! The changes of customers, users and the platform itself.

use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::telemetry::SourceSurface;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::alerts::RetryAlert;
use tenantpilot::ops::auth::{Login, Logout, Touch};
use tenantpilot::ops::break_glass::{EndBreakGlass, EnterBreakGlass};
use tenantpilot::ops::dashboard::ChooseWindow;
use tenantpilot::ops::flags::SetFlag;
use tenantpilot::ops::notifications::{MarkAllRead, MarkRead};
use tenantpilot::ops::overview::{ListFingerprints, RebuildRunCounts, RetryGroup};
use tenantpilot::ops::plans::Preflight;
use tenantpilot::ops::retention::PruneUsage;
use tenantpilot::ops::runs::RunScope;
use tenantpilot::ops::settings::SetSetting;
use tenantpilot::ops::telemetry::RebuildRollups;
use tenantpilot::ops::users::{
    CreateFirstAdministrator, CreateUser, NewPlatformUser, ResetPassword, SetActive,
    SetCapabilities, Unlock, UserView,
};
use tenantpilot::ops::{Consent, activity, password};

use super::scene::{Case, audited, case};
use crate::support::starts::reason;
use crate::support::stores::{ORIGIN, PASSWORD};

/// Every change but those of runs.
#[expect(clippy::too_many_lines, reason = "one entry for each operation")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "activity.save_checkpoint",
            0,
            |_s| 0,
            |s| {
                s.as_customer(activity::SaveCheckpoint {
                    session_id: None,
                    tenant_id: Some(1),
                    checkpoint_key: format!("step_{}", s.n),
                    lifecycle_state: "completed".to_owned(),
                })
                .await
            },
            |n, _| format!(
                "select count(*) from tenant_onboarding_sessions where checkpoint_key = 'step_{n}'"
            )
        ),
        case!(
            "activity.open_diagnostics",
            0,
            |_s| 0,
            |s| {
                let subject = activity::DiagnosticsSubject::Tenant(1);
                s.as_customer(activity::OpenDiagnostics {
                    subject,
                    source_surface: SourceSurface::Tenant,
                })
                .await
            },
            |_, _| {
                "select count(*) from product_usage_events where event_name = 'product.support_diagnostics.opened'".to_owned()
            }
        ),
        case!(
            "activity.store_report",
            0,
            |s| s.queued().await,
            |s| {
                s.as_customer(activity::StoreReport {
                    run_id: s.id,
                    report_type: "compliance_summary".to_owned(),
                })
                .await
            },
            |_, id| format!("select count(*) from stored_reports where run_id = {id}")
        ),
        case!(
            "activity.request_review_pack",
            0,
            |_s| 0,
            |s| {
                s.as_customer(activity::RequestReviewPack {
                    tenant_id: 1,
                    source_surface: SourceSurface::TenantReview,
                    include_operations: true,
                    include_pii: false,
                })
                .await
            },
            |_, _| {
                "select count(*) from product_usage_events where event_name = 'product.review_pack.requested'".to_owned()
            }
        ),
        case!(
            "activity.complete_review_pack",
            0,
            |s| s.requested_pack().await,
            |s| {
                let run = "select max(id) from operation_runs where type = 'review_pack.generate'";
                let run_id = s.store.number(run).await;
                s.as_customer(activity::CompleteReviewPack { pack_id: s.id, run_id }).await
            },
            |_, id| format!(
                "select count(*) from review_packs where id = {id} and status = 'ready'"
            )
        ),
        case!(
            "alerts.retry",
            0,
            |s| {
                let id = 1_000 + i64::try_from(s.n).unwrap();
                let row = format!(
                    "insert into alert_deliveries (id, event, payload, status, next_attempt_at, created_at) \
                values ({id}, 'x', '{{}}', 'dead', '2026-11-20T12:00:00+00:00', '2026-11-20T12:00:00+00:00')"
                );
                s.store.sql(&row).await.unwrap();
                id
            },
            |s| s.run(RetryAlert { id: s.id, consent: Consent::yes() }).await,
            |_, id| format!(
                "select count(*) from alert_deliveries where id = {id} and status = 'pending'"
            )
        ),
        case!(
            "auth.login",
            1,
            |s| {
                s.user().await;
                0
            },
            |s| {
                let actor = Actor::Anonymous { origin: ORIGIN.to_owned() };
                s.ops
                    .run(&actor, Login::new(&s.name(), PASSWORD, ClientKind::Console))
                    .await
                    .map(drop)
            },
            |n, _| format!(
                "select count(*) from platform_sessions s join platform_users u on u.id = s.platform_user_id \
            where u.username = 'user{n}'"
            )
        ),
        case!(
            "auth.logout",
            0,
            |s| {
                s.user().await;
                0
            },
            |s| {
                let session = s.another_session().await;
                s.ops.run(&session.actor, Logout).await
            },
            |n, _| format!(
                "select count(*) from platform_sessions s join platform_users u on u.id = s.platform_user_id \
            where u.username = 'user{n}' and s.ended_at is not null"
            )
        ),
        case!(
            "auth.touch",
            0,
            |s| {
                s.user().await;
                0
            },
            |s| {
                let session = s.another_session().await;
                s.store.pass(60);
                s.ops.run(&session.actor, Touch).await
            },
            |n, _| format!(
                "select count(*) from platform_sessions s join platform_users u on u.id = s.platform_user_id \
            where u.username = 'user{n}' and s.last_active_at > s.created_at"
            )
        ),
        case!(
            "break_glass.enter",
            1,
            |s| {
                let _ = s
                    .store
                    .ops
                    .run(&s.administrator.actor, EndBreakGlass { consent: Consent::yes() })
                    .await;
                0
            },
            |s| {
                s.run(EnterBreakGlass {
                    consent: Consent::yes().because(Some(reason())),
                    minutes: 5,
                    password: password::secret(PASSWORD),
                })
                .await
            },
            |_, _| audited("break_glass.enter")
        ),
        case!(
            "break_glass.end",
            0,
            |s| {
                let enter = EnterBreakGlass {
                    consent: Consent::yes().because(Some(reason())),
                    minutes: 5,
                    password: password::secret(PASSWORD),
                };
                let _ = s.store.ops.run(&s.administrator.actor, enter).await;
                0
            },
            |s| s.run(EndBreakGlass { consent: Consent::yes() }).await,
            |_, _| audited("break_glass.end")
        ),
        case!(
            "notifications.mark_read",
            0,
            |s| {
                let id = 1_000 + i64::try_from(s.n).unwrap();
                let row = format!(
                    "insert into notifications (id, platform_user_id, kind, title, created_at) \
                values ({id}, 1, 'note', 'A note', '2026-11-20T12:00:00+00:00')"
                );
                s.store.sql(&row).await.unwrap();
                id
            },
            |s| s.run(MarkRead { ids: vec![s.id] }).await,
            |_, id| format!(
                "select count(*) from notifications where id = {id} and read_at is not null"
            )
        ),
        case!(
            "notifications.mark_all_read",
            0,
            |s| {
                let id = 1_000 + i64::try_from(s.n).unwrap();
                let row = format!(
                    "insert into notifications (id, platform_user_id, kind, title, created_at) \
                values ({id}, 1, 'note', 'A note', '2026-11-20T12:00:00+00:00')"
                );
                s.store.sql(&row).await.unwrap();
                id
            },
            |s| s.run(MarkAllRead { up_to_id: i64::MAX }).await,
            |_, id| format!(
                "select count(*) from notifications where id = {id} and read_at is not null"
            )
        ),
        case!(
            "platform.set_flag",
            0,
            |s| {
                s.store.sql("delete from platform_settings where key = 'allow_admin_maintenance_actions'").await.unwrap();
                0
            },
            |s| {
                let name = "allow_admin_maintenance_actions";
                s.run(SetFlag {
                    name: name.to_owned(),
                    on: true,
                    consent: Consent::typed(format!("{name} on")),
                })
                .await
            },
            |_, _| audited("platform.set_flag")
        ),
        case!(
            "platform.set_setting",
            0,
            |_s| 0,
            |s| {
                let value = Some(format!("TEST {}", s.n));
                s.run(SetSetting {
                    key: "environment.label".to_owned(),
                    value,
                    consent: Consent::yes(),
                })
                .await
            },
            |n, _| format!(
                "select count(*) from platform_settings where key = 'environment.label' and value = 'TEST {n}'"
            )
        ),
        case!(
            "overview.retry_group",
            1,
            |s| s.failed().await,
            |s| {
                let list = ListFingerprints { window: Some(Window::Month), limit: 50 };
                let found = s.store.ops.run(&s.administrator.actor, list).await.unwrap();
                let fingerprint = found.fingerprints[0].fingerprint.clone();
                s.run(RetryGroup {
                    fingerprint,
                    run_ids: vec![s.id],
                    consent: Consent::yes(),
                    source: Source::Cli,
                    wait_for_worker: false,
                })
                .await
            },
            |_, id| format!("select count(*) from operation_runs where retry_of_run_id = {id}")
        ),
        case!("overview.rebuild_counts", 0, |_s| 0, |s| s.run(RebuildRunCounts).await, |_, _| {
            audited("overview.rebuild_counts")
        }),
        case!("telemetry.rebuild_rollups", 0, |_s| 0, |s| s.run(RebuildRollups).await, |_, _| {
            audited("telemetry.rebuild_rollups")
        }),
        case!(
            "runbooks.preflight",
            0,
            |_s| 0,
            |s| {
                let preflight = Preflight::new("findings.lifecycle_backfill", RunScope::Tenant(3));
                s.run(preflight).await
            },
            |_, _| "select count(*) from runbook_plans".to_owned()
        ),
        case!(
            "dashboard.choose_window",
            0,
            |_s| 0,
            |s| s.run(ChooseWindow { window: Window::ALL[s.n % 4] }).await,
            |n, _| format!(
                "select count(*) from platform_user_preferences where dashboard_window = '{}'",
                Window::ALL[n % 4]
            )
        ),
        case!(
            "product_usage.prune",
            0,
            |s| {
                let row = format!(
                    "insert into product_usage_events (workspace_id, tenant_id, event_name, feature_area, \
                subject_type, subject_id, metadata, occurred_at) values (1, 1, 'product.operations.started', 'operations', \
                'operation_run', '{}', '{{}}', '2020-01-01T00:00:00+00:00')",
                    9_000 + s.n
                );
                s.store.sql(&row).await.unwrap();
                s.store.sql("delete from product_usage_kept").await.unwrap();
                0
            },
            |s| s.run(PruneUsage { days: None, consent: Consent::typed("PRUNE") }).await,
            |_, _| audited("product_usage.pruned")
        ),
        case!(
            "users.create_first_administrator",
            0,
            |_s| 0,
            |s| {
                let first = CreateFirstAdministrator {
                    username: s.name(),
                    password: password::secret(PASSWORD),
                };
                s.ops.run(&Actor::Anonymous { origin: ORIGIN.to_owned() }, first).await.map(drop)
            },
            |n, _| format!("select count(*) from platform_users where username = 'user{n}'")
        ),
        case!(
            "users.create",
            0,
            |_s| 0,
            |s| {
                let new = NewPlatformUser {
                    username: s.name(),
                    display_name: String::new(),
                    password: password::secret(PASSWORD),
                    capabilities: Role::Viewer.capabilities(),
                    view: UserView::Workspaces(vec![1]),
                    consent: Consent::typed(s.name()),
                };
                s.run(CreateUser(new)).await
            },
            |n, _| format!("select count(*) from platform_users where username = 'user{n}'")
        ),
        case!(
            "users.set_capabilities",
            0,
            |s| {
                s.user().await;
                0
            },
            |s| {
                s.run(SetCapabilities {
                    username: s.name(),
                    capabilities: Role::Viewer.capabilities(),
                    view: Some(UserView::Workspaces(vec![1])),
                    consent: Consent::typed(s.name()),
                })
                .await
            },
            |_, _| audited("users.set_capabilities")
        ),
        case!(
            "users.set_active",
            0,
            |s| {
                s.user().await;
                0
            },
            |s| {
                let disable = SetActive {
                    username: s.name(),
                    active: false,
                    consent: Consent::typed(s.name()),
                };
                s.run(disable).await
            },
            |n, _| format!(
                "select count(*) from platform_users where username = 'user{n}' and not active"
            )
        ),
        case!(
            "users.reset_password",
            0,
            |s| {
                s.user().await;
                0
            },
            |s| {
                s.run(ResetPassword {
                    username: s.name(),
                    password: password::secret("another horse battery"),
                    consent: Consent::yes(),
                })
                .await
            },
            |_, _| audited("users.reset_password")
        ),
        case!(
            "users.unlock",
            0,
            |s| {
                s.user().await;
                0
            },
            |s| s.run(Unlock { username: s.name(), consent: Consent::yes() }).await,
            |_, _| audited("users.unlock")
        ),
    ]
}
