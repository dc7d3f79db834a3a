//! What would be stored, line by line, and what can be done about each line.

use std::collections::BTreeSet;

use ratatui::text::Span;

use super::form::Field;
use crate::domain::safe_text::SafeText;
use crate::domain::sanitize::Rule;
use crate::domain::support::{Fact, Item, Place, Prepared, Section, SectionKey, Suspect};
use crate::tui::look::{Look, grouped, wrapped};
use crate::tui::theme::Role;

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// Nothing in particular.
    Text,
    /// A field of the form; the notes at a line, from 1.
    Field(Field, Option<usize>),
    /// The heading of a section.
    Section(SectionKey),
    /// An item of the diagnostics, by its path.
    Item(String),
}

/// One line.
#[derive(Debug, Clone)]
pub struct PreviewLine {
    /// What it says.
    pub spans: Vec<Span<'static>>,
    /// What it is about.
    pub spot: Spot,
    /// The passage on it that looks like a secret.
    pub suspect: Option<String>,
    /// Whether it stands in the way of sending.
    pub issue: bool,
}

struct Writer<'a> {
    look: &'a Look,
    width: usize,
    suspects: &'a [Suspect],
    lines: Vec<PreviewLine>,
}

/// The lines of what would be stored, in `width` columns, with the sections in `open` unfolded.
pub fn lines(
    prepared: &Prepared,
    open: &BTreeSet<SectionKey>,
    look: &Look,
    width: usize,
) -> Vec<PreviewLine> {
    let mut w = Writer { look, width, suspects: &prepared.suspects, lines: Vec::new() };
    w.issues(prepared);
    w.texts(prepared);
    w.subject(prepared);
    match &prepared.diagnostics {
        Some(bundle) => bundle.sections.iter().for_each(|section| w.section(section, open)),
        None => w.put(vec![look.span(Role::Muted, "no diagnostics go with it")], Spot::Text),
    }
    w.lines
}

impl Writer<'_> {
    fn put(&mut self, spans: Vec<Span<'static>>, spot: Spot) {
        self.lines.push(PreviewLine { spans, spot, suspect: None, issue: false });
    }

    fn gap(&mut self) {
        self.put(Vec::new(), Spot::Text);
    }

    /// What stands in the way, first of all.
    fn issues(&mut self, prepared: &Prepared) {
        if prepared.is_ready() {
            return;
        }
        let glyph = self.look.glyph("✗", "x");
        let head = self.look.span(Role::Failed, format!("{glyph} this cannot be sent yet"));
        self.put(vec![head], Spot::Text);
        for problem in &prepared.problems {
            let spot = Field::of(problem.field).map_or(Spot::Text, |f| Spot::Field(f, None));
            self.issue(&problem.text, &spot, None);
        }
        for suspect in &prepared.suspects {
            let quoted = self.look.cut(&suspect.text, 40);
            let text = format!("\"{quoted}\" in {} looks like a secret", suspect.place);
            self.issue(&text, &spot_of(&suspect.place), Some(&suspect.text));
        }
        self.gap();
    }

    fn issue(&mut self, text: &str, spot: &Spot, suspect: Option<&str>) {
        let marker = self.look.glyph("▹ ", "+ ");
        for (at, piece) in wrapped(text, self.width.saturating_sub(4)).into_iter().enumerate() {
            let lead = if at == 0 { format!("  {marker}") } else { "    ".to_owned() };
            let spans =
                vec![self.look.span(Role::Accent, lead), self.look.span(Role::Failed, piece)];
            let (spot, suspect) = (spot.clone(), suspect.map(ToOwned::to_owned));
            self.lines.push(PreviewLine { spans, spot, suspect, issue: at == 0 });
        }
    }

    fn texts(&mut self, prepared: &Prepared) {
        let field = |field| Spot::Field(field, None);
        self.named("severity", prepared.severity.as_str(), 0, &field(Field::Severity), None);
        let text = &prepared.summary.text;
        self.named("summary", text, 0, &field(Field::Summary), Some(&Place::Summary));
        let notes = prepared.notes.as_ref().map_or("", |notes| notes.text.as_str());
        if notes.is_empty() {
            self.named("notes", "none", 0, &field(Field::Notes), None);
        }
        for (at, line) in notes.lines().enumerate() {
            let label = if at == 0 { "notes" } else { "" };
            let spot = Spot::Field(Field::Notes, Some(at + 1));
            self.named(label, line, 0, &spot, Some(&Place::Notes(at + 1)));
        }
        let name = prepared.contact_name.as_ref().map_or("none", |name| name.text.as_str());
        self.named("contact", name, 0, &field(Field::ContactName), Some(&Place::ContactName));
        // The one address that is kept as it was typed.
        let email = prepared.contact_email.as_deref().unwrap_or("none");
        self.named("e-mail", email, 0, &field(Field::ContactEmail), None);
        let attach = field(Field::Attach);
        self.named("attach", prepared.attachment_mode.label(), 0, &attach, None);
        self.gap();
    }

    /// What it is about: references and facts that always go with it.
    fn subject(&mut self, prepared: &Prepared) {
        let subject = &prepared.subject;
        let place = Some(&Place::Subject);
        let tenant = format!("{} ({})", subject.tenant_name, subject.tenant_id);
        let workspace = format!("{} ({})", subject.workspace_name, subject.workspace_id);
        self.named("tenant", &tenant, 0, &Spot::Text, place);
        self.named("workspace", &workspace, 0, &Spot::Text, place);
        if let Some(run) = &subject.run {
            self.named("run", &format!("{} {}", run.id, run.run_type), 0, &Spot::Text, place);
            let facts: Vec<&Fact> = run.facts.iter().filter(|fact| !fact.value.is_null()).collect();
            for fact in facts {
                self.named(&fact.label(), &fact.text(), 2, &Spot::Text, place);
            }
        }
        self.gap();
    }

    fn section(&mut self, section: &Section, open: &BTreeSet<SectionKey>) {
        let look = self.look;
        let is_open = open.contains(&section.key);
        let marker = if is_open { look.glyph("▾ ", "- ") } else { look.glyph("▸ ", "+ ") };
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
        let title = section.key.label();
        let note = look.cut(&note, self.width.saturating_sub(title.len() + 4));
        let spans = vec![
            look.span(Role::Accent, format!("{marker}{title}")),
            look.span(Role::Muted, format!("  {note}")),
        ];
        self.put(spans, Spot::Section(section.key));
        if is_open {
            section.items.iter().for_each(|item| self.item(item));
        }
    }

    fn item(&mut self, item: &Item) {
        let look = self.look;
        let spot = Spot::Item(item.path.clone());
        let role = if item.withheld { Role::Cancelled } else { Role::Header };
        let mut spans = vec![Span::raw("  ".to_owned())];
        spans.extend(self.marked(&item.title, role, None));
        if item.withheld {
            let glyph = look.glyph("⊘", "-");
            spans.push(look.span(Role::Cancelled, format!("  {glyph} left out")));
        }
        self.put(spans, spot.clone());
        let place = Place::Item(item.path.clone());
        for fact in item.facts.iter().filter(|fact| !fact.value.is_null()) {
            self.named(&fact.label(), &fact.text(), 4, &spot, Some(&place));
        }
    }

    /// A label and a text beside it, wrapped; masks and what looks like a secret are marked.
    fn named(
        &mut self,
        label: &str,
        text: &str,
        indent: usize,
        spot: &Spot,
        place: Option<&Place>,
    ) {
        let head = if indent == 0 { 11 } else { indent + label.chars().count().max(20) + 1 };
        let room = self.width.saturating_sub(head).max(10);
        let clean = self.look.cut(text, usize::from(u16::MAX)).to_string();
        let mut pieces = wrapped(&clean, room);
        if pieces.is_empty() {
            pieces.push(String::new());
        }
        let passages: Vec<&str> = place.map_or_else(Vec::new, |place| {
            let here = self.suspects.iter().filter(|suspect| suspect.place == *place);
            here.map(|suspect| suspect.text.as_str()).collect()
        });
        for (at, piece) in pieces.into_iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            let lead = format!("{:indent$}{label:<width$}", "", width = head - indent);
            let mut spans = vec![self.look.span(Role::Muted, lead)];
            let found = passages.iter().find(|passage| clean.contains(**passage)).copied();
            spans.extend(self.marked(&piece, Role::Text, found));
            let suspect = found.map(ToOwned::to_owned);
            let issue = suspect.is_some() && at == 0;
            self.lines.push(PreviewLine { spans, spot: spot.clone(), suspect, issue });
        }
    }

    /// A text with its masks in their own role, and a passage that looks like a secret in another.
    fn marked(&self, text: &str, role: Role, suspect: Option<&str>) -> Vec<Span<'static>> {
        let text = SafeText::new(text);
        let mut rest = text.as_str();
        let mut spans = Vec::new();
        while !rest.is_empty() {
            let mask = next_mask(rest);
            let passage = suspect
                .and_then(|passage| Some((rest.find(passage)?, passage.len(), Role::InputError)));
            let next = [mask, passage].into_iter().flatten().min_by_key(|(at, ..)| *at);
            let Some((at, length, marked)) = next else { break };
            let (before, from) = rest.split_at(at);
            let (found, after) = from.split_at(length);
            if !before.is_empty() {
                spans.push(self.look.span(role, before.to_owned()));
            }
            spans.push(self.look.span(marked, found.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            spans.push(self.look.span(role, rest.to_owned()));
        }
        spans
    }
}

/// The first mask in a text: where, how long, and its role.
fn next_mask(text: &str) -> Option<(usize, usize, Role)> {
    let masks = text.match_indices("[redacted:");
    let mut known = masks.filter_map(|(at, _)| {
        let rule = Rule::ALL.iter().find(|rule| text[at..].starts_with(rule.mask()))?;
        Some((at, rule.mask().len(), Role::Redacted))
    });
    known.next()
}

fn spot_of(place: &Place) -> Spot {
    match place {
        Place::Summary => Spot::Field(Field::Summary, None),
        Place::Notes(line) => Spot::Field(Field::Notes, Some(*line)),
        Place::ContactName => Spot::Field(Field::ContactName, None),
        Place::Subject => Spot::Text,
        Place::Item(path) => Spot::Item(path.clone()),
    }
}

/// The section that an item stands in.
pub fn section_of(prepared: &Prepared, path: &str) -> Option<SectionKey> {
    let bundle = prepared.diagnostics.as_ref()?;
    let section = bundle.sections.iter().find(|s| s.items.iter().any(|item| item.path == path));
    section.map(|section| section.key)
}

/// How many masks an item shows; looked for by their form, which is quick enough for each frame.
fn masked_in(item: &Item) -> usize {
    let facts = item.facts.iter().filter_map(|fact| fact.value.as_str());
    let count = |mut text: &str| {
        let mut found = 0;
        while let Some((at, length, _)) = next_mask(text) {
            found += 1;
            text = &text[at + length..];
        }
        found
    };
    facts.map(count).sum()
}

/// `1 item`, `3 items`.
pub fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
