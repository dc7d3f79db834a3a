//! Signals of a shell and of the system while a dialog is open (specs/042-terminal-input).

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tenantpilot::ops::Engine;

use super::program::Program;
use crate::support::stores::{PASSWORD, Store, block_on};

/// The question that stays open.
const DIALOG: &str = "change nothing";
/// A shell with job control that brings its job back once it is told to. It leaves the terminal
/// as shells do: with their own modes.
const SHELL: &str = "set -m; \"$0\"; echo IN-THE-SHELL; read go; stty sane; fg; echo \"CODE-$?\"";

fn scene() -> (Store, TempDir) {
    let store = block_on(async {
        let store = Store::new(Engine::Sqlite).await.with_scene().await;
        store.administrator().await;
        store
    });
    (store, TempDir::new().unwrap())
}

/// Opens the dialog before a run is cancelled.
fn open_dialog(program: &mut Program) {
    program.wait_for("Log in");
    program.type_in(&format!("administrator\t{PASSWORD}\r"));
    program.wait_for("active");
    program.wait_for("inventory.sync");
    program.type_in("jX");
    program.wait_for(DIALOG);
}

/// The keys reach the dialog, and it closes.
fn assert_alive(program: &mut Program) {
    program.wait_for(DIALOG);
    program.type_in("zebra");
    program.wait_for("zebra");
    assert!(!program.is_cooked(), "the terminal is the shell's");
    program.type_in("\u{1b}");
    program.wait_until("the list", |screen| !screen.contains(DIALOG));
}

fn ends_in_the_shell(program: &mut Program) {
    program.type_in("\u{3}");
    program.wait_for("CODE-0");
    program.ends_within(Duration::from_secs(5));
    program.assert_restored();
}

fn stops_and_comes_back(stop: impl Fn(&mut Program), restores: bool) {
    let (store, folder) = scene();
    let mut program = Program::shell(folder.path(), &store.url, SHELL);
    open_dialog(&mut program);
    stop(&mut program);
    program.wait_for("IN-THE-SHELL");
    if restores {
        program.assert_restored();
        assert!(program.is_cooked());
        assert!(!program.shown().contains(DIALOG), "{}", program.shown());
    }
    // Meanwhile somebody makes the window larger.
    program.resize(100, 30);
    program.send(b"\n");
    program.wait_until("the dialog at the new size", |screen| {
        screen.contains(DIALOG) && screen.lines().count() == 30
    });
    assert_alive(&mut program);
    ends_in_the_shell(&mut program);
}

#[test]
fn fr_042_005_a_stop_by_signal_restores_the_terminal_and_fg_draws_the_dialog_again() {
    stops_and_comes_back(|program| kill_process(program.foreground(), Signal::TSTP).unwrap(), true);
}

#[test]
fn fr_042_005_a_stop_by_key_restores_the_terminal_and_fg_draws_the_dialog_again() {
    stops_and_comes_back(|program| program.type_in("\u{1a}"), true);
}

/// No program hears of this one.
#[test]
fn fr_042_005_a_stop_that_cannot_be_heard_of_is_made_good_when_it_goes_on() {
    stops_and_comes_back(
        |program| kill_process(program.foreground(), Signal::STOP).unwrap(),
        false,
    );
}

/// A console that goes on in the background stops there again after a moment; `fg` may come in it.
#[test]
fn fr_042_005_fg_at_any_moment_after_a_sigcont_in_the_background_does_not_stop_it_again() {
    let (store, folder) = scene();
    let (url, folder) = (&store.url, folder.path());
    std::thread::scope(|scope| {
        for late in ["0.2", "0.46", "0.47", "0.48", "0.49", "0.5", "0.52", "0.7"] {
            scope.spawn(move || {
                let text = format!(
                    "set -m; \"$0\"; kill -CONT %1; sleep {late}; stty sane; fg; echo \"CODE-$?\""
                );
                let mut program = Program::shell(folder, url, &text);
                program.wait_for("Log in");
                kill_process(program.foreground(), Signal::STOP).unwrap();
                program.wait_for("Stopped");
                program.wait_until("the console", |screen| screen.contains("Log in"));
                program.type_in("zebra");
                program.wait_for("zebra");
                ends_in_the_shell(&mut program);
            });
        }
    });
}

#[test]
fn fr_042_005_going_on_without_a_shell_draws_everything_again() {
    let (store, folder) = scene();
    let mut program = Program::within(folder.path(), &store.url, &[]);
    open_dialog(&mut program);
    while program.read(Duration::from_millis(300)).is_ok() {}
    for signals in [&[Signal::CONT][..], &[Signal::STOP, Signal::CONT], &[Signal::TSTP]] {
        for signal in signals {
            program.signal(*signal);
        }
        let mut seen: Vec<u8> = Vec::new();
        while !seen.windows(4).any(|bytes| bytes == b"\x1b[2J") {
            seen.extend(program.read(Duration::from_secs(10)).unwrap());
        }
    }
    assert_alive(&mut program);
}

#[test]
fn fr_042_006_every_signal_to_end_restores_the_terminal_with_a_dialog_open() {
    let (store, folder) = scene();
    for (signal, code) in [
        (Signal::HUP, 129),
        (Signal::INT, 130),
        (Signal::QUIT, 131),
        (Signal::TERM, 143),
        (Signal::USR1, 138),
    ] {
        let mut program = Program::within(folder.path(), &store.url, &[]);
        open_dialog(&mut program);
        // The window changes at the same moment.
        program.resize(100, 30);
        program.signal(signal);
        assert_eq!(program.ends_within(Duration::from_secs(5)), code);
        program.assert_restored();
        assert!(program.is_cooked(), "{signal:?}");
    }
}

#[test]
fn fr_042_007_a_terminal_that_is_gone_ends_the_program_with_a_dialog_open() {
    let (store, folder) = scene();
    // `script` holds the terminal, so that its end takes it away.
    let mut program =
        Program::shell(folder.path(), &store.url, "exec script -qec \"$0\" /dev/null");
    open_dialog(&mut program);
    let console = descendant(program.id()).expect("a console");
    kill_process(program.id(), Signal::KILL).unwrap();
    let gone = Instant::now();
    while Path::new(&format!("/proc/{}", console.as_raw_nonzero())).exists() {
        assert!(gone.elapsed() < Duration::from_secs(2), "it is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn fr_042_006_a_terminal_that_takes_nothing_holds_no_signal_back() {
    let (store, folder) = scene();
    // Stuck in the last bytes of all, and in a frame before the signal comes.
    for key in ["", "j"] {
        let mut program = Program::within(folder.path(), &store.url, &[]);
        open_dialog(&mut program);
        program.takes_no_output();
        program.type_in(key);
        std::thread::sleep(Duration::from_millis(100));
        program.signal(Signal::TERM);
        assert_eq!(program.ends_within(Duration::from_secs(10)), 143, "{key:?}");
    }
}

/// What is typed while the terminal takes no output, one after another.
fn quits_without_output(url: &str, folder: &Path, typed: &[&[u8]]) {
    let mut program = Program::within(folder, url, &[]);
    open_dialog(&mut program);
    program.takes_no_output();
    for bytes in typed {
        program.send(bytes);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(program.ends_within(Duration::from_secs(4)), 0, "{typed:?}");
    assert!(program.is_cooked(), "{typed:?}");
}

#[test]
fn fr_042_003_ctrl_c_quits_where_the_terminal_takes_no_output() {
    let (store, folder) = scene();
    let flood = b"x".repeat(5_000);
    let cases: [&[&[u8]]; 5] = [
        // Nothing is to be written before the last bytes of all.
        &[b"\x03"],
        // Stuck in a frame, with more keys behind it, and in a paste without an end.
        &[b"j", b"\x03"],
        &[b"j", &flood, b"\x03"],
        &[b"j", b"\x1b[200~text", b"\x03"],
        &[b"j", b"\x03", b"\x03"],
    ];
    std::thread::scope(|scope| {
        for typed in cases {
            scope.spawn(|| quits_without_output(&store.url, folder.path(), typed));
        }
    });
}

#[test]
fn fr_042_003_ctrl_c_that_is_bound_to_something_else_does_not_quit() {
    let (store, folder) = scene();
    let keymaps = folder.path().join("CONFIG/keymaps");
    std::fs::create_dir_all(&keymaps).unwrap();
    let text =
        "inherits = \"default\"\n[global]\n\"ctrl-c\" = \"app.redraw\"\n\"f12\" = \"app.quit\"\n";
    std::fs::write(keymaps.join("mine.toml"), text).unwrap();
    let mut program = Program::within(folder.path(), &store.url, &["--keymap", "mine"]);
    open_dialog(&mut program);
    program.takes_no_output();
    program.send(b"\x03");
    std::thread::sleep(Duration::from_millis(300));
    program.send(b"\x03");
    program.signal(Signal::TERM);
    assert_eq!(program.ends_within(Duration::from_secs(10)), 143);
}

/// A shell that keeps the terminal in `modes`, and ends its stopped job once it is told to.
fn shell_with_modes(start: &str, modes: &str, signal: &str) -> String {
    format!(
        "set -m; {start}; job=$(jobs -p); {modes}; echo IN-THE-SHELL; read go; \
         kill -{signal} %1; kill -CONT %1 2>/dev/null; wait $job; echo \"CODE-$?\""
    )
}

fn shell_that_ends_its_job(start: &str, signal: &str) -> String {
    shell_with_modes(start, "stty sane", signal)
}

/// The shell reads on, and the job ends with `code`. `writes`: it leaves its screen then.
fn ends_in_the_background(program: &mut Program, code: u32, writes: bool) {
    program.send(b"\n");
    let wanted = format!("CODE-{code}");
    let until = Instant::now() + Duration::from_secs(10);
    let mut written = Vec::new();
    while !program.shown().contains(&wanted) {
        let left = until.saturating_duration_since(Instant::now());
        let more = program.read(left);
        written.extend(more.unwrap_or_else(|_| panic!("no {wanted}: {}", program.shown())));
    }
    assert_eq!(written.contains(&0x1b), writes, "{}", String::from_utf8_lossy(&written));
    assert!(program.is_cooked(), "{wanted}");
    assert_eq!(program.ends_within(Duration::from_secs(5)), 0);
    program.assert_restored();
}

/// `writes`: the stop leaves the screen to the shell as it is.
fn is_ended_in_the_background(stop: impl Fn(&mut Program) + Sync, writes: bool) {
    let (store, folder) = scene();
    // The shell's own modes, those with which it forbids writing, and none: the console's stay.
    let cases = [
        ("TERM", 143, "stty sane"),
        ("HUP", 129, "stty sane"),
        ("INT", 130, "stty sane tostop"),
        ("QUIT", 131, "stty sane tostop"),
        ("TERM", 143, "true"),
    ];
    std::thread::scope(|scope| {
        for (signal, code, modes) in cases {
            let (stop, url, folder) = (&stop, &store.url, folder.path());
            scope.spawn(move || {
                let text = shell_with_modes("\"$0\"", modes, signal);
                let mut program = Program::shell(folder, url, &text);
                open_dialog(&mut program);
                stop(&mut program);
                program.wait_for("IN-THE-SHELL");
                ends_in_the_background(&mut program, code, writes);
            });
        }
    });
}

#[test]
fn fr_042_006_a_console_that_a_key_stopped_is_ended_in_the_background() {
    is_ended_in_the_background(|program| program.type_in("\u{1a}"), false);
}

#[test]
fn fr_042_006_a_console_that_sigtstp_stopped_is_ended_in_the_background() {
    is_ended_in_the_background(
        |program| kill_process(program.foreground(), Signal::TSTP).unwrap(),
        false,
    );
}

#[test]
fn fr_042_006_a_screen_that_sigstop_left_is_left_from_the_background() {
    is_ended_in_the_background(
        |program| kill_process(program.foreground(), Signal::STOP).unwrap(),
        true,
    );
}

#[test]
fn fr_042_006_a_console_that_was_started_or_continued_in_the_background_is_ended_there() {
    let (store, folder) = scene();
    let stopped = "until jobs -s | grep -q .; do sleep 0.05; done";
    let text = shell_that_ends_its_job(&format!("\"$0\" & {stopped}"), "TERM");
    let mut program = Program::shell(folder.path(), &store.url, &text);
    program.wait_for("IN-THE-SHELL");
    ends_in_the_background(&mut program, 143, false);
    // Nothing of it is on the screen while it runs there, also where the shell forbids nothing.
    let start = format!("\"$0\"; kill -CONT %1; sleep 0.2; {stopped}");
    let mut program =
        Program::shell(folder.path(), &store.url, &shell_that_ends_its_job(&start, "TERM"));
    open_dialog(&mut program);
    program.type_in("\u{1a}");
    program.wait_for("IN-THE-SHELL");
    ends_in_the_background(&mut program, 143, false);
}

/// The last in the line of children of a process.
fn descendant(of: Pid) -> Option<Pid> {
    let parent_of = |id: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(1)?.parse::<i32>().ok()
    };
    let mut found = None;
    let mut parent = of.as_raw_nonzero().get();
    loop {
        let processes = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok);
        let names = processes.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let child = names
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .find(|name| parent_of(name) == Some(parent));
        let Some(child) = child.and_then(|name| name.parse().ok()) else { return found };
        parent = child;
        found = Pid::from_raw(child);
    }
}
