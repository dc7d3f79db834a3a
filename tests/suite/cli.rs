//! The command line as a program: accounts, sessions, exit codes, settings, refusals.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tenantpilot::Clock;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::capability::Role;
use tenantpilot::ops::auth::{Login, Logout};
use tenantpilot::ops::{Create, Engine, Ops, OpsSettings};

use crate::support::copy_program;
use crate::support::postgres::VARIABLE;
use crate::support::proxy::Proxy;
use crate::support::stores::{PASSWORD, Store, both_engines};

/// One person at one machine: directories of their own, and a database.
pub struct Person {
    pub folder: TempDir,
    url: String,
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    /// The answer as JSON, whose version is checked.
    pub fn json(&self) -> Value {
        let value: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        assert_eq!(value["schema_version"], 1, "{self:?}");
        value
    }

    /// The same, after checking how it ended.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// Where a command asks: through the pooler that the environment names, if it can.
fn asked_at(url: &str, arguments: &[&str]) -> String {
    let direct = ["worker", "migrate", "demo", "seed"];
    let pooler = std::env::var("TENANTPILOT_TEST_POOLER").ok();
    let server = std::env::var(VARIABLE).unwrap_or_default();
    let server = server.rsplit_once('/').map_or("", |(server, _)| server);
    match pooler.zip(url.strip_prefix(server)) {
        Some((pooler, rest))
            if !server.is_empty() && !arguments.iter().any(|word| direct.contains(word)) =>
        {
            format!("{pooler}{rest}")
        }
        _ => url.to_owned(),
    }
}

impl Person {
    pub fn at(url: &str) -> Self {
        Self { folder: TempDir::new().unwrap(), url: url.to_owned() }
    }

    /// Somebody without a configured database.
    fn new() -> Self {
        Self::at("")
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn dir(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenantpilot"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("LANG", "C.UTF-8")
            .env("TENANTPILOT_CONFIG_DIR", self.dir("config"))
            .env("TENANTPILOT_DATA_DIR", self.dir("data"))
            .env("TENANTPILOT_STATE_DIR", self.dir("state"))
            .env("TENANTPILOT_DATABASE_URL", asked_at(&self.url, arguments))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        done(&mut self.command(arguments), None)
    }

    /// Runs it with `input` on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Done {
        done(&mut self.command(arguments), Some(input))
    }

    pub fn login(&self, name: &str) -> Done {
        self.run_with(&["login", name, "--password-file", "-"], &format!("{PASSWORD}\n"))
    }

    /// Creates a user who sees all workspaces where none is named.
    pub fn create(&self, name: &str, more: &[&str]) -> Done {
        let mut arguments =
            vec!["users", "create", name, "--password-file", "-", "--confirm", name];
        if !more.contains(&"--workspace") {
            arguments.push("--all-workspaces");
        }
        arguments.extend(more);
        self.run_with(&arguments, PASSWORD)
    }

    /// The first administrator, logged in.
    pub fn administrator(url: &str) -> Self {
        let person = Self::at(url);
        person.create("ana", &["--role", "administrator"]).ends(0);
        person.login("ana").ends(0);
        person
    }
}

pub fn done(command: &mut Command, input: Option<&str>) -> Done {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(input) = input {
        // A command that refuses before it reads closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    }
    let output = child.wait_with_output().unwrap();
    Done {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

both_engines! {
    async fn fr_009_001_the_first_administrator_needs_no_login_and_is_made_once(store) {
        let person = Person::at(&store.url);
        let refused = person.create("ben", &["--role", "viewer"]).ends(5);
        assert!(refused.err.contains("has to be an administrator"), "{refused:?}");
        let made = person.create("ana", &["--role", "administrator", "--json"]).ends(0).json();
        assert_eq!(made["user"]["username"], "ana");
        assert_eq!(made["user"]["role"], "administrator");
        person.create("eva", &["--role", "administrator"]).ends(4);
        assert_eq!(store.number("select count(*) from platform_users").await, 1);
    }

    async fn fr_009_001_two_first_administrators_at_once_make_one(store) {
        let url = store.url.clone();
        let codes: Vec<i32> = std::thread::scope(|scope| {
            let one = |name: &'static str| {
                let url = &url;
                scope.spawn(move || Person::at(url).create(name, &["--role", "administrator"]).code)
            };
            let both = ["ana", "eva"].map(one);
            both.map(|thread| thread.join().unwrap()).to_vec()
        });
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        assert!(sorted == [0, 4] || sorted == [0, 5], "{codes:?}");
        assert_eq!(store.number("select count(*) from platform_users").await, 1);
    }

    async fn fr_009_002_a_login_lasts_until_the_logout_in_a_private_file(store) {
        let person = Person::administrator(&store.url);
        let file = person.dir("state/session.toml");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let session = person.run(&["whoami", "--json"]).ends(0).json();
        assert_eq!(session["session"]["username"], "ana");
        assert_eq!(session["session"]["role"], "administrator");
        assert_eq!(store.number("select count(*) from platform_sessions where ended_at is null").await, 1);
        let origin = "select count(*) from audit_logs where action = 'auth.login' and origin like 'local:uid %'";
        assert_eq!(store.number(origin).await, 1);

        // Logging in again ends the session that is replaced.
        person.login("ana").ends(0);
        assert_eq!(store.number("select count(*) from platform_sessions where ended_at is null").await, 1);
        let logout = "select count(*) from audit_logs where action = 'auth.logout' and actor_name = 'ana'";
        assert_eq!(store.number(logout).await, 1);

        let token = std::fs::read_to_string(&file).unwrap();
        person.run(&["logout"]).ends(0);
        person.run(&["whoami"]).ends(4);
        std::fs::write(&file, token).unwrap();
        let ended = person.run(&["whoami"]).ends(4);
        assert!(ended.err.contains("tenantpilot login"), "{ended:?}");
    }

    async fn fr_009_003_passwords_come_by_file_and_are_never_shown(store) {
        let person = Person::at(&store.url);
        let secret = "hunter-two-and-more";
        let file = person.dir("password");
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let file = file.to_str().unwrap();
        let mut seen = Vec::new();
        let create = ["users", "create", "ana", "--role", "administrator", "--password-file", file];
        let first = person.run(&create).ends(0);
        assert!(first.err.contains("others can read"), "{first:?}");
        seen.push(first);
        seen.push(person.run(&["login", "ana", "--password-file", file]).ends(0));
        seen.push(person.run_with(&["login", "--username", "ANA", "--password-file", "-"], secret).ends(0));
        seen.push(person.run_with(&["login", "ana", "--password-file", "-"], &format!("{secret}x")).ends(4));
        seen.push(person.run(&["login", "ana", secret]).ends(2));
        seen.push(person.run(&["login", "ana", &format!("--password={secret}")]).ends(2));
        seen.push(person.run_with(&["login", "ana", "--password-file", "-"], &format!("{secret}\nx\n")).ends(2));
        for done in &seen {
            assert!(!format!("{done:?}").contains(secret), "{done:?}");
        }
        assert_eq!(person.run_with(&["login", "ana", "--password-file", "-"], "").code, 2);
        let short = ["users", "reset-password", "ana", "--password-file", "-", "--yes"];
        assert!(person.run_with(&short, "short").ends(2).err.contains("at least 8"));
    }

    async fn fr_009_004_a_session_of_another_database_or_kind_is_not_accepted(store) {
        let person = Person::administrator(&store.url);
        let other = Store::new(store.engine).await;
        Person::administrator(&other.url);
        let elsewhere = done(person.command(&["whoami"]).env("TENANTPILOT_DATABASE_URL", &other.url), None);
        assert_eq!(elsewhere.code, 4, "{elsewhere:?}");
        person.run(&["whoami"]).ends(0);

        let ops = Ops::open(&store.url, Create::Never, Clock::system(), OpsSettings::default()).unwrap();
        let nobody = Actor::Anonymous { origin: "local:test".to_owned() };
        let tokens = [
            (ClientKind::Console, 4),
            (ClientKind::Ssh, 4),
            (ClientKind::Cli, 0),
        ];
        let file = person.dir("state/session.toml");
        for (kind, code) in tokens {
            let (_, token) = ops.run(&nobody, Login::new("ana", PASSWORD, kind)).await.unwrap();
            let text = std::fs::read_to_string(&file).unwrap();
            let mine = text.split('"').nth(1).unwrap().to_owned();
            std::fs::write(&file, text.replace(&mine, token.expose())).unwrap();
            assert_eq!(person.run(&["whoami"]).code, code, "{kind}");
        }
    }

    async fn fr_009_006_users_are_managed_and_shown_as_json(store) {
        store.sql("insert into workspaces (id, name, created_at) values (1, 'Contoso', '2026-11-01T00:00:00+00:00')").await.unwrap();
        let person = Person::administrator(&store.url);
        let made = person
            .create("ben", &["--role", "oncall", "--display-name", "Ben B", "--workspace", "1", "--json"])
            .ends(0)
            .json();
        assert_eq!(made["user"]["workspaces"], serde_json::json!([1]));
        let users = person.run(&["users", "list", "--json"]).ends(0).json();
        let names: Vec<_> = users["users"].as_array().unwrap().iter().map(|u| &u["username"]).collect();
        assert_eq!(names, ["ana", "ben"]);
        let set = ["users", "set-capabilities", "ben", "--capability", "platform.access_system_panel",
            "--capability", "platform.users.manage", "--all-workspaces", "--confirm", "ben", "--json"];
        let user = person.run(&set).ends(0).json();
        assert_eq!(user["user"]["capabilities"].as_array().unwrap().len(), 2);
        assert_eq!(user["user"]["role"], Value::Null);
        assert_eq!((&user["user"]["workspaces"], &user["user"]["view_all"]), (&serde_json::json!([]), &Value::Bool(true)));
        let reset = ["users", "reset-password", "ben", "--password-file", "-", "--yes"];
        person.run_with(&reset, "another good one").ends(0);
        let ben = Person::at(&store.url);
        ben.login("ben").ends(4);
        for _ in 0..9 {
            ben.login("ben").ends(4);
        }
        let locked = ben.run_with(&["login", "ben", "--password-file", "-"], "another good one").ends(5);
        assert!(locked.err.contains("too many attempts"), "{locked:?}");
        person.run(&["users", "unlock", "ben", "--json", "--yes"]).ends(0);
        ben.run_with(&["login", "ben", "--password-file", "-"], "another good one").ends(0);
        ben.login("ben").ends(4);
        let unlocked = person.run(&["users", "unlock", "ben", "--yes"]).ends(0);
        assert_eq!(unlocked.out, "ben: may log in again; 1 attempt forgotten\n");
        ben.run_with(&["login", "ben", "--password-file", "-"], "another good one").ends(0);
        // What ben does not hold, ben cannot give.
        let forbidden = ben.create("eva", &["--role", "viewer"]).ends(3);
        assert!(forbidden.err.contains("platform.console.view"), "{forbidden:?}");
        assert!(person.run(&["users", "show", "ben"]).ends(0).out.contains("Ben B"));
        person.run(&["users", "show", "nobody"]).ends(4);
    }

    async fn fr_009_007_disabling_is_confirmed_and_can_be_rehearsed(store) {
        let person = Person::administrator(&store.url);
        person.create("ben", &["--role", "viewer"]).ends(0);
        let ben = Person::at(&store.url);
        ben.login("ben").ends(0);
        let active = "select count(*) from platform_users where active";
        let missing = person.run(&["users", "disable", "ben"]).ends(2);
        assert!(missing.err.contains("--confirm ben"), "{missing:?}");
        person.run(&["users", "disable", "ben", "--confirm", "be"]).ends(5);
        person.run(&["users", "disable", "ben", "--dry-run"]).ends(0);
        person.run(&["users", "disable", "ana", "--dry-run"]).ends(5);
        person.run(&["users", "disable", "ana", "--confirm", "ana"]).ends(5);
        assert_eq!(store.number(active).await, 2);
        let user = person.run(&["users", "disable", "ben", "--confirm", "ben", "--json"]).ends(0).json();
        assert_eq!(user["user"]["active"], false);
        ben.run(&["whoami"]).ends(4);
        ben.login("ben").ends(4);
        person.run(&["users", "enable", "ben", "--yes"]).ends(0);
        ben.login("ben").ends(0);
    }

    async fn fr_009_005_a_missing_capability_ends_with_3_and_its_name(store) {
        let person = Person::administrator(&store.url);
        person.create("ben", &["--role", "viewer"]).ends(0);
        let ben = Person::at(&store.url);
        ben.login("ben").ends(0);
        for arguments in [vec!["users", "list"], vec!["users", "unlock", "ana", "--yes"], vec!["users", "disable", "ana", "--confirm", "ana"]] {
            let forbidden = ben.run(&arguments).ends(3);
            assert!(forbidden.err.contains("platform.users.manage"), "{forbidden:?}");
            assert_eq!(forbidden.err.lines().count(), 2, "{forbidden:?}");
        }
        assert_eq!(Role::Viewer.as_str(), "viewer");
    }

    async fn fr_009_014_a_newer_schema_is_refused_by_every_command(store) {
        let person = Person::administrator(&store.url);
        let open = store.login("ana").await.actor;
        let version = match store.engine {
            Engine::Postgres => "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (99, 'x', true, ''::bytea, 0)",
            Engine::Sqlite => "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (99, 'x', true, x'', 0)",
        };
        store.sql(version).await.unwrap();
        store.sql("update platform_settings set value = '99' where key = 'oldest_program'").await.unwrap();
        for arguments in [&["whoami"][..], &["runs", "list"], &["migrate"], &["users", "list"]] {
            let refused = person.run(arguments).ends(5);
            assert!(refused.err.contains("version 99"), "{refused:?}");
        }
        let info = person.run(&["info", "--json"]).ends(0).json();
        assert_eq!(info["info"]["database"]["schema"]["state"], "newer");
        // Nor does a console that was open before change anything.
        let refused = store.ops.run(&open, Logout).await.unwrap_err();
        assert!(refused.message().contains("version 99"), "{refused}");
        // Nor does one that logs in.
        let anyone = Actor::Anonymous { origin: "test".to_owned() };
        let login = Login::new("ana", PASSWORD, ClientKind::Console);
        let refused = store.ops.run(&anyone, login).await.unwrap_err();
        assert!(refused.message().contains("version 99"), "{refused}");
    }
}

#[test]
fn fr_009_008_a_missing_embedded_database_is_made_by_migrate_alone() {
    let person = Person::new();
    let missing = person.run(&["runs", "list"]).ends(7);
    assert!(missing.err.contains("tenantpilot migrate"), "{missing:?}");
    assert!(!person.dir("data").exists());
    let info = person.run(&["info", "--json"]).ends(0).json();
    assert_eq!(info["info"]["database"]["schema"]["state"], "unknown");
    let made = person.run(&["migrate", "--json"]).ends(0).json();
    let version = made["migration"]["version"].as_i64().unwrap();
    assert!(made["migration"]["applied"].as_i64().unwrap() > 0 && version > 0, "{made}");
    let mode =
        |path: &str| std::fs::metadata(person.dir(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("data"), mode("data/tenantpilot.db")), (0o700, 0o600));
    let again = person.run(&["migrate", "--json"]).ends(0).json();
    assert_eq!(again["migration"]["applied"], 0);
    let login = person.login("ana").ends(5);
    assert!(login.err.contains("no users yet"), "{login:?}");
    // Nothing appears in the working directory.
    let mut names: Vec<_> = std::fs::read_dir(person.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["data"]);
}

#[test]
fn fr_009_020_a_flag_wins_over_the_environment_over_the_file() {
    let person = Person::new();
    std::fs::create_dir(person.dir("config")).unwrap();
    std::fs::write(
        person.dir("config/config.toml"),
        "theme = \"light\"\npoll_interval = \"5s\"\nlog_level = \"warn\"\n",
    )
    .unwrap();
    let mut command = person.command(&["info", "--json", "--poll-interval", "7s", "--local"]);
    let info = done(
        command.env("TENANTPILOT_POLL_INTERVAL", "6s").env("TENANTPILOT_LOG_LEVEL", "error"),
        None,
    );
    let info = info.ends(0).json();
    let setting = |name: &str| {
        let all = info["info"]["settings"].as_array().unwrap();
        let found = all.iter().find(|setting| setting["name"] == name).unwrap();
        (found["value"].as_str().unwrap().to_owned(), found["origin"].as_str().unwrap().to_owned())
    };
    let (value, origin) = setting("theme");
    assert!(value == "light" && origin.ends_with("line 1"), "{origin}");
    assert_eq!(setting("poll_interval"), ("7s".to_owned(), "flag --poll-interval".to_owned()));
    assert_eq!(setting("log_level").0, "error");
    assert_eq!(setting("time_zone").0, "local");
    let text = person.run(&["info"]).ends(0).out;
    for part in ["config.toml", "session.toml", "logs", "sqlite://"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let wrong = person.run(&["info", "--poll-interval", "1h"]).ends(2);
    assert!(wrong.err.contains("--poll-interval"), "{wrong:?}");
    let other = person.dir("other.toml");
    std::fs::write(&other, "them = \"x\"\n").unwrap();
    let unknown = person.run(&["info", "--config", other.to_str().unwrap()]).ends(2);
    assert!(unknown.err.contains("other.toml") && unknown.err.contains("line 1"), "{unknown:?}");
}

#[test]
fn fr_009_014_what_is_wrong_with_a_database_is_said_without_its_password() {
    let wrong = |url: &str, code: i32, part: &str| {
        let done = Person::at(url).run(&["runs", "list"]).ends(code);
        assert!(done.err.contains(part) && !done.err.contains("s3cret"), "{done:?}");
        assert!(done.out.is_empty() && done.err.lines().count() <= 2, "{done:?}");
    };
    wrong(
        "postgres://u:s3cret@127.0.0.1:1/x",
        7,
        "cannot be reached: nothing listens at its address",
    );
    wrong("postgres://u:s3cret@%2Fno%2Fsuch/x", 7, "cannot be reached: nothing listens");
    // It takes the connection and never says anything.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    wrong(&format!("postgres://u:s3cret@127.0.0.1:{port}/x"), 7, "its address does not answer");
    let url = crate::support::postgres::postgres_url();
    let proxy = Proxy::start(&url);
    proxy.cut();
    wrong(&proxy.url(&url), 7, "cannot be reached");
    let (server, _) = url.rsplit_once('/').unwrap();
    wrong(&format!("{server}/no_such_database"), 7, "does not exist");
    wrong("mysql://u:s3cret@x/y", 2, "not supported");

    let person = Person::new();
    let file = person.dir("text.db");
    let text = "this is not a database, however long it may be. ".repeat(100);
    tenantpilot::files::write_private(&file, text.as_bytes()).unwrap();
    wrong(&format!("sqlite://{}", file.display()), 1, "not a usable TenantPilot database");
}

#[tokio::test]
async fn fr_009_014_a_wrong_database_password_is_named_as_that() {
    use crate::support::postgres::{administer, postgres_url};
    let role = format!("r_{}", uuid::Uuid::new_v4().simple());
    administer(&format!("CREATE ROLE {role} NOLOGIN")).await;
    let url = postgres_url();
    let (_, place) = url.rsplit_once('@').unwrap();
    // A role that may not log in is refused by any kind of authentication.
    let done =
        Person::at(&format!("postgres://{role}:s3cret@{place}")).run(&["runs", "list"]).ends(7);
    administer(&format!("DROP ROLE {role}")).await;
    let refused = ["refused the name or password", "may not log in"];
    assert!(refused.iter().any(|text| done.err.contains(text)), "{done:?}");
    assert!(!done.err.contains("s3cret"), "{done:?}");
}

fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A user with a copy of an SQLite database. Permissions hold this one back, as they do not root.
pub struct Unprivileged {
    person: Person,
    pub file: PathBuf,
}

impl Unprivileged {
    pub fn with_copy_of(url: &str) -> Self {
        let person = Person::at(url);
        let [data, state] = ["data", "state"].map(|name| person.dir(name));
        let file = data.join("copy.db");
        copy_program(Path::new(env!("CARGO_BIN_EXE_tenantpilot")), &person.dir("program"));
        permit(person.folder.path(), 0o755);
        for folder in [&data, &state] {
            std::fs::create_dir(folder).unwrap();
            permit(folder, 0o755);
        }
        std::fs::copy(url.trim_start_matches("sqlite://"), &file).unwrap();
        let own = Self { person, file };
        if own.is_root() {
            for path in [&data, &state, &own.file] {
                std::os::unix::fs::chown(path, Some(65_534), Some(65_534)).unwrap();
            }
        }
        own
    }

    fn is_root(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(self.person.folder.path()).unwrap().uid() == 0
    }

    /// Allows the owner to do with the file and its folder what their modes say.
    pub fn permit(&self, file: u32, folder: u32) {
        permit(&self.file, file);
        permit(self.file.parent().unwrap(), folder);
    }

    pub fn run(&self, arguments: &[&str], input: Option<&str>) -> Done {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(self.person.dir("program"));
        let state = self.person.dir("state");
        command
            .args(arguments)
            .env_clear()
            .env("HOME", &state)
            .env("TENANTPILOT_STATE_DIR", &state)
            .env("TENANTPILOT_DATABASE_URL", format!("sqlite://{}", self.file.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.is_root() {
            command.uid(65_534).gid(65_534);
        }
        done(&mut command, input)
    }
}

#[test]
fn fr_009_014_a_read_only_database_is_refused_in_words() {
    use tenantpilot::ops::Engine;

    let store = crate::support::stores::block_on(Store::new(Engine::Sqlite));
    Person::administrator(&store.url);
    crate::support::stores::block_on(store.sql("pragma wal_checkpoint(truncate)")).unwrap();
    let user = Unprivileged::with_copy_of(&store.url);
    user.permit(0o400, 0o555);
    let refused = user.run(&["login", "ana", "--password-file", "-"], Some(PASSWORD));
    user.permit(0o400, 0o755);
    assert!(matches!(refused.code, 5 | 7), "{refused:?}");
    assert!(
        refused.err.contains("read-only") || refused.err.contains("cannot be opened"),
        "{refused:?}"
    );
}
