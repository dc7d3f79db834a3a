//! Files that people have written out of the console: where they go, and how they are written.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::{Error, Result, files};

/// Where an export made now goes: its name, the moment, and the ending.
pub fn file(dir: &Path, name: &str, ending: &str, now: DateTime<Utc>) -> PathBuf {
    dir.join(format!("{name}-{}.{ending}", now.format("%Y%m%dT%H%M%SZ")))
}

/// Writes an export, readable by its owner only (0600), away from where keys are read.
///
/// # Errors
/// When the file cannot be written.
pub async fn write(file: PathBuf, text: String) -> Result<()> {
    let written = tokio::task::spawn_blocking(move || {
        // The folder of exports, and the state directory that it is in.
        let dirs: Vec<&Path> = file.ancestors().skip(1).take(2).collect();
        files::check_own_dirs(&dirs)?;
        files::write_private(&file, text.as_bytes())
    });
    written.await.map_err(|_| Error::failed("the file could not be written"))?
}
