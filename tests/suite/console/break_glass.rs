//! Break-glass in the console: the line, the dialogs, and a run that was started under it.

use tenantpilot::domain::capability::Role;
use tenantpilot::ops::AnyOutput;
use tenantpilot::ops::Consent;
use tenantpilot::ops::break_glass::EndBreakGlass;
use tenantpilot::ops::break_glass::{CurrentBreakGlass, EnterBreakGlass};
use tenantpilot::ops::password;
use tenantpilot::term::ColorSupport;
use tenantpilot::tui::msg::{Answer, Effect, Msg};
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;
use tenantpilot::{Error, ErrorKind};

use super::captures::capture;
use super::run_control::{hides, service, shows};
use crate::break_glass::{probe, reason, take};
use crate::support::console::{Console, setup};
use crate::support::stores::{PASSWORD, Store, both_engines, noon};

/// The scene, two hours later: no time of the line is one of the list's.
async fn at_noon(store: Store) -> Store {
    let store = store.with_scene().await;
    store.clock.advance(noon() - store.clock.now());
    store
}

/// The password as keys.
fn typed() -> String {
    PASSWORD.replace(' ', "<space>")
}

both_engines! {
    async fn fr_021_014_fr_021_017_the_line_stands_on_every_tab(store) {
        let store = at_noon(store).await;
        let root = store.administrator().await;
        take(&store, &root, 45).await.unwrap();
        let mut console = Console::open(&store.ops, 80, 24).await;
        hides!(console, "BREAK-GLASS");
        console.log_in("administrator").await;
        for (key, name) in [("2", "list"), ("3", "run"), ("4", "telemetry"), ("7", "inbox"), ("8", "workers")] {
            console.keys(key).await;
            shows!(console, " ‼ BREAK-GLASS  INCIDENT  checkout is down  until 12:45 UTC (45 min)  B ends it\n");
            capture!(store, console, format!("80x24_break_glass_{name}"));
        }
        // Also under what lies over a tab, where the letter would be typed.
        console.keys("2:").await;
        shows!(console, "until 12:45 UTC (45 min)\n");
        console.keys("<esc>?").await;
        shows!(console, "BREAK-GLASS  INCIDENT");
        console.keys("<esc>/").await;
        shows!(console, "until 12:45 UTC (45 min)\n");
        // A long reason gives way to what matters more.
        store.ops.run(&root.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap();
        store.sql(&format!("insert into break_glass_grants (platform_user_id, reason_code, reason, granted_at, expires_at) \
            select id, 'DATA_REPAIR', '{}', '2026-11-20T12:00:00+00:00', '2026-11-20T12:30:30+00:00' from platform_users", "界".repeat(400))).await.unwrap();
        let ascii = Setup { ascii: true, colors: ColorSupport::None, ..setup(60, 15, &store.clock) };
        let mut console = Console::with(&store.ops, ascii).await;
        console.log_in("administrator").await;
        shows!(console, "!! BREAK-GLASS  DATA_REPAIR");
        shows!(console, "  until 12:30 UTC\n");
        capture!(store, console, "60x15_break_glass_ascii");
    }

    async fn fr_021_014_every_session_of_the_person_shows_it_until_it_is_over(store) {
        let store = at_noon(store).await;
        let root = store.administrator().await;
        store.user(&root, Role::OnCall).await;
        let mut here = Console::open(&store.ops, 80, 24).await;
        here.log_in("oncall").await;
        let mut there = Console::open(&store.ops, 80, 24).await;
        there.log_in("oncall").await;
        let mut other = Console::open(&store.ops, 80, 24).await;
        other.log_in("administrator").await;
        here.keys(&format!("B<right><right><enter>checkout<space>is<space>down<enter><enter>{}<enter>", typed())).await;
        shows!(here, "BREAK-GLASS  INCIDENT  checkout is down  until 13:00 UTC (60 min)");
        shows!(here, "break-glass is active until 13:00 UTC");
        for console in [&mut there, &mut other] {
            hides!(console, "BREAK-GLASS");
            console.poll().await;
        }
        shows!(there, "BREAK-GLASS  INCIDENT  checkout is down  until 13:00 UTC (60 min)");
        hides!(other, "BREAK-GLASS");
        // Ended there, it is over here.
        there.keys("By<enter>").await;
        shows!(there, "break-glass has ended");
        hides!(there, "BREAK-GLASS");
        shows!(here, "BREAK-GLASS");
        here.poll().await;
        hides!(here, "BREAK-GLASS");
        // Its time is over without anything being written.
        let session = store.login("oncall").await;
        take(&store, &session, 5).await.unwrap();
        here.poll().await;
        here.keys("8").await;
        shows!(here, "(5 min)");
        store.pass(241);
        here.poll().await;
        shows!(here, "(1 min)");
        store.pass(58);
        here.poll().await;
        shows!(here, "(1 min)");
        store.pass(1);
        here.poll().await;
        hides!(here, "BREAK-GLASS");
        // Nor does it come back, or show to whoever logs in next.
        here.keys("2").await;
        hides!(here, "BREAK-GLASS");
        take(&store, &session, 5).await.unwrap();
        here.poll().await;
        shows!(here, "BREAK-GLASS");
        here.keys(":app.logout<enter>").await;
        hides!(here, "BREAK-GLASS");
        here.log_in("administrator").await;
        hides!(here, "BREAK-GLASS");
    }

    async fn fr_021_014_neither_an_older_answer_nor_an_outage_takes_the_line_away(store) {
        let root = store.administrator().await;
        let glass = take(&store, &root, 45).await.unwrap();
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let done = |slot, answer| Msg::Done { slot, answer: Box::new(Answer::Op(answer)) };
        let found = |found| AnyOutput::CurrentBreakGlass(CurrentBreakGlass, found);
        let consent = Consent::yes;
        let ended = |done| AnyOutput::EndBreakGlass(EndBreakGlass { consent: consent() }, done);
        let enter = || EnterBreakGlass { consent: consent(), minutes: 45, password: password::secret(PASSWORD) };
        let entered = |done| AnyOutput::EnterBreakGlass(enter(), done);
        // A poll that was read before the change is answered after it: it is asked again.
        for (change, poll, shown) in [
            (ended(Ok(glass.clone())), Some(glass.clone()), false),
            (entered(Ok(glass.clone())), None, true),
        ] {
            console.app.update(done(Slot::BREAK_GLASS_CHANGE, change), store.clock.now());
            let effects = console.app.update(done(Slot::BREAK_GLASS, found(Ok(poll))), store.clock.now());
            assert_eq!(effects, [Effect::ask(Slot::BREAK_GLASS, CurrentBreakGlass)]);
            assert_eq!(console.screen().contains("BREAK-GLASS"), shown);
        }
        let lost = || Error::new(ErrorKind::Unreachable, "it is gone");
        console.send(done(Slot::BREAK_GLASS, found(Err(lost())))).await;
        shows!(console, "BREAK-GLASS");
        shows!(console, "disconnected");
    }

    async fn fr_021_014_the_selected_row_stays_on_the_screen_when_the_line_comes(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        for _ in 0..30 {
            store.pass(1);
            store.ended("inventory.sync", 1, 1, 0, 1).await;
        }
        store.sql("insert into notifications (platform_user_id, kind, run_id, title, created_at) \
                   select 1, 'run.ended', id, 'ended', created_at from operation_runs").await.unwrap();
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        // To the last row that the screen shows, on each tab.
        let mut last = Vec::new();
        for key in ["2", "7"] {
            console.keys(key).await;
            let rows = console.screen().lines().count() - 6;
            console.keys(&"j".repeat(rows)).await;
            let screen = console.screen();
            last.push(screen.lines().find(|line| line.starts_with('▸')).expect("a marker").trim_end().to_owned());
        }
        console.send(Msg::Resize(80, 15)).await;
        console.keys("2<enter>z").await;
        let rows = console.screen().lines().count() - 4;
        console.keys(&"<down>".repeat(rows)).await;
        let words = |line: &str| line.split('↓').next().map(|line| line.trim_end().to_owned());
        let line = |screen: &str| screen.lines().find(|line| line.starts_with("▸ ")).and_then(words);
        let before = line(&console.screen()).expect("a marker");
        take(&store, &root, 45).await.unwrap();
        console.poll().await;
        shows!(console, "BREAK-GLASS");
        assert_eq!(line(&console.screen()).as_deref(), Some(before.as_str()));
        console.send(Msg::Resize(80, 24)).await;
        for (key, row) in ["2", "7"].iter().zip(last) {
            console.keys(key).await;
            shows!(console, row.as_str());
        }
    }

    async fn fr_021_015_fr_021_017_the_form_keeps_what_was_typed_and_says_what_is_wrong(store) {
        let store = at_noon(store).await;
        store.administrator().await;
        for (width, height) in [(80, 24), (120, 40)] {
            let mut console = Console::open(&store.ops, width, height).await;
            console.log_in("administrator").await;
            console.keys("B").await;
            capture!(store, console, format!("{width}x{height}_break_glass_form"));
            // Enter goes on; only on the last field it sends, and then says what is missing.
            console.keys("<enter><space><enter><ctrl-u>4<enter><enter>").await;
            for text in ["choose the kind of reason", "the reason is empty", "break-glass lasts 5 to 240 minutes", "type your password"] {
                shows!(console, text);
            }
            capture!(store, console, format!("{width}x{height}_break_glass_wrong"));
        }
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("Bs").await;
        shows!(console, "[SUPPORT]");
        console.keys("s").await;
        shows!(console, "[SECURITY]");
        console.send(Msg::Paste("INCIDENT".to_owned())).await;
        shows!(console, "this field takes no pasted text");
        console.keys("<tab>").await;
        console.send(Msg::Paste("a key\nhas leaked\n".to_owned())).await;
        shows!(console, "a key has leaked");
        console.keys("<down>").await;
        console.send(Msg::Paste("12345".to_owned())).await;
        shows!(console, "was cut off");
        console.keys("<ctrl-u>30<tab>").await;
        console.send(Msg::Paste("wrong password\n".to_owned())).await;
        assert_eq!(store.number("select count(*) from login_attempts").await, 0, "a paste never sends");
        console.keys("<enter>").await;
        shows!(console, "the password is not right");
        for text in ["[SECURITY]", "a key has leaked", "30"] {
            shows!(console, text);
        }
        hides!(console, "****");
        capture!(store, console, "80x24_break_glass_refused");
        // The session lives on, and the right password is enough.
        console.keys_at_once(&format!("{}<enter>", typed()));
        shows!(console, "sending ...");
        console.keys_at_once("<enter>x");
        console.settle().await;
        shows!(console, "BREAK-GLASS  SECURITY  a key has leaked  until 12:30 UTC (30 min)");
        hides!(console, "Take break-glass?");
        assert_eq!(store.number("select count(*) from break_glass_grants").await, 1);
    }

    async fn fr_021_015_without_the_capability_or_the_database_nothing_opens(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        store.user(&root, Role::Viewer).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("viewer").await;
        for keys in ["B", ":break_glass<enter>"] {
            console.keys(keys).await;
            shows!(console, "this needs the capability platform.break_glass.use");
            hides!(console, "Take break-glass?");
        }
        store.user(&root, Role::OnCall).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("oncall").await;
        let lost = || Msg::Done {
            slot: Slot::LIST,
            answer: Box::new(Answer::Unknown(Error::new(ErrorKind::Unreachable, "it is gone"))),
        };
        console.send(lost()).await;
        console.keys("B").await;
        shows!(console, "changes are disabled: the database does not answer");
        hides!(console, "Take break-glass?");
        console.poll().await;
        let fill = format!("Bi<tab>checkout is down<tab><tab>{}", typed());
        console.keys(&fill).await;
        console.send(lost()).await;
        console.keys("<enter>").await;
        shows!(console, "changes are disabled: the database does not answer");
        shows!(console, "[INCIDENT]");
        console.poll().await;
        // Its capability is taken past the program while the dialog is open.
        let names = Role::Viewer.capabilities().names().iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
        store.sql(&format!("update platform_users set capabilities = '[{names}]' where username = 'oncall'")).await.unwrap();
        console.keys(&format!("{}<enter>", typed())).await;
        shows!(console, "Take break-glass?");
        shows!(console, "this needs the capability");
        assert_eq!(store.number("select count(*) from audit_logs where action = 'break_glass.enter' and status = 'denied'").await, 1);
        // Taken by somebody, it ends the session, and the dialog with it.
        let taken = crate::support::starts::capabilities("oncall", Role::Viewer.capabilities());
        store.sql("update platform_users set capabilities = '[]' where username = 'oncall'").await.unwrap();
        store.ops.run(&root.actor, taken).await.unwrap();
        console.keys(&format!("{}<enter>", typed())).await;
        shows!(console, "your session has ended");
        hides!(console, "Take break-glass?");
        assert_eq!(store.number("select count(*) from break_glass_grants").await, 0);
    }

    async fn fr_021_015_a_closed_dialog_still_tells_what_came_of_it(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("Bi<tab>checkout is down<tab><tab>wrong").await;
        console.keys_at_once("<enter><esc>B");
        shows!(console, "the last request is still being sent");
        console.settle().await;
        shows!(console, "break-glass: the password is not right");
        console.keys(&format!("Bi<tab>checkout is down<tab><tab>{}", typed())).await;
        console.keys_at_once("<enter><esc>");
        console.settle().await;
        shows!(console, "BREAK-GLASS  INCIDENT  checkout is down");
        // Nothing but the dialog's own keys reach the tab below it.
        console.keys("B1q?<esc>").await;
        shows!(console, "BREAK-GLASS");
    }

    async fn fr_021_016_fr_021_017_ending_it_takes_a_typed_confirmation(store) {
        let store = at_noon(store).await;
        let root = store.administrator().await;
        take(&store, &root, 45).await.unwrap();
        for (width, height) in [(80, 24), (120, 40)] {
            let mut console = Console::open(&store.ops, width, height).await;
            console.log_in("administrator").await;
            console.keys("B").await;
            capture!(store, console, format!("{width}x{height}_break_glass_end"));
        }
        let ascii = Setup { ascii: true, colors: ColorSupport::None, ..setup(60, 15, &store.clock) };
        let mut console = Console::with(&store.ops, ascii).await;
        console.log_in("administrator").await;
        console.keys("B").await;
        console.send(Msg::Paste("y\n".to_owned())).await;
        shows!(console, "a confirmation has to be typed");
        for typed in ["<enter>", "n<enter>", "<ctrl-u>Y<enter>", "<ctrl-u>yes<enter>"] {
            console.keys(typed).await;
            shows!(console, "End break-glass?");
        }
        shows!(console, "that is not y; nothing was changed");
        console.keys("<esc>").await;
        shows!(console, "BREAK-GLASS");
        // Ended elsewhere meanwhile: the refusal stands in the dialog.
        console.keys("B").await;
        store.ops.run(&root.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap();
        console.keys("y<enter>").await;
        shows!(console, "break-glass is not active");
        shows!(console, "End break-glass?");
        console.keys("<esc>").await;
        console.poll().await;
        hides!(console, "BREAK-GLASS");
        console.keys("B").await;
        shows!(console, "Take break-glass?");
        capture!(store, console, "60x15_break_glass_form_ascii");
    }

    async fn fr_021_012_the_screen_of_a_run_says_why(store) {
        let store = store.with_platform().await;
        let root = store.administrator().await;
        let ops = service(&store);
        take(&store, &root, 45).await.unwrap();
        probe(&ops, &root.actor, 2, Some(reason("the import hangs"))).await.unwrap();
        store.ops.run(&root.actor, EndBreakGlass { consent: Consent::yes() }).await.unwrap();
        let mut console = Console::open(&ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("<enter>z").await;
        hides!(console, "BREAK-GLASS");
        shows!(console, "‼ started under break-glass: INCIDENT, checkout is down");
        shows!(console, "break_glass.reason");
        capture!(store, console, "80x24_break_glass_detail");
        console.keys("G").await;
        let screen = console.screen();
        let row = screen.lines().find(|line| line.contains("runbooks.start")).expect("an audit row").to_owned();
        assert!(row.ends_with("administrator  break-glass"), "{row}");
    }
}
