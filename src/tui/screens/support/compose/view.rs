//! Draws a request that is being written: form and preview beside each other where there is room,
//! one after the other where there is not.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::form::Field;
use super::preview::counted;
use super::{Composition, File, Source, Step, kept_in, named};
use crate::ErrorKind;
use crate::domain::capability::Capability;
use crate::domain::safe_text::SafeText;
use crate::domain::support::{Prepared, Severity};
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, wrapped};
use crate::tui::screen::{Cx, Reply, Screen};
use crate::tui::theme::Role;
use crate::tui::widgets::text_field::TextField;

/// From so many columns on, form and preview stand beside each other.
const WIDE: u16 = 120;
const LABEL: u16 = 12;
/// The fewest rows of the form: six fields, two of them for the notes.
const FORM: u16 = 7;

type Said = (Role, String);

fn fitted(said: Vec<Said>, area: Rect) -> Vec<Said> {
    let columns = usize::from(area.width.saturating_sub(2));
    let wrap =
        |(role, text): Said| wrapped(&text, columns).into_iter().map(move |line| (role, line));
    said.into_iter().flat_map(wrap).collect()
}

fn draw_said(said: Vec<Said>, area: Rect, buffer: &mut Buffer, look: &Look) {
    for (y, (role, text)) in (area.y..area.bottom()).zip(said) {
        let line = Line::from(look.span(role, format!(" {text}")));
        line.render(Rect { y, height: 1, ..area }, buffer);
    }
}

/// The lowest `rows` rows of an area, and what is above them.
fn cut_off(area: Rect, rows: usize) -> (Rect, Rect) {
    let rows = u16::try_from(rows).unwrap_or(u16::MAX).min(area.height);
    let above = Rect { height: area.height - rows, ..area };
    (above, Rect { y: above.bottom(), height: rows, ..area })
}

/// Where the form is, and where the preview is: the same place where there is no room for both.
fn halves(area: Rect) -> (Rect, Rect) {
    if area.width < WIDE {
        return (area, area);
    }
    let left = Rect { width: (area.width / 2 - 1).min(84), ..area };
    (left, Rect { x: left.right() + 1, width: area.width - left.width - 1, ..area })
}

fn draw_choice(
    words: impl IntoIterator<Item = (&'static str, bool)>,
    area: Rect,
    buffer: &mut Buffer,
    look: &Look,
) {
    let mut spans = Vec::new();
    for (word, chosen) in words {
        if !spans.is_empty() {
            spans.push(Span::raw(" "));
        }
        spans.push(if chosen {
            look.span(Role::Selected, format!("[{word}]"))
        } else {
            look.span(Role::Text, format!(" {word} "))
        });
    }
    Line::from(spans).render(area, buffer);
}

fn key(command: Command, cx: &Cx<'_>) -> String {
    cx.key(Context::Preview, command).unwrap_or_else(|| format!(":{command}"))
}

impl Composition {
    pub fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.draw_head(Rect { height: 1, ..cx.area }, buffer, cx);
        let (body, below) = self.body(cx);
        if self.step == Step::Sent {
            self.draw_sent(body, buffer, cx);
            return None;
        }
        draw_said(self.status(cx), below, buffer, cx.look);
        let (left, right) = halves(body);
        match self.step {
            Step::Write if left == right => return self.draw_form(left, buffer, cx),
            _ if left == right => return self.draw_preview(right, buffer, cx),
            _ => {}
        }
        let bar = cx.look.span(Role::Border, cx.look.glyph("│", "|"));
        for y in body.y..body.bottom() {
            bar.clone().render(Rect { x: left.right(), y, width: 1, height: 1 }, buffer);
        }
        let form = self.draw_form(left, buffer, cx);
        let preview = self.draw_preview(right, buffer, cx);
        if self.step == Step::Write { form } else { preview }
    }

    /// Where form and preview are, and where it says below them what has to be known.
    fn body(&self, cx: &Cx<'_>) -> (Rect, Rect) {
        let area = cx.area;
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let rows = if self.step == Step::Sent { 0 } else { self.status(cx).len() };
        cut_off(body, rows.min(usize::from(body.height.saturating_sub(FORM))))
    }

    /// What the preview reads: its own place on the screen. It is never old.
    pub(super) fn page_cx<'a>(&self, cx: &Cx<'a>) -> Cx<'a> {
        let (_, right) = halves(self.body(cx).0);
        let below = self.foot(right, cx).len() + usize::from(self.prompts());
        Cx { area: cut_off(right, below).0, lost: false, ..*cx }
    }

    /// Puts the cursor of the preview where a click hit; what enter does there if it was there.
    pub fn click(&mut self, column: u16, row: u16, cx: &Cx<'_>) -> Reply {
        let (page, y) = (self.page_cx(cx), cx.area.y + row);
        let reads = self.step == Step::Preview && self.prompt.is_none();
        if !reads || !page.area.contains(Position::new(column, y)) {
            return Reply::default();
        }
        let row = y - page.area.y;
        if usize::from(row) == self.page.row() {
            return self.command(Command::RowOpen, cx);
        }
        self.page.click(column, row, &page)
    }

    fn draw_head(&self, area: Rect, buffer: &mut Buffer, cx: &Cx<'_>) {
        let look = cx.look;
        let bar = look.glyph(" ─ ", " - ");
        let mut steps = Vec::new();
        let all = [(Step::Write, "write"), (Step::Preview, "preview"), (Step::Sent, "sent")];
        for (step, word) in all {
            if !steps.is_empty() {
                steps.push(look.span(Role::Muted, bar));
            }
            steps.push(if step == self.step {
                look.span(Role::Selected, format!("[{word}]"))
            } else {
                look.span(Role::Muted, word)
            });
        }
        steps.push(Span::raw(" "));
        let steps = Line::from(steps);
        let room = usize::from(area.width).saturating_sub(steps.width() + 2);
        let title = look.cut(&format!(" Support request: {}", self.about()), room);
        look.span(Role::Title, title.to_string()).render(area, buffer);
        steps.right_aligned().render(area, buffer);
    }

    fn about(&self) -> String {
        if let Source::Open(evidence) = &self.source {
            let subject = evidence.subject();
            let tenant = format!("{} ({})", subject.tenant_name, subject.tenant_id);
            return match &subject.run {
                Some(run) => format!("run {} {}, {tenant}", run.id, run.run_type),
                None => format!("tenant {tenant}"),
            };
        }
        named(self.key.subject)
    }

    /// What has to be known apart from the fields, most important first.
    fn status(&self, cx: &Cx<'_>) -> Vec<Said> {
        let look = cx.look;
        let cross = look.glyph("✗", "x");
        let mut said: Vec<Said> = Vec::new();
        let folder = self.folder.as_deref().filter(|_| !matches!(self.file, File::Failed(_)));
        let kept = kept_in(folder);
        if let Some(error) = &self.refusal {
            let lost = matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::TimedOut);
            let text = if lost {
                format!(
                    "{cross} no answer to the sending: {}. {} sends it again, as the same request: \
                     there will be one; {kept}",
                    error.message(),
                    key(Command::ComposeSend, cx)
                )
            } else {
                format!("{cross} not sent: {error}; {kept}")
            };
            said.push((Role::Failed, text));
        }
        match &self.source {
            Source::Failed(error) => {
                let text = format!(
                    "{cross} what it is about could not be opened: {error}. {} in the preview opens \
                     it again; {kept}",
                    key(Command::PollNow, cx)
                );
                said.push((Role::Failed, text));
            }
            Source::Opening => {
                said.push((Role::Muted, "opening what it is about ...".to_owned()));
            }
            Source::Open(_) => {}
        }
        if self.sending {
            said.push((Role::Running, "sending; it is sent once".to_owned()));
        }
        said.extend(self.notes.iter().map(|note| (Role::Warning, note.clone())));
        if let File::Failed(error) = &self.file {
            said.push((Role::Warning, format!("the draft is in no file: {error}; {kept}")));
        }
        if let Some(restored) = &self.restored {
            let mut text = format!("draft of {} restored", look.short_time(restored.at));
            if restored.masks_lost {
                text.push_str("; what was masked by hand has to be masked again");
            }
            said.push((Role::Accent, text));
        }
        if self.attaches_nothing(cx) {
            let needed = Capability::SupportDiagnosticsView;
            let text = format!("no diagnostics go with it: this needs the capability {needed}");
            said.push((Role::Muted, text));
        }
        if cx.lost && self.refusal.is_none() && !matches!(self.source, Source::Failed(_)) {
            said.push((Role::Lost, format!("the database does not answer; {kept}")));
        } else if self.has_work() && !said.iter().any(|(_, text)| text.contains(&kept)) {
            said.push((Role::Muted, kept));
        }
        fitted(said, cx.area)
    }

    fn wrong(&self, field: Field, columns: usize) -> Vec<String> {
        let problems = self.prepared().filter(|_| self.judged).map(|it| it.problems.iter());
        let problems =
            problems.into_iter().flatten().filter(|it| Field::of(it.field) == Some(field));
        let said: Vec<String> = problems.flat_map(|it| wrapped(&it.text, columns)).collect();
        // What does not fit is told at once, not only once it is looked at.
        match self.form.over(field) {
            Some(over) if said.is_empty() => wrapped(&over, columns),
            _ => said,
        }
    }

    fn draw_form(&self, area: Rect, buffer: &mut Buffer, cx: &Cx<'_>) -> Option<Position> {
        let columns = usize::from(area.width.saturating_sub(LABEL + 1));
        let spare = area.height.saturating_sub(FORM - 2);
        let rows = |fields: &[Field]| -> u16 {
            let rows: usize = fields.iter().map(|field| self.wrong(*field, columns).len()).sum();
            u16::try_from(rows).unwrap_or(u16::MAX)
        };
        // Where there is no room for all of it, what is wrong where one is comes first.
        let focus = [self.form.focus];
        let explained: &[Field] = if rows(Field::ALL) + 2 > spare { &focus } else { Field::ALL };
        let mut left = rows(explained).min(spare.saturating_sub(1));
        let notes = spare.saturating_sub(left).max(1);
        let mut y = area.y;
        let mut cursor = None;
        for field in Field::ALL {
            let height = if *field == Field::Notes { notes } else { 1 };
            let row = Rect { y, height, ..area }.intersection(area);
            if row.height == 0 {
                break;
            }
            let wrong = self.wrong(*field, columns);
            let at = self.draw_field(*field, row, !wrong.is_empty(), buffer, cx);
            if self.form.focus == *field && self.step == Step::Write {
                cursor = at;
            }
            y += height;
            for text in wrong.into_iter().filter(|_| explained.contains(field)) {
                if left == 0 {
                    break;
                }
                left -= 1;
                let row = Rect { x: area.x + LABEL, y, width: area.width - LABEL, height: 1 };
                cx.look.span(Role::Failed, text).render(row.intersection(area), buffer);
                y += 1;
            }
        }
        cursor
    }

    fn draw_field(
        &self,
        field: Field,
        area: Rect,
        wrong: bool,
        buffer: &mut Buffer,
        cx: &Cx<'_>,
    ) -> Option<Position> {
        let look = cx.look;
        let here = self.form.focus == field && self.step == Step::Write;
        let marker = if here { look.glyph("▸ ", "> ") } else { "  " };
        let role = if here { Role::Selected } else { Role::Muted };
        let label = Rect { width: LABEL.min(area.width), height: 1, ..area };
        look.span(role, format!("{marker}{field}")).render(label, buffer);
        let room = Rect { x: area.x + LABEL, width: area.width.saturating_sub(LABEL + 1), ..area };
        let mut text = |input: &TextField| {
            let role = if wrong { Role::InputError } else { Role::Input };
            Some(input.draw(room, buffer, look.style(role), None))
        };
        match field {
            Field::Summary => return text(&self.form.summary),
            Field::ContactName => return text(&self.form.contact_name),
            Field::ContactEmail => return text(&self.form.contact_email),
            Field::Notes => return Some(self.form.notes.draw(room, buffer, look, wrong)),
            Field::Severity => {
                let words = Severity::ALL.iter();
                let words = words.map(|one| (one.as_str(), *one == self.form.severity));
                draw_choice(words, room, buffer, look);
            }
            Field::Attach if self.attaches_nothing(cx) => {
                look.span(Role::Muted, "ids and codes only").render(room, buffer);
            }
            Field::Attach => {
                let on = self.form.attach;
                draw_choice([("on", on), ("off", !on)], room, buffer, look);
                let rest = Rect { x: room.x + 12, width: room.width.saturating_sub(12), ..room };
                let note = look.cut(&self.attached(), usize::from(rest.width)).to_string();
                look.span(Role::Hint, note).render(rest, buffer);
            }
        }
        Some(Position::new(room.x, room.y))
    }

    /// Whether the person may not open diagnostics.
    fn attaches_nothing(&self, cx: &Cx<'_>) -> bool {
        match &self.source {
            Source::Open(evidence) => evidence.bundle().is_none(),
            _ => !cx.held.has(Capability::SupportDiagnosticsView),
        }
    }

    fn attached(&self) -> String {
        let Source::Open(evidence) = &self.source else { return String::new() };
        let sections = evidence.bundle().map(|bundle| &bundle.sections);
        let items: usize = sections.map_or(0, |all| all.iter().map(|one| one.items.len()).sum());
        if self.form.attach {
            format!("{} of diagnostics, redacted", counted(items, "item"))
        } else {
            "ids and codes only".to_owned()
        }
    }

    fn prompts(&self) -> bool {
        self.step == Step::Preview && self.prompt.is_some()
    }

    fn draw_preview(&self, area: Rect, buffer: &mut Buffer, cx: &Cx<'_>) -> Option<Position> {
        let page = self.page_cx(cx);
        let cursor = self.page.view(&page, buffer);
        if self.step == Step::Write {
            // The cursor is in the form.
            Clear.render(Rect { width: 2, ..page.area }, buffer);
        }
        let below = cut_off(area, usize::from(area.bottom() - page.area.bottom())).1;
        draw_said(self.foot(area, cx), below, buffer, cx.look);
        let Some(prompt) = self.prompt.as_ref().filter(|_| self.prompts()) else { return cursor };
        let row = cut_off(area, 1).1;
        cx.look.span(Role::Selected, " mask ").render(row, buffer);
        let room = Rect { x: row.x + 6, width: row.width.saturating_sub(7), ..row };
        Some(prompt.draw(room, buffer, cx.look.style(Role::Input), None))
    }

    /// What is said below the preview: what is withheld, and whether it can be sent.
    fn foot(&self, area: Rect, cx: &Cx<'_>) -> Vec<Said> {
        let Some(prepared) = self.prepared() else { return Vec::new() };
        let mut said = vec![(Role::Accent, prepared.manifest())];
        if self.step == Step::Preview && self.prompt.is_none() {
            said.push(self.verdict(prepared, cx));
        }
        fitted(said, area)
    }

    fn verdict(&self, prepared: &Prepared, cx: &Cx<'_>) -> Said {
        let look = cx.look;
        if self.sending {
            return (Role::Running, "sending ...".to_owned());
        }
        if prepared.is_ready() {
            let text = format!("{} sends exactly this", key(Command::ComposeSend, cx));
            return (Role::Success, format!("{} {text}", look.glyph("✓", "+")));
        }
        let wrong = counted(prepared.problems.len() + prepared.suspects.len(), "thing");
        let next = key(Command::MatchNext, cx);
        let mut text =
            format!("{} {wrong} to mend first: {next} goes to each", look.glyph("✗", "x"));
        if !prepared.suspects.is_empty() {
            let [mask, leave] =
                [Command::ComposeMask, Command::ComposeWithhold].map(|command| key(command, cx));
            text.push_str(&format!(", {mask} masks it, {leave} leaves the item out"));
        }
        (Role::Failed, text)
    }

    fn draw_sent(&self, area: Rect, buffer: &mut Buffer, cx: &Cx<'_>) {
        let Some(created) = &self.sent else { return };
        let look = cx.look;
        let request = &created.request;
        let tenant = request.tenant_name.as_deref().unwrap_or("-");
        let about = match request.run_id {
            Some(run) => {
                format!("run {run}, tenant {} ({})", SafeText::new(tenant), request.tenant_id)
            }
            None => format!("tenant {} ({})", SafeText::new(tenant), request.tenant_id),
        };
        let mut lines = vec![
            (Role::Text, String::new()),
            (Role::Success, format!("{} sent", look.glyph("✓", "+"))),
            (Role::Text, String::new()),
            (Role::Title, format!("  {}", request.reference)),
            (Role::Muted, "  copied (sent to terminal)".to_owned()),
            (Role::Text, String::new()),
            (Role::Text, format!("about     {about}")),
            (Role::Text, format!("severity  {}", request.severity)),
            (Role::Text, format!("attached  {}", request.attachment_mode.label())),
            (Role::Text, format!("stored    {}", look.full_time(request.created_at))),
        ];
        if !created.created {
            lines.push((Role::Text, String::new()));
            let text = "The first attempt had stored it and its answer was lost; this is that one \
                        request, no second one was made.";
            lines.extend(fitted(vec![(Role::Accent, text.to_owned())], area));
        }
        draw_said(lines, area, buffer, look);
    }
}
