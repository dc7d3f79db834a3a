//! What is said of a change whose transaction ended: its answer, or an error that does not say
//! more than is known.

use std::time::Duration;

use super::store::Tx;
use super::store::commit::NO_ANSWER;
use super::store::error::unreachable_database;
use super::{Operation, Ops};
use crate::{Error, ErrorKind, Result};

/// The error of a write that was given up before its COMMIT was sent.
pub(super) fn unanswered() -> Error {
    Error::new(ErrorKind::TimedOut, NO_ANSWER).hint("nothing was changed; try again")
}

impl Ops {
    /// Commits what an operation wrote, and gives its answer if that is true now.
    pub(super) async fn settle<O: Operation>(
        &self,
        done: Result<O::Output>,
        tx: Option<Tx>,
        limit: Duration,
        run_id: Option<i64>,
    ) -> Result<O::Output> {
        let Some(mut tx) = tx else { return done };
        if self.denies_lost_commits() {
            tx.forget();
        }
        match tx.commit_within(Some(limit)).await {
            Ok(()) => done,
            // It refused, whether its record of that is written or not.
            Err(error) if error.is_uncertain() && done.is_err() => done,
            Err(error) => Err(self.explained::<O>(error, run_id)),
        }
    }

    /// An error that says how to look, where the change may have been made.
    pub(super) fn explained<O: Operation>(&self, error: Error, run_id: Option<i64>) -> Error {
        if !error.is_uncertain() {
            return error;
        }
        if self.denies_lost_commits() {
            return unreachable_database();
        }
        if let Some(known) = known_of(O::NAME) {
            return error.hint(known);
        }
        let known = "the change may or may not have been made; look before you try again";
        match (run_id, shown_by(O::NAME)) {
            (Some(id), _) => error.hint(format!("{known}: tenantpilot runs show {id}")),
            (None, Some(command)) => error.hint(format!("{known}: tenantpilot {command}")),
            (None, None) => error,
        }
    }
}

/// What is known all the same, of what is simply done again.
fn known_of(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "auth.login" => "a session may or may not have been made, and is not used; log in again",
        "runbooks.preflight" => {
            "a plan may or may not have been made; nothing was started, as tenantpilot runs list \
             shows, so do it again"
        }
        "support.compose" => {
            "the record of the opening may or may not have been made; nothing was sent, as \
             tenantpilot support list shows, so do it again"
        }
        "support.open_diagnostics" => {
            "the record of the opening may or may not have been made; open them again: \
             tenantpilot support diagnostics"
        }
        "dashboard.choose_window" => {
            "the choice may or may not have been made; tenantpilot overview shows the window"
        }
        "overview.check_counts" => {
            "the look may or may not have been made; look again: tenantpilot overview check"
        }
        "telemetry.check_rollups" => {
            "the look may or may not have been made; look again: tenantpilot product-usage check"
        }
        _ => return None,
    })
}

/// The command that shows whether a change was made.
fn shown_by(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "alerts.retry" => "alerts list",
        "auth.logout" | "auth.touch" => "whoami",
        "break_glass.enter" | "break_glass.end" => "break-glass status",
        "notifications.mark_read" | "notifications.mark_all_read" => "notifications list",
        "overview.rebuild_counts" => "overview check",
        "telemetry.rebuild_rollups" => "product-usage check",
        "platform.set_flag" => "platform flags",
        "product_usage.prune" => "product-usage prune --dry-run",
        "runs.cancel" | "runs.close" | "runs.pause" | "runs.resume" => "runs list",
        "runs.start" | "runs.retry" | "runbooks.start" | "overview.retry_group" => "runs list",
        "support.create_request" => "support list",
        "platform.set_setting" => "platform settings list",
        name if name.starts_with("users.") => "users list",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Requirement;
    use crate::ops::{Access, table};

    #[test]
    fn every_change_that_a_person_asks_for_names_how_to_look_for_it() {
        for listing in table() {
            let asked =
                !matches!(listing.requirement, Requirement::SystemOnly | Requirement::InProcess);
            if listing.access != Access::Read && asked {
                let known = known_of(listing.name).filter(|known| known.contains("may or may not"));
                assert!(known.or(shown_by(listing.name)).is_some(), "{}", listing.name);
            }
        }
    }
}
