//! A document of a page: sections that fold, lines that lead somewhere, and a search that finds
//! what is folded away too.

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::masked;
use super::search::Search;
use crate::domain::support::Reference;
use crate::tui::command::Command;
use crate::tui::look::{Look, wrapped};
use crate::tui::screen::Cx;
use crate::tui::theme::Role;

/// What enter does on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Opens or closes the section of this number.
    Fold(usize),
    /// Opens a run.
    Run(i64),
    /// Opens a request.
    Request(Reference),
    /// Shows a tenant.
    Tenant(i64),
}

/// One line of a document.
#[derive(Debug, Clone)]
pub struct PaperLine {
    spans: Vec<Span<'static>>,
    act: Option<Act>,
    /// The section that it is folded away with.
    section: Option<usize>,
    /// Lines of one text have the same number: a search looks at the whole of it.
    block: usize,
}

/// A document while it is written, with everything unfolded.
pub struct Paper<'a> {
    look: &'a Look,
    /// Columns of a line.
    pub width: usize,
    lines: Vec<PaperLine>,
    section: Option<usize>,
    sections: usize,
    block: usize,
}

impl<'a> Paper<'a> {
    /// An empty document in the columns that a screen leaves it.
    pub fn new(cx: &Cx<'a>) -> Self {
        Self {
            look: cx.look,
            width: usize::from(cx.area.width.saturating_sub(3)),
            lines: Vec::new(),
            section: None,
            sections: 0,
            block: 0,
        }
    }

    /// A line as it is.
    pub fn put(&mut self, spans: Vec<Span<'static>>, act: Option<Act>) {
        self.block += 1;
        self.lines.push(PaperLine { spans, act, section: self.section, block: self.block });
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.put(Vec::new(), None);
    }

    /// A text, wrapped; masks in it are marked.
    pub fn text(&mut self, role: Role, indent: usize, text: &str) {
        self.labelled(role, indent, "", text, None);
    }

    /// A name and a text that is wrapped beside it; enter does `act` on its first line.
    pub fn labelled(
        &mut self,
        role: Role,
        indent: usize,
        name: &str,
        text: &str,
        act: Option<Act>,
    ) {
        self.block += 1;
        let look = self.look;
        let name = look.cut(name, self.width / 2);
        let gap = usize::from(name.width() > 0);
        let head = indent + name.width() + gap;
        // Clean, and in the characters that the terminal has, before it is cut into lines.
        let text = look.cut(text, usize::from(u16::MAX)).to_string();
        let pieces = wrapped(&text, self.width.saturating_sub(head));
        for (index, piece) in pieces.into_iter().enumerate() {
            let first = if index == 0 { name.as_str() } else { "" };
            let blank = " ".repeat(name.width() - if index == 0 { name.width() } else { 0 } + gap);
            let mut spans = vec![
                Span::raw(" ".repeat(indent)),
                look.span(Role::Muted, format!("{first}{blank}")),
            ];
            spans.extend(masked::spans(look, role, &piece));
            let act = act.filter(|_| index == 0);
            let (section, block) = (self.section, self.block);
            self.lines.push(PaperLine { spans, act, section, block });
        }
    }

    /// A name and figures beside it, whose blanks are kept; cut where there is no room.
    pub fn columns(&mut self, role: Role, indent: usize, name: &str, figures: &str) {
        let room = self.width.saturating_sub(indent);
        let name = self.look.cut(name, room).to_string();
        let figures = self.look.cut(figures, room.saturating_sub(name.chars().count() + 1));
        let spans = vec![
            Span::raw(" ".repeat(indent)),
            self.look.span(Role::Muted, format!("{name} ")),
            self.look.span(role, figures.to_string()),
        ];
        self.put(spans, None);
    }

    /// A line on which enter leads somewhere.
    pub fn link(&mut self, act: Act, indent: usize, spans: Vec<Span<'static>>) {
        let marker = self.look.glyph("▹ ", "+ ");
        let mut line = vec![Span::raw(" ".repeat(indent)), self.look.span(Role::Accent, marker)];
        line.extend(spans);
        self.put(line, Some(act));
    }

    /// The heading of a section; what is written until it ends is folded away with it.
    pub fn section(&mut self, title: &str, note: &str) {
        self.section = None;
        let number = self.sections;
        self.sections += 1;
        // Where the marker goes; it depends on whether the section is open.
        let head = title.chars().count() + 4;
        let mut notes = wrapped(note, self.width.saturating_sub(head)).into_iter();
        let spans = vec![
            self.look.span(Role::Accent, title.to_owned()),
            self.look.span(Role::Muted, format!("  {}", notes.next().unwrap_or_default())),
        ];
        self.put(spans, Some(Act::Fold(number)));
        // The rest of a long note stands under it, folded or not.
        for rest in notes {
            self.text(Role::Muted, head, &rest);
        }
        self.section = Some(number);
    }

    /// Ends a section.
    pub fn end_section(&mut self) {
        self.section = None;
    }

    /// The lines.
    pub fn done(self) -> Vec<PaperLine> {
        self.lines
    }
}

impl PaperLine {
    fn text(&self) -> String {
        self.spans.iter().map(|span| span.content.as_ref()).collect()
    }
}

/// Where a person is in a document.
#[derive(Debug, Default)]
pub struct Reader {
    open: BTreeSet<usize>,
    /// The search, and the field that it is typed into.
    pub search: Search,
    /// Index of the line under the cursor, among those that are not folded away.
    cursor: usize,
    /// Index of the first line on the screen.
    top: usize,
}

/// What a command of a reader leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Nothing outside of the document.
    Stay,
    /// What enter does on a line.
    Act(Act),
    /// Nothing was found.
    NotFound,
    /// The command means something else.
    Unknown(Command),
}

impl Reader {
    /// A reader with these sections unfolded.
    pub fn opened(sections: impl IntoIterator<Item = usize>) -> Self {
        Self { open: sections.into_iter().collect(), ..Self::default() }
    }

    fn shown<'l>(&self, lines: &'l [PaperLine]) -> Vec<(usize, &'l PaperLine)> {
        let seen =
            |line: &PaperLine| line.section.is_none_or(|section| self.open.contains(&section));
        lines.iter().enumerate().filter(|(_, line)| seen(line)).collect()
    }

    /// The lines of a screen that the document has.
    fn height(&self, cx: &Cx<'_>) -> usize {
        let taken = u16::from(self.has_search_line());
        usize::from(cx.area.height.saturating_sub(taken)).max(1)
    }

    fn has_search_line(&self) -> bool {
        self.search.is_typing() || !self.search.text().is_empty()
    }

    /// Indexes of the lines at which a search hits, one for each text that it hits.
    fn hits(&self, lines: &[PaperLine]) -> Vec<usize> {
        let wanted = self.search.text().to_lowercase();
        if wanted.is_empty() {
            return Vec::new();
        }
        let mut hits = Vec::new();
        for block in lines.chunk_by(|a, b| a.block == b.block) {
            let start = hits_start(block, lines);
            let own = block.iter().position(|line| line.text().to_lowercase().contains(&wanted));
            let whole = || {
                let texts: Vec<String> =
                    block.iter().map(|line| line.text().trim().to_lowercase()).collect();
                texts.join(" ").contains(&wanted).then_some(0)
            };
            hits.extend(own.or_else(whole).map(|at| start + at));
        }
        hits
    }

    /// Does a command in a document of these lines.
    pub fn command(&mut self, command: Command, lines: &[PaperLine], cx: &Cx<'_>) -> Read {
        let shown = self.shown(lines);
        let page = self.height(cx).saturating_sub(1).max(1);
        let to = match command {
            Command::CursorUp => self.cursor.saturating_sub(1),
            Command::CursorDown => self.cursor + 1,
            Command::CursorPageUp => self.cursor.saturating_sub(page),
            Command::CursorPageDown => self.cursor + page,
            Command::CursorFirst => 0,
            Command::CursorLast => shown.len(),
            Command::MatchNext | Command::MatchPrevious => {
                return self.jump(lines, command == Command::MatchNext, cx);
            }
            Command::RowOpen | Command::FoldToggle => {
                match shown.get(self.cursor).map(|(_, line)| (line.act, line.section)) {
                    Some((Some(Act::Fold(section)), _)) => self.toggle(section),
                    Some((Some(act), _)) if command == Command::RowOpen => return Read::Act(act),
                    // Within a section, its heading is meant.
                    Some((_, Some(section))) if command == Command::FoldToggle => {
                        self.toggle(section);
                        let heading =
                            |(_, line): &(usize, &PaperLine)| line.act == Some(Act::Fold(section));
                        self.cursor = self.shown(lines).iter().position(heading).unwrap_or(0);
                    }
                    // On text, what can be opened next is meant.
                    Some(_) => {
                        let next = shown.iter().skip(self.cursor + 1);
                        let found = next.enumerate().find(|(_, (_, line))| line.act.is_some());
                        self.cursor += found.map_or(0, |(by, _)| by + 1);
                    }
                    None => {}
                }
                self.settle(lines, cx);
                return Read::Stay;
            }
            Command::FoldAll => {
                let all: BTreeSet<usize> = lines.iter().filter_map(|line| line.section).collect();
                let at = shown.get(self.cursor).map(|(index, _)| *index);
                self.open = if all.is_subset(&self.open) { BTreeSet::new() } else { all };
                self.go_to(at, lines);
                self.settle(lines, cx);
                return Read::Stay;
            }
            _ => return Read::Unknown(command),
        };
        self.cursor = to;
        self.settle(lines, cx);
        Read::Stay
    }

    fn toggle(&mut self, section: usize) {
        if !self.open.remove(&section) {
            self.open.insert(section);
        }
    }

    /// Puts the cursor on a line, or on the heading that it is folded away under.
    fn go_to(&mut self, at: Option<usize>, lines: &[PaperLine]) {
        let Some(at) = at else { return };
        let shown = self.shown(lines);
        self.cursor = shown.iter().rposition(|(index, _)| *index <= at).unwrap_or(0);
    }

    /// Goes to the next hit of the search, unfolding what it stands in; without a search, to the
    /// next line on which enter does something.
    fn jump(&mut self, lines: &[PaperLine], forward: bool, cx: &Cx<'_>) -> Read {
        let shown = self.shown(lines);
        let here = shown.get(self.cursor).map(|(index, _)| *index);
        let searches = !self.search.text().is_empty();
        let places: Vec<usize> = if searches {
            self.hits(lines)
        } else {
            shown.iter().filter(|(_, line)| line.act.is_some()).map(|(index, _)| *index).collect()
        };
        let after = |at: &&usize| here.is_none_or(|here| **at > here);
        let before = |at: &&usize| here.is_some_and(|here| **at < here);
        // Round and round.
        let found = if forward {
            places.iter().find(after).or(places.first().filter(|_| searches))
        } else {
            places.iter().rev().find(before).or(places.last().filter(|_| searches))
        };
        let Some(found) = found.copied() else {
            return if searches { Read::NotFound } else { Read::Stay };
        };
        self.unfold_for(found, lines, cx);
        Read::Stay
    }

    fn unfold_for(&mut self, at: usize, lines: &[PaperLine], cx: &Cx<'_>) {
        if let Some(section) = lines.get(at).and_then(|line| line.section) {
            self.open.insert(section);
        }
        self.go_to(Some(at), lines);
        self.settle(lines, cx);
    }

    /// What was typed has changed: the first hit from here on is shown.
    pub fn searched(&mut self, lines: &[PaperLine], cx: &Cx<'_>) {
        let here = self.shown(lines).get(self.cursor).map_or(0, |(index, _)| *index);
        let hits = self.hits(lines);
        if let Some(hit) = hits.iter().find(|hit| **hit >= here).or(hits.first()).copied() {
            self.unfold_for(hit, lines, cx);
        }
        self.settle(lines, cx);
    }

    /// Puts the cursor where a click hit; what enter does there if it was there before.
    pub fn click(&mut self, row: u16, lines: &[PaperLine], cx: &Cx<'_>) -> Read {
        let index = self.top + usize::from(row);
        if usize::from(row) >= self.height(cx) || index >= self.shown(lines).len() {
            return Read::Stay;
        }
        if self.cursor == index {
            return self.command(Command::RowOpen, lines, cx);
        }
        self.cursor = index;
        Read::Stay
    }

    /// Keeps the cursor within the document and on the screen.
    pub fn settle(&mut self, lines: &[PaperLine], cx: &Cx<'_>) {
        let (count, height) = (self.shown(lines).len(), self.height(cx));
        self.cursor = self.cursor.min(count.saturating_sub(1));
        if self.cursor < self.top {
            self.top = self.cursor;
        } else if self.cursor >= self.top + height {
            self.top = self.cursor + 1 - height;
        }
        self.top = self.top.min(count.saturating_sub(height));
    }

    /// Draws the document; gives where the terminal's cursor belongs while a search is typed.
    pub fn draw(&self, lines: &[PaperLine], buffer: &mut Buffer, cx: &Cx<'_>) -> Option<Position> {
        let (look, area) = (cx.look, cx.area);
        let shown = self.shown(lines);
        let height = self.height(cx);
        let wanted = self.search.text().to_lowercase();
        for (row, (_, line)) in shown.iter().skip(self.top).take(height).enumerate() {
            let y = area.y + u16::try_from(row).unwrap_or(0);
            let here = self.top + row == self.cursor;
            let marker = if here { look.glyph("▸ ", "> ") } else { "  " };
            let mut spans = vec![look.span(if here { Role::Selected } else { Role::Text }, marker)];
            if let Some(Act::Fold(section)) = line.act {
                let open = self.open.contains(&section);
                let mark = if open { look.glyph("▾ ", "v ") } else { look.glyph("▹ ", "+ ") };
                spans.push(look.span(Role::Accent, mark));
            }
            let grey = look.style(Role::Muted);
            for span in &line.spans {
                let style = if cx.lost { grey } else { span.style };
                mark_hits(span, &wanted, style, look.style(Role::Match), &mut spans);
            }
            Line::from(spans).render(Rect { y, height: 1, ..area }, buffer);
        }
        let below = shown.len().saturating_sub(self.top + height);
        let bottom = area.y + u16::try_from(height).unwrap_or(0).min(area.height);
        if below > 0 && bottom > area.y {
            let text = format!(" {} {below} more", look.glyph("↓", "v"));
            let width = u16::try_from(text.chars().count()).unwrap_or(0).min(area.width);
            let at = Rect { x: area.right() - width, y: bottom - 1, width, height: 1 };
            Clear.render(at, buffer);
            buffer.set_style(at, look.style(Role::Text));
            Line::from(look.span(Role::Hint, text)).render(at, buffer);
        }
        if !self.has_search_line() || bottom >= area.bottom() {
            return None;
        }
        let row = Rect { y: bottom, height: 1, ..area };
        let hits = self.hits(lines);
        let here = shown.get(self.cursor).map_or(0, |(index, _)| *index);
        let text = match (wanted.is_empty(), hits.len()) {
            (true, _) => String::new(),
            (_, 0) => "not found ".to_owned(),
            (_, count) => match hits.iter().position(|hit| *hit == here) {
                Some(at) => format!("{} of {count} ", at + 1),
                None => format!("{count} found "),
            },
        };
        let width = u16::try_from(text.chars().count()).unwrap_or(0).min(area.width / 2);
        let left = Rect { width: area.width - width, ..row };
        let cursor = self.search.draw(left, buffer, look);
        let role = if hits.is_empty() { Role::Failed } else { Role::Muted };
        let right = Rect { x: left.right(), width, ..row };
        Line::from(look.span(role, text)).render(right, buffer);
        cursor
    }
}

/// The index of the first line of a block among all lines.
fn hits_start(block: &[PaperLine], lines: &[PaperLine]) -> usize {
    let first = block.first().map(|line| line.block);
    lines.partition_point(|line| Some(line.block) < first)
}

/// The pieces of a span, with what a search has found in it marked.
fn mark_hits(
    span: &Span<'static>,
    wanted: &str,
    style: Style,
    found: Style,
    into: &mut Vec<Span<'static>>,
) {
    let text = span.content.as_ref();
    let lower = text.to_lowercase();
    // Where small letters take other bytes than great ones, places cannot be told.
    if wanted.is_empty() || lower.len() != text.len() {
        return into.push(Span::styled(text.to_owned(), style));
    }
    let mut done = 0;
    for (at, hit) in lower.match_indices(wanted) {
        let (Some(before), Some(piece)) = (text.get(done..at), text.get(at..at + hit.len())) else {
            continue;
        };
        into.push(Span::styled(before.to_owned(), style));
        into.push(Span::styled(piece.to_owned(), style.patch(found)));
        done = at + hit.len();
    }
    into.push(Span::styled(text.get(done..).unwrap_or_default().to_owned(), style));
}
