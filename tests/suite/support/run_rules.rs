//! What holds for every ended run, whoever made it: seed, demo, worker, an executor that reports.

use tenantpilot::ops::Engine;

use super::stores::Store;

/// The rules, each with a query for the runs or targets that break it.
fn rules(engine: Engine) -> Vec<(&'static str, String)> {
    let number = |key: &str| match engine {
        Engine::Postgres => format!("coalesce((r.summary_counts ->> '{key}')::bigint, 0)"),
        Engine::Sqlite => format!("coalesce(r.summary_counts ->> '{key}', 0)"),
    };
    let (total, processed) = (number("total"), number("processed"));
    let (succeeded, failed, skipped) = (number("succeeded"), number("failed"), number("skipped"));
    let ended = "from operation_runs r join (select run_id, count(*) as n, \
         count(case when status = 'succeeded' then 1 end) as succeeded, \
         count(case when status = 'failed' then 1 end) as failed, \
         count(case when status = 'skipped' then 1 end) as skipped, \
         coalesce(sum(items), 0) as items, coalesce(sum(failed_items), 0) as failed_items, \
         coalesce(sum(item_total), 0) as item_total, \
         coalesce(sum(case when status = 'failed' and item_total > 0 then items - failed_items end), 0) as good \
         from operation_run_targets group by run_id) t on t.run_id = r.id where r.status = 'completed'";
    let target = "from operation_run_targets g join operation_runs r on r.id = g.run_id where r.status = 'completed'";
    let own = "f.run_id = g.run_id and (f.tenant_id = g.tenant_id or (f.tenant_id is null and g.tenant_id is null))";
    let by_items = "t.n = 1 and t.item_total > 0";
    vec![
        ("no target of an ended run is pending", format!("select count(*) {target} and g.status = 'pending'")),
        (
            "a target with failed items is a failed target",
            format!("select count(*) {target} and g.failed_items > 0 and g.status <> 'failed'"),
        ),
        (
            "a failed target has a failure for its reason",
            format!("select count(*) {target} and g.status = 'failed' and not exists (select 1 \
                     from operation_run_failures f where {own} and f.reason_code = g.reason_code)"),
        ),
        (
            "failures belong to failed targets, unless the run was stopped",
            format!("select count(*) {target} and g.status <> 'failed' and r.stop_reason is null \
                     and exists (select 1 from operation_run_failures f where {own})"),
        ),
        (
            "a failed target of counted items has failed items",
            format!("select count(*) {target} and g.status = 'failed' and g.item_total > 0 and g.failed_items = 0"),
        ),
        (
            "items stay within their total",
            format!("select count(*) {target} and (g.items > g.item_total or g.failed_items > g.items)"),
        ),
        (
            "counts of one target are those of its items",
            format!("select count(*) {ended} and {by_items} and ({total} <> t.item_total or {processed} <> {total} \
                     or {failed} <> t.failed_items or {succeeded} <> t.items - t.failed_items \
                     or {skipped} <> t.item_total - t.items)"),
        ),
        (
            "other counts are those of the targets",
            format!("select count(*) {ended} and not ({by_items}) and ({total} <> t.n or {processed} <> t.n \
                     or {failed} <> t.failed or {succeeded} <> t.succeeded or {skipped} <> t.skipped)"),
        ),
        (
            "the outcome follows from targets and items",
            format!("select count(*) {ended} and r.outcome <> case \
                     when r.outcome = 'cancelled' and (t.skipped > 0 or t.item_total > t.items) then 'cancelled' \
                     when r.outcome = 'blocked' and t.skipped = t.n then 'blocked' \
                     when t.failed > 0 and t.succeeded + t.good > 0 then 'partially_succeeded' \
                     when t.failed > 0 then 'failed' else 'succeeded' end"),
        ),
        (
            "what failed can be retried",
            format!("select count(*) {ended} and r.outcome in ('failed', 'partially_succeeded') and t.failed = 0"),
        ),
        (
            "a run that failed has a reason",
            "select count(*) from operation_runs r where r.outcome in ('failed', 'partially_succeeded') \
             and r.reason_code is null".to_owned(),
        ),
    ]
}

/// The rules that are broken, with how often.
pub async fn broken(store: &Store) -> Vec<(&'static str, i64)> {
    let mut found = Vec::new();
    for (rule, sql) in rules(store.engine) {
        let number = store.number(&sql).await;
        if number > 0 {
            found.push((rule, number));
        }
    }
    found
}
