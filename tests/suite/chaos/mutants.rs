//! A harness that cannot fail proves nothing: each seeded bug has to be noticed, by a
//! scenario in which the worker as it is does nothing wrong.

use std::collections::HashSet;
use std::time::Duration;

use tenantpilot::access::Actor;
use tenantpilot::ops::Engine;
use tenantpilot::ops::runs::{CloseRun, RunScope};

use super::arena::{Arena, inputs};
use super::invariants;
use super::round::insist;
use crate::support::stores::{Store, block_on};

/// So often a scenario is tried with the bug before that counts as unnoticed.
const TRIES: u64 = 12;

/// Plays a scenario as it is, where nothing may be wrong, and with the bug, which has to show
/// as a violation that begins with one of `signs`.
pub fn is_noticed(
    engine: Engine,
    mutant: &str,
    workers: usize,
    signs: &[&str],
    scenario: &impl AsyncFn(&mut Arena, u64) -> HashSet<i64>,
) {
    block_on(async {
        for seeded in [None, Some(mutant)] {
            let mut arena = Arena::on(Store::new(engine).await, seeded).await;
            arena.hire(workers);
            let mut noticed = Vec::new();
            let tries = if seeded.is_some() { TRIES } else { 1 };
            for number in 0..tries {
                let base = arena.last_run().await;
                let stopped = scenario(&mut arena, number).await;
                let mut wrong = arena.wait_for_ends(base).await;
                arena.pass(Duration::from_millis(300)).await;
                wrong.extend(invariants::violations(&arena, base, &stopped).await);
                wrong.extend(arena.fleet.deserters());
                if !wrong.is_empty() {
                    noticed = wrong;
                    break;
                }
            }
            if seeded.is_none() {
                assert_eq!(noticed, Vec::<String>::new(), "without the bug");
            } else {
                let shows = |text: &String| signs.iter().any(|sign| text.starts_with(sign));
                assert!(noticed.iter().any(shows), "{mutant} was not noticed: {noticed:?}");
            }
        }
    });
}

/// Freezes the worker that holds the run, until another one has taken it over.
async fn freeze_until_taken_over(arena: &mut Arena, number: u64) -> HashSet<i64> {
    let run_id = arena.start(RunScope::All, inputs(number, 4, 25)).await;
    let lines = format!("select count(*) from fault_ledger where run_id = {run_id}");
    arena.wait_for(&lines, 5).await;
    if let Some(index) = arena.holder(run_id).await {
        arena.freeze(index, Duration::from_mins(5)).await;
        let fence = format!("select fence from operation_runs where id = {run_id}");
        arena.wait_for(&fence, 2).await;
        arena.fleet.thaw_due(true);
    }
    HashSet::new()
}

#[test]
fn fr_017_002_a_worker_without_fence_is_noticed() {
    is_noticed(Engine::Postgres, "no_fence", 2, &["stale", "doubled"], &freeze_until_taken_over);
}

/// Lets a run end, with its worker killed on the way.
async fn kill_once(arena: &mut Arena, number: u64) -> HashSet<i64> {
    let run_id = arena.start(RunScope::All, inputs(number, 2, 2)).await;
    let lines = format!("select count(*) from fault_ledger where run_id = {run_id}");
    for least in [10, 40] {
        arena.wait_for(&lines, least).await;
        if let Some(index) = arena.holder(run_id).await {
            arena.kill(index).await;
            arena.hire(1);
        }
    }
    HashSet::new()
}

#[test]
fn fr_017_003_counts_that_are_added_up_are_noticed() {
    is_noticed(Engine::Postgres, "incremented_counters", 2, &["counts"], &kill_once);
}

mod fr_017_004_a_step_without_marker_is_noticed {
    use super::{Engine, is_noticed, kill_once};

    #[test]
    fn postgres() {
        is_noticed(Engine::Postgres, "no_marker", 2, &["doubled"], &kill_once);
    }

    #[test]
    fn sqlite() {
        is_noticed(Engine::Sqlite, "no_marker", 2, &["doubled"], &kill_once);
    }
}

/// Closes a run by force in the moment in which its worker completes it.
async fn close_at_the_end(arena: &mut Arena, number: u64) -> HashSet<i64> {
    let run_id = arena.start(RunScope::Tenant(1), inputs(number, 1, 0)).await;
    let done = "select count(*) from operation_run_targets where status <> 'pending' and run_id =";
    arena.wait_for(&format!("{done} {run_id}"), 1).await;
    insist(&arena.ops, &Actor::System, || CloseRun {
        run_id,
        consent: crate::support::starts::sure("CLOSE", run_id),
    })
    .await;
    arena.pass(Duration::from_millis(300)).await;
    HashSet::from([run_id])
}

#[test]
fn fr_017_005_a_completion_without_lock_is_noticed() {
    let mutant = "completion_without_lock";
    is_noticed(Engine::Postgres, mutant, 1, &["audit"], &close_at_the_end);
}
