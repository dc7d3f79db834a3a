//! Keymaps: specs/006-themes-and-keymaps.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use proptest::prelude::*;
use tenantpilot::tui::command::{Command, Context};
use tenantpilot::tui::keymap::{Code, EMBEDDED, Key, Keymap, Resolved};

fn refused(text: &str) -> String {
    let error = Keymap::parse("mine.toml", text).expect_err("must be refused");
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

/// A file that quits, and then `rest`.
fn with_quit(rest: &str) -> String {
    format!("[global]\n\"ctrl-c\" = \"app.quit\"\n{rest}")
}

fn press(keymap: &Keymap, context: Context, keys: &str) -> Resolved {
    let mut pending: Vec<Key> = Vec::new();
    let mut last = Resolved::Unbound;
    for key in keys.split(' ') {
        let key = Key::parse(key).expect("a key");
        last = keymap.resolve(context, &pending, key);
        pending.push(key);
    }
    last
}

#[test]
fn fr_006_001_every_embedded_keymap_binds_every_command_but_logging_out() {
    for (name, _) in EMBEDDED {
        let keymap = Keymap::embedded(name).expect(name);
        for command in Command::ALL {
            let bound = Context::ALL.iter().any(|c| !keymap.keys_for(*c, *command).is_empty());
            // Ending the session is in the palette, so that no slip of a finger does it.
            assert_eq!(bound, *command != Command::AppLogout, "{name}: {command}");
        }
    }
}

#[test]
fn fr_006_002_the_default_keys_are_those_people_expect() {
    let keymap = Keymap::embedded("default").expect("default");
    for (context, keys, command) in [
        (Context::Operations, "q", Command::AppClose),
        (Context::Help, "q", Command::AppClose),
        (Context::Operations, "ctrl-c", Command::AppQuit),
        (Context::Login, "ctrl-c", Command::AppQuit),
        (Context::Run, "esc", Command::AppBack),
        (Context::Operations, "j", Command::CursorDown),
        (Context::Operations, "up", Command::CursorUp),
        (Context::Operations, "g", Command::CursorFirst),
        (Context::Operations, "G", Command::CursorLast),
        (Context::Operations, "pagedown", Command::CursorPageDown),
        (Context::Operations, "/", Command::FilterEdit),
        (Context::Run, "n", Command::MatchNext),
        (Context::Help, ":", Command::AppPalette),
        (Context::Operations, "?", Command::AppHelp),
        (Context::Operations, "enter", Command::RowOpen),
        (Context::Run, "2", Command::TabOperations),
        (Context::Operations, "backtab", Command::TabPrevious),
        (Context::Run, "[", Command::HistoryBack),
        (Context::Filter, "enter", Command::FilterAccept),
        (Context::Filter, "down", Command::CursorDown),
        (Context::Login, "down", Command::FieldNext),
        (Context::Login, "enter", Command::FormSubmit),
        (Context::Form, "up", Command::FieldPrevious),
        (Context::Form, "ctrl-u", Command::FilterClear),
        (Context::Form, "esc", Command::AppBack),
        (Context::Filter, "esc", Command::AppBack),
    ] {
        assert_eq!(press(&keymap, context, keys), Resolved::Command(command), "{context} {keys}");
    }
}

#[test]
fn fr_006_003_errors_name_file_line_reason_and_what_is_allowed() {
    for (text, parts) in [
        (
            with_quit("[operation]\n"),
            &["mine.toml line 3", "section \"operation\"", "did you mean \"operations\"", "login"]
                [..],
        ),
        (
            with_quit("[run]\n\n\"x\" = \"row.opne\"\n"),
            &["line 5", "command \"row.opne\"", "did you mean \"row.open\"", "allowed: app.quit"],
        ),
        (
            with_quit("[run]\n\"hyper-x\" = \"row.open\"\n"),
            &["line 4", "\"hyper-x\" is no key", "pageup"],
        ),
        (with_quit("[run]\n\"shift-x\" = \"row.open\"\n"), &["line 4", "the character it makes"]),
        (with_quit("[run]\n\"\" = \"row.open\"\n"), &["line 4", "is no key"]),
        (with_quit("[run]\n\"x\" = 4\n"), &["line 4", "must be a string", "integer"]),
        (with_quit("run = 4\n"), &["line 3", "\"run\" is no key"]),
        ("\nrun = 4\n".to_owned(), &["line 2", "[run] must be a table"]),
        ("inherits = \"vi\"\n".to_owned(), &["line 1", "did you mean \"vim\""]),
        ("[global]\n\"q = \"app.quit\"\n".to_owned(), &["line 2", "not valid TOML"]),
        (
            "[global]\n\"q\" = \"app.quit\"\n\"q\" = \"app.back\"".to_owned(),
            &["line 3", "duplicate"],
        ),
    ] {
        let message = refused(&text);
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }
}

#[test]
fn fr_006_015_a_key_that_terminals_begin_a_sequence_with_is_refused() {
    for key in
        ["alt-O", "alt-P", "alt-X", "alt-[", "alt-]", "alt-_", "alt-^", "alt-esc", "alt-ctrl-["]
    {
        for line in [format!("\"{key}\" = \"row.open\""), format!("\"g {key}\" = \"row.open\"")] {
            let message = refused(&with_quit(&format!("[run]\n{line}\n")));
            assert!(
                message.contains("line 4") && message.contains(&format!("{key:?} cannot be bound")),
                "{message}"
            );
            assert!(
                message.contains("begin their sequences") && message.contains("alt- not of"),
                "{message}"
            );
        }
    }
    for key in ["alt-o", "alt-p", "alt-N", "alt-(", "alt-\\\\", "alt-enter", "ctrl-alt-o", "[", "O"]
    {
        let text = with_quit(&format!("[run]\n\"{key}\" = \"row.open\"\n"));
        Keymap::parse("mine.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn fr_006_004_one_key_cannot_mean_two_things() {
    let twice = refused(&with_quit("[run]\n\"tab\" = \"tab.next\"\n\"ctrl-i\" = \"fold.all\"\n"));
    assert!(twice.contains("line 5: tab is bound twice in [run], first on line 4"), "{twice}");
    let enter = refused(&with_quit("[run]\n\"ctrl-m\" = \"row.open\"\n\"enter\" = \"fold.all\"\n"));
    assert!(enter.contains("line 5: enter is bound twice"), "{enter}");
    let prefix = refused(&with_quit("[run]\n\"g\" = \"row.open\"\n\"g g\" = \"fold.all\"\n"));
    assert!(prefix.contains("line 4: g is bound and also starts g g"), "{prefix}");
    let inherited = refused("inherits = \"default\"\n[global]\n\"g g\" = \"cursor.first\"\n");
    assert!(inherited.contains("line 3") && inherited.contains("\"g\" = \"none\""), "{inherited}");
}

#[test]
fn fr_006_005_ctrl_z_always_suspends_and_cannot_be_bound() {
    for text in [
        with_quit("\"ctrl-z\" = \"app.back\"\n"),
        with_quit("\"ctrl-Z\" = \"none\"\n"),
        with_quit("\"x ctrl-z\" = \"app.back\"\n"),
        with_quit("\"x\" = \"app.suspend\"\n"),
    ] {
        let message = refused(&text);
        assert!(message.contains("line 3: ctrl-z always suspends"), "{message}");
    }
    let keymap = Keymap::parse("mine.toml", &with_quit("")).expect("valid");
    for context in Context::ALL {
        assert_eq!(press(&keymap, *context, "ctrl-z"), Resolved::Command(Command::AppSuspend));
    }
}

#[test]
fn fr_006_006_printable_keys_belong_to_text_fields() {
    for context in ["filter", "palette", "login"] {
        let message = refused(&with_quit(&format!("[{context}]\n\"x\" = \"app.back\"\n")));
        assert!(message.contains("line 4") && message.contains("text field"), "{message}");
    }
    assert!(refused(&with_quit("[filter]\n\"space\" = \"app.back\"\n")).contains("line 4"));
    let keymap = Keymap::embedded("default").expect("default");
    for context in [Context::Filter, Context::Palette, Context::Form, Context::Login] {
        for key in ["q", "j", "?", "space", "G", "left", "home", "backspace", "delete", "end"] {
            assert_eq!(press(&keymap, context, key), Resolved::Unbound, "{context} {key}");
        }
    }
}

#[test]
fn fr_006_007_there_is_always_a_way_out_and_esc_is_not_it() {
    let none = refused("[global]\n\"x\" = \"app.back\"\n");
    assert!(none.contains("app.quit has no key left"), "{none}");
    let taken =
        refused("inherits = \"default\"\n[global]\n\"q\" = \"none\"\n\"ctrl-c\" = \"none\"\n");
    assert!(taken.contains("line 4: app.quit has no key left"), "{taken}");
    let text = refused("inherits = \"default\"\n\n[login]\n\"ctrl-c\" = \"none\"\n");
    assert!(text.contains("line 4: app.quit has no key left in [login]"), "{text}");
    let esc = refused(&with_quit("\"esc\" = \"app.quit\"\n"));
    assert!(esc.contains("line 3: esc goes back"), "{esc}");
    let slow = refused(&with_quit("\"esc x\" = \"app.back\"\n"));
    assert!(slow.contains("line 3: esc cannot start a sequence"), "{slow}");
}

#[test]
fn fr_006_008_a_file_inherits_replaces_and_unbinds() {
    let text = "inherits = \"default\"\n[global]\n\"x\" = \"app.help\"\n\"q\" = \"\"\n[run]\n\"p\" = \"none\"\n";
    let keymap = Keymap::parse("mine.toml", text).expect("valid");
    assert_eq!(press(&keymap, Context::Operations, "q"), Resolved::Unbound);
    assert_eq!(press(&keymap, Context::Operations, "p"), Resolved::Command(Command::PollPause));
    assert_eq!(press(&keymap, Context::Run, "p"), Resolved::Unbound);
    assert_eq!(keymap.keys_for(Context::Operations, Command::AppHelp), ["x", "?", "f1"]);
    assert!(keymap.keys_for(Context::Run, Command::PollPause).is_empty());
}

#[test]
fn fr_006_009_sequences_wait_for_their_last_key() {
    let keymap = Keymap::embedded("vim").expect("vim");
    assert_eq!(press(&keymap, Context::Operations, "g"), Resolved::Pending);
    assert_eq!(press(&keymap, Context::Operations, "g g"), Resolved::Command(Command::CursorFirst));
    assert_eq!(press(&keymap, Context::Operations, "g x"), Resolved::Unbound);
    assert_eq!(press(&keymap, Context::Run, "z"), Resolved::Pending);
    assert_eq!(press(&keymap, Context::Run, "z a"), Resolved::Command(Command::FoldToggle));
    assert_eq!(press(&keymap, Context::Filter, "g"), Resolved::Unbound);
}

#[test]
fn fr_006_010_help_lists_exactly_the_keys_that_work() {
    for (name, _) in EMBEDDED {
        let keymap = Keymap::embedded(name).expect(name);
        for context in Context::ALL {
            for (keys, command) in keymap.bindings(*context) {
                assert_eq!(press(&keymap, *context, &keys), Resolved::Command(command), "{keys}");
            }
            for command in Command::ALL {
                for keys in keymap.keys_for(*context, *command) {
                    assert_eq!(press(&keymap, *context, &keys), Resolved::Command(*command));
                }
            }
        }
    }
    let keymap = Keymap::embedded("default").expect("default");
    assert_eq!(keymap.keys_for(Context::Operations, Command::RowOpen), ["enter", "right", "l"]);
    assert_eq!(keymap.keys_for(Context::Login, Command::AppQuit), ["ctrl-c"]);
}

#[test]
fn fr_006_011_a_users_file_comes_before_the_embedded_one() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("default.toml");
    std::fs::write(&path, "inherits = \"default\"\n[global]\n\"x\" = \"app.quit\"\n")
        .expect("write");
    let quits = |keymap: Keymap| keymap.keys_for(Context::Operations, Command::AppQuit);
    let by_name = Keymap::load("default", Some(dir.path())).expect("by name");
    assert_eq!(quits(by_name), ["x", "ctrl-c"]);
    let by_path = Keymap::load(path.to_str().expect("utf-8"), None).expect("by path");
    assert_eq!(quits(by_path), ["x", "ctrl-c"]);
    assert_eq!(quits(Keymap::load("default", None).expect("embedded")), ["ctrl-c"]);

    let unknown = Keymap::load("vmi", Some(dir.path())).expect_err("unknown").to_string();
    assert!(unknown.contains("did you mean \"vim\"") && unknown.contains("default, vim"));
    assert!(
        Keymap::load("./nowhere.toml", None).expect_err("gone").to_string().contains("nowhere")
    );
    std::fs::write(&path, "[global]\n\"x\" = 1").expect("write");
    let broken = Keymap::load("default", Some(dir.path())).expect_err("broken").to_string();
    assert!(broken.contains("default.toml line 2"), "{broken}");
}

#[test]
fn fr_006_012_events_of_any_terminal_give_the_same_key() {
    let key = |code, modifiers| Key::from_event(&KeyEvent::new(code, modifiers));
    let none = KeyModifiers::NONE;
    assert_eq!(key(KeyCode::Char('g'), KeyModifiers::SHIFT), Some(Key::char('G')));
    assert_eq!(key(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(Key::char('G')));
    assert_eq!(key(KeyCode::Char('G'), none), Some(Key::char('G')));
    assert_eq!(key(KeyCode::Char('?'), KeyModifiers::SHIFT), Some(Key::char('?')));
    assert_eq!(key(KeyCode::Char('i'), KeyModifiers::CONTROL), Some(Key::plain(Code::Tab)));
    assert_eq!(key(KeyCode::BackTab, none), Key::parse("shift-tab").ok());
    assert_eq!(key(KeyCode::BackTab, KeyModifiers::SHIFT), Key::parse("backtab").ok());
    assert_eq!(key(KeyCode::Char('x'), KeyModifiers::SUPER), None);
    let release = KeyEvent::new_with_kind(KeyCode::Enter, none, KeyEventKind::Release);
    assert_eq!(Key::from_event(&release), None);
    let repeat = KeyEvent::new_with_kind(KeyCode::Down, none, KeyEventKind::Repeat);
    assert_eq!(Key::from_event(&repeat), Some(Key::plain(Code::Down)));
}

#[test]
fn fr_006_013_no_key_of_a_multiplexer_is_used_for_more_than_moving() {
    let harmless = [Command::CursorPageDown, Command::CursorPageUp];
    for (name, _) in EMBEDDED {
        let keymap = Keymap::embedded(name).expect(name);
        for context in Context::ALL {
            for (keys, command) in keymap.bindings(*context) {
                let prefix = ["ctrl-a", "ctrl-b", "ctrl-d", "ctrl-k"].contains(&keys.as_str());
                assert!(!prefix || harmless.contains(&command), "{name} {context} {keys}");
            }
        }
    }
}

proptest! {
    #[test]
    fn fr_006_014_no_text_breaks_the_reader(text in "\\PC{0,80}", keys in "[a-z1-9 -]{0,12}") {
        let _ = Keymap::parse("any.toml", &text);
        let _ = Keymap::parse("any.toml", &format!("[run]\n\"{keys}\" = \"row.open\"\n"));
        if let Ok(key) = Key::parse(&keys) {
            prop_assert_eq!(Key::parse(&key.to_string()), Ok(key));
        }
    }
}
