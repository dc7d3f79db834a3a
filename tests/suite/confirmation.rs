//! What confirms a change: the matrix of all changing commands, reasons, and fewer days than kept.

use serde_json::{Value, json};
use tenantpilot::access::Actor;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::start_reason::{StartReason, StartReasonCode};
use tenantpilot::ops::runs::{CancelRun, PauseRun, PlanRetry, RetryRun, RunScope, StartRun};
use tenantpilot::ops::{Consent, Ops};
use tenantpilot::{ErrorKind, Result};

use crate::cli::Person;
use crate::database::texts;
use crate::support::starts::{Wish, because, reason, sure};
use crate::support::stores::{PASSWORD, Store, both_engines};

const FLAG: &str = "allow_admin_maintenance_actions";
const DAYS: &str = "product_usage.retention_days";
const LABEL: &str = "environment.label";
const BACKFILL: &str = "findings.lifecycle_backfill";
pub const WHY: [&str; 4] = ["--reason-code", "INCIDENT", "--reason", "rows of the March import"];
/// Commands that only read, by their last word.
const READING: &[&str] = &[
    "check",
    "deploy",
    "diagnostics",
    "flags",
    "get",
    "info",
    "list",
    "plan",
    "preflight",
    "show",
    "status",
    "summary",
    "watch",
    "whoami",
];
/// Commands that change something of the user's own, what can be made again from other rows, or that
/// run in the foreground until they are stopped.
const UNCONFIRMED: &[&str] = &[
    "console",
    "demo",
    "login",
    "logout",
    "migrate",
    "notifications read",
    "overview rebuild",
    "overview window",
    "product-usage rebuild",
    "seed",
    "worker",
];

/// One changing command, and what confirms it.
struct Case {
    words: Vec<String>,
    phrase: String,
    typed: bool,
}

fn case(words: &[&str], phrase: impl Into<String>, typed: bool) -> Case {
    Case {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        phrase: phrase.into(),
        typed,
    }
}

/// A run of these tenants, ended with its targets undone where `ended`.
async fn run(ops: &Ops, run_type: &str, tenants: &[i64], ended: bool) -> i64 {
    let scope = match tenants {
        [one] => RunScope::Tenant(*one),
        several => RunScope::Tenants(several.to_vec()),
    };
    let start = StartRun { scope, ..StartRun::for_tenant(run_type, 0, Source::Schedule) };
    let id = ops.run(&Actor::System, start).await.unwrap().run_id;
    if ended {
        ops.run(&Actor::System, CancelRun { run_id: id, consent: sure("CANCEL", id) })
            .await
            .unwrap();
    }
    id
}

async fn old_event(store: &Store) {
    let text = "insert into product_usage_events (workspace_id, tenant_id, user_id, event_name, feature_area, subject_type, \
                subject_id, occurred_at) values (1, 1, 1, 'product.operations.started', 'operations', 'operation_run', '1', \
                '2020-01-01T00:00:00+00:00')";
    store.sql(text).await.unwrap();
}

/// All that a command could change, but the audit log, and plans, which change nothing.
async fn state(store: &Store) -> Vec<String> {
    let mut all = Vec::new();
    for rows in [
        "select 'run ' || id || ' ' || status || ' ' || outcome || coalesce(' paused ' || cast(paused_at as text), '') from operation_runs order by id",
        "select 'request ' || run_id || kind from operation_run_requests order by run_id, kind",
        "select 'user ' || username || cast(active as text) || cast(capabilities as text) || password_hash || cast(updated_at as text) from platform_users order by id",
        "select 'setting ' || key || ' ' || value from platform_settings order by key",
        "select 'alert ' || id || status from alert_deliveries order by id",
        "select 'attempts ' || count(*) from login_attempts",
        "select 'requests ' || count(*) from support_requests",
        "select 'events ' || count(*) from product_usage_events",
        "select 'grants ' || count(*) || ' ' || count(ended_at) from break_glass_grants",
    ] {
        all.extend(texts(store, rows).await);
    }
    all
}

async fn cases(store: &Store) -> Vec<Case> {
    let ops = &store.ops;
    let (one, many) =
        (run(ops, "policy.sync", &[1], false).await, run(ops, "policy.sync", &[1, 2], false).await);
    let (left, lefts) = (
        run(ops, "backup.snapshot", &[1], true).await,
        run(ops, "backup.snapshot", &[1, 2], true).await,
    );
    let rest = run(ops, "inventory.sync", &[3], false).await;
    ops.run(&Actor::System, PauseRun { run_id: rest, consent: sure("PAUSE", rest) }).await.unwrap();
    let failed = format!(
        "insert into operation_run_failures (run_id, tenant_id, reason_code, message, occurred_at, fingerprint) \
         select id, 1, 'timeout', 'it took too long', completed_at, '0123456789ab' from operation_runs where id = {left}"
    );
    store.sql(&failed).await.unwrap();
    let dead = "insert into alert_deliveries (id, event, payload, status, next_attempt_at, created_at) values \
                (7, 'x', '{}', 'dead', '2026-11-20T12:00:00+00:00', '2026-11-20T12:00:00+00:00')";
    store.sql(dead).await.unwrap();
    let stuck = format!(
        "update operation_runs set created_at = '2026-01-01T00:00:00+00:00' where id = {one}"
    );
    store.sql(&stuck).await.unwrap();
    let [one, many, left, lefts, rest] = [one, many, left, lefts, rest].map(|id| id.to_string());
    let with = |words: &[&'static str], more: &[&'static str]| [words, more].concat();
    vec![
        case(&["runs", "cancel", &one], format!("CANCEL {one}"), false),
        case(&["runs", "cancel", &many], format!("CANCEL {many}"), true),
        case(&["runs", "cancel", &one, "--force"], format!("CLOSE {one}"), true),
        case(&["runs", "pause", &one], format!("PAUSE {one}"), false),
        case(&["runs", "resume", &rest], format!("RESUME {rest}"), false),
        case(&["runs", "retry", &left], "RETRY 1", false),
        case(&[&["runs", "retry", lefts.as_str()][..], &WHY].concat(), "RETRY 2", true),
        case(&["failures", "retry", "0123456789ab", "--window", "30d"], "RETRY 1", false),
        case(&["runbooks", "start", BACKFILL, "--tenant", "3"], "BACKFILL 1", false),
        case(&with(&["runbooks", "start", BACKFILL, "--all-tenants"], &WHY), "BACKFILL 4", true),
        case(&["runbooks", "start", "operations.reconcile_stale"], "RECONCILE", true),
        case(&["runbooks", "start", "product_usage.prune"], "PRUNE", true),
        case(&["runbooks", "start", "product_usage.prune", "--input", "days=30"], "PRUNE 30", true),
        case(&["product-usage", "prune"], "PRUNE", true),
        case(&["product-usage", "prune", "--days", "30"], "PRUNE 30", true),
        case(&["product-usage", "prune", "--days", "120"], "PRUNE", true),
        case(&["platform", "set-flag", FLAG, "on"], format!("{FLAG} on"), true),
        case(&["platform", "set-flag", FLAG, "off"], format!("{FLAG} off"), true),
        case(&["platform", "settings", "set", LABEL, "LIVE"], LABEL, false),
        case(&["platform", "settings", "set", DAYS, "30"], DAYS, true),
        case(&["platform", "settings", "reset", LABEL], LABEL, false),
        case(
            &[
                "users",
                "create",
                "eva",
                "--role",
                "viewer",
                "--all-workspaces",
                "--password-file",
                "-",
            ],
            "eva",
            false,
        ),
        case(
            &[
                "users",
                "create",
                "eva",
                "--role",
                "operator",
                "--all-workspaces",
                "--password-file",
                "-",
            ],
            "eva",
            true,
        ),
        case(
            &["users", "set-capabilities", "ben", "--role", "viewer", "--workspace", "1"],
            "ben",
            false,
        ),
        case(&["users", "set-capabilities", "ben", "--role", "administrator"], "ben", true),
        case(&["users", "disable", "ben"], "ben", true),
        case(&["users", "enable", "ben"], "ben", false),
        case(&["users", "unlock", "ben"], "ben", false),
        case(&["users", "reset-password", "ben", "--password-file", "-"], "ben", false),
        case(&["alerts", "retry", "7"], "RETRY ALERT 7", false),
        case(
            &with(
                &[
                    "support",
                    "create",
                    "--tenant",
                    "1",
                    "--summary",
                    "it is slow",
                    "--no-diagnostics",
                ],
                &[],
            ),
            "SEND",
            true,
        ),
        case(
            &[&["break-glass", "enter", "--password-file", "-"][..], &WHY].concat(),
            "BREAK-GLASS",
            false,
        ),
    ]
}

/// Every command without further ones, as help names them.
fn leaves(person: &Person, path: &[String], found: &mut Vec<(String, String)>) {
    let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = person.run(&words).ends(0).out;
    let commands =
        help.split("\nCommands:\n").nth(1).map(|list| list.split("\n\n").next().unwrap());
    let names = commands.unwrap_or_default().lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?.split_whitespace().next()?;
        (!line.starts_with("   ") && name != "help").then(|| name.to_owned())
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() || path == ["overview"] {
        found.push((path.join(" "), help));
    }
    for name in names {
        leaves(person, &[path, &[name]].concat(), found);
    }
}

both_engines! {
    async fn fr_039_001_no_changing_command_writes_without_its_confirmation(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        store.legacy_findings(&[1, 2, 3, 4], 1).await;
        old_event(&store).await;
        let person = Person::administrator(&store.url);
        person.create("ben", &["--role", "viewer"]).ends(0);
        let cases = cases(&store).await;
        let before = state(&store).await;
        let audited = "select count(*) from audit_logs where status = 'succeeded'";
        let decided = "select count(*) from audit_logs where status = 'succeeded' and action not in ('runbooks.preflight', 'support.compose')";
        assert!(store.number(audited).await > 0);
        let decisions = store.number(decided).await;
        for (Case { words, phrase, typed }, wrong) in cases.iter().zip(["yes", "y", "BACKFILL", ""].into_iter().cycle()) {
            let run = |more: &[&str]| {
                let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
                person.run_with(&words, PASSWORD)
            };
            let bare = run(&[]).ends(2);
            assert!(bare.err.contains(phrase), "{words:?}: {bare:?}");
            assert!(run(&["--dry-run"]).ends(0).err.find("to go on").is_none());
            let refused = run(&["--confirm", wrong]).ends(5);
            assert!(refused.err.contains(phrase), "{words:?} {wrong:?}: {refused:?}");
            run(&["--dry-run", "--confirm", "wrong"]).ends(5);
            run(&["--dry-run", "--yes"]).ends(0);
            run(&["--dry-run", "--confirm", phrase]).ends(0);
            if *typed {
                let refused = run(&["--yes"]).ends(2);
                assert!(refused.err.contains(phrase), "{words:?}: {refused:?}");
            }
            assert_eq!(state(&store).await, before, "{words:?}");
            assert_eq!(store.number(decided).await, decisions, "{words:?}");
        }
        // With it they do. What one changes is not asked of another.
        for Case { words, phrase, typed } in cases.iter().rev() {
            let last = state(&store).await;
            let confirm: &[&str] = if *typed { &["--confirm", phrase] } else { &["--yes"] };
            let words: Vec<&str> = words.iter().map(String::as_str).chain(confirm.iter().copied()).collect();
            if words.contains(&"enter") {
                person.run_with(&words, PASSWORD).ends(0);
                assert_ne!(state(&store).await, last, "{words:?}");
                let end = ["break-glass", "end"];
                person.run(&end).ends(2);
                person.run(&[&end[..], &["--dry-run"]].concat()).ends(0);
                person.run(&[&end[..], &["--confirm", "END"]].concat()).ends(5);
                person.run(&[&end[..], &["--yes"]].concat()).ends(0);
            } else if ["alerts", "support", "users", "platform"].contains(&words[0]) {
                person.run_with(&words, PASSWORD);
            }
        }
        assert_ne!(state(&store).await, before);
    }

    async fn fr_039_003_a_reason_says_something_whatever_asks_for_it(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        store.legacy_findings(&[1, 2, 3, 4], 1).await;
        let admin = store.administrator().await;
        let wish = Wish { source: Source::Cli, ..Wish::new(BACKFILL, RunScope::All) };
        let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
        let left = run(&store.ops, "backup.snapshot", &[1, 2], true).await;
        let planned = store.ops.run(&admin.actor, PlanRetry { run_id: left }).await.unwrap();
        assert_eq!((planned.targets(), planned.confirmation.phrase.as_str()), (2, "RETRY 2"));
        let retry = |reason: Option<StartReason>| RetryRun {
            run_id: left,
            consent: Consent::typed("RETRY 2").because(reason),
            source: Source::Cli,
            request_id: None,
            wait_for_worker: true,
        };
        for says_nothing in [None, Some("a"), Some("ab"), Some("it hangs"), Some("aaaaaaaaaaaa"), Some("test test test"), Some("asdf asdf qwer"), Some("1234567890")] {
            let why = says_nothing.map(|text| StartReason::as_typed(StartReasonCode::Support, text));
            let refused: [Result<()>; 2] = [
                store.ops.run(&admin.actor, because(&wish.start(&plan), why.clone())).await.map(drop),
                store.ops.run(&admin.actor, retry(why)).await.map(drop),
            ];
            for error in refused {
                assert_eq!(error.unwrap_err().kind(), ErrorKind::Usage, "{says_nothing:?}");
            }
        }
        assert_eq!(store.number("select count(*) from operation_runs where source = 'cli'").await, 0);
        store.ops.run(&admin.actor, wish.start(&plan)).await.unwrap();
        let again = store.ops.run(&admin.actor, retry(Some(reason()))).await.unwrap().started.run_id;
        let context = store.text(&format!("select cast(context as text) from operation_runs where id = {again}")).await;
        let context: Value = serde_json::from_str(&context).unwrap();
        assert_eq!(context["reason"]["text"], "rows of the import");
    }

    async fn fr_039_004_fewer_days_than_kept_need_their_own_phrase_everywhere(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        old_event(&store).await;
        let person = Person::administrator(&store.url);
        // A plan that was made under another setting has another phrase by now.
        let input = ["--input", "days=80"];
        let start = |more: &[&str]| person.run(&[&["runbooks", "start", "product_usage.prune"], &input[..], more].concat());
        start(&["--confirm", "PRUNE"]).ends(5);
        let plan = person.run(&[&["runbooks", "preflight", "product_usage.prune", "--json"], &input[..]].concat()).ends(0).json()["plan"].clone();
        assert_eq!(plan["phrase"], "PRUNE 80");
        person.run(&["platform", "settings", "set", DAYS, "60", "--confirm", DAYS]).ends(0);
        let id = plan["id"].to_string();
        let stale = person.run(&["runbooks", "start", "product_usage.prune", "--plan", &id, "--confirm", "PRUNE 80"]).ends(5);
        assert!(stale.err.contains("changed since preflight"), "{stale:?}");
        start(&["--dry-run", "--confirm", "PRUNE"]).ends(0);
        // The console's plan, and a retry.
        let admin = store.login("ana").await;
        let wish = Wish { inputs: json!({ "days": 30 }), source: Source::Console, ..Wish::new("product_usage.prune", RunScope::Platform) };
        let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
        assert_eq!(plan.confirmation().asks(), "PRUNE 30");
        let made = store.ops.run(&admin.actor, wish.start(&plan)).await.unwrap().run_id;
        store.ops.run(&admin.actor, CancelRun { run_id: made, consent: sure("CANCEL", made) }).await.unwrap();
        let again = person.run(&["runs", "retry", &made.to_string(), "--confirm", "PRUNE"]).ends(5);
        assert!(again.err.contains("start product_usage.prune again instead"), "{again:?}");
        // A deployment says it in its declaration.
        let deploy = |confirm: &str, dry: &[&str]| {
            let file = person.dir("config.toml");
            let declared = format!("[[deploy.runbooks]]\nid = \"prune\"\nrunbook = \"product_usage.prune\"\ninputs = {{ days = 30 }}\n{confirm}\n");
            std::fs::write(&file, declared).unwrap();
            let file = file.to_string_lossy().into_owned();
            person.run(&[&["--config", &file, "runbooks", "deploy"], dry].concat())
        };
        let runs = store.number("select count(*) from operation_runs").await;
        for dry in [&["--dry-run"][..], &[]] {
            let refused = deploy("", dry).ends(2);
            assert!(refused.err.contains("declare: confirm = \"PRUNE 30\""), "{refused:?}");
            deploy("confirm = \"PRUNE 31\"", dry).ends(5);
        }
        assert_eq!(store.number("select count(*) from operation_runs").await, runs);
        deploy("confirm = \"PRUNE 30\"", &["--dry-run"]).ends(0);
        deploy("confirm = \"PRUNE 30\"", &[]).ends(0);
        assert_eq!(store.number("select count(*) from operation_runs").await, runs + 1);
    }

    async fn fr_039_005_texts_about_runbooks_follow_the_rule(store) {
        let person = Person::administrator(&store.url);
        let show = |key: &str| person.run(&["runbooks", "show", key]).ends(0).out;
        let backfill = show(BACKFILL);
        assert!(backfill.contains("one tenant: type y or BACKFILL 1; 412 tenants: type BACKFILL 412 and a reason"), "{backfill}");
        assert!(show("operations.reconcile_stale").contains("confirmed  type RECONCILE\n"));
        let prune = show("product_usage.prune");
        assert!(prune.contains("confirmed  type PRUNE; PRUNE <days> for fewer days than"), "{prune}");
    }

    async fn fr_039_002_a_command_without_these_options_reads_or_is_named(store) {
        let person = Person::administrator(&store.url);
        let mut found = Vec::new();
        leaves(&person, &[], &mut found);
        let mut confirmed = 0;
        for (command, help) in &found {
            let takes = ["--yes", "--confirm <", "--dry-run"].map(|option| help.contains(&format!("      {option}")));
            if takes == [true; 3] {
                confirmed += 1;
                continue;
            }
            let reads = READING.contains(&command.split(' ').next_back().unwrap()) || command == "overview";
            assert!(reads || UNCONFIRMED.contains(&command.as_str()), "{command}: {takes:?}\n{help}");
        }
        assert!(confirmed >= 19 && found.len() > 40, "{confirmed} of {}", found.len());
    }
}
