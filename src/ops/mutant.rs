//! Seeded bugs. The fault tests run the real worker with one of these and have to notice it:
//! a harness that cannot fail proves nothing.
//!
//! Builds without debug assertions, which is what people run, have no way to turn one on.

use std::time::Duration;

use super::{Context, Ops};
use crate::Result;

/// How long a torn transaction stays torn: long enough for a worker to die in it.
const TORN: Duration = Duration::from_millis(15);
/// How long a completion that does not look takes to begin: long enough for somebody else to
/// end the run.
const LATE: Duration = Duration::from_millis(150);

/// A way in which the execution of runs could be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Writes do not repeat that the claim still holds.
    NoFence,
    /// Counts are added up step by step instead of being derived from the targets.
    IncrementedCounters,
    /// The effect of a step and its marker are two transactions.
    NoMarker,
    /// A run is completed without looking whether it still is this worker's.
    CompletionWithoutLock,
    /// A start that an outage came after counts as one that crashed.
    CountedOutages,
    /// A COMMIT whose answer is lost counts as one that was never sent.
    DeniesLostCommits,
}

impl Mutant {
    /// Every mutant of the execution of runs, with its name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("no_fence", Self::NoFence),
        ("incremented_counters", Self::IncrementedCounters),
        ("no_marker", Self::NoMarker),
        ("completion_without_lock", Self::CompletionWithoutLock),
        ("counted_outages", Self::CountedOutages),
    ];
}

impl Ops {
    /// Whether a worker on this service fences itself off, as it has to.
    pub(crate) fn is_fenced(&self) -> bool {
        #[cfg(debug_assertions)]
        return self.inner.settings.mutant != Some(Mutant::NoFence);
        #[cfg(not(debug_assertions))]
        true
    }

    /// Whether a COMMIT whose answer is lost counts as one that was never sent.
    pub(super) fn denies_lost_commits(&self) -> bool {
        #[cfg(debug_assertions)]
        return self.inner.settings.mutant == Some(Mutant::DeniesLostCommits);
        #[cfg(not(debug_assertions))]
        false
    }
}

impl Context {
    /// The seeded bug of this process; none in builds that people run.
    pub(super) fn mutant(&self) -> Option<Mutant> {
        #[cfg(debug_assertions)]
        return self.settings().mutant;
        #[cfg(not(debug_assertions))]
        None
    }

    /// Whether writes of a worker are fenced, as they have to be.
    pub(super) fn fenced(&self) -> bool {
        self.mutant() != Some(Mutant::NoFence)
    }

    /// Whether starts that outages came after are taken back, as they have to be.
    pub(super) fn takes_starts_back(&self) -> bool {
        self.mutant() != Some(Mutant::CountedOutages)
    }

    /// Where a build with [`Mutant::NoMarker`] tears effect and marker apart.
    pub(super) async fn between_effect_and_marker(&mut self) -> Result<()> {
        if self.mutant() == Some(Mutant::NoMarker) {
            self.tear().await?;
        }
        Ok(())
    }

    /// Commits what was written and goes on in another transaction, after a moment in which a
    /// worker may die.
    pub(super) async fn tear(&mut self) -> Result<()> {
        self.commit_and_begin(TORN).await
    }

    /// Whether a completion looks if the run still is this worker's, as it has to. One that
    /// does not comes late, too.
    pub(super) async fn completes_with_lock(&mut self) -> Result<bool> {
        let blind = self.completes_blindly();
        if blind {
            self.commit_and_begin(LATE).await?;
        }
        Ok(!blind)
    }

    /// Whether a run that has ended already is ended again.
    pub(super) fn completes_blindly(&self) -> bool {
        self.mutant() == Some(Mutant::CompletionWithoutLock)
    }
}
