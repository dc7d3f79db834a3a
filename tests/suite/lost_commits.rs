//! A COMMIT whose answer is lost: what is said is true of the database.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tenantpilot::access::{Actor, ClientKind, Requirement};
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::operation_type::started_by_customers;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::support::Draft;
use tenantpilot::domain::telemetry::SourceSurface;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Consent;
use tenantpilot::ops::alerts::RetryAlert;
use tenantpilot::ops::auth::{Login, Logout, Session, Touch};
use tenantpilot::ops::break_glass::{EndBreakGlass, EnterBreakGlass};
use tenantpilot::ops::dashboard::ChooseWindow;
use tenantpilot::ops::flags::SetFlag;
use tenantpilot::ops::notifications::{MarkAllRead, MarkRead};
use tenantpilot::ops::overview::{ListFingerprints, RebuildRunCounts, RetryGroup};
use tenantpilot::ops::plans::Preflight;
use tenantpilot::ops::retention::PruneUsage;
use tenantpilot::ops::runs::{
    CancelRun, CloseRun, PauseRun, ResumeRun, RetryRun, RunScope, StartRun,
};
use tenantpilot::ops::settings::SetSetting;
use tenantpilot::ops::telemetry::RebuildRollups;
use tenantpilot::ops::users::{
    CreateFirstAdministrator, CreateUser, NewPlatformUser, ResetPassword, SetActive,
    SetCapabilities, Unlock, UserView,
};
use tenantpilot::ops::{
    Access, ConnectionLimits, Create, Engine, Mutant, Ops, OpsSettings, activity, password,
    support, table,
};
use tenantpilot::{Error, ErrorKind};

use crate::support::desk::reference;
use crate::support::proxy::{Cut, Proxy};
use crate::support::starts::{Wish, reason};
use crate::support::stores::{ORIGIN, PASSWORD, Store, block_on, both_engines};

const CUSTOMER: Actor = Actor::Customer { user_id: 1 };
const PROOF: &str = "may or may not have been made";

/// A service behind a proxy.
pub fn behind(store: &Store, proxy: &Proxy, look_up: Duration, mutant: Option<Mutant>) -> Ops {
    let settings = OpsSettings {
        patience: Duration::from_secs(20),
        limits: ConnectionLimits { look_up, ..ConnectionLimits::default() },
        mutant,
        ..OpsSettings::default()
    };
    let url = proxy.url(&store.url);
    Ops::open(&url, Create::Never, store.clock.clone(), settings).unwrap()
}

type Asked<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// One round of one operation.
struct Scene<'a> {
    store: &'a Store,
    administrator: &'a Session,
    ops: &'a Ops,
    /// Which round it is.
    n: usize,
    /// What was prepared for it.
    id: i64,
}

impl Scene<'_> {
    fn name(&self) -> String {
        format!("user{}", self.n)
    }

    async fn run<O: tenantpilot::ops::Operation>(&self, operation: O) -> Result<(), Error> {
        self.ops.run(&self.administrator.actor, operation).await.map(drop)
    }

    async fn as_customer<O: tenantpilot::ops::Operation>(&self, operation: O) -> Result<(), Error> {
        self.ops.run(&CUSTOMER, operation).await.map(drop)
    }

    /// The session that was prepared.
    async fn another_session(&self) -> Session {
        let actor = Actor::Anonymous { origin: ORIGIN.to_owned() };
        let login = Login::new(&self.name(), PASSWORD, ClientKind::Console);
        self.store.ops.run(&actor, login).await.unwrap().0
    }

    async fn user(&self) {
        let new = NewPlatformUser {
            username: self.name(),
            display_name: String::new(),
            password: password::secret(PASSWORD),
            capabilities: Role::Operator.capabilities(),
            view: UserView::All,
            consent: Consent::typed(self.name()),
        };
        self.store.ops.run(&self.administrator.actor, CreateUser(new)).await.unwrap();
    }

    /// A pack that is not ready, and the run that makes it.
    async fn requested_pack(&self) -> i64 {
        self.store.sql("delete from review_packs").await.unwrap();
        let request = activity::RequestReviewPack {
            tenant_id: 1,
            source_surface: SourceSurface::TenantReview,
            include_operations: true,
            include_pii: false,
        };
        let start = StartRun {
            inputs: json!({ "n": self.n }),
            ..StartRun::for_tenant("review_pack.generate", 1, Source::Admin)
        };
        self.store.ops.run(&CUSTOMER, start).await.unwrap();
        self.store.ops.run(&CUSTOMER, request).await.unwrap().pack_id
    }

    async fn queued(&self) -> i64 {
        let start = StartRun {
            inputs: json!({ "n": self.n }),
            ..StartRun::for_tenant("policy.sync", 1, Source::Admin)
        };
        self.store.ops.run(&CUSTOMER, start).await.unwrap().run_id
    }

    async fn failed(&self) -> i64 {
        // Only the new run is there to be claimed.
        for text in [
            "update operation_runs set paused_at = created_at where status = 'queued'",
            "update operation_run_leases set expires_at = '2100-01-01T00:00:00+00:00'",
        ] {
            self.store.sql(text).await.unwrap();
        }
        let n = self.n;
        let kinds: Vec<&str> = started_by_customers().map(|kind| kind.key).collect();
        let tenant = [1, 3, 4][n / kinds.len() % 3];
        self.store.ended(kinds[n % kinds.len()], tenant, 1, 1, 1).await
    }
}

/// What the operations table is held against: name, which COMMIT is the change's own, what is
/// prepared, what is asked, and how the database tells whether it was made.
struct Case {
    name: &'static str,
    passes: usize,
    prepare: for<'a> fn(&'a Scene<'a>) -> Pin<Box<dyn Future<Output = i64> + Send + 'a>>,
    ask: for<'a> fn(&'a Scene<'a>) -> Asked<'a>,
    made: fn(usize, i64) -> String,
}

macro_rules! case {
    ($name:literal, $passes:literal, |$p:ident| $prepare:expr, |$s:ident| $ask:expr, |$n:pat_param, $id:pat_param| $made:expr) => {
        Case {
            name: $name,
            passes: $passes,
            prepare: |$p| Box::pin(async move { $prepare }),
            ask: |$s| Box::pin(async move { $ask }),
            made: |$n, $id| $made,
        }
    };
}

fn audited(action: &str) -> String {
    format!("select count(*) from audit_logs where action = '{action}' and status = 'succeeded'")
}

fn run_is(id: i64, condition: &str) -> String {
    format!("select count(*) from operation_runs where id = {id} and {condition}")
}

/// Every change that a person, or a customer in process, can ask for.
#[expect(clippy::too_many_lines, reason = "one entry for each operation")]
fn cases() -> Vec<Case> {
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
                0
            },
            |s| s.run(PruneUsage { days: None, consent: Consent::typed("PRUNE") }).await,
            |_, _| audited("product_usage.pruned")
        ),
        case!(
            "runs.start",
            0,
            |_s| 0,
            |s| {
                s.as_customer(StartRun {
                    inputs: json!({ "n": s.n }),
                    ..StartRun::for_tenant("stored_report.create", 1, Source::Admin)
                })
                .await
            },
            |_, _| "select count(*) from operation_runs where type = 'stored_report.create'"
                .to_owned()
        ),
        case!(
            "runs.cancel",
            0,
            |s| s.queued().await,
            |s| s
                .run(CancelRun {
                    run_id: s.id,
                    consent: crate::support::starts::sure("CANCEL", s.id)
                })
                .await,
            |_, id| run_is(id, "outcome = 'cancelled'")
        ),
        case!(
            "runs.close",
            0,
            |s| {
                let id = s.queued().await;
                s.store.sql(&format!("update operation_runs set status = 'running', lease_owner = 'w', started_at = created_at where id = {id}")).await.unwrap();
                s.store.sql(&format!("insert into operation_run_leases (run_id, owner, acquired_at, expires_at, heartbeat_at) values \
                ({id}, 'w', '2026-11-20T12:00:00+00:00', '2100-01-01T00:00:00+00:00', '2026-11-20T12:00:00+00:00')")).await.unwrap();
                s.store
                    .ops
                    .run(
                        &s.administrator.actor,
                        CancelRun {
                            run_id: id,
                            consent: crate::support::starts::sure("CANCEL", id),
                        },
                    )
                    .await
                    .unwrap();
                id
            },
            |s| s
                .run(CloseRun {
                    run_id: s.id,
                    consent: crate::support::starts::sure("CLOSE", s.id)
                })
                .await,
            |_, id| run_is(id, "status = 'completed'")
        ),
        case!(
            "runs.pause",
            0,
            |s| s.queued().await,
            |s| s
                .run(PauseRun {
                    run_id: s.id,
                    consent: crate::support::starts::sure("PAUSE", s.id)
                })
                .await,
            |_, id| run_is(id, "paused_at is not null")
        ),
        case!(
            "runs.resume",
            0,
            |s| {
                let id = s.queued().await;
                s.store
                    .ops
                    .run(
                        &s.administrator.actor,
                        PauseRun { run_id: id, consent: crate::support::starts::sure("PAUSE", id) },
                    )
                    .await
                    .unwrap();
                id
            },
            |s| s
                .run(ResumeRun {
                    run_id: s.id,
                    consent: crate::support::starts::sure("RESUME", s.id)
                })
                .await,
            |_, id| run_is(id, "paused_at is null")
        ),
        case!(
            "runs.retry",
            0,
            |s| s.failed().await,
            |s| {
                s.run(RetryRun {
                    run_id: s.id,
                    consent: Consent::yes(),
                    source: Source::Cli,
                    request_id: None,
                    wait_for_worker: false,
                })
                .await
            },
            |_, id| format!("select count(*) from operation_runs where retry_of_run_id = {id}")
        ),
        case!(
            "runbooks.start",
            0,
            |s| {
                let there = "select coalesce(max(id), 0) from operation_runs where type = 'findings.lifecycle_backfill' and status = 'queued'";
                match s.store.number(there).await {
                    0 => {}
                    run_id => {
                        s.store
                            .ops
                            .run(
                                &s.administrator.actor,
                                CancelRun {
                                    run_id,
                                    consent: crate::support::starts::sure("CANCEL", run_id),
                                },
                            )
                            .await
                            .unwrap();
                    }
                }
                0
            },
            |s| {
                let wish = Wish {
                    source: Source::Cli,
                    ..Wish::new("findings.lifecycle_backfill", RunScope::Tenant(3))
                };
                let plan = wish.plan(&s.store.ops, &s.administrator.actor).await.unwrap();
                s.run(wish.start(&plan)).await
            },
            |_, _| "select count(*) from operation_runs where type = 'findings.lifecycle_backfill'"
                .to_owned()
        ),
        case!(
            "support.open_diagnostics",
            0,
            |_s| 0,
            |s| {
                s.run(support::OpenDiagnostics { subject: support::DiagnosticsSubject::Tenant(1) })
                    .await
            },
            |_, _| {
                "select count(*) from audit_logs where action like 'support%' and actor_kind = 'platform_user'".to_owned()
            }
        ),
        case!(
            "support.compose",
            0,
            |_s| 0,
            |s| {
                s.run(support::Compose {
                    subject: support::DiagnosticsSubject::Tenant(1),
                    attach: true,
                })
                .await
            },
            |_, _| {
                "select count(*) from audit_logs where action like 'support%' and actor_kind = 'platform_user'".to_owned()
            }
        ),
        case!(
            "support.create_request",
            0,
            |_s| 0,
            |s| {
                let compose = support::Compose {
                    subject: support::DiagnosticsSubject::Tenant(1),
                    attach: true,
                };
                let evidence =
                    Arc::new(s.store.ops.run(&s.administrator.actor, compose).await.unwrap());
                let draft = Draft { summary: "it does not sync".to_owned(), ..Draft::default() };
                s.run(support::CreateRequest {
                    evidence,
                    draft,
                    reference: reference(u8::try_from(s.n).unwrap()),
                })
                .await
            },
            |_, _| "select count(*) from support_requests".to_owned()
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
                    view: UserView::All,
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
                    view: None,
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

/// How a COMMIT is cut off, and whether the database can be asked afterwards.
#[derive(Debug, Clone, Copy)]
struct Loss {
    cut: Cut,
    lost: bool,
}

/// Asks for a change whose COMMIT is cut off; gives what was said that is not true.
async fn judged(
    (store, administrator): (&Store, &Session),
    case: &Case,
    n: usize,
    loss: Loss,
    mutant: Option<Mutant>,
) -> Vec<String> {
    let proxy = Proxy::start(&store.url);
    let look_up = Duration::from_millis(if loss.lost { 200 } else { 20_000 });
    let ops = behind(store, &proxy, look_up, mutant);
    // While it is active, every start needs a reason.
    let _ = store.ops.run(&administrator.actor, EndBreakGlass { consent: Consent::yes() }).await;
    let mut scene = Scene { store, administrator, ops: &ops, n, id: 0 };
    scene.id = (case.prepare)(&scene).await;
    let made = (case.made)(n, scene.id);
    let before = store.number(&made).await;
    proxy.trap(loss.cut, None, case.passes, loss.lost);
    let answer = (case.ask)(&scene).await;
    let mut wrong = Vec::new();
    if !proxy.sprung() {
        wrong.push(format!("{}: no COMMIT was cut off: {answer:?}", case.name));
    }
    // The server may still be at it.
    let mut after = store.number(&made).await;
    for _ in 0..200 {
        if after != before || loss.cut == Cut::Before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        after = store.number(&made).await;
    }
    let is_made = after != before;
    if is_made != (loss.cut == Cut::After) {
        wrong.push(format!("{}: made is {is_made} after {loss:?}", case.name));
    }
    let text = answer.as_ref().err().map(Error::to_string).unwrap_or_default();
    let said = match &answer {
        Ok(()) => Some(true),
        Err(error) if error.is_uncertain() && text.contains(PROOF) => None,
        Err(_) if text.contains("nothing was changed") => Some(false),
        Err(_) => {
            wrong.push(format!("{}: says neither: {text}", case.name));
            None
        }
    };
    if said.is_some_and(|said| said != is_made) {
        wrong.push(format!("{}: says made is {said:?}, which is false: {text}", case.name));
    }
    if !loss.lost && said.is_none() {
        wrong.push(format!("{}: was not looked up: {text}", case.name));
    }
    ops.close().await;
    wrong
}

async fn prepared() -> (Store, Session) {
    let store = Store::new(Engine::Postgres).await.with_platform().await.with_demo_worker().await;
    let administrator = store.administrator().await;
    store.legacy_findings(&[3], 2).await;
    (store, administrator)
}

#[test]
fn fr_038_001_what_is_said_of_a_lost_commit_is_true_for_every_change() {
    block_on(async {
        let cases = cases();
        // Nothing that a person can change is left out.
        let covered: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
        let compares = ["overview.check_counts", "telemetry.check_rollups"];
        for listing in table() {
            let asked = listing.requirement != Requirement::SystemOnly;
            if listing.access != Access::Read && asked && !compares.contains(&listing.name) {
                assert!(covered.contains(listing.name), "{} is not tried", listing.name);
            }
        }
        let (store, administrator) = prepared().await;
        let mut wrong = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            if case.name == "users.create_first_administrator" {
                continue;
            }
            let losses = [
                (Cut::After, false),
                (Cut::Before, false),
                (Cut::After, true),
                (Cut::Before, true),
            ];
            for (round, (cut, lost)) in losses.into_iter().enumerate() {
                // Numbers below 100 make a reference; those of requests are their own.
                let n = if case.name == "support.create_request" {
                    10 + round
                } else {
                    100 + index * 4 + round
                };
                let here = (&store, &administrator);
                wrong.extend(judged(here, case, n, Loss { cut, lost }, None).await);
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    });
}

#[test]
fn fr_038_001_the_first_administrator_is_there_or_is_not_as_it_is_said() {
    block_on(async {
        for (cut, lost) in [(Cut::After, false), (Cut::Before, false), (Cut::After, true)] {
            let store = Store::new(Engine::Postgres).await;
            let proxy = Proxy::start(&store.url);
            let ops = behind(
                &store,
                &proxy,
                Duration::from_millis(if lost { 200 } else { 20_000 }),
                None,
            );
            proxy.trap(cut, None, 0, lost);
            let first = CreateFirstAdministrator {
                username: "ana".to_owned(),
                password: password::secret(PASSWORD),
            };
            let done = ops.run(&Actor::Anonymous { origin: ORIGIN.to_owned() }, first).await;
            match (cut, lost) {
                (Cut::After, false) => assert_eq!(done.unwrap().username, "ana"),
                (Cut::Before, _) => {
                    assert!(done.unwrap_err().to_string().contains("nothing was changed"))
                }
                _ => {
                    let error = done.unwrap_err().to_string();
                    assert!(
                        error.contains(PROOF) && error.contains("tenantpilot users list"),
                        "{error}"
                    );
                }
            }
        }
    });
}

#[test]
fn fr_038_002_the_old_belief_that_a_lost_answer_is_a_refusal_is_caught() {
    block_on(async {
        let (store, administrator) = prepared().await;
        let cases = cases();
        for (n, name) in [(1, "runs.cancel"), (2, "users.create"), (3, "runs.pause")] {
            let case = cases.iter().find(|case| case.name == name).unwrap();
            let loss = Loss { cut: Cut::After, lost: false };
            let mutant = Some(Mutant::DeniesLostCommits);
            let wrong = judged((&store, &administrator), case, n, loss, mutant).await;
            assert!(wrong.iter().any(|text| text.contains("which is false")), "{name}: {wrong:?}");
        }
    });
}

#[test]
fn fr_038_003_a_commit_that_is_never_answered_is_looked_up_once_patience_ends() {
    block_on(async {
        let (store, administrator) = prepared().await;
        let proxy = Proxy::start(&store.url);
        let settings = OpsSettings { patience: Duration::from_secs(1), ..OpsSettings::default() };
        let ops = Ops::open(&proxy.url(&store.url), Create::Never, store.clock.clone(), settings)
            .unwrap();
        let run_id = store.start("policy.sync", 1).await;
        proxy.trap(Cut::Silent, None, 0, false);
        ops.run(
            &administrator.actor,
            CancelRun { run_id, consent: crate::support::starts::sure("CANCEL", run_id) },
        )
        .await
        .unwrap();
        assert!(proxy.sprung());
        assert_eq!(store.number(&run_is(run_id, "outcome = 'cancelled'")).await, 1);
    });
}

#[test]
fn fr_038_004_what_is_given_up_before_its_commit_changed_nothing() {
    block_on(async {
        let (store, administrator) = prepared().await;
        let settings =
            OpsSettings { patience: Duration::from_millis(300), ..OpsSettings::default() };
        let ops = store.another(settings);
        let run_id = store.start("policy.sync", 1).await;
        let url = store.url.clone();
        let mut holder = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
        let hold = format!("begin; select 1 from operation_runs where id = {run_id} for update");
        sqlx::Executor::execute(&mut holder, sqlx::AssertSqlSafe(hold)).await.unwrap();
        let error = ops
            .run(
                &administrator.actor,
                CancelRun { run_id, consent: crate::support::starts::sure("CANCEL", run_id) },
            )
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(
            !error.is_uncertain() && error.to_string().contains("nothing was changed"),
            "{error}"
        );
        sqlx::Connection::close(holder).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(store.number(&run_is(run_id, "status = 'queued'")).await, 1);
        assert_eq!(store.number(&audited("runs.cancel")).await, 0);
    });
}

#[test]
fn fr_038_005_a_refusal_stays_one_whether_its_record_is_written_or_not() {
    block_on(async {
        let (store, administrator) = prepared().await;
        let viewer = store.user(&administrator, Role::Viewer).await;
        let run_id = store.start("policy.sync", 1).await;
        for cut in [Cut::Before, Cut::After] {
            let proxy = Proxy::start(&store.url);
            let ops = behind(&store, &proxy, Duration::from_millis(200), None);
            proxy.trap(cut, None, 0, true);
            let error = ops
                .run(
                    &viewer.actor,
                    CancelRun { run_id, consent: crate::support::starts::sure("CANCEL", run_id) },
                )
                .await
                .unwrap_err();
            assert!(proxy.sprung());
            assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
            assert!(!error.to_string().contains(PROOF), "{error}");
        }
        assert_eq!(store.number(&run_is(run_id, "status = 'queued'")).await, 1);
    });
}

#[test]
fn fr_038_006_what_was_changed_in_part_is_not_told_as_nothing() {
    block_on(async {
        let (store, administrator) = prepared().await;
        store.sql("insert into product_usage_events (workspace_id, tenant_id, event_name, feature_area, subject_type, \
            subject_id, metadata, occurred_at) select 1, 1, 'product.operations.started', 'operations', 'operation_run', \
            n::text, '{}', '2020-01-01T00:00:00+00:00' from generate_series(1, 4500) n").await.unwrap();
        let proxy = Proxy::start(&store.url);
        let ops = behind(&store, &proxy, Duration::from_millis(200), None);
        proxy.trap(Cut::Before, None, 1, true);
        let prune = PruneUsage { days: None, consent: Consent::typed("PRUNE") };
        let error = ops.run(&administrator.actor, prune).await.unwrap_err().to_string();
        assert!(error.contains("at least 2000 event(s) were deleted before"), "{error}");
        assert!(!error.contains("nothing was changed"), "{error}");
        assert_eq!(store.number("select count(*) from product_usage_events").await, 2500);

        // Three retries, of which the second is cut off.
        let mut runs = Vec::new();
        for kind in started_by_customers().take(3) {
            runs.push(store.ended(kind.key, 1, 1, 1, 1).await);
        }
        let list = ListFingerprints { window: Some(Window::Month), limit: 50 };
        let found = store.ops.run(&administrator.actor, list).await.unwrap();
        for (cut, unknown) in [(Cut::Before, 1)] {
            proxy.restore();
            proxy.trap(cut, None, 2, true);
            let group = RetryGroup {
                fingerprint: found.fingerprints[0].fingerprint.clone(),
                run_ids: runs.clone(),
                consent: Consent::typed("RETRY 3").because(Some(reason())),
                source: Source::Cli,
                wait_for_worker: false,
            };
            let done = ops.run(&administrator.actor, group).await.unwrap();
            assert_eq!(
                (done.started.len(), done.unknown.len(), done.refused.len()),
                (1, unknown, 1),
                "{done:?}"
            );
            assert!(done.refused[0].why.contains("cannot be reached"), "{done:?}");
        }
    });
}

both_engines! {
    async fn fr_038_007_a_commit_that_the_database_refuses_made_nothing(store) {
        let administrator = store.administrator().await;
        store.sql("create table late_rule (id bigint primary key, other bigint references late_rule (id) deferrable initially deferred)").await.unwrap();
        let (make, gone) = match store.engine {
            Engine::Postgres => (
                "create function late() returns trigger language plpgsql as $$ begin \
                 insert into late_rule values (new.id, -1); return new; end $$; \
                 create trigger late after insert on audit_logs for each row execute function late()",
                "drop trigger late on audit_logs",
            ),
            Engine::Sqlite => (
                "create trigger late after insert on audit_logs begin insert into late_rule values (new.id, -1); end",
                "drop trigger late",
            ),
        };
        store.sql(make).await.unwrap();
        let set = || SetSetting { key: "environment.label".to_owned(), value: Some("LIVE".to_owned()), consent: Consent::yes() };
        let error = store.ops.run(&administrator.actor, set()).await.unwrap_err();
        assert!(!error.is_uncertain() && error.message().contains("a rule of the database forbids it"), "{error}");
        let made = "select count(*) from platform_settings where value = 'LIVE'";
        assert_eq!(store.number(made).await, 0);
        store.sql(gone).await.unwrap();
        store.ops.run(&administrator.actor, set()).await.unwrap();
        assert_eq!(store.number(made).await, 1);
    }
}
