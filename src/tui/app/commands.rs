//! What commands do to the console's state.

use std::time::Duration;

use super::{App, POLL_RANGE};
use crate::domain::time_zone::TimeZone;
use crate::ops::auth::Logout;
use crate::tui::command::{Command, Context};
use crate::tui::msg::Effect;
use crate::tui::screen::Target;
use crate::tui::screens::dialogs::help::Help;
use crate::tui::screens::dialogs::palette::Palette;
use crate::tui::slot::Slot;
use crate::tui::tabs::HOME;
use crate::tui::theme::{self, Theme};

const WHEEL_ROWS: usize = 3;

impl App {
    /// Does a command, whether a key or the palette asked for it.
    pub fn command(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::AppQuit => return vec![Effect::Quit],
            Command::AppClose => return self.close(),
            Command::AppSuspend => return vec![Effect::Suspend],
            Command::AppRedraw => return vec![Effect::Repaint],
            Command::TimeToggle if self.context() != Context::Login => {
                self.look.zone = match self.look.zone {
                    TimeZone::Utc => TimeZone::Local,
                    TimeZone::Local => TimeZone::Utc,
                };
                self.say(format!("times are shown in {}", self.look.zone_name()));
                return Vec::new();
            }
            Command::ThemeNext => {
                self.next_theme();
                return Vec::new();
            }
            _ => {}
        }
        if !self.modals.is_empty() {
            if command == Command::AppBack {
                self.close_top();
                return Vec::new();
            }
        } else if command == Command::AppHelp {
            return self.push(Box::new(Help::of(self.context())));
        } else if self.session.is_some() {
            match command {
                Command::AppPalette if self.context() != Context::Filter => {
                    return self.push(Box::new(Palette::over(self.context(), &self.setup.keymap)));
                }
                Command::AppLogout => {
                    let mut effects = self.end_session(None);
                    effects.push(Effect::ask(Slot::SESSION, Logout));
                    return effects;
                }
                _ => {}
            }
        }
        self.ask_front(|front, cx| front.command(command, cx))
    }

    /// The wheel moves the cursor of whatever is on top.
    pub(super) fn wheel(&mut self, up: bool) -> Vec<Effect> {
        let command = if up { Command::CursorUp } else { Command::CursorDown };
        if self.session.is_none() || self.too_small() {
            return Vec::new();
        }
        (0..WHEEL_ROWS).flat_map(|_| self.command(command)).collect()
    }

    /// A click goes to a tab or selects a row; a click on the selected row opens it.
    pub(super) fn click(&mut self, column: u16, row: u16) -> Vec<Effect> {
        let ours = self.session.is_some() && self.modals.is_empty() && !self.too_small();
        if !ours || self.front().is_typing() {
            return Vec::new();
        }
        if row == 1 {
            let tab = self.tab_places().into_iter().find(|(_, cells)| cells.contains(&column));
            return tab.map_or_else(Vec::new, |(tab, _)| self.go(tab));
        }
        let body = self.body();
        if row < body.y || row >= body.bottom() {
            return Vec::new();
        }
        self.ask_front(|front, cx| front.click(column, row - body.y, cx))
    }

    /// Does a command that what is shown leaves to the console.
    pub(super) fn navigate(&mut self, command: Command) -> Vec<Effect> {
        if let Some(tab) = command.tab() {
            self.act(Some(tab), |screen, cx| screen.command(command, cx));
            return self.go(tab);
        }
        match command {
            Command::TabNext => self.go(self.tab.step(true)),
            Command::TabPrevious => self.go(self.tab.step(false)),
            Command::SupportTenants => self.visit(&Target::Tenants(None), false),
            Command::SupportRequest | Command::SupportDiagnostics | Command::SupportTenant => {
                self.ask_support(command)
            }
            Command::HistoryBack => self.travel(true),
            Command::HistoryForward => self.travel(false),
            Command::AppBack => self.go(HOME),
            Command::PollPause => {
                self.paused = !self.paused;
                if self.paused {
                    self.say("live updates are frozen");
                    Vec::new()
                } else {
                    self.say("live updates are resumed");
                    self.ask_now()
                }
            }
            Command::PollFaster => self.set_poll(self.setup.poll / 2),
            Command::PollSlower => self.set_poll(self.setup.poll * 2),
            Command::CopyId => match self.front().copies(&self.cx()) {
                Some(text) => self.copy(text),
                None => Vec::new(),
            },
            Command::RunRetry | Command::RunCancel | Command::RunPause | Command::RunClose => {
                self.ask_control(command)
            }
            Command::BreakGlassToggle => self.ask_glass(),
            Command::FilterEdit if self.tab != HOME => {
                let effects = self.go(HOME);
                effects.into_iter().chain(self.command(command)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn set_poll(&mut self, every: Duration) -> Vec<Effect> {
        self.setup.poll = every.clamp(POLL_RANGE.0, POLL_RANGE.1);
        self.say(format!("updates every {:?}", self.setup.poll));
        Vec::new()
    }

    pub(super) fn copy(&mut self, text: String) -> Vec<Effect> {
        self.say(format!("{text} sent to the terminal's clipboard"));
        vec![Effect::Copy(text)]
    }

    fn next_theme(&mut self) {
        let embedded = theme::EMBEDDED.len();
        let own = theme::index_of(&self.setup.theme) == embedded;
        self.show_theme((self.theme_index + 1) % (embedded + usize::from(own)));
    }

    /// Changes to an embedded theme; after the last one comes the one of the settings.
    pub(super) fn show_theme(&mut self, index: usize) {
        self.theme_index = index;
        // The embedded themes are tested to load.
        let (name, theme) = match theme::EMBEDDED.get(self.theme_index) {
            Some((name, _)) => (*name, Theme::embedded(name).ok()),
            None => ("of the settings", Some(self.setup.theme.clone())),
        };
        if let Some(theme) = theme {
            self.look.theme = theme.downgrade(self.setup.colors);
            self.say(format!("theme {name}"));
        }
    }
}
