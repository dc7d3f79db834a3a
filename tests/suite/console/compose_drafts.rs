//! What was typed for a support request survives: a lost database, a lost answer, the end of the
//! session, of the console and of the terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;
use tempfile::TempDir;
use tenantpilot::domain::capability::{Capability, Role};
use tenantpilot::files as private_files;
use tenantpilot::ops::Engine;
use tenantpilot::tui::msg::Msg;
use tenantpilot::tui::screens::support::compose::Step;
use tenantpilot::tui::slot::Slot;

use super::compose::{TO_THE_FORM, keeping, prepared, reference_of, requests, with_drafts};
use super::lost::behind_a_proxy;
use super::program::Program;
use super::run_control::{hides, shows};
use crate::support::console::Console;
use crate::support::stores::{PASSWORD, Store, block_on, both_engines};

/// The files of drafts.
fn files(folder: &TempDir) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder.path().join("drafts")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn text_of(folder: &TempDir) -> String {
    files(folder).iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect()
}

fn draft(console: &Console) -> tenantpilot::domain::support::Draft {
    console.app.tabs.support.composition().expect("a request is being written").form.draft()
}

/// A console one key before the request is sent.
async fn at_the_preview(store: &Store, folder: &TempDir) -> Console {
    let mut console = with_drafts(store, folder, 80, 24).await;
    console.log_in("administrator").await;
    console.keys(TO_THE_FORM).await;
    console.keys("<tab>again<space>and<space>again<ctrl-p>").await;
    console
}

both_engines! {
    async fn fr_031_011_a_lost_answer_and_a_retry_make_one_request_also_from_another_console(store) {
        let store = prepared(store).await;
        let folder = TempDir::new().unwrap();
        let mut console = at_the_preview(&store, &folder).await;
        console.loses = Some(Slot::SEND_REQUEST);
        console.keys("S").await;
        shows!(console, "there will be one");
        shows!(console, "draft kept in ~/drafts");
        assert_eq!(requests(&store).await, 1, "it was stored, and nobody was told");
        assert_eq!(console.app.tabs.support.composition().unwrap().step, Step::Preview);
        // This console ends; the next one goes on with what its file says.
        drop(console);
        let mut console = with_drafts(&store, &folder, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        shows!(console, "restored");
        assert_eq!(draft(&console).notes, "again and again");
        console.keys("<ctrl-p>S").await;
        let reference = reference_of(&console).to_string();
        shows!(console, "no second one was made");
        assert_eq!(requests(&store).await, 1);
        assert_eq!(store.text("select reference from support_requests").await, reference);
        assert_eq!(files(&folder), Vec::<PathBuf>::new(), "what was sent is kept no longer");
    }

    async fn fr_031_012_what_was_changed_after_a_lost_answer_is_a_new_request_and_says_so(store) {
        let store = prepared(store).await;
        let folder = TempDir::new().unwrap();
        let mut console = at_the_preview(&store, &folder).await;
        console.loses = Some(Slot::SEND_REQUEST);
        console.keys("S").await;
        console.keys("<esc><tab><tab><tab><tab><tab>Worse:<space><ctrl-p>S").await;
        shows!(console, "had been stored before your last changes");
        assert_eq!(requests(&store).await, 1);
        assert_eq!(console.app.tabs.support.composition().unwrap().step, Step::Preview);
        let changed = draft(&console);
        assert!(text_of(&folder).contains("\"reference\": null"), "{}", text_of(&folder));
        console.keys("S").await;
        reference_of(&console);
        assert_eq!(requests(&store).await, 2);
        let newest = store.text("select summary from support_requests order by id desc").await;
        assert_eq!(newest, changed.summary.trim_end());
    }

    async fn fr_031_013_a_draft_has_a_private_file_for_each_person_and_subject_without_secrets(store) {
        let store = prepared(store).await;
        let folder = TempDir::new().unwrap();
        let mut console = with_drafts(&store, &folder, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        assert_eq!(files(&folder), Vec::<PathBuf>::new(), "nothing was typed");
        console.keys("<tab>password=hunter2hunter2<space>Xk9Qz2Lm4Rt7").await;
        console.keys("<space>Fabrikam<space>internal<ctrl-p>mmFabrikam<enter>").await;
        let text = text_of(&folder);
        assert!(text.contains("[redacted:password]") && text.contains("internal"), "{text}");
        for secret in ["hunter2", "Xk9Qz2Lm4Rt7", "Fabrikam"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let [file] = files(&folder).try_into().unwrap();
        let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&folder.path().join("drafts"))), (0o600, 0o700));
        // This console still holds what was masked by hand; another one says that it is gone.
        console.keys("<esc><esc>S<ctrl-p>").await;
        assert_eq!(draft(&console).mask, ["Xk9Qz2Lm4Rt7", "Fabrikam"]);
        let mut other = with_drafts(&store, &folder, 80, 24).await;
        other.log_in("administrator").await;
        other.keys(TO_THE_FORM).await;
        shows!(other, "draft of 10:17:30 restored; what was masked by hand has to be masked again");
        assert!(draft(&other).notes.ends_with("[redacted:operator] internal"), "{:?}", draft(&other));
        // Another subject, another person, another platform.
        other.keys("<esc><esc>/<ctrl-u>id:4<enter><enter>S").await;
        assert_eq!(draft(&other).notes, "");
        let administrator = store.login("administrator").await;
        store.user_with(&administrator, "eva", Role::Administrator.capabilities(), &[]).await;
        let mut other = with_drafts(&store, &folder, 80, 24).await;
        other.log_in("eva").await;
        other.keys(TO_THE_FORM).await;
        assert_eq!(draft(&other).notes, "");
        let elsewhere = tenantpilot::drafts::Drafts::new(folder.path().join("drafts"), "another".to_owned());
        let setup = tenantpilot::tui::setup::Setup { drafts: Some(elsewhere), ..keeping(&store, &folder, 80, 24) };
        let mut other = Console::with(&store.ops, setup).await;
        other.log_in("administrator").await;
        other.keys(TO_THE_FORM).await;
        assert_eq!(draft(&other).notes, "");
    }

    async fn fr_031_014_a_bad_file_is_set_aside_an_old_one_removed_and_a_full_disk_told(store) {
        let store = prepared(store).await;
        let folder = TempDir::new().unwrap();
        let mut console = at_the_preview(&store, &folder).await;
        console.keys("<esc><esc>").await;
        let [file] = files(&folder).try_into().unwrap();
        let good = fs::read_to_string(&file).unwrap();
        let foreign = good.replace("\"administrator\"", "\"eva\"");
        let newer = good.replace("\"schema_version\": 1", "\"schema_version\": 2");
        let damaged = good[..good.len() / 2].to_owned();
        for (text, told) in [
            (damaged.as_str(), "is damaged"),
            (foreign.as_str(), "belongs to another person"),
            (newer.as_str(), "was written by"),
        ] {
            store.pass(1);
            private_files::write_private(&file, text.as_bytes()).unwrap();
            let mut console = with_drafts(&store, &folder, 80, 24).await;
            console.log_in("administrator").await;
            console.keys(TO_THE_FORM).await;
            shows!(console, told);
            shows!(console, "it is kept as");
            assert_eq!(draft(&console).notes, "");
            assert!(!file.exists());
        }
        assert_eq!(files(&folder).len(), 3, "nothing was thrown away");
        assert!(text_of(&folder).contains(&damaged));
        // After 30 days it is.
        let now: SystemTime = store.clock.now().into();
        for (file, days) in files(&folder).iter().zip([29, 31, 31]) {
            let at = now - Duration::from_secs(days * 86_400);
            fs::File::options().write(true).open(file).unwrap().set_modified(at).unwrap();
        }
        let mut console = with_drafts(&store, &folder, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        assert_eq!(files(&folder).len(), 1);
        // Where no file can be written, that is said and nothing else is hindered.
        fs::remove_dir_all(folder.path().join("drafts")).unwrap();
        fs::write(folder.path().join("drafts"), "").unwrap();
        console.keys("x").await;
        shows!(console, "the draft is in no file");
        console.keys("<ctrl-p>S").await;
        reference_of(&console);
    }

    async fn fr_031_018_esc_loses_nothing_and_a_draft_is_thrown_away_only_after_a_question(store) {
        let store = prepared(store).await;
        let folder = TempDir::new().unwrap();
        let mut console = at_the_preview(&store, &folder).await;
        console.keys("<esc><esc>").await;
        shows!(console, "draft kept in ~/drafts");
        assert_eq!(console.app.tabs.run.id(), Some(3));
        console.keys("S").await;
        shows!(console, "restored");
        assert_eq!(draft(&console).notes, "again and again");
        for answer in ["n", "<esc>", "<enter>", "<space>"] {
            console.keys("<ctrl-x>").await;
            shows!(console, "would be lost");
            console.keys(answer).await;
            assert_eq!(draft(&console).notes, "again and again", "{answer}");
        }
        console.keys("<ctrl-x>y").await;
        shows!(console, "the draft was discarded");
        assert!(console.app.tabs.support.composition().is_none());
        assert_eq!(files(&folder), Vec::<PathBuf>::new());
        console.keys("S").await;
        assert_eq!(draft(&console).notes, "");
        // Without a place for drafts the console itself holds them.
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        console.keys("<tab>held<esc>").await;
        shows!(console, "kept as long as this console runs");
        console.keys("S").await;
        assert_eq!(draft(&console).notes, "held");
    }

    async fn fr_031_019_rights_that_are_lost_before_the_sending_are_named_and_the_draft_stays(store) {
        let store = prepared(store).await;
        let folder = TempDir::new().unwrap();
        let administrator = store.login("administrator").await;
        let all = Role::Administrator.capabilities();
        store.user_with(&administrator, "eva", all.clone(), &[]).await;
        let mut console = with_drafts(&store, &folder, 80, 24).await;
        console.log_in("eva").await;
        console.keys(TO_THE_FORM).await;
        console.keys("<tab>by<space>eva<ctrl-p>").await;
        // Under the hood, without the end of the session that every proper change brings.
        let without = |capability: Capability| {
            let kept: Vec<String> = all.iter().filter(|it| *it != capability).map(|it| format!("\"{it}\"")).collect();
            format!("update platform_users set capabilities = '[{}]' where username = 'eva'", kept.join(","))
        };
        for capability in [Capability::SupportDiagnosticsView, Capability::SupportRequestsCreate] {
            store.sql(&without(capability)).await.unwrap();
            console.keys("S").await;
            let name = format!("capability {capability}");
            let screen: Vec<String> = console.screen().split_whitespace().map(str::to_owned).collect();
            assert!(screen.join(" ").contains(&name), "{}", console.screen());
            assert!(screen.join(" ").contains("draft kept in ~/drafts"), "{}", console.screen());
            assert_eq!((requests(&store).await, draft(&console).notes.as_str()), (0, "by eva"));
        }
        // Properly: the session ends, and after the login the draft is offered.
        let fewer = all.iter().filter(|it| *it != Capability::SupportDiagnosticsView).collect();
        let change = crate::support::starts::capabilities("eva", fewer);
        store.ops.run(&administrator.actor, change).await.unwrap();
        console.keys("S").await;
        shows!(console, "Log in");
        assert!(text_of(&folder).contains("by eva"));
        console.log_in("eva").await;
        shows!(console, "its draft is kept");
        let openings = "select count(*) from audit_logs where action = 'support.open_diagnostics'";
        assert_eq!(store.number(openings).await, 1);
        console.keys("y").await;
        assert_eq!(draft(&console).notes, "by eva");
        console.keys("<ctrl-p>S").await;
        reference_of(&console);
        assert_eq!(store.text("select attachment_mode from support_requests").await, "canonical_context_only");
        // Whoever else logs in is offered nothing.
        console.keys("<esc>S<tab>more").await;
        store.sql("update platform_sessions set ended_at = created_at, end_reason = 'test'").await.unwrap();
        console.poll().await;
        shows!(console, "Log in");
        console.log_in("administrator").await;
        hides!(console, "its draft is kept");
    }
}

#[test]
fn fr_031_020_a_lost_database_keeps_the_draft_and_says_where_and_the_retry_makes_one_request() {
    block_on(async {
        let (store, proxy, ops) = behind_a_proxy().await;
        let folder = TempDir::new().unwrap();
        let mut console = Console::with(&ops, keeping(&store, &folder, 80, 24)).await;
        console.log_in("administrator").await;
        console.keys("/id:3<enter><enter>").await;
        let said = |console: &mut Console, text: &str| {
            let screen: Vec<String> =
                console.screen().split_whitespace().map(str::to_owned).collect();
            assert!(screen.join(" ").contains(text), "{text}:\n{}", console.screen());
        };
        // At the opening.
        proxy.cut();
        console.keys("S").await;
        said(&mut console, "could not be opened");
        console.keys("<tab>first<ctrl-p>S").await;
        said(&mut console, "nothing was sent");
        said(&mut console, "draft kept in ~/drafts");
        assert!(text_of(&folder).contains("first"));
        proxy.restore();
        console.keys("r").await;
        said(&mut console, "sends exactly this");
        // While it is written.
        console.keys("<esc>").await;
        proxy.cut();
        console.poll().await;
        console.keys("<space>second").await;
        said(&mut console, "the database does not answer; draft kept in ~/drafts");
        assert!(text_of(&folder).contains("first second"));
        // At the sending, before anything reached the database.
        console.keys("<ctrl-p>S").await;
        said(&mut console, "there will be one; draft kept in ~/drafts");
        assert_eq!(requests(&store).await, 0);
        proxy.restore();
        // And after the database has stored it, but before anybody was told.
        proxy.lose_answer_to("insert into support_requests");
        console.keys("S").await;
        said(&mut console, "there will be one; draft kept in ~/drafts");
        let until = Instant::now() + Duration::from_secs(30);
        while requests(&store).await == 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(requests(&store).await, 1, "it was stored");
        proxy.restore();
        console.keys("S").await;
        let reference = reference_of(&console).to_string();
        said(&mut console, "no second one was made");
        assert_eq!(requests(&store).await, 1);
        assert_eq!(store.text("select reference from support_requests").await, reference);
        assert_eq!(files(&folder), Vec::<PathBuf>::new());
        console.send(Msg::Tick).await;
        assert_eq!(files(&folder), Vec::<PathBuf>::new());
    });
}

#[test]
fn fr_031_021_a_draft_survives_a_closed_terminal_a_signal_a_kill_and_the_end_of_the_program() {
    let store = block_on(async { prepared(Store::new(Engine::Sqlite).await).await });
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("STATE");
    let login = format!("administrator\t{PASSWORD}\r");
    let written = |text: &str| {
        let Ok(entries) = fs::read_dir(state.join("drafts")) else { return false };
        // What is still being written has another name.
        let files = entries.map(|entry| entry.unwrap().path());
        let mut files = files.filter(|file| file.extension().is_some_and(|it| it == "json"));
        files.any(|file| fs::read_to_string(file).is_ok_and(|file| file.contains(text)))
    };
    let open = || {
        let mut program = Program::within(folder.path(), &store.url, &[]);
        program.wait_for("Log in");
        program.type_in(&login);
        program.wait_for("inventory.sync");
        program.type_in("/id:3\r");
        program.wait_for("1 found");
        program.type_in("\r");
        program.wait_for("for one reason");
        program.type_in("S");
        program.wait_for("of diagnostics, redacted");
        program
    };
    let mut program = open();
    program.type_in("\tzebra ");
    program.wait_for("zebra");
    program.signal(Signal::HUP);
    assert_eq!(program.ends_within(Duration::from_secs(10)), 129);
    assert!(written("zebra "), "a terminal that closes");
    let mut program = open();
    program.wait_for("restored");
    program.type_in("\ttwo ");
    program.wait_for("zebra two");
    program.signal(Signal::TERM);
    assert_eq!(program.ends_within(Duration::from_secs(10)), 143);
    assert!(written("zebra two "), "a signal");
    let mut program = open();
    program.type_in("\tthree ");
    program.wait_for("two three");
    program.type_in("\u{3}");
    assert_eq!(program.ends_within(Duration::from_secs(10)), 0);
    assert!(written("zebra two three "), "the person leaves");
    let mut program = open();
    program.type_in("\tfour");
    program.wait_for("three four");
    let until = Instant::now() + Duration::from_secs(30);
    while !written("zebra two three four") {
        assert!(Instant::now() < until, "it is written a moment after the last key");
        std::thread::sleep(Duration::from_millis(20));
    }
    program.signal(Signal::KILL);
    program.ends_within(Duration::from_secs(10));
    let mut program = open();
    program.wait_for("zebra two three four");
    program.type_in("\u{10}");
    program.wait_for("sends exactly this");
    // What the program takes for a flood of keys sends nothing.
    std::thread::sleep(Duration::from_millis(500));
    program.type_in("S");
    program.wait_for("copied (sent to terminal)");
    let until = Instant::now() + Duration::from_secs(30);
    while written("zebra") {
        assert!(Instant::now() < until, "what was sent is kept no longer");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(block_on(requests(&store)), 1);
}
