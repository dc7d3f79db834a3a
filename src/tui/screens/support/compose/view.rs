//! Draws a request that is being written: form and preview beside each other where there is room,
//! one after the other where there is not.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::form::Field;
use super::preview::counted;
use super::{Composition, Cx, File, Origin, Source, Step, WIDE};
use crate::ErrorKind;
use crate::domain::capability::Capability;
use crate::domain::safe_text::SafeText;
use crate::domain::support::{Prepared, Severity};
use crate::ops::support::DiagnosticsSubject;
use crate::tui::command::{Command, Context};
use crate::tui::look::wrapped;
use crate::tui::theme::Role;
use crate::tui::widgets::text_field::TextField;

/// Columns of a label with its marker.
const LABEL: u16 = 12;
/// The fewest rows of the form: six fields, two of them for the notes.
const FORM: u16 = 7;

/// Columns of the preview's text.
pub(super) fn preview_columns(area: Rect) -> u16 {
    let right = if area.width >= WIDE { area.width - left_columns(area) - 1 } else { area.width };
    right.saturating_sub(4)
}

/// Rows of the preview's text, about.
pub(super) fn preview_rows(area: Rect) -> u16 {
    area.height.saturating_sub(6)
}

fn left_columns(area: Rect) -> u16 {
    (area.width / 2 - 1).min(84)
}

struct Canvas<'a> {
    cx: &'a Cx<'a>,
    buffer: &'a mut Buffer,
}

impl Composition {
    /// Draws it; gives where the terminal's cursor belongs.
    pub fn draw(&self, buffer: &mut Buffer, cx: &Cx<'_>) -> Option<Position> {
        let area = cx.area;
        let mut canvas = Canvas { cx, buffer };
        self.draw_head(Rect { height: 1, ..area }, &mut canvas);
        let mut body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        if self.step == Step::Sent {
            self.draw_sent(body, &mut canvas);
            return None;
        }
        let mut status = self.status(cx);
        let room = usize::from(body.height.saturating_sub(FORM));
        if status.len() > room {
            status.truncate(room);
        }
        let rows = u16::try_from(status.len()).unwrap_or(0);
        body.height -= rows;
        for (y, (role, text)) in (body.bottom()..area.bottom()).zip(status) {
            canvas.line(Rect { y, height: 1, ..area }, vec![canvas.span(role, format!(" {text}"))]);
        }
        if area.width < WIDE {
            return match self.step {
                Step::Write => self.draw_form(body, &mut canvas),
                Step::Preview | Step::Sent => self.draw_preview(body, &mut canvas),
            };
        }
        let left = Rect { width: left_columns(area), ..body };
        let right = Rect { x: left.right() + 1, width: area.width - left.width - 1, ..body };
        let bar = cx.look.glyph("│", "|");
        for y in body.y..body.bottom() {
            let row = Rect { x: left.right(), y, width: 1, height: 1 };
            canvas.line(row, vec![canvas.span(Role::Border, bar)]);
        }
        let form = self.draw_form(left, &mut canvas);
        let preview = self.draw_preview(right, &mut canvas);
        if self.step == Step::Write { form } else { preview }
    }

    fn draw_head(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let look = canvas.cx.look;
        let bar = look.glyph(" ─ ", " - ");
        let mut steps = Vec::new();
        let all = [(Step::Write, "write"), (Step::Preview, "preview"), (Step::Sent, "sent")];
        for (at, (step, word)) in all.into_iter().enumerate() {
            if at > 0 {
                steps.push(look.span(Role::Muted, bar));
            }
            let here = step == self.step;
            let (role, text) = if here {
                (Role::Selected, format!("[{word}]"))
            } else {
                (Role::Muted, word.to_owned())
            };
            steps.push(look.span(role, text));
        }
        steps.push(Span::raw(" "));
        let steps = Line::from(steps);
        let room = usize::from(area.width).saturating_sub(steps.width() + 2);
        let title = look.cut(&format!(" Support request: {}", self.about()), room);
        canvas.line(area, vec![look.span(Role::Title, title.to_string())]);
        steps.right_aligned().render(area, canvas.buffer);
    }

    /// What it is about, in words.
    fn about(&self) -> String {
        if let Source::Open(evidence) = &self.source {
            let subject = evidence.subject();
            let tenant = format!("{} ({})", subject.tenant_name, subject.tenant_id);
            return match &subject.run {
                Some(run) => format!("run {} {}, {tenant}", run.id, run.run_type),
                None => format!("tenant {tenant}"),
            };
        }
        match self.key.subject {
            DiagnosticsSubject::Tenant(id) => format!("tenant {id}"),
            DiagnosticsSubject::Run { run_id, .. } => format!("run {run_id}"),
        }
    }

    /// What has to be known apart from the fields, most important first.
    fn status(&self, cx: &Cx<'_>) -> Vec<(Role, String)> {
        let look = cx.look;
        let cross = look.glyph("✗", "x");
        let mut said: Vec<(Role, String)> = Vec::new();
        let folder = self.folder.as_deref().filter(|_| !matches!(self.file, File::Failed(_)));
        let kept = match folder {
            Some(folder) => format!("draft kept in {folder}"),
            None => "the draft is kept as long as this console runs".to_owned(),
        };
        let key = |command| {
            let keys = cx.keymap.keys_for(Context::Preview, command);
            keys.into_iter().next().unwrap_or_else(|| format!(":{command}"))
        };
        if let Some(error) = &self.refusal {
            let lost = matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::TimedOut);
            let text = if lost {
                format!(
                    "{cross} no answer to the sending: {}. {} sends it again, as the same request: \
                     there will be one; {kept}",
                    error.message(),
                    key(Command::ComposeSend)
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
                    key(Command::PollNow)
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
        if let Origin::Restored { at, masks_lost } = &self.origin {
            let mut text = format!("draft of {} restored", look.short_time(*at));
            if *masks_lost {
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
        let columns = usize::from(cx.area.width.saturating_sub(2));
        let wrap = |(role, text): (Role, String)| {
            wrapped(&text, columns).into_iter().map(move |line| (role, line))
        };
        said.into_iter().flat_map(wrap).collect()
    }

    fn draw_form(&self, area: Rect, canvas: &mut Canvas<'_>) -> Option<Position> {
        let columns = usize::from(area.width.saturating_sub(LABEL + 1));
        let errors = |field: Field| -> Vec<String> {
            let problems = self.prepared.iter().filter(|_| self.judged);
            let problems = problems.flat_map(|prepared| &prepared.problems);
            let problems = problems.filter(|problem| Field::of(problem.field) == Some(field));
            let told: Vec<String> =
                problems.flat_map(|problem| wrapped(&problem.text, columns)).collect();
            // What does not fit is told at once, not only once it is looked at.
            let over = self.form.over(field).filter(|_| told.is_empty());
            over.map_or(told, |over| wrapped(&over, columns))
        };
        let spare = area.height.saturating_sub(FORM - 2);
        let rows = |fields: &[Field]| -> u16 {
            let rows: usize = fields.iter().map(|field| errors(*field).len()).sum();
            u16::try_from(rows).unwrap_or(u16::MAX)
        };
        // Where there is no room for all of it, what is wrong where one is comes first.
        let focus = [self.form.focus()];
        let told: &[Field] = if rows(Field::ALL) + 2 > spare { &focus } else { Field::ALL };
        let wrong = rows(told).min(spare.saturating_sub(1));
        let notes = spare.saturating_sub(wrong).max(1);
        let mut left = wrong;
        let mut y = area.y;
        let mut cursor = None;
        for field in Field::ALL {
            let height = if *field == Field::Notes { notes } else { 1 };
            let row = Rect { y, height, ..area }.intersection(area);
            if row.height == 0 {
                break;
            }
            let at = self.draw_field(*field, row, canvas, !errors(*field).is_empty());
            if self.form.focus() == *field && self.step == Step::Write {
                cursor = at;
            }
            y += height;
            for error in errors(*field).into_iter().filter(|_| told.contains(field)) {
                if left == 0 {
                    break;
                }
                left -= 1;
                let row = Rect { x: area.x + LABEL, y, width: area.width - LABEL, height: 1 };
                canvas.line(row.intersection(area), vec![canvas.span(Role::Failed, error)]);
                y += 1;
            }
        }
        cursor
    }

    fn draw_field(
        &self,
        field: Field,
        area: Rect,
        canvas: &mut Canvas<'_>,
        wrong: bool,
    ) -> Option<Position> {
        let look = canvas.cx.look;
        let here = self.form.focus() == field && self.step == Step::Write;
        let marker = if here { look.glyph("▸ ", "> ") } else { "  " };
        let role = if here { Role::Selected } else { Role::Muted };
        let label = Rect { width: LABEL.min(area.width), height: 1, ..area };
        canvas.line(label, vec![look.span(role, format!("{marker}{}", field.label()))]);
        let room = Rect { x: area.x + LABEL, width: area.width.saturating_sub(LABEL + 1), ..area };
        let text = |input: &TextField, canvas: &mut Canvas<'_>| {
            let role = if wrong { Role::InputError } else { Role::Input };
            Some(input.draw(room, canvas.buffer, look.style(role), None))
        };
        match field {
            Field::Severity => {
                let chosen = self.form.severity;
                let words = Severity::ALL.iter().map(|one| (one.as_str(), *one == chosen));
                canvas.choice(room, words.collect());
                Some(Position::new(room.x, room.y))
            }
            Field::Summary => text(&self.form.summary, canvas),
            Field::Notes => Some(self.form.notes.draw(room, canvas.buffer, look, wrong)),
            Field::ContactName => text(&self.form.contact_name, canvas),
            Field::ContactEmail => text(&self.form.contact_email, canvas),
            Field::Attach => {
                if self.attaches_nothing(canvas.cx) {
                    canvas.line(room, vec![look.span(Role::Muted, "ids and codes only")]);
                } else {
                    let on = self.form.attach;
                    canvas.choice(room, vec![("on", on), ("off", !on)]);
                    let rest =
                        Rect { x: room.x + 12, width: room.width.saturating_sub(12), ..room };
                    let note = look.cut(&self.attached(), usize::from(rest.width)).to_string();
                    canvas.line(rest, vec![look.span(Role::Hint, note)]);
                }
                Some(Position::new(room.x, room.y))
            }
        }
    }

    /// Whether the person may not open diagnostics.
    fn attaches_nothing(&self, cx: &Cx<'_>) -> bool {
        match &self.source {
            Source::Open(evidence) => evidence.bundle().is_none(),
            _ => !cx.held.has(Capability::SupportDiagnosticsView),
        }
    }

    /// What goes with it.
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

    fn draw_preview(&self, area: Rect, canvas: &mut Canvas<'_>) -> Option<Position> {
        let look = canvas.cx.look;
        let Some(prepared) = &self.prepared else {
            let text = match &self.source {
                Source::Opening => "What would be stored is shown as soon as it was opened.",
                _ => "What would be stored cannot be shown yet.",
            };
            for (y, line) in (area.y..area.bottom()).zip(wrapped(text, usize::from(area.width) - 2))
            {
                let row = Rect { x: area.x + 1, y, width: area.width - 1, height: 1 };
                canvas.line(row, vec![look.span(Role::Muted, line)]);
            }
            return None;
        };
        let columns = usize::from(area.width.saturating_sub(2));
        let mut foot: Vec<(Role, String)> = Vec::new();
        for line in wrapped(&prepared.manifest(), columns) {
            foot.push((Role::Accent, line));
        }
        let active = self.step == Step::Preview;
        if active && self.cursor.prompt.is_none() {
            let verdict = self.verdict(prepared, canvas);
            foot.extend(wrapped(&verdict.1, columns).into_iter().map(|line| (verdict.0, line)));
        }
        let prompt = self.cursor.prompt.as_ref().filter(|_| active);
        let feet = u16::try_from(foot.len() + usize::from(prompt.is_some())).unwrap_or(u16::MAX);
        let body = Rect { height: area.height.saturating_sub(feet), ..area };
        let lines = self.lines(look, preview_columns(canvas.cx.area));
        let rows = usize::from(body.height);
        let at = self.cursor.at.min(lines.len().saturating_sub(1));
        let top = if active { at.saturating_sub(rows / 2) } else { 0 };
        let top = top.min(lines.len().saturating_sub(rows));
        for (y, (index, line)) in
            (body.y..body.bottom()).zip(lines.into_iter().enumerate().skip(top))
        {
            let marked = active && index == at;
            let marker = if marked { look.glyph("▸ ", "> ") } else { "  " };
            let mut spans = vec![look.span(Role::Selected, marker)];
            spans.extend(line.spans);
            canvas.line(Rect { y, height: 1, ..body }, spans);
        }
        let mut y = body.bottom();
        for (role, text) in foot {
            let row = Rect { y, height: 1, ..area }.intersection(area);
            canvas.line(row, vec![look.span(role, format!(" {text}"))]);
            y += 1;
        }
        let prompt = prompt?;
        let row = Rect { y, height: 1, ..area }.intersection(area);
        canvas.line(row, vec![look.span(Role::Selected, " mask ")]);
        let room = Rect { x: row.x + 6, width: row.width.saturating_sub(7), ..row };
        Some(prompt.draw(room, canvas.buffer, look.style(Role::Input), None))
    }

    /// Whether it can be sent, and how.
    fn verdict(&self, prepared: &Prepared, canvas: &Canvas<'_>) -> (Role, String) {
        let look = canvas.cx.look;
        let key = |command| {
            let keys = canvas.cx.keymap.keys_for(Context::Preview, command);
            keys.into_iter().next().unwrap_or_else(|| format!(":{command}"))
        };
        if self.sending {
            return (Role::Running, "sending ...".to_owned());
        }
        if prepared.is_ready() {
            let text = format!("{} sends exactly this", key(Command::ComposeSend));
            return (Role::Success, format!("{} {text}", look.glyph("✓", "+")));
        }
        let wrong = counted(prepared.problems.len() + prepared.suspects.len(), "thing");
        let next = key(Command::MatchNext);
        let mask = if prepared.suspects.is_empty() {
            String::new()
        } else {
            format!(
                ", {} masks it, {} leaves the item out",
                key(Command::ComposeMask),
                key(Command::ComposeWithhold)
            )
        };
        let cross = look.glyph("✗", "x");
        (Role::Failed, format!("{cross} {wrong} to mend first: {next} goes to each{mask}"))
    }

    fn draw_sent(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let Some(created) = &self.sent else { return };
        let look = canvas.cx.look;
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
            let columns = usize::from(area.width.saturating_sub(2));
            lines.extend(wrapped(text, columns).into_iter().map(|line| (Role::Accent, line)));
        }
        for (y, (role, text)) in (area.y..area.bottom()).zip(lines) {
            canvas.line(Rect { y, height: 1, ..area }, vec![look.span(role, format!(" {text}"))]);
        }
    }
}

impl Canvas<'_> {
    fn span(&self, role: Role, text: impl Into<String>) -> Span<'static> {
        self.cx.look.span(role, text)
    }

    fn line(&mut self, area: Rect, spans: Vec<Span<'static>>) {
        Line::from(spans).render(area, self.buffer);
    }

    /// A few words of which one is chosen.
    fn choice(&mut self, area: Rect, words: Vec<(&'static str, bool)>) {
        let mut spans = Vec::new();
        for (word, chosen) in words {
            if !spans.is_empty() {
                spans.push(Span::raw(" "));
            }
            spans.push(if chosen {
                self.span(Role::Selected, format!("[{word}]"))
            } else {
                self.span(Role::Text, format!(" {word} "))
            });
        }
        self.line(area, spans);
    }
}
