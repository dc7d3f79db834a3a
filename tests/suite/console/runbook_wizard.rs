//! The wizard of runbooks: the way through it, and what is wrong on the way to its last page.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tenantpilot::access::ClientKind;
use tenantpilot::domain::capability::Role;
use tenantpilot::ops::Consent;
use tenantpilot::ops::break_glass::EnterBreakGlass;
use tenantpilot::ops::password;
use tenantpilot::ops::plans::{Counted, Preflight};
use tenantpilot::ops::runs::RunScope;
use tenantpilot::ops::{AnyOutput, Ops, OpsSettings};
use tenantpilot::runbooks::Registry;
use tenantpilot::tui::msg::{Answer, Msg, Request};
use tenantpilot::tui::runner::Runner;
use tenantpilot::tui::screens::runbooks::Step;
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;
use tenantpilot::worker::{Worker, WorkerSettings};
use tenantpilot::{Error, ErrorKind};

use super::run_control::{hides, shows};
use crate::support::console::{Console, setup};
use crate::support::starts::reason;
use crate::support::stores::{ORIGIN, PASSWORD, Store, both_engines};

pub const KEY: &str = "findings.lifecycle_backfill";

/// A platform with findings to backfill: 3 in tenant 1, 2 in tenant 2, 1 in tenant 3.
pub async fn prepared(store: Store) -> Store {
    let store = store.with_platform().await.with_active_worker().await;
    store.administrator().await;
    for (tenant, each) in [(1, 3), (2, 2), (3, 1)] {
        store.legacy_findings(&[tenant], each).await;
    }
    store
}

/// A console of an administrator on the tab of runbooks.
pub async fn at_runbooks(ops: &Ops) -> Console {
    let mut console = Console::open(ops, 80, 24).await;
    console.log_in("administrator").await;
    console.keys("6").await;
    console
}

/// Keys that choose all tenants, from the list of runbooks.
pub const ALL: &str = "<enter><tab><tab><space>";
/// Keys from a plan to the phrase.
pub const SETTINGS: &str = "<enter><enter>d<tab>legacy rows<enter>";

/// A console with an all-tenants backfill one phrase before its start.
pub async fn at_phrase(ops: &Ops) -> Console {
    let mut console = at_runbooks(ops).await;
    console.keys(ALL).await;
    console.keys("<enter>").await;
    console.keys(SETTINGS).await;
    shows!(console, "Type BACKFILL 4 and press enter to start it.");
    console
}

pub async fn runs(store: &Store) -> i64 {
    store.number("select count(*) from operation_runs").await
}

pub async fn refused_starts(store: &Store) -> i64 {
    let sql = "select count(*) from audit_logs where action = 'runbooks.start' and status in ('refused', 'denied')";
    store.number(sql).await
}

pub fn lost() -> Msg {
    let gone = Error::new(ErrorKind::Unreachable, "it is gone");
    Msg::Done { slot: Slot::DETAIL, answer: Box::new(Answer::Unknown(gone)) }
}

/// The keys that the footer shows, as the tests' keys spell them.
fn footer(console: &mut Console) -> Vec<String> {
    let screen = console.screen();
    let last = screen.lines().last().unwrap_or_default().to_owned();
    last.split_whitespace()
        .map(|word| match word {
            "shift-tab" => "<backtab>".to_owned(),
            word if word.chars().count() == 1 => word.to_owned(),
            word => format!("<{word}>"),
        })
        .collect()
}

/// Presses a key that the footer shows.
async fn press(console: &mut Console, key: &str) {
    let shown = footer(console);
    assert!(
        shown.iter().any(|known| known == key),
        "{key} is not in {shown:?}\n{}",
        console.screen()
    );
    console.keys(key).await;
}

both_engines! {
    async fn fr_020_001_a_new_operator_gets_from_the_login_to_the_end_of_an_all_tenants_backfill(store) {
        let store = store.with_platform().await.with_active_worker().await;
        let administrator = store.administrator().await;
        store.user(&administrator, Role::Operator).await;
        store.legacy_findings(&[1, 2, 3, 4], 40).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("operator").await;
        // The tab line names its key.
        shows!(console, "6 Runbooks");
        console.keys("6").await;
        shows!(console, "▸ Backfill findings lifecycle");
        press(&mut console, "<enter>").await;
        shows!(console, "[2 scope]");
        press(&mut console, "<tab>").await;
        press(&mut console, "<tab>").await;
        shows!(console, "▸ [ ] ALL (4 tenants, 100 %)");
        press(&mut console, "<space>").await;
        shows!(console, "▸ [x] ALL (4 tenants, 100 %)");
        shows!(console, "selected ALL (4 tenants, 100 %)");
        press(&mut console, "<enter>").await;
        shows!(console, "[3 preflight]");
        shows!(console, "160 of 160 findings in 4 tenants");
        press(&mut console, "<enter>").await;
        shows!(console, "[4 rollout]");
        press(&mut console, "<enter>").await;
        shows!(console, "Required: a start on more than one tenant needs a reason");
        shows!(console, "or its first letter");
        console.keys("d").await;
        press(&mut console, "<tab>").await;
        console.keys("legacy rows of the March import").await;
        press(&mut console, "<enter>").await;
        shows!(console, "Type BACKFILL 4 and press enter to start it.");
        console.keys("BACKFILL 4").await;
        press(&mut console, "<enter>").await;
        shows!(console, "queued as run 1, enter to view");
        console.keys("<enter>").await;
        shows!(console, "▸ 1  findings.lifecycle_backfill");
        shows!(console, "◌ queued");
        // A worker takes it, a few findings at a time.
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let settings = WorkerSettings { chunk: 5, lanes: 1, schedule: false, ..WorkerSettings::default() };
        let ops = OpsSettings { patience: Duration::from_secs(60), registry: Registry::standard(), ..OpsSettings::default() };
        let (worker, _) = Worker::open(&store.url, settings, &ops, store.clock.clone(), stopped).unwrap();
        let working = tokio::spawn(worker.run());
        let mut seen = Vec::new();
        let limit = std::time::Instant::now() + Duration::from_secs(120);
        loop {
            console.poll().await;
            let screen = console.screen();
            if !seen.contains(&screen) {
                seen.push(screen.clone());
            }
            if screen.contains("✓ succeeded") {
                break;
            }
            assert!(std::time::Instant::now() < limit, "{screen}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let _ = stop.send(true);
        working.await.unwrap().unwrap();
        let running = seen.iter().any(|screen| screen.contains("▶ running") || screen.contains("▶ "));
        assert!(running, "its progress was never seen: {seen:#?}");
        shows!(console, "total 4 processed 4 succeeded 4");
        console.poll().await;
        shows!(console, "✉ 1");
        press(&mut console, "<esc>").await;
        console.keys("7").await;
        shows!(console, "✓ succeeded");
        let left = "select count(*) from findings where status = 'open'";
        assert_eq!(store.number(left).await, 0);
        let reason = "select count(*) from audit_logs where action = 'runbooks.start' and status = 'succeeded' \
                      and metadata like '%legacy rows of the March import%'";
        let reason = reason.replace("metadata like", "cast(metadata as text) like");
        assert_eq!(store.number(&reason).await, 1);
    }

    async fn fr_020_002_nothing_chosen_is_an_error_in_words_in_every_way(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter><enter>").await;
        shows!(console, "nothing is selected: space marks the tenant under the cursor");
        shows!(console, "selected 0 of 4 tenants");
        console.keys("<tab><enter>").await;
        shows!(console, "nothing is selected: space selects the workspace under the cursor");
        console.keys("<tab><enter>").await;
        shows!(console, "nothing is selected: space selects all tenants");
        assert_eq!(store.number("select count(*) from runbook_plans").await, 0);
        // Chosen and taken back is nothing chosen.
        console.keys("<space><space><enter>").await;
        shows!(console, "nothing is selected");
        console.keys("<backtab><space>").await;
        shows!(console, "selected workspace 1 (2 of 4 tenants)");
        console.keys("<space><enter>").await;
        shows!(console, "nothing is selected");
        assert_eq!(store.number("select count(*) from runbook_plans").await, 0);
    }

    async fn fr_020_003_marks_are_bound_to_ids_and_survive_searches(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter><space>/labs").await;
        // It searches while it is typed, and the marks are counted all the time.
        shows!(console, "Fabrikam Labs");
        hides!(console, "Contoso DE");
        shows!(console, "selected 1 of 4 tenants: 1 (1 hidden by the search)");
        console.keys("<enter><space>").await;
        shows!(console, "selected 2 of 4 tenants: 1, 4 (1 hidden by the search)");
        console.keys("<enter>").await;
        shows!(console, "1 selected tenant is hidden by the search; c clears the search");
        assert_eq!(console.app.tabs.runbooks.step(), Step::Scope);
        console.keys("c").await;
        shows!(console, "[x]        1  Contoso DE");
        shows!(console, "[x]        4  Fabrikam Labs");
        // Rows that come and go around it do not move a mark.
        store.sql("insert into tenants (id, workspace_id, name, is_platform, created_at) values \
                   (20, 1, 'AAA', false, '2026-11-01T00:00:00+00:00')").await.unwrap();
        console.keys("r").await;
        shows!(console, "[ ]       20  AAA");
        shows!(console, "▸ [x]        4  Fabrikam Labs");
        shows!(console, "selected 2 of 5 tenants: 1, 4");
        console.keys("<enter>").await;
        shows!(console, "tenants 1, 4 (40 %)");
        // The search is by id, too, and esc takes the search back that is being typed.
        console.keys("<esc>/4<enter>").await;
        shows!(console, "Fabrikam Labs");
        hides!(console, "Contoso DE");
        console.keys("/xyz").await;
        shows!(console, "Nothing that may be selected matches this search.");
        console.keys("<esc>").await;
        shows!(console, "Fabrikam Labs");
        console.keys("cu").await;
        shows!(console, "selected 0 of 5 tenants");
    }

    async fn fr_020_003_marks_survive_paging_through_a_long_list(store) {
        let store = prepared(store).await;
        let rows: Vec<String> = (100..700)
            .map(|id| format!("({id}, 2, 'Unit {id}', false, '2026-11-01T00:00:00+00:00')"))
            .collect();
        store.sql(&format!("insert into tenants (id, workspace_id, name, is_platform, created_at) values {}", rows.join(", "))).await.unwrap();
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter><space>").await;
        for _ in 0..30 {
            console.keys("<pgdn>").await;
        }
        console.keys("<space>G<space>").await;
        shows!(console, "▸ [x]      699  Unit 699");
        shows!(console, "selected 3 of 604 tenants: 1, ");
        console.keys("g").await;
        shows!(console, "▸ [x]        1  Contoso DE");
        console.keys("<enter>").await;
        shows!(console, "3 of 3 findings in 1 tenant");
        shows!(console, "(0.5 %)");
    }

    async fn fr_020_004_all_is_chosen_explicitly_and_not_offered_to_a_restricted_view(store) {
        let store = prepared(store).await;
        let administrator = store.login("administrator").await;
        store.user_with(&administrator, "partial", Role::Operator.capabilities(), &[2]).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("partial").await;
        console.keys("6<enter>").await;
        shows!(console, "Fabrikam");
        hides!(console, "Contoso");
        console.keys("<tab>").await;
        hides!(console, "Contoso");
        console.keys("<tab>").await;
        shows!(console, "all tenants cannot be selected: your view is restricted to some workspaces");
        console.keys("<space><enter>").await;
        hides!(console, "[x]");
        assert_eq!(console.app.tabs.runbooks.step(), Step::Scope);
        console.keys("<backtab><space><enter>").await;
        shows!(console, "workspace 2 (2 tenants, 100 %)");
        // Marks of another way are said not to count.
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter><space><tab><space>").await;
        shows!(console, "selected workspace 1 (2 of 4 tenants); 1 marked tenant not counted here");
    }

    async fn fr_020_005_names_that_mix_scripts_are_marked_and_their_ids_have_to_be_typed(store) {
        let store = prepared(store).await;
        store.sql("update tenants set name = 'C\u{43e}ntoso DE' where id = 3").await.unwrap();
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter>").await;
        shows!(console, "C\u{43e}ntoso DE (mixes scripts)");
        hides!(console, "Contoso DE (mixes");
        console.keys("/3<enter><space><enter>").await;
        shows!(console, "(mixes scripts)");
        console.keys("<enter><enter><enter>").await;
        shows!(console, "tenant 3, C\u{43e}ntoso DE (mixes scripts)");
        shows!(console, "Type BACKFILL 1 ID 3 and press enter");
        console.keys("BACKFILL 1<enter>").await;
        shows!(console, "that is not BACKFILL 1 ID 3; nothing was started");
        console.keys(" ID 3<enter>").await;
        shows!(console, "queued as run 1, enter to view");
    }

    async fn fr_020_006_the_preflight_tells_how_far_it_is_and_can_be_cancelled(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys(ALL).await;
        console.keys_at_once("<enter>");
        shows!(console, "counting ...");
        let counted = |done| Msg::Done {
            slot: Slot::PREFLIGHT,
            answer: Box::new(Answer::Counted(Counted { done, total: 412 })),
        };
        console.app.update(counted(37), store.clock.now());
        shows!(console, "counting 37 of 412 tenants ...");
        shows!(console, "esc or X cancels it");
        for key in ["X", "<esc>"] {
            console.keys_at_once(key);
            shows!(console, "The preflight was cancelled; nothing was kept of it.");
            console.settle().await;
            // What was on its way does not arrive any more.
            console.app.update(counted(38), store.clock.now());
            shows!(console, "The preflight was cancelled");
            console.keys_at_once("R");
            shows!(console, "counting ...");
        }
        console.settle().await;
        shows!(console, "6 of 6 findings in 3 tenants");
        let plans = store.number("select count(*) from runbook_plans").await;
        assert!(plans <= 3, "cancelled ones leave nothing once they are stopped: {plans}");
        // The real thing tells its progress before its plan.
        let (mut runner, mut answers, _hints) = Runner::new(store.ops.clone(), ORIGIN.to_owned(), ClientKind::Console);
        runner.set_session(Some(&store.login("administrator").await));
        runner.ask(Slot::PREFLIGHT, Request::of(Preflight::new(KEY, RunScope::All)));
        let mut told = Vec::new();
        while !runner.busy().is_empty() {
            if let Some((_, answer)) = runner.take(answers.recv().await.unwrap()) {
                told.push(answer);
            }
        }
        let [Answer::Counted(first), .., Answer::Op(AnyOutput::Preflight(_, Ok(plan)))] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((first.total, plan.tenant_count), (4, 4));
    }

    async fn fr_020_007_the_plan_is_scrolled_searched_narrowed_and_exported(store) {
        let store = prepared(store).await;
        store.sql("update tenants set name = '=cmd(\"x\"),y' where id = 4").await.unwrap();
        let folder = tempfile::TempDir::new().unwrap();
        let exports = folder.path().join("state").join("exports");
        let setup = Setup { exports: Some(exports.clone()), ..setup(80, 24, &store.clock) };
        let mut console = Console::with(&store.ops, setup).await;
        console.log_in("administrator").await;
        console.keys("6").await;
        console.keys(ALL).await;
        console.keys("<enter>").await;
        for text in ["ALL (4 tenants, 100 %)", "6 of 6 findings in 3 tenants", "no history yet", "expires 12:15:00 UTC",
                     "all targets 4", "=cmd"] {
            shows!(console, text);
        }
        let screen = console.screen();
        let place = |text: &str| screen.find(text).unwrap_or_else(|| panic!("{text} in {screen}"));
        assert!(place("Contoso DE") < place("Contoso FR") && place("Contoso FR") < place("=cmd"), "most affected first: {screen}");
        console.keys("a").await;
        shows!(console, "affected only 3");
        hides!(console, "=cmd");
        console.keys("/contoso<enter>").await;
        shows!(console, "affected only 2");
        console.keys("ac").await;
        shows!(console, "all targets 4");
        console.keys("ajje").await;
        shows!(console, "4 targets of plan 1 written to");
        let file = exports.join("plan-1-20261120T120000Z.csv");
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "all of it, whatever is shown: {text}");
        assert!(lines[0].starts_with("tenant_id,tenant_name,"));
        assert_eq!(lines[1], "1,Contoso DE,1,Contoso,3,3");
        assert!(text.contains("\n4,\"'=cmd(\"\"x\"\"),y\",2,Fabrikam,0,0"), "{text}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        // Without a place for it, or with one that cannot be written, it says so.
        std::fs::remove_dir_all(&exports).unwrap();
        std::fs::write(&exports, "in the way").unwrap();
        console.keys("e").await;
        shows!(console, "plan 1 was not exported");
        hides!(console, "disconnected");
        let mut console = at_runbooks(&store.ops).await;
        console.keys(ALL).await;
        console.keys("<enter>e").await;
        shows!(console, "there is no place for exports");
    }

    async fn fr_020_008_with_nothing_affected_it_does_not_go_on(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter>/4<enter><space><enter>").await;
        shows!(console, "nothing would be changed: 0 of 0 findings need it; there is nothing to start");
        console.keys("<enter>").await;
        assert_eq!(console.app.tabs.runbooks.step(), Step::Preflight);
        hides!(console, "enter go on");
    }

    async fn fr_020_009_an_expired_plan_says_so_and_is_made_anew(store) {
        let store = prepared(store).await;
        let mut console = Box::pin(at_phrase(&store.ops)).await;
        console.keys("BACKFILL 4").await;
        store.pass(15 * 60);
        console.send(Msg::Tick).await;
        console.poll().await;
        shows!(console, "this plan has expired; nothing was started");
        shows!(console, "ctrl-r makes a new preflight and keeps everything else");
        console.keys("<enter>").await;
        assert_eq!(runs(&store).await, 0);
        console.keys("<esc><esc><esc>").await;
        shows!(console, "this plan has expired: R makes a new preflight");
        console.keys("<enter>").await;
        assert_eq!(console.app.tabs.runbooks.step(), Step::Preflight);
        console.keys("R").await;
        shows!(console, "expires 12:30:00 UTC");
        // Everything else was kept.
        console.keys("<enter><enter><enter>").await;
        shows!(console, "DATA_REPAIR: legacy rows");
        console.keys("BACKFILL 4<enter>").await;
        shows!(console, "queued as run 1, enter to view");
    }

    async fn fr_020_010_the_rollout_is_judged_in_words(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys(ALL).await;
        console.keys("<enter><enter>").await;
        shows!(console, "4 at a time");
        console.keys("<ctrl-u>99<tab>lots<tab><ctrl-u>-1<enter>").await;
        shows!(console, "type a whole number from 1 to 32");
        shows!(console, "\"lots\" is no error threshold");
        shows!(console, "type a whole number, 0 for no canary");
        assert_eq!(console.app.tabs.runbooks.step(), Step::Rollout);
        console.keys("<ctrl-u>8<tab><ctrl-u>10%<tab><ctrl-u>2").await;
        shows!(console, "8 at a time, canary 2 first, stop above 10 % failed targets");
        console.keys("<enter>d<tab>legacy rows of March<enter>").await;
        shows!(console, "8 at a time, canary 2 first");
        console.keys("BACKFILL 4<enter>").await;
        let rollout = store.text("select cast(rollout as text) from operation_runs").await;
        for part in ["\"concurrency\"", "8", "\"percent\"", "10", "\"canary\"", "2"] {
            assert!(rollout.contains(part), "{rollout}");
        }
    }

    async fn fr_020_011_a_reason_has_to_say_something(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys(ALL).await;
        console.keys("<enter><enter><enter><tab><enter>").await;
        shows!(console, "choose one: left and right, or its first letter");
        shows!(console, "the reason is empty");
        console.keys("<tab>").await;
        for text in ["   ", "\u{200b}\u{200d}\u{2060}", "...", "\u{1b}[31m\u{7}", "\u{202e}", "ab", "aaaaaaaaaaaa"] {
            console.keys("<backtab>").await;
            console.keys("<ctrl-u>i<tab><ctrl-u>").await;
            console.send(Msg::Paste(text.to_owned())).await;
            console.keys("<enter>").await;
            assert_eq!(console.app.tabs.runbooks.step(), Step::Reason, "{text:?}");
            // What is left of an escape sequence is text that can be seen.
            let short = ["[31m", "ab", "asdf"].iter().any(|part| text.contains(part));
            let told = if text.contains("aaa") { "the reason is filler" } else if short { "the reason is too short" } else { "the reason is empty" };
            shows!(console, told);
        }
        console.keys("<ctrl-u>").await;
        console.send(Msg::Paste("x".repeat(10_000))).await;
        shows!(console, "the paste was longer than the field and was cut off");
        console.keys("<enter>").await;
        shows!(console, "the reason is too long: at most 500 characters");
        assert_eq!(console.app.tabs.runbooks.step(), Step::Reason);
        // Line ends of a paste never go on.
        console.keys("<ctrl-u>").await;
        console.send(Msg::Paste("two\nwhole lines\n\n".to_owned())).await;
        assert_eq!(console.app.tabs.runbooks.step(), Step::Reason);
        console.keys("<enter>").await;
        shows!(console, "INCIDENT: two whole lines");
    }

    async fn fr_020_011_one_tenant_needs_no_reason_and_takes_one(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter><space><enter><enter><enter>").await;
        shows!(console, "For one target a reason may be left empty.");
        console.keys("<enter>").await;
        shows!(console, "none given");
        // The console asks for the phrase all the same.
        console.keys("<enter>").await;
        assert_eq!(runs(&store).await, 0);
        console.keys("<esc>s<tab>a ticket asks for it<enter>y<enter>").await;
        shows!(console, "queued as run 1, enter to view");
        let context = store.text("select cast(context as text) from operation_runs").await;
        assert!(context.contains("SUPPORT") && context.contains("a ticket"), "{context}");
    }

    async fn fr_020_011_under_break_glass_every_start_needs_a_reason(store) {
        let store = prepared(store).await;
        let root = store.login("administrator").await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys("<enter><space><enter><enter><enter>").await;
        shows!(console, "For one target a reason may be left empty.");
        let enter = EnterBreakGlass {
            consent: Consent::yes().because(Some(reason())),
            minutes: 60,
            password: password::secret(PASSWORD),
        };
        store.ops.run(&root.actor, enter).await.unwrap();
        console.poll().await;
        shows!(console, "Required: break-glass is active: every start needs a reason.");
        console.keys("<enter><enter>").await;
        shows!(console, "the reason is empty");
        console.keys("s<tab>a ticket asks for it<enter>y<enter>").await;
        shows!(console, "queued as run 1, enter to view");
    }
}
