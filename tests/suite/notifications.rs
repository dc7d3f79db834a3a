//! The inbox of a platform user, asked of the service.

use std::time::Duration;

use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::run_state::RunState;
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::notifications::{
    CountUnread, ListNotifications, MAX_LIMIT, MarkAllRead, MarkRead, Marked, Notification,
    NotificationPage,
};
use tenantpilot::ops::runs::{ClaimRun, Cursor, GetRun};

use crate::support::stores::{Store, both_engines};

/// The id of a platform user.
pub async fn user_id(store: &Store, name: &str) -> i64 {
    store.number(&format!("select id from platform_users where username = '{name}'")).await
}

/// A run of `run_type` that a platform user started and a worker has ended; gives its id.
pub async fn ended_for(store: &Store, user: i64, run_type: &str, tenant: i64, failed: u64) -> i64 {
    let id = store.start(run_type, tenant).await;
    let owned = format!(
        "update operation_runs set user_id = null, platform_user_id = {user} where id = {id}"
    );
    store.sql(&owned).await.unwrap();
    store.pass(1);
    let claim = ClaimRun {
        owner: "worker-1".to_owned(),
        types: vec![run_type.to_owned()],
        lease: Duration::from_secs(3600),
    };
    let claimed = store.ops.run(&Actor::System, claim).await.unwrap().unwrap();
    assert_eq!(claimed.id, id);
    store.pass(2);
    store.report(&claimed, 4, 4 - failed, failed).await;
    for _ in 0..failed {
        store.fail(&claimed, ReasonCode::ProviderThrottled, "429 from provider").await;
    }
    store.complete(&claimed, None).await;
    id
}

async fn list(store: &Store, by: &Session, list: ListNotifications) -> NotificationPage {
    store.ops.run(&by.actor, list).await.unwrap()
}

async fn all(store: &Store, by: &Session) -> Vec<Notification> {
    list(store, by, ListNotifications::default()).await.notifications
}

async fn unread(store: &Store, by: &Session) -> i64 {
    store.ops.run(&by.actor, CountUnread).await.unwrap()
}

async fn mark(store: &Store, by: &Session, ids: &[i64]) -> Marked {
    store.ops.run(&by.actor, MarkRead { ids: ids.to_vec() }).await.unwrap()
}

/// `n` notices of a user, one a second except that every third shares its time with the one
/// before.
async fn fill(store: &Store, user: i64, n: i64) {
    let rows: Vec<String> = (1..=n)
        .map(|i| {
            let second = i - i64::from(i % 3 == 0);
            format!(
                "({i}, {user}, 'run_completed', null, 'notice {i}', '2026-11-20T11:{:02}:{:02}+00:00')",
                second / 60,
                second % 60
            )
        })
        .collect();
    let sql = format!(
        "insert into notifications (id, platform_user_id, kind, run_id, title, created_at) values {}",
        rows.join(", ")
    );
    store.sql(&sql).await.unwrap();
    if store.engine == tenantpilot::ops::Engine::Postgres {
        let next = "select setval(pg_get_serial_sequence('notifications', 'id'), max(id)) from notifications";
        store.sql(next).await.unwrap();
    }
}

both_engines! {
    async fn fr_015_001_the_initiator_finds_each_ended_run_newest_first_with_its_state(store) {
        let store = store.with_platform().await;
        let ana = store.administrator().await;
        let id = user_id(&store, "administrator").await;
        assert_eq!(all(&store, &ana).await, []);
        let good = ended_for(&store, id, "inventory.sync", 1, 0).await;
        let bad = ended_for(&store, id, "findings.lifecycle_backfill", 1, 4).await;
        let partly = ended_for(&store, id, "policy.sync", 3, 1).await;
        // Started by a customer: nobody here is told.
        store.ended("policy.sync", 2, 4, 0, 1).await;
        let found: Vec<_> = all(&store, &ana)
            .await
            .into_iter()
            .map(|n| (n.run_id.unwrap(), n.title, n.state.unwrap(), n.kind, n.read_at))
            .collect();
        let told = |run: i64, text: &str, state| {
            (run, format!("{text}: run {run}"), state, "run_completed".to_owned(), None)
        };
        assert_eq!(found, [
            told(partly, "policy.sync partially succeeded", RunState::Partial),
            told(bad, "findings.lifecycle_backfill failed", RunState::Failed),
            told(good, "inventory.sync succeeded", RunState::Succeeded),
        ]);
    }

    async fn fr_015_002_pages_reach_every_notice_once_however_many_come_meanwhile(store) {
        let store = store.with_platform().await;
        let ana = store.administrator().await;
        let id = user_id(&store, "administrator").await;
        fill(&store, id, 25).await;
        let (mut seen, mut before): (Vec<i64>, Option<Cursor>) = (Vec::new(), None);
        loop {
            let ask = ListNotifications { before, limit: 4, ..ListNotifications::default() };
            let page = list(&store, &ana, ask).await;
            assert!(page.notifications.len() <= 4);
            seen.extend(page.notifications.iter().map(|n| n.id));
            ended_for(&store, id, "policy.sync", 1, 0).await;
            match page.next {
                Some(next) => before = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, (1..=25).rev().collect::<Vec<i64>>());
        let whole = list(&store, &ana, ListNotifications { limit: i64::MAX, ..Default::default() }).await;
        assert_eq!((whole.notifications.len(), whole.next), (32, None));
    }

    async fn fr_015_003_a_notice_of_somebody_else_is_as_good_as_none(store) {
        let store = store.with_platform().await;
        let ana = store.administrator().await;
        let ben = store.user(&ana, Role::Operator).await;
        let (ana_id, ben_id) = (user_id(&store, "administrator").await, user_id(&store, "operator").await);
        ended_for(&store, ana_id, "policy.sync", 1, 0).await;
        ended_for(&store, ben_id, "policy.sync", 2, 0).await;
        let (hers, his) = (all(&store, &ana).await, all(&store, &ben).await);
        assert_eq!((hers.len(), his.len()), (1, 1));
        assert_ne!(hers[0].id, his[0].id);
        assert_eq!((unread(&store, &ana).await, unread(&store, &ben).await), (1, 1));
        // Somebody else's id and one that nobody has are answered alike.
        assert_eq!(mark(&store, &ben, &[hers[0].id]).await, Marked { marked: 0, missing: vec![hers[0].id] });
        assert_eq!(mark(&store, &ben, &[987]).await, Marked { marked: 0, missing: vec![987] });
        let everything = MarkAllRead { up_to_id: i64::MAX };
        assert_eq!(store.ops.run(&ben.actor, everything).await.unwrap(), 1);
        assert_eq!((unread(&store, &ana).await, unread(&store, &ben).await), (1, 0));
        // The system has no inbox, and without a session there is none.
        for actor in [Actor::System, Actor::Customer { user_id: 1 }, Actor::Anonymous { origin: "o".to_owned() }] {
            let error = store.ops.run(&actor, ListNotifications::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotLoggedIn, "{actor:?}");
            assert!(store.ops.run(&actor, everything).await.is_err(), "{actor:?}");
        }
        assert_eq!(unread(&store, &ana).await, 1);
    }

    async fn fr_015_004_marking_again_changes_nothing(store) {
        let store = store.with_platform().await;
        let ana = store.administrator().await;
        let id = user_id(&store, "administrator").await;
        fill(&store, id, 3).await;
        assert_eq!(mark(&store, &ana, &[2, 2, 77, 3]).await, Marked { marked: 2, missing: vec![77] });
        let before = all(&store, &ana).await;
        store.pass(60);
        assert_eq!(mark(&store, &ana, &[2, 3]).await, Marked::default());
        assert_eq!(mark(&store, &ana, &[]).await, Marked::default());
        assert_eq!(all(&store, &ana).await, before, "when it was read first stays");
        let only = ListNotifications { unread_only: true, ..ListNotifications::default() };
        let left: Vec<i64> = list(&store, &ana, only).await.notifications.iter().map(|n| n.id).collect();
        assert_eq!(left, [1]);
        let many: Vec<i64> = (0..=MAX_LIMIT).collect();
        let error = store.ops.run(&ana.actor, MarkRead { ids: many }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let most = (1..=MAX_LIMIT).collect();
        assert_eq!(store.ops.run(&ana.actor, MarkRead { ids: most }).await.unwrap().marked, 1);
    }

    async fn fr_015_005_marking_all_leaves_what_came_after_the_look(store) {
        let store = store.with_platform().await;
        let ana = store.administrator().await;
        let id = user_id(&store, "administrator").await;
        fill(&store, id, 5).await;
        mark(&store, &ana, &[2]).await;
        let seen = MarkAllRead { up_to_id: 4 };
        assert_eq!(store.ops.run(&ana.actor, seen).await.unwrap(), 3);
        assert_eq!(store.ops.run(&ana.actor, seen).await.unwrap(), 0);
        assert_eq!(unread(&store, &ana).await, 1);
        assert!(all(&store, &ana).await[0].is_unread());
    }

    async fn fr_015_006_a_run_out_of_view_is_still_told_of_but_not_shown(store) {
        let store = store.with_platform().await;
        let ana = store.administrator().await;
        let ben = store.user_with(&ana, "ben", Role::Operator.capabilities(), &[1]).await;
        let ben_id = user_id(&store, "ben").await;
        let inside = ended_for(&store, ben_id, "policy.sync", 1, 0).await;
        let outside = ended_for(&store, ben_id, "policy.sync", 3, 4).await;
        let notices = all(&store, &ben).await;
        assert_eq!(notices.iter().map(|n| n.run_id.unwrap()).collect::<Vec<_>>(), [outside, inside]);
        assert_eq!(notices[0].state, Some(RunState::Failed));
        assert!(store.ops.run(&ben.actor, GetRun { id: inside }).await.is_ok());
        let error = store.ops.run(&ben.actor, GetRun { id: outside }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    async fn fr_015_007_neither_looking_nor_marking_is_audited_or_counts_as_activity(store) {
        let store = store.with_platform().await;
        let ana = store.administrator().await;
        let few: CapabilitySet = [Capability::AccessSystemPanel].into_iter().collect();
        let newcomer = store.user_with(&ana, "newcomer", few, &[]).await;
        let id = user_id(&store, "newcomer").await;
        ended_for(&store, id, "policy.sync", 1, 0).await;
        let state = async || {
            let active = store.text("select cast(max(last_active_at) as text) from platform_sessions").await;
            (active, store.number("select count(*) from audit_logs").await)
        };
        let before = state().await;
        store.pass(120);
        let notices = all(&store, &newcomer).await;
        assert_eq!(unread(&store, &newcomer).await, 1);
        mark(&store, &newcomer, &[notices[0].id]).await;
        store.ops.run(&newcomer.actor, MarkAllRead { up_to_id: i64::MAX }).await.unwrap();
        assert_eq!(unread(&store, &newcomer).await, 0);
        assert_eq!(state().await, before);
    }
}
