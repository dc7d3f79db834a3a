//! Terminals behind slow lines, and what they answer (specs/050-slow-terminals).

use std::io::Write as _;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenantpilot::ops::{Engine, Listen};
use tenantpilot::tui::msg::Msg;

use super::live::{fill, under_cursor};
use super::program::Program;
use super::session::Running;
use super::states::{platform, service};
use crate::support::console::Console;
use crate::support::proxy::Proxy;
use crate::support::stores::{PASSWORD, Store, block_on, both_engines};

/// What begins each frame.
const FRAME: &[u8] = b"\x1b[?2026h";
const PAGE_DOWN: &str = "\x1b[6~";
const PAGE_UP: &str = "\x1b[5~";
/// ctrl-l: every cell is written.
const REDRAW: &str = "\x0c";
/// How a terminal answers.
const ONCE: &[&[u8]] = &[b"\x1b[0n"];
const TWICE: &[&[u8]] = &[b"\x1b[0n\x1b[0n"];
const IN_PARTS: &[&[u8]] = &[b"\x1b", b"[0", b"n"];

/// A console on the list of runs.
struct Opened {
    program: Program,
    _store: Option<Store>,
    _folder: TempDir,
}

impl Opened {
    fn with(runs: i64, status: &'static [&'static [u8]], arguments: &[&str]) -> Self {
        let store = block_on(async {
            let store = Store::new(Engine::Sqlite).await.with_platform().await;
            fill(&store, runs).await;
            store.administrator().await;
            store
        });
        let folder = TempDir::new().unwrap();
        let mut program = Program::within(folder.path(), &store.url, arguments);
        program.status = status;
        program.wait_for("Log in");
        program.type_in(&format!("administrator\t{PASSWORD}\r"));
        program.wait_for("inventory.sync");
        program.wait_for("active");
        let mut opened = Self { program, _store: Some(store), _folder: folder };
        opened.rest(Duration::from_millis(300));
        opened
    }

    /// Reads until nothing has come for so long; gives what came.
    fn rest(&mut self, quiet: Duration) -> Vec<u8> {
        let mut all = Vec::new();
        while let Ok(more) = self.program.read(quiet) {
            all.extend(more);
        }
        all
    }

    /// Reads for so long.
    fn read_for(&mut self, time: Duration) -> Vec<u8> {
        let (until, mut all) = (Instant::now() + time, Vec::new());
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            all.extend(self.program.read(left).unwrap_or_default());
        }
        all
    }

    fn quits(mut self) {
        self.program.type_in("\x03");
        assert_eq!(self.program.ends_within(Duration::from_secs(5)), 0);
        self.program.assert_restored();
    }
}

fn frames(bytes: &[u8]) -> usize {
    bytes.windows(FRAME.len()).filter(|bytes| *bytes == FRAME).count()
}

/// Presses keys on a line of 1 kB/s; gives what was written until the last one, and after it.
fn page(opened: &mut Opened, keys: &[&str], gap: Duration) -> [Vec<u8>; 2] {
    opened.program.speed.store(1_000, SeqCst);
    let mut before = Vec::new();
    for key in keys {
        opened.program.type_in(key);
        before.extend(opened.read_for(gap));
    }
    // The parts of a frame come at once, and the next one right behind it.
    [before, opened.rest(Duration::from_secs(1))]
}

/// What is shown is what is shown once all is drawn again.
fn assert_right(opened: &mut Opened) {
    opened.program.speed.store(0, SeqCst);
    let shown = opened.program.shown();
    opened.program.type_in(REDRAW);
    let drawn = opened.rest(Duration::from_secs(1));
    assert!(drawn.windows(4).any(|bytes| bytes == b"\x1b[2J"), "nothing was drawn again");
    assert_eq!(opened.program.shown(), shown);
}

/// The long form presses as many page-down keys as `tests/long` says.
#[test]
fn fr_050_001_on_a_slow_line_the_picture_is_right_one_frame_after_the_last_key() {
    if let Ok(keys) = std::env::var("TENANTPILOT_LONG_KEYS") {
        return presses(keys.parse().unwrap());
    }
    // As many rows as are read at once.
    let mut opened = Opened::with(199, ONCE, &["--link", "slow"]);
    let keys = [[PAGE_DOWN; 10], [PAGE_UP; 10]].as_flattened().repeat(3);
    let keys = [&keys, &[PAGE_DOWN; 7][..]].concat();
    let [_, after] = page(&mut opened, &keys, Duration::from_millis(25));
    assert!(frames(&after) <= 2, "{} frames", frames(&after));
    let shown = opened.program.shown();
    assert_eq!(under_cursor(&shown), 199 - 7 * 17, "{shown}");
    assert_right(&mut opened);
    opened.quits();
}

fn presses(keys: usize) {
    let rows = 20 * i64::try_from(keys).unwrap();
    for link in ["slow", "auto"] {
        let mut opened = Opened::with(rows, ONCE, &["--link", link]);
        let [before, after] = page(&mut opened, &vec![PAGE_DOWN; keys], Duration::from_millis(50));
        let figures = format!(
            "{link}: {keys} keys, {} frames until the last one and {} after it ({} bytes); run {}\n",
            frames(&before),
            frames(&after),
            after.len(),
            under_cursor(&opened.program.shown()),
        );
        // libtest would keep it back.
        std::io::stderr().write_all(figures.as_bytes()).unwrap();
        assert!(frames(&after) <= 2, "{} frames", frames(&after));
        assert_right(&mut opened);
        opened.quits();
    }
}

#[test]
fn fr_050_002_two_answers_are_one() {
    let mut opened = Opened::with(400, TWICE, &["--link", "slow"]);
    let [_, after] = page(&mut opened, &[PAGE_DOWN; 15], Duration::from_millis(100));
    assert!(frames(&after) <= 2, "{} frames", frames(&after));
    opened.program.speed.store(0, SeqCst);
    opened.quits();
}

#[test]
fn fr_050_002_an_answer_is_neither_a_key_nor_text() {
    // In parts: with its ESC taken for a key, the rest would be typed.
    let mut opened = Opened::with(40, IN_PARTS, &["--link", "slow"]);
    opened.program.type_in("/");
    opened.program.wait_for("accept");
    let asked = opened.program.asked;
    for letter in ["a", "b", "c"] {
        opened.program.type_in(letter);
        opened.rest(Duration::from_millis(300));
    }
    opened.program.wait_for("filter  abc");
    assert!(opened.program.asked >= asked + 3, "it is still asked");
    // Between keys, and inside of a paste.
    opened.program.status = &[];
    opened.program.send(b"d\x1b[0ne\x1b[0n\x1b[200~f\x1b[0ng\x1b[201~\x1b[0n");
    opened.program.status = ONCE;
    opened.program.send(b"h\x1b[0n");
    opened.program.wait_for("filter  abcdefgh");
    // A lone ESC is a key all the same.
    opened.program.type_in("\x1b");
    opened.program.wait_until("the list", |screen| screen.contains(" q quit"));
    opened.quits();
}

#[test]
fn fr_050_003_a_terminal_that_never_answers_or_too_late_is_drawn_on_as_before() {
    let mut opened = Opened::with(400, &[], &["--link", "slow"]);
    opened.rest(Duration::from_secs(2));
    assert_eq!(opened.program.asked, 1, "before the first frame");
    opened.program.type_in("/");
    opened.program.wait_for("accept");
    for text in ["\x1b[0n", "\x1b[0n\x1b[0n"] {
        opened.program.type_in(text);
        opened.program.type_in("a");
        opened.rest(Duration::from_millis(100));
    }
    opened.program.wait_for("filter  aa");
    opened.program.type_in("\x15\r");
    opened.program.wait_until("the list", |screen| screen.contains(" q quit"));
    for _ in 0..5 {
        let before = under_cursor(&opened.program.shown());
        opened.program.type_in(PAGE_DOWN);
        opened.program.wait_until("the next page", |screen| under_cursor(screen) < before);
    }
    assert_eq!(opened.program.asked, 1);
    opened.quits();
}

#[test]
fn fr_050_003_a_terminal_that_stops_to_answer_is_asked_no_more() {
    let mut opened = Opened::with(400, ONCE, &["--link", "slow"]);
    opened.program.status = &[];
    let asked = opened.program.asked;
    for key in ["j", "j", PAGE_DOWN, PAGE_DOWN] {
        let before = under_cursor(&opened.program.shown());
        opened.program.type_in(key);
        opened.program.wait_until("the cursor", |screen| under_cursor(screen) < before);
    }
    assert_eq!(opened.program.asked, asked + 1);
    opened.quits();
}

#[test]
fn fr_050_004_a_fast_terminal_is_asked_nothing_and_gets_few_bytes() {
    for arguments in [&[][..], &["--link", "fast"]] {
        let mut opened = Opened::with(40, ONCE, arguments);
        let mut written = Vec::new();
        for _ in 0..15 {
            opened.program.type_in("j");
            written.push(opened.rest(Duration::from_millis(60)).len());
        }
        written.sort_unstable();
        assert!((1..=150).contains(&written[7]), "{written:?}");
        opened.rest(Duration::from_millis(300));
        let idle = opened.read_for(Duration::from_secs(3));
        assert_eq!(String::from_utf8_lossy(&idle), "", "while nothing changes");
        assert_eq!(opened.program.asked, 0);
        opened.quits();
    }
}

#[test]
fn fr_050_004_a_terminal_that_takes_no_output_is_found_slow_and_fast_again() {
    let mut opened = Opened::with(400, ONCE, &[]);
    // Much less than is written, so that the line's queue fills up.
    opened.program.speed.store(20, SeqCst);
    for _ in 0..30 {
        opened.program.type_in(REDRAW);
        opened.read_for(Duration::from_millis(20));
    }
    opened.read_for(Duration::from_millis(500));
    assert_eq!(opened.program.asked, 0, "what asks it comes behind what is in the line");
    opened.program.speed.store(0, SeqCst);
    opened.program.type_in("j");
    let until = Instant::now() + Duration::from_secs(10);
    while opened.program.asked == 0 && Instant::now() < until {
        opened.read_for(Duration::from_millis(20));
    }
    assert!(opened.program.asked > 0, "it was not found");
    // Each answer comes at once.
    for _ in 0..10 {
        opened.program.type_in("j");
        opened.rest(Duration::from_millis(100));
    }
    let asked = opened.program.asked;
    for _ in 0..3 {
        opened.program.type_in("j");
        opened.rest(Duration::from_millis(100));
    }
    assert_eq!(opened.program.asked, asked, "it is fast again");
    opened.quits();
}

#[test]
fn fr_050_005_on_a_slow_line_only_time_draws_seldom() {
    block_on(async {
        let store = platform().await;
        let proxy = Proxy::start(&store.url);
        let mut frames_of = Vec::new();
        for line in ["fast", "slow"] {
            let folder = TempDir::new().unwrap();
            let arguments = ["--link", line, "--poll-interval", "500ms"];
            let mut program = Program::within(folder.path(), &proxy.url(&store.url), &arguments);
            program.status = ONCE;
            program.wait_for("Log in");
            program.type_in(&format!("administrator\t{PASSWORD}\r"));
            program.wait_for("inventory.sync");
            program.wait_for("● live");
            proxy.pause();
            // Its age is counted from here on.
            program.wait_for("disconnected");
            let mut opened = Opened { program, _store: None, _folder: folder };
            frames_of.push(frames(&opened.read_for(Duration::from_secs(4))));
            proxy.resume();
            opened.quits();
        }
        assert!(frames_of[0] >= 3 && frames_of[1] <= 1, "{frames_of:?}");
    });
}

both_engines! {
    async fn fr_050_005_on_a_slow_line_nothing_follows_the_cursor_and_polls_are_rare(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 160, 40).await;
        console.log_in("administrator").await;
        for tab in ["2", "5t"] {
            console.keys(tab).await;
            let with = console.screen();
            console.send(Msg::Terse(true)).await;
            let without = console.screen();
            assert!(with.contains("│ ") && !without.contains("│ "), "{with}{without}");
            assert_eq!(console.app.poll_every(), Duration::from_secs(10));
            console.send(Msg::Terse(false)).await;
            assert_eq!(console.screen(), with);
            assert_eq!(console.app.poll_every(), Duration::from_secs(2));
        }
    }
}

#[test]
fn fr_050_006_fr_050_007_a_steady_round_trip_is_said_in_steps_and_the_header_stands_still() {
    block_on(async {
        let store = platform().await;
        let proxy = Proxy::start(&store.url);
        let ops = service(&store, &proxy.url(&store.url), Listen::Here);
        let running = Running::on(ops, Duration::from_secs(1));
        running.log_in().await;
        running.screen.until("live", |text| text.contains("● live")).await;
        assert!(!running.screen.text().contains("live · "), "{}", running.screen.text());
        proxy.delay(Duration::from_millis(800));
        running.screen.until("the step", |text| text.contains("● live · 500 ms")).await;
        // What was asked when it was not known yet.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (since, before) = (Instant::now(), running.screen.bytes().len());
        while since.elapsed() < Duration::from_secs(5) {
            let text = running.screen.text();
            assert!(text.contains("● live · 500 ms"), "{text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(running.screen.bytes().len(), before, "0 bytes while nothing changes");
        proxy.delay(Duration::ZERO);
        running.screen.until("the end", |text| !text.contains("live · ")).await;
    });
}
