//! A PostgreSQL of the harness's own, which it may crash. A server that was running before is
//! never looked at.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tempfile::TempDir;

use crate::support::stores::block_on;

/// How long a server may take to start, crash recovery included.
const PATIENCE: Duration = Duration::from_secs(90);

/// The cluster; gone with its files when dropped.
pub struct Cluster {
    programs: PathBuf,
    /// The account that the server runs as, where the harness is root.
    account: Option<(u32, u32)>,
    password: String,
    port: u16,
    server: Option<Child>,
    scratch: TempDir,
}

impl Cluster {
    /// Makes a cluster and starts its server.
    pub fn start() -> Self {
        Self::start_with("", &[])
    }

    /// The same with more settings, and with files in its data directory.
    pub fn start_with(more: &str, files: &[(&str, &[u8])]) -> Self {
        let cluster = Self::empty(format!("{:032x}", rand::rng().random::<u128>()));
        let file = cluster.scratch.path().join("password");
        fs::write(&file, &cluster.password).unwrap();
        cluster.own(&file);
        let made = cluster
            .command("initdb")
            .args(["-U", "postgres", "--auth=scram-sha-256", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C.UTF-8"])
            .arg(format!("--pwfile={}", file.display()))
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        // Writes reach the operating system, which no signal crashes; so nothing is lost by
        // not waiting for the disk.
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n\
             max_connections = 200\nshared_buffers = 64MB\nfsync = off\n{more}\n",
            cluster.scratch.path().display()
        );
        let conf = cluster.data().join("postgresql.conf");
        let all = fs::read_to_string(&conf).unwrap() + &settings;
        fs::write(&conf, all).unwrap();
        for (name, content) in files {
            cluster.put(name, content);
        }
        cluster.serve()
    }

    /// A standby that follows it, as a server of its own.
    pub fn standby(&self) -> Self {
        let standby = Self::empty(self.password.clone());
        // Not every package of a server's programs has it.
        if standby.programs.join("pg_basebackup").is_file() {
            let copied = standby
                .command("pg_basebackup")
                .args(["-R", "--checkpoint=fast", "--no-sync", "-d"])
                .arg(self.url("postgres", "postgres"))
                .output()
                .unwrap();
            assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        } else {
            self.copy_to(&standby);
        }
        standby.serve()
    }

    /// What `pg_basebackup` does.
    fn copy_to(&self, standby: &Self) {
        let (from, to) = (self.data(), standby.data());
        let copy = async {
            let url = self.url("postgres", "postgres");
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let start = "select pg_backup_start('standby', true)";
            connection.execute(start).await.unwrap();
            let copied = standby.as_server("cp").arg("-a").arg(&from).arg(&to).status().unwrap();
            assert!(copied.success());
            fs::remove_file(to.join("postmaster.pid")).unwrap();
            let stop = "select labelfile from pg_backup_stop(false)";
            let label: String = connection.fetch_one(stop).await.unwrap().get(0);
            standby.put("backup_label", label.as_bytes());
        };
        // In a thread of its own: a test may be in a runtime already.
        std::thread::scope(|scope| scope.spawn(|| block_on(copy)).join()).unwrap();
        standby.put("standby.signal", b"");
        let source = format!("primary_conninfo = '{}'\n", self.url("postgres", "postgres"));
        standby.put("postgresql.auto.conf", source.as_bytes());
    }

    /// One without files.
    fn empty(password: String) -> Self {
        let account = geteuid().is_root().then(|| account("postgres"));
        let scratch = tempfile::Builder::new().prefix("tenantpilot-faults.").tempdir_in(place());
        let scratch = scratch.unwrap();
        let own = Self { programs: programs(), account, password, port: 0, server: None, scratch };
        own.own(own.scratch.path());
        own
    }

    /// Starts its server on some port.
    fn serve(mut self) -> Self {
        for _ in 0..8 {
            self.port = rand::rng().random_range(20_000..32_000);
            if TcpListener::bind(("127.0.0.1", self.port)).is_ok() && self.launch() {
                return self;
            }
        }
        panic!("the server did not start: {}", self.log());
    }

    /// Gives a file to the account that the server runs as.
    fn own(&self, path: &Path) {
        if let Some((user, group)) = self.account {
            std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its socket.
    pub fn socket_folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The address of a database, as the administrator or as another role with the same
    /// password.
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Writes a file into its data directory, readable by the server only.
    pub fn put(&self, name: &str, content: &[u8]) {
        let path = self.data().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.own(&path);
    }

    /// The password of its roles.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// All that the server has logged.
    pub fn said(&self) -> String {
        fs::read_to_string(self.scratch.path().join("server.log")).unwrap()
    }

    /// What the server's processes have used of the processors so far.
    pub fn used(&self) -> Used {
        let server = self.server.as_ref().unwrap().id();
        let mut used = Used { ended: times(server).unwrap().1, ..Used::default() };
        for child in children_of(server) {
            // One that has ended since is among the ended ones the next time.
            let Some((time, _)) = times(child) else { continue };
            used.each.insert(child, time);
            let line = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
            used.connections += usize::from(line.contains(" 127.0.0.1("));
        }
        used
    }

    /// Kills the server: the postmaster, then every process it had.
    pub fn crash(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let children = children_of(server.id());
        server.kill().unwrap();
        server.wait().unwrap();
        for child in children {
            // One that noticed by itself is gone already; its number may be somebody else's.
            let line = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            if line.starts_with(b"postgres:")
                && let Some(pid) = i32::try_from(child).ok().and_then(Pid::from_raw)
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Starts the server after a crash; it recovers from its log.
    pub fn restart(&mut self) {
        let started = Instant::now();
        // What a dying process still holds of the shared memory keeps the next server out.
        while !self.launch() {
            assert!(started.elapsed() < PATIENCE, "no restart after a crash: {}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts the server; false if it ended before it was ready.
    fn launch(&mut self) -> bool {
        let path = self.scratch.path().join("server.log");
        let log = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        let mut command = self.command("postgres");
        command.args(["-p", &self.port.to_string()]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut server = command.spawn().unwrap();
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if server.try_wait().unwrap().is_some() {
                return false;
            }
            let pid_file = fs::read_to_string(self.data().join("postmaster.pid"));
            let lines: Vec<String> =
                pid_file.unwrap_or_default().lines().map(|line| line.trim().to_owned()).collect();
            let own = lines.first().is_some_and(|pid| *pid == server.id().to_string());
            if own && lines.get(7).is_some_and(|status| status == "ready") {
                self.server = Some(server);
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = server.kill();
        let _ = server.wait();
        false
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.as_server(self.programs.join(program));
        command.arg("-D").arg(self.data());
        command
    }

    /// A program as the account that the server runs as.
    fn as_server(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .stdin(Stdio::null());
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    fn log(&self) -> String {
        let log = self.said();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.crash();
    }
}

/// What a server's processes have used of the processors.
#[derive(Default)]
pub struct Used {
    /// Each that is there.
    pub each: BTreeMap<u32, Duration>,
    /// All that have ended.
    ended: Duration,
    /// How many of them serve a connection.
    pub connections: usize,
}

impl Used {
    /// All together.
    pub fn all(&self) -> Duration {
        self.ended + self.each.values().sum::<Duration>()
    }
}

/// Memory if there is any to spare: the server writes a lot.
fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let spare = rustix::fs::statvfs(memory).is_ok_and(|s| s.f_bavail * s.f_frsize > 1 << 30);
    if spare { memory.to_owned() } else { std::env::temp_dir() }
}

/// The server's programs that are named, or else the newest ones; Debian keeps them out of the PATH.
fn programs() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.reverse();
    let named = std::env::var_os("TENANTPILOT_TEST_PG_BIN").map(PathBuf::from);
    named
        .into_iter()
        .chain(found.into_iter().map(|(_, folder)| folder))
        .chain(std::env::split_paths(&path))
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .expect("PostgreSQL's server programs are needed: run tests/run, which installs them")
}

/// User and group number of an account.
fn account(name: &str) -> (u32, u32) {
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name));
    let mut fields = line.expect("the account \"postgres\" exists").split(':').skip(2);
    let mut number = || fields.next().unwrap().parse().unwrap();
    (number(), number())
}

/// What a process has used of the processors, and what its children had that have ended.
fn times(pid: u32) -> Option<(Duration, Duration)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // Linux counts them in hundredths of a second.
    let ticks = |at: usize| Some(Duration::from_millis(10 * fields.get(at)?.parse::<u64>().ok()?));
    Some((ticks(11)? + ticks(12)?, ticks(13)? + ticks(14)?))
}

/// The processes whose parent is `pid`.
fn children_of(pid: u32) -> Vec<u32> {
    let parent = |stat: &str| -> Option<u32> {
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|child: &u32| {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            parent(&stat) == Some(pid)
        })
        .collect()
}
