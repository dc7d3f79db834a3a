//! The targets of a plan as CSV, the same wherever they are exported.

use super::PlanTarget;
use crate::domain::csv::csv;

/// The names of the columns.
const HEADINGS: [&str; 6] =
    ["tenant_id", "tenant_name", "workspace_id", "workspace_name", "affected_count", "total_count"];

/// Targets of a plan as CSV, with headings.
pub fn targets_csv(targets: &[PlanTarget]) -> String {
    let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
    let headings = HEADINGS.map(str::to_owned);
    csv(std::iter::once(headings).chain(targets.iter().map(|target| {
        [
            number(target.tenant_id),
            target.tenant_name.clone().unwrap_or_default(),
            number(target.workspace_id),
            target.workspace_name.clone().unwrap_or_default(),
            target.affected_count.to_string(),
            target.total_count.to_string(),
        ]
    })))
}
