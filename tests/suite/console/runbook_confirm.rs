//! The last page of the wizard, and what happens to a draft: phrases, refusals, lost databases, ways
//! back and out.

use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::ops::runs::RunScope;
use tenantpilot::tui::msg::{Effect, Msg};
use tenantpilot::tui::screens::runbooks::Step;

use super::run_control::{hides, shows};
use super::runbook_wizard::{
    ALL, KEY, SETTINGS, at_phrase, at_runbooks, lost, prepared, refused_starts, runs,
};
use crate::cli::Person;
use crate::support::console::Console;
use crate::support::starts::Wish;
use crate::support::stores::both_engines;

both_engines! {
    async fn fr_020_012_only_the_typed_phrase_starts_it(store) {
        let store = prepared(store).await;
        let mut console = Box::pin(at_phrase(&store.ops)).await;
        console.keys("<enter>").await;
        shows!(console, "Type BACKFILL 4");
        for typed in ["BACKFILL", "BACKFILL 3", "BACKFILL 44", "backfill 4", "BACKFILL  4", "BACKFILL 4 ", "y"] {
            console.keys(&format!("<ctrl-u>{typed}<enter>")).await;
            shows!(console, "that is not BACKFILL 4; nothing was started");
            assert_eq!(runs(&store).await, 0, "{typed}");
        }
        console.keys("<ctrl-u>").await;
        for text in ["BACKFILL 4", "BACKFILL 4\n", "y\n", &"x".repeat(1_000_000)] {
            console.send(Msg::Paste(text.to_owned())).await;
            shows!(console, "a confirmation has to be typed; the pasted text was not taken");
            console.keys("<enter>").await;
            assert_eq!(runs(&store).await, 0);
        }
        console.keys("BACKFILL ").await;
        console.send(Msg::Paste("4".to_owned())).await;
        console.keys("<enter>").await;
        assert_eq!(runs(&store).await, 0);
        // A second enter while it is being sent does nothing.
        console.keys_at_once("4<enter><enter><esc>");
        shows!(console, "starting findings.lifecycle_backfill ...");
        console.settle().await;
        shows!(console, "queued as run 1, enter to view");
        assert_eq!(runs(&store).await, 1);
        assert_eq!(store.number("select count(*) from audit_logs where action = 'runbooks.start'").await, 1);
        assert_eq!(console.app.tabs.runbooks.step(), Step::Runbook, "the draft is gone");
        hides!(console, "Type BACKFILL");
    }

    async fn fr_045_006_no_letter_of_a_phrase_is_a_command_once_the_plan_has_expired(store) {
        let store = prepared(store).await;
        let mut console = Box::pin(at_phrase(&store.ops)).await;
        console.keys("BACK").await;
        store.pass(15 * 60);
        console.send(Msg::Tick).await;
        console.poll().await;
        shows!(console, "this plan has expired; nothing was started");
        let (before, outside) = (console.screen(), console.outside.len());
        for key in (b' '..=b'~').map(char::from) {
            // The one that begins the name of a key here.
            if key == '<' {
                continue;
            }
            console.keys(&key.to_string()).await;
            assert_eq!(console.screen(), before, "{key:?}");
        }
        assert_eq!((console.outside.len(), console.app.tabs.runbooks.step()), (outside, Step::Confirm));
        console.keys("<ctrl-r>").await;
        shows!(console, "expires 12:30:00 UTC");
        console.keys("<enter><enter><enter>").await;
        console.keys("BACKFILL 4<enter>").await;
        shows!(console, "queued as run 1, enter to view");
    }

    async fn fr_045_007_the_smallest_screen_says_that_it_cannot_be_undone(store) {
        let store = prepared(store).await;
        let mut console = Box::pin(at_phrase(&store.ops)).await;
        for (width, height) in [(60, 15), (80, 24), (200, 50)] {
            console.send(Msg::Resize(width, height)).await;
            shows!(console, "It cannot be undone");
            shows!(console, "Type BACKFILL 4");
            shows!(console, "ALL (4 tenants, 100 %)");
        }
    }

    async fn fr_020_013_the_equivalent_command_is_shown_and_copied(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter><space>jj<space><enter><enter>").await;
        console.keys("<ctrl-u>2<tab>10%<tab><ctrl-u>1<enter>i<tab>it's \"odd\" $HOME<enter>").await;
        shows!(console, "tenants 1, 3 (50 %): 1 Contoso DE, 3 Fabrikam");
        shows!(console, "the same without the console (ctrl-y copies it)");
        console.keys("<ctrl-y>").await;
        shows!(console, "sent to the terminal's clipboard");
        let command = "tenantpilot runbooks start findings.lifecycle_backfill --tenant 1 --tenant 3 --plan 1 \
                       --concurrency 2 --error-threshold 10% --canary 1 --reason-code INCIDENT \
                       --reason 'it'\\''s \"odd\" $HOME' --confirm 'BACKFILL 2'";
        assert_eq!(console.outside, [Effect::Copy(command.to_owned())]);
        // A shell hands it to the program, which takes it. The plan is good by the test's clock only.
        let split = command.replacen("tenantpilot", "printf '%s\\n'", 1);
        let words = std::process::Command::new("/bin/sh").arg("-c").arg(&split).output().unwrap();
        let words = String::from_utf8(words.stdout).unwrap();
        let words: Vec<&str> = words.lines().chain(["--dry-run"]).collect();
        let person = Person::at(&store.url);
        person.login("administrator").ends(0);
        let done = person.run(&words);
        assert!(done.code == 0 || (done.code == 5 && done.err.contains("plan 1 expired")), "{done:?}");
    }

    async fn fr_020_014_back_and_forth_keeps_what_was_typed_and_a_change_discards_the_plan(store) {
        let store = prepared(store).await;
        let mut console = Box::pin(at_phrase(&store.ops)).await;
        console.keys("<esc>").await;
        shows!(console, "legacy rows");
        console.keys("<esc><ctrl-u>7<esc>").await;
        shows!(console, "6 of 6 findings");
        console.keys("<esc>").await;
        shows!(console, "▸ [x] ALL (4 tenants, 100 %)");
        // Unchanged: the same plan.
        console.keys("<enter>").await;
        shows!(console, "plan       1 (");
        assert_eq!(store.number("select count(*) from runbook_plans").await, 1);
        console.keys("<esc><tab><space>").await;
        shows!(console, "selected 1 of 4 tenants: 1");
        console.keys("<enter>").await;
        shows!(console, "plan 1 was discarded: the scope or the inputs were changed");
        shows!(console, "plan       2 (");
        shows!(console, "3 of 3 findings in 1 tenant");
        console.keys("<enter>").await;
        shows!(console, "concurrency  7");
        console.keys("<enter><enter>").await;
        shows!(console, "Type y and press enter");
        shows!(console, "DATA_REPAIR: legacy rows");
        // Another tab and back.
        console.keys("BACK").await;
        console.keys("<f1><esc>").await;
        console.send(Msg::Click { column: 16, row: 1 }).await;
        shows!(console, "filter  none");
        console.keys("6").await;
        shows!(console, "BACK");
        console.keys("FILL 1<enter>").await;
        shows!(console, "queued as run 1");
    }

    async fn fr_020_015_escape_asks_before_it_throws_work_away(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter><esc>").await;
        assert_eq!(console.app.tabs.runbooks.step(), Step::Runbook, "nothing was done: nothing is asked");
        console.keys("<enter><space>").await;
        for key in ["<esc>", "<enter>", "n", "<space>", "q", "<tab>", "6", "Y"] {
            console.keys("<esc>").await;
            shows!(console, "Discard it?");
            console.keys(key).await;
            shows!(console, "selected 1 of 4 tenants: 1");
            hides!(console, "Discard it?");
        }
        assert_eq!(console.outside, []);
        console.keys("<esc>").await;
        console.send(Msg::Paste("y".to_owned())).await;
        console.keys("n").await;
        shows!(console, "selected 1 of 4 tenants: 1");
        console.keys("<esc>y").await;
        assert_eq!(console.app.tabs.runbooks.step(), Step::Runbook);
        console.keys("<enter>").await;
        shows!(console, "selected 0 of 4 tenants");
        // Logging out forgets it without asking.
        console.keys("<space>:app.logout<enter>").await;
        console.log_in("administrator").await;
        console.keys("6").await;
        assert_eq!(console.app.tabs.runbooks.step(), Step::Runbook);
    }

    async fn fr_020_016_a_scope_that_changed_meanwhile_is_refused_with_the_difference_on_the_page(store) {
        let store = prepared(store).await;
        let mut console = Box::pin(at_phrase(&store.ops)).await;
        store.legacy_findings(&[4], 2).await;
        console.keys("BACKFILL 4<enter>").await;
        shows!(console, "1 tenant changed since preflight: tenant 4 has 2 to change instead of 0");
        shows!(console, "ctrl-r makes a new preflight and keeps everything else");
        shows!(console, "ctrl-r new preflight");
        assert_eq!((runs(&store).await, refused_starts(&store).await), (0, 1));
        // Going back offers it no more.
        console.keys("<esc><esc><esc>").await;
        shows!(console, "tenant 4 has 2 to change");
        shows!(console, "makes a new preflight");
        console.keys("<enter>").await;
        assert_eq!(console.app.tabs.runbooks.step(), Step::Preflight);
        console.keys("R").await;
        shows!(console, "8 of 8 findings in 4 tenants");
        console.keys("<enter><enter><enter>").await;
        shows!(console, "DATA_REPAIR: legacy rows");
        // A tenant that joins changes the phrase, too.
        store.sql("insert into tenants (id, workspace_id, name, is_platform, created_at) values \
                   (20, 1, 'New', false, '2026-11-01T00:00:00+00:00')").await.unwrap();
        console.keys("BACKFILL 4<enter>").await;
        shows!(console, "tenant 20 joined the scope");
        console.keys("<ctrl-r><enter><enter><enter><enter><enter><enter>BACKFILL 5<enter>").await;
        shows!(console, "queued as run 1, enter to view");
        assert_eq!(runs(&store).await, 1);
    }

    async fn fr_020_017_a_run_that_is_at_the_same_tenants_is_named(store) {
        let store = prepared(store).await;
        let mut console = Box::pin(at_phrase(&store.ops)).await;
        let other = Wish::new(KEY, RunScope::Tenant(2));
        other.begin(&store.ops, &tenantpilot::access::Actor::System).await.unwrap();
        console.keys("BACKFILL 4<enter>").await;
        shows!(console, "run 1");
        shows!(console, "✗ ");
        assert_eq!((runs(&store).await, refused_starts(&store).await), (1, 1));
        // The same again finds the run that is there.
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter>/2<enter><space><enter>").await;
        console.keys("<enter><enter><enter><enter><enter><enter>BACKFILL 1<enter>").await;
        shows!(console, "nothing new was started: run 1 does the same already, enter to view");
        // The notice goes, the way to the run stays.
        store.pass(60);
        console.poll().await;
        shows!(console, "run 1 is the last one started here; 3 shows it");
        console.keys("3").await;
        shows!(console, "▸ 1  findings.lifecycle_backfill");
    }

    async fn fr_020_018_a_missing_capability_is_named_and_one_taken_away_stops_it(store) {
        let store = prepared(store).await;
        let root = store.login("administrator").await;
        let with = |names: &[Capability]| -> CapabilitySet {
            [Capability::AccessSystemPanel].iter().chain(names).copied().collect()
        };
        store.user_with(&root, "nobody", with(&[Capability::OpsView]), &[]).await;
        store.user(&root, Role::Viewer).await;
        let few = [Capability::RunbooksView, Capability::RunbookFindingsLifecycleBackfill];
        store.user_with(&root, "looker", with(&few), &[]).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("nobody").await;
        console.keys("6").await;
        shows!(console, "This needs the capability platform.runbooks.view");
        hides!(console, KEY);
        console.keys("<enter><esc>").await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("viewer").await;
        console.keys("6").await;
        shows!(console, "platform.runbooks.run (✗ not yours: ask an administrator)");
        console.keys("<enter>").await;
        shows!(console, "this needs the capability platform.runbooks.findings.lifecycle_backfill");
        assert_eq!(console.app.tabs.runbooks.step(), Step::Runbook);
        // Without the right to start, one may count.
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("looker").await;
        console.keys("6<enter>").await;
        shows!(console, "you may look; to start it you need the capability platform.runbooks.run");
        console.keys("<tab><tab><space><enter>").await;
        shows!(console, "6 of 6 findings");
        console.keys(SETTINGS).await;
        shows!(console, "starting it needs the capability platform.runbooks.run");
        hides!(console, "Type BACKFILL");
        console.keys("BACKFILL 4<enter>").await;
        assert_eq!(runs(&store).await, 0);
        // Taken past the program, the database refuses; the page says so and stays.
        store.user(&root, Role::Operator).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("operator").await;
        console.keys("6").await;
        console.keys(ALL).await;
        console.keys("<enter>").await;
        console.keys(SETTINGS).await;
        let names = with(&few).iter().map(|held| format!("\"{held}\"")).collect::<Vec<_>>().join(",");
        store.sql(&format!("update platform_users set capabilities = '[{names}]' where username = 'operator'")).await.unwrap();
        console.keys("BACKFILL 4<enter>").await;
        shows!(console, "forbidden: this needs the capability platform.runbooks.run");
        shows!(console, "[6 confirm]");
        assert_eq!(runs(&store).await, 0);
        // Taken by somebody, the session ends, and the draft with it.
        store.user_with(&root, "other", Role::Operator.capabilities(), &[]).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("other").await;
        console.keys("6").await;
        console.keys(ALL).await;
        console.keys("<enter>").await;
        console.keys(SETTINGS).await;
        let taken = crate::support::starts::capabilities("other", with(&few));
        store.ops.run(&root.actor, taken).await.unwrap();
        console.keys("BACKFILL 4<enter>").await;
        shows!(console, "your session has ended");
        assert_eq!(console.app.tabs.runbooks.step(), Step::Runbook);
        assert_eq!(runs(&store).await, 0);
    }

    async fn fr_020_019_while_the_database_is_lost_nothing_is_asked_and_nothing_typed_is_lost(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys(ALL).await;
        console.send(lost()).await;
        console.keys("<enter>").await;
        shows!(console, "this is disabled: the database does not answer; it comes back with it");
        shows!(console, "▸ [x] ALL");
        console.poll().await;
        console.keys("<enter>").await;
        shows!(console, "6 of 6 findings");
        console.send(lost()).await;
        for key in ["R", "e"] {
            console.keys(key).await;
            shows!(console, "this is disabled: the database does not answer");
        }
        // What needs no database goes on.
        console.keys(SETTINGS).await;
        console.keys("BACKFILL 4").await;
        shows!(console, "starting is disabled: the database does not answer; what was typed stays");
        console.keys("<enter>").await;
        shows!(console, "this is disabled: the database does not answer");
        assert_eq!(runs(&store).await, 0);
        console.poll().await;
        console.keys("<enter>").await;
        shows!(console, "queued as run 1, enter to view");
    }

    async fn fr_020_020_what_is_wrong_stands_below_its_input(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys("jjj<enter>").await;
        shows!(console, "runs, notifications, alerts, sessions, reports or packs");
        for (keys, input, error) in [
            ("<tab>9<enter>", "data", "no data given"),
            ("nothing<tab><enter>", "data", "there is no such data"),
            ("<ctrl-u>packs<tab><enter>", "days", "packs take no days"),
        ] {
            console.keys(keys).await;
            assert_eq!(console.app.tabs.runbooks.step(), Step::Scope, "{keys}");
            let screen = console.screen();
            let lines: Vec<&str> = screen.lines().collect();
            let at = |text: &str| lines.iter().rposition(|line| line.contains(text)).expect(&screen);
            let days = lines.iter().rposition(|line| line.trim_start().starts_with("days") || line.contains(" days  ")).expect(&screen);
            assert_eq!(at(error) < days, input == "data", "{keys}: {screen}");
        }
    }

    async fn fr_020_020_runbooks_of_the_platform_take_their_inputs(store) {
        let store = prepared(store).await;
        for (days, n) in [(40, 2), (100, 3)] {
            for i in 0..n {
                let sql = format!(
                    "insert into product_usage_events (workspace_id, tenant_id, event_name, feature_area, subject_type, subject_id, metadata, occurred_at) \
                     values (1, 1, 'product.operations.started', 'operations', 'operation_run', '1', '{{}}', '{}')",
                    (store.clock.now() - chrono::Duration::days(days) - chrono::Duration::seconds(i)).to_rfc3339()
                );
                store.sql(&sql).await.unwrap();
            }
        }
        let mut console = at_runbooks(&store.ops).await;
        console.keys("jj<enter>").await;
        shows!(console, "It is aimed at the platform itself: there are no tenants to select.");
        shows!(console, "for how many days events are kept, 1 to 36500");
        shows!(console, "the platform's setting where left empty");
        for bad in ["0", "lots"] {
            console.keys(&format!("<ctrl-u>{bad}<enter>")).await;
            assert_eq!(console.app.tabs.runbooks.step(), Step::Scope, "{bad}");
        }
        shows!(console, "the days to keep data must be a whole number");
        console.keys("<ctrl-u><enter>").await;
        shows!(console, "3 of 5 events");
        shows!(console, "the platform itself");
        console.keys("<esc>30<enter>").await;
        shows!(console, "plan 1 was discarded: the scope or the inputs were changed");
        shows!(console, "5 of 5 events");
        console.keys("<enter><enter><enter>").await;
        shows!(console, "days=30");
        console.keys("<ctrl-y>PRUNE<enter><ctrl-u>PRUNE 30<enter>").await;
        assert!(matches!(console.outside.as_slice(), [Effect::Copy(command)] if command.ends_with("--plan 2 --concurrency 4 --confirm 'PRUNE 30'")), "{:?}", console.outside);
        shows!(console, "queued as run 1, enter to view");
        let context = store.text("select cast(context as text) from operation_runs").await;
        assert!(context.contains("30"), "{context}");
        // One that takes none says so.
        console.keys("<esc>6k<enter>").await;
        shows!(console, "It takes no inputs. Enter goes on.");
        console.keys("<enter>").await;
        shows!(console, "[3 preflight]");
    }

    async fn fr_020_021_a_tenant_archived_after_it_was_marked_is_refused_by_name_of_its_id(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter><space>j<space>").await;
        store.sql("update tenants set archived_at = '2026-11-20T00:00:00+00:00' where id = 1").await.unwrap();
        console.keys("<enter>").await;
        shows!(console, "[3 preflight]");
        shows!(console, "tenant 1");
        shows!(console, "R makes a new preflight, esc goes back");
        assert_eq!(store.number("select count(*) from runbook_plans").await, 0);
        console.keys("<esc>").await;
        shows!(console, "selected 2 of 3 tenants: 1, 2");
        console.keys("u/2<enter><space><enter>").await;
        shows!(console, "2 of 2 findings in 1 tenant");
    }

    async fn fr_020_022_clicks_and_the_wheel_move_the_cursor(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.send(Msg::Click { column: 5, row: 8 }).await;
        shows!(console, "▸ Prune product usage");
        console.send(Msg::Click { column: 5, row: 6 }).await;
        console.send(Msg::Click { column: 5, row: 6 }).await;
        shows!(console, "[2 scope]");
        console.send(Msg::Click { column: 5, row: 9 }).await;
        shows!(console, "▸ [ ]        2  Contoso FR");
        console.send(Msg::Wheel { up: true }).await;
        shows!(console, "▸ [ ]        1  Contoso DE");
        console.send(Msg::Click { column: 5, row: 22 }).await;
        shows!(console, "▸ [ ]        1  Contoso DE");
    }
}
