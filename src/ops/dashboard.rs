//! What is common to everything on the dashboard: who may see it, and the one window of time
//! that all of it looks at.

use super::store::preferences;
use super::{Access, Context, Operation};
use crate::Result;
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::window::Window;

/// What the dashboard asks of a platform user.
pub const DASHBOARD: Requirement = Requirement::Any(&[
    &[Capability::ConsoleView],
    &[Capability::OpsView, Capability::RunbooksView],
]);

/// Remembers the window that a person looks at: it is the one of all their consoles and of
/// their command line from now on. A taste, not a decision: it leaves no audit row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChooseWindow {
    /// The window.
    pub window: Window,
}

impl Operation for ChooseWindow {
    const NAME: &'static str = "dashboard.choose_window";
    const REQUIREMENT: Requirement = DASHBOARD;
    const ACCESS: Access = Access::Write;
    type Output = ();

    async fn execute(self, context: &mut Context) -> Result<()> {
        let Some(holder) = context.permit().holder() else { return Ok(()) };
        let (user, now) = (holder.platform_user_id, context.now());
        preferences::choose_window(context.tx()?, user, self.window, now).await
    }
}

/// Reads the window that a person chose last.
#[derive(Debug, Clone, Copy)]
pub struct ChosenWindow;

impl Operation for ChosenWindow {
    const NAME: &'static str = "dashboard.chosen_window";
    const REQUIREMENT: Requirement = DASHBOARD;
    const ACCESS: Access = Access::Read;
    /// None where they never chose one, and of an actor who cannot choose.
    type Output = Option<Window>;

    async fn execute(self, context: &mut Context) -> Result<Option<Window>> {
        Ok(chosen(context))
    }
}

/// The window that was asked for, or else the one that the person chose last, or else the
/// usual one.
pub(super) fn window_of(context: &Context, asked: Option<Window>) -> Window {
    asked.or_else(|| chosen(context)).unwrap_or_default()
}

fn chosen(context: &Context) -> Option<Window> {
    // The database takes no other.
    context.arrived()?.dashboard_window.as_ref()?.parse().ok()
}
