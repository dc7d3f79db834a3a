//! The command line and terminals: help, messages, questions.

use std::io::{Read, Write as _};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::Signal;
use tenantpilot::ops::Engine;

use crate::cli::{Person, done};
use crate::support::stores::{PASSWORD, Store, block_on};

#[test]
fn fr_009_015_help_has_examples_first_and_no_escape_bytes() {
    let person = Person::at("");
    let commands: [&[&str]; 8] = [
        &["--help"],
        &["-h"],
        &["help"],
        &["help", "runs", "list"],
        &["runs", "watch", "--help"],
        &["users", "disable", "-h"],
        &["login", "--help"],
        &["console", "--help"],
    ];
    for arguments in commands {
        let mut command = person.command(arguments);
        let help = done(command.env("CLICOLOR_FORCE", "1"), None).ends(0);
        assert!(help.out.starts_with("Examples:\n  tenantpilot"), "{arguments:?}: {}", help.out);
        assert!(!help.out.contains('\u{1b}') && help.err.is_empty(), "{arguments:?}");
        assert!(help.out.contains("Usage: tenantpilot"), "{arguments:?}");
    }
    let version = person.run(&["--version"]).ends(0).out;
    let commit = version.split_once("(commit ").unwrap().1.trim_end().trim_end_matches(')');
    let hex = commit.len() >= 12 && commit.chars().all(|c| c.is_ascii_hexdigit());
    assert!(hex || commit == "unknown", "{version}");
    assert!(version.starts_with(concat!("tenantpilot ", env!("CARGO_PKG_VERSION"))), "{version}");
}

#[test]
fn fr_009_016_the_console_without_a_terminal_names_another_command() {
    let person = Person::at("");
    for arguments in [&[][..], &["console"]] {
        let refused = person.run(arguments).ends(2);
        assert!(refused.out.is_empty(), "{refused:?}");
        assert_eq!(refused.err.lines().count(), 1, "{refused:?}");
        assert!(refused.err.contains("tenantpilot runs list"), "{refused:?}");
    }
    let mut dumb = Terminal::start(&person, &["console"], &[("TERM", "dumb")]);
    assert!(dumb.wait_for("TERM is dumb").contains("tenantpilot runs list"));
    assert_eq!(dumb.end(), 2);
}

#[test]
fn fr_009_017_a_wrong_call_is_two_lines_and_ends_with_2() {
    let person = Person::at("");
    for arguments in [
        &["nonsense"][..],
        &["login"],
        &["runs", "show"],
        &["runs", "list", "--limit", "x"],
        &["--nope"],
    ] {
        let wrong = person.run(arguments).ends(2);
        let lines: Vec<&str> = wrong.err.lines().collect();
        assert_eq!(lines.len(), 2, "{wrong:?}");
        assert!(lines[0].starts_with("error: ") && lines[1].starts_with("hint: "), "{wrong:?}");
        assert!(wrong.out.is_empty(), "{wrong:?}");
    }
}

/// A command at a terminal of its own.
pub struct Terminal {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    input: Box<dyn std::io::Write + Send>,
    output: std::sync::mpsc::Receiver<Vec<u8>>,
    seen: String,
    pair: portable_pty::PtyPair,
}

impl Terminal {
    pub fn start(person: &Person, arguments: &[&str], more: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tenantpilot"));
        command.args(arguments);
        command.env_clear();
        let plain = person.command(&[]);
        for (name, value) in plain.get_envs() {
            command.env(name, value.unwrap());
        }
        command.env("TERM", "xterm");
        for (name, value) in more {
            command.env(name, value);
        }
        command.cwd(person.folder.path());
        let child = pair.slave.spawn_command(command).unwrap();
        let input = pair.master.take_writer().unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n) = reader.read(&mut bytes) {
                if n == 0 || sender.send(bytes[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, input, output, seen: String::new(), pair }
    }

    /// Everything seen so far, once `text` is part of it; what was seen is then forgotten.
    pub fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + Duration::from_secs(30);
        while !self.seen.contains(text) {
            let left = until.saturating_duration_since(Instant::now());
            let more = self.output.recv_timeout(left);
            let more = more.unwrap_or_else(|e| panic!("{e}: no {text:?} in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        std::mem::take(&mut self.seen)
    }

    pub fn type_in(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
        self.input.flush().unwrap();
    }

    /// Whether the terminal shows what is typed.
    fn echoes(&self) -> bool {
        use rustix::termios::{LocalModes, tcgetattr};
        let name = self.pair.master.tty_name().unwrap();
        let tty = std::fs::File::open(name).unwrap();
        tcgetattr(&tty).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.process_id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits for the end; gives the exit code.
    pub fn end(&mut self) -> u32 {
        self.child.wait().unwrap().exit_code()
    }
}

#[test]
fn fr_009_018_a_password_is_asked_for_without_showing_it() {
    let store = block_on(Store::new(Engine::Sqlite));
    let person = Person::at(&store.url);
    let mut create =
        Terminal::start(&person, &["users", "create", "ana", "--role", "administrator"], &[]);
    let mut seen = create.wait_for("New password of ana:");
    create.type_in(&format!("{PASSWORD}\r"));
    seen += &create.wait_for("Once more:");
    create.type_in(&format!("{PASSWORD}\r"));
    seen += &create.wait_for("tenantpilot login ana");
    assert_eq!(create.end(), 0);
    let mut login = Terminal::start(&person, &["login", "ana"], &[]);
    seen += &login.wait_for("Password:");
    login.type_in(&format!("{PASSWORD}\r"));
    seen += &login.wait_for("logged in as ana");
    assert_eq!(login.end(), 0);
    assert!(!seen.contains(PASSWORD), "{seen}");

    let mut differ = Terminal::start(&person, &["users", "reset-password", "ana", "--yes"], &[]);
    differ.wait_for("New password of ana:");
    differ.type_in("one good password\r");
    differ.wait_for("Once more:");
    differ.type_in("another password\r");
    differ.wait_for("the two passwords differ");
    assert_eq!(differ.end(), 2);
    let mut silent = Terminal::start(&person, &["login", "ana", "--no-input"], &[]);
    silent.wait_for("--password-file");
    assert_eq!(silent.end(), 2);
}

#[test]
fn fr_009_019_an_interrupted_question_gives_the_terminal_its_echo_back() {
    let store = block_on(Store::new(Engine::Sqlite));
    let person = Person::administrator(&store.url);
    for (name, code) in [("key", 130), ("TERM", 143), ("QUIT", 131)] {
        let mut login = Terminal::start(&person, &["login", "ana"], &[]);
        login.wait_for("Password:");
        let until = Instant::now() + Duration::from_secs(10);
        while login.echoes() {
            assert!(Instant::now() < until, "the terminal still shows what is typed");
            std::thread::sleep(Duration::from_millis(10));
        }
        if name == "key" {
            login.type_in("\u{3}");
        } else {
            login.signal(if name == "TERM" { Signal::TERM } else { Signal::QUIT });
        }
        assert_eq!(login.end(), code, "{name}");
        assert!(login.echoes(), "{name}");
    }
}

/// As after ctrl-z and `fg`: the shell has left the terminal in modes of its own.
#[test]
fn fr_042_015_a_question_that_was_stopped_hides_the_password_again() {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let store = block_on(Store::new(Engine::Sqlite));
    let person = Person::administrator(&store.url);
    let mut login = Terminal::start(&person, &["login", "ana"], &[]);
    login.wait_for("Password:");
    let tty = std::fs::File::open(login.pair.master.tty_name().unwrap()).unwrap();
    login.signal(Signal::STOP);
    let mut modes = tcgetattr(&tty).unwrap();
    modes.local_modes.insert(LocalModes::ECHO);
    tcsetattr(&tty, OptionalActions::Now, &modes).unwrap();
    login.signal(Signal::CONT);
    let until = Instant::now() + Duration::from_secs(10);
    while login.echoes() {
        assert!(Instant::now() < until, "the terminal shows the password");
        std::thread::sleep(Duration::from_millis(10));
    }
    login.type_in(&format!("{PASSWORD}\r"));
    login.wait_for("logged in as ana");
    assert_eq!(login.end(), 0);
    assert!(login.echoes());
}

#[test]
fn fr_009_007_disabling_asks_for_the_name_at_a_terminal() {
    let store = block_on(Store::new(Engine::Sqlite));
    let person = Person::administrator(&store.url);
    person.create("ben", &["--role", "viewer"]).ends(0);
    for (typed, code) in [("bob\r", 5), ("\r", 2), ("ben\r", 0)] {
        let mut disable = Terminal::start(&person, &["users", "disable", "ben"], &[]);
        disable.wait_for("Type \"ben\" to go on:");
        disable.type_in(typed);
        assert_eq!(disable.end(), code, "{typed:?}");
    }
    block_on(async {
        assert_eq!(store.number("select count(*) from platform_users where active").await, 1);
    });
}
