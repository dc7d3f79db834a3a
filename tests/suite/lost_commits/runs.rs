//! The changes of runs and support requests.

use std::sync::Arc;

use serde_json::json;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::support::Draft;
use tenantpilot::ops::runs::{
    CancelRun, CloseRun, PauseRun, ResumeRun, RetryRun, RunScope, StartRun,
};
use tenantpilot::ops::{Consent, support};

use super::scene::{Case, case, run_is};
use crate::support::desk::reference;
use crate::support::starts::Wish;

/// Every start and change of a run, and what is sent to support.
#[expect(clippy::too_many_lines, reason = "one entry for each operation")]
pub(super) fn cases() -> Vec<Case> {
    vec![
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
    ]
}
