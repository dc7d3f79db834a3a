//! What would be stored, as a document, and what can be done about each text of it.

use ratatui::text::Span;

use super::form::Field;
use crate::domain::support::{Fact, Item, Place, Prepared, Section};
use crate::tui::command::Context;
use crate::tui::look::grouped;
use crate::tui::screen::{Cx, State};
use crate::tui::theme::Role;
use crate::tui::widgets::document::Document;
use crate::tui::widgets::masked;
use crate::tui::widgets::paper::Paper;

#[derive(Debug, Default)]
pub struct Preview {
    /// What would be stored, when it was last worked out.
    pub prepared: Option<Box<Prepared>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// A field of the form; the notes at a line, from 1.
    Field(Field, Option<usize>),
    /// An item of the diagnostics, by its path.
    Item(String),
}

#[derive(Debug)]
pub struct Mark {
    /// The text, by its number.
    pub text: usize,
    pub spot: Option<Spot>,
    /// The passage in it that looks like a secret.
    pub suspect: Option<String>,
    /// Whether it is one of the texts at the top that say what is wrong.
    pub listed: bool,
}

impl Mark {
    pub const fn is_issue(&self) -> bool {
        self.listed || self.suspect.is_some()
    }
}

impl Preview {
    pub fn marks(&self, cx: &Cx<'_>) -> Vec<Mark> {
        let written = self.prepared.as_ref().map(|it| written(it, &mut Paper::new(cx)));
        written.unwrap_or_default()
    }
}

impl Document for Preview {
    const CONTEXT: Context = Context::Preview;
    const OPEN: &'static [usize] = &[0];

    fn write(&self, paper: &mut Paper<'_>, _: &Cx<'_>) -> Option<()> {
        written(self.prepared.as_ref()?, paper);
        Some(())
    }

    fn reading(&self) -> String {
        "What would be stored is shown as soon as it was opened.".to_owned()
    }

    fn state(&self) -> State<'_> {
        State { error: None, has_data: self.prepared.is_some() }
    }
}

struct Writer<'w, 'a> {
    paper: &'w mut Paper<'a>,
    prepared: &'w Prepared,
    marks: Vec<Mark>,
}

/// Writes it; gives what its texts are about, in their order.
fn written(prepared: &Prepared, paper: &mut Paper<'_>) -> Vec<Mark> {
    let mut w = Writer { paper, prepared, marks: Vec::new() };
    w.issues();
    w.texts();
    w.subject();
    match &prepared.diagnostics {
        Some(bundle) => bundle.sections.iter().for_each(|section| w.section(section)),
        None => w.paper.text(Role::Muted, 0, "no diagnostics go with it"),
    }
    w.marks
}

impl Writer<'_, '_> {
    /// What stands in the way, first of all.
    fn issues(&mut self) {
        let prepared = self.prepared;
        if prepared.is_ready() {
            return;
        }
        let look = self.paper.look;
        let head = format!("{} this cannot be sent yet", look.glyph("✗", "x"));
        self.paper.text(Role::Failed, 0, &head);
        for problem in &prepared.problems {
            let spot = Field::of(problem.field).map(|field| Spot::Field(field, None));
            self.issue(&problem.text, spot, None);
        }
        for suspect in &prepared.suspects {
            let quoted = look.cut(&suspect.text, 40);
            let text = format!("\"{quoted}\" in {} looks like a secret", suspect.place);
            let spot = match &suspect.place {
                Place::Summary => Some(Spot::Field(Field::Summary, None)),
                Place::Notes(line) => Some(Spot::Field(Field::Notes, Some(*line))),
                Place::ContactName => Some(Spot::Field(Field::ContactName, None)),
                Place::Subject => None,
                Place::Item(path) => Some(Spot::Item(path.clone())),
            };
            self.issue(&text, spot, Some(suspect.text.clone()));
        }
        self.paper.gap();
    }

    fn issue(&mut self, text: &str, spot: Option<Spot>, suspect: Option<String>) {
        let glyph = self.paper.look.glyph("▹", "+");
        self.paper.labelled(Role::Failed, 2, glyph, text);
        self.marks.push(Mark { text: self.paper.number(), spot, suspect, listed: true });
    }

    fn texts(&mut self) {
        let prepared = self.prepared;
        let field = |field| Some(Spot::Field(field, None));
        self.named("severity", prepared.severity.as_str(), 0, field(Field::Severity), None);
        let text = &prepared.summary.text;
        self.named("summary", text, 0, field(Field::Summary), Some(&Place::Summary));
        let notes = prepared.notes.as_ref().map_or("", |notes| notes.text.as_str());
        if notes.is_empty() {
            self.named("notes", "none", 0, field(Field::Notes), None);
        }
        for (line, text) in (1..).zip(notes.lines()) {
            let label = if line == 1 { "notes" } else { "" };
            let spot = Some(Spot::Field(Field::Notes, Some(line)));
            self.named(label, text, 0, spot, Some(&Place::Notes(line)));
        }
        let name = prepared.contact_name.as_ref().map_or("none", |name| name.text.as_str());
        self.named("contact", name, 0, field(Field::ContactName), Some(&Place::ContactName));
        // The one address that is kept as it was typed.
        let email = prepared.contact_email.as_deref().unwrap_or("none");
        self.named("e-mail", email, 0, field(Field::ContactEmail), None);
        let attached = prepared.attachment_mode.label();
        self.named("attach", attached, 0, field(Field::Attach), None);
        self.paper.gap();
    }

    /// What it is about: references and facts that always go with it.
    fn subject(&mut self) {
        let subject = &self.prepared.subject;
        let place = Some(&Place::Subject);
        let tenant = format!("{} ({})", subject.tenant_name, subject.tenant_id);
        let workspace = format!("{} ({})", subject.workspace_name, subject.workspace_id);
        self.named("tenant", &tenant, 0, None, place);
        self.named("workspace", &workspace, 0, None, place);
        if let Some(run) = &subject.run {
            self.named("run", &format!("{} {}", run.id, run.run_type), 0, None, place);
            self.facts(&run.facts, 2, None, &Place::Subject);
        }
        self.paper.gap();
    }

    fn section(&mut self, section: &Section) {
        let mut note = match &section.empty {
            Some(why) => why.clone(),
            None => counted(section.items.len(), "item"),
        };
        if section.more > 0 {
            note.push_str(&format!(", {} more are not listed", grouped(section.more)));
        }
        let masked: usize = section.items.iter().map(masked_in).sum();
        if masked > 0 {
            note.push_str(&format!(", {masked} masked"));
        }
        let left_out = section.items.iter().filter(|item| item.withheld).count();
        if left_out > 0 {
            note.push_str(&format!(", {left_out} left out"));
        }
        self.paper.section(section.key.label(), &note);
        section.items.iter().for_each(|item| self.item(item));
        self.paper.end_section();
    }

    fn item(&mut self, item: &Item) {
        let look = self.paper.look;
        let role = if item.withheld { Role::Cancelled } else { Role::Header };
        let title = look.cut(&item.title, self.paper.width).to_string();
        let mut spans = vec![Span::raw("  ")];
        spans.extend(masked::spans(look, role, &title));
        if item.withheld {
            let glyph = look.glyph("⊘", "-");
            spans.push(look.span(Role::Cancelled, format!("  {glyph} left out")));
        }
        self.paper.put(spans);
        let spot = Some(Spot::Item(item.path.clone()));
        self.mark(spot.clone(), None);
        self.facts(&item.facts, 4, spot.as_ref(), &Place::Item(item.path.clone()));
    }

    fn facts(&mut self, facts: &[Fact], indent: usize, spot: Option<&Spot>, place: &Place) {
        for fact in facts.iter().filter(|fact| !fact.value.is_null()) {
            self.named(&fact.label(), &fact.text(), indent, spot.cloned(), Some(place));
        }
    }

    /// A label and a text beside it, wrapped; what looks like a secret is set off.
    fn named(
        &mut self,
        label: &str,
        text: &str,
        indent: usize,
        spot: Option<Spot>,
        place: Option<&Place>,
    ) {
        let width = if indent == 0 { 10 } else { 20 };
        let name = format!("{label:<width$}");
        if text.trim().is_empty() {
            let name = format!("{:indent$}{name}", "");
            self.paper.put(vec![self.paper.look.span(Role::Muted, name)]);
        } else {
            self.paper.labelled(Role::Text, indent, &name, text);
        }
        let here = self.prepared.suspects.iter().filter(|suspect| Some(&suspect.place) == place);
        let found = here.map(|suspect| &suspect.text).find(|passage| text.contains(*passage));
        if let Some(passage) = found {
            self.paper.set_off(passage, Role::InputError);
        }
        if spot.is_some() || found.is_some() {
            self.mark(spot, found.cloned());
        }
    }

    fn mark(&mut self, spot: Option<Spot>, suspect: Option<String>) {
        self.marks.push(Mark { text: self.paper.number(), spot, suspect, listed: false });
    }
}

/// How many masks an item shows; looked for by their form, which is quick enough for each frame.
fn masked_in(item: &Item) -> usize {
    let texts = item.facts.iter().filter_map(|fact| fact.value.as_str());
    texts.map(|text| masked::masks(text).len()).sum()
}

/// `1 item`, `3 items`.
pub fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
