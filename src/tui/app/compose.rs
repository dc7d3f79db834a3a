//! Writing a request for support.

use super::App;
use crate::ops::support::DiagnosticsSubject;
use crate::tui::msg::Effect;

impl App {
    /// Begins a request about a tenant, or about one tenant of a run.
    pub(super) fn compose(&mut self, subject: DiagnosticsSubject) -> Vec<Effect> {
        let about = match subject {
            DiagnosticsSubject::Tenant(id) => format!("tenant {id}"),
            DiagnosticsSubject::Run { run_id, .. } => format!("run {run_id}"),
        };
        self.say(format!("a request about {about} cannot be written here yet"));
        Vec::new()
    }
}
