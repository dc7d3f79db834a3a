//! Conditions of the server, in mid-run: a full disk, locks of other sessions, a read-only
//! database, an end that cannot be written. Runs wait, and end exactly.

use std::collections::HashSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tenantpilot::ops::Engine;
use tenantpilot::ops::runs::RunScope;

use super::arena::{Arena, inputs};
use super::mutants::is_noticed;
use super::{Options, invariants};
use crate::support::stores::{Store, block_on};

/// The codes that PostgreSQL is made to refuse steps with.
const CODES: [&str; 5] = ["53100", "55P03", "25006", "58030", "XX000"];

/// Has PostgreSQL refuse lines of the ledger with a code, for a while.
async fn refuse(arena: &mut Arena, code: &str, pause: Duration) {
    arena
        .eyes
        .change(&format!(
            "create or replace function refuse() returns trigger language plpgsql as \
             $$ begin raise exception 'no' using errcode = '{code}'; end $$; \
             create trigger refuse before insert on fault_ledger for each row execute function refuse()"
        ))
        .await;
    arena.pass(pause).await;
    arena.eyes.change("drop trigger refuse on fault_ledger").await;
}

/// Has another session hold what every step needs.
async fn hold(arena: &mut Arena, pause: Duration) {
    match arena.engine {
        Engine::Postgres => {
            arena.eyes.change("create table if not exists lock_holder (n bigint)").await;
            let seconds = pause.as_secs_f64();
            arena
                .eyes
                .change(&format!(
                    "begin; lock table fault_ledger in access exclusive mode; \
                     select pg_sleep({seconds}); commit"
                ))
                .await;
        }
        Engine::Sqlite => {
            // The eyes have one connection.
            arena.eyes.change("begin immediate").await;
            arena.pass(pause).await;
            arena.eyes.change("rollback").await;
        }
    }
}

/// Lets the end of one run be refused until another one has ended.
async fn refuse_end(arena: &mut Arena, run_id: i64, other: i64) {
    let (create, drop) = match arena.engine {
        Engine::Postgres => (
            format!(
                "create or replace function no_end() returns trigger language plpgsql as \
                 $$ begin raise exception 'no'; end $$; create trigger no_end before update on operation_runs \
                 for each row when (new.id = {run_id} and new.status = 'completed') execute function no_end()"
            ),
            "drop trigger no_end on operation_runs",
        ),
        Engine::Sqlite => (
            format!(
                "create trigger no_end before update on operation_runs \
                 when new.id = {run_id} and new.status = 'completed' begin select raise(abort, 'no'); end"
            ),
            "drop trigger no_end",
        ),
    };
    arena.eyes.change(&create).await;
    let ended =
        format!("select count(*) from operation_runs where id = {other} and status = 'completed'");
    arena.wait_for(&ended, 1).await;
    arena.eyes.change(drop).await;
}

async fn round(arena: &mut Arena, number: u64, seed: u64) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(number));
    let base = arena.last_run().await;
    let first = arena.start(RunScope::All, inputs(number * 2, 2, 4)).await;
    let second = arena.start(RunScope::All, inputs(number * 2 + 1, 2, 4)).await;
    let lines = format!("select count(*) from fault_ledger where run_id = {first}");
    arena.wait_for(&lines, rng.random_range(1..20)).await;
    // Now and then for longer than the lease.
    let mut pause = || Duration::from_millis(rng.random_range(400..2_500));
    let mut pauses: Vec<Duration> = (0..=CODES.len()).map(|_| pause()).collect();
    if arena.engine == Engine::Postgres {
        for code in CODES {
            refuse(arena, code, pauses.pop().unwrap_or_default()).await;
            arena.pass(Duration::from_millis(100)).await;
        }
    }
    hold(arena, pauses.pop().unwrap_or_default()).await;
    refuse_end(arena, first, second).await;
    let mut wrong = arena.wait_for_ends(base).await;
    arena.pass(Duration::from_millis(300)).await;
    wrong.extend(invariants::violations(arena, base, &HashSet::new()).await);
    wrong.extend(arena.fleet.deserters());
    wrong
}

fn rounds(engine: Engine) {
    let options = Options::read();
    block_on(async {
        let mut arena = Arena::on(Store::new(engine).await, options.mutant.as_deref()).await;
        arena.hire(if engine == Engine::Postgres { 2 } else { 1 });
        for number in 0..options.rounds {
            let wrong = round(&mut arena, number, options.seed).await;
            options.tell(&format!("{engine:?}, conditions, round {number}").to_lowercase());
            assert_eq!(wrong, Vec::<String>::new(), "seed {}, round {number}", options.seed);
        }
        assert!(arena.fleet.dismiss().iter().all(std::process::ExitStatus::success));
    });
}

mod fr_037_014_runs_end_exactly_whatever_condition_the_server_is_in {
    use super::{Engine, rounds};

    #[test]
    fn postgres() {
        rounds(Engine::Postgres);
    }

    #[test]
    fn sqlite() {
        rounds(Engine::Sqlite);
    }
}

/// Refuses the steps of a run for as long as four starts take.
async fn outage(arena: &mut Arena, number: u64) -> HashSet<i64> {
    let run_id = arena.start(RunScope::Tenant(1), inputs(number, 6, 40)).await;
    let lines = format!("select count(*) from fault_ledger where run_id = {run_id}");
    arena.wait_for(&lines, 1).await;
    refuse(arena, "53100", Duration::from_secs(4)).await;
    HashSet::new()
}

#[test]
fn fr_037_015_an_outage_that_counts_as_a_crash_is_noticed() {
    is_noticed(Engine::Postgres, "counted_outages", 1, &["failure"], &outage);
}
