//! Themes: what each meaning looks like. A theme is a TOML file that gives every role a
//! style; the screens name roles and never colours.

mod parse;

use std::path::Path;

use ratatui::style::{Color, Modifier, Style};

pub use crate::term::color::ColorSupport;

use crate::tui::source_file::{self, Found};
use crate::{Error, Result};

/// The themes that are part of the program: name and text. [`Theme::embedded`] reads them,
/// and the console goes through them in this order.
pub const EMBEDDED: &[(&str, &str)] = &[
    ("default", include_str!("../../../themes/default.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../../themes/colour-blind.toml")),
    ("monochrome", include_str!("../../../themes/monochrome.toml")),
];

/// Which embedded theme it is; their number for one of a file.
pub fn index_of(theme: &Theme) -> usize {
    let is = |(name, _): &(&str, &str)| Theme::embedded(name).is_ok_and(|other| other == *theme);
    EMBEDDED.iter().position(is).unwrap_or(EMBEDDED.len())
}

macro_rules! roles {
    ($($variant:ident = $id:literal, $doc:literal;)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Role { $(#[doc = $doc] $variant,)+ }

        impl Role {
            /// Every role, in the order in which theme files list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            pub fn parse(id: &str) -> Option<Self> {
                match id { $($id => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

roles! {
    Text = "text", "Ordinary text and the background of everything.";
    Muted = "muted", "Text that matters less.";
    Accent = "accent", "What stands out without being a state.";
    Border = "border", "Lines and boxes.";
    Title = "title", "The title of a screen or a box.";
    Header = "header", "The header of a table.";
    Tab = "tab", "A tab that is not shown.";
    TabActive = "tab_active", "The tab that is shown.";
    Selected = "selected", "The marker and the id of the selected row, never a whole row.";
    Key = "key", "A key in the footer and in help.";
    Hint = "hint", "What a key does, and other advice.";
    Input = "input", "A text field.";
    InputError = "input_error", "The word that is wrong in a text field.";
    Success = "success", "A run that succeeded.";
    Running = "running", "A run at work.";
    Queued = "queued", "A run that waits.";
    Warning = "warning", "A partial success, and other warnings.";
    Stale = "stale", "A run that no worker claims, and data past its age.";
    Paused = "paused", "A paused run, and frozen updates.";
    Failed = "failed", "A run that failed.";
    Blocked = "blocked", "A run whose precondition no longer held.";
    Cancelled = "cancelled", "A run that was cancelled.";
    Redacted = "redacted", "What stands in place of a value that was withheld.";
    Match = "match", "What a search has found.";
    Banner = "banner", "The break-glass line.";
    Toast = "toast", "A short message.";
    Live = "live", "The connection state: live.";
    Lost = "lost", "The connection state: lost.";
    EnvironmentRed = "environment_red", "The label of an environment whose colour is red.";
    EnvironmentYellow = "environment_yellow", "The label of an environment whose colour is yellow.";
    EnvironmentGreen = "environment_green", "The label of an environment whose colour is green.";
    EnvironmentBlue = "environment_blue", "The label of an environment whose colour is blue.";
    EnvironmentMagenta = "environment_magenta", "The label of an environment whose colour is magenta.";
    EnvironmentCyan = "environment_cyan", "The label of an environment whose colour is cyan.";
    EnvironmentWhite = "environment_white", "The label of an environment whose colour is white.";
}

impl Role {
    /// The role for an environment's colour as the database names it; white if it is unknown.
    pub fn environment(color: &str) -> Self {
        match color {
            "red" => Self::EnvironmentRed,
            "yellow" => Self::EnvironmentYellow,
            "green" => Self::EnvironmentGreen,
            "blue" => Self::EnvironmentBlue,
            "magenta" => Self::EnvironmentMagenta,
            "cyan" => Self::EnvironmentCyan,
            _ => Self::EnvironmentWhite,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// One for each of [`Role::ALL`], in that order.
    styles: Vec<Style>,
}

impl Theme {
    pub fn embedded(name: &str) -> Result<Self> {
        match source_file::find("theme", name, None, EMBEDDED)? {
            Found::Embedded(text) => Self::parse(&format!("themes/{name}.toml"), text),
            Found::File { .. } => Err(Error::usage("a path is not the name of a theme")),
        }
    }

    /// Reads a theme; errors name `file_name`, the line, the reason and what is allowed.
    pub fn parse(file_name: &str, text: &str) -> Result<Self> {
        parse::parse(file_name, text)
    }

    /// Loads a theme by path, or by name: a file of that name in `user_dir` comes before
    /// the embedded one.
    pub fn load(name_or_path: &str, user_dir: Option<&Path>) -> Result<Self> {
        match source_file::find("theme", name_or_path, user_dir, EMBEDDED)? {
            Found::Embedded(_) => Self::embedded(name_or_path),
            Found::File { name, text } => Self::parse(&name, &text),
        }
    }

    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// The same theme with the nearest colours that a terminal has. Where it has none, what
    /// had a background is reversed, so that a label stays a label.
    #[must_use]
    pub fn downgrade(&self, support: ColorSupport) -> Self {
        let nearest = |color: Color| support.nearest(color);
        let styles = self.styles.iter().map(|style| {
            if support != ColorSupport::None {
                let mut style = *style;
                style.fg = style.fg.map(nearest);
                style.bg = style.bg.map(nearest);
                return style;
            }
            let filled = style.bg.is_some_and(|color| color != Color::Reset);
            let plain = Style { fg: None, bg: None, ..*style };
            if filled { plain.add_modifier(Modifier::REVERSED) } else { plain }
        });
        Self { styles: styles.collect() }
    }
}
