//! The evidence below the answer: sections that can be folded.

use std::collections::BTreeSet;

use ratatui::text::Span;
use serde_json::Value;

use super::super::super::look::{bounded, grouped, state_role};
use super::super::super::theme::Role;
use super::{Action, DocumentLine, Section, Writer};
use crate::domain::run::TargetStatus;
use crate::domain::run_state::RunState;
use crate::ops::runs::{ELSEWHERE_BOUND, RunDetail, TARGETS_SHOWN};

pub(super) fn sections(w: &mut Writer<'_>, detail: &RunDetail, open: &BTreeSet<Section>) {
    let look = w.look;
    for section in Section::ALL {
        let (title, count) = match section {
            Section::Targets => ("targets", Some(detail.run.target_count)),
            Section::Failures => {
                ("failures", Some(detail.groups.iter().map(|group| group.count).sum()))
            }
            Section::Context => ("context", None),
            Section::Audit => {
                ("audit", detail.audit.as_ref().map(|rows| i64::try_from(rows.len()).unwrap_or(0)))
            }
        };
        let is_open = open.contains(section);
        let marker = if is_open { look.glyph("▾", "v") } else { look.glyph("▹", "+") };
        let count = count.map_or_else(String::new, |n| format!(" {}", grouped(n)));
        w.lines.push(DocumentLine {
            spans: vec![look.span(Role::Accent, format!("{marker} {title}{count}"))],
            action: Action::Fold(*section),
        });
        if is_open {
            match section {
                Section::Targets => targets(w, detail),
                Section::Failures => failures(w, detail),
                Section::Context => context(w, &detail.context),
                Section::Audit => audit(w, detail),
            }
        }
    }
    if let Some(n) = detail.elsewhere {
        w.lines.push(DocumentLine {
            spans: vec![
                look.span(Role::Accent, format!("{} same failure elsewhere", look.glyph("▹", "+"))),
                look.span(Role::Text, format!(" {}", bounded(n, ELSEWHERE_BOUND))),
                look.span(Role::Muted, " in 24 h; enter lists them"),
            ],
            action: Action::SameFailures,
        });
    }
}

fn targets(w: &mut Writer<'_>, detail: &RunDetail) {
    let look = w.look;
    for target in &detail.targets {
        let (state, word) = match target.status {
            TargetStatus::Pending => (RunState::Queued, "pending"),
            TargetStatus::Succeeded => (RunState::Succeeded, "succeeded"),
            TargetStatus::Failed => (RunState::Failed, "failed"),
            TargetStatus::Skipped => (RunState::Cancelled, "skipped"),
        };
        let id = target.tenant_id.map_or_else(|| "platform".to_owned(), |id| id.to_string());
        let name = target.tenant_name.as_deref().unwrap_or("");
        w.put(vec![
            Span::raw("    "),
            look.span(state_role(state), format!("{} {word:<10}", state.glyph(look.ascii))),
            look.span(Role::Text, format!("{id:>8}  {}", look.cut(name, 30))),
            look.span(
                Role::Failed,
                target
                    .reason_code
                    .as_deref()
                    .map_or_else(String::new, |code| format!("  {}", look.cut(code, 30))),
            ),
            look.span(
                Role::Muted,
                target.failed_share().map_or_else(String::new, |share| format!("  {share}")),
            ),
        ]);
    }
    if detail.run.target_count > TARGETS_SHOWN {
        w.text(
            Role::Muted,
            4,
            &format!(
                "the first {TARGETS_SHOWN} of {} are shown, failed ones first",
                grouped(detail.run.target_count)
            ),
        );
    }
}

fn failures(w: &mut Writer<'_>, detail: &RunDetail) {
    let look = w.look;
    if detail.failures.is_empty() {
        w.text(Role::Muted, 4, "none");
    }
    for failure in &detail.failures {
        let tenant = failure.tenant_name.as_deref().unwrap_or("platform");
        w.put(vec![
            Span::raw("    "),
            look.span(Role::Muted, format!("{}  ", look.short_time(failure.occurred_at))),
            look.span(Role::Failed, look.cut(&failure.reason_code, 30).to_string()),
            look.span(Role::Text, format!("  {}", look.cut(tenant, 30))),
        ]);
        w.text(Role::Text, 6, &failure.message);
    }
}

fn context(w: &mut Writer<'_>, value: &Value) {
    let mut rows = Vec::new();
    flatten("", value, &mut rows);
    if rows.is_empty() {
        w.text(Role::Muted, 4, "none");
    }
    for (key, text) in rows {
        let key = w.look.cut(&key, 28).to_string();
        w.labelled(Role::Text, 4, &format!("{key:<20}"), &text);
    }
}

/// Nested facts as dotted names.
fn flatten(prefix: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&name, value, rows);
            }
        }
        Value::String(text) => rows.push((prefix.to_owned(), text.clone())),
        other => rows.push((prefix.to_owned(), other.to_string())),
    }
}

fn audit(w: &mut Writer<'_>, detail: &RunDetail) {
    let look = w.look;
    let Some(rows) = &detail.audit else {
        let capability = crate::domain::capability::Capability::AuditView;
        w.text(Role::Muted, 4, &format!("reading the audit log needs the capability {capability}"));
        return;
    };
    if rows.is_empty() {
        w.text(Role::Muted, 4, "nothing was audited about this run");
    }
    for row in rows {
        let who = row.actor_name.as_deref().unwrap_or(&row.actor_kind);
        w.put(vec![
            Span::raw("    "),
            look.span(Role::Muted, format!("{}  ", look.short_time(row.occurred_at))),
            look.span(
                Role::Text,
                format!(
                    "{:<20} {:<10} {}",
                    look.cut(&row.action, 20),
                    look.cut(&row.status, 10),
                    look.cut(who, 30)
                ),
            ),
            look.span(Role::Warning, if row.break_glass { "  break-glass" } else { "" }),
        ]);
    }
}
