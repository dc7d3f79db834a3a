//! A demo: what is left behind when it ends, and that its failures can be retried.
//!
//! `tests/run` retries some of them; `tests/long retries` retries as many as one likes, at the pace
//! of a demo.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenantpilot::Clock;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::demo::seed::{DEMO_PASSWORD, seed_demo};
use tenantpilot::demo::simulator::{Course, Pace};
use tenantpilot::demo::worker::{self, reclaim};
use tenantpilot::domain::operation_type::started_by_customers;
use tenantpilot::domain::run::{RunOutcome, RunStatus, Source, TargetStatus};
use tenantpilot::domain::run_facts::{NoRetry, Retry};
use tenantpilot::ops::auth::{Login, Session};
use tenantpilot::ops::runs::{GetRun, RetryRun, RunDetail, StartRun};
use tenantpilot::ops::workers::{Beat, ListWorkers, WorkerInfo};
use tenantpilot::ops::{Create, Ops, OpsSettings};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::Person;
use crate::failed_targets::retry_from_cli;
use crate::support::console::Console;
use crate::support::starts::again;
use crate::support::stores::{ORIGIN, Store, block_on, both_engines};

/// How many runs the short form retries.
const FEW: usize = 30;
/// A run that has not ended by then never will.
const PATIENCE: Duration = Duration::from_mins(20);

/// A demo's worker in the background.
struct Working {
    stop: watch::Sender<bool>,
    task: JoinHandle<tenantpilot::Result<()>>,
}

impl Working {
    async fn start(ops: &Ops, url: &str, clock: Clock, seed: u64, pace: Pace) -> Self {
        let (stop, stopped) = watch::channel(false);
        let opened = worker::open(url, &OpsSettings::default(), clock, seed, pace, stopped);
        let task = tokio::spawn(opened.unwrap().0.run());
        while ops.run(&Actor::System, ListWorkers).await.unwrap().workers.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { stop, task }
    }

    /// Stops it as the end of a demo does; says whether it was done in time.
    async fn stop(self) -> bool {
        self.stop.send(true).unwrap();
        tokio::time::timeout(worker::STOP_WITHIN, self.task).await.is_ok()
    }
}

const RUNNING: &str = "select count(*) from operation_runs where status = 'running'";

both_engines! {
    async fn fr_036_010_a_demo_that_is_quit_leaves_no_run_held(store) {
        seed_demo(&store.ops, 1, &mut |_| {}).await.unwrap();
        let working = Working::start(&store.ops, &store.url, store.clock.clone(), 1, Pace::Lifelike).await;
        for kind in started_by_customers() {
            let start = StartRun::for_tenant(kind.key, 2, Source::Schedule);
            store.ops.run(&Actor::System, start).await.unwrap();
        }
        // All slots are taken: by what the seed left under way, and by new runs.
        let begun = "select count(*) from operation_runs where status = 'running' and lease_owner not like 'seed%'";
        while store.number(begun).await < 6 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(working.stop().await, "the worker took too long");
        assert_eq!(store.number(RUNNING).await, 0);
        assert_eq!(store.number("select count(*) from operation_run_leases").await, 0);
        assert_eq!(store.number("select count(*) from workers").await, 0);
        let kept = "select count(*) from operation_runs r join operation_run_targets g on g.run_id = r.id \
                    where r.status = 'queued' and r.takeovers = 0 and g.steps > 0";
        assert!(store.number(kept).await > 0, "no run kept its progress");
    }

    async fn fr_036_011_a_demo_reclaims_what_dead_processes_held(store) {
        seed_demo(&store.ops, 1, &mut |_| {}).await.unwrap();
        // The seed's own workers never lived.
        assert!(store.number(RUNNING).await > 0);
        let reclaimed = reclaim(&store.ops).await.unwrap();
        assert!(!reclaimed.is_empty());
        assert_eq!(store.number(RUNNING).await, 0);
        // A process that was killed, one that lives, one of another machine.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let host = std::process::Command::new("uname").arg("-n").output().unwrap();
        let host = String::from_utf8(host.stdout).unwrap();
        let host = host.trim();
        let owners = [
            ("killed", format!("{host}:{}", child.id())),
            ("alive", format!("{host}:{}", std::process::id())),
            ("elsewhere", format!("not-{host}:{}", child.id())),
        ];
        let mut held = BTreeMap::new();
        for (n, (id, name)) in owners.iter().enumerate() {
            let claim = tenantpilot::ops::runs::ClaimRun {
                owner: (*id).to_owned(),
                types: started_by_customers().map(|kind| kind.key.to_owned()).collect(),
                lease: Duration::from_mins(10),
            };
            let claimed = store.ops.run(&Actor::System, claim).await.unwrap().unwrap();
            let worker = WorkerInfo {
                id: (*id).to_owned(),
                name: name.clone(),
                types: Vec::new(),
                slots: 1,
                heartbeat: Duration::from_secs(10),
            };
            let runs = vec![claimed.id];
            let beat = Beat { worker, stopping: false, runs, lease: Duration::from_mins(10), outage: None };
            store.ops.run(&Actor::System, beat).await.unwrap();
            held.insert(n, claimed);
        }
        assert_eq!(reclaim(&store.ops).await.unwrap(), [held[&0].id]);
        assert_eq!(store.number(RUNNING).await, 2);
        let workers = "select count(*) from workers where id = 'killed'";
        assert_eq!(store.number(workers).await, 0);
        // Should it be there after all, it writes nothing more.
        let complete = tenantpilot::ops::runs::CompleteRun { run_id: held[&0].id, fence: held[&0].fence, blocked: None };
        assert!(store.ops.run(&Actor::System, complete).await.is_err());
        assert_eq!(reclaim(&store.ops).await.unwrap(), Vec::<i64>::new());
    }
}

/// What `tests/long` asks for.
struct Options {
    runs: usize,
    seed: u64,
    long: bool,
}

impl Options {
    fn read() -> Self {
        let number = |name: &str| {
            let text = std::env::var(format!("TENANTPILOT_LONG_{name}")).ok();
            text.map(|text| text.parse::<u64>().expect("a number"))
        };
        let runs = number("RETRIES");
        Self {
            runs: runs.map_or(FEW, |runs| usize::try_from(runs).unwrap()),
            seed: number("SEED").unwrap_or(1),
            long: runs.is_some(),
        }
    }

    /// Says how it goes, in the long form; libtest would keep it back.
    fn tell(&self, text: &str) {
        if self.long {
            std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
        }
    }
}

/// A demo that was just made, in an embedded database, with its operator.
struct Demo {
    ops: Ops,
    url: String,
    operator: Session,
    _folder: TempDir,
}

impl Demo {
    async fn new(seed: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("demo.db").display());
        let settings = OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() };
        let ops = Ops::open(&url, Create::IfMissing, Clock::system(), settings).unwrap();
        ops.migrate().await.unwrap();
        seed_demo(&ops, seed, &mut |_| {}).await.unwrap();
        let login = Login::new("operator", DEMO_PASSWORD, ClientKind::Console);
        let anonymous = Actor::Anonymous { origin: ORIGIN.to_owned() };
        let operator = ops.run(&anonymous, login).await.unwrap().0;
        Self { ops, url, operator, _folder: folder }
    }

    async fn detail(&self, id: i64) -> RunDetail {
        self.ops.run(&self.operator.actor, GetRun { id }).await.unwrap()
    }

    async fn end_of(&self, id: i64) -> RunDetail {
        let begun = Instant::now();
        loop {
            let detail = self.detail(id).await;
            if detail.run.status == RunStatus::Completed {
                return detail;
            }
            assert!(begun.elapsed() < PATIENCE, "run {id} does not end: {:?}", detail.run);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The newest runs that failed or partially succeeded.
    async fn failures(&self, limit: usize) -> Vec<RunDetail> {
        use sqlx::{Connection as _, Row as _};
        let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
        let sql = "select id from operation_runs where outcome in ('failed', 'partially_succeeded') \
                   order by created_at desc, id desc limit ?";
        let rows = sqlx::query(sql).bind(i64::try_from(limit).unwrap()).fetch_all(&mut connection);
        let ids: Vec<i64> = rows.await.unwrap().iter().map(|row| row.get(0)).collect();
        connection.close().await.unwrap();
        let mut found = Vec::new();
        for id in ids {
            found.push(self.detail(id).await);
        }
        found
    }

    /// Starts the retry of a run, after the end of another run like it.
    async fn retry(&self, first: &RunDetail) -> tenantpilot::Result<i64> {
        loop {
            let failed = |status| matches!(status, TargetStatus::Failed | TargetStatus::Skipped);
            let targets = first.targets.iter().filter(|target| failed(target.status)).count();
            let retry =
                RetryRun { run_id: first.run.id, consent: again(targets), ..retry_from_cli() };
            let refusal = match self.ops.run(&self.operator.actor, retry).await {
                Ok(retried) if retried.started.created => return Ok(retried.started.run_id),
                Ok(retried) => panic!("run {} is the retry already", retried.started.run_id),
                Err(refusal) => refusal,
            };
            let now = Clock::system().now();
            match self.detail(first.run.id).await.facts(now).retry() {
                Retry::Impossible(NoRetry::Busy(busy)) => {
                    self.end_of(busy.run_id().unwrap()).await;
                }
                // It has ended since.
                Retry::Possible { .. } => {}
                _ => return Err(refusal),
            }
        }
    }
}

/// What is wrong with the end of a retry; the demo's executor decides how that is.
fn wrong_end(seed: u64, detail: &RunDetail) -> Vec<String> {
    let (run, id) = (&detail.run, detail.run.id);
    let customers = started_by_customers().any(|kind| kind.key == run.run_type);
    let mut wrong = Vec::new();
    let (mut some_failed, mut some_succeeded) = (false, false);
    for target in &detail.targets {
        let course = Course::of(seed, &run.run_type, id, target.tenant_id.unwrap_or(0));
        let (status, reason) = match (customers, course.status()) {
            (true, TargetStatus::Failed) => (TargetStatus::Failed, Some(course.reason.as_str())),
            // Maintenance succeeds on what a demo holds.
            _ => (TargetStatus::Succeeded, None),
        };
        some_failed |= status == TargetStatus::Failed;
        some_succeeded |= status == TargetStatus::Succeeded || course.succeeded() > 0;
        if target.status != status || target.reason_code.as_deref() != reason {
            wrong.push(format!("run {id}: {target:?} instead of {status} {reason:?}"));
        }
        if customers && target.items - target.failed_items != course.succeeded() {
            wrong.push(format!("run {id}: {target:?} instead of {course:?}"));
        }
    }
    let outcome = match (some_failed, some_succeeded) {
        (true, true) => RunOutcome::PartiallySucceeded,
        (true, false) => RunOutcome::Failed,
        _ => RunOutcome::Succeeded,
    };
    if run.outcome != outcome {
        wrong.push(format!("run {id}: {} instead of {outcome}", run.outcome));
    }
    wrong
}

#[test]
fn fr_036_008_the_newest_failures_of_a_demo_are_retried() {
    let options = Options::read();
    block_on(async {
        let begun = Instant::now();
        let demo = Demo::new(options.seed).await;
        let first = demo.failures(options.runs).await;
        assert_eq!(first.len(), options.runs, "the demo has too few failures");
        let types: BTreeSet<&str> = first.iter().map(|one| one.run.run_type.as_str()).collect();
        assert!(types.len() >= 4, "only {types:?}");
        options.tell(&format!("{} runs of {types:?}", first.len()));
        let pace = if options.long { Pace::Lifelike } else { Pace::AtOnce };
        let clock = Clock::system();
        let working = Working::start(&demo.ops, &demo.url, clock, options.seed, pace).await;
        let person = Person::at(&demo.url);
        person.run_with(&["login", "operator", "--password-file", "-"], DEMO_PASSWORD).ends(0);
        let (mut retried, mut refused, mut wrong) = (Vec::new(), 0, Vec::new());
        let mut console = Console::open(&demo.ops, 200, 50).await;
        console
            .keys(&format!("operator<tab>{}<enter>", DEMO_PASSWORD.replace(' ', "<space>")))
            .await;
        for one in &first {
            match demo.retry(one).await {
                Ok(run_id) => retried.push(run_id),
                Err(error) => {
                    refused += 1;
                    let page = person.run(&["runs", "show", &one.run.id.to_string(), "--json"]);
                    let page = page.ends(0).json();
                    let why = page["run"]["retry_refusal"].as_str().unwrap_or("nothing").to_owned();
                    options.tell(&format!("refused: {}", error.message()));
                    if why != error.message() {
                        wrong.push(format!("run {}: {error}, its JSON says {why}", one.run.id));
                    }
                    let facts = one.facts(Clock::system().now());
                    let Retry::Impossible(cause) = facts.retry() else {
                        wrong.push(format!("run {}: {error}, its page offers it", one.run.id));
                        continue;
                    };
                    console.keys(&format!("2/<ctrl-u>id:{}<enter>", one.run.id)).await;
                    console.keys("<enter>").await;
                    let said = format!("not possible: {}", cause.text(&one.run.run_type));
                    if !console.screen().contains(&said) {
                        wrong.push(format!("run {}: {error}\n{}", one.run.id, console.screen()));
                    }
                }
            }
        }
        let mut outcomes = BTreeMap::new();
        for run_id in &retried {
            let detail = demo.end_of(*run_id).await;
            *outcomes.entry(detail.run.outcome.as_str()).or_insert(0) += 1;
            wrong.extend(wrong_end(options.seed, &detail));
        }
        let took = begun.elapsed().as_secs();
        let ends =
            format!("{} retried, {refused} refused, ends {outcomes:?}, {took} s", retried.len());
        options.tell(&ends);
        assert_eq!(wrong, Vec::<String>::new(), "{ends}");
        assert!(retried.len() * 4 >= options.runs * 3, "{ends}");
        assert!(working.stop().await, "the worker took too long to stop");
    });
}

#[test]
fn fr_036_008_an_end_that_the_executor_does_not_say_is_found() {
    block_on(async {
        let store = Store::new(tenantpilot::ops::Engine::Sqlite).await.with_scene().await;
        let mut found = 0;
        for id in [1, 3, 4] {
            let detail = store.ops.run(&Actor::System, GetRun { id }).await.unwrap();
            found += usize::from(!wrong_end(1, &detail).is_empty());
        }
        assert!(found >= 2, "{found}");
    });
}

#[test]
fn fr_036_012_the_long_tests_are_one_command_that_refuses_what_it_does_not_know() {
    let long = |arguments: &[&str]| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/long");
        let output = std::process::Command::new(script).args(arguments).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let (code, help) = long(&["--help"]);
    assert!(code == Some(0) && help.contains("tests/long retries"), "{help}");
    assert_eq!(long(&["chaos", "--help"]).0, Some(0));
    for wrong in [
        &[][..],
        &["nothing"],
        &["--runs"],
        &["retries", "--runs"],
        &["retries", "--runs", "0"],
        &["retries", "--runs", "many"],
        &["retries", "--what", "1"],
        &["chaos", "--what", "1"],
        &["consoles", "--consoles", "0"],
        &["consoles", "--what", "1"],
    ] {
        let (code, said) = long(wrong);
        assert_eq!(code, Some(2), "{wrong:?}: {said}");
    }
}
