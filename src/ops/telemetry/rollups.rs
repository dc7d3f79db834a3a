//! The counts of the ledger: kept up, compared, made anew.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use crate::access::{Requirement, ViewScope};
use crate::domain::capability::Capability;
use crate::ops::store::usage_rollups::{self, DifferenceRow};
use crate::ops::{Access, AuditStatus, Context, Operation};
use crate::{Error, Result};

/// How many appended changes are folded at once.
const FOLD: i64 = 50_000;
/// How many differences are named.
const NAMED: i64 = 50;

/// Adds what writers appended to the counts. The summary is exact before and after; this keeps
/// it quick.
#[derive(Debug, Clone, Copy)]
pub struct FoldRollups;

impl Operation for FoldRollups {
    const NAME: &'static str = "telemetry.fold_rollups";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    /// Whether there may be more.
    type Output = bool;

    async fn execute(self, context: &mut Context) -> Result<bool> {
        Ok(fold(context).await? >= FOLD)
    }
}

async fn fold(context: &mut Context) -> Result<i64> {
    usage_rollups::fold(context.tx()?, FOLD).await
}

/// One count that is not what the ledger says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What is counted: `hour`, `day`, or `workspace_day`.
    pub span: String,
    /// The workspace, of a workspace's day.
    pub workspace_id: Option<i64>,
    /// When the hour or the day begins.
    pub start_at: DateTime<Utc>,
    /// The event's name.
    pub event: String,
    /// How many events the ledger holds.
    pub ledger: i64,
    /// How many were counted.
    pub counted: i64,
}

impl From<DifferenceRow> for Difference {
    fn from(row: DifferenceRow) -> Self {
        Self {
            span: row.span,
            workspace_id: row.workspace_id,
            start_at: row.start_at,
            event: row.event_name,
            ledger: row.ledger,
            counted: row.counted,
        }
    }
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// How many counts differ.
    pub different: i64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

/// Compares every count with the ledger. It reads the whole ledger.
#[derive(Debug, Clone, Copy)]
pub struct CheckRollups;

impl Operation for CheckRollups {
    const NAME: &'static str = "telemetry.check_rollups";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    // One transaction, which takes as long as a ledger takes to be read.
    const ACCESS: Access = Access::Stepwise;
    type Output = Checked;

    async fn execute(self, context: &mut Context) -> Result<Checked> {
        context.begin_checked(&Self::REQUIREMENT, false).await?;
        whole_platform(context)?;
        let (rows, different) = usage_rollups::differences(context.tx()?, NAMED).await?;
        context.end(false).await?;
        Ok(Checked { different, differences: rows.into_iter().map(Difference::from).collect() })
    }
}

/// Makes every count anew from the ledger, while events are written.
#[derive(Debug, Clone, Copy)]
pub struct RebuildRollups;

impl Operation for RebuildRollups {
    const NAME: &'static str = "telemetry.rebuild_rollups";
    const REQUIREMENT: Requirement =
        Requirement::All(&[Capability::OpsView, Capability::OpsManage]);
    const ACCESS: Access = Access::Write;
    // It reads the whole ledger.
    const PATIENCE: u32 = 150;
    /// How many events it counted.
    type Output = i64;

    async fn execute(self, context: &mut Context) -> Result<i64> {
        whole_platform(context)?;
        let events = usage_rollups::rebuild(context.tx()?).await?;
        let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        row.metadata = json!({ "events": events });
        context.audit(&row).await?;
        Ok(events)
    }
}

/// Refuses those who see only some workspaces: this is about all of them.
pub(in crate::ops) fn whole_platform(context: &Context) -> Result<()> {
    if context.permit().scope() == ViewScope::All {
        return Ok(());
    }
    Err(Error::restricted())
}
