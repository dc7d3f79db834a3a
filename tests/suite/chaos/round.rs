//! One round: runs are started, faults injected at moments that a seed chooses, and then
//! every run has to end exactly.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::ops::runs::{CancelRun, CloseRun, PauseRun, ResumeRun, RunScope};
use tenantpilot::ops::{Engine, Operation, Ops};
use tokio::task::JoinSet;

use super::arena::{Arena, TENANTS, Wanted, inputs, start};
use super::invariants;

/// What may happen in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A worker is killed, and another one started.
    Kill,
    /// A worker is frozen until after its lease, and goes on.
    Freeze,
    /// A worker is frozen for less than its lease: it keeps its runs, but the server has ended
    /// its transactions.
    Doze,
    /// Connections of workers are ended by the server.
    Terminate,
    /// The server is killed and started again.
    Crash,
    /// A run is cancelled.
    Cancel,
    /// A run is paused, and resumed after a moment.
    Pause,
    /// A run is closed by force.
    Close,
    /// A run is closed by force when its last target is done.
    CloseAtEnd,
    /// One more run is started.
    Start,
}

/// How much happens in a round.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Worker processes.
    pub workers: usize,
    /// Runs at the beginning; a double start and a run over all tenants are among them.
    pub runs: usize,
    /// Events.
    pub events: usize,
    /// The longest pause within a step, in milliseconds: a step that takes long is hit often.
    pub pause_ms: u64,
}

/// The events of a round, drawn at random; the quick form takes each kind of fault at least
/// once.
pub fn draw(rng: &mut StdRng, engine: Engine, size: Size, quick: bool) -> Vec<Event> {
    use Event::{Cancel, Close, CloseAtEnd, Crash, Doze, Freeze, Kill, Pause, Start, Terminate};
    let of_postgres =
        [(Kill, 54), (Freeze, 8), (Terminate, 12), (Crash, 3), (Cancel, 3), (Pause, 5)];
    let of_sqlite = [(Kill, 60), (Freeze, 10), (Terminate, 0), (Crash, 0), (Cancel, 5), (Pause, 8)];
    let common = [(Close, 2), (CloseAtEnd, 3), (Start, 10), (Doze, 5)];
    let first = if engine == Engine::Postgres { of_postgres } else { of_sqlite };
    let weights: Vec<(Event, u32)> = first.into_iter().chain(common).collect();
    let mut events = match (quick, engine) {
        (false, _) => Vec::new(),
        (true, Engine::Postgres) => {
            vec![Kill, Kill, Freeze, Doze, Terminate, Crash, Pause, CloseAtEnd]
        }
        (true, Engine::Sqlite) => vec![Kill, Kill, Freeze, Doze, Pause, CloseAtEnd],
    };
    while events.len() < size.events {
        let chosen = weights.choose_weighted(rng, |(_, weight)| *weight).unwrap();
        events.push(chosen.0);
    }
    events.shuffle(rng);
    events
}

/// A round under way.
struct Round<'a> {
    arena: &'a mut Arena,
    rng: StdRng,
    size: Size,
    /// The last run before it.
    base: i64,
    number: u64,
    runs: u64,
    starts: JoinSet<i64>,
    people: JoinSet<()>,
    /// Runs that somebody asked to cancel or close.
    stopped: Arc<Mutex<HashSet<i64>>>,
}

/// Plays round `number` of `seed`; gives what is wrong afterwards.
pub async fn play(
    arena: &mut Arena,
    seed: u64,
    number: u64,
    size: Size,
    quick: bool,
) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(number));
    let events = draw(&mut rng, arena.engine, size, quick);
    let base = arena.last_run().await;
    if arena.fleet.len() < size.workers {
        arena.hire(size.workers - arena.fleet.len());
    }
    let mut round = Round {
        arena,
        rng,
        size,
        base,
        number,
        runs: 0,
        starts: JoinSet::new(),
        people: JoinSet::new(),
        stopped: Arc::default(),
    };
    let mut wrong = round.run(events).await;
    let Round { arena, stopped, .. } = round;
    wrong.extend(arena.wait_for_ends(base).await);
    // What a stale worker still tries would show now.
    arena.pass(Duration::from_millis(300)).await;
    let stopped = stopped.lock().unwrap().clone();
    wrong.extend(invariants::violations(arena, base, &stopped).await);
    wrong.extend(arena.fleet.deserters());
    let mut figures = arena.figures;
    invariants::count(arena, base, &mut figures).await;
    figures.rounds += 1;
    arena.figures = figures;
    wrong
}

impl Round<'_> {
    async fn run(&mut self, events: Vec<Event>) -> Vec<String> {
        self.double_start();
        for nth in 1..self.size.runs {
            self.start(nth == 1);
        }
        self.pause(100, 300).await;
        for event in events {
            self.happen(event).await;
            self.pause(80, 500).await;
        }
        while self.arena.fleet.len() > 0
            && (0..self.arena.fleet.len()).any(|index| self.arena.fleet.is_frozen(index))
        {
            self.pause(20, 50).await;
        }
        let mut wrong = Vec::new();
        while let Some(done) = self.people.join_next().await {
            wrong.extend(done.err().map(|error| format!("a decision failed: {error}")));
        }
        while let Some(done) = self.starts.join_next().await {
            wrong.extend(done.err().map(|error| format!("a start failed: {error}")));
        }
        wrong
    }

    async fn pause(&mut self, least: u64, most: u64) {
        let pause = Duration::from_millis(self.rng.random_range(least..=most));
        self.arena.pass(pause).await;
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Kill => self.kill().await,
            Event::Freeze => self.freeze(1200..2400).await,
            Event::Doze => self.freeze(400..600).await,
            Event::Terminate => self.terminate().await,
            Event::Crash => self.crash().await,
            Event::Start => self.start(false),
            Event::Cancel | Event::Close | Event::CloseAtEnd | Event::Pause => {
                self.decide(event).await;
            }
        }
    }

    /// A worker to harm: four times in five one that has a step in flight, which is waited for
    /// a moment, because after each kill its runs rest until their lease is over.
    async fn victim(&mut self) -> usize {
        let any = self.rng.random_range(0..self.arena.fleet.len());
        if self.rng.random_range(0..5) == 0 {
            return any;
        }
        let sql = "select distinct w.name from operation_runs r join workers w on w.id = r.lease_owner \
                   join operation_run_targets g on g.run_id = r.id where r.status = 'running' \
                   and g.status = 'pending' and g.step_started_at is not null order by w.name";
        let pid = |name: &str| name.rsplit_once(':')?.1.parse().ok();
        for _ in 0..40 {
            let names: Vec<(String,)> = self.arena.eyes.look(sql).await.unwrap_or_default();
            let fleet = &self.arena.fleet;
            let busy: Vec<usize> =
                names.iter().filter_map(|(name,)| fleet.with_pid(pid(name)?)).collect();
            if let Some(index) = busy.choose(&mut self.rng) {
                return *index;
            }
            // Nothing is held while the server is down.
            if names.is_empty()
                && self.arena.eyes.look::<(i64,)>("select count(*) from workers").await.is_err()
            {
                return any;
            }
            self.arena.pass(Duration::from_millis(25)).await;
        }
        any
    }

    async fn kill(&mut self) {
        let index = self.victim().await;
        self.arena.kill(index).await;
        self.arena.hire(1);
    }

    async fn freeze(&mut self, millis: Range<u64>) {
        let index = self.victim().await;
        if !self.arena.fleet.is_frozen(index) {
            let pause = Duration::from_millis(self.rng.random_range(millis));
            self.arena.freeze(index, pause).await;
        }
    }

    /// Ends connections of workers, now and then only such that are in a transaction.
    async fn terminate(&mut self) {
        if self.arena.engine == Engine::Sqlite {
            return;
        }
        let sql = "select cast(pid as bigint), coalesce(state, '') like '%transaction%' or state = 'active' \
                   from pg_stat_activity where usename = 'workers' order by backend_start, pid";
        let mut backends: Vec<(i64, bool)> = self.arena.eyes.rows(sql).await;
        if self.rng.random() && backends.iter().any(|(_, busy)| *busy) {
            backends.retain(|(_, busy)| *busy);
        }
        let count = self.rng.random_range(1..=3);
        let chosen: Vec<(i64, bool)> = backends.sample(&mut self.rng, count).copied().collect();
        for (pid, busy) in chosen {
            let sql = format!("select pg_terminate_backend({pid})");
            if self.arena.eyes.rows::<(bool,)>(&sql).await[0].0 {
                self.arena.figures.terminated += 1;
                self.arena.figures.terminated_in_transaction += u64::from(busy);
            }
        }
    }

    async fn crash(&mut self) {
        let Some(cluster) = &mut self.arena.cluster else { return };
        cluster.crash();
        self.arena.figures.crashes += 1;
        self.pause(50, 1200).await;
        if self.rng.random() {
            self.kill().await;
        }
        if let Some(cluster) = &mut self.arena.cluster {
            cluster.restart();
        }
    }

    /// A run of this round.
    fn wanted(&mut self, everybody: bool) -> Wanted {
        self.runs += 1;
        let mut all: Vec<i64> = (1..=TENANTS).collect();
        all.shuffle(&mut self.rng);
        let scope = match self.rng.random_range(0..10) {
            _ if everybody => RunScope::All,
            0 => RunScope::All,
            1 => RunScope::Tenant(all[0]),
            _ => RunScope::Tenants(all[..self.rng.random_range(10..50)].to_vec()),
        };
        let number = self.number * 1000 + self.runs;
        let (steps, pause_ms) =
            (self.rng.random_range(1..=4), self.rng.random_range(0..=self.size.pause_ms));
        let mut inputs = inputs(number, steps, pause_ms);
        let troubled = match &scope {
            RunScope::Tenant(_) => usize::from(self.rng.random_bool(0.5)),
            _ => self.rng.random_range(0..3),
        };
        if troubled > 0 {
            let which = if self.rng.random_bool(0.8) { "deny" } else { "panic" };
            inputs[which] = json!(all[..troubled]);
        }
        let request_id = format!("faults:{number}");
        Wanted { scope, inputs, by_user: self.rng.random(), request_id }
    }

    fn start(&mut self, everybody: bool) {
        let wanted = self.wanted(everybody);
        let (ops, user) = (self.arena.ops.clone(), self.arena.user.clone());
        self.starts.spawn(start(ops, user, wanted));
    }

    /// Two starts of one identity at once; that they are one run is checked with the rest.
    fn double_start(&mut self) {
        let wanted = self.wanted(true);
        for half in ["a", "b"] {
            let mut wanted = wanted.clone();
            wanted.request_id = format!("{}:{half}", wanted.request_id);
            let (ops, user) = (self.arena.ops.clone(), self.arena.user.clone());
            self.starts.spawn(start(ops, user, wanted));
        }
        self.arena.figures.double_starts += 1;
    }

    /// Somebody decides about a run that has not ended.
    async fn decide(&mut self, event: Event) {
        let sql = format!(
            "select id from operation_runs where id > {} and status <> 'completed' order by id",
            self.base
        );
        let active: Vec<(i64,)> = self.arena.eyes.rows(&sql).await;
        let Some(&(run_id,)) = active.choose(&mut self.rng) else { return };
        let ops = self.arena.ops.clone();
        let actor = if self.rng.random() { self.arena.user.clone() } else { Actor::System };
        let figures = &mut self.arena.figures;
        match event {
            Event::Pause => {
                figures.pauses += 1;
                let rest = Duration::from_millis(self.rng.random_range(200..1500));
                self.people.spawn(async move {
                    insist(&ops, &actor, || PauseRun {
                        run_id,
                        consent: crate::support::starts::sure("PAUSE", run_id),
                    })
                    .await;
                    tokio::time::sleep(rest).await;
                    insist(&ops, &actor, || ResumeRun {
                        run_id,
                        consent: crate::support::starts::sure("RESUME", run_id),
                    })
                    .await;
                });
            }
            Event::Cancel => {
                figures.cancels += 1;
                self.stopped.lock().unwrap().insert(run_id);
                self.people.spawn(async move {
                    insist(&ops, &actor, || CancelRun {
                        run_id,
                        consent: crate::support::starts::sure("CANCEL", run_id),
                    })
                    .await
                });
            }
            _ => {
                figures.closes += 1;
                self.stopped.lock().unwrap().insert(run_id);
                let late = event == Event::CloseAtEnd;
                self.people.spawn(async move {
                    if late {
                        until_done(&ops, run_id).await;
                    }
                    insist(&ops, &actor, || CloseRun {
                        run_id,
                        consent: crate::support::starts::sure("CLOSE", run_id),
                    })
                    .await;
                });
            }
        }
    }
}

/// Asks until the database answers. A refusal is an answer: the run may have ended.
pub async fn insist<O: Operation>(ops: &Ops, actor: &Actor, ask: impl Fn() -> O) {
    let started = Instant::now();
    loop {
        match ops.run(actor, ask()).await {
            Err(error) if error.retry_can_help() => {
                assert!(started.elapsed() < Duration::from_secs(100), "never answered: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) if error.kind() != ErrorKind::Refused => panic!("{error}"),
            _ => return,
        }
    }
}

/// Waits until a run has no target left to do, or has ended, or until a while has passed.
async fn until_done(ops: &Ops, run_id: i64) {
    use tenantpilot::ops::runs::DueTargets;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        let due = DueTargets { run_id, after: -1, started: false, limit: 1 };
        match ops.run(&Actor::System, due).await {
            Ok(pending) if pending.is_empty() => return,
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
