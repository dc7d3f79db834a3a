//! Settings and their origins, directories and private files, the log.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tenantpilot::config::{
    Color, Config, DEFINITIONS, DatabaseUrl, Engine, Flags, LogLevel, Origin, Sources,
    format_duration, nearest, parse_duration,
};
use tenantpilot::domain::time_zone::TimeZone;
use tenantpilot::paths::Paths;
use tenantpilot::{Clock, Error, ErrorKind, files, logging};

const CANARY: &str = "c4n4ry-s3cr3t";

/// A home with at most one configuration file.
struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    fn with_file(text: &str) -> Self {
        let home = Self::new();
        fs::write(home.file(), text).unwrap();
        home
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("config.toml")
    }

    fn load(&self, env: &[(&str, &str)], flags: Flags) -> Result<Config, Error> {
        let lookup = |name: &str| {
            let env = [env, &[("LANG", "C.UTF-8")]].concat();
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let default_file = Some(self.file());
        Config::load(Sources { default_file, file: None, env: &lookup, flags })
    }

    fn refusal(&self, env: &[(&str, &str)], flags: Flags) -> String {
        let error = self.load(env, flags).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        error.to_string()
    }
}

/// The error of a file with this content, which has to name the file and `line`.
fn file_refusal(text: &str, line: usize) -> String {
    let home = Home::with_file(text);
    let refusal = home.refusal(&[], Flags::default());
    let place = format!("config.toml\", line {line}");
    assert!(refusal.contains(&place), "{place} is missing in: {refusal}");
    refusal
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn paths_in(directory: &Path) -> Paths {
    let root = directory.display().to_string();
    Paths::from_env(|name| match name {
        "TENANTPILOT_CONFIG_DIR" => Some(format!("{root}/config")),
        "TENANTPILOT_DATA_DIR" => Some(format!("{root}/data")),
        "TENANTPILOT_STATE_DIR" => Some(format!("{root}/state")),
        _ => None,
    })
    .unwrap()
}

#[test]
fn fr_010_001_defaults_then_file_then_environment_then_flags() {
    let env = [("TENANTPILOT_THEME", "from-environment")];
    let flags = || Flags { theme: Some("from-flag".to_owned()), ..Flags::default() };
    let theme = |home: &Home, env: &[(&str, &str)], flags| home.load(env, flags).unwrap().theme;

    let home = Home::new();
    assert_eq!(theme(&home, &[], Flags::default()).value, "default");
    let home = Home::with_file("# mine\ntheme = \"from-file\"\n");
    assert_eq!(theme(&home, &[], Flags::default()).value, "from-file");
    assert_eq!(theme(&home, &env, Flags::default()).value, "from-environment");
    assert_eq!(theme(&home, &env, flags()).value, "from-flag");
    // Empty means absent, as shells have it.
    let empty = [("TENANTPILOT_THEME", "")];
    assert_eq!(theme(&home, &empty, Flags::default()).value, "from-file");
}

#[test]
fn fr_010_001_every_setting_can_be_given_in_the_file_and_the_environment() {
    let text = "database_url = \"sqlite:///x.db\"\npoll_interval = \"5s\"\ntheme = \"light\"\n\
        keymap = \"vim\"\nascii = true\ncolor = \"always\"\ntime_zone = \"local\"\nmouse = true\n\
        synchronized_output = false\nlink = \"slow\"\nschema = \"one\"\nrequire_tls = true\nlog_level = \"debug\"\npage_size = 50\n\
        text_search_bound = 1000\n[sessions]\nidle_timeout = \"5m\"\nabsolute_timeout = \"1h\"\n\
        [database]\nlisten_url = \"none\"\nstatement_timeout = \"9s\"\nlock_timeout = \"1s\"\n\
        [alerts]\nwebhook_url = \"https://alerts.example/x\"\nwebhook_secret_file = \"/run/secret\"\n\
        timeout = \"5s\"\nmax_attempts = 3\n\
        [product_usage]\nretention_days = 30\n\
        [health]\ncritical_failed_percent = 30\ncritical_ended_runs = 10\nwarning_failed_percent = 6\ncritical_lease_lengths = 3\n";
    let from_file = Home::with_file(text).load(&[], Flags::default()).unwrap();
    let values = |config: &Config| {
        config.all_settings().into_iter().map(|(name, value, _)| (name, value)).collect::<Vec<_>>()
    };
    assert_eq!(from_file.poll_interval.value, Duration::from_secs(5));
    assert_eq!(from_file.time_zone.value, TimeZone::Local);
    assert_eq!(from_file.log_level.value, LogLevel::Debug);
    assert_eq!((from_file.page_size.value, from_file.text_search_bound.value), (50, 1000));

    let names: Vec<_> = from_file.all_settings().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, DEFINITIONS.iter().map(|known| known.name).collect::<Vec<_>>());
    let defaults = Home::new().load(&[], Flags::default()).unwrap();
    for (default, changed) in values(&defaults).iter().zip(values(&from_file)) {
        assert_ne!(*default, changed, "this test has to change every setting");
    }

    let given = values(&from_file);
    let env: Vec<(&str, &str)> = DEFINITIONS
        .iter()
        .zip(&given)
        .map(|(definition, (_, value))| (definition.variable, value.as_str()))
        .collect();
    let from_environment = Home::new().load(&env, Flags::default()).unwrap();
    assert_eq!(values(&from_environment), given);
}

#[test]
fn fr_010_002_each_setting_remembers_where_it_came_from() {
    let home = Home::with_file("# mine\n\npage_size = 100\n[sessions]\nidle_timeout = \"5m\"\n");
    let env = [("TENANTPILOT_KEYMAP", "vim")];
    let flags = Flags { ascii: Some("true".to_owned()), ..Flags::default() };
    let config = home.load(&env, flags).unwrap();
    assert_eq!(config.theme.origin, Origin::Default);
    assert_eq!(config.page_size.origin, Origin::File(home.file(), 3));
    assert_eq!(config.sessions_idle_timeout.origin, Origin::File(home.file(), 5));
    assert_eq!(config.keymap.origin, Origin::Environment("TENANTPILOT_KEYMAP".to_owned()));
    assert_eq!(config.ascii.origin, Origin::Flag("--ascii".to_owned()));
    let rows = config.all_settings();
    let row = rows.iter().find(|(name, ..)| *name == "page_size").unwrap();
    assert_eq!(row.1, "100");
    assert!(row.2.ends_with("config.toml\", line 3"), "{}", row.2);
}

#[test]
fn fr_010_003_unknown_settings_are_errors_with_line_and_suggestion() {
    let refusal = file_refusal("theme = \"light\"\n\npoll_intervall = \"2s\"\n", 3);
    assert!(refusal.contains("did you mean poll_interval?"), "{refusal}");
    let refusal = file_refusal("[sessions]\nidle_timeuot = \"2m\"\n", 2);
    assert!(refusal.contains("did you mean sessions.idle_timeout?"), "{refusal}");
    let refusal = file_refusal("wallpaper = \"cat\"\n", 1);
    assert!(refusal.contains("allowed: database_url, database.listen_url"), "{refusal}");
    file_refusal("[colours]\nred = 1\n", 1);
    // A hostile key is shown, never acted on.
    let refusal = file_refusal("\"a\\u001b[2Jb\" = 1\n", 1);
    assert!(!refusal.contains('\u{1b}'));
    assert_eq!(nearest("them", ["theme", "keymap"]), Some("theme"));
    assert_eq!(nearest("zebra", ["theme", "keymap"]), None);
}

#[test]
fn fr_010_004_wrong_types_are_errors_with_line_and_what_is_allowed() {
    for (text, line, reason, allowed) in [
        ("mouse = \"yes\"\n", 1, "this is text, true or false is needed", "true or false"),
        ("\npage_size = \"100\"\n", 2, "a whole number is needed", "from 50 to 500"),
        ("poll_interval = 2\n", 1, "text in quotes is needed", "\"500ms\" to \"60s\""),
        ("theme = [\"light\"]\n", 1, "this is a list", "the name of a theme"),
        ("page_size = 100.5\n", 1, "a number with a fraction", "a whole number"),
        ("sessions = 5\n", 1, "unknown setting", "did you mean"),
        ("[theme]\nname = \"x\"\n", 1, "this is a table", "the name of a theme"),
    ] {
        let refusal = file_refusal(text, line);
        if allowed == "did you mean" {
            assert!(refusal.contains(reason), "{refusal}");
            continue;
        }
        assert!(refusal.contains(reason) && refusal.contains(allowed), "{refusal}");
    }
}

#[test]
fn fr_010_005_values_out_of_range_are_errors_and_the_limits_are_not() {
    for text in [
        "page_size = 49",
        "page_size = 501",
        "page_size = -1",
        "page_size = 99999999999999999999",
        "text_search_bound = 999",
        "text_search_bound = 100001",
        "poll_interval = \"499ms\"",
        "poll_interval = \"61s\"",
        "poll_interval = \"fast\"",
        "color = \"red\"",
        "time_zone = \"Europe/Berlin\"",
        "log_level = \"trace\"",
        "theme = \"../../etc/passwd\"",
        "theme = \"\"",
        "[sessions]\nidle_timeout = \"0s\"",
    ] {
        let line = text.lines().count();
        let refusal = file_refusal(text, line);
        assert!(refusal.contains("allowed: "), "{refusal}");
    }
    for text in [
        "page_size = 50",
        "page_size = 500",
        "text_search_bound = 1000",
        "text_search_bound = 100000",
        "poll_interval = \"500ms\"",
        "poll_interval = \"60s\"",
    ] {
        assert!(Home::with_file(text).load(&[], Flags::default()).is_ok(), "{text}");
    }
    let home = Home::with_file("[sessions]\nidle_timeout = \"13h\"\n");
    let refusal = home.refusal(&[], Flags::default());
    assert!(refusal.contains("longer than sessions.absolute_timeout"), "{refusal}");
}

#[test]
fn fr_010_006_errors_of_the_environment_and_of_flags_name_them() {
    let home = Home::new();
    let refusal = home.refusal(&[("TENANTPILOT_PAGE_SIZE", "many")], Flags::default());
    assert!(refusal.starts_with("TENANTPILOT_PAGE_SIZE: "), "{refusal}");
    assert!(refusal.contains("from 50 to 500"), "{refusal}");
    let flags = Flags { color: Some("red".to_owned()), ..Flags::default() };
    let refusal = home.refusal(&[], flags);
    assert!(refusal.starts_with("--color: "), "{refusal}");
    assert!(refusal.contains("auto, always or never"), "{refusal}");
    // A weaker layer is checked as well.
    let home = Home::with_file("page_size = 1\n");
    let refusal = home.refusal(&[("TENANTPILOT_PAGE_SIZE", "100")], Flags::default());
    assert!(refusal.contains("line 1"), "{refusal}");
}

#[test]
fn fr_010_007_database_addresses_are_checked_and_never_repeated() {
    for (text, engine) in [
        ("postgres://user:pw@host/db", Engine::Postgres),
        ("postgresql://host/db?sslmode=require", Engine::Postgres),
        ("postgres://", Engine::Postgres),
        ("sqlite:///var/lib/x.db", Engine::Sqlite),
        ("sqlite://x.db", Engine::Sqlite),
    ] {
        assert_eq!(DatabaseUrl::parse(text).unwrap().engine(), engine);
    }
    for text in [
        format!("mysql://user:{CANARY}@host/db"),
        format!("user:{CANARY}@host"),
        format!("{CANARY}://user@host"),
        format!("postgres:user:{CANARY}@host"),
        format!("POSTGRES ://user:{CANARY}@host"),
        format!("postgres://user:{CANARY}\u{1b}[2J@host"),
        format!("postgres://ann:a/{CANARY}@db/tp"),
        format!("postgres://ann:x?{CANARY}@db/tp"),
        format!("postgres://ann:x#{CANARY}@db/tp"),
        format!("postgres://ann:x%{CANARY}@db/tp"),
        "sqlite://".to_owned(),
        "sqlite::memory:".to_owned(),
    ] {
        let env = [("TENANTPILOT_DATABASE_URL", text.as_str())];
        let refusal = Home::new().refusal(&env, Flags::default());
        assert!(refusal.contains("sqlite://PATH") && !refusal.contains(CANARY), "{refusal}");
        let escaped = text.replace('\u{1b}', "\\u001b");
        let refusal = file_refusal(&format!("database_url = \"{escaped}\"\n"), 1);
        assert!(!refusal.contains(CANARY), "{refusal}");
    }
}

#[test]
fn fr_010_008_a_password_is_never_shown() {
    for (text, shown) in [
        (format!("postgres://ann:{CANARY}@db:5432/tp"), "postgres://ann:***@db:5432/tp"),
        (format!("postgres://ann:{CANARY}@{CANARY}@db/tp"), "postgres://ann:***@db/tp"),
        (
            format!("postgres://db/tp?sslmode=require&password={CANARY}"),
            "postgres://db/tp?sslmode=require&password=***",
        ),
        (format!("postgres://ann@db/tp?password=x@{CANARY}"), "postgres://***"),
    ] {
        let env = [("TENANTPILOT_DATABASE_URL", text.as_str())];
        let config = Home::new().load(&env, Flags::default()).unwrap();
        let url = config.database_url.value.clone().unwrap();
        assert_eq!(url.redacted_url(), shown);
        assert_eq!(url.expose(), text);
        for printed in [
            url.to_string(),
            format!("{url:?}"),
            format!("{config:?}"),
            format!("{:?}", config.all_settings()),
        ] {
            assert!(!printed.contains(CANARY), "{printed}");
        }
    }
    // A file that cannot be parsed is not quoted either.
    let refusal = file_refusal(&format!("database_url = \"postgres://u:{CANARY}@h/d\n"), 1);
    assert!(!refusal.contains(CANARY), "{refusal}");
}

#[test]
fn fr_010_009_no_color_is_honoured_and_can_be_overruled() {
    let color = |env: &[(&str, &str)], flags| Home::new().load(env, flags).unwrap().color;
    assert_eq!(color(&[], Flags::default()).value, Color::Auto);
    assert_eq!(color(&[("NO_COLOR", "")], Flags::default()).value, Color::Auto);
    let set = color(&[("NO_COLOR", "0")], Flags::default());
    assert_eq!(set.value, Color::Never);
    assert_eq!(set.origin, Origin::Environment("NO_COLOR".to_owned()));
    let both = [("NO_COLOR", "1"), ("TENANTPILOT_COLOR", "always")];
    assert_eq!(color(&both, Flags::default()).value, Color::Always);
    let flags = Flags { no_color: true, ..Flags::default() };
    let flagged = color(&both, flags);
    assert_eq!(flagged.value, Color::Never);
    assert_eq!(flagged.origin, Origin::Flag("--no-color".to_owned()));
}

#[test]
fn fr_010_010_a_named_file_must_exist_and_the_default_one_need_not() {
    let home = Home::new();
    assert!(home.load(&[], Flags::default()).is_ok());
    let load = |file: PathBuf| {
        let flags = Flags::default();
        Config::load(Sources { default_file: None, file: Some(file), env: &|_| None, flags })
    };
    let refusal = load(home.file()).unwrap_err().to_string();
    assert!(refusal.contains("does not exist") && refusal.contains("--config"), "{refusal}");
    let refusal = load(home.directory.path().to_owned()).unwrap_err().to_string();
    assert!(refusal.contains("it is a directory"), "{refusal}");
    fs::write(home.file(), "theme = \"light\"\n").unwrap();
    assert_eq!(load(home.file()).unwrap().theme.value, "light");
}

#[test]
fn fr_010_011_what_is_no_toml_is_an_error_with_its_line() {
    file_refusal("theme = \"light\"\nkeymap =\n", 2);
    file_refusal("theme = \"light\"\ntheme = \"dark\"\n", 2);
    file_refusal("page_size = 100\nthis is not toml\n", 2);
    let home = Home::new();
    fs::write(home.file(), b"theme = \"light\"\n# \xff\xfe\n").unwrap();
    let refusal = home.refusal(&[], Flags::default());
    assert!(refusal.contains("line 2 is not UTF-8"), "{refusal}");
    fs::write(home.file(), "#".repeat(2 * 1024 * 1024)).unwrap();
    let refusal = home.refusal(&[], Flags::default());
    assert!(refusal.contains("larger than 1 MiB"), "{refusal}");
}

#[test]
fn fr_010_012_durations_have_a_number_and_a_unit() {
    for (text, millis) in
        [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("7d", 604_800_000)]
    {
        assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis));
        assert_eq!(format_duration(Duration::from_millis(millis)), text);
    }
    for text in ["", "5", "s", "-5s", "1.5s", "5 s", "5w", "99999999999999999999s", "5sm", "∞s"] {
        let refusal = parse_duration(text).unwrap_err().to_string();
        assert!(refusal.contains("500ms, 30s, 5m, 2h or 7d"), "{refusal}");
    }
    assert!(parse_duration(&format!("{}d", u64::MAX)).is_err(), "an overflow is no duration");
}

#[test]
fn fr_010_013_directories_can_be_moved_but_only_to_absolute_paths() {
    let paths = paths_in(Path::new("/nowhere"));
    assert_eq!(paths.config_file(), Path::new("/nowhere/config/config.toml"));
    assert_eq!(paths.database_file(), Path::new("/nowhere/data/tenantpilot.db"));
    assert_eq!(paths.demo_database_file(), Path::new("/nowhere/data/demo.db"));
    assert_eq!(paths.logs_dir(), Path::new("/nowhere/state/logs"));
    assert_eq!(paths.cli_session_file(), Path::new("/nowhere/state/session.toml"));
    let relative = |name: &str| (name == "TENANTPILOT_DATA_DIR").then(|| "here".to_owned());
    let refusal = Paths::from_env(relative).unwrap_err().to_string();
    assert!(refusal.starts_with("TENANTPILOT_DATA_DIR: "), "{refusal}");
    let usual = Paths::from_env(|_| None).unwrap();
    for path in [usual.config_dir(), usual.data_dir(), usual.state_dir()] {
        assert!(path.is_absolute() && path.ends_with("tenantpilot"), "{}", path.display());
    }
}

/// Runs `work` while the process lets everybody read what it creates.
fn with_permissive_umask<T>(work: impl FnOnce() -> T) -> T {
    // The umask is the process's: two tests at once would restore each other's.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = rustix::process::umask(rustix::fs::Mode::empty());
    let result = work();
    rustix::process::umask(before);
    result
}

#[test]
fn fr_010_014_private_files_are_private_under_any_umask_and_replaced_whole() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("a/b/session.toml");
    with_permissive_umask(|| files::write_private(&file, b"first")).unwrap();
    assert_eq!(mode(&home.path().join("a")), 0o700);
    assert_eq!(mode(&home.path().join("a/b")), 0o700);
    assert_eq!(mode(&file), 0o600);
    let inode = fs::metadata(&file).unwrap().ino();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    with_permissive_umask(|| files::write_private(&file, b"second")).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"second");
    assert_eq!(mode(&file), 0o600);
    assert_ne!(fs::metadata(&file).unwrap().ino(), inode, "the file was changed in place");
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "a leftover");
    // A directory is in the way: an error, and no leftover.
    let refusal = files::write_private(&home.path().join("a/b"), b"x").unwrap_err().to_string();
    assert!(refusal.contains("cannot write"), "{refusal}");
    assert_eq!(fs::read_dir(home.path().join("a")).unwrap().count(), 1, "a leftover");
}

#[test]
fn fr_010_015_a_readable_file_with_a_password_is_warned_about() {
    let home = Home::with_file(&format!("database_url = \"postgres://u:{CANARY}@h/d\"\n"));
    let warnings = |mode| {
        fs::set_permissions(home.file(), fs::Permissions::from_mode(mode)).unwrap();
        home.load(&[], Flags::default()).unwrap().warnings().to_vec()
    };
    let warned = warnings(0o644);
    assert!(warned[0].contains("chmod 600") && !warned[0].contains(CANARY), "{warned:?}");
    assert!(warnings(0o600).is_empty());
}

/// Logs what `work` logs and returns the content of the day's file.
fn logged(paths: &Paths, level: LogLevel, clock: &Clock, work: impl FnOnce()) -> String {
    let (subscriber, guard) =
        with_permissive_umask(|| logging::subscriber(paths, level, clock.clone())).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    drop(guard);
    fs::read_to_string(logging::current_file(paths, clock)).unwrap()
}

fn some_day() -> Clock {
    Clock::fixed("2026-03-04T12:00:00Z".parse().unwrap())
}

#[test]
fn fr_010_016_the_log_is_private_and_keeps_a_week() {
    let home = TempDir::new().unwrap();
    let paths = paths_in(home.path());
    let clock = some_day();
    for _ in 0..10 {
        logged(&paths, LogLevel::Info, &clock, || tracing::info!(target: "tenantpilot", "hello"));
        clock.advance(chrono::Duration::days(1));
    }
    assert_eq!(mode(&paths.logs_dir()), 0o700);
    let mut names: Vec<_> = fs::read_dir(paths.logs_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .inspect(|path| assert_eq!(mode(path), 0o600, "{}", path.display()))
        .collect();
    names.sort();
    assert_eq!(names.len(), logging::FILES_KEPT);
    assert!(names[0].ends_with("tenantpilot.2026-03-07.log"), "{names:?}");
}

#[test]
fn fr_010_016_a_running_log_moves_to_the_next_day() {
    let home = TempDir::new().unwrap();
    let paths = paths_in(home.path());
    let clock = some_day();
    let first = logging::current_file(&paths, &clock);
    let second = logged(&paths, LogLevel::Info, &clock, || {
        tracing::info!(target: "tenantpilot", "before midnight");
        // The line is written by another thread.
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while fs::metadata(&first).unwrap().len() == 0 {
            assert!(std::time::Instant::now() < deadline, "nothing was logged");
            std::thread::yield_now();
        }
        clock.advance(chrono::Duration::days(1));
        tracing::info!(target: "tenantpilot", "after midnight");
    });
    assert!(second.contains("after midnight") && !second.contains("before midnight"), "{second}");
    assert!(fs::read_to_string(first).unwrap().contains("before midnight"));
}

#[test]
fn fr_010_017_an_event_is_one_clean_line_of_the_level_asked_for() {
    let home = TempDir::new().unwrap();
    let paths = paths_in(home.path());
    let text = logged(&paths, LogLevel::Warn, &some_day(), || {
        tracing::warn!(target: "tenantpilot::ops", name = "a\u{1b}]0;x\u{7}b", "one\ntwo\r\x1b[2J");
        tracing::info!(target: "tenantpilot::ops", "too quiet");
        tracing::error!(target: "elsewhere", "from a library");
        tracing::warn!(target: "sqlx::postgres::notice", "terminating connection");
    });
    assert_eq!(text.lines().count(), 2, "{text:?}");
    assert!(text.contains("one") && text.contains("two") && text.contains("from a library"));
    assert!(!text.contains("too quiet"));
    assert!(!text.trim_end_matches('\n').replace('\n', "").contains(char::is_control), "{text:?}");
}

#[test]
fn fr_010_018_reading_settings_and_paths_creates_nothing() {
    let home = TempDir::new().unwrap();
    let paths = paths_in(home.path());
    let sources = Sources {
        default_file: Some(paths.config_file()),
        file: None,
        env: &|_| None,
        flags: Flags::default(),
    };
    Config::load(sources).unwrap();
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
