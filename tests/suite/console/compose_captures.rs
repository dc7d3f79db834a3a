//! What an operator sees of a support request from the first word to its reference.

use tempfile::TempDir;
use tenantpilot::domain::support::Reference;
use tenantpilot::term::ColorSupport;
use tenantpilot::tui::setup::Setup;

use super::captures::capture;
use super::compose::{TO_THE_FORM, keeping, prepared, reference_of};
use crate::support::console::Console;
use crate::support::stores::both_engines;

/// References are made by chance: the screen shows one of the same length.
macro_rules! capture_sent {
    ($store:expr, $console:expr, $name:expr) => {{
        let reference: Reference = reference_of(&$console);
        let text = $console.screen().replace(&reference.to_string(), "SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV");
        let styles = $console.styles().replace(&reference.to_string(), "SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV");
        let name = format!("{:?}_{}", $store.engine, $name).to_lowercase();
        insta::with_settings!({
            prepend_module_to_snapshot => false,
            omit_expression => true,
            snapshot_path => "../captures",
        }, {
            insta::assert_snapshot!(name, format!("{text}\n{styles}"));
        });
    }};
}

both_engines! {
    async fn fr_031_015_every_step_is_readable_at_80x24_and_200x50(store) {
        let store = prepared(store).await;
        for (width, height) in [(80, 24), (200, 50)] {
            let folder = TempDir::new().unwrap();
            let name = |step: &str| format!("{width}x{height}_compose_{step}");
            let mut console = Console::with(&store.ops, keeping(&store, &folder, width, height)).await;
            console.log_in("administrator").await;
            console.keys(TO_THE_FORM).await;
            capture!(store, console, name("1_form"));
            console.keys("<ctrl-p>").await;
            capture!(store, console, name("2_preview"));
            console.keys("<esc><ctrl-u><tab>1.<space>sync<space>again<enter>").await;
            console.keys("2.<space>password=hunter2hunter2<enter>").await;
            console.keys("3.<space>it<space>got<space>Xk9Qz2Lm4Rt7<tab><tab>ana@").await;
            console.keys("<ctrl-p>").await;
            capture!(store, console, name("2_problems"));
            console.keys("<enter>").await;
            capture!(store, console, name("1_problems"));
            console.keys("Sync<space>fails<ctrl-p>n").await;
            capture!(store, console, name("2_suspect"));
            console.keys("mgn<enter>fabrikam.example<ctrl-p>zGxm").await;
            console.paste("Contoso").await;
            capture!(store, console, name("2_mask"));
            console.keys("<ctrl-u>Fabrikam<enter>").await;
            console.keys("<esc>").await;
            store.pass(60);
            console.keys("<esc>").await;
            capture!(store, console, name("0_kept"));
            console.keys("S<ctrl-x>").await;
            capture!(store, console, name("1_throw_away"));
            console.keys("n<f1>").await;
            capture!(store, console, name("1_help"));
            console.keys("<esc><ctrl-p>").await;
            capture!(store, console, name("2_ready"));
            console.keys("S").await;
            capture_sent!(store, console, name("3_sent"));
            store.pass(-60);
        }
    }

    async fn fr_031_016_it_is_readable_at_60x15_in_ascii_and_without_colour(store) {
        let store = prepared(store).await;
        let folder = TempDir::new().unwrap();
        let setup = Setup {
            ascii: true,
            colors: ColorSupport::None,
            ..keeping(&store, &folder, 60, 15)
        };
        let mut console = Console::with(&store.ops, setup).await;
        console.log_in("administrator").await;
        console.keys(TO_THE_FORM).await;
        let see = async |console: &mut Console, step: &str| {
            let screen = console.screen();
            assert!(screen.is_ascii(), "{screen}");
            capture!(store, console, format!("60x15_ascii_compose_{step}"));
        };
        see(&mut console, "1_form").await;
        console.keys("<ctrl-u><tab>got<space>Xk9Qz2Lm4Rt7<tab><tab>ana@<ctrl-p>").await;
        see(&mut console, "2_problems").await;
        console.keys("<esc>").await;
        see(&mut console, "1_problems").await;
        console.keys("<ctrl-u><ctrl-p><enter>Sync<space>fails<ctrl-p>nm").await;
        see(&mut console, "2_ready").await;
        console.keys("<pgdn><pgdn><pgdn>").await;
        see(&mut console, "2_further").await;
        console.keys("S").await;
        let reference = reference_of(&console).to_string();
        assert!(console.screen().contains(&reference), "{}", console.screen());
    }
}
