//! A TOML file as its author sees it: every complaint names the file, the line, the reason
//! and what would have been right.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::safe_text::{SafeText, quoted};
use crate::files::{self, Refusal};
use crate::paths::shown;
use crate::{Error, ErrorKind, Result};

/// The largest theme or keymap, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// A parsed file together with the text that its spans point into.
pub struct SourceFile<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> SourceFile<'a> {
    pub fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text }
    }

    /// Parses the text as TOML; a syntax error names its line.
    pub fn table(&self) -> Result<DeTable<'a>> {
        match DeTable::parse(self.text) {
            Ok(table) => Ok(table.into_inner()),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let reason = error.message().lines().collect::<Vec<_>>().join(" ");
                Err(self.error(&span, format!("not valid TOML: {reason}")))
            }
        }
    }

    pub fn error(&self, span: &Range<usize>, reason: impl std::fmt::Display) -> Error {
        let reason = SafeText::new(&reason.to_string());
        Error::usage(format!("{} line {}: {reason}", self.name, self.line(span)))
    }

    /// An error about an unknown `word`, with the nearest allowed one and all allowed ones.
    pub fn unknown(
        &self,
        span: &Range<usize>,
        what: &str,
        word: &str,
        allowed: &[&str],
        label: &str,
    ) -> Error {
        let guess = guessed(word, allowed);
        self.error(span, format!("unknown {what} {}{guess}", quoted(word)))
            .hint(format!("{label}: {}", allowed.join(", ")))
    }

    /// The string at `value`, or an error that says what was found instead.
    pub fn string<'v>(&self, value: &'v Spanned<DeValue<'_>>, what: &str) -> Result<&'v str> {
        value.get_ref().as_str().ok_or_else(|| {
            let found = value.get_ref().type_str();
            self.error(&value.span(), format!("{what} must be a string, this is a {found}"))
        })
    }

    pub fn section<'v>(
        &self,
        value: &'v Spanned<DeValue<'a>>,
        what: &str,
    ) -> Result<&'v DeTable<'a>> {
        value.get_ref().as_table().ok_or_else(|| {
            let found = value.get_ref().type_str();
            self.error(&value.span(), format!("{what} must be a table, this is a {found}"))
        })
    }

    /// The line, counted from 1, on which `span` starts.
    pub fn line(&self, span: &Range<usize>) -> usize {
        let upto = span.start.min(self.text.len());
        self.text.get(..upto).map_or(1, |before| before.split('\n').count())
    }
}

/// Where a theme or a keymap comes from.
pub enum Found {
    Embedded(&'static str),
    File { name: String, text: String },
}

/// Finds the theme or keymap `name_or_path`: a path (with a `/`, or ending in `.toml`), else
/// `NAME.toml` in `user_dir`, else the embedded one of that name.
pub fn find(
    what: &str,
    name_or_path: &str,
    user_dir: Option<&Path>,
    embedded: &[(&str, &'static str)],
) -> Result<Found> {
    let is_path = name_or_path.contains('/')
        || Path::new(name_or_path).extension().is_some_and(|end| end == "toml");
    if is_path {
        let path = Path::new(name_or_path);
        return read(what, path)?.ok_or_else(|| unreadable(what, path, &Refusal::Missing));
    }
    if let Some(dir) = user_dir {
        let path = dir.join(format!("{name_or_path}.toml"));
        if let Some(found) = read(what, &path)? {
            return Ok(found);
        }
    }
    if let Some((_, text)) = embedded.iter().find(|(name, _)| *name == name_or_path) {
        return Ok(Found::Embedded(text));
    }
    let names: Vec<&str> = embedded.iter().map(|(name, _)| *name).collect();
    let guess = guessed(name_or_path, &names);
    let place = user_dir.map_or_else(
        || "or the path of a .toml file".to_owned(),
        |dir| format!("a NAME.toml in {}, or the path of a .toml file", dir.display()),
    );
    Err(Error::usage(format!("there is no {what} {}{guess}", quoted(name_or_path)))
        .hint(format!("allowed: {}; {place}", names.join(", "))))
}

/// A file's text; none where there is nothing under its name.
fn read(what: &str, path: &Path) -> Result<Option<Found>> {
    let content = match files::read(path, LARGEST) {
        Ok(content) => content,
        Err(Refusal::Missing) => return Ok(None),
        Err(refusal) => return Err(unreadable(what, path, &refusal)),
    };
    let text = String::from_utf8(content.bytes).map_err(|_| {
        Error::usage(format!("cannot read the {what} {}: it is not UTF-8 text", shown(path)))
    })?;
    Ok(Some(Found::File { name: path.display().to_string(), text }))
}

fn unreadable(what: &str, path: &Path, refusal: &Refusal) -> Error {
    refusal.error(ErrorKind::Usage, &format!("cannot read the {what}"), path)
}

fn guessed(word: &str, allowed: &[&str]) -> String {
    let guess = nearest(word, allowed);
    guess.map_or_else(String::new, |guess| format!("; did you mean \"{guess}\"?"))
}

/// The allowed word closest to `word`, if one is close enough to be a slip of the fingers.
pub fn nearest<'a>(word: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(2);
    let near = allowed.iter().map(|candidate| (strsim::levenshtein(word, candidate), *candidate));
    let nearest = near.filter(|(steps, _)| *steps <= limit).min_by_key(|(steps, _)| *steps);
    nearest.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_different_word_is_not() {
        assert_eq!(nearest("sucess", &["failed", "success"]), Some("success"));
        assert_eq!(nearest("row.opne", &["row.open", "app.quit"]), Some("row.open"));
        assert_eq!(nearest("banana", &["failed", "success"]), None);
    }
}
