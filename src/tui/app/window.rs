//! The window of everything that sums up: one choice, remembered for the person.

use super::App;
use crate::domain::window::Window;
use crate::ops::dashboard::ChooseWindow;
use crate::tui::msg::{Effect, Slot};

impl App {
    /// Chooses a window, asks for its numbers, paused or not, and has it remembered.
    pub(super) fn choose_window(&mut self, window: Window) -> Vec<Effect> {
        self.window = Some(window);
        let mut effects = self.ask_front(|front, cx| front.refresh(cx));
        effects.push(Effect::ask(Slot::Window, ChooseWindow { window }));
        effects
    }
}
