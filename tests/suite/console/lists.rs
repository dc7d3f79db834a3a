//! Lists and documents: the same keys do the same in all of them.

use tenantpilot::tui::msg::Msg;

use crate::support::console::Console;
use crate::support::stores::both_engines;

both_engines! {
    async fn fr_052_010_a_run_is_searched_as_every_document_is(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 40).await;
        console.log_in("administrator").await;
        console.keys("/status:partial<enter><enter>").await;
        let folded = console.screen();
        assert!(folded.contains("▹ context") && !folded.contains("search  "), "{folded}");
        console.keys("/items<space>failed<enter>").await;
        assert!(console.screen().contains("1 of 2"), "{}", console.screen());
        console.keys("n").await;
        let found = console.screen();
        assert!(found.contains("▾ targets") && found.contains("2 of 2"), "{found}");
        assert!(found.contains("search  items failed"), "the run is searched, not the list:\n{found}");
        console.keys("cG/nowhere<space>at<space>all").await;
        assert!(console.screen().contains("not found"), "{}", console.screen());
        console.keys("<enter>n").await;
        assert!(console.screen().contains("nothing here holds what is searched"), "{}", console.screen());
        console.keys("cgg").await;
        // A click selects a line, and one on the selected line does what enter does there.
        let context = console.screen().lines().position(|line| line.contains("▹ context"));
        let row = u16::try_from(context.unwrap()).unwrap();
        console.send(Msg::Click { column: 9, row }).await;
        assert!(console.screen().contains("▸ ▹ context"), "{}", console.screen());
        console.send(Msg::Click { column: 9, row }).await;
        assert!(console.screen().contains("▸ ▾ context"), "{}", console.screen());
        console.keys("<esc>").await;
        assert!(console.screen().contains("filter  status:partial"), "{}", console.screen());
    }
}
