//! The failures of a window by what they say: the list, where it leads, retrying the runs of one.

use tenantpilot::domain::capability::Role;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run_filter::RunFilter;
use tenantpilot::term::ColorSupport;
use tenantpilot::tui::msg::{Effect, Msg};
use tenantpilot::tui::setup::Setup;

use super::captures::capture;
use super::run_control::{hides, shows};
use crate::support::console::{Console, setup};
use crate::support::stores::{Store, both_engines};

const SAYS: [(ReasonCode, &str); 3] = [
    (ReasonCode::ProviderThrottled, "429 from provider, retry after 30 s"),
    (
        ReasonCode::PermissionDenied,
        "the right Files.Read is missing in tenant 6f9619ff-8b86-d011-b42d-00c04fc964ff",
    ),
    (ReasonCode::Timeout, "no answer on page 7"),
];

impl Store {
    /// Runs that fail: four tenants throttled, two of them without a right, one without an answer.
    pub async fn with_errors(self) -> Self {
        let store = self.with_platform().await.with_demo_worker().await;
        for (which, kind, tenants) in
            [(0, "policy.sync", 1..5), (1, "inventory.sync", 2..4), (2, "backup.snapshot", 3..4)]
        {
            for tenant in tenants {
                store.fails(kind, tenant, which).await;
                store.pass(60);
            }
        }
        store
    }

    /// A run that fails with one of the messages.
    async fn fails(&self, kind: &str, tenant: i64, which: usize) -> i64 {
        let id = self.start(kind, tenant).await;
        self.pass(1);
        let claimed = self.claim().await;
        assert_eq!(claimed.id, id);
        self.report(&claimed, 1, 0, 1).await;
        let (reason, message) = SAYS[which];
        self.fail(&claimed, reason, message).await;
        self.complete(&claimed, None).await;
        id
    }

    async fn retries(&self) -> i64 {
        self.number("select count(*) from operation_runs where retry_of_run_id is not null").await
    }
}

/// A console at the errors, as this person.
pub async fn at_errors(store: &Store, name: &str, width: u16, height: u16) -> Console {
    let mut console = Console::open(&store.ops, width, height).await;
    console.log_in(name).await;
    console.keys("1f").await;
    console
}

fn ids(console: &Console) -> Vec<i64> {
    console.app.tabs.operations.rows().iter().map(|run| run.id).collect()
}

fn marked(console: &mut Console) -> String {
    let screen = console.screen();
    screen
        .lines()
        .find(|line| line.starts_with('▸'))
        .unwrap_or_else(|| panic!("{screen}"))
        .to_owned()
}

both_engines! {
    async fn fr_026_012_failures_are_listed_by_what_they_say_with_everything_about_one(store) {
        let store = store.with_errors().await;
        store.administrator().await;
        let mut console = at_errors(&store, "administrator", 80, 24).await;
        shows!(console, "7 recorded failures are 3 errors in Last 24 hours");
        for text in ["# from provider, retry after # s", "Provider throttled (provider_throttled)",
                     "itself; a retry can help", "Wait some minutes; if many tenants fail alike", "429 from provider, retry after 30 s",
                     "run 4 policy.sync, Fabrikam Labs", "2026-11-20 12:00:01 UTC to 2026-11-20 12:03:04 UTC"] {
            shows!(console, text);
        }
        console.keys("j").await;
        assert!(marked(&mut console).contains("Permission denied"));
        shows!(console, "a retry fails the same way until something is changed");
        shows!(console, "Open the tenant's support diagnostics");
        // The cursor stays on its error while others overtake it.
        for tenant in [1, 2, 4] { store.fails("backup.snapshot", tenant, 2).await; }
        store.pass(2);
        console.poll().await;
        shows!(console, "10 recorded failures are 3 errors");
        let screen = console.screen();
        let rows: Vec<&str> = screen.lines().skip(5).take(3).collect();
        assert!(rows[0].contains("Timed out") && rows[2].starts_with("▸ ") && rows[2].contains("Permission denied"), "{screen}");
        // By itself, and in pieces where it does not fit.
        console.send(Msg::Resize(60, 15)).await;
        shows!(console, "more: space");
        console.keys("<space>").await;
        let mut seen = console.screen();
        console.keys("<pgdn>").await;
        seen.push_str(&console.screen());
        for text in ["says", "reason", "next", "sample", "run 6 inventory.sync, Fabrikam", "seen", "fingerprint "] {
            assert!(seen.contains(text), "{text} in {seen}");
        }
        console.keys("<esc>").await;
        shows!(console, "more: space");
        // The window is the one of the overview.
        console.send(Msg::Resize(80, 24)).await;
        console.keys("W").await;
        shows!(console, "[1h]");
        shows!(console, "10 recorded failures are 3 errors in Last hour");
        store.pass(7200);
        let mut console = at_errors(&store, "administrator", 80, 24).await;
        shows!(console, "Nothing failed in Last hour.");
        shows!(console, "w looks further back.");
        console.keys("<esc>").await;
        shows!(console, "[1h]");
        shows!(console, "RUNS ");
    }

    async fn fr_026_013_an_error_leads_to_its_runs_and_its_sample(store) {
        let store = store.with_errors().await;
        store.administrator().await;
        let mut console = at_errors(&store, "administrator", 80, 24).await;
        for (row, runs) in [(0, vec![4, 3, 2, 1]), (1, vec![6, 5]), (2, vec![7])] {
            console.keys("g").await;
            for _ in 0..row { console.keys("j").await; }
            let line = marked(&mut console);
            assert_eq!(line.split_whitespace().nth(2).unwrap(), runs.len().to_string(), "{line}");
            console.keys("<enter>").await;
            assert_eq!(ids(&console), runs);
            console.keys("j<enter><esc><esc>").await;
            assert_eq!(marked(&mut console), line);
            console.keys("s").await;
            shows!(console, &format!("{}  ", runs[0]));
            hides!(console, "error groups");
            console.keys("<esc>").await;
            assert_eq!(marked(&mut console), line);
        }
        console.keys("y").await;
        let Some(Effect::Copy(text)) = console.outside.last() else { panic!("nothing was copied") };
        assert_eq!(text.len(), 12);
        console.keys("<esc>").await;
        hides!(console, "error groups");
        shows!(console, "RUNS ");
    }

    async fn fr_026_014_the_runs_of_an_error_are_tried_again_once_the_phrase_is_typed(store) {
        let store = store.with_errors().await;
        store.administrator().await;
        // One that runs, and one that was superseded.
        let newer = store.fails("policy.sync", 1, 0).await;
        let running = store.start("policy.sync", 4).await;
        store.pass(1);
        let claimed = store.claim().await;
        store.fail(&claimed, SAYS[0].0, SAYS[0].1).await;
        store.pass(2);
        let mut console = at_errors(&store, "administrator", 80, 24).await;
        shows!(console, "R retry error");
        console.keys("R").await;
        for text in ["Retry 3 runs?", "Provider throttled: # from provider", "3 targets in 3 new runs: what failed there",
                     "left out: run 1: a newer run like it", &format!("left out: run {running}: it has not ended yet"),
                     &format!("left out: run 4: run {running} of the same type is active"),
                     "Say why, type RETRY 3 and press enter."] {
            shows!(console, text);
        }
        // The reason comes first, and has to say something.
        console.keys("i<tab>late<tab>RETRY 3<enter>").await;
        shows!(console, "the reason is too short");
        console.keys("<ctrl-u>the provider is back<tab><ctrl-u>").await;
        for typed in ["<enter>", "y<enter>", "<ctrl-u>RETRY 4<enter>", "<ctrl-u>retry 3<enter>"] {
            console.keys(typed).await;
            shows!(console, "Retry 3 runs?");
        }
        shows!(console, "that is not RETRY 3; nothing was changed");
        console.keys("<ctrl-u>RETRY ").await;
        console.send(Msg::Paste("3\n".to_owned())).await;
        shows!(console, "a confirmation has to be typed; the pasted text was not taken");
        console.keys("<enter><esc>").await;
        hides!(console, "Retry 3 runs?");
        assert_eq!(store.retries().await, 0);
        // Somebody archives a tenant meanwhile: what one refuses stops no other.
        console.keys("R").await;
        store.sql("update tenants set archived_at = '2026-11-20T12:00:00+00:00' where id = 3").await.unwrap();
        console.keys("i<tab>the provider is back<tab>RETRY 3<enter>").await;
        for text in ["2 runs were started.", "1 run not retried:", "run 3: ", "enter lists what was started.", "enter list runs", "esc close"] {
            shows!(console, text);
        }
        assert_eq!(store.retries().await, 2);
        assert_eq!(store.number("select count(*) from audit_logs where action = 'overview.retry_group' and status = 'succeeded'").await, 1);
        console.keys("<enter>").await;
        let new = ids(&console);
        assert_eq!(new.len(), 2);
        for (id, old) in new.iter().zip([2, newer]) {
            assert_eq!(store.number(&format!("select retry_of_run_id from operation_runs where id = {id}")).await, old);
            assert_eq!(store.text(&format!("select source from operation_runs where id = {id}")).await, "console");
        }
        console.keys("<esc>").await;
        shows!(console, "error groups");
        // What is under way is not tried twice; nothing is left to type.
        store.pass(2);
        console.keys("R").await;
        shows!(console, "it was retried as run ");
        console.keys("<esc>").await;
        store.sql("update tenants set archived_at = null where id = 3").await.unwrap();
        // One target needs a letter only; where a retry is of no use, it says so.
        console.keys("G").await;
        console.keys("R").await;
        shows!(console, "Type y and press enter.");
        console.keys("<esc>gj").await;
        console.keys("R").await;
        shows!(console, "Note: a retry fails the same way until something is changed.");
    }

    async fn fr_026_015_who_may_not_retry_reads_why_and_refusals_stand_in_full(store) {
        let store = store.with_errors().await;
        let admin = store.administrator().await;
        store.user(&admin, Role::Viewer).await;
        let mut console = at_errors(&store, "viewer", 80, 24).await;
        shows!(console, "7 recorded failures are 3 errors");
        hides!(console, "R retry error");
        console.keys("R").await;
        shows!(console, "this needs the capability platform.ops.manage");
        assert_eq!(store.retries().await, 0);
        // Somebody else is faster: the answer stands in the dialog.
        let mut console = at_errors(&store, "administrator", 80, 24).await;
        let mut other = at_errors(&store, "administrator", 80, 24).await;
        console.keys("R").await;
        other.keys("Ri<tab>the provider is back<tab>RETRY 4<enter>").await;
        shows!(other, "4 runs were started.");
        console.keys("i<tab>the provider is back<tab>RETRY 4<enter>").await;
        shows!(console, "it was retried as run ");
        shows!(console, "look at the error");
        assert_eq!(store.retries().await, 4);
        // Failures that nobody gave a fingerprint are not retried together.
        store.sql("update operation_run_failures set fingerprint = '' where reason_code = 'timeout'").await.unwrap();
        console.keys("<esc>").await;
        console.poll().await;
        console.keys("G").await;
        shows!(console, "These failures have no fingerprint");
        console.keys("R").await;
        shows!(console, "these failures have no fingerprint; open their run and retry that");
        console.keys("<enter>").await;
        assert_eq!(ids(&console), [7]);
        assert!(console.app.tabs.operations.filter() != &RunFilter::default());
    }

    async fn fr_026_007_errors_are_readable_at_every_size_and_without_colour(store) {
        let store = store.with_errors().await;
        store.administrator().await;
        for (width, height, ascii) in [(80, 24, false), (200, 50, false), (60, 15, true)] {
            let colors = if ascii { ColorSupport::None } else { ColorSupport::Ansi16 };
            let setup = Setup { ascii, colors, ..setup(width, height, &store.clock) };
            let mut console = Console::with(&store.ops, setup).await;
            console.log_in("administrator").await;
            console.keys("1fj").await;
            capture!(store, console, format!("{width}x{height}_errors"));
            console.keys("gR").await;
            capture!(store, console, format!("{width}x{height}_errors_retry"));
            assert!(!ascii || console.screen().is_ascii());
            if width == 80 {
                console.keys("i<tab>the provider is back<tab>RETRY 4<enter>").await;
                capture!(store, console, "80x24_errors_report");
            }
        }
        store.pass(3 * 24 * 3600);
        let mut console = at_errors(&store, "administrator", 80, 24).await;
        capture!(store, console, "80x24_errors_none");
    }
}
