//! Draws the telemetry: the window, the sums, and a row with a trend for each family.

use ratatui::buffer::Buffer;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::Widget;

use super::Telemetry;
use super::chart::Chart;
use crate::domain::window::Window;
use crate::ops::telemetry::{Family, NOT_KEPT, Summary};
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, grouped, wrapped};
use crate::tui::screen::Cx;
use crate::tui::theme::Role;
use crate::tui::trend::{change, short_change};
use crate::tui::widgets::windows::{length_of, names};

/// Rows of the sums, without their blanks: the window, the sentence, workspaces, events.
const HEAD: u16 = 4;
/// Rows below the trends: the axis, and what it means.
const AXIS: u16 = 2;
const FAMILIES: u16 = 5;
const TALLEST: u16 = 8;
/// Columns of a usual change, so that windows do not shift the trends.
const CHANGE: usize = 14;
/// Columns that the labels of an axis need.
const LABELS: usize = 19;

/// The widths of the columns that stand before the trend.
pub(super) struct Columns {
    pub(super) label: usize,
    pub(super) count: usize,
    pub(super) change: usize,
    pub(super) top: usize,
    short_labels: bool,
    short_changes: bool,
}

impl Columns {
    /// The fullest columns beside which all bars and their axis fit into `width`, or else the
    /// shortest.
    fn of(summary: &Summary, width: usize) -> Self {
        let bars = summary.buckets.len();
        let fits = |columns: &Self| {
            let room = width.saturating_sub(columns.chart() + 1);
            room >= bars && room / bars.max(1) * bars >= LABELS
        };
        let fuller = [false, true].map(|short_labels| Self::with(summary, short_labels, false));
        fuller.into_iter().find(fits).unwrap_or_else(|| Self::with(summary, true, true))
    }

    fn with(summary: &Summary, short_labels: bool, short_changes: bool) -> Self {
        let widest =
            |texts: Vec<String>| texts.iter().map(|t| t.chars().count()).max().unwrap_or(0);
        let this = Self { label: 0, count: 0, change: 0, top: 0, short_labels, short_changes };
        let labels = summary.families.iter().map(|family| this.name(family));
        let pairs = pairs(summary);
        Self {
            label: widest(labels.chain(this.sums()).map(str::to_owned).collect()),
            count: widest(pairs.iter().map(|(now, _)| shown(*now)).collect()).max(5),
            change: widest(pairs.iter().map(|(now, was)| this.changed(*now, *was)).collect())
                .max(if short_labels { 6 } else { CHANGE }),
            top: widest(summary.families.iter().map(|f| grouped(peak(&f.trend))).collect()).max(3),
            ..this
        }
    }

    fn name(&self, family: &Family) -> &'static str {
        if self.short_labels { family.short_label() } else { family.label }
    }

    fn sums(&self) -> [&'static str; 2] {
        if self.short_labels {
            ["Workspaces", "Events"]
        } else {
            ["Active workspaces", "All events"]
        }
    }

    fn changed(&self, now: Option<i64>, before: Option<i64>) -> String {
        match (now, before) {
            (Some(now), Some(before)) if self.short_changes => short_change(now, before),
            (Some(now), Some(before)) => change(now, before),
            _ => NOT_KEPT.to_owned(),
        }
    }

    /// Columns of the words, the margin included.
    pub(super) fn words(&self) -> usize {
        1 + self.label + 1 + self.count + 2 + self.change
    }

    /// The column at which the trend begins.
    pub(super) fn chart(&self) -> usize {
        self.words() + 1 + self.top + 1
    }

    fn row(&self, look: &Look, name: &str, numbers: Numbers) -> Vec<Span<'static>> {
        let (now, before) = numbers;
        let changed = self.changed(now, before);
        let role =
            if matches!(changed.as_str(), "same" | NOT_KEPT) { Role::Muted } else { Role::Text };
        vec![
            look.span(Role::Text, format!(" {name:<label$} ", label = self.label)),
            look.span(Role::Title, format!("{:>count$}", shown(now), count = self.count)),
            look.span(role, format!("  {changed:<width$}", width = self.change)),
        ]
    }
}

pub(super) fn shown(count: Option<i64>) -> String {
    count.map_or_else(|| NOT_KEPT.to_owned(), grouped)
}

/// A number, and the one before it; none where that is not kept.
type Numbers = (Option<i64>, Option<i64>);

fn pairs(summary: &Summary) -> Vec<Numbers> {
    let before = &summary.previous;
    let mut pairs = vec![
        (summary.active_workspaces, before.active_workspaces),
        (summary.total_events, before.total_events),
    ];
    pairs.extend(summary.families.iter().map(|family| (family.count, family.previous)));
    pairs
}

pub(super) fn peak(trend: &[Option<i64>]) -> i64 {
    trend.iter().flatten().copied().max().unwrap_or(0)
}

/// How much room each part gets.
struct Layout {
    head: bool,
    blanks: [bool; 2],
    bars: u16,
    gap: u16,
}

impl Layout {
    /// The tallest bars for which `rows` have room; what is left over sets the parts apart.
    fn of(rows: u16) -> Self {
        let head = rows > HEAD + FAMILIES + AXIS;
        let room = rows.saturating_sub(HEAD + AXIS + u16::from(head));
        let (bars, gap) = match (room + 1) / FAMILIES {
            0 | 1 => (1, 0),
            2 => (1, 1),
            each => ((each - 1).min(TALLEST), 1),
        };
        let left = room.saturating_sub(FAMILIES * (bars + gap) - gap);
        Self { head, blanks: [left >= 1, left >= 2], bars, gap }
    }
}

impl Telemetry {
    pub(super) fn draw(&self, buffer: &mut Buffer, cx: &Cx<'_>) {
        let look = cx.look;
        let mut lines = vec![self.window_line(cx)];
        match (self.shown(cx.window), self.read.error()) {
            (Some(summary), _) if summary.has_events() => something(summary, cx, &mut lines),
            (Some(summary), _) => nothing(summary, cx, &mut lines),
            (None, Some(error)) => say(Role::Failed, &error.to_string(), cx, &mut lines),
            (None, None) => {
                let of = cx.window.map_or_else(String::new, |w| format!(" of {}", w.label()));
                let text = format!(" reading the numbers{of} ...");
                lines.push(look.span(Role::Muted, text).into());
            }
        }
        // The choice of the window is not old.
        if cx.lost {
            let old = lines.iter_mut().skip(1).flat_map(|line| &mut line.spans);
            old.for_each(|span| span.style = look.style(Role::Muted));
        }
        Text::from(lines).render(cx.area, buffer);
    }

    /// The windows, the chosen one in brackets, and when the numbers were read.
    fn window_line(&self, cx: &Cx<'_>) -> Line<'static> {
        let look = cx.look;
        let names = names(cx.window).into_iter();
        let mut line: Line<'_> = names.map(|(role, text)| look.span(role, text)).collect();
        if let Some(summary) = self.shown(cx.window) {
            // Numbers that stay the same stand still; once nobody confirms them, they have the
            // time at which somebody did last.
            let confirmed = self.read.at().filter(|_| !cx.live());
            let at = confirmed.unwrap_or(summary.as_of);
            let today = look.format(at, "%F") == look.format(look.now, "%F");
            let at = look.format(at, if today { "%H:%M:%S" } else { "%m-%d %H:%M:%S" });
            let short = format!("as of {at} {}", look.zone_name());
            let long = format!("{short}, unchanged since");
            let offers = if cx.live() { vec![long, short] } else { vec![short] };
            at_the_right(&mut line, &offers, cx);
        }
        line
    }
}

fn say(role: Role, text: &str, cx: &Cx<'_>, lines: &mut Vec<Line<'static>>) {
    let texts = wrapped(text, usize::from(cx.area.width).saturating_sub(2)).into_iter();
    lines.extend(texts.map(|text| cx.look.span(role, format!(" {text}")).into()));
}

/// Puts the first of some texts that fits to the right end of a line.
fn at_the_right(line: &mut Line<'static>, offers: &[String], cx: &Cx<'_>) {
    let room = usize::from(cx.area.width).saturating_sub(line.width() + 3);
    if let Some(text) = offers.iter().find(|text| text.chars().count() <= room) {
        line.push_span(cx.look.span(Role::Muted, format!("  {text:>room$}")));
    }
}

/// The sums of the window beside those of the window before.
fn sums(summary: &Summary, columns: &Columns, look: &Look, lines: &mut Vec<Line<'static>>) {
    for (name, numbers) in columns.sums().iter().zip(pairs(summary)) {
        let mut spans = columns.row(look, name, numbers);
        spans.push(look.span(Role::Muted, format!("  before {}", shown(numbers.1))));
        lines.push(spans.into());
    }
}

fn something(summary: &Summary, cx: &Cx<'_>, lines: &mut Vec<Line<'static>>) {
    let (look, width) = (cx.look, usize::from(cx.area.width));
    let layout = Layout::of(cx.area.height);
    let columns = Columns::of(summary, width);
    let before = length_of(summary.window.key);
    let mut sentence = Line::from(look.span(Role::Text, format!(" {}", summary.sentence())));
    let notes = [
        format!("CHANGE is against the {before} before"),
        format!("CHANGE: to the {before} before"),
        format!("vs. the {before} before"),
    ];
    // Where the window before is not kept, there is no change to explain.
    if summary.previous.total_events.is_some() {
        at_the_right(&mut sentence, &notes, cx);
    }
    lines.push(sentence);
    lines.extend(layout.blanks[0].then(Line::default));
    sums(summary, &columns, look, lines);
    lines.extend(layout.blanks[1].then(Line::default));
    let chart = Chart::of(summary, &columns, width, layout.bars);
    if layout.head {
        let Columns { label, count, change, top, .. } = columns;
        let text = format!(
            " {:<label$} {:>count$}  {:<change$} {:>top$} TREND",
            "", "COUNT", "CHANGE", "TOP"
        );
        lines.push(look.span(Role::Header, text).into());
    }
    for (index, family) in summary.families.iter().enumerate() {
        lines.extend((index > 0 && layout.gap > 0).then(Line::default));
        let first = columns.row(look, columns.name(family), (family.count, family.previous));
        chart.rows(family, &first, look, lines);
    }
    lines.push(chart.axis(look));
    lines.push(chart.legend(look, width));
}

/// The window without any event: said in words, with what to do about it.
fn nothing(summary: &Summary, cx: &Cx<'_>, lines: &mut Vec<Line<'static>>) {
    let look = cx.look;
    let roomy = cx.area.height > HEAD + FAMILIES + 4;
    lines.push(look.span(Role::Title, format!(" {}", summary.sentence())).into());
    let advice = if summary.total_events.is_none() {
        "Its events were pruned; the setting product_usage.retention_days says for how long they are kept."
            .to_owned()
    } else if summary.window.key == Window::Month {
        "This is the longest window; events are counted where customers use the product.".to_owned()
    } else {
        let key = cx.key(Context::Telemetry, Command::WindowNext);
        format!("Try a longer window: {}.", key.as_deref().unwrap_or(Command::WindowNext.id()))
    };
    say(Role::Hint, &advice, cx, lines);
    let columns = Columns::with(summary, false, false);
    lines.extend(roomy.then(Line::default));
    sums(summary, &columns, look, lines);
    lines.extend(roomy.then(Line::default));
    for family in &summary.families {
        let mut spans = columns.row(look, family.label, (family.count, family.previous));
        if family.count.is_some() {
            spans.push(look.span(Role::Muted, "  none"));
        }
        lines.push(spans.into());
    }
}
