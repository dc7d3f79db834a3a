//! A large prune of runs while consoles and workers work and workers are killed: exact, and no chunk holds
//! its locks for long (specs/049-retention).
//!
//! `tests/run` prunes a few thousand runs; `tests/long prune` as many as one likes, with a release build.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tenantpilot::access::Actor;
use tenantpilot::ops::Engine;
use tenantpilot::ops::overview::{CheckRunCounts, RebuildRunCounts};

use super::program::Program;
use crate::cli::Person;
use crate::support::stores::{PASSWORD, Store, block_on};

/// For how many milliseconds a chunk may hold its locks, at the 99th percentile.
const HELD: f64 = 20.0;
/// So often somebody starts a runbook.
const PAUSE: Duration = Duration::from_secs(2);
/// Runs that a deployment declared.
const DECLARED: i64 = 5;
/// Targets of the one large run, beside its first.
const TARGETS: i64 = 1_000;

/// What `tests/long` asks for.
struct Options {
    runs: i64,
    kills: usize,
    consoles: usize,
    program: String,
    long: bool,
}

impl Options {
    fn read() -> Self {
        let number = |name: &str| {
            let text = std::env::var(format!("TENANTPILOT_LONG_{name}")).ok();
            text.map(|text| text.parse::<i64>().expect("a number"))
        };
        let (runs, kills) = (number("RUNS"), number("KILLS"));
        let program = std::env::var("TENANTPILOT_LONG_PROGRAM").ok();
        Self {
            runs: runs.unwrap_or(1_000),
            kills: usize::try_from(kills.unwrap_or(1)).unwrap(),
            consoles: if runs.is_some() { 3 } else { 1 },
            program: program.unwrap_or(env!("CARGO_BIN_EXE_tenantpilot").to_owned()),
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

/// Workers, each with a log of its own; killed when dropped.
struct Workers<'a> {
    person: &'a Person,
    options: &'a Options,
    children: Vec<Child>,
    logs: Vec<PathBuf>,
}

impl Workers<'_> {
    fn start(&mut self) {
        let settings = self.person.command(&[]);
        let state = self.person.dir(&format!("worker{}", self.logs.len()));
        let mut command = Command::new(&self.options.program);
        command.args(["worker", "--no-schedule", "--quiet", "--lease", "3s", "--heartbeat", "1s"]);
        command.env_clear();
        command.envs(settings.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("TENANTPILOT_STATE_DIR", &state).env("TENANTPILOT_LOG_LEVEL", "debug");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.children.push(command.spawn().unwrap());
        self.logs.push(state.join("logs"));
    }

    /// Kills the one with this process ID, and starts another.
    fn replace(&mut self, pid: u32) {
        let index = self.children.iter().position(|child| child.id() == pid).expect("one of these");
        let mut child = self.children.swap_remove(index);
        child.kill().unwrap();
        child.wait().unwrap();
        self.start();
    }

    /// The numbers that their logs give under a name, the smallest first.
    fn logged(&self, name: &str) -> Vec<f64> {
        let files = self.logs.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        let number = |line: &str| {
            let (_, number) = line.split_once(name)?;
            number.split_whitespace().next()?.parse().ok()
        };
        let mut numbers: Vec<f64> =
            texts.flat_map(|text| text.lines().filter_map(number).collect::<Vec<_>>()).collect();
        numbers.sort_by(f64::total_cmp);
        numbers
    }
}

impl Drop for Workers<'_> {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Store {
    /// Ended runs of more than a year ago, and a tenth as many of the last year.
    async fn many_runs(&self, n: i64) {
        let recent = n / 10 + 1;
        let at = format!(
            "(now() - case when n <= {n} then interval '401 days' + n % 300 * interval '1 day' \
             else n % 390 * interval '1 day' end - n % {n} * interval '1 second')"
        );
        for text in [
            // The counts are made afterwards: row by row they take longer than the runs.
            format!(
                "set session_replication_role = replica; \
                 insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, reason_code, \
                 identity_hash, summary_counts, target_count, created_at, started_at, completed_at, updated_at) \
                 select n, 1, 1 + n % 2, case when n between 2 and {DECLARED} + 1 then 'deploy_hook' else 'cli' end, 'policy.sync', 'tenant', \
                 'completed', case when n % 10 = 0 then 'failed' else 'succeeded' end, case when n % 10 = 0 then 'timeout' end, \
                 lpad(to_hex(n), 64, '0'), '{{\"total\": 1, \"processed\": 1, \"succeeded\": 1}}', 1, at, at, at + n % 100 * interval '1 second', at \
                 from (select n, {at} as at from generate_series(1, {n} + {recent}) n) x"
            ),
            format!("update operation_runs set request_id = 'deploy:' || id where id between 2 and {DECLARED} + 1"),
            "update operation_runs set retry_of_run_id = id + 300 where id % 700 = 1 and id > 10 and id + 300 < (select max(id) from operation_runs)".to_owned(),
            "set session_replication_role = replica; \
             insert into operation_run_targets (run_id, ordinal, kind, tenant_id, status, reason_code, updated_at) \
             select id, 0, 'tenant', tenant_id, outcome, reason_code, updated_at from operation_runs".to_owned(),
            format!(
                "insert into operation_run_targets (run_id, ordinal, kind, tenant_id, status, updated_at) \
                 select 1, n, 'tenant', 1, 'succeeded', now() from generate_series(1, {TARGETS}) n"
            ),
            "insert into operation_run_failures (run_id, tenant_id, reason_code, message, occurred_at, fingerprint) \
             select id, tenant_id, 'timeout', 'no answer', updated_at, '0123456789ab' from operation_runs where outcome = 'failed'".to_owned(),
            format!(
                "insert into notifications (platform_user_id, kind, run_id, title, created_at) select u.id, 'run_completed', r.id, 'Policy sync', \
                 now() from operation_runs r, platform_users u where r.id % 100 = 0 and r.id <= {n}"
            ),
            "select setval(pg_get_serial_sequence('operation_runs', 'id'), (select max(id) from operation_runs))".to_owned(),
            "analyze".to_owned(),
        ] {
            self.sql(&text).await.unwrap();
        }
        self.ops.run(&Actor::System, RebuildRunCounts).await.unwrap();
    }
}

const OLD: &str = "select count(*) from operation_runs where type = 'policy.sync' \
                   and completed_at < now() - interval '400 days'";

#[test]
fn fr_049_012_a_large_prune_is_exact_whatever_dies_on_the_way() {
    block_on(async {
        let options = Options::read();
        let store = Store::new(Engine::Postgres).await.with_platform().await;
        let person = Person::administrator(&store.url);
        let began = Instant::now();
        store.many_runs(options.runs).await;
        let findings = |n: i64| {
            format!(
                "insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, created_at, updated_at) \
                 select (t + 1) / 2, t, gen_random_uuid(), 'A finding', 'high', 'open', now(), now() from generate_series(1, 4) t, generate_series(1, {n}) n"
            )
        };
        store.sql(&findings(200)).await.unwrap();
        options.tell(&format!("{} runs after {} s", options.runs, began.elapsed().as_secs()));
        let (old, all) =
            (store.number(OLD).await, store.number("select count(*) from operation_runs").await);
        let mut consoles: Vec<Program> =
            (0..options.consoles).map(|_| Program::of(&options.program, &store.url)).collect();
        for console in &mut consoles {
            console.wait_for("Log in");
            console.type_in(&format!("administrator\t{PASSWORD}\r"));
            console.wait_for("live");
        }
        let mut workers =
            Workers { person: &person, options: &options, children: Vec::new(), logs: Vec::new() };
        workers.start();
        workers.start();
        let start = [
            "runbooks",
            "start",
            "retention.prune",
            "--input",
            "data=runs",
            "--confirm",
            "PRUNE",
            "--wait-for-worker",
            "--json",
        ];
        person.run(&start).ends(0);
        let run_id =
            store.number("select id from operation_runs where type = 'retention.prune'").await;
        let began = Instant::now();
        // What costs next to nothing: whether it has ended, what it says of itself, who holds it.
        let state = format!(
            "select (r.status = 'completed')::text || ' ' || t.deleted || ' ' || coalesce(split_part(w.name, ':', 2), '0') from operation_runs r \
             join operation_run_targets t on t.run_id = r.id left join operation_run_leases l on l.run_id = r.id left join workers w on w.id = l.owner \
             where r.id = {run_id}"
        );
        let (mut killed, mut added, mut left, mut wrong) = (0, 0, old, Vec::new());
        let mut backfills = 0;
        loop {
            let state = store.text(&state).await;
            let [ended, gone, pid] = state.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{state}")
            };
            if ended == "true" {
                break;
            }
            assert!(began.elapsed() < Duration::from_hours(2), "it does not end");
            // Work of others: runs that end, and, now and then, a runbook with something to do.
            let add = "insert into operation_runs (workspace_id, tenant_id, source, type, scope_kind, status, outcome, identity_hash, target_count, \
                       created_at, started_at, completed_at, updated_at) select 1, 1, 'cli', 'inventory.sync', 'tenant', 'completed', 'succeeded', \
                       repeat('a', 64), 0, now(), now(), now(), now() from generate_series(1, 10)";
            added += i64::try_from(store.sql(add).await.unwrap()).unwrap();
            if began.elapsed() >= PAUSE * backfills {
                store.sql(&findings(50)).await.unwrap();
                let tenant = (backfills % 4 + 1).to_string();
                let start = [
                    "runbooks",
                    "start",
                    "findings.lifecycle_backfill",
                    "--tenant",
                    &tenant,
                    "--yes",
                    "--wait-for-worker",
                ];
                person.run(&start).ends(0);
                backfills += 1;
            }
            for console in &mut consoles {
                while console.read(Duration::ZERO).is_ok() {}
                let screen = console.shown();
                wrong.extend(
                    screen
                        .lines()
                        .find(|line| line.contains("cannot") || line.contains("disconnected"))
                        .map(str::to_owned),
                );
                console.type_in(if added % 20 == 0 { "j" } else { "k" });
            }
            let now = old - gone.parse::<i64>().unwrap();
            // At moments that are spread over the whole of it.
            let due = old
                - old * i64::try_from(killed + 1).unwrap()
                    / i64::try_from(options.kills + 1).unwrap();
            let pid: u32 = pid.parse().unwrap();
            if killed < options.kills && pid > 0 && now <= due.max(1) && now < left {
                workers.replace(pid);
                killed += 1;
                left = now;
                options.tell(&format!(
                    "{now} runs left after {} s; killed {killed}",
                    began.elapsed().as_secs()
                ));
            }
            std::thread::sleep(Duration::from_millis(if options.long { 250 } else { 10 }));
        }
        let took = began.elapsed();
        // What the others started ends as well.
        let busy = "select count(*) from operation_runs where status <> 'completed'";
        while store.number(busy).await > 0 {
            std::thread::sleep(Duration::from_millis(100));
        }
        let text = format!(
            "select outcome || ' ' || (summary_counts ->> 'deleted') || ' ' || takeovers from operation_runs where id = {run_id}"
        );
        let said = store.text(&text).await;
        let gone = old - DECLARED;
        assert!(said.starts_with(&format!("succeeded {gone} ")), "{said}, {gone} expected");
        assert_eq!(store.number(OLD).await, DECLARED);
        let own = store.number("select count(*) from operation_runs where type in ('retention.prune', 'findings.lifecycle_backfill')").await;
        assert_eq!(
            store.number("select count(*) from operation_runs").await,
            all - gone + added + own
        );
        for table in ["operation_run_targets", "operation_run_failures", "operation_runs_leaving"] {
            let lost = format!(
                "select count(*) from {table} t where not exists (select 1 from operation_runs r where r.id = t.run_id)"
            );
            assert_eq!(store.number(&lost).await, 0, "{table}");
        }
        let named =
            "select count(*) from notifications where gone_run_id % 100 = 0 and run_id is null";
        assert_eq!(store.number(named).await, options.runs / 100);
        assert_eq!(store.ops.run(&Actor::System, CheckRunCounts).await.unwrap().different, 0);
        assert_eq!(store.number("select count(*) from audit_logs where action = 'runs.complete' and target_id is null").await, own);
        assert_eq!((wrong, killed), (Vec::<String>::new(), options.kills));
        let (held, rows, steps) = (
            workers.logged(" held_us="),
            workers.logged(" rows="),
            workers.logged(&format!(" run_id={run_id} ordinal=0 took_us=")),
        );
        let at = |numbers: &[f64], percent: usize| {
            numbers[(numbers.len() * percent).div_ceil(100).max(1) - 1]
        };
        let ms = |numbers: &[f64], percent| at(numbers, percent) / 1_000.0;
        let load = std::fs::read_to_string("/proc/loadavg").unwrap();
        let figures = format!(
            "{gone} runs in {} s, {killed} workers killed, {backfills} runs started meanwhile; \
             {} chunks of {:.0} rows (median; {:.0} to {:.0}), locks held for {:.1} ms (median), {:.1} (p95), {:.1} (p99), {:.1} (longest); \
             whole steps took {:.1} ms (median), {:.1} (p99); load {}",
            took.as_secs(),
            held.len(),
            at(&rows, 50),
            at(&rows, 1),
            at(&rows, 100),
            ms(&held, 50),
            ms(&held, 95),
            ms(&held, 99),
            ms(&held, 100),
            ms(&steps, 50),
            ms(&steps, 99),
            load.trim()
        );
        options.tell(&figures);
        assert!(!options.long || ms(&held, 99) <= HELD, "{figures}");
    });
}
