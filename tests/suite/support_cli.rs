//! `tenantpilot support create`: what is sent, to whom it is attached, and that it is stored once.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use chrono::TimeDelta;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tenantpilot::access::Actor;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::runs::{RunScope, StartRun};
use tenantpilot::ops::{Create, Engine, Ops, OpsSettings};

use crate::cli::{Done, Person, done};
use crate::cli_terminal::Terminal;
use crate::overview_cli::{Past, THROTTLED, created, fingerprint, readable};
use crate::support::proxy::Proxy;
use crate::support::stores::{Store, block_on, both_engines};

pub const ACCESS: &str = "platform.access_system_panel";
pub const SEND: &str = "platform.support_requests.create";
pub const OPEN: &str = "platform.support_diagnostics.view";

pub const REQUESTS: &str = "select count(*) from support_requests";
pub const OPENINGS: &str = "select count(*) from audit_logs where action = 'support.open_diagnostics' and status = 'succeeded'";

/// A platform, its administrator, and a run of tenant 1 that failed an hour ago.
pub async fn failed(store: &Store) -> (Person, i64) {
    let person = Person::administrator(&store.url);
    let past = Past::of(store, TimeDelta::hours(1));
    let run = past.failed("policy.sync", 1, THROTTLED, "429 from 10.0.0.1, retry after 30 s").await;
    (person, run)
}

/// A run over tenants 1 to 4, of which 3 has failed.
async fn over_many(store: &Store) -> i64 {
    let ops =
        Ops::open(&store.url, Create::Never, tenantpilot::Clock::system(), OpsSettings::default())
            .unwrap();
    let start = StartRun {
        scope: RunScope::Tenants(vec![1, 2, 3, 4]),
        ..StartRun::for_tenant("policy.sync", 1, Source::Schedule)
    };
    let run = ops.run(&Actor::System, start).await.unwrap().run_id;
    let text = format!(
        "update operation_run_targets set status = 'failed', reason_code = 'timeout' where run_id = {run} and tenant_id = 3"
    );
    assert_eq!(store.sql(&text).await.unwrap(), 1);
    run
}

/// `support create` with a summary and the word.
pub fn create(person: &Person, more: &[&str]) -> Done {
    person.run(
        &[
            &["support", "create", "--summary", "every sync ends throttled", "--confirm", "SEND"],
            more,
        ]
        .concat(),
    )
}

/// The reference that is all of standard output.
#[track_caller]
pub fn reference(done: &Done) -> String {
    let reference = done.out.strip_suffix('\n').unwrap();
    assert!(reference.starts_with("SR-") && reference.len() == 29, "{done:?}");
    reference.to_owned()
}

/// Runs a line that was printed, by a shell.
fn pasted(person: &Person, line: &str) -> Done {
    let text =
        format!("tenantpilot() {{ '{}' \"$@\"; }}\n{line}", env!("CARGO_BIN_EXE_tenantpilot"));
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(text).env_clear().current_dir(person.folder.path());
    for (name, value) in person.command(&[]).get_envs() {
        command.env(name, value.unwrap());
    }
    done(command.stdout(Stdio::piped()).stderr(Stdio::piped()), None)
}

both_engines! {
    async fn fr_032_001_a_request_is_sent_from_a_run_a_tenant_and_an_error(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let runs = store.runs().await;
        let id = run.to_string();
        let sent = create(&person, &["--run", &id, "--severity", "blocking", "--contact-name", "Ana", "--contact-email", "ana@example.com"]).ends(0);
        readable(&sent);
        let one = reference(&sent);
        for part in [
            &format!("sent, about run {run} (policy.sync), tenant Contoso DE (1)\n"),
            "diagnostics attached; nothing withheld\n",
            &format!("tenantpilot support show {one}\n"),
        ] {
            assert!(sent.err.contains(part), "{part}: {sent:?}");
        }
        let row = |column: &str, one: &str| format!("select cast({column} as text) from support_requests where reference = '{one}'");
        for (column, wanted) in [
            ("workspace_id", "1"), ("tenant_id", "1"), ("run_id", &*id), ("primary_context", "operation_run"),
            ("created_by_name", "ana"), ("severity", "blocking"), ("summary", "every sync ends throttled"),
            ("contact_name", "Ana"), ("contact_email", "ana@example.com"), ("attachment_mode", "diagnostic_snapshot_attached"),
        ] {
            assert_eq!(store.text(&row(column, &one)).await, wanted, "{column}");
        }
        let tenant = create(&person, &["--tenant", "3", "--json"]).ends(0);
        assert!(tenant.err.is_empty(), "{tenant:?}");
        let tenant = tenant.json();
        let request = &tenant["support_request"];
        assert_eq!((&tenant["created"], &tenant["manifest"]), (&true.into(), &"nothing withheld".into()));
        assert_eq!((&request["tenant_id"], &request["severity"], &request["primary_context"]), (&3.into(), &"normal".into(), &"tenant".into()));
        assert!(request["run_id"].is_null() && request["created_at"].as_str().unwrap().ends_with('Z'), "{request}");

        // The newest run that has the error, and the tenant that failed in it.
        let newest = Past::of(&store, TimeDelta::minutes(20)).failed("policy.sync", 2, THROTTLED, "429 from 10.0.0.2, retry after 9 s").await;
        let error = fingerprint(&person, "provider_throttled");
        let found = create(&person, &["--fingerprint", &error, "--json"]).ends(0).json();
        assert_eq!((&found["support_request"]["run_id"], &found["support_request"]["tenant_id"]), (&newest.into(), &2.into()));
        create(&person, &["--fingerprint", &error, "--window", "7d"]).ends(0);
        create(&person, &["--fingerprint", "000000000000"]).ends(4);
        create(&person, &["--fingerprint", "nonsense"]).ends(2);

        let audited = "select count(*) from audit_logs where action = 'support.create_request' and status = 'succeeded'";
        assert_eq!((store.number(REQUESTS).await, store.number(audited).await, store.number(OPENINGS).await), (4, 4, 4));
        assert_eq!(store.runs().await, runs + 1);
    }

    async fn fr_032_002_a_run_over_many_names_its_tenants_failed_ones_first(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        let run = over_many(&store).await.to_string();
        for arguments in [
            &["support", "create", "--run", &run, "--summary", "x", "--confirm", "SEND"][..],
            &["support", "create", "--run", &run, "--summary", "x", "--dry-run"],
            &["support", "diagnostics", "--run", &run],
        ] {
            let chosen = person.run(arguments).ends(2);
            readable(&chosen);
            assert!(chosen.out.is_empty() && chosen.err.ends_with("hint: add: --tenant ID\n"), "{chosen:?}");
            let lines: Vec<&str> = chosen.err.lines().collect();
            assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["3", "Fabrikam", "failed", "timeout"]);
            assert!(lines.len() == 6 && lines[1].starts_with("1  Contoso DE "), "{chosen:?}");
        }
        let many: Vec<String> = (20..40).map(|id| format!("({id}, 1, 'T{id}', false, '2026-11-01T00:00:00+00:00')")).collect();
        store.sql(&format!("insert into tenants (id, workspace_id, name, is_platform, created_at) values {}", many.join(", "))).await.unwrap();
        let targets: Vec<String> = (20..40).map(|id| format!("({run}, {id}, 'tenant', {id}, '2026-11-01T00:00:00+00:00')")).collect();
        store.sql(&format!("insert into operation_run_targets (run_id, ordinal, kind, tenant_id, updated_at) values {}", targets.join(", "))).await.unwrap();
        let chosen = create(&person, &["--run", &run]).ends(2);
        assert!(chosen.err.contains("and 14 more, ") && chosen.err.lines().count() == 13, "{chosen:?}");
        assert_eq!((store.number(REQUESTS).await, store.number(OPENINGS).await), (0, 0));

        let one = create(&person, &["--run", &run, "--tenant", "3", "--json"]).ends(0).json();
        assert_eq!(one["support_request"]["tenant_id"], 3);
        let other = create(&person, &["--run", &run, "--tenant", "9"]).ends(5);
        assert!(other.err.contains("tenant 9 is no tenant of run"), "{other:?}");
        create(&person, &["--run", &run, "--tenant", "77"]).ends(4);
        assert_eq!(store.number(REQUESTS).await, 1);
    }

    async fn fr_032_005_sending_needs_the_word(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let run = run.to_string();
        let base = ["support", "create", "--run", &run, "--summary", "x"];
        for (more, code, part) in [
            (&[][..], 2, "--confirm SEND"),
            (&["--no-input"], 2, "--confirm SEND"),
            (&["--confirm", "send"], 5, "type exactly: SEND"),
            (&["--confirm", ""], 5, "type exactly: SEND"),
        ] {
            let refused = person.run(&[&base, more].concat()).ends(code);
            assert!(refused.err.contains(part) && refused.out.is_empty(), "{more:?}: {refused:?}");
        }
        assert_eq!((store.number(REQUESTS).await, store.number(OPENINGS).await), (0, 0));
    }

    async fn fr_032_006_a_reference_stores_one_request(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let run = run.to_string();
        let one = reference(&create(&person, &["--run", &run]).ends(0));
        let again = create(&person, &["--run", &run, "--reference", &one.to_lowercase()]).ends(0);
        assert_eq!(reference(&again), one);
        assert!(again.err.contains("it was stored before, and was not stored again"), "{again:?}");
        let json = create(&person, &["--run", &run, "--reference", &one, "--json"]).ends(0).json();
        assert_eq!((&json["created"], &json["differs"], &json["support_request"]["reference"]), (&false.into(), &false.into(), &one.as_str().into()));
        assert!(json["manifest"].is_null(), "{json}");
        // The same reference does not stand for two things.
        for more in [&["--severity", "high"][..], &["--contact-name", "Eva"], &["--no-diagnostics"]] {
            let other = create(&person, &[&["--run", &run, "--reference", &one], more].concat()).ends(5);
            assert!(other.out.is_empty() && other.err.contains("says something else"), "{other:?}");
            let other = create(&person, &[&["--run", &run, "--reference", &one, "--json"], more].concat()).ends(5).json();
            assert_eq!((&other["created"], &other["differs"]), (&false.into(), &true.into()));
        }
        assert_eq!(store.number(REQUESTS).await, 1);
        // What has come to look like a secret meanwhile, or is gone, does not hide that it is stored.
        let held = create(&person, &["--run", &run, "--reference", &one, "--withhold", "runs/gone"]).ends(0);
        assert_eq!(reference(&held), one);
        store.sql("update operation_run_failures set message = 'he typed Winter2026!'").await.unwrap();
        assert_eq!(reference(&create(&person, &["--run", &run, "--reference", &one]).ends(0)), one);
        // Somebody else's reference is no way to a second row, nor to what it says.
        let eva = created(&person, "eva", &[ACCESS, SEND]);
        let taken = create(&eva, &["--run", &run, "--reference", &one]).ends(5);
        assert!(taken.err.contains("this reference is taken") && taken.out.is_empty(), "{taken:?}");
        // A reference that was never stored is one that the answer was lost of before.
        let fresh = "SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV";
        assert_eq!(reference(&create(&person, &["--tenant", "2", "--reference", fresh]).ends(0)), fresh);
        for wrong in ["SR-", "01J9ZQ4M9QZ6W3J8R5T2Y7XKNV", "SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNI", ""] {
            create(&person, &["--tenant", "2", "--reference", wrong]).ends(2);
        }
        create(&person, &["--tenant", "2", "--reference", fresh, "--dry-run"]).ends(2);
        assert_eq!(store.number(REQUESTS).await, 2);
    }
}

#[test]
fn fr_032_006_after_a_lost_answer_the_printed_command_stores_it_once() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await;
        let proxy = Proxy::start(&store.url);
        let person = Person::administrator(&proxy.url(&store.url));
        let past = Past::of(&store, TimeDelta::hours(1));
        let run = past.failed("policy.sync", 1, THROTTLED, "429 from 10.0.0.1").await.to_string();
        let error = fingerprint(&person, "provider_throttled");
        let token = format!("{}{}", "AKIA", "IOSFODNN7EXAMPLE");
        std::fs::write(person.dir("my notes"), format!("key {token}\nit's $HOME\n")).unwrap();
        std::fs::write(person.dir("masks"), "Project Nightfall\n").unwrap();
        // Nothing can be stored while this is held.
        let mut holder = PgConnection::connect(&store.url).await.unwrap();
        holder.execute("begin; lock table support_requests in exclusive mode").await.unwrap();
        let summary = format!("it's {token} in project nightfall");
        let mut child = person
            .command(&[
                "support",
                "create",
                "--fingerprint",
                &error,
                "--summary",
                &summary,
                "--notes-file",
                "my notes",
                "--severity",
                "high",
                "--contact-name",
                "Ana B",
                "--contact-email",
                "ana@example.com",
                "--mask-file",
                "masks",
                "--withhold",
                "overview/summary",
                "--confirm",
                "SEND",
            ])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let waiting = lines.find(|line| line.starts_with("sending SR-")).unwrap();
        let one = waiting.split([' ', ':']).nth(1).unwrap().to_owned();
        assert!(waiting.ends_with("the database has not answered yet"), "{waiting}");
        proxy.cut();
        let told: Vec<String> = lines.collect();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(7), 0), "{told:?}");
        let at = told
            .iter()
            .position(|line| line.ends_with("this stores it once in any case:"))
            .unwrap();
        let line = &told[at + 1];
        assert!(
            line.starts_with(&format!("tenantpilot support create --run {run} --tenant 1 ")),
            "{line}"
        );
        assert!(line.contains(&format!("--reference {one}")), "{line}");
        assert!(told.iter().any(|line| line.starts_with(&format!("error: {one}: "))), "{told:?}");
        assert!(
            told.iter().any(|line| *line == format!("hint: repeat it with: --reference {one}")),
            "{told:?}"
        );
        let all = told.join("\n");
        assert!(!all.contains(&token) && !all.to_lowercase().contains("nightfall"), "{all}");

        holder.execute("rollback").await.unwrap();
        proxy.restore();
        for created in [true, false] {
            let repeated = pasted(&person, &format!("{line} --json")).ends(0).json();
            assert_eq!(
                (&repeated["created"], &repeated["differs"]),
                (&created.into(), &false.into()),
                "{repeated}"
            );
            let request = &repeated["support_request"];
            assert_eq!(
                (&request["reference"], &request["severity"]),
                (&one.as_str().into(), &"high".into())
            );
            assert_eq!(request["summary"], "it's [redacted:token] in [redacted:operator]");
        }
        let shown = person.run(&["support", "show", &one, "--json"]).ends(0).json();
        let request = &shown["support_request"];
        assert_eq!(request["reproduction_notes"], "key [redacted:token]\nit's $HOME");
        assert_eq!(
            (&request["contact_name"], &request["contact_email"]),
            (&"Ana B".into(), &"ana@example.com".into())
        );
        assert_eq!(request["context"]["redaction"]["items_left_out"], 1);
        assert_eq!(store.number(REQUESTS).await, 1);
    });
}

#[test]
fn fr_032_005_at_a_terminal_the_preview_comes_before_the_question() {
    let store = block_on(async { Store::new(Engine::Sqlite).await.with_platform().await });
    let (person, run) = block_on(failed(&store));
    let run = run.to_string();
    let token = format!("{}{}", "ghp_", "0123456789abcdefghijABCDEFGHIJ456789");
    let summary = format!("throttled with {token}");
    for (typed, code, requests) in
        [("send\r", 5, 0), ("\r", 2, 0), ("\u{4}", 2, 0), ("SEND\r", 0, 1)]
    {
        let mut create = Terminal::start(
            &person,
            &["support", "create", "--run", &run, "--summary", &summary],
            &[],
        );
        let asked = create.wait_for("Type \"SEND\" to go on:");
        for part in [
            "support request, not sent yet",
            "summary    throttled with [redacted:token]",
            "redaction  1 value withheld: 1 token",
            "AUDIT TRAIL",
        ] {
            assert!(asked.contains(part), "{part}: {asked}");
        }
        assert!(!asked.contains(&token), "{asked}");
        create.type_in(typed);
        assert_eq!(create.end(), code, "{typed:?}");
        assert_eq!(block_on(store.number(REQUESTS)), requests, "{typed:?}");
    }
    // What could not be sent is not asked about.
    let mut held = Terminal::start(
        &person,
        &["support", "create", "--run", &run, "--summary", "he typed Winter2026!"],
        &[],
    );
    let told = held.wait_for("nothing was sent");
    assert!(!told.contains("to go on") && !told.contains("Winter2026!"), "{told}");
    assert_eq!(held.end(), 5);
    let mut silent = Terminal::start(
        &person,
        &["support", "create", "--run", &run, "--summary", "x", "--no-input"],
        &[],
    );
    silent.wait_for("--confirm SEND");
    assert_eq!(silent.end(), 2);
}
