//! Operations as the console asks them: values.

use tenantpilot::access::ClientKind;
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::auth::Login;
use tenantpilot::ops::notifications::{CountUnread, MarkAllRead};
use tenantpilot::ops::runs::{ListRuns, RetryRun};
use tenantpilot::ops::workers::ListWorkers;
use tenantpilot::ops::{AnyOperation, AnyOutput, Consent};
use tenantpilot::tui::msg::Effect;
use tenantpilot::tui::slot::Slot;
use tenantpilot::{Error, ErrorKind};

use crate::support::stores::both_engines;

fn retry(run_id: i64) -> AnyOperation {
    let (source, request_id) = (Source::Console, None);
    RetryRun { run_id, consent: Consent::default(), source, request_id, wait_for_worker: false }
        .into()
}

#[test]
fn fr_052_001_what_the_console_asks_is_a_value() {
    let login = |password| AnyOperation::from(Login::new("ada", password, ClientKind::Console));
    let list = AnyOperation::from(ListRuns { limit: 50, ..ListRuns::default() });
    for (asked, same, other) in [
        (retry(7), retry(7), retry(8)),
        (login("correct horse"), login("correct horse"), login("battery staple")),
        (list.clone(), list, ListRuns { limit: 20, ..ListRuns::default() }.into()),
        (CountUnread.into(), CountUnread.into(), ListWorkers.into()),
    ] {
        assert_eq!(Effect::ask(Slot::CONTROL, asked.clone()), Effect::ask(Slot::CONTROL, same));
        assert_ne!(asked, other);
    }
    assert_eq!((retry(7).name(), retry(7).is_watched()), ("runs.retry", false));
    assert!(AnyOperation::from(CountUnread).is_watched());
    let printed = format!("{:?}", Effect::ask(Slot::SESSION, login("correct horse")));
    assert!(printed.contains("ada") && !printed.contains("horse"), "{printed}");
}

both_engines! {
    async fn fr_052_002_an_answer_holds_what_was_asked_and_what_came_of_it(store) {
        let store = store.with_platform().await;
        let viewer = store.user(&store.administrator().await, Role::Viewer).await;
        let list = ListRuns { limit: 3, ..ListRuns::default() };
        let read = AnyOperation::from(list.clone()).run(&store.ops, &viewer.actor).await;
        assert!(read.error().is_none() && !read.wrote());
        let AnyOutput::ListRuns(asked, Ok(page)) = read else { panic!("{read:?}") };
        assert_eq!((asked, page.runs.len()), (list.clone(), 0));
        let written = AnyOperation::from(MarkAllRead { up_to_id: 0 }).run(&store.ops, &viewer.actor).await;
        assert!(written.error().is_none() && written.wrote());
        let denied = retry(7).run(&store.ops, &viewer.actor).await;
        assert_eq!(denied.error().map(Error::kind), Some(ErrorKind::Forbidden));
        assert!(!denied.wrote());
        let lost = AnyOperation::from(list.clone()).failed(Error::new(ErrorKind::Unreachable, "it is gone"));
        assert_eq!(lost.error().map(Error::kind), Some(ErrorKind::Unreachable));
        assert!(matches!(lost, AnyOutput::ListRuns(asked, Err(_)) if asked == list));
    }
}
