//! A run's detail as lines: the answer first, the evidence folded below.

mod evidence;
mod live;

use ratatui::text::Span;

use crate::domain::failure::{ReasonCode, one_sentence_summary};
use crate::domain::operation_type;
use crate::domain::rollout::StopReason;
use crate::domain::run::{Run, RunOutcome, RunStatus};
use crate::domain::run_facts::{RetriedAs, Retry};
use crate::domain::run_state::RunState;
use crate::domain::summary_counts::CountKey;
use crate::domain::time_zone;
use crate::ops::runs::{RunDetail, RunFault};
use crate::tui::command::Command;
use crate::tui::look::{grouped, state_role};
use crate::tui::screen::Target;
use crate::tui::screens::run::Told;
use crate::tui::theme::Role;
use crate::tui::widgets::paper::{Act, Paper};

const SAMPLES: usize = 3;

/// Writes a run's detail; `pace` is how fast it gets on.
pub fn write(w: &mut Paper<'_>, detail: &RunDetail, pace: Option<Told>) {
    head(w, detail);
    w.gap();
    verdict(w, detail, pace);
    links(w, detail);
    w.gap();
    counts(w, &detail.run);
    timeline(w, detail);
    evidence::sections(w, detail);
}

fn head(w: &mut Paper<'_>, detail: &RunDetail) {
    let (look, run) = (w.look, &detail.run);
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
        _ => crate::tui::screens::operations_tenant_text(run),
    };
    if let Some(workspace) = &run.workspace_name {
        who.push_str(&format!(" {} {}", look.glyph("·", "-"), look.cut(workspace, 40)));
    }
    let by = run.initiator_name.as_deref().unwrap_or("the system");
    let (at, by) = (look.full_time(run.created_at), look.cut(by, 40));
    w.text(Role::Text, 0, &format!("{who}   created {at} by {by} ({})", run.source));
    if let Some((code, reason)) = detail.break_glass() {
        let glyph = look.glyph("‼", "!!");
        w.text(Role::Warning, 0, &format!("{glyph} started under break-glass: {code}, {reason}"));
    }
}

/// What happened, why, and what to do: the reason anybody opens a run.
fn verdict(w: &mut Paper<'_>, detail: &RunDetail, pace: Option<Told>) {
    let run = &detail.run;
    let look = w.look;
    let get = |key| run.summary_counts.get(key).unwrap_or(0);
    let state = RunState::of(run, look.now);
    match state {
        RunState::Queued | RunState::Stale | RunState::Paused => live::waiting(w, detail, state),
        RunState::Running | RunState::Cancelling | RunState::Stuck => {
            live::running(w, detail, pace);
        }
        RunState::Succeeded => {
            let total = get(CountKey::Total);
            let done = get(CountKey::Succeeded);
            let text = match get(CountKey::Skipped) {
                _ if total == 0 => "There was nothing to do.".to_owned(),
                0 => format!("All of it was done: {done} of {total}."),
                skipped => format!("{done} of {total} done; {skipped} skipped."),
            };
            w.text(Role::Success, 0, &text);
        }
        RunState::Cancelled => {
            let how = match detail.stop_reason {
                Some(StopReason::Closed) => "Closed by force",
                _ => "Cancelled",
            };
            let (skipped, total) = (get(CountKey::Skipped), get(CountKey::Total));
            let text = format!("{how} with {skipped} of {total} left undone.");
            w.text(Role::Cancelled, 0, &text);
            live::who_cancelled(w, detail);
        }
        RunState::Blocked => {
            w.text(Role::Blocked, 0, "Nothing was attempted: a precondition no longer held.")
        }
        RunState::Failed | RunState::Partial => {
            let groups = detail.groups.iter();
            let counted = groups.map(|it| (it.reason_code.clone(), it.count.unsigned_abs()));
            let counted: Vec<(String, u64)> = counted.collect();
            let [failed, skipped, total] =
                [CountKey::Failed, CountKey::Skipped, CountKey::Total].map(get);
            let sentence = one_sentence_summary(failed, skipped, total, run.target_count, &counted);
            w.text(Role::Text, 0, &format!("{}:", capitalised(&sentence)));
            if let Some(reason) = detail.stop_reason {
                w.text(Role::Warning, 0, &format!("{}.", capitalised(reason.sentence())));
            }
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
    let facts = detail.facts(look.now);
    if detail.groups.is_empty()
        && run.reason_code.is_none()
        && run.outcome != RunOutcome::Succeeded
        && let Some(line) = facts.no_retry_line()
    {
        w.text(Role::Muted, 0, &format!("{}.", capitalised(&line)));
    }
    for gap in detail.gaps.lines(run.audit_gaps) {
        w.text(Role::Warning, 0, &format!("{gap}."));
    }
    for RunFault { during, fault, times, .. } in &detail.faults {
        let times = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
        w.text(Role::Warning, 0, &format!("database, {during}: {fault}; {times}"));
    }
}

/// Where else to go from here, and what to try.
fn links(w: &mut Paper<'_>, detail: &RunDetail) {
    let facts = detail.facts(w.look.now);
    let retry = facts.retry();
    let advised = retry.targets();
    if advised.is_some() || detail.retry_of.is_some() || !detail.retried_by.is_empty() {
        w.gap();
    }
    if let Some(n) = advised {
        let text = match n {
            1 => "retry the target that failed or never ran".to_owned(),
            n => format!("retry the {} targets that failed or never ran", grouped(n)),
        };
        let hint = match retry {
            Retry::NeedsWorker { .. } => facts.support.obstacle(facts.run_type),
            _ => None,
        };
        let hint = format!("; {}", hint.as_deref().unwrap_or("asks first"));
        link(w, Command::RunRetry, text, hint);
    }
    for RetriedAs { run_id, state } in &detail.retried_by {
        let text = format!("retried as run {run_id} ({})", state.word());
        link(w, Target::Run(*run_id), text, String::new());
    }
    if let Some(id) = detail.retry_of {
        link(w, Target::Run(id), format!("tries again what run {id} left"), String::new());
    }
}

fn link(w: &mut Paper<'_>, act: impl Into<Act>, text: String, hint: String) {
    let spans = vec![w.look.span(Role::Accent, text), w.look.span(Role::Muted, hint)];
    w.link(act, 0, spans);
}

fn reason(w: &mut Paper<'_>, detail: &RunDetail, code: &str, count: Option<i64>) {
    let look = w.look;
    let known = ReasonCode::of(code);
    let facts = detail.facts(look.now);
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
    w.labelled(Role::Text, 2, "retry:", &facts.retry_help(known));
    let next = facts.next_step(known);
    if !next.is_empty() {
        w.labelled(Role::Text, 2, "next: ", &next);
    }
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

fn counts(w: &mut Paper<'_>, run: &Run) {
    let count = |(key, n)| format!("{key} {}", grouped(i64::try_from(n).unwrap_or(i64::MAX)));
    let text: Vec<String> = run.summary_counts.iter().map(count).collect();
    let text = if text.is_empty() { "none reported".to_owned() } else { text.join("   ") };
    w.labelled(Role::Text, 0, "counts  ", &text);
}

fn timeline(w: &mut Paper<'_>, detail: &RunDetail) {
    let (look, run) = (w.look, &detail.run);
    let bar = look.glyph(" ─ ", " - ");
    let mut text = format!("created {}", look.short_time(run.created_at));
    let mut before = run.created_at;
    for (word, at) in [("started", run.started_at), ("completed", run.completed_at)] {
        if let Some(at) = at {
            text.push_str(&format!("{bar}{word} +{}", time_zone::took(at - before)));
            before = at;
        }
    }
    w.labelled(Role::Text, 0, "timeline", &text);
    if run.target_count > 1 {
        w.labelled(Role::Text, 0, "rollout ", &detail.rollout.words());
    }
    w.gap();
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}
