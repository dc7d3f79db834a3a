//! Operation runs: starting, executing and reading them.

mod execute;
mod list;
mod read;
mod start;

pub use super::store::audit::AuditRow;
pub use super::store::lifecycle::Claimed;
pub use execute::{ClaimRun, CompleteRun, ExtendLease, RecordFailure, ReportProgress};
pub use list::{COUNT_BOUND, CountRuns, Cursor, ListRuns, Page, RunCounts, RunPage};
pub use read::{ELSEWHERE_BOUND, FailureGroup, GetRun, RunDetail, TARGETS_SHOWN};
pub use start::{Entry, RunScope, StartRun, Started};
