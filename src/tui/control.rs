//! What the console can ask of a run: the words for it, what has to be typed, what is sent.

use crate::domain::confirmation::{Action, Confirmation};
use crate::domain::run::{Run, RunStatus, Source};
use crate::domain::run_facts::RunFacts;
use crate::ops::runs::{
    CancelRun, CloseRun, Controlled, PauseRun, ResumeRun, Retried, RetryPlan, RetryRun,
};
use crate::ops::{AnyOperation, Consent};
use crate::tui::look::grouped;
use crate::tui::screens::operations_tenant_text;
use crate::{Error, ErrorKind};

pub const LOST: &str = "changes are disabled: the database does not answer; they come back with it";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Control {
    /// End it; what is not done is skipped.
    Cancel,
    /// End it whatever its worker does.
    Close,
    /// Keep workers from going on with it.
    Pause,
    /// Let workers go on with it.
    Resume,
    /// Do again what failed or never ran.
    Retry,
}

impl Control {
    pub fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Close => "close by force",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
        }
    }

    /// The operation that does it. `request_id` is the same for every attempt of one dialog: a lost
    /// answer does not start two runs.
    pub fn operation(
        self,
        run_id: i64,
        consent: Consent,
        request_id: &str,
        wait_for_worker: bool,
    ) -> AnyOperation {
        match self {
            Self::Cancel => CancelRun { run_id, consent }.into(),
            Self::Close => CloseRun { run_id, consent }.into(),
            Self::Pause => PauseRun { run_id, consent }.into(),
            Self::Resume => ResumeRun { run_id, consent }.into(),
            Self::Retry => {
                let request_id = Some(request_id.to_owned());
                let source = Source::Console;
                RetryRun { run_id, consent, source, request_id, wait_for_worker }.into()
            }
        }
    }

    /// What is said once it was done to run `id`, or asked of its worker.
    pub fn outcome(self, id: i64, done: Controlled) -> String {
        let (asked, ended) = match self {
            Self::Cancel => ("cancel", "cancelled"),
            Self::Pause => ("pause", "paused"),
            Self::Close => return format!("run {id} is closed"),
            Self::Resume | Self::Retry => return format!("run {id} is not paused any more"),
        };
        match done {
            Controlled::Done => format!("run {id} is {ended}"),
            Controlled::Requested => format!("{asked} requested of run {id}"),
            Controlled::AlreadyRequested => format!("a {asked} of run {id} was requested before"),
        }
    }

    /// Why it makes no sense for a run as it stands; none where it does.
    pub fn refusal(self, facts: &RunFacts<'_>) -> Option<String> {
        match self {
            Self::Retry => facts.no_retry(),
            Self::Cancel => facts.no_cancel(),
            Self::Close => facts.no_close(),
            Self::Pause | Self::Resume => facts.no_change(),
        }
    }

    pub fn confirmation(self, run: &Run, plan: Option<&RetryPlan>) -> Option<Confirmation> {
        let action = match self {
            Self::Retry => return plan.map(|plan| plan.confirmation.clone()),
            Self::Close => Action::Close(run.id),
            Self::Cancel => Action::Cancel { run_id: run.id, targets: run.target_count },
            Self::Pause => Action::Pause(run.id),
            Self::Resume => Action::Resume(run.id),
        };
        Confirmation::of(&action).ok()
    }

    pub fn consequence(self, run: &Run, targets: Option<usize>) -> String {
        // Of a lost worker nothing is asked.
        let held = run.status == RunStatus::Running && !run.lease_overdue;
        let text = match self {
            Self::Cancel if held => {
                "Its worker is asked to stop. What is in flight is finished, what is not done yet \
                 is skipped, what is done stays done."
            }
            Self::Cancel => {
                "It ends at once. What is not done yet is skipped, what is done stays done."
            }
            Self::Close => {
                "It ends now, whatever its worker does: nothing that the worker still tries has an \
                 effect. What is not done yet is skipped."
            }
            Self::Pause if held => {
                "Its worker lets go of it once the steps in flight are done; it waits until \
                 somebody resumes it."
            }
            Self::Pause => "No worker claims it until somebody resumes it.",
            Self::Resume if held => "The pause that was asked for is taken back.",
            Self::Resume => match run.basis.support.obstacle(&run.run_type) {
                Some(why) => {
                    return format!("It goes back into the queue, and waits there: {why}.");
                }
                None => "It goes back into the queue; the next free worker goes on with it.",
            },
            Self::Retry => match targets {
                None => "Counting what failed or never ran ...",
                Some(1) => {
                    "A new run does again, with the same inputs, the one target that failed or \
                     never ran."
                }
                Some(n) => {
                    let n = grouped(i64::try_from(n).unwrap_or(i64::MAX));
                    return format!(
                        "A new run does again, with the same inputs, the {n} targets that failed \
                         or never ran. The others are not touched."
                    );
                }
            },
        };
        text.to_owned()
    }
}

pub fn retry_outcome(retried: &Retried) -> String {
    let new = retried.started.run_id;
    if !retried.started.created {
        return format!("run {new} does the same already, enter to view");
    }
    let left = match retried.gone {
        0 => String::new(),
        n => format!(" ({n} left out: archived)"),
    };
    format!("queued as run {new}{left}, enter to view")
}

/// Whom a run covers, for a person who is about to change it.
pub fn covered(run: &Run) -> String {
    let who = operations_tenant_text(run);
    match run.tenant_id {
        Some(id) => format!("tenant {id}, {who}"),
        None => who,
    }
}

pub fn lost() -> Error {
    Error::new(ErrorKind::Unreachable, LOST)
}

pub fn mistyped(phrase: &str) -> Error {
    Error::usage(format!("that is not {phrase}; nothing was changed"))
}
