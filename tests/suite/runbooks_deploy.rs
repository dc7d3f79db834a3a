//! The deploy hook: what a configuration declares, and that each piece is started once.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use tenantpilot::config::{Config, DeclaredScope, Flags, Sources};
use tenantpilot::domain::rollout::{ErrorThreshold, Rollout};

use crate::cli::{Done, Person};
use crate::support::stores::both_engines;

const RUNS: &str = "select count(*) from operation_runs";

/// A declaration of the backfill.
pub fn backfill(id: &str, aimed: &str) -> String {
    format!(
        "[[deploy.runbooks]]\nid = \"{id}\"\nrunbook = \"findings.lifecycle_backfill\"\n{aimed}\n\
         reason_code = \"DATA_REPAIR\"\nreason = \"rows of the March import\"\n"
    )
}

pub fn declare(person: &Person, declarations: &[String]) {
    std::fs::create_dir_all(person.dir("config")).unwrap();
    std::fs::write(person.dir("config/config.toml"), declarations.join("\n")).unwrap();
}

fn deploy(person: &Person, more: &[&str]) -> Done {
    person.run(&[&["runbooks", "deploy"], more].concat())
}

/// The results, in the order of the declarations.
fn results(done: Done, code: i32) -> Vec<String> {
    let answer = done.ends(code).json();
    let rows = answer["deployments"].as_array().unwrap();
    rows.iter().map(|row| row["result"].as_str().unwrap().to_owned()).collect()
}

fn load(text: &str) -> Result<Config, String> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        default_file: None::<PathBuf>,
        file: Some(file),
        env: &|_| None,
        flags: Flags::default(),
    };
    Config::load(sources).map_err(|error| {
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    })
}

#[test]
fn fr_022_014_declarations_are_read_with_everything_they_say() {
    let text = r#"
        poll_interval = "5s"
        [[deploy.runbooks]]
        id = "2026-03-import"
        runbook = "findings.lifecycle_backfill"
        tenants = [7, 4, 7]
        reason_code = "DATA_REPAIR"
        reason = "rows of the March import"
        concurrency = 8
        error_threshold = "10%"
        canary = 3
        [[deploy.runbooks]]
        id = "prune"
        runbook = "product_usage.prune"
        inputs = { days = 30, hard = true, why = "x" }
        error_threshold = 0
        [[deploy.runbooks]]
        id = "w"
        runbook = "findings.lifecycle_backfill"
        workspace = 3
        [[deploy.runbooks]]
        id = "a"
        runbook = "findings.lifecycle_backfill"
        all_tenants = true
    "#;
    let declared = load(text).unwrap().deployments;
    assert_eq!(declared.len(), 4);
    let first = &declared[0];
    assert_eq!(
        (first.id.as_str(), first.runbook.as_str()),
        ("2026-03-import", "findings.lifecycle_backfill")
    );
    assert_eq!(first.scope, DeclaredScope::Tenants(vec![4, 7]));
    let threshold = Some(ErrorThreshold::Percent(10));
    assert_eq!(first.rollout, Rollout { concurrency: 8, error_threshold: threshold, canary: 3 });
    assert_eq!(first.reason.as_ref().unwrap().text, "rows of the March import");
    assert_eq!(declared[1].inputs, json!({ "days": 30, "hard": true, "why": "x" }));
    assert_eq!(declared[1].scope, DeclaredScope::Platform);
    assert_eq!(declared[1].rollout.error_threshold, Some(ErrorThreshold::Count(0)));
    assert_eq!(declared[2].scope, DeclaredScope::Workspace(3));
    assert_eq!(declared[3].scope, DeclaredScope::All);
    assert!(load("theme = \"light\"").unwrap().deployments.is_empty());
    assert!(load("[deploy]\nrunbooks = []").unwrap().deployments.is_empty());
}

#[test]
fn fr_022_014_the_examples_of_readme_and_help_are_good_declarations() {
    let readme = include_str!("../../README.md");
    let sample = readme.split("```toml\n[[deploy").nth(1).unwrap().split("```").next().unwrap();
    let help = deploy(&Person::at(""), &["--help"]).ends(0).out;
    let example = help.split("[[deploy").nth(1).unwrap().split("\n\n").next().unwrap();
    for text in [sample, example] {
        let declared = load(&format!("[[deploy{text}")).unwrap().deployments;
        assert_eq!((declared.len(), &declared[0].scope), (1, &DeclaredScope::All), "{text}");
    }
}

#[test]
fn fr_022_014_declarations_are_refused_with_file_and_line() {
    let good = "[[deploy.runbooks]]\nid = \"a\"\nrunbook = \"product_usage.prune\"\n";
    for (more, line, part) in [
        ("idd = 1", 4, "unknown key \"idd\""),
        ("tenant = [1]", 4, "did you mean tenants?"),
        ("all_tenants = true\ntenants = [1]", 5, "all_tenants is given, too"),
        ("tenants = [1]\nworkspace = 1", 5, "tenants is given, too"),
        ("all_tenants = false", 4, "this is false"),
        ("all_tenants = \"yes\"", 4, "this is text"),
        ("tenants = []", 4, "no tenant is named"),
        ("tenants = [1, 0]", 4, "a whole number above 0"),
        ("tenants = [\"1\"]", 4, "a whole number above 0"),
        ("tenants = 1", 4, "this is 1"),
        ("workspace = -1", 4, "this is -1"),
        ("reason = \"x\"", 1, "reason_code: it is missing"),
        ("reason_code = \"SUPPORT\"", 1, "reason: it is missing"),
        ("reason_code = \"WHIM\"\nreason = \"x\"", 4, "DATA_REPAIR, INCIDENT"),
        ("reason_code = \"SUPPORT\"\nreason = \" \u{200b} \"", 5, "the reason is empty"),
        ("reason_code = 1\nreason = \"x\"", 4, "this is a whole number, no text"),
        ("concurrency = 0", 4, "out of range"),
        ("concurrency = 33", 4, "out of range"),
        ("concurrency = 1.5", 4, "a number with a fraction"),
        ("concurrency = 99999999999999999999", 4, "99999999999999999999"),
        ("canary = -1", 4, "this is -1"),
        ("error_threshold = \"101%\"", 4, "is none"),
        ("error_threshold = -1", 4, "this is -1"),
        ("inputs = 3", 4, "this is 3"),
        ("inputs = { days = 1.5 }", 4, "a number with a fraction"),
        ("inputs = { days = [1] }", 4, "this is a list"),
        (
            "[[deploy.runbooks]]\nid = \"a\"\nrunbook = \"product_usage.prune\"",
            5,
            "the id of declaration 1",
        ),
        ("[[deploy.runbooks]]\nid = \"b\"", 4, "runbook: it is missing"),
        (
            "[[deploy.runbooks]]\nid = \"b b\"\nrunbook = \"product_usage.prune\"",
            5,
            "\"b b\" is none",
        ),
        ("[[deploy.runbooks]]\nid = \"b\"\nrunbook = \"Prune\"", 6, "\"Prune\" is none"),
    ] {
        let error = load(&format!("{good}{more}")).unwrap_err();
        assert!(error.contains(part), "{part} is not in {error}");
        assert!(
            error.contains(&format!("config.toml\", line {line}: deploy.runbooks")),
            "{more}: {error}"
        );
    }
    for (text, part) in [
        ("[deploy.runbooks]\nid = \"a\"", "no list of tables"),
        ("deploy = 3", "unknown setting"),
        ("[deploy]\nrunbook = 3", "did you mean deploy.runbooks?"),
        ("[deploy]\nrunbooks = [3]", "no table"),
        ("[[deploy.runbooks]]\nrunbook = \"product_usage.prune\"", "id: it is missing"),
    ] {
        let error = load(text).unwrap_err();
        assert!(error.contains(part), "{part} is not in {error}");
    }
    let long = format!("{good}[[deploy.runbooks]]\nid = \"{}\"", "x".repeat(101));
    assert!(load(&long).unwrap_err().contains("1 to 100"));
}

both_engines! {
    async fn fr_022_015_a_declaration_is_started_once_by_nobody(store) {
        let store = store.with_platform().await;
        store.legacy_findings(&[1, 2, 3], 2).await;
        // No login: nobody is logged in at this machine.
        let machine = Person::at(&store.url);
        declare(&machine, &[
            backfill("march", "all_tenants = true\nconcurrency = 2\ncanary = 1"),
            "[[deploy.runbooks]]\nid = \"prune\"\nrunbook = \"product_usage.prune\"\n".to_owned(),
        ]);
        let first = deploy(&machine, &["--json"]).ends(0).json();
        let row = &first["deployments"][0];
        assert_eq!((&row["id"], &row["result"], &row["runbook"]), (&"march".into(), &"started".into(), &"findings.lifecycle_backfill".into()));
        assert_eq!(first["deployments"][1]["result"], "nothing_to_do");
        let id = row["run_id"].as_i64().unwrap();
        let facts = format!(
            "select source || ' ' || request_id || ' ' || coalesce(initiator_name, 'nobody') || ' ' \
             || coalesce(cast(platform_user_id as text), 'none') from operation_runs where id = {id}"
        );
        assert_eq!(store.text(&facts).await, "deploy_hook deploy:march nobody none");
        let audit = format!("select actor_kind || ' ' || status from audit_logs where action = 'runbooks.start' and run_id = {id}");
        assert_eq!(store.text(&audit).await, "system succeeded");
        let text = deploy(&machine, &[]).ends(0).out;
        assert!(text.contains(&format!("march: already running as run {id}")), "{text}");
        let worker = machine.command(&["worker", "--no-schedule", "--quiet"]).spawn().unwrap();
        let worker = Stopped(worker);
        until(&machine, 0, &["done", "nothing_to_do"]);
        drop(worker);
        assert_eq!(store.number(RUNS).await, 1);
        let info = machine.run(&["info", "--json"]).ends(0).json();
        assert_eq!(info["info"]["deployments"], 2);
        assert!(machine.run(&["info"]).ends(0).out.contains("2 declared"));
    }

    async fn fr_022_016_what_failed_before_is_left_to_people_and_their_retry_counts(store) {
        let store = store.with_platform().await.with_active_worker().await;
        store.legacy_findings(&[1], 2).await;
        let admin = Person::administrator(&store.url);
        declare(&admin, &[backfill("march", "tenants = [1]")]);
        let first = deploy(&admin, &["--json"]).ends(0).json();
        let id = first["deployments"][0]["run_id"].as_i64().unwrap().to_string();
        admin.run(&["runs", "cancel", &id, "--yes"]).ends(0);
        let failed = deploy(&admin, &[]).ends(1);
        assert!(failed.out.contains(&format!("run {id} of it has ended before")), "{failed:?}");
        assert!(failed.err.contains(&format!("runs retry {id}")), "{failed:?}");
        assert_eq!(results(deploy(&admin, &["--json"]), 1), ["failed_before"]);
        assert_eq!(store.number(RUNS).await, 1, "it is not started again by itself");
        let retried = admin.run(&["runs", "retry", &id, "--json", "--yes"]).ends(0).json();
        let again = retried["run"]["id"].as_i64().unwrap();
        let running = deploy(&admin, &["--json"]).ends(0).json();
        let row = &running["deployments"][0];
        assert_eq!((&row["result"], &row["run_id"]), (&"running".into(), &again.into()));
        // The retry ends badly, too, and is tried again itself.
        admin.run(&["runs", "cancel", &again.to_string(), "--yes"]).ends(0);
        let failed = deploy(&admin, &[]).ends(1);
        assert!(failed.err.contains(&format!("runs retry {again}")), "{failed:?}");
        admin.run(&["runs", "retry", &again.to_string(), "--yes"]).ends(0);
        let worker = Stopped(admin.command(&["worker", "--no-schedule", "--quiet"]).spawn().unwrap());
        until(&admin, 0, &["done"]);
        drop(worker);
    }

    async fn fr_022_017_a_refusal_is_told_and_the_others_are_started(store) {
        let store = store.with_platform().await.with_active_worker().await;
        store.legacy_findings(&[1, 2, 3], 2).await;
        let admin = Person::administrator(&store.url);
        let held = admin.run(&["runbooks", "start", "findings.lifecycle_backfill", "--tenant", "1", "--json", "--yes"]).ends(0).json();
        let held = held["run"]["id"].as_i64().unwrap();
        let all = [
            backfill("taken", "tenants = [1, 2]"),
            backfill("platform", "tenants = [9]"),
            backfill("gone", "tenants = [777]"),
            backfill("nowhere", ""),
            "[[deploy.runbooks]]\nid = \"unknown\"\nrunbook = \"no.such\"\n".to_owned(),
            "[[deploy.runbooks]]\nid = \"bare\"\nrunbook = \"findings.lifecycle_backfill\"\nworkspace = 2\n".to_owned(),
            backfill("free", "tenants = [3]"),
        ];
        declare(&admin, &all);
        let done = deploy(&admin, &["--json"]).ends(5);
        let answer = done.json();
        let rows = answer["deployments"].as_array().unwrap();
        let words: Vec<&str> = rows.iter().map(|row| row["result"].as_str().unwrap()).collect();
        assert_eq!(words[..6], ["refused"; 6]);
        assert_eq!(words[6], "started");
        assert_eq!(rows[5]["hint"], "declare its reason_code and reason");
        assert!(rows[0]["message"].as_str().unwrap().contains(&format!("run {held} of")), "{answer}");
        assert!(rows[1]["message"].as_str().unwrap().contains("platform's own"), "{answer}");
        assert_eq!(rows[0]["run_id"], Value::Null);
        // The first refusal decides the exit code.
        declare(&admin, &all[2..]);
        assert_eq!(results(deploy(&admin, &["--json"]), 4).last().unwrap(), "running");
        declare(&admin, &all[4..]);
        deploy(&admin, &[]).ends(2);
        let refused = "select count(*) from audit_logs where action = 'runbooks.start' and status = 'refused' and actor_kind = 'system'";
        let before = store.number(refused).await;
        // The same name for other work is refused by the operation, also once it has ended.
        declare(&admin, &[backfill("free", "tenants = [2]")]);
        let changed = deploy(&admin, &[]).ends(5);
        assert!(changed.out.contains("free: refused: that idempotency key was used for another start"), "{changed:?}");
        assert!(changed.err.contains("an id of its own"), "{changed:?}");
        assert_eq!(store.number(refused).await, before + 1);
        assert_eq!(store.number(RUNS).await, 2);
    }

    async fn fr_022_018_deployments_at_once_start_each_piece_once(store) {
        let store = store.with_platform().await;
        store.legacy_findings(&[1, 2, 3, 4], 2).await;
        let machine = Person::at(&store.url);
        declare(&machine, &[backfill("one", "tenants = [1]"), backfill("two", "tenants = [3]")]);
        let answers: Vec<Vec<String>> = std::thread::scope(|scope| {
            let each = || results(deploy(&machine, &["--json"]), 0);
            let all: Vec<_> = (0..5).map(|_| scope.spawn(each)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for piece in 0..2 {
            let started = answers.iter().filter(|words| words[piece] == "started").count();
            let running = answers.iter().filter(|words| words[piece] == "running").count();
            assert_eq!((started, running), (1, 4), "{answers:?}");
        }
        assert_eq!(store.number(RUNS).await, 2);
    }

    async fn fr_022_019_a_rehearsed_deployment_starts_nothing_and_none_is_said_in_words(store) {
        let store = store.with_platform().await;
        store.legacy_findings(&[1], 2).await;
        let machine = Person::at(&store.url);
        let none = deploy(&machine, &[]).ends(0);
        assert!(none.out.contains("declares no [[deploy.runbooks]]"), "{none:?}");
        assert_eq!(deploy(&machine, &["--json"]).ends(0).json()["deployments"], json!([]));
        declare(&machine, &[backfill("march", "tenants = [1]"), backfill("bad", "tenants = [8]")]);
        let done = deploy(&machine, &["--dry-run", "--json"]);
        assert_eq!(done.json()["dry_run"], true);
        assert_eq!(results(done, 5), ["would_start", "refused"]);
        let text = deploy(&machine, &["--dry-run"]).ends(5);
        assert!(text.out.contains("march: would start on tenant 1"), "{text:?}");
        assert_eq!(store.number(RUNS).await, 0);
        std::fs::write(machine.dir("config/config.toml"), "[[deploy.runbooks]]\nid = 3\n").unwrap();
        let wrong = deploy(&machine, &[]).ends(2);
        assert!(wrong.err.contains("line 2: deploy.runbooks.id"), "{wrong:?}");
        let gone = Person::at("postgres://nobody@127.0.0.1:1/none");
        declare(&gone, &[backfill("march", "tenants = [1]")]);
        deploy(&gone, &[]).ends(7);
    }
}

/// A worker process that is stopped at the end of its scope.
struct Stopped(std::process::Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Deploys again and again until it ends with these results.
fn until(person: &Person, code: i32, wanted: &[&str]) {
    for _ in 0..600 {
        if results(deploy(person, &["--json"]), code) == wanted {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("never {wanted:?}: {:?}", deploy(person, &["--json"]));
}
