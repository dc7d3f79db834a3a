//! Support: requests that were sent, tenants, the diagnostics of a tenant or a run, and requests that
//! are written.
//!
//! The tab is a small stack of pages over the list of requests. A page remembers the place that
//! it was opened from, so one level back leads there. Diagnostics that are open are the one thing that
//! is never asked again by itself: each opening is audited.

mod bundle;
pub mod compose;
mod diagnostics;
mod keeper;
mod list;
mod request;
mod requests;
mod run_tenants;
mod tenant;
mod tenants;

use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use self::compose::Composition;
use self::compose::desk::Desk;
use self::diagnostics::Diagnostics;
use self::list::ListPage;
use self::request::RequestPaper;
use self::requests::Requests;
use self::run_tenants::RunTenantChoice;
use self::tenant::TenantPaper;
use self::tenants::Tenants;
use crate::ErrorKind;
use crate::domain::capability::Capability;
use crate::drafts::Drafts;
use crate::ops::AnyOutput;
use crate::tui::command::{Command, Context};
use crate::tui::draft_files::Job;
use crate::tui::msg::{Answer, Effect, Sub};
use crate::tui::screen::{Cx, Go, Hint, Place, Reply, Screen, State, Subject, Target, Way};
use crate::tui::setup::Setup;
use crate::tui::slot::Slot;

impl Slot {
    pub const SUPPORT_REQUESTS: Self = Self::new("support requests", "the support requests");
    pub const SUPPORT_REQUEST: Self = Self::new("support request", "the support requests");
    pub const SUPPORT_TENANTS: Self = Self::new("support tenants", "the tenants");
    pub const SUPPORT_TENANT: Self = Self::new("support tenant", "the tenants");
    pub const RUN_TENANTS: Self = Self::new("run tenants", "the tenants");
    pub const DIAGNOSTICS: Self = Self::new("diagnostics", "the diagnostics").made().kept();
    pub const DIAGNOSTICS_EXPORT: Self = Self::new("diagnostics export", "the database");
    pub const EVIDENCE: Self = Self::new("evidence", "the diagnostics").made();
    pub const SEND_REQUEST: Self = Self::new("send request", "the support request");
}

/// The most pages over the list; the oldest go.
const DEPTH: usize = 12;
/// A page over the list, and where it was opened from if that was another tab.
#[derive(Debug)]
struct Layer {
    page: Box<dyn Screen>,
    from: Option<Place>,
}

#[derive(Debug)]
pub struct Support {
    home: Box<dyn Screen>,
    above: Vec<Layer>,
    desk: Desk,
}

impl Support {
    pub fn new(setup: &Setup) -> Self {
        let home = Box::new(ListPage::of(Requests));
        Self { home, above: Vec::new(), desk: Desk::new(setup.drafts.clone()) }
    }

    pub fn page(&self) -> &dyn Screen {
        self.above.last().map_or(self.home.as_ref(), |layer| layer.page.as_ref())
    }

    fn page_mut(&mut self) -> &mut dyn Screen {
        match self.above.last_mut() {
            Some(layer) => layer.page.as_mut(),
            None => self.home.as_mut(),
        }
    }

    pub fn is_home(&self) -> bool {
        self.above.is_empty()
    }

    pub fn composition(&self) -> Option<&Composition> {
        self.desk.open.as_ref()
    }

    /// What has the keys: the request that is written, or the page.
    fn front(&self) -> &dyn Screen {
        if self.desk.open.is_some() { &self.desk } else { self.page() }
    }

    fn front_mut(&mut self) -> &mut dyn Screen {
        if self.desk.open.is_some() { &mut self.desk } else { self.page_mut() }
    }

    /// Opens a page over the one that is shown.
    fn push(&mut self, page: impl Screen + 'static, from: Option<Place>, cx: &Cx<'_>) -> Reply {
        if self.above.len() >= DEPTH {
            self.above.remove(0);
        }
        self.above.push(Layer { page: Box::new(page), from });
        self.page_mut().refresh(cx)
    }

    /// Leaves the page that is shown, for the one below it or for the place that it was opened from.
    fn back(&mut self, cx: &Cx<'_>) -> Reply {
        match self.above.pop() {
            None => Reply::up(Command::AppBack),
            Some(Layer { from: Some(place), .. }) => Reply::default().go(Go::Return(place)),
            Some(Layer { from: None, .. }) => {
                self.settle(cx);
                Reply::default().go(Go::Poll)
            }
        }
    }
}

fn needs(capability: Capability) -> String {
    format!("this needs the capability {capability}; ask an admin")
}

impl Screen for Support {
    fn context(&self, cx: &Cx<'_>) -> Context {
        self.front().context(cx)
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        self.front().subscriptions(cx)
    }

    fn reads(&self, cx: &Cx<'_>) -> Option<Slot> {
        self.front().reads(cx)
    }

    fn show(&mut self, target: &Target, way: Way, cx: &Cx<'_>) -> Option<Reply> {
        if matches!(target, Target::Run(_) | Target::Runs(_) | Target::Inbox) {
            return None;
        }
        if matches!(way, Way::Named(_)) {
            if self.desk.has_work() {
                let why = "a support request is being written; leave it first";
                return Some(Reply::refuse(why, cx));
            }
            self.desk.open = None;
        }
        let needed = match target {
            Target::Compose(_) => Some(Capability::SupportRequestsCreate),
            Target::Tenants(_) => Some(Capability::OpsView),
            _ => None,
        };
        if let Some(needed) = needed.filter(|needed| !cx.has(*needed)) {
            return Some(Reply::refuse(needs(needed), cx));
        }
        let from = match way {
            Way::Led(place) | Way::Named(place) => (!cx.shown).then_some(place),
            Way::Back(_) => None,
        };
        Some(match target {
            Target::Request(reference) => self.push(RequestPaper::page(*reference), from, cx),
            Target::Tenant(id) => self.push(TenantPaper::page(*id), from, cx),
            Target::RunTenants(run, purpose) => {
                self.push(ListPage::of(RunTenantChoice(*run, *purpose)), from, cx)
            }
            Target::Diagnostics(subject) => self.push(Diagnostics::page(*subject), from, cx),
            Target::Tenants(name) => {
                let reply = self.push(ListPage::of(Tenants), from, cx);
                let page = self.page_mut();
                // What is typed next is a name.
                page.command(Command::FilterEdit, cx);
                let Some(name) = name else { return Some(reply) };
                let searched = page.paste(name, cx).effects;
                page.command(Command::FilterAccept, cx);
                reply.and(searched)
            }
            Target::Compose(subject) => {
                let page = self.page().context(cx);
                self.desk.write(*subject, page, from, cx)
            }
            Target::Run(_) | Target::Runs(_) | Target::Inbox => return None,
        })
    }

    /// An answer is given to whichever page asked.
    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        if let Some(reply) = self.desk.answer(answer, cx) {
            return Some(reply);
        }
        let pages = self.above.iter_mut().map(|layer| &mut layer.page);
        let mut taken = None;
        for page in [&mut self.home].into_iter().chain(pages) {
            taken = page.answer(answer, cx).or(taken);
        }
        self.settle(cx);
        taken
    }

    fn outcome(&mut self, slot: Slot, answer: &Answer, cx: &Cx<'_>) -> Reply {
        for layer in &mut self.above {
            layer.page.outcome(slot, answer, cx);
        }
        let files = match answer {
            Answer::DiagnosticsExported(files) => files,
            answer => return self.desk.outcome(slot, answer, cx),
        };
        self.settle(cx);
        Reply::default().say(
            match files {
                Ok(files) => {
                    // The page names each whole; there is room here only for what differs.
                    let stem = files.first().and_then(|file| file.file_stem());
                    let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
                    let ending = |file: &std::path::PathBuf| {
                        Some(format!(".{}", file.extension()?.to_string_lossy()))
                    };
                    let endings: Vec<String> = files.iter().filter_map(ending).collect();
                    format!("written: {}{}", stem.unwrap_or_default(), endings.join(" and "))
                }
                Err(error) => format!("the diagnostics were not written: {error}"),
            },
            cx,
        )
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match command {
            _ if self.desk.open.is_some() => self.desk.command(command, cx),
            Command::TabSupport if cx.shown => {
                self.above.clear();
                self.settle(cx);
                Reply::default().go(Go::Poll)
            }
            Command::AppBack if !self.is_typing() => self.back(cx),
            _ => self.page_mut().command(command, cx),
        }
    }

    fn key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        self.front_mut().key(event, cx)
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        self.front_mut().paste(text, cx)
    }

    fn click(&mut self, column: u16, row: u16, cx: &Cx<'_>) -> Reply {
        self.front_mut().click(column, row, cx)
    }

    fn is_typing(&self) -> bool {
        self.front().is_typing()
    }

    fn rested(&mut self, cx: &Cx<'_>) -> Reply {
        self.desk.rested(cx)
    }

    fn tick(&mut self, cx: &Cx<'_>) -> Reply {
        self.desk.tick(cx)
    }

    fn settle(&mut self, cx: &Cx<'_>) {
        self.page_mut().settle(cx);
        self.desk.settle(cx);
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.front().view(cx, buffer)
    }

    fn hints(&self, cx: &Cx<'_>) -> Vec<Hint> {
        let refused = |state: &State<'_>| {
            state.error.is_some_and(|error| error.kind() == ErrorKind::Forbidden) && !state.has_data
        };
        // What may not be seen has nothing to be done to it.
        let hidden = !self.is_typing() && self.state(cx).as_ref().is_some_and(refused);
        if hidden { Vec::new() } else { self.front().hints(cx) }
    }

    fn state(&self, cx: &Cx<'_>) -> Option<State<'_>> {
        self.front().state(cx)
    }

    fn subject(&self, cx: &Cx<'_>) -> Subject<'_> {
        self.page().subject(cx)
    }

    fn copies(&self, cx: &Cx<'_>) -> Option<String> {
        self.page().copies(cx)
    }

    fn unsaved(&self) -> Option<&'static str> {
        self.desk.unsaved()
    }

    fn discard(&mut self, cx: &Cx<'_>) -> Reply {
        self.desk.discard(cx)
    }

    fn begin(&mut self, cx: &Cx<'_>) -> Reply {
        self.desk.begin(cx)
    }

    fn inherit(&mut self, mut old: Self, on_purpose: bool, now: DateTime<Utc>) -> Vec<Effect> {
        let effects = old.desk.interrupt(on_purpose, now);
        self.desk = old.desk;
        effects
    }

    fn last(&mut self, now: DateTime<Utc>) -> Option<(Drafts, Vec<Job>)> {
        self.desk.last(now)
    }
}
