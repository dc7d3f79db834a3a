//! The support tab by its keys: requests, tenants, and diagnostics that are opened once.

use std::os::unix::fs::PermissionsExt as _;

use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::safe_text::is_unseen;
use tenantpilot::domain::support::{Draft, SectionKey};
use tenantpilot::ops::Consent;
use tenantpilot::ops::runs::RunScope;
use tenantpilot::ops::support::DiagnosticsSubject;
use tenantpilot::ops::users::SetActive;
use tenantpilot::tui::command::Context;
use tenantpilot::tui::keymap::Keymap;
use tenantpilot::tui::msg::{Effect, Msg};
use tenantpilot::tui::screen::Screen;
use tenantpilot::tui::setup::Setup;

use super::lost::behind_a_proxy;
use crate::support::console::{Console, setup};
use crate::support::desk::reference;
use crate::support::starts::Wish;
use crate::support::stores::{block_on, both_engines};

macro_rules! shows {
    ($console:expr, $text:expr) => {{
        let screen = $console.screen();
        assert!(screen.contains($text), "{:?} in {screen}", $text);
    }};
}

macro_rules! hides {
    ($console:expr, $text:expr) => {{
        let screen = $console.screen();
        assert!(!screen.contains($text), "{:?} not in {screen}", $text);
    }};
}

/// The line with the cursor.
fn line(console: &mut Console) -> String {
    let screen = console.screen();
    screen.lines().find(|line| line.starts_with('▸')).expect(&screen).to_owned()
}

both_engines! {
    async fn fr_030_001_it_is_the_fifth_tab_and_its_keys_are_told(store) {
        let (store, administrator) = store.with_desk().await;
        store.with_requests(&administrator).await;
        for keymap in ["default", "vim"] {
            for (width, height) in [(60, 15), (80, 24)] {
                let setup = Setup { keymap: Keymap::embedded(keymap).unwrap(), ..setup(width, height, &store.clock) };
                let mut console = Console::with(&store.ops, setup).await;
                console.log_in("administrator").await;
                shows!(console, "5 Supp");
                console.keys("5").await;
                shows!(console, "Support requests");
                for text in ["enter open", "/ search", "t tenants", "? help"] {
                    shows!(console, text);
                }
                console.keys("?").await;
                shows!(console, "In the list of support requests");
                console.keys("<esc>:support.tenants<enter>").await;
                shows!(console, "Contoso FR");
                console.keys("<esc><esc>").await;
                shows!(console, "Support requests");
                console.keys("<esc>").await;
                shows!(console, "active");
            }
        }
    }

    async fn fr_049_010_the_page_of_a_tenant_says_what_is_not_kept(store) {
        let (store, _) = store.with_desk().await;
        let at = store.clock.now() - chrono::TimeDelta::days(3);
        let mut console = Console::open(&store.ops, 120, 40).await;
        console.log_in("administrator").await;
        console.keys("5tContoso<space>DE<enter><enter>").await;
        shows!(console, "last 7 days");
        hides!(console, "not kept");
        store.sql(&format!("insert into data_kept (data, kept_from, newest_id) values ('runs', '{}', 0)", at.to_rfc3339())).await.unwrap();
        console.poll().await;
        shows!(console, &format!("; ended runs not kept before {}", at.format("%m-%d")));
        // So do its newest runs, which are all that there are.
        shows!(console, &format!(", not kept before {}", at.format("%m-%d")));
    }

    async fn fr_030_002_requests_are_listed_newest_first_and_live(store) {
        let (store, administrator) = store.with_desk().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("5").await;
        shows!(console, "No request for support was sent yet");
        store.with_requests(&administrator).await;
        console.poll().await;
        let screen = console.screen();
        let at = |n: u8| screen.lines().position(|line| line.contains(&reference(n).to_string())).expect(&screen);
        assert!(at(3) < at(2) && at(2) < at(1), "{screen}");
        for text in ["‼ blocking", "▲ high", "· low", "run 3", "Contoso DE"] {
            shows!(console, text);
        }
        // The cursor stays on its request while newer ones come.
        console.keys("j").await;
        assert!(line(&mut console).contains(&reference(2).to_string()));
        let draft = Draft { summary: "One more".to_owned(), ..Draft::default() };
        store.request(&administrator, 4, DiagnosticsSubject::Tenant(2), draft).await;
        console.poll().await;
        shows!(console, "One more");
        assert!(line(&mut console).contains(&reference(2).to_string()));
        // Wide, the selected one is told beside the list.
        console.send(Msg::Resize(120, 40)).await;
        shows!(console, "One tenant of the backfill");
        shows!(console, "Fabrikam Labs (4)");
    }

    async fn fr_030_003_requests_are_searched_copied_and_opened(store) {
        let (store, administrator) = store.with_desk().await;
        store.with_requests(&administrator).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("5/reports").await;
        shows!(console, "1 request");
        hides!(console, reference(3).to_string().as_str());
        console.keys("<enter>y").await;
        assert_eq!(console.outside, [Effect::Copy(reference(1).to_string())]);
        console.keys("/<ctrl-u>nothing<space>of<space>it<enter>").await;
        shows!(console, "Nothing matches the search. c clears it.");
        console.keys("c").await;
        shows!(console, "3 requests");
        // Esc in the field goes back to what was searched before.
        console.keys("/zzz<esc>").await;
        shows!(console, "3 requests");
        console.keys("g<enter>").await;
        shows!(console, "Policies of Fabrikam are not synced");
        console.keys("<esc>").await;
        shows!(console, "3 requests");
        console.send(Msg::Paste("not here".to_owned())).await;
        shows!(console, "pasted text is taken only in a text field");
        console.keys("/").await;
        console.send(Msg::Paste("Contoso DE\n".to_owned())).await;
        shows!(console, "1 request");
    }

    async fn fr_030_004_a_request_tells_what_it_holds_and_what_is_hidden(store) {
        let (store, administrator) = store.with_desk().await;
        store.with_requests(&administrator).await;
        let mut console = Console::open(&store.ops, 80, 50).await;
        console.log_in("administrator").await;
        console.keys("5<enter>").await;
        for text in ["‼ blocking", "sent      2026-11-20 10:19:30 UTC by administrator", "Ana Lindqvist, ana@contoso.example",
                     "2. sync its policies", "api_key=[redacted:token]", "diagnostics attached", "Diagnostics that went with it, of",
                     "values withheld", "Review packs", "empty: no review pack of this tenant is kept"] {
            shows!(console, text);
        }
        console.keys("y").await;
        assert_eq!(console.outside, [Effect::Copy(reference(3).to_string())]);
        console.keys("z").await;
        shows!(console, "identity hash");
        console.keys("gnn<enter>").await;
        assert_eq!(console.app.tabs.run.id(), None, "the second line that leads somewhere is the tenant");
        shows!(console, "(tenant 3)");
        console.keys("<esc>gn<enter>").await;
        assert_eq!(console.app.tabs.run.id(), Some(3));
        console.keys("<esc>").await;
        shows!(console, "Policies of Fabrikam are not synced");
        // Without diagnostics.
        console.keys("<esc>j<enter>").await;
        shows!(console, "No diagnostics went with it: ids, codes and times only.");
        // Whoever may not open diagnostics does not read them here either.
        let few: CapabilitySet =
            [Capability::AccessSystemPanel, Capability::SupportRequestsCreate].into_iter().collect();
        store.user_with(&administrator, "sender", few, &[]).await;
        let mut console = Console::open(&store.ops, 100, 50).await;
        console.log_in("sender").await;
        console.keys("5<enter>z").await;
        shows!(console, "they are hidden: seeing them needs the capability");
        shows!(console, "platform.support_diagnostics.view");
        hides!(console, "Review packs");
    }

    async fn fr_030_005_a_tenant_is_found_as_its_name_is_typed_and_told_at_a_glance(store) {
        let (store, administrator) = store.with_desk().await;
        store.with_requests(&administrator).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("5tLabs").await;
        shows!(console, "1 tenant");
        hides!(console, "Contoso FR");
        console.keys("<ctrl-u>3<enter><enter>").await;
        for text in ["Fabrikam (tenant 3)", "workspace      Fabrikam (2)", "✗ entra consent expired", "provider_auth_expired",
                     "2 runs of its own, 2 failed", "2 open, 1 overdue", "critical", "policy.sync", "backfill, 4 tenants",
                     &reference(3).to_string()] {
            shows!(console, text);
        }
        console.keys("/policy.sync<enter><enter>").await;
        assert_eq!(console.app.tabs.run.id(), Some(3));
        console.keys("<esc>").await;
        console.keys("c/SR-<enter><enter>").await;
        shows!(console, "Ana Lindqvist");
        console.keys("<esc>y").await;
        assert_eq!(console.outside, [Effect::Copy("3".to_owned())]);
        // It is live.
        store.sql("update provider_connections set status = 'connected', last_error_code = null, consent_expires_at = null where tenant_id = 3").await.unwrap();
        console.poll().await;
        shows!(console, "✓ entra connected");
    }

    async fn fr_030_006_support_is_asked_for_wherever_something_is_open(store) {
        let (store, _) = store.with_desk().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        for (keys, place) in [
            ("2/<ctrl-u>id:3<enter>", "list"), ("2/<ctrl-u>id:3<enter><enter>", "run"), ("1fg", "errors"), ("5tFabrikam<enter><enter>", "tenant"),
        ] {
            console.keys(keys).await;
            let before = store.openings().await;
            console.keys("D").await;
            assert!(console.app.context() == Context::Diagnostics, "{place}: {}", console.screen());
            shows!(console, "Diagnostics of");
            assert_eq!(store.openings().await, before + 1, "{place}");
            console.keys("v").await;
            shows!(console, "Fabrikam (tenant 3)");
            console.keys("<esc><esc>").await;
        }
        // The platform's own run is no tenant's.
        console.keys("2").await;
        let prune = Wish::new("product_usage.prune", RunScope::Platform);
        let run = prune.begin(&store.ops, &Actor::System).await.unwrap().run_id;
        console.keys(&format!("/<ctrl-u>id:{run}<enter>")).await;
        for key in ["S", "D", "v"] {
            console.keys(key).await;
            shows!(console, "this run is the platform's own; support is for a tenant");
        }
    }

    async fn fr_030_006_a_missing_capability_is_named(store) {
        let (store, administrator) = store.with_desk().await;
        let few: CapabilitySet = [Capability::AccessSystemPanel, Capability::OpsView].into_iter().collect();
        store.user_with(&administrator, "onlooker", few, &[]).await;
        let before = store.openings().await;
        let mut console = Console::open(&store.ops, 120, 24).await;
        console.log_in("onlooker").await;
        for (keys, needed) in [("S", "platform.support_requests.create"), ("D", "platform.support_diagnostics.view")] {
            console.keys(keys).await;
            shows!(console, &format!("this needs the capability {needed}"));
        }
        console.keys("5").await;
        shows!(console, "this needs the capability platform.support_requests.create");
        // Tenants may be looked at; their requests not.
        console.keys("tLabs<enter><enter>").await;
        shows!(console, "seeing requests needs the capability");
        console.keys("D").await;
        shows!(console, "this needs the capability platform.support_diagnostics.view");
        assert_eq!(store.openings().await, before);
    }

    async fn fr_030_007_one_level_back_is_where_it_was_opened_from(store) {
        let (store, administrator) = store.with_desk().await;
        store.with_requests(&administrator).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("/id:3<enter><enter>").await;
        // Each opening is one more audit row of the run.
        let without_audit = |screen: String| -> Vec<String> {
            screen.lines().filter(|line| !line.contains("▹ audit")).map(str::to_owned).collect()
        };
        let run = without_audit(console.screen());
        console.keys("Dv").await;
        shows!(console, "Fabrikam (tenant 3)");
        // From the tenant another run, from it its own tenants.
        console.keys("/findings.life<enter><enter>").await;
        assert_eq!(console.app.tabs.run.id(), Some(10));
        console.keys("D").await;
        shows!(console, "which tenant?");
        console.keys("<esc>").await;
        assert_eq!(console.app.tabs.run.id(), Some(10));
        console.keys("<esc>").await;
        shows!(console, "Fabrikam (tenant 3)");
        console.keys("<esc>").await;
        shows!(console, "Diagnostics of run 3");
        console.keys("<esc>").await;
        assert_eq!(without_audit(console.screen()), run);
        console.keys("<esc>").await;
        shows!(console, "filter  id:3");
        // The key of the tab leads to its home from any page.
        console.keys("D5").await;
        shows!(console, "3 requests");
    }

    async fn fr_030_008_of_a_run_over_many_tenants_one_is_chosen_failed_ones_first(store) {
        let (store, _) = store.with_desk().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let before = store.openings().await;
        console.keys("/id:10<enter>D").await;
        shows!(console, "Run 10: open diagnostics of which tenant?");
        let screen = console.screen();
        let at = |text: &str| screen.lines().position(|line| line.contains(text)).expect(&screen);
        assert!(at("timeout") < at("Contoso DE") && at("provider_throttled") < at("Contoso DE"), "{screen}");
        assert!(line(&mut console).contains("✗ failed"));
        assert_eq!(store.openings().await, before, "to choose is not to open");
        console.keys("/Labs<enter><enter>").await;
        shows!(console, "tenant Fabrikam Labs (4)");
        assert_eq!(store.openings().await, before + 1);
        console.keys("<esc>").await;
        shows!(console, "which tenant?");
        console.keys("<esc>").await;
        shows!(console, "filter  id:10");
        console.keys("S").await;
        shows!(console, "Run 10: ask for support for which tenant?");
        console.keys("<esc>v").await;
        shows!(console, "Run 10: show which tenant?");
        console.keys("<enter>").await;
        shows!(console, "(tenant 2)");
    }

    async fn fr_030_009_diagnostics_have_seven_sections_that_fold_and_are_searched(store) {
        let (store, _) = store.with_desk().await;
        let mut console = Console::open(&store.ops, 80, 50).await;
        console.log_in("administrator").await;
        console.keys("/id:3<enter>D").await;
        for section in SectionKey::ALL {
            shows!(console, &format!("▹ {}", section.label()));
        }
        for text in ["headline  failed: all 4 items failed", "issue     provider_throttled: the provider refused",
                     "opened at 2026-11-20 10:17:30 UTC, and audited; r reopens them",
                     "newest at 2026-11-20", "empty: no report of this tenant is kept"] {
            shows!(console, text);
        }
        hides!(console, "consent expires at");
        // A search looks into what is folded away, and unfolds it.
        console.keys("/consent<space>expires").await;
        shows!(console, "consent expires at     2026-11-18 00:00:00 UTC");
        shows!(console, "1 of 1");
        console.keys("<enter>c").await;
        hides!(console, "1 of 1");
        console.keys("/withheld<space>nowhere<enter>n").await;
        shows!(console, "not found");
        console.keys("c/fingerprint<enter>").await;
        shows!(console, "1 of 4");
        console.keys("n").await;
        shows!(console, "2 of 4");
        console.keys("NN").await;
        shows!(console, "4 of 4");
        console.keys("czzg").await;
        hides!(console, "fingerprint");
        console.keys("n<enter>").await;
        assert_eq!(console.app.tabs.run.id(), Some(3));
    }

    async fn fr_030_010_an_opening_is_audited_once_whatever_is_done_with_it(store) {
        let (store, _) = store.with_desk().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let before = store.openings().await;
        console.keys("/id:3<enter>").await;
        // Twice in a row, before the first answer is there.
        console.keys_at_once("Drr");
        console.settle().await;
        assert_eq!(store.openings().await, before + 1);
        for _ in 0..3 {
            console.poll().await;
        }
        console.send(Msg::Resize(200, 50)).await;
        console.send(Msg::Resize(60, 15)).await;
        for focus in [false, true] {
            console.send(Msg::Focus(focus)).await;
        }
        console.send(Msg::Tick).await;
        console.keys("jjjj<enter>zz/token<enter>nNc<pgdn>Gg").await;
        console.send(Msg::Wheel { up: false }).await;
        console.send(Msg::Click { column: 5, row: 6 }).await;
        console.keys("25").await;
        shows!(console, "Diagnostics of run 3");
        console.keys("[]pp?<esc>T").await;
        console.keys("v<esc>").await;
        console.screen();
        assert_eq!(store.openings().await, before + 1);
        console.keys("r").await;
        shows!(console, "reopened, which is audited");
        assert_eq!(store.openings().await, before + 2);
        let row = store.text("select status || ' ' || target_type || ' ' || target_id from audit_logs \
                              where action = 'support.open_diagnostics' order by id desc limit 1").await;
        assert_eq!(row, "succeeded operation_run 3");
    }

    async fn fr_030_011_what_was_withheld_is_marked_and_counted(store) {
        let (store, _) = store.with_desk().await;
        let mut console = Console::open(&store.ops, 140, 120).await;
        console.log_in("administrator").await;
        console.keys("/id:3<enter>Dz").await;
        shows!(console, "8 values withheld: 4 passwords, 4 e-mails; they read [redacted:password] [redacted:email]");
        shows!(console, "login of [redacted:email] with password=[redacted:password] was refused");
        hides!(console, "Tr0ub4dor");
        hides!(console, "ana@contoso");
        let styles = console.styles();
        let marked = styles.lines().filter(|line| line.contains("\"[redacted:password]\" Magenta REVERSED")).count();
        assert!(marked >= 4, "{styles}");
    }

    async fn fr_030_012_diagnostics_are_written_into_private_files(store) {
        let (store, _) = store.with_desk().await;
        let folder = tempfile::tempdir().unwrap();
        let exports = folder.path().join("exports");
        let setup = Setup { exports: Some(exports.clone()), ..setup(200, 50, &store.clock) };
        let mut console = Console::with(&store.ops, setup).await;
        console.log_in("administrator").await;
        console.keys("/id:3<enter>D").await;
        let before = store.openings().await;
        // What is written is what was opened, not what is there by now.
        store.sql("update tenants set name = 'Renamed' where id = 3").await.unwrap();
        console.keys("e").await;
        assert_eq!(store.openings().await, before, "to write is not to open");
        let name = "diagnostics-run-3-tenant-3-20261120T101730Z";
        for ending in ["json", "md"] {
            let file = exports.join(format!("{name}.{ending}"));
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(text.contains("Fabrikam") && !text.contains("Renamed"), "{text}");
            assert!(!text.contains("Tr0ub4dor") && !text.contains("ana@contoso"), "{text}");
            shows!(console, &format!("written to \"{}\"", file.display()));
        }
        let json = std::fs::read_to_string(exports.join(format!("{name}.json"))).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["schema_version"], 1);
        assert_eq!(json["diagnostics"]["bundle"]["sections"].as_array().unwrap().len(), 7);
        assert_eq!(json["diagnostics"]["withheld"]["password"], 4);
        // A directory that is none is told of, and the database is not taken for lost.
        std::fs::remove_dir_all(&exports).unwrap();
        std::fs::write(&exports, "in the way").unwrap();
        console.keys("e").await;
        shows!(console, "the diagnostics were not written");
        shows!(console, "● live");
    }

    async fn fr_044_006_exported_diagnostics_hold_no_control_or_unseen_character(store) {
        let (store, _) = store.with_desk().await;
        let hostile = "odd \u{9b}31m\u{7f}\u{202e}\u{200b}\u{e0041}\u{1b}[2J text";
        store.sql(&format!("update tenants set name = '{hostile}' where id = 3")).await.unwrap();
        let said = format!("update operation_run_failures set message = '{hostile}' where run_id = 3");
        store.sql(&said).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let exports = folder.path().join("exports");
        let setup = Setup { exports: Some(exports.clone()), ..setup(80, 24, &store.clock) };
        let mut console = Console::with(&store.ops, setup).await;
        console.log_in("administrator").await;
        console.keys("/id:3<enter>De").await;
        for ending in ["json", "md"] {
            let file = exports.join(format!("diagnostics-run-3-tenant-3-20261120T101730Z.{ending}"));
            let text = std::fs::read_to_string(&file).unwrap();
            let raw: Vec<char> =
                text.chars().filter(|c| (c.is_control() && *c != '\n') || is_unseen(*c)).collect();
            assert!(text.contains("odd ") && raw.is_empty(), "{raw:?} in {text}");
            // A program reads what is stored.
            assert!(ending != "json" || text.contains(r"\u009b31m\u007f\u202e\u200b\udb40\udc41\u001b[2J"), "{text}");
        }
    }

    async fn fr_030_014_a_session_that_ends_takes_everything_with_it(store) {
        let (store, administrator) = store.with_desk().await;
        store.with_requests(&administrator).await;
        for keys in ["5", "5<enter>", "5tFabrikam<enter><enter>", "/id:3<enter>Dz", "/id:10<enter>D"] {
            let mut console = Console::open(&store.ops, 80, 24).await;
            console.log_in("administrator").await;
            console.keys(keys).await;
            console.keys(":app.logout<enter>").await;
            hides!(console, "Fabrikam");
            hides!(console, "SR-");
            assert!(console.app.tabs.support.is_home() && !console.app.tabs.support.state(&console.app.cx()).unwrap().has_data);
        }
        let few: CapabilitySet = Role::OnCall.capabilities();
        store.user_with(&administrator, "passing", few, &[]).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("passing").await;
        console.keys("/id:3<enter>D").await;
        let disable = SetActive { username: "passing".to_owned(), active: false, consent: Consent::typed("passing".to_owned()) };
        store.ops.run(&administrator.actor, disable).await.unwrap();
        console.poll().await;
        shows!(console, "your session has ended");
        hides!(console, "Fabrikam");
    }

    async fn fr_030_015_hostile_and_wide_names_stay_in_their_columns(store) {
        let (store, administrator) = store.with_desk().await;
        let nasty = "\u{1b}]0;owned\u{7}\u{202e}gnp.exe\u{200b}\u{301}\u{301}\u{301}";
        let wide = "株式会社コントソ・ドイツ支社の長い名前です".repeat(3);
        for name in [nasty, wide.as_str()] {
            store.sql(&format!("update tenants set name = '{name}'")).await.unwrap();
            store.sql(&format!("update workspaces set name = '{name}'")).await.unwrap();
            store.sql(&format!("update operation_run_failures set message = '{name}'")).await.unwrap();
            store.sql(&format!("update provider_connections set provider = '{name}'")).await.unwrap();
            let n = u8::from(name == nasty) + 5;
            let draft = Draft { summary: format!("x {name}"), notes: format!("a\n{name}\nb"), contact_name: name.to_owned(), ..Draft::default() };
            store.request(&administrator, n, DiagnosticsSubject::Run { run_id: 3, tenant_id: None }, draft).await;
            for (width, height) in [(60, 15), (80, 24), (200, 50)] {
                let mut console = Console::open(&store.ops, width, height).await;
                console.log_in("administrator").await;
                for keys in ["5", "<enter>zG", "<esc>t<enter>", "<enter>zG", "5<esc>/id:10<enter>D", "<enter>z", "G", "5<esc>/<ctrl-u>id:3<enter>Dz"] {
                    console.keys(keys).await;
                    let screen = console.screen();
                    let bad = screen.chars().find(|c| (c.is_control() && *c != '\n') || tenantpilot::domain::safe_text::is_unseen(*c));
                    assert_eq!(bad, None, "{keys} {screen}");
                    for text in screen.lines() {
                        assert!(unicode_width::UnicodeWidthStr::width(text) <= usize::from(width), "{keys} {text}");
                    }
                }
            }
        }
    }

    async fn fr_030_016_what_is_outside_of_the_view_is_nowhere(store) {
        let (store, administrator) = store.with_desk().await;
        store.with_requests(&administrator).await;
        store.user_with(&administrator, "contoso", Role::Operator.capabilities(), &[1]).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("contoso").await;
        console.keys("5").await;
        shows!(console, "1 request");
        hides!(console, "Fabrikam");
        console.keys("t").await;
        shows!(console, "Contoso DE");
        hides!(console, "Fabrikam");
        console.keys("Fabrikam").await;
        shows!(console, "Nothing matches the search");
    }

    async fn fr_030_017_many_rows_are_walked_and_clicked(store) {
        let (store, _) = store.with_desk().await;
        let rows: Vec<String> = (100..1500)
            .map(|id| format!("({id}, 1, 'Tenant {id:05}', false, '2026-11-01T00:00:00+00:00')"))
            .collect();
        store.sql(&format!("insert into tenants (id, workspace_id, name, is_platform, created_at) values {}", rows.join(", "))).await.unwrap();
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("5t<enter>").await;
        shows!(console, "200 of 1,406 tenants");
        console.keys("G").await;
        shows!(console, "400 of 1,406 tenants");
        console.keys("GGGGGG").await;
        shows!(console, "1,000 of 1,406 tenants");
        assert!(line(&mut console).contains("Tenant 01"));
        console.keys("g").await;
        assert!(line(&mut console).contains("Contoso DE"));
        console.send(Msg::Wheel { up: false }).await;
        assert!(!line(&mut console).contains("Contoso DE"));
        // The third row, then the same again.
        console.send(Msg::Click { column: 5, row: 7 }).await;
        assert!(line(&mut console).contains("Fabrikam  "), "{}", console.screen());
        console.send(Msg::Click { column: 5, row: 7 }).await;
        shows!(console, "Fabrikam (tenant 3)");
        // A click on a heading twice folds its section.
        let row = console.screen().lines().position(|line| line.contains("▾ Runs")).unwrap();
        let click = || Msg::Click { column: 5, row: u16::try_from(row).unwrap() };
        console.send(click()).await;
        console.send(click()).await;
        shows!(console, "▹ Runs");
        // Those that are not held are found.
        console.keys("<esc>/Tenant<space>01499<enter>").await;
        shows!(console, "1 tenant");
    }
}

#[test]
fn fr_030_013_a_lost_database_keeps_what_was_read_and_opens_nothing() {
    block_on(async {
        let (store, proxy, ops) = behind_a_proxy().await;
        let mut console = Console::open(&ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("/id:3<enter>D").await;
        shows!(console, "Diagnostics of run 3");
        assert_eq!(store.openings().await, 1);
        proxy.cut();
        store.pass(2);
        console.poll().await;
        store.pass(10);
        console.send(Msg::Tick).await;
        shows!(console, "disconnected");
        shows!(console, "Diagnostics of run 3");
        console.keys("<esc>D").await;
        shows!(console, "diagnostics are not opened while the database does not answer");
        console.keys("5t").await;
        proxy.restore();
        console.poll().await;
        console.poll().await;
        shows!(console, "Contoso DE");
        console.keys("<enter><esc>2D").await;
        shows!(console, "Diagnostics of run 3");
        assert_eq!(store.openings().await, 2);
    });
}
