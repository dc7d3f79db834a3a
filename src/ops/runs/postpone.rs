//! What a worker does about an outage once it can: puts the end of a run off, and takes back what
//! counts as a crash without being one.

use std::time::Duration;

use crate::access::Requirement;
use crate::domain::database_fault::DatabaseFault;
use crate::ops::store::faults::{self, During};
use crate::ops::store::{Tx, outages, savepoint, targets};
use crate::ops::{Access, Context, Operation};
use crate::{Error, Result};

/// Puts off a run whose end could not be written: its lease ends after a while, and whoever claims
/// it then takes it from no lost worker.
#[derive(Debug, Clone)]
pub struct PostponeRun {
    /// Run.
    pub run_id: i64,
    /// The claim's fence.
    pub fence: i64,
    /// For how long.
    pub pause: Duration,
    /// What the database said.
    pub fault: Option<DatabaseFault>,
}

impl PostponeRun {
    pub(in crate::ops) fn sample() -> Self {
        Self { run_id: 0, fence: 0, pause: Duration::from_secs(1), fault: None }
    }
}

impl Operation for PostponeRun {
    const NAME: &'static str = "runs.postpone";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = ();

    async fn execute(self, context: &mut Context) -> Result<()> {
        let now = context.now();
        let tx = context.tx()?;
        let Self { run_id, fence, pause, fault } = self;
        if !outages::postpone(tx, run_id, fence, pause.as_secs_f64()).await? {
            return Err(super::execute::lost());
        }
        faults::try_record(tx, run_id, During::End, fault.as_ref(), now).await?;
        // The run's own row may be what cannot be written.
        savepoint::begin(tx).await?;
        let marked = outages::no_takeover(tx, run_id, fence).await;
        savepoint::settle(tx, marked).await?.or_else(only_if_lasting)?;
        savepoint::begin(tx).await?;
        let taken_back = targets::take_back_starts(tx, run_id).await;
        savepoint::settle(tx, taken_back).await?.or_else(only_if_lasting)
    }
}

/// Bears what the database refuses, also for want of a grant; another outage is an error.
fn only_if_lasting(error: Error) -> Result<()> {
    if error.retry_can_help() { Err(error) } else { Ok(()) }
}

/// A start after which an outage came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenStart {
    /// The target.
    pub ordinal: i64,
    /// Its marker at the start.
    pub steps: i64,
    /// The starts that counted before it.
    pub counted: i64,
    /// What the database said to its step, if it said anything.
    pub fault: Option<DatabaseFault>,
}

/// Takes back the starts of a run after which an outage came, and the takeover of a run that was
/// lost to it, whether that came already or is to come: the worker is alive, and nothing crashed. Starts that were followed by progress are
/// left alone. What the database said is kept also where they cannot be taken back; gives whether
/// they were.
#[derive(Debug, Clone)]
pub struct TakeBackStarts {
    /// Run.
    pub run_id: i64,
    /// The fence of the claim.
    pub fence: i64,
    /// The starts.
    pub starts: Vec<OpenStart>,
    /// The process that lost the run to the outage; none: it still holds it.
    pub lost_by: Option<String>,
}

impl Operation for TakeBackStarts {
    const NAME: &'static str = "runs.take_back_starts";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Write;
    type Output = bool;

    async fn execute(self, context: &mut Context) -> Result<bool> {
        let now = context.now();
        let takes_back = context.takes_starts_back();
        let tx = context.tx()?;
        for OpenStart { fault, .. } in &self.starts {
            faults::try_record(tx, self.run_id, During::Step, fault.as_ref(), now).await?;
        }
        if !takes_back {
            return Ok(true);
        }
        savepoint::begin(tx).await?;
        let taken_back = self.take_back(tx).await;
        Ok(savepoint::settle(tx, taken_back).await?.is_ok())
    }
}

impl TakeBackStarts {
    async fn take_back(self, tx: &mut Tx) -> Result<()> {
        for OpenStart { ordinal, steps, counted, .. } in self.starts {
            outages::take_back_start(tx, self.run_id, ordinal, steps, counted).await?;
        }
        if let Some(owner) = &self.lost_by {
            outages::take_back_takeover(tx, self.run_id, self.fence, owner).await?;
            outages::no_takeover(tx, self.run_id, self.fence).await?;
        }
        Ok(())
    }
}
