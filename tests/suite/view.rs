//! A restricted view tells nothing of what it hides: the answers of every read are the same
//! whether or not there is anything outside of the view.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tenantpilot::access::{Actor, Requirement};
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::run_filter::RunFilter;
use tenantpilot::domain::support::{Draft, Reference};
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Consent;
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::named::FindNamed;
use tenantpilot::ops::overview::FoldRunCounts;
use tenantpilot::ops::plans::Preflight;
use tenantpilot::ops::runs::{ClaimRun, Page, RunScope, StartRun};
use tenantpilot::ops::support::{Compose, CreateRequest, DiagnosticsSubject, OpenDiagnostics};
use tenantpilot::ops::telemetry::FoldRollups;
use tenantpilot::ops::users::{CreateUser, NewPlatformUser};
use tenantpilot::ops::{
    Access, Operation, Ops, OpsSettings, alerts, auth, break_glass, condition, dashboard, flags,
    named, notifications, overview, password, plans, platform, runbooks, runs, settings, support,
    table, telemetry, types, users, workers,
};

use crate::support::stores::{PASSWORD, Store, both_engines, noon, view_of};

const BACKFILL: &str = "findings.lifecycle_backfill";
/// How many rows a search looks at in these tests, so that what is outside could fill it.
const BOUND: i64 = 40;

/// What both databases have in common, and what only one database has.
struct Part {
    tenants: [i64; 2],
    workspace: i64,
    queued: &'static str,
    seconds: i64,
    reference: Reference,
}

impl Store {
    /// Fills one workspace with a run of every kind, findings, a request and a plan.
    async fn fill(&self, root: &Session, part: &Part) {
        let [first, second] = part.tenants;
        let now = self.clock.now();
        self.pass(-7200);
        self.legacy_findings(&part.tenants, part.workspace + 1).await;
        self.ended("inventory.sync", first, 12, 0, part.seconds).await;
        self.ended("policy.sync", second, 4, 4, part.seconds + 1).await;
        self.ended("policy.sync", first, 9, 2, part.seconds + 2).await;
        for n in 0..3 {
            self.ended(BACKFILL, first, 4, 0, part.seconds * 10 + n).await;
        }
        let whole = StartRun {
            scope: RunScope::Workspace(part.workspace),
            ..StartRun::for_tenant("inventory.sync", first, Source::Schedule)
        };
        self.ops.run(&Actor::System, whole).await.unwrap();
        let claimed = self.claim().await;
        self.fail(&claimed, ReasonCode::Timeout, "no answer within 30 s").await;
        self.complete(&claimed, None).await;
        let subject = DiagnosticsSubject::Tenant(first);
        let evidence =
            Arc::new(self.ops.run(&root.actor, Compose { subject, attach: true }).await.unwrap());
        let draft = Draft {
            summary: format!("request of workspace {}", part.workspace),
            ..Draft::default()
        };
        let request = CreateRequest { evidence, draft, reference: part.reference };
        self.ops.run(&root.actor, request).await.unwrap();
        // One that runs, and one that waits: no later claim takes it.
        self.start("inventory.sync", second).await;
        let claim = ClaimRun {
            owner: format!("worker-{}", part.workspace),
            types: Vec::new(),
            lease: Duration::from_secs(3600),
        };
        let held = self.ops.run(&Actor::System, claim).await.unwrap().unwrap();
        self.sql(&format!(
            "update operation_run_leases set acquired_at = '2026-11-20T10:16:55+00:00', heartbeat_at = '2026-11-20T10:17:15+00:00', \
             expires_at = '2999-01-01T00:00:00+00:00' where run_id = {}", held.id
        )).await.unwrap();
        self.start(part.queued, first).await;
        self.sql("update operation_runs set paused_at = created_at where status = 'queued'")
            .await
            .unwrap();
        let back = now - self.clock.now();
        self.clock.advance(back);
    }

    /// What lies outside of the view of workspace 1: workspace 2, and runs over both.
    async fn fill_outside(&self, root: &Session, reference: Reference) {
        let part = Part {
            tenants: [3, 4],
            workspace: 2,
            queued: "backup.snapshot",
            seconds: 50,
            reference,
        };
        self.fill(root, &part).await;
        let rows = "(with recursive n(i) as (select 1 union all select i + 1 from n where i < 2200) select i from n) n";
        let hash = "0".repeat(64);
        self.sql(&format!(
            "insert into operation_runs (workspace_id, tenant_id, source, type, scope_kind, status, outcome, reason_code, identity_hash, \
             initiator_name, created_at, started_at, completed_at, updated_at) select 2, 3, 'admin', 'policy.check', 'tenant', 'completed', \
             'failed', 'provider_throttled', '{hash}', 'r.diaz', '2026-11-20T11:59:00+00:00', '2026-11-20T11:59:00+00:00', \
             '2026-11-20T11:59:30+00:00', '2026-11-20T11:59:30+00:00' from {rows}"
        )).await.unwrap();
        let first = self.number("select max(id) from operation_runs").await;
        self.sql(&format!(
            "insert into operation_runs (source, type, scope_kind, status, outcome, reason_code, identity_hash, target_count, created_at, \
             started_at, completed_at, updated_at) select 'schedule', '{BACKFILL}', 'all', 'completed', 'succeeded', null, '{hash}', 2, \
             '2026-11-20T11:59:40+00:00', '2026-11-20T11:00:00+00:00', '2026-11-20T11:59:50+00:00', '2026-11-20T11:59:50+00:00' \
             from {rows} where i <= 30"
        )).await.unwrap();
        for (ordinal, tenant) in [(0, 1), (1, 3)] {
            self.sql(&format!(
                "insert into operation_run_targets (run_id, ordinal, kind, tenant_id, status, updated_at) \
                 select id, {ordinal}, 'tenant', {tenant}, 'succeeded', '2026-11-20T11:59:50+00:00' from operation_runs where id > {first}"
            )).await.unwrap();
        }
        // A run of the view tries one outside of it again.
        self.sql(&format!(
            "update operation_runs set retry_of_run_id = {} where id = 7",
            first + 1
        ))
        .await
        .unwrap();
        // Its alerts are given up, its runs are without a row in the audit log.
        self.sql("update alert_deliveries set status = 'dead', attempts = 9, last_error = 'gone', last_attempt_at = '2026-11-20T11:00:00+00:00' \
                  where run_id in (select id from operation_runs where workspace_id = 2)").await.unwrap();
        self.sql("update operation_runs set audit_gaps = 1 where workspace_id = 2").await.unwrap();
        let new = NewPlatformUser {
            username: "beyond".to_owned(),
            display_name: String::new(),
            password: password::secret(PASSWORD),
            capabilities: Role::Viewer.capabilities(),
            view: view_of(&[2]),
            consent: Consent::yes(),
        };
        self.ops.run(&root.actor, CreateUser(new)).await.unwrap();
    }

    /// The same platform in two databases, of which one has more than workspace 1.
    async fn platform_of_two(
        self,
        outside: bool,
        references: [Reference; 2],
    ) -> (Self, Session, Session) {
        let store = self.with_platform().await;
        let root = store.administrator().await;
        let [own, other] = references;
        let part = Part {
            tenants: [1, 2],
            workspace: 1,
            queued: "review_pack.generate",
            seconds: 3,
            reference: own,
        };
        store.fill(&root, &part).await;
        let one = store.user_with(&root, "one", Role::Administrator.capabilities(), &[1]).await;
        let plan = Preflight::new(BACKFILL, RunScope::Workspace(1));
        assert_eq!(store.ops.run(&one.actor, plan).await.unwrap().id, 1);
        store.sql("insert into notifications (platform_user_id, kind, run_id, title, created_at) \
                   select u.id, 'run_completed', 2, 'it failed', '2026-11-20T11:00:00+00:00' from platform_users u where u.username = 'one'").await.unwrap();
        store.sql("insert into workers (id, name, version, runbooks, slots, heartbeat_seconds, started_at, heartbeat_at) values \
                   ('worker-1', 'host:1', '1.0.0', '[\"inventory.sync\"]', 4, 10, '2026-11-20T08:00:00+00:00', '2026-11-20T10:00:00+00:00')").await.unwrap();
        if outside {
            store.fill_outside(&root, other).await;
        } else {
            for gone in [
                "users where workspace_id = 2",
                "tenants where workspace_id = 2",
                "workspaces where id = 2",
            ] {
                store.sql(&format!("delete from {gone}")).await.unwrap();
            }
        }
        store
            .sql("update operation_runs set paused_at = null where status = 'queued'")
            .await
            .unwrap();
        while store.ops.run(&Actor::System, FoldRollups).await.unwrap() {}
        while store.ops.run(&Actor::System, FoldRunCounts).await.unwrap() {}
        (store, root, one)
    }
}

/// What one operation answers. On the heap: all of them in one frame are too many.
fn answer<'a, O>(
    ops: &'a Ops,
    actor: &'a Actor,
    operation: O,
) -> Pin<Box<dyn Future<Output = String> + 'a>>
where
    O: Operation<Output: std::fmt::Debug>,
{
    Box::pin(async move { format!("{:#?}", ops.run(actor, operation).await) })
}

/// What each read answers. A plan's own number and time follow from how many there are.
async fn answers(
    ops: &Ops,
    actor: &Actor,
    fingerprint: &str,
    references: [Reference; 2],
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    macro_rules! ask {
        ($($kind:ty => $([$($variant:literal: $operation:expr),+ $(,)?])?;)+) => {$($($(
            let operation: $kind = $operation;
            let told = answer(ops, actor, operation).await;
            all.insert(format!("{} {}", <$kind>::NAME, $variant), told);
        )+)?)+};
    }
    let filter = |text: &str| RunFilter::parse(text).unwrap();
    let list = |text: &str, page, limit| runs::ListRuns { filter: filter(text), page, limit };
    let window = Some(Window::Day);
    ask! {
        alerts::ListAlerts => ["": alerts::ListAlerts::default()];
        alerts::SummariseAlerts => ["": alerts::SummariseAlerts];
        auth::WhoAmI => ["": auth::WhoAmI];
        break_glass::CurrentBreakGlass => ["": break_glass::CurrentBreakGlass];
        notifications::ListNotifications => ["": notifications::ListNotifications::default()];
        notifications::CountUnread => ["": notifications::CountUnread];
        flags::ListFlags => ["": flags::ListFlags];
        overview::ReadOverview => ["day": overview::ReadOverview { window }, "month": overview::ReadOverview { window: Some(Window::Month) }];
        overview::ListFingerprints => ["": overview::ListFingerprints { window, limit: 0 }];
        overview::GetFingerprint => ["": overview::GetFingerprint { fingerprint: fingerprint.to_owned(), window }];
        overview::PlanGroupRetry => ["": overview::PlanGroupRetry { fingerprint: fingerprint.to_owned(), window, wait_for_worker: false }];
        condition::ReadCondition => ["": condition::ReadCondition];
        platform::NameValues => ["": platform::NameValues];
        named::FindNamed => ["run": FindNamed { text: "2".to_owned() }, "outside run": FindNamed { text: "11".to_owned() }, "tenant": FindNamed { text: "fab".to_owned() }];
        plans::GetPlan => ["own": plans::GetPlan { id: 1 }];
        plans::ListPlanTargets => ["own": plans::ListPlanTargets::all(1)];
        plans::ListScopeTenants => ["": plans::ListScopeTenants { limit: 50, ..plans::ListScopeTenants::default() }];
        plans::ListScopeWorkspaces => ["": plans::ListScopeWorkspaces { limit: 50, ..plans::ListScopeWorkspaces::default() }];
        dashboard::ChosenWindow => ["": dashboard::ChosenWindow];
        runbooks::ListRunbooks => ["": runbooks::ListRunbooks];
        runs::PlanRetry => ["failed": runs::PlanRetry { run_id: 2 }];
        runs::CountRuns => ["": runs::CountRuns];
        runs::ListRuns => [
            "all": list("", Page::Newest, 5), "oldest": list("", Page::Oldest, 5), "failed": list("status:failed", Page::Newest, 2),
            "type": list("type:policy.*", Page::Newest, 50), "text": list("contoso", Page::Newest, 50), "other text": list("fabrikam", Page::Newest, 50),
            "stale": list("status:stale", Page::Newest, 50), "stuck": list("status:stuck,active", Page::Newest, 50), "backfills": list("type:findings.lifecycle_backfill", Page::Newest, 50),
            "errors": list(&format!("fingerprint:{fingerprint}"), Page::Newest, 50), "reason": list("reason:provider_throttled source:admin", Page::Newest, 50),
        ];
        runs::GetRun => [
            "1": runs::GetRun { id: 1 }, "2": runs::GetRun { id: 2 }, "7": runs::GetRun { id: 7 }, "8": runs::GetRun { id: 8 }, "9": runs::GetRun { id: 9 },
            "outside": runs::GetRun { id: 11 }, "over both": runs::GetRun { id: 2230 },
        ];
        settings::ListSettings => ["": settings::ListSettings];
        settings::UsageRetention => ["": settings::UsageRetention];
        support::ListTenants => ["": support::ListTenants::default(), "search": support::ListTenants { search: "fab".to_owned(), ..support::ListTenants::default() }];
        support::GetTenant => ["own": support::GetTenant { id: 1 }, "outside": support::GetTenant { id: 3 }];
        support::ListRunTenants => ["own": support::ListRunTenants { run_id: 7, ..support::ListRunTenants::default() }, "outside": support::ListRunTenants { run_id: 2230, ..support::ListRunTenants::default() }];
        support::ListRequests => ["": support::ListRequests::default()];
        support::GetRequest => ["own": support::GetRequest { reference: references[0] }, "outside": support::GetRequest { reference: references[1] }];
        telemetry::Summarise => ["day": telemetry::Summarise { window }, "month": telemetry::Summarise { window: Some(Window::Month) }];
        types::ListTypes => ["": types::ListTypes];
        workers::ListWorkers => ["": workers::ListWorkers];
        users::ListUsers => ["": users::ListUsers];
        users::GetUser => ["own": users::GetUser { username: "one".to_owned() }, "outside": users::GetUser { username: "beyond".to_owned() }];
        // Not reads by their transaction, but they show what was read.
        OpenDiagnostics => [
            "tenant": OpenDiagnostics { subject: DiagnosticsSubject::Tenant(1) },
            "run": OpenDiagnostics { subject: DiagnosticsSubject::Run { run_id: 7, tenant_id: Some(1) } },
        ];
    }
    for (name, scope) in [
        ("tenant", RunScope::Tenant(1)),
        ("workspace", RunScope::Workspace(1)),
        ("outside", RunScope::Tenant(3)),
    ] {
        let answer = match ops.run(actor, Preflight::new(BACKFILL, scope)).await {
            Ok(plan) => format!(
                "{} {} {} {} {} {:?} {} {}",
                plan.hash,
                plan.affected_count,
                plan.total_count,
                plan.fleet_count,
                plan.tenant_count,
                plan.expected_seconds,
                plan.expected_runs,
                plan.phrase
            ),
            Err(error) => error.to_string(),
        };
        all.insert(format!("{} {name}", Preflight::NAME), answer);
    }
    all
}

/// The lines of two texts that differ, for a reader of a failed test.
fn difference(left: &str, right: &str) -> String {
    let left: Vec<&str> = left.lines().collect();
    let right: Vec<&str> = right.lines().collect();
    let at =
        left.iter().zip(&right).position(|(a, b)| a != b).unwrap_or(left.len().min(right.len()));
    let around = |lines: &[&str]| lines[at.saturating_sub(3)..(at + 4).min(lines.len())].join("\n");
    format!("without:\n{}\nwith:\n{}", around(&left), around(&right))
}

both_engines! {
    async fn fr_040_014_the_answers_of_a_view_are_the_same_whatever_lies_outside_of_it(store) {
        let references = [Reference::new(noon()), Reference::new(noon())];
        let engine = store.engine;
        let (with, root, one) = store.platform_of_two(true, references).await;
        let (alone, alone_root, alone_one) = Store::new(engine).await.platform_of_two(false, references).await;
        let fingerprint = with.text("select fingerprint from operation_run_failures where run_id = 2 limit 1").await;
        assert!(with.number(&format!("select count(*) from operation_run_failures f join operation_runs r on r.id = f.run_id \
            where r.workspace_id = 2 and f.fingerprint = '{fingerprint}'")).await > 0, "both sides have this error");
        let settings = || OpsSettings { search_bound: BOUND, patience: Duration::from_secs(60), ..OpsSettings::default() };
        let (with_ops, alone_ops) = (with.another(settings()), alone.another(settings()));

        let full = answers(&with_ops, &one.actor, &fingerprint, references).await;
        let bare = answers(&alone_ops, &alone_one.actor, &fingerprint, references).await;
        let leaks: Vec<String> = full
            .iter()
            .filter(|(name, answer)| bare[*name] != **answer)
            .map(|(name, answer)| format!("{name}\n{}", difference(&bare[name], answer)))
            .collect();
        assert!(leaks.is_empty(), "{} answers tell of what is outside:\n{}", leaks.len(), leaks.join("\n\n"));
        for (name, answer) in &full {
            let fine = answer.starts_with("Ok(") || name.ends_with("outside") || name.ends_with("over both") || name.starts_with("runbooks.preflight");
            assert!(fine, "{name}: {answer}");
        }

        // Whoever sees all does see the difference, so there was something to tell.
        let full = answers(&with_ops, &root.actor, &fingerprint, references).await;
        let bare = answers(&alone_ops, &alone_root.actor, &fingerprint, references).await;
        let told: Vec<&String> = full.iter().filter(|(name, answer)| bare[*name] != **answer).map(|(name, _)| name).collect();
        for name in [
            "alerts.summarise", "overview.read", "overview.list_fingerprints", "overview.get_fingerprint", "overview.plan_group_retry",
            "platform.filter_names", "platform.find_named tenant", "runs.list all", "runs.list text", "runs.list type", "runs.count", "runs.get 2", "support.list_tenants",
            "support.get_tenant own", "support.list_requests", "telemetry.summary", "workers.list", "users.list", "runbooks.preflight tenant",
        ] {
            assert!(told.iter().any(|found| found.starts_with(name)), "{name} does not tell those apart: {told:?}");
        }
    }

    async fn fr_040_014_no_read_is_left_out(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let references = [Reference::new(noon()), Reference::new(noon())];
        let asked = answers(&store.ops, &root.actor, "000000000000", references).await;
        let missing: Vec<&str> = table()
            .into_iter()
            .filter(|line| line.access == Access::Read)
            .filter(|line| matches!(line.requirement, Requirement::All(_) | Requirement::Any(_) | Requirement::Session))
            .map(|line| line.name)
            .filter(|name| !asked.keys().any(|key| key.split(' ').next() == Some(*name)))
            .collect();
        assert!(missing.is_empty(), "not compared: {missing:?}");
    }
}
