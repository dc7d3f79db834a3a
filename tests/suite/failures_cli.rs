//! `tenantpilot failures`: errors by command.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::ops::Engine;

use crate::cli::Person;
use crate::cli_terminal::Terminal;
use crate::overview_cli::{
    Past, THROTTLED, counts, created, fingerprint, listed, pasted, readable,
};
use crate::support::stores::{Store, block_on, both_engines};

const REASON: [&str; 4] = ["--reason-code", "INCIDENT", "--reason", "the provider is back"];

both_engines! {
    async fn fr_027_006_errors_are_listed_once_each_the_commonest_first(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        let none = person.run(&["failures", "list"]).ends(0);
        assert_eq!(none.out, "Nothing failed in Last 24 hours.\n");
        store.with_trouble().await;
        let list = person.run(&["failures", "list"]).ends(0);
        readable(&list);
        let lines: Vec<&str> = list.out.lines().collect();
        assert_eq!(lines[0], "5 recorded failures are 3 errors in Last 24 hours");
        assert!(lines[2].starts_with("FINGERPRINT   FAILURES  RUNS  TENANTS  LAST (UTC) "), "{list:?}");
        let first: Vec<&str> = lines[3].split_whitespace().collect();
        assert_eq!((first[0].len(), &first[1..4], first[6]), (12, &["3", "3", "3"][..], "provider_throttled"));
        assert_eq!(lines[4], "    # from #, retry after # s");
        assert!(list.err.contains("tenantpilot failures show FINGERPRINT\n"), "{list:?}");
        let page = person.run(&["failures", "list", "--json"]).ends(0).json();
        assert_eq!((&page["total_failures"], &page["total_fingerprints"]), (&5.into(), &3.into()));
        assert_eq!(page["sentence"], lines[0]);
        let mut found = BTreeMap::new();
        counts(&page, &mut found);
        assert_eq!(found.len(), 3);
        for (filter, count) in &found {
            assert_eq!(listed(&person, filter), *count, "{filter}");
        }
        let two = person.run(&["failures", "list", "--limit", "2", "--window", "7d"]).ends(0);
        assert!(two.out.starts_with("6 recorded failures are 3 errors in Last 7 days\n"), "{two:?}");
        assert_eq!(two.out.lines().count(), 3 + 2 * 2);
        assert!(two.err.contains("1 more error: raise --limit\n") && two.err.contains("FINGERPRINT --window 7d\n"), "{two:?}");
    }

    async fn fr_027_007_an_error_is_explained_with_what_to_do_next(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        store.with_trouble().await;
        let one = fingerprint(&person, "provider_throttled");
        let told = person.run(&["failures", "show", &one]).ends(0);
        readable(&told);
        assert!(told.out.starts_with(&format!("{one}  # from #, retry after # s\n\n✗ provider_throttled: ")), "{told:?}");
        for part in [
            "usually passes by itself; a retry can help", "next: ", "failures   3 in 3 runs of 3 tenants\n",
            "policy.sync  Fabrikam\n", "429 from 10.0.0.3, retry after 30 s\n",
        ] {
            assert!(told.out.contains(part), "{part}: {told:?}");
        }
        let shown = pasted(&person, &told.err, "list its runs:").ends(0).json();
        assert_eq!(shown["runs"].as_array().unwrap().len(), 3);
        assert!(told.err.contains(&format!("tenantpilot failures retry {one}\n")), "{told:?}");
        let json = person.run(&["failures", "show", &one, "--json"]).ends(0).json();
        let group = &json["fingerprint"];
        assert_eq!((&group["fingerprint"], &group["retry"]), (&one.into(), &"helps".into()));
        for key in ["pattern", "explanation", "retry_sentence", "next_step", "label", "filter", "first_seen_at"] {
            assert!(group[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {group}");
        }
        assert_eq!(group["sample"]["tenant_name"], "Fabrikam");
        let named = fingerprint(&person, "permission_denied");
        let named = person.run(&["failures", "show", &named]).ends(0).out;
        assert!(named.contains("no consent for <name>\n") && named.contains("until something is changed"), "{named}");
    }

    async fn fr_027_008_a_retry_starts_exactly_the_runs_that_were_shown(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        store.with_trouble().await;
        let past = Past::of(&store, TimeDelta::minutes(80));
        // One that has a newer one like it, and one that has not ended.
        let old = past.failed("review_pack.generate", 4, THROTTLED, "429 from 10.0.0.4, retry after 4 s").await;
        past.clock.advance(TimeDelta::seconds(5));
        past.succeeded("review_pack.generate", 4, 1).await;
        let open = past.claimed("review_pack.generate", 2).await;
        past.say(&open, THROTTLED, "429 from 10.0.0.5, retry after 5 s").await;
        let one = fingerprint(&person, "provider_throttled");
        let before = store.runs().await;

        let plan = person.run(&["failures", "retry", &one, "--dry-run", "--json"]).ends(0).json();
        assert_eq!((&plan["dry_run"], &plan["plan"]["phrase"]), (&true.into(), &"RETRY 3".into()));
        let skipped: Vec<i64> = plan["plan"]["skipped"].as_array().unwrap().iter().map(|run| run["run_id"].as_i64().unwrap()).collect();
        assert_eq!(skipped, [open.id, old]);
        let wide = person.run(&["failures", "retry", &one, "--dry-run", "--window", "24h"]).ends(0);
        readable(&wide);
        assert!(wide.err.ends_with(&format!("start them:\ntenantpilot failures retry {one} --window 24h --reason-code DATA_REPAIR --reason '...' --confirm 'RETRY 3'\n")), "{wide:?}");
        let rehearsed = person.run(&["failures", "retry", &one, "--dry-run"]).ends(0);
        readable(&rehearsed);
        assert!(rehearsed.out.starts_with("3 targets of 3 runs would be tried again; nothing was started\nrun "), "{rehearsed:?}");
        assert!(rehearsed.err.contains(&format!("run {old} is not tried again: a newer run like it")), "{rehearsed:?}");
        assert!(rehearsed.err.contains(&format!("failures retry {one} --reason-code DATA_REPAIR --reason '...' --confirm 'RETRY 3'\n")), "{rehearsed:?}");
        let unsaid = person.run(&["failures", "retry", &one, "--confirm", "RETRY 3"]).ends(2);
        assert!(unsaid.err.contains("--reason-code and --reason"), "{unsaid:?}");
        person.run(&[&["failures", "retry", &one, "--confirm", "RETRY 3", "--reason-code", "INCIDENT"][..], &["--reason", "a"]].concat()).ends(2);
        let retry = |more: &[&str]| person.run(&[&["failures", "retry", &one][..], &REASON, more].concat());
        let asked = retry(&[]).ends(2);
        assert!(asked.err.contains("--confirm 'RETRY 3'") && asked.out.is_empty(), "{asked:?}");
        retry(&["--no-input"]).ends(2);
        retry(&["--yes"]).ends(2);
        retry(&["--confirm", "RETRY 4"]).ends(5);
        retry(&["--confirm", ""]).ends(5);
        assert_eq!(store.runs().await, before);
        let audited = |status: &str| format!("select count(*) from audit_logs where action = 'overview.retry_group' and status = '{status}'");
        assert_eq!(store.number(&audited("refused")).await, 7);

        let done = retry(&["--confirm", "RETRY 3", "--json"]).ends(0).json();
        let started = done["retry"]["started"].as_array().unwrap();
        assert_eq!(started.len(), 3);
        assert_eq!(done["retry"]["skipped"].as_array().unwrap().len(), 2);
        for pair in started {
            let (of, run) = (&pair["retry_of"], &pair["run_id"]);
            assert_eq!(store.number(&format!("select retry_of_run_id from operation_runs where id = {run}")).await, of.as_i64().unwrap());
        }
        assert_eq!((store.runs().await, store.number(&audited("succeeded")).await), (before + 3, 1));

        // What was tried again is not tried again twice: each is named, and it is no success.
        let again = retry(&["--confirm", "RETRY 3"]).ends(5);
        readable(&again);
        assert!(again.out.is_empty() && again.err.ends_with("error: nothing was started\nhint: each run that was left out is named, with why\n"), "{again:?}");
        assert_eq!(again.err.matches("it was retried as run ").count(), 3, "{again:?}");
        let again = person.run(&["failures", "retry", &one, "--json"]).ends(5).json();
        assert_eq!((again["retry"]["started"].as_array().unwrap().len(), again["retry"]["skipped"].as_array().unwrap().len()), (0, 5));
        person.run(&["failures", "retry", &one, "--dry-run"]).ends(5);
        assert_eq!(store.runs().await, before + 3);

        // One target needs no phrase and no reason.
        let single = fingerprint(&person, "permission_denied");
        let asked = person.run(&["failures", "retry", &single]).ends(2);
        assert!(asked.err.contains("add: --yes"), "{asked:?}");
        let done = person.run(&["failures", "retry", &single, "--yes"]).ends(0);
        let run = store.number("select max(id) from operation_runs").await;
        assert!(done.out.starts_with("run ") && done.out.ends_with(&format!(" is tried again as run {run}\n")), "{done:?}");
        assert!(done.err.contains(&format!("tenantpilot runs watch {run}\n")), "{done:?}");
    }

    async fn fr_027_008_targets_of_archived_tenants_are_left_out_and_counted(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        let person = Person::administrator(&store.url);
        let past = Past::of(&store, TimeDelta::minutes(30));
        let run = past.failed_over("inventory.sync", &[1, 2, 3], "row 5 changed").await.to_string();
        let one = fingerprint(&person, "conflict");
        let said = "left out, since archived by now: 1 target\n";
        let rehearsals = [["failures", "retry", &one, "--dry-run"], ["runs", "retry", &run, "--dry-run"]];
        for arguments in &rehearsals {
            let rehearsed = person.run(arguments).ends(0);
            assert!(rehearsed.out.starts_with("3 targets of ") && !rehearsed.err.contains("left out"), "{rehearsed:?}");
        }
        store.sql("update tenants set archived_at = '2026-11-20T12:00:00+00:00' where id = 2").await.unwrap();
        for arguments in &rehearsals {
            let rehearsed = person.run(arguments).ends(0);
            assert!(rehearsed.out.starts_with("2 targets of ") && rehearsed.err.contains(said), "{rehearsed:?}");
        }
        let plan = person.run(&["failures", "retry", &one, "--dry-run", "--json"]).ends(0).json();
        assert_eq!((&plan["plan"]["left_out_count"], &plan["plan"]["targets"]), (&1.into(), &2.into()));
        let done = person.run(&[&["failures", "retry", &one, "--confirm", "RETRY 2"][..], &REASON].concat()).ends(0);
        assert!(done.out.starts_with(&format!("run {run} is tried again as run ")) && done.err.contains(said), "{done:?}");
    }

    async fn fr_027_009_what_a_start_refuses_is_named_and_stops_no_other(store) {
        let store = store.with_platform().await.with_demo_worker().await;
        let person = Person::administrator(&store.url);
        let ben = created(&person, "ben", &["platform.access_system_panel", "platform.console.view", "platform.ops.view", "platform.ops.manage"]);
        let past = Past::of(&store, TimeDelta::minutes(30));
        let hers = past.failed("findings.lifecycle_backfill", 1, ReasonCode::Conflict, "row 5 changed").await;
        let one = fingerprint(&ben, "conflict");
        // Its only run is one that he may not start.
        let refused = ben.run(&["failures", "retry", &one, "--yes"]).ends(3);
        assert!(refused.out.is_empty() && refused.err.contains(&format!("run {hers} is not tried again: ")), "{refused:?}");
        assert!(refused.err.contains("platform.runbooks.run"), "{refused:?}");
        let denied = "select count(*) from audit_logs where action = 'overview.retry_group' and status = 'denied'";
        assert_eq!(store.number(denied).await, 1);
        ben.run(&["failures", "retry", &one, "--dry-run"]).ends(3);
        assert_eq!(store.number(denied).await, 2);
        let show = ben.run(&["failures", "show", &one]).ends(0);
        assert!(show.err.contains("none can be retried: it requires the capability"), "{show:?}");
        // Where several reasons keep runs out, each is said with how many.
        let newer = past.failed("findings.lifecycle_backfill", 1, ReasonCode::Conflict, "row 7 changed").await;
        store.sql(&format!("update operation_runs set type = 'nobody.knows' where id = {newer}")).await.unwrap();
        let show = ben.run(&["failures", "show", &one]).ends(0);
        for (id, why) in [(hers, "it requires the capability"), (newer, "unknown type nobody.knows")] {
            assert!(show.err.contains(&format!("left out: run {id}: {why}")), "{show:?}");
        }
        let his = past.failed("policy.sync", 2, ReasonCode::Conflict, "row 6 changed").await;
        let done = ben.run(&["failures", "retry", &one, "--yes"]).ends(0);
        assert!(done.out.starts_with(&format!("run {his} is tried again as run ")) && done.out.lines().count() == 1, "{done:?}");
        assert!(done.err.contains(&format!("run {hers} is not tried again: ")), "{done:?}");
        assert_eq!(store.number("select count(*) from operation_runs where retry_of_run_id is not null").await, 1);
    }
}

#[test]
fn fr_027_008_a_retry_asks_for_its_phrase_at_a_terminal() {
    let store = block_on(async { Store::new(Engine::Sqlite).await.with_platform().await });
    let person = Person::administrator(&store.url);
    block_on(store.with_trouble());
    let one = fingerprint(&person, "provider_throttled");
    let retried = "select count(*) from operation_runs where retry_of_run_id is not null";
    for (typed, code, runs) in [("retry 3\r", 5, 0), ("\r", 2, 0), ("RETRY 3\r", 0, 3)] {
        let mut retry =
            Terminal::start(&person, &[&["failures", "retry", &one][..], &REASON].concat(), &[]);
        let asked = retry.wait_for("Type \"RETRY 3\" to go on:");
        assert!(
            asked.contains("policy.sync  1 target") && asked.contains("3 targets of 3 runs"),
            "{asked}"
        );
        retry.type_in(typed);
        assert_eq!(retry.end(), code, "{typed:?}");
        assert_eq!(block_on(store.number(retried)), runs, "{typed:?}");
    }
}
