//! Diagnostics as sections of a document: the same in a page of diagnostics and in a request
//! that carries them.

use chrono::{DateTime, Utc};

use crate::domain::support::{Bundle, Fact, Item, Section, SectionKey};
use crate::tui::look::{Look, grouped};
use crate::tui::screen::Target;
use crate::tui::theme::Role;
use crate::tui::widgets::masked;
use crate::tui::widgets::paper::Paper;

const NAME: usize = 22;

/// Writes all sections, empty ones with their reason.
pub(super) fn sections(paper: &mut Paper<'_>, bundle: &Bundle, look: &Look) {
    for section in &bundle.sections {
        paper.section(section.key.label(), &note(section, look));
        if let Some(why) = &section.empty {
            // The reason is read without unfolding anything.
            paper.end_section();
            paper.text(Role::Muted, 4, &format!("empty: {why}"));
            continue;
        }
        for item in &section.items {
            if section.key != SectionKey::Overview {
                title(paper, item, look);
            }
            if item.withheld {
                paper.text(Role::Redacted, 4, "left out by whoever sent it");
            }
            for fact in &item.facts {
                put_fact(paper, fact, look);
            }
        }
        if section.more > 0 {
            paper.text(Role::Muted, 2, &format!("and {} more", grouped(section.more)));
        }
        paper.end_section();
    }
}

/// How much a section holds, and how fresh it is.
fn note(section: &Section, look: &Look) -> String {
    let mut parts = Vec::new();
    if section.key != SectionKey::Overview && !section.items.is_empty() {
        let listed = i64::try_from(section.items.len()).unwrap_or(i64::MAX);
        parts.push(grouped(listed.saturating_add(section.more)));
    }
    if let Some(at) = section.newest_at {
        parts.push(format!("newest at {}", look.full_time(at)));
    }
    parts.join(", ")
}

/// The title of an item; one that is about a run leads there.
fn title(paper: &mut Paper<'_>, item: &Item, look: &Look) {
    let text = look.cut(&item.title, paper.width.saturating_sub(6)).to_string();
    let spans = masked::spans(look, Role::Title, &text);
    if let Some(id) = run_of(item) {
        return paper.link(Target::Run(id), 2, spans);
    }
    let mut line = vec![look.span(Role::Text, "  ")];
    line.extend(spans);
    paper.put(line);
}

fn run_of(item: &Item) -> Option<i64> {
    let own = item.path.strip_prefix("runs/run-").and_then(|id| id.parse().ok());
    own.or_else(|| item.fact("run_id")?.as_i64())
}

/// A fact: its name, and its value in the words and the zone of the screen.
pub(super) fn put_fact(paper: &mut Paper<'_>, fact: &Fact, look: &Look) {
    let at = fact.name.ends_with("_at").then(|| fact.value.as_str()).flatten();
    let at = at.and_then(|at| DateTime::parse_from_rfc3339(at).ok());
    let text = match at {
        Some(at) => look.full_time(at.with_timezone(&Utc)),
        None => fact.text(),
    };
    let role = match fact.name.as_str() {
        "reason_code" | "last_error_code" | "message" if !fact.value.is_null() => Role::Failed,
        "dominant_issue" | "headline" => Role::Title,
        _ => Role::Text,
    };
    paper.labelled(role, 4, &look.cell(&fact.label(), NAME), &text);
}
