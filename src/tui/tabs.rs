//! The tabs: one row each, in the order of the tab line.

use chrono::{DateTime, Utc};

use super::app::Setup;
use super::command::{Command, Context};
use super::msg::Effect;
use super::screen::Screen;
use super::screens::inbox::Inbox;
use super::screens::operations::Operations;
use super::screens::overview::Overview;
use super::screens::run::RunScreen;
use super::screens::runbooks::Runbooks;
use super::screens::support::Support;
use super::screens::telemetry::Telemetry;
use super::screens::workers::Workers;

/// The tab that a console begins with, and that leads on from everywhere.
pub const HOME: Tab = Tab::Operations;

/// A row: the tab, its screen, the command of its key, where that is looked up from it, and its
/// name on the tab line: in full, short, and as short as it can be.
macro_rules! tabs {
    ($($tab:ident, $field:ident: $screen:ty, $command:ident, $context:ident, $titles:expr;)+) => {
        /// A tab of the console.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Tab { $($tab,)+ }

        /// The screens of all tabs.
        #[derive(Debug)]
        pub struct Tabs { $(pub $field: $screen,)+ }

        impl Tab {
            /// Every tab, in the order of the tab line.
            pub const ALL: &'static [Self] = &[$(Self::$tab,)+];

            /// Its name on the tab line: in full, short, and as short as it can be.
            pub const fn titles(self) -> [&'static str; 3] {
                match self { $(Self::$tab => $titles,)+ }
            }

            /// The command that goes there.
            pub const fn command(self) -> Command {
                match self { $(Self::$tab => Command::$command,)+ }
            }

            /// Where the keys of tabs are looked up from there.
            pub const fn context(self) -> Context {
                match self { $(Self::$tab => Context::$context,)+ }
            }
        }

        impl Tabs {
            /// The tabs of a console, with nothing on them yet.
            pub fn new(setup: &Setup) -> Self {
                Self { $($field: <$screen>::new(setup),)+ }
            }

            /// The screen of a tab.
            pub fn get(&self, tab: Tab) -> &dyn Screen {
                match tab { $(Tab::$tab => &self.$field,)+ }
            }

            /// The screen of a tab, to be changed.
            pub fn get_mut(&mut self, tab: Tab) -> &mut dyn Screen {
                match tab { $(Tab::$tab => &mut self.$field,)+ }
            }

            /// Takes what outlives the session from those before, which ended `on_purpose` or not.
            pub fn inherit(
                &mut self,
                old: Self,
                on_purpose: bool,
                now: DateTime<Utc>,
            ) -> Vec<Effect> {
                let mut effects = Vec::new();
                $(effects.extend(self.$field.inherit(old.$field, on_purpose, now));)+
                effects
            }
        }
    };
}

tabs! {
    Overview, overview: Overview, TabOverview, Overview, ["Overview", "Overview", "Over"];
    Operations, operations: Operations, TabOperations, Operations, ["Operations", "Ops", "Ops"];
    Run, run: RunScreen, TabRun, Run, ["Run"; 3];
    Telemetry, telemetry: Telemetry, TabTelemetry, Telemetry, ["Telemetry", "Telemetry", "Tele"];
    Support, support: Support, TabSupport, Requests, ["Support", "Support", "Supp"];
    Runbooks, runbooks: Runbooks, TabRunbooks, Runbooks, ["Runbooks", "Runbooks", "Books"];
    Inbox, inbox: Inbox, TabInbox, Inbox, ["Inbox"; 3];
    Workers, workers: Workers, TabWorkers, Workers, ["Workers", "Workers", "Work"];
}

impl Default for Tab {
    fn default() -> Self {
        HOME
    }
}

impl Tab {
    /// The tab after (or before) this one, round and round.
    #[must_use]
    pub fn step(self, forward: bool) -> Self {
        let count = Self::ALL.len();
        let here = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0);
        let next = if forward { here + 1 } else { here + count - 1 } % count;
        Self::ALL.get(next).copied().unwrap_or(self)
    }

    /// The tab that a command goes to.
    pub fn of(command: Command) -> Option<Self> {
        Self::ALL.iter().copied().find(|tab| tab.command() == command)
    }
}
