//! A run's detail as lines: the answer first, the evidence folded below.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use ratatui::text::Span;
use serde_json::Value;

use super::super::look::{Look, bounded, grouped, span_of, state_role, wrapped};
use super::super::theme::Role;
use crate::domain::failure::{ReasonCode, one_sentence_summary};
use crate::domain::operation_type;
use crate::domain::run::{Run, RunStatus, TargetStatus};
use crate::domain::run_state::{RunState, STALE_AFTER};
use crate::domain::summary_counts::CountKey;
use crate::ops::runs::{ELSEWHERE_BOUND, RunDetail, TARGETS_SHOWN};

/// Failures shown under each reason.
const SAMPLES: usize = 3;
/// Cells of the progress bar.
const BAR: u64 = 30;

/// A part of the detail that can be folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// Its targets.
    Targets,
    /// Every failure.
    Failures,
    /// Inputs and other facts.
    Context,
    /// Audit rows about it.
    Audit,
}

impl Section {
    /// Every section, in order.
    pub const ALL: &'static [Self] = &[Self::Targets, Self::Failures, Self::Context, Self::Audit];
}

/// What enter does on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing: it is text.
    None,
    /// Opens or closes a section.
    Fold(Section),
    /// Lists the runs that failed for the same reason.
    SameFailures,
}

/// One line of the document.
#[derive(Debug, Clone)]
pub struct DocumentLine {
    /// What it says.
    pub spans: Vec<Span<'static>>,
    /// What enter does there.
    pub action: Action,
}

/// Collects lines.
struct Writer<'a> {
    look: &'a Look,
    width: usize,
    lines: Vec<DocumentLine>,
}

impl Writer<'_> {
    fn put(&mut self, spans: Vec<Span<'static>>) {
        self.lines.push(DocumentLine { spans, action: Action::None });
    }

    fn gap(&mut self) {
        self.put(Vec::new());
    }

    fn text(&mut self, role: Role, indent: usize, text: &str) {
        for line in wrapped(text, self.width.saturating_sub(indent)) {
            self.put(vec![Span::raw(" ".repeat(indent)), self.look.span(role, line)]);
        }
    }

    /// A label and a text that is wrapped beside it.
    fn labelled(&mut self, role: Role, indent: usize, label: &str, text: &str) {
        let head = indent + label.len() + 1;
        for (i, line) in wrapped(text, self.width.saturating_sub(head)).into_iter().enumerate() {
            let first = if i == 0 { label } else { "" };
            self.put(vec![
                Span::raw(" ".repeat(indent)),
                self.look.span(Role::Muted, format!("{first:<width$} ", width = label.len())),
                self.look.span(role, line),
            ]);
        }
    }
}

/// The lines of a run's detail in `width` columns.
pub fn lines(
    detail: &RunDetail,
    open: &BTreeSet<Section>,
    look: &Look,
    width: usize,
) -> Vec<DocumentLine> {
    let mut w = Writer { look, width, lines: Vec::new() };
    head(&mut w, &detail.run);
    w.gap();
    verdict(&mut w, detail);
    w.gap();
    counts(&mut w, &detail.run);
    timeline(&mut w, &detail.run);
    sections(&mut w, detail, open);
    w.lines
}

fn head(w: &mut Writer<'_>, run: &Run) {
    let look = w.look;
    let state = RunState::of(run, look.now);
    w.put(vec![
        look.span(Role::Title, format!("{}  {}", run.id, look.cut(&run.run_type, 40))),
        look.span(
            Role::Muted,
            format!("  {}  ", look.cut(operation_type::label(&run.run_type), 30)),
        ),
        look.span(state_role(state), state.label(look.ascii)),
    ]);
    let mut who = match (&run.tenant_name, run.tenant_id) {
        (Some(name), Some(id)) => format!("{} ({id})", look.cut(name, 40)),
        _ => super::operations_tenant_text(run),
    };
    if let Some(workspace) = &run.workspace_name {
        who.push_str(&format!(" {} {}", look.glyph("·", "-"), look.cut(workspace, 40)));
    }
    let by = run.initiator_name.as_deref().unwrap_or("the system");
    w.text(
        Role::Text,
        0,
        &format!(
            "{who}   created {} by {} ({})",
            look.full_time(run.created_at),
            look.cut(by, 40),
            run.source
        ),
    );
}

/// What happened, why, and what to do: the reason anybody opens a run.
fn verdict(w: &mut Writer<'_>, detail: &RunDetail) {
    let run = &detail.run;
    let look = w.look;
    let get = |key| run.summary_counts.get(key).unwrap_or(0);
    let state = RunState::of(run, look.now);
    match state {
        RunState::Queued => w.text(Role::Text, 0, "Waiting for a worker."),
        RunState::Stale => {
            // In whole minutes: a figure that changed every second would redraw every second.
            let waited = (look.now - run.waiting_since()).num_minutes();
            w.text(
                Role::Stale,
                0,
                &format!(
                    "Nobody has claimed this run for {waited} minutes; after {} it counts as stale.",
                    STALE_AFTER.num_minutes()
                ),
            );
            w.labelled(Role::Text, 0, "next:", ReasonCode::StaleQueued.next_step());
        }
        RunState::Paused => w.text(Role::Paused, 0, "Paused: it waits until it is resumed."),
        RunState::Running | RunState::Cancelling | RunState::Stuck => running(w, detail),
        RunState::Succeeded => {
            let total = get(CountKey::Total);
            let text = if total == 0 {
                "There was nothing to do.".to_owned()
            } else {
                format!("All of it was done: {} of {}.", get(CountKey::Succeeded), total)
            };
            w.text(Role::Success, 0, &text);
        }
        RunState::Cancelled => w.text(
            Role::Cancelled,
            0,
            &format!(
                "Cancelled with {} of {} left undone.",
                get(CountKey::Skipped),
                get(CountKey::Total)
            ),
        ),
        RunState::Blocked => {
            w.text(Role::Blocked, 0, "Nothing was attempted: a precondition no longer held.")
        }
        RunState::Failed | RunState::Partial => {
            let groups: Vec<(String, u64)> = detail
                .groups
                .iter()
                .map(|group| (group.reason_code.clone(), u64::try_from(group.count).unwrap_or(0)))
                .collect();
            let [failed, skipped, total] =
                [CountKey::Failed, CountKey::Skipped, CountKey::Total].map(get);
            let sentence = one_sentence_summary(failed, skipped, total, &groups);
            let recorded: u64 = groups.iter().map(|(_, n)| *n).sum();
            let note = if recorded < get(CountKey::Failed) && recorded > 0 {
                format!(" ({recorded} of the failures are recorded)")
            } else {
                String::new()
            };
            w.text(Role::Text, 0, &format!("{}{note}:", capitalised(&sentence)));
        }
    }
    if detail.groups.is_empty()
        && let Some(code) = &run.reason_code
    {
        reason(w, detail, code, None);
    }
    for group in &detail.groups {
        reason(w, detail, &group.reason_code, Some(group.count));
    }
    if run.audit_gaps > 0 {
        w.text(
            Role::Warning,
            0,
            &format!("{} audit row(s) of this run could not be written.", run.audit_gaps),
        );
    }
}

fn reason(w: &mut Writer<'_>, detail: &RunDetail, code: &str, count: Option<i64>) {
    let look = w.look;
    let known = ReasonCode::of(code);
    w.gap();
    let times =
        count.map_or_else(String::new, |n| format!("  {}{}", look.glyph("×", "x"), grouped(n)));
    let role = state_role(RunState::of(&detail.run, look.now));
    let role = if detail.run.status == RunStatus::Completed { role } else { Role::Failed };
    w.put(vec![
        look.span(role, format!("{} {}", RunState::Failed.glyph(look.ascii), look.cut(code, 40))),
        look.span(Role::Text, times),
        look.span(Role::Accent, format!("  {}", known.label())),
    ]);
    w.labelled(Role::Text, 2, "why:  ", known.explanation());
    w.labelled(Role::Text, 2, "retry:", known.retry().sentence());
    w.labelled(Role::Text, 2, "next: ", known.next_step());
    let samples =
        detail.failures.iter().filter(|failure| failure.reason_code == code).take(SAMPLES);
    for failure in samples {
        let tenant = failure.tenant_name.as_deref().unwrap_or("platform");
        let head = format!("{}  {}  ", look.short_time(failure.occurred_at), look.cut(tenant, 24));
        let text = look.cut(&failure.message, w.width.saturating_sub(head.chars().count() + 2));
        let text = text.to_string();
        w.put(vec![Span::raw("  "), look.span(Role::Muted, head), look.span(Role::Text, text)]);
    }
}

fn running(w: &mut Writer<'_>, detail: &RunDetail) {
    let run = &detail.run;
    let look = w.look;
    let get = |key| run.summary_counts.get(key).unwrap_or(0);
    let (done, total) = (get(CountKey::Processed), get(CountKey::Total));
    let filled = usize::try_from(done.min(total) * BAR / total.max(1)).unwrap_or(0);
    let empty = usize::try_from(BAR).unwrap_or(0) - filled;
    let bar = look.glyph("█", "#").repeat(filled) + &look.glyph("░", ".").repeat(empty);
    w.put(vec![
        look.span(Role::Running, bar),
        look.span(Role::Text, format!("  {done} of {total}")),
        look.span(
            Role::Failed,
            if get(CountKey::Failed) > 0 {
                format!("   {} failed", get(CountKey::Failed))
            } else {
                String::new()
            },
        ),
    ]);
    let worked = run.took(run.updated_at).unwrap_or_default();
    if done > 0 && worked.num_milliseconds() > 0 {
        let left = worked.num_milliseconds() / i64::try_from(done).unwrap_or(1).max(1)
            * i64::try_from(total.saturating_sub(done)).unwrap_or(0);
        let rate = 60_000 * i64::try_from(done).unwrap_or(0) / worked.num_milliseconds();
        w.text(
            Role::Muted,
            0,
            &format!(
                "{} a minute, about {} left at this rate",
                grouped(rate),
                span_of(chrono::Duration::milliseconds(left))
            ),
        );
    }
    if let Some(lease) = &detail.lease {
        w.labelled(
            Role::Text,
            0,
            "worker",
            &format!(
                "{} since {}, last heartbeat {}, lease until {}",
                look.cut(&lease.owner, 40),
                look.short_time(lease.acquired_at),
                look.short_time(lease.heartbeat_at),
                look.short_time(lease.expires_at)
            ),
        );
    }
    if RunState::of(run, look.now) == RunState::Cancelling {
        w.text(Role::Cancelled, 0, "A cancel was asked for; it stops after what is in flight.");
    }
}

fn counts(w: &mut Writer<'_>, run: &Run) {
    let text: Vec<String> = run
        .summary_counts
        .iter()
        .map(|(key, n)| format!("{key} {}", grouped(i64::try_from(n).unwrap_or(i64::MAX))))
        .collect();
    let text = if text.is_empty() { "none reported".to_owned() } else { text.join("   ") };
    w.labelled(Role::Text, 0, "counts  ", &text);
}

fn timeline(w: &mut Writer<'_>, run: &Run) {
    let look = w.look;
    let bar = look.glyph(" ─ ", " - ");
    let mut text = format!("created {}", look.short_time(run.created_at));
    let mut before = run.created_at;
    let steps: [(&str, Option<DateTime<Utc>>); 2] =
        [("started", run.started_at), ("completed", run.completed_at)];
    for (word, at) in steps {
        if let Some(at) = at {
            text.push_str(&format!("{bar}{word} +{}", span_of(at - before)));
            before = at;
        }
    }
    w.labelled(Role::Text, 0, "timeline", &text);
    w.gap();
}

fn sections(w: &mut Writer<'_>, detail: &RunDetail, open: &BTreeSet<Section>) {
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
        ]);
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}
