//! What is read from files and from standard input: notes, and passages to mask.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::cli::Env;
use crate::paths::{reason, shown};
use crate::{Error, Result};

/// So many bytes are read at most; nobody types more.
const MAX_BYTES: u64 = 1024 * 1024;
/// The shortest passage that can be masked, in characters.
const MIN_PASSAGE: usize = 2;

/// Whether a path stands for standard input.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reproduction notes: the lines of a file, without blank ones at its end.
///
/// # Errors
/// *Usage* where it cannot be read, is too large or no UTF-8.
pub fn notes(path: &Path) -> Result<String> {
    Ok(read("the notes", path)?.trim_end().to_owned())
}

/// Passages to mask, one a line. None of them stands in an error.
///
/// # Errors
/// *Usage* where it cannot be read, is too large, no UTF-8 or holds no passage.
pub fn passages(env: &Env, path: &Path) -> Result<Vec<String>> {
    if !is_stdin(path)
        && let Ok(metadata) = std::fs::metadata(path)
        && metadata.is_file()
        && metadata.mode() & 0o077 != 0
    {
        let name = shown(path);
        env.out.message(format!("warning: others can read {name}; run: chmod 600 {name}"));
    }
    let text = read("the passages to mask", path)?;
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

/// The whole of a file or of standard input, with line breaks of one kind.
fn read(what: &str, path: &Path) -> Result<String> {
    let stdin = is_stdin(path);
    let name = if stdin { "standard input".to_owned() } else { shown(path) };
    let unreadable = |error: io::Error| {
        Error::usage(format!("cannot read {what} from {name}: {}", reason(&error)))
    };
    let mut bytes = Vec::new();
    let mut size = None;
    if stdin {
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = File::open(path).map_err(unreadable)?;
        size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|of| of.len());
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if bytes.len() as u64 > MAX_BYTES {
        let has = match size {
            Some(size) => format!("has {size} bytes"),
            None => "goes on".to_owned(),
        };
        return Err(Error::usage(format!(
            "{what} are too large: {name} {has}, at most {MAX_BYTES} are read"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count();
        Error::usage(format!("{what} are no UTF-8: {name}, line {line}"))
            .hint("save the file as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text.replace("\r\n", "\n"))
}
