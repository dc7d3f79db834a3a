//! Writing a support request in the console and sending it.

use tempfile::TempDir;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::Capability;
use tenantpilot::domain::support::{Reference, Severity};
use tenantpilot::drafts::Drafts;
use tenantpilot::ops::runs::RunScope;
use tenantpilot::ops::support::DiagnosticsSubject;
use tenantpilot::tui::msg::{Effect, Msg};
use tenantpilot::tui::screens::support::compose::{Field, Step};
use tenantpilot::tui::setup::Setup;

use super::run_control::shows;
use super::runbook_wizard::{KEY, prepared as wizard_prepared};
use crate::support::console::{Console, events, setup};
use crate::support::starts::Wish;
use crate::support::stores::{Store, both_engines};

/// A console that keeps its drafts in a folder.
pub async fn with_drafts(store: &Store, folder: &TempDir, width: u16, height: u16) -> Console {
    Console::with(&store.ops, keeping(store, folder, width, height)).await
}

pub fn drafts(folder: &TempDir) -> Drafts {
    Drafts::new(folder.path().join("drafts"), "platform".to_owned()).at_home(folder.path())
}

pub fn keeping(store: &Store, folder: &TempDir, width: u16, height: u16) -> Setup {
    Setup { drafts: Some(drafts(folder)), ..setup(width, height, &store.clock) }
}

/// The scene, and an administrator.
pub async fn prepared(store: Store) -> Store {
    let store = store.with_scene().await;
    store.administrator().await;
    store
}

/// From the login to the form of a request about run 3, whose items all failed.
pub const TO_THE_FORM: &str = "/id:3<enter><enter>S";

/// By what the request that was just sent is quoted.
pub fn reference_of(console: &Console) -> Reference {
    console
        .app
        .tabs
        .support
        .composition()
        .unwrap()
        .sent
        .as_ref()
        .expect("it was sent")
        .request
        .reference
}

pub async fn requests(store: &Store) -> i64 {
    store.number("select count(*) from support_requests").await
}

both_engines! {
    async fn fr_031_001_nothing_is_written_or_sent_where_nothing_is_shown(store) {
        let store = prepared(store).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        let draft = |console: &Console| console.app.tabs.support.composition().unwrap().form.draft();
        let before = draft(&console);
        console.send(Msg::Resize(40, 10)).await;
        console.keys("xyz<tab>1").await;
        console.send(Msg::Paste("pasted".to_owned())).await;
        assert_eq!(draft(&console), before);
        assert!(console.screen().starts_with("40x10 is too small"), "{}", console.screen());
        console.send(Msg::Resize(80, 24)).await;
        console.keys("<ctrl-p>").await;
        console.send(Msg::Resize(59, 24)).await;
        console.keys("SSn<esc>").await;
        assert_eq!((requests(&store).await, console.app.tabs.support.composition().unwrap().step), (0, Step::Preview));
        console.keys_at_once("q");
        assert_eq!(console.outside.last(), Some(&Effect::Quit));
    }

    async fn fr_031_001_from_a_failed_run_to_a_sent_request_in_under_40_keys_at_80x24(store) {
        let store = prepared(store).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        // Find the failed run, open it, ask for support; say how to see it and where to call back;
        // look at what would be stored; send it.
        let find = ["/", "status:failed", "<enter>", "<enter>"];
        let write = ["S", "<tab>", "Started at night, after the provider's maintenance.", "<tab>",
            "<tab>", "night@fabrikam.example", "<ctrl-p>"];
        let send = ["<pgdn>", "<pgdn>", "S"];
        let (mut keys, mut typed) = (0, 0);
        for piece in find.iter().chain(&write).chain(&send) {
            let text = piece.chars().count() > 1 && !piece.starts_with('<');
            let count = events(&piece.replace(' ', "<space>")).len();
            *(if text { &mut typed } else { &mut keys }) += count;
            console.keys(&piece.replace(' ', "<space>")).await;
        }
        assert!(keys < 40, "{keys} keys beside {typed} characters");
        let step = console.app.tabs.support.composition().unwrap().step;
        assert_eq!(step, Step::Sent, "{}", console.screen());
        let reference = console.app.tabs.support.composition().unwrap().sent.as_ref().unwrap().request.reference;
        let screen = console.screen();
        assert!(screen.contains(&reference.to_string()), "{screen}");
        assert!(screen.contains("copied (sent to terminal)"), "{screen}");
        assert_eq!(console.outside, [Effect::Copy(reference.to_string())]);
        assert_eq!(store.text("select reference from support_requests").await, reference.to_string());
        assert_eq!(
            store.text("select summary from support_requests").await,
            "policy.sync (run 3): all 4 items failed, for one reason: provider_throttled"
        );
        assert_eq!(store.text("select contact_email from support_requests").await, "night@fabrikam.example");
        assert_eq!(
            store.text("select attachment_mode from support_requests").await,
            "diagnostic_snapshot_attached"
        );
        console.keys("<enter>").await;
        assert!(console.screen().contains("policy.sync"), "back at the run: {}", console.screen());
        assert!(console.app.tabs.support.composition().is_none());
        assert_eq!(console.app.tabs.run.id(), Some(3));
    }
}

fn typed(text: &str) -> String {
    text.replace(' ', "<space>")
}

both_engines! {
    async fn fr_031_002_it_is_opened_and_audited_once_by_a_key_and_never_by_a_look(store) {
        let store = prepared(store).await;
        let folder = TempDir::new().unwrap();
        let mut console = with_drafts(&store, &folder, 80, 24).await;
        console.log_in("administrator").await;
        let openings =
            async || store.number("select count(*) from audit_logs where action = 'support.open_diagnostics'").await;
        console.keys(TO_THE_FORM).await;
        assert_eq!(openings().await, 1);
        console.keys("<ctrl-p>").await;
        for _ in 0..3 {
            console.send(Msg::Resize(200, 50)).await;
            console.send(Msg::Focus(false)).await;
            console.send(Msg::Focus(true)).await;
            console.send(Msg::Tick).await;
            console.poll().await;
            console.send(Msg::Resize(80, 24)).await;
            console.keys("zG<esc><ctrl-p>2<tab><tab>5").await;
            assert_eq!(console.app.tabs.support.composition().unwrap().step, Step::Preview);
        }
        assert_eq!(openings().await, 1);
        console.keys("r").await;
        assert_eq!(openings().await, 2, "asked for by its key");
        // A tenant, and an error's sample, are asked about in the same way.
        console.keys("<esc><esc>1fS").await;
        shows!(console, "Support request: run 4 review_pack.generate");
        assert_eq!(openings().await, 3);
        console.keys("<esc><esc><esc>5t").await;
        console.keys("fabrikam<space>labs<enter><enter>S").await;
        shows!(console, "Support request: tenant Fabrikam Labs (4)");
    }

    async fn fr_031_003_of_a_run_over_many_tenants_one_is_picked_first(store) {
        let store = wizard_prepared(store).await;
        let run = Wish::new(KEY, RunScope::All).begin(&store.ops, &Actor::System).await.unwrap().run_id;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("<enter>S").await;
        shows!(console, "Contoso DE");
        assert!(console.app.tabs.support.composition().is_none(), "a tenant is chosen first: {}", console.screen());
        console.keys("<enter>").await;
        let title = format!("Support request: run {run} {KEY}");
        shows!(console, title.as_str());
        let first = console.app.tabs.support.composition().unwrap().key.subject;
        assert!(matches!(first, DiagnosticsSubject::Run { run_id, tenant_id: Some(_) } if run_id == run));
        // Nothing failed, so nothing is suggested.
        assert_eq!(console.app.tabs.support.composition().unwrap().form.draft().summary, "");
        console.keys("<esc>").await;
        assert!(console.app.tabs.support.composition().is_none());
        console.keys("<enter>").await;
        console.keys(&typed("It waits<ctrl-p>S")).await;
        reference_of(&console);
        console.keys("<esc>").await;
        assert_eq!(console.app.tabs.run.id(), Some(run));
        shows!(console, "queued");
    }

    async fn fr_031_004_fields_have_good_values_and_neither_enter_nor_a_paste_sends(store) {
        let store = prepared(store).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        let draft = console.app.tabs.support.composition().unwrap().form.draft();
        assert_eq!((draft.severity, draft.contact_name.as_str(), draft.attach), (Severity::Normal, "administrator", true));
        for _ in 0..12 {
            console.keys("<enter>").await;
            console.paste("one\r\nS\nS\n").await;
        }
        console.keys("<tab><tab>").await;
        console.keys("<ctrl-p>").await;
        console.paste("S").await;
        shows!(console, "pasted text is taken only in a text field");
        let open = console.app.tabs.support.composition().unwrap();
        assert_eq!((open.step, requests(&store).await), (Step::Preview, 0));
        assert!(open.form.draft().notes.contains("one\nS\nS\n"));
        // Keys from before the preview came up send nothing: the first ones of a flood are dropped.
        console.keys("<esc>").await;
        for event in events("<ctrl-p>SSS") {
            console.app.update(Msg::Key(event), store.clock.now());
        }
        assert!(!console.app.tabs.support.composition().unwrap().sending);
        shows!(console, "look at it, then press again");
    }

    async fn fr_031_005_too_much_text_is_refused_with_how_much_and_nothing_is_lost(store) {
        let store = prepared(store).await;
        let folder = TempDir::new().unwrap();
        let mut console = with_drafts(&store, &folder, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        console.keys("<tab>").await;
        console.paste(&"x".repeat(1_000_000)).await;
        shows!(console, "the pasted text has 1,000,000 bytes");
        console.paste(&"line of it\n".repeat(9_500)).await;
        let whole = console.app.tabs.support.composition().unwrap().form.draft().notes;
        assert_eq!(whole.len(), 104_500);
        console.keys("<ctrl-p>").await;
        shows!(console, "104500 characters, at most 10000 are kept");
        console.keys("S").await;
        shows!(console, "it cannot be sent yet");
        assert_eq!(requests(&store).await, 0);
        console.keys("<esc><esc>S").await;
        assert!(console.app.tabs.support.composition().unwrap().form.draft().notes == whole);
        // In another console too: it lies in its file.
        let mut other = with_drafts(&store, &folder, 80, 24).await;
        other.log_in("administrator").await;
        other.keys(TO_THE_FORM).await;
        assert!(other.app.tabs.support.composition().unwrap().form.draft().notes == whole, "it is cut off");
        // Blank and empty summaries, a summary that is too long, a wrong address.
        for (keys, told) in [
            ("<backtab><ctrl-u>", "the summary is empty"),
            ("<space><space>", "the summary is empty"),
            ("LONG", "characters, at most 500 are kept"),
            ("<tab><tab>ana<space>at<space>home", "the contact's e-mail address"),
        ] {
            console.keys("<tab>").await;
            while console.app.tabs.support.composition().unwrap().form.focus != Field::Notes {
                console.keys("<tab>").await;
            }
            if keys == "LONG" {
                console.keys("<backtab>").await;
                console.paste(&"word ".repeat(120)).await;
            } else if keys.starts_with("<space>") {
                console.keys("<backtab>").await;
                console.keys(keys).await;
            } else {
                console.keys(keys).await;
            }
            console.keys("<ctrl-p>").await;
            shows!(console, told);
            console.keys("S").await;
            assert_eq!(requests(&store).await, 0, "{told}");
            console.keys("<esc>").await;
        }
    }

    async fn fr_031_006_the_preview_is_what_is_stored_and_names_the_rule_of_each_mask(store) {
        let store = prepared(store).await;
        let token = format!("gh{}_{}", "p", "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8");
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        console.keys("<tab>").await;
        console.paste(&format!("Authorization: Bearer {token}\nmail eva@fabrikam.example\n")).await;
        console.keys("<tab><tab>ana@fabrikam.example<ctrl-p>").await;
        let screen = console.screen();
        assert!(screen.contains("[redacted:") && screen.contains("2 values withheld"), "{screen}");
        assert!(!screen.contains(&token) && !screen.contains("eva@"), "{screen}");
        assert!(screen.contains("ana@fabrikam.example"), "the contact's own is kept: {screen}");
        let styled = console.styles();
        assert!(styled.lines().any(|line| line.contains("[redacted:email]\"")), "{styled}");
        let prepared = console.app.tabs.support.composition().unwrap().prepared().unwrap().clone();
        console.keys("S").await;
        reference_of(&console);
        let text = async |column: &str| store.text(&format!("select cast({column} as text) from support_requests")).await;
        assert_eq!(text("summary").await, prepared.summary.text);
        assert_eq!(text("reproduction_notes").await, prepared.notes.as_ref().unwrap().text);
        assert_eq!(text("contact_name").await, "administrator");
        assert_eq!(text("attachment_mode").await, prepared.attachment_mode.as_str());
        let stored: serde_json::Value = serde_json::from_str(&text("context").await).unwrap();
        assert_eq!(stored, prepared.context());
    }

    async fn fr_031_007_more_is_masked_and_left_out_by_hand_and_never_less(store) {
        let store = prepared(store).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        console.keys(&typed("<tab>password=hunter2hunter2 at Fabrikam<ctrl-p>")).await;
        let prepared = |console: &Console| console.app.tabs.support.composition().unwrap().prepared().unwrap().clone();
        console.keys("u").await;
        shows!(console, "what the rules mask stays masked");
        console.keys("m").await;
        console.keys("nowhere<enter>").await;
        shows!(console, "this passage is nowhere in what would be stored");
        console.keys("mf<enter>").await;
        shows!(console, "two characters or more");
        console.keys("mfabrikam<enter>").await;
        let masked = prepared(&console);
        assert_eq!(masked.notes.unwrap().text, "password=[redacted:password] at [redacted:operator]");
        assert_eq!(masked.subject.tenant_name, "[redacted:operator]");
        console.keys("u").await;
        let less = prepared(&console);
        assert_eq!(less.notes.unwrap().text, "password=[redacted:password] at Fabrikam");
        // The last item of the trail.
        console.keys("zGx").await;
        shows!(console, "left out");
        shows!(console, "1 item left out");
        let without = prepared(&console);
        assert_eq!(without.withheld_items, 1);
        console.keys("x").await;
        assert_eq!(prepared(&console).withheld_items, 0);
        console.keys("gx").await;
        shows!(console, "only an item of the diagnostics can be left out");
        console.keys("GxmFabrikam<enter>S").await;
        reference_of(&console);
        let stored = store.text("select cast(context as text) from support_requests").await;
        assert!(!stored.contains("Fabrikam") && !stored.contains("hunter2"), "{stored}");
        let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(stored["redaction"]["items_left_out"], 1);
    }

    async fn fr_031_008_what_looks_like_a_secret_blocks_the_sending_until_it_is_gone(store) {
        let store = prepared(store).await;
        store.sql("update operation_run_failures set message = 'it got Xk9Qz2Lm4Rt7 back' where run_id = 3").await.unwrap();
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        console.keys("<ctrl-p>").await;
        shows!(console, "looks like a secret");
        console.keys("S").await;
        shows!(console, "it cannot be sent yet");
        assert_eq!(requests(&store).await, 0);
        // Enter leads from what is wrong to where it stands; there it is left out or masked.
        console.keys("g<down><enter>").await;
        shows!(console, "▸     message              it got Xk9Qz2Lm4Rt7");
        let many = console.app.tabs.support.composition().unwrap().prepared().unwrap().suspects.len();
        console.keys("x").await;
        let fewer = console.app.tabs.support.composition().unwrap().prepared().unwrap().suspects.len();
        assert!(fewer < many, "{fewer} of {many}");
        console.keys("gnm").await;
        let open = console.app.tabs.support.composition().unwrap();
        assert!(open.prepared().unwrap().is_ready(), "one passage in many places: {}", console.screen());
        console.keys("n").await;
        shows!(console, "nothing stands in the way");
        console.keys("S").await;
        reference_of(&console);
        let stored = store.text("select cast(context as text) from support_requests").await;
        assert!(!stored.contains("Xk9Qz2Lm4Rt7"), "{stored}");
    }

    async fn fr_031_009_a_request_is_sent_once_and_its_reference_shown_copied_and_opened(store) {
        let store = prepared(store).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        console.keys("<ctrl-p>").await;
        console.keys_at_once("SSSxm<esc>S");
        assert!(console.app.tabs.support.composition().unwrap().sending);
        console.settle().await;
        let reference = reference_of(&console).to_string();
        assert_eq!(requests(&store).await, 1);
        let bare: String = console.screen().split_whitespace().collect();
        assert!(bare.contains(&reference));
        console.keys("y").await;
        assert_eq!(console.outside, [Effect::Copy(reference.clone()), Effect::Copy(reference.clone())]);
        console.keys("v").await;
        shows!(console, reference.as_str());
        shows!(console, "all 4 items failed");
        console.keys("<esc>").await;
        // Another one is a new request with its own reference.
        console.keys("2S<ctrl-p>S").await;
        assert_ne!(reference_of(&console).to_string(), reference);
        assert_eq!(requests(&store).await, 2);
        console.keys("<enter>").await;
        assert!(console.app.tabs.support.composition().is_none());
    }

    async fn fr_031_010_diagnostics_go_with_it_only_where_they_may_be_opened(store) {
        let store = store.with_scene().await;
        let administrator = store.administrator().await;
        let few = [Capability::AccessSystemPanel, Capability::OpsView, Capability::SupportRequestsCreate];
        store.user_with(&administrator, "helper", few.into_iter().collect(), &[]).await;
        let mut console = Console::open(&store.ops, 120, 24).await;
        console.log_in("helper").await;
        console.keys(TO_THE_FORM).await;
        shows!(console, "this needs the capability platform.support_diagnostics.view");
        shows!(console, "no diagnostics go with it");
        console.keys("<ctrl-p>S").await;
        reference_of(&console);
        assert_eq!(store.text("select attachment_mode from support_requests").await, "canonical_context_only");
        let openings = "select count(*) from audit_logs where action = 'support.open_diagnostics'";
        assert_eq!(store.number(openings).await, 0);
        // Whoever may attach them may also not want to.
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        console.keys("<backtab><backtab><space><ctrl-p>S").await;
        reference_of(&console);
        let modes = "select count(*) from support_requests where attachment_mode = 'canonical_context_only'";
        assert_eq!(store.number(modes).await, 2);
        // Whoever may not send any is told by name.
        let none = [Capability::AccessSystemPanel, Capability::OpsView];
        store.user_with(&administrator, "reader", none.into_iter().collect(), &[]).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("reader").await;
        console.keys(TO_THE_FORM).await;
        shows!(console, "platform.support_requests.create");
        assert!(console.app.tabs.support.composition().is_none());
    }

    async fn fr_031_017_text_that_wants_to_be_more_than_text_is_shown_and_stored_harmless(store) {
        let store = prepared(store).await;
        let nasty = "a\u{1b}]0;owned\u{7}\u{202e}gnp.exe\u{200b}e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{9b}31m";
        store.sql(&format!("update tenants set name = '{nasty}' where id = 3")).await.unwrap();
        let mut console = Console::open(&store.ops, 200, 50).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        for _ in 0..3 {
            console.paste(nasty).await;
            console.keys("<tab>").await;
        }
        for keys in ["<ctrl-p>", "z", "S"] {
            let screen = console.screen();
            let bad = screen.chars().find(|c| (c.is_control() && *c != '\n') || tenantpilot::domain::safe_text::is_unseen(*c));
            assert_eq!(bad, None, "{screen}");
            console.keys(keys).await;
        }
        reference_of(&console);
        for column in ["summary", "reproduction_notes", "contact_name"] {
            let text = store.text(&format!("select {column} from support_requests")).await;
            let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || tenantpilot::domain::safe_text::is_unseen(*c));
            assert_eq!(bad, None, "{text:?}");
            assert!(text.contains("gnp.exe") && text.contains('\u{fffd}'), "{text}");
        }
    }
}
