//! What the console can ask of a run: the words for it, what has to be typed, how it is sent.

use super::look::grouped;
use super::screens::operations_tenant_text;
use crate::access::Actor;
use crate::domain::confirmation::{Action, Confirmation};
use crate::domain::run::{Run, RunStatus, Source};
use crate::domain::run_facts::RunFacts;
use crate::ops::overview::{GroupRetried, RetryGroup};
use crate::ops::runs::{
    CancelRun, CloseRun, Controlled, PauseRun, ResumeRun, Retried, RetryPlan, RetryRun,
};
use crate::ops::{Consent, Ops};
use crate::{Error, Result};

/// What can be asked of a run.
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

/// A request to a run, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlRequest {
    /// The run.
    pub run_id: i64,
    /// What is asked.
    pub control: Control,
    /// What confirms it, and why.
    pub consent: Consent,
    /// The same for every attempt of one dialog: a lost answer does not start two runs.
    pub request_id: String,
    /// Whether it was chosen that a new run may wait for a worker.
    pub wait_for_worker: bool,
}

/// A request to try the runs of an error again, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRequest {
    /// The fingerprint of the error.
    pub fingerprint: String,
    /// The runs, as the plan named them.
    pub run_ids: Vec<i64>,
    /// What confirms it, and why.
    pub consent: Consent,
    /// Whether it was chosen that new runs may wait for a worker.
    pub wait_for_worker: bool,
}

impl GroupRequest {
    /// Sends it, as the person who is logged in.
    pub async fn send(&self, ops: &Ops, actor: &Actor) -> Result<GroupRetried> {
        let retry = RetryGroup {
            fingerprint: self.fingerprint.clone(),
            run_ids: self.run_ids.clone(),
            consent: self.consent.clone(),
            source: Source::Console,
            wait_for_worker: self.wait_for_worker,
        };
        ops.run(actor, retry).await
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlDone {
    /// It was done, or asked of the worker.
    Controlled(Controlled),
    /// A retry.
    Retried(Retried),
}

impl ControlRequest {
    /// Sends it, as the person who is logged in.
    pub async fn send(&self, ops: &Ops, actor: &Actor) -> Result<ControlDone> {
        let (run_id, consent) = (self.run_id, self.consent.clone());
        let done = match self.control {
            Control::Cancel => ops.run(actor, CancelRun { run_id, consent }).await,
            Control::Pause => ops.run(actor, PauseRun { run_id, consent }).await,
            Control::Close => ops.run(actor, CloseRun { run_id, consent }).await,
            Control::Resume => ops.run(actor, ResumeRun { run_id, consent }).await,
            Control::Retry => {
                let retry = RetryRun {
                    run_id,
                    consent,
                    source: Source::Console,
                    request_id: Some(self.request_id.clone()),
                    wait_for_worker: self.wait_for_worker,
                };
                return ops.run(actor, retry).await.map(ControlDone::Retried);
            }
        };
        done.map(ControlDone::Controlled)
    }

    /// What to tell once it was done, and the run to view then, if it made one.
    pub fn told(&self, done: ControlDone) -> (String, Option<i64>) {
        let id = self.run_id;
        let text = match (self.control, done) {
            (_, ControlDone::Retried(retried)) => {
                let new = retried.started.run_id;
                let left = match retried.gone {
                    0 => String::new(),
                    n => format!(" ({n} left out: archived)"),
                };
                let text = if retried.started.created {
                    format!("queued as run {new}{left}, enter to view")
                } else {
                    format!("run {new} does the same already, enter to view")
                };
                return (text, Some(new));
            }
            (Control::Cancel, ControlDone::Controlled(Controlled::Done)) => {
                format!("run {id} is cancelled")
            }
            (Control::Cancel, ControlDone::Controlled(Controlled::AlreadyRequested)) => {
                format!("a cancel of run {id} was requested before")
            }
            (Control::Cancel, _) => format!("cancel requested of run {id}"),
            (Control::Pause, ControlDone::Controlled(Controlled::Done)) => {
                format!("run {id} is paused")
            }
            (Control::Pause, ControlDone::Controlled(Controlled::AlreadyRequested)) => {
                format!("a pause of run {id} was requested before")
            }
            (Control::Pause, _) => format!("pause requested of run {id}"),
            (Control::Close, _) => format!("run {id} is closed"),
            (Control::Resume | Control::Retry, _) => format!("run {id} is not paused any more"),
        };
        (text, None)
    }
}

impl Control {
    /// The verb.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Close => "close by force",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
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

    /// What confirms it; none for a retry before its targets are counted.
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

    /// What will happen.
    pub fn consequence(self, run: &Run, targets: Option<usize>) -> String {
        // Of a lost worker nothing is asked.
        let held = run.status == RunStatus::Running && !run.lease_overdue;
        match self {
            Self::Cancel if held => {
                "Its worker is asked to stop. What is in flight is finished, what \
                                     is not done yet is skipped, what is done stays done."
                    .to_owned()
            }
            Self::Cancel => {
                "It ends at once. What is not done yet is skipped, what is done stays done."
                    .to_owned()
            }
            Self::Close => "It ends now, whatever its worker does: nothing that the worker still \
                            tries has an effect. What is not done yet is skipped."
                .to_owned(),
            Self::Pause if held => {
                "Its worker lets go of it once the steps in flight are done; it \
                                    waits until somebody resumes it."
                    .to_owned()
            }
            Self::Pause => "No worker claims it until somebody resumes it.".to_owned(),
            Self::Resume if held => "The pause that was asked for is taken back.".to_owned(),
            Self::Resume => match run.basis.support.obstacle(&run.run_type) {
                Some(why) => format!("It goes back into the queue, and waits there: {why}."),
                None => {
                    "It goes back into the queue; the next free worker goes on with it.".to_owned()
                }
            },
            Self::Retry => match targets {
                None => "Counting what failed or never ran ...".to_owned(),
                Some(1) => {
                    "A new run does again, with the same inputs, the one target that failed or \
                            never ran."
                        .to_owned()
                }
                Some(n) => format!(
                    "A new run does again, with the same inputs, the {} targets that failed or never \
                     ran. The others are not touched.",
                    grouped(i64::try_from(n).unwrap_or(i64::MAX))
                ),
            },
        }
    }
}

/// Whom a run covers, for a person who is about to change it.
pub fn covered(run: &Run) -> String {
    let who = operations_tenant_text(run);
    match run.tenant_id {
        Some(id) => format!("tenant {id}, {who}"),
        None => who,
    }
}

/// What is said where the typed text is not the phrase.
pub fn mistyped(phrase: &str) -> Error {
    Error::usage(format!("that is not {phrase}; nothing was changed"))
}
