//! The drawing backend and the guard, in memory: specs/012-terminal.

use std::io::{self, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::Backend as _;
use ratatui::buffer::Cell;
use ratatui::layout::Position;
use ratatui::style::{Color, Modifier, Style};
use tenantpilot::term::local::check_terminal;
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
    let guard = TerminalGuard::new(tape.clone(), Modes { raw: false, mouse: true });
    guard.enter().expect("in");
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
    let guard = TerminalGuard::new(tape.clone(), Modes::default());
    guard.enter().expect("in");
    let mut writer = guard.writer();
    tape.take();
    writer.write_all(b"frame").expect("write");
    assert_eq!(tape.take(), b"frame");
    guard.leave().expect("out");
    tape.take();
    writer.write_all(b"late frame").expect("write");
    assert_eq!(tape.take(), b"");
    guard.enter().expect("in again");
    assert!(!tape.take().is_empty());
    writer.write_all(b"frame").expect("write");
    drop(guard);
    assert!(tape.take().starts_with(b"frame\x1b"));
}

#[test]
fn fr_012_012_without_a_terminal_the_error_names_another_command() {
    let check = |stdin, stdout, term| check_terminal(stdin, stdout, term, "tenantpilot runs list");
    assert!(check(true, true, Some("xterm")).is_ok());
    for (stdin, stdout, term, word) in [
        (false, true, Some("xterm"), "input"),
        (true, false, Some("xterm"), "output"),
        (true, true, Some("dumb"), "dumb"),
        (true, true, Some(""), "empty"),
        (true, true, None, "not set"),
    ] {
        let error = check(stdin, stdout, term).expect_err("refused");
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains(word) && text.contains("tenantpilot runs list"), "{text}");
    }
}
