//! The counts of ended runs: kept up, compared, made anew.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use crate::Result;
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::ops::store::run_count_upkeep as upkeep;
use crate::ops::telemetry::whole_platform;
use crate::ops::{Access, AuditStatus, Context, Operation};

/// How many appended changes are folded at once.
const FOLD: i64 = 50_000;
/// How many differences are named.
const NAMED: i64 = 50;

/// Adds what was appended as runs ended to the counts. The overview is exact before and after;
/// this keeps it quick.
#[derive(Debug, Clone, Copy)]
pub struct FoldRunCounts;

impl Operation for FoldRunCounts {
    const NAME: &'static str = "overview.fold_counts";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    /// Whether there may be more.
    type Output = bool;

    async fn execute(self, context: &mut Context) -> Result<bool> {
        Ok(upkeep::fold(context.tx()?, FOLD).await? >= FOLD)
    }
}

/// One count that is not what the runs say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunDifference {
    /// What is counted: `hour` or `day`.
    pub span: String,
    /// When it begins.
    pub start_at: DateTime<Utc>,
    /// The outcome.
    pub outcome: String,
    /// The step of durations that is counted; 0 for what has none.
    pub duration_step: i64,
    /// How many runs there are.
    pub runs: i64,
    /// How many were counted.
    pub counted: i64,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunCountsChecked {
    /// How many counts differ.
    pub different: i64,
    /// The first of them.
    pub differences: Vec<RunDifference>,
}

/// Compares every count with the runs. It reads all of them.
#[derive(Debug, Clone, Copy)]
pub struct CheckRunCounts;

impl Operation for CheckRunCounts {
    const NAME: &'static str = "overview.check_counts";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    // One transaction, which takes as long as a table takes to be read.
    const ACCESS: Access = Access::Stepwise;
    type Output = RunCountsChecked;

    async fn execute(self, context: &mut Context) -> Result<RunCountsChecked> {
        context.begin_checked(&Self::REQUIREMENT, false).await?;
        whole_platform(context)?;
        let (rows, different) = upkeep::differences(context.tx()?, NAMED).await?;
        context.end(false).await?;
        let differences = rows.into_iter().map(|row| RunDifference {
            span: row.span,
            start_at: row.start_at,
            outcome: row.outcome,
            duration_step: row.took,
            runs: row.held,
            counted: row.counted,
        });
        Ok(RunCountsChecked { different, differences: differences.collect() })
    }
}

/// Makes every count anew from the runs, while runs end.
#[derive(Debug, Clone, Copy)]
pub struct RebuildRunCounts;

impl Operation for RebuildRunCounts {
    const NAME: &'static str = "overview.rebuild_counts";
    const REQUIREMENT: Requirement =
        Requirement::All(&[Capability::OpsView, Capability::OpsManage]);
    const ACCESS: Access = Access::Write;
    // It reads every run.
    const PATIENCE: u32 = 150;
    /// How many ended runs it counted.
    type Output = i64;

    async fn execute(self, context: &mut Context) -> Result<i64> {
        whole_platform(context)?;
        let runs = upkeep::rebuild(context.tx()?).await?;
        let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        row.metadata = json!({ "runs": runs });
        context.audit(&row).await?;
        Ok(runs)
    }
}
