//! Failures by what they say: grouped, led to, tried again.

use chrono::TimeDelta;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::fingerprint::is_fingerprint;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::run_filter::RunFilter;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::Consent;
use tenantpilot::ops::overview::{
    FillFingerprints, FingerprintGroup, FingerprintPage, GetFingerprint, ListFingerprints,
    PlanGroupRetry, RetryGroup,
};
use tenantpilot::ops::runs::{GetRun, ListRuns};
use tenantpilot::{Error, ErrorKind};

use crate::support::stores::{Store, both_engines};

impl Store {
    /// A run of one tenant that fails with these messages.
    pub async fn failed_run(&self, tenant_id: i64, reason: ReasonCode, messages: &[&str]) -> i64 {
        let id = self.start("policy.sync", tenant_id).await;
        self.pass(1);
        let claimed = self.claim().await;
        assert_eq!(claimed.id, id);
        let n = u64::try_from(messages.len()).unwrap();
        self.report(&claimed, n, 0, n).await;
        for message in messages {
            self.fail(&claimed, reason, message).await;
        }
        self.pass(1);
        self.complete(&claimed, None).await;
        id
    }

    async fn groups(&self, actor: &Actor, window: Window) -> FingerprintPage {
        self.ops.run(actor, ListFingerprints { window: Some(window), limit: 0 }).await.unwrap()
    }

    async fn runs_of(&self, actor: &Actor, filter: &RunFilter) -> Vec<i64> {
        let filter = RunFilter::parse(&filter.to_string()).unwrap();
        let list = ListRuns { filter, limit: 500, ..ListRuns::default() };
        self.ops.run(actor, list).await.unwrap().runs.iter().map(|run| run.id).collect()
    }
}

fn numbers(group: &FingerprintGroup) -> (i64, i64, i64) {
    (group.failures, group.runs, group.tenants)
}

both_engines! {
    async fn fr_025_009_the_error_code_of_a_database_tells_errors_apart(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let said = |code: &str, row: u32| format!("the database refused the statement ({code}) on row {row}");
        for (tenant, code) in [(1, "SQLSTATE 23505"), (2, "SQLSTATE 23505"), (3, "SQLSTATE P0001"), (4, "SQLite code 1811")] {
            store.failed_run(tenant, ReasonCode::UnexpectedError, &[&said(code, 17 + u32::try_from(tenant).unwrap())]).await;
        }
        store.pass(5);
        let page = store.groups(&admin.actor, Window::Day).await;
        let mut found: Vec<_> = page.fingerprints.iter().map(|group| (group.pattern.clone(), group.failures)).collect();
        found.sort();
        let of = |code: &str, n| (format!("the database refused the statement ({code}) on row #"), n);
        assert_eq!(found, [of("SQLSTATE 23505", 2), of("SQLSTATE P0001", 1), of("SQLite code 1811", 1)]);
    }

    async fn fr_025_009_failures_that_say_the_same_are_one_and_fr_025_010_lead_to_their_runs(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        assert_eq!(store.groups(&admin.actor, Window::Day).await.sentence(), "Nothing failed in Last 24 hours.");
        let throttled = ReasonCode::ProviderThrottled;
        let a = store.failed_run(1, throttled, &["Contoso DE: 429 on page 17", "Contoso DE: 429 on page 18"]).await;
        store.pass(120);
        let b = store.failed_run(3, throttled, &["Fabrikam: 429 on page 2"]).await;
        let c = store.failed_run(3, ReasonCode::Conflict, &["Fabrikam: 429 on page 2"]).await;
        let d = store.failed_run(2, throttled, &["object 6f9619ff-8b86-d011-b42d-00c04fc964ff is locked", "Contoso FR: 429 on page 1"]).await;
        let first = store.text("select min(cast(occurred_at as text)) from operation_run_failures").await;
        store.pass(5);
        let page = store.groups(&admin.actor, Window::Day).await;
        assert_eq!(page.sentence(), "6 recorded failures are 3 errors in Last 24 hours");
        let [many, object, conflict] = page.fingerprints.as_slice() else { panic!("{page:?}") };
        assert_eq!((many.pattern.as_str(), many.reason_code.as_str(), many.label), ("<name>: # on page #", "provider_throttled", "Provider throttled"));
        assert_eq!(numbers(many), (4, 3, 3));
        assert_eq!(many.first_seen_at.to_rfc3339()[..19], first.replace(' ', "T")[..19]);
        assert_eq!((many.sample.run_id, many.sample.tenant_name.as_deref()), (d, Some("Contoso FR")));
        assert_eq!(many.sample.message, "Contoso FR: 429 on page 1");
        assert!(many.last_seen_at == many.sample.occurred_at && many.first_seen_at < many.last_seen_at);
        assert_eq!((numbers(object), object.pattern.as_str()), ((1, 1, 1), "object # is locked"));
        assert_eq!((numbers(conflict), conflict.reason_code.as_str()), ((1, 1, 1), "conflict"));
        assert!(page.fingerprints.iter().all(|group| is_fingerprint(&group.fingerprint)));
        assert_eq!(store.runs_of(&admin.actor, &many.filter).await, [d, b, a]);
        assert_eq!(store.runs_of(&admin.actor, &conflict.filter).await, [c]);
        let both = format!("fingerprint:{},{}", object.fingerprint.to_uppercase(), conflict.fingerprint);
        assert_eq!(store.runs_of(&admin.actor, &RunFilter::parse(&both).unwrap()).await, [d, c]);
        let others = RunFilter::parse(&format!("!fingerprint:{}", many.fingerprint)).unwrap();
        assert_eq!(store.runs_of(&admin.actor, &others).await, [c]);
        for wrong in ["fingerprint:xyz", "fingerprint:0123456789ab*", "fingerprint:0123"] {
            let error = RunFilter::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("is not a fingerprint"), "{error}");
        }
        // By the creation of the run; and only what one may see.
        store.pass(3600 - 20);
        let admin = store.login("administrator").await;
        assert_eq!(store.groups(&admin.actor, Window::Hour).await.total_failures, 4);
        let one = store.user_with(&admin, "one", Role::Administrator.capabilities(), &[2]).await;
        let own = store.groups(&one.actor, Window::Day).await;
        assert_eq!(own.fingerprints.iter().map(|g| (g.reason_code.as_str(), numbers(g))).collect::<Vec<_>>(),
            [("conflict", (1, 1, 1)), ("provider_throttled", (1, 1, 1))]);
        assert_eq!(store.runs_of(&one.actor, &many.filter).await, [b]);
        let get = |fingerprint: &str| GetFingerprint { fingerprint: fingerprint.to_owned(), window: Some(Window::Day) };
        let found = store.ops.run(&one.actor, get(&many.fingerprint)).await.unwrap();
        assert_eq!((numbers(&found), found.sample.tenant_name.as_deref()), ((1, 1, 1), Some("Fabrikam")));
        let hidden = store.ops.run(&one.actor, get(&object.fingerprint)).await.unwrap_err();
        let unknown = store.ops.run(&one.actor, get("0123456789ab")).await.unwrap_err();
        assert_eq!((hidden.kind(), unknown.kind()), (ErrorKind::NotFound, ErrorKind::NotFound));
        assert_eq!(hidden.message().replace(&object.fingerprint, ""), unknown.message().replace("0123456789ab", ""));
        assert_eq!(store.ops.run(&admin.actor, get("' or 1=1")).await.unwrap_err().kind(), ErrorKind::Usage);
        let ops_only = [Capability::AccessSystemPanel, Capability::OpsView].into_iter().collect::<CapabilitySet>();
        let ops_only = store.user_with(&admin, "ops-only", ops_only, &[]).await;
        let error = store.ops.run(&ops_only.actor, ListFingerprints::default()).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Forbidden && error.message().contains("platform.console.view"), "{error}");
    }

    async fn fr_025_011_failures_from_before_get_their_fingerprint(store) {
        let store = store.with_platform().await;
        let id = store.failed_run(1, ReasonCode::Timeout, &["Contoso DE: no answer on page 3", "no answer on page 4 of Contoso DE"]).await;
        let told = store.text("select max(fingerprint) from operation_run_failures where message like 'Contoso%'").await;
        store.sql("update operation_run_failures set fingerprint = ''").await.unwrap();
        let page = store.groups(&Actor::System, Window::Hour).await;
        assert_eq!(page.fingerprints.iter().map(|g| (g.fingerprint.as_str(), g.failures)).collect::<Vec<_>>(), [("", 2)]);
        assert_eq!(store.ops.run(&Actor::System, FillFingerprints).await.unwrap(), 2);
        assert_eq!(store.ops.run(&Actor::System, FillFingerprints).await.unwrap(), 0);
        store.pass(2);
        let page = store.groups(&Actor::System, Window::Hour).await;
        assert_eq!(page.fingerprints.len(), 2);
        assert_eq!(store.runs_of(&Actor::System, &RunFilter::parse(&format!("fingerprint:{told}")).unwrap()).await, [id]);
        assert_eq!(store.number("select count(*) from operation_run_failures f join operation_runs r on r.id = f.run_id and r.created_at = f.run_created_at").await, 2);
    }

    async fn fr_025_012_a_group_is_tried_again_run_by_run(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        let admin = store.administrator().await;
        let throttled = ReasonCode::ProviderThrottled;
        let old = store.failed_run(1, throttled, &["429 on page 1"]).await;
        store.pass(60);
        let newer = store.failed_run(1, throttled, &["429 on page 2"]).await;
        let second = store.failed_run(2, throttled, &["429 on page 3"]).await;
        let other = store.failed_run(3, throttled, &["429 on page 4"]).await;
        let running = store.start("policy.sync", 4).await;
        store.pass(1);
        let claimed = store.claim().await;
        store.fail(&claimed, throttled, "429 on page 5").await;
        store.pass(5);
        let fingerprint = store.groups(&admin.actor, Window::Day).await.fingerprints[0].fingerprint.clone();
        let planned = async || {
            let plan = PlanGroupRetry { fingerprint: fingerprint.clone(), window: Some(Window::Day), wait_for_worker: false };
            store.ops.run(&admin.actor, plan).await.unwrap()
        };
        let plan = planned().await;
        assert_eq!(plan.runs.iter().map(|run| (run.run_id, run.targets)).collect::<Vec<_>>(), [(other, 1), (second, 1), (newer, 1)]);
        assert_eq!((plan.targets, plan.confirmation.phrase.as_str(), plan.left), (3, "RETRY 3", 0));
        let why: Vec<(i64, &str)> = plan.skipped.iter().map(|skip| (skip.run_id, skip.why.as_str())).collect();
        assert_eq!(why, [(running, "it has not ended yet"), (old, "a newer run like it was started; retry it alone")]);
        let retry = |run_ids: &[i64], confirm: Option<&str>| RetryGroup {
            fingerprint: fingerprint.clone(),
            run_ids: run_ids.to_vec(),
            consent: confirm.map_or_else(Consent::yes, Consent::typed).because(Some(crate::support::starts::reason())),
            source: Source::Console,
            wait_for_worker: false,
        };
        let all = [other, second, newer];
        let starts = "select count(*) from operation_runs where retry_of_run_id is not null";
        let attempt = async |call: RetryGroup| -> Error { store.ops.run(&admin.actor, call).await.unwrap_err() };
        for (call, part) in [
            (retry(&all, None), "RETRY 3"),
            (retry(&all, Some("RETRY 2")), "RETRY 3"),
            (retry(&[], Some("RETRY 3")), "not found"),
            (retry(&[other, 4711], Some("RETRY 1")), "not found"),
            (retry(&[other, running], Some("RETRY 2")), "it has not ended yet"),
            (retry(&[old], None), "a newer run like it"),
        ] {
            let error = attempt(call.clone()).await;
            let told = format!("{} {:?}", error.message(), error);
            assert!(told.to_lowercase().contains(&part.to_lowercase()), "{call:?}: {told}");
            assert!(matches!(error.kind(), ErrorKind::Refused | ErrorKind::NotFound | ErrorKind::Usage));
        }
        assert_eq!(store.number(starts).await, 0);
        assert_eq!(store.number("select count(*) from audit_logs where action = 'overview.retry_group' and status = 'refused'").await, 6);
        let viewer = store.user(&admin, Role::Viewer).await;
        let error = store.ops.run(&viewer.actor, retry(&all, Some("RETRY 3"))).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Forbidden && error.message().contains("platform.ops.manage"), "{error}");
        assert_eq!(store.number("select count(*) from audit_logs where action = 'overview.retry_group' and status = 'denied'").await, 1);
        // Somebody else was faster with one of them.
        store.sql(&format!("update tenants set archived_at = '2026-11-20T12:00:00+00:00' where id = {}", 3)).await.unwrap();
        let done = store.ops.run(&admin.actor, retry(&all, Some("RETRY 3"))).await.unwrap();
        assert_eq!(done.started.iter().map(|(run, _)| *run).collect::<Vec<_>>(), [second, newer]);
        assert_eq!(done.refused.iter().map(|skip| skip.run_id).collect::<Vec<_>>(), [other]);
        for (run, started) in &done.started {
            let detail = store.ops.run(&admin.actor, GetRun { id: *started }).await.unwrap();
            assert_eq!((detail.run.run_type.as_str(), detail.run.target_count), ("policy.sync", 1));
            assert_eq!(store.number(&format!("select retry_of_run_id from operation_runs where id = {started}")).await, *run);
            assert_eq!(store.number(&format!("select count(*) from audit_logs where action = 'runs.retry' and status = 'succeeded' and run_id = {started}")).await, 1);
        }
        assert_eq!(store.number("select count(*) from audit_logs where action = 'overview.retry_group' and status = 'succeeded'").await, 1);
        // What is under way is not tried twice.
        store.clock.advance(TimeDelta::seconds(1));
        let again = planned().await;
        assert_eq!(again.runs.len(), 0, "{again:?}");
        assert!(again.skipped.iter().any(|skip| skip.run_id == other && skip.why.contains("archived")), "{again:?}");
        let error = attempt(retry(&[second], None)).await;
        assert!(error.message().contains("it was retried as run "), "{error}");
        assert_eq!(store.number(starts).await, 2);
    }
}
