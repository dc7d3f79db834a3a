//! The program as a process: core dumps, closed output, several of them at once.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tenantpilot::ops::Engine;

use crate::cli::{Done, Person, done};
use crate::support::stores::{PASSWORD, Store, block_on, both_engines};

/// A command behind a line of the shell, which calls it `"$@"`.
fn shell(person: &Person, line: &str, arguments: &[&str]) -> Command {
    let plain = person.command(&[]);
    let mut command = Command::new("/bin/bash");
    command.args(["-c", line, "bash", env!("CARGO_BIN_EXE_tenantpilot")]).args(arguments);
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(person.folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn fr_044_004_no_core_is_dumped() {
    let store = block_on(Store::new(Engine::Sqlite));
    let person = Person::administrator(&store.url);
    // It waits for the password, and has read where the database is.
    let line = "ulimit -c unlimited; exec \"$@\"";
    let mut command = shell(&person, line, &["login", "ana", "--password-file", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    let until = Instant::now() + Duration::from_secs(10);
    let limited = || {
        let text = fs::read_to_string(&limits).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Max core file size")).unwrap_or("");
        line.split_whitespace().skip(4).take(2).eq(["0", "0"])
    };
    while !limited() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::ABORT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!status.core_dumped(), "{status:?}");
    assert!(limited() || until > Instant::now(), "the limit was never set");
}

/// What a command does with standard output redirected like that.
fn redirected(person: &Person, how: &str, arguments: &[&str]) -> Done {
    done(&mut shell(person, &format!("\"$@\" {how}"), arguments), None)
}

#[test]
fn fr_044_008_output_that_cannot_be_written_ends_with_1() {
    let person = Person::at("");
    let printing: [&[&str]; 5] =
        [&["info"], &["info", "--json"], &["--help"], &["--version"], &["help", "runs", "list"]];
    for arguments in printing {
        for how in [">&-", ">&- <&-", "1</dev/null", ">/dev/full"] {
            let lost = redirected(&person, how, arguments).ends(1);
            assert!(lost.err.contains("error: cannot write the output: "), "{how}: {lost:?}");
        }
        // Thrown away on purpose, also by who opens it for both.
        for how in [">/dev/null", "1<>/dev/null", "| cat"] {
            redirected(&person, how, arguments).ends(0);
        }
    }
    // Nothing was to be written: the error is the command's own, and so is the code.
    assert_eq!(redirected(&person, ">&-", &["runs", "list"]).code, 7);
    assert_eq!(redirected(&person, ">&- 2>&-", &["info"]).code, 1);
}

both_engines! {
    async fn fr_044_008_every_command_that_answers_ends_with_1_where_it_cannot(store) {
        let person = Person::administrator(&store.url);
        let commands: [&[&str]; 9] = [
            &["whoami"], &["whoami", "--json"], &["runs", "list", "--json"], &["users", "list"], &["types", "list"],
            &["runbooks", "list", "--json"], &["overview"], &["platform", "flags"], &["migrate"],
        ];
        for arguments in commands {
            let lost = redirected(&person, ">&-", arguments).ends(1);
            assert!(lost.err.contains("cannot write the output: it is closed"), "{arguments:?}: {lost:?}");
        }
        // A worker, too, before it claims anything.
        for how in [">&-", ">/dev/full"] {
            redirected(&person, how, &["worker"]).ends(1);
        }
        assert_eq!(store.number("select count(*) from workers").await, 0);
    }

    async fn fr_044_005_of_parallel_logins_into_one_database_one_session_is_left(store) {
        let person = Person::administrator(&store.url);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| person.login("ana").ends(0));
            }
        });
        person.run(&["whoami"]).ends(0);
        let live = "select count(*) from platform_sessions where ended_at is null";
        assert_eq!(store.number(live).await, 1);
    }
}

#[test]
fn fr_044_005_parallel_logins_into_twelve_databases_are_all_kept() {
    let store = block_on(Store::new(Engine::Sqlite));
    let person = Person::at(&store.url);
    person.create("ana", &["--role", "administrator"]).ends(0);
    block_on(store.sql("pragma wal_checkpoint(truncate)")).unwrap();
    let urls: Vec<String> = (0..12)
        .map(|n| {
            let copy = person.dir(&format!("{n}.db"));
            fs::copy(store.url.trim_start_matches("sqlite://"), &copy).unwrap();
            format!("sqlite://{}", copy.display())
        })
        .collect();
    let at = |url: &str, arguments: &[&str]| {
        let input = format!("{PASSWORD}\n");
        done(person.command(arguments).env("TENANTPILOT_DATABASE_URL", url), Some(&input))
    };
    let at_once = |urls: &[String], arguments: &[&str]| {
        std::thread::scope(|scope| {
            for url in urls {
                scope.spawn(|| at(url, arguments).ends(0));
            }
        });
    };
    at_once(&urls, &["login", "ana", "--password-file", "-"]);
    for url in &urls {
        at(url, &["whoami"]).ends(0);
    }
    // Logging out at once forgets these and no others.
    at_once(&urls[..6], &["logout"]);
    let kept: Vec<i32> = urls.iter().map(|url| at(url, &["whoami"]).code).collect();
    assert_eq!(kept, [4, 4, 4, 4, 4, 4, 0, 0, 0, 0, 0, 0]);
    // A session is read also while another process writes.
    let lock = tenantpilot::files::lock(&person.dir("state/session.toml")).unwrap();
    at(&urls[11], &["whoami"]).ends(0);
    drop(lock);
}
