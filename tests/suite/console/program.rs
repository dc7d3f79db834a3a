//! The real program on a pseudo-terminal, in front of a database that does not answer: the
//! console has to be there first, and to leave whatever the database does.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::LocalModes;
use tempfile::TempDir;
use tenantpilot::ops::Engine;

use crate::support::proxy::Proxy;
use crate::support::stores::{Store, block_on};

pub(super) const SIZE: PtySize = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };

/// The program in a terminal.
pub(super) struct Program {
    child: Box<dyn Child + Send + Sync>,
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Box<dyn Write + Send>,
    screen: vt100::Parser,
    bytes: Receiver<Vec<u8>>,
    /// How many bytes the terminal takes in a second; 0 where it takes all.
    pub(super) speed: Arc<AtomicUsize>,
    /// In what parts it answers `CSI 5 n`, and how often it was asked.
    pub(super) status: &'static [&'static [u8]],
    pub(super) asked: usize,
    /// What may be the beginning of one.
    tail: Vec<u8>,
    folder: Option<TempDir>,
}

/// What asks a terminal for its status.
const ASKS: &[u8] = b"\x1b[5n";

impl Program {
    /// Opens the console on `url`.
    pub(super) fn start(url: &str) -> Self {
        Self::with(url, &[])
    }

    fn with(url: &str, arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut program = Self::within(folder.path(), url, arguments);
        program.folder = Some(folder);
        program
    }

    /// Opens the console of another build of the program.
    pub(super) fn of(binary: &str, url: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let mut program = Self::under(CommandBuilder::new(binary), folder.path(), url);
        program.folder = Some(folder);
        program
    }

    /// Runs with its files in `folder`.
    pub(super) fn within(folder: &Path, url: &str, arguments: &[&str]) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tenantpilot"));
        command.args(arguments);
        Self::under(command, folder, url)
    }

    /// Runs a command that finds the program as `$0`, in a terminal of its own.
    pub(super) fn shell(folder: &Path, url: &str, text: &str) -> Self {
        let mut command = CommandBuilder::new("/bin/bash");
        command.args(["-c", text, env!("CARGO_BIN_EXE_tenantpilot")]);
        Self::under(command, folder, url)
    }

    fn under(mut command: CommandBuilder, folder: &Path, url: &str) -> Self {
        let pair = native_pty_system().openpty(SIZE).unwrap();
        command.env_clear();
        command.env("PATH", std::env::var("PATH").unwrap());
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        if !url.is_empty() {
            command.env("TENANTPILOT_DATABASE_URL", url);
        }
        for name in ["CONFIG", "DATA", "STATE"] {
            command.env(format!("TENANTPILOT_{name}_DIR"), folder.join(name));
        }
        command.cwd(folder);
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keys = pair.master.take_writer().unwrap();
        let (sender, bytes) = channel();
        let speed = Arc::new(AtomicUsize::new(0));
        let speed_now = Arc::clone(&speed);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            let part = |speed: usize| if speed == 0 { 4096 } else { (speed / 20).max(1) };
            while let Ok(n @ 1..) = reader.read(&mut buffer[..part(speed_now.load(SeqCst))]) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
                // What was read takes its time on the line.
                let mut left = n;
                while let (1.., speed @ 1..) = (left, speed_now.load(SeqCst)) {
                    std::thread::sleep(Duration::from_millis(50));
                    left = left.saturating_sub(part(speed));
                }
            }
        });
        let screen = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
        Self {
            child,
            master: Some(pair.master),
            keys,
            screen,
            bytes,
            speed,
            status: &[],
            asked: 0,
            tail: Vec::new(),
            folder: None,
        }
    }

    /// Reads until the screen shows `text`.
    pub(super) fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |screen| screen.contains(text));
    }

    /// Reads until the screen is as it should be; `what` says how.
    pub(super) fn wait_until(&mut self, what: &str, is: impl Fn(&str) -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !is(&self.shown()) {
            let left = until.saturating_duration_since(Instant::now());
            if let Err(error) = self.read(left) {
                panic!("{error}: no {what:?} on\n{}", self.shown());
            }
        }
    }

    /// Takes what the program wrote next.
    pub(super) fn read(&mut self, limit: Duration) -> Result<Vec<u8>, RecvTimeoutError> {
        let more = self.bytes.recv_timeout(limit)?;
        self.screen.process(&more);
        self.tail.extend_from_slice(&more);
        let asks = self.tail.windows(ASKS.len()).filter(|bytes| *bytes == ASKS).count();
        self.tail.drain(..self.tail.len().saturating_sub(ASKS.len() - 1));
        self.asked += asks;
        for part in self.status.repeat(asks) {
            self.send(part);
            std::thread::sleep(Duration::from_millis(if self.status.len() > 1 { 100 } else { 0 }));
        }
        Ok(more)
    }

    /// What the terminal shows.
    pub(super) fn shown(&self) -> String {
        self.screen.screen().contents()
    }

    pub(super) fn type_in(&mut self, text: &str) {
        self.send(text.as_bytes());
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.keys.write_all(bytes).unwrap();
    }

    /// Whether the terminal shows what is typed, as it does in a shell.
    pub(super) fn is_cooked(&self) -> bool {
        let modes = self.master.as_ref().unwrap().get_termios().unwrap();
        let cooked = (LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG).bits();
        modes.local_flags.bits() & cooked == cooked
    }

    /// Whoever is in the terminal's foreground.
    pub(super) fn foreground(&self) -> Pid {
        let leader = self.master.as_ref().unwrap().process_group_leader().unwrap();
        Pid::from_raw(leader).unwrap()
    }

    pub(super) fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.process_id().unwrap()).unwrap()).unwrap()
    }

    /// From here on the terminal takes no output, as after ctrl-s.
    pub(super) fn takes_no_output(&self) {
        let name = self.master.as_ref().unwrap().tty_name().unwrap();
        let terminal = std::fs::File::open(name).unwrap();
        rustix::termios::tcflow(terminal, rustix::termios::Action::OOff).unwrap();
    }

    pub(super) fn resize(&mut self, cols: u16, rows: u16) {
        self.master.as_ref().unwrap().resize(PtySize { rows, cols, ..SIZE }).unwrap();
        let size = (rows.try_into().unwrap(), cols.try_into().unwrap());
        self.screen.screen_mut().set_size(size.0, size.1);
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).unwrap();
    }

    /// The exit code, if the program ends in time; what it wrote last is on the screen then.
    pub(super) fn ends_within(&mut self, limit: Duration) -> u32 {
        let start = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.exit_code();
            }
            assert!(start.elapsed() < limit, "still there after {limit:?}");
            std::thread::sleep(Duration::from_millis(5));
        };
        while let Ok(more) = self.bytes.recv_timeout(Duration::from_millis(200)) {
            self.screen.process(&more);
        }
        code
    }

    pub(super) fn assert_restored(&self) {
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
        }
    }
}

/// A database that accepts connections and says nothing.
fn silent() -> (Store, Proxy) {
    let store = block_on(Store::new(Engine::Postgres));
    let proxy = Proxy::start(&store.url);
    proxy.pause();
    (store, proxy)
}

#[test]
fn fr_005_032_the_first_frame_comes_before_the_first_answer_and_quitting_does_not_wait() {
    let (store, proxy) = silent();
    let mut program = Program::start(&proxy.url(&store.url));
    program.wait_for("Log in");
    assert!(program.screen.screen().contents().contains("connecting"));
    program.type_in("\u{3}");
    assert_eq!(program.ends_within(Duration::from_secs(2)), 0);
    program.assert_restored();
}

#[test]
fn fr_005_037_a_flood_of_keys_never_shuts_out_the_one_after_it() {
    let (store, proxy) = silent();
    let mut program = Program::start(&proxy.url(&store.url));
    program.wait_for("Log in");
    // Text that is pasted into a terminal without bracketed paste, and then ctrl-c. The terminal
    // takes a part at a time, so it is written beside.
    let mut keys = std::mem::replace(&mut program.keys, Box::new(std::io::sink()));
    let typing = std::thread::spawn(move || {
        keys.write_all("pasted text ".repeat(2_000).as_bytes()).unwrap();
        keys.write_all(b"\x03").unwrap();
        keys
    });
    assert_eq!(program.ends_within(Duration::from_secs(60)), 0);
    program.assert_restored();
    drop(typing.join());
}

#[test]
fn fr_005_033_signals_restore_the_terminal_and_end_with_128_and_their_number() {
    let (store, proxy) = silent();
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut program = Program::start(&proxy.url(&store.url));
        program.wait_for("Log in");
        program.signal(signal);
        assert_eq!(program.ends_within(Duration::from_secs(2)), code);
        program.assert_restored();
    }
}

#[test]
fn fr_005_034_the_program_follows_the_terminals_size_and_ends_with_it() {
    let (store, proxy) = silent();
    let mut program = Program::start(&proxy.url(&store.url));
    program.wait_for("Log in");
    program.master.as_ref().unwrap().resize(PtySize { rows: 10, cols: 40, ..SIZE }).unwrap();
    program.wait_for("40x10 is too small");
    program.master.as_ref().unwrap().resize(SIZE).unwrap();
    program.wait_for("Log in");
    // The kernel hangs up when the master closes; the reading thread holds a copy of it, so
    // the hangup itself is sent.
    program.signal(Signal::HUP);
    drop(program.master.take());
    assert_eq!(program.ends_within(Duration::from_secs(2)), 129);
}

#[test]
fn fr_008_012_the_demo_makes_its_platform_tells_its_accounts_and_spares_other_files() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap();
    // The second time finds the platform of the first, the third makes it anew.
    for more in [&["--no-traffic"][..], &[], &["--reset", "--no-traffic"]] {
        let arguments: Vec<&str> = ["demo", "--dir", dir].iter().chain(more).copied().collect();
        let mut program = Program::with("", &arguments);
        program.wait_for("Demo accounts");
        program.type_in("operator\tdemo-pilot\r");
        program.wait_for("failed in 24 h");
        program.wait_for("active");
        program.type_in("q");
        assert_eq!(program.ends_within(Duration::from_secs(5)), 0);
        program.assert_restored();
    }
    let file = folder.path().join("demo.db");
    std::fs::write(&file, "not a demo, but somebody's notes").unwrap();
    let mut program = Program::with("", &["demo", "--dir", dir, "--reset"]);
    assert_ne!(program.ends_within(Duration::from_secs(5)), 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a demo, but somebody's notes");
}
