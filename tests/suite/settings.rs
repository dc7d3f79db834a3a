//! Platform settings: specs/033-platform-settings.

use tenantpilot::ErrorKind;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::setting::SettingKey;
use tenantpilot::ops::Consent;
use tenantpilot::ops::platform::PlatformInfo;
use tenantpilot::ops::retention::PruneUsage;
use tenantpilot::ops::settings::{ListSettings, SetSetting};

use crate::cli::Person;
use crate::database::texts;
use crate::support::stores::{Store, both_engines};

const DAYS: &str = "product_usage.retention_days";

fn set(key: &str, value: &str) -> SetSetting {
    SetSetting { key: key.to_owned(), value: Some(value.to_owned()), consent: Consent::yes() }
}

async fn audited(store: &Store) -> Vec<String> {
    let sql = "select status || ' ' || coalesce(target_id, '-') from audit_logs \
               where action = 'platform.set_setting' order by id";
    texts(store, sql).await
}

both_engines! {
    async fn fr_033_001_settings_are_listed_set_and_reset(store) {
        let person = Person::administrator(&store.url);
        let settings = |words: &[&str]| person.run(&[&["platform", "settings"], words].concat());
        let listed = settings(&["list", "--json"]).ends(0).json();
        let keys: Vec<_> = listed["settings"].as_array().unwrap().iter().map(|s| s["key"].as_str().unwrap().to_owned()).collect();
        assert_eq!(keys, SettingKey::ALL.iter().map(|key| key.as_str()).collect::<Vec<_>>());
        assert_eq!(settings(&["get", DAYS]).ends(0).out, "90\n");
        let done = settings(&["set", DAYS, "365", "--yes"]).ends(0);
        assert_eq!(done.out, "product_usage.retention_days set to 365, was 90\n");
        assert!(settings(&["set", DAYS, "365", "--yes"]).ends(0).out.contains("is 365 already"));
        assert_eq!(settings(&["get", DAYS, "--json"]).ends(0).json()["setting"]["value"], "365");
        for (key, value) in [(DAYS, "0"), (DAYS, "soon"), ("environment.color", "beige"), ("alerts.events", "started")] {
            let wrong = settings(&["set", key, value]).ends(2);
            assert!(wrong.err.contains("allowed:"), "{wrong:?}");
        }
        let unknown = settings(&["set", "nosuch", "1"]).ends(2);
        assert!(unknown.err.contains("one of: alerts.events"), "{unknown:?}");
        assert_eq!(settings(&["get", DAYS]).ends(0).out, "365\n");
        settings(&["reset", DAYS, "--confirm", DAYS]).ends(0);
        assert_eq!(settings(&["get", DAYS]).ends(0).out, "90\n");
        settings(&["set", "environment.label", "PRODUCTION EU", "--yes"]).ends(0);
        let list = settings(&["list"]).ends(0).out;
        assert!(list.contains("PRODUCTION EU"), "{list}");
        assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");
    }

    async fn fr_033_002_a_change_needs_the_capability_and_every_workspace_and_is_audited(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        let operator = store.user(&admin, Role::Operator).await;
        let denied = store.ops.run(&operator.actor, set(DAYS, "120")).await.unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::Forbidden);
        let set_of = CapabilitySet::from_names(&[Capability::AccessSystemPanel.as_str(), Capability::SettingsManage.as_str()]);
        let narrow = store.user_with(&admin, "narrow", set_of, &[1]).await;
        assert!(store.ops.run(&narrow.actor, set(DAYS, "120")).await.is_err());
        let dry = SetSetting { consent: Consent::dry_run(), ..set(DAYS, "120") };
        assert!(store.ops.run(&admin.actor, dry).await.unwrap().changed);
        assert_eq!(store.text(&format!("select value from platform_settings where key = '{DAYS}'")).await, "90");
        store.ops.run(&admin.actor, set(DAYS, "120")).await.unwrap();
        let rows = audited(&store).await;
        assert_eq!(rows.len(), 3, "{rows:?}");
        assert!(rows[0].starts_with("denied"), "{rows:?}");
        assert!(rows[1].starts_with("denied") || rows[1].starts_with("refused"), "{rows:?}");
        assert_eq!(rows[2], format!("succeeded {DAYS}"));
        let change = "select cast(before_state as text) || cast(after_state as text) from audit_logs where action = 'platform.set_setting' and status = 'succeeded'";
        let change = store.text(change).await;
        assert!(change.contains("90") && change.contains("120"), "{change}");
    }

    async fn fr_033_003_a_looser_value_needs_the_name_typed(store) {
        let admin = store.administrator().await;
        for (key, looser) in [(DAYS, "30"), ("retention.prune_bound", "90%"), ("alerts.failed_share", "50%"), ("alerts.events", "none")] {
            let error = store.ops.run(&admin.actor, set(key, looser)).await.unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
            let wrong = SetSetting { consent: Consent::typed("yes".to_owned()), ..set(key, looser) };
            assert_eq!(store.ops.run(&admin.actor, wrong).await.unwrap_err().kind(), ErrorKind::Refused);
            let typed = SetSetting { consent: Consent::typed(key.to_owned()), ..set(key, looser) };
            assert!(store.ops.run(&admin.actor, typed).await.unwrap().looser);
        }
    }

    async fn fr_033_004_a_stored_value_that_is_not_valid_deletes_nothing(store) {
        let store = store.with_platform().await;
        let admin = store.administrator().await;
        store.sql(&format!("update platform_settings set value = '9 days' where key = '{DAYS}'")).await.unwrap();
        let listed = store.ops.run(&admin.actor, ListSettings).await.unwrap();
        let row = listed.iter().find(|row| row.key == SettingKey::UsageRetentionDays).unwrap();
        assert!(row.invalid && row.value == "90");
        let prune = PruneUsage { days: None, consent: Consent::typed("PRUNE") };
        let error = store.ops.run(&admin.actor, prune).await.unwrap_err();
        assert!(error.to_string().contains(DAYS), "{error}");
        store.ops.run(&admin.actor, set(DAYS, "90")).await.unwrap();
        let prune = PruneUsage { days: None, consent: Consent::typed("PRUNE") };
        assert_eq!(store.ops.run(&admin.actor, prune).await.unwrap().days, 90);
        // What only informs uses its default.
        store.sql("insert into platform_settings values ('environment.color', 'beige', '2026-11-01T00:00:00+00:00')").await.unwrap();
        let anonymous = tenantpilot::access::Actor::Anonymous { origin: "local:test".to_owned() };
        assert_eq!(store.ops.run(&anonymous, PlatformInfo).await.unwrap().environment_color, "cyan");
    }

    async fn fr_033_004_a_stored_value_that_is_not_valid_is_said_and_a_reset_removes_it(store) {
        let person = Person::administrator(&store.url);
        let settings = |words: &[&str]| person.run(&[&["platform", "settings"], words].concat());
        let rows = format!("select count(*) from platform_settings where key = '{DAYS}'");
        let said = "product_usage.retention_days: the stored value \"9 days\" is not valid, the default 90 is used, and nothing is pruned until it is valid; \
                    run: tenantpilot platform settings reset product_usage.retention_days";
        let break_it = format!("update platform_settings set value = '9 days' where key = '{DAYS}'");
        store.sql(&break_it).await.unwrap();
        let got = settings(&["get", DAYS]).ends(0);
        assert_eq!((got.out.as_str(), got.err), ("90\n", format!("warning: {said}\n")));
        let json = settings(&["get", DAYS, "--json"]).ends(0).json();
        assert_eq!((&json["setting"]["stored"], &json["setting"]["invalid"], &json["setting"]["value"]), (&"9 days".into(), &true.into(), &"90".into()));
        let listed = settings(&["list"]).ends(0);
        assert_eq!(listed.err, format!("warning: {said}\n"));
        assert!(person.run(&["info"]).ends(0).out.contains(&format!("  note     {said}\n")));
        assert!(person.run(&["info", "--json"]).ends(0).json()["info"]["notes"].to_string().contains("9 days"));
        let dry = settings(&["reset", DAYS, "--dry-run"]).ends(0);
        assert_eq!(dry.out, format!("{DAYS} would be set to 90, is \"9 days\" (not valid); nothing was changed\n"));
        assert_eq!(store.number(&rows).await, 1);
        let reset = settings(&["reset", DAYS, "--yes", "--json"]).ends(0).json();
        assert_eq!((&reset["changed"], &reset["setting"]["stored"], &reset["setting"]["value"]), (&true.into(), &"9 days".into(), &"90".into()));
        assert_eq!(store.number(&rows).await, 0);
        let before = store.text("select cast(before_state as text) from audit_logs where action = 'platform.set_setting' order by id desc limit 1").await;
        assert!(before.contains("9 days"), "{before}");
        for words in [&["list"][..], &["get", DAYS]] {
            assert_eq!(settings(words).ends(0).err, "");
        }
        assert!(!person.run(&["info"]).ends(0).out.contains("9 days"));
        assert_eq!(settings(&["reset", DAYS, "--yes"]).ends(0).out, format!("{DAYS} is 90 already\n"));
        // A valid value of one's own is removed by a reset, too.
        settings(&["set", DAYS, "365", "--yes"]).ends(0);
        settings(&["reset", DAYS, "--confirm", DAYS]).ends(0);
        assert_eq!(store.number(&rows).await, 0);
    }

    async fn fr_033_005_a_shorter_retention_of_a_client_is_ignored_and_said(store) {
        let person = Person::administrator(&store.url);
        let info = |days: &str| {
            let mut command = person.command(&["info"]);
            command.env("TENANTPILOT_PRODUCT_USAGE_RETENTION_DAYS", days);
            crate::cli::done(&mut command, None).ends(0).out
        };
        let shorter = info("30");
        assert!(shorter.contains("product_usage.retention_days = 30") && shorter.contains("is ignored"), "{shorter}");
        let row = |info: &str| {
            let line = info.lines().find(|line| line.trim_start().starts_with("product_usage.retention_days  ")).unwrap().to_owned();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()[1..].join(" ")
        };
        assert_eq!(row(&shorter), "90 platform setting");
        let longer = info("120");
        assert!(!longer.contains("is ignored") && row(&longer).starts_with("120 "), "{longer}");
        person.run(&["platform", "settings", "set", "product_usage.retention_days", "400", "--yes"]).ends(0);
        assert_eq!(row(&person.run(&["info"]).ends(0).out), "400 platform setting");
        let json = person.run(&["info", "--json"]).ends(0).json();
        let own = json["info"]["settings"].as_array().unwrap().iter().find(|row| row["name"] == "product_usage.retention_days").unwrap().clone();
        assert_eq!((own["value"].as_str(), own["origin"].as_str()), (Some("400"), Some("platform setting")));
    }

    async fn fr_033_006_a_request_says_where_requests_go(store) {
        let store = store.with_platform().await;
        let person = Person::administrator(&store.url);
        let text = "platform-support, queue TP-OPS";
        person.run(&["platform", "settings", "set", "support.contact_text", text, "--yes"]).ends(0);
        let sent = person.run(&[
            "support", "create", "--tenant", "1", "--summary", "the sync ends throttled", "--confirm", "SEND", "--json",
        ]).ends(0).json();
        let reference = sent["support_request"]["reference"].as_str().unwrap().to_owned();
        assert!(person.run(&["support", "show", &reference]).ends(0).out.contains(text));
        let json = person.run(&["support", "show", &reference, "--json"]).ends(0).json();
        assert_eq!(json["support_request"]["answered_at"], text);
    }
}
