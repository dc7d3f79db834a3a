//! A screen that is a document: sections fold, lines lead somewhere, and a search finds what is
//! folded away too.

use std::collections::BTreeSet;
use std::fmt::Debug;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::cursor::Cursor;
use super::document::Document;
use super::paper::{Act, Paper, PaperLine};
use super::search::{Search, Searched, mark_hits, search_hints};
use super::{more_below, say};
use crate::ops::AnyOutput;
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Answer, Sub};
use crate::tui::screen::{Cx, Hint, Reply, Screen, State, Subject, Target, Way};
use crate::tui::slot::Slot;
use crate::tui::tabs::Tab;
use crate::tui::theme::Role;

#[derive(Debug)]
pub struct Page<D> {
    pub(in crate::tui) of: D,
    open: BTreeSet<usize>,
    search: Search,
    /// Counted among the lines that are not folded away.
    cursor: Cursor,
    /// The line that the cursor was on when the search began, counted among all.
    before: usize,
}

impl<D: Document> Page<D> {
    pub fn of(of: D) -> Self {
        let open = D::OPEN.iter().copied().collect();
        Self { of, open, search: Search::default(), cursor: Cursor::default(), before: 0 }
    }

    /// Reads it from its top, with nothing searched.
    pub(in crate::tui) fn restart(&mut self) {
        (self.search, self.cursor) = (Search::default(), Cursor::default());
    }

    pub(in crate::tui) fn is_searched(&self) -> bool {
        !self.search.text().is_empty()
    }

    /// The number of the text under the cursor.
    pub(in crate::tui) fn number_here(&self, cx: &Cx<'_>) -> Option<usize> {
        let lines = self.lines(cx)?;
        self.shown(&lines).get(self.cursor.at).map(|(_, line)| line.block)
    }

    /// Goes to a text by its number, unfolding its section.
    pub(in crate::tui) fn go_to_number(&mut self, number: usize, cx: &Cx<'_>) {
        let lines = self.lines(cx).unwrap_or_default();
        if let Some(at) = lines.iter().position(|line| line.block == number) {
            self.unfold_for(at, &lines, cx);
        }
    }

    /// The row of the screen that the cursor is in.
    pub(in crate::tui) fn row(&self) -> usize {
        self.cursor.at - self.cursor.top
    }

    fn lines(&self, cx: &Cx<'_>) -> Option<Vec<PaperLine>> {
        let mut paper = Paper::new(cx);
        self.of.write(&mut paper, cx)?;
        Some(paper.done())
    }

    fn shown<'l>(&self, lines: &'l [PaperLine]) -> Vec<(usize, &'l PaperLine)> {
        let seen =
            |line: &PaperLine| line.section.is_none_or(|section| self.open.contains(&section));
        lines.iter().enumerate().filter(|(_, line)| seen(line)).collect()
    }

    /// The line under the cursor, counted among all.
    fn index(&self, lines: &[PaperLine]) -> usize {
        self.shown(lines).get(self.cursor.at).map_or(0, |(index, _)| *index)
    }

    fn height(&self, cx: &Cx<'_>) -> usize {
        let taken = u16::from(self.has_search_line());
        usize::from(cx.area.height.saturating_sub(taken)).max(1)
    }

    fn has_search_line(&self) -> bool {
        self.search.is_typing() || self.is_searched()
    }

    /// Indexes of the lines at which a search hits, one for each text that it hits.
    fn hits(&self, lines: &[PaperLine]) -> Vec<usize> {
        let wanted = self.search.text().to_lowercase();
        if wanted.is_empty() {
            return Vec::new();
        }
        let (mut hits, mut start) = (Vec::new(), 0);
        for block in lines.chunk_by(|a, b| a.block == b.block) {
            let texts: Vec<String> = block.iter().map(|line| line.text().to_lowercase()).collect();
            let own = texts.iter().position(|text| text.contains(&wanted));
            let whole = || {
                let texts: Vec<&str> = texts.iter().map(|text| text.trim()).collect();
                texts.join(" ").contains(&wanted).then_some(0)
            };
            hits.extend(own.or_else(whole).map(|at| start + at));
            start += block.len();
        }
        hits
    }

    /// What enter or the key that folds does on the line under the cursor.
    fn act(&mut self, command: Command, lines: &[PaperLine], cx: &Cx<'_>) -> Reply {
        let shown = self.shown(lines);
        let opens = command == Command::RowOpen;
        match shown.get(self.cursor.at).map(|(_, line)| (line.act.clone(), line.section)) {
            Some((Some(Act::Fold(section)), _)) => self.toggle(section),
            Some((Some(Act::Show(target)), _)) if opens => return Reply::show(target),
            Some((Some(Act::Do(command)), _)) if opens => return self.command(command, cx),
            // Within a section, its heading is meant.
            Some((_, Some(section))) if !opens => {
                self.toggle(section);
                let heading = |line: &PaperLine| line.act == Some(Act::Fold(section));
                self.go_to(lines.iter().position(heading), lines, cx);
            }
            // On text, what can be opened next is meant.
            Some(_) => {
                let mut next = shown.iter().skip(self.cursor.at + 1);
                let found = next.find(|(_, line)| line.act.is_some());
                self.go_to(found.map(|(at, _)| *at), lines, cx);
            }
            None => {}
        }
        self.keep(lines, cx);
        Reply::default()
    }

    fn fold_all(&mut self, lines: &[PaperLine], cx: &Cx<'_>) {
        let all: BTreeSet<usize> = lines.iter().filter_map(|line| line.section).collect();
        let at = self.shown(lines).get(self.cursor.at).map(|(index, _)| *index);
        self.open = if all.is_subset(&self.open) { BTreeSet::new() } else { all };
        self.go_to(at, lines, cx);
    }

    fn toggle(&mut self, section: usize) {
        if !self.open.remove(&section) {
            self.open.insert(section);
        }
    }

    /// Puts the cursor on a line, or on the heading that it is folded away under.
    fn go_to(&mut self, at: Option<usize>, lines: &[PaperLine], cx: &Cx<'_>) {
        let Some(at) = at else { return };
        let shown = self.shown(lines);
        let to = shown.iter().rposition(|(index, _)| *index <= at).unwrap_or(0);
        self.cursor.go(to, shown.len(), self.height(cx));
    }

    /// Goes to the next hit of the search, unfolding its section; without a search, to the
    /// next line on which enter does something.
    fn jump(&mut self, lines: &[PaperLine], forward: bool, cx: &Cx<'_>) -> Reply {
        let shown = self.shown(lines);
        let here = shown.get(self.cursor.at).map(|(index, _)| *index);
        let searches = self.is_searched();
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
        match found {
            Some(found) => self.unfold_for(*found, lines, cx),
            None if searches => {
                return Reply::default().say("nothing here holds what is searched", cx);
            }
            None => {}
        }
        Reply::default()
    }

    fn unfold_for(&mut self, at: usize, lines: &[PaperLine], cx: &Cx<'_>) {
        self.open.extend(lines.get(at).and_then(|line| line.section));
        self.go_to(Some(at), lines, cx);
    }

    fn keep(&mut self, lines: &[PaperLine], cx: &Cx<'_>) {
        self.cursor.go(self.cursor.at, self.shown(lines).len(), self.height(cx));
    }

    fn draw(&self, lines: &[PaperLine], buffer: &mut Buffer, cx: &Cx<'_>) -> Option<Position> {
        let (look, area) = (cx.look, cx.area);
        let shown = self.shown(lines);
        let height = self.height(cx);
        let wanted = self.search.text().to_lowercase();
        let body = Rect { height: u16::try_from(height).unwrap_or(0).min(area.height), ..area };
        let rows = shown.iter().enumerate().skip(self.cursor.top);
        for (y, (at, (_, line))) in (body.y..body.bottom()).zip(rows) {
            let here = at == self.cursor.at;
            let mut spans = vec![look.marker(here)];
            if let Some(Act::Fold(section)) = &line.act {
                let open = self.open.contains(section);
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
        more_below(shown.len().saturating_sub(self.cursor.top + height), body, buffer, look);
        if !self.has_search_line() || body.bottom() >= area.bottom() {
            return None;
        }
        let row = Rect { y: body.bottom(), height: 1, ..area };
        let hits = self.hits(lines);
        let here = self.index(lines);
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
        Line::from(look.span(role, text)).render(Rect { x: left.right(), width, ..row }, buffer);
        cursor
    }
}

impl<D: Document> Searched for Page<D> {
    fn search(&mut self) -> &mut Search {
        &mut self.search
    }

    fn begin_search(&mut self, cx: &Cx<'_>) {
        self.before = self.index(&self.lines(cx).unwrap_or_default());
    }

    /// The first hit from here on is shown; where there is none, the line that it began at.
    fn searched(&mut self, cx: &Cx<'_>) -> Reply {
        let lines = self.lines(cx).unwrap_or_default();
        let here = self.index(&lines);
        let hits = self.hits(&lines);
        if let Some(hit) = hits.iter().find(|hit| **hit >= here).or(hits.first()) {
            self.unfold_for(*hit, &lines, cx);
        } else if self.is_searched() {
            self.go_to(Some(self.before), &lines, cx);
        }
        self.keep(&lines, cx);
        Reply::default()
    }
}

impl<D: Document> Screen for Page<D> {
    fn context(&self, _: &Cx<'_>) -> Context {
        if self.is_typing() { Context::Search } else { D::CONTEXT }
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        self.of.subscriptions(cx)
    }

    fn refresh(&mut self, cx: &Cx<'_>) -> Reply {
        self.of.refresh(cx)
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        self.of.answer(answer, cx).then(Reply::default)
    }

    fn outcome(&mut self, slot: Slot, answer: &Answer, cx: &Cx<'_>) -> Reply {
        self.of.outcome(slot, answer, cx);
        Reply::default()
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let of_search = self.search_command(command, cx);
        if let Some(reply) = of_search.or_else(|| self.of.command(command, cx)) {
            return reply;
        }
        let lines = self.lines(cx).unwrap_or_default();
        let height = self.height(cx);
        match command {
            Command::MatchNext => return self.jump(&lines, true, cx),
            Command::MatchPrevious => return self.jump(&lines, false, cx),
            Command::RowOpen | Command::FoldToggle => return self.act(command, &lines, cx),
            Command::FoldAll => self.fold_all(&lines, cx),
            _ => match self.cursor.led(command, height) {
                Some(to) => self.cursor.go(to, self.shown(&lines).len(), height),
                None => return Reply::up(command),
            },
        }
        Reply::default()
    }

    fn key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        self.search_key(event, cx)
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        self.search_paste(text, cx)
    }

    /// Puts the cursor where a click hit; what enter does there if it was there before.
    fn click(&mut self, _: u16, row: u16, cx: &Cx<'_>) -> Reply {
        let lines = self.lines(cx).unwrap_or_default();
        let at = self.cursor.top + usize::from(row);
        if usize::from(row) >= self.height(cx) || at >= self.shown(&lines).len() {
            return Reply::default();
        }
        if self.cursor.at == at {
            return self.act(Command::RowOpen, &lines, cx);
        }
        self.cursor.at = at;
        Reply::default()
    }

    fn is_typing(&self) -> bool {
        self.search.is_typing()
    }

    fn settle(&mut self, cx: &Cx<'_>) {
        if let Some(lines) = self.lines(cx) {
            self.keep(&lines, cx);
        }
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        if let Some(lines) = self.lines(cx) {
            return self.draw(&lines, buffer, cx);
        }
        let (role, text) = match self.of.state().error {
            Some(error) => (Role::Failed, self.of.failed(error, cx)),
            None => (Role::Muted, self.of.reading()),
        };
        let area = Rect { y: cx.area.y + 1, height: cx.area.height.saturating_sub(1), ..cx.area };
        say(role, &text, area, buffer, cx.look);
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        if self.is_typing() { search_hints() } else { self.of.hints() }
    }

    fn caption(&self) -> Option<String> {
        self.of.caption()
    }

    fn state(&self, _: &Cx<'_>) -> Option<State<'_>> {
        Some(self.of.state())
    }

    fn subject(&self, _: &Cx<'_>) -> Subject<'_> {
        self.of.subject()
    }

    fn copies(&self, _: &Cx<'_>) -> Option<String> {
        self.of.copies()
    }

    fn place(&self) -> Option<(Target, Tab)> {
        self.of.place()
    }

    /// Another document than before is read from its top, folded.
    fn show(&mut self, target: &Target, way: Way, cx: &Cx<'_>) -> Option<Reply> {
        let before = self.of.copies();
        let reply = self.of.show(target, way, cx)?;
        if self.of.copies() != before {
            self.open = D::OPEN.iter().copied().collect();
            self.restart();
        }
        Some(reply)
    }

    fn reads(&self, cx: &Cx<'_>) -> Option<Slot> {
        self.of.reads(cx)
    }
}
