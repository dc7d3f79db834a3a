//! The house rules: specs, layout, scripts and the fixtures of the tests themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sqlx::{Connection, PgConnection};

use crate::support::postgres;
use crate::support::proxy::Proxy;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below `path` (or `path` itself), relative to the root; empty if there is none.
pub fn files(path: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![root().join(path)];
    while let Some(next) = waiting.pop() {
        if next.is_file() {
            found.push(next.strip_prefix(root()).unwrap().to_owned());
        } else if next.is_dir() {
            waiting.extend(fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}

pub fn rust_files(path: &str) -> Vec<PathBuf> {
    files(path).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

fn names_in(path: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The folders `specs/NNN-slug`, by name.
fn spec_folders() -> Vec<String> {
    let folders: Vec<String> = names_in("specs")
        .into_iter()
        .filter(|name| root().join("specs").join(name).is_dir())
        .collect();
    assert!(!folders.is_empty(), "there are no spec folders");
    folders
}

/// The ids that a spec defines: lines that start with `- **FR-001-002**`.
fn defined_ids(spec: &str) -> Vec<String> {
    spec.lines()
        .filter_map(|line| line.strip_prefix("- **FR-")?.split_once("**"))
        .map(|(number, _)| format!("FR-{number}"))
        .collect()
}

/// The ids that a test's name carries: `fr_001_002` anywhere in its path.
fn named_ids(test: &str) -> BTreeSet<String> {
    let digits = |part: &str| part.len() == 3 && part.chars().all(|c| c.is_ascii_digit());
    let parts: Vec<&str> = test.split(['_', ':']).collect();
    parts
        .windows(3)
        .filter(|window| window[0] == "fr" && digits(window[1]) && digits(window[2]))
        .map(|window| format!("FR-{}-{}", window[1], window[2]))
        .collect()
}

/// What is wrong between the specs (`folder -> text of spec.md`) and the runner's test names.
fn disagreements(specs: &BTreeMap<String, String>, tests: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut defined = BTreeSet::new();
    for (folder, spec) in specs {
        let number = folder.split('-').next().unwrap_or_default();
        let ids = defined_ids(spec);
        if ids.is_empty() {
            wrong.push(format!("{folder} defines no requirement"));
        }
        for id in ids {
            let shape: Vec<&str> = id.split('-').collect();
            let numeric = |part: &&str| part.len() == 3 && part.chars().all(|c| c.is_ascii_digit());
            if shape.len() != 3 || shape[1] != number || !shape[1..].iter().all(numeric) {
                wrong.push(format!("{id} in {folder} is not FR-{number}-nnn"));
            }
            if !defined.insert(id.clone()) {
                wrong.push(format!("{id} is defined twice"));
            }
        }
    }
    let named: BTreeSet<String> = tests.iter().flat_map(|test| named_ids(test)).collect();
    wrong.extend(defined.difference(&named).map(|id| format!("no test names {id}")));
    wrong.extend(named.difference(&defined).map(|id| format!("a test names {id}: no spec has it")));
    wrong
}

fn listed_tests() -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--list", "--format", "terse"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

#[test]
fn fr_001_001_the_readme_names_both_commands() {
    let readme = read("README.md");
    for command in ["cargo run --release -- demo", "tests/run"] {
        assert!(readme.lines().any(|line| line.trim() == command), "no line says: {command}");
    }
}

#[test]
fn fr_001_002_a_missing_postgresql_fails_and_says_what_to_run() {
    let panic = std::panic::catch_unwind(|| postgres::required(None)).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("run tests/run"), "{text}");
    assert!(postgres::postgres_url().starts_with("postgres://"));
}

#[test]
fn fr_001_003_the_scripts_are_executable_and_end_with_the_suite() {
    for script in ["tests/run", "tests/plain", ".ci/run"] {
        let mode = fs::metadata(root().join(script)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable");
        assert!(read(script).contains("set -euo pipefail"), "{script} goes on after a failure");
    }
    let last = |script: &str| read(script).lines().next_back().unwrap().to_owned();
    assert_eq!(last(".ci/run"), r#"exec tests/run "$@""#);
    assert_eq!(last("tests/run"), r#"cargo test --locked --test suite -- "$@""#);
    assert!(
        read("tests/run").contains("tests/plain \"${CARGO_TARGET_DIR:-target}/debug/tenantpilot\"")
    );
    let ci = read(".ci/run");
    let steps = ["cargo fmt --check", "-D warnings", "cargo doc", "migrations", "exec tests/run"];
    let places: Vec<_> = steps.iter().map(|step| ci.find(step).expect(step)).collect();
    assert!(places.is_sorted(), "the steps are out of order: {places:?}");
}

#[test]
fn fr_001_004_every_spec_folder_is_complete() {
    for folder in spec_folders() {
        let (number, slug) = folder.split_once('-').expect("NNN-slug");
        assert!(number.len() == 3 && number.parse::<u16>().is_ok() && !slug.is_empty(), "{folder}");
        for file in ["spec.md", "plan.md", "tasks.md", "checklists/requirements.md"] {
            let path = format!("specs/{folder}/{file}");
            assert!(!read(&path).trim().is_empty(), "{path} is empty");
        }
    }
}

#[test]
fn fr_001_005_every_requirement_is_named_by_a_test_and_no_test_names_another() {
    let specs = spec_folders()
        .into_iter()
        .map(|folder| (folder.clone(), read(format!("specs/{folder}/spec.md"))))
        .collect();
    assert_eq!(disagreements(&specs, &listed_tests()), Vec::<String>::new());
}

#[test]
fn fr_001_005_a_disagreement_between_specs_and_tests_is_found() {
    let specs = |text: &str| BTreeMap::from([("001-house".to_owned(), text.to_owned())]);
    let tests = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let good = specs("- **FR-001-001** It holds.");
    assert_eq!(disagreements(&good, &tests(&["house::fr_001_001_it_holds"])), tests(&[]));
    assert_eq!(disagreements(&good, &tests(&["house::it_holds"])).len(), 1);
    let unknown = tests(&["fr_001_001_it_holds", "fr_001_002_what"]);
    assert_eq!(disagreements(&good, &unknown).len(), 1);
    let twice = specs("- **FR-001-001** It holds.\n- **FR-001-001** Again.");
    assert_eq!(disagreements(&twice, &tests(&["fr_001_001_it_holds"])).len(), 1);
    let foreign = specs("- **FR-002-001** It holds.");
    assert_eq!(disagreements(&foreign, &tests(&["fr_002_001_it_holds"])).len(), 1);
    assert_eq!(disagreements(&specs("Nothing."), &tests(&[])).len(), 1);
}

#[test]
fn fr_001_006_the_top_level_holds_only_what_belongs_there() {
    let allowed = [
        ".ci",
        ".git",
        ".gitattributes",
        ".gitignore",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "benches",
        "build.rs",
        "clippy.toml",
        "deny.toml",
        "docs",
        "keymaps",
        "migrations",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "specs",
        "src",
        "target",
        "tests",
        "themes",
    ];
    let strange: Vec<_> =
        names_in("").into_iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(strange.is_empty(), "not in the list of top-level entries: {strange:?}");
}

#[test]
fn fr_001_007_the_migrations_of_both_engines_have_equal_names() {
    let names = names_in("migrations/postgres");
    assert!(!names.is_empty(), "there are no migrations");
    assert_eq!(names, names_in("migrations/sqlite"));
}

#[test]
fn fr_001_008_no_test_is_switched_off() {
    // In two parts, so that this file does not find itself.
    let attributes = [concat!("#[", "ignore"), concat!("#![", "cfg(any())")];
    for path in ["src", "tests"].into_iter().flat_map(rust_files) {
        let text = read(&path);
        for attribute in attributes {
            assert!(!text.contains(attribute), "{} has {attribute}", path.display());
        }
    }
}

#[test]
fn fr_001_009_files_stay_small_and_say_what_they_are_for() {
    for path in rust_files("src") {
        let text = read(&path);
        let lines = text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
        assert!(text.starts_with("//! "), "{} does not begin with its purpose", path.display());
    }
}

#[test]
fn fr_001_010_no_text_names_the_host_of_a_registry() {
    let hosts = [
        concat!("crates", ".io"),
        concat!("docs", ".rs/"),
        concat!("npmjs", ".org"),
        concat!("pypi", ".org"),
        concat!("ghcr", ".io"),
        concat!("docker", ".io"),
        concat!("proxy.golang", ".org"),
    ];
    let places = [
        ".ci",
        "CHANGELOG.md",
        "Cargo.toml",
        "README.md",
        "benches",
        "clippy.toml",
        "deny.toml",
        "docs",
        "keymaps",
        "migrations",
        "specs",
        "src",
        "tests",
        "themes",
    ];
    for path in places.into_iter().flat_map(files) {
        let bytes = fs::read(root().join(&path)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for host in hosts {
            assert!(!text.contains(host), "{} names {host}", path.display());
        }
    }
}

#[test]
fn fr_001_011_only_one_module_asks_the_system_for_directories() {
    for path in rust_files("src") {
        let uses = read(&path).contains("use directories::");
        assert_eq!(uses, path == Path::new("src/paths.rs"), "{}", path.display());
    }
}

/// Headings of columns that hold times.
const TIMES: [&str; 19] = [
    "BEAT",
    "BEGINS",
    "CHANGED",
    "CHECKED",
    "CREATED",
    "ENDED",
    "EXPIRES",
    "FIRST",
    "HEARTBEAT",
    "LAST",
    "NEXT",
    "OPENED",
    "QUEUED",
    "SEEN",
    "SENT",
    "SINCE",
    "STARTED",
    "UNTIL",
    "UPDATED",
];

/// The headings of columns of time in a source text that do not get their zone.
fn headings_without_zone(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let parts: Vec<&str> = code.split('"').collect();
    for pair in parts.windows(2) {
        let (before, literal) = (pair[0].trim_end(), pair[1]);
        let words = literal.split([' ', '\n']).filter(|word| !word.is_empty());
        let heads = words.clone().all(|word| !word.chars().any(char::is_lowercase));
        let names_time = words.clone().any(|word| TIMES.contains(&word));
        let helped = ["time_heading(", "value_name ="].iter().any(|call| before.ends_with(call));
        if heads && names_time && !helped {
            found.push(literal.to_owned());
        }
    }
    found
}

#[test]
fn fr_045_002_every_column_of_times_gets_its_zone_from_the_one_helper() {
    assert_eq!(headings_without_zone("[\"ID\", \"CREATED\"], time_heading(\"SENT\")"), ["CREATED"]);
    for path in [rust_files("src/cli"), rust_files("src/tui")].concat() {
        let text = read(&path);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let without = headings_without_zone(code);
        assert!(without.is_empty(), "{}: {without:?}", path.display());
        let table = code.contains("Table::new") && code.contains("short_time(");
        assert!(!table || code.contains("time_heading("), "{} has times", path.display());
    }
}

#[test]
fn fr_044_003_only_one_module_opens_files() {
    let calls = [
        "File::open(",
        "File::create(",
        "OpenOptions",
        "fs::read(",
        "fs::read_to_string(",
        "fs::write(",
    ];
    for path in rust_files("src") {
        let text = read(&path);
        // Tests of a module read what it wrote.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = code.replace("DailyFile::open(", "");
        let opens = calls.iter().any(|call| code.contains(call));
        let may = path == Path::new("src/files.rs") || path.ends_with("tests.rs");
        assert!(may || !opens, "{} opens a file", path.display());
    }
}

#[test]
fn fr_044_006_every_other_way_to_write_json_is_refused_by_lint() {
    let lints = read("clippy.toml");
    for call in [
        "to_string",
        "to_string_pretty",
        "to_vec",
        "to_vec_pretty",
        "to_writer",
        "to_writer_pretty",
    ] {
        assert!(lints.contains(&format!("\"serde_json::{call}\"")), "{call}");
    }
}

async fn count_databases(name: &str) -> i64 {
    let mut connection = PgConnection::connect(&postgres::postgres_url()).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn fr_001_012_each_test_gets_a_database_of_its_own_which_is_gone_afterwards() {
    let (url, guard) = postgres::fresh_postgres_database().await;
    let (other, _other_guard) = postgres::fresh_postgres_database().await;
    assert_ne!(url, other);
    let name = guard.name().to_owned();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let current: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(current, name);
    assert_eq!(count_databases(&name).await, 1);
    // The connection is still open: the drop has to win anyway.
    drop(guard);
    assert_eq!(count_databases(&name).await, 0);
}

#[tokio::test]
async fn fr_001_013_a_test_can_freeze_lose_and_regain_the_database() {
    let direct = postgres::postgres_url();
    let proxy = Proxy::start(&direct);
    let url = proxy.url(&direct);
    let ask = "SELECT 1";
    let mut connection = PgConnection::connect(&url).await.unwrap();
    assert_eq!(proxy.connections(), 1);

    proxy.pause();
    {
        let mut asked = Box::pin(sqlx::query(ask).execute(&mut connection));
        let early = tokio::time::timeout(Duration::from_millis(200), &mut asked).await;
        assert!(early.is_err(), "an answer came out of a frozen database");
        proxy.resume();
        tokio::time::timeout(Duration::from_secs(10), asked).await.expect("thawed").unwrap();
    }

    proxy.cut();
    assert_eq!(proxy.connections(), 0);
    assert!(sqlx::query(ask).execute(&mut connection).await.is_err(), "the connection survived");
    assert!(PgConnection::connect(&url).await.is_err(), "a new connection came through");

    proxy.restore();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query(ask).execute(&mut connection).await.unwrap();
}
