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

    async fn fr_052_010_a_search_for_what_is_nowhere_leads_back_to_where_it_began(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let here = |console: &mut Console| {
            let screen = console.screen();
            let line = screen.lines().skip(2).find(|line| line.starts_with("▸ "));
            line.unwrap_or_default().trim_end().to_owned()
        };
        // A document.
        console.keys("/status:partial<enter><enter>j").await;
        let before = here(&mut console);
        assert!(before.chars().count() > 2, "{before}");
        console.keys("/timeline").await;
        assert!(here(&mut console).contains("timeline"), "{}", console.screen());
        console.keys("x").await;
        assert!(console.screen().contains("not found"), "{}", console.screen());
        assert_eq!(here(&mut console), before);
        // A list.
        console.keys("<esc><esc>5t<enter>jj").await;
        let before = here(&mut console);
        assert!(before.chars().count() > 2, "{}", console.screen());
        console.keys("/nowhere").await;
        assert!(console.screen().contains("Nothing matches"), "{}", console.screen());
        console.keys("<esc>").await;
        assert_eq!(here(&mut console), before, "{}", console.screen());
    }

    async fn fr_052_010_what_would_be_stored_is_a_document(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 40).await;
        console.log_in("administrator").await;
        console.keys("/id:3<enter><enter>S<ctrl-p>/provider_thr").await;
        assert!(console.screen().contains("search  provider_thr"), "{}", console.screen());
        console.keys("<enter>n").await;
        assert!(console.screen().contains("2 of "), "{}", console.screen());
        console.keys("<home>").await;
        let severity = console.screen().lines().position(|line| line.contains("severity   normal"));
        let row = u16::try_from(severity.unwrap()).unwrap();
        // A click selects a line; one on the selected line does what enter does there.
        console.send(Msg::Click { column: 9, row: row + 1 }).await;
        assert!(console.screen().contains("▸ summary    policy.sync"), "{}", console.screen());
        console.send(Msg::Click { column: 9, row: row + 1 }).await;
        assert!(console.screen().contains("[write]"), "{}", console.screen());
    }
}
