//! What the pages of support look like at every size.

use tenantpilot::domain::capability::{Capability, CapabilitySet};
use tenantpilot::term::ColorSupport;
use tenantpilot::tui::msg::Msg;
use tenantpilot::tui::setup::Setup;

use super::captures::capture;
use crate::support::console::{Console, setup};
use crate::support::stores::both_engines;

/// The keys that lead from the login to each page.
const PAGES: &[(&str, &str)] = &[
    ("requests", "5"),
    ("request", "5<enter>"),
    ("request_end", "5<enter>zG"),
    ("tenants", "5t<enter>"),
    ("tenant", "5tFabrikam<enter><enter>"),
    ("run_tenants", "2/id:10<enter>D"),
    ("diagnostics", "2/id:3<enter>D"),
    ("diagnostics_found", "2/id:3<enter>D/password<enter>"),
];

both_engines! {
    async fn fr_030_015_every_page_is_readable_at_every_size(store) {
        let (store, administrator) = store.with_desk().await;
        store.with_requests(&administrator).await;
        for (width, height, ascii) in [(80, 24, false), (200, 50, false), (60, 15, true)] {
            for (name, keys) in PAGES {
                let colors = if ascii { ColorSupport::None } else { ColorSupport::Ansi16 };
                let setup = Setup { ascii, colors, ..setup(width, height, &store.clock) };
                let mut console = Console::with(&store.ops, setup).await;
                console.log_in("administrator").await;
                console.keys(keys).await;
                // The notice of an export or a copy hides the footer.
                store.pass(5);
                console.send(Msg::Tick).await;
                store.pass(-5);
                console.send(Msg::Tick).await;
                capture!(store, console, format!("{width}x{height}_support_{name}"));
                assert!(!ascii || console.screen().is_ascii(), "{}", console.screen());
            }
        }
    }

    async fn fr_030_003_fr_030_015_nothing_and_nothing_allowed_are_said(store) {
        let store = store.with_platform().await;
        let administrator = store.administrator().await;
        let few: CapabilitySet = [Capability::AccessSystemPanel, Capability::OpsView].into_iter().collect();
        store.user_with(&administrator, "newcomer", few, &[]).await;
        for (name, page) in [("administrator", "empty"), ("newcomer", "forbidden")] {
            let mut console = Console::open(&store.ops, 80, 24).await;
            console.log_in(name).await;
            console.keys("5").await;
            capture!(store, console, format!("80x24_support_{page}"));
        }
    }
}
