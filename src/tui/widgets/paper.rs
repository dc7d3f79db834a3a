//! A document while it is written: texts that are wrapped, lines that lead somewhere, and sections
//! that fold.

use ratatui::text::Span;

use super::masked;
use crate::tui::command::Command;
use crate::tui::look::{Look, wrapped};
use crate::tui::screen::{Cx, Target};
use crate::tui::theme::Role;

#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    Fold(usize),
    Show(Target),
    Do(Command),
}

impl From<Target> for Act {
    fn from(target: Target) -> Self {
        Self::Show(target)
    }
}

impl From<Command> for Act {
    fn from(command: Command) -> Self {
        Self::Do(command)
    }
}

#[derive(Debug, Clone)]
pub struct PaperLine {
    pub spans: Vec<Span<'static>>,
    pub act: Option<Act>,
    pub section: Option<usize>,
    /// Lines of one text have the same number: a search looks at the whole of it.
    pub block: usize,
}

pub struct Paper<'a> {
    pub look: &'a Look,
    pub width: usize,
    lines: Vec<PaperLine>,
    section: Option<usize>,
    sections: usize,
    block: usize,
}

impl<'a> Paper<'a> {
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

    pub fn put(&mut self, spans: Vec<Span<'static>>) {
        self.block += 1;
        self.push(spans, None);
    }

    fn push(&mut self, spans: Vec<Span<'static>>, act: Option<Act>) {
        let (section, block) = (self.section, self.block);
        self.lines.push(PaperLine { spans, act, section, block });
    }

    pub fn gap(&mut self) {
        self.put(Vec::new());
    }

    /// A text, wrapped; masks in it are marked.
    pub fn text(&mut self, role: Role, indent: usize, text: &str) {
        self.labelled(role, indent, "", text);
    }

    pub fn labelled(&mut self, role: Role, indent: usize, name: &str, text: &str) {
        self.leading(role, indent, name, text, None);
    }

    pub fn leading(
        &mut self,
        role: Role,
        indent: usize,
        name: &str,
        text: &str,
        mut act: Option<Act>,
    ) {
        self.block += 1;
        let look = self.look;
        let name = look.cut(name, self.width / 2);
        let gap = usize::from(name.width() > 0);
        let head = name.width() + gap;
        let mut first = format!("{name}{:gap$}", "");
        // Clean, and in the characters that the terminal has, before it is cut into lines.
        let text = look.cut(text, usize::from(u16::MAX)).to_string();
        for piece in wrapped(&text, self.width.saturating_sub(indent + head)) {
            let mut spans = vec![Span::raw(" ".repeat(indent)), look.span(Role::Muted, first)];
            first = " ".repeat(head);
            spans.extend(masked::spans(look, role, &piece));
            self.push(spans, act.take());
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
        self.put(spans);
    }

    pub fn link(&mut self, act: impl Into<Act>, indent: usize, spans: Vec<Span<'static>>) {
        let marker = self.look.glyph("▹ ", "+ ");
        let mut line = vec![Span::raw(" ".repeat(indent)), self.look.span(Role::Accent, marker)];
        line.extend(spans);
        self.block += 1;
        self.push(line, Some(act.into()));
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
        self.block += 1;
        self.push(spans, Some(Act::Fold(number)));
        // The rest of a long note stands under it, folded or not.
        for rest in notes {
            self.text(Role::Muted, head, &rest);
        }
        self.section = Some(number);
    }

    pub fn end_section(&mut self) {
        self.section = None;
    }

    /// The number of the text that was written last.
    pub fn number(&self) -> usize {
        self.block
    }

    /// Sets a passage off wherever it stands in that text.
    pub fn set_off(&mut self, passage: &str, role: Role) {
        let style = self.look.style(role);
        for line in self.lines.iter_mut().filter(|line| line.block == self.block) {
            let mut spans = Vec::new();
            for span in &line.spans {
                for (at, piece) in span.content.split(passage).enumerate() {
                    if at > 0 {
                        spans.push(Span::styled(passage.to_owned(), style));
                    }
                    spans.push(Span::styled(piece.to_owned(), span.style));
                }
            }
            line.spans = spans;
        }
    }

    pub fn done(self) -> Vec<PaperLine> {
        self.lines
    }
}

impl PaperLine {
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.content.as_ref()).collect()
    }
}
