//! `tenantpilot notifications`: list and read.

use serde_json::{Value, json};

use crate::cli::Person;
use crate::notifications::{ended_for, user_id};
use crate::support::stores::both_engines;

fn ids(page: &Value) -> Vec<i64> {
    page["notifications"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_i64().unwrap())
        .collect()
}

both_engines! {
    async fn fr_015_018_the_command_line_lists_and_marks(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        let empty = person.run(&["notifications", "list"]).ends(0);
        assert!(empty.out.is_empty() && empty.err.contains("no notifications"), "{empty:?}");
        let me = store.number("select min(id) from platform_users").await;
        let good = ended_for(&store, me, "inventory.sync", 1, 0).await;
        let bad = ended_for(&store, me, "policy.sync", 1, 4).await;
        store.ended("policy.sync", 2, 1, 0, 1).await;

        let page = person.run(&["notifications", "list", "--json"]).ends(0).json();
        assert_eq!((ids(&page).len(), &page["unread"], &page["next"]), (2, &json!(2), &Value::Null));
        let first = &page["notifications"][0];
        assert_eq!((&first["run_id"], &first["state"]), (&json!(bad), &json!("failed")));
        assert_eq!(first["title"], format!("policy.sync failed: run {bad}"));
        assert!(first["created_at"].as_str().unwrap().ends_with('Z') && first["read_at"].is_null(), "{first}");
        let text = person.run(&["notifications", "list"]).ends(0);
        assert!(text.out.contains("✗ failed") && text.out.contains(&format!("inventory.sync succeeded: run {good}")), "{text:?}");
        assert!(text.err.contains("2 unread"), "{text:?}");

        let part = person.run(&["notifications", "list", "--limit", "1", "--json"]).ends(0).json();
        let next = part["next"].as_str().unwrap().to_owned();
        let rest = person.run(&["notifications", "list", "--before", &next, "--json"]).ends(0).json();
        assert_eq!([ids(&part), ids(&rest)].concat(), ids(&page));

        let [newest, oldest] = ids(&page)[..] else { panic!("{page}") };
        let done = person.run(&["notifications", "read", &newest.to_string(), "9999"]).ends(4);
        assert!(done.out.contains("1 marked as read") && done.err.contains("not among your notifications: 9999"), "{done:?}");
        let unread = person.run(&["notifications", "list", "--unread", "--json"]).ends(0).json();
        assert_eq!((ids(&unread), &unread["unread"]), (vec![oldest], &json!(1)));
        let all = person.run(&["notifications", "read", "--all", "--json"]).ends(0).json();
        assert_eq!((&all["marked"], &all["missing"]), (&json!(1), &json!([])));
        let again = person.run(&["notifications", "read", "--all"]).ends(0);
        assert!(again.out.contains("0 marked as read"), "{again:?}");
        let none = person.run(&["notifications", "list", "--unread"]).ends(0);
        assert!(none.out.is_empty() && none.err.contains("nothing is unread"), "{none:?}");
    }

    async fn fr_015_019_wrong_calls_and_a_missing_login_are_refused(store) {
        let store = store.with_platform().await;
        let person = Person::at(&store.url);
        person.run(&["notifications", "list"]).ends(4);
        person.run(&["notifications", "read", "--all"]).ends(4);
        for wrong in [
            &["notifications", "read"][..],
            &["notifications", "read", "x"],
            &["notifications", "read", "0"],
            &["notifications", "read", "1", "--all"],
            &["notifications", "list", "--limit", "0"],
            &["notifications", "list", "--before", "yesterday"],
        ] {
            person.run(wrong).ends(2);
        }
    }

    async fn fr_015_020_what_a_terminal_would_act_on_is_replaced(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        let name = store.text("select username from platform_users").await;
        let me = user_id(&store, &name).await;
        ended_for(&store, me, "policy.sync", 1, 0).await;
        store.sql("update notifications set title = 'a\u{1b}[31mb\u{202e}\u{9b}c'").await.unwrap();
        for arguments in [&["notifications", "list"][..], &["notifications", "list", "--json"]] {
            let out = person.run(arguments).ends(0).out;
            assert!(!out.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{out:?}");
        }
    }
}
