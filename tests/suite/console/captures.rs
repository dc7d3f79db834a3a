//! What an operator sees, as text and as styles, and the keys that lead there.

use crate::support::console::Console;
use crate::support::stores::both_engines;

/// Compares the screen with its committed capture, one per engine: the header differs.
macro_rules! capture {
    ($store:expr, $console:expr, $name:expr) => {{
        let text = $console.screen();
        let styles = $console.styles();
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
pub(super) use capture;

both_engines! {
    async fn fr_005_001_login_list_filter_detail_and_help_are_readable_at_80x24(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        capture!(store, console, "80x24_login");
        console.keys("administrator<tab>wrong<space>guess<enter>").await;
        capture!(store, console, "80x24_login_refused");
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        capture!(store, console, "80x24_list");
        console.keys("/status:fa").await;
        capture!(store, console, "80x24_filter_offers");
        console.keys("<ctrl-u>status:fialed<space>since:24h<enter>").await;
        capture!(store, console, "80x24_filter_error");
        console.keys("<ctrl-u>status:partial<space>since:24h<enter>").await;
        capture!(store, console, "80x24_filtered");
        console.keys("<enter>").await;
        capture!(store, console, "80x24_detail_partial");
        console.keys("z").await;
        capture!(store, console, "80x24_detail_open");
        console.keys("<pgdn><pgdn>").await;
        capture!(store, console, "80x24_detail_end");
        console.keys("?").await;
        capture!(store, console, "80x24_help");
        console.keys("<esc><esc>c:pau").await;
        capture!(store, console, "80x24_palette");
        console.keys("<esc>g<enter>").await;
        capture!(store, console, "80x24_detail_queued");
        console.keys("<esc>j<enter>").await;
        capture!(store, console, "80x24_detail_running");
        console.keys("<esc>j<enter>").await;
        capture!(store, console, "80x24_detail_stale");
    }

    async fn fr_005_002_the_wide_layout_adds_a_preview_and_columns_at_200x50(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 200, 50).await;
        capture!(store, console, "200x50_login");
        console.log_in("administrator").await;
        console.keys("jjjjj").await;
        capture!(store, console, "200x50_list");
        console.keys("<enter>z").await;
        capture!(store, console, "200x50_detail");
        console.keys("?").await;
        capture!(store, console, "200x50_help");
        console.keys("<esc><esc>/type:inv").await;
        capture!(store, console, "200x50_filter");
    }
}
