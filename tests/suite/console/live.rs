//! The list while the platform works: rows come, the cursor stays.

use tenantpilot::access::Actor;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::OpsSettings;
use tenantpilot::ops::runs::StartRun;
use tenantpilot::tui::msg::Msg;
use tenantpilot::tui::slot::Slot;

use crate::support::console::Console;
use crate::support::stores::{Store, both_engines};

/// Fills the database with completed runs `1..=n`, one a second, the last one newest.
pub async fn fill(store: &Store, n: i64) {
    let at = match store.engine {
        tenantpilot::ops::Engine::Postgres => {
            "timestamptz '2026-11-20 06:00:00+00' + g * interval '1 second'".to_owned()
        }
        tenantpilot::ops::Engine::Sqlite => {
            "strftime('%Y-%m-%dT%H:%M:%S+00:00', '2026-11-20 06:00:00', g || ' seconds')".to_owned()
        }
    };
    let series = match store.engine {
        tenantpilot::ops::Engine::Postgres => format!("(select generate_series(1, {n}) as g) s"),
        tenantpilot::ops::Engine::Sqlite => {
            format!(
                "(with recursive c (g) as (select 1 union all select g + 1 from c where g < {n}) select g from c) s"
            )
        }
    };
    store
        .sql(&format!(
            "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, \
             identity_hash, target_count, created_at, started_at, completed_at, updated_at) \
             select g, 1, 1, 'schedule', case when g % 5 = 0 then 'policy.sync' else 'inventory.sync' end, 'tenant', \
             'completed', 'succeeded', '{:0<64}', 1, {at}, {at}, {at}, {at} from {series}",
            "a"
        ))
        .await
        .unwrap();
    if store.engine == tenantpilot::ops::Engine::Postgres {
        store.sql("select setval(pg_get_serial_sequence('operation_runs', 'id'), max(id)) from operation_runs").await.unwrap();
    }
}

/// The id on the line with the cursor's marker.
pub(super) fn under_cursor(screen: &str) -> i64 {
    let line = screen.lines().find(|line| line.starts_with('▸')).expect("a row is selected");
    line.trim_start_matches('▸').split_whitespace().next().unwrap().parse().unwrap()
}

both_engines! {
    async fn fr_005_003_a_run_of_another_process_appears_without_a_key(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        assert!(!console.screen().contains("stored_report.create      Contoso DE"));
        let other = store.another(OpsSettings::default());
        let start = StartRun::for_tenant("stored_report.create", 1, Source::Admin);
        let started = other.run(&Actor::Customer { user_id: 1 }, start).await.unwrap();
        console.poll().await;
        let screen = console.screen();
        assert!(screen.contains(&format!("{} 10:17:30    stored_report.create", started.run_id)), "{screen}");
    }

    async fn fr_005_004_the_cursor_stays_on_its_run_while_rows_come_and_go(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        assert_eq!(under_cursor(&console.screen()), 9);
        console.keys("jjj").await;
        assert_eq!(under_cursor(&console.screen()), 6);
        for tenant in [1, 2] {
            store.start("stored_report.create", tenant).await;
            console.poll().await;
            assert_eq!(under_cursor(&console.screen()), 6);
        }
        // Even when it goes: its neighbour takes its place.
        store.sql("delete from operation_runs where id = 6").await.unwrap();
        console.poll().await;
        assert_eq!(under_cursor(&console.screen()), 5);
    }

    async fn fr_005_005_scrolled_rows_stay_on_their_lines_and_the_head_stays_shown(store) {
        let store = store.with_platform().await;
        fill(&store, 100).await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("<pgdn><pgdn>").await;
        let before = console.screen();
        store.start("stored_report.create", 1).await;
        console.poll().await;
        let rows = |screen: &str| screen.lines().skip(5).take(18).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(rows(&console.screen()), rows(&before), "rows moved under a reader");
        console.keys("g").await;
        assert!(console.screen().contains("stored_report.create"));
        // At the head the newest run stays in sight, however many come.
        for tenant in [2, 3, 4] {
            store.start("stored_report.create", tenant).await;
        }
        console.poll().await;
        let screen = console.screen();
        assert!(!screen.contains("cursor below"), "the selected row is still in sight: {screen}");
        for (run_type, tenant) in ["policy.sync", "inventory.sync", "backup.snapshot", "review_pack.generate"]
            .into_iter()
            .flat_map(|run_type| [1, 2, 3, 4].map(|tenant| (run_type, tenant)))
        {
            store.start(run_type, tenant).await;
        }
        console.poll().await;
        let screen = console.screen();
        assert!(screen.contains("↓ cursor below"), "where the selected row is: {screen}");
        let newest = store.number("select max(id) from operation_runs").await;
        let screen = console.screen();
        let first = screen.lines().nth(5).unwrap();
        assert!(first.contains(&newest.to_string()), "{first}");
    }

    async fn fr_005_006_every_row_of_a_long_list_is_reached_once_in_order(store) {
        let store = store.with_platform().await;
        fill(&store, 1_500).await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let mut seen = vec![console.app.tabs.operations.selected().unwrap()];
        while *seen.last().unwrap() > 1 {
            console.keys("j").await;
            seen.push(console.app.tabs.operations.selected().unwrap());
            assert!(seen.len() <= 1_500, "the cursor does not get on");
        }
        assert_eq!(seen, (1..=1_500).rev().collect::<Vec<i64>>());
        assert!(console.app.tabs.operations.rows().len() <= 1_000, "only a window of the rows is held");
        // And back up to the newest, the same way.
        for id in 2..=1_500 {
            console.keys("k").await;
            assert_eq!(console.app.tabs.operations.selected(), Some(id));
        }
        console.keys("G").await;
        assert_eq!(under_cursor(&console.screen()), 1);
        console.keys("g").await;
        assert_eq!(under_cursor(&console.screen()), 1_500);
    }

    async fn fr_005_007_a_text_filter_states_how_much_it_searched(store) {
        let store = store.with_platform().await;
        fill(&store, 3_000).await;
        store.administrator().await;
        let settings = OpsSettings { search_bound: 1_000, ..OpsSettings::default() };
        let mut console = Console::open(&store.another(settings), 80, 24).await;
        console.log_in("administrator").await;
        console.keys("/policy<enter>").await;
        let screen = console.screen();
        assert!(screen.contains("200+ found"), "{screen}");
        console.keys("<end>").await;
        // The newer ones are not held, but found all the same.
        assert!(!console.screen().contains("200 found"), "{}", console.screen());
        console.keys("/nowhere<space>to<space>be<space>found<enter>").await;
        let screen = console.screen();
        assert!(screen.contains("in the newest 1,000 runs"), "{screen}");
    }

    async fn fr_005_008_leaving_a_tab_stops_its_polls_and_pausing_stops_all(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let slots = |console: &Console| console.app.subscriptions().iter().map(|sub| sub.slot).collect::<Vec<_>>();
        assert_eq!(slots(&console), [Slot::LIST, Slot::COUNTS, Slot::UNREAD, Slot::BREAK_GLASS, Slot::CONDITION]);
        console.keys("<enter>").await;
        assert_eq!(slots(&console), [Slot::DETAIL, Slot::UNREAD, Slot::BREAK_GLASS, Slot::CONDITION]);
        let every = console.app.poll_every();
        console.send(Msg::Focus(false)).await;
        assert!(console.app.poll_every() > every, "slower without the focus");
        console.send(Msg::Focus(true)).await;
        assert_eq!(console.app.poll_every(), every);
        console.keys("p").await;
        assert_eq!(slots(&console), []);
        assert!(console.screen().contains("◌ frozen"));
        console.keys("p+").await;
        assert!(console.app.poll_every() < every);
        assert_eq!(slots(&console), [Slot::DETAIL, Slot::UNREAD, Slot::BREAK_GLASS, Slot::CONDITION]);
    }

    async fn fr_005_009_a_run_that_is_open_is_live(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("<enter>").await;
        assert!(console.screen().contains("Waiting: no executor for policy.sync."));
        let claimed = store.claim().await;
        // The oldest queued run is taken first.
        store.complete(&claimed, None).await;
        let claimed = store.claim().await;
        assert_eq!(claimed.id, 9);
        store.report(&claimed, 10, 5, 0).await;
        console.poll().await;
        assert!(console.screen().contains("5 of 10"), "{}", console.screen());
        store.complete(&claimed, None).await;
        console.poll().await;
        assert!(console.screen().contains("All of it was done: 10 of 10."), "{}", console.screen());
    }
}
