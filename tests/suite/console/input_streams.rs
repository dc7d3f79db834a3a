//! Bytes that type no key, at the terminal of the real program: answers of terminals, pastes and
//! broken sequences, in parts, on every kind of screen (specs/042-terminal-input).

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenantpilot::ops::Engine;

use super::program::Program;
use crate::support::stores::{PASSWORD, Store, block_on};

/// Streams that are complete, and streams that end in the middle.
const STREAMS: &[&[u8]] = &[
    // What terminals answer about colours, the clipboard, titles.
    b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
    b"\x1b]11;rgb:0000/0000/0000\x07",
    b"\x1b]12;rgb:BBBB/0000/0000\x1b\\",
    b"\x1b]4;1;rgb:cdcd/0000/0000\x07",
    b"\x1b]52;c;OnE6cUI=\x07",
    b"\x1b]52;p;OnE6cUI=\x1b\\",
    b"\x1b]lq:B\x1b\\",
    b"\x1b]Lq:B\x07",
    b"\x1b]1337;ReportCellSize=16.0;8.0\x1b\\",
    b"\x1b]8;;http://example.invalid/q:B\x07",
    b"\x1b]99;i=1;q\x1b\\",
    "\x1b]2;✓ qB:\x1b\\".as_bytes(),
    // Their version, capabilities and settings.
    b"\x1bP>|tmux 3.4\x1b\\",
    b"\x1bP>|XTerm(370)\x1b\\",
    b"\x1bP1+r544e=787465726d\x1b\\",
    b"\x1bP0+r\x1b\\",
    b"\x1bP1$r0;1;4m\x1b\\",
    b"\x1bP1$r2 q\x1b\\",
    b"\x1bP!|7E565445\x1b\\",
    b"\x1bPq#0;2;0;0;0#0!8~-\x1b\\",
    b"\x1bPtmux;\x1b\x1b]52;c;cTpC\x07\x1b\\",
    b"\x1b_Gi=31;OK\x1b\\",
    b"\x1b_q:B\x1b\\",
    b"\x1b^q:B\x1b\\",
    b"\x1bXq:B\x1b\\",
    b"\x1b[?62;22;52c",
    b"\x1b[?1;2c",
    b"\x1b[>41;370;0c",
    b"\x1b[=0;1c",
    b"\x1b[0n",
    b"\x1b[24;80R",
    b"\x1b[1;1R",
    b"\x1b[?24;80;1R",
    b"\x1b[8;24;80t",
    b"\x1b[4;600;800t",
    b"\x1b[?2026;2$y",
    b"\x1b[4;2$y",
    b"\x1b[?1u",
    b"\x1b[?997;1n",
    b"\x1b[>4;1m",
    b"\x9b?1;2c",
    b"\x9d11;rgb:q:B\x07",
    b"\x9d11;rgb:q:B\x9c",
    // The same in the form of UTF-8.
    b"\xc2\x9b?1;2c",
    b"\xc2\x9b12;40R",
    b"\xc2\x9d11;rgb:q:B\xc2\x9c",
    b"\xc2\x9d11;rgb:q:B\x07",
    b"\xc2\x90>|q:B\xc2\x9c",
    b"\xc2\x98q:B\xc2\x9c",
    b"\xc2\x9eq:B\xc2\x9c",
    b"\xc2\x9fGq:B\x1b\\",
    b"\xc2\x8fz",
    b"\xc2\x9c\xc2\x85",
    // What begins in one form does not end in another.
    b"\x1b]11;\xc2\x9cq\x07",
    b"\x1b]11;\x9cq\x1b\\",
    b"\x1bP>|\xc2\x9cq:B\x1b\\",
    // Sets of characters, and shifts for one character.
    b"\x1b(B",
    b"\x1b(B\x1b[m",
    b"\x1b)0",
    b"\x1b*B\x1b+B",
    b"\x1b#8",
    b"\x1b%G",
    b"\x1b$(B",
    b"\x1b F",
    b"\x1bNq",
    b"\x1bOq",
    b"\xc2\x8eq",
    // Keys and reports that mean nothing here.
    b"\x1b[201~",
    b"\x1b[999z",
    b"\x1b[1 q",
    b"\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26;27;28q",
    b"\x1b[57399u",
    b"\x1b[113;1:3u",
    b"\x1bOz",
    b"\x1b[<0;3;3m",
    b"\x1b[<35;3;3M",
    b"\x1b[<0;10;7M\x1b[<0;10;7m",
    b"\x1b[<65;3;7M",
    b"\x1b[M **",
    b"\x1b[M###",
    b"\x1b[O\x1b[I",
    b"\xff\xfe\xc0\xaf",
    b"\xed\xa0\x80",
    // Pastes.
    b"\x1b[200~\x1b[201~",
    b"\x1b[200~q\x1b[201~",
    b"\x1b[200~:q\r\x1b[201~",
    b"\x1b[200~X\ry\rCANCEL 8\r\x1b[201~",
    b"\x1b[200~B1\nB2\r\n\tB3\x1b[201~",
    b"\x1b[200~\x1b[B\x1b[A\x1b:q\x1b[201~",
    b"\x1b[200~a\x03\x1a\x1c\x1b[201~",
    b"\x1b[200~a\x1b[200~q\x1b[201~",
    "\x1b[200~ä€🦀\u{9b}31m\u{202e}q\x1b[201~".as_bytes(),
    // Without an end.
    b"\x1b[200~q:B",
    b"\x1b[200~\x1b[200~q",
    b"\x1b[200~q\x1b[20",
    b"\x1b[200",
    b"\x1b]11;rgb:0000/qqqq",
    b"\x1b]11;rgb:q\x1b",
    b"\x1bP>|q:B",
    b"\xc2\x90>|q:B",
    b"\xc2\x9b12;4",
    b"\xc2",
    b"\x1b_Gq:B",
    b"\x1b[12;40",
    b"\x1b[<0;3",
    b"\x1b[M",
    b"\x1b[M#",
    b"\xe2\x82",
];

/// How soon ctrl-c leaves.
const BOUND: Duration = Duration::from_millis(1_500);
/// The same with slack for a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(4);
/// The parts of a sequence that come within so long are one; half of what the input layer waits.
const TOGETHER: Duration = Duration::from_millis(20);
/// Ends whatever a stream left open.
const RESET: &[u8] = b"\x1b[201~";

/// A screen, the keys that lead there from the list, and what shows that it is there.
struct Place {
    name: &'static str,
    keys: &'static str,
    shows: &'static str,
    /// Whether it has a text field, which takes pastes.
    text: bool,
}

const PLACES: [Place; 6] = [
    Place { name: "list", keys: "", shows: "inventory.sync", text: false },
    Place { name: "filter", keys: "/", shows: "accept", text: true },
    Place { name: "login", keys: "", shows: "Log in", text: true },
    Place { name: "dialog", keys: "jX", shows: "change nothing", text: true },
    Place { name: "form", keys: "B", shows: "next field", text: true },
    Place { name: "wizard", keys: "6\r", shows: "[TENANTS]", text: false },
];

/// A console at a place.
struct Opened {
    program: Program,
    /// What it shows there, without the header's line.
    before: String,
    _store: Store,
    _folder: TempDir,
}

impl Opened {
    fn at(place: &Place, keymap: Option<&str>) -> Self {
        let store = block_on(async {
            let store = Store::new(Engine::Sqlite).await.with_scene().await;
            store.administrator().await;
            store
        });
        let folder = TempDir::new().unwrap();
        let mut arguments = Vec::new();
        if let Some(text) = keymap {
            let keymaps = folder.path().join("CONFIG/keymaps");
            std::fs::create_dir_all(&keymaps).unwrap();
            std::fs::write(keymaps.join("mine.toml"), text).unwrap();
            arguments.extend(["--keymap", "mine"]);
        }
        let mut program = Program::within(folder.path(), &store.url, &arguments);
        program.wait_for("Log in");
        if place.name == "login" {
            program.wait_for("● live");
        } else {
            program.type_in(&format!("administrator\t{PASSWORD}\r"));
            program.wait_for("inventory.sync");
            program.wait_for("active");
            program.type_in(place.keys);
            program.wait_for(place.shows);
        }
        // Until nothing has been drawn for a moment.
        while program.read(Duration::from_millis(300)).is_ok() {}
        let before = body(&program);
        Self { program, before, _store: store, _folder: folder }
    }

    /// Presses ctrl-c, which is bound to drawing everything again; gives how long it took.
    fn ctrl_c(&mut self) -> Duration {
        let pressed = Instant::now();
        self.program.send(b"\x03");
        let mut seen: Vec<u8> = Vec::new();
        while !seen.windows(4).any(|bytes| bytes == b"\x1b[2J") {
            let more = self.program.read(Duration::from_secs(10));
            seen.extend(more.unwrap_or_else(|error| panic!("ctrl-c does nothing: {error}")));
        }
        pressed.elapsed()
    }

    /// Whether the same is shown as before, once all is drawn.
    fn is_as_before(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(5);
        while body(&self.program) != self.before && Instant::now() < until {
            let _ = self.program.read(Duration::from_millis(100));
        }
        body(&self.program) == self.before
    }
}

/// What is shown, without the line that says how the database is.
fn body(program: &Program) -> String {
    let shown = program.shown();
    // A blank at the end of a line may be written or erased.
    shown.lines().skip(1).map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// In two parts, split at every byte; a long stream only near its ends.
fn parts(stream: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let length = stream.len();
    (0..length).filter(move |at| *at < 12 || length - at < 8).map(|at| stream.split_at(at))
}

fn sends(place: &Place) {
    let keymap =
        "inherits = \"default\"\n[global]\n\"ctrl-c\" = \"app.redraw\"\n\"f12\" = \"app.quit\"\n";
    let mut opened = Opened::at(place, Some(keymap));
    let (mut streams, mut again) = (STREAMS.iter(), None);
    while let Some(stream) = again.take().or_else(|| streams.next()) {
        let shown = String::from_utf8_lossy(stream).escape_debug().to_string();
        let mut late = false;
        for (first, second) in parts(stream) {
            let sent = Instant::now();
            opened.program.send(first);
            std::thread::sleep(Duration::from_micros(500));
            opened.program.send(second);
            late |= sent.elapsed() > TOGETHER;
        }
        let took = opened.ctrl_c();
        assert!(took < LIMIT, "{}: {took:?} after {shown}", place.name);
        opened.program.send(RESET);
        if place.text && stream.starts_with(b"\x1b[200~") {
            // What was pasted into the field.
            opened.program.send(b"\x15");
        }
        opened.ctrl_c();
        let same = opened.is_as_before();
        if !same && late {
            // A busy machine sent the second part when an ESC alone was a key already.
            opened = Opened::at(place, Some(keymap));
            again = Some(stream);
            continue;
        }
        let now = body(&opened.program);
        assert!(same, "{}: {shown} did\n{now}\nwhere there was\n{}", place.name, opened.before);
    }
    // The same with the key that leaves, and with the usual keys.
    let mut opened = Opened::at(place, None);
    opened.program.send(b"\x1b[200~q:B");
    opened.program.send(b"\x03");
    assert_eq!(opened.program.ends_within(LIMIT), 0, "{}", place.name);
    opened.program.assert_restored();
}

fn everywhere(test: fn(&Place)) {
    std::thread::scope(|scope| {
        for place in &PLACES {
            scope.spawn(move || test(place));
        }
    });
}

#[test]
fn fr_042_002_fr_042_003_bytes_that_type_no_key_do_nothing_and_ctrl_c_gets_through() {
    assert!(STREAMS.len() >= 60);
    everywhere(sends);
}

/// The long form: a console for each stream and place, which ctrl-c leaves.
#[test]
fn fr_042_003_ctrl_c_leaves_after_every_stream() {
    let all = std::env::var("TENANTPILOT_LONG_INPUT").is_ok();
    if !all {
        // One place with every kind of unfinished stream; the rest is the test above.
        for stream in [&b"\x1b]11;rgb:q"[..], b"\x1bPq", b"\x1b[12;", b"\x1b[M", b"\x1b"] {
            leaves(&PLACES[2], stream, LIMIT);
        }
        return;
    }
    everywhere(|place| {
        for stream in STREAMS {
            leaves(place, stream, BOUND);
        }
    });
    let slowest = *SLOWEST.lock().unwrap();
    println!("{} streams on {} screens, slowest {slowest:?}", STREAMS.len(), PLACES.len());
}

/// How long a console took at most to be left.
static SLOWEST: Mutex<Duration> = Mutex::new(Duration::ZERO);

fn leaves(place: &Place, stream: &[u8], bound: Duration) {
    let mut opened = Opened::at(place, None);
    opened.program.send(stream);
    std::thread::sleep(Duration::from_millis(20));
    let pressed = Instant::now();
    opened.program.send(b"\x03");
    let code = opened.program.ends_within(Duration::from_secs(10));
    // `ends_within` waits for the last output of the terminal.
    let took = pressed.elapsed().saturating_sub(Duration::from_millis(200));
    let shown = String::from_utf8_lossy(stream).escape_debug().to_string();
    assert_eq!(code, 0, "{}: {shown}", place.name);
    let mut slowest = SLOWEST.lock().unwrap();
    *slowest = took.max(*slowest);
    assert!(took < bound, "{}: {took:?} after {shown}", place.name);
}

/// Of a paste that has its end, control bytes are left out and the text is kept.
#[test]
fn fr_042_003_a_ctrl_c_inside_of_a_paste_is_left_out_and_the_text_kept() {
    let mut opened = Opened::at(&PLACES[1], None);
    let program = &mut opened.program;
    for (paste, text) in [
        (&[&b"\x1b[200~contoso\x03 one\x1b[201~"[..]][..], "contoso one"),
        (&[b"\x1b[200~\x03two\x03\x1b[201~"], "two"),
        (&[b"\x1b[200~thr", b"ee\x03", b"\x1b[201~"], "three"),
        (&[b"\x1b[200~four\x03\x1b", b"[201~"], "four"),
    ] {
        for part in paste {
            program.send(part);
            std::thread::sleep(Duration::from_millis(2));
        }
        program.wait_for(&format!("filter  {text}"));
        program.send(b"\x15");
        program.wait_until("an empty filter", |screen| !screen.contains(text));
    }
    program.send(b"\x03");
    assert_eq!(program.ends_within(LIMIT), 0);
}

/// A sequence whose ESC comes late is that sequence, and a paste without an end ends.
#[test]
fn fr_042_001_fr_042_004_late_and_lost_parts_leave_no_dead_key() {
    let place = &PLACES[0];
    let mut opened = Opened::at(place, None);
    let program = &mut opened.program;
    // Half a millisecond after its ESC, as a slow link delivers it.
    program.send(b"\x1b");
    std::thread::sleep(Duration::from_micros(500));
    program.send(b"[B");
    program.wait_until("the cursor one down", |screen| screen.contains("▸     8"));
    // Later than the hold: the ESC is the key, and the rest is still no `B`.
    program.send(b"\x1b");
    std::thread::sleep(Duration::from_millis(150));
    program.send(b"[A");
    program.wait_until("the cursor one up", |screen| screen.contains("▸     9"));
    program.send(b"\x1b[200~q:B");
    program.wait_for("pasted text is taken only in a text field");
    program.type_in("?");
    program.wait_for("Keys in force");
    program.type_in("q");
    program.wait_until("the list", |screen| !screen.contains("Keys in force"));
    program.type_in("q");
    assert_eq!(program.ends_within(Duration::from_secs(3)), 0);
}
