//! `q` and the palette: what leaves the console, and what asks first (specs/042-terminal-input).

use tenantpilot::tui::msg::{Effect, Msg};

use super::compose::{TO_THE_FORM, prepared as with_support, reference_of};
use super::run_control::{hides, shows};
use super::runbook_wizard::{ALL, at_runbooks, prepared};
use crate::support::console::Console;
use crate::support::stores::both_engines;

/// What lies over a screen: the keys that open it, and what it shows.
const OVERLAYS: [(&str, &str); 2] = [("?", "Keys in force"), ("<enter>?", "Keys in force")];

both_engines! {
    async fn fr_042_011_q_closes_what_is_open_and_leaves_only_a_screen(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        for (keys, shown) in OVERLAYS {
            console.keys(keys).await;
            shows!(console, shown);
            console.keys("q").await;
            hides!(console, shown);
            assert_eq!(console.outside, []);
        }
        // In a field it is a letter.
        for (keys, shown) in [(":q", "command  q"), ("2/q", "filter  q"), ("jXq", "Cancel run")] {
            console.keys(keys).await;
            shows!(console, shown);
            console.keys("<esc>").await;
            assert_eq!(console.outside, []);
        }
        console.keys("?").await;
        console.keys("<ctrl-c>").await;
        assert_eq!(console.outside, [Effect::Quit], "ctrl-c leaves from everywhere");
    }

    async fn fr_042_012_what_was_entered_is_not_lost_by_one_letter(store) {
        let store = prepared(store).await;
        let mut console = at_runbooks(&store.ops).await;
        console.keys(ALL).await;
        for elsewhere in ["", "2", "6"] {
            console.keys(elsewhere).await;
            for answer in ["n", "<enter>", "<esc>", "q"] {
                console.keys("q").await;
                shows!(console, "What was entered for the runbook would be lost.");
                console.keys(answer).await;
                hides!(console, "would be lost");
                assert_eq!(console.outside, [], "{answer}");
            }
        }
        // The palette asks too, and so does a terminal that shows nothing.
        console.keys(":app.quit<enter>").await;
        shows!(console, "Leave the console?");
        console.send(Msg::Resize(40, 10)).await;
        shows!(console, "ctrl-c quits");
        console.keys("yq").await;
        assert_eq!(console.outside, []);
        console.send(Msg::Resize(80, 24)).await;
        console.keys("y").await;
        assert_eq!(console.outside, [Effect::Quit]);
    }

    async fn fr_042_013_the_palette_selects_nothing_that_leaves_the_console(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        for typed in ["", "app.q", "background", "end this", "suspen"] {
            console.keys(&format!(":{}<enter>", typed.replace(' ', "<space>"))).await;
            let screen = console.screen();
            assert!(screen.contains("nothing is selected"), "{typed:?}: {screen}");
            console.keys("<esc>").await;
            assert_eq!(console.outside, [], "{typed:?}");
            assert!(console.app.session().is_some(), "{typed:?}");
        }
        // This screen's own commands come first, and what leaves comes last.
        console.keys(":").await;
        let screen = console.screen();
        let first = screen.lines().nth(3).unwrap();
        assert!(first.contains("row.open") && !first.contains("▸"), "{screen}");
        console.keys("<up>").await;
        shows!(console, "▸ app.logout");
        console.keys("<esc>:app.q<down>").await;
        shows!(console, "▸ app.quit");
        console.keys("<enter>").await;
        assert_eq!(console.outside, [Effect::Quit]);
    }

    async fn fr_042_013_q_and_quit_typed_in_full_list_quitting_first_and_select_nothing(store) {
        let store = prepared(store).await;
        for (typed, then) in [("", ""), ("q", "<down>"), ("quit", "<tab>"), ("app.qu", "<tab>")] {
            let mut console = at_runbooks(&store.ops).await;
            console.keys(&format!(":{typed}<enter>")).await;
            shows!(console, "nothing is selected");
            assert_eq!(console.outside, [], "{typed}");
            if typed.is_empty() { continue }
            let screen = console.screen();
            assert!(screen.lines().nth(3).unwrap().starts_with("   app.quit"), "{typed}: {screen}");
            console.keys(then).await;
            shows!(console, "▸ app.quit");
            console.keys("<enter>").await;
            assert_eq!(console.outside, [Effect::Quit], "{typed}");
        }
        // Also where a tenant has that name.
        store.sql("update tenants set name = 'q' where id = 1").await.unwrap();
        let mut console = at_runbooks(&store.ops).await;
        console.keys(ALL).await;
        console.keys(":q<down><enter>").await;
        shows!(console, "What was entered for the runbook would be lost.");
        assert_eq!(console.outside, []);
        console.keys("<esc>").await;
        // What only begins so leaves nothing.
        for typed in ["qu", "qui", "quits", "Q"] {
            console.keys(&format!(":{typed}")).await;
            hides!(console, "▸ app.quit");
            console.keys("<esc>").await;
        }
    }

    async fn fr_042_014_the_palette_goes_to_runs_tenants_requests_themes_and_keymaps(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(":3").await;
        shows!(console, "▸ run 3");
        shows!(console, "  tenant 3");
        console.keys("<enter>").await;
        shows!(console, "▸ 3  policy.sync");
        console.keys(":run<space>4<enter>").await;
        shows!(console, "▸ 4  ");
        console.keys(":3<down><enter>").await;
        shows!(console, "▸ Fabrikam (tenant 3)");
        console.keys(":contoso<space>d<enter>").await;
        shows!(console, "Contoso DE");
        hides!(console, "Contoso FR");
        console.keys("2:theme<space>li<enter>").await;
        shows!(console, "theme light");
        console.keys(":keymap<space>vim<enter>").await;
        shows!(console, "keymap vim");
        console.keys("jjjgg").await;
        assert_eq!(console.app.tabs.operations.selected(), Some(9));
    }

    async fn fr_042_014_the_palette_offers_the_runs_and_tenants_that_there_are(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        for (id, name) in [(90, "412"), (91, "Shop 412"), (92, "7"), (93, "4120")] {
            let tenant = format!("insert into tenants (id, workspace_id, name, is_platform, created_at) \
                select {id}, workspace_id, '{name}', is_platform, created_at from tenants where id = 1");
            store.sql(&tenant).await.unwrap();
        }
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        // No run and no tenant has this ID; a tenant has it for a name.
        console.keys(":412").await;
        shows!(console, "▸ tenant 90");
        hides!(console, "run 412");
        hides!(console, "tenant 412");
        shows!(console, "Open Shop 412 (Contoso)");
        console.keys("<enter>").await;
        shows!(console, "▸ 412 (tenant 90)");
        // A run, a tenant and a name of one text are told apart.
        console.keys(":7").await;
        shows!(console, "▸ run 7");
        console.keys("<down>").await;
        shows!(console, "▸ tenant 92");
        console.keys("<enter>").await;
        shows!(console, "▸ 7 (tenant 92)");
        console.keys(":91<enter>").await;
        shows!(console, "▸ Shop 412 (tenant 91)");
        // Where there is nothing, nothing is offered.
        console.keys(":7654").await;
        shows!(console, "no command, run or tenant matches");
        console.keys("<enter>").await;
        shows!(console, "nothing is selected");
        console.keys("<esc>").await;
        // An answer that comes late does not move what was selected by hand.
        console.keys(":").await;
        console.keys_at_once("412<down>");
        shows!(console, "▸ tenants");
        console.settle().await;
        shows!(console, "tenant 91");
        shows!(console, "▸ tenants");
        console.keys("<enter>").await;
        shows!(console, "Shop 412");
        shows!(console, "4120");
    }

    async fn fr_042_011_ctrl_c_leaves_in_the_middle_of_a_sequence_of_keys(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("g<ctrl-c>").await;
        assert_eq!(console.outside, [Effect::Quit]);
    }

    async fn fr_042_014_a_reference_opens_its_request(store) {
        let store = with_support(store).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        console.keys("<tab>x<ctrl-p>q").await;
        shows!(console, "A support request is being written. y leaves the console");
        console.keys("n<pgdn><pgdn>S").await;
        let reference = reference_of(&console).to_string();
        console.keys(&format!("2:{}<enter>", reference.to_lowercase())).await;
        shows!(console, &reference);
        assert!(console.app.tabs.support.composition().is_none());
        assert_eq!(console.outside, [Effect::Copy(reference)]);
    }
}
