//! What the header says of a database that answers reads and takes no writes.

use std::time::Duration;

use tenantpilot::ops::{Engine, OpsSettings};

use crate::support::console::Console;
use crate::support::postgres::administer;
use crate::support::stores::{Store, block_on, both_engines};

fn header(console: &mut Console) -> String {
    console.screen().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn fr_037_016_a_database_that_is_read_only_or_full_is_not_live() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.poll().await;
        assert!(header(&mut console).contains("● live"));
        let name = store.text("select current_database()::text").await;
        let end = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        );
        for (on, shown) in [("on", "‼ read-only"), ("off", "● live")] {
            administer(&format!("alter database {name} set default_transaction_read_only = {on}"))
                .await;
            // A session that began meanwhile keeps its default, and is given up after a while.
            if on == "on" {
                administer(&end).await;
            }
            // The connections that were ended are noticed first.
            for _ in 0..40 {
                console.poll().await;
                if header(&mut console).contains(shown) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            let text = header(&mut console);
            assert!(text.contains(shown), "{on}: {text}");
            // So it is where nobody has logged in.
            let mut other = Console::open(&store.another(OpsSettings::default()), 80, 24).await;
            let text = header(&mut other);
            assert!(text.contains(shown), "{on}: {text}");
        }
        // Other sessions of that time would be given up later.
        administer(&end).await;
        for _ in 0..10 {
            console.poll().await;
        }
        // A refused write of its own stands until one succeeds, however many reads do.
        store
            .sql(
                "create function full_disk() returns trigger language plpgsql as \
                 $$ begin raise exception 'no' using errcode = '53100'; end $$; \
                 create trigger full_disk before insert or update on platform_sessions \
                 for each row execute function full_disk()",
            )
            .await
            .unwrap();
        store.pass(61);
        console.keys("j").await;
        console.poll().await;
        console.poll().await;
        let text = header(&mut console);
        assert!(text.contains("‼ disk full"), "{text}");
        assert!(console.screen().contains("inventory.sync"), "reads are answered");
        // A login, which is refused as well, says it in its form, and nothing says when it is over.
        let mut other = Console::open(&store.ops, 80, 24).await;
        other.log_in("administrator").await;
        let screen = other.screen();
        assert!(screen.contains("disk is full") && screen.contains("● live"), "{screen}");
        store.sql("drop trigger full_disk on platform_sessions").await.unwrap();
        store.pass(61);
        console.keys("j").await;
        console.poll().await;
        let text = header(&mut console);
        assert!(text.contains("● live"), "{text}");
    });
}

both_engines! {
    async fn fr_037_016_what_an_active_worker_waits_for_is_in_the_header(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let now = match store.engine {
            Engine::Postgres => "now()",
            Engine::Sqlite => "strftime('%Y-%m-%dT%H:%M:%f+00:00')",
        };
        store.sql(&format!(
            "insert into workers (id, name, version, runbooks, slots, heartbeat_seconds, started_at, heartbeat_at, outage) \
             values ('w', 'host:1', '1', '[]', 1, 3600, {now}, {now}, 'the disk is full')"
        )).await.unwrap();
        console.poll().await;
        let text = header(&mut console);
        assert!(text.contains("‼ worker outage"), "{text}");
        store.sql("update workers set outage = null").await.unwrap();
        console.poll().await;
        assert!(header(&mut console).contains("● live"));
    }
}
