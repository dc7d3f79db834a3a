//! The second step: what the runbook is aimed at. Marks are bound to ids; nothing chosen is an
//! error, and what a search hides is neither taken along nor lost without a word.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::card::Card;
use super::listing::{Listing, Part};
use super::view::key;
use crate::Result;
use crate::domain::count::{count, noun};
use crate::domain::name_pattern::NamePattern;
use crate::domain::run::ScopeKind;
use crate::ops::plans::{
    ListScopeTenants, ListScopeWorkspaces, ScopeTenant, ScopeTenants, ScopeWorkspace,
    ScopeWorkspaces,
};
use crate::ops::runs::RunScope;
use crate::tui::command::{Command, Context};
use crate::tui::look::grouped;
use crate::tui::msg::Effect;
use crate::tui::screen::Cx;
use crate::tui::slot::Slot;
use crate::tui::widgets::form::{Field, Form};
use crate::tui::widgets::search::Search;
use crate::tui::widgets::table::Row;

const INPUT_LIMIT: usize = 60;
const NAMED: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Tenants,
    Workspace,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Choose,
    Inputs,
}

#[derive(Debug)]
pub(super) struct Scope {
    card: Card,
    pub(super) ways: Vec<Way>,
    pub(super) way: Way,
    pub(super) page: Page,
    pub(super) tenants: Listing<Candidate>,
    workspaces: Listing<Candidate>,
    /// How many tenants there are, and whether all of them may be chosen at once.
    pub(super) allowed: Option<(i64, bool)>,
    pub(super) marks: BTreeMap<i64, Candidate>,
    /// Tenants that the search in force has shown.
    seen: BTreeSet<i64>,
    pub(super) workspace: Option<Candidate>,
    pub(super) all: bool,
    pub(super) inputs: Option<Form>,
    /// Why it cannot go on.
    pub(super) refusal: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) rest: String,
    /// The name of a tenant's workspace.
    within: String,
    tenants: i64,
}

impl Row for Candidate {
    type Key = i64;

    fn key(&self) -> i64 {
        self.id
    }
}

impl From<ScopeTenant> for Candidate {
    fn from(tenant: ScopeTenant) -> Self {
        let ScopeTenant { id, name, workspace_id, workspace_name: within } = tenant;
        Self { id, name, rest: format!("{within} ({workspace_id})"), within, tenants: 1 }
    }
}

impl From<ScopeWorkspace> for Candidate {
    fn from(workspace: ScopeWorkspace) -> Self {
        let ScopeWorkspace { id, name, tenant_count: tenants } = workspace;
        Self { id, name, rest: grouped(tenants), within: String::new(), tenants }
    }
}

/// Tells whether a search finds something by its id or one of its names.
fn finder(search: &str) -> impl Fn(i64, &[&str]) -> bool {
    let id = search.trim().parse().ok();
    let pattern = NamePattern::searched(search);
    let everything = pattern.is_none();
    let pattern = pattern.and_then(|pattern| pattern.in_memory());
    move |own, names| {
        everything
            || id == Some(own)
            || pattern.as_ref().is_some_and(|p| names.iter().any(|name| p.is_match(name)))
    }
}

impl Scope {
    pub(super) fn new(card: Card) -> Self {
        let takes = |way: &Way| match way {
            Way::Tenants => card.takes(ScopeKind::Tenant) || card.takes(ScopeKind::Tenants),
            Way::Workspace => card.takes(ScopeKind::Workspace),
            Way::All => card.takes(ScopeKind::All),
        };
        let mut ways = vec![Way::Tenants, Way::Workspace, Way::All];
        ways.retain(takes);
        let fields = card.inputs().iter().map(|input| {
            let field = Field::text(input.name, INPUT_LIMIT);
            field.note(&format!("{} where left empty", input.default))
        });
        Self {
            way: ways.first().copied().unwrap_or(Way::All),
            page: if card.is_platforms() { Page::Inputs } else { Page::Choose },
            ways,
            tenants: Listing::default(),
            workspaces: Listing::default(),
            allowed: None,
            marks: BTreeMap::new(),
            seen: BTreeSet::new(),
            workspace: None,
            all: false,
            inputs: (!card.inputs().is_empty()).then(|| Form::new(fields.collect())),
            refusal: None,
            card,
        }
    }

    pub(super) fn has_work(&self) -> bool {
        let typed = self.inputs.as_ref().is_some_and(|form| {
            (0..self.card.inputs().len()).any(|field| !form.value(field).is_empty())
        });
        typed || !self.marks.is_empty() || self.workspace.is_some() || self.all
    }

    pub(super) fn ask(&self) -> Vec<Effect> {
        if self.card.is_platforms() { Vec::new() } else { self.ask_part(self.list().part()) }
    }

    fn ask_part(&self, (offset, limit): Part) -> Vec<Effect> {
        let search = self.list().search.text().to_owned();
        vec![match self.way {
            Way::Tenants | Way::All => {
                Effect::ask(Slot::SCOPE_CHOICES, ListScopeTenants { search, offset, limit })
            }
            Way::Workspace => {
                Effect::ask(Slot::SCOPE_CHOICES, ListScopeWorkspaces { search, offset, limit })
            }
        }]
    }

    /// The rows of the way; with all tenants, none of them is shown.
    pub(super) fn list(&self) -> &Listing<Candidate> {
        if self.way == Way::Workspace { &self.workspaces } else { &self.tenants }
    }

    pub(super) fn list_mut(&mut self) -> &mut Listing<Candidate> {
        if self.way == Way::Workspace { &mut self.workspaces } else { &mut self.tenants }
    }

    pub(super) fn take_tenants(&mut self, asked: &ListScopeTenants, answer: Result<ScopeTenants>) {
        let answer = answer.map(|answer| {
            self.allowed = Some((answer.allowed, answer.all_allowed));
            if asked.search == self.tenants.search.text() {
                self.seen.extend(answer.tenants.iter().map(|tenant| tenant.id));
            }
            (answer.tenants.into_iter().map(Candidate::from).collect(), answer.matching)
        });
        self.tenants.take(&asked.search, asked.offset, answer);
    }

    pub(super) fn take_workspaces(
        &mut self,
        asked: &ListScopeWorkspaces,
        answer: Result<ScopeWorkspaces>,
    ) {
        let rows = |answer: ScopeWorkspaces| {
            (answer.workspaces.into_iter().map(Candidate::from).collect(), answer.matching)
        };
        self.workspaces.take(&asked.search, asked.offset, answer.map(rows));
    }

    pub(super) fn command(&mut self, command: Command, height: usize) -> Vec<Effect> {
        match command {
            Command::ScopeNextWay => return self.turn(true),
            Command::ScopePreviousWay => return self.turn(false),
            Command::ScopeMark => self.mark(),
            Command::ScopeUnmark => {
                self.refusal = None;
                match self.way {
                    Way::Tenants => self.marks.clear(),
                    Way::Workspace => self.workspace = None,
                    Way::All => self.all = false,
                }
            }
            Command::FilterEdit
            | Command::FilterClear
            | Command::FilterAccept
            | Command::AppBack => return self.change(|search| _ = search.command(command)),
            Command::PollNow => return self.ask(),
            _ if self.way == Way::All => {}
            _ => {
                let part = self.list_mut().command(command, height);
                return part.map_or_else(Vec::new, |part| self.ask_part(part));
            }
        }
        Vec::new()
    }

    fn turn(&mut self, forward: bool) -> Vec<Effect> {
        let count = self.ways.len().max(1);
        let here = self.ways.iter().position(|way| *way == self.way).unwrap_or(0);
        let next = if forward { here + 1 } else { here + count - 1 } % count;
        self.way = self.ways.get(next).copied().unwrap_or(self.way);
        self.refusal = None;
        self.ask()
    }

    fn mark(&mut self) {
        self.refusal = None;
        match self.way {
            Way::Tenants => {
                if let Some(tenant) = self.tenants.table.selected()
                    && self.marks.remove(&tenant.id).is_none()
                {
                    self.marks.insert(tenant.id, tenant.clone());
                }
            }
            Way::Workspace => {
                let under = self.workspaces.table.selected().cloned();
                self.workspace = under.filter(|under| {
                    self.workspace.as_ref().is_none_or(|chosen| chosen.id != under.id)
                });
            }
            Way::All => match self.allowed {
                Some((_, true)) => self.all = !self.all,
                Some((_, false)) => self.refusal = Some(RESTRICTED.to_owned()),
                None => {}
            },
        }
    }

    pub(super) fn search(&self) -> &str {
        if self.way == Way::All { "" } else { self.list().search.text() }
    }

    pub(super) fn is_typing(&self) -> bool {
        self.way != Way::All && self.list().search.is_typing()
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut Search)) -> Vec<Effect> {
        let all = self.way == Way::All;
        let Some(part) = (!all).then(|| self.list_mut().change(change)).flatten() else {
            return Vec::new();
        };
        if self.way == Way::Tenants {
            self.seen.clear();
        }
        self.refusal = None;
        self.ask_part(part)
    }

    fn hidden(&self) -> usize {
        let finds = finder(self.search());
        let hides = |chosen: &&Candidate| !finds(chosen.id, &[&chosen.name, &chosen.within]);
        let unseen = |tenant: &&Candidate| !self.seen.contains(&tenant.id) && hides(tenant);
        match self.way {
            _ if self.search().is_empty() => 0,
            Way::Tenants => self.marks.values().filter(unseen).count(),
            Way::Workspace => self.workspace.iter().filter(hides).count(),
            Way::All => 0,
        }
    }

    /// What is chosen.
    ///
    /// # Errors
    /// Why it cannot be taken, in words.
    pub(super) fn choice(&self, cx: &Cx<'_>) -> Result<RunScope, String> {
        if self.card.is_platforms() {
            return Ok(RunScope::Platform);
        }
        let hidden = self.hidden();
        if hidden > 0 {
            let which = match (self.way, hidden) {
                (Way::Workspace, _) => "the selected workspace is".to_owned(),
                (_, 1) => "1 selected tenant is".to_owned(),
                (_, n) => format!("{n} selected tenants are"),
            };
            let clear = key(cx, Context::Scope, Command::FilterClear);
            return Err(format!(
                "{which} hidden by the search; {clear} clears the search and shows what is selected"
            ));
        }
        let mark = key(cx, Context::Scope, Command::ScopeMark);
        match self.way {
            Way::Tenants => match self.marks.keys().copied().collect::<Vec<i64>>().as_slice() {
                [] => Err(format!("nothing is selected: {mark} marks the tenant under the cursor")),
                [one] => Ok(RunScope::Tenant(*one)),
                many => Ok(RunScope::Tenants(many.to_vec())),
            },
            Way::Workspace => match &self.workspace {
                Some(workspace) => Ok(RunScope::Workspace(workspace.id)),
                None => Err(format!(
                    "nothing is selected: {mark} selects the workspace under the cursor"
                )),
            },
            Way::All if self.all => Ok(RunScope::All),
            Way::All if self.allowed.is_some_and(|(_, all)| !all) => Err(RESTRICTED.to_owned()),
            Way::All => Err(format!("nothing is selected: {mark} selects all tenants")),
        }
    }

    /// The inputs that were given; numbers and true or false are what they look like.
    pub(super) fn given(&self) -> Value {
        self.first_given(self.card.inputs().len())
    }

    /// The same of the first so many inputs only.
    pub(super) fn first_given(&self, fields: usize) -> Value {
        let mut given = Map::new();
        for (field, input) in self.card.inputs().iter().take(fields).enumerate() {
            let text = self.inputs.as_ref().map_or("", |form| form.value(field)).trim();
            if text.is_empty() {
                continue;
            }
            let value = match (text.parse::<i64>(), text.parse::<bool>()) {
                (Ok(number), _) => Value::from(number),
                (_, Ok(flag)) => Value::from(flag),
                _ => Value::from(text),
            };
            given.insert(input.name.to_owned(), value);
        }
        Value::Object(given)
    }

    /// What is chosen, in one line: `selected 3 of 412 tenants: 4, 7, 9`.
    pub(super) fn chosen_words(&self) -> String {
        let of = self.allowed.map_or_else(String::new, |(n, _)| format!(" of {}", grouped(n)));
        let tenants = |n| noun(self.allowed.map_or(n, |(all, _)| all), "tenants");
        let mut words = match self.way {
            Way::Tenants => {
                let n = self.marks.len();
                let mut ids: Vec<String> =
                    self.marks.keys().take(NAMED).map(ToString::to_string).collect();
                if n > NAMED {
                    ids.push("...".to_owned());
                }
                let ids = if n == 0 { String::new() } else { format!(": {}", ids.join(", ")) };
                let tenants = tenants(i64::try_from(n).unwrap_or(i64::MAX));
                format!("selected {n}{of} {tenants}{ids}")
            }
            Way::Workspace => match &self.workspace {
                Some(chosen) => {
                    let (id, n) = (chosen.id, chosen.tenants);
                    format!("selected workspace {id} ({}{of} {})", grouped(n), tenants(n))
                }
                None => "selected no workspace".to_owned(),
            },
            Way::All if self.all => format!("selected ALL{}", self.all_words()),
            Way::All => "selected nothing".to_owned(),
        };
        let marked = self.marks.len();
        if self.way != Way::Tenants && marked > 0 {
            words.push_str(&format!("; {} not counted here", count(marked, "marked tenant")));
        }
        match self.hidden() {
            0 => words,
            n => format!("{words} ({n} hidden by the search)"),
        }
    }

    /// ` (412 tenants, 100 %)`, once that is known.
    pub(super) fn all_words(&self) -> String {
        self.allowed.map_or_else(String::new, |(n, _)| {
            let s = if n == 1 { "" } else { "s" };
            format!(" ({} tenant{s}, 100 %)", grouped(n))
        })
    }
}

/// Why all tenants cannot be chosen by somebody who does not see all.
pub(super) const RESTRICTED: &str = "all tenants cannot be selected: your view is restricted to \
     some workspaces, so all that you see would not be all there are; select a workspace or tenants";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_names_and_ids() {
        assert!(finder(" CONT ")(4, &["Contoso"]) && finder("4")(4, &["x"]));
        assert!(!finder("4")(14, &["x"]) && finder("ÉT")(1, &["\u{e9}t\u{e9}"]));
        assert!(finder(" ")(1, &["x"]));
    }
}
