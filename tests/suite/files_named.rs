//! Files that a person names: regular ones up to a size, and configuration that cannot be read.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenantpilot::ops::Engine;
use tenantpilot::tui::keymap::Keymap;
use tenantpilot::tui::theme::Theme;

use crate::cli::{Done, Person};
use crate::files::{open, pipe, sparse};
use crate::support::stores::{Store, block_on};

const HUGE: u64 = 300 * 1024 * 1024;

/// What a command did, which has to end by itself.
fn soon(command: &mut Command) -> Done {
    let mut child = command.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("{command:?} waits");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    Done {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A pipe, a directory, a device and 300 MB, and what is said of each.
fn odd_files(folder: &Path) -> [(String, &'static str); 4] {
    let at = |name: &str| folder.join(name).display().to_string();
    pipe(&folder.join("pipe"));
    fs::create_dir(folder.join("folder")).unwrap();
    sparse(&folder.join("huge"), HUGE);
    [
        (at("pipe"), "it is not a regular file"),
        (at("folder"), "it is a directory"),
        ("/dev/zero".to_owned(), "it is not a regular file"),
        (at("huge"), "it is larger than "),
    ]
}

#[test]
fn fr_044_003_only_regular_files_of_a_stated_size_are_read() {
    let store = block_on(Store::new(Engine::Sqlite));
    let person = Person::administrator(&store.url);
    let folder = TempDir::new().unwrap();
    for (file, part) in odd_files(folder.path()) {
        for arguments in [
            &["info", "--config", &file][..],
            &["login", "ana", "--password-file", &file],
            &[
                "support",
                "create",
                "--tenant",
                "1",
                "--summary",
                "x",
                "--confirm",
                "SEND",
                "--notes-file",
                &file,
            ],
            &[
                "support",
                "create",
                "--tenant",
                "1",
                "--summary",
                "x",
                "--confirm",
                "SEND",
                "--mask-file",
                &file,
            ],
        ] {
            let refused = soon(&mut person.command(arguments)).ends(2);
            assert!(refused.err.contains(part), "{arguments:?}: {refused:?}");
        }
        for refused in [Theme::load(&file, None).err(), Keymap::load(&file, None).err()] {
            let refused = refused.unwrap().to_string();
            assert!(refused.contains(part), "{refused}");
        }
    }
}

#[test]
fn fr_044_003_a_session_file_of_300_mb_is_not_read() {
    let person = Person::at("sqlite:///nowhere/at/all.db");
    fs::create_dir(person.dir("state")).unwrap();
    sparse(&person.dir("state/session.toml"), HUGE);
    let refused = soon(&mut person.command(&["login", "ana", "--password-file", "-"])).ends(1);
    assert!(refused.err.contains("larger than 1 MiB"), "{refused:?}");
}

#[test]
fn fr_044_007_a_configuration_that_cannot_be_read_is_an_error() {
    let person = Person::at("");
    let config = person.dir("config");
    let file = config.join("config.toml");
    let info = |more: &[&str]| soon(&mut person.command(&[&["info"], more].concat()));
    info(&[]).ends(0);
    // The file.
    fs::create_dir(&config).unwrap();
    symlink(person.dir("dotfiles.toml"), &file).unwrap();
    let dangling = info(&[]).ends(2);
    assert!(
        dangling.err.contains("symbolic link to something that does not exist"),
        "{dangling:?}"
    );
    assert!(dangling.err.contains("config.toml") && dangling.out.is_empty(), "{dangling:?}");
    let named = info(&["--config", file.to_str().unwrap()]).ends(2);
    assert!(named.err.contains("symbolic link to something"), "{named:?}");
    fs::write(person.dir("dotfiles.toml"), "page_size = 77\n").unwrap();
    assert!(info(&[]).ends(0).out.contains("77"), "a link to a file is followed");
    // The folder.
    fs::remove_dir_all(&config).unwrap();
    symlink(person.dir("dotfiles"), &config).unwrap();
    let dangling = info(&[]).ends(2);
    assert!(
        dangling.err.contains("symbolic link to something that does not exist"),
        "{dangling:?}"
    );
    fs::create_dir(person.dir("dotfiles")).unwrap();
    info(&[]).ends(0);
    // Something else in its place.
    fs::create_dir(&file).unwrap();
    assert!(info(&[]).ends(2).err.contains("it is a directory"));
    fs::remove_dir(&file).unwrap();
    pipe(&file);
    assert!(info(&[]).ends(2).err.contains("it is not a regular file"));
    fs::remove_file(&file).unwrap();
    symlink(&file, &file).unwrap();
    let round = info(&[]).ends(2);
    assert!(round.err.contains("a symbolic link leads back to itself"), "{round:?}");
    assert!(round.err.contains("hint: correct the link"), "{round:?}");
    // Every user could name another database in it.
    fs::remove_file(&file).unwrap();
    fs::write(&file, "page_size = 77\n").unwrap();
    open(&file, 0o666);
    assert!(info(&[]).ends(0).err.contains("warning: every user can write"));
    open(&file, 0o644);
    assert!(info(&[]).ends(0).err.is_empty());
}

#[test]
fn fr_044_007_a_theme_or_keymap_that_is_linked_to_nothing_is_an_error() {
    let folder = TempDir::new().unwrap();
    for name in ["light", "vim", "default"] {
        symlink("/nowhere/at/all", folder.path().join(format!("{name}.toml"))).unwrap();
        let (theme, keymap) =
            (Theme::load(name, Some(folder.path())), Keymap::load(name, Some(folder.path())));
        for refused in [theme.err(), keymap.err()] {
            let refused = refused.unwrap().to_string();
            assert!(refused.contains("symbolic link to something"), "{name}: {refused}");
        }
    }
}
