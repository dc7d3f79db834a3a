//! Streams in every split, and what they mean.

use super::*;
use crossterm::event::{MouseButton, MouseEventKind};

/// What `parts` mean, each read `gap` after the one before, and all that becomes of them in time.
fn events(parts: &[&[u8]], gap: Duration) -> Vec<Event> {
    let mut now = Instant::now();
    let mut input = Input::new(now);
    let mut events = Vec::new();
    let wait = |input: &mut Input, until: Instant, events: &mut Vec<Event>| {
        while let Some(at) = input.deadline().filter(|at| *at <= until) {
            input.expire(at);
            events.extend(std::iter::from_fn(|| input.next_event()));
        }
    };
    for part in parts {
        input.feed(part, now);
        events.extend(std::iter::from_fn(|| input.next_event()));
        now += gap;
        wait(&mut input, now, &mut events);
    }
    wait(&mut input, now + 10 * SILENCE, &mut events);
    assert_eq!(input.deadline(), None);
    events
}

fn keys(events: &[Event]) -> String {
    events
        .iter()
        .map(|event| match event {
            Event::Key(key) if key.modifiers - KeyModifiers::SHIFT == KeyModifiers::NONE => {
                match key.code {
                    KeyCode::Char(character) => character.to_string(),
                    code => format!("<{code}>"),
                }
            }
            Event::Key(key) => format!("<{} {}>", key.modifiers, key.code),
            Event::Paste(text) => format!("<paste {text}>"),
            Event::Mouse(mouse) => format!("<{:?} {} {}>", mouse.kind, mouse.column, mouse.row),
            other => format!("<{other:?}>"),
        })
        .collect()
}

const SHORT: Duration = Duration::from_millis(1);

/// Bytes, and what they mean in whatever parts they come within the hold of an ESC.
const CASES: &[(&[u8], &str)] = &[
    (b"q", "q"),
    (b"Q\r\t\x7f", "Q<Enter><Tab><Backspace>"),
    (b"\x01\x00\x1c\n", "<Control a><Control Space><Control 4><Control j>"),
    ("ä€🦀".as_bytes(), "ä€🦀"),
    (b"\xc3q\xffw\xe2\x82", "qw"),
    (b"\x1b", "<Esc>"),
    (b"\x1b\x1b", "<Esc><Esc>"),
    (b"\x1bx", "<Alt x>"),
    (b"\x1b\xc3\xa4", "<Alt ä>"),
    (b"\x1b[A\x1b[B\x1bOC\x1bOD", "<Up><Down><Right><Left>"),
    (b"\x1b\x1b[A", "<Esc><Up>"),
    (
        b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[5~\x1b[6~\x1b[2~\x1b[3~",
        "<Home><End><Home><End><Page Up><Page Down><Insert><Del>",
    ),
    (b"\x1bOP\x1b[15~\x1b[24~\x1b[[A\x1b[[E", "<F1><F5><F12><F1><F5>"),
    (b"\x1b[1;5A\x1b[1;3B\x1b[3;5~\x1bOa", "<Control Up><Alt Down><Control Del><Control Up>"),
    (b"\x1b[Z\x1b[23$q", "<Back Tab><F11>q"),
    (b"\x1b[99;5u\x1b[27;5;99~", "<Control c><Control c>"),
    (b"\x1b[1;1:1A\x1b[57399u", "<Up>"),
    (b"\x1b[I\x1b[O", "<FocusGained><FocusLost>"),
    (b"\x1b[<0;5;7M\x1b[<64;1;1M\x1b[M #$", "<Down(Left) 4 6><ScrollUp 0 0><Down(Left) 2 3>"),
    (b"\x1b[200~q\rB:\x1b[201~", "<paste q\rB:>"),
    (b"\x1b[200~\x1b[B\x1b[201~j", "<paste \x1b[B>j"),
    (b"\x1b[200~a\x1b[200~b\x1b[201~", "<paste ab>"),
    (b"\x1b[200~\x1b[201~\x1b[201~", ""),
    (b"\x1b[200~text", "<paste text>"),
    (b"\x1b[200~x\x1b[20", "<paste x\x1b[20>"),
    (b"\x1b[200~a\x03b\x1b[201~", "<paste ab>"),
    (
        b"\xc2\x9b200~q\xc2\x9b201~j\x9b200~q\x9b201~k\x1b[200~q\xc2\x9b201~l",
        "<paste q>j<paste q>k<paste q>l",
    ),
    ("\x1b[200~曛201~q\x1b[201~".as_bytes(), "<paste 曛201~q>"),
    // Answers, with either terminator, without one, and with a sequence in place of it.
    (b"\x1b]11;rgb:0000/0000/0000\x1b\\", ""),
    (b"\x1b]11;rgb:0000/0000/0000\x07", ""),
    (b"\x1b]52;c;cTpC\x07:q", ":q"),
    (b"\x1bP>|xterm(370)\x1b\\", ""),
    (b"\x1bP1+r544e=787465726d\x1b\\q", "q"),
    (b"\x1b_Gi=1;OK\x1b\\", ""),
    (b"\x1b^q\x1b\\\x1bXq\x1b\\", ""),
    (b"\x1bPtmux;\x1b\x1b]52;c;cTpC\x07\x1b\\q", "<Alt \\>q"),
    (b"\x9b?1;2cj\x9d11;rgb:q\x07k", "jk"),
    (b"\xc2\x9b?1;2cj\xc2\x9b12;40Rk\xc2\x9bA\xc2\x8fP", "jk<Up><F1>"),
    (b"\xc2\x9d11;rgb:q\xc2\x9cj\xc2\x90>|q\xc2\x9ck\xc2\x9d0;q\x07l", "jkl"),
    (b"\xc2\x98q\xc2\x9c\xc2\x9eq\xc2\x9c\xc2\x9fq\x1b\\\xc2\x9c\xc2\x85j", "j"),
    (b"\x9d11;rgb:q\x9cj", "j"),
    ("\x1b]0;✓ Üq\x1b\\j\x1b]0;✓\u{9c}k\x07l".as_bytes(), "jl"),
    // How it began is how it ends.
    (b"\x1b]11;\xc2\x9cq\x07", ""),
    (b"\x1b]11;\x9cq\x1b\\j", "j"),
    (b"\x1bP>|\xc2\x9cq\x1b\\j", "j"),
    (b"\xc2\x9d11;\x9cq\x07j", "j"),
    ("\u{9d}0;✓ Üq\u{9c}j".as_bytes(), "j"),
    // An ESC with bytes that announce another one, and a shift for one character.
    (b"\x1b(B", ""),
    (b"\x1b(B\x1b[m", ""),
    (b"\x1b(0\x1b)B\x1b*q\x1b+qj", "j"),
    (b"\x1b#8\x1b%G\x1b%@\x1b Fj", "j"),
    (b"\x1b$(Cq", "q"),
    (b"\x1b%/Gj\x1b$)", "j"),
    (b"\x1bNqj\x1bOqk\x8eq\xc2\x8eql", "jkl"),
    (b"\x1b(", "<Alt (>"),
    (b"\x1b/", "<Alt />"),
    (b"\x1bN", "<Shift+Alt N>"),
    (b"\x1b(\x1b[A", "<Up>"),
    (b"\x1b]11;rgb:B:q", ""),
    (b"\x1bP>|B:q\x07q", ""),
    (b"\x1b]0;title\x1b[A", "<Up>"),
    (b"\x1b[?1;2c\x1b[>41;370;0c\x1b[0n\x1b[24;80R\x1b[8;24;80t\x1b[?2026;2$y\x1b[?1u", ""),
    (b"\x1b[12;40", ""),
    (b"\x1b[", "<Alt [>"),
    (b"\x1bO", "<Shift+Alt O>"),
    (b"\x1b[M", ""),
    (b"\x1b[<0;5", ""),
    (b"\x1b[1\x1b[B", "<Down>"),
];

#[test]
fn a_sequence_means_the_same_in_whatever_parts_it_comes() {
    for (bytes, meaning) in CASES {
        let whole = keys(&events(&[bytes], SHORT));
        assert_eq!(whole, *meaning, "{:?}", String::from_utf8_lossy(bytes));
        for at in 1..bytes.len() {
            let split = events(&[&bytes[..at], &bytes[at..]], SHORT);
            assert_eq!(keys(&split), *meaning, "{:?} at {at}", String::from_utf8_lossy(bytes));
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let single = keys(&events(&single, SHORT));
        assert_eq!(single, *meaning, "{:?} by bytes", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn ctrl_c_gets_through_after_every_part_of_every_sequence() {
    for (bytes, _) in CASES {
        for at in 0..=bytes.len() {
            let heard = keys(&events(&[&bytes[..at], b"\x03"], SHORT));
            assert!(heard.contains("<Control c>"), "{heard} {:?}", &bytes[..at]);
        }
    }
    // A paste that goes on does not hold it back either.
    let now = Instant::now();
    let mut input = Input::new(now);
    input.feed(b"\x1b[200~text\x03", now);
    for step in 1..=20 {
        input.feed(b"text", now + step * Duration::from_millis(10));
        input.expire(now + step * Duration::from_millis(10));
    }
    assert_eq!(keys(&Vec::from_iter(input.next_event())), "<Control c>");
}

#[test]
fn an_escape_waits_no_longer_than_its_hold_and_its_late_rest_is_no_key() {
    let late = ESCAPE_HOLD + SHORT;
    assert_eq!(keys(&events(&[b"\x1b", b"[B"], late)), "<Esc><Down>");
    assert_eq!(keys(&events(&[b"\x1b", b"[200~q\x1b[201~"], late)), "<Esc><paste q>");
    assert_eq!(keys(&events(&[b"\x1b", b"]11;rgb:q\x07"], late)), "<Esc>");
    assert_eq!(keys(&events(&[b"\x1b", b"(B"], late)), "<Esc>");
    assert_eq!(keys(&events(&[b"\x1b(", b"B"], late)), "<Alt (>B", "two keys typed");
    assert_eq!(keys(&events(&[b"\x1b", b"/q"], late)), "<Esc>/q", "a filter");
    let typed = LATE_HOLD + SHORT;
    assert_eq!(keys(&events(&[b"\x1b", b"[", b"B"], typed)), "<Esc>[B", "two keys typed");
    assert_eq!(keys(&events(&[b"\x1b", b"P", b"q"], late)), "<Esc>Pq", "no sequence");
    assert_eq!(keys(&events(&[b"\x1b", b"]"], late)), "<Esc>]");
    // Byte by byte, slower than an ESC waits.
    for (bytes, heard) in [
        (&b"\x1b]11;rgb:q?\x07j"[..], "<Esc>j"),
        (b"\x1bP>|q?:x\x1b\\j", "<Esc>j"),
        (b"\x1b_Gq=1;B\x1b\\j", "<Esc>j"),
        (b"\x1b[?62;22cj", "<Esc>j"),
        (b"\x1b[12;40Rj", "<Esc>j"),
        (b"\x1b[Bj", "<Esc><Down>j"),
        (b"\x1bOQj", "<Esc><F2>j"),
    ] {
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        for gap in [late, Duration::from_millis(120)] {
            assert_eq!(keys(&events(&single, gap)), heard, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
    assert_eq!(keys(&events(&[b"\x1b", b"q"], late)), "<Esc>q");
}

#[test]
fn a_silence_ends_what_has_no_end_and_the_next_keys_count() {
    let silent = SILENCE + SHORT;
    for start in [&b"\x1b[200~"[..], b"\x1b]11;", b"\x1bP", b"\x1b[12", b"\x1b[M", b"\xe2"] {
        assert_eq!(keys(&events(&[start, b"j", b"k"], silent)), "jk", "{start:?}");
    }
    // A rest that comes late is no key; one byte, typed, is.
    for (start, rest, heard) in [
        (&b"\x1bP>|tmux 3"[..], &b".3a quartz\x1b\\j"[..], "j"),
        (b"\x1b]11;rgb:00", b"00/0000\x07k", "k"),
        (b"\x1b]11;rg", b"b:q:XB\x1b\\", ""),
        (b"\x1b]11;rg", b"q", "q"),
        (b"\x1b]11;rgb:1e\x1b", b"\\", ""),
        (b"\x1b]11;rgb:1e\x1b", b"\\q", "q"),
        (b"\x1b]11;rg", b"b:\x03", "<Control c>"),
        (b"\x1b[", b"B", "<Alt [><Down>"),
        (b"\x1b[12", b"~", "<F2>"),
        (b"\x1b[1;", b"q", "q"),
    ] {
        assert_eq!(keys(&events(&[start, rest], silent)), heard, "{start:?} {rest:?}");
    }
    // Keys that are typed one after another do not prolong an answer for ever.
    let typed: Vec<&[u8]> =
        std::iter::once(&b"\x1b]11;"[..]).chain(std::iter::repeat_n(&b"j"[..], 40)).collect();
    let heard = keys(&events(&typed, Duration::from_millis(200)));
    assert!((10..30).contains(&heard.len()), "{heard}");
}

#[test]
fn a_paste_is_cut_at_its_limit_and_what_is_too_much_is_no_key() {
    let mut bytes = PASTE_START.to_vec();
    bytes.resize(bytes.len() + 2 * LONGEST_PASTE, b'q');
    let parts: Vec<&[u8]> = bytes.chunks(1024).collect();
    let lost = events(&parts, Duration::ZERO);
    bytes.extend_from_slice(PASTE_END);
    bytes.push(b'j');
    let parts: Vec<&[u8]> = bytes.chunks(1024).collect();
    let whole = events(&parts, Duration::ZERO);
    for (events, count) in [(lost, 1), (whole, 2)] {
        let Event::Paste(text) = &events[0] else { panic!("no paste") };
        assert_eq!((events.len(), text.len()), (count, LONGEST_PASTE));
    }
}

#[test]
fn a_paste_without_its_start_is_a_paste() {
    assert_eq!(keys(&events(&[b"qB:\x1b[201~j"], SHORT)), "<paste qB:>j");
    assert_eq!(keys(&events(&[b"\x03\x1b[201~"], SHORT)), "<Control c>");
}

#[test]
fn a_click_is_one_of_the_left_button() {
    let Event::Mouse(mouse) = &events(&[b"\x1b[<0;1;1M"], SHORT)[0] else { panic!("no mouse") };
    assert_eq!(mouse.kind, MouseEventKind::Down(MouseButton::Left));
}

/// What `parts` mean while the terminal's status is awaited, and whether that came.
fn with_status(parts: &[&[u8]], gap: Duration) -> (String, bool) {
    expecting(Status::Awaited, parts, gap)
}

/// What `parts` mean where the terminal's status may come, and whether that came.
fn expecting(status: Status, parts: &[&[u8]], gap: Duration) -> (String, bool) {
    let mut now = Instant::now();
    let mut input = Input::new(now);
    input.expect(status);
    let mut heard = Vec::new();
    for part in parts {
        input.feed(part, now);
        now += gap;
        while let Some(at) = input.deadline().filter(|at| *at <= now) {
            input.expire(at);
        }
    }
    while let Some(at) = input.deadline() {
        input.expire(at);
    }
    heard.extend(std::iter::from_fn(|| input.next_event()));
    (keys(&heard), input.take_status())
}

#[test]
fn a_status_is_no_key_in_whatever_parts_it_comes() {
    let slow = [SHORT, Duration::from_millis(120), Duration::from_millis(450)];
    for (bytes, meaning, gaps) in [
        (&b"\x1b[0n"[..], "", &slow[..]),
        (b"\xc2\x9b0n", "", &slow),
        (b"j\x1b[0nk", "jk", &slow),
        (b"\x1b[0n\x1b[0n", "", &slow),
        // An ESC that begins something else is a key after its hold.
        (b"\x1b[A\x1b[0n\x1b[B", "<Up><Down>", &slow[..1]),
        (b"\x1b[200~a\x1b[0nb\x1b[201~", "<paste ab>", &slow[..1]),
        (b"\x1b]11;rgb:0/0/0\x1b[0n", "", &slow[..1]),
    ] {
        for at in 0..bytes.len() {
            for gap in gaps {
                let heard = with_status(&[&bytes[..at], &bytes[at..]], *gap);
                let shown = String::from_utf8_lossy(bytes);
                assert_eq!(heard, (meaning.to_owned(), true), "{shown:?} at {at}, {gap:?}");
            }
        }
    }
    // What is none: an ESC that another key follows, one alone, other sequences.
    let late = ESCAPE_HOLD + SHORT;
    for (parts, meaning) in [
        (&[&b"\x1b"[..], b"j"][..], "<Esc>j"),
        (&[b"\x1b"], "<Esc>"),
        (&[b"\x1b", b"[B"], "<Esc><Down>"),
        (&[b"\x1b", b"\x1b[0n"], "<Esc>"),
        (&[b"\x1b[3n"], ""),
    ] {
        assert_eq!(with_status(parts, late).0, meaning, "{parts:?}");
    }
}

#[test]
fn fr_050_002_a_late_status_is_no_key_however_long_it_pauses_after_its_escape() {
    let parts = [
        &[&b"\x1b"[..], b"[0nj"][..],
        &[b"\x1b", b"[", b"0nj"],
        &[b"\x1b", b"[0", b"nj"],
        &[b"\x1b", b"[", b"0", b"nj"],
    ];
    let any = [60, 140, 200, 480, 520, 700, 980, 1_200, 4_000].map(Duration::from_millis);
    let both = [Status::Asked, Status::Awaited];
    for (status, gap) in both.into_iter().flat_map(|status| any.map(|gap| (status, gap))) {
        // Where the pause is after the ESC only; what may be a typed `[` waits for a moment.
        let longest = if status == Status::Asked { LATE_HOLD } else { LATE_REST };
        let parts = if gap < longest { &parts[..] } else { &parts[..1] };
        for parts in parts {
            let (heard, answered) = expecting(status, parts, gap);
            let keys = heard.strip_prefix("<Esc>").unwrap_or(&heard);
            assert_eq!((keys, answered), ("j", true), "{status:?} {parts:?} {gap:?}");
        }
    }
    // Keys are keys, at once or after their hold.
    for (parts, meaning) in [
        (&[&b"\x1b"[..], b"[", b"x"][..], "<Esc>[x"),
        (&[b"\x1b", b"[0", b"x"], "<Esc>[0x"),
        (&[b"\x1b", b"["], "<Esc>["),
        (&[b"\x1b", b"j", b"[0n"], "<Esc>j[0n"),
        (&[b"[0n"], "[0n"),
    ] {
        let (heard, answered) = expecting(Status::Asked, parts, Duration::from_millis(600));
        assert_eq!((heard.as_str(), answered), (meaning, false), "{parts:?}");
    }
    let late = expecting(Status::Unasked, &[b"\x1b", b"[0n"], Duration::from_millis(600));
    assert_eq!(late, ("<Esc>[0n".to_owned(), false));
}

#[test]
fn fr_050_002_a_bracket_after_an_escape_waits_for_a_moment_at_most() {
    for (status, pause, hold) in [
        (Status::Asked, Duration::from_millis(300), LATE_HOLD),
        (Status::Asked, Duration::from_secs(4), LATE_HOLD),
        (Status::Asked, Duration::from_secs(6), Duration::ZERO),
        (Status::Unasked, Duration::from_millis(300), LATE_HOLD),
        (Status::Unasked, Duration::from_millis(600), Duration::ZERO),
    ] {
        let start = Instant::now();
        let mut input = Input::new(start);
        input.expect(status);
        input.feed(b"\x1b", start);
        input.expire(start + ESCAPE_HOLD);
        let typed = start + ESCAPE_HOLD + pause;
        input.feed(b"[", typed);
        input.expire(typed + hold);
        let heard: Vec<_> = std::iter::from_fn(|| input.next_event()).collect();
        assert_eq!(keys(&heard), "<Esc>[", "{status:?} {pause:?}");
    }
}

#[test]
fn fr_050_002_an_escape_and_a_bracket_are_keys_where_no_answer_follows() {
    let heard = |parts: &[&[u8]], first: u64, then: u64| {
        let start = Instant::now();
        let mut input = Input::new(start);
        input.expect(Status::Awaited);
        let mut now = start;
        for (index, part) in parts.iter().enumerate() {
            input.feed(part, now);
            now += Duration::from_millis(if index == 0 { first } else { then });
            while let Some(at) = input.deadline().filter(|at| *at <= now) {
                input.expire(at);
            }
        }
        while let Some(at) = input.deadline() {
            input.expire(at);
        }
        let heard: Vec<_> = std::iter::from_fn(|| input.next_event()).collect();
        (keys(&heard), input.take_status())
    };
    for first in [60, 400, 490] {
        for (parts, then, meaning, answered) in [
            (&[&b"\x1b"[..], b"["][..], 0, "<Esc>[", false),
            // The answer comes after them, or a while after the first half of what may be one.
            (&[b"\x1b", b"[", b"\x1b[0n"], 700, "<Esc>[", true),
            (&[b"\x1b", b"[", b"\x1b[0n"], 1_500, "<Esc>[", true),
            (&[b"\x1b", b"[", b"0n"], 900, "", true),
            (&[b"\x1b", b"[", b"0nj"], 1_500, "<Esc>[j", true),
            (&[b"\x1b", b"[0", b"x"], 300, "<Esc>[0x", false),
            (&[b"\x1b", b"[", b"j"], 20, "<Esc>[j", false),
            (&[b"\x1b", b"[", b"A"], 300, "<Esc>[A", false),
            // A sequence in pieces.
            (&[b"\x1b", b"[", b"A"], 20, "<Esc><Up>", false),
            (&[b"\x1b", b"[", b"1;5A"], 20, "<Esc><Control Up>", false),
        ] {
            let expected = (meaning.to_owned(), answered);
            assert_eq!(heard(parts, first, then), expected, "{parts:?} {first} {then}");
        }
    }
}
