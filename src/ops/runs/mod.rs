//! Operation runs: starting, executing and reading them.

mod alerting;
mod basis;
mod control;
mod execute;
mod finish;
mod given;
mod list;
mod postpone;
mod read;
mod retry;
mod shares;
mod start;
mod step;

pub use super::store::audit::AuditRow;
pub use super::store::faults::{During, RunFault};
pub use super::store::lifecycle::{Claimed, Claims};
pub use super::store::requests::RequestRow;
pub use super::store::targets::{Begun, Pending};
pub(in crate::ops) use basis::{active_workers, complete_with, missing, supported};
pub(in crate::ops) use control::found;
pub use control::{CancelRun, CloseRun, Controlled, PauseRun, ResumeRun};
pub use execute::{
    ClaimNext, ClaimRun, CompleteRun, ExtendLease, RecordFailure, ReportProgress, TAKEOVER_LIMIT,
};
pub use finish::{BlockRun, FinishRun, ReleaseRun, Released};
pub(in crate::ops) use finish::{End, write_end};
pub(in crate::ops) use given::check_reserved;
pub use list::{COUNT_BOUND, CountRuns, Cursor, ListRuns, Page, RunCounts, RunPage};
pub use postpone::{OpenStart, PostponeRun, TakeBackStarts};
pub use read::{ELSEWHERE_BOUND, FailureGroup, Gaps, GetRun, RunDetail, TARGETS_SHOWN};
pub(in crate::ops) use retry::retry_confirmation;
pub use retry::{PlanRetry, Retried, RetryPlan, RetryRun};
pub(in crate::ops) use shares::{counts_of, outcome_of};
pub use start::{Entry, FindRequest, RunScope, StartRun, Started};
pub(in crate::ops) use start::{Frozen, NewStart, freeze, lock_scope, look, make, used_request_id};
pub use step::{
    Asked, BeginTarget, Beginning, Canary, DueTargets, FailStep, HowFar, Outage, Pulse, Refresh,
    RunStep, START_LIMIT, Stepped,
};
