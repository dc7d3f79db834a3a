//! What is read from files and from standard input: notes, and passages to mask.

use std::path::Path;

use crate::cli::Env;
use crate::files::{self, is_stdin};
use crate::paths::shown;
use crate::{Error, Result};

/// So many bytes are read at most; nobody types more.
const MAX_BYTES: u64 = 1024 * 1024;
/// The shortest passage that can be masked, in characters.
const MIN_PASSAGE: usize = 2;

/// Reproduction notes: the lines of a file, without blank ones at its end.
///
/// # Errors
/// *Usage* where it cannot be read, is too large or no UTF-8.
pub fn notes(path: &Path) -> Result<String> {
    Ok(read("the notes", path)?.0.trim_end().to_owned())
}

/// Passages to mask, one a line. None of them stands in an error.
///
/// # Errors
/// *Usage* where it cannot be read, is too large, no UTF-8 or holds no passage.
pub fn passages(env: &Env, path: &Path) -> Result<Vec<String>> {
    let (text, open_to_others) = read("the passages to mask", path)?;
    if open_to_others {
        let name = shown(path);
        env.out.message(format!("warning: others can read {name}; run: chmod 600 {name}"));
    }
    let mut passages: Vec<String> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let passage = line.trim();
        match passage.chars().count() {
            0 => {}
            n if n < MIN_PASSAGE => {
                return Err(Error::usage(format!(
                    "line {} of the passages to mask has one character only",
                    at + 1
                ))
                .hint("a passage has at least two"));
            }
            _ if passages.iter().any(|known| known == passage) => {}
            _ => passages.push(passage.to_owned()),
        }
    }
    if passages.is_empty() {
        return Err(Error::usage("there is no passage to mask in what --mask-file names")
            .hint("write one a line, or leave --mask-file out"));
    }
    Ok(passages)
}

/// The whole of a file or of standard input, with line breaks of one kind, and whether others
/// than the file's owner can read it.
fn read(what: &str, path: &Path) -> Result<(String, bool)> {
    let name = if is_stdin(path) { "standard input".to_owned() } else { shown(path) };
    let content = files::read_or_stdin(path, MAX_BYTES).map_err(|refusal| {
        Error::usage(format!("cannot read {what} from {name}: {}", refusal.reason()))
            .hint("name a regular file, or - for standard input")
    })?;
    let open_to_others = content.open_to_others();
    let text = String::from_utf8(content.bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count();
        Error::usage(format!("{what} are no UTF-8: {name}, line {line}"))
            .hint("save the file as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok((text.replace("\r\n", "\n"), open_to_others))
}
