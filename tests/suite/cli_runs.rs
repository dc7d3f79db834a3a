//! `tenantpilot runs`: list, show, watch.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use serde_json::{Value, json};
use tenantpilot::Clock;
use tenantpilot::access::Actor;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::safe_text::SafeText;
use tenantpilot::domain::summary_counts::{CountKey, SummaryCounts};
use tenantpilot::ops::runs::{
    ClaimRun, Claimed, CompleteRun, RecordFailure, ReportProgress, StartRun,
};
use tenantpilot::ops::{Create, Ops, OpsSettings};

use crate::cli::{Person, done};
use crate::support::stores::{Store, both_engines};

/// What a terminal would act on, or a reader could not see.
const HOSTILE: &str = "Con\u{1b}[31mtoso\u{202e}\u{9b}\u{200b}";

/// The service on the machine's clock, as the program sees it.
fn service(store: &Store) -> Ops {
    Ops::open(&store.url, Create::Never, Clock::system(), OpsSettings::default()).unwrap()
}

async fn start(ops: &Ops, run_type: &str, tenant: i64) -> i64 {
    let customer = Actor::Customer { user_id: if tenant < 3 { 1 } else { 2 } };
    let started = ops.run(&customer, StartRun::for_tenant(run_type, tenant, Source::Admin)).await;
    started.unwrap().run_id
}

async fn claim(ops: &Ops) -> Claimed {
    let claim = ClaimRun { owner: "w1".to_owned(), types: vec![], lease: Duration::from_mins(1) };
    ops.run(&Actor::System, claim).await.unwrap().unwrap()
}

async fn fail(ops: &Ops, claimed: &Claimed, message: &str) {
    let (run_id, fence) = (claimed.id, claimed.fence);
    let counts = SummaryCounts::default()
        .with(CountKey::Total, 1)
        .with(CountKey::Processed, 1)
        .with(CountKey::Failed, 1);
    ops.run(&Actor::System, ReportProgress { run_id, fence, counts }).await.unwrap();
    let failure = RecordFailure {
        run_id,
        fence,
        tenant_id: claimed.tenant_id,
        reason: ReasonCode::ProviderThrottled,
        message: message.to_owned(),
    };
    ops.run(&Actor::System, failure).await.unwrap();
    complete(ops, claimed).await;
}

async fn complete(ops: &Ops, claimed: &Claimed) {
    let end = CompleteRun { run_id: claimed.id, fence: claimed.fence, blocked: None };
    ops.run(&Actor::System, end).await.unwrap();
}

fn ids(page: &Value) -> Vec<i64> {
    page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_i64().unwrap()).collect()
}

both_engines! {
    async fn fr_009_009_runs_are_listed_filtered_and_paged(store) {
        let store = store.with_platform().await;
        let ops = service(&store);
        let person = Person::administrator(&store.url);
        let empty = person.run(&["runs", "list"]).ends(0);
        assert!(empty.out.is_empty() && empty.err.contains("no runs"), "{empty:?}");
        let failed = start(&ops, "policy.sync", 1).await;
        fail(&ops, &claim(&ops).await, "429 from provider").await;
        let queued = start(&ops, "backup.snapshot", 2).await;
        let other = start(&ops, "policy.sync", 3).await;

        let page = person.run(&["runs", "list", "--json"]).ends(0).json();
        assert_eq!(ids(&page), [other, queued, failed]);
        assert_eq!((&page["next"], &page["searched"]), (&Value::Null, &Value::Null));
        let run = &page["runs"][2];
        assert_eq!(run["state"], "failed");
        assert_eq!(run["type"], "policy.sync");
        assert_eq!(run["tenant_name"], "Contoso DE");
        assert_eq!(run["reason_code"], "provider_throttled");
        assert_eq!(run["summary_counts"]["failed"], 1);
        assert!(run["created_at"].as_str().unwrap().ends_with('Z'), "{run}");

        let list = |more: &[&str]| {
            let mut arguments = vec!["runs", "list", "--json"];
            arguments.extend(more);
            ids(&person.run(&arguments).ends(0).json())
        };
        assert_eq!(list(&["--status", "failed"]), [failed]);
        assert_eq!(list(&["--status", "queued,failed", "--type", "policy.*"]), [other, failed]);
        assert_eq!(list(&["--filter", "status:queued", "--tenant", "Contoso FR"]), [queued]);
        assert_eq!(list(&["--tenant", "3", "--tenant", "1"]), [other, failed]);
        assert_eq!(list(&["--workspace", "contoso", "--since", "1h"]), [queued, failed]);
        // A name of digits, and an ID, which comes before it.
        for (name, found) in [("412", queued), ("007", queued), ("1", failed)] {
            store.sql(&format!("update tenants set name = '{name}' where id = 2")).await.unwrap();
            assert_eq!(list(&["--tenant", name]), [found], "{name}");
        }
        store.sql("update tenants set name = 'Contoso FR' where id = 2").await.unwrap();
        assert_eq!(list(&["--outcome", "failed", "--reason", "provider_throttled"]), [failed]);
        assert_eq!(list(&["--until", "2020-01-01"]), Vec::<i64>::new());
        assert_eq!(list(&["--text", "Fabrikam"]), [other]);

        let first = person.run(&["runs", "list", "--json", "--limit", "2"]).ends(0).json();
        assert_eq!(ids(&first), [other, queued]);
        let next = first["next"].as_str().unwrap();
        let second = person.run(&["runs", "list", "--json", "--before", next]).ends(0).json();
        assert_eq!(ids(&second), [failed]);

        let text = person.run(&["runs", "list"]).ends(0).out;
        assert!(text.contains("✗ failed") && text.contains("CREATED (UTC)"), "{text}");
        let ascii = person.run(&["runs", "list", "--ascii"]).ends(0).out;
        assert!(ascii.is_ascii() && ascii.contains("x failed"), "{ascii}");

        for (arguments, part) in [
            (["--status", "brocken"], "--status"),
            (["--filter", "stat:x"], "column 1"),
            (["--since", "yesterday"], "--since"),
            (["--before", "x"], "--before"),
            (["--limit", "0"], "--limit"),
        ] {
            let wrong = person.run(&[&["runs", "list"][..], &arguments].concat()).ends(2);
            assert!(wrong.err.contains(part), "{wrong:?}");
        }
    }

    async fn fr_009_010_a_failed_run_says_what_failed_why_and_what_to_do(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        let ops = service(&store);
        let person = Person::administrator(&store.url);
        let id = start(&ops, "policy.sync", 1).await.to_string();
        fail(&ops, &claim(&ops).await, "429 from provider").await;
        let text = person.run(&["runs", "show", &id]).ends(0).out;
        let reason = ReasonCode::ProviderThrottled;
        for part in ["✗ failed", "provider_throttled", reason.explanation(), reason.next_step(),
            reason.retry().sentence(), "the only item failed", "429 from provider", "Contoso DE", " UTC"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let run = &person.run(&["runs", "show", &id, "--json"]).ends(0).json()["run"];
        assert_eq!(run["groups"][0]["reason_code"], "provider_throttled");
        assert_eq!(run["groups"][0]["count"], 1);
        assert_eq!(run["groups"][0]["label"], reason.label());
        assert_eq!(run["groups"][0]["retry"], "helps");
        assert_eq!(run["groups"][0]["next_step"], format!("{} Then retry 1 target.", reason.next_step()));
        assert_eq!(run["failures"][0]["message"], "429 from provider");
        assert_eq!(run["targets"][0]["status"], "failed");
        assert!(run["audit"].is_array() && run["context"].is_object() && run["lease"].is_null());
        assert_eq!(person.run(&["runs", "show", "999999"]).ends(4).err, "error: run 999999 was not found\n");
        person.run(&["runs", "show", "0"]).ends(2);
    }

    async fn fr_009_011_a_watch_ends_with_the_run_and_tells_how(store) {
        let store = store.with_platform().await;
        let ops = service(&store);
        let person = Person::administrator(&store.url);
        let failed = start(&ops, "policy.sync", 1).await.to_string();
        fail(&ops, &claim(&ops).await, "429").await;
        person.run(&["runs", "watch", &failed]).ends(0);
        let ended = person.run(&["runs", "watch", &failed, "--exit-status"]).ends(1);
        assert_eq!(ended.out.lines().count(), 1, "{ended:?}");
        person.run(&["runs", "watch", "999999", "--exit-status"]).ends(4);

        let id = start(&ops, "policy.sync", 2).await.to_string();
        let late = person.run(&["runs", "watch", &id, "--timeout", "300ms", "--interval", "100ms"]).ends(6);
        assert!(late.err.contains("has not ended"), "{late:?}");
        person.run(&["runs", "watch", &id, "--timeout", "soon"]).ends(2);

        let mut child = person
            .command(&["runs", "watch", &id, "--exit-status", "--json", "--interval", "100ms", "--timeout", "1m"])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut state = || -> Value {
            let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            assert_eq!(line["schema_version"], 1);
            line["run"]["state"].clone()
        };
        assert_eq!(state(), "queued");
        let claimed = claim(&ops).await;
        assert_eq!(state(), "running");
        complete(&ops, &claimed).await;
        assert_eq!(state(), "succeeded");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }

    async fn fr_009_012_hostile_names_are_shown_and_never_acted_on(store) {
        let store = store.with_platform().await;
        let ops = service(&store);
        let hostile = HOSTILE.replace('\'', "''");
        store.sql(&format!("update tenants set name = '{hostile}' where id = 1")).await.unwrap();
        let person = Person::administrator(&store.url);
        let id = start(&ops, "policy.sync", 1).await.to_string();
        start(&ops, "policy.sync", 2).await;
        for arguments in [&["runs", "list"][..], &["runs", "show", &id], &["runs", "list", "--json"],
            &["runs", "show", &id, "--json"]] {
            let done = person.run(arguments).ends(0);
            for line in done.out.lines().chain(done.err.lines()) {
                assert_eq!(SafeText::new(line).as_str(), line, "{arguments:?}");
            }
        }
        // A program still gets exactly what is stored.
        let page = person.run(&["runs", "list", "--json"]).json();
        assert_eq!(page["runs"][1]["tenant_name"], json!(HOSTILE));
        // Columns stay aligned by what is shown.
        let text = person.run(&["runs", "list"]).out;
        let places: Vec<usize> = text
            .lines()
            .skip(1)
            .map(|line| SafeText::new(&line[..line.find('◌').unwrap()]).width())
            .collect();
        assert_eq!(places.len(), 2);
        assert_eq!(places[0], places[1], "{text}");
        let wrong = person.run(&["runs", "list", "--tenant", HOSTILE, "--status", HOSTILE]).ends(2);
        assert!(wrong.err.lines().all(|line| SafeText::new(line).as_str() == line), "{wrong:?}");
        let wrong = person.run(&[HOSTILE]).ends(2);
        assert!(wrong.err.lines().all(|line| SafeText::new(line).as_str() == line), "{wrong:?}");
    }

    async fn fr_009_013_output_that_nobody_reads_ends_quietly_and_a_full_disk_does_not(store) {
        let store = store.with_platform().await;
        let ops = service(&store);
        start(&ops, "policy.sync", 1).await;
        let person = Person::administrator(&store.url);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = done(person.command(&["runs", "list"]).stdout(writer), None);
        assert_eq!((closed.code, closed.err.as_str()), (0, ""));
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let lost = done(person.command(&["runs", "list"]).stdout(full), None).ends(1);
        assert!(lost.err.contains("cannot write the output"), "{lost:?}");
    }
}
