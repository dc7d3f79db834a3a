//! What the overview looks like at every size, with data and with none.

use tenantpilot::term::ColorSupport;
use tenantpilot::tui::screens::overview::{Item, Number};
use tenantpilot::tui::setup::Setup;

use super::captures::capture;
use super::overview::to;
use crate::support::console::{Console, setup};
use crate::support::stores::both_engines;

both_engines! {
    async fn fr_026_007_it_is_readable_with_nothing_at_every_size(store) {
        let store = store.with_platform().await;
        store.administrator().await;
        let sizes = [(80, 24, false), (200, 50, false), (60, 15, true)];
        for (width, height, ascii) in sizes {
            let setup = Setup { ascii, ..setup(width, height, &store.clock) };
            let mut console = Console::with(&store.ops, setup).await;
            console.log_in("administrator").await;
            console.keys("1").await;
            capture!(store, console, format!("{width}x{height}_overview_empty"));
            assert!(!ascii || console.screen().is_ascii());
        }
    }

    async fn fr_026_007_it_is_readable_with_data_at_every_size_and_without_colour(store) {
        let store = store.with_traffic().await;
        store.administrator().await;
        let sizes = [(80, 24, false), (200, 50, false), (60, 15, true)];
        for (width, height, ascii) in sizes {
            for colors in [ColorSupport::Ansi16, ColorSupport::None] {
                let setup = Setup { ascii, colors, ..setup(width, height, &store.clock) };
                let mut console = Console::with(&store.ops, setup).await;
                console.log_in("administrator").await;
                console.keys("1").await;
                to(&mut console, &Item::Number(Number::Failed)).await;
                let colour = if colors == ColorSupport::None { "_no_color" } else { "" };
                capture!(store, console, format!("{width}x{height}_overview{colour}"));
                assert!(!ascii || console.screen().is_ascii());
                if height < 24 && colors == ColorSupport::Ansi16 {
                    console.keys("<pgdn>").await;
                    capture!(store, console, format!("{width}x{height}_overview_below"));
                    console.keys("G").await;
                    capture!(store, console, format!("{width}x{height}_overview_end"));
                }
            }
        }
    }
}
