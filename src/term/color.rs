//! How many colours a terminal has, and the nearest colour it can show.

use ratatui::style::Color;

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColorSupport {
    /// No colour; bold, reverse, dim, italic and underline still work.
    None,
    /// The terminal's own 16 colours.
    Ansi16,
    /// The 256 colours of xterm.
    Ansi256,
    /// 24 bits.
    True,
}

impl ColorSupport {
    /// Reads it from the environment: `NO_COLOR` (not empty) wins, then `COLORTERM`, then
    /// `TERM`. `get` gives the value of a variable.
    pub fn detect(get: impl Fn(&str) -> Option<String>) -> Self {
        if get("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            return Self::None;
        }
        let term = get("TERM").unwrap_or_default();
        if matches!(term.as_str(), "dumb" | "vt100" | "vt102" | "vt220") || term.ends_with("-m") {
            return Self::None;
        }
        let colorterm = get("COLORTERM").unwrap_or_default();
        if matches!(colorterm.as_str(), "truecolor" | "24bit") || term.ends_with("-direct") {
            return Self::True;
        }
        if term.contains("256color") { Self::Ansi256 } else { Self::Ansi16 }
    }

    /// The nearest colour to `color` that the terminal can show.
    pub fn nearest(self, color: Color) -> Color {
        match (self, color) {
            (Self::None, _) => Color::Reset,
            (Self::Ansi256, Color::Rgb(r, g, b)) => Color::Indexed(nearest_256((r, g, b))),
            (Self::Ansi16, Color::Rgb(r, g, b)) => nearest_16((r, g, b)),
            (Self::Ansi16, Color::Indexed(index @ 16..)) => nearest_16(xterm(index)),
            (_, Color::Indexed(index @ 0..16)) => ANSI[usize::from(index)].0,
            _ => color,
        }
    }
}

type Rgb = (u8, u8, u8);

/// The 16 colours in their order, as xterm shows them; a terminal's own may differ.
const ANSI: [(Color, Rgb); 16] = [
    (Color::Black, (0, 0, 0)),
    (Color::Red, (205, 0, 0)),
    (Color::Green, (0, 205, 0)),
    (Color::Yellow, (205, 205, 0)),
    (Color::Blue, (0, 0, 238)),
    (Color::Magenta, (205, 0, 205)),
    (Color::Cyan, (0, 205, 205)),
    (Color::Gray, (229, 229, 229)),
    (Color::DarkGray, (127, 127, 127)),
    (Color::LightRed, (255, 0, 0)),
    (Color::LightGreen, (0, 255, 0)),
    (Color::LightYellow, (255, 255, 0)),
    (Color::LightBlue, (92, 92, 255)),
    (Color::LightMagenta, (255, 0, 255)),
    (Color::LightCyan, (0, 255, 255)),
    (Color::White, (255, 255, 255)),
];

/// The colour that xterm shows for an index from 16 on.
fn xterm(index: u8) -> Rgb {
    if index >= 232 {
        let level = 8 + 10 * (index - 232);
        return (level, level, level);
    }
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    let cube = index.saturating_sub(16);
    (level(cube / 36), level(cube / 6 % 6), level(cube % 6))
}

fn distance(left: Rgb, right: Rgb) -> u32 {
    [(left.0, right.0), (left.1, right.1), (left.2, right.2)]
        .into_iter()
        .map(|(a, b)| u32::from(a.abs_diff(b)).pow(2))
        .sum()
}

/// Never one of the first 16, because a terminal's own palette changes those.
fn nearest_256(wanted: Rgb) -> u8 {
    (16..=255u8).min_by_key(|index| distance(wanted, xterm(*index))).unwrap_or(16)
}

fn nearest_16(wanted: Rgb) -> Color {
    ANSI.iter()
        .min_by_key(|(_, shown)| distance(wanted, *shown))
        .map_or(Color::Reset, |(color, _)| *color)
}
