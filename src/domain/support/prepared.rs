//! What would be stored, worked out from the evidence and the draft: the preview and the record
//! are made by the same function.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::draft::{many_lines, one_line};
use super::{
    AttachmentMode, Bundle, CONTEXT_SCHEMA_VERSION, Draft, Fact, MAX_NAME, MAX_NOTES, MAX_SUMMARY,
    PrimaryContext, Problem, ProblemField, Severity,
};
use crate::domain::count::count;
use crate::domain::sanitize::{Redacted, Tally, redact, redact_also, suspects};

/// Whom and what a request is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Subject {
    /// The workspace.
    pub workspace_id: i64,
    /// Its name, as stored.
    pub workspace_name: String,
    /// The tenant.
    pub tenant_id: i64,
    /// Its name, as stored.
    pub tenant_name: String,
    /// The run, where it is about one.
    pub run: Option<EvidenceRun>,
}

impl Subject {
    /// What it is primarily about.
    pub fn primary_context(&self) -> PrimaryContext {
        if self.run.is_some() { PrimaryContext::Run } else { PrimaryContext::Tenant }
    }
}

/// A run as a request refers to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvidenceRun {
    /// Id.
    pub id: i64,
    /// Canonical dotted type.
    #[serde(rename = "type")]
    pub run_type: String,
    /// Codes, counts and times of it, and of the tenant's share of it.
    pub facts: Vec<Fact>,
}

/// What is known of the subject, as it was opened for one person. Only
/// [`crate::ops::support`] makes one, so nothing else can go with a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    pub(crate) subject: Subject,
    pub(crate) bundle: Option<Bundle>,
    pub(crate) opened_at: DateTime<Utc>,
    pub(crate) platform_user_id: i64,
}

/// Where something stands in what would be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the summary.
    Summary,
    /// In a line of the notes, from 1.
    Notes(usize),
    /// In the contact's name.
    ContactName,
    /// In the name of the workspace or tenant.
    Subject,
    /// In an item of the diagnostics, by its path.
    Item(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Summary => f.write_str("the summary"),
            Self::Notes(line) => write!(f, "line {line} of the notes"),
            Self::ContactName => f.write_str("the contact's name"),
            Self::Subject => f.write_str("a name of the workspace or tenant"),
            Self::Item(path) => f.write_str(path),
        }
    }
}

/// Something that looks like a secret though no rule is sure of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suspect {
    /// Where.
    pub place: Place,
    /// The passage; masking it, or withholding its item, clears the way.
    pub text: String,
}

/// What would be stored, exactly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prepared {
    /// Severity.
    pub severity: Severity,
    /// The summary, redacted.
    pub summary: Redacted,
    /// The notes, redacted; none where there are none.
    pub notes: Option<Redacted>,
    /// The contact's name, redacted.
    pub contact_name: Option<Redacted>,
    /// The contact's address, as typed.
    pub contact_email: Option<String>,
    /// What goes with it.
    pub attachment_mode: AttachmentMode,
    /// What it is about, redacted.
    pub subject: Subject,
    /// The diagnostics that go with it.
    pub diagnostics: Option<Bundle>,
    /// How much is masked, by rule.
    pub withheld: Tally,
    /// How many items of the diagnostics the operator left out.
    pub withheld_items: usize,
    /// What keeps it from being sent.
    pub problems: Vec<Problem>,
    /// What looks like a secret still: nothing is sent while there is any.
    pub suspects: Vec<Suspect>,
    /// When the evidence was opened.
    pub opened_at: DateTime<Utc>,
}

impl Evidence {
    /// What it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The diagnostics, where its holder may open them.
    pub fn bundle(&self) -> Option<&Bundle> {
        self.bundle.as_ref()
    }

    /// When it was opened.
    pub fn opened_at(&self) -> DateTime<Utc> {
        self.opened_at
    }

    /// What would be stored of it with `draft`. The same arguments give the same answer.
    pub fn prepare(&self, draft: &Draft) -> Prepared {
        let mask = &draft.mask;
        let mut problems = draft.problems();
        let of = |text: String| (!text.is_empty()).then(|| redact_also(&text, mask));
        // A text of any length is answered quickly; too long it is not sent anyway.
        let within = |text: &str, max: usize| text.chars().take(max).collect::<String>();
        let summary = redact_also(&safe_line(&within(&draft.summary, MAX_SUMMARY)), mask);
        let notes = of(many_lines(&within(&draft.notes, MAX_NOTES)));
        let contact_name = of(safe_line(&within(&draft.contact_name, MAX_NAME)));
        let email = draft.contact_email.trim();
        let lengths = [
            (ProblemField::Summary, "summary", Some(&summary), MAX_SUMMARY),
            (ProblemField::Notes, "notes", notes.as_ref(), MAX_NOTES),
            (ProblemField::ContactName, "contact's name", contact_name.as_ref(), MAX_NAME),
        ];
        for (field, name, text, max) in lengths {
            let has = text.map_or(0, |text| text.text.chars().count());
            if has > max && problems.iter().all(|problem| problem.field != field) {
                let text = format!(
                    "with its masks the {name} has {has} characters, at most {max} are kept; \
                     shorten it"
                );
                problems.push(Problem { field, text });
            }
        }
        let diagnostics = self
            .bundle
            .as_ref()
            .filter(|_| draft.attach)
            .map(|bundle| bundle.reduced(mask, |path| draft.withhold.contains(path)));
        let subject = self.subject.reduced(mask);
        let mut prepared = Prepared {
            severity: draft.severity,
            summary,
            notes,
            contact_name,
            contact_email: (!email.is_empty()).then(|| email.to_owned()),
            attachment_mode: match diagnostics {
                Some(_) => AttachmentMode::Snapshot,
                None => AttachmentMode::ContextOnly,
            },
            subject,
            withheld_items: diagnostics.as_ref().map_or(0, withheld_items),
            diagnostics,
            withheld: Tally::default(),
            problems,
            suspects: Vec::new(),
            opened_at: self.opened_at,
        };
        prepared.look_again();
        prepared
    }
}

/// One line without secrets; they are looked for before the lines that show them are joined.
pub fn safe_line(text: &str) -> String {
    one_line(&redact(text).text)
}

fn withheld_items(bundle: &Bundle) -> usize {
    bundle.sections.iter().flat_map(|section| &section.items).filter(|item| item.withheld).count()
}

impl Subject {
    fn reduced(&self, mask: &[String]) -> Self {
        let mut reduced = self.clone();
        reduced.workspace_name = redact_also(&safe_line(&self.workspace_name), mask).text;
        reduced.tenant_name = redact_also(&safe_line(&self.tenant_name), mask).text;
        if let Some(run) = &mut reduced.run {
            run.run_type = redact_also(&run.run_type, mask).text;
            for fact in &mut run.facts {
                if let Value::String(text) = &mut fact.value {
                    *text = redact_also(text, mask).text;
                }
            }
        }
        reduced
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let run = self.run.iter();
        let facts = run.clone().flat_map(|run| &run.facts).filter_map(|fact| fact.value.as_str());
        [self.workspace_name.as_str(), self.tenant_name.as_str()]
            .into_iter()
            .chain(run.map(|run| run.run_type.as_str()))
            .chain(facts)
    }
}

impl Prepared {
    /// Whether it may be sent.
    pub fn is_ready(&self) -> bool {
        self.problems.is_empty() && self.suspects.is_empty()
    }

    /// `12 values withheld: 5 tokens, 4 e-mails; 1 item left out`.
    pub fn manifest(&self) -> String {
        let mut text = self.withheld.sentence();
        match self.withheld_items {
            0 => {}
            items => text.push_str(&format!("; {} left out", count(items, "item"))),
        }
        text
    }

    /// The context as it is stored.
    pub fn context(&self) -> Value {
        let facts = |facts: &[Fact]| -> BTreeMap<String, Value> {
            facts.iter().map(|fact| (fact.name.clone(), fact.value.clone())).collect()
        };
        let run = self.subject.run.as_ref().map(|run| {
            let mut run_facts = facts(&run.facts);
            run_facts.insert("id".to_owned(), json!(run.id));
            run_facts.insert("type".to_owned(), json!(run.run_type));
            run_facts
        });
        json!({
            "schema_version": CONTEXT_SCHEMA_VERSION,
            "opened_at": self.opened_at,
            "workspace": { "id": self.subject.workspace_id, "name": self.subject.workspace_name },
            "tenant": { "id": self.subject.tenant_id, "name": self.subject.tenant_name },
            "run": run,
            "diagnostics": self.diagnostics,
            "redaction": { "withheld": self.withheld, "items_left_out": self.withheld_items },
        })
    }

    /// Counts what is masked, and looks for what may be a secret still.
    fn look_again(&mut self) {
        let mut tally = Tally::default();
        let mut found = Vec::new();
        let mut look = |place: Place, text: &str| {
            for span in suspects(text) {
                found.push(Suspect { place: place.clone(), text: text[span].to_owned() });
            }
        };
        tally.add(&self.summary);
        look(Place::Summary, &self.summary.text);
        if let Some(notes) = &self.notes {
            tally.add(notes);
            for (at, line) in notes.text.lines().enumerate() {
                look(Place::Notes(at + 1), line);
            }
        }
        if let Some(name) = &self.contact_name {
            tally.add(name);
            look(Place::ContactName, &name.text);
        }
        for text in self.subject.texts() {
            tally.add_text(text);
            look(Place::Subject, text);
        }
        if let Some(bundle) = &self.diagnostics {
            tally.merge(&bundle.tally());
            for (item, text) in bundle.texts() {
                look(Place::Item(item.path.clone()), text);
            }
        }
        found.dedup();
        self.withheld = tally;
        self.suspects = found;
    }
}
