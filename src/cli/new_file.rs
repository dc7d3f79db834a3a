//! A file that a command makes for its answer.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Env;
use crate::files;
use crate::paths::{reason, shown};
use crate::{Error, Result};

/// Where an answer goes: to standard output, or to a file that was not there before. The file is
/// made before the work whose result it takes, and taken away again if that never comes.
pub struct NewFile(Option<(PathBuf, Option<File>)>);

impl NewFile {
    /// Makes the file, for its owner only; `-` stands for standard output.
    ///
    /// # Errors
    /// *Usage* for one that is there already, or cannot be made.
    pub fn reserve(path: &Path) -> Result<Self> {
        if path == "-" {
            return Ok(Self(None));
        }
        match files::create_new(path) {
            Ok(file) => Ok(Self(Some((path.to_owned(), Some(file))))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::usage(format!("{} is there already", shown(path)))
                    .hint("nothing is overwritten: name another file, or remove it first"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::usage(format!("cannot write {}: there is no such folder", shown(path))))
            }
            Err(error) => {
                Err(Error::usage(format!("cannot write {}: {}", shown(path), reason(&error))))
            }
        }
    }

    /// Whether it goes to standard output.
    pub fn is_stdout(&self) -> bool {
        self.0.is_none()
    }

    /// Writes the text, which was cleaned before; gives the file's name, where it is one.
    ///
    /// # Errors
    /// *Failed* where it cannot be written.
    pub fn write(mut self, text: &str, env: &Env) -> Result<Option<String>> {
        let Some((path, file)) = &mut self.0 else {
            env.out.lines(text)?;
            return Ok(None);
        };
        let name = shown(path);
        if let Some(open) = file {
            open.write_all(text.as_bytes()).and_then(|()| open.sync_all()).map_err(|error| {
                Error::failed(format!("cannot write {name}: {}", reason(&error)))
            })?;
        }
        // It holds all of it: it stays.
        *file = None;
        Ok(Some(name))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some((path, Some(_))) = &self.0 {
            // An empty or half file is no answer; if it cannot be removed, it is at least known.
            let _ = std::fs::remove_file(path);
        }
    }
}
