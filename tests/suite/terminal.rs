//! The terminal of a real process: signals, panics, suspension, hangup (specs/012-terminal).
//!
//! Each part needs a process of its own in a terminal of its own, so the test program starts
//! itself once more, with the name of the part to play.

use std::io::{self, Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::Signal;
use rustix::termios::{Action, LocalModes, tcflow};
use tenantpilot::term::local::{LocalEvents, SizeChanges};
use tenantpilot::term::signals::{EndSignals, JobSignals, exit_code};
use tenantpilot::term::{Modes, TerminalGuard};

const PART: &str = "TENANTPILOT_TEST_PART";

/// What the child process does. Ordinary runs of the suite find nothing to do here.
#[test]
fn part_in_a_terminal() {
    let Ok(part) = std::env::var(PART) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio");
    let code = runtime.block_on(play(&part));
    std::process::exit(i32::from(code));
}

async fn play(part: &str) -> u8 {
    use futures_util::StreamExt as _;
    let guard = TerminalGuard::new(io::stdout(), Modes { raw: true, mouse: true });
    guard.enter().expect("in");
    let mut crash = guard
        .install_panic_hook(Some("/var/log/the.log".into()), |text| text.replace("hunter2", "***"));
    let mut signals = EndSignals::listen_to_all().expect("signals");
    let mut jobs = JobSignals::listen().expect("signals");
    let exit = (part == "slow-quit").then(|| guard.exit());
    let mut events =
        LocalEvents::new(SizeChanges::listen().expect("signal"), true, Arc::default(), exit)
            .expect("events");
    let mut screen = guard.writer();
    screen.write_all(b"READY").expect("write");
    screen.flush().expect("flush");
    match part {
        "task-panic" => {
            tokio::spawn(async { panic!("password hunter2\x1b[2J\nsecond line") });
        }
        "suspend" => {
            jobs.suspend(&guard, &mut signals).await.expect("suspend");
            screen.write_all(b"AGAIN").expect("write");
            screen.flush().expect("flush");
        }
        "stuck-panic" => {
            tcflow(io::stdout(), Action::OOff).expect("no output");
            panic!("password hunter2");
        }
        "slow-quit" => {
            events.next().await.expect("an item").expect("ctrl-c");
            screen.write_all(b"QUITTING").expect("write");
            screen.flush().expect("flush");
            std::future::pending::<()>().await;
        }
        "main-panic" => panic!("password hunter2"),
        "hangup-ignored" => {
            // Listening and never looking is how a program ignores the signal.
            let error = events.next().await.expect("an item").expect_err("gone");
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            std::fs::write(std::env::var("WITNESS").expect("path"), "gone").expect("witness");
            return 9;
        }
        _ => {}
    }
    loop {
        tokio::select! {
            number = signals.received() => {
                guard.leave().expect("out");
                return exit_code(number);
            }
            () = crash.happened() => return 1,
            event = events.next() => {
                if let Some(Ok(event)) = event {
                    write!(screen, "[{event:?}]").expect("write");
                    screen.flush().expect("flush");
                }
            }
        }
    }
}

struct Child {
    master: Option<Box<dyn portable_pty::MasterPty + Send>>,
    process: Box<dyn portable_pty::Child + Send + Sync>,
    output: Arc<Mutex<Vec<u8>>>,
    /// Reads the terminal until nobody writes to it any more.
    reading: Option<JoinHandle<()>>,
}

impl Child {
    fn start(part: &str, witness: Option<&std::path::Path>) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("pty");
        let program = std::env::current_exe().expect("program");
        let mut command = if part == "suspend" {
            // Only a shell with job control can be come back to.
            let mut shell = CommandBuilder::new("sh");
            shell.args(["-c", "set -m; \"$0\" \"$@\"; echo IN-THE-SHELL; fg"]);
            shell.arg(program);
            shell
        } else {
            CommandBuilder::new(program)
        };
        command.args(["--exact", "terminal::part_in_a_terminal", "--nocapture"]);
        command.env(PART, part);
        command.env("TERM", "xterm-256color");
        if let Some(path) = witness {
            command.env("WITNESS", path);
        }
        let process = pair.slave.spawn_command(command).expect("start");
        let mut reader = pair.master.try_clone_reader().expect("reader");
        let output = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&output);
        // The reader is a copy of the master, so it has to end for the terminal to be gone.
        let mut buffer = [0; 4096];
        let reading = if part == "hangup-ignored" {
            while !text_of(&output).contains("READY") {
                let count = reader.read(&mut buffer).expect("read");
                sink.lock().expect("output").extend_from_slice(&buffer[..count]);
            }
            None
        } else {
            Some(std::thread::spawn(move || {
                while let Ok(count @ 1..) = reader.read(&mut buffer) {
                    sink.lock().expect("output").extend_from_slice(&buffer[..count]);
                }
            }))
        };
        let child = Self { master: Some(pair.master), process, output, reading };
        child.wait_for("READY");
        child
    }

    fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !text_of(&self.output).contains(text) {
            assert!(start.elapsed() < Duration::from_secs(10), "{text}: {}", text_of(&self.output));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends `signal` to whatever is in the terminal's foreground.
    fn signal(&self, signal: Signal) {
        let master = self.master.as_ref().expect("master");
        let id = master.process_group_leader().expect("leader");
        let pid = rustix::process::Pid::from_raw(id).expect("pid");
        rustix::process::kill_process(pid, signal).expect("kill");
    }

    fn exit(&mut self, within: Duration) -> u32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("wait") {
                return status.exit_code();
            }
            assert!(start.elapsed() < within, "still there: {}", text_of(&self.output));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Checks that the last word of the terminal's state is the ordinary one.
    fn assert_restored(&mut self) {
        let reading = self.reading.take().expect("a reader");
        reading.join().expect("all output");
        let output = self.output.lock().expect("output").clone();
        let mut parser = vt100::Parser::new(cells(24), cells(80), 0);
        parser.process(&output);
        let screen = parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        self.assert_cooked();
    }

    fn assert_cooked(&self) {
        let modes = self.master.as_ref().expect("master").get_termios().expect("termios");
        let cooked = (LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG).bits();
        assert_eq!(modes.local_flags.bits() & cooked, cooked, "raw mode is still on");
    }
}

impl Drop for Child {
    /// A test that fails must not leave a process behind.
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.process.kill();
        }
    }
}

fn text_of(output: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&output.lock().expect("output")).into_owned()
}

#[test]
fn fr_012_020_signals_to_end_restore_the_terminal_and_give_128_and_their_number() {
    for (signal, code) in [
        (Signal::TERM, 143),
        (Signal::INT, 130),
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
        (Signal::ALARM, 142),
        (Signal::USR1, 138),
        (Signal::USR2, 140),
    ] {
        let mut child = Child::start("wait", None);
        child.signal(signal);
        assert_eq!(child.exit(Duration::from_secs(5)), code);
        child.assert_restored();
    }
}

#[test]
fn fr_012_021_a_panic_restores_the_terminal_and_says_what_and_where() {
    for (part, code) in [("task-panic", 1), ("main-panic", 101)] {
        let mut child = Child::start(part, None);
        assert_eq!(child.exit(Duration::from_secs(5)), code, "{part}");
        child.wait_for("/var/log/the.log");
        child.assert_restored();
        let output = text_of(&child.output);
        let (_, message) = output.split_once("\x1b[?1049l").expect("left the screen");
        assert!(message.contains("tenantpilot stopped because of a bug at"), "{message}");
        assert!(message.contains("password ***") && !message.contains("hunter2"), "{message}");
        assert!(!message.contains("\x1b[2J"), "{message}");
    }
}

#[test]
fn fr_012_021_a_panic_ends_the_process_also_where_the_terminal_takes_no_output() {
    let mut child = Child::start("stuck-panic", None);
    assert_eq!(child.exit(Duration::from_secs(10)), 101);
    child.assert_cooked();
}

#[test]
fn fr_042_003_a_second_ctrl_c_ends_what_the_first_waits_for() {
    let mut child = Child::start("slow-quit", None);
    let mut keys = child.master.as_ref().expect("master").take_writer().expect("keys");
    keys.write_all(b"\x03").expect("first");
    child.wait_for("QUITTING");
    // What counts as one press has gone by.
    std::thread::sleep(Duration::from_millis(60));
    keys.write_all(b"\x03").expect("second");
    assert_eq!(child.exit(Duration::from_secs(5)), 0);
    drop(keys);
    child.assert_restored();
}

#[test]
fn fr_012_022_suspending_gives_the_shell_back_and_continuing_returns() {
    let mut child = Child::start("suspend", None);
    child.wait_for("IN-THE-SHELL");
    let output = text_of(&child.output);
    let (before, _) = output.split_once("IN-THE-SHELL").expect("shell");
    assert!(before.contains("\x1b[?1049l"), "the screen was left first");
    child.wait_for("AGAIN");
    let output = text_of(&child.output);
    let (_, after) = output.split_once("IN-THE-SHELL").expect("shell");
    assert!(after.contains("\x1b[?1049h"), "the screen was entered again: {after}");
    child.signal(Signal::TERM);
    assert_eq!(child.exit(Duration::from_secs(5)), 143);
    child.assert_restored();
}

#[test]
fn fr_012_023_a_terminal_that_is_gone_ends_the_events_within_two_seconds() {
    let directory = tempfile::tempdir().expect("directory");
    let witness = directory.path().join("witness");
    let mut child = Child::start("hangup-ignored", Some(&witness));
    child.master = None;
    assert_eq!(child.exit(Duration::from_secs(2)), 9);
    assert_eq!(std::fs::read_to_string(witness).expect("witness"), "gone");
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("not zero")
}
