//! Terminals behind slow lines, and what they answer (specs/050-slow-terminals).

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenantpilot::ops::Engine;

use super::live::{fill, under_cursor};
use super::program::Program;
use crate::support::stores::{PASSWORD, Store, block_on};

/// What begins each frame.
const FRAME: &[u8] = b"\x1b[?2026h";
const PAGE_DOWN: &str = "\x1b[6~";
/// ctrl-l: every cell is written.
const REDRAW: &str = "\x0c";
/// How a terminal answers.
const ONCE: &[&[u8]] = &[b"\x1b[0n"];
const TWICE: &[&[u8]] = &[b"\x1b[0n\x1b[0n"];
const IN_PARTS: &[&[u8]] = &[b"\x1b", b"[0", b"n"];

/// A console on the list of runs.
struct Opened {
    program: Program,
    _store: Store,
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
        let mut opened = Self { program, _store: store, _folder: folder };
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

/// Presses page-down `keys` times on a line of 1 kB/s; gives how many frames begin after the last
/// one.
fn page_down(opened: &mut Opened, keys: u32, gap: Duration) -> usize {
    opened.program.speed.store(1_000, SeqCst);
    for _ in 0..keys {
        opened.program.type_in(PAGE_DOWN);
        opened.read_for(gap);
    }
    // A frame takes up to 2 s, and the next one begins 1 s after its end at the latest.
    frames(&opened.rest(Duration::from_secs(1)))
}

#[test]
fn fr_050_001_on_a_slow_line_the_picture_is_right_one_frame_after_the_last_key() {
    let keys = 60;
    let mut opened = Opened::with(1_500, ONCE, &["--link", "slow"]);
    let after = page_down(&mut opened, keys, Duration::from_millis(25));
    assert!(after <= 2, "{after} frames");
    let shown = opened.program.shown();
    assert_eq!(under_cursor(&shown), 1_500 - i64::from(keys) * 17, "{shown}");
    opened.program.speed.store(0, SeqCst);
    opened.program.type_in(REDRAW);
    let drawn = opened.rest(Duration::from_secs(1));
    assert!(drawn.windows(4).any(|bytes| bytes == b"\x1b[2J"), "nothing was drawn again");
    assert_eq!(opened.program.shown(), shown);
    opened.quits();
}

#[test]
fn fr_050_002_two_answers_are_one() {
    let mut opened = Opened::with(400, TWICE, &["--link", "slow"]);
    let after = page_down(&mut opened, 15, Duration::from_millis(100));
    assert!(after <= 2, "{after} frames");
    opened.program.speed.store(0, SeqCst);
    opened.quits();
}

#[test]
fn fr_050_002_an_answer_is_neither_a_key_nor_text() {
    let mut opened = Opened::with(40, ONCE, &["--link", "slow"]);
    opened.program.type_in("/");
    opened.program.wait_for("accept");
    // In parts: with its ESC taken for a key, the line would be closed.
    opened.program.status = IN_PARTS;
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
