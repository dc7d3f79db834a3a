//! Break-glass in the console: the banner's facts, the dialog, and what comes of it.

use super::App;
use crate::Result;
use crate::access::BreakGlass;
use crate::domain::capability::Capability;
use crate::ops::break_glass::CurrentBreakGlass;
use crate::tui::control::LOST;
use crate::tui::msg::{Effect, Follows, Request, Sub};
use crate::tui::screens::dialogs::break_glass::GlassDialog;
use crate::tui::slot::Slot;

#[derive(Debug, Default)]
pub struct Glass {
    active: Option<BreakGlass>,
    /// A change was made here since the last poll: an answer that contradicts it may have been
    /// read before.
    changed: bool,
}

impl App {
    /// The person's break-glass, while it is active by the console's own time.
    pub fn break_glass(&self) -> Option<&BreakGlass> {
        self.session.as_ref()?;
        self.glass.active.as_ref().filter(|glass| glass.expires_at > self.look.now)
    }

    /// The poll that keeps the banner right, whatever is shown.
    pub(super) fn glass_poll(&self) -> Sub {
        Sub {
            slot: Slot::BREAK_GLASS,
            request: Request::of(CurrentBreakGlass),
            every: self.poll_every(),
            follows: Follows::Changes,
        }
    }

    /// Opens the dialog, or says why it does not open.
    pub(super) fn ask_glass(&mut self) -> Vec<Effect> {
        if !self.may(Capability::BreakGlassUse) {
        } else if self.greyed() {
            self.say(LOST);
        } else if self.awaits(Slot::BREAK_GLASS_CHANGE) {
            self.say("the last request is still being sent");
        } else {
            return self.push(Box::new(GlassDialog::over(self.break_glass())));
        }
        Vec::new()
    }

    pub(super) fn take_glass(&mut self, found: Result<Option<BreakGlass>>) -> Vec<Effect> {
        let Ok(found) = found else {
            // What is known stands until the database answers again.
            return Vec::new();
        };
        let contradicts = found.is_some() != self.break_glass().is_some();
        if std::mem::take(&mut self.glass.changed) && contradicts {
            return vec![Effect::ask(Slot::BREAK_GLASS, CurrentBreakGlass)];
        }
        self.glass.active = found;
        Vec::new()
    }

    pub(super) fn glass_changed(&mut self, active: Option<BreakGlass>) -> Vec<Effect> {
        self.glass = Glass { active, changed: true };
        vec![Effect::ask(Slot::BREAK_GLASS, CurrentBreakGlass)]
    }
}
