//! Changing runs from the console, over real flows: the test is the worker.

use std::time::Duration;

use serde_json::json;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::rollout::StopReason;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::runs::{
    BeginTarget, ClaimRun, Claimed, FailStep, FinishRun, Pulse, Refresh, ReleaseRun, RunScope,
    RunStep,
};
use tenantpilot::ops::workers::{Beat, WorkerInfo};
use tenantpilot::ops::{Ops, OpsSettings};
use tenantpilot::runbooks::Registry;
use tenantpilot::tui::msg::{Answer, Msg};
use tenantpilot::tui::slot::Slot;
use tenantpilot::{Error, ErrorKind};

use crate::support::console::Console;
use crate::support::starts::Wish;
use crate::support::stores::{Store, both_engines};

/// A service that knows the probe.
pub fn service(store: &Store) -> Ops {
    store.another(OpsSettings {
        patience: Duration::from_secs(60),
        registry: Registry::standard().with_probe(),
        ..OpsSettings::default()
    })
}

/// Starts the probe over these tenants.
pub async fn start(ops: &Ops, tenants: &[i64]) -> i64 {
    let wish = Wish {
        inputs: json!({ "ledger": false }),
        source: Source::Console,
        ..Wish::new("testing.probe", RunScope::Tenants(tenants.to_vec()))
    };
    wish.begin(ops, &Actor::System).await.unwrap().run_id
}

/// Claims the oldest run; the lease outlasts any test.
pub async fn claim(ops: &Ops) -> Claimed {
    let claim = ClaimRun {
        owner: "w-1".to_owned(),
        types: vec!["testing.probe".to_owned()],
        lease: Duration::from_secs(3600),
    };
    ops.run(&Actor::System, claim).await.unwrap().expect("a run to claim")
}

pub async fn begin(ops: &Ops, held: &Claimed, ordinals: std::ops::Range<i64>) {
    for ordinal in ordinals {
        let begin =
            BeginTarget { run_id: held.id, fence: held.fence, ordinal, crash: None, outage: None };
        ops.run(&Actor::System, begin).await.unwrap();
    }
}

pub async fn step(ops: &Ops, held: &Claimed, ordinals: std::ops::Range<i64>) {
    for ordinal in ordinals {
        let step = RunStep {
            run_id: held.id,
            fence: held.fence,
            ordinal,
            steps: 0,
            chunk: 500,
            then: None,
        };
        ops.run(&Actor::System, step).await.unwrap();
    }
}

pub async fn fail(ops: &Ops, held: &Claimed, ordinal: i64) {
    let fail = FailStep {
        run_id: held.id,
        fence: held.fence,
        ordinal,
        steps: 0,
        reason: ReasonCode::PermissionDenied,
        message: "a right is missing".to_owned(),
        again_in: None,
        fault: None,
    };
    ops.run(&Actor::System, fail).await.unwrap();
}

pub async fn finish(ops: &Ops, held: &Claimed, stop: Option<StopReason>) {
    let finish = FinishRun { run_id: held.id, fence: held.fence, stop };
    ops.run(&Actor::System, finish).await.unwrap();
}

pub async fn refresh(ops: &Ops, held: &Claimed) {
    ops.run(&Actor::System, Refresh { run_id: held.id, fence: held.fence }).await.unwrap();
}

/// A worker that is there, and knows these types.
pub async fn beat(ops: &Ops, id: &str, types: &[&str], stopping: bool) {
    let worker = WorkerInfo {
        id: id.to_owned(),
        name: format!("host-{id}"),
        types: types.iter().map(|name| (*name).to_owned()).collect(),
        slots: 4,
        heartbeat: Duration::from_secs(3600),
    };
    let beat =
        Beat { worker, stopping, runs: Vec::new(), lease: Duration::from_secs(30), outage: None };
    ops.run(&Actor::System, beat).await.unwrap();
}

/// What people asked of runs, and runs that have ended.
pub async fn changes(store: &Store) -> (i64, i64) {
    (
        store.number("select count(*) from operation_run_requests").await,
        store.number("select count(*) from operation_runs where status = 'completed'").await,
    )
}

/// A console at the run at the top of the list.
pub async fn at_run(ops: &Ops, name: &str) -> Console {
    let mut console = Console::open(ops, 80, 24).await;
    console.log_in(name).await;
    console.keys("<enter>").await;
    console
}

macro_rules! shows {
    ($console:expr, $text:expr) => {{
        let screen = $console.screen();
        assert!(screen.contains($text), "{:?} in {screen}", $text);
    }};
}

macro_rules! hides {
    ($console:expr, $text:expr) => {{
        let screen = $console.screen();
        assert!(!screen.contains($text), "{:?} not in {screen}", $text);
    }};
}

pub(super) use {hides, shows};

both_engines! {
    async fn fr_018_001_a_change_names_the_run_and_takes_only_what_it_asks_for(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2, 3, 4]).await;
        let mut console = at_run(&ops, "administrator").await;
        shows!(console, "X cancel");
        console.keys("X").await;
        for text in ["Cancel run 1?", "run 1  testing.probe", "for 4 tenants", "It ends at once.",
                     "Type CANCEL 1 and press enter.", "enter confirm", "esc change nothing"] {
            shows!(console, text);
        }
        for typed in ["<enter>", "y<enter>", "<ctrl-u>cancel 1<enter>", "<ctrl-u>CANCEL 12<enter>",
                      "<ctrl-u>CANCEL<enter>"] {
            console.keys(typed).await;
            shows!(console, "Cancel run 1?");
            assert_eq!(changes(&store).await, (0, 0), "{typed}");
        }
        shows!(console, "that is not CANCEL 1; nothing was changed");
        console.keys("<ctrl-u>CANCEL 1<enter>").await;
        shows!(console, "run 1 is cancelled");
        shows!(console, "Cancelled with 4 of 4 left undone.");
        assert_eq!(changes(&store).await, (0, 1));
        let audited = store.number("select count(*) from audit_logs where action = 'runs.cancel'").await;
        assert_eq!(audited, 1);
        // One target: a letter, and no default.
        start(&ops, &[3]).await;
        console.keys("<esc>g<enter>X").await;
        shows!(console, "Type y and press enter.");
        console.keys("<enter>n<enter>").await;
        assert_eq!(changes(&store).await, (0, 1));
        console.keys("<ctrl-u>y<enter>").await;
        assert_eq!(changes(&store).await, (0, 2));
    }

    async fn fr_018_002_a_paste_never_confirms_and_escape_changes_nothing(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2]).await;
        let mut console = at_run(&ops, "administrator").await;
        for (keys, phrase) in [("X", "CANCEL 1"), ("P", "y")] {
            console.keys(keys).await;
            for text in [format!("{phrase}\n"), phrase.to_owned(), "y\n".to_owned(), "x".repeat(1_000_000)] {
                console.send(Msg::Paste(text)).await;
                shows!(console, "a confirmation has to be typed; the pasted text was not taken");
                console.keys("<enter>").await;
                shows!(console, "Type ");
            }
            // What was typed by hand up to the last letter is not completed by a paste.
            console.keys(&phrase[..phrase.len() - 1]).await;
            console.send(Msg::Paste(phrase[phrase.len() - 1..].to_owned())).await;
            console.keys("<enter><esc>").await;
            hides!(console, "Type ");
        }
        console.keys("XCANCEL 1<esc>").await;
        shows!(console, "Waiting: no active worker supports testing.probe.");
        assert_eq!(changes(&store).await, (0, 0));
        assert_eq!(store.number("select count(*) from operation_runs where paused_at is not null").await, 0);
    }

    async fn fr_018_003_a_cancel_says_what_is_true_at_each_moment(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2, 3, 4]).await;
        let held = claim(&ops).await;
        begin(&ops, &held, 0..3).await;
        let mut console = at_run(&ops, "administrator").await;
        shows!(console, "▶ running");
        console.keys("X").await;
        shows!(console, "Its worker is asked to stop.");
        console.keys("CANCEL 1<enter>").await;
        shows!(console, "cancel requested of run 1");
        assert_eq!(changes(&store).await, (1, 0));
        store.pass(4);
        console.poll().await;
        shows!(console, "cancel requested 4 s ago by administrator, not yet acknowledged");
        shows!(console, "▶ running");
        console.keys("X").await;
        shows!(console, "a cancel of run 1 was requested already");
        // The worker sees it.
        ops.run(&Actor::System, Pulse { run_id: held.id, fence: held.fence }).await.unwrap();
        console.poll().await;
        shows!(console, "cancel requested 4 s ago by administrator\n");
        shows!(console, "acknowledged, stopping (3 in flight)");
        step(&ops, &held, 0..1).await;
        console.poll().await;
        shows!(console, "acknowledged, stopping (2 in flight)");
        step(&ops, &held, 1..3).await;
        finish(&ops, &held, Some(StopReason::Cancelled)).await;
        console.poll().await;
        shows!(console, "⊘ cancelled");
        shows!(console, "Cancelled with 1 of 4 left undone.");
        shows!(console, "The cancel was requested by administrator at 12:00:00.");
        hides!(console, "in flight");
    }

    async fn fr_018_004_a_pause_is_made_taken_back_and_ended(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2]).await;
        let mut console = at_run(&ops, "administrator").await;
        console.keys("Py<enter>").await;
        shows!(console, "⏸ paused");
        shows!(console, "Waiting: paused until it is resumed.");
        console.keys("<down>").await;
        shows!(console, "P resume");
        console.keys("P").await;
        shows!(console, "Resume run 1?");
        console.keys("y<enter>").await;
        shows!(console, "◌ queued");
        let held = claim(&ops).await;
        begin(&ops, &held, 0..2).await;
        console.poll().await;
        console.keys("Py<enter>").await;
        shows!(console, "pause requested of run 1");
        shows!(console, "pause requested 0 s ago by administrator, not yet acknowledged");
        shows!(console, "▶ running");
        // Taken back before the worker made it.
        console.keys("P").await;
        shows!(console, "The pause that was asked for is taken back.");
        console.keys("y<enter>").await;
        hides!(console, "pause requested 0 s ago");
        assert_eq!(changes(&store).await, (0, 0));
        console.keys("Py<enter>").await;
        ops.run(&Actor::System, Pulse { run_id: held.id, fence: held.fence }).await.unwrap();
        console.poll().await;
        shows!(console, "acknowledged, pausing (2 in flight)");
        step(&ops, &held, 0..1).await;
        let release = ReleaseRun { run_id: held.id, fence: held.fence, pause: true };
        ops.run(&Actor::System, release).await.unwrap();
        console.poll().await;
        shows!(console, "⏸ paused");
        console.keys("Py<enter>").await;
        shows!(console, "◌ queued");
        assert_eq!(store.number("select count(*) from operation_runs where status = 'queued' and paused_at is null").await, 1);
    }

    async fn fr_018_005_fr_018_017_a_retry_covers_what_failed_or_never_ran_and_leads_to_its_run(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2, 3, 4]).await;
        beat(&ops, "probe", &["testing.probe"], false).await;
        let mut console = at_run(&ops, "administrator").await;
        console.keys("R").await;
        shows!(console, "run 1 has not ended; only an ended run can be retried");
        let held = claim(&ops).await;
        begin(&ops, &held, 0..3).await;
        step(&ops, &held, 0..2).await;
        fail(&ops, &held, 2).await;
        finish(&ops, &held, Some(StopReason::ErrorThreshold)).await;
        console.poll().await;
        console.keys("<down>").await;
        shows!(console, "R retry 2");
        shows!(console, "1 of 4 targets failed, for one reason; 1 was skipped");
        shows!(console, "It stopped because more targets failed than its error threshold");
        shows!(console, "retry the 2 targets that failed or never ran");
        console.keys("R").await;
        shows!(console, "the 2 targets that failed");
        shows!(console, "Say why, type RETRY 2 and press enter.");
        console.keys("i<tab>the provider is back<tab>RETRY 2<enter>").await;
        shows!(console, "queued as run 2, enter to view");
        assert_eq!(store.number("select count(*) from operation_runs where retry_of_run_id = 1").await, 1);
        let tenants = "select sum(tenant_id) from operation_run_targets where run_id = 2";
        assert_eq!(store.text(&format!("select cast(({tenants}) as text)")).await, "7", "tenants 3 and 4");
        shows!(console, "retried as run 2 (queued)");
        console.keys("<enter>").await;
        shows!(console, "▸ 2  testing.probe");
        shows!(console, "tries again what run 1 left");
        // The link leads back.
        console.keys("n<enter>").await;
        shows!(console, "▸ 1  testing.probe");
        // The same again leads to the run that is already there.
        console.keys("R").await;
        shows!(console, "run 1 was retried as run 2 (queued), enter to view");
        assert_eq!(store.number("select count(*) from operation_runs").await, 2);
    }

    async fn fr_018_006_closing_by_force_comes_only_after_a_cancel(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2]).await;
        let held = claim(&ops).await;
        begin(&ops, &held, 0..1).await;
        let mut console = at_run(&ops, "administrator").await;
        hides!(console, "force close");
        console.keys("F").await;
        shows!(console, "cancel run 1 first; it is closed by force only after that");
        console.keys("XCANCEL 1<enter><down>").await;
        shows!(console, "F force close");
        console.keys("FCLOSE 1<enter>").await;
        shows!(console, "run 1 is closed");
        shows!(console, "Closed by force with 2 of 2 left undone.");
        assert_eq!(changes(&store).await.1, 1);
        // The worker that still held it has no say any more.
        let step = RunStep { run_id: 1, fence: held.fence, ordinal: 0, steps: 0, chunk: 1, then: None };
        assert_eq!(ops.run(&Actor::System, step).await.unwrap_err().kind(), ErrorKind::Lost);
    }

    async fn fr_018_007_a_missing_capability_is_named_before_and_after_the_dialog(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2]).await;
        let viewer = CapabilitySet::from_names(&[
            Capability::AccessSystemPanel.as_str().to_owned(),
            Capability::OpsView.as_str().to_owned(),
        ]);
        store.user_with(&root, "viewer", viewer.clone(), &[]).await;
        let mut console = at_run(&ops, "viewer").await;
        hides!(console, "X cancel");
        for key in ["X", "R", "P", "F"] {
            console.keys(key).await;
            shows!(console, "this needs the capability platform.ops.manage");
            hides!(console, "Type ");
        }
        store.user(&root, Role::Operator).await;
        let mut console = at_run(&ops, "operator").await;
        console.keys("XCANCEL 1").await;
        let names = viewer.iter().map(|held| format!("\"{held}\"")).collect::<Vec<_>>().join(",");
        store.sql(&format!("update platform_users set capabilities = '[{names}]' where username = 'operator'")).await.unwrap();
        console.keys("<enter>").await;
        shows!(console, "Cancel run 1?");
        shows!(console, "forbidden: this needs the capability platform.ops.manage");
        assert_eq!(changes(&store).await, (0, 0));
        let denied = "select count(*) from audit_logs where action = 'runs.cancel' and status = 'denied'";
        assert_eq!(store.number(denied).await, 1);
        // A capability that is taken by somebody ends the session, and the dialog with it.
        store.user_with(&root, "other", Role::Operator.capabilities(), &[]).await;
        let mut console = at_run(&ops, "other").await;
        console.keys("XCANCEL 1").await;
        let taken = crate::support::starts::capabilities("other", viewer);
        store.ops.run(&root.actor, taken).await.unwrap();
        console.keys("<enter>").await;
        shows!(console, "your session has ended");
        hides!(console, "Type ");
        assert_eq!(changes(&store).await, (0, 0));
    }

    async fn fr_018_008_without_the_database_nothing_is_sent_and_errors_stay_in_the_dialog(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2]).await;
        let mut console = at_run(&ops, "administrator").await;
        let lost = || Msg::Done {
            slot: Slot::DETAIL,
            answer: Box::new(Answer::Unknown(Error::new(ErrorKind::Unreachable, "it is gone"))),
        };
        console.send(lost()).await;
        console.keys("X").await;
        shows!(console, "changes are disabled: the database does not answer");
        hides!(console, "Type ");
        console.poll().await;
        console.keys("XCANCEL 1").await;
        console.send(lost()).await;
        console.keys("<enter>").await;
        shows!(console, "changes are disabled: the database does not answer");
        shows!(console, "Cancel run 1?");
        assert_eq!(changes(&store).await, (0, 0));
        console.poll().await;
        // The run ends while the dialog is open.
        let held = claim(&ops).await;
        finish(&ops, &held, Some(StopReason::Closed)).await;
        console.keys_at_once("<enter>");
        shows!(console, "sending ...");
        console.settle().await;
        shows!(console, "run 1 has already ended");
        shows!(console, "Cancel run 1?");
        console.keys("<esc>").await;
        console.poll().await;
        console.keys("X").await;
        shows!(console, "run 1 has already ended");
        hides!(console, "Type ");
        // A dialog that was closed: the answer comes all the same.
        start(&ops, &[1, 2, 3]).await;
        console.keys("<esc>g<enter>X").await;
        console.keys_at_once("CANCEL 2<enter><esc>");
        console.settle().await;
        shows!(console, "run 2 is cancelled");
    }

    async fn fr_018_009_the_selected_row_of_the_list_can_be_cancelled_and_retried(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let ops = service(&store);
        start(&ops, &[1, 2]).await;
        start(&ops, &[3]).await;
        beat(&ops, "probe", &["testing.probe"], false).await;
        let mut console = Console::open(&ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("j").await;
        shows!(console, "X cancel");
        console.keys("X").await;
        shows!(console, "Cancel run 1?");
        console.keys("CANCEL 1<enter>").await;
        shows!(console, "⊘ cancelled");
        assert_eq!(store.text("select outcome from operation_runs where id = 1").await, "cancelled");
        assert_eq!(store.text("select outcome from operation_runs where id = 2").await, "pending");
        console.keys("<esc>").await;
        shows!(console, "R retry");
        console.keys("Ri<tab>the provider is back<tab>RETRY 2<enter>").await;
        shows!(console, "queued as run 3, enter to view");
        console.keys("<enter>").await;
        shows!(console, "▸ 3  testing.probe");
        // Nothing is selected where there is nothing.
        console.keys("<esc>/type:none.such<enter>X").await;
        shows!(console, "no run is selected");
    }
}
