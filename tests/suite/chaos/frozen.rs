//! A worker that is frozen for less than its lease keeps what it holds, though the server has
//! ended its transactions.

use std::time::Duration;

use tenantpilot::access::Actor;
use tenantpilot::ops::runs::{
    BeginTarget, Beginning, ClaimRun, DueTargets, RunScope, RunStep, Stepped,
};
use tenantpilot::ops::workers::Leave;
use tenantpilot::ops::{ConnectionLimits, Engine, OpsSettings};
use tenantpilot::runbooks::Registry;
use tenantpilot::{Error, ErrorKind};

use super::arena::{Arena, PROBE, inputs};
use crate::support::stores::{Store, block_on};

#[test]
fn fr_017_008_a_transaction_that_the_server_ended_is_tried_again() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await;
        let idle_in_transaction = Some(Duration::from_millis(100));
        let limits = ConnectionLimits { idle_in_transaction, ..ConnectionLimits::default() };
        let registry = Registry::standard().with_probe();
        let sleepy = store.another(OpsSettings { registry, limits, ..OpsSettings::default() });
        let arena = Arena::on(store, None).await;
        // A step that sleeps in its transaction is what a frozen worker's looks like.
        let run_id = arena.start(RunScope::Tenant(1), inputs(1, 1, 1500)).await;
        let claim = ClaimRun {
            owner: "sleepy".to_owned(),
            types: vec![PROBE.to_owned()],
            lease: Duration::from_mins(5),
        };
        let fence = sleepy.run(&Actor::System, claim).await.unwrap().unwrap().fence;
        let begin = BeginTarget { run_id, fence, ordinal: 0, crash: None, outage: None };
        let begun = sleepy.run(&Actor::System, begin).await.unwrap();
        assert!(matches!(begun, Beginning::Begun(_)), "{begun:?}");
        let step = RunStep { run_id, fence, ordinal: 0, steps: 0, chunk: 1, then: None };
        let ended: Result<Stepped, Error> = sleepy.run(&Actor::System, step).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Unreachable);
        assert_eq!(arena.eyes.number("select count(*) from fault_ledger").await, 0);
        // Another service, whose limit is longer, does the same step.
        let again = arena.ops.run(&Actor::System, step).await.unwrap();
        assert!(matches!(again, Stepped::Finished { failed: false, begun: None }), "{again:?}");
        assert_eq!(arena.eyes.number("select count(*) from fault_ledger").await, 1);
    });
}

#[test]
fn fr_017_009_a_read_that_is_given_up_leaves_no_transaction_behind() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await;
        let limits = ConnectionLimits { connections: 1, ..ConnectionLimits::default() };
        let ops = store.another(OpsSettings { limits, ..OpsSettings::default() });
        for turns in 0..400 {
            let read = DueTargets { run_id: 0, after: -1, started: false, limit: 1 };
            tokio::select! {
                biased;
                _ = ops.run(&Actor::System, read) => {}
                () = spin(turns) => {}
            }
            // On the same connection; a transaction that only reads would refuse it.
            let write = Leave { id: "nobody".to_owned() };
            ops.run(&Actor::System, write).await.unwrap_or_else(|e| panic!("turn {turns}: {e}"));
        }
    });
}

/// Gives up after being polled about so often.
async fn spin(turns: u32) {
    for _ in 0..turns * 2 {
        tokio::task::yield_now().await;
    }
}
