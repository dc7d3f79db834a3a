//! `tenantpilot alerts`, and who may see and retry what.

use std::time::Duration;

use tenantpilot::ErrorKind;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::ops::Consent;
use tenantpilot::ops::alerts::{AlertStatus, ListAlerts, RetryAlert, SummariseAlerts};

use crate::alerts::{Running, listed, queue, settings, until};
use crate::cli::Person;
use crate::support::receiver::{Receiver, Reply};
use crate::support::stores::{Store, both_engines};

/// Has one alert given up.
async fn dead(store: &Store) -> i64 {
    queue(store, 1).await;
    let receiver = Receiver::new(vec![], Reply::status(500));
    let mut settings = settings(&receiver.url());
    settings.max_attempts = 1;
    let running = Running::start(&store.ops, settings);
    until!(listed(store).await[0].status == AlertStatus::Dead);
    running.end().await;
    listed(store).await[0].id
}

both_engines! {
    async fn fr_016_015_alerts_are_listed_with_what_became_of_them(store) {
        let person = Person::administrator(&store.url);
        let empty = person.run(&["alerts", "list"]).ends(0);
        assert!(empty.out.is_empty() && empty.err.contains("no alerts"), "{empty:?}");
        let gone = dead(&store).await;
        queue(&store, 1).await;
        let text = person.run(&["alerts", "list"]).ends(0);
        for part in ["dead", "pending", "the receiver answered 500", "operations.run.failed", "CREATED (UTC)"] {
            assert!(text.out.contains(part), "{part}: {text:?}");
        }
        assert!(text.err.contains("no webhook is configured"), "{text:?}");
        let mut command = person.command(&["alerts", "list", "--json", "--status", "dead"]);
        command.env("TENANTPILOT_ALERTS_WEBHOOK_URL", "https://alerts.example/x");
        let page = crate::cli::done(&mut command, None).ends(0).json();
        assert_eq!((&page["more"], &page["webhook_configured"]), (&false.into(), &true.into()));
        assert_eq!(page["alerts"].as_array().unwrap().len(), 1);
        let alert = &page["alerts"][0];
        assert_eq!((&alert["id"], &alert["status"], &alert["attempts"]), (&gone.into(), &"dead".into(), &1.into()));
        assert_eq!(alert["last_error"], "the receiver answered 500");
        let page = person.run(&["alerts", "list", "--json", "--limit", "1"]).ends(0).json();
        assert_eq!((&page["alerts"][0]["status"], &page["more"]), (&"pending".into(), &true.into()));
        assert!(person.run(&["alerts", "list", "--status", "lost"]).ends(2).err.contains("pending, delivered, dead"));
    }

    async fn fr_016_015_what_is_listed_is_within_the_view(store) {
        let store = store.with_platform().await;
        store.ended("policy.sync", 3, 4, 4, 5).await;
        store.ended("policy.sync", 1, 4, 4, 5).await;
        queue(&store, 1).await;
        let first = store.administrator().await;
        let viewer = store.user_with(&first, "viewer", Role::Viewer.capabilities(), &[1]).await;
        let seen = |page: tenantpilot::ops::alerts::AlertPage| page.alerts.into_iter().map(|a| a.run_id).collect::<Vec<_>>();
        assert_eq!(seen(store.ops.run(&first.actor, ListAlerts::default()).await.unwrap()), [None, Some(2), Some(1)]);
        assert_eq!(seen(store.ops.run(&viewer.actor, ListAlerts::default()).await.unwrap()), [Some(2)]);
        assert_eq!(store.ops.run(&first.actor, SummariseAlerts).await.unwrap().pending, 3);
        assert_eq!(store.ops.run(&viewer.actor, SummariseAlerts).await.unwrap().pending, 1);
        // Somebody with more rights, but the same view.
        let keeper = store.user_with(&first, "keeper", Role::Operator.capabilities(), &[1]).await;
        store.sql("update alert_deliveries set status = 'dead'").await.unwrap();
        let hidden = store.ops.run(&keeper.actor, RetryAlert { id: 1, consent: Consent::yes() }).await.unwrap_err();
        assert_eq!(hidden.kind(), ErrorKind::NotFound);
        store.ops.run(&keeper.actor, RetryAlert { id: 2, consent: Consent::yes() }).await.unwrap();
    }

    async fn fr_016_016_a_dead_alert_can_be_sent_again_by_who_may_and_leaves_its_trace(store) {
        let person = Person::administrator(&store.url);
        let id = dead(&store).await.to_string();
        person.run(&["alerts", "retry", "99", "--yes"]).ends(4);
        person.run(&["alerts", "retry", "x", "--yes"]).ends(2);
        assert!(person.run(&["alerts", "retry", &id, "--yes"]).ends(0).out.contains("is tried again"));
        let refused = person.run(&["alerts", "retry", &id, "--json", "--yes"]).ends(5);
        assert!(refused.err.contains("is still tried"), "{refused:?}");
        let audited = "select count(*) from audit_logs where action = 'alerts.retry' and status = 'succeeded' \
                       and target_id is not null and cast(before_state as text) like '%dead%' \
                       and cast(after_state as text) like '%pending%' and actor_name = 'ana'";
        assert_eq!(store.number(audited).await, 1);
        let before = listed(&store).await.remove(0);
        assert_eq!((before.status, before.attempts), (AlertStatus::Pending, 0));
        let receiver = Receiver::new(vec![], Reply::status(200));
        let running = Running::start(&store.ops, settings(&receiver.url()));
        until!(listed(&store).await[0].status == AlertStatus::Delivered);
        running.end().await;
        assert_eq!(Some(&receiver.requests()[0].headers["x-tenantpilot-delivery"]), before.delivery_id.as_ref());
        assert!(person.run(&["alerts", "retry", &id, "--yes"]).ends(5).err.contains("was delivered"));
    }

    async fn fr_016_016_looking_is_not_enough_to_retry(store) {
        let id = dead(&store).await;
        let first = store.administrator().await;
        let viewer = store.user(&first, Role::Viewer).await;
        let denied = store.ops.run(&viewer.actor, RetryAlert { id, consent: Consent::yes() }).await.unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::Forbidden);
        assert!(denied.message().contains("platform.ops.manage"), "{denied}");
        let denials = "select count(*) from audit_logs where action = 'alerts.retry' and status = 'denied'";
        assert_eq!(store.number(denials).await, 1);
        let blind: CapabilitySet = [Capability::AccessSystemPanel].into_iter().collect();
        let blind = store.user_with(&first, "blind", blind, &[]).await;
        let denied = store.ops.run(&blind.actor, ListAlerts::default()).await.unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::Forbidden);
        assert_eq!(listed(&store).await[0].status, AlertStatus::Dead);
    }
}
