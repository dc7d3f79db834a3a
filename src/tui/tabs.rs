//! The tabs: one row each, in the order of the tab line.

/// The tab that a console begins with, and that leads on from everywhere.
pub const HOME: Tab = Tab::Operations;

/// Hands the tabs to a macro. A row: the tab, its screen in `screens`, its name on the tab line (in
/// full, short, and as short as it can be); the command of its key, with its id, its words in the
/// footer and in help, and the capability without which it shows nothing; the context of its keys, with
/// the section of keymaps and its heading in help.
macro_rules! tabs {
    ($with:ident! $($more:tt)*) => {
        $with! {
            {
                Overview, overview: overview::Overview, ["Overview", "Overview", "Over"],
                    TabOverview, "tab.overview", "overview", "Go to the overview: is anything wrong, what, what next", None,
                    Overview, "overview", "In the overview";
                Operations, operations: operations::Operations, ["Operations", "Ops", "Ops"],
                    TabOperations, "tab.operations", "operations", "Go to the list of operation runs", Some(Capability::OpsView),
                    Operations, "operations", "In the list of runs";
                Run, run: run::RunScreen, ["Run"; 3],
                    TabRun, "tab.run", "run", "Go to the run opened last", Some(Capability::OpsView),
                    Run, "run", "In a run";
                Telemetry, telemetry: telemetry::Telemetry, ["Telemetry", "Telemetry", "Tele"],
                    TabTelemetry, "tab.telemetry", "telemetry", "Go to the telemetry: what customers use", None,
                    Telemetry, "telemetry", "In the telemetry";
                Support, support: support::Support, ["Support", "Support", "Supp"],
                    TabSupport, "tab.support", "support", "Go to support: requests, tenants and diagnostics", None,
                    Requests, "requests", "In the list of support requests";
                Runbooks, runbooks: runbooks::Runbooks, ["Runbooks", "Runbooks", "Books"],
                    TabRunbooks, "tab.runbooks", "runbooks", "Go to the runbooks: start maintenance step by step", Some(Capability::RunbooksView),
                    Runbooks, "runbooks", "In the list of runbooks";
                Inbox, inbox: inbox::Inbox, ["Inbox"; 3],
                    TabInbox, "tab.inbox", "inbox", "Go to the inbox: what you started and has ended", None,
                    Inbox, "inbox", "In the inbox";
                Workers, workers: workers::Workers, ["Workers", "Workers", "Work"],
                    TabWorkers, "tab.workers", "workers", "Go to the workers and what they hold", Some(Capability::OpsView),
                    Workers, "workers", "In the list of workers";
            }
            $($more)*
        }
    };
}
pub(in crate::tui) use tabs;

macro_rules! tab {
    ({$(
        $tab:ident, $field:ident: $screen:ty, $titles:expr,
        $command:ident, $id:literal, $help:literal, $description:literal, $capability:expr,
        $context:ident, $section:literal, $heading:literal;
    )+}) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Tab { $($tab,)+ }

        impl Tab {
            pub const ALL: &'static [Self] = &[$(Self::$tab,)+];

            /// Its name on the tab line: in full, short, and as short as it can be.
            pub const fn titles(self) -> [&'static str; 3] {
                match self { $(Self::$tab => $titles,)+ }
            }
        }
    };
}

tabs!(tab!);

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
}
