//! Tabs are screens: what each gets whatever is shown, and what a session leaves behind.

use std::time::Duration;

use tenantpilot::domain::run_filter::RunFilter;
use tenantpilot::ops::AnyOutput;
use tenantpilot::ops::runs::{ListRuns, Page};
use tenantpilot::tui::command::Command;
use tenantpilot::tui::msg::{Answer, Msg, Waiting};
use tenantpilot::tui::slot::Slot;
use tenantpilot::tui::tabs::{HOME, Tab};
use tenantpilot::{Error, ErrorKind};

use crate::support::console::Console;
use crate::support::stores::both_engines;

both_engines! {
    async fn fr_052_008_an_answer_reaches_the_tab_that_asked_while_another_is_shown(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("8").await;
        let asked = ListRuns { filter: RunFilter::default(), page: Page::Newest, limit: 200 };
        let error = Error::new(ErrorKind::TimedOut, "too late");
        let answer = Answer::Op(AnyOutput::ListRuns(asked, Err(error)));
        console.send(Msg::Done { slot: Slot::LIST, answer: Box::new(answer) }).await;
        for tab in Tab::ALL {
            let state = console.app.tabs.get(*tab).state(&console.app.cx());
            let error = state.and_then(|state| state.error).map(Error::message);
            assert_eq!(error == Some("too late"), *tab == HOME, "{tab:?}: {error:?}");
        }
    }

    async fn fr_047_003_the_last_line_says_why_before_any_request_has_failed(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let last = |console: &mut Console| console.screen().lines().last().unwrap().to_owned();
        for tab in Tab::ALL {
            console.send(Msg::Waiting(Waiting::default())).await;
            console.command(Command::to(*tab)).await;
            if console.app.tabs.get(*tab).state(&console.app.cx()).is_none() {
                continue;
            }
            let keys = last(&mut console);
            console.send(Msg::Waiting(Waiting { silent: true, ..Waiting::default() })).await;
            let why = last(&mut console);
            assert!(!keys.contains("does not answer"), "{tab:?}: {keys}");
            assert!(why.starts_with(" the database does not answer; it may be"), "{tab:?}: {why}");
        }
    }

    async fn fr_052_009_a_session_leaves_only_the_look_and_the_keys_behind(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let plain = console.styles();
        console.keys(":theme<space>high-contrast<enter>:keymap<space>vim<enter>").await;
        console.keys(":poll.faster<enter>").await;
        console.send(Msg::Resize(100, 30)).await;
        console.keys("2<esc>").await;
        let styles = console.styles();
        assert_ne!(styles, plain);
        console.keys("8:app.logout<enter>").await;
        let login = console.screen();
        assert!(login.contains("Log in") && !login.contains("Workers"), "{login}");
        assert_eq!(console.app.poll_every(), Duration::from_secs(1));
        console.log_in("administrator").await;
        // The tab that every session begins with, as it looked, and no place to go back to.
        assert_eq!(console.styles(), styles);
        console.keys(":history.back<enter>").await;
        assert!(console.screen().contains("there is no place to go to"), "{}", console.screen());
        console.keys("gt").await;
        assert!(console.screen().contains("No run is open"), "{}", console.screen());
    }
}
