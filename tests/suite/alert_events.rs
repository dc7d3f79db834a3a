//! Which ends of runs are told of: by outcome, by setting, and once when a tenant recovers.

use std::time::Duration;

use serde_json::{Value, json};
use tenantpilot::access::Actor;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::rollout::StopReason;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::Consent;
use tenantpilot::ops::Engine;
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::runs::{CloseRun, FinishRun, RunScope, StartRun};
use tenantpilot::ops::settings::SetSetting;

use crate::alerts::{Running, settings, until};
use crate::support::receiver::{Receiver, Reply};
use crate::support::stores::{Store, both_engines};

/// The events of a run, or of all, oldest first.
async fn events(store: &Store, run: Option<i64>) -> Vec<String> {
    let of = run.map_or_else(|| "1 = 1".to_owned(), |id| format!("run_id = {id}"));
    let order = match store.engine {
        Engine::Postgres => "coalesce(string_agg(e, ' ' order by id), '')",
        Engine::Sqlite => "coalesce(group_concat(e, ' ' order by id), '')",
    };
    let sql = format!(
        "select {order} from (select id, replace(event, 'operations.run.', '') as e from alert_deliveries where {of}) x"
    );
    store.text(&sql).await.split_whitespace().map(str::to_owned).collect()
}

async fn payload(store: &Store, event: &str) -> Value {
    let sql = format!(
        "select cast(payload as text) from alert_deliveries where event = 'operations.run.{event}' order by id desc limit 1"
    );
    serde_json::from_str(&store.text(&sql).await).unwrap()
}

async fn set(store: &Store, by: &Session, key: &str, value: &str) {
    let set = SetSetting {
        key: key.to_owned(),
        value: Some(value.to_owned()),
        consent: Consent::typed(key.to_owned()),
    };
    store.ops.run(&by.actor, set).await.unwrap();
}

/// A run over these tenants of which some fail and the others succeed.
async fn many(store: &Store, tenants: &[i64], failed: &[i64], n: i64) -> i64 {
    let start = StartRun {
        scope: RunScope::Tenants(tenants.to_vec()),
        inputs: json!({ "n": n }),
        ..StartRun::for_tenant("policy.sync", 1, Source::Cli)
    };
    let id = store.ops.run(&Actor::System, start).await.unwrap().run_id;
    let held = store.claim().await;
    assert_eq!(held.id, id);
    for tenant in tenants {
        let (status, reason) =
            if failed.contains(tenant) { ("failed", "'timeout'") } else { ("succeeded", "null") };
        let row = format!(
            "update operation_run_targets set status = '{status}', reason_code = {reason} where run_id = {id} and tenant_id = {tenant}"
        );
        store.sql(&row).await.unwrap();
    }
    store
        .ops
        .run(&Actor::System, FinishRun { run_id: id, fence: held.fence, stop: None })
        .await
        .unwrap();
    id
}

both_engines! {
    async fn fr_038_011_every_bad_end_is_told_of_and_no_other(store) {
        let store = store.with_platform().await;
        let administrator = store.administrator().await;
        assert_eq!(events(&store, Some(store.ended("policy.sync", 1, 4, 0, 1).await)).await, Vec::<String>::new());
        assert_eq!(events(&store, Some(store.ended("policy.sync", 1, 4, 4, 1).await)).await, ["failed"]);
        let partly = store.ended("inventory.sync", 1, 412, 400, 1).await;
        assert_eq!(events(&store, Some(partly)).await, ["partially_succeeded"]);
        let told = payload(&store, "partially_succeeded").await;
        for (field, value) in [("run_id", json!(partly)), ("type", json!("inventory.sync")), ("tenant_id", json!(1)),
            ("outcome", json!("partially_succeeded")), ("failed", json!(400)), ("total", json!(412)), ("reason_code", json!("provider_throttled"))] {
            assert_eq!(told[field], value, "{field}: {told}");
        }
        let blocked = store.start("backup.snapshot", 2).await;
        let held = store.claim().await;
        store.complete(&held, Some(ReasonCode::QuotaExceeded)).await;
        assert_eq!(events(&store, Some(blocked)).await, ["blocked"]);
        let lost = store.start("stored_report.create", 2).await;
        let held = store.claim().await;
        store.sql(&format!("update operation_run_targets set starts = 1 where run_id = {lost}")).await.unwrap();
        let finish = FinishRun { run_id: lost, fence: held.fence, stop: Some(StopReason::WorkerLost) };
        store.ops.run(&Actor::System, finish).await.unwrap();
        assert_eq!(events(&store, Some(lost)).await, ["worker_lost"]);
        // A person ended these.
        let closed = store.start("review_pack.generate", 3).await;
        store.claim().await;
        let cancel = tenantpilot::ops::runs::CancelRun { run_id: closed, consent: crate::support::starts::sure("CANCEL", closed) };
        store.ops.run(&administrator.actor, cancel).await.unwrap();
        store.ops.run(&administrator.actor, CloseRun { run_id: closed, consent: crate::support::starts::sure("CLOSE", closed) }).await.unwrap();
        assert_eq!(events(&store, Some(closed)).await, Vec::<String>::new());
        let many = many(&store, &[1, 2, 3, 4], &[4], 1).await;
        // Tenant 1 alerted above, for this type.
        assert_eq!(events(&store, Some(many)).await, ["recovered", "partially_succeeded"]);
    }

    async fn fr_038_012_a_type_and_tenant_that_alerted_recovers_once(store) {
        let store = store.with_platform().await;
        let first = store.ended("policy.sync", 1, 4, 4, 1).await;
        let last = store.ended("policy.sync", 1, 4, 1, 1).await;
        assert!(first < last);
        // Neither another type nor another tenant.
        store.ended("inventory.sync", 1, 4, 0, 1).await;
        store.ended("policy.sync", 2, 4, 0, 1).await;
        assert_eq!(events(&store, None).await, ["failed", "partially_succeeded"]);
        let well = store.ended("policy.sync", 1, 4, 0, 1).await;
        assert_eq!(events(&store, Some(well)).await, ["recovered"]);
        let told = payload(&store, "recovered").await;
        for (field, value) in [("run_id", json!(well)), ("tenant_id", json!(1)), ("alerted_run_id", json!(last)),
            ("recovered_tenants", json!(1)), ("recovered_tenant_ids", json!([1])), ("outcome", json!("succeeded"))] {
            assert_eq!(told[field], value, "{field}: {told}");
        }
        assert_eq!(events(&store, Some(store.ended("policy.sync", 1, 4, 0, 1).await)).await, Vec::<String>::new());
        // Over many tenants: each that failed has alerted, and one run tells of all that are well.
        many(&store, &[1, 2, 3, 4], &[2, 3, 4], 1).await;
        let well = many(&store, &[1, 2, 3, 4], &[4], 2).await;
        assert_eq!(events(&store, Some(well)).await, ["recovered", "partially_succeeded"]);
        let told = payload(&store, "recovered").await;
        assert_eq!((&told["recovered_tenants"], &told["recovered_tenant_ids"]), (&json!(2), &json!([2, 3])));
        let well = store.ended("policy.sync", 4, 1, 0, 1).await;
        assert_eq!(events(&store, Some(well)).await, ["recovered"]);
        assert_eq!(store.number("select count(*) from open_alerts").await, 0);
    }

    async fn fr_038_013_settings_say_which_events_are_sent_and_from_which_share(store) {
        let store = store.with_platform().await;
        let by = store.administrator().await;
        set(&store, &by, "alerts.failed_share", "50%").await;
        assert_eq!(events(&store, Some(many(&store, &[1, 2, 3], &[1], 1).await)).await, Vec::<String>::new());
        // What was not told of does not recover.
        assert_eq!(events(&store, Some(many(&store, &[1, 2, 3], &[], 2).await)).await, Vec::<String>::new());
        assert_eq!(events(&store, Some(many(&store, &[1, 2], &[1], 3).await)).await, ["partially_succeeded"]);
        // Of one tenant, all targets failed, however few of its items did.
        assert_eq!(events(&store, Some(store.ended("policy.sync", 4, 4, 1, 1).await)).await, ["partially_succeeded"]);
        set(&store, &by, "alerts.failed_share", "any").await;
        set(&store, &by, "alerts.events", "failed,recovered").await;
        assert_eq!(events(&store, Some(store.ended("policy.sync", 1, 4, 3, 1).await)).await, Vec::<String>::new());
        assert_eq!(events(&store, Some(store.ended("policy.sync", 1, 4, 4, 1).await)).await, ["failed"]);
        // Where lost workers are not told of as such, their run still failed.
        let lost = store.start("stored_report.create", 2).await;
        let held = store.claim().await;
        store.sql(&format!("update operation_run_targets set starts = 1 where run_id = {lost}")).await.unwrap();
        let finish = FinishRun { run_id: lost, fence: held.fence, stop: Some(StopReason::WorkerLost) };
        store.ops.run(&Actor::System, finish).await.unwrap();
        assert_eq!(events(&store, Some(lost)).await, ["failed"]);
        set(&store, &by, "alerts.events", "failed").await;
        assert_eq!(events(&store, Some(store.ended("policy.sync", 1, 4, 0, 1).await)).await, Vec::<String>::new());
        set(&store, &by, "alerts.events", "none").await;
        assert_eq!(events(&store, Some(store.ended("policy.sync", 1, 4, 4, 1).await)).await, Vec::<String>::new());
        // Somebody with SQL wrote what is no value: the default is in force.
        store.sql("update platform_settings set value = 'whatever' where key = 'alerts.events'").await.unwrap();
        assert_eq!(events(&store, Some(store.ended("policy.sync", 1, 4, 4, 1).await)).await, ["failed"]);
    }

    async fn fr_038_014_a_receiver_gets_each_event_with_the_command_that_shows_its_run(store) {
        let store = store.with_platform().await;
        let partly = store.ended("policy.sync", 1, 4, 1, 1).await;
        let well = store.ended("policy.sync", 1, 4, 0, 1).await;
        // Due by the database's clock, whatever the fixtures' says.
        store.sql("update alert_deliveries set next_attempt_at = '2020-01-01T00:00:00+00:00'").await.unwrap();
        let receiver = Receiver::new(vec![], Reply::status(204));
        let running = Running::start(&store.ops, settings(&receiver.url()));
        until!(receiver.requests().len() == 2);
        running.end().await;
        for (event, run) in [("operations.run.partially_succeeded", partly), ("operations.run.recovered", well)] {
            let requests = receiver.requests();
            let request = requests.iter().find(|request| request.headers["x-tenantpilot-event"] == event).unwrap();
            let body: Value = serde_json::from_str(&request.body).unwrap();
            assert_eq!((&body["event"], &body["run_id"]), (&json!(event), &json!(run)));
            assert_eq!(body["view"], format!("tenantpilot runs show {run}"));
        }
    }
}
