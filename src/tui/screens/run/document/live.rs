//! A run that has not ended: how far it is, who is at it, and what is asked of it. Never more
//! is said than the database says.

use crate::domain::run::Lease;
use crate::domain::run_state::RunState;
use crate::domain::summary_counts::CountKey;
use crate::domain::time_zone;
use crate::ops::runs::{RequestRow, RunDetail};
use crate::tui::look::{ago, grouped};
use crate::tui::screens::run::Told;
use crate::tui::theme::Role;
use crate::tui::widgets::paper::Paper;

const BAR: u64 = 30;

/// A run in the queue: since when, why, and what to do next.
pub(super) fn waiting(w: &mut Paper<'_>, detail: &RunDetail, state: RunState) {
    let facts = detail.facts(w.look.now);
    let why = facts.wait_text().unwrap_or_default();
    let (role, text) = match state {
        RunState::Stale => {
            let waited = ago(w.look.now - detail.run.waiting_since());
            (Role::Stale, format!("Not started for {waited}: {why}."))
        }
        RunState::Paused => (Role::Paused, format!("Waiting: {why}.")),
        _ => (Role::Text, format!("Waiting: {why}.")),
    };
    w.text(role, 0, &text);
    if let Some(next) = facts.next_while_active() {
        w.labelled(Role::Text, 0, "next:", &next);
    }
}

/// A run that a worker holds, or held when its lease ran out.
pub(super) fn running(w: &mut Paper<'_>, detail: &RunDetail, pace: Option<Told>) {
    progress(w, detail, pace);
    let facts = detail.facts(w.look.now);
    if let Some(why) = facts.wait_text() {
        w.text(Role::Warning, 0, &format!("Waiting: {why}."));
        if let Some(next) = facts.next_while_active() {
            w.labelled(Role::Text, 0, "next:", &next);
        }
    }
    if let Some(lease) = &detail.lease {
        holder(w, detail, lease);
    }
    for request in &detail.requests {
        asked(w, detail, request);
    }
    // A cancel that stands on the run alone was acknowledged, or it would not stand there.
    if let Some(at) = detail.run.cancel_requested_at
        && !detail.requests.iter().any(|request| request.kind == "cancel")
    {
        let since = ago(w.look.now - at);
        w.text(Role::Cancelled, 0, &format!("cancel requested {since} ago"));
        w.text(Role::Cancelled, 0, &stopping("stopping", detail.in_flight));
    }
}

fn progress(w: &mut Paper<'_>, detail: &RunDetail, pace: Option<Told>) {
    let (look, run) = (w.look, &detail.run);
    let get = |key| run.summary_counts.get(key).unwrap_or(0);
    let (done, total) = (get(CountKey::Processed), get(CountKey::Total));
    let share = |of: u64| u128::from(done.min(total)) * u128::from(of) / u128::from(total.max(1));
    let filled = usize::try_from(share(BAR)).unwrap_or(0);
    let empty = usize::try_from(BAR).unwrap_or(0) - filled;
    let bar = look.glyph("█", "#").repeat(filled) + &look.glyph("░", ".").repeat(empty);
    let number = |n: u64| grouped(i64::try_from(n).unwrap_or(i64::MAX));
    // Work that does not go target by target counts its own items.
    let by_target = i64::try_from(total).is_ok_and(|total| total == run.target_count);
    let what = match (by_target, total) {
        (true, 1) => "target",
        (true, _) => "targets",
        (false, _) => "items",
    };
    let failed = get(CountKey::Failed);
    let done = format!(" {} %  {} of {} {what}", share(100), number(done), number(total));
    let failed = if failed > 0 { format!("   {} failed", number(failed)) } else { String::new() };
    w.put(vec![
        look.span(Role::Running, bar),
        look.span(Role::Text, done),
        look.span(Role::Failed, failed),
    ]);
    let records = get(CountKey::Items);
    if by_target && records > 0 {
        let what = if records == 1 { "record" } else { "records" };
        w.text(Role::Muted, 0, &format!("{} {what} looked at so far", number(records)));
    }
    if let Some(pace) = pace {
        let rate = grouped(pace.per_minute);
        let left = time_zone::took(pace.left);
        w.text(Role::Muted, 0, &format!("{rate} a minute, about {left} left at this rate"));
    }
}

fn holder(w: &mut Paper<'_>, detail: &RunDetail, lease: &Lease) {
    let look = w.look;
    let name = lease.worker.as_deref().unwrap_or(&lease.owner);
    let text = format!(
        "{} since {}, last heartbeat {}",
        look.cut(name, 40),
        look.short_time(lease.acquired_at),
        look.short_time(lease.heartbeat_at),
    );
    w.labelled(Role::Text, 0, "worker", &text);
    let facts = detail.facts(look.now);
    if let Some(seconds) = lease.overdue_seconds
        && facts.wait().is_none()
    {
        let since = ago(chrono::Duration::seconds(seconds));
        let lost = format!("worker lost or unable to write: its lease expired {since} ago;");
        w.text(Role::Stale, 0, &lost);
        match facts.support.obstacle(facts.run_type) {
            None => w.text(Role::Stale, 0, "another worker takes over"),
            Some(why) => w.text(Role::Stale, 0, &format!("{why}, so none takes over")),
        }
        if let Some(next) = facts.next_while_active() {
            w.labelled(Role::Text, 0, "next:", &next);
        }
    }
}

fn asked(w: &mut Paper<'_>, detail: &RunDetail, request: &RequestRow) {
    let look = w.look;
    let by = look.cut(request.requested_by.as_deref().unwrap_or("the system"), 40);
    let since = ago(look.now - request.requested_at);
    let (role, word) = match request.kind.as_str() {
        "pause" => (Role::Paused, "pausing"),
        _ => (Role::Cancelled, "stopping"),
    };
    let head = format!("{} requested {since} ago by {by}", look.cut(&request.kind, 20));
    if request.acknowledged_at.is_none() {
        w.text(role, 0, &format!("{head}, not yet acknowledged"));
    } else {
        w.text(role, 0, &head);
        w.text(role, 0, &stopping(word, detail.in_flight));
    }
}

fn stopping(word: &str, in_flight: i64) -> String {
    format!("acknowledged, {word} ({} in flight)", grouped(in_flight))
}

pub(super) fn who_cancelled(w: &mut Paper<'_>, detail: &RunDetail) {
    if let Some(request) = detail.requests.iter().find(|request| request.kind == "cancel") {
        let look = w.look;
        let by = request.requested_by.as_deref().unwrap_or("the system");
        let at = look.short_time(request.requested_at);
        let by = look.cut(by, 40);
        w.text(Role::Text, 0, &format!("The cancel was requested by {by} at {at}."));
    }
}
