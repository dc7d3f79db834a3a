//! Cells to bytes, as few as possible: the shortest cursor move, only the attributes that
//! change, and one erase for a blank rest of a line. A slow link pays for every byte.

use std::collections::BTreeSet;
use std::io::Write as _;

use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use unicode_width::UnicodeWidthStr as _;

use super::color::ColorSupport;

/// The attributes of the next character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pen {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

const PLAIN: Pen = Pen { fg: Color::Reset, bg: Color::Reset, modifier: Modifier::empty() };

/// On a blank these are seen; other attributes are not, so they need not change for one.
const SEEN_ON_BLANK: Modifier =
    Modifier::REVERSED.union(Modifier::UNDERLINED).union(Modifier::CROSSED_OUT);

/// Each modifier with its codes to switch it on and off. Bold and dim share their "off".
const MODIFIERS: [(Modifier, u8, u8); 8] = [
    (Modifier::BOLD, 1, 22),
    (Modifier::DIM, 2, 22),
    (Modifier::ITALIC, 3, 23),
    (Modifier::UNDERLINED, 4, 24),
    (Modifier::SLOW_BLINK, 5, 25),
    (Modifier::RAPID_BLINK, 6, 25),
    (Modifier::REVERSED, 7, 27),
    (Modifier::CROSSED_OUT, 9, 29),
];

/// Turns cells into bytes, remembering what the terminal's cursor and pen are.
#[derive(Debug)]
pub(super) struct Encoder {
    support: ColorSupport,
    /// Whether only ASCII may be written.
    ascii: bool,
    /// Where the terminal's cursor is; unknown after a full line or a doubtful character.
    at: Option<(u16, u16)>,
    pen: Pen,
    /// Where double-width characters start. Printing over one half of such a character
    /// blanks the other half in a way that differs between terminals.
    wide: BTreeSet<(u16, u16)>,
}

impl Encoder {
    /// For a terminal in its initial state, with its cursor anywhere.
    pub(super) fn new(support: ColorSupport) -> Self {
        Self { support, ascii: false, at: None, pen: PLAIN, wide: BTreeSet::new() }
    }

    /// Writes only ASCII, or everything.
    pub(super) fn ascii(&mut self, only: bool) {
        self.ascii = only;
    }

    /// Forgets where the cursor is, after something else may have moved it.
    pub(super) fn forget(&mut self) {
        self.at = None;
    }

    /// Forgets what is on the screen, because some or all of it has been erased.
    pub(super) fn erased(&mut self) {
        self.wide.clear();
    }

    /// Writes `cells` in the order they come; `width` is the terminal's.
    pub(super) fn cells<'a>(
        &mut self,
        out: &mut Vec<u8>,
        width: u16,
        cells: impl Iterator<Item = (u16, u16, &'a Cell)>,
    ) {
        // A run of plain blanks waits until it is known whether it reaches the margin.
        let mut blanks: Option<(u16, u16, u16)> = None;
        for (x, y, cell) in cells {
            let blank = cell.symbol() == " "
                && self.support.nearest(cell.bg) == Color::Reset
                && !cell.modifier.intersects(SEEN_ON_BLANK);
            match &mut blanks {
                Some((from, row, count)) if blank && *row == y && *from + *count == x => {
                    *count += 1;
                    continue;
                }
                _ => self.flush_blanks(out, width, blanks.take()),
            }
            if blank {
                blanks = Some((x, y, 1));
                continue;
            }
            self.uncover(out, width, (x, y), cell.symbol());
            self.go_to(out, x, y);
            self.set_pen(out, self.pen_of(cell));
            self.print(out, width, cell.symbol());
        }
        self.flush_blanks(out, width, blanks);
    }

    /// The attributes as this terminal can show them, and only those that can be seen.
    fn pen_of(&self, cell: &Cell) -> Pen {
        let blank = cell.symbol() == " ";
        let mut pen = Pen {
            fg: self.support.nearest(cell.fg),
            bg: self.support.nearest(cell.bg),
            modifier: cell.modifier,
        };
        if blank {
            if !pen.modifier.intersects(SEEN_ON_BLANK) {
                pen.fg = self.pen.fg;
            }
            pen.modifier = (pen.modifier & SEEN_ON_BLANK) | (self.pen.modifier - SEEN_ON_BLANK);
        }
        pen
    }

    fn flush_blanks(&mut self, out: &mut Vec<u8>, width: u16, run: Option<(u16, u16, u16)>) {
        let Some((x, y, count)) = run else { return };
        self.go_to(out, x, y);
        // The erase fills with the pen's background, and reversed blanks would be seen.
        let unseen = self.pen.modifier - SEEN_ON_BLANK;
        self.set_pen(out, Pen { fg: self.pen.fg, bg: Color::Reset, modifier: unseen });
        for column in x..x + count {
            self.wide.remove(&(column, y));
        }
        if x + count >= width && count > 3 {
            out.extend_from_slice(b"\x1b[K");
        } else {
            for _ in 0..count {
                self.print(out, width, " ");
            }
        }
    }

    /// Blanks both halves of every double-width character that `symbol` is about to cover
    /// a part of, and notes whether it is one itself.
    fn uncover(&mut self, out: &mut Vec<u8>, width: u16, (x, y): (u16, u16), symbol: &str) {
        let is_wide = symbol.len() > 1 && symbol.width() > 1;
        if self.wide.is_empty() && !is_wide {
            return;
        }
        for column in x..=x + u16::from(is_wide) {
            if self.wide.remove(&(column, y)) {
                self.go_to(out, column, y);
                self.set_pen(out, PLAIN);
                self.print(out, width, " ");
                self.print(out, width, " ");
            }
        }
        if is_wide {
            self.wide.insert((x, y));
        }
    }

    /// Prints one symbol. A control character never passes, whatever the caller drew.
    fn print(&mut self, out: &mut Vec<u8>, width: u16, symbol: &str) {
        if symbol.len() == 1 && !symbol.as_bytes()[0].is_ascii_control() {
            out.extend_from_slice(symbol.as_bytes());
            self.advance(width);
            return;
        }
        if self.ascii {
            for _ in 0..symbol.width().max(1) {
                out.push(b'?');
                self.advance(width);
            }
            return;
        }
        if symbol.is_empty() || symbol.chars().any(char::is_control) {
            out.extend_from_slice("\u{fffd}".as_bytes());
            self.advance(width);
            return;
        }
        out.extend_from_slice(symbol.as_bytes());
        let mut characters = symbol.chars();
        let single = characters.next().is_some() && characters.next().is_none();
        if single && symbol.width() == 1 {
            self.advance(width);
        } else {
            // Terminals disagree about the width of these; the next move is absolute, so
            // that one doubtful character does not shift its whole line.
            self.at = None;
        }
    }

    fn advance(&mut self, width: u16) {
        // In the last column terminals wait with the wrap, each in its own way.
        self.at = self.at.filter(|(x, _)| x + 1 < width).map(|(x, y)| (x + 1, y));
    }

    /// Moves the cursor by the shortest sequence there is.
    pub(super) fn go_to(&mut self, out: &mut Vec<u8>, x: u16, y: u16) {
        let Some((from_x, from_y)) = self.at.replace((x, y)) else {
            return absolute(out, x, y);
        };
        if (from_x, from_y) == (x, y) {
            return;
        }
        let start = out.len();
        if from_y == y {
            if x == 0 {
                out.push(b'\r');
                return;
            }
            step(out, i32::from(x) - i32::from(from_x), b'C', b'D');
            let relative = out.split_off(start);
            let column = x + 1;
            let _ = write!(out, "\x1b[{column}G");
            if relative.len() <= out.len() - start {
                out.truncate(start);
                out.extend_from_slice(&relative);
            }
            return;
        }
        if x == 0 && from_x != 0 {
            out.push(b'\r');
        }
        if x == from_x || x == 0 {
            step(out, i32::from(y) - i32::from(from_y), b'B', b'A');
            let relative = out.split_off(start);
            absolute(out, x, y);
            if relative.len() < out.len() - start {
                out.truncate(start);
                out.extend_from_slice(&relative);
            }
            return;
        }
        absolute(out, x, y);
    }

    /// Resets the pen, so that what anyone writes after a frame is plain.
    pub(super) fn reset_pen(&mut self, out: &mut Vec<u8>) {
        self.set_pen(out, PLAIN);
    }

    fn set_pen(&mut self, out: &mut Vec<u8>, pen: Pen) {
        if pen == self.pen {
            return;
        }
        let from = std::mem::replace(&mut self.pen, pen);
        if pen == PLAIN {
            out.extend_from_slice(b"\x1b[m");
            return;
        }
        let mut change = Vec::with_capacity(24);
        let off = from.modifier - pen.modifier;
        let mut again = Modifier::empty();
        for (modifier, _, code) in MODIFIERS {
            if off.contains(modifier) {
                push(&mut change, code);
                // "Not bold" is also "not dim", and the two kinds of blinking share an end.
                again |= match code {
                    22 => Modifier::BOLD | Modifier::DIM,
                    25 => Modifier::SLOW_BLINK | Modifier::RAPID_BLINK,
                    _ => Modifier::empty(),
                };
            }
        }
        let on = (pen.modifier - from.modifier) | (pen.modifier & again);
        push_modifiers(&mut change, on);
        if pen.fg != from.fg {
            push_color(&mut change, pen.fg, 30);
        }
        if pen.bg != from.bg {
            push_color(&mut change, pen.bg, 40);
        }

        let mut anew = Vec::with_capacity(24);
        push(&mut anew, 0);
        push_modifiers(&mut anew, pen.modifier);
        for (color, base) in [(pen.fg, 30), (pen.bg, 40)] {
            if color != Color::Reset {
                push_color(&mut anew, color, base);
            }
        }
        out.extend_from_slice(b"\x1b[");
        out.extend_from_slice(if anew.len() < change.len() { &anew } else { &change });
        out.push(b'm');
    }
}

fn absolute(out: &mut Vec<u8>, x: u16, y: u16) {
    let (column, row) = (x + 1, y + 1);
    let _ = match (x, y) {
        (0, 0) => write!(out, "\x1b[H"),
        (0, _) => write!(out, "\x1b[{row}H"),
        _ => write!(out, "\x1b[{row};{column}H"),
    };
}

/// A relative move of `by`, `forward` or `backward`.
fn step(out: &mut Vec<u8>, by: i32, forward: u8, backward: u8) {
    out.extend_from_slice(b"\x1b[");
    if by.abs() > 1 {
        let _ = write!(out, "{}", by.abs());
    }
    out.push(if by > 0 { forward } else { backward });
}

fn push(codes: &mut Vec<u8>, code: u8) {
    if !codes.is_empty() {
        codes.push(b';');
    }
    let _ = write!(codes, "{code}");
}

fn push_modifiers(codes: &mut Vec<u8>, modifiers: Modifier) {
    for (modifier, code, _) in MODIFIERS {
        if modifiers.contains(modifier) {
            push(codes, code);
        }
    }
}

/// `base` is 30 for the foreground and 40 for the background.
fn push_color(codes: &mut Vec<u8>, color: Color, base: u8) {
    let plain = match color {
        Color::Reset => 9,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 60,
        Color::LightRed => 61,
        Color::LightGreen => 62,
        Color::LightYellow => 63,
        Color::LightBlue => 64,
        Color::LightMagenta => 65,
        Color::LightCyan => 66,
        Color::White => 67,
        Color::Indexed(index) => {
            for code in [base + 8, 5, index] {
                push(codes, code);
            }
            return;
        }
        Color::Rgb(red, green, blue) => {
            for code in [base + 8, 2, red, green, blue] {
                push(codes, code);
            }
            return;
        }
    };
    push(codes, base + plain);
}
