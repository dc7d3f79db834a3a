//! `tenantpilot break-glass`, and what it changes for commands that start something.

use chrono::{DateTime, Duration, Utc};
use tenantpilot::ErrorKind;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::Consent;
use tenantpilot::ops::overview::RetryGroup;

use crate::cli::Person;
use crate::support::stores::{PASSWORD, both_engines};

const ENTER: [&str; 7] =
    ["break-glass", "enter", "--reason-code", "INCIDENT", "--reason", "checkout is down", "--yes"];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [&ENTER, more].concat()
}

both_engines! {
    async fn fr_021_013_the_command_line_takes_shows_and_ends_it(store) {
        let person = Person::administrator(&store.url);
        let none = person.run(&["break-glass", "status", "--json"]).ends(0).json();
        assert!(none["break_glass"].is_null() && none.as_object().unwrap().contains_key("break_glass"));
        assert_eq!(person.run(&["break-glass", "status"]).ends(0).out, "break-glass is not active\n");

        let taken = person.run_with(&with(&["--password-file", "-", "--minutes", "30", "--json"]), PASSWORD).ends(0).json();
        let glass = &taken["break_glass"];
        assert_eq!(glass["reason_code"], "INCIDENT");
        assert_eq!(glass["reason"], "checkout is down");
        let time = |key: &str| glass[key].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        assert_eq!(time("expires_at") - time("granted_at"), Duration::minutes(30));
        assert!(glass["grant_id"].is_i64());
        assert_eq!(person.run(&["break-glass", "status", "--json"]).ends(0).json()["break_glass"], *glass);
        let status = person.run(&["break-glass", "status"]).ends(0).out;
        assert!(status.starts_with("break-glass is active until ") && status.ends_with("UTC: INCIDENT, checkout is down\n"), "{status}");

        let again = person.run_with(&with(&["--password-file", "-"]), PASSWORD).ends(5);
        assert!(again.err.contains("active already, until"), "{again:?}");
        assert!(person.run(&["break-glass", "end", "--json", "--yes"]).ends(0).json()["break_glass"].is_null());
        let ended = person.run(&["break-glass", "end", "--yes"]).ends(5);
        assert!(ended.err.contains("break-glass is not active"), "{ended:?}");
        person.run_with(&with(&["--password-file", "-"]), PASSWORD).ends(0);
        assert_eq!(person.run(&["break-glass", "end", "--yes"]).ends(0).out, "break-glass has ended\n");
    }

    async fn fr_021_013_a_wrong_call_takes_nothing_and_asks_nothing(store) {
        let person = Person::administrator(&store.url);
        let wrong = person.run_with(&with(&["--password-file", "-"]), "not the password").ends(5);
        assert!(wrong.err.contains("the password is not right"), "{wrong:?}");
        for (arguments, part) in [
            (with(&["--no-input"]), "--no-input forbids to ask"),
            (with(&[]), "not a terminal to ask at"),
            (with(&["--password-file", "-", "--minutes", "4"]), "5 to 240 minutes"),
            (with(&["--password-file", "-", "--minutes", "241"]), "5 to 240 minutes"),
            (vec!["break-glass", "enter", "--reason-code", "INCIDENT", "--yes"], "--reason"),
            (vec!["break-glass", "enter", "--reason-code", "WHIM", "--reason", "x", "--password-file", "-", "--yes"], "reason code"),
            (vec!["break-glass", "enter", "--reason-code", "INCIDENT", "--reason", " \u{200b}", "--password-file", "-", "--yes"], "the reason is empty"),
        ] {
            let refused = person.run_with(&arguments, PASSWORD).ends(2);
            assert!(refused.err.contains(part) && refused.out.is_empty(), "{arguments:?}: {refused:?}");
        }
        Person::at(&store.url).run(&["break-glass", "status"]).ends(4);
        assert_eq!(store.number("select count(*) from break_glass_grants").await, 0);
    }

    async fn fr_021_012_fr_021_013_a_start_says_that_it_is_active_and_the_run_says_why(store) {
        let store = store.with_platform().await.with_active_worker().await;
        store.legacy_findings(&[1, 2], 3).await;
        let person = Person::administrator(&store.url);
        let key = "findings.lifecycle_backfill";
        let quiet = person.run(&["runbooks", "start", key, "--tenant", "1", "--yes"]).ends(0);
        assert!(!quiet.err.contains("break-glass"), "{quiet:?}");
        let plain = person.run(&["runs", "show", "1"]).ends(0);
        assert!(!plain.out.contains("break-glass"), "{plain:?}");
        person.run_with(&with(&["--password-file", "-"]), PASSWORD).ends(0);
        let refused = person.run(&["runbooks", "start", key, "--tenant", "2", "--yes"]).ends(5);
        assert!(refused.err.contains("error: break-glass is active: every start needs a reason"), "{refused:?}");
        assert!(refused.err.contains("hint: give --reason-code and --reason"), "{refused:?}");
        let started = person.run(&["runbooks", "start", key, "--tenant", "2", "--reason-code", "SUPPORT", "--reason", "asked for in SR-7", "--json", "--yes"]).ends(0);
        assert_eq!(started.err.matches("break-glass is active until ").count(), 1, "{started:?}");
        assert_eq!(started.json()["run"]["break_glass"], true);

        let shown = person.run(&["runs", "show", "2"]).ends(0).out;
        assert!(shown.contains("started under break-glass: INCIDENT, checkout is down\n"), "{shown}");
        assert!(shown.contains("runbooks.start  succeeded  break-glass\n"), "{shown}");
        let run = person.run(&["runs", "show", "2", "--json"]).ends(0).json();
        let run = &run["run"];
        assert_eq!(run["break_glass"], true);
        assert_eq!(run["context"]["break_glass"]["reason"], "checkout is down");
        assert_eq!(run["audit"][0]["break_glass"], true);

        // A retry too. The first run recorded no reason.
        for id in ["1", "2"] {
            person.run(&["runs", "cancel", id, "--yes"]).ends(0);
        }
        let refused = person.run(&["runs", "retry", "1", "--yes"]).ends(5);
        assert!(refused.err.contains("run 1 recorded none"), "{refused:?}");
        let retried = person.run(&["runs", "retry", "2", "--yes"]).ends(0);
        assert!(retried.err.contains("break-glass is active until "), "{retried:?}");
        let run = person.run(&["runs", "show", "3", "--json"]).ends(0).json();
        assert_eq!(run["run"]["context"]["reason"]["text"], "asked for in SR-7");
        assert_eq!(run["run"]["break_glass"], true);
    }
    async fn fr_021_010_a_dry_run_needs_the_reason_that_the_command_needs(store) {
        let store = store.with_platform().await.with_demo_worker().await.with_active_worker().await;
        store.legacy_findings(&[1, 2], 3).await;
        let failed = store.ended("policy.sync", 1, 1, 1, 5).await.to_string();
        let admin = store.administrator().await;
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        person.run_with(&with(&["--password-file", "-"]), PASSWORD).ends(0);
        let needed = "break-glass is active: every start needs a reason";
        let reason = ["--reason-code", "SUPPORT", "--reason", "asked for in SR-7"];
        for (command, confirmed) in [
            (&["runbooks", "start", "findings.lifecycle_backfill", "--tenant", "2"][..], &["--yes"][..]),
            (&["runs", "retry", &failed], &["--yes"]),
            (&["product-usage", "prune"], &["--confirm", "PRUNE"]),
        ] {
            for given in [&["--dry-run"], confirmed] {
                let refused = person.run(&[command, given].concat()).ends(5);
                assert!(refused.err.contains(needed), "{command:?} {refused:?}");
            }
            person.run(&[command, &["--dry-run"], &reason].concat()).ends(0);
        }
        let fingerprint = store.text("select max(fingerprint) from operation_run_failures").await;
        let retry = |consent| RetryGroup {
            fingerprint: fingerprint.clone(), run_ids: vec![failed.parse().unwrap()], consent, source: Source::Cli, wait_for_worker: false,
        };
        for consent in [Consent::dry_run(), Consent::yes()] {
            let refused = store.ops.run(&admin.actor, retry(consent)).await.unwrap_err();
            assert_eq!((refused.kind(), refused.message()), (ErrorKind::Refused, needed));
        }
        assert_eq!(store.number("select count(*) from operation_runs").await, 1);
    }
}
