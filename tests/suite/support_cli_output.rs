//! `tenantpilot support` and `tenants`: what is listed, shown, opened and refused.

use std::os::unix::fs::PermissionsExt as _;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tenantpilot::domain::safe_text::is_unseen;

use crate::cli::{Person, done};
use crate::overview_cli::{created, fingerprint, readable};
use crate::support::stores::both_engines;
use crate::support_cli::{ACCESS, OPEN, OPENINGS, REQUESTS, SEND, create, failed, reference};

const OPS: &str = "platform.ops.view";

/// Somebody with these capabilities who sees workspace 2 only.
fn restricted(person: &Person, name: &str, capabilities: &[&str]) -> Person {
    let mut arguments = vec!["--workspace", "2"];
    for capability in capabilities {
        arguments.extend(["--capability", capability]);
    }
    person.create(name, &arguments).ends(0);
    let other = Person::at(person.url());
    other.login(name).ends(0);
    other
}

fn references(list: &Value) -> Vec<&str> {
    list["support_requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["reference"].as_str().unwrap())
        .collect()
}

both_engines! {
    async fn fr_032_011_requests_are_listed_newest_first_and_by_what_is_asked(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let run = run.to_string();
        let none = person.run(&["support", "list"]).ends(0);
        assert_eq!((none.out.as_str(), none.err.as_str()), ("", "no support requests\n"));
        let eva = created(&person, "eva", &[ACCESS, SEND]);
        let first = reference(&create(&person, &["--run", &run, "--severity", "high"]).ends(0));
        let second = reference(&create(&person, &["--tenant", "3"]).ends(0));
        let third = reference(&person.run(&["support", "create", "--tenant", "1", "--summary", "no consent", "--confirm", "SEND", "--no-diagnostics"]).ends(0));
        let hers = reference(&create(&eva, &["--tenant", "4"]).ends(0));
        let list = |who: &Person, more: &[&str]| who.run(&[&["support", "list", "--json"], more].concat()).ends(0).json();
        let all = list(&person, &[]);
        assert_eq!(references(&all), [&hers, &third, &second, &first]);
        assert!(all["next"].is_null());
        let one = &all["support_requests"][3];
        for (name, wanted) in [
            ("workspace_id", Value::from(1)), ("workspace_name", "Contoso".into()), ("tenant_id", 1.into()),
            ("tenant_name", "Contoso DE".into()), ("run_id", run.parse::<i64>().unwrap().into()),
            ("primary_context", "operation_run".into()), ("created_by_name", "ana".into()), ("severity", "high".into()),
            ("summary", "every sync ends throttled".into()), ("attachment_mode", "diagnostic_snapshot_attached".into()),
        ] {
            assert_eq!(one[name], wanted, "{name}");
        }
        assert!(one["created_at"].as_str().unwrap().parse::<DateTime<Utc>>().is_ok());
        for (more, wanted) in [
            (&["--tenant", "1"][..], &[&third, &first][..]), (&["--run", &run], &[&first]), (&["--severity", "high"], &[&first]),
            (&["--mine"], &[&third, &second, &first]), (&["--search", "CONSENT"], &[&third]), (&["--search", &first.to_lowercase()], &[&first]),
            (&["--search", "eva"], &[&hers]), (&["--search", "fabrikam", "--mine"], &[&second]), (&["--search", "%"], &[]),
            (&["--tenant", "77"], &[]),
        ] {
            assert_eq!(references(&list(&person, more)), wanted, "{more:?}");
        }
        assert_eq!(references(&list(&eva, &["--mine"])), [&hers]);
        let page = list(&person, &["--limit", "3"]);
        let next = page["next"].as_str().unwrap();
        assert_eq!((references(&page).len(), references(&list(&person, &["--limit", "3", "--before", next]))), (3, vec![first.as_str()]));
        let told = person.run(&["support", "list", "--limit", "3"]).ends(0);
        readable(&told);
        assert!(told.out.starts_with(&format!("REFERENCE                      SENT (UTC)           SEVERITY  TENANT\n{hers}  ")), "{told:?}");
        assert!(told.out.contains("    no consent\n    by ana, ids and codes only\n") && told.err.contains(&format!("add --before {next}\n")), "{told:?}");
        for (more, part) in [
            (&["--limit", "0"][..], "1..=1000"), (&["--limit", "-1"], "1..=1000"), (&["--limit", "1001"], "1..=1000"),
            (&["--severity", "urgent"], "low, normal, high, blocking"), (&["--before", "x"], "is not a place in the list"),
            (&["--tenant", "x"], "whole number"), (&["--run", "0"], "whole number"),
        ] {
            let refused = person.run(&[&["support", "list"], more].concat()).ends(2);
            assert!(refused.err.contains(part) && refused.out.is_empty(), "{refused:?}");
        }
    }

    async fn fr_032_012_a_request_is_shown_as_it_was_stored(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        std::fs::write(person.dir("notes"), "one *star*\n  two\n").unwrap();
        let id = run.to_string();
        let one = reference(&create(&person, &["--run", &id, "--notes-file", "notes", "--contact-email", "ana@example.com", "--withhold", "overview/summary"]).ends(0));
        let told = person.run(&["support", "show", &format!(" {} ", one.to_lowercase())]).ends(0);
        readable(&told);
        assert!(told.out.starts_with(&format!("support request {one}\nsent       20")) && told.out.contains(" UTC by ana\n"), "{told:?}");
        for part in [
            &format!("about      run {run} (policy.sync), tenant Contoso DE (1)\n"), "severity   normal\n", "e-mail     ana@example.com\n",
            "redaction  nothing withheld; 1 item left out\n", "REPRODUCTION NOTES\n  one *star*\n    two\n",
            &format!("\nRUN {run}\n"), "  overview/summary  (left out by the operator)\n", "REVIEW PACKS\n  empty: ",
        ] {
            assert!(told.out.contains(part), "{part}: {}", told.out);
        }
        let markdown = person.run(&["support", "show", &one, "--markdown"]).ends(0).out;
        assert!(markdown.starts_with(&format!("# Support request {one}\n\n- sent: 20")) && markdown.contains("Z by ana\n- about: run "), "{markdown}");
        assert!(markdown.contains("\n    one *star*\n      two\n") && markdown.contains("\n### Audit trail\n"), "{markdown}");
        let json = person.run(&["support", "show", &one, "--json"]).ends(0).json();
        let request = &json["support_request"];
        assert_eq!((&request["reference"], &request["context_schema_version"], &request["diagnostics_hidden"]), (&one.as_str().into(), &1.into(), &false.into()));
        assert_eq!((&request["reproduction_notes"], &request["contact_name"]), (&"one *star*\n  two".into(), &Value::Null));
        let sections: Vec<&str> = request["context"]["diagnostics"]["sections"].as_array().unwrap().iter().map(|section| section["key"].as_str().unwrap()).collect();
        assert_eq!(sections, ["overview", "provider_connection", "runs", "findings", "stored_reports", "review_packs", "audit_trail"]);
        // A look at a request is no opening; what goes with it stays hidden from who may open none.
        assert_eq!(store.number(OPENINGS).await, 1);
        let eva = created(&person, "eva", &[ACCESS, SEND]);
        let hidden = eva.run(&["support", "show", &one]).ends(0);
        assert!(!hidden.out.contains("REVIEW PACKS") && hidden.err.contains(OPEN), "{hidden:?}");
        let json = eva.run(&["support", "show", &one, "--json"]).ends(0).json();
        assert!(json["support_request"]["context"]["diagnostics"].is_null() && json["support_request"]["diagnostics_hidden"] == true, "{json}");
        for (wrong, code) in [("SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV", 4), ("SR-1", 2), ("", 2), (one.trim_start_matches("SR-"), 2)] {
            assert!(person.run(&["support", "show", wrong]).ends(code).out.is_empty());
        }
    }

    async fn fr_032_013_diagnostics_are_opened_once_and_say_why_a_section_is_empty(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let id = run.to_string();
        let told = person.run(&["support", "diagnostics", "--run", &id]).ends(0);
        readable(&told);
        assert!(told.out.starts_with(&format!("support diagnostics: run {run} (policy.sync), tenant Contoso DE (1)\nopened     20")), "{told:?}");
        for part in [
            "redaction  nothing withheld\n\nOVERVIEW  newest 20", "    dominant issue        provider_throttled\n",
            "PROVIDER CONNECTION\n  empty: no provider was ever connected to this tenant\n", &format!("  runs/run-{run}\n    subject "),
            "429 from 10.0.0.1, retry after 30 s\n", "FINDINGS\n  empty: the tenant has no findings\n",
            "STORED REPORTS\n  empty: no report of this tenant is kept\n",
            "REVIEW PACKS\n  empty: no review pack of this tenant is kept\n", "AUDIT TRAIL  newest ",
        ] {
            assert!(told.out.contains(part), "{part}: {}", told.out);
        }
        assert_eq!(told.err, "nothing withheld\n");
        let opened = format!("{OPENINGS} and tenant_id = 1 and run_id = {run} and target_type = 'operation_run'");
        assert_eq!((store.number(OPENINGS).await, store.number(&opened).await), (1, 1));
        let json = person.run(&["support", "diagnostics", "--tenant", "3", "--json"]).ends(0);
        assert!(json.err.is_empty(), "{json:?}");
        let json = json.json();
        let opened = &json["support_diagnostics"];
        assert_eq!((&opened["tenant_id"], &opened["tenant_name"], &opened["run_id"]), (&3.into(), &"Fabrikam".into(), &Value::Null));
        assert_eq!((opened["sections"].as_array().unwrap().len(), &opened["dominant_issue"], &opened["manifest"]), (7, &"none".into(), &"nothing withheld".into()));
        assert!(opened["opened_at"].as_str().unwrap().ends_with('Z'), "{opened}");
        assert_eq!(opened["sections"][2]["empty"], "no run of this tenant is kept");
        let markdown = person.run(&["support", "diagnostics", "--run", &id, "--tenant", "1", "--markdown", "--output", "-"]).ends(0);
        assert!(markdown.out.starts_with("# Support diagnostics: run ") && markdown.out.contains("\n## Review packs\n\nEmpty: "), "{markdown:?}");
        assert_eq!((store.number(OPENINGS).await, store.number(REQUESTS).await), (3, 0));
        // Only who may read the audit log sees the trail.
        let eva = created(&person, "eva", &[ACCESS, OPEN]);
        let hidden = eva.run(&["support", "diagnostics", "--tenant", "1"]).ends(0).out;
        assert!(hidden.contains("AUDIT TRAIL\n  empty: not shown: this needs the capability platform.audit.view\n"), "{hidden}");
    }

    async fn fr_032_014_a_file_is_new_private_and_whole(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let id = run.to_string();
        let token = format!("{}{}", "AKIA", "IOSFODNN7EXAMPLE");
        store.sql(&format!("update operation_run_failures set message = 'key {token}'")).await.unwrap();
        for (file, more, start) in [
            ("d.json", &["--json"][..], "{\n"), ("d.md", &["--markdown"], "# Support diagnostics: run "), ("d.txt", &[], "support diagnostics: run "),
        ] {
            let written = person.run(&[&["support", "diagnostics", "--run", &id, "--output", file], more].concat()).ends(0);
            assert_eq!((written.out.as_str(), written.err.as_str()), ("", &*format!("diagnostics written to \"{file}\"\n1 value withheld: 1 token\n")));
            assert_eq!(std::fs::metadata(person.dir(file)).unwrap().permissions().mode() & 0o777, 0o600);
            let text = std::fs::read_to_string(person.dir(file)).unwrap();
            assert!(text.starts_with(start) && text.ends_with('\n') && text.contains("redacted") && !text.contains(&token), "{text}");
        }
        let json: Value = serde_json::from_str(&std::fs::read_to_string(person.dir("d.json")).unwrap()).unwrap();
        assert_eq!((&json["schema_version"], &json["support_diagnostics"]["run_id"]), (&1.into(), &run.into()));
        let before = std::fs::read_to_string(person.dir("d.md")).unwrap();
        assert_eq!(store.number(OPENINGS).await, 3);
        for (file, part) in [("d.md", "is there already"), ("no/where.md", "there is no such folder"), (".", "is there already")] {
            let refused = person.run(&["support", "diagnostics", "--run", &id, "--output", file]).ends(2);
            assert!(refused.err.contains(part), "{refused:?}");
        }
        assert_eq!(store.number(OPENINGS).await, 3);
        assert_eq!(std::fs::read_to_string(person.dir("d.md")).unwrap(), before);
        person.run(&["support", "diagnostics", "--tenant", "77", "--output", "new.md"]).ends(4);
        assert!(!person.dir("new.md").exists());
    }

    async fn fr_032_015_tenants_are_listed_and_shown_at_a_glance(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let one = reference(&create(&person, &["--run", &run.to_string()]).ends(0));
        store.legacy_findings(&[1], 2).await;
        store.sql("insert into provider_connections (id, workspace_id, tenant_id, provider, status, last_error_code, created_at) values \
                   (5, 1, 1, 'graph', 'degraded', 'token_expired', '2026-11-01T00:00:00+00:00')").await.unwrap();
        let list = person.run(&["tenants", "list", "--json"]).ends(0).json();
        let ids: Vec<i64> = list["tenants"].as_array().unwrap().iter().map(|tenant| tenant["id"].as_i64().unwrap()).collect();
        assert_eq!((ids.as_slice(), &list["matching"]), (&[1, 2, 3, 4, 8, 9][..], &6.into()));
        assert!(list["tenants"][4]["archived_at"].is_string() && list["tenants"][5]["is_platform"] == true, "{list}");
        let found = person.run(&["tenants", "list", "--search", "LABS", "--json"]).ends(0).json();
        assert_eq!((&found["tenants"][0]["id"], &found["matching"]), (&4.into(), &1.into()));
        let told = person.run(&["tenants", "list", "--limit", "2"]).ends(0);
        readable(&told);
        assert_eq!(told.out, "ID  TENANT      WORKSPACE  NOTE\n 1  Contoso DE  Contoso\n 2  Contoso FR  Contoso\n");
        assert_eq!(told.err, "4 more: add --offset 2, or narrow it with --search\n");
        let rest = person.run(&["tenants", "list", "--limit", "4", "--offset", "2"]).ends(0);
        assert!(rest.out.contains("archived\n") && rest.out.ends_with("platform's own\n") && rest.err.is_empty(), "{rest:?}");
        assert_eq!(person.run(&["tenants", "list", "--search", "none"]).ends(0).err, "no tenants\n");

        let told = person.run(&["tenants", "show", "1"]).ends(0);
        readable(&told);
        for part in [
            "tenant 1 Contoso DE\n", "workspace  Contoso (1)\n", "7 days     1 run, 1 failed, 0 active\n", "activity   20",
            "policy.sync  ✗ failed  provider_thrott…\n", "graph     degraded  token_expired", &one, "    every sync ends throttled\n",
        ] {
            assert!(told.out.contains(part), "{part}: {}", told.out);
        }
        let words = told.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("SEVERITY OPEN OVERDUE CLOSED CHANGED (UTC) high 2 0 0 2026-11-01"), "{words}");
        assert_eq!(told.err, "ask for support: tenantpilot support create --tenant 1 --summary TEXT\n");
        let json = person.run(&["tenants", "show", "1", "--json"]).ends(0).json();
        let tenant = &json["tenant"];
        assert_eq!((&tenant["id"], &tenant["last_7_days"]["failed"], &tenant["runs"][0]["state"]), (&1.into(), &1.into(), &"failed".into()));
        assert_eq!((&tenant["findings"][0]["open"], &tenant["provider_connections"][0]["provider"]), (&2.into(), &"graph".into()));
        assert_eq!(tenant["support_requests"][0]["reference"], one);
        let quiet = person.run(&["tenants", "show", "4"]).ends(0).out;
        assert!(quiet.contains("activity   none is kept\n") && quiet.contains("runs\nnone is kept\n"), "{quiet}");
        // Requests are for who may see them, tenants for who may see theirs.
        let rob = restricted(&person, "rob", &[ACCESS, OPS]);
        assert!(rob.run(&["tenants", "show", "3", "--json"]).ends(0).json()["tenant"]["support_requests"].is_null());
        let mine = rob.run(&["tenants", "list", "--json"]).ends(0).json();
        assert_eq!(mine["matching"], 3);
        rob.run(&["tenants", "show", "1"]).ends(4);
        for (arguments, code) in [(&["tenants", "show", "77"][..], 4), (&["tenants", "show", "x"], 2), (&["tenants", "list", "--limit", "0"], 2), (&["tenants", "list", "--offset", "-1"], 2)] {
            assert!(person.run(arguments).ends(code).out.is_empty(), "{arguments:?}");
        }
    }

    async fn fr_032_016_a_refusal_stores_nothing_and_ends_with_its_code(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let id = run.to_string();
        let one = reference(&create(&person, &["--run", &id]).ends(0));
        let hers = reference(&create(&person, &["--tenant", "3"]).ends(0));
        let error = fingerprint(&person, "provider_throttled");
        let before = (store.number(REQUESTS).await, store.number(OPENINGS).await);
        let send = |more: &[&str]| -> Vec<String> {
            [&["support", "create", "--summary", "x", "--confirm", "SEND"], more].concat().into_iter().map(str::to_owned).collect()
        };
        let words = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
        let refused = |who: &Person, arguments: &[String], code: i32, part: &str| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let refused = who.run(&arguments).ends(code);
            assert!(refused.out.is_empty() && refused.err.contains(part), "{arguments:?}: {refused:?}");
            refused.err
        };
        let nobody = created(&person, "rob", &[ACCESS]);
        let opener = created(&person, "olga", &[ACCESS, OPEN]);
        refused(&nobody, &send(&["--tenant", "1"]), 3, SEND);
        refused(&opener, &send(&["--tenant", "1"]), 3, SEND);
        refused(&nobody, &words(&["support", "list"]), 3, SEND);
        refused(&nobody, &words(&["support", "show", &one]), 3, SEND);
        refused(&nobody, &words(&["support", "diagnostics", "--tenant", "1"]), 3, OPEN);
        refused(&nobody, &words(&["tenants", "list"]), 3, OPS);
        refused(&nobody, &words(&["tenants", "show", "1"]), 3, OPS);
        opener.run(&["support", "list"]).ends(0);

        // What is outside the view looks like what is not there.
        let eva = restricted(&person, "eva", &[ACCESS, SEND, OPEN, OPS]);
        for (outside, missing) in [
            (send(&["--tenant", "1"]), send(&["--tenant", "77"])),
            (send(&["--run", &id]), send(&["--run", "7777"])),
            (send(&["--run", &id, "--tenant", "1"]), send(&["--run", "7777", "--tenant", "1"])),
            (words(&["support", "diagnostics", "--tenant", "1"]), words(&["support", "diagnostics", "--tenant", "77"])),
            (words(&["support", "diagnostics", "--run", &id]), words(&["support", "diagnostics", "--run", "7777"])),
            (words(&["support", "show", &one]), words(&["support", "show", "SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV"])),
        ] {
            let (one, other) = (refused(&eva, &outside, 4, "was not found"), refused(&eva, &missing, 4, "was not found"));
            assert_eq!(one.lines().count(), other.lines().count(), "{one} {other}");
        }
        refused(&eva, &send(&["--tenant", "1", "--reference", &one]), 4, "was not found");
        assert_eq!(references(&eva.run(&["support", "list", "--json"]).ends(0).json()), [&hers]);
        refused(&person, &send(&["--run", &id, "--tenant", "2"]), 5, "tenant 2 is no tenant of run");

        let stranger = Person::at(&store.url);
        let gone = Person::at("sqlite:///nowhere/at/all.db");
        let away = Person::at("postgres://nobody@127.0.0.1:1/nothing");
        for arguments in [
            send(&["--tenant", "1"]), send(&["--fingerprint", &error]), send(&["--tenant", "1", "--dry-run"]), words(&["support", "list"]),
            words(&["support", "show", &one]), words(&["support", "diagnostics", "--tenant", "1", "--output", "file"]),
            words(&["tenants", "list"]), words(&["tenants", "show", "1"]),
        ] {
            refused(&stranger, &arguments, 4, "tenantpilot login");
            refused(&gone, &arguments, 7, "database");
            refused(&away, &arguments, 7, "the database ");
        }
        assert!(!stranger.dir("file").exists() && !gone.dir("file").exists());
        for arguments in [&["support"][..], &["support", "show"], &["support", "create"], &["support", "diagnostics"], &["tenants"], &["tenants", "show"], &["support", "show", &one, "--json", "--markdown"]] {
            assert!(person.run(arguments).ends(2).out.is_empty(), "{arguments:?}");
        }
        assert_eq!((store.number(REQUESTS).await, store.number(OPENINGS).await), before);
    }

    async fn fr_032_017_nothing_secret_and_nothing_raw_is_printed_or_stored(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let id = run.to_string();
        let hostile = "\u{1b}[31mtoso\u{202e}\u{9b}\u{200b}\nx";
        let secrets = [
            format!("{}{}", "AKIA", "IOSFODNN7EXAMPLE"),
            format!("{}{}", "ghp_", "0123456789abcdefghijABCDEFGHIJ456789"),
            format!("{}.{}.{}", "eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJhbmEifQ", "c2lnbmF0dXJlc2lnbmF0dXJl"),
            "hunter2-and-more".to_owned(),
        ];
        let all = format!("{} {} Bearer {} password={}", secrets[0], secrets[1], secrets[2], secrets[3]);
        store.sql(&format!("update tenants set name = 'Con{hostile}'")).await.unwrap();
        store.sql(&format!("update operation_run_failures set message = 'Bad{hostile} {all}'")).await.unwrap();
        let _ = store.sql(&format!("insert into provider_connections (workspace_id, tenant_id, provider, status, last_error_code, created_at) values \
                   (1, 1, 'graph{hostile}', 'degraded', 'E {}', '2026-11-01T00:00:00+00:00')", secrets[1])).await;
        std::fs::write(person.dir("notes"), format!("see {all}\nb{hostile}\n")).unwrap();
        let summary = format!("why {all}");
        let given = ["--run", &id, "--summary", &summary, "--notes-file", "notes", "--contact-name", &secrets[1], "--confirm", "SEND"];
        let mut seen = Vec::new();
        let mut run = |arguments: &[&str]| {
            let mut command = person.command(arguments);
            let told = done(command.env("TENANTPILOT_LOG_LEVEL", "debug"), None).ends(0);
            for text in [&told.out, &told.err] {
                assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || is_unseen(c)), "{arguments:?}: {text:?}");
            }
            seen.push(told.out.clone());
            seen.push(told.err.clone());
            told
        };
        for more in [&["--dry-run"][..], &["--dry-run", "--json"], &["--dry-run", "--markdown"]] {
            run(&[&["support", "create"], &given[..], more].concat());
        }
        let one = reference(&run(&[&["support", "create"], &given[..]].concat()));
        run(&[&["support", "create", "--reference", &one, "--json"], &given[..]].concat());
        for more in [&[][..], &["--json"], &["--markdown"]] {
            run(&[&["support", "show", &one], more].concat());
            run(&[&["support", "diagnostics", "--run", &id], more].concat());
            run(&[&["support", "diagnostics", "--tenant", "1"], more].concat());
        }
        for file in ["a.json", "a.md", "a.txt"] {
            let form: &[&str] = match file { "a.json" => &["--json"], "a.md" => &["--markdown"], _ => &[] };
            run(&[&["support", "diagnostics", "--run", &id, "--output", file], form].concat());
        }
        for more in [&[][..], &["--json"]] {
            run(&[&["support", "list"], more].concat());
        }
        // Names are the customer's own words, shown clean; a tenant is found by them.
        for arguments in [&["tenants", "list"][..], &["tenants", "list", "--json"], &["tenants", "show", "1"], &["tenants", "show", "1", "--json"]] {
            let told = person.run(arguments).ends(0);
            assert!(told.out.contains("Con") && !told.out.chars().any(|c| (c.is_control() && c != '\n') || is_unseen(c)), "{told:?}");
        }
        for file in ["a.json", "a.md", "a.txt"] {
            let text = std::fs::read_to_string(person.dir(file)).unwrap();
            assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || is_unseen(c)), "{text:?}");
            seen.push(text);
        }
        seen.push(store.text("select cast(context as text) || summary || reproduction_notes || contact_name from support_requests").await);
        let metadata = match store.engine {
            tenantpilot::ops::Engine::Postgres => "select string_agg(metadata::text, ' ') from audit_logs",
            tenantpilot::ops::Engine::Sqlite => "select group_concat(metadata, ' ') from audit_logs",
        };
        seen.push(store.text(metadata).await);
        if let Ok(logs) = std::fs::read_dir(person.dir("state/logs")) {
            seen.extend(logs.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()));
        }
        assert!(seen.iter().any(|text| text.contains("[redacted:token]")));
        for text in &seen {
            for secret in &secrets {
                assert!(!text.contains(secret.as_str()), "{secret} in {text}");
            }
        }
        assert_eq!(store.number(REQUESTS).await, 1);
    }
}

#[test]
fn fr_032_018_help_has_examples_first() {
    let person = Person::at("");
    for command in [
        &["support"][..],
        &["support", "create"],
        &["support", "list"],
        &["support", "show"],
        &["support", "diagnostics"],
        &["tenants"],
        &["tenants", "list"],
        &["tenants", "show"],
    ] {
        let help = person.run(&[command, &["--help"]].concat()).ends(0);
        let example = format!("Examples:\n  tenantpilot {}", command.join(" "));
        assert!(help.out.starts_with(&example) && help.err.is_empty(), "{help:?}");
        assert!(!help.out.contains('\u{1b}'), "{help:?}");
    }
    let help = person.run(&["support", "create", "--help"]).ends(0).out;
    for flag in
        ["--dry-run", "--mask-file", "--withhold", "--reference", "--confirm", "--notes-file"]
    {
        assert!(help.contains(flag), "{flag}: {help}");
    }
}
