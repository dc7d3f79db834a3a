//! Reads `config.toml` and knows the line of every value in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::deploy::{self, Deployment};
use super::value::Given;
use super::{DEFINITIONS, excerpt, nearest};
use crate::domain::safe_text::SafeText;
use crate::files::{self, Content, Refusal};
use crate::paths;
use crate::{Error, ErrorKind, Result};

/// More than any real file has; keeps a device or a log from being read to the end.
const LARGEST: u64 = 1024 * 1024;

/// The values of one file by setting, each with its line.
#[derive(Debug, Default)]
pub(super) struct FileValues {
    path: PathBuf,
    /// Others than the owner can read or write the file.
    pub(super) open_to_others: bool,
    /// Every user can write the file.
    pub(super) writable_by_all: bool,
    values: BTreeMap<&'static str, (Value, usize)>,
    deployments: Vec<Deployment>,
}

#[derive(Debug)]
enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    Other(&'static str),
}

impl FileValues {
    /// Reads a file that must exist.
    pub(super) fn read(path: &Path) -> Result<Self> {
        match Self::read_if_present(path)? {
            Some(values) => Ok(values),
            None => Err(Error::usage(format!(
                "the configuration file {} does not exist",
                paths::shown(path)
            ))
            .hint("check the name after --config")),
        }
    }

    /// Reads a file that may be missing.
    pub(super) fn read_if_present(path: &Path) -> Result<Option<Self>> {
        let Some((text, content)) = read_file(path)? else { return Ok(None) };
        let mut values = Self::parse(path, &text)?;
        values.open_to_others = content.open_to_others();
        values.writable_by_all = content.writable_by_all();
        Ok(Some(values))
    }

    /// What the file says about the setting called `name`, and in which line.
    pub(super) fn get(&self, name: &str) -> Option<(Given<'_>, usize)> {
        let (value, line) = self.values.get(name)?;
        let given = match value {
            Value::Text(text) => Given::Text(text),
            Value::Integer(number) => Given::Integer(*number),
            Value::Boolean(value) => Given::Boolean(*value),
            Value::Other(kind) => Given::Other(kind),
        };
        Some((given, *line))
    }

    /// The maintenance that the file declares for deployments.
    pub(super) fn deployments(&self) -> &[Deployment] {
        &self.deployments
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let document = DeTable::parse(text).map_err(|error| {
            // The library's own rendering repeats the line, which may hold a password.
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            let reason = SafeText::new(error.message());
            Error::usage(format!("{}, line {line}: {reason}", paths::shown(path)))
                .hint("the file is TOML: one \"name = value\" per line, text in quotes")
        })?;
        let mut values = Self { path: path.to_owned(), ..Self::default() };
        values.collect(text, document.get_ref(), "")?;
        Ok(values)
    }

    fn collect(&mut self, text: &str, table: &DeTable<'_>, prefix: &str) -> Result<()> {
        let mut entries: Vec<_> = table.iter().collect();
        // The first mistake of the file is reported first.
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let line = line_of(text, key.span().start);
            let name = format!("{prefix}{}", key.get_ref());
            if let Some(definition) = DEFINITIONS.iter().find(|known| known.name == name) {
                self.values.insert(definition.name, (convert(value), line));
                continue;
            }
            if name == deploy::NAME {
                self.deployments = deploy::read(value).map_err(|wrong| {
                    let (place, line) = (paths::shown(&self.path), line_of(text, wrong.at));
                    let (name, reason) = (wrong.name, wrong.reason);
                    Error::usage(format!("{place}, line {line}: {name}: {reason}")).hint(wrong.hint)
                })?;
                continue;
            }
            let inner = format!("{name}.");
            match value.get_ref() {
                DeValue::Table(table) if known().any(|known| known.starts_with(&inner)) => {
                    self.collect(text, table, &inner)?;
                }
                _ => return Err(self.unknown(&name, line)),
            }
        }
        Ok(())
    }

    fn unknown(&self, name: &str, line: usize) -> Error {
        let hint = match nearest(name, known()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("allowed: {}", known().collect::<Vec<_>>().join(", ")),
        };
        let place = paths::shown(&self.path);
        Error::usage(format!("{place}, line {line}: unknown setting {}", excerpt(name))).hint(hint)
    }
}

/// The names of everything that a file may say.
fn known() -> impl Iterator<Item = &'static str> {
    DEFINITIONS.iter().map(|definition| definition.name).chain([deploy::NAME])
}

fn convert(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number that is too large"), Value::Integer),
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Array(_) => Value::Other("a list"),
        DeValue::Table(_) => Value::Other("a table"),
    }
}

/// The content of the file; none if there is nothing under this name. A link that leads nowhere is
/// something: a file was meant.
fn read_file(path: &Path) -> Result<Option<(String, Content)>> {
    let what = "cannot read the configuration file";
    let mut content = match files::read(path, LARGEST) {
        Ok(content) => content,
        Err(Refusal::Missing) => return Ok(None),
        Err(refusal) => return Err(refusal.error(ErrorKind::Usage, what, path)),
    };
    let text = String::from_utf8(std::mem::take(&mut content.bytes)).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        Error::usage(format!("{what} {}: line {line} is not UTF-8 text", paths::shown(path)))
    })?;
    Ok(Some((text, content)))
}

/// The line (from 1) that holds byte `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.split(|byte| *byte == b'\n').count()
}
