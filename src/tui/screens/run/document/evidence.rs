//! The evidence below the answer: sections that can be folded.

use ratatui::text::Span;
use serde_json::Value;

use crate::domain::run::TargetStatus;
use crate::domain::run_state::RunState;
use crate::ops::runs::{ELSEWHERE_BOUND, RunDetail, TARGETS_SHOWN};
use crate::tui::command::Command;
use crate::tui::look::{bounded, grouped, state_role};
use crate::tui::theme::Role;
use crate::tui::widgets::paper::Paper;

pub(super) fn sections(w: &mut Paper<'_>, detail: &RunDetail) {
    let look = w.look;
    let counted = |title: &str, n: i64| format!("{title} {}", grouped(n));
    w.section(&counted("targets", detail.run.target_count), "");
    targets(w, detail);
    let failed = detail.groups.iter().map(|group| group.count).sum();
    w.section(&counted("failures", failed), "");
    failures(w, detail);
    w.section("context", "");
    context(w, &detail.context);
    let audited = |rows: &Vec<_>| counted("audit", i64::try_from(rows.len()).unwrap_or(0));
    w.section(&detail.audit.as_ref().map_or_else(|| "audit".to_owned(), audited), "");
    audit(w, detail);
    w.end_section();
    if let Some(n) = detail.elsewhere {
        let spans = vec![
            look.span(Role::Accent, "same failure elsewhere"),
            look.span(Role::Text, format!(" {}", bounded(n, ELSEWHERE_BOUND))),
            look.span(Role::Muted, " in 24 h; enter lists them"),
        ];
        w.link(Command::DetailSameFailures, 0, spans);
    }
}

fn targets(w: &mut Paper<'_>, detail: &RunDetail) {
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
        let mut spans = vec![
            Span::raw("    "),
            look.span(state_role(state), format!("{} {word:<10}", state.glyph(look.ascii))),
            look.span(Role::Text, format!("{id:>8}  {}", look.cut(name, 30))),
        ];
        if let Some(code) = &target.reason_code {
            spans.push(look.span(Role::Failed, format!("  {}", look.cut(code, 30))));
        }
        if let Some(share) = target.failed_share() {
            spans.push(look.span(Role::Muted, format!("  {share}")));
        }
        w.put(spans);
    }
    if detail.run.target_count > TARGETS_SHOWN {
        let all = grouped(detail.run.target_count);
        let text = format!("the first {TARGETS_SHOWN} of {all} are shown, failed ones first");
        w.text(Role::Muted, 4, &text);
    }
}

fn failures(w: &mut Paper<'_>, detail: &RunDetail) {
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

fn context(w: &mut Paper<'_>, value: &Value) {
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

fn audit(w: &mut Paper<'_>, detail: &RunDetail) {
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
        let (action, status) = (look.cut(&row.action, 20), look.cut(&row.status, 10));
        let text = format!("{action:<20} {status:<10} {}", look.cut(who, 30));
        w.put(vec![
            Span::raw("    "),
            look.span(Role::Muted, format!("{}  ", look.short_time(row.occurred_at))),
            look.span(Role::Text, text),
            look.span(Role::Warning, if row.break_glass { "  break-glass" } else { "" }),
        ]);
    }
}
