//! What diagnostics of a tenant are read from: references, codes, counts and times.

use chrono::{DateTime, Utc};

use super::run_read::{RunRow, in_view, overdue, restricted_to, run_columns, run_joins};
use super::{Tx, on_tx, retention, sql};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::kept::Data;
use crate::domain::run::Run;

/// A tenant as support sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct SupportTenant {
    /// Id.
    pub id: i64,
    /// Its name, as stored.
    pub name: String,
    /// Its workspace.
    pub workspace_id: i64,
    /// That one's name, as stored.
    pub workspace_name: String,
    /// Whether it is the platform's own.
    pub is_platform: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was archived, or its workspace.
    pub archived_at: Option<DateTime<Utc>>,
}

/// The tenants `t` of workspaces `w` that the view `$1` shows.
macro_rules! tenants_in_view {
    () => {
        " from tenants t join workspaces w on w.id = t.workspace_id where ($1 is null or exists \
         (select 1 from platform_user_workspaces v where v.platform_user_id = $1 and v.workspace_id = w.id))"
    };
}

macro_rules! tenant_columns {
    () => {
        "select t.id, t.name, t.workspace_id, w.name as workspace_name, t.is_platform, t.created_at, \
         coalesce(t.archived_at, w.archived_at) as archived_at"
    };
}

/// One tenant within a view.
pub async fn tenant(tx: &mut Tx, id: i64, view: ViewScope) -> Result<Option<SupportTenant>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(tenant_columns!(), tenants_in_view!(), " and t.id = $2"))
            .bind(restricted_to(view))
            .bind(id)
            .fetch_optional(c)
            .await?)
    })
}

/// Tenants within a view whose name, workspace or id match, by name; and how many do in all.
pub async fn tenants(
    tx: &mut Tx,
    view: ViewScope,
    name: Option<&str>,
    id: Option<i64>,
    (offset, limit): (i64, i64),
) -> Result<(Vec<SupportTenant>, i64)> {
    macro_rules! matching {
        () => {
            concat!(
                tenants_in_view!(),
                " and ($2 is null or ",
                name_matches!("t.name", "$2"),
                " or ",
                name_matches!("w.name", "$2"),
                " or t.id = $3)"
            )
        };
    }
    on_tx!(tx, c => {
        let rows = sql::query_as(concat!(
            tenant_columns!(), matching!(), " order by lower(t.name), t.id limit $4 offset $5"
        ))
        .bind(restricted_to(view))
        .bind(name)
        .bind(id)
        .bind(limit)
        .bind(offset)
        .fetch_all(&mut *c)
        .await?;
        let matching = sql::query_scalar(concat!("select count(*)", matching!()))
            .bind(restricted_to(view))
            .bind(name)
            .bind(id)
            .fetch_one(&mut *c)
            .await?;
        Ok((rows, matching))
    })
}

/// Tenants within a view whose ID, name or workspace match: that of the ID first, then by name. Of
/// the names that match the whole text is the shortest.
pub async fn tenants_named(
    tx: &mut Tx,
    view: ViewScope,
    name: &str,
    id: Option<i64>,
    limit: i64,
) -> Result<Vec<SupportTenant>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(concat!(
            tenant_columns!(), tenants_in_view!(), " and (", name_matches!("t.name", "$2"), " or ",
            name_matches!("w.name", "$2"), " or t.id = $3) order by case when t.id = $3 then 0 when ",
            name_matches!("t.name", "$2"), " then 1 else 2 end, length(t.name), lower(t.name), t.id limit $4"
        ))
        .bind(restricted_to(view))
        .bind(name)
        .bind(id)
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}

/// A tenant of a run, and how its share stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct RunTenant {
    /// Id.
    pub tenant_id: i64,
    /// Its name, as stored.
    pub tenant_name: String,
    /// Code of how far it is.
    pub status: String,
    /// Why it failed.
    pub reason_code: Option<String>,
}

/// The tenants of a run within a view, failed ones first, whose name or id match; and how many do
/// in all.
pub async fn run_tenants(
    tx: &mut Tx,
    run_id: i64,
    view: ViewScope,
    (name, id): (Option<&str>, Option<i64>),
    limit: i64,
) -> Result<(Vec<RunTenant>, i64)> {
    macro_rules! matching {
        () => {
            concat!(
                " from operation_run_targets g join tenants t on t.id = g.tenant_id \
                 where g.run_id = $2 and ($1 is null or exists (select 1 \
                 from platform_user_workspaces v where v.platform_user_id = $1 \
                 and v.workspace_id = t.workspace_id)) and ($3 is null or ",
                name_matches!("t.name", "$3"),
                " or t.id = $4)"
            )
        };
    }
    on_tx!(tx, c => {
        let rows = sql::query_as(concat!(
            "select t.id as tenant_id, t.name as tenant_name, g.status, g.reason_code", matching!(),
            " order by case g.status when 'failed' then 0 when 'pending' then 1 when 'skipped' then 2 \
             else 3 end, g.ordinal limit $5"
        ))
        .bind(restricted_to(view))
        .bind(run_id)
        .bind(name)
        .bind(id)
        .bind(limit)
        .fetch_all(&mut *c)
        .await?;
        let matching = sql::query_scalar(concat!("select count(*)", matching!()))
            .bind(restricted_to(view))
            .bind(run_id)
            .bind(name)
            .bind(id)
            .fetch_one(&mut *c)
            .await?;
        Ok((rows, matching))
    })
}

/// One tenant's share of a run.
pub async fn run_tenant(tx: &mut Tx, run_id: i64, tenant_id: i64) -> Result<Option<RunTenant>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select t.id as tenant_id, t.name as tenant_name, g.status, g.reason_code \
             from operation_run_targets g join tenants t on t.id = g.tenant_id \
             where g.run_id = $1 and g.tenant_id = $2",
        )
        .bind(run_id)
        .bind(tenant_id)
        .fetch_optional(c)
        .await?)
    })
}

/// The newest runs of a tenant, its own and those over many, within a view.
pub async fn runs(tx: &mut Tx, tenant_id: i64, view: ViewScope, limit: i64) -> Result<Vec<Run>> {
    let rows: Vec<RunRow> = on_tx!(tx, c => {
        sql::query_as(concat!(
            "select ", run_columns!(), ", ", overdue!(database_now!()),
            " as lease_overdue from operation_runs r", run_joins!(), "where r.id in (\
             select id from (select id from operation_runs where tenant_id = $1 \
             order by created_at desc, id desc limit $3) own union \
             select run_id from (select g.run_id from operation_run_targets g \
             join operation_runs r on r.id = g.run_id where g.tenant_id = $1", in_view!(),
            "order by g.run_id desc limit $3) share)", in_view!(),
            "order by r.created_at desc, r.id desc limit $3"
        ))
        .bind(tenant_id)
        .bind(restricted_to(view))
        .bind(limit)
        .fetch_all(c)
        .await?
    });
    rows.into_iter().map(Run::try_from).collect()
}

/// How a tenant's own runs of some time ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct RunSums {
    /// Created since then; none: not kept.
    pub total: Option<i64>,
    /// Of these, failed, wholly or in part; none: not kept.
    pub failed: Option<i64>,
    /// Of these, still active.
    pub active: i64,
    /// The moment since then before which ended runs are not kept; none: all are.
    pub missing_before: Option<DateTime<Utc>>,
}

/// How a tenant's own runs since `since` ended.
pub async fn run_sums(tx: &mut Tx, tenant_id: i64, since: DateTime<Utc>) -> Result<RunSums> {
    let missing_before = retention::missing_before(tx, Data::Runs, since).await?;
    let (total, failed, active): (i64, i64, i64) = on_tx!(tx, c => {
        sql::query_as(
            "select count(*), count(*) filter (where outcome in ('failed', 'partially_succeeded')), \
             count(*) filter (where status <> 'completed') \
             from operation_runs where tenant_id = $1 and created_at >= $2",
        )
        .bind(tenant_id)
        .bind(since)
        .fetch_one(c)
        .await?
    });
    let kept = |number: i64| (number > 0 || missing_before.is_none()).then_some(number);
    Ok(RunSums { total: kept(total), failed: kept(failed), active, missing_before })
}

/// The reason for which most of a tenant's own runs since `since` failed, and how many did.
pub async fn main_reason(
    tx: &mut Tx,
    tenant_id: i64,
    since: DateTime<Utc>,
) -> Result<Option<(String, i64)>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select reason_code, count(*) from operation_runs where tenant_id = $1 and created_at >= $2 \
             and reason_code is not null and outcome in ('failed', 'partially_succeeded', 'blocked') \
             group by reason_code order by count(*) desc, reason_code limit 1",
        )
        .bind(tenant_id)
        .bind(since)
        .fetch_optional(c)
        .await?)
    })
}

/// A failure of a tenant.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct TenantFailure {
    /// Id.
    pub id: i64,
    /// Its run.
    pub run_id: i64,
    /// Code of why.
    pub reason_code: String,
    /// As stored: sanitised.
    pub message: String,
    /// 12 hex digits.
    pub fingerprint: String,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

/// The newest failures of a tenant in a run, with those of the run itself; and how many there are.
pub async fn run_failures(
    tx: &mut Tx,
    (run_id, tenant_id): (i64, i64),
    limit: i64,
) -> Result<(Vec<TenantFailure>, i64)> {
    on_tx!(tx, c => {
        let rows = sql::query_as(
            "select id, run_id, reason_code, message, fingerprint, occurred_at from operation_run_failures \
             where run_id = $1 and (tenant_id = $2 or tenant_id is null) order by id desc limit $3",
        )
        .bind(run_id)
        .bind(tenant_id)
        .bind(limit)
        .fetch_all(&mut *c)
        .await?;
        let total = sql::query_scalar(
            "select count(*) from operation_run_failures where run_id = $1 and (tenant_id = $2 or tenant_id is null)",
        )
        .bind(run_id)
        .bind(tenant_id)
        .fetch_one(&mut *c)
        .await?;
        Ok((rows, total))
    })
}

/// The reasons for which a tenant failed in a run, most first.
pub async fn run_reasons(tx: &mut Tx, run_id: i64, tenant_id: i64) -> Result<Vec<(String, i64)>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select reason_code, count(*) from operation_run_failures \
             where run_id = $1 and (tenant_id = $2 or tenant_id is null) \
             group by reason_code order by count(*) desc, reason_code",
        )
        .bind(run_id)
        .bind(tenant_id)
        .fetch_all(c)
        .await?)
    })
}

/// A connection to a provider.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct Connection {
    /// Id.
    pub id: i64,
    /// The provider's name.
    pub provider: String,
    /// Code of how it stands.
    pub status: String,
    /// Code of what was wrong last.
    pub last_error_code: Option<String>,
    /// When it was looked at last.
    pub last_checked_at: Option<DateTime<Utc>>,
    /// When the customer's consent ends.
    pub consent_expires_at: Option<DateTime<Utc>>,
}

/// The connections of a tenant.
pub async fn connections(tx: &mut Tx, tenant_id: i64, limit: i64) -> Result<Vec<Connection>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select id, provider, status, last_error_code, last_checked_at, consent_expires_at \
             from provider_connections where tenant_id = $1 order by id desc limit $2",
        )
        .bind(tenant_id)
        .bind(limit)
        .fetch_all(c)
        .await?)
    })
}

/// Open findings of one severity.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct FindingSums {
    /// Code of the severity.
    pub severity: String,
    /// How many are open.
    pub open: i64,
    /// How many of these are overdue.
    pub overdue: i64,
    /// How many there are, closed ones with them.
    pub total: i64,
    /// When one changed last.
    pub newest_at: Option<DateTime<Utc>>,
}

/// The findings of a tenant by severity, worst first.
pub async fn findings(tx: &mut Tx, tenant_id: i64, now: DateTime<Utc>) -> Result<Vec<FindingSums>> {
    on_tx!(tx, c => {
        Ok(sql::query_as(
            "select severity, count(*) filter (where status not in ('resolved', 'duplicate')) as open, \
             count(*) filter (where status not in ('resolved', 'duplicate') and due_at < $2) as overdue, \
             count(*) as total, max(updated_at) as newest_at from findings where tenant_id = $1 \
             group by severity order by case severity when 'critical' then 0 when 'high' then 1 \
             when 'medium' then 2 else 3 end",
        )
        .bind(tenant_id)
        .bind(now)
        .fetch_all(c)
        .await?)
    })
}

/// A stored report or a review pack.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Stored {
    /// Id.
    pub id: i64,
    /// The run that made it.
    pub run_id: Option<i64>,
    /// The report's type, or the pack's status.
    pub code: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// The newest stored reports of a tenant, and how many there are.
pub async fn reports(tx: &mut Tx, tenant_id: i64, limit: i64) -> Result<(Vec<Stored>, i64)> {
    on_tx!(tx, c => {
        let rows = sql::query_as(
            "select id, coalesce(run_id, gone_run_id) as run_id, report_type as code, created_at from stored_reports \
             where tenant_id = $1 order by created_at desc, id desc limit $2",
        )
        .bind(tenant_id)
        .bind(limit)
        .fetch_all(&mut *c)
        .await?;
        let total = sql::query_scalar("select count(*) from stored_reports where tenant_id = $1")
            .bind(tenant_id)
            .fetch_one(&mut *c)
            .await?;
        Ok((rows, total))
    })
}

/// The newest review packs of a tenant, and how many there are.
pub async fn packs(tx: &mut Tx, tenant_id: i64, limit: i64) -> Result<(Vec<Stored>, i64)> {
    on_tx!(tx, c => {
        let rows = sql::query_as(
            "select id, coalesce(run_id, gone_run_id) as run_id, status as code, created_at from review_packs \
             where tenant_id = $1 order by created_at desc, id desc limit $2",
        )
        .bind(tenant_id)
        .bind(limit)
        .fetch_all(&mut *c)
        .await?;
        let total = sql::query_scalar("select count(*) from review_packs where tenant_id = $1")
            .bind(tenant_id)
            .fetch_one(&mut *c)
            .await?;
        Ok((rows, total))
    })
}

/// A row of the audit log without names.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Trace {
    /// Id.
    pub id: i64,
    /// What kind of actor.
    pub actor_kind: String,
    /// The actor's id, where they have one.
    pub actor_id: Option<i64>,
    /// Dotted action id.
    pub action: String,
    /// Code of how it ended.
    pub status: String,
    /// The run it touched.
    pub run_id: Option<i64>,
    /// Whether it happened under break-glass.
    pub break_glass: bool,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

/// The newest audit rows about a tenant, or about a run where one is given.
pub async fn trail(
    tx: &mut Tx,
    tenant_id: i64,
    run_id: Option<i64>,
    limit: i64,
) -> Result<Vec<Trace>> {
    macro_rules! select {
        ($of:literal) => {
            concat!(
                "select id, actor_kind, actor_id, action, status, run_id, break_glass, occurred_at \
                 from audit_logs where ",
                $of,
                " order by id desc limit $2"
            )
        };
    }
    on_tx!(tx, c => {
        let sql = if run_id.is_some() { select!("run_id = $1") } else { select!("tenant_id = $1") };
        Ok(sql::query_as(sql).bind(run_id.unwrap_or(tenant_id)).bind(limit).fetch_all(c).await?)
    })
}
