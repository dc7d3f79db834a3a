//! The drawing backend, the guard and the signals: specs/012-terminal.

use std::io::{self, Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::Backend as _;
use ratatui::buffer::Cell;
use ratatui::layout::Position;
use ratatui::style::{Color, Modifier, Style};
use rustix::process::Signal;
use rustix::termios::LocalModes;
use tenantpilot::term::local::{LocalEvents, check_terminal};
use tenantpilot::term::signals::{EndSignals, exit_code, suspend};
use tenantpilot::term::{ColorSupport, Modes, SizedBackend, TerminalGuard};

/// A writer that a test can look into.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>, Arc<Mutex<usize>>);

impl Tape {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().expect("tape"))
    }

    fn writes(&self) -> usize {
        *self.1.lock().expect("tape")
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("tape").extend_from_slice(bytes);
        *self.1.lock().expect("tape") += 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Screen {
    terminal: Terminal<SizedBackend<Tape>>,
    parser: vt100::Parser,
    tape: Tape,
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("not zero")
}

impl Screen {
    fn new(width: u16, height: u16, colors: ColorSupport) -> Self {
        let tape = Tape::default();
        let backend = SizedBackend::new(tape.clone(), width, height, colors);
        Self {
            terminal: Terminal::new(backend).expect("terminal"),
            parser: vt100::Parser::new(cells(height), cells(width), 0),
            tape,
        }
    }

    /// Draws `lines`, each a list of styled pieces, and gives the bytes it took.
    fn draw(&mut self, lines: &[Vec<(String, Style)>], cursor: Option<(u16, u16)>) -> Vec<u8> {
        self.terminal
            .draw(|frame| {
                for (y, pieces) in (0u16..).zip(lines) {
                    let mut x = 0;
                    for (text, style) in pieces {
                        let (end, _) = frame.buffer_mut().set_stringn(x, y, text, 200, *style);
                        x = end;
                    }
                }
                if let Some(position) = cursor {
                    frame.set_cursor_position(position);
                }
            })
            .expect("draw");
        let bytes = self.tape.take();
        self.parser.process(&bytes);
        bytes
    }

    /// Compares what a terminal shows with what was drawn.
    fn check(&mut self, lines: &[Vec<(String, Style)>]) -> Result<(), TestCaseError> {
        let size = self.terminal.size().expect("size");
        let mut wanted =
            ratatui::buffer::Buffer::empty(ratatui::layout::Rect::from((Position::ORIGIN, size)));
        for (y, pieces) in (0u16..).zip(lines) {
            let mut x = 0;
            for (text, style) in pieces {
                (x, _) = wanted.set_stringn(x, y, text, 200, *style);
            }
        }
        for y in 0..size.height {
            let mut x = 0;
            while x < size.width {
                let cell = &wanted[(x, y)];
                let shown = self.parser.screen().cell(y, x).expect("cell");
                let text = if shown.has_contents() { shown.contents() } else { " " };
                prop_assert_eq!(text, cell.symbol(), "at {},{}", x, y);
                let has = |modifier| cell.modifier.contains(modifier);
                let seen = cell.symbol() != " ";
                prop_assert_eq!(shown.bgcolor(), color(cell.bg), "background at {},{}", x, y);
                prop_assert_eq!(shown.inverse(), has(Modifier::REVERSED), "at {},{}", x, y);
                prop_assert_eq!(shown.underline(), has(Modifier::UNDERLINED), "at {},{}", x, y);
                if seen {
                    prop_assert_eq!(shown.fgcolor(), color(cell.fg), "at {},{}", x, y);
                    prop_assert_eq!(shown.bold(), has(Modifier::BOLD), "bold at {},{}", x, y);
                    prop_assert_eq!(shown.dim(), has(Modifier::DIM), "dim at {},{}", x, y);
                    prop_assert_eq!(shown.italic(), has(Modifier::ITALIC), "at {},{}", x, y);
                }
                x += if shown.is_wide() { 2 } else { 1 };
            }
        }
        Ok(())
    }
}

fn color(color: Color) -> vt100::Color {
    match color {
        Color::Reset => vt100::Color::Default,
        Color::Red => vt100::Color::Idx(1),
        Color::LightBlue => vt100::Color::Idx(12),
        Color::Indexed(index) => vt100::Color::Idx(index),
        Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
        other => panic!("{other:?} is not used here"),
    }
}

fn plain(text: &str) -> Vec<(String, Style)> {
    vec![(text.to_owned(), Style::new())]
}

/// A list of runs whose selected row has a marker and a highlighted id.
fn list(selected: usize) -> Vec<Vec<(String, Style)>> {
    (0..30)
        .map(|row| {
            let mark = if row == selected { " ▸ " } else { "   " };
            let style = if row == selected {
                Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED)
            } else {
                Style::new()
            };
            let failed = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
            vec![
                (mark.to_owned(), style),
                (format!("{}", 10480 - row), style),
                ("  09:41:02  findings.lifecycle_backfill  ".to_owned(), Style::new()),
                ("✗ failed".to_owned(), failed),
            ]
        })
        .collect()
}

#[test]
fn fr_012_001_a_frame_without_a_change_writes_nothing() {
    let mut screen = Screen::new(120, 40, ColorSupport::True);
    assert!(!screen.draw(&list(3), None).is_empty());
    let writes = screen.tape.writes();
    for _ in 0..10 {
        assert_eq!(screen.draw(&list(3), None), b"");
    }
    assert!(!screen.draw(&list(3), Some((4, 4))).is_empty());
    assert_eq!(screen.draw(&list(3), Some((4, 4))), b"");
    assert_eq!(screen.tape.writes(), writes + 1);
}

#[test]
fn fr_012_002_a_frame_is_one_write() {
    let mut screen = Screen::new(120, 40, ColorSupport::True);
    screen.draw(&list(0), Some((2, 2)));
    assert_eq!(screen.tape.writes(), 1);
    screen.draw(&list(7), None);
    assert_eq!(screen.tape.writes(), 2);
    assert_eq!(screen.terminal.backend().frames_written(), 2);
}

#[test]
fn fr_012_003_a_cursor_move_over_two_rows_takes_less_than_100_bytes() {
    let mut screen = Screen::new(120, 40, ColorSupport::Ansi256);
    screen.draw(&list(3), None);
    for row in 4..20 {
        let before = screen.terminal.backend().bytes_written();
        let bytes = screen.draw(&list(row), None);
        assert!(bytes.len() < 100, "{}: {:?}", bytes.len(), String::from_utf8_lossy(&bytes));
        assert_eq!(screen.terminal.backend().bytes_written() - before, bytes.len() as u64);
        screen.check(&list(row)).expect("same");
    }
}

#[test]
fn fr_012_004_the_size_is_what_it_was_told() {
    let mut screen = Screen::new(40, 5, ColorSupport::True);
    screen.draw(&[plain("one"), plain("two")], None);
    screen.terminal.backend_mut().resize(20, 3);
    screen.parser.screen_mut().set_size(cells(3), cells(20));
    assert_eq!(screen.terminal.size().expect("size"), (20, 3).into());
    screen.draw(&[plain("one"), plain("two")], None);
    screen.check(&[plain("one"), plain("two")]).expect("same");
}

#[test]
fn fr_012_005_synchronized_output_wraps_only_frames_that_draw() {
    let tape = Tape::default();
    let backend = SizedBackend::new(tape.clone(), 20, 3, ColorSupport::True).synchronized(true);
    let mut terminal = Terminal::new(backend).expect("terminal");
    terminal.draw(|frame| frame.render_widget("hello", frame.area())).expect("draw");
    let bytes = tape.take();
    assert!(bytes.starts_with(b"\x1b[?2026h") && bytes.ends_with(b"\x1b[?2026l"));
    terminal.draw(|frame| frame.render_widget("hello", frame.area())).expect("draw");
    assert_eq!(tape.take(), b"");
}

#[test]
fn fr_012_006_no_colour_leaves_only_modifiers() {
    let mut screen = Screen::new(80, 4, ColorSupport::None);
    let style = Style::new().fg(Color::Red).bg(Color::Rgb(1, 2, 3)).add_modifier(Modifier::BOLD);
    let bytes = screen.draw(&[vec![("failed".to_owned(), style)]], None);
    let cell = screen.parser.screen().cell(0, 0).expect("cell");
    assert!(cell.bold());
    assert_eq!((cell.fgcolor(), cell.bgcolor()), (vt100::Color::Default, vt100::Color::Default));
    assert!(!String::from_utf8_lossy(&bytes).contains("38;"));
}

#[test]
fn fr_012_007_control_characters_never_pass() {
    let mut screen = Screen::new(20, 2, ColorSupport::True);
    let drawn = ["\x1b[2J", "\x07", "\u{9b}", "\r", "a\x1b"].map(|symbol| {
        let mut cell = Cell::default();
        cell.set_symbol(symbol);
        cell
    });
    let backend = screen.terminal.backend_mut();
    backend.draw((0u16..).zip(&drawn).map(|(x, cell)| (x, 0, cell))).expect("draw");
    backend.flush().expect("flush");
    let text = String::from_utf8(screen.tape.take()).expect("utf-8");
    assert!(text.contains('\u{fffd}'), "{text:?}");
    for forbidden in ["\x1b[2J", "\x07", "\u{9b}", "\r", "a"] {
        assert!(!text.contains(forbidden), "{forbidden:?} in {text:?}");
    }
}

fn style() -> impl Strategy<Value = Style> {
    let color = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Color::Red)),
        1 => Just(Some(Color::LightBlue)),
        1 => Just(Some(Color::Indexed(200))),
        1 => Just(Some(Color::Rgb(1, 200, 3))),
    ];
    let modifiers = prop_oneof![
        Just(Modifier::empty()),
        Just(Modifier::BOLD),
        Just(Modifier::BOLD | Modifier::REVERSED),
        Just(Modifier::UNDERLINED | Modifier::ITALIC),
        Just(Modifier::DIM),
        Just(Modifier::DIM | Modifier::ITALIC),
    ];
    (color.clone(), color, modifiers).prop_map(|(fg, bg, modifier)| {
        let style = Style { fg, bg, ..Style::new() };
        style.add_modifier(modifier)
    })
}

fn frame() -> impl Strategy<Value = Vec<Vec<(String, Style)>>> {
    let text = "[a-c ]{0,9}|[ ]{1,30}|[▸✗│é]{1,3}|(日本|e\u{301}|ab){1,3}";
    let line = prop::collection::vec((text, style()), 0..5);
    prop::collection::vec(line, 6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn fr_012_008_the_bytes_reproduce_every_frame(
        frames in prop::collection::vec(frame(), 1..6),
        cursor in prop::option::of((0u16..24, 0u16..6)),
    ) {
        let mut screen = Screen::new(24, 6, ColorSupport::True);
        for lines in &frames {
            screen.draw(lines, cursor);
            screen.check(lines)?;
            let shown = screen.parser.screen();
            prop_assert_eq!(shown.hide_cursor(), cursor.is_none());
            if let Some((x, y)) = cursor {
                prop_assert_eq!(shown.cursor_position(), (y, x));
            }
        }
    }
}

#[test]
fn fr_012_010_leaving_undoes_everything_once() {
    let tape = Tape::default();
    let guard = TerminalGuard::enter(tape.clone(), Modes { raw: false, mouse: true }).expect("in");
    let mut parser = vt100::Parser::new(cells(10), cells(40), 0);
    let entered = tape.take();
    parser.process(&entered);
    assert!(parser.screen().alternate_screen() && parser.screen().hide_cursor());
    assert!(parser.screen().bracketed_paste());
    assert_ne!(parser.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    assert!(String::from_utf8_lossy(&entered).contains("\x1b[?1004h"));

    guard.leave().expect("out");
    let left = tape.take();
    parser.process(&left);
    assert!(!parser.screen().alternate_screen() && !parser.screen().hide_cursor());
    assert!(!parser.screen().bracketed_paste());
    assert_eq!(parser.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    assert!(String::from_utf8_lossy(&left).contains("\x1b[?1004l"));

    guard.leave().expect("out again");
    drop(guard);
    assert_eq!(tape.take(), b"");
}

#[test]
fn fr_012_011_nothing_is_drawn_while_the_screen_is_left() {
    let tape = Tape::default();
    let guard = TerminalGuard::enter(tape.clone(), Modes::default()).expect("in");
    let mut writer = guard.writer();
    tape.take();
    writer.write_all(b"frame").expect("write");
    assert_eq!(tape.take(), b"frame");
    guard.leave().expect("out");
    tape.take();
    writer.write_all(b"late frame").expect("write");
    assert_eq!(tape.take(), b"");
    guard.reenter().expect("in again");
    assert!(!tape.take().is_empty());
    writer.write_all(b"frame").expect("write");
    drop(guard);
    assert!(tape.take().starts_with(b"frame\x1b"));
}

#[test]
fn fr_012_012_without_a_terminal_the_error_names_another_command() {
    let check = |stdin, stdout, term| check_terminal(stdin, stdout, term, "tenantpilot runs list");
    assert!(check(true, true, Some("xterm")).is_ok());
    assert!(check(true, true, None).is_ok());
    for (stdin, stdout, term, word) in [
        (false, true, Some("xterm"), "input"),
        (true, false, Some("xterm"), "output"),
        (true, true, Some("dumb"), "dumb"),
    ] {
        let error = check(stdin, stdout, term).expect_err("refused");
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains(word) && text.contains("tenantpilot runs list"), "{text}");
    }
}

// What follows needs a process of its own, in a terminal of its own: the test program
// starts itself once more, with the name of the part to play.

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
    let guard = TerminalGuard::enter(io::stdout(), Modes { raw: true, mouse: true }).expect("in");
    let mut crash = guard
        .install_panic_hook(Some("/var/log/the.log".into()), |text| text.replace("hunter2", "***"));
    let mut signals = EndSignals::listen().expect("signals");
    let mut events = LocalEvents::new().expect("events");
    let mut screen = guard.writer();
    screen.write_all(b"READY").expect("write");
    screen.flush().expect("flush");
    match part {
        "task-panic" => {
            tokio::spawn(async { panic!("password hunter2\x1b[2J\nsecond line") });
        }
        "suspend" => {
            suspend(&guard).await.expect("suspend");
            screen.write_all(b"AGAIN").expect("write");
            screen.flush().expect("flush");
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
}

impl Child {
    fn start(part: &str, witness: Option<&std::path::Path>) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("pty");
        let program = std::env::current_exe().expect("program");
        let mut command = if part == "suspend" {
            // Only a shell with job control can be come back to.
            let mut shell = CommandBuilder::new("sh");
            shell.args(["-c", "set -m; \"$0\" \"$@\"; echo IN-THE-SHELL; sleep 0.2; fg"]);
            shell.arg(program);
            shell
        } else {
            CommandBuilder::new(program)
        };
        command.args(["--exact", "backend::part_in_a_terminal", "--nocapture"]);
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
        if part == "hangup-ignored" {
            while !text_of(&output).contains("READY") {
                let count = reader.read(&mut buffer).expect("read");
                sink.lock().expect("output").extend_from_slice(&buffer[..count]);
            }
        } else {
            std::thread::spawn(move || {
                while let Ok(count @ 1..) = reader.read(&mut buffer) {
                    sink.lock().expect("output").extend_from_slice(&buffer[..count]);
                }
            });
        }
        let child = Self { master: Some(pair.master), process, output };
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
    fn assert_restored(&self) {
        let output = self.output.lock().expect("output").clone();
        let mut parser = vt100::Parser::new(cells(24), cells(80), 0);
        parser.process(&output);
        let screen = parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        let modes = self.master.as_ref().expect("master").get_termios().expect("termios");
        let cooked = (LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG).bits();
        assert_eq!(modes.local_flags.bits() & cooked, cooked, "raw mode is still on");
    }
}

fn text_of(output: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&output.lock().expect("output")).into_owned()
}

#[test]
fn fr_012_020_signals_to_end_restore_the_terminal_and_give_128_and_their_number() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
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
