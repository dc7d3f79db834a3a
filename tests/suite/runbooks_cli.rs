//! The command line of runbooks: show, preflight, plans and their export, start, flags.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::safe_text::clean;
use tenantpilot::ops::Engine;
use tenantpilot::ops::runs::StartRun;

use crate::cli::{Done, Person, done};
use crate::cli_terminal::Terminal;
use crate::support::stores::{Store, block_on, both_engines};

const BACKFILL: &str = "findings.lifecycle_backfill";
const FLAG: &str = "allow_admin_maintenance_actions";
const REASON: [&str; 4] = ["--reason-code", "DATA_REPAIR", "--reason", "rows of the import"];
const RUNS: &str = "select count(*) from operation_runs";
const REFUSED: &str =
    "select count(*) from audit_logs where action = 'runbooks.start' and status <> 'succeeded'";

/// Four tenants with three legacy findings each.
async fn platform(store: Store) -> Store {
    let store = store.with_platform().await.with_active_worker().await;
    store.legacy_findings(&[1, 2, 3, 4], 3).await;
    store
}

fn runbooks(person: &Person, words: &[&str], more: &[&str]) -> Done {
    person.run(&[&["runbooks"], words, more].concat())
}

fn plan_of(person: &Person, more: &[&str]) -> Value {
    let done = runbooks(person, &["preflight", BACKFILL, "--json"], more);
    done.ends(0).json()["plan"].clone()
}

fn number(value: &Value) -> String {
    value.as_i64().unwrap().to_string()
}

/// Another platform user, logged in at a machine of their own.
fn colleague(admin: &Person, url: &str, name: &str, role: &[&str]) -> Person {
    admin.create(name, role).ends(0);
    let person = Person::at(url);
    person.login(name).ends(0);
    person
}

both_engines! {
    async fn fr_022_001_a_runbook_says_what_it_does_and_whether_one_may_start_it(store) {
        let store = platform(store).await;
        let admin = Person::administrator(&store.url);
        let list = runbooks(&admin, &["list", "--json"], &[]).ends(0).json();
        assert_eq!(list["runbooks"].as_array().unwrap().len(), 4);
        let shown = runbooks(&admin, &["show", BACKFILL, "--json"], &[]).ends(0).json()["runbook"].clone();
        assert_eq!((&shown["held"], &shown["word"]), (&true.into(), &"BACKFILL".into()));
        assert_eq!(shown["capability"], "platform.runbooks.findings.lifecycle_backfill");
        assert_eq!(shown["scopes"], serde_json::json!(["tenant", "tenants", "workspace", "all"]));
        assert_eq!(shown["last_runs"], serde_json::json!([]));
        let inputs = runbooks(&admin, &["show", "product_usage.prune"], &[]).ends(0).out;
        assert!(inputs.contains("days") && inputs.contains("cannot be undone"), "{inputs}");
        assert!(inputs.contains("you hold it"), "{inputs}");
        let viewer = colleague(&admin, &store.url, "vic", &["--role", "viewer"]);
        assert!(runbooks(&viewer, &["show", BACKFILL], &[]).ends(0).out.contains("you lack it"));
        runbooks(&admin, &["start", BACKFILL, "--tenant", "1", "--yes"], &[]).ends(0);
        let shown = runbooks(&viewer, &["show", BACKFILL, "--json"], &[]).ends(0).json();
        assert_eq!(shown["runbook"]["last_runs"].as_array().unwrap().len(), 1);
        // Without a login nothing is told.
        let nobody = Person::at(&store.url);
        runbooks(&nobody, &["show", BACKFILL, "--json"], &[]).ends(4);
        runbooks(&nobody, &["list"], &[]).ends(4);
        let unknown = runbooks(&admin, &["show", "no.such"], &[]).ends(2);
        assert!(unknown.err.contains(BACKFILL), "{unknown:?}");
    }

    async fn fr_022_002_a_preflight_counts_and_tells_the_command_that_starts_it(store) {
        let store = platform(store).await;
        let admin = Person::administrator(&store.url);
        let nothing = runbooks(&admin, &["preflight", BACKFILL], &[]).ends(2);
        assert!(nothing.err.contains("--all-tenants"), "{nothing:?}");
        runbooks(&admin, &["preflight", BACKFILL, "--tenant", "1", "--all-tenants"], &[]).ends(2);
        runbooks(&admin, &["preflight", "product_usage.prune", "--tenant", "1"], &[]).ends(2);
        let plan = plan_of(&admin, &["--all-tenants"]);
        for (field, value) in [
            ("affected_count", 12.into()), ("total_count", 12.into()), ("tenant_count", 4.into()),
            ("affected_tenant_count", 4.into()), ("fleet_count", 4.into()), ("phrase", "BACKFILL 4".into()),
            ("must_confirm", true.into()), ("scope_kind", "all".into()), ("share_percent", Value::from(100.0)),
            ("runbook", BACKFILL.into()), ("expected_seconds", Value::Null), ("expected_runs", 0.into()),
        ] {
            assert_eq!(plan[field], value, "{field} of {plan}");
        }
        assert_eq!(plan["hash"].as_str().unwrap().len(), 64);
        assert_eq!(plan["scope"], serde_json::json!({ "all": true }));
        assert!(plan["expires_at"].as_str().unwrap() > plan["created_at"].as_str().unwrap());
        assert_eq!(plan_of(&admin, &["--workspace", "1"])["share_percent"], 50.0);
        let text = runbooks(&admin, &["preflight", BACKFILL, "--tenant", "3", "--tenant", "1", "--tenant", "3"], &[]).ends(0);
        for part in ["tenants 1, 3 (50 %)", "6 of 6 findings at 2 tenants", "BACKFILL 2", "UTC"] {
            assert!(text.out.contains(part), "{part} is not in {text:?}");
        }
        // The command that it tells starts it, once the reason is filled in.
        let command = text.err.lines().find_map(|line| line.strip_prefix("start it: tenantpilot ")).unwrap();
        let script = format!("tenantpilot {}", command.replace("'...'", "'the import'"));
        let started = shell(&admin, &["-c", &script]).ends(0);
        assert!(started.out.contains("queued as run"), "{started:?}");
        // As it stands it is refused: three dots are no reason.
        let dots = plan_of(&admin, &["--workspace", "2"]);
        let words = ["start", BACKFILL, "--plan", &number(&dots["id"]), "--confirm", "BACKFILL 2"];
        runbooks(&admin, &words, &["--reason-code", "DATA_REPAIR", "--reason", "..."]).ends(2);
        assert_eq!(store.number(RUNS).await, 1, "a preflight starts nothing");
        let none = runbooks(&admin, &["preflight", "product_usage.prune"], &[]).ends(0);
        assert!(none.err.contains("nothing to start") && none.out.contains("the platform itself"), "{none:?}");
    }

    async fn fr_022_003_targets_are_listed_and_written_to_a_private_file_that_was_not_there(store) {
        let store = platform(store).await;
        let hostile = "=2+3\u{1b}[31m,\"x\"";
        store.sql(&format!("update tenants set name = '{hostile}' where id = 2")).await.unwrap();
        let admin = Person::administrator(&store.url);
        let all = ["preflight", BACKFILL, "--all-tenants"];
        let answer = runbooks(&admin, &all, &["--targets", "--json", "--csv", "plan.csv"]).ends(0).json();
        let targets = answer["targets"].as_array().unwrap();
        assert_eq!(targets.len(), 4);
        assert!(targets.iter().all(|t| t["affected_count"] == 3 && t["tenant_id"].is_i64()), "{answer}");
        let file = admin.dir("plan.csv");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let csv = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "tenant_id,tenant_name,workspace_id,workspace_name,affected_count,total_count");
        assert_eq!((lines.len(), lines[1]), (5, "1,Contoso DE,1,Contoso,3,3"));
        assert_eq!(lines[2], "2,\"'=2+3\u{fffd}[31m,\"\"x\"\"\",1,Contoso,3,3");
        let again = runbooks(&admin, &all, &["--csv", "plan.csv"]).ends(2);
        assert!(again.err.contains("is there already"), "{again:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), csv, "nothing is overwritten");
        // What is refused leaves no file; a folder that is not there is no file either.
        runbooks(&admin, &["preflight", BACKFILL, "--tenant", "777"], &["--csv", "new.csv"]).ends(4);
        assert!(!admin.dir("new.csv").exists());
        runbooks(&admin, &all, &["--csv", "no/where.csv"]).ends(2);
        let out = runbooks(&admin, &["plan", &number(&answer["plan"]["id"])], &["--csv", "-"]).ends(0);
        assert_eq!(out.out, csv, "the same by the stored plan, and nothing else on stdout");
        assert!(out.err.contains("BACKFILL 4"), "{out:?}");
        runbooks(&admin, &all, &["--csv", "-", "--json"]).ends(2);
        let text = runbooks(&admin, &all, &["--targets"]).ends(0).out;
        assert!(text.lines().any(|line| line.trim_start().starts_with("2  =2+3\u{fffd}[31m")), "{text}");
        assert!(text.lines().all(|line| clean(line) == line), "{text}");
    }

    async fn fr_022_004_a_stored_plan_is_shown_to_whoever_made_it(store) {
        let store = platform(store).await;
        let admin = Person::administrator(&store.url);
        let plan = plan_of(&admin, &["--tenant", "1"]);
        let id = number(&plan["id"]);
        let again = runbooks(&admin, &["plan", &id, "--targets", "--json"], &[]).ends(0).json();
        assert_eq!(again["plan"], plan);
        assert_eq!(again["targets"].as_array().unwrap().len(), 1);
        let ben = colleague(&admin, &store.url, "ben", &["--role", "operator"]);
        let other = runbooks(&ben, &["plan", &id], &[]).ends(4);
        let none = runbooks(&ben, &["plan", "4711"], &[]).ends(4);
        assert_eq!(other.err.replace(&id, "N"), none.err.replace("4711", "N"), "the same answer");
        runbooks(&admin, &["plan", "x"], &[]).ends(2);
        runbooks(&admin, &["start", BACKFILL, "--plan", &id, "--yes"], &[]).ends(0);
        let used = runbooks(&admin, &["plan", &id], &[]).ends(0);
        assert!(used.out.contains("used by run") && used.err.contains("runs show"), "{used:?}");
    }

    async fn fr_022_005_a_start_by_plan_is_held_to_it(store) {
        let store = platform(store).await;
        let admin = Person::administrator(&store.url);
        let id = number(&plan_of(&admin, &["--workspace", "1"])["id"]);
        let start = |more: &[&str]| {
            let words = ["start", BACKFILL, "--plan", &id, "--confirm", "BACKFILL 2"];
            runbooks(&admin, &words, &[more, &REASON].concat())
        };
        let other = start(&["--all-tenants"]).ends(5);
        assert!(other.err.contains("another scope: workspace 1"), "{other:?}");
        let inputs = start(&["--input", "days=3"]).ends(2);
        assert!(inputs.err.contains("--plan"), "{inputs:?}");
        store.legacy_findings(&[3], 0).await;
        store.sql("update findings set status = 'new', times_seen = 1 where tenant_id = 1").await.unwrap();
        store.sql("update findings set first_seen_at = created_at, last_seen_at = created_at, sla_days = 7, due_at = created_at where tenant_id = 1").await.unwrap();
        let changed = start(&[]).ends(5);
        assert!(changed.err.contains("changed since preflight: tenant 1"), "{changed:?}");
        assert_eq!((store.number(RUNS).await, store.number(REFUSED).await), (0, 2));
        let wrong = runbooks(&admin, &["start", "product_usage.prune", "--plan", &id], &[]).ends(5);
        assert!(wrong.err.contains(BACKFILL), "{wrong:?}");
        let id = number(&plan_of(&admin, &["--workspace", "2"])["id"]);
        let words = ["start", BACKFILL, "--plan", &id, "--workspace", "2", "--confirm", "BACKFILL 2", "--json"];
        let started = runbooks(&admin, &words, &REASON).ends(0).json();
        assert_eq!((&started["created"], number(&started["plan"]["id"])), (&true.into(), id));
        assert_eq!(started["run"]["scope"], "workspace");
    }

    async fn fr_022_007_where_nobody_can_be_asked_what_is_missing_is_named(store) {
        let store = platform(store).await;
        let admin = Person::administrator(&store.url);
        let all = ["start", BACKFILL, "--all-tenants"];
        for more in [&[][..], &["--no-input"]] {
            let phrase = runbooks(&admin, &all, &[more, &REASON].concat()).ends(2);
            assert!(phrase.err.contains("--confirm 'BACKFILL 4'"), "{phrase:?}");
            let reason = runbooks(&admin, &all, &[more, &["--confirm", "BACKFILL 4"]].concat()).ends(2);
            assert!(reason.err.contains("--reason-code and --reason"), "{reason:?}");
            assert!(phrase.out.is_empty() && reason.out.is_empty());
            assert!(phrase.err.contains("ALL (4 tenants, 100 %)"), "the preflight is shown: {phrase:?}");
        }
        assert_eq!((store.number(RUNS).await, store.number(REFUSED).await), (0, 4));
    }

    async fn fr_022_008_what_was_given_goes_to_the_operation_and_refusals_are_on_record(store) {
        let store = platform(store).await;
        let admin = Person::administrator(&store.url);
        let all = ["start", BACKFILL, "--all-tenants"];
        let mut refusals = 0;
        for confirm in ["BACKFILL 3", "backfill 4", "BACKFILL 4 ", "BACKFILL\u{a0}4", ""] {
            let refused = runbooks(&admin, &all, &[&["--confirm", confirm][..], &REASON].concat()).ends(5);
            refusals += 1;
            assert!(refused.err.contains("type exactly: BACKFILL 4"), "{refused:?}");
            assert_eq!((store.number(RUNS).await, store.number(REFUSED).await), (0, refusals));
        }
        // A plan of somebody else, and one that is not there.
        let id = number(&plan_of(&admin, &["--tenant", "1"])["id"]);
        let ben = colleague(&admin, &store.url, "ben", &["--role", "operator"]);
        for plan in [id.as_str(), "4711"] {
            runbooks(&ben, &["start", BACKFILL, "--plan", plan], &[]).ends(4);
        }
        // Who may not start anything.
        let viewer = colleague(&admin, &store.url, "vic", &["--role", "viewer"]);
        let denied = runbooks(&viewer, &["start", BACKFILL, "--plan", &id], &[]).ends(3);
        assert!(denied.err.contains("platform.runbooks.run"), "{denied:?}");
        assert_eq!((store.number(RUNS).await, store.number(REFUSED).await), (0, refusals + 3));
        let by = "select count(*) from audit_logs where action = 'runbooks.start' and status = 'denied' and actor_name = 'vic'";
        assert_eq!(store.number(by).await, 1);
        let blank = ["--reason-code", "INCIDENT", "--reason", " \u{200b}\u{7} ", "--confirm", "BACKFILL 4"];
        runbooks(&admin, &all, &blank).ends(2);
        assert_eq!(store.number(RUNS).await, 0);
    }

    async fn fr_022_009_a_rehearsal_checks_everything_and_starts_nothing(store) {
        let store = platform(store).await;
        let admin = Person::administrator(&store.url);
        let all = ["start", BACKFILL, "--all-tenants", "--dry-run"];
        let right = [&["--confirm", "BACKFILL 4", "--canary", "1"][..], &REASON].concat();
        let text = runbooks(&admin, &all, &right).ends(0);
        assert!(text.out.contains("12 of 12 findings") && text.out.contains("nothing was started"), "{text:?}");
        assert!(text.err.contains("--canary 1 --reason-code DATA_REPAIR --reason 'rows of the import'"), "{text:?}");
        let json = runbooks(&admin, &all, &[&right[..], &["--json"]].concat()).ends(0).json();
        assert_eq!((&json["dry_run"], &json["created"], &json["run_id"]), (&true.into(), &false.into(), &Value::Null));
        assert_eq!(json["plan"]["affected_count"], 12);
        // It needs no phrase and no reason; what is given has to be right.
        runbooks(&admin, &all, &[]).ends(0);
        runbooks(&admin, &all, &["--confirm", "BACKFILL 4", "--reason-code", "INCIDENT", "--reason", "ab"]).ends(2);
        runbooks(&admin, &all, &[&["--confirm", "BACKFILL 5"][..], &REASON].concat()).ends(5);
        assert_eq!(store.number(RUNS).await, 0);
        // Its plan is not used up: what it rehearsed is what starts.
        let id = number(&json["plan"]["id"]);
        let words = ["start", BACKFILL, "--plan", &id, "--confirm", "BACKFILL 4", "--json"];
        let started = runbooks(&admin, &words, &REASON).ends(0).json();
        let again = runbooks(&admin, &all, &[&right[..], &["--json"]].concat()).ends(0).json();
        assert_eq!((&again["created"], &again["run_id"]), (&false.into(), &started["run"]["id"]));
        let other = runbooks(&admin, &["start", BACKFILL, "--tenant", "1", "--dry-run"], &[]).ends(5);
        assert!(other.err.contains("is already"), "a lock refuses the rehearsal, too: {other:?}");
        assert_eq!(store.number(RUNS).await, 1);
    }

    async fn fr_022_010_exit_codes_tell_refusals_apart(store) {
        let store = platform(store).await;
        let admin = Person::administrator(&store.url);
        let nobody = Person::at(&store.url);
        let viewer = colleague(&admin, &store.url, "vic", &["--role", "viewer"]);
        for words in [
            &["preflight", BACKFILL, "--tenant", "1"][..],
            &["plan", "1"],
            &["start", BACKFILL, "--tenant", "1", "--yes"],
        ] {
            runbooks(&nobody, words, &[]).ends(4);
        }
        let forbidden = runbooks(&viewer, &["preflight", BACKFILL, "--tenant", "1"], &[]).ends(3);
        assert!(forbidden.err.contains("platform.runbooks.findings.lifecycle_backfill"), "{forbidden:?}");
        for (words, code) in [
            (&["preflight", BACKFILL, "--tenant", "9"][..], 5),
            (&["preflight", BACKFILL, "--tenant", "8"], 5),
            (&["preflight", BACKFILL, "--tenant", "777"], 4),
            (&["preflight", BACKFILL, "--workspace", "77"], 4),
            (&["preflight", BACKFILL, "--tenant", "-1"], 2),
            (&["preflight", BACKFILL, "--tenant", "1", "--input", "x"], 2),
            (&["preflight", BACKFILL, "--tenant", "1", "--input", "x=1"], 2),
            (&["start", BACKFILL, "--tenant", "1", "--reason", "alone", "--yes"], 2),
            (&["start", BACKFILL, "--tenant", "1", "--concurrency", "0", "--yes"], 2),
            (&["start", "no.such", "--tenant", "1", "--yes"], 2),
            (&["start", "no.such", "--plan", "1"], 2),
        ] {
            let done = runbooks(&admin, words, &[]).ends(code);
            assert!(done.out.is_empty() && done.err.contains("error: "), "{done:?}");
        }
        let gone = Person::at("postgres://nobody@127.0.0.1:1/none");
        runbooks(&gone, &["preflight", BACKFILL, "--tenant", "1"], &[]).ends(7);
    }

    async fn fr_022_011_a_script_does_the_whole_work_by_the_command_line(store) {
        let store = platform(store).await;
        let admin = Person::administrator(&store.url);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/scripts/runbooks_flow.sh");
        let done = shell(&admin, &[script]).ends(0);
        assert!(done.out.contains("run "), "{done:?}");
        assert_eq!(store.number(RUNS).await, 1);
        assert_eq!(store.number("select count(*) from findings where status = 'new'").await, 12);
    }

    async fn fr_022_012_who_may_start_but_not_look_is_told_the_run(store) {
        let store = platform(store).await;
        let admin = Person::administrator(&store.url);
        colleague(&admin, &store.url, "rob", &["--role", "operator"]);
        let set = [
            "users", "set-capabilities", "rob", "--capability", "platform.access_system_panel",
            "--capability", "platform.runbooks.view", "--capability", "platform.runbooks.run",
            "--capability", "platform.runbooks.findings.lifecycle_backfill", "--yes",
        ];
        admin.run(&set).ends(0);
        let rob = Person::at(&store.url);
        rob.login("rob").ends(0);
        let started = runbooks(&rob, &["start", BACKFILL, "--tenant", "1", "--json", "--yes"], &[]).ends(0).json();
        assert_eq!(started["created"], true);
        let text = runbooks(&rob, &["start", BACKFILL, "--tenant", "2", "--yes"], &[]).ends(0);
        assert!(text.out.contains("queued as run"), "{text:?}");
        assert_eq!(store.number(&format!("select count(*) from operation_runs where id = {}", started["run"]["id"])).await, 1);
        assert_eq!(store.number(RUNS).await, 2);
    }

    async fn fr_022_020_flags_of_the_platform_are_changed_confirmed_and_on_record(store) {
        let store = platform(store).await;
        let admin = Person::administrator(&store.url);
        let flags = admin.run(&["platform", "flags", "--json"]).ends(0).json();
        assert_eq!((&flags["flags"][0]["name"], &flags["flags"][0]["on"]), (&FLAG.into(), &false.into()));
        let set = |more: &[&str]| admin.run(&[&["platform", "set-flag"], more].concat());
        let missing = set(&[FLAG, "on"]).ends(2);
        assert!(missing.err.contains("--confirm 'allow_admin_maintenance_actions on'"), "{missing:?}");
        let on = "allow_admin_maintenance_actions on";
        set(&[FLAG, "on", "--confirm", "allow_admin_maintenance_actions off"]).ends(5);
        let unknown = set(&["allow_all\u{1b}[31m", "on", "--confirm", "x"]).ends(2);
        assert!(unknown.err.contains(FLAG) && !unknown.err.contains('\u{1b}'), "{unknown:?}");
        set(&[FLAG, "maybe"]).ends(2);
        let rows = |status: &str| format!("select count(*) from audit_logs where action = 'platform.set_flag' and status = '{status}'");
        assert_eq!(store.number(&rows("refused")).await, 3);
        let rehearsed = set(&[FLAG, "on", "--confirm", on, "--dry-run"]).ends(0);
        assert!(rehearsed.out.contains("nothing was changed"), "{rehearsed:?}");
        assert_eq!(store.number("select count(*) from platform_settings where key = 'allow_admin_maintenance_actions'").await, 0);
        let customer = Actor::Customer { user_id: 1 };
        let theirs = StartRun::for_tenant(BACKFILL, 1, Source::Admin);
        assert_eq!(store.ops.run(&customer, theirs.clone()).await.unwrap_err().kind(), ErrorKind::Refused);
        let changed = set(&[FLAG, "on", "--confirm", on, "--json"]).ends(0).json();
        assert_eq!((&changed["flag"]["on"], &changed["changed"]), (&true.into(), &true.into()));
        assert!(store.ops.run(&customer, theirs).await.unwrap().created, "that is what it is for");
        let again = set(&[FLAG, "on", "--confirm", on]).ends(0);
        assert!(again.out.contains("on already"), "{again:?}");
        assert_eq!(store.number(&rows("succeeded")).await, 1, "what changes nothing is no change");
        let text = "select cast(before_state as text) || ' ' || cast(after_state as text) from audit_logs where action = 'platform.set_flag' and status = 'succeeded'";
        let states = store.text(text).await.replace(' ', "");
        assert_eq!(states, r#"{"on":false}{"on":true}"#);
        assert!(admin.run(&["platform", "flags"]).ends(0).out.contains("on"));
        let ben = colleague(&admin, &store.url, "ben", &["--role", "operator"]);
        ben.run(&["platform", "flags"]).ends(3);
        let denied = ben.run(&["platform", "set-flag", FLAG, "off", "--confirm", "allow_admin_maintenance_actions off"]).ends(3);
        assert!(denied.err.contains("platform.users.manage"), "{denied:?}");
        assert_eq!(store.number(&rows("denied")).await, 1);
    }
}

/// Runs a shell as this person, where `tenantpilot` is found.
fn shell(person: &Person, arguments: &[&str]) -> Done {
    let plain = person.command(&[]);
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_tenantpilot")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("sh");
    command
        .args(arguments)
        .env_clear()
        .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("PATH", format!("{}:{path}", binary.display()))
        .current_dir(person.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    done(&mut command, None)
}

#[test]
fn fr_022_006_at_a_terminal_the_plan_is_shown_and_the_phrase_is_typed() {
    let store = block_on(async { platform(Store::new(Engine::Sqlite).await).await });
    let admin = Person::administrator(&store.url);
    let arguments = [&["runbooks", "start", BACKFILL, "--all-tenants"][..], &REASON].concat();
    for (typed, code) in [("\r", 2), ("\u{4}", 2), ("backfill 4\r", 5), ("BACKFILL 3\r", 5)] {
        let mut start = Terminal::start(&admin, &arguments, &[]);
        let seen = start.wait_for("Type \"BACKFILL 4\" to go on:");
        assert!(seen.contains("12 of 12 findings at 4 tenants"), "{seen}");
        start.type_in(typed);
        start.wait_for("BACKFILL 4");
        assert_eq!(start.end(), code, "{typed:?}");
    }
    block_on(async {
        assert_eq!((store.number(RUNS).await, store.number(REFUSED).await), (0, 4));
    });
    // Without the reason that it needs, nothing is asked: it could not start anyway.
    let mut bare = Terminal::start(&admin, &arguments[..4], &[]);
    assert!(!bare.wait_for("needs a reason").contains("to go on"));
    assert_eq!(bare.end(), 2);
    let mut silent = Terminal::start(&admin, &[&arguments[..], &["--no-input"]].concat(), &[]);
    assert!(!silent.wait_for("--confirm").contains("to go on"));
    assert_eq!(silent.end(), 2);
    let mut start = Terminal::start(&admin, &arguments, &[]);
    start.wait_for("to go on:");
    start.type_in("BACKFILL 4\r");
    start.wait_for("queued as run");
    assert_eq!(start.end(), 0);
    block_on(async { assert_eq!(store.number(RUNS).await, 1) });
}

#[test]
fn fr_022_020_at_a_terminal_a_flag_is_changed_by_typing_what_it_becomes() {
    let store = block_on(Store::new(Engine::Sqlite));
    let admin = Person::administrator(&store.url);
    let mut unknown = Terminal::start(&admin, &["platform", "set-flag", "nope", "on"], &[]);
    assert!(!unknown.wait_for("there is no flag").contains("to go on"));
    assert_eq!(unknown.end(), 2);
    for (typed, code) in [("\r", 2), ("yes\r", 5), ("allow_admin_maintenance_actions on\r", 0)] {
        let mut set = Terminal::start(&admin, &["platform", "set-flag", FLAG, "on"], &[]);
        let seen = set.wait_for("to go on:");
        assert!(seen.contains("is off; while it is on, customers may start maintenance"), "{seen}");
        set.type_in(typed);
        assert_eq!(set.end(), code, "{typed:?}");
    }
    assert!(admin.run(&["platform", "flags", "--json"]).ends(0).out.contains("\"on\": true"));
}

#[test]
fn fr_022_013_hostile_names_never_reach_the_terminal_and_ids_are_shown() {
    let store = block_on(async { platform(Store::new(Engine::Sqlite).await).await });
    let hostile = "Con\u{1b}[31mtoso\u{202e}\u{9b}\u{200b}";
    block_on(async {
        store.sql(&format!("update tenants set name = '{hostile}'")).await.unwrap();
        store.sql(&format!("update workspaces set name = '{hostile}'")).await.unwrap();
    });
    let admin = Person::administrator(&store.url);
    let words = ["preflight", BACKFILL, "--all-tenants", "--targets"];
    for more in [&[][..], &["--csv", "-"], &["--json"], &["--ascii"]] {
        let shown = runbooks(&admin, &words, more).ends(0);
        for line in shown.out.lines().chain(shown.err.lines()) {
            assert_eq!(clean(line), line, "{more:?}");
        }
        let id = |line: &str| {
            ["4 ", "4,", "\"tenant_id\": 4"].iter().any(|id| line.trim_start().starts_with(id))
        };
        assert!(shown.out.lines().any(id), "{shown:?}");
    }
}
