//! Diagnostics and requests as lines for people.

use chrono::{DateTime, Utc};

use crate::cli::{Env, text};
use crate::domain::safe_text::SafeText;
use crate::domain::support::{Bundle, Fact, Prepared, Section, title};

/// The widest name of a fact that values still stand beside.
const LABEL: usize = 22;

/// When a request was sent, by whom, and under which reference.
pub struct Sent<'a> {
    /// What people quote.
    pub reference: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The sender's name.
    pub by: &'a str,
    /// Where the platform says that requests are answered; may be empty.
    pub answered_at: &'a str,
}

/// What a request holds; the same before it is sent and after.
pub fn request(prepared: &Prepared, sent: Option<&Sent<'_>>, env: &Env) -> Vec<String> {
    let mut lines = Vec::new();
    match sent {
        Some(sent) => {
            lines.push(format!("support request {}", sent.reference));
            let at = text::time(sent.at, env.zone());
            lines.extend(field("sent", &format!("{at} by {}", sent.by)));
            if !sent.answered_at.is_empty() {
                lines.extend(field("goes to", sent.answered_at));
            }
        }
        None => lines.push("support request, not sent yet".to_owned()),
    }
    lines.extend(field("about", &title(&prepared.subject)));
    lines.extend(field("workspace", &workspace(prepared)));
    lines.extend(field("severity", prepared.severity.as_str()));
    lines.extend(field("summary", &prepared.summary.text));
    if let Some(name) = &prepared.contact_name {
        lines.extend(field("contact", &name.text));
    }
    if let Some(email) = &prepared.contact_email {
        lines.extend(field("e-mail", email));
    }
    lines.extend(field("evidence", prepared.attachment_mode.label()));
    lines.extend(field("redaction", &prepared.manifest()));
    if let Some(notes) = &prepared.notes {
        lines.extend([String::new(), "REPRODUCTION NOTES".to_owned()]);
        // Line by line as they were written, however long.
        lines.extend(notes.text.lines().map(|line| format!("  {line}").trim_end().to_owned()));
    }
    if let Some(run) = &prepared.subject.run {
        lines.extend([String::new(), format!("RUN {}", run.id)]);
        lines.extend(facts(&run.facts));
    }
    if let Some(bundle) = &prepared.diagnostics {
        lines.push(String::new());
        lines.push(format!("diagnostics, opened {}", text::time(bundle.opened_at, env.zone())));
        lines.extend(sections(bundle, env));
    }
    lines
}

fn workspace(prepared: &Prepared) -> String {
    let subject = &prepared.subject;
    format!("{} ({})", subject.workspace_name, subject.workspace_id)
}

/// All sections of diagnostics: what each holds, or why it holds nothing.
pub fn sections(bundle: &Bundle, env: &Env) -> Vec<String> {
    bundle.sections.iter().flat_map(|one| section(one, env)).collect()
}

fn section(section: &Section, env: &Env) -> Vec<String> {
    let heading = section.key.label().to_uppercase();
    let newest = section.newest_at.map(|at| text::time(at, env.zone()));
    let newest = newest.map_or_else(String::new, |at| format!("  newest {at}"));
    let mut lines = vec![String::new(), format!("{heading}{newest}")];
    if let Some(why) = &section.empty {
        lines.extend(text::wrapped("  empty: ", why));
    }
    for item in &section.items {
        let left_out = if item.withheld { "  (left out by the operator)" } else { "" };
        lines.push(format!("  {}{left_out}", item.path));
        lines.extend(facts(&item.facts).into_iter().map(|line| format!("  {line}")));
    }
    if section.more > 0 {
        lines.push(format!("  and {} more", section.more));
    }
    lines
}

/// Facts, two columns in; values stand under each other.
fn facts(facts: &[Fact]) -> Vec<String> {
    let width = facts.iter().map(|fact| fact.name.len()).max().unwrap_or_default().min(LABEL);
    facts
        .iter()
        .flat_map(|fact| {
            let label = SafeText::new(&fact.label());
            within(&format!("  {label:<width$}  "), &fact.text())
        })
        .collect()
}

/// As [`text::wrapped`], with room for two more columns.
fn within(lead: &str, value: &str) -> Vec<String> {
    let lines = text::wrapped(&format!("  {lead}"), value);
    lines.into_iter().map(|line| line.strip_prefix("  ").unwrap_or(&line).to_owned()).collect()
}

/// A line of the head.
pub fn field(name: &str, value: &str) -> Vec<String> {
    text::wrapped(&format!("{name:<11}"), value)
}
