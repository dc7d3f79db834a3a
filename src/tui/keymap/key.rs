//! One key press: how it is written in a file, read from the terminal, and compared.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A printable character, upper case when shift was held.
    Char(char),
    /// `f1` to `f12`.
    Function(u8),
    Enter,
    Esc,
    Tab,
    Backspace,
    Delete,
    Insert,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
}

const NAMED: &[(&str, Code)] = &[
    ("enter", Code::Enter),
    ("esc", Code::Esc),
    ("tab", Code::Tab),
    ("space", Code::Char(' ')),
    ("backspace", Code::Backspace),
    ("delete", Code::Delete),
    ("insert", Code::Insert),
    ("up", Code::Up),
    ("down", Code::Down),
    ("left", Code::Left),
    ("right", Code::Right),
    ("home", Code::Home),
    ("end", Code::End),
    ("pageup", Code::PageUp),
    ("pagedown", Code::PageDown),
];

/// What an error about a key's name says is allowed.
pub const ALLOWED_KEYS: &str = "allowed: one character such as a, G, ? or /; enter, esc, tab, \
     shift-tab, space, backspace, delete, insert, up, down, left, right, home, end, pageup, \
     pagedown, f1 to f12; with ctrl- or alt- in front, but alt- not of [ ] O P X ^ _ or esc; several separated by spaces are pressed \
     one after another";

/// What a terminal begins a sequence with, after the ESC that stands for alt.
const INTRODUCERS: [char; 7] = ['[', 'O', ']', 'P', 'X', '^', '_'];

/// A key with its modifiers, normalised so that what terminals cannot tell apart is equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub code: Code,
    pub ctrl: bool,
    pub alt: bool,
    /// Shift was held; only for keys that are not characters.
    pub shift: bool,
}

impl Key {
    pub const fn char(character: char) -> Self {
        Self::plain(Code::Char(character))
    }

    pub const fn plain(code: Code) -> Self {
        Self { code, ctrl: false, alt: false, shift: false }
    }

    pub const fn ctrl(character: char) -> Self {
        Self { code: Code::Char(character), ctrl: true, alt: false, shift: false }
    }

    /// Reads one key as files write it (`a`, `G`, `ctrl-x`, `shift-tab`, `f5`).
    ///
    /// The error is the reason, without the key's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut ctrl, mut alt, mut shift) = (false, false, false);
        let mut rest = text;
        loop {
            let (flag, after) = if let Some(after) = rest.strip_prefix("ctrl-") {
                (&mut ctrl, after)
            } else if let Some(after) = rest.strip_prefix("alt-") {
                (&mut alt, after)
            } else if let Some(after) = rest.strip_prefix("shift-") {
                (&mut shift, after)
            } else {
                break;
            };
            if *flag {
                return Err("names a modifier twice".to_owned());
            }
            *flag = true;
            rest = after;
        }
        let mut characters = rest.chars();
        let code = match (characters.next(), characters.next()) {
            (None, _) => return Err("names no key".to_owned()),
            (Some(one), None) if !one.is_control() && !one.is_whitespace() => Code::Char(one),
            _ if rest == "backtab" => {
                shift = true;
                Code::Tab
            }
            _ => match NAMED.iter().find(|(name, _)| *name == rest) {
                Some((_, code)) => *code,
                None => function_key(rest).ok_or_else(|| "is no key".to_owned())?,
            },
        };
        if shift && matches!(code, Code::Char(_)) {
            return Err("puts shift on a character; write the character it makes".to_owned());
        }
        let key = Self { code, ctrl, alt, shift }.normalised();
        if key.begins_a_sequence() {
            return Err("cannot be bound: terminals begin their sequences with it".to_owned());
        }
        Ok(key)
    }

    /// Whether a terminal sends it as the start of a sequence, so that it cannot be told from one.
    fn begins_a_sequence(self) -> bool {
        let introduces = match self.code {
            Code::Char(character) => !self.ctrl && INTRODUCERS.contains(&character),
            code => code == Code::Esc,
        };
        self.alt && introduces
    }

    /// The key of a press or a repeat; nothing for a release or a key that cannot be bound.
    pub fn from_event(event: &KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let known = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        if !known.contains(event.modifiers) {
            return None;
        }
        let mut shift = event.modifiers.contains(KeyModifiers::SHIFT);
        let code = match event.code {
            KeyCode::Char(character) => {
                // Some terminals report `a` with shift, others `A` with or without it.
                let upper = if shift { character.to_ascii_uppercase() } else { character };
                shift = false;
                Code::Char(upper)
            }
            KeyCode::BackTab => {
                shift = true;
                Code::Tab
            }
            KeyCode::F(number @ 1..=12) => Code::Function(number),
            KeyCode::Enter => Code::Enter,
            KeyCode::Esc => Code::Esc,
            KeyCode::Tab => Code::Tab,
            KeyCode::Backspace => Code::Backspace,
            KeyCode::Delete => Code::Delete,
            KeyCode::Insert => Code::Insert,
            KeyCode::Up => Code::Up,
            KeyCode::Down => Code::Down,
            KeyCode::Left => Code::Left,
            KeyCode::Right => Code::Right,
            KeyCode::Home => Code::Home,
            KeyCode::End => Code::End,
            KeyCode::PageUp => Code::PageUp,
            KeyCode::PageDown => Code::PageDown,
            _ => return None,
        };
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        Some(Self { code, ctrl, alt, shift }.normalised())
    }

    /// Whether it types a character into a text field.
    pub const fn is_printable(self) -> bool {
        matches!(self.code, Code::Char(_)) && !self.ctrl && !self.alt
    }

    /// Whether a text field needs it for editing, so that only its own context may take it.
    pub const fn edits_text(self) -> bool {
        self.is_printable()
            || matches!(
                self.code,
                Code::Left
                    | Code::Right
                    | Code::Home
                    | Code::End
                    | Code::Backspace
                    | Code::Delete
                    | Code::Insert
            )
    }

    /// A legacy terminal sends the same byte for `ctrl-i` and tab, `ctrl-m` and enter,
    /// `ctrl-[` and escape, and for `ctrl-x` and `ctrl-X`; so they are one key everywhere.
    fn normalised(mut self) -> Self {
        if let (true, Code::Char(character)) = (self.ctrl, self.code) {
            let lower = character.to_ascii_lowercase();
            self.code = Code::Char(lower);
            let same = match lower {
                'i' => Some(Code::Tab),
                'm' => Some(Code::Enter),
                '[' => Some(Code::Esc),
                _ => None,
            };
            if let Some(code) = same {
                self.code = code;
                self.ctrl = false;
            }
        }
        self
    }
}

fn function_key(text: &str) -> Option<Code> {
    let number: u8 = text.strip_prefix('f')?.parse().ok()?;
    (1..=12).contains(&number).then_some(Code::Function(number))
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (held, name) in [(self.ctrl, "ctrl-"), (self.alt, "alt-"), (self.shift, "shift-")] {
            if held {
                f.write_str(name)?;
            }
        }
        match self.code {
            Code::Function(number) => write!(f, "f{number}"),
            code => match (NAMED.iter().find(|(_, named)| *named == code), code) {
                (Some((name, _)), _) => f.write_str(name),
                (None, Code::Char(character)) => write!(f, "{character}"),
                (None, _) => Ok(()),
            },
        }
    }
}

/// Reads a sequence of keys separated by spaces. The error is the reason.
pub fn parse_sequence(text: &str) -> Result<Vec<Key>, String> {
    let keys: Vec<Key> = text
        .split(' ')
        .filter(|part| !part.is_empty())
        .map(|part| {
            Key::parse(part)
                .map_err(|why| format!("{} {why}", crate::domain::safe_text::quoted(part)))
        })
        .collect::<Result<_, _>>()?;
    if keys.is_empty() { Err("an empty name is no key".to_owned()) } else { Ok(keys) }
}

/// Keys as files write them, separated by spaces.
pub fn write_sequence(keys: &[Key]) -> String {
    keys.iter().map(Key::to_string).collect::<Vec<_>>().join(" ")
}
