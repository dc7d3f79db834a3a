//! A bundle of diagnostics: sections of facts, redacted before they come in here.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::sanitize::{Hit, Tally, hits, redact, redact_also};
use crate::text_enum;

text_enum! {
    /// The sections of a bundle, in their order.
    pub enum SectionKey as "section" {
        /// What is wrong, in one sentence.
        Overview = "overview",
        /// How the tenant is connected to its provider.
        ProviderConnection = "provider_connection",
        /// The run, or the tenant's newest ones, with what failed.
        Runs = "runs",
        /// Findings of the tenant.
        Findings = "findings",
        /// Reports that were stored.
        StoredReports = "stored_reports",
        /// Packs for a review.
        ReviewPacks = "review_packs",
        /// Who did what.
        AuditTrail = "audit_trail",
    }
}

impl SectionKey {
    /// What a person reads of it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::ProviderConnection => "Provider connection",
            Self::Runs => "Runs",
            Self::Findings => "Findings",
            Self::StoredReports => "Stored reports",
            Self::ReviewPacks => "Review packs",
            Self::AuditTrail => "Audit trail",
        }
    }
}

/// One fact: a name in snake case, and a number, a truth value, a time or a redacted text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Its name, `last_error_code`.
    pub name: String,
    /// Its value; null where it is not known.
    pub value: Value,
}

impl Fact {
    /// A fact; text in it is redacted.
    pub fn new(name: &str, value: impl Into<Value>) -> Self {
        let value = match value.into() {
            Value::String(text) => Value::String(redact(&text).text),
            other => other,
        };
        Self { name: name.to_owned(), value }
    }

    /// A fact that is a time.
    pub fn at(name: &str, at: Option<DateTime<Utc>>) -> Self {
        let text = at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        Self { name: name.to_owned(), value: text.map_or(Value::Null, Value::String) }
    }

    /// Its name as words, `last error code`.
    pub fn label(&self) -> String {
        self.name.replace('_', " ")
    }

    /// Its value as a person reads it.
    pub fn text(&self) -> String {
        match &self.value {
            Value::Null => "-".to_owned(),
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// Where its text holds masks, and by which rules.
    pub fn hits(&self) -> Vec<Hit> {
        match &self.value {
            Value::String(text) => hits(text),
            _ => Vec::new(),
        }
    }
}

/// One thing of a section: a run, a failure, a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Names it within the bundle, `runs/run-10482`.
    pub path: String,
    /// What it is called, `run 10482`.
    pub title: String,
    /// What is known of it; none where it was withheld.
    pub facts: Vec<Fact>,
    /// Whether the operator withheld it.
    #[serde(default)]
    pub withheld: bool,
}

impl Item {
    /// An item of `section`, named by the word `title` in it.
    pub fn new(section: SectionKey, title: impl Into<String>, facts: Vec<Fact>) -> Self {
        let title = redact(&title.into()).text;
        let name: String = title
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        Self { path: format!("{section}/{name}"), title, facts, withheld: false }
    }

    /// The value of one of its facts.
    pub fn fact(&self, name: &str) -> Option<&Value> {
        self.facts.iter().find(|fact| fact.name == name).map(|fact| &fact.value)
    }
}

/// One section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Which.
    pub key: SectionKey,
    /// When the newest thing in it happened: how fresh it is.
    pub newest_at: Option<DateTime<Utc>>,
    /// What it holds.
    pub items: Vec<Item>,
    /// How many more there are than are listed.
    pub more: i64,
    /// Why it holds nothing, where it holds nothing.
    pub empty: Option<String>,
}

impl Section {
    /// A section with items; where there are none, `empty` says why.
    pub fn new(
        key: SectionKey,
        items: Vec<Item>,
        newest_at: Option<DateTime<Utc>>,
        empty: &str,
    ) -> Self {
        let empty = items.is_empty().then(|| empty.to_owned());
        Self { key, newest_at, items, more: 0, empty }
    }

    /// The same, with how many more there are than are listed.
    #[must_use]
    pub fn and_more(mut self, total: i64) -> Self {
        let listed = i64::try_from(self.items.len()).unwrap_or(i64::MAX);
        self.more = (total - listed).max(0);
        self
    }
}

/// Diagnostics as they were opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// When they were opened.
    pub opened_at: DateTime<Utc>,
    /// All seven sections, in order.
    pub sections: Vec<Section>,
}

impl Bundle {
    /// Everything in one sentence, `3 of 40 items failed, for one reason`.
    pub fn headline(&self) -> &str {
        self.overview("headline")
    }

    /// What is most likely wrong, `provider_throttled`.
    pub fn dominant_issue(&self) -> &str {
        self.overview("dominant_issue")
    }

    fn overview(&self, name: &str) -> &str {
        self.sections
            .iter()
            .filter(|section| section.key == SectionKey::Overview)
            .flat_map(|section| &section.items)
            .find_map(|item| item.fact(name)?.as_str())
            .unwrap_or("-")
    }

    /// Every text in it, with the item that it stands in.
    pub fn texts(&self) -> impl Iterator<Item = (&Item, &str)> {
        self.sections.iter().flat_map(|section| &section.items).flat_map(|item| {
            let facts = item.facts.iter().filter_map(|fact| fact.value.as_str());
            std::iter::once(item.title.as_str()).chain(facts).map(move |text| (item, text))
        })
    }

    /// What is masked in it.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.texts().for_each(|(_, text)| tally.add_text(text));
        tally
    }

    /// The same with more masked and whole items withheld; never less.
    #[must_use]
    pub fn reduced(&self, mask: &[String], withhold: impl Fn(&str) -> bool) -> Self {
        let mut reduced = self.clone();
        for item in reduced.sections.iter_mut().flat_map(|section| &mut section.items) {
            if withhold(&item.path) {
                item.facts.clear();
                item.withheld = true;
            }
            // Redacted already, when it came in here.
            if mask.is_empty() {
                continue;
            }
            item.title = redact_also(&item.title, mask).text;
            for fact in &mut item.facts {
                if let Value::String(text) = &mut fact.value {
                    *text = redact_also(text, mask).text;
                }
            }
        }
        reduced
    }
}
