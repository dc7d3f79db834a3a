//! The overview inside the console: what it asks for, and where its numbers lead.

use super::App;
use crate::Result;
use crate::domain::run::Run;
use crate::domain::run_filter::RunFilter;
use crate::domain::window::Window;
use crate::ops::overview::{FingerprintGroup, FingerprintPage, Overview as Told};
use crate::tui::command::Command;
use crate::tui::msg::Effect;
use crate::tui::screens::dialogs::confirm::Confirm;
use crate::tui::screens::dialogs::group::GroupQuestion;
use crate::tui::screens::overview::{Around, Opens, Overview};
use crate::tui::tabs::Tab;

impl App {
    fn with_overview<T>(&mut self, act: impl FnOnce(&mut Overview, &Around<'_>) -> T) -> T {
        let (area, greyed) = (self.body(), self.greyed());
        let look = &self.look;
        let around = Around {
            window: self.window,
            look,
            keymap: &self.setup.keymap,
            area,
            greyed,
            live: !self.paused && !greyed,
        };
        act(&mut self.tabs.overview, &around)
    }

    /// What the overview has to know of the console around it.
    pub(in crate::tui) fn around_overview(&self) -> Around<'_> {
        let greyed = self.greyed();
        Around {
            window: self.window,
            look: &self.look,
            keymap: &self.setup.keymap,
            area: self.body(),
            greyed,
            live: !self.paused && !greyed,
        }
    }

    /// The recent failure under the cursor.
    pub(super) fn overview_run(&self) -> Option<&Run> {
        match self.tabs.overview.errors() {
            Some(_) => None,
            None => self.tabs.overview.selected_run(self.window),
        }
    }

    /// The error under the cursor.
    pub(super) fn group(&self) -> Option<&FingerprintGroup> {
        self.tabs.overview.errors().filter(|_| self.tab == Tab::Overview)?.selected(self.window)
    }

    /// Keeps the cursors of the tab in sight.
    pub(super) fn settle_overview(&mut self) {
        self.with_overview(|overview, around| {
            overview.settle(around);
            overview.errors_mut().settle(around);
        });
    }

    /// Takes what an overview tells.
    pub(super) fn take_overview(&mut self, asked: Option<Window>, result: Result<Told>) {
        let wanted = match &result {
            Ok(told) => self.is_wanted(told.window.key),
            Err(_) => asked == self.window,
        };
        if wanted {
            self.tabs.overview.take(result, self.look.now);
            self.settle_overview();
        }
    }

    /// Takes the errors of a window.
    pub(super) fn take_errors(&mut self, asked: Option<Window>, result: Result<FingerprintPage>) {
        let wanted = match &result {
            Ok(page) => self.is_wanted(page.window.key),
            Err(_) => asked == self.window,
        };
        if wanted {
            self.tabs.overview.errors_mut().take(result, self.look.now);
            self.settle_overview();
        }
    }

    /// Leaves the list of errors, or what is shown of one alone; false where neither is shown.
    pub(super) fn leave_errors(&mut self) -> Option<Vec<Effect>> {
        self.tabs.overview.errors()?;
        if self.tabs.overview.errors_mut().back() {
            self.settle_overview();
            return Some(Vec::new());
        }
        self.tabs.overview.show_errors(false);
        self.settle_overview();
        Some(self.tabs.overview.refresh(self.window))
    }

    pub(super) fn command_overview(&mut self, command: Command) -> Vec<Effect> {
        let in_errors = self.tabs.overview.errors().is_some();
        match command {
            Command::WindowNext => self.step_window(true),
            Command::WindowPrevious => self.step_window(false),
            Command::PollNow => self.tabs.overview.refresh(self.window),
            Command::OverviewErrors if !in_errors => {
                self.tabs.overview.show_errors(true);
                self.tabs.overview.refresh(self.window)
            }
            Command::SampleOpen => match self.group().map(|group| group.sample.run_id) {
                Some(id) => self.open_run(id),
                None => Vec::new(),
            },
            Command::RowOpen => {
                let opens = match self.tabs.overview.errors() {
                    Some(errors) => errors.open(self.window),
                    None => self.with_overview(Overview::open),
                };
                self.follow_overview(opens)
            }
            _ if in_errors => {
                self.with_overview(|o, around| o.errors_mut().command(command, around));
                Vec::new()
            }
            _ => {
                self.with_overview(|overview, around| overview.command(command, around));
                Vec::new()
            }
        }
    }

    fn follow_overview(&mut self, opens: Opens) -> Vec<Effect> {
        match opens {
            Opens::Runs(filter) => self.lead_to_list(filter),
            Opens::Run(id) => self.open_run(id),
            Opens::Inbox => {
                let effects = self.go(Tab::Inbox);
                self.inbox_from = Tab::Overview;
                effects
            }
            Opens::Workers => self.go(Tab::Workers),
            Opens::Nothing(why) => {
                self.say(why);
                Vec::new()
            }
            Opens::Here => Vec::new(),
        }
    }

    /// Whether the list of runs was led to, and goes back there.
    pub(in crate::tui) fn is_led(&self) -> bool {
        self.led_here.as_ref().is_some_and(|(filter, _)| filter == self.tabs.operations.filter())
    }

    /// Shows the list of runs under a filter; one level back from there is this place.
    pub(super) fn lead_to_list(&mut self, filter: RunFilter) -> Vec<Effect> {
        self.remember();
        self.led_here = Some((filter.clone(), self.here()));
        self.tab = Tab::Operations;
        self.tabs.operations.apply(filter)
    }

    /// A click selects what it hits; one on what is selected opens it.
    pub(super) fn click_overview(&mut self, column: u16, row: u16) -> Vec<Effect> {
        if row == 0 && (self.tabs.overview.errors().is_some() || self.tabs.overview.is_at_top()) {
            return self.click_window(column);
        }
        let again = self.with_overview(|overview, around| {
            if overview.errors().is_some() {
                overview.errors_mut().click(column, row, around)
            } else {
                overview.click(column, row, around)
            }
        });
        if again { self.command_overview(Command::RowOpen) } else { Vec::new() }
    }

    /// Asks before the runs of the selected error are retried, or says why they cannot be.
    pub(super) fn ask_group(&mut self) -> Vec<Effect> {
        let Some(group) = self.group() else {
            self.say("no error is selected");
            return Vec::new();
        };
        if group.fingerprint.is_empty() {
            self.say("these failures have no fingerprint; open their run and retry that");
            return Vec::new();
        }
        let question = GroupQuestion::of(group, self.window);
        self.push(Box::new(Confirm::group(question)))
    }
}
