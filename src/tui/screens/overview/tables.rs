//! What fails most, what failed last, and what customers used.

use super::cells::{self, Cell, Row};
use super::change::{Good, of_counts};
use super::items::{Item, Offence};
use super::view::{HEAD, WIDE, head};
use crate::domain::failure::ReasonCode;
use crate::domain::run::Run;
use crate::domain::run_state::RunState;
use crate::ops::overview::{Offender, Overview as OverviewData};
use crate::ops::telemetry::NOT_KEPT;
use crate::tui::look::{Look, grouped, state_role};
use crate::tui::screens::operations_tenant_text;
use crate::tui::theme::Role;
use crate::tui::trend::kept_bars;

/// From this width on, offenders stand in columns.
const COLUMNS: usize = 76;

/// What fails most: three columns, or where there is little room one after another.
pub(super) fn offenders(data: &OverviewData, look: &Look, width: usize) -> Vec<Row> {
    let lists = [
        (Offence::Type, "by type"),
        (Offence::Tenant, "by tenant"),
        (Offence::Reason, "by reason"),
    ];
    if lists.iter().all(|(offence, _)| offence.of(data).is_empty()) {
        if data.runs.current.started == 0 {
            return Vec::new();
        }
        let kept = if data.runs.missing_before().is_some() { " that is kept" } else { "" };
        let text = format!(" Nothing{kept} failed in {}.", data.window.label);
        return vec![vec![head("OFFENDERS"), Cell::plain(Role::Text, text)]];
    }
    let name_of = |one: &Offender| one.label.map_or_else(|| one.name.clone(), str::to_owned);
    if width < COLUMNS {
        let mut rows = vec![vec![head("OFFENDERS")]];
        for (offence, name) in lists {
            let group = |one: &Offender| {
                let (item, name) = (Item::Offender(offence, one.key()), name_of(one));
                let name = look.cut(&name, 24).to_string();
                cells::entry(item, &name, Role::Title, grouped(one.runs))
            };
            let groups = offence.of(data).iter().map(group).collect();
            let name = name.trim_start_matches("by ");
            let label = Cell::plain(Role::Muted, format!("  {name:<width$}", width = HEAD - 2));
            rows.extend(cells::flow(label, groups, width));
        }
        return rows;
    }
    let each = (width - HEAD) / lists.len();
    let mut blocks = vec![(HEAD, vec![vec![head("OFFENDERS")]])];
    for (offence, name) in lists {
        let list = offence.of(data);
        let digits = list.iter().map(|one| grouped(one.runs).len()).max().unwrap_or(1);
        let longest = list.iter().map(|one| name_of(one).chars().count()).max().unwrap_or(0);
        let room = each.saturating_sub(digits + 4).min(longest.max(name.len()));
        let mut rows = vec![vec![Cell::plain(Role::Header, format!(" {name}"))]];
        if list.is_empty() {
            rows.push(vec![Cell::plain(Role::Muted, " none of one tenant")]);
        }
        for one in list {
            rows.push(vec![
                Cell::lead(Item::Offender(offence, one.key())),
                Cell::plain(Role::Text, ends(look, &name_of(one), room)),
                Cell::strong(Role::Title, format!(" {:>digits$}", grouped(one.runs))),
            ]);
        }
        blocks.push((each, rows));
    }
    cells::beside(blocks)
}

/// A name in at most `columns` columns; where it is cut, its end stays, for that is what tells
/// one tenant of a customer from the other.
fn ends(look: &Look, name: &str, columns: usize) -> String {
    let whole = look.cut(name, 1_000).to_string();
    let count = whole.chars().count();
    if count <= columns || columns < 8 {
        return look.cell(name, columns);
    }
    let tail = columns / 3;
    let start: String = whole.chars().take(columns - tail - 1).collect();
    let end: String = whole.chars().skip(count - tail).collect();
    look.cell(&format!("{start}{}{end}", look.glyph("…", "~")), columns)
}

/// What customers used. These numbers open nothing.
pub(super) fn usage(data: &OverviewData, look: &Look, width: usize) -> Vec<Row> {
    let usage = &data.usage;
    if usage.total_events == Some(0) && usage.previous.total_events == Some(0) {
        let none = Cell::plain(Role::Text, format!(" {}", usage.sentence()));
        return vec![vec![head("USAGE"), none]];
    }
    let cell = |name: &str, now: Option<i64>, was: Option<i64>| -> Row {
        let number = now.map_or_else(|| NOT_KEPT.to_owned(), grouped);
        let (role, text) = match (now, was) {
            (Some(now), Some(was)) => of_counts(look, now, was, Good::Neither),
            (Some(_), None) => (Role::Muted, format!("(before: {NOT_KEPT})")),
            (None, _) => (Role::Muted, String::new()),
        };
        vec![
            Cell::plain(Role::Text, format!(" {name} ")),
            Cell::plain(Role::Title, number),
            Cell::plain(role, format!(" {text}")),
        ]
    };
    let before = &usage.previous;
    let mut groups = vec![
        cell("active workspaces", usage.active_workspaces, before.active_workspaces),
        cell("events", usage.total_events, before.total_events),
    ];
    let mut sums: Vec<Option<i64>> = vec![None; usage.buckets.len()];
    for family in &usage.families {
        for (sum, count) in sums.iter_mut().zip(&family.trend) {
            *sum = sum.map_or(*count, |sum| Some(sum + count.unwrap_or(0)));
        }
    }
    let trend = kept_bars(&sums, 1, look.ascii).concat().concat();
    groups.push(vec![Cell::plain(Role::Accent, format!(" {trend}"))]);
    let families = usage
        .families
        .iter()
        .map(|family| cell(&family.short_label().to_lowercase(), family.count, family.previous));
    let mut rows = cells::flow(head("USAGE"), groups, width);
    rows.extend(cells::flow(Cell::plain(Role::Text, " ".repeat(HEAD)), families.collect(), width));
    rows
}

pub(super) fn failures(runs: &[Run], look: &Look, width: usize) -> Vec<Row> {
    if runs.is_empty() {
        return Vec::new();
    }
    let wide = width >= WIDE;
    let time = runs.iter().map(|run| look.short_time(run.created_at).len()).max().unwrap_or(8);
    let blank = time.saturating_sub("FAILURES".len()) + 2;
    let id = runs.iter().map(|run| run.id.to_string().len()).max().unwrap_or(2).max(3);
    let fixed = 1 + time + 2 + 9 + 3 + if wide { id + 2 + 18 } else { 0 };
    let free = width.saturating_sub(fixed);
    let tenant = (free / 4).min(30);
    let reason = (free / 3).min(25);
    let kind = free.saturating_sub(tenant + reason).min(34);
    let (tenant_head, run_head) =
        (look.cut("TENANT", tenant).to_string(), format!("{:>id$}  ", "RUN"));
    let (run_head, workspace) =
        if wide { (run_head.as_str(), "WORKSPACE         ") } else { ("", "") };
    let text = format!(
        "{:blank$}{run_head}{:<kind$} {tenant_head:<tenant$} {:<reason$} {workspace}STATE",
        "", "TYPE", "REASON",
    );
    let mut rows =
        vec![vec![Cell::plain(Role::Title, " FAILURES"), Cell::plain(Role::Header, text)]];
    for run in runs {
        let code = run.reason_code.as_deref().unwrap_or_default();
        // A code that this version does not know is shown as it is stored.
        let label = code.parse().map_or(code, |known: ReasonCode| known.label());
        let state = RunState::of(run, look.now);
        let mut row = vec![
            Cell::lead(Item::Failure(run.id)),
            Cell::strong(Role::Text, format!("{:<time$}", look.short_time(run.created_at))),
        ];
        if wide {
            row.push(Cell::plain(Role::Text, format!("  {:>id$}", run.id)));
        }
        let workspace = run.workspace_name.as_deref().unwrap_or_default();
        let text = format!(
            "  {} {} {} {}",
            look.cell(&run.run_type, kind),
            ends(look, &operations_tenant_text(run), tenant),
            look.cell(label, reason),
            if wide { look.cell(workspace, 17) + " " } else { String::new() },
        );
        row.push(Cell::plain(Role::Text, text));
        row.push(Cell::plain(state_role(state), look.cell(&state.label(look.ascii), 9)));
        rows.push(row);
    }
    rows
}
