//! What complete sequences mean. What is not known here means nothing.

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

/// How many bytes the character has that begins with `byte`; 0 where none does.
pub(super) fn length(byte: u8) -> usize {
    match byte {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 0,
    }
}

/// The key of a single byte below 0x80.
pub(super) fn pressed(byte: u8, alt: bool) -> Event {
    let control = |character: u8| (KeyCode::Char(char::from(character)), KeyModifiers::CONTROL);
    let (code, mut modifiers) = match byte {
        0 => control(b' '),
        b'\t' => (KeyCode::Tab, KeyModifiers::NONE),
        b'\r' => (KeyCode::Enter, KeyModifiers::NONE),
        0x1b => (KeyCode::Esc, KeyModifiers::NONE),
        0x01..=0x1a => control(byte - 1 + b'a'),
        0x1c..=0x1f => control(byte - 0x1c + b'4'),
        0x7f.. => (KeyCode::Backspace, KeyModifiers::NONE),
        _ => return typed(char::from(byte), alt),
    };
    if alt {
        modifiers |= KeyModifiers::ALT;
    }
    key(code, modifiers)
}

/// The key of a character.
pub(super) fn typed(character: char, alt: bool) -> Event {
    let mut modifiers = KeyModifiers::NONE;
    modifiers.set(KeyModifiers::SHIFT, character.is_uppercase());
    modifiers.set(KeyModifiers::ALT, alt);
    key(KeyCode::Char(character), modifiers)
}

/// What `ESC O`, `held` and `end` mean.
pub(super) fn shifted(held: &[u8], end: u8) -> Option<Event> {
    match end {
        b'M' => Some(key(KeyCode::Enter, KeyModifiers::NONE)),
        // rxvt, with ctrl.
        b'a'..=b'd' => Some(key(arrow(end.to_ascii_uppercase())?, KeyModifiers::CONTROL)),
        _ => {
            let modifiers = std::str::from_utf8(held).ok().and_then(|text| text.parse().ok());
            Some(key(arrow(end)?, modifiers.map_or(KeyModifiers::NONE, modifiers_of)))
        }
    }
}

/// What `ESC [ [` and `end` mean.
pub(super) fn linux_function(end: u8) -> Option<Event> {
    let number = end.checked_sub(b'A').filter(|number| *number < 5)?;
    Some(key(KeyCode::F(number + 1), KeyModifiers::NONE))
}

/// What `ESC [`, `held` and `end` mean.
pub(super) fn control(held: &[u8], end: u8) -> Option<Event> {
    let text = std::str::from_utf8(held).ok()?;
    if let Some(text) = text.strip_prefix('<') {
        return reported_mouse(text, end);
    }
    // Private parameters and intermediate bytes are those of answers.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':')) {
        return None;
    }
    let mut parameters = text.split(';').map(|parameter| {
        let mut parts = parameter.split(':').map(|part| part.parse::<u32>().ok());
        (parts.next().flatten(), parts.next().flatten())
    });
    let (first, _) = parameters.next().unwrap_or_default();
    let (modifiers, kind) = parameters.next().unwrap_or_default();
    let third = parameters.next().and_then(|(number, _)| number);
    let kind = match kind {
        Some(2) => KeyEventKind::Repeat,
        Some(3) => KeyEventKind::Release,
        _ => KeyEventKind::Press,
    };
    let held = modifiers.map_or(KeyModifiers::NONE, modifiers_of);
    let (code, held) = match end {
        b'I' if text.is_empty() => return Some(Event::FocusGained),
        b'O' if text.is_empty() => return Some(Event::FocusLost),
        b'M' => return rxvt_mouse(first?, modifiers?, third?),
        b'Z' => (KeyCode::BackTab, KeyModifiers::SHIFT),
        // With parameters it is the answer about the cursor's place.
        b'R' if !text.is_empty() => return None,
        b'A'..=b'S' => (arrow(end)?, held),
        b'a'..=b'd' => (arrow(end.to_ascii_uppercase())?, KeyModifiers::SHIFT),
        // xterm with modifyOtherKeys.
        b'~' if first == Some(27) => (character(third?)?, held),
        b'~' => (numbered(first?)?, held),
        b'$' => (numbered(first?)?, KeyModifiers::SHIFT),
        b'^' => (numbered(first?)?, KeyModifiers::CONTROL),
        b'@' => (numbered(first?)?, KeyModifiers::CONTROL | KeyModifiers::SHIFT),
        b'u' => (character(first?)?, held),
        _ => return None,
    };
    let (code, held) = match code {
        KeyCode::Tab if held == KeyModifiers::SHIFT => (KeyCode::BackTab, held),
        code => (code, held),
    };
    Some(Event::Key(KeyEvent::new_with_kind(code, held, kind)))
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

fn modifiers_of(number: u32) -> KeyModifiers {
    let bits = number.saturating_sub(1);
    let mut modifiers = KeyModifiers::NONE;
    for (bit, modifier) in [
        (1, KeyModifiers::SHIFT),
        (2, KeyModifiers::ALT),
        (4, KeyModifiers::CONTROL),
        (8, KeyModifiers::SUPER),
        (16, KeyModifiers::HYPER),
        (32, KeyModifiers::META),
    ] {
        modifiers.set(modifier, bits & bit != 0);
    }
    modifiers
}

fn arrow(end: u8) -> Option<KeyCode> {
    Some(match end {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'P'..=b'S' => KeyCode::F(end - b'P' + 1),
        _ => return None,
    })
}

fn numbered(number: u32) -> Option<KeyCode> {
    let function = |first: u32, code: u32| u8::try_from(number - first + code).ok();
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(function(11, 1)?),
        17..=21 => KeyCode::F(function(17, 6)?),
        23..=26 => KeyCode::F(function(23, 11)?),
        28..=29 => KeyCode::F(function(28, 15)?),
        31..=34 => KeyCode::F(function(31, 17)?),
        _ => return None,
    })
}

fn character(code: u32) -> Option<KeyCode> {
    Some(match code {
        9 => KeyCode::Tab,
        13 => KeyCode::Enter,
        27 => KeyCode::Esc,
        8 | 127 => KeyCode::Backspace,
        // The private use area is that of keys which are no characters.
        57_344..=63_743 => return None,
        code => KeyCode::Char(char::from_u32(code).filter(|character| !character.is_control())?),
    })
}

/// `ESC [ M`: button, column and row, each as one byte above 32.
pub(super) fn plain_mouse(bytes: &[u8]) -> Option<Event> {
    let [button, column, row] = bytes else { return None };
    mouse(
        button_kind(u32::from(button - b' '), false)?,
        u32::from(column - b' '),
        u32::from(row - b' '),
    )
}

fn rxvt_mouse(button: u32, column: u32, row: u32) -> Option<Event> {
    mouse(button_kind(button.checked_sub(32)?, false)?, column, row)
}

/// `ESC [ <`: button, column and row as numbers; a small `m` is a release.
fn reported_mouse(text: &str, end: u8) -> Option<Event> {
    let mut numbers = text.split(';').map(|number| number.parse().ok());
    let (button, column, row) = (numbers.next()??, numbers.next()??, numbers.next()??);
    match end {
        b'M' | b'm' => mouse(button_kind(button, end == b'm')?, column, row),
        _ => None,
    }
}

fn button_kind(number: u32, released: bool) -> Option<MouseEventKind> {
    let button = match number & 3 {
        0 => MouseButton::Left,
        1 => MouseButton::Middle,
        _ => MouseButton::Right,
    };
    Some(match number & 0b1110_0011 {
        0..=2 if released => MouseEventKind::Up(button),
        0..=2 => MouseEventKind::Down(button),
        3 => MouseEventKind::Up(MouseButton::Left),
        32..=34 => MouseEventKind::Drag(button),
        35 => MouseEventKind::Moved,
        64 => MouseEventKind::ScrollUp,
        65 => MouseEventKind::ScrollDown,
        _ => return None,
    })
}

/// Terminals count columns and rows from 1.
fn mouse(kind: MouseEventKind, column: u32, row: u32) -> Option<Event> {
    let cell = |number: u32| u16::try_from(number.checked_sub(1)?).ok();
    let (column, row) = (cell(column)?, cell(row)?);
    Some(Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
}
