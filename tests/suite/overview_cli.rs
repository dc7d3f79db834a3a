//! `tenantpilot overview`, and what it has in common with `tenantpilot failures`.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tenantpilot::Clock;
use tenantpilot::access::Actor;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::safe_text::{SafeText, is_unseen};
use tenantpilot::domain::summary_counts::{CountKey, SummaryCounts};
use tenantpilot::ops::runs::{
    ClaimRun, Claimed, CompleteRun, RecordFailure, ReportProgress, RunScope, StartRun,
};
use tenantpilot::ops::{Create, Ops, OpsSettings};

use crate::cli::{Done, Person, done};
use crate::support::stores::{Store, both_engines};

pub const THROTTLED: ReasonCode = ReasonCode::ProviderThrottled;

/// The service at a moment that has passed.
pub struct Past {
    ops: Ops,
    pub clock: Clock,
}

impl Past {
    pub fn of(store: &Store, ago: TimeDelta) -> Self {
        let clock = Clock::fixed(Clock::system().now() - ago);
        let settings = OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() };
        let ops = Ops::open(&store.url, Create::Never, clock.clone(), settings).unwrap();
        Self { ops, clock }
    }

    pub async fn start(&self, run_type: &str, tenant: i64) -> i64 {
        let user_id = if tenant < 3 { 1 } else { 2 };
        let (actor, source) = match run_type {
            "findings.lifecycle_backfill" => (Actor::System, Source::Schedule),
            _ => (Actor::Customer { user_id }, Source::Admin),
        };
        let start = StartRun::for_tenant(run_type, tenant, source);
        self.ops.run(&actor, start).await.unwrap().run_id
    }

    pub async fn claimed(&self, run_type: &str, tenant: i64) -> Claimed {
        let id = self.start(run_type, tenant).await;
        let claim = ClaimRun {
            owner: "w1".to_owned(),
            types: vec![run_type.to_owned()],
            lease: Duration::from_hours(1),
        };
        let claimed = self.ops.run(&Actor::System, claim).await.unwrap().unwrap();
        assert_eq!(claimed.id, id);
        claimed
    }

    pub async fn say(&self, claimed: &Claimed, reason: ReasonCode, message: &str) {
        let (run_id, fence, tenant_id) = (claimed.id, claimed.fence, claimed.tenant_id);
        let message = message.to_owned();
        let failure = RecordFailure { run_id, fence, tenant_id, reason, message };
        self.ops.run(&Actor::System, failure).await.unwrap();
    }

    /// A run that ended after `seconds`, with these numbers of items.
    pub async fn ended(&self, claimed: &Claimed, ok: u64, failed: u64, seconds: i64) -> i64 {
        self.clock.advance(TimeDelta::seconds(seconds));
        let counts = SummaryCounts::default()
            .with(CountKey::Total, ok + failed)
            .with(CountKey::Processed, ok + failed)
            .with(CountKey::Succeeded, ok)
            .with(CountKey::Failed, failed);
        let (run_id, fence) = (claimed.id, claimed.fence);
        self.ops.run(&Actor::System, ReportProgress { run_id, fence, counts }).await.unwrap();
        self.ops.run(&Actor::System, CompleteRun { run_id, fence, blocked: None }).await.unwrap();
        run_id
    }

    /// A run over several tenants, all of which failed.
    pub async fn failed_over(&self, run_type: &str, tenants: &[i64], message: &str) -> i64 {
        let scope = RunScope::Tenants(tenants.to_vec());
        let start = StartRun { scope, ..StartRun::for_tenant(run_type, 1, Source::Schedule) };
        let id = self.ops.run(&Actor::System, start).await.unwrap().run_id;
        let claim = ClaimRun {
            owner: "w1".to_owned(),
            types: vec![run_type.to_owned()],
            lease: Duration::from_hours(1),
        };
        let claimed = self.ops.run(&Actor::System, claim).await.unwrap().unwrap();
        assert_eq!(claimed.id, id);
        for tenant in tenants {
            let claimed = Claimed { tenant_id: Some(*tenant), ..claimed.clone() };
            self.say(&claimed, ReasonCode::Conflict, message).await;
        }
        self.ended(&claimed, 0, tenants.len() as u64, 3).await
    }

    pub async fn succeeded(&self, run_type: &str, tenant: i64, seconds: i64) -> i64 {
        let claimed = self.claimed(run_type, tenant).await;
        self.ended(&claimed, 1, 0, seconds).await
    }

    pub async fn failed(
        &self,
        run_type: &str,
        tenant: i64,
        reason: ReasonCode,
        message: &str,
    ) -> i64 {
        let claimed = self.claimed(run_type, tenant).await;
        self.say(&claimed, reason, message).await;
        self.ended(&claimed, 0, 1, 3).await
    }
}

impl Store {
    /// 90 minutes ago: four failed (three of them say the same), one partly, two succeeded, one
    /// blocked, one waiting since, one stuck; and one of each end 40 hours ago.
    pub async fn with_trouble(&self) {
        self.mark_demo().await;
        crate::console::run_control::beat(
            &self.ops,
            "demo-worker",
            &["policy.sync", "backup.snapshot"],
            false,
        )
        .await;
        let before = Past::of(self, TimeDelta::hours(40));
        before.failed("policy.sync", 1, THROTTLED, "429 from 10.0.0.9, retry after 90 s").await;
        before.succeeded("policy.sync", 2, 5).await;
        let past = Past::of(self, TimeDelta::minutes(90));
        for tenant in 1..=3 {
            let message = format!("429 from 10.0.0.{tenant}, retry after {tenant}0 s");
            past.failed("policy.sync", tenant, THROTTLED, &message).await;
        }
        let denied = ReasonCode::PermissionDenied;
        past.failed("backup.snapshot", 4, denied, "no consent for Fabrikam Labs").await;
        let partly = past.claimed("inventory.sync", 1).await;
        past.say(&partly, ReasonCode::Timeout, "item 17 took 30 s").await;
        past.ended(&partly, 2, 1, 64).await;
        past.succeeded("inventory.sync", 2, 2).await;
        past.succeeded("inventory.sync", 3, 10).await;
        let (run_id, fence) = {
            let claimed = past.claimed("stored_report.create", 1).await;
            (claimed.id, claimed.fence)
        };
        let blocked = Some(ReasonCode::QuotaExceeded);
        past.ops.run(&Actor::System, CompleteRun { run_id, fence, blocked }).await.unwrap();
        past.start("stored_report.create", 2).await;
        let stuck = past.claimed("provider.connection_check", 1).await.id;
        // Overdue, but by less than its length.
        let ago = |minutes| (Clock::system().now() - TimeDelta::minutes(minutes)).to_rfc3339();
        let text = format!(
            "update operation_run_leases set heartbeat_at = '{}', expires_at = '{}' where run_id = {stuck}",
            ago(120),
            ago(50)
        );
        assert_eq!(self.sql(&text).await.unwrap(), 1);
    }

    pub async fn runs(&self) -> i64 {
        self.number("select count(*) from operation_runs").await
    }
}

/// Each number of runs in an answer, by its filter. A number that stands twice is the same.
pub fn counts(value: &Value, found: &mut BTreeMap<String, i64>) {
    let number = ["count", "runs"].iter().find_map(|key| value.get(key)?.as_i64());
    if let (Some(number), Some(filter)) = (number, value.get("filter").and_then(Value::as_str)) {
        let before = found.insert(filter.to_owned(), number);
        assert!(before.is_none_or(|before| before == number), "{filter}");
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| counts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| counts(field, found)),
        _ => {}
    }
}

pub fn listed(person: &Person, filter: &str) -> i64 {
    let arguments = ["runs", "list", "--json", "--limit", "1000", "--filter", filter];
    let page = person.run(&arguments).ends(0).json();
    i64::try_from(page["runs"].as_array().unwrap().len()).unwrap()
}

/// Nothing that a terminal would act on, and no line that 80 columns cannot hold.
#[track_caller]
pub fn readable(done: &Done) {
    for line in done.out.lines().chain(done.err.lines()) {
        assert!(!line.chars().any(|c| c.is_control() || is_unseen(c)), "{line:?}");
        // A command stays whole, to be pasted.
        assert!(line.starts_with("tenantpilot ") || SafeText::new(line).width() <= 80, "{line:?}");
    }
}

/// The command that a message tells, below `lead`, run by a shell as it stands there.
pub fn pasted(person: &Person, told: &str, lead: &str) -> Done {
    let lines: Vec<&str> = told.lines().skip_while(|line| *line != lead).skip(1).take(2).collect();
    assert!(lines[0].ends_with('\\'), "{told}");
    let text = format!(
        "tenantpilot() {{ '{}' \"$@\"; }}\n{} --json",
        env!("CARGO_BIN_EXE_tenantpilot"),
        lines.join("\n")
    );
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(text).env_clear();
    let plain = person.command(&[]);
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap());
    }
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    done(&mut command, None)
}

pub fn created(person: &Person, name: &str, capabilities: &[&str]) -> Person {
    let arguments: Vec<&str> =
        capabilities.iter().flat_map(|capability| ["--capability", *capability]).collect();
    person.create(name, &arguments).ends(0);
    let other = Person::at(person.url());
    other.login(name).ends(0);
    other
}

pub fn fingerprint(person: &Person, reason: &str) -> String {
    let page = person.run(&["failures", "list", "--json"]).ends(0).json();
    let groups = page["fingerprints"].as_array().unwrap();
    let group = groups.iter().find(|group| group["reason_code"] == reason).unwrap();
    group["fingerprint"].as_str().unwrap().to_owned()
}

both_engines! {
    async fn fr_027_001_the_overview_is_text_with_the_answer_first(store) {
        let store = store.with_platform().await.with_active_worker().await;
        let person = Person::administrator(&store.url);
        let quiet = person.run(&["overview"]).ends(0);
        readable(&quiet);
        assert!(quiet.out.starts_with("● healthy: nothing needs attention\nLast 24 hours: "), "{quiet:?}");
        for part in ["no run failed", "usage: No telemetry recorded in Last 24 hours.", "notifications: 0 unread"] {
            assert!(quiet.out.contains(part), "{part}: {quiet:?}");
        }
        assert!(!quiet.err.contains("failures list"), "{quiet:?}");

        store.with_trouble().await;
        let told = person.run(&["overview"]).ends(0);
        readable(&told);
        assert!(told.out.starts_with("◆ warning\n  ◆ 4 of 8 ended runs failed (50.0 %); the limit is 5 %\n"), "{told:?}");
        let words = told.out.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            " not started: ", "the lease has run out",
            "started 10 2 +8 ", "to end 2 0 +2 status:active ", "succeeded 2 1 +1 status:succeeded ",
            "partial 1 0 +1 status:partial ", "failed 4 1 +3 status:failed ", "blocked 1 0 +1 status:blocked ",
            "cancelled 0 0 0 status:cancelled ", "success rate 25.0 % 50.0 % status:completed ",
            "median 3.0s 3.0s status:", "95 % within 1m04s 5.0s status:",
            "active* 2 status:active ", "stuck* 1 status:stuck ", "stale* 1 status:stale ",
            "type policy.sync 3 type:policy.sync", "tenant Contoso DE 2 tenant:1", " 3 reason:provider_throttled",
            "provider_throttled", "permission_denied",
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(!told.out.contains('~'), "{told:?}");
        let recent = told.out.lines().filter(|line| line.starts_with("✗ ") || line.starts_with("◐ ")).count();
        assert_eq!(recent, 5, "{told:?}");
        let shown = pasted(&person, &told.err, "list what a line counts:").ends(0).json();
        assert_eq!(shown["runs"].as_array().unwrap().len(), 4);
        let plain = person.run(&["overview", "--ascii", "--window", "7d"]).ends(0);
        readable(&plain);
        assert!(plain.out.starts_with("! warning\n") && plain.out.is_ascii(), "{plain:?}");
        assert!(plain.err.contains("tenantpilot failures list --window 7d\n"), "{plain:?}");
    }

    async fn fr_027_002_each_number_has_the_filter_that_lists_exactly_its_runs(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        store.with_trouble().await;
        for window in ["24h", "7d"] {
            let answer = person.run(&["overview", "--window", window, "--json"]).ends(0);
            assert!(answer.err.is_empty(), "{answer:?}");
            let answer = answer.json();
            let overview = &answer["overview"];
            assert_eq!(overview["window"]["key"], window);
            for at in ["/as_of", "/window/start_at", "/window/end_at", "/runs/trend/0/start_at", "/recent_failures/0/created_at"] {
                let text = overview.pointer(at).unwrap().as_str().unwrap();
                assert!(text.ends_with('Z') && text.parse::<DateTime<Utc>>().is_ok(), "{at}: {text}");
            }
            let mut found = BTreeMap::new();
            counts(overview, &mut found);
            assert!(found.len() > 30, "{found:?}");
            for (filter, count) in &found {
                assert_eq!(listed(&person, filter), *count, "{filter}");
            }
            let runs = &overview["runs"];
            let all = if window == "24h" { 10 } else { 12 };
            assert_eq!(runs["started"]["count"], all);
            assert_eq!(runs["started"]["previous"]["count"], 12 - all);
            let trend = runs["trend"].as_array().unwrap();
            assert_eq!(trend.iter().map(|one| one["started"]["count"].as_i64().unwrap()).sum::<i64>(), all);
            assert_eq!((&runs["stuck"]["count"], &runs["stale"]["count"]), (&1.into(), &1.into()));
            let p95 = &runs["durations"]["p95"];
            assert_eq!((&p95["milliseconds"], &p95["approximate"]), (&64_000.into(), &false.into()));
            assert_eq!(overview["recent_failures"][0]["state"], "partial");
            assert_eq!(overview["unread_notifications"], 0);
            assert_eq!(overview["usage"]["families"].as_array().unwrap().len(), 5);
            assert_eq!(overview["health"]["level"], "warning");
            assert!(overview["health"]["reasons"][0]["filter"].as_str().unwrap().starts_with("status:failed since:"));
        }
        let runs = &person.run(&["overview", "--window", "1h", "--json"]).ends(0).json()["overview"]["runs"];
        assert!(runs["durations"]["median"].is_null() && runs["success_rate"]["share"].is_null(), "{runs}");
        assert_eq!(runs["durations"]["previous"]["median"]["milliseconds"], 3_000);
    }

    async fn fr_027_001_fr_027_002_durations_that_are_approximate_are_marked_so(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        // More than are read one by one: 1.001 s to 3.1 s.
        let at = Clock::system().now() - TimeDelta::hours(2);
        let rows: Vec<String> = (1..=2_100)
            .map(|id| {
                let (created, ended) = (at.to_rfc3339(), (at + TimeDelta::milliseconds(1_000 + id)).to_rfc3339());
                format!("({id}, 1, 1, 'admin', 'policy.sync', 'tenant', 'completed', 'succeeded', '{id:064x}', '{created}', '{ended}', '{ended}')")
            })
            .collect();
        for part in rows.chunks(500) {
            let text = format!(
                "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, \
                 identity_hash, created_at, completed_at, updated_at) values {}",
                part.join(", ")
            );
            store.sql(&text).await.unwrap();
        }
        let told = person.run(&["overview"]).ends(0);
        readable(&told);
        let words = told.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("median ~2.") && words.contains("95 % within ~") && words.contains("~ approximate:"), "{words}");
        let runs = &person.run(&["overview", "--json"]).ends(0).json()["overview"]["runs"];
        for (figure, exact) in [("median", 2_050), ("p95", 2_995)] {
            let figure = &runs["durations"][figure];
            assert_eq!(figure["approximate"], true);
            let off = (figure["milliseconds"].as_i64().unwrap() - exact).abs();
            assert!(off * 20 <= exact, "{figure} is not {exact}");
        }
        assert_eq!(runs["durations"]["of"]["count"], 2_100);
    }

    async fn fr_027_003_the_exit_status_tells_critical(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        person.run(&["overview", "--exit-status"]).ends(0);
        store.with_trouble().await;
        person.run(&["overview", "--exit-status"]).ends(0);
        let critical = |arguments: &[&str]| {
            let mut command = person.command(arguments);
            done(command.env("TENANTPILOT_HEALTH_CRITICAL_ENDED_RUNS", "8"), None)
        };
        let told = critical(&["overview", "--exit-status"]).ends(1);
        assert!(told.out.starts_with("✗ critical\n  ✗ 4 of 8 ended runs failed"), "{told:?}");
        assert!(!told.err.contains("error:"), "{told:?}");
        assert_eq!(critical(&["overview", "--exit-status", "--json"]).ends(1).json()["overview"]["health"]["level"], "critical");
        critical(&["overview"]).ends(0);
        person.run(&["logout"]).ends(0);
        person.run(&["overview", "--exit-status"]).ends(4);
    }

    async fn fr_027_004_the_window_is_remembered_and_used_by_every_command(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        let eva = created(&person, "eva", &["platform.access_system_panel", "platform.console.view"]);
        let usual = person.run(&["overview", "window"]).ends(0);
        assert_eq!(usual.out, "24h  Last 24 hours\n");
        assert!(usual.err.contains("you have not chosen any"), "{usual:?}");
        assert_eq!(person.run(&["overview", "window", "--json"]).ends(0).json()["window"]["chosen"], false);
        assert_eq!(person.run(&["overview", "window", "7d"]).ends(0).out, "7d  Last 7 days\n");
        let used = |person: &Person, more: &[&str], wanted: &str| {
            for (command, at) in [
                (&["overview"][..], "/overview/window/key"),
                (&["failures", "list"], "/window/key"),
                (&["product-usage", "summary"], "/summary/window/key"),
            ] {
                let answer = person.run(&[command, more, &["--json"]].concat()).ends(0).json();
                assert_eq!(answer.pointer(at).unwrap(), wanted, "{command:?}");
            }
        };
        used(&person, &[], "7d");
        used(&person, &["--window", "1h"], "1h");
        let shown = person.run(&["overview", "window", "--json"]).ends(0).json();
        let window = &shown["window"];
        assert_eq!((&window["key"], &window["label"], &window["chosen"]), (&"7d".into(), &"Last 7 days".into(), &true.into()));
        used(&eva, &[], "24h");
        let first = store.text("select dashboard_window from platform_user_preferences").await;
        assert_eq!(first, "7d");
        // An error of last week is found by it, and is not within a day.
        Past::of(&store, TimeDelta::days(3)).failed("policy.sync", 1, THROTTLED, "429").await;
        let one = fingerprint(&person, "provider_throttled");
        person.run(&["failures", "show", &one]).ends(0);
        person.run(&["failures", "show", &one, "--window", "24h"]).ends(4);
        eva.run(&["failures", "show", &one]).ends(4);
    }

    async fn fr_027_005_the_counts_are_compared_and_made_anew(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        store.with_trouble().await;
        assert_eq!(person.run(&["overview", "rebuild"]).ends(0).out, "the counts were rebuilt from 10 runs that have ended\n");
        assert_eq!(person.run(&["overview", "check"]).ends(0).out, "the counts are those of the runs\n");
        assert!(store.sql("update operation_run_hours set runs = runs + 5 where outcome = 'blocked'").await.unwrap() == 1);
        let wrong = person.run(&["overview", "check"]).ends(1);
        readable(&wrong);
        assert!(wrong.out.starts_with("1 count is not that of the runs\nBEGINS (UTC)"), "{wrong:?}");
        let words = wrong.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(" hour blocked 0 1 6"), "{words}");
        assert!(wrong.err.contains("tenantpilot overview rebuild"), "{wrong:?}");
        let check = &person.run(&["overview", "check", "--json"]).ends(1).json()["check"];
        assert_eq!((&check["different"], &check["differences"][0]["counted"]), (&1.into(), &6.into()));
        assert_eq!(person.run(&["overview", "rebuild", "--json"]).ends(0).json()["rebuild"]["runs"], 10);
        person.run(&["overview", "check"]).ends(0);
        assert_eq!(store.number("select count(*) from audit_logs where action = 'overview.rebuild_counts'").await, 2);
        let viewer = created(&person, "val", &["platform.access_system_panel", "platform.ops.view", "platform.runbooks.view"]);
        viewer.run(&["overview", "check"]).ends(0);
        let refused = viewer.run(&["overview", "rebuild"]).ends(3);
        assert!(refused.err.contains("platform.ops.manage"), "{refused:?}");
    }

    async fn fr_027_010_a_wrong_call_ends_with_its_code_and_says_what_may_be_said(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        store.with_trouble().await;
        let before = store.runs().await;
        let one = fingerprint(&person, "provider_throttled");
        for (arguments, code, part) in [
            (&["overview", "--window", "2h"][..], 2, "1h, 24h, 7d, 30d"),
            (&["overview", "window", "week"], 2, "1h, 24h, 7d, 30d"),
            (&["overview", "window", ""], 2, "1h, 24h, 7d, 30d"),
            (&["overview", "nonsense"], 2, "usage"),
            (&["failures", "list", "--window", "7D"], 2, "1h, 24h, 7d, 30d"),
            (&["failures", "list", "--limit", "0"], 2, "1..=1000"),
            (&["failures", "list", "--limit", "-1"], 2, "1..=1000"),
            (&["failures", "list", "--limit", "1001"], 2, "1..=1000"),
            (&["failures", "list", "--limit", "many"], 2, "--limit"),
            (&["failures", "show"], 2, "FINGERPRINT"),
            (&["failures", "show", "nonsense"], 2, "not a fingerprint"),
            (&["failures", "show", ""], 2, "not a fingerprint"),
            (&["failures", "show", "3FA9C01B77DE"], 2, "12 digits and letters a to f"),
            (&["failures", "show", "\u{1b}[31m"], 2, "not a fingerprint"),
            (&["failures", "show", "000000000000"], 4, "000000000000 in Last 24 hours"),
            (&["failures", "show", &one, "--window", "1h"], 4, "longer window"),
            (&["failures", "retry", "x' or 1=1"], 2, "not a fingerprint"),
            (&["failures", "retry", "000000000000", "--confirm", "RETRY 1"], 4, "longer window"),
        ] {
            let refused = person.run(arguments).ends(code);
            assert!(refused.out.is_empty() && refused.err.contains(part), "{arguments:?}: {refused:?}");
            assert!(!refused.err.contains('\u{1b}'), "{refused:?}");
        }
        let stranger = Person::at(&store.url);
        let gone = Person::at("sqlite:///nowhere/at/all.db");
        for arguments in [
            &["overview"][..], &["overview", "check"], &["overview", "rebuild"], &["overview", "window"],
            &["overview", "window", "7d"], &["failures", "list"], &["failures", "show", &one], &["failures", "retry", &one],
        ] {
            assert!(stranger.run(arguments).ends(4).err.contains("tenantpilot login"), "{arguments:?}");
            let none = gone.run(arguments);
            assert!(none.code == gone.run(&["runs", "list"]).code && none.code != 0 && none.out.is_empty(), "{none:?}");
        }
        assert_eq!(store.runs().await, before);
        assert_eq!(store.number("select count(*) from platform_user_preferences").await, 0);
    }

    async fn fr_027_011_what_is_missing_is_named(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        store.with_trouble().await;
        let one = fingerprint(&person, "provider_throttled");
        let nobody = created(&person, "rob", &["platform.access_system_panel"]);
        for arguments in [
            &["overview"][..], &["overview", "--json"], &["overview", "window"], &["overview", "window", "7d"],
            &["failures", "list"], &["failures", "show", &one],
        ] {
            let refused = nobody.run(arguments).ends(3);
            assert!(refused.err.contains("platform.console.view") && refused.out.is_empty(), "{arguments:?}: {refused:?}");
        }
        let viewer = created(&person, "val", &["platform.access_system_panel", "platform.ops.view", "platform.runbooks.view"]);
        viewer.run(&["overview"]).ends(0);
        viewer.run(&["overview", "window", "30d"]).ends(0);
        for more in [&["--dry-run"][..], &["--confirm", "RETRY 3"]] {
            let refused = viewer.run(&[&["failures", "retry", &one], more].concat()).ends(3);
            assert!(refused.err.contains("platform.ops.manage") && refused.out.is_empty(), "{refused:?}");
        }
        assert_eq!(store.number("select count(*) from operation_runs where retry_of_run_id is not null").await, 0);
    }

    async fn fr_027_012_nothing_reaches_the_terminal_raw(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        store.with_trouble().await;
        let hostile = "\u{1b}[31mtoso\u{202e}\u{9b}\u{200b}\nx";
        store.sql(&format!("update tenants set name = 'Con{hostile}'")).await.unwrap();
        store.sql(&format!("update operation_run_failures set message = 'Bad{hostile} 429 ' || id")).await.unwrap();
        store.sql(&format!("update operation_runs set initiator_name = 'Con{hostile}'")).await.unwrap();
        let one = fingerprint(&person, "provider_throttled");
        for (arguments, part) in [
            (&["overview"][..], "Con"), (&["failures", "list"], "    Bad"), (&["failures", "show", &one], "  Bad"),
            (&["failures", "retry", &one, "--dry-run"], "policy.sync"),
        ] {
            let told = person.run(arguments).ends(0);
            assert!(told.out.contains(part), "{told:?}");
            readable(&told);
            let json = person.run(&[arguments, &["--json"]].concat()).ends(0);
            assert!(!json.out.chars().any(|c| (c.is_control() && c != '\n') || is_unseen(c)), "{json:?}");
            json.json();
        }
    }
}

#[test]
fn fr_027_013_help_has_examples_first_and_names_the_exit_status() {
    let person = Person::at("");
    for command in [
        &["overview"][..],
        &["overview", "window"],
        &["overview", "check"],
        &["overview", "rebuild"],
        &["failures"],
        &["failures", "list"],
        &["failures", "show"],
        &["failures", "retry"],
    ] {
        let help = person.run(&[command, &["--help"]].concat()).ends(0);
        let example = format!("Examples:\n  tenantpilot {}", command.join(" "));
        assert!(help.out.starts_with(&example) && help.err.is_empty(), "{help:?}");
        assert!(!help.out.contains('\u{1b}'), "{help:?}");
    }
    let help = person.run(&["overview", "--help"]).ends(0).out;
    assert!(help.contains("End with 1 where the health is critical"), "{help}");
}
