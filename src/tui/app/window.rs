//! The window of everything that sums up: one choice, remembered for the person.

use super::App;
use crate::domain::window::Window;
use crate::ops::dashboard::ChooseWindow;
use crate::ops::telemetry::Summary;
use crate::tui::command::Command;
use crate::tui::msg::{Effect, Slot};
use crate::tui::screens::telemetry::{Around, window_at};
use crate::tui::tabs::Tab;
use crate::{Error, Result};

impl App {
    /// Chooses the window after (or before) the one in force, asks for its numbers, and has
    /// it remembered.
    pub(super) fn step_window(&mut self, forward: bool) -> Vec<Effect> {
        let Some(window) = self.window else {
            self.say("the window is not known yet: the first numbers are on their way");
            return Vec::new();
        };
        self.choose_window(stepped(window, forward))
    }

    /// A click on the name of a window chooses it.
    pub(super) fn click_window(&mut self, column: u16) -> Vec<Effect> {
        match window_at(column, self.window) {
            Some(window) if self.window.is_some_and(|chosen| chosen != window) => {
                self.choose_window(window)
            }
            _ => Vec::new(),
        }
    }

    fn choose_window(&mut self, window: Window) -> Vec<Effect> {
        self.window = Some(window);
        // Paused or not: the person asks for other numbers.
        let mut effects = self.refresh_numbers();
        effects.push(Effect::ask(Slot::Window, ChooseWindow { window }));
        effects
    }

    /// Asks for what the tab at hand sums up.
    pub(super) fn refresh_numbers(&self) -> Vec<Effect> {
        match self.tab {
            Tab::Overview => self.tabs.overview.refresh(self.window),
            _ => self.tabs.telemetry.refresh(self.window),
        }
    }

    /// Whether an answer about this window is still wanted. The first one tells which window
    /// the person chose last.
    pub(super) fn is_wanted(&mut self, told: Window) -> bool {
        *self.window.get_or_insert(told) == told
    }

    /// Takes the numbers of what customers use.
    pub(super) fn take_usage(&mut self, asked: Option<Window>, result: Result<Summary>) {
        let wanted = match &result {
            Ok(summary) => self.is_wanted(summary.window.key),
            Err(_) => asked == self.window,
        };
        if wanted {
            self.tabs.telemetry.take(result, self.look.now);
        }
    }

    /// Takes what came of remembering a window.
    pub(super) fn window_remembered(&mut self, window: Window, result: Result<()>) {
        if let Err(error) = result {
            self.say(not_remembered(window, &error));
        }
    }

    pub(super) fn command_telemetry(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::WindowNext => self.step_window(true),
            Command::WindowPrevious => self.step_window(false),
            Command::PollNow => self.refresh_numbers(),
            Command::RowOpen => {
                self.open_number();
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Numbers of telemetry lead nowhere: behind them are customers.
    pub(super) fn open_number(&mut self) {
        self.say("telemetry numbers are sums only: they open nothing");
    }

    /// What the tab of telemetry has to know of the console around it.
    pub(in crate::tui) fn around_telemetry(&self) -> Around<'_> {
        Around {
            window: self.window,
            look: &self.look,
            keymap: &self.setup.keymap,
            greyed: self.greyed(),
            live: !self.paused && !self.greyed(),
        }
    }
}

fn not_remembered(window: Window, error: &Error) -> String {
    format!("{} is shown, but not remembered: {error}", window.label())
}

/// The window after (or before) another one, round and round.
fn stepped(window: Window, forward: bool) -> Window {
    let (all, count) = (Window::ALL, Window::ALL.len());
    let here = all.iter().position(|other| *other == window).unwrap_or(0);
    let next = if forward { here + 1 } else { here + count - 1 } % count;
    all.get(next).copied().unwrap_or(window)
}
