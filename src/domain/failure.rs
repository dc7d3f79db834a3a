//! Reasons why work fails: a closed registry of codes, each with what to tell an operator.

use serde::Serialize;

use crate::text_enum;

text_enum! {
    /// Why something failed.
    pub enum ReasonCode as "reason" {
        /// The provider refuses because of too many calls.
        ProviderThrottled = "provider_throttled",
        /// The provider does not answer, or answers with a fault of its own.
        ProviderUnavailable = "provider_unavailable",
        /// The customer's consent or credential for the provider has run out.
        ProviderAuthExpired = "provider_auth_expired",
        /// The provider says that a right is missing.
        PermissionDenied = "permission_denied",
        /// It took longer than it may.
        Timeout = "timeout",
        /// Something else changed the same thing at the same time.
        Conflict = "conflict",
        /// The data does not meet the rules.
        ValidationFailed = "validation_failed",
        /// A part of the platform that is needed does not answer.
        DependencyUnavailable = "dependency_unavailable",
        /// A limit of the customer's plan or of the provider is used up.
        QuotaExceeded = "quota_exceeded",
        /// Queued for too long without a worker.
        StaleQueued = "stale_queued",
        /// The workers that held the run kept disappearing.
        WorkerLost = "worker_lost",
        /// One tenant's step stopped the worker again and again.
        StepCrashed = "step_crashed",
        /// The tenant was archived or removed meanwhile.
        TenantGone = "tenant_gone",
        /// An unattended prune would delete more than its bound allows.
        PruneBoundExceeded = "prune_bound_exceeded",
        /// It was cancelled before this part was done.
        Cancelled = "cancelled",
        /// Nothing in this registry fits.
        UnexpectedError = "unexpected_error",
    }
}

/// Whether doing the same again may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryHelp {
    /// It usually passes by itself.
    Helps,
    /// It depends on something that the operator must look at.
    Maybe,
    /// The same call fails again until something is changed.
    Useless,
}

impl RetryHelp {
    /// In words.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Helps => "usually passes by itself; a retry can help",
            Self::Maybe => "a retry may help, once the cause was looked at",
            Self::Useless => "a retry fails the same way until something is changed",
        }
    }
}

impl ReasonCode {
    /// The code for a stored text. Codes that this version does not know are explained as
    /// unexpected; callers still show the stored text.
    pub fn of(stored: &str) -> Self {
        stored.parse().unwrap_or(Self::UnexpectedError)
    }

    /// A short name for lists.
    pub fn label(self) -> &'static str {
        self.words().0
    }

    /// What happened, as the rest of "the run failed because ...".
    pub fn explanation(self) -> &'static str {
        self.words().1
    }

    /// Whether a retry can help.
    pub fn retry(self) -> RetryHelp {
        match self {
            Self::ProviderThrottled
            | Self::ProviderUnavailable
            | Self::Timeout
            | Self::Conflict
            | Self::DependencyUnavailable => RetryHelp::Helps,
            Self::QuotaExceeded
            | Self::StaleQueued
            | Self::WorkerLost
            | Self::StepCrashed
            | Self::PruneBoundExceeded
            | Self::Cancelled
            | Self::UnexpectedError => RetryHelp::Maybe,
            Self::ProviderAuthExpired
            | Self::PermissionDenied
            | Self::ValidationFailed
            | Self::TenantGone => RetryHelp::Useless,
        }
    }

    /// What to do first, whatever is possible with the run: one concrete sentence that never
    /// speaks of a retry. For a run, ask [`super::run_facts::RunFacts::next_step`].
    pub fn next_step(self) -> &'static str {
        self.words().2
    }

    /// Label, explanation, next step.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::ProviderThrottled => (
                "Provider throttled",
                "the provider refused because of too many calls",
                "Wait some minutes; if many tenants fail alike, wait until their runs have ended.",
            ),
            Self::ProviderUnavailable => (
                "Provider unavailable",
                "the provider did not answer, or answered with a fault of its own",
                "Look at other failures of this reason; if they spread over tenants, wait for \
                 the provider.",
            ),
            Self::ProviderAuthExpired => (
                "Provider consent expired",
                "the tenant's consent or credential for the provider has run out",
                "Ask the customer to renew the consent of the provider connection.",
            ),
            Self::PermissionDenied => (
                "Permission denied",
                "the provider says that the platform's application lacks a right in this tenant",
                "Open the tenant's support diagnostics, and ask the customer to grant the \
                 missing right.",
            ),
            Self::Timeout => (
                "Timed out",
                "it took longer than it is allowed to",
                "If the same tenant times out again and again, send a support request for it.",
            ),
            Self::Conflict => (
                "Conflict",
                "something else changed the same data at the same time",
                "Look for another active run of the same tenant, and let it end.",
            ),
            Self::ValidationFailed => (
                "Validation failed",
                "the data does not meet the platform's rules",
                "Read the message of the failure, and have the data corrected.",
            ),
            Self::DependencyUnavailable => (
                "Dependency unavailable",
                "a part of the platform that is needed did not answer",
                "Look at the overview for other failures of this reason, and wait until they stop.",
            ),
            Self::QuotaExceeded => (
                "Quota exceeded",
                "a limit of the customer's plan or of the provider is used up",
                "Ask the customer to raise the limit or to wait for its renewal.",
            ),
            Self::StaleQueued => (
                "Not started",
                "no worker claimed the run in time",
                "See which workers were active at that time, and which types they support.",
            ),
            Self::WorkerLost => (
                "Worker lost",
                "the workers that held the run disappeared without making progress",
                "Check the worker's log for the time of the loss.",
            ),
            Self::StepCrashed => (
                "Step crashed",
                "this tenant's step stopped the worker several times in a row",
                "Check the worker's log for the crash, or send a support request for this tenant.",
            ),
            Self::TenantGone => (
                "Tenant gone",
                "the tenant was archived or removed before its turn",
                "Check that the tenant was meant to be archived.",
            ),
            Self::PruneBoundExceeded => (
                "Prune bound exceeded",
                "an unattended prune would delete more than its bound allows; nothing was deleted",
                "Check the machine's clock and the setting of the data's retention; if the deletion \
                 is right, start the prune yourself.",
            ),
            Self::Cancelled => (
                "Cancelled",
                "the run was cancelled before this part was done",
                "Look in the related audit for who cancelled it, and whether it is still wanted.",
            ),
            Self::UnexpectedError => (
                "Unexpected error",
                "something went wrong that has no reason code of its own",
                "Look at other failures of this reason, then send a support request from this \
                 run.",
            ),
        }
    }
}

/// One sentence over a run's failures, `3 of 40 items failed, for one reason`. A run of several
/// targets counts targets.
///
/// `skipped` are those left undone by a stop; `groups` holds each reason code with its count. Where
/// fewer failures are recorded than failed, it says how many.
pub fn one_sentence_summary(
    failed: u64,
    skipped: u64,
    total: u64,
    targets: i64,
    groups: &[(String, u64)],
) -> String {
    let item = if targets > 1 { "target" } else { "item" };
    let items = if total == 1 { item.to_owned() } else { format!("{item}s") };
    let recorded: u64 = groups.iter().map(|(_, count)| count).sum();
    if failed == 0 {
        return match (recorded, skipped, total) {
            // A failure is recorded before anything of the run is counted.
            (1, ..) => "1 failure is recorded".to_owned(),
            (2.., ..) => format!("{recorded} failures are recorded"),
            (0, 0, 0) => format!("no {item}s were counted"),
            (0, 0, _) => format!("none of {total} {items} failed"),
            (0, 1, _) => format!("none of {total} {items} failed, 1 was skipped"),
            (0, ..) => format!("none of {total} {items} failed, {skipped} were skipped"),
        };
    }
    let what = match (failed, total) {
        // A run may fail before it knows how much there is.
        (1, 0) => format!("one {item} failed"),
        (_, 0) => format!("{failed} {item}s failed"),
        (1, 1) => format!("the only {item} failed"),
        _ if failed == total => format!("all {total} {items} failed"),
        _ => format!("{failed} of {total} {items} failed"),
    };
    let (what, left) = match groups.iter().filter(|(_, count)| *count > 0).count() {
        0 => (what, ","),
        1 => (format!("{what}, for one reason"), ";"),
        reasons => (format!("{what}, for {reasons} reasons"), ";"),
    };
    let note = match recorded {
        1 if failed > 1 => " (1 of the failures is recorded)".to_owned(),
        2.. if recorded < failed => format!(" ({recorded} of the failures are recorded)"),
        _ => String::new(),
    };
    match skipped {
        0 => format!("{what}{note}"),
        1 => format!("{what}{left} 1 was skipped{note}"),
        _ => format!("{what}{left} {skipped} were skipped{note}"),
    }
}
