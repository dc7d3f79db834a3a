//! `tenantpilot support create`: what is typed and read, what is masked, and what is not sent.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::cli::{Done, Person};
use crate::overview_cli::{created, readable};
use crate::support::stores::{Store, both_engines};
use crate::support_cli::{ACCESS, OPENINGS, REQUESTS, SEND, create, failed, reference};

/// Tokens that are put together here, so that none stands in a file.
fn tokens() -> [String; 3] {
    [
        format!("{}{}", "AKIA", "IOSFODNN7EXAMPLE"),
        format!("{}{}", "ghp_", "0123456789abcdefghijABCDEFGHIJ456789"),
        format!("password={}", "hunter2-and-more"),
    ]
}

fn dry(person: &Person, more: &[&str]) -> Done {
    person.run(&[&["support", "create", "--dry-run"], more].concat())
}

/// The request's columns of a dry run.
#[track_caller]
fn rehearsed(person: &Person, code: i32, more: &[&str]) -> Value {
    dry(person, &[more, &["--json"]].concat()).ends(code).json()
}

async fn nothing_happened(store: &Store) {
    assert_eq!((store.number(REQUESTS).await, store.number(OPENINGS).await), (0, 0));
}

both_engines! {
    async fn fr_032_003_what_cannot_be_read_is_refused_before_anything_is_opened(store) {
        let store = store.with_platform().await;
        let (person, _) = failed(&store).await;
        std::fs::write(person.dir("latin"), b"first\nsecond \xe4\n").unwrap();
        std::fs::write(person.dir("huge"), vec![b'x'; 2 * 1024 * 1024]).unwrap();
        std::fs::write(person.dir("long"), vec![b'x'; 100_000]).unwrap();
        std::fs::write(person.dir("empty"), " \n\n").unwrap();
        std::fs::write(person.dir("short"), "Nightfall\nx\n").unwrap();
        std::fs::write(person.dir("many"), (0..51).map(|n| format!("passage {n}")).collect::<Vec<_>>().join("\n")).unwrap();
        std::fs::create_dir(person.dir("folder")).unwrap();
        for (more, part) in [
            (&["--notes-file", "missing"][..], "cannot read the notes from \"missing\": it does not exist"),
            (&["--notes-file", "folder"], "it is a directory"),
            (&["--notes-file", "latin"], "the notes are no UTF-8: \"latin\", line 2"),
            (&["--notes-file", "huge"], "cannot read the notes from \"huge\": it is larger than 1 MiB"),
            (&["--notes-file", "/dev/zero"], "it is not a regular file"),
            (&["--notes-file", "long"], "the notes' text has 100000 characters, at most 10000 are kept"),
            (&["--notes-file", ""], "a value is required for '--notes-file <FILE>'"),
            (&["--notes-file", "-", "--mask-file", "-"], "both read standard input"),
            (&["--mask-file", "missing"], "cannot read the passages to mask from \"missing\": it does not exist"),
            (&["--mask-file", "folder"], "it is a directory"),
            (&["--mask-file", "latin"], "no UTF-8"),
            (&["--mask-file", "empty"], "there is no passage to mask"),
            (&["--mask-file", "short"], "line 2 of the passages to mask has one character only"),
            (&["--mask-file", "many"], "at most 50 passages are masked by hand"),
        ] {
            let refused = create(&person, &[&["--tenant", "1"], more].concat()).ends(2);
            assert!(refused.err.contains(part) && refused.out.is_empty(), "{more:?}: {refused:?}");
            assert!(!refused.err.contains("Nightfall") && !refused.err.contains("passage 1\n"), "{refused:?}");
        }
        let piped = ["support", "create", "--tenant", "1", "--summary", "x", "--confirm", "SEND", "--notes-file", "-"];
        let long = person.run_with(&piped, &"y".repeat(3 * 1024 * 1024)).ends(2);
        assert!(long.err.contains("from standard input: it is larger than 1 MiB"), "{long:?}");
        nothing_happened(&store).await;

        // What can be read is kept line by line.
        let sent = person.run_with(&piped, "\u{feff}one\r\n\r\n  two\t\r\n\r\n").ends(0);
        assert_eq!(store.text("select reproduction_notes from support_requests").await, "one\n\n  two");
        assert!(!sent.err.contains("warning"), "{sent:?}");
        std::fs::write(person.dir("full"), "ä".repeat(10_000) + "\n").unwrap();
        create(&person, &["--tenant", "1", "--notes-file", "full"]).ends(0);
        let none = create(&person, &["--tenant", "1", "--notes-file", "empty"]).ends(0);
        assert!(none.err.starts_with("warning: the notes are empty\n"), "{none:?}");
        assert_eq!(store.number("select count(*) from support_requests where reproduction_notes is null").await, 1);
    }

    async fn fr_032_007_what_is_typed_wrong_is_refused_with_every_problem(store) {
        let store = store.with_platform().await;
        let (person, _) = failed(&store).await;
        let (long, name) = ("x".repeat(501), "n".repeat(201));
        let blank = "the summary is empty";
        for (summary, more, part) in [
            ("", &[][..], blank),
            (" \t ", &[], blank),
            ("\u{202e}\u{200b}\u{7}", &[], blank),
            ("...", &[], blank),
            (&long, &[], "the summary has 501 characters, at most 500 are kept"),
            ("x", &["--contact-email", "ana"], "the contact's e-mail address is not one"),
            ("x", &["--contact-email", "a b@example.com"], "holds a blank"),
            ("x", &["--contact-email", "a\u{202e}@example.com"], "holds a blank or a character"),
            ("x", &["--contact-name", &name], "the contact's name has 201 characters"),
            ("x", &["--severity", "urgent"], "low, normal, high, blocking"),
            ("x", &["--severity", ""], "low, normal, high, blocking"),
            ("x", &["--tenant", "0"], "whole number above 0"),
            ("x", &["--tenant", "Contoso"], "whole number above 0"),
            ("x", &["--run", "-1"], "the number of a run is a whole number above 0"),
            ("x", &["--window", "7d"], "--fingerprint"),
            ("x", &["--run", "1", "--fingerprint", "3fa9c01b77de"], "cannot be used with"),
            ("x", &["--withhold", "runs/run-1", "--no-diagnostics"], "cannot be used with"),
            ("x", &["--markdown"], "--dry-run"),
        ] {
            let about: &[&str] = if more.contains(&"--tenant") { &[] } else { &["--tenant", "1"] };
            let refused = person.run(&[&["support", "create", "--confirm", "SEND", "--summary", summary], about, more].concat()).ends(2);
            assert!(refused.err.contains(part) && refused.out.is_empty(), "{more:?}: {refused:?}");
            assert!(!refused.err.contains(['\u{202e}', '\u{7}']), "{refused:?}");
        }
        let unsaid = person.run(&["support", "create", "--summary", "x", "--confirm", "SEND"]).ends(2);
        assert!(unsaid.err.contains("--tenant ID, --run ID or --fingerprint FINGERPRINT"), "{unsaid:?}");
        let all = ["support", "create", "--tenant", "1", "--summary", "", "--contact-email", "x", "--contact-name", &name, "--confirm", "SEND"];
        let all = person.run(&all).ends(2);
        assert_eq!((all.err.matches("also: ").count(), all.err.lines().count()), (2, 4), "{all:?}");
        nothing_happened(&store).await;

        // Hostile characters are kept as stand-ins.
        std::fs::write(person.dir("notes"), "a\u{1b}[31mb\u{202e}\nc\u{0}d\n").unwrap();
        create(&person, &["--tenant", "1", "--notes-file", "notes", "--contact-name", "A\u{200b}\u{7}na"]).ends(0);
        assert_eq!(store.text("select reproduction_notes from support_requests").await, "a\u{fffd}[31mb\u{fffd}\nc\u{fffd}d");
        assert_eq!(store.text("select contact_name from support_requests").await, "A\u{fffd}\u{fffd}na");
    }

    async fn fr_032_004_a_dry_run_shows_exactly_what_is_stored(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let run = run.to_string();
        let [key, token, password] = tokens();
        std::fs::write(person.dir("notes"), format!("as {password}\nthen   wait\n")).unwrap();
        let summary = format!("throttled for bob@example.com with {key}");
        let given = ["--run", &run, "--summary", &summary, "--notes-file", "notes", "--contact-name", &token, "--severity", "high"];
        let told = dry(&person, &given).ends(0);
        readable(&told);
        for part in [
            "support request, not sent yet\n", &format!("about      run {run} (policy.sync), tenant Contoso DE (1)\n"),
            "summary    throttled for [redacted:email] with [redacted:token]\n", "contact    [redacted:token]\n",
            "evidence   diagnostics attached\n", "redaction  4 values withheld: 2 tokens, 1 password, 1 e-mail\n",
            "REPRODUCTION NOTES\n  as password=[redacted:password]\n  then   wait\n",
            "STORED REPORTS\n  empty: no report of this tenant is kept\n",
        ] {
            assert!(told.out.contains(part), "{part}: {}", told.out);
        }
        assert_eq!(told.err, "nothing was stored; the same without --dry-run sends it\n");
        let markdown = dry(&person, &[&given[..], &["--markdown"]].concat()).ends(0).out;
        assert!(markdown.starts_with("# Support request, not sent yet\n\n- about: run ") && markdown.contains("\n### Stored reports\n\nEmpty: "), "{markdown}");
        let json = rehearsed(&person, 0, &given);
        assert_eq!((&json["dry_run"], &json["ready"], &json["problems"], &json["suspects"]), (&true.into(), &true.into(), &Value::Array(vec![]), &Value::Array(vec![])));
        assert_eq!(json["manifest"], "4 values withheld: 2 tokens, 1 password, 1 e-mail");
        assert_eq!((&json["masks"]["summary"][0]["rule"], &json["masks"]["reproduction_notes"][0]["rule"]), (&"email".into(), &"password".into()));
        assert_eq!((store.number(REQUESTS).await, store.number(OPENINGS).await), (0, 3));

        // The same text as a record; only what depends on the moment of the opening differs.
        let one = reference(&person.run(&[&["support", "create", "--confirm", "SEND"], &given[..]].concat()).ends(0));
        let stored = person.run(&["support", "show", &one, "--json"]).ends(0).json();
        let (before, after) = (&json["support_request"], &stored["support_request"]);
        for (name, value) in before.as_object().unwrap().iter().filter(|(name, _)| *name != "context") {
            assert_eq!(after[name], *value, "{name}");
        }
        for part in ["workspace", "tenant", "run", "redaction", "schema_version"] {
            assert_eq!(after["context"][part], before["context"][part], "{part}");
        }
        let paths = |context: &Value| -> Vec<String> {
            let sections = context["diagnostics"]["sections"].as_array().unwrap();
            sections.iter().flat_map(|section| section["items"].as_array().unwrap()).map(|item| item["path"].to_string()).filter(|path| !path.contains("audit")).collect()
        };
        assert_eq!(paths(&after["context"]), paths(&before["context"]));

        // Problems and passages are shown, and decide how it ends.
        let held = dry(&person, &["--tenant", "1", "--summary", "he typed Winter2026!", "--contact-email", "x"]).ends(2);
        assert!(held.out.contains("\nSTILL LOOKS LIKE A SECRET\n  the summary: Winter2026!\n") && !held.err.contains("Winter"), "{held:?}");
        let held = rehearsed(&person, 5, &["--tenant", "1", "--summary", "he typed Winter2026!"]);
        assert_eq!((&held["ready"], &held["suspects"][0]["place"], &held["suspects"][0]["text"]), (&false.into(), &"the summary".into(), &"Winter2026!".into()));
        let blank = rehearsed(&person, 2, &["--tenant", "1", "--summary", " "]);
        assert_eq!((&blank["ready"], &blank["problems"][0]["field"]), (&false.into(), &"summary".into()));
        assert_eq!(store.number(REQUESTS).await, 1);
    }

    async fn fr_032_008_what_looks_like_a_secret_is_held_back_by_its_place(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let run = run.to_string();
        std::fs::write(person.dir("notes"), "first\nhe typed Winter2026!\nand then Summer2031#\n").unwrap();
        store.sql("update operation_run_failures set message = 'sent Autumn1999& again'").await.unwrap();
        let failure = store.number("select max(id) from operation_run_failures").await;
        let item = format!("runs/failure-{failure}");
        for more in [&[][..], &["--json"]] {
            let held = create(&person, &[&["--run", &run, "--notes-file", "notes", "--contact-name", "Xk9Qz2Lm4Rt7"], more].concat()).ends(5);
            assert!(held.out.is_empty() && held.err.contains("error: 4 passages still look like secrets\n"), "{held:?}");
            for part in [
                "line 2 of the notes: something still looks like a secret; write it differently",
                "line 3 of the notes: ", "the contact's name: ",
                &format!("{item}: something still looks like a secret; mask it by --mask-file, or add: --withhold {item}\n"),
                "hint: --dry-run shows them; nothing was sent\n",
            ] {
                assert!(held.err.contains(part), "{part}: {held:?}");
            }
            for passage in ["Winter", "Summer", "Autumn", "Xk9"] {
                assert!(!held.err.contains(passage), "{held:?}");
            }
        }
        assert_eq!(store.number(REQUESTS).await, 0);
        // Each way that was told leads on.
        std::fs::write(person.dir("masks"), "Winter2026!\nSummer2031#\n").unwrap();
        create(&person, &["--run", &run, "--notes-file", "notes", "--mask-file", "masks", "--withhold", &item]).ends(0);
        let context = store.text("select cast(context as text) || summary || reproduction_notes from support_requests").await;
        assert!(!context.contains("Autumn") && !context.contains("Winter") && !context.contains("Summer"), "{context}");
    }

    async fn fr_032_009_more_is_masked_and_left_out_and_slips_are_told(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let run = run.to_string();
        store.sql("update operation_run_failures set message = 'Project  NIGHTFALL is throttled'").await.unwrap();
        std::fs::write(person.dir("masks"), "project nightfall\n\nnowhere at all\nContoso\n").unwrap();
        std::fs::set_permissions(person.dir("masks"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let given = ["--run", &run, "--summary", "Project Nightfall waits", "--mask-file", "masks"];
        let json = rehearsed(&person, 0, &given);
        let text = json["support_request"].to_string();
        assert!(!text.to_lowercase().contains("nightfall") && !text.contains("Contoso"), "{text}");
        assert_eq!(json["support_request"]["summary"], "[redacted:operator] waits");
        assert_eq!(json["support_request"]["context"]["tenant"]["name"], "[redacted:operator] DE");
        let told = dry(&person, &given).ends(0);
        assert!(told.err.starts_with("warning: passage 2 of the mask file masks nothing that is not masked already\n"), "{told:?}");
        assert!(!told.err.contains("nowhere") && told.err.lines().count() == 2, "{told:?}");
        std::fs::set_permissions(person.dir("masks"), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(dry(&person, &given).ends(0).err.contains("others can read \"masks\"; run: chmod 600 \"masks\""));
        let piped = ["support", "create", "--run", &run, "--summary", "Nightfall", "--mask-file", "-", "--confirm", "SEND"];
        person.run_with(&piped, "nightfall\n").ends(0);
        assert_eq!(store.text("select summary from support_requests").await, "[redacted:operator]");

        let item = format!("runs/run-{run}");
        for (more, wrong) in [(&["--withhold", "runs/run-0"][..], "runs/run-0"), (&["--withhold", &item, "--withhold", "runs"], "runs")] {
            let refused = create(&person, &[&["--run", &run], more].concat()).ends(2);
            assert!(refused.err.contains(&format!("the diagnostics have no item \"{wrong}\"")) && refused.out.is_empty(), "{refused:?}");
        }
        let json = rehearsed(&person, 0, &["--run", &run, "--summary", "x", "--withhold", &item, "--withhold", "overview/summary"]);
        assert_eq!((&json["items_left_out"], &json["manifest"]), (&2.into(), &"nothing withheld; 2 items left out".into()));
        let left = dry(&person, &["--run", &run, "--summary", "x", "--withhold", &item]).ends(0).out;
        assert!(left.contains(&format!("  {item}  (left out by the operator)\n")), "{left}");
        assert_eq!(store.number(REQUESTS).await, 1);
    }

    async fn fr_032_010_without_the_capability_ids_and_codes_go_with_it(store) {
        let store = store.with_platform().await;
        let (person, run) = failed(&store).await;
        let run = run.to_string();
        let eva = created(&person, "eva", &[ACCESS, SEND]);
        let shown = dry(&eva, &["--run", &run, "--summary", "x"]).ends(0).out;
        assert!(shown.contains("evidence   ids and codes only\n") && shown.contains("  reason code ") && !shown.contains("OVERVIEW"), "{shown}");
        let sent = create(&eva, &["--run", &run]).ends(0);
        assert!(sent.err.contains("ids and codes only; nothing withheld\n"), "{sent:?}");
        assert_eq!(store.number(OPENINGS).await, 0);
        create(&person, &["--run", &run, "--no-diagnostics"]).ends(0);
        let only = "select count(*) from support_requests where attachment_mode = 'canonical_context_only'";
        assert_eq!(store.number(only).await, 2);
    }
}
