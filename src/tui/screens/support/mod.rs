//! Support: requests that were sent, tenants, and the diagnostics of a tenant or a run.
//!
//! The tab is a small stack of pages over the list of requests. A page remembers the place that
//! it was opened from, so one level back leads there. Diagnostics that are open are the one thing that
//! is never asked again by itself: each opening is audited.

mod bundle;
pub mod compose;
mod diagnostics;
mod list;
pub(crate) mod masked;
mod reader;
mod request;
mod requests;
mod run_tenants;
mod search;
mod tenant;
mod tenants;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Widget;

pub use diagnostics::Diagnostics;
pub use list::{List, Row};
pub use reader::{Act, Paper, PaperLine, Read, Reader};
pub use request::RequestPaper;
pub use requests::Requests;
pub use run_tenants::{Purpose, RunTenantChoice};
pub use search::Search;
pub use tenant::TenantPaper;
pub use tenants::Tenants;

use crate::Error;
use crate::Result;
use crate::domain::capability::{Capability, CapabilitySet};
use crate::domain::support::{Evidence, Reference};
use crate::ops::AnyOutput;
use crate::ops::support::DiagnosticsSubject;
use crate::tui::app::{Place, Setup};
use crate::tui::command::{Command, Context};
use crate::tui::keymap::Keymap;
use crate::tui::look::{Look, wrapped};
use crate::tui::msg::{Effect, Sub};
use crate::tui::theme::Role;

/// The most pages over the list; the oldest go.
const DEPTH: usize = 12;

/// What a page has to know of the console around it.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// How things look.
    pub look: &'a Look,
    /// The keys in force.
    pub keymap: &'a Keymap,
    /// Where it is drawn.
    pub area: Rect,
    /// Whether data is to be shown as old.
    pub greyed: bool,
    /// What the person holds.
    pub held: Option<&'a CapabilitySet>,
    /// Where its keys are looked up.
    pub context: Context,
}

impl Around<'_> {
    /// The first key of a command here, `r`.
    pub fn key(&self, command: Command) -> Option<String> {
        self.keymap.keys_for(self.context, command).into_iter().next()
    }

    /// Whether the person holds a capability.
    pub fn has(&self, capability: Capability) -> bool {
        self.held.is_some_and(|held| held.has(capability))
    }
}

/// What a page leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing outside of the page.
    Stay,
    /// Do these.
    Ask(Vec<Effect>),
    /// Another page.
    Open(Target),
    /// A run.
    Run(i64),
    /// A request for support about this is begun.
    Compose(DiagnosticsSubject),
    /// A notice.
    Say(String),
}

/// A page to be opened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// A request.
    Request(Reference),
    /// The list of tenants.
    Tenants,
    /// A tenant.
    Tenant(i64),
    /// The choice of one of a run's tenants.
    RunTenants(i64, Purpose),
    /// Diagnostics; opening them is audited.
    Diagnostics(DiagnosticsSubject),
}

/// What every page does.
pub trait Screen {
    /// Where its keys are looked up.
    fn context(&self) -> Context;
    /// What is asked again and again while it is shown.
    fn subscriptions(&self, every: Duration) -> Vec<Sub>;
    /// What is asked when it is opened, and by the key that asks now.
    fn refresh(&mut self) -> Vec<Effect>;
    /// Its search.
    fn search(&mut self) -> &mut Search;
    /// Whether its search is being typed.
    fn is_typing(&self) -> bool;
    /// Its search is another one now.
    fn searched(&mut self, around: &Around<'_>) -> Vec<Effect>;
    /// Does a command.
    fn command(&mut self, command: Command, around: &Around<'_>) -> Outcome;
    /// Takes a click on a cell of the body.
    fn click(&mut self, column: u16, row: u16, around: &Around<'_>) -> Outcome;
    /// Keeps the cursor in sight.
    fn settle(&mut self, around: &Around<'_>);
    /// Draws it; gives where the terminal's cursor belongs while a search is typed.
    fn draw(&self, buffer: &mut Buffer, around: &Around<'_>) -> Option<Position>;
    /// The last error.
    fn error(&self) -> Option<&Error>;
    /// Whether there is something to show beside an error.
    fn has_data(&self) -> bool;
    /// What a request or diagnostics asked for here are about.
    fn subject(&self) -> Option<DiagnosticsSubject>;
    /// The tenant that is shown or selected.
    fn tenant(&self) -> Option<i64>;
    /// What is copied.
    fn copies(&self) -> Option<String>;
}

/// A page.
#[derive(Debug)]
pub enum Page {
    /// Requests that were sent.
    Requests(Box<Requests>),
    /// One of them.
    Request(Box<RequestPaper>),
    /// Tenants.
    Tenants(Box<Tenants>),
    /// One of them.
    Tenant(Box<TenantPaper>),
    /// The choice of one of a run's tenants.
    RunTenants(Box<RunTenantChoice>),
    /// Diagnostics.
    Diagnostics(Box<Diagnostics>),
}

impl Page {
    /// A page, with nothing on it yet.
    pub fn of(target: Target) -> Self {
        match target {
            Target::Request(reference) => Self::Request(Box::new(RequestPaper::of(reference))),
            Target::Tenants => Self::Tenants(Box::default()),
            Target::Tenant(id) => Self::Tenant(Box::new(TenantPaper::of(id))),
            Target::RunTenants(run_id, purpose) => {
                Self::RunTenants(Box::new(RunTenantChoice::of(run_id, purpose)))
            }
            Target::Diagnostics(subject) => Self::Diagnostics(Box::new(Diagnostics::of(subject))),
        }
    }

    /// What it does.
    pub fn screen(&self) -> &dyn Screen {
        match self {
            Self::Requests(page) => page.as_ref(),
            Self::Request(page) => page.as_ref(),
            Self::Tenants(page) => page.as_ref(),
            Self::Tenant(page) => page.as_ref(),
            Self::RunTenants(page) => page.as_ref(),
            Self::Diagnostics(page) => page.as_ref(),
        }
    }

    /// What it does, and may change by.
    pub fn screen_mut(&mut self) -> &mut dyn Screen {
        match self {
            Self::Requests(page) => page.as_mut(),
            Self::Request(page) => page.as_mut(),
            Self::Tenants(page) => page.as_mut(),
            Self::Tenant(page) => page.as_mut(),
            Self::RunTenants(page) => page.as_mut(),
            Self::Diagnostics(page) => page.as_mut(),
        }
    }

    /// Takes an answer, if it is one to what this page asked.
    fn take(&mut self, answer: &AnyOutput, now: DateTime<Utc>, around: &Around<'_>) {
        match (self, answer) {
            (Self::Requests(page), AnyOutput::ListRequests(asked, found)) => {
                page.take(asked, found, now, around);
            }
            (Self::Request(page), AnyOutput::GetRequest(asked, detail)) => {
                page.take(asked.reference, detail, now);
            }
            (Self::Tenants(page), AnyOutput::ListTenants(asked, found)) => {
                page.take(asked, found, now, around);
            }
            (Self::Tenant(page), AnyOutput::GetTenant(asked, view)) => {
                page.take(asked.id, view, now);
            }
            (Self::RunTenants(page), AnyOutput::ListRunTenants(asked, found)) => {
                page.take(asked, found, now, around);
            }
            (Self::Diagnostics(page), AnyOutput::OpenDiagnostics(asked, opened)) => {
                page.take(asked.subject, opened);
            }
            _ => {}
        }
    }
}

/// A page over the list, and where it was opened from if that was another tab.
#[derive(Debug)]
struct Layer {
    page: Page,
    from: Option<Place>,
}

/// What going one level back has led to.
#[derive(Debug, PartialEq)]
pub(in crate::tui) enum Left {
    /// There was no page to leave.
    Nothing,
    /// The page below is shown.
    ForPageBelow,
    /// The place that the page was opened from is to be shown.
    For(Place),
}

/// The state of the tab.
#[derive(Debug)]
pub struct Support {
    home: Page,
    above: Vec<Layer>,
}

impl Default for Support {
    fn default() -> Self {
        Self { home: Page::Requests(Box::default()), above: Vec::new() }
    }
}

impl Support {
    /// It, with nothing on it yet.
    pub fn new(_: &Setup) -> Self {
        Self::default()
    }

    /// The page that is shown.
    pub fn page(&self) -> &Page {
        self.above.last().map_or(&self.home, |layer| &layer.page)
    }

    fn page_mut(&mut self) -> &mut Page {
        match self.above.last_mut() {
            Some(layer) => &mut layer.page,
            None => &mut self.home,
        }
    }

    /// The page that is shown, by what it does.
    pub fn screen(&self) -> &dyn Screen {
        self.page().screen()
    }

    /// The page that is shown, by what it does and may change by.
    pub fn screen_mut(&mut self) -> &mut dyn Screen {
        self.page_mut().screen_mut()
    }

    /// Where keys are looked up.
    pub fn context(&self) -> Context {
        if self.screen().is_typing() { Context::Search } else { self.screen().context() }
    }

    /// Whether the list of requests is shown.
    pub fn is_home(&self) -> bool {
        self.above.is_empty()
    }

    /// Opens a page over the one that is shown; `from` is the place outside of this tab that it
    /// was opened from.
    pub(in crate::tui) fn open(&mut self, target: Target, from: Option<Place>) -> Vec<Effect> {
        if self.above.len() >= DEPTH {
            self.above.remove(0);
        }
        self.above.push(Layer { page: Page::of(target), from });
        self.screen_mut().refresh()
    }

    /// Leaves the page that is shown, for the one below it or for the place that it was opened
    /// from.
    pub(in crate::tui) fn back(&mut self) -> Left {
        match self.above.pop() {
            None => Left::Nothing,
            Some(Layer { from: None, .. }) => Left::ForPageBelow,
            Some(Layer { from: Some(place), .. }) => Left::For(place),
        }
    }

    /// Goes to the list of requests.
    pub fn go_home(&mut self) {
        self.above.clear();
    }

    /// Takes an answer to whichever page asked.
    pub fn take(&mut self, answer: &AnyOutput, now: DateTime<Utc>, around: &Around<'_>) {
        self.home.take(answer, now, around);
        for layer in &mut self.above {
            layer.page.take(answer, now, around);
        }
        self.screen_mut().settle(around);
    }

    /// Diagnostics were written into files, or could not be.
    pub fn exported(&mut self, files: &Result<Vec<PathBuf>>, around: &Around<'_>) {
        for layer in &mut self.above {
            if let Page::Diagnostics(page) = &mut layer.page {
                page.exported(files);
            }
        }
        self.screen_mut().settle(around);
    }

    /// The diagnostics that are shown.
    pub fn evidence(&self) -> Option<&Arc<Evidence>> {
        match self.page() {
            Page::Diagnostics(page) => page.evidence(),
            _ => None,
        }
    }
}

impl From<Read> for Outcome {
    fn from(read: Read) -> Self {
        match read {
            Read::Act(Act::Run(id)) => Self::Run(id),
            Read::Act(Act::Tenant(id)) => Self::Open(Target::Tenant(id)),
            Read::Act(Act::Request(reference)) => Self::Open(Target::Request(reference)),
            Read::NotFound => Self::Say("nothing here holds what is searched".to_owned()),
            Read::Stay | Read::Act(Act::Fold(_)) => Self::Stay,
        }
    }
}

/// A page that has nothing to show but a sentence.
fn draw_text(role: Role, text: &str, buffer: &mut Buffer, around: &Around<'_>) {
    let (look, area) = (around.look, around.area);
    let text = look.cut(text, 1_000).to_string();
    let lines = wrapped(&text, usize::from(area.width.saturating_sub(4)));
    for (y, text) in (area.y + 1..area.bottom()).zip(lines) {
        let row = Rect { y, height: 1, ..area };
        Line::from(look.span(role, format!("  {text}"))).render(row, buffer);
    }
}
