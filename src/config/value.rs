//! Turns what a layer says into a typed value, or into the reason why it cannot be one.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use super::{DatabaseUrl, ListenUrl, WebhookUrl, excerpt, format_duration, parse_duration};
use crate::domain::schema_name::SchemaName;
use crate::domain::time_zone::TimeZone;
use crate::term::fence::Link;

/// What a layer says: files are typed, variables and flags are text.
#[derive(Debug)]
pub(super) enum Given<'a> {
    /// Text from a file.
    Text(&'a str),
    /// A whole number from a file.
    Integer(i64),
    /// A truth value from a file.
    Boolean(bool),
    /// Something else from a file, by the name of its type.
    Other(&'static str),
    /// Text from a variable or a flag, which may stand for any type.
    Owned(String),
}

impl Given<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Owned(_) => "text",
            Self::Integer(_) => "a whole number",
            Self::Boolean(_) => "a truth value",
            Self::Other(kind) => kind,
        }
    }

    fn text(&self) -> Result<Cow<'_, str>, String> {
        match self {
            Self::Text(text) => Ok(Cow::Borrowed(*text)),
            Self::Owned(text) => Ok(Cow::Borrowed(text)),
            other => Err(format!("this is {}, text in quotes is needed", other.kind())),
        }
    }
}

/// A closed list of words.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every word and what it means.
    const NAMES: &'static [(&'static str, Self)];

    /// The word for this value.
    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }

    /// The value for a word.
    fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// When the output is a terminal that can show it.
    Auto,
    /// Even when the output is no terminal.
    Always,
    /// Not at all.
    Never,
}

impl Choice for Color {
    const NAMES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)];
}

impl Choice for TimeZone {
    const NAMES: &'static [(&'static str, Self)] = &[("utc", Self::Utc), ("local", Self::Local)];
}

impl Choice for Link {
    const NAMES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("fast", Self::Fast), ("slow", Self::Slow)];
}

/// How severe an event has to be to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what will be trouble.
    Warn,
    /// And what happened.
    Info,
    /// And how.
    Debug,
}

impl Choice for LogLevel {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
    ];
}

pub(super) fn boolean(given: &Given<'_>) -> Result<bool, String> {
    match given {
        Given::Boolean(value) => Ok(*value),
        Given::Owned(text) => match text.as_str() {
            "true" | "1" | "yes" => Ok(true),
            "false" | "0" | "no" => Ok(false),
            _ => Err(format!("{} is neither true nor false", excerpt(text))),
        },
        other => Err(format!("this is {}, true or false is needed", other.kind())),
    }
}

pub(super) fn integer(given: &Given<'_>, least: u32, most: u32) -> Result<u32, String> {
    let number = match given {
        Given::Integer(number) => *number,
        Given::Owned(text) => {
            text.parse().map_err(|_| format!("{} is not a whole number", excerpt(text)))?
        }
        other => return Err(format!("this is {}, a whole number is needed", other.kind())),
    };
    u32::try_from(number)
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("{number} is out of range"))
}

pub(super) fn duration(
    given: &Given<'_>,
    least: Duration,
    most: Duration,
) -> Result<Duration, String> {
    let text = given.text()?;
    let value = parse_duration(&text).map_err(|error| error.message().to_owned())?;
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{} is out of range", format_duration(value)))
    }
}

/// A name ends up in a file name, so nothing that could leave a directory is one; a path says
/// that it is one by its ending.
pub(super) fn name(given: &Given<'_>) -> Result<String, String> {
    let text = given.text()?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_path = text.ends_with(".toml") && !text.chars().any(char::is_control);
    if is_path || ((1..=64).contains(&text.len()) && text.chars().all(allowed)) {
        Ok(text.into_owned())
    } else {
        Err(format!("{} is neither a name nor the path of a .toml file", excerpt(&text)))
    }
}

pub(super) fn choice<T: Choice>(given: &Given<'_>) -> Result<T, String> {
    let text = given.text()?;
    T::from_name(&text).ok_or_else(|| format!("{} is not one of the words", excerpt(&text)))
}

/// The reason of a refusal never repeats the text: it may hold a password.
pub(super) fn database(given: &Given<'_>) -> Result<Option<DatabaseUrl>, String> {
    DatabaseUrl::parse(&given.text()?).map(Some)
}

/// The reason of a refusal never repeats the text: it may hold a password.
pub(super) fn listen_url(given: &Given<'_>) -> Result<Option<ListenUrl>, String> {
    ListenUrl::parse(&given.text()?).map(Some)
}

pub(super) fn schema(given: &Given<'_>) -> Result<Option<SchemaName>, String> {
    SchemaName::parse(&given.text()?).map(Some)
}

/// The reason of a refusal never repeats the text: it may be the right to post there.
pub(super) fn webhook(given: &Given<'_>) -> Result<Option<WebhookUrl>, String> {
    WebhookUrl::parse(&given.text()?).map(Some)
}

/// What the file holds is read by who needs it.
pub(super) fn absolute_path(given: &Given<'_>) -> Result<Option<PathBuf>, String> {
    let text = given.text()?;
    let path = PathBuf::from(text.as_ref());
    if path.is_absolute() { Ok(Some(path)) } else { Err("this is not an absolute path".to_owned()) }
}
