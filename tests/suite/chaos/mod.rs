//! Faults: real worker processes on real databases are killed, frozen and cut off at random
//! moments, and every run has to end exactly all the same.
//!
//! `tests/run` plays a short form; `tests/chaos` plays as many rounds as one likes.

mod arena;
mod clocks;
pub mod cluster;
mod conditions;
mod eyes;
mod figures;
mod fleet;
mod frozen;
mod invariants;
mod mutants;
mod planted;
mod round;

use std::io::Write as _;
use std::time::Instant;

use tenantpilot::ops::{Engine, Mutant};

use crate::support::stores::block_on;
use arena::Arena;
use round::Size;

/// The seed of the short form.
const SEED: u64 = 20_261_121;

/// What `tests/chaos` asks for.
struct Options {
    rounds: u64,
    seed: u64,
    mutant: Option<String>,
    /// Whether it is the short form.
    quick: bool,
}

impl Options {
    fn read() -> Self {
        let variable = |name: &str| std::env::var(format!("TENANTPILOT_CHAOS_{name}")).ok();
        let number = |name: &str| variable(name).map(|text| text.parse().expect("a number"));
        let mutant = variable("MUTANT").filter(|name| !name.is_empty());
        if let Some(name) = &mutant {
            assert!(Mutant::ALL.iter().any(|(known, _)| known == name), "no mutant {name}");
        }
        let rounds = number("ROUNDS");
        let seed = number("SEED").unwrap_or(SEED);
        Self { quick: rounds.is_none(), rounds: rounds.unwrap_or(1), seed, mutant }
    }

    /// Says how it goes, in the long form; libtest would keep it back.
    fn tell(&self, text: &str) {
        if !self.quick {
            std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
        }
    }
}

fn rounds(engine: Engine) {
    let options = Options::read();
    let size = match (options.quick, engine) {
        (true, Engine::Postgres) => Size { workers: 2, runs: 4, events: 8, pause_ms: 8 },
        (true, Engine::Sqlite) => Size { workers: 2, runs: 3, events: 6, pause_ms: 4 },
        (false, Engine::Postgres) => Size { workers: 3, runs: 12, events: 16, pause_ms: 30 },
        (false, Engine::Sqlite) => Size { workers: 2, runs: 8, events: 14, pause_ms: 8 },
    };
    block_on(async {
        let mut arena = Arena::new(engine, options.mutant.as_deref()).await;
        let place = format!("{engine:?}, seed {}", options.seed).to_lowercase();
        for number in 0..options.rounds {
            let started = Instant::now();
            let wrong = round::play(&mut arena, options.seed, number, size, options.quick).await;
            let figures = &arena.figures;
            options.tell(&format!(
                "{place}, round {number}: {} s; so far {} runs, {} steps, {} kills ({} in a step), {} crashes",
                started.elapsed().as_secs(),
                figures.runs,
                figures.steps,
                figures.kills,
                figures.kills_in_step,
                figures.crashes,
            ));
            let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n  ");
            assert!(
                wrong.is_empty(),
                "{place}, round {number}: {} violations\n  {shown}\n{figures}",
                wrong.len()
            );
        }
        arena.figures.takeovers = arena.fleet.takeovers();
        for status in arena.fleet.dismiss() {
            assert!(
                status.success(),
                "{place}: a worker that was told to stop ended with {status}"
            );
        }
        options.tell(&format!("{place}: nothing lost, nothing doubled\n{}", arena.figures));
    });
}

mod fr_017_001_runs_end_exactly_whatever_is_killed {
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
