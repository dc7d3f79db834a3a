//! Turns the bytes that a terminal sends into events: keys, pastes, the mouse and the focus.
//!
//! A sequence counts only once it is complete, however it arrives. Answers that nobody asked
//! for are discarded up to their terminator. Nothing waits for ever: what stays incomplete is
//! discarded after a silence, and ctrl-c gets through in every state.
//!
//! crossterm's parser is private and has none of these rules, so only its event types are used.

mod decode;
mod rest;

use std::collections::VecDeque;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tokio::time::Instant;

use rest::{continues_late, headless_paste, is_late_final, is_late_rest};

/// How long an ESC waits for the rest of a sequence before it is the key.
pub const ESCAPE_HOLD: Duration = Duration::from_millis(40);
/// After so long a silence, a sequence or a paste without its end is over.
pub const SILENCE: Duration = Duration::from_secs(1);
/// An answer without its end is over after this time, also while bytes keep coming.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a ctrl-c inside a paste waits for the paste's end, which makes it pasted text.
const INTERRUPT: Duration = Duration::from_millis(100);
/// So soon after an ESC that was taken as the key, a rest of a sequence belongs to it.
const LATE_REST: Duration = Duration::from_millis(500);
/// How long a byte after such an ESC, which may begin such a rest, waits for the next one.
const LATE_HOLD: Duration = Duration::from_millis(150);
/// So soon after a sequence or an answer that a silence has cut, its rest belongs to it.
const LATE_CUT: Duration = Duration::from_secs(5);
/// The longest paste; the rest of it is discarded.
pub const LONGEST_PASTE: usize = 1024 * 1024;
/// The longest sequence that can mean anything.
const LONGEST_SEQUENCE: usize = 64;

const ESC: u8 = 0x1b;
const CTRL_C: u8 = 0x03;
const BELL: u8 = 0x07;
const PASTE_START: &[u8] = b"\x1b[200~";
/// What a terminal answers to a fence, and to nothing else that is asked.
const STATUS: &[u8] = b"\x1b[0n";
const PASTE_END: &[u8] = b"\x1b[201~";
/// The same with `ESC [` as one character in UTF-8, and as one byte.
const PASTE_ENDS: [&[u8]; 3] = [PASTE_END, b"\xc2\x9b201~", b"\x9b201~"];

/// Where in a sequence the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between sequences.
    Ground,
    /// In a character of several bytes.
    Character,
    /// After an ESC.
    Escape,
    /// After a byte that may begin the rest of a sequence whose ESC was taken as the key.
    Late,
    /// In what may be the rest of a status, so many bytes of which have come. Where its ESC is no key
    /// yet, it is held, too.
    Unmet { come: usize },
    /// After `ESC [`.
    Control,
    /// After `ESC [ [`, which begins the function keys of the Linux console.
    Function,
    /// After `ESC O`.
    Shift,
    /// After `ESC N`, or after an ESC and bytes that announce another one (ECMA-35).
    Designation,
    /// In the three bytes after `ESC [ M`.
    Mouse,
    /// In an answer (OSC, DCS, APC, PM, SOS); `bell` is whether BEL ends it, `last` its last byte.
    Answer { bell: bool, form: Form, last: u8 },
    /// In a paste, with so many bytes of its end matched, and its last byte.
    Paste { matched: usize, last: u8 },
}

/// How a control character was written. An answer ends as it began, or with `ESC \`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An ESC and a letter.
    Letters,
    /// One byte, as where the terminal does not use UTF-8.
    Byte,
    /// The two bytes of the same character in UTF-8.
    Character,
}

/// Whether the terminal's status may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is not expected.
    Unasked,
    /// It was asked for, and may come late.
    Asked,
    /// It is on its way.
    Awaited,
}

/// The decoder of one terminal's input. It does no I/O and reads no clock.
#[derive(Debug)]
pub struct Input {
    state: State,
    /// The bytes of the sequence, character or paste so far, without what the state says.
    held: Vec<u8>,
    /// When the state was entered, and when the last byte came.
    entered: Instant,
    last: Instant,
    /// When a ctrl-c inside a paste counts as the key.
    interrupt: Option<Instant>,
    /// When an ESC was last taken as the key because nothing followed.
    escaped: Option<Instant>,
    /// What a silence has cut last: its state, its bytes so far, and when.
    cut: Option<(State, Vec<u8>, Instant)>,
    /// Whether the terminal's status may come, and whether it has come.
    status: Status,
    answered: bool,
    /// How many bytes of it may have come that were not taken for it, and when.
    unmet: Option<(usize, Instant)>,
    events: VecDeque<Event>,
}

impl Input {
    /// A decoder before the first byte.
    pub fn new(now: Instant) -> Self {
        Self {
            state: State::Ground,
            held: Vec::new(),
            entered: now,
            last: now,
            interrupt: None,
            escaped: None,
            cut: None,
            status: Status::Unasked,
            answered: false,
            unmet: None,
            events: VecDeque::new(),
        }
    }

    /// Whether the terminal's status may come: while it is awaited, an ESC waits longer for its rest.
    pub fn expect(&mut self, status: Status) {
        self.status = status;
    }

    /// Whether the terminal's status has come since this was asked last.
    pub fn take_status(&mut self) -> bool {
        std::mem::take(&mut self.answered)
    }

    /// The next event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`expire`](Self::expire) is due, unless more bytes come before.
    pub fn deadline(&self) -> Option<Instant> {
        let silent = self.last + SILENCE;
        match self.state {
            State::Ground => None,
            State::Escape if self.status == Status::Awaited => Some(self.last + LATE_REST),
            State::Escape | State::Designation => Some(self.last + ESCAPE_HOLD),
            State::Unmet { .. } if self.holds_escape() => Some(silent),
            State::Late | State::Unmet { .. } => Some(self.last + LATE_HOLD),
            State::Answer { .. } => Some(silent.min(self.entered + ANSWER)),
            State::Paste { .. } => Some(self.interrupt.map_or(silent, |at| at.min(silent))),
            _ => Some(silent),
        }
    }

    /// Takes bytes that were read together, at `now`.
    pub fn feed(&mut self, bytes: &[u8], now: Instant) {
        let mut bytes = bytes;
        let held = self.status == Status::Awaited
            && self.state == State::Escape
            && now > self.last + ESCAPE_HOLD;
        if held && (STATUS[1..].starts_with(bytes) || bytes.starts_with(&STATUS[1..])) {
            // It may be keys as well.
            self.enter(State::Unmet { come: 1 }, now);
            self.hold(ESC);
        } else if held {
            self.press_escape(self.last + ESCAPE_HOLD);
        }
        if self.state == State::Ground {
            bytes = self.without_late_rest(bytes, now);
            let unmet = self.unmet.take().filter(|(come, at)| {
                let rest = &STATUS[*come..];
                now <= *at + LATE_CUT && (rest.starts_with(bytes) || bytes.starts_with(rest))
            });
            let late = self.escaped.take().is_some_and(|at| now <= at + LATE_REST);
            if late && is_late_rest(bytes) {
                self.enter(State::Escape, now);
            } else if let ([byte @ (b'[' | b']' | b'O' | b'P' | b'_')], true) = (bytes, late) {
                self.enter(State::Late, now);
                self.hold(*byte);
                bytes = &[];
            } else if let Some((come, _)) = unmet {
                self.enter(State::Unmet { come }, now);
            } else if let Some(end) = headless_paste(bytes) {
                self.paste(&bytes[..end]);
                bytes = &bytes[end + PASTE_END.len()..];
            }
        }
        for byte in bytes {
            self.byte(*byte, now);
        }
        self.last = now;
    }

    /// Takes the rest of what a silence has cut out of bytes that were read together. One byte may
    /// be a key; of an answer, only more than one are its rest.
    fn without_late_rest<'a>(&mut self, bytes: &'a [u8], now: Instant) -> &'a [u8] {
        let Some((state, held, at)) = self.cut.take() else { return bytes };
        if now > at + LATE_CUT {
            return bytes;
        }
        if let Some(interrupt) = bytes.iter().position(|byte| *byte == CTRL_C) {
            return &bytes[interrupt..];
        }
        match state {
            State::Answer { last: ESC, .. } if bytes[0] == b'\\' => &bytes[1..],
            State::Answer { bell, form, .. } if bytes.len() > 1 => {
                let bell = bytes.iter().position(|byte| bell && *byte == BELL).map(|at| at + 1);
                let string = bytes.windows(2).position(|pair| ends_string(form, pair[0], pair[1]));
                let string = string.map(|at| at + 2);
                match bell.into_iter().chain(string).min() {
                    Some(end) => &bytes[end..],
                    None if bytes.contains(&ESC) => bytes,
                    None => {
                        self.cut = Some((state, held, now));
                        &[]
                    }
                }
            }
            State::Control | State::Shift if is_late_final(&held, bytes) => {
                self.enter(state, now);
                self.held = held;
                bytes
            }
            _ => bytes,
        }
    }

    /// Ends what has waited for too long, at `now`.
    pub fn expire(&mut self, now: Instant) {
        if self.interrupt.is_some_and(|at| at <= now) {
            self.interrupt = None;
            self.press(CTRL_C, false);
        }
        if self.deadline().is_none_or(|at| now < at) {
            return;
        }
        if matches!(self.state, State::Answer { .. } | State::Control | State::Shift) {
            self.cut = Some((self.state, self.held.clone(), now));
        }
        let come = match self.state {
            State::Control if STATUS[2..].starts_with(&self.held) => Some(2 + self.held.len()),
            State::Unmet { come } if self.holds_escape() => Some(come),
            _ => None,
        };
        if self.status != Status::Unasked && come.is_some() {
            self.unmet = come.map(|come| (come, now));
        }
        match self.state {
            State::Escape => return self.press_escape(now),
            // Nothing came after the two keys that begin a sequence: alt was held.
            State::Control if self.held.is_empty() && self.status != Status::Awaited => {
                self.press(b'[', true)
            }
            State::Shift if self.held.is_empty() => self.press(b'O', true),
            State::Designation if self.held.len() == 1 => self.press(self.held[0], true),
            State::Late | State::Unmet { .. } => self.press_held(),
            State::Paste { .. } => self.end_paste(),
            _ => {}
        }
        self.enter(State::Ground, now);
    }

    /// Takes an ESC as the key, because nothing followed until `now`.
    fn press_escape(&mut self, now: Instant) {
        self.escaped = Some(now);
        self.unmet = (self.status != Status::Unasked).then_some((1, now));
        self.push_key(KeyCode::Esc, false);
        self.enter(State::Ground, now);
    }

    fn enter(&mut self, state: State, now: Instant) {
        self.state = state;
        self.entered = now;
        self.held.clear();
        self.interrupt = None;
    }

    fn byte(&mut self, byte: u8, now: Instant) {
        if let State::Paste { matched, last } = self.state {
            return self.pasted(byte, matched, last, now);
        }
        if byte == CTRL_C {
            self.enter(State::Ground, now);
            return self.press(CTRL_C, false);
        }
        match self.state {
            State::Ground => self.first(byte, false, now),
            State::Character => self.character(byte, now),
            State::Escape => self.after_escape(byte, Form::Letters, now),
            State::Late => {
                let begun = self.held[0];
                if continues_late(begun, byte) {
                    self.after_escape(begun, Form::Letters, now);
                } else {
                    self.enter(State::Ground, now);
                    self.press(begun, false);
                }
                self.byte(byte, now);
            }
            State::Unmet { come } if byte == STATUS[come] => {
                self.hold(byte);
                self.state = State::Unmet { come: come + 1 };
                if come + 1 == STATUS.len() {
                    self.answered = true;
                    self.enter(State::Ground, now);
                }
            }
            // A sequence in pieces, whose ESC is a key after its hold.
            State::Unmet { come: 2 }
                if self.holds_escape()
                    && now <= self.last + LATE_HOLD
                    && (matches!(byte, b'0'..=b'?') || is_late_final(&[], &[byte])) =>
            {
                self.push_key(KeyCode::Esc, false);
                self.enter(State::Late, now);
                self.hold(STATUS[1]);
                self.byte(byte, now);
            }
            State::Unmet { .. } => {
                self.press_held();
                self.enter(State::Ground, now);
                self.byte(byte, now);
            }
            State::Answer { bell, form, last } => self.answer(byte, bell, form, last, now),
            // A new sequence begins before the last one ended.
            _ if byte == ESC => self.enter(State::Escape, now),
            State::Mouse if byte < b' ' => self.enter(State::Ground, now),
            State::Mouse => {
                self.held.push(byte);
                if self.held.len() == 3 {
                    self.finish(decode::plain_mouse(&self.held), now);
                }
            }
            State::Function => self.finish(decode::linux_function(byte), now),
            State::Control if self.held.is_empty() && byte == b'[' => {
                self.enter(State::Function, now);
            }
            State::Control if self.held.is_empty() && byte == b'M' => {
                self.enter(State::Mouse, now);
            }
            State::Control => self.control(byte, now),
            State::Shift => match byte {
                b'@'..=b'~' => self.finish(decode::shifted(&self.held, byte), now),
                _ => self.hold(byte),
            },
            State::Designation => self.designation(byte, now),
            State::Paste { .. } => {}
        }
    }

    /// The first byte of anything; `alt` is whether an ESC came right before it.
    fn first(&mut self, byte: u8, alt: bool, now: Instant) {
        match byte {
            ESC => self.enter(State::Escape, now),
            0x80.. if decode::length(byte) > 1 => {
                self.enter(State::Character, now);
                // A character with alt is none that a field takes.
                if alt {
                    self.held.push(ESC);
                }
                self.held.push(byte);
            }
            // No character begins with it.
            0x80.. => self.one_byte(byte, Form::Byte, now),
            _ => {
                self.enter(State::Ground, now);
                self.press(byte, alt);
            }
        }
    }

    /// What begins a sequence with an ESC and a letter, as one control character.
    fn one_byte(&mut self, control: u8, form: Form, now: Instant) {
        match control {
            0x8e..=0x90 | 0x98 | 0x9b | 0x9d..=0x9f => self.after_escape(control - 0x40, form, now),
            _ => self.enter(State::Ground, now),
        }
    }

    fn character(&mut self, byte: u8, now: Instant) {
        if byte & 0xc0 != 0x80 {
            // The character was cut off; the byte begins something else.
            return self.first(byte, false, now);
        }
        self.held.push(byte);
        let (alt, bytes) = match self.held.split_first() {
            Some((&ESC, rest)) => (true, rest),
            _ => (false, self.held.as_slice()),
        };
        if let [0xc2, control @ 0x80..=0x9f] = *bytes {
            return self.one_byte(control, Form::Character, now);
        }
        if bytes.len() < decode::length(bytes[0]) {
            return;
        }
        let character = std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
        let event = character.map(|character| decode::typed(character, alt));
        self.finish(event, now);
    }

    fn after_escape(&mut self, byte: u8, form: Form, now: Instant) {
        match byte {
            // Pressed twice: the first one is complete.
            ESC => {
                self.push_key(KeyCode::Esc, false);
                self.enter(State::Escape, now);
            }
            b'[' => self.enter(State::Control, now),
            b'O' => self.enter(State::Shift, now),
            b']' => self.enter(State::Answer { bell: true, form, last: 0 }, now),
            b'P' | b'_' | b'^' | b'X' => {
                self.enter(State::Answer { bell: false, form, last: 0 }, now);
            }
            b'N' | b' '..=b'/' => {
                self.enter(State::Designation, now);
                self.hold(byte);
            }
            _ => self.first(byte, true, now),
        }
    }

    fn designation(&mut self, byte: u8, now: Instant) {
        match byte {
            b' '..=b'/' if self.held != b"N" => self.hold(byte),
            b' '..=b'~' => self.enter(State::Ground, now),
            _ => self.first(byte, false, now),
        }
    }

    fn answer(&mut self, byte: u8, bell: bool, form: Form, last: u8, now: Instant) {
        match byte {
            _ if ends_string(form, last, byte) => self.enter(State::Ground, now),
            BELL if bell => self.enter(State::Ground, now),
            // An ESC that is not the terminator's begins a sequence of its own. Two are one that
            // tmux has doubled.
            _ if last == ESC && byte != ESC => {
                self.enter(State::Escape, now);
                self.after_escape(byte, Form::Letters, now);
            }
            _ => self.state = State::Answer { bell, form, last: byte },
        }
    }

    fn control(&mut self, byte: u8, now: Instant) {
        match byte {
            // rxvt ends its shifted keys with what is no final byte elsewhere.
            b'$' if !self.held.is_empty() && self.held.iter().all(u8::is_ascii_digit) => {
                self.finish(decode::control(&self.held, byte), now);
            }
            b'@'..=b'~' if byte == b'~' && self.held == b"200" => {
                self.enter(State::Paste { matched: 0, last: 0 }, now);
            }
            b'@'..=b'~' => {
                self.answered |= byte == b'n' && self.held == b"0";
                self.finish(decode::control(&self.held, byte), now);
            }
            _ => self.hold(byte),
        }
    }

    fn pasted(&mut self, byte: u8, matched: usize, last: u8, now: Instant) {
        if byte == CTRL_C {
            self.interrupt = self.interrupt.or(Some(now + INTERRUPT));
            self.state = State::Paste { matched: 0, last: byte };
            return;
        }
        let matched = match PASTE_END.get(matched) {
            Some(wanted) if *wanted == byte => matched + 1,
            // As one byte, it is elsewhere a part of a character.
            _ if byte == 0x9b && (last == 0xc2 || last < 0x80) => 2,
            _ => usize::from(byte == ESC),
        };
        if self.held.len() < LONGEST_PASTE + PASTE_END.len() {
            self.held.push(byte);
        }
        // The terminal's own bytes may stand between those of a long paste.
        if byte == b'n' && self.held.ends_with(STATUS) {
            self.held.truncate(self.held.len() - STATUS.len());
            self.answered = true;
        }
        self.state = State::Paste { matched, last: byte };
        if matched == PASTE_END.len() {
            let end = PASTE_ENDS.into_iter().find(|end| self.held.ends_with(end));
            self.held.truncate(self.held.len() - end.map_or(0, <[u8]>::len));
            self.end_paste();
            self.enter(State::Ground, now);
        }
    }

    fn end_paste(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.paste(&held[..held.len().min(LONGEST_PASTE)]);
    }

    fn paste(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        self.answered |= text.contains("\x1b[0n");
        let text = text.replace("\x1b[200~", "").replace("\x1b[0n", "");
        if !text.is_empty() {
            self.events.push_back(Event::Paste(text));
        }
    }

    /// Keeps a byte of a sequence. One that is too long still ends where it ends.
    fn hold(&mut self, byte: u8) {
        if self.held.len() < LONGEST_SEQUENCE {
            self.held.push(byte);
        }
    }

    fn finish(&mut self, event: Option<Event>, now: Instant) {
        self.events.extend(event);
        self.enter(State::Ground, now);
    }

    fn press(&mut self, byte: u8, alt: bool) {
        self.events.push_back(decode::pressed(byte, alt));
    }

    /// Whether an ESC that is no key yet is held before what may be the rest of a status.
    fn holds_escape(&self) -> bool {
        self.held.first() == Some(&ESC)
    }

    /// Takes bytes that were held as the keys that they are.
    fn press_held(&mut self) {
        for byte in std::mem::take(&mut self.held) {
            self.press(byte, false);
        }
    }

    fn push_key(&mut self, code: KeyCode, alt: bool) {
        let modifiers = if alt { KeyModifiers::ALT } else { KeyModifiers::NONE };
        self.events.push_back(Event::Key(KeyEvent::new(code, modifiers)));
    }
}

/// Whether two bytes are, or end with, the terminator of an answer of this form. A byte that ends
/// one is elsewhere a part of a character.
fn ends_string(form: Form, last: u8, byte: u8) -> bool {
    match form {
        _ if last == ESC => byte == b'\\',
        Form::Letters => false,
        Form::Byte => byte == 0x9c && last < 0x80,
        Form::Character => byte == 0x9c && last == 0xc2,
    }
}

#[cfg(test)]
mod tests;
