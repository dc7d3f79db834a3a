//! Terminals without an alternate screen, of an unknown kind, or without UTF-8
//! (specs/042-terminal-input).

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tenantpilot::ops::Engine;

use super::program::Program;
use crate::support::stores::{PASSWORD, Store, block_on};

fn store() -> Store {
    block_on(async {
        let store = Store::new(Engine::Sqlite).await.with_scene().await;
        store.administrator().await;
        store
    })
}

/// Ends the session of GNU screen, which outlives its terminal.
struct EndsScreen<'a>(&'a Path);

impl Drop for EndsScreen<'_> {
    fn drop(&mut self) {
        let mut quit = Command::new("screen");
        quit.args(["-S", "console", "-X", "quit"]).env("SCREENDIR", self.0.join("screens"));
        let _ = quit.stdout(Stdio::null()).status();
    }
}

/// In GNU screen (which has no alternate screen unless it is told to) and under `script`.
#[test]
fn fr_042_008_the_first_frame_clears_the_screen_and_the_last_one_is_taken_away() {
    let store = store();
    let in_screen = "mkdir -m 700 screens; export SCREENDIR=$PWD/screens SYSSCREENRC=/dev/null; \
                     exec screen -q -S console -c /dev/null \"$0\"";
    let under_script = "exec script -qec \"$0\" /dev/null";
    for wrapper in [in_screen, under_script] {
        let folder = TempDir::new().unwrap();
        let _ends = EndsScreen(folder.path());
        let inner = folder.path().join("inner");
        let text = "#!/bin/sh\nfor line in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do\n\
                    printf 'GARBAGE GARBAGE GARBAGE GARBAGE GARBAGE GARBAGE\\n'; done\n\
                    'PROGRAM'\necho AFTER-$?\nread line\n";
        let text = text.replace("PROGRAM", env!("CARGO_BIN_EXE_tenantpilot"));
        std::fs::write(&inner, text).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&inner, executable).unwrap();
        let wrapper = wrapper.replace("$0", inner.to_str().unwrap());
        let mut program = Program::shell(folder.path(), &store.url, &wrapper);
        program.wait_for("Log in");
        assert!(!program.shown().contains("GARBAGE"), "{wrapper}:\n{}", program.shown());
        program.type_in(&format!("administrator\t{PASSWORD}\r"));
        program.wait_for("inventory.sync");
        // What would be `:`, `q` and `B` if a part of it were keys.
        for bytes in
            [&b"\x1b]11;rgb:BBBB/q/:\x07"[..], b"\x1bP>|q:B\x1b\\", b"\x1b[200~:q\rB\x1b[201~"]
        {
            program.send(&bytes[..1]);
            std::thread::sleep(Duration::from_micros(500));
            program.send(&bytes[1..]);
        }
        program.type_in("?");
        program.wait_for("Keys in force");
        program.type_in("q");
        program.wait_until("the list", |screen| !screen.contains("Keys in force"));
        program.type_in("q");
        program.wait_for("AFTER-0");
        assert!(!program.shown().contains("inventory.sync"), "{wrapper}:\n{}", program.shown());
        program.type_in("\r");
        program.ends_within(Duration::from_secs(5));
    }
}

#[test]
fn fr_042_009_a_terminal_of_no_known_kind_gets_one_line_and_no_escape_byte() {
    let store = store();
    let folder = TempDir::new().unwrap();
    for (set, reason) in [
        ("unset TERM", "TERM is not set"),
        ("export TERM=", "TERM is empty"),
        ("export TERM=dumb", "TERM is dumb"),
    ] {
        for command in ["", " console", " demo --dir \"$PWD/demo\""] {
            let text = format!("{set}; \"$0\"{command}; echo CODE-$?");
            let mut program = Program::shell(folder.path(), &store.url, &text);
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains("CODE-") {
                seen.extend(program.read(Duration::from_secs(20)).unwrap());
            }
            let seen = String::from_utf8(seen).unwrap();
            assert!(seen.contains("CODE-2") && seen.contains(reason), "{text}: {seen}");
            assert!(seen.contains("tenantpilot runs list"), "{text}: {seen}");
            assert!(!seen.contains('\u{1b}') && seen.lines().count() == 2, "{text}: {seen}");
        }
    }
}

#[test]
fn fr_042_010_without_utf8_everything_is_ascii_unless_it_is_told_not_to_be() {
    let store = store();
    block_on(store.sql("update tenants set name = 'Ä界\u{e9b}'")).unwrap();
    let folder = TempDir::new().unwrap();
    for (set, arguments, ascii) in [
        ("export LANG=C", "", true),
        ("unset LANG", "", true),
        ("export LC_ALL=de_DE.ISO-8859-1", "", true),
        ("export LC_CTYPE=POSIX", "", true),
        ("export LC_ALL=C", " --ascii=false", false),
        ("export LC_ALL=C TENANTPILOT_ASCII=false", "", false),
        ("export LC_ALL=de_DE.UTF-8 LANG=C", "", false),
    ] {
        let text = format!("{set}; exec \"$0\"{arguments}");
        let mut program = Program::shell(folder.path(), &store.url, &text);
        let mut seen = Vec::new();
        let mut read = |program: &mut Program, what: &str| {
            while !program.shown().contains(what) {
                seen.extend(program.read(Duration::from_secs(20)).unwrap());
            }
        };
        read(&mut program, "Log in");
        program.type_in(&format!("administrator\t{PASSWORD}\r"));
        read(&mut program, if ascii { "> " } else { "▸ " });
        read(&mut program, "inventory.sync");
        assert_eq!(seen.is_ascii(), ascii, "{text}:\n{}", program.shown());
        program.type_in("\u{3}");
        program.ends_within(Duration::from_secs(5));
    }
}
