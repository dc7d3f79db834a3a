//! Each leading condition is read off an index in the order of the page.

use std::path::Path;

use chrono::TimeZone as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _, Sqlite, SqliteConnection};

use super::*;

async fn connection() -> SqliteConnection {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        connection.execute(AssertSqlSafe(text)).await.unwrap();
    }
    connection
}

#[tokio::test]
async fn every_leading_condition_is_read_off_its_index() {
    let mut connection = connection().await;
    let now = Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap();
    let cursor = Cursor { created_at: now, id: 5 };
    for (filter, index) in [
        ("", "operation_runs_newest"),
        ("since:24h", "operation_runs_newest"),
        ("status:active", "operation_runs_active"),
        ("status:queued,paused", "operation_runs_active"),
        ("outcome:failed", "operation_runs_by_outcome"),
        ("status:failed since:7d", "operation_runs_by_outcome"),
        ("type:policy.sync", "operation_runs_by_type"),
        ("tenant:3 until:2026-11-01", "operation_runs_by_tenant"),
        ("workspace:2", "operation_runs_by_workspace"),
        ("reason:timeout", "operation_runs_by_reason"),
        ("contoso", "operation_runs_newest"),
        ("type:policy.* !source:cli", "operation_runs_newest"),
        ("tenant:3 outcome:failed", "operation_runs_by_tenant"),
        ("reason:timeout contoso", "operation_runs_by_reason"),
    ] {
        let filter = RunFilter::parse(filter).unwrap();
        for page in [
            Page::Newest,
            Page::From(cursor),
            Page::OlderThan(cursor),
            Page::NewerThan(cursor),
            Page::Oldest,
        ] {
            let scope = ViewScope::All;
            let query = Query { filter: &filter, scope, now, page, limit: 50, bound: 10_000 };
            let plan = Plan::of(&query);
            let sql = plan.statement::<Sqlite>(&query, 51).into_sql();
            let rows = connection
                .fetch_all(AssertSqlSafe(format!("explain query plan {}", sql.as_str())))
                .await
                .unwrap();
            let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            let run = steps.iter().find(|step| step.contains("operation_runs")).unwrap();
            assert!(run.contains(&format!("INDEX {index}")), "{filter} {page:?}: {steps:?}");
            // Only a window, whose size is bounded, may be put in order afterwards; and the retries of
            // one run, of which there are few.
            let sorted = steps.windows(2).any(|two| {
                two[1].contains("ORDER BY") && !two[0].contains("operation_runs_retries")
            });
            assert!(!sorted || plan.windowed(), "{filter} {page:?}: {steps:?}");
        }
    }
}
