//! What commands do to the console's state.

use std::time::Duration;

use super::{App, POLL_RANGE, Place};
use crate::domain::time_zone::TimeZone;
use crate::ops::auth::Logout;
use crate::tui::command::{Command, Context};
use crate::tui::frame;
use crate::tui::msg::{Effect, Slot};
use crate::tui::screens::dialogs::help::Help;
use crate::tui::screens::dialogs::palette::Palette;
use crate::tui::screens::inbox::Inbox;
use crate::tui::screens::operations::Operations;
use crate::tui::screens::run::Outcome;
use crate::tui::tabs::Tab;
use crate::tui::theme::{self, Theme};

/// Rows that one notch of the wheel moves.
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
            return self.ask_top(|top, cx| top.command(command, cx));
        }
        match command {
            Command::AppHelp => self.push(Box::new(Help::of(self.context()))),
            _ if self.session.is_none() => self.login.command(command),
            Command::AppPalette if self.context() != Context::Filter => {
                self.push(Box::new(Palette::over(self.context(), &self.setup.keymap)))
            }
            Command::AppLogout => {
                let mut effects = self.interrupt_composition(true);
                self.end_session(None);
                effects.push(Effect::ask(Slot::Session, Logout));
                effects
            }
            _ if self.in_wizard() && self.is_wizards(command) => self.command_wizard(command),
            _ if self.context() == Context::Filter => self.tabs.operations.edit(command),
            _ if self.in_composition() && Self::is_compositions(command) => {
                self.command_composition(command)
            }
            _ if self.shows_composition() => self.navigate(command),
            _ if self.tab == Tab::Support => match self.command_support(command) {
                Some(effects) => effects,
                None => self.navigate(command),
            },
            _ => self.navigate(command),
        }
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
        let typing =
            matches!(self.context(), Context::Filter | Context::Search) && !self.in_wizard();
        if !ours || typing {
            return Vec::new();
        }
        if row == 1 {
            let tab = frame::tabs(self).into_iter().find(|(_, cells)| cells.contains(&column));
            return tab.map_or_else(Vec::new, |(tab, _)| self.go(tab));
        }
        let body = self.body();
        if row < body.y || row >= body.bottom() {
            return Vec::new();
        }
        match self.tab {
            Tab::Operations => {}
            Tab::Overview => return self.click_overview(column, row - body.y),
            Tab::Inbox => return self.click_notice(row - body.y),
            Tab::Workers => {
                let opened = self.tabs.workers.click(row - body.y, &self.look, body);
                return opened.map_or_else(Vec::new, |id| self.open_run(id));
            }
            Tab::Telemetry if row == body.y => return self.click_window(column),
            Tab::Run | Tab::Telemetry => return Vec::new(),
            Tab::Runbooks => return self.click_wizard(row - body.y),
            Tab::Support if self.shows_composition() => return Vec::new(),
            Tab::Support => return self.click_support(column, row - body.y),
        }
        let before = self.tabs.operations.selected();
        let effects = self.tabs.operations.click(row - body.y);
        match self.tabs.operations.selected() {
            Some(id) if before == Some(id) && effects.is_empty() => self.open_run(id),
            _ => effects,
        }
    }

    fn navigate(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::TabOverview => {
                // It is the overview that it goes to, not what was opened from it.
                self.tabs.overview.show_errors(false);
                self.go(Tab::Overview)
            }
            Command::TabOperations => self.go(Tab::Operations),
            Command::TabRun => self.go(Tab::Run),
            Command::TabTelemetry => self.go(Tab::Telemetry),
            Command::TabInbox => self.go(Tab::Inbox),
            Command::TabWorkers => self.go(Tab::Workers),
            Command::TabSupport => self.go(Tab::Support),
            Command::SupportTenants => self.open_tenants(),
            Command::SupportRequest | Command::SupportDiagnostics | Command::SupportTenant => {
                self.ask_support(command)
            }
            Command::TabRunbooks => self.go(Tab::Runbooks),
            Command::TabNext => self.go(self.tab.step(true)),
            Command::TabPrevious => self.go(self.tab.step(false)),
            Command::HistoryBack => self.travel(true),
            Command::HistoryForward => self.travel(false),
            Command::AppBack if self.tab == Tab::Run => self.go(self.run_chosen_in),
            Command::AppBack if self.tab == Tab::Inbox => self.go(self.inbox_from),
            Command::AppBack if self.tab == Tab::Overview => {
                self.leave_errors().unwrap_or_else(|| self.go(Tab::Operations))
            }
            Command::AppBack if self.tab != Tab::Operations => self.go(Tab::Operations),
            Command::AppBack => self.leave_list(),
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
            Command::CopyId => self.copy_id(),
            Command::RunRetry | Command::RunCancel | Command::RunPause | Command::RunClose => {
                self.ask_control(command)
            }
            Command::BreakGlassToggle => self.ask_glass(),
            Command::FilterEdit if self.tab != Tab::Operations => {
                let mut effects = self.go(Tab::Operations);
                effects.extend(self.tabs.operations.command(
                    command,
                    self.rows(),
                    self.look.offset(),
                ));
                effects
            }
            Command::RowOpen if self.tab == Tab::Operations => {
                match self.tabs.operations.selected() {
                    Some(id) => self.open_run(id),
                    None => Vec::new(),
                }
            }
            Command::RowOpen if self.tab == Tab::Inbox => self.view_run(),
            Command::InboxMarkAllRead if self.tab == Tab::Inbox => self.mark_all_read(),
            _ => match self.tab {
                Tab::Runbooks => self.command_wizard(command),
                // What its pages do not take means nothing there.
                Tab::Support => Vec::new(),
                Tab::Operations => {
                    self.tabs.operations.command(command, self.rows(), self.look.offset())
                }
                Tab::Inbox => {
                    let rows = Inbox::rows_in(self.body().height);
                    self.tabs.inbox.command(command, rows)
                }
                Tab::Run => match self.tabs.run.command(command, &self.look, self.body()) {
                    Outcome::Stay => Vec::new(),
                    Outcome::Ask(effects) => effects,
                    Outcome::Open(id) => self.open_run(id),
                    Outcome::Retry => self.ask_control(Command::RunRetry),
                    Outcome::List(filter) => self.lead_to_list(filter),
                },
                Tab::Overview => self.command_overview(command),
                Tab::Telemetry => self.command_telemetry(command),
                Tab::Workers => match (command, self.tabs.workers.run()) {
                    (Command::RowOpen, Some(id)) => self.open_run(id),
                    (Command::RowOpen, None) => Vec::new(),
                    (Command::PollNow, _) => self.tabs.workers.refresh(),
                    _ => {
                        self.tabs.workers.command(command, &self.look, self.body());
                        Vec::new()
                    }
                },
            },
        }
    }

    /// Rows of the list that fit on the screen.
    pub(super) fn rows(&self) -> usize {
        Operations::rows_in(self.body().height)
    }

    fn set_poll(&mut self, every: Duration) -> Vec<Effect> {
        self.setup.poll = every.clamp(POLL_RANGE.0, POLL_RANGE.1);
        self.say(format!("updates every {:?}", self.setup.poll));
        Vec::new()
    }

    fn copy_id(&mut self) -> Vec<Effect> {
        let id = match self.tab {
            Tab::Operations => self.tabs.operations.selected(),
            Tab::Run => self.tabs.run.id(),
            Tab::Inbox => self.tabs.inbox.selected().and_then(|notice| notice.run_id),
            Tab::Workers => self.tabs.workers.run(),
            Tab::Overview => match self.group() {
                Some(group) => return self.copy(group.fingerprint.clone()),
                None => self.overview_run().map(|run| run.id),
            },
            Tab::Telemetry | Tab::Runbooks | Tab::Support => None,
        };
        let Some(id) = id else {
            return Vec::new();
        };
        self.copy(id.to_string())
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

    pub(super) fn here(&self) -> Place {
        Place {
            tab: self.tab,
            run: self.tabs.run.id(),
            filter: self.tabs.operations.filter().clone(),
            chosen_in: self.run_chosen_in,
        }
    }

    pub(super) fn remember(&mut self) {
        let here = self.here();
        if self.back.last() != Some(&here) {
            self.back.push(here);
        }
        self.forward.clear();
        // A night's walk; older places are forgotten.
        if self.back.len() > 100 {
            self.back.remove(0);
        }
    }

    pub(super) fn go(&mut self, tab: Tab) -> Vec<Effect> {
        if tab == self.tab {
            return Vec::new();
        }
        self.remember();
        self.tab = tab;
        self.inbox_from = Tab::Operations;
        let mut effects = self.ask_now();
        match tab {
            Tab::Runbooks => effects.extend(self.tabs.runbooks.refresh()),
            // Nothing asks again and again now; the person does.
            Tab::Overview if self.paused => effects.extend(self.refresh_numbers()),
            _ => {}
        }
        effects
    }

    pub(super) fn open_run(&mut self, id: i64) -> Vec<Effect> {
        self.remember();
        // A run that another one led to has the same place to go back to.
        if self.tab != Tab::Run {
            self.run_chosen_in = self.tab;
        }
        self.tab = Tab::Run;
        self.tabs.run.open(id)
    }

    /// Goes from a list that a run or a number led to back there, and to the filter before it.
    fn leave_list(&mut self) -> Vec<Effect> {
        if !self.is_led() {
            return Vec::new();
        }
        let Some((_, place)) = self.led_here.take() else { return Vec::new() };
        self.return_to(place)
    }

    pub(super) fn travel(&mut self, backwards: bool) -> Vec<Effect> {
        let here = self.here();
        let place = if backwards { self.back.pop() } else { self.forward.pop() };
        let Some(place) = place else {
            self.say("there is no place to go to");
            return Vec::new();
        };
        if backwards {
            self.forward.push(here)
        } else {
            self.back.push(here)
        }
        self.tab = place.tab;
        let mut effects = Vec::new();
        if let Some(id) = place.run {
            effects.extend(self.tabs.run.open(id));
        }
        if place.filter == *self.tabs.operations.filter() {
            effects.extend(self.ask_now());
        } else {
            effects.extend(self.tabs.operations.apply(place.filter));
            if self.tab != Tab::Operations {
                effects.extend(self.ask_now());
            }
        }
        match self.tab {
            Tab::Runbooks => effects.extend(self.tabs.runbooks.refresh()),
            Tab::Overview | Tab::Telemetry => effects.extend(self.refresh_numbers()),
            _ => {}
        }
        effects
    }
}
