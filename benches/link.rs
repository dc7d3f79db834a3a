//! The program over a slow link: a real console in a pseudo-terminal and a whole command, with a
//! proxy on loopback between them and the server, which holds every byte back for half a round trip
//! in each direction.
//!
//!     TENANTPILOT_BENCH_POSTGRES=postgres://user:password@127.0.0.1/postgres cargo bench --bench link
//!
//! It makes a database of 10,000 runs and drops it at the end. `TENANTPILOT_BENCH_PROGRAM` names
//! another build of the program.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot prepare its data has to stop")]
#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

const DATABASE: &str = "tenantpilot_bench_link";
/// Round trips in milliseconds, and the aims for each of what is done.
const LINKS: [(u64, [f64; 5]); 4] = [
    (0, [0.0; 5]),
    (20, [0.5, 0.15, 0.2, 0.35, 0.35]),
    (100, [1.2, 0.5, 0.6, 1.2, 1.2]),
    (300, [3.0, 1.3, 1.6, 3.2, 3.2]),
];
/// The command writes that its session is used, unless that was done within 30 s.
const WHAT: [&str; 5] =
    ["login to list", "open a run", "overview", "CLI overview after a while", "CLI overview again"];
/// How often each is done; the median counts.
const TIMES: usize = 5;
const SIZE: PtySize = PtySize { rows: 40, cols: 100, pixel_width: 0, pixel_height: 0 };

/// A link to the server that takes its time.
struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    /// In one direction, in microseconds.
    delay: AtomicU64,
    /// How often a client spoke first, or after the server had spoken.
    trips: AtomicU64,
}

impl Link {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (delay, trips) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { server, delay, trips });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                accepting.serve(&client.unwrap());
            }
        });
        Self { address, shared }
    }

    fn delay(&self, round_trip: Duration) {
        let delay = u64::try_from(round_trip.as_micros()).unwrap() / 2;
        self.shared.delay.store(delay, Ordering::SeqCst);
    }

    fn counted(&self) -> u64 {
        self.shared.trips.swap(0, Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(self: &Arc<Self>, client: &TcpStream) {
        let server = TcpStream::connect(self.server).unwrap();
        let waits = Arc::new(AtomicBool::new(false));
        for (from, to, asks) in [(client, &server, true), (&server, client, false)] {
            to.set_nodelay(true).unwrap();
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let (shared, waits) = (Arc::clone(self), Arc::clone(&waits));
            thread::spawn(move || shared.carry(from, to, &waits, asks));
        }
    }

    /// Passes on what comes, each piece after its time; pieces are under way together.
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, waits: &AtomicBool, asks: bool) {
        let (sender, pieces) = channel::<(Instant, Vec<u8>)>();
        let writing = thread::spawn(move || {
            for (due, piece) in pieces {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if to.write_all(&piece).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Write);
        });
        let mut buffer = [0; 16 * 1024];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if asks && !waits.load(Ordering::SeqCst) {
                self.trips.fetch_add(1, Ordering::SeqCst);
            }
            waits.store(asks, Ordering::SeqCst);
            let delay = Duration::from_micros(self.delay.load(Ordering::SeqCst));
            if sender.send((Instant::now() + delay, buffer[..n].to_vec())).is_err() {
                break;
            }
        }
        drop(sender);
        let _ = writing.join();
    }
}

/// A console in a pseudo-terminal.
struct Console {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    screen: vt100::Parser,
    bytes: Receiver<Vec<u8>>,
}

impl Console {
    fn start(folder: &Path, url: &str) -> Self {
        let pair = native_pty_system().openpty(SIZE).unwrap();
        let mut command = CommandBuilder::new(program());
        command.env_clear();
        command.env("TERM", "xterm-256color");
        for (name, value) in settings(folder, url) {
            command.env(name, value);
        }
        command.cwd(folder);
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keys = pair.master.take_writer().unwrap();
        let (sender, bytes) = channel();
        thread::spawn(move || {
            // The terminal lives as long as it is read.
            let _master = pair.master;
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let (rows, columns) = (SIZE.rows.try_into().unwrap(), SIZE.cols.try_into().unwrap());
        Self { child, keys, screen: vt100::Parser::new(rows, columns, 0), bytes }
    }

    /// Types keys and waits until the screen is as it should be; says how long that took.
    fn until(&mut self, keys: &str, is: impl Fn(&str) -> bool) -> Duration {
        self.rest(Duration::ZERO);
        let since = Instant::now();
        self.keys.write_all(keys.as_bytes()).unwrap();
        while !is(&self.screen.screen().contents()) {
            let left = Duration::from_secs(60).saturating_sub(since.elapsed());
            let more = self.bytes.recv_timeout(left);
            let more = more.unwrap_or_else(|e| panic!("{e}:\n{}", self.screen.screen().contents()));
            self.screen.process(&more);
        }
        since.elapsed()
    }

    /// Lets what is under way end.
    fn rest(&mut self, time: Duration) {
        let since = Instant::now();
        while let Ok(more) = self.bytes.recv_timeout(time.saturating_sub(since.elapsed())) {
            self.screen.process(&more);
        }
    }

    /// Resident memory, in MB.
    fn memory(&self) -> f64 {
        let status = format!("/proc/{}/status", self.child.process_id().unwrap());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> String {
    let named = std::env::var("TENANTPILOT_BENCH_PROGRAM");
    named.unwrap_or(env!("CARGO_BIN_EXE_tenantpilot").to_owned())
}

fn settings(folder: &Path, url: &str) -> Vec<(String, String)> {
    let mut settings = vec![
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("TENANTPILOT_DATABASE_URL".to_owned(), url.to_owned()),
    ];
    for name in ["CONFIG", "DATA", "STATE"] {
        let dir = folder.join(name).display().to_string();
        settings.push((format!("TENANTPILOT_{name}_DIR"), dir));
    }
    settings
}

/// Runs a command to its end; gives what it wrote.
fn run(folder: &Path, url: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program());
    command.args(arguments).env_clear().envs(settings(folder, url)).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The accounts of a platform, as names and passwords.
fn platform(folder: &Path, url: &str) -> Vec<(String, String)> {
    let seeded = run(folder, url, &["seed", "--runs", "10000", "--json"], "");
    let seeded: Value = serde_json::from_str(&seeded).unwrap();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let accounts = seeded["accounts"].as_array().unwrap().iter();
    accounts.map(|one| (text(one, "username"), text(one, "password"))).collect()
}

fn administer(server: &str, statements: &[String]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(server).await.unwrap();
        for statement in statements {
            connection.execute(AssertSqlSafe(statement.clone())).await.unwrap();
        }
    });
}

/// Whether the list is there, and whether a run's page, and the overview.
fn list(screen: &str) -> bool {
    screen.contains("live") && screen.lines().any(|line| line.starts_with('▸'))
}

fn page(screen: &str) -> bool {
    screen.contains("timeline")
}

fn overview(screen: &str) -> bool {
    screen.contains("OFFENDERS") && screen.contains("success")
}

/// Times and round trips of all, once.
fn once(
    folder: &Path,
    direct: &str,
    url: &str,
    link: &Link,
    who: &(String, String),
) -> [(Duration, u64); 5] {
    let quiet = Duration::from_millis(1_500);
    let mut console = Console::start(folder, url);
    console.until("", |screen| screen.contains("Log in") && !screen.contains("connecting"));
    console.until(&format!("{}\t{}", who.0, who.1), |screen| screen.contains(&who.0));
    console.rest(quiet);
    let counted = |console: &mut Console, keys: &str, is: fn(&str) -> bool| {
        link.counted();
        let took = console.until(keys, is);
        let trips = link.counted();
        console.rest(quiet);
        (took, trips)
    };
    let login = counted(&mut console, "\r", list);
    let open = counted(&mut console, "\r", page);
    let look = counted(&mut console, "1", overview);
    drop(console);
    let command = || {
        link.counted();
        let since = Instant::now();
        run(folder, url, &["overview"], "");
        (since.elapsed(), link.counted())
    };
    administer(
        direct,
        &["update platform_sessions set last_active_at = last_active_at - interval '1 minute'"
            .to_owned()],
    );
    [login, open, look, command(), command()]
}

fn main() {
    let Some(server) =
        std::env::var("TENANTPILOT_BENCH_POSTGRES").ok().filter(|url| !url.is_empty())
    else {
        println!("TENANTPILOT_BENCH_POSTGRES is not set: nothing is measured");
        return;
    };
    let drop_it = format!("drop database if exists {DATABASE} with (force)");
    administer(&server, &[drop_it.clone(), format!("create database {DATABASE}")]);
    let (credentials, rest) = server.rsplit_once('@').unwrap();
    let host = rest.split('/').next().unwrap();
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:5432") };
    let link = Link::to(host.to_socket_addrs().unwrap().next().unwrap());
    let url = format!("{credentials}@{}/{DATABASE}", link.address);
    let direct = format!("{credentials}@{host}/{DATABASE}");
    let folder = TempDir::new().unwrap();
    let accounts = platform(folder.path(), &url);
    let (name, password) = &accounts[0];
    run(folder.path(), &url, &["login", name, "--password-file", "-"], password);
    println!(
        "{:<28} {:>8} {:>9} {:>9} {:>8} {:>6}",
        "", "RTT", "median s", "longest s", "aim s", "trips"
    );
    let mut turn = accounts.iter().cycle();
    for (rtt, aims) in LINKS {
        link.delay(Duration::from_millis(rtt));
        let all: Vec<_> = (0..TIMES)
            .map(|_| once(folder.path(), &direct, &url, &link, turn.next().unwrap()))
            .collect();
        for (n, what) in WHAT.iter().enumerate() {
            let mut took: Vec<_> = all.iter().map(|one| one[n]).collect();
            took.sort();
            let (median, longest) = (took[TIMES / 2], took[TIMES - 1]);
            let aim = if rtt == 0 { "-".to_owned() } else { format!("{:.2}", aims[n]) };
            println!(
                "{what:<28} {rtt:>5} ms {:>9.3} {:>9.3} {aim:>8} {:>6}",
                median.0.as_secs_f64(),
                longest.0.as_secs_f64(),
                median.1
            );
        }
    }
    link.delay(Duration::ZERO);
    let mut console = Console::start(folder.path(), &url);
    console.until("", |screen| screen.contains("Log in") && !screen.contains("connecting"));
    let (name, password) = turn.next().unwrap();
    console.until(&format!("{name}\t{password}\r"), list);
    let first = console.memory();
    console.rest(Duration::from_secs(60));
    println!(
        "resident memory of a console: {first:.1} MB after login, {:.1} MB a minute later",
        console.memory()
    );
    drop(console);
    administer(&server, &[drop_it]);
}
