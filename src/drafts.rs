//! Drafts of support requests in private files: one for each person, platform and subject.
//!
//! What is written is redacted before ([`Draft::for_file`]), so that no file ever holds a secret.
//! A file that is broken, or that belongs somewhere else, is set aside and never overwritten.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::identity::hex;
use crate::domain::json;
use crate::domain::safe_text::SafeText;
use crate::domain::support::{Draft, Reference};
use crate::files::{self, Refusal};
use crate::ops::support::DiagnosticsSubject;
use crate::paths::{reason, shown};
use crate::{Error, Result};

/// The version of the files' form.
const SCHEMA_VERSION: u32 = 1;
/// How long a draft that nobody touches is kept.
pub const KEPT_FOR: Duration = Duration::days(30);
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Whose draft, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftKey {
    /// The person's user name, normalised.
    pub person: String,
    /// What it is about.
    pub subject: DiagnosticsSubject,
}

/// A draft as it lies in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// When it was written.
    pub saved_at: DateTime<Utc>,
    /// By what its sending goes on: a request that may have been stored under it is not made twice.
    pub reference: Option<Reference>,
    /// How many passages had been masked by hand; they are in no file, so it has to be done again.
    pub masked_by_hand: usize,
    /// The draft. Nothing of it that looks like a secret is written.
    pub draft: Draft,
}

impl Kept {
    /// `draft` as it is kept from `now` on.
    pub fn of(draft: Draft, reference: Option<Reference>, now: DateTime<Utc>) -> Self {
        Self { saved_at: now, reference, masked_by_hand: draft.mask.len(), draft }
    }
}

/// What was found in the place of a draft.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A draft.
    Draft(Box<Kept>),
    /// Something that is no draft of this person, platform and subject. It was set aside.
    SetAside {
        /// Where it lies now.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What makes it usable, where a command does.
        repair: Option<String>,
    },
}

/// The folder of drafts, for one platform.
#[derive(Debug, Clone)]
pub struct Drafts {
    dir: PathBuf,
    platform: String,
    shown: String,
    turns: Arc<AtomicU64>,
    /// The turn of the last write of each file, so that a late one does not undo a newer one.
    written: Arc<Mutex<BTreeMap<PathBuf, u64>>>,
}

impl PartialEq for Drafts {
    fn eq(&self, other: &Self) -> bool {
        self.dir == other.dir && self.platform == other.platform
    }
}

/// The form of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema_version: u32,
    platform: String,
    person: String,
    subject: Subject,
    saved_at: DateTime<Utc>,
    reference: Option<Reference>,
    masked_by_hand: usize,
    draft: Draft,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Subject {
    Tenant { id: i64 },
    Run { id: i64, tenant_id: Option<i64> },
}

impl From<DiagnosticsSubject> for Subject {
    fn from(subject: DiagnosticsSubject) -> Self {
        match subject {
            DiagnosticsSubject::Tenant(id) => Self::Tenant { id },
            DiagnosticsSubject::Run { run_id, tenant_id } => Self::Run { id: run_id, tenant_id },
        }
    }
}

impl Drafts {
    /// The drafts in `dir`, of the platform that `platform` (a digest of its address) names.
    pub fn new(dir: PathBuf, platform: String) -> Self {
        let shown = SafeText::new(&dir.to_string_lossy()).to_string();
        Self { dir, platform, shown, turns: Arc::default(), written: Arc::default() }
    }

    /// The same, shown in short: what lies in a person's own `home` begins with `~`.
    #[must_use]
    pub fn at_home(mut self, home: &Path) -> Self {
        if let Ok(rest) = self.dir.strip_prefix(home) {
            let short = Path::new("~").join(rest);
            self.shown = SafeText::new(&short.to_string_lossy()).to_string();
        }
        self
    }

    /// The folder, as it may be shown.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The next turn of writing; a file keeps what was written under the highest one.
    pub fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Where a draft lies.
    pub fn file(&self, key: &DraftKey) -> PathBuf {
        let subject = match key.subject {
            DiagnosticsSubject::Tenant(id) => format!("tenant {id}"),
            DiagnosticsSubject::Run { run_id, tenant_id } => format!("run {run_id} {tenant_id:?}"),
        };
        let mut hash = Sha256::new();
        for part in [&self.platform, &key.person, &subject] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let mut name = hex(&hash.finalize());
        name.truncate(32);
        self.dir.join(format!("{name}.json"))
    }

    /// Reads a draft. What cannot be read as one is set aside.
    ///
    /// # Errors
    /// *Failed* where the folder cannot be read, or a bad file not set aside.
    pub fn load(&self, key: &DraftKey, now: DateTime<Utc>) -> Result<Found> {
        self.check_dirs()?;
        let path = self.file(key);
        let (why, refusal) = match self.read(&path, key) {
            Ok(found) => return Ok(found.map_or(Found::Nothing, |kept| Found::Draft(kept.into()))),
            Err(unusable) => unusable,
        };
        let aside = path.with_extension(format!("{}.aside", now.format("%Y%m%dT%H%M%SZ")));
        match std::fs::rename(&path, &aside) {
            Ok(()) => {
                let repair = refusal.and_then(|refusal| refusal.repair(&aside));
                Ok(Found::SetAside { file: aside, why, repair })
            }
            Err(error) => Err(Error::failed(format!(
                "the draft {} {why}, and it cannot be set aside: {}",
                shown(&path),
                reason(&error)
            ))
            .hint("move it away by hand")),
        }
    }

    /// Its folder, and the state directory that it is in.
    fn check_dirs(&self) -> Result<()> {
        let dirs = [self.dir.parent(), Some(self.dir.as_path())];
        files::check_own_dirs(&dirs.into_iter().flatten().collect::<Vec<_>>())
    }

    /// The error is what is wrong with the file.
    fn read(&self, path: &Path, key: &DraftKey) -> Result<Option<Kept>, (String, Option<Refusal>)> {
        let wrong = |why: &str| (why.to_owned(), None);
        let bytes = match files::read_private(path, MAX_FILE) {
            Ok(content) => content.bytes,
            Err(Refusal::Missing) => return Ok(None),
            Err(refusal) => {
                return Err((format!("cannot be used: {}", refusal.reason()), Some(refusal)));
            }
        };
        let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text"))?;
        // The parser's own message would quote the text.
        let file: File = serde_json::from_str(&text).map_err(|_| {
            let newer = serde_json::from_str::<serde_json::Value>(&text)
                .is_ok_and(|file| file["schema_version"].as_u64() > Some(SCHEMA_VERSION.into()));
            wrong(if newer { "was written by a newer version" } else { "is damaged" })
        })?;
        if file.schema_version != SCHEMA_VERSION {
            return Err(wrong("was written by another version"));
        }
        if file.platform != self.platform
            || file.person != key.person
            || file.subject != key.subject.into()
        {
            return Err(wrong("belongs to another person, platform or subject"));
        }
        let File { saved_at, reference, masked_by_hand, draft, .. } = file;
        Ok(Some(Kept { saved_at, reference, masked_by_hand, draft }))
    }

    /// Writes a draft in its turn; nothing where a later turn has come first.
    ///
    /// # Errors
    /// *Failed* where it cannot be written.
    pub fn save(&self, key: &DraftKey, turn: u64, kept: &Kept) -> Result<()> {
        let file = File {
            schema_version: SCHEMA_VERSION,
            platform: self.platform.clone(),
            person: key.person.clone(),
            subject: key.subject.into(),
            saved_at: kept.saved_at,
            reference: kept.reference,
            masked_by_hand: kept.masked_by_hand,
            draft: kept.draft.for_file(),
        };
        let text = json::text(&file)?;
        self.in_turn(key, turn, |path| files::write_private(path, text.as_bytes()))
    }

    /// Removes a draft in its turn; nothing where a later turn has come first.
    ///
    /// # Errors
    /// *Failed* where it is there and cannot be removed.
    pub fn remove(&self, key: &DraftKey, turn: u64) -> Result<()> {
        self.in_turn(key, turn, |path| match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::failed(format!(
                "cannot remove the draft {}: {}",
                shown(path),
                reason(&error)
            ))),
            _ => Ok(()),
        })
    }

    fn in_turn(
        &self,
        key: &DraftKey,
        turn: u64,
        act: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        self.check_dirs()?;
        let path = self.file(key);
        // Held while the disk works: writes of one console follow one another.
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.get(&path).is_some_and(|last| *last > turn) {
            return Ok(());
        }
        act(&path)?;
        written.insert(path, turn);
        Ok(())
    }

    /// Removes what nobody has touched for 30 days; gives how many files. What cannot be removed
    /// stays.
    pub fn clean(&self, now: DateTime<Utc>) -> usize {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return 0 };
        let before = SystemTime::from(now - KEPT_FOR);
        let ours = |name: &str| [".json", ".aside", ".tmp"].iter().any(|end| name.ends_with(end));
        entries
            .flatten()
            .filter(|entry| entry.file_name().to_str().is_some_and(ours))
            .filter(|entry| {
                entry.metadata().is_ok_and(|about| {
                    about.is_file() && about.modified().is_ok_and(|at| at < before)
                })
            })
            .filter(|entry| std::fs::remove_file(entry.path()).is_ok())
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(run_id: i64, person: &str) -> DraftKey {
        let subject = DiagnosticsSubject::Run { run_id, tenant_id: None };
        DraftKey { person: person.to_owned(), subject }
    }

    #[test]
    fn a_late_write_does_not_undo_a_newer_one() {
        let dir = std::env::temp_dir().join(format!("drafts-{}", uuid::Uuid::new_v4().simple()));
        let drafts = Drafts::new(dir.clone(), "platform".to_owned());
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let kept = |summary: &str| {
            Kept::of(Draft { summary: summary.to_owned(), ..Draft::default() }, None, now)
        };
        let (first, second, third) = (drafts.turn(), drafts.turn(), drafts.turn());
        drafts.save(&key(1, "ana"), second, &kept("second")).unwrap();
        drafts.save(&key(1, "ana"), first, &kept("first")).unwrap();
        let Found::Draft(found) = drafts.load(&key(1, "ana"), now).unwrap() else { panic!() };
        assert_eq!(*found, kept("second"));
        drafts.remove(&key(1, "ana"), third).unwrap();
        drafts.save(&key(1, "ana"), second, &kept("second")).unwrap();
        assert_eq!(drafts.load(&key(1, "ana"), now).unwrap(), Found::Nothing);
        assert_ne!(drafts.file(&key(1, "ana")), drafts.file(&key(1, "eva")));
        assert_ne!(drafts.file(&key(1, "ana")), drafts.file(&key(2, "ana")));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
