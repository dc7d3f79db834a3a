//! The one place that opens files, for reading and for writing.
//!
//! Reading takes regular files up to a stated size only, so that no pipe is waited for and no
//! disk is read to its end. Files of this program's own have to be private: no symbolic link, of
//! this user or of root, open to their owner alone.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::paths::{reason, shown};
use crate::{Error, ErrorKind, Result};

/// The permissions of others than the owner.
const OTHERS: u32 = 0o077;
/// Those of them that write.
const OTHERS_WRITE: u32 = 0o022;
/// Keeps who can write to a directory from removing what others made there.
const STICKY: u32 = 0o1000;
/// How many bytes a name has at most.
const LONGEST_NAME: usize = 255;
/// How long another process may hold a lock; it is held for one small file's reading and writing.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How often a lock is tried meanwhile.
const LOCK_STEP: Duration = Duration::from_millis(10);

/// What a file holds.
#[derive(Debug)]
pub struct Content {
    /// All of its bytes.
    pub bytes: Vec<u8>,
    /// Its permissions; none for standard input.
    mode: u32,
    /// Whom it belongs to.
    owner: u32,
}

impl Content {
    /// Whether others than the owner can read or write the file.
    pub fn open_to_others(&self) -> bool {
        self.mode & OTHERS != 0
    }

    /// Why it may not hold a private key, as with libpq: it is open to others, or belongs to another
    /// user. The group may read one of root's.
    pub fn refused_as_key(&self) -> Option<Refusal> {
        let allowed = if self.owner == 0 { 0o040 } else { 0 };
        match self.owner {
            owner if ![0, geteuid().as_raw()].contains(&owner) => Some(Refusal::Owner(owner)),
            _ if self.mode & OTHERS & !allowed != 0 => Some(Refusal::OpenToOthers),
            _ => None,
        }
    }

    /// Whether every user can write the file.
    pub fn writable_by_all(&self) -> bool {
        self.mode & 0o002 != 0
    }
}

/// Why a file is not used.
#[derive(Debug)]
pub enum Refusal {
    /// There is nothing under this name.
    Missing,
    /// The name, or a folder of it, is a symbolic link that leads nowhere.
    Dangling,
    /// A symbolic link on the way to it leads back to itself.
    Loop,
    /// It is a symbolic link, and may not be one.
    Link,
    /// It is a directory.
    Directory,
    /// It is a pipe, a device or a socket.
    NotRegular,
    /// It has more than so many bytes.
    TooLarge(u64),
    /// It belongs to the user with this ID.
    Owner(u32),
    /// Others than its owner can read or write it.
    OpenToOthers,
    /// It is a directory that others than its owner can write to.
    WritableByOthers,
    /// The system's own reason.
    System(io::Error),
}

impl Refusal {
    fn of(error: io::Error, path: &Path) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::NOENT) if leads_nowhere(path) => Self::Dangling,
            // Where its folder is missing too, the system does not say so.
            Some(Errno::NOENT) if has_long_name(path) => Self::System(Errno::NAMETOOLONG.into()),
            Some(Errno::NOENT) => Self::Missing,
            Some(Errno::LOOP) if goes_round(path) => Self::Loop,
            Some(Errno::LOOP) if path.is_symlink() => Self::Link,
            Some(Errno::ISDIR) => Self::Directory,
            // A pipe that nobody reads, or a socket.
            Some(Errno::NXIO) => Self::NotRegular,
            _ => Self::System(error),
        }
    }

    /// The reason, as it follows "cannot read FILE: ".
    pub fn reason(&self) -> String {
        match self {
            Self::Missing => "it does not exist".to_owned(),
            Self::Dangling => "it is a symbolic link to something that does not exist".to_owned(),
            Self::Loop => "a symbolic link leads back to itself".to_owned(),
            Self::Link => "it is a symbolic link".to_owned(),
            Self::Directory => "it is a directory".to_owned(),
            Self::NotRegular => "it is not a regular file".to_owned(),
            Self::TooLarge(largest) => format!("it is larger than {}", size(*largest)),
            Self::Owner(user) => format!("it belongs to the user with ID {user}"),
            Self::OpenToOthers => "others than its owner can read or write it".to_owned(),
            Self::WritableByOthers => "others than its owner can write to it".to_owned(),
            Self::System(error) => reason(error),
        }
    }

    /// What makes the file at `path` usable, where a command does.
    pub fn repair(&self, path: &Path) -> Option<String> {
        let path = shown(path);
        match self {
            Self::OpenToOthers => Some(format!("run: chmod 600 {path}")),
            Self::WritableByOthers => Some(format!("run: chmod go-w {path}")),
            Self::Owner(_) => {
                let own = geteuid().as_raw();
                Some(format!("if its content is yours, run: chown {own} {path}"))
            }
            Self::Dangling | Self::Loop => Some("correct the link, or remove it".to_owned()),
            Self::Link => Some("replace the link by the file itself, or name that".to_owned()),
            _ => None,
        }
    }

    /// An error of `kind` about `what` at `path`.
    pub fn error(&self, kind: ErrorKind, what: &str, path: &Path) -> Error {
        let error = Error::new(kind, format!("{what} {}: {}", shown(path), self.reason()));
        match self.repair(path) {
            Some(repair) => error.hint(repair),
            None => error,
        }
    }
}

/// Whether a name that does not exist is, or lies below, a symbolic link that leads nowhere.
fn leads_nowhere(path: &Path) -> bool {
    let there = path.ancestors().find(|part| part.symlink_metadata().is_ok());
    there.is_some_and(|part| part.is_symlink() && part.metadata().is_err())
}

/// Whether a part of a path is longer than a name may be.
fn has_long_name(path: &Path) -> bool {
    path.iter().any(|name| name.len() > LONGEST_NAME)
}

/// Whether the links that a path names or leads through never end.
fn goes_round(path: &Path) -> bool {
    path.metadata().is_err_and(|error| Errno::from_io_error(&error) == Some(Errno::LOOP))
}

/// A limit in words: 64 KiB.
fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    if bytes.is_multiple_of(KIB * KIB) {
        format!("{} MiB", bytes / KIB / KIB)
    } else {
        format!("{} KiB", bytes / KIB)
    }
}

/// Whether a path stands for standard input.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reads a file that a person named: links are followed. At most `largest` bytes.
pub fn read(path: &Path, largest: u64) -> Result<Content, Refusal> {
    read_with(path, largest, OFlags::empty(), |_| Ok(()))
}

/// The same for a file that has to be private, such as one with a secret; a link may lead to it.
pub fn read_secret(path: &Path, largest: u64) -> Result<Content, Refusal> {
    read_with(path, largest, OFlags::empty(), private)
}

/// Reads a private file of this program's own: no link.
pub fn read_private(path: &Path, largest: u64) -> Result<Content, Refusal> {
    read_with(path, largest, OFlags::NOFOLLOW, private)
}

/// Reads a file that a person named, or standard input where that is `-`.
pub fn read_or_stdin(path: &Path, largest: u64) -> Result<Content, Refusal> {
    if is_stdin(path) {
        return Ok(Content {
            bytes: all_of(io::stdin().lock(), path, largest)?,
            mode: 0,
            owner: 0,
        });
    }
    read(path, largest)
}

fn read_with(
    path: &Path,
    largest: u64,
    flags: OFlags,
    check: impl FnOnce(&Metadata) -> Result<(), Refusal>,
) -> Result<Content, Refusal> {
    let failed = |error| Refusal::of(error, path);
    let file = open(path, OpenOptions::new().read(true), flags).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    regular(&about)?;
    check(&about)?;
    if about.len() > largest {
        return Err(Refusal::TooLarge(largest));
    }
    Ok(Content { bytes: all_of(file, path, largest)?, mode: about.mode(), owner: about.uid() })
}

/// Opens without waiting for the other end of a pipe.
fn open(path: &Path, options: &mut OpenOptions, flags: OFlags) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | flags;
    options.mode(0o600).custom_flags(flags.bits().cast_signed()).open(path)
}

fn all_of(from: impl Read, path: &Path, largest: u64) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    from.take(largest + 1).read_to_end(&mut bytes).map_err(|error| Refusal::of(error, path))?;
    if bytes.len() as u64 > largest {
        return Err(Refusal::TooLarge(largest));
    }
    Ok(bytes)
}

fn regular(about: &Metadata) -> Result<(), Refusal> {
    match about.file_type() {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_symlink() => Err(Refusal::Link),
        kind if kind.is_dir() => Err(Refusal::Directory),
        _ => Err(Refusal::NotRegular),
    }
}

fn private(about: &Metadata) -> Result<(), Refusal> {
    owned(about)?;
    if about.mode() & OTHERS != 0 {
        return Err(Refusal::OpenToOthers);
    }
    Ok(())
}

fn owned(about: &Metadata) -> Result<(), Refusal> {
    match about.uid() {
        user if [0, geteuid().as_raw()].contains(&user) => Ok(()),
        user => Err(Refusal::Owner(user)),
    }
}

/// Checks directories of this program's own, as far as they are there: who can write to one can
/// replace what it holds. A link may lead to it.
///
/// # Errors
/// *Failed*, with the first that belongs to another user or that others can write to.
pub fn check_own_dirs(dirs: &[&Path]) -> Result<()> {
    dirs.iter().try_for_each(|dir| match own_dir(dir) {
        Ok(()) | Err(Refusal::Missing) => Ok(()),
        Err(refusal) => Err(refusal.error(ErrorKind::Failed, "cannot use the directory", dir)),
    })
}

fn own_dir(dir: &Path) -> Result<(), Refusal> {
    let about = dir.metadata().map_err(|error| Refusal::of(error, dir))?;
    owned(&about)?;
    // In a sticky one, others replace nothing that is not theirs.
    if about.is_dir() && about.mode() & OTHERS_WRITE != 0 && about.mode() & STICKY == 0 {
        return Err(Refusal::WritableByOthers);
    }
    Ok(())
}

/// Checks a private file that something else opens.
///
/// It is not opened here: closing a database's file ends the locks of the whole process on it.
pub fn check_private(path: &Path) -> Result<(), Refusal> {
    let about = path.symlink_metadata().map_err(|error| Refusal::of(error, path))?;
    regular(&about).and_then(|()| private(&about))
}

/// Whether a file is there and belongs to this user, who may change its permissions then.
pub fn is_own(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|about| about.uid() == geteuid().as_raw())
}

/// Creates `dir` and its missing parents, readable by their owner only (0700).
///
/// A directory that is already there keeps its mode: another user may have set it on purpose.
pub fn create_private_dir(dir: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| no_dir(dir, &error))
}

fn no_dir(dir: &Path, error: &io::Error) -> Error {
    Error::failed(format!("cannot create the directory {}: {}", shown(dir), reason(error)))
        .hint("check who owns it and whether the disk is full")
}

/// Refuses a file that cannot be made, with its missing parents. Another one is made and removed.
pub fn rehearse_creating(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    let there = parent.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("."));
    let trial = there.join(format!(".{}.tmp", uuid::Uuid::new_v4().simple()));
    match create_new(&trial).and_then(|_| std::fs::remove_file(&trial)) {
        Ok(()) if path.as_os_str().as_encoded_bytes().ends_with(b"/") => {
            Err(no_file(path, &Errno::ISDIR.into()))
        }
        Ok(()) => Ok(()),
        Err(error) if parent.exists() || parent.as_os_str().is_empty() => {
            Err(no_file(path, &error))
        }
        Err(error) => Err(no_dir(parent, &error)),
    }
}

/// A file could not be made.
pub fn no_file(path: &Path, error: &io::Error) -> Error {
    Error::failed(format!("cannot create {}: {}", shown(path), reason(error)))
}

/// Creates a file that was not there before, readable by its owner only (0600).
pub fn create_new(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().write(true).create_new(true), OFlags::NOFOLLOW)
}

/// Opens a private file for appending, and creates it if needed (0600).
pub fn append_private(path: &Path) -> Result<File, Refusal> {
    let failed = |error| Refusal::of(error, path);
    let mut options = OpenOptions::new();
    let file = open(path, options.append(true).create(true), OFlags::NOFOLLOW).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    regular(&about).and_then(|()| private(&about))?;
    Ok(file)
}

/// Replaces the file at `path` with `bytes`, readable by its owner only (0600).
///
/// A reader sees the old content or the new one, never half of it, also after a crash: the
/// bytes are synced under another name in the same directory, which is then renamed.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::failed(format!("{} names no file", shown(path))));
    };
    create_private_dir(dir)?;
    let unique = uuid::Uuid::new_v4().simple();
    let temporary = dir.join(format!(".{}.{unique}.tmp", name.to_string_lossy()));
    let written = write_and_rename(&temporary, path, dir, bytes);
    if written.is_err() {
        // The first error is the one to report; a leftover cannot be mistaken for the file.
        let _ = std::fs::remove_file(&temporary);
    }
    written.map_err(|error| {
        Error::failed(format!("cannot write {}: {}", shown(path), reason(&error)))
            .hint("check who owns the directory and whether the disk is full")
    })
}

fn write_and_rename(temporary: &Path, path: &Path, dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_new(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(temporary, path)?;
    // Without this the rename itself may not survive a power cut.
    File::open(dir)?.sync_all()
}

/// Keeps other processes of this program from changing the private file at `path` until the
/// result is dropped. The lock is on a file beside it, since a change replaces the file itself.
///
/// # Errors
/// *Failed* where the lock's file cannot be used, or another process holds it for too long.
pub fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    if let Some(dir) = path.parent() {
        create_private_dir(dir)?;
    }
    let refused = |refusal: Refusal| refusal.error(ErrorKind::Failed, "cannot lock", &path);
    let file = append_private(&path).map_err(refused)?;
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(refused(Refusal::System(error))),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(LOCK_STEP);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::failed(format!("another process holds {}", shown(&path)))
                    .hint("try again once it has ended"));
            }
        }
    }
}
