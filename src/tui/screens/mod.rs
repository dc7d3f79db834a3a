//! The screens: each is one state with its commands, its polls and its view.

pub mod dialogs;
pub mod document;
pub mod inbox;
pub mod login;
pub mod operations;
pub mod overview;
pub mod run;
pub mod runbooks;
pub mod support;
pub mod telemetry;
pub mod workers;

use super::command::{Command, Context};
pub(crate) use operations::tenant_text as operations_tenant_text;

/// A tab of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tab {
    /// Health, numbers and failures of a window.
    Overview,
    /// The list of operation runs.
    Operations,
    /// The run opened last.
    Run,
    /// What customers use.
    Telemetry,
    /// Requests for support, tenants, and their diagnostics.
    Support,
    /// The wizard that starts maintenance.
    Runbooks,
    /// The person's notifications.
    Inbox,
    /// Workers and what they hold.
    Workers,
}

impl Tab {
    /// Every tab, in the order of the tab line.
    pub const ALL: &'static [Self] = &[
        Self::Overview,
        Self::Operations,
        Self::Run,
        Self::Telemetry,
        Self::Support,
        Self::Runbooks,
        Self::Inbox,
        Self::Workers,
    ];

    /// Its name on the tab line: in full, short, and as short as it can be.
    pub fn titles(self) -> [&'static str; 3] {
        match self {
            Self::Overview => ["Overview", "Overview", "Over"],
            Self::Operations => ["Operations", "Ops", "Ops"],
            Self::Run => ["Run"; 3],
            Self::Telemetry => ["Telemetry", "Telemetry", "Tele"],
            Self::Support => ["Support", "Support", "Supp"],
            Self::Runbooks => ["Runbooks", "Runbooks", "Books"],
            Self::Inbox => ["Inbox"; 3],
            Self::Workers => ["Workers", "Workers", "Work"],
        }
    }

    /// The command that goes there.
    pub fn command(self) -> Command {
        match self {
            Self::Overview => Command::TabOverview,
            Self::Operations => Command::TabOperations,
            Self::Run => Command::TabRun,
            Self::Telemetry => Command::TabTelemetry,
            Self::Inbox => Command::TabInbox,
            Self::Workers => Command::TabWorkers,
            Self::Support => Command::TabSupport,
            Self::Runbooks => Command::TabRunbooks,
        }
    }

    /// Where its keys are looked up.
    pub fn context(self) -> Context {
        match self {
            Self::Overview => Context::Overview,
            Self::Operations => Context::Operations,
            Self::Run => Context::Run,
            Self::Telemetry => Context::Telemetry,
            Self::Inbox => Context::Inbox,
            Self::Workers => Context::Workers,
            Self::Support => Context::Requests,
            Self::Runbooks => Context::Runbooks,
        }
    }

    /// The commands that matter most there, for the footer.
    pub fn footer(self) -> &'static [Command] {
        match self {
            Self::Overview => &[
                Command::RowOpen,
                Command::CursorRight,
                Command::WindowNext,
                Command::OverviewErrors,
                Command::AppBack,
                Command::PollNow,
                Command::AppPalette,
            ],
            Self::Operations => &[
                Command::RowOpen,
                Command::FilterEdit,
                Command::MatchNext,
                Command::AppPalette,
                Command::PollPause,
            ],
            Self::Run => &[
                Command::SupportRequest,
                Command::SupportDiagnostics,
                Command::AppBack,
                Command::FoldToggle,
                Command::DetailSameFailures,
                Command::CopyId,
                Command::AppPalette,
            ],
            Self::Telemetry => &[
                Command::WindowNext,
                Command::WindowPrevious,
                Command::PollNow,
                Command::AppBack,
                Command::AppPalette,
            ],
            Self::Inbox => &[
                Command::RowOpen,
                Command::InboxMarkRead,
                Command::InboxMarkAllRead,
                Command::InboxUnreadOnly,
                Command::AppPalette,
            ],
            Self::Workers => {
                &[Command::RowOpen, Command::MatchNext, Command::AppBack, Command::AppPalette]
            }
            // Each step of the wizard has its own, and so has each page of support.
            Self::Runbooks | Self::Support => &[],
        }
    }

    /// The tab after (or before) this one, round and round.
    #[must_use]
    pub fn step(self, forward: bool) -> Self {
        let count = Self::ALL.len();
        let here = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0);
        let next = if forward { here + 1 } else { here + count - 1 } % count;
        Self::ALL.get(next).copied().unwrap_or(self)
    }
}
