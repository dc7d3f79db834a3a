//! Many consoles and workers on one server: what they cost it, and what one of them feels of the
//! others (specs/047-connection-states).

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use super::program::Program;
use crate::chaos::cluster::{Cluster, Used};
use crate::cli::Person;
use crate::support::stores::PASSWORD;
use crate::worker_process::Process;

/// How many log in with the same account; the eleventh within a minute would be throttled.
const PER_ACCOUNT: usize = 5;
/// What the server may spend on a hundred consoles, in percent of a core.
const IDLE: f64 = 5.0;
const BUSY: f64 = 25.0;
/// How soon a change is on a screen.
const SHOWN: Duration = Duration::from_secs(3);
/// How soon a key is answered, and the same on a machine that is busy with other tests.
const ANSWERED: Duration = Duration::from_millis(10);
const SLACK: u32 = 100;
/// The cursor is moved this often.
const BETWEEN_KEYS: Duration = Duration::from_millis(700);

/// What `tests/long` asks for.
struct Options {
    consoles: usize,
    workers: usize,
    /// Half of it nothing changes, half of it something does each second.
    time: Duration,
    /// The consoles' build of the program.
    program: String,
    long: bool,
}

impl Options {
    fn read() -> Self {
        let number = |name: &str| {
            let text = std::env::var(format!("TENANTPILOT_LONG_{name}")).ok();
            text.map(|text| text.parse::<usize>().expect("a number"))
        };
        let program = std::env::var("TENANTPILOT_LONG_PROGRAM");
        let minutes = number("MINUTES").map(|minutes| u64::try_from(minutes).unwrap());
        Self {
            consoles: number("CONSOLES").unwrap_or(4),
            workers: number("WORKERS").unwrap_or(1),
            time: minutes.map_or(Duration::from_secs(3), Duration::from_mins),
            program: program.unwrap_or(env!("CARGO_BIN_EXE_tenantpilot").to_owned()),
            long: minutes.is_some(),
        }
    }

    /// Says how it goes, in the long form; libtest would keep it back.
    fn tell(&self, text: &str) {
        if self.long {
            std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
        }
    }

    /// What so many consoles may cost.
    fn aim(&self, hundred: f64) -> f64 {
        let consoles = u32::try_from(self.consoles).unwrap();
        hundred * (f64::from(consoles) / 100.0).max(1.0)
    }
}

/// Consoles on the list of runs; the first one is worked with.
struct Room {
    consoles: Vec<Program>,
    wrong: Vec<String>,
}

impl Room {
    fn enter(url: &str, options: &Options) -> Self {
        let mut consoles = Vec::new();
        while consoles.len() < options.consoles {
            let first = consoles.len();
            let next = options.consoles.min(first + PER_ACCOUNT);
            consoles.extend((first..next).map(|_| Program::of(&options.program, url)));
            for (n, console) in consoles.iter_mut().enumerate().skip(first) {
                console.wait_for("Log in");
                console.type_in(&format!("{}\t{PASSWORD}\r", account(n)));
            }
            for console in &mut consoles[first..] {
                let shown = |screen: &str| screen.contains("live") && cursor(screen).is_some();
                console.wait_until("the list", shown);
            }
        }
        Self { consoles, wrong: Vec::new() }
    }

    /// Looks at every screen as it was between now and the last look.
    fn look(&mut self) {
        for (n, console) in self.consoles.iter_mut().enumerate() {
            while console.read(Duration::ZERO).is_ok() {
                let screen = console.shown();
                let wrong = |line: &&str| line.contains("cannot") || line.contains("disconnected");
                self.wrong
                    .extend(screen.lines().find(wrong).map(|line| format!("console {n}: {line}")));
            }
        }
    }

    /// Moves the cursor down and up again; says how long each took.
    fn move_cursor(&mut self, took: &mut Vec<Duration>) {
        let console = &mut self.consoles[0];
        for key in ["j", "k"] {
            // Frames are 16 ms apart; a person's keys are further.
            std::thread::sleep(Duration::from_millis(40));
            while console.read(Duration::ZERO).is_ok() {}
            let before = cursor(&console.shown());
            let since = Instant::now();
            console.type_in(key);
            console.wait_until("a moved cursor", |screen| cursor(screen) != before);
            took.push(since.elapsed());
        }
        console.type_in("g");
    }
}

fn account(n: usize) -> String {
    format!("person{}", n / PER_ACCOUNT)
}

/// The run that the cursor is on.
fn cursor(screen: &str) -> Option<String> {
    let line = screen.lines().find_map(|line| line.strip_prefix('▸'))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// A platform on a server of its own, with an account for every few consoles.
fn platform(url: &str, options: &Options) -> Person {
    let person = Person::at(url);
    // Fewer than these are started one by one.
    let runs = if options.long { "10000" } else { "101" };
    let amounts = ["--tenants", "12", "--runs", runs, "--findings", "40", "--events", "30"];
    let arguments: Vec<&str> = ["seed", "--json"].into_iter().chain(amounts).collect();
    let seeded = person.run(&arguments).ends(0).json();
    let accounts = seeded["accounts"].as_array().unwrap();
    let first = accounts.iter().find(|one| one["role"] == "administrator").unwrap();
    let text = |key: &str| first[key].as_str().unwrap().to_owned();
    let login = ["login", &text("username"), "--password-file", "-"];
    person.run_with(&login, &text("password")).ends(0);
    for n in (0..options.consoles).step_by(PER_ACCOUNT) {
        person.create(&account(n), &["--role", "operator"]).ends(0);
    }
    // What the seed left under way would change by itself.
    Other::connect(url).sql(
        "delete from operation_run_leases; update operation_runs set status = 'completed', outcome = 'succeeded', \
         completed_at = now(), lease_owner = null, summary_counts = '{}' where status = 'running'",
    );
    person
}

/// Another process's connection.
struct Other {
    runtime: tokio::runtime::Runtime,
    connection: PgConnection,
}

impl Other {
    fn connect(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(PgConnection::connect(url)).unwrap();
        Self { runtime, connection }
    }

    fn sql(&mut self, text: &str) {
        let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned()));
        self.runtime.block_on(sql.execute(&mut self.connection)).unwrap();
    }

    /// Adds a run that has ended, as a worker's last write would.
    fn change(&mut self, n: usize) {
        let text = format!(
            "insert into operation_runs (workspace_id, tenant_id, source, type, scope_kind, status, outcome, \
             identity_hash, target_count, created_at, started_at, completed_at, updated_at) \
             select workspace_id, id, 'schedule', '{}', 'tenant', 'completed', 'succeeded', repeat('a', 64), 1, \
             now(), now(), now(), now() from tenants where archived_at is null order by id limit 1",
            type_of(n)
        );
        self.sql(&text);
    }

    /// The processes of the server that serve workers.
    fn workers(&mut self) -> Vec<u32> {
        let text =
            "select pid from pg_stat_activity where application_name like 'tenantpilot worker%'";
        let rows = self.runtime.block_on(self.connection.fetch_all(text)).unwrap();
        rows.iter().map(|row| u32::try_from(row.get::<i32, _>(0)).unwrap()).collect()
    }
}

fn type_of(n: usize) -> String {
    format!("change.n{n}_")
}

/// What a time cost the server, in percent of a core.
#[derive(Default)]
struct Cost {
    all: f64,
    workers: f64,
    connections: usize,
}

impl Cost {
    fn between(before: &Used, after: &Used, workers: &[u32], time: Duration) -> Self {
        let percent = |used: Duration| used.as_secs_f64() / time.as_secs_f64() * 100.0;
        let of =
            |used: &Used| workers.iter().filter_map(|pid| used.each.get(pid)).sum::<Duration>();
        Self {
            all: percent(after.all().saturating_sub(before.all())),
            workers: percent(of(after).saturating_sub(of(before))),
            connections: before.connections.max(after.connections),
        }
    }
}

#[test]
fn fr_047_009_many_consoles_cost_a_server_little_and_are_refused_nothing() {
    let options = Options::read();
    let cluster = Cluster::start_with("max_connections = 250", &[]);
    let url = cluster.url("postgres", "postgres");
    let person = platform(&url, &options);
    let workers: Vec<Process> =
        (0..options.workers).map(|_| Process::start(&person, &["--quiet"])).collect();
    let begun = Instant::now();
    let mut room = Room::enter(&url, &options);
    options.tell(&format!("{} consoles after {} s", options.consoles, begun.elapsed().as_secs()));
    let mut other = Other::connect(&url);
    let half = options.time / 2;
    let rest = |room: &mut Room, time: Duration| {
        let since = Instant::now();
        while since.elapsed() < time {
            room.look();
            std::thread::sleep(Duration::from_millis(50).min(time));
        }
    };
    // What was under way when they logged in.
    rest(&mut room, half.min(Duration::from_secs(30)) / 4);
    let pids = other.workers();
    let measured = |work: &mut dyn FnMut()| {
        let (before, since) = (cluster.used(), Instant::now());
        work();
        Cost::between(&before, &cluster.used(), &pids, since.elapsed())
    };
    let idle = measured(&mut || rest(&mut room, half));
    let (mut keys, mut waits, mut open) = (Vec::new(), Vec::new(), Vec::new());
    let busy = measured(&mut || {
        let since = Instant::now();
        let (mut n, mut next_key) = (0, BETWEEN_KEYS / 2);
        while since.elapsed() < half || !open.is_empty() {
            if since.elapsed() < half && since.elapsed().as_secs() >= n {
                let text = type_of(usize::try_from(n).unwrap());
                other.change(usize::try_from(n).unwrap());
                open.push((text, Instant::now()));
                n += 1;
            }
            // At other moments than the changes.
            if since.elapsed() >= next_key {
                next_key += BETWEEN_KEYS;
                room.move_cursor(&mut keys);
            }
            room.look();
            let screen = room.consoles[0].shown();
            open.retain(|(text, since)| {
                let (shown, late) = (screen.contains(text), since.elapsed() > SHOWN * 4);
                if shown || late {
                    waits.push(since.elapsed());
                }
                !shown && !late
            });
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    keys.sort();
    waits.sort();
    let (key, longest) = (keys[keys.len() / 2], waits[waits.len() - 1]);
    let mut figures = String::new();
    for (name, cost) in [("nothing changes", &idle), ("one change a second", &busy)] {
        writeln!(
            figures,
            "{name}: {:.1} % of a core, {:.1} of it workers; {} connections",
            cost.all, cost.workers, cost.connections
        )
        .unwrap();
    }
    let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
    write!(
        figures,
        "a key: {:.1} ms (median of {}, the longest {:.1}); a change: {:.1} s (median of {}, the longest {:.1})",
        milliseconds(key),
        keys.len(),
        milliseconds(keys[keys.len() - 1]),
        waits[waits.len() / 2].as_secs_f64(),
        waits.len(),
        longest.as_secs_f64()
    )
    .unwrap();
    options.tell(&figures);
    let refused = |text: &str| {
        let wrong =
            |line: &&str| ["FATAL", "ERROR", "53300", "cannot"].iter().any(|w| line.contains(w));
        text.lines().filter(wrong).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(refused(&cluster.said()), Vec::<String>::new(), "the server's log");
    assert_eq!(room.wrong, Vec::<String>::new());
    for worker in workers {
        let (code, said) = worker.stop();
        assert_eq!(code, 0, "{said}");
        assert_eq!(refused(&said), Vec::<String>::new(), "a worker");
    }
    let slack = if options.long { 1 } else { SLACK };
    assert!(key < ANSWERED * slack && longest < SHOWN * slack.min(3), "{figures}");
    if options.long {
        assert!(idle.all <= options.aim(IDLE) && busy.all <= options.aim(BUSY), "{figures}");
    }
}
