//! Commands whose COMMIT is cut off: text and exit code are true of the database.

use serde_json::json;
use tenantpilot::access::Actor;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::Engine;
use tenantpilot::ops::runs::StartRun;

use crate::cli::{Done, Person};
use crate::runbooks_deploy::{backfill, declare};
use crate::support::console::Console;
use crate::support::proxy::{Cut, Proxy};
use crate::support::stores::{PASSWORD, Store, block_on};

const AUDIT: &str = "insert into audit_logs";
const SUPPORT: [&str; 8] =
    ["support", "create", "--tenant", "1", "--summary", "it does not sync", "--confirm", "SEND"];
const RUN: &str = "insert into operation_runs";

/// A platform behind a proxy, with an administrator who is logged in.
struct Desk {
    store: Store,
    proxy: Proxy,
    person: Person,
}

impl Desk {
    async fn new() -> Self {
        let store =
            Store::new(Engine::Postgres).await.with_platform().await.with_demo_worker().await;
        let proxy = Proxy::start(&store.url);
        let person = Person::administrator(&proxy.url(&store.url));
        Self { store, proxy, person }
    }

    async fn queued(&self, n: i64) -> String {
        let start = StartRun {
            inputs: json!({ "n": n }),
            ..StartRun::for_tenant("policy.sync", 1, Source::Admin)
        };
        let started = self.store.ops.run(&Actor::Customer { user_id: 1 }, start).await.unwrap();
        started.run_id.to_string()
    }

    fn cut(
        &self,
        (cut, lost): (Cut, bool),
        statement: &str,
        arguments: &[&str],
        input: &str,
    ) -> Done {
        self.proxy.trap(cut, Some(statement), 0, lost);
        let done = self.person.run_with(arguments, input);
        assert!(self.proxy.sprung(), "no COMMIT was cut off: {arguments:?} {done:?}");
        self.proxy.restore();
        done
    }

    /// Cuts a command's COMMIT off on its way there, then on its way back: the first changes
    /// nothing and says so, the second answers as ever.
    async fn tried(
        &self,
        arguments: &[&str],
        input: &str,
        statement: &str,
        told: &str,
        made: &str,
    ) {
        let before = self.store.number(made).await;
        let kept = self.cut((Cut::Before, false), statement, arguments, input).ends(7);
        assert!(
            kept.err.contains("nothing was changed") && kept.out.is_empty(),
            "{arguments:?} {kept:?}"
        );
        let broke = "the connection to the database broke before the change was made";
        assert!(kept.err.contains(broke), "{arguments:?} {kept:?}");
        assert_eq!(self.store.number(made).await, before, "{arguments:?}");
        let done = self.cut((Cut::After, false), statement, arguments, input).ends(0);
        assert!(done.out.contains(told) || done.err.contains(told), "{arguments:?} {done:?}");
        assert!(!done.err.contains("nothing was changed"), "{arguments:?} {done:?}");
        assert_ne!(self.store.number(made).await, before, "{arguments:?}");
    }
}

#[test]
fn fr_038_008_each_command_says_of_a_lost_commit_what_is_true() {
    block_on(async {
        let desk = Desk::new().await;
        let audited = |action: &str| {
            format!(
                "select count(*) from audit_logs where action = '{action}' and status = 'succeeded'"
            )
        };
        let password = format!("{PASSWORD}\n");
        let secret = ["--password-file", "-"];
        let ben = [
            &["users", "create", "ben", "--role", "viewer", "--all-workspaces", "--yes"],
            &secret[..],
        ]
        .concat();
        desk.tried(
            &ben,
            &password,
            AUDIT,
            "ben: is created",
            "select count(*) from platform_users",
        )
        .await;
        let rights = ["users", "set-capabilities", "ben", "--role", "operator", "--confirm", "ben"];
        desk.tried(&rights, "", AUDIT, "their rights are set", &audited("users.set_capabilities"))
            .await;
        desk.tried(
            &["users", "disable", "ben", "--confirm", "ben"],
            "",
            AUDIT,
            "is disabled",
            &audited("users.set_active"),
        )
        .await;
        desk.tried(
            &["users", "enable", "ben", "--yes"],
            "",
            AUDIT,
            "is enabled",
            &audited("users.set_active"),
        )
        .await;
        let reset = [&["users", "reset-password", "ben", "--yes"], &secret[..]].concat();
        desk.tried(
            &reset,
            &password,
            AUDIT,
            "has a new password",
            &audited("users.reset_password"),
        )
        .await;
        desk.tried(
            &["users", "unlock", "ben", "--yes"],
            "",
            AUDIT,
            "may log in again",
            &audited("users.unlock"),
        )
        .await;

        let flag = [
            "platform",
            "set-flag",
            "allow_admin_maintenance_actions",
            "on",
            "--confirm",
            "allow_admin_maintenance_actions on",
        ];
        desk.tried(&flag, "", AUDIT, "is on now", &audited("platform.set_flag")).await;
        let setting = ["platform", "settings", "set", "environment.label", "LIVE", "--yes"];
        desk.tried(&setting, "", AUDIT, "LIVE", &audited("platform.set_setting")).await;
        let prune = ["product-usage", "prune", "--confirm", "PRUNE"];
        desk.tried(
            &prune,
            "",
            AUDIT,
            "Deleted 0 product usage event(s)",
            &audited("product_usage.pruned"),
        )
        .await;
        desk.store.sql("insert into notifications (platform_user_id, kind, title, created_at) values (1, 'note', 'A note', '2026-11-20T12:00:00+00:00')").await.unwrap();
        let unread = "select count(*) from notifications where read_at is null";
        desk.tried(
            &["notifications", "read", "--all"],
            "",
            "update notifications",
            "1 marked as read",
            unread,
        )
        .await;
        desk.store.sql("insert into alert_deliveries (id, event, payload, status, next_attempt_at, created_at) values (7, 'x', '{}', 'dead', '2026-11-20T12:00:00+00:00', '2026-11-20T12:00:00+00:00')").await.unwrap();
        let dead = "select count(*) from alert_deliveries where status = 'dead'";
        desk.tried(&["alerts", "retry", "7", "--yes"], "", AUDIT, "alert 7 is tried again", dead)
            .await;

        let glass = [
            &[
                "break-glass",
                "enter",
                "--reason-code",
                "INCIDENT",
                "--reason",
                "checkout is down",
                "--yes",
            ],
            &secret[..],
        ]
        .concat();
        // The commit of its slot in the throttle comes first.
        let slot = "insert into login_attempts";
        let told = "break-glass is active until";
        desk.tried(&glass, &password, slot, told, &audited("break_glass.enter")).await;
        desk.person.run(&["break-glass", "end", "--yes"]).ends(0);
        desk.tried(&glass, &password, AUDIT, told, &audited("break_glass.enter")).await;
        desk.tried(
            &["break-glass", "end", "--yes"],
            "",
            AUDIT,
            "break-glass has ended",
            &audited("break_glass.end"),
        )
        .await;
        let requests = "select count(*) from support_requests";
        let kept = desk.cut((Cut::Before, false), "insert into support_requests", &SUPPORT, "");
        assert_eq!((kept.code, desk.store.number(requests).await), (7, 0), "{kept:?}");
        assert!(kept.err.contains("nothing was stored; this stores it once"), "{kept:?}");
        desk.cut((Cut::After, false), "insert into support_requests", &SUPPORT, "").ends(0);
        assert_eq!(desk.store.number(requests).await, 1);
    });
}

#[test]
fn fr_038_008_a_refused_login_is_so_wherever_its_audit_row_is_lost() {
    block_on(async {
        let desk = Desk::new().await;
        let login = ["login", "administrator", "--password-file", "-"];
        let refused = desk.cut((Cut::After, true), AUDIT, &login, "a wrong password\n").ends(4);
        assert!(refused.err.contains("the name or the password is not right"), "{refused:?}");
        assert!(!refused.err.contains("nothing was changed"), "{refused:?}");
    });
}

#[test]
fn fr_038_008_what_may_have_been_made_names_the_command_that_shows_it() {
    block_on(async {
        let desk = Desk::new().await;
        let lost =
            desk.cut((Cut::After, true), "insert into support_requests", &SUPPORT, "").ends(7);
        assert!(lost.err.contains("it may or may not have been stored"), "{lost:?}");
        let shows = lost.err.split("look: tenantpilot ").nth(1).unwrap().split(';').next().unwrap();
        let shown = desk.person.run(&shows.split(' ').collect::<Vec<_>>()).ends(0);
        assert!(shown.out.contains("it does not sync"), "{shown:?}");
        desk.store.legacy_findings(&[3], 2).await;
        declare(&desk.person, &[backfill("once", "tenants = [3]")]);
        let lost = desk.cut((Cut::After, true), RUN, &["runbooks", "deploy"], "").ends(7);
        assert!(lost.err.contains("look: tenantpilot runs list; then deploy again"), "{lost:?}");
        assert_eq!(desk.store.number("select count(*) from operation_runs").await, 1);
    });
}

#[test]
fn fr_038_009_each_command_about_a_run_says_of_a_lost_commit_what_is_true() {
    block_on(async {
        let desk = Desk::new().await;
        let store = &desk.store;
        let id = desk.queued(1).await;
        let is = |id: &str, condition: &str| {
            format!("select count(*) from operation_runs where id = {id} and {condition}")
        };
        desk.tried(
            &["runs", "pause", &id, "--yes"],
            "",
            AUDIT,
            "paused",
            &is(&id, "paused_at is not null"),
        )
        .await;
        desk.tried(
            &["runs", "resume", &id, "--json", "--yes"],
            "",
            AUDIT,
            "\"done\"",
            &is(&id, "paused_at is null"),
        )
        .await;
        desk.tried(
            &["runs", "cancel", &id, "--yes"],
            "",
            AUDIT,
            "cancelled",
            &is(&id, "outcome = 'cancelled'"),
        )
        .await;
        let held = desk.queued(2).await;
        store.claim().await;
        desk.person.run(&["runs", "cancel", &held, "--yes"]).ends(0);
        let phrase = format!("CLOSE {held}");
        let close = ["runs", "cancel", &held, "--force", "--confirm", &phrase];
        desk.tried(&close, "", AUDIT, "closed", &is(&held, "status = 'completed'")).await;

        store.legacy_findings(&[3], 2).await;
        let start = ["runbooks", "start", "findings.lifecycle_backfill", "--tenant", "3", "--yes"];
        let runs = "select count(*) from operation_runs";
        desk.tried(&start, "", RUN, "queued as run", runs).await;
        store
            .sql("update operation_runs set paused_at = created_at where status = 'queued'")
            .await
            .unwrap();
        let failed = store.ended("backup.snapshot", 1, 1, 1, 1).await.to_string();
        desk.tried(&["runs", "retry", &failed, "--yes"], "", RUN, "queued as run", runs).await;

        // The answers of one run are the only ones that the database can give no more.
        let more = desk.queued(3).await;
        let lost =
            desk.cut((Cut::After, true), AUDIT, &["runs", "cancel", &more, "--yes"], "").ends(7);
        let hint = format!(
            "may or may not have been made; look before you try again: tenantpilot runs show {more}"
        );
        assert!(lost.err.contains(&hint), "{lost:?}");
        assert_eq!(store.number(&is(&more, "outcome = 'cancelled'")).await, 1);
        let failed = store.ended("provider.connection_check", 2, 1, 1, 1).await.to_string();
        let lost =
            desk.cut((Cut::After, true), RUN, &["runs", "retry", &failed, "--yes"], "").ends(7);
        assert!(lost.err.contains("may or may not have been made"), "{lost:?}");
        let again = lost
            .err
            .split("--request-id ")
            .nth(1)
            .unwrap()
            .split(':')
            .take(2)
            .collect::<Vec<_>>()
            .join(":");
        let found =
            desk.person.run(&["runs", "retry", &failed, "--request-id", &again, "--yes"]).ends(0);
        assert!(found.out.contains("already queued as run"), "{found:?}");
        assert_eq!(
            store
                .number(&format!(
                    "select count(*) from operation_runs where retry_of_run_id = {failed}"
                ))
                .await,
            1
        );
    });
}

#[test]
fn fr_038_010_the_consoles_dialog_says_of_a_lost_commit_what_is_true() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_platform().await;
        store.administrator().await;
        for (cut, lost, told) in [
            (Cut::Before, false, "nothing was changed"),
            (Cut::After, false, "is cancelled"),
            (Cut::After, true, "may or may not"),
        ] {
            let run_id = store.start("policy.sync", 1).await;
            let proxy = Proxy::start(&store.url);
            let look_up = std::time::Duration::from_millis(if lost { 200 } else { 20_000 });
            let ops = crate::lost_commits::behind(&store, &proxy, look_up, None);
            let mut console = Console::open(&ops, 100, 30).await;
            console.log_in("administrator").await;
            console.keys("<enter>X").await;
            let screen = console.screen();
            assert!(screen.contains(&format!("Cancel run {run_id}")), "{screen}");
            console.keys("y").await;
            // A statement that no connection has prepared before: its text is sent once.
            proxy.trap(cut, Some("delete from open_alerts"), 0, lost);
            console.keys("<enter>").await;
            assert!(proxy.sprung());
            let screen = console.screen();
            assert!(screen.contains(told), "{told}: {screen}");
            assert_eq!(screen.contains("nothing was changed"), cut == Cut::Before, "{screen}");
            let ended = format!(
                "select count(*) from operation_runs where id = {run_id} and outcome = 'cancelled'"
            );
            assert_eq!(store.number(&ended).await, i64::from(cut != Cut::Before));
            store.sql("delete from operation_run_leases").await.unwrap();
            if cut == Cut::Before {
                let cancel = tenantpilot::ops::runs::CancelRun {
                    run_id,
                    consent: crate::support::starts::sure("CANCEL", run_id),
                };
                store.ops.run(&Actor::System, cancel).await.unwrap();
            }
        }
    });
}

#[test]
fn fr_038_015_what_comes_before_a_change_names_a_command_too() {
    block_on(async {
        let desk = Desk::new().await;
        desk.store.legacy_findings(&[3], 2).await;
        let start = ["runbooks", "start", "findings.lifecycle_backfill", "--tenant", "3", "--yes"];
        let open = ["support", "diagnostics", "--tenant", "1"];
        for (statement, arguments, shows) in [
            ("insert into runbook_plans", &start[..], "tenantpilot runs list"),
            (AUDIT, &SUPPORT[..], "tenantpilot support list"),
            (AUDIT, &open[..], "tenantpilot support diagnostics"),
        ] {
            let lost = desk.cut((Cut::After, true), statement, arguments, "").ends(7);
            assert!(lost.err.contains("may or may not have been made"), "{lost:?}");
            assert!(lost.err.contains(shows), "{lost:?}");
        }
        let runs = "select count(*) from operation_runs";
        let requests = "select count(*) from support_requests";
        assert_eq!((desk.store.number(runs).await, desk.store.number(requests).await), (0, 0));
    });
}

#[test]
fn fr_038_016_a_lost_retry_of_several_runs_is_said_once() {
    block_on(async {
        let desk = Desk::new().await;
        let store = &desk.store;
        for kind in tenantpilot::domain::operation_type::started_by_customers().take(3) {
            store.ended(kind.key, 1, 1, 1, 1).await;
        }
        let listed = desk.person.run(&["failures", "list", "--window", "30d", "--json"]).ends(0);
        let one = listed.json()["fingerprints"][0]["fingerprint"].as_str().unwrap().to_owned();
        let args = [
            "failures",
            "retry",
            &one,
            "--window",
            "30d",
            "--confirm",
            "RETRY 3",
            "--reason-code",
            "SUPPORT",
            "--reason",
            "rows of the import",
        ];
        let lost = desk.cut((Cut::After, true), RUN, &args, "");
        assert_eq!(lost.err.matches("may or may not").count(), 1, "{lost:?}");
        assert!(lost.err.contains("tenantpilot runs list") && lost.out.is_empty(), "{lost:?}");
    });
}
