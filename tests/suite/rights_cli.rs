//! Rights on the command line: what has to be said of a new user, and that every command that
//! decides leaves its denied row.

use serde_json::json;
use tenantpilot::domain::capability::Capability;

use crate::cli::Person;
use crate::database::texts;
use crate::support::stores::{PASSWORD, Store, both_engines};

const DENIED: &str = "select action from audit_logs where status = 'denied' order by id";

/// A command that decides something, what it needs, and what the audit log calls it; none where
/// a preview of its own is denied first for some of the capabilities.
type Decision = (&'static [&'static str], &'static [Capability], Option<&'static str>);

fn decisions() -> Vec<Decision> {
    use Capability as C;
    const RUNS: &[C] = &[C::OpsView, C::OpsManage];
    const USERS: &[C] = &[C::UsersManage];
    const START: &[C] = &[C::RunbooksView, C::RunbooksRun];
    const PLAN: &[C] = &[C::RunbooksView, C::RunbookFindingsLifecycleBackfill];
    const PRUNE: &[C] = &[C::RunbooksRun, C::RunbookProductUsagePrune];
    const FLAG: &str = "allow_admin_maintenance_actions";
    vec![
        (
            &[
                "users",
                "create",
                "x",
                "--role",
                "viewer",
                "--all-workspaces",
                "--password-file",
                "-",
            ],
            USERS,
            Some("users.create"),
        ),
        (
            &["users", "create", "x", "--role", "viewer", "--all-workspaces", "--dry-run"],
            USERS,
            Some("users.create"),
        ),
        // The right comes before the password.
        (
            &["users", "create", "x", "--role", "viewer", "--all-workspaces"],
            USERS,
            Some("users.create"),
        ),
        (&["users", "reset-password", "ben", "--yes"], USERS, Some("users.reset_password")),
        (
            &["users", "set-capabilities", "ben", "--role", "viewer"],
            USERS,
            Some("users.set_capabilities"),
        ),
        (
            &["users", "set-capabilities", "ben", "--role", "viewer", "--dry-run"],
            USERS,
            Some("users.set_capabilities"),
        ),
        (&["users", "disable", "ben", "--confirm", "ben"], USERS, Some("users.set_active")),
        (&["users", "disable", "ben", "--dry-run"], USERS, Some("users.set_active")),
        (&["users", "enable", "ben", "--yes"], USERS, Some("users.set_active")),
        (
            &["users", "reset-password", "ben", "--password-file", "-", "--yes"],
            USERS,
            Some("users.reset_password"),
        ),
        (&["users", "unlock", "ben", "--yes"], USERS, Some("users.unlock")),
        (&["runs", "cancel", "1", "--yes"], RUNS, Some("runs.cancel")),
        (&["runs", "cancel", "1", "--force", "--confirm", "CLOSE 1"], RUNS, Some("runs.close")),
        (&["runs", "retry", "1", "--yes"], RUNS, Some("runs.retry")),
        (&["runs", "pause", "1", "--yes"], RUNS, Some("runs.pause")),
        (&["runs", "resume", "1", "--yes"], RUNS, Some("runs.resume")),
        (&["failures", "retry", "000000000000"], RUNS, Some("overview.retry_group")),
        (&["failures", "retry", "000000000000", "--dry-run"], RUNS, Some("overview.retry_group")),
        (
            &["runbooks", "start", "findings.lifecycle_backfill", "--tenant", "1", "--yes"],
            START,
            Some("runbooks.start"),
        ),
        (
            &["runbooks", "start", "findings.lifecycle_backfill", "--tenant", "1", "--dry-run"],
            START,
            Some("runbooks.start"),
        ),
        (
            &["runbooks", "start", "findings.lifecycle_backfill", "--tenant", "1", "--yes"],
            &[C::RunbookFindingsLifecycleBackfill],
            None,
        ),
        (
            &["runbooks", "preflight", "findings.lifecycle_backfill", "--tenant", "1"],
            PLAN,
            Some("runbooks.preflight"),
        ),
        (&["alerts", "retry", "1", "--yes"], RUNS, Some("alerts.retry")),
        (
            &[
                "break-glass",
                "enter",
                "--reason-code",
                "INCIDENT",
                "--reason",
                "checkout is down",
                "--password-file",
                "-",
            ],
            &[C::BreakGlassUse],
            Some("break_glass.enter"),
        ),
        (&["break-glass", "end", "--yes"], &[C::BreakGlassUse], Some("break_glass.end")),
        (
            &["support", "diagnostics", "--tenant", "1"],
            &[C::SupportDiagnosticsView],
            Some("support.open_diagnostics"),
        ),
        (
            &["support", "create", "--tenant", "1", "--summary", "it is slow", "--confirm", "SEND"],
            &[C::SupportRequestsCreate],
            Some("support.create_request"),
        ),
        (
            &[
                "support",
                "create",
                "--fingerprint",
                "000000000000",
                "--summary",
                "it is slow",
                "--dry-run",
            ],
            &[C::SupportRequestsCreate],
            Some("support.create_request"),
        ),
        (&["product-usage", "prune", "--confirm", "PRUNE"], PRUNE, Some("product_usage.prune")),
        (&["product-usage", "prune", "--dry-run"], PRUNE, Some("product_usage.prune")),
        (&["product-usage", "rebuild"], RUNS, Some("telemetry.rebuild_rollups")),
        (&["overview", "rebuild"], RUNS, Some("overview.rebuild_counts")),
        (&["overview", "window", "7d"], &[], Some("dashboard.choose_window")),
        (&["platform", "set-flag", FLAG, "on", "--confirm", "x"], USERS, Some("platform.set_flag")),
        (&["platform", "set-flag", FLAG, "on", "--dry-run"], USERS, Some("platform.set_flag")),
        (
            &["platform", "settings", "set", "environment.label", "X", "--yes"],
            &[C::SettingsManage],
            Some("platform.set_setting"),
        ),
        (
            &["platform", "settings", "reset", "environment.label", "--yes"],
            &[C::SettingsManage],
            Some("platform.set_setting"),
        ),
        // What only looks, too.
        (&["users", "list"], USERS, Some("users.list")),
        (&["users", "show", "ben"], USERS, Some("users.get")),
        (&["platform", "settings", "list"], &[C::SettingsManage], Some("platform.list_settings")),
        (&["notifications", "read", "1"], &[], Some("notifications.mark_read")),
        (&["notifications", "read", "--all"], &[], Some("notifications.mark_all_read")),
    ]
}

/// Gives `eva` all capabilities but one, without ending her session.
async fn without(store: &Store, lacking: Capability) {
    let left: Vec<String> = Capability::ALL
        .iter()
        .filter(|held| **held != lacking)
        .map(|held| format!("\"{held}\""))
        .collect();
    let sql = format!(
        "update platform_users set capabilities = '[{}]' where username = 'eva'",
        left.join(",")
    );
    store.sql(&sql).await.unwrap();
}

both_engines! {
    async fn fr_040_003_a_new_user_needs_a_view_that_is_said(store) {
        let store = store.with_platform().await;
        let person = Person::at(&store.url);
        // The first user of a platform needs none.
        person.run_with(&["users", "create", "ana", "--role", "administrator", "--password-file", "-"], PASSWORD).ends(0);
        person.login("ana").ends(0);
        let create = |more: &[&str]| {
            let arguments = [&["users", "create", "ben", "--role", "viewer", "--password-file", "-"], more].concat();
            person.run_with(&arguments, PASSWORD)
        };
        let unsaid = create(&[]).ends(2);
        assert!(unsaid.err.contains("--workspace ID or --all-workspaces"), "{unsaid:?}");
        create(&["--workspace", "1", "--all-workspaces"]).ends(2);
        assert_eq!(store.number("select count(*) from platform_users").await, 1);
        let dry = create(&["--workspace", "1", "--dry-run"]).ends(0);
        assert!(dry.out.contains("nothing was changed"), "{dry:?}");
        assert_eq!(store.number("select count(*) from platform_users").await, 1);
        let made = create(&["--workspace", "1", "--json", "--yes"]).ends(0).json();
        assert_eq!((&made["user"]["view_all"], &made["user"]["workspaces"]), (&json!(false), &json!([1])));
        let ben = Person::at(&store.url);
        ben.login("ben").ends(0);
        ben.run(&["runs", "list"]).ends(0);
    }

    async fn fr_040_006_high_capabilities_are_named_asked_for_and_marked(store) {
        let person = Person::administrator(&store.url);
        let create = |more: &[&str]| {
            let arguments = [&["users", "create", "ben", "--role", "operator", "--all-workspaces", "--password-file", "-"], more].concat();
            person.run_with(&arguments, PASSWORD)
        };
        let refused = create(&[]).ends(2);
        for part in ["platform.break_glass.use", "platform.runbooks.run on all workspaces", "--confirm ben"] {
            assert!(refused.err.contains(part), "{part:?}: {refused:?}");
        }
        create(&["--confirm", "be"]).ends(5);
        let dry = create(&["--dry-run", "--json"]).ends(0).json();
        assert_eq!(dry["granted_high_capabilities"].as_array().unwrap().len(), 2);
        let made = create(&["--confirm", "ben"]).ends(0);
        assert!(made.err.contains("start runbooks on the tenants of every workspace"), "{made:?}");
        person.create("vera", &["--role", "viewer"]).ends(0);
        let list = person.run(&["users", "list"]).ends(0).out;
        let line = |name: &str| list.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {list}"));
        assert!(line("ana").contains("users,settings,break-glass,runbooks"), "{list}");
        assert!(line("ben").contains("break-glass,runbooks"), "{list}");
        assert!(!line("vera").contains("runbooks"), "{list}");
        let shown = person.run(&["users", "show", "ben"]).ends(0).out;
        assert!(shown.contains("platform.break_glass.use: take break-glass"), "{shown}");
        let set = |more: &[&str]| person.run(&[&["users", "set-capabilities", "vera", "--role", "oncall"], more].concat());
        set(&[]).ends(2);
        set(&["--dry-run"]).ends(0);
        set(&["--confirm", "vera"]).ends(0);
        // It has them now.
        set(&["--yes"]).ends(0);
        // Settings are changed with a view of all workspaces only.
        let store = store.with_platform().await;
        let told = "see the settings of the whole platform, and change them once they see all workspaces";
        let eva = ["users", "create", "eva", "--role", "administrator", "--workspace", "1", "--password-file", "-"];
        let refused = person.run_with(&eva, PASSWORD).ends(2);
        assert!(refused.err.contains(told), "{refused:?}");
        let made = person.run_with(&[&eva[..], &["--confirm", "eva"]].concat(), PASSWORD).ends(0);
        assert!(made.err.contains(&format!("platform.settings.manage lets eva {told}")), "{made:?}");
        let shown = person.run(&["users", "show", "eva"]).ends(0).out;
        assert!(shown.contains(told), "{shown}");
        let eva = Person::at(&store.url);
        eva.login("eva").ends(0);
        eva.run(&["platform", "settings", "list"]).ends(0);
        eva.run(&["platform", "settings", "set", "environment.label", "LIVE", "--yes"]).ends(3);
    }

    async fn fr_040_001_whoami_says_how_many_workspaces_the_user_sees(store) {
        let store = store.with_platform().await;
        let admin = Person::administrator(&store.url);
        assert!(admin.run(&["whoami"]).ends(0).out.contains("sees          all workspaces\n"));
        assert_eq!(admin.run(&["whoami", "--json"]).ends(0).json()["session"]["workspaces"], json!(null));
        admin.create("ben", &["--role", "viewer", "--workspace", "1"]).ends(0);
        let ben = Person::at(&store.url);
        ben.login("ben").ends(0);
        assert!(ben.run(&["whoami"]).ends(0).out.contains("sees          1 workspace\n"));
        store.sql("delete from platform_user_workspaces").await.unwrap();
        assert!(ben.run(&["whoami"]).ends(0).out.contains("sees          no workspaces\n"));
        let session = ben.run(&["whoami", "--json"]).ends(0).json()["session"].clone();
        assert_eq!((&session["restricted"], &session["workspaces"]), (&json!(true), &json!([])));
    }

    async fn fr_040_010_what_is_denied_in_a_look_ahead_is_on_record_as_the_decision(store) {
        let store = store.with_platform().await;
        let admin = Person::administrator(&store.url);
        admin.create("ben", &["--role", "viewer"]).ends(0);
        admin.create("eva", &["--role", "administrator", "--workspace", "1"]).ends(0);
        let eva = Person::at(&store.url);
        eva.login("eva").ends(0);
        let rows = "select action || ' ' || cast(metadata as text) from audit_logs where status = 'denied' order by id";
        let create = ["users", "create", "mia", "--role", "viewer", "--all-workspaces"];
        let set = ["users", "set-capabilities", "eva", "--role", "administrator", "--all-workspaces"];
        for (arguments, more) in [(&create[..], &["--yes", "--password-file", "-"][..]), (&set[..], &["--yes"][..]), (&create[..], &["--dry-run"][..])] {
            eva.run_with(&[arguments, more].concat(), PASSWORD).ends(3);
        }
        let left = texts(&store, rows).await;
        let dry: Vec<bool> = left.iter().map(|row| row.contains("dry_run")).collect();
        assert_eq!(dry, [false, false, true], "{left:?}");
    }

    async fn fr_040_010_every_command_that_decides_leaves_one_denied_row(store) {
        let store = store.with_platform().await;
        store.start("policy.sync", 1).await;
        let admin = Person::administrator(&store.url);
        admin.create("ben", &["--role", "viewer"]).ends(0);
        let eva = Person::at(&store.url);
        admin.create("eva", &["--role", "administrator"]).ends(0);
        eva.login("eva").ends(0);
        let mut tried = 0;
        for (arguments, needed, action) in decisions() {
            for lacking in needed.iter().chain([&Capability::AccessSystemPanel]) {
                without(&store, *lacking).await;
                let before = texts(&store, DENIED).await.len();
                let done = eva.run_with(arguments, PASSWORD).ends(3);
                assert!(done.err.contains(lacking.as_str()), "{arguments:?} without {lacking}: {done:?}");
                let rows = texts(&store, DENIED).await.split_off(before);
                assert_eq!(rows.len(), 1, "{arguments:?} without {lacking}: {rows:?}");
                if let Some(action) = action {
                    assert_eq!(rows, [action], "{arguments:?} without {lacking}");
                }
                tried += 1;
            }
        }
        assert!(tried > 80, "{tried} denials were tried");
        without(&store, Capability::AccessSystemPanel).await;
        let mut dry_runs = 0;
        for (arguments, _, _) in decisions() {
            let looks = ["--dry-run"].iter().filter(|look| !arguments.contains(look));
            let done = eva.run_with(&[arguments, looks.copied().collect::<Vec<_>>().as_slice()].concat(), PASSWORD);
            // The others know no dry run.
            if done.code == 3 {
                let rows = texts(&store, "select action || ' ' || cast(metadata as text) from audit_logs where status = 'denied' order by id").await;
                assert!(rows.last().unwrap().contains("dry_run"), "{arguments:?}: {rows:?}");
                dry_runs += 1;
            }
        }
        assert!(dry_runs > 20, "{dry_runs} dry runs were tried");
        assert_eq!(store.number("select count(*) from platform_users where username = 'x'").await, 0);
        assert_eq!(store.number("select count(*) from operation_runs where status = 'queued'").await, 1);
    }

    async fn fr_040_011_a_run_outside_of_the_view_is_denied_on_record_by_its_commands(store) {
        let store = store.with_platform().await;
        let hidden = store.ended("policy.sync", 3, 4, 4, 5).await.to_string();
        let admin = Person::administrator(&store.url);
        admin.create("one", &["--role", "administrator", "--workspace", "1"]).ends(0);
        let one = Person::at(&store.url);
        one.login("one").ends(0);
        let close = format!("CLOSE {hidden}");
        for (arguments, action) in [
            (&["runs", "retry", &hidden, "--yes"][..], "runs.retry"),
            (&["runs", "cancel", &hidden, "--yes"], "runs.cancel"),
            (&["runs", "cancel", &hidden, "--force", "--confirm", &close], "runs.close"),
            (&["runs", "pause", &hidden, "--yes"], "runs.pause"),
            (&["users", "disable", "two", "--confirm", "two"], "users.set_active"),
            (&["users", "reset-password", "two", "--password-file", "-", "--yes"], "users.reset_password"),
        ] {
            let before = texts(&store, DENIED).await.len();
            one.run_with(arguments, PASSWORD).ends(4);
            assert_eq!(texts(&store, DENIED).await.split_off(before), [action], "{arguments:?}");
        }
    }

    async fn fr_040_013_runbooks_are_listed_to_those_who_may_see_them(store) {
        let admin = Person::administrator(&store.url);
        admin.create("eva", &["--role", "administrator"]).ends(0);
        let eva = Person::at(&store.url);
        let commands: [&[&str]; 2] = [&["runbooks", "list"], &["runbooks", "show", "findings.lifecycle_backfill"]];
        for command in commands {
            eva.run(command).ends(4);
        }
        eva.login("eva").ends(0);
        without(&store, Capability::RunbooksView).await;
        for command in commands {
            let denied = eva.run(command).ends(3);
            assert!(denied.err.contains("platform.runbooks.view"), "{denied:?}");
            assert!(denied.out.is_empty(), "{denied:?}");
        }
        assert_eq!(texts(&store, DENIED).await, ["runbooks.list"; 2]);
        without(&store, Capability::RunbooksRun).await;
        for command in commands {
            eva.run(command).ends(0);
        }
    }
}
