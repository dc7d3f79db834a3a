//! Files of the program's own: who may read and write them, and what is refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tenantpilot::config::LogLevel;
use tenantpilot::domain::support::Draft;
use tenantpilot::drafts::{DraftKey, Drafts, Found, Kept};
use tenantpilot::ops::support::DiagnosticsSubject;
use tenantpilot::ops::{Create, Engine, Ops, OpsSettings};
use tenantpilot::paths::Paths;
use tenantpilot::{Clock, logging};

use crate::cli::Person;
use crate::support::stores::{Store, block_on, noon};

/// Somebody else, as far as this machine knows.
const ANOTHER: u32 = 65_534;

pub fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A named pipe, which blocks who opens it carelessly.
pub fn pipe(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
}

/// A file of that many bytes that takes no room.
pub fn sparse(path: &Path, bytes: u64) {
    fs::remove_file(path).ok();
    tenantpilot::files::create_new(path).unwrap().set_len(bytes).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes a private file at `path` unusable in every way, asks `refused` what the program says,
/// which has to be `Some`, and puts the file back each time.
fn each_way(path: &Path, refused: impl Fn() -> Option<String>) {
    let aside = path.with_extension("kept");
    let good = fs::read(path).unwrap();
    let said = |part: &str| {
        let text = refused().unwrap_or_else(|| panic!("it was used: {part}"));
        assert!(text.contains(part), "{part}: {text}");
    };
    for mode in [0o644, 0o666, 0o640, 0o620, 0o604] {
        open(path, mode);
        said(&format!("chmod 600 \"{}", path.parent().unwrap().display()));
        open(path, 0o600);
    }
    if is_root() {
        chown(path, Some(ANOTHER), None).unwrap();
        said("belongs to the user with ID 65534");
        chown(path, Some(0), None).unwrap();
    }
    fs::rename(path, &aside).unwrap();
    symlink(&aside, path).unwrap();
    said("symbolic link");
    assert_eq!(fs::read(&aside).unwrap(), good, "the link was followed");
    let remove = || fs::remove_file(path).unwrap();
    remove();
    symlink("/nowhere/at/all", path).unwrap();
    said("symbolic link");
    remove();
    pipe(path);
    said("not a regular file");
    remove();
    fs::create_dir(path).unwrap();
    said("directory");
    fs::remove_dir(path).unwrap();
    fs::rename(&aside, path).unwrap();
}

#[test]
fn fr_044_001_a_session_file_that_is_not_private_is_refused() {
    let store = block_on(Store::new(Engine::Sqlite));
    let person = Person::administrator(&store.url);
    each_way(&person.dir("state/session.toml"), || {
        // Nothing is replaced either.
        person.login("ana").ends(1);
        Some(person.run(&["whoami"]).ends(1).err)
    });
    person.run(&["whoami"]).ends(0);
    let live = "select count(*) from platform_sessions where ended_at is null";
    assert_eq!(block_on(store.number(live)), 1, "a session that is kept nowhere");
    // The same where it turns out only after the login that the session cannot be kept.
    let lock = person.dir("state/session.toml.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let refused = person.login("ana").ends(1);
    assert!(
        refused.err.contains("cannot lock") && !refused.err.contains("logged in"),
        "{refused:?}"
    );
    person.run(&["whoami"]).ends(0);
    assert_eq!(block_on(store.number(live)), 1, "a session that is kept nowhere");
}

fn paths_in(directory: &Path) -> Paths {
    let state = directory.display().to_string();
    Paths::from_env(|name| match name {
        "HOME" | "TENANTPILOT_CONFIG_DIR" | "TENANTPILOT_DATA_DIR" | "TENANTPILOT_STATE_DIR" => {
            Some(state.clone())
        }
        _ => None,
    })
    .unwrap()
}

#[test]
fn fr_044_001_a_log_file_that_is_not_private_is_refused_and_not_written_to() {
    let folder = TempDir::new().unwrap();
    let (paths, clock) = (paths_in(folder.path()), Clock::fixed(noon()));
    let start = || logging::subscriber(&paths, LogLevel::Info, clock.clone());
    drop(start().unwrap());
    let file = logging::current_file(&paths, &clock);
    each_way(&file, || start().err().map(|error| error.to_string()));
    drop(start().unwrap());
}

#[test]
fn fr_044_001_old_logs_that_cannot_be_removed_do_not_stop_the_log() {
    let folder = TempDir::new().unwrap();
    let (paths, clock) = (paths_in(folder.path()), Clock::fixed(noon()));
    for day in 1..9 {
        fs::create_dir_all(paths.logs_dir().join(format!("tenantpilot.2026-01-0{day}.log")))
            .unwrap();
    }
    logging::subscriber(&paths, LogLevel::Info, clock).unwrap();
}

#[test]
fn fr_044_001_a_draft_that_is_not_private_is_set_aside() {
    let folder = TempDir::new().unwrap();
    let drafts = Drafts::new(folder.path().to_owned(), "platform".to_owned());
    let key = DraftKey { person: "ana".to_owned(), subject: DiagnosticsSubject::Tenant(1) };
    let kept = Kept::of(Draft { summary: "mine".to_owned(), ..Draft::default() }, None, noon());
    drafts.save(&key, drafts.turn(), &kept).unwrap();
    let file = drafts.file(&key);
    each_way(&file, || {
        let Found::SetAside { file: aside, why, repair } = drafts.load(&key, noon()).unwrap()
        else {
            return None;
        };
        // Neither read nor overwritten: it lies there as it was.
        fs::rename(&aside, &file).unwrap();
        Some(format!("{why} {}", repair.unwrap_or_default()))
    });
    let Found::Draft(found) = drafts.load(&key, noon()).unwrap() else {
        panic!("it is good again")
    };
    assert_eq!(*found, kept);
}

#[test]
fn fr_044_009_a_directory_of_its_own_that_others_can_write_to_is_refused() {
    let store = block_on(Store::new(Engine::Sqlite));
    let person = Person::administrator(&store.url);
    let state = person.dir("state");
    let whoami = || person.run(&["whoami"]);
    whoami().ends(0);
    for (mode, refused) in
        [(0o777, true), (0o775, true), (0o757, true), (0o755, false), (0o1777, false)]
    {
        open(&state, mode);
        let done = whoami();
        assert_eq!(done.code, i32::from(refused), "{mode:o} {done:?}");
        let repair = format!("chmod go-w \"{}\"", state.display());
        assert_eq!(done.err.contains(&repair), refused, "{mode:o} {done:?}");
        assert_eq!(person.login("ana").code, i32::from(refused), "{mode:o}");
        open(&state, 0o700);
    }
}

#[test]
fn fr_044_009_a_log_directory_may_be_a_link_to_one_that_is_fit_for_it() {
    let folder = TempDir::new().unwrap();
    let (paths, clock) = (paths_in(&folder.path().join("state")), Clock::fixed(noon()));
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(paths.state_dir()).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, paths.logs_dir()).unwrap();
    let start = || logging::subscriber(&paths, LogLevel::Info, clock.clone());
    open(&elsewhere, 0o700);
    drop(start().unwrap());
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
    let refused = || start().err().unwrap().to_string();
    open(&elsewhere, 0o777);
    assert!(refused().contains("run: chmod go-w"), "{}", refused());
    open(&elsewhere, 0o700);
    open(paths.state_dir(), 0o777);
    assert!(refused().contains("others than its owner can write to it"), "{}", refused());
    open(paths.state_dir(), 0o700);
    if is_root() {
        chown(&elsewhere, Some(ANOTHER), None).unwrap();
        assert!(refused().contains("belongs to the user with ID 65534"), "{}", refused());
        chown(&elsewhere, Some(0), None).unwrap();
    }
    fs::remove_dir_all(&elsewhere).unwrap();
    assert!(refused().contains("directory"), "{}", refused());
    // Drafts go by the same rule.
    let drafts = Drafts::new(paths.drafts_dir(), "platform".to_owned());
    let key = DraftKey { person: "ana".to_owned(), subject: DiagnosticsSubject::Tenant(1) };
    let kept = Kept::of(Draft::default(), None, noon());
    let save = || drafts.save(&key, drafts.turn(), &kept);
    save().unwrap();
    open(&paths.drafts_dir(), 0o777);
    assert!(save().unwrap_err().to_string().contains("chmod go-w"));
    assert!(drafts.load(&key, noon()).unwrap_err().to_string().contains("chmod go-w"));
}

#[test]
fn fr_044_002_a_database_file_that_is_not_private_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("p.db");
    let url = format!("sqlite://{}", path.display());
    let open_it = |create| Ops::open(&url, create, Clock::system(), OpsSettings::default());
    block_on(async {
        let ops = open_it(Create::IfMissing).unwrap();
        ops.migrate().await.unwrap();
        ops.close().await;
    });
    each_way(&path, || {
        let refused = open_it(Create::IfMissing).err().map(|error| error.to_string());
        assert_eq!(refused, open_it(Create::Never).err().map(|error| error.to_string()));
        refused
    });
    // What SQLite keeps beside it holds rows as well.
    for end in ["-wal", "-shm", "-journal"] {
        let beside = PathBuf::from(format!("{}{end}", path.display()));
        fs::write(&beside, "").unwrap();
        each_way(&beside, || open_it(Create::Never).err().map(|error| error.to_string()));
        fs::remove_file(&beside).unwrap();
    }
    // One command repairs all of them.
    for file in [path.clone(), folder.path().join("p.db-wal")] {
        fs::write(&file, "").unwrap();
        open(&file, 0o644);
    }
    let refused = open_it(Create::Never).err().unwrap().to_string();
    let at = folder.path().display();
    assert!(
        refused.ends_with(&format!("run: chmod 600 \"{at}/p.db\" \"{at}/p.db-wal\"")),
        "{refused}"
    );
    fs::remove_file(folder.path().join("p.db-wal")).unwrap();
    // A link that leads nowhere is no invitation to make a database there.
    fs::remove_file(&path).unwrap();
    symlink(folder.path().join("elsewhere.db"), &path).unwrap();
    let refused = open_it(Create::IfMissing).err().unwrap().to_string();
    assert!(refused.contains("symbolic link"), "{refused}");
    assert!(!folder.path().join("elsewhere.db").exists());
}
