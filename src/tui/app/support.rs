//! Support inside the console: its pages, what they lead to, and the keys that lead there from
//! runs and errors.

use std::path::PathBuf;

use super::{App, Place};
use crate::Result;
use crate::domain::capability::Capability;
use crate::domain::run::{Run, ScopeKind};
use crate::ops::AnyOutput;
use crate::ops::support::DiagnosticsSubject;
use crate::tui::command::{Command, Context};
use crate::tui::export::ExportDiagnostics;
use crate::tui::msg::{Effect, Request, Slot};
use crate::tui::screens::support::{Around, Left, Outcome, Page, Purpose, Support, Target};
use crate::tui::tabs::Tab;
use crossterm::event::KeyEvent;

/// Why diagnostics are not opened while the database does not answer.
const LOST: &str = "diagnostics are not opened while the database does not answer";

/// What support would be about.
enum About {
    /// A tenant, or a run with one tenant.
    One(DiagnosticsSubject),
    /// A run over several tenants, of which one has to be chosen.
    Several(i64),
    /// Nothing, and why.
    Nothing(&'static str),
}

impl App {
    /// What the pages have to know of the console around them.
    pub(in crate::tui) fn around_support(&self) -> Around<'_> {
        Around {
            look: &self.look,
            keymap: &self.setup.keymap,
            area: self.body(),
            greyed: self.greyed(),
            held: self.session.as_ref().map(|session| &session.capabilities),
            context: self.tabs.support.screen().context(),
        }
    }

    fn with_support<T>(&mut self, act: impl FnOnce(&mut Support, &Around<'_>) -> T) -> T {
        let (area, greyed) = (self.body(), self.greyed());
        let around = Around {
            look: &self.look,
            keymap: &self.setup.keymap,
            area,
            greyed,
            held: self.session.as_ref().map(|session| &session.capabilities),
            context: self.tabs.support.screen().context(),
        };
        act(&mut self.tabs.support, &around)
    }

    /// Keeps the cursor of the page in sight.
    pub(super) fn settle_support(&mut self) {
        self.with_support(|support, around| support.screen_mut().settle(around));
    }

    /// Whether a search of a page is being typed.
    pub(super) fn searches(&self) -> bool {
        self.context() == Context::Search
    }

    /// Takes what came of what a page asked.
    pub(super) fn take_in_support(&mut self, answer: &AnyOutput) {
        let now = self.look.now;
        self.with_support(|support, around| support.take(answer, now, around));
    }

    /// Takes what came of writing diagnostics into files.
    pub(super) fn diagnostics_written(&mut self, files: &Result<Vec<PathBuf>>) {
        self.with_support(|support, around| support.exported(files, around));
        match files {
            Ok(files) => {
                // The page names each whole; here is room for what tells them apart.
                let stem = files.first().and_then(|file| file.file_stem());
                let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
                let endings: Vec<String> = files
                    .iter()
                    .filter_map(|file| Some(format!(".{}", file.extension()?.to_string_lossy())))
                    .collect();
                let stem = stem.unwrap_or_default();
                self.say(format!("written: {stem}{}", endings.join(" and ")));
            }
            Err(error) => self.say(format!("the diagnostics were not written: {error}")),
        }
    }

    /// Types a key into the search of a page.
    pub(super) fn type_in_support(&mut self, event: &KeyEvent) -> Vec<Effect> {
        self.change_search(|support| support.screen_mut().search().key(event))
    }

    /// Pastes into the search of a page; false if not all of it had room.
    pub(super) fn paste_in_support(&mut self, text: &str) -> (bool, Vec<Effect>) {
        let mut whole = true;
        let effects = self.change_search(|support| {
            whole = support.screen_mut().search().paste(text);
        });
        (whole, effects)
    }

    fn change_search(&mut self, change: impl FnOnce(&mut Support)) -> Vec<Effect> {
        let before = self.tabs.support.screen_mut().search().text().to_owned();
        change(&mut self.tabs.support);
        if self.tabs.support.screen_mut().search().text() == before {
            return Vec::new();
        }
        self.with_support(|support, around| support.screen_mut().searched(around))
    }

    /// Does a command while the tab is shown; none where it is not the tab's.
    pub(super) fn command_support(&mut self, command: Command) -> Option<Vec<Effect>> {
        let effects = match command {
            Command::AppBack if self.searches() => {
                self.change_search(|support| support.screen_mut().search().cancel())
            }
            Command::FilterAccept if self.searches() => {
                self.tabs.support.screen_mut().search().accept();
                self.settle_support();
                Vec::new()
            }
            Command::FilterClear => {
                self.change_search(|support| support.screen_mut().search().clear())
            }
            Command::FilterEdit => {
                self.tabs.support.screen_mut().search().open();
                self.settle_support();
                Vec::new()
            }
            Command::AppBack => match self.tabs.support.back() {
                Left::For(place) => self.return_to(place),
                Left::ForPageBelow => {
                    self.settle_support();
                    self.ask_now()
                }
                Left::Nothing => return None,
            },
            Command::TabSupport => {
                self.tabs.support.go_home();
                self.settle_support();
                self.ask_now()
            }
            Command::PollNow => self.refresh_support(),
            Command::CopyId => match self.tabs.support.screen().copies() {
                Some(text) => self.copy(text),
                None => Vec::new(),
            },
            Command::SupportTenants => self.open_tenants(),
            Command::DiagnosticsExport => self.export_diagnostics(),
            Command::CursorUp
            | Command::CursorDown
            | Command::CursorPageUp
            | Command::CursorPageDown
            | Command::CursorFirst
            | Command::CursorLast
            | Command::RowOpen
            | Command::ListOlder
            | Command::MatchNext
            | Command::MatchPrevious
            | Command::FoldToggle
            | Command::FoldAll => {
                let outcome = self
                    .with_support(|support, around| support.screen_mut().command(command, around));
                self.follow_support(outcome)
            }
            _ => return None,
        };
        Some(effects)
    }

    /// A click selects what it hits; one on what is selected opens it.
    pub(super) fn click_support(&mut self, column: u16, row: u16) -> Vec<Effect> {
        let outcome =
            self.with_support(|support, around| support.screen_mut().click(column, row, around));
        self.follow_support(outcome)
    }

    fn follow_support(&mut self, outcome: Outcome) -> Vec<Effect> {
        match outcome {
            Outcome::Stay => Vec::new(),
            Outcome::Ask(effects) => effects,
            Outcome::Open(target) => self.open_support(target),
            Outcome::Run(id) => self.open_run(id),
            Outcome::Compose(subject) => self.compose(subject),
            Outcome::Say(text) => {
                self.say(text);
                Vec::new()
            }
        }
    }

    /// Asks now. Diagnostics are opened anew by it, which says so.
    fn refresh_support(&mut self) -> Vec<Effect> {
        if let Page::Diagnostics(page) = self.tabs.support.page() {
            if page.is_opening() {
                self.say("the diagnostics are being opened");
                return Vec::new();
            }
            if !self.may(Capability::SupportDiagnosticsView) {
                return Vec::new();
            }
            self.say("the diagnostics are reopened, which is audited");
        }
        self.tabs.support.screen_mut().refresh()
    }

    /// Opens a page; one level back from there is this place.
    pub(in crate::tui) fn open_support(&mut self, target: Target) -> Vec<Effect> {
        let from = (self.tab != Tab::Support).then(|| self.here());
        if from.is_some() {
            self.remember();
        }
        self.tab = Tab::Support;
        self.tabs.support.open(target, from)
    }

    /// Goes to a place that something was opened from; what was looked at since lies between.
    pub(super) fn return_to(&mut self, place: Place) -> Vec<Effect> {
        let chosen_in = place.chosen_in;
        if let Some(at) = self.back.iter().rposition(|before| *before == place) {
            self.back.truncate(at + 1);
        } else {
            self.back.push(place);
        }
        let effects = self.travel(true);
        self.run_chosen_in = chosen_in;
        effects
    }

    /// Whether the person holds a capability; says so where not.
    fn may(&mut self, needed: Capability) -> bool {
        let holds = self.session.as_ref().is_some_and(|s| s.capabilities.has(needed));
        if !holds {
            self.say(format!("this needs the capability {needed}; ask an admin"));
        }
        holds
    }

    pub(super) fn open_tenants(&mut self) -> Vec<Effect> {
        if !self.may(Capability::OpsView) {
            return Vec::new();
        }
        let effects = self.open_support(Target::Tenants);
        // What is typed next is a name.
        self.tabs.support.screen_mut().search().open();
        effects
    }

    /// The tenants whose names fit `name`.
    pub(super) fn find_tenants(&mut self, name: &str) -> Vec<Effect> {
        let mut effects = self.open_tenants();
        if !effects.is_empty() {
            effects.extend(self.paste_in_support(name).1);
            self.tabs.support.screen_mut().search().accept();
        }
        effects
    }

    /// What support would be about here.
    fn about(&self) -> About {
        let of_run = |run: Option<&Run>, otherwise| match run {
            Some(run) => about_run(run),
            None => About::Nothing(otherwise),
        };
        match self.tab {
            Tab::Run => {
                let run = self.tabs.run.detail().map(|detail| &detail.run);
                of_run(run, "no run is open, or it is still being read")
            }
            Tab::Operations => of_run(self.tabs.operations.selected_run(), "no run is selected"),
            Tab::Overview if self.tabs.overview.errors().is_some() => match self.group() {
                Some(group) => {
                    let (run_id, tenant_id) = (group.sample.run_id, group.sample.tenant_id);
                    match tenant_id {
                        Some(_) => About::One(DiagnosticsSubject::Run { run_id, tenant_id }),
                        None => About::Several(run_id),
                    }
                }
                None => About::Nothing("no error is selected"),
            },
            Tab::Overview => of_run(
                self.overview_run(),
                "support is for the failure under the cursor; none is selected",
            ),
            Tab::Support => match self.tabs.support.screen().subject() {
                Some(subject) => About::One(subject),
                None => About::Nothing("nothing is selected; t finds a tenant"),
            },
            _ => About::Nothing("support is asked for in a run, in a tenant, or in their lists"),
        }
    }

    /// Asks for support, opens diagnostics, or shows the tenant, of what is open or selected.
    pub(super) fn ask_support(&mut self, command: Command) -> Vec<Effect> {
        let (purpose, needed) = match command {
            Command::SupportRequest => (Purpose::Request, Capability::SupportRequestsCreate),
            Command::SupportDiagnostics => {
                (Purpose::Diagnostics, Capability::SupportDiagnosticsView)
            }
            _ => (Purpose::Tenant, Capability::OpsView),
        };
        if !self.may(needed) {
            return Vec::new();
        }
        if purpose == Purpose::Diagnostics && self.greyed() {
            self.say(LOST);
            return Vec::new();
        }
        match (self.about(), purpose) {
            (About::Nothing(why), _) => {
                self.say(why);
                Vec::new()
            }
            (About::Several(run_id), _) => self.open_support(Target::RunTenants(run_id, purpose)),
            (About::One(subject), Purpose::Request) => self.compose(subject),
            (About::One(subject), Purpose::Diagnostics) => {
                self.open_support(Target::Diagnostics(subject))
            }
            (About::One(subject), Purpose::Tenant) => match (subject, self.tenant_here()) {
                (_, Some(id)) | (DiagnosticsSubject::Tenant(id), None) => {
                    self.open_support(Target::Tenant(id))
                }
                (DiagnosticsSubject::Run { run_id, .. }, None) => {
                    self.open_support(Target::RunTenants(run_id, purpose))
                }
            },
        }
    }

    /// The tenant of what is open or selected, where it is known to be one.
    fn tenant_here(&self) -> Option<i64> {
        match self.tab {
            Tab::Run => self.tabs.run.detail()?.run.tenant_id,
            Tab::Operations => self.tabs.operations.selected_run()?.tenant_id,
            Tab::Overview => match self.group() {
                Some(group) => group.sample.tenant_id,
                None => self.overview_run()?.tenant_id,
            },
            Tab::Support => self.tabs.support.screen().tenant(),
            _ => None,
        }
    }

    /// Writes the diagnostics that are shown into files, as they were opened.
    fn export_diagnostics(&mut self) -> Vec<Effect> {
        let Some(evidence) = self.tabs.support.evidence().cloned() else {
            self.say("no diagnostics are open");
            return Vec::new();
        };
        let Some(dir) = self.setup.exports.clone() else {
            self.say("there is no directory that exports could go to");
            return Vec::new();
        };
        let export = ExportDiagnostics { evidence, dir, now: self.look.now };
        vec![Effect::Ask(Slot::DiagnosticsExport, Request::ExportDiagnostics(export))]
    }
}

/// What support for a run would be about.
fn about_run(run: &Run) -> About {
    let run_id = run.id;
    match (run.tenant_id, run.target_count) {
        (Some(id), _) => About::One(DiagnosticsSubject::Run { run_id, tenant_id: Some(id) }),
        (None, _) if run.scope == ScopeKind::Platform => {
            About::Nothing("this run is the platform's own; support is for a tenant")
        }
        (None, 1) => About::One(DiagnosticsSubject::Run { run_id, tenant_id: None }),
        (None, _) => About::Several(run_id),
    }
}
