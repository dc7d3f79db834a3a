//! What happens to the console, and what it wants done: data both, so tests can assert it.
//!
//! Neither is ever read from a file; a keymap names [`super::command::Command`]s only.

use std::collections::BTreeSet;
use std::time::Duration;

use crossterm::event::KeyEvent;
use secrecy::{ExposeSecret, SecretString};

use super::compose::{ComposeAnswer, ComposeAsk};
use super::control::{ControlDone, ControlRequest, GroupRequest};
use super::support::{SupportAnswer, SupportAsk};
use super::wizard::{WizardAnswer, WizardRequest};
use crate::access::BreakGlass;
use crate::domain::run_filter::RunFilter;
use crate::domain::start_reason::StartReason;
use crate::domain::window::Window;
use crate::ops::Blocker;
use crate::ops::auth::Session;
use crate::ops::condition::DatabaseCondition;
use crate::ops::named::{FindNamed, Named};
use crate::ops::notifications::{ListNotifications, Marked, NotificationPage};
use crate::ops::overview::{FingerprintPage, GroupRetried, GroupRetryPlan, Overview};
use crate::ops::platform::{FilterNames, Platform};
use crate::ops::runs::{Page, RetryPlan, RunCounts, RunDetail, RunPage};
use crate::ops::telemetry::Summary;
use crate::ops::workers::WorkersView;
use crate::{Error, Result};

/// Something that happened.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted in one piece.
    Paste(String),
    /// The wheel was turned, away from the person (up) or towards them.
    Wheel {
        /// Up.
        up: bool,
    },
    /// A cell was clicked.
    Click {
        /// Column, from 0.
        column: u16,
        /// Row, from 0.
        row: u16,
    },
    /// The terminal has a new size, in cells.
    Resize(u16, u16),
    /// The terminal got or lost the focus.
    Focus(bool),
    /// The line to the terminal was found to be slow, or is no longer.
    Terse(bool),
    /// Time went by.
    Tick,
    /// What is waited for has changed.
    Waiting(Waiting),
    /// The cursor has rested for a moment.
    Rested,
    /// A request was answered.
    Done {
        /// Whose answer.
        slot: Slot,
        /// The answer.
        answer: Box<Answer>,
    },
}

/// Requests of one slot replace each other: one runs, at most one waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The header's facts.
    Platform,
    /// Whether the database takes writes.
    Condition,
    /// Login and logout.
    Session,
    /// Signs of life of the person.
    Touch,
    /// The operations list.
    List,
    /// The counts above it.
    Counts,
    /// Names for completing a filter.
    Names,
    /// What a text of the palette names.
    Named,
    /// The run that is open.
    Detail,
    /// How much is unread in the inbox.
    Unread,
    /// The inbox.
    Notices,
    /// Marking some notices as read.
    MarkRead,
    /// Marking all notices as read.
    MarkAllRead,
    /// What a retry would cover.
    Plan,
    /// A change of a run.
    Control,
    /// Workers and what they hold.
    Workers,
    /// Health, numbers and failures of a window.
    Overview,
    /// The failures of a window by what they say.
    Errors,
    /// What customers use.
    Usage,
    /// Remembering the window that was chosen.
    Window,
    /// The person's break-glass.
    BreakGlass,
    /// Taking break-glass, or ending it.
    BreakGlassChange,
    /// What a scope can be chosen from.
    ScopeChoices,
    /// What a runbook would change.
    Preflight,
    /// The targets of a plan.
    PlanTargets,
    /// The start of a runbook.
    StartRunbook,
    /// Writing a file.
    Export,
    /// The list of support requests.
    SupportRequests,
    /// The support request that is open.
    SupportRequest,
    /// The list of tenants.
    SupportTenants,
    /// The tenant that is open.
    SupportTenant,
    /// The tenants of a run.
    RunTenants,
    /// An opening of diagnostics; asked by a key only, for each is audited.
    Diagnostics,
    /// Writing diagnostics into files.
    DiagnosticsExport,
    /// What a support request is made of; asked by a key only, for it is audited.
    Evidence,
    /// Sending a support request.
    SendRequest,
    /// Files of drafts.
    Drafts,
    /// What a request waits for.
    Blocker,
}

impl Slot {
    /// Whether the database's hints of change make its subscription due at once. Sums over a
    /// long time are not asked again at each change.
    pub const fn follows_hints(self) -> bool {
        !matches!(self, Self::Usage | Self::Overview | Self::Errors | Self::Condition)
    }
}

/// What requests wait for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Whose answer is awaited longest, and for how many seconds.
    pub longest: Option<(Slot, u64)>,
    /// All that wait with it.
    pub slots: BTreeSet<Slot>,
    /// The database has answered nothing for seconds.
    pub silent: bool,
    /// The lock that it waits for.
    pub blocker: Option<Blocker>,
    /// How long the way to the database and back takes, where that is long.
    pub trip: Option<&'static str>,
    /// How long it takes at least.
    pub least: Duration,
}

impl Waiting {
    /// Whether only the seconds have changed.
    pub fn is_like(&self, other: &Self) -> bool {
        let slot = |waiting: &Self| waiting.longest.map(|(slot, _)| slot);
        slot(self) == slot(other)
            && (self.silent, &self.blocker, self.trip) == (other.silent, &other.blocker, other.trip)
    }
}

/// What is asked of the service. Two equal requests are the same request.
#[derive(Debug, Clone)]
pub enum Request {
    /// The header's facts.
    Platform,
    /// Whether the database takes writes.
    Condition,
    /// A login.
    Login {
        /// Name as typed.
        username: String,
        /// Password as typed.
        password: SecretString,
    },
    /// The end of the session.
    Logout,
    /// A sign of life of the person.
    Touch,
    /// A part of the operations list.
    Page(PageRequest),
    /// The counts above the list.
    Counts,
    /// Names for completing a filter.
    Names,
    /// What a text of the palette names.
    Named(FindNamed),
    /// One run.
    Detail(i64),
    /// How much is unread in the inbox.
    Unread,
    /// A part of the inbox.
    Notices(ListNotifications),
    /// That these notices were read.
    MarkRead(BTreeSet<i64>),
    /// That every notice up to this id was read.
    MarkAllRead(i64),
    /// What a retry of a run would cover.
    PlanRetry(i64),
    /// A change of a run.
    Control(ControlRequest),
    /// Workers and what they hold.
    Workers,
    /// The overview of this window; of the remembered one where there is none.
    Overview(Option<Window>),
    /// The failures of this window by what they say; of the remembered one likewise.
    Errors(Option<Window>),
    /// What retrying the runs of an error would do: its fingerprint, within this window, and
    /// whether new runs may wait for a worker.
    PlanGroup(String, Option<Window>, bool),
    /// That the runs of an error are retried.
    RetryGroup(GroupRequest),
    /// What customers use, in this window; in the remembered one where there is none.
    Usage(Option<Window>),
    /// That this window is remembered.
    ChooseWindow(Window),
    /// The person's break-glass, if it is active.
    BreakGlass,
    /// That break-glass is taken.
    EnterBreakGlass {
        /// Why.
        reason: StartReason,
        /// For how long.
        minutes: u32,
        /// Password as typed.
        password: SecretString,
    },
    /// That break-glass is ended.
    EndBreakGlass,
    /// What the wizard of runbooks asks.
    Wizard(Box<WizardRequest>),
    /// What the pages of support ask.
    Support(Box<SupportAsk>),
    /// What the composition of a support request asks.
    Compose(Box<ComposeAsk>),
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Login { username: a, password: p },
                Self::Login { username: b, password: q },
            ) => a == b && p.expose_secret() == q.expose_secret(),
            (
                Self::EnterBreakGlass { reason, minutes, password },
                Self::EnterBreakGlass { reason: other, minutes: length, password: guess },
            ) => {
                reason == other
                    && minutes == length
                    && password.expose_secret() == guess.expose_secret()
            }
            (Self::Page(a), Self::Page(b)) => a == b,
            (Self::Named(a), Self::Named(b)) => a == b,
            (Self::Detail(a), Self::Detail(b))
            | (Self::PlanRetry(a), Self::PlanRetry(b))
            | (Self::MarkAllRead(a), Self::MarkAllRead(b)) => a == b,
            (Self::Notices(a), Self::Notices(b)) => a == b,
            (Self::MarkRead(a), Self::MarkRead(b)) => a == b,
            (Self::Control(a), Self::Control(b)) => a == b,
            (Self::Wizard(a), Self::Wizard(b)) => a == b,
            (Self::Support(a), Self::Support(b)) => a == b,
            (Self::Compose(a), Self::Compose(b)) => a == b,
            (Self::Usage(a), Self::Usage(b))
            | (Self::Overview(a), Self::Overview(b))
            | (Self::Errors(a), Self::Errors(b)) => a == b,
            (Self::PlanGroup(one, window, wait), Self::PlanGroup(other, within, waits)) => {
                one == other && window == within && wait == waits
            }
            (Self::RetryGroup(a), Self::RetryGroup(b)) => a == b,
            (Self::ChooseWindow(a), Self::ChooseWindow(b)) => a == b,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

/// A part of the operations list.
#[derive(Debug, Clone, PartialEq)]
pub struct PageRequest {
    /// Conditions.
    pub filter: RunFilter,
    /// Which part.
    pub page: Page,
    /// At most this many rows.
    pub limit: i64,
}

impl PageRequest {
    /// Whether it asks for rows that are not held, which a poll does not.
    pub const fn leads_beyond(&self) -> bool {
        matches!(self.page, Page::OlderThan(_) | Page::NewerThan(_) | Page::Oldest)
    }
}

impl Request {
    /// Whether it asks for rows beyond those that are polled.
    pub const fn leads_beyond(&self) -> bool {
        match self {
            Self::Page(asked) => asked.leads_beyond(),
            Self::Notices(asked) => asked.before.is_some(),
            _ => false,
        }
    }
}

/// What came of a request.
#[derive(Debug)]
pub enum Answer {
    /// The header's facts.
    Platform(Result<Platform>),
    /// Whether the database takes writes.
    Condition(Result<DatabaseCondition>),
    /// A login.
    Login(Result<Session>),
    /// The end of the session.
    Logout(Result<()>),
    /// A sign of life.
    Touch(Result<()>),
    /// A part of the list, with what was asked.
    Page(PageRequest, Result<RunPage>),
    /// The counts.
    Counts(Result<RunCounts>),
    /// Names.
    Names(Result<FilterNames>),
    /// What a text of the palette names.
    Named(FindNamed, Result<Named>),
    /// A run, with the id that was asked.
    Detail(i64, Box<Result<RunDetail>>),
    /// How much is unread.
    Unread(Result<i64>),
    /// A part of the inbox, with what was asked.
    Notices(ListNotifications, Result<NotificationPage>),
    /// Notices were marked as read, with their ids.
    MarkedRead(BTreeSet<i64>, Result<Marked>),
    /// How many notices were marked as read, with the id up to which.
    MarkedAllRead(i64, Result<u64>),
    /// What a retry of a run would do.
    PlanRetry(i64, Result<RetryPlan>),
    /// A change of a run, with what was asked.
    Control(ControlRequest, Result<ControlDone>),
    /// Workers and what they hold.
    Workers(Result<WorkersView>),
    /// An overview, with the window that was asked for.
    Overview(Option<Window>, Box<Result<Overview>>),
    /// Failures by what they say, with the window that was asked for.
    Errors(Option<Window>, Box<Result<FingerprintPage>>),
    /// What retrying the runs of an error would do, with its fingerprint.
    PlanGroup(String, Result<GroupRetryPlan>),
    /// The runs of an error were retried, with what was asked.
    GroupRetried(GroupRequest, Result<GroupRetried>),
    /// What customers use, with the window that was asked for.
    Usage(Option<Window>, Box<Result<Summary>>),
    /// A window was remembered.
    WindowChosen(Window, Result<()>),
    /// The person's break-glass, if it is active.
    BreakGlass(Result<Option<BreakGlass>>),
    /// Break-glass was taken.
    EnteredBreakGlass(Result<BreakGlass>),
    /// Break-glass was ended.
    EndedBreakGlass(Result<BreakGlass>),
    /// What came of a request of the wizard.
    Wizard(Box<WizardAnswer>),
    /// What came of what a page of support asked.
    Support(Box<SupportAnswer>),
    /// What came of what the composition of a support request asked.
    Compose(Box<ComposeAnswer>),
    /// Nothing has changed since the last answer to the same request.
    Unchanged,
    /// Something has, and is read a moment later.
    Later,
    /// The lock that a request waits for.
    Looked(Result<Option<Blocker>>),
    /// Whether something has changed could not be found out.
    Unknown(Error),
}

impl Answer {
    /// Whether it is the answer to a write that was made.
    pub fn wrote(&self) -> bool {
        match self {
            Self::Login(result) => result.is_ok(),
            Self::Logout(result) | Self::Touch(result) => result.is_ok(),
            Self::MarkedRead(_, result) => result.is_ok(),
            Self::MarkedAllRead(_, result) => result.is_ok(),
            Self::Control(_, result) => result.is_ok(),
            Self::WindowChosen(_, result) => result.is_ok(),
            Self::EnteredBreakGlass(result) | Self::EndedBreakGlass(result) => result.is_ok(),
            _ => false,
        }
    }

    /// What went wrong, if something did.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Platform(result) => result.as_ref().err(),
            Self::Condition(result) => result.as_ref().err(),
            Self::Login(result) => result.as_ref().err(),
            Self::Logout(result) | Self::Touch(result) => result.as_ref().err(),
            Self::Page(_, result) => result.as_ref().err(),
            Self::Counts(result) => result.as_ref().err(),
            Self::Names(result) => result.as_ref().err(),
            Self::Named(_, result) => result.as_ref().err(),
            Self::Detail(_, result) => result.as_ref().as_ref().err(),
            Self::Unread(result) => result.as_ref().err(),
            Self::Notices(_, result) => result.as_ref().err(),
            Self::MarkedRead(_, result) => result.as_ref().err(),
            Self::MarkedAllRead(_, result) => result.as_ref().err(),
            Self::PlanRetry(_, result) => result.as_ref().err(),
            Self::Control(_, result) => result.as_ref().err(),
            Self::Workers(result) => result.as_ref().err(),
            Self::Overview(_, result) => result.as_ref().as_ref().err(),
            Self::Errors(_, result) => result.as_ref().as_ref().err(),
            Self::PlanGroup(_, result) => result.as_ref().err(),
            Self::GroupRetried(_, result) => result.as_ref().err(),
            Self::Usage(_, result) => result.as_ref().as_ref().err(),
            Self::WindowChosen(_, result) => result.as_ref().err(),
            Self::Wizard(answer) => answer.error(),
            Self::Support(answer) => answer.error(),
            Self::Compose(answer) => answer.error(),
            Self::BreakGlass(result) => result.as_ref().err(),
            Self::EnteredBreakGlass(result) | Self::EndedBreakGlass(result) => {
                result.as_ref().err()
            }
            Self::Unchanged | Self::Later | Self::Looked(_) => None,
            Self::Unknown(error) => Some(error),
        }
    }
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the service.
    Ask(Slot, Request),
    /// Give up what is asked; it is read only, so nothing is left of it.
    Stop(Slot),
    /// Give up what is read, once it turns out to be slow.
    Leave(Slot),
    /// Send text to the terminal's clipboard.
    Copy(String),
    /// Say [`Msg::Rested`] when nothing else was asked to for a moment.
    WaitForRest,
    /// Go into the background.
    Suspend,
    /// Draw every cell again.
    Repaint,
    /// Leave.
    Quit,
}

/// Something to be asked again and again while the state wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sub {
    /// Its slot.
    pub slot: Slot,
    /// The request.
    pub request: Request,
    /// How often.
    pub every: Duration,
    /// What its answer follows.
    pub follows: Follows,
}

/// What an answer follows, and with that when a poll may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Changes of the database alone.
    Changes,
    /// The passing of time, too: leases run out and workers go silent by it.
    Time,
    /// A run that is under way, too, whose steps no hint tells of.
    Progress,
}
