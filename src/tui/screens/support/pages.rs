//! What the pages of support are made of: a list whose rows lead somewhere, or a document. Both are
//! searched.

use std::fmt::Debug;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::list::List;
use super::reader::{Act, PaperLine, Read, Reader};
use super::search::Search;
use crate::ErrorKind;
use crate::Result;
use crate::ops::support::DiagnosticsSubject;
use crate::ops::{AnyOperation, AnyOutput};
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, wrapped};
use crate::tui::msg::{Answer, Follows, Request, Slot, Sub};
use crate::tui::screen::{Cx, Hint, NO_FIELD, Reply, Screen, State, Subject, Target};
use crate::tui::theme::Role;
use crate::tui::widgets::form::Pasted;

/// Rows: all of them, whether there are more, and how many match where that is known.
pub type Rows<R> = (Vec<R>, bool, Option<i64>);

/// What is listed.
pub trait Listed: Debug + Send {
    /// A row of it.
    type Row: Debug + Send;
    /// Where its keys are looked up.
    const CONTEXT: Context;
    /// The slot of its rows.
    const SLOT: Slot;
    /// How many poll intervals pass between two reads.
    const POLL_FACTOR: u32 = 1;
    /// Whether rows that may no longer be seen are not shown beside the refusal.
    const HIDES: bool = false;
    /// The word for its rows.
    const NOUN: &'static str;

    /// What is asked for the rows of a search.
    fn ask(&self, search: String, limit: i64) -> AnyOperation;
    /// The rows that an answer holds; none where it is one to something else.
    fn take(&self, answer: &AnyOutput, search: &str) -> Option<Result<Rows<Self::Row>>>;
    /// What sets a row apart from the others.
    fn key(row: &Self::Row) -> i64;
    /// Where a row leads.
    fn open(&self, row: &Self::Row) -> Target;
    /// What a row is about, and its tenant.
    fn about(&self, row: &Self::Row) -> (DiagnosticsSubject, i64);
    /// What is copied of a row.
    fn copies(&self, row: &Self::Row) -> String;
    /// The title of the list.
    fn title(&self) -> String;
    /// The column heads for so many columns.
    fn head(width: usize, look: &Look) -> String;
    /// A row in so many columns, without its marker.
    fn row(row: &Self::Row, width: usize, selected: bool, look: &Look) -> Vec<Span<'static>>;
    /// A row in full, in so many columns.
    fn preview(row: &Self::Row, width: usize, cx: &Cx<'_>) -> Vec<Line<'static>>;
    /// Why there is nothing, and what to do.
    fn empty(&self, cx: &Cx<'_>) -> String;
    /// What the footer offers.
    fn hints(&self) -> Vec<Hint>;
}

/// A page that is a list.
#[derive(Debug)]
pub struct ListPage<L: Listed> {
    of: L,
    list: List<L>,
}

impl<L: Listed> ListPage<L> {
    /// A page that lists this.
    pub fn of(of: L) -> Self {
        Self { of, list: List::default() }
    }
}

/// A page that is searched.
trait Searched: Screen {
    /// Its search.
    fn search(&mut self) -> &mut Search;
    /// Its search is another one now.
    fn searched(&mut self, cx: &Cx<'_>) -> Reply;

    fn change(&mut self, cx: &Cx<'_>, change: impl FnOnce(&mut Search)) -> Reply {
        let before = self.search().text().to_owned();
        change(self.search());
        if self.search().text() == before { Reply::default() } else { self.searched(cx) }
    }

    /// Does a command of the search; none where it is another one.
    fn search_command(&mut self, command: Command, cx: &Cx<'_>) -> Option<Reply> {
        let typing = self.is_typing();
        match command {
            Command::AppBack if typing => return Some(self.change(cx, Search::cancel)),
            Command::FilterClear => return Some(self.change(cx, Search::clear)),
            Command::FilterAccept if typing => self.search().accept(),
            Command::FilterEdit => self.search().open(),
            _ => return None,
        }
        self.settle(cx);
        Some(Reply::default())
    }

    fn search_key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        if !self.is_typing() {
            return Reply::default();
        }
        self.change(cx, |search| search.key(event))
    }

    fn search_paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        if !self.is_typing() {
            return Reply::default().say(NO_FIELD, cx);
        }
        let mut whole = true;
        let reply = self.change(cx, |search| whole = search.paste(text));
        reply.pasted(if whole { Pasted::Whole } else { Pasted::Cut }, NO_FIELD, cx)
    }
}

impl<L: Listed> Searched for ListPage<L> {
    fn search(&mut self) -> &mut Search {
        &mut self.list.search
    }

    fn searched(&mut self, cx: &Cx<'_>) -> Reply {
        self.list.restart();
        self.refresh(cx)
    }
}

impl<L: Listed> Screen for ListPage<L> {
    fn context(&self, _: &Cx<'_>) -> Context {
        if self.is_typing() { Context::Search } else { L::CONTEXT }
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let asked = self.of.ask(self.list.search.text().to_owned(), self.list.limit());
        let (request, every) = (Request::of(asked), cx.every * L::POLL_FACTOR);
        vec![Sub { slot: L::SLOT, request, every, follows: Follows::Changes }]
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        let rows = self.of.take(answer, self.list.search.text())?;
        self.list.take(rows, cx);
        Some(Reply::default())
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        if let Some(reply) = self.search_command(command, cx) {
            return reply;
        }
        match command {
            Command::RowOpen => self
                .list
                .selected()
                .map_or_else(Reply::default, |row| Reply::show(self.of.open(row))),
            Command::PollNow => self.refresh(cx),
            _ => match self.list.command(command, cx) {
                Some(true) => self.refresh(cx),
                Some(false) => Reply::default(),
                None => Reply::up(command),
            },
        }
    }

    fn key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        self.search_key(event, cx)
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        self.search_paste(text, cx)
    }

    fn click(&mut self, column: u16, row: u16, cx: &Cx<'_>) -> Reply {
        if self.list.click(column, row, cx) {
            return self.command(Command::RowOpen, cx);
        }
        Reply::default()
    }

    fn is_typing(&self) -> bool {
        self.list.search.is_typing()
    }

    fn settle(&mut self, cx: &Cx<'_>) {
        self.list.settle(cx);
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.list.draw(&self.of, buffer, cx)
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        if self.is_typing() { search_hints() } else { self.of.hints() }
    }

    fn state(&self, _: &Cx<'_>) -> Option<State<'_>> {
        let error = self.list.error();
        let hidden = L::HIDES && error.is_some_and(|error| error.kind() == ErrorKind::Forbidden);
        Some(State { error, has_data: !self.list.rows().is_empty() && !hidden })
    }

    fn subject(&self, _: &Cx<'_>) -> Subject<'_> {
        let about = |row| {
            let (subject, tenant) = self.of.about(row);
            Subject::Support(subject, Some(tenant))
        };
        self.list.selected().map_or(NOTHING, about)
    }

    fn copies(&self, _: &Cx<'_>) -> Option<String> {
        self.list.selected().map(|row| self.of.copies(row))
    }
}

/// What is said where nothing is selected.
const NOTHING: Subject<'static> =
    Subject::Nothing("no run is selected", "nothing is selected; t finds a tenant");

fn search_hints() -> Vec<Hint> {
    Hint::of(&[Command::FilterAccept, Command::FilterClear, Command::AppBack])
}

/// A document.
pub trait Papered: Debug + Send {
    /// Where its keys are looked up.
    const CONTEXT: Context;

    /// What is asked again and again.
    fn subscriptions(&self, _cx: &Cx<'_>) -> Vec<Sub> {
        Vec::new()
    }
    /// Asks now.
    fn refresh(&mut self, cx: &Cx<'_>) -> Reply;
    /// Takes an answer; false where it is not one to what this asked.
    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> bool;
    /// Takes what came of writing files.
    fn outcome(&mut self, _answer: &Answer, _cx: &Cx<'_>) -> Reply {
        Reply::default()
    }
    /// Does a command that is its own; none where it is another one.
    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Option<Reply> {
        (command == Command::PollNow).then(|| self.refresh(cx))
    }
    /// Its lines; none where there is nothing to read yet.
    fn lines(&self, cx: &Cx<'_>) -> Option<Vec<PaperLine>>;
    /// What is said where there is nothing to read.
    fn missing(&self, cx: &Cx<'_>) -> (Role, String);
    /// How its data stands.
    fn state(&self) -> State<'_>;
    /// What it is about, and the tenant, as far as that is known.
    fn about(&self) -> (Option<DiagnosticsSubject>, Option<i64>);
    /// What is copied.
    fn copies(&self) -> String;
    /// What the footer offers.
    fn hints(&self) -> Vec<Hint>;
    /// The slot of what is asked once.
    fn reads(&self, _cx: &Cx<'_>) -> Option<Slot> {
        None
    }
}

/// A page that is a document.
#[derive(Debug)]
pub struct PaperPage<P: Papered> {
    of: P,
    reader: Reader,
}

impl<P: Papered> PaperPage<P> {
    /// A page with this document, with these sections unfolded.
    pub fn of(of: P, open: impl IntoIterator<Item = usize>) -> Self {
        Self { of, reader: Reader::opened(open) }
    }

    fn lines(&self, cx: &Cx<'_>) -> Vec<PaperLine> {
        self.of.lines(cx).unwrap_or_default()
    }
}

fn follow(read: Read, cx: &Cx<'_>) -> Reply {
    match read {
        Read::Act(Act::Run(id)) => Reply::show(Target::Run(id)),
        Read::Act(Act::Tenant(id)) => Reply::show(Target::Tenant(id)),
        Read::Act(Act::Request(reference)) => Reply::show(Target::Request(reference)),
        Read::NotFound => Reply::default().say("nothing here holds what is searched", cx),
        Read::Unknown(command) => Reply::up(command),
        Read::Stay | Read::Act(Act::Fold(_)) => Reply::default(),
    }
}

impl<P: Papered> Searched for PaperPage<P> {
    fn search(&mut self) -> &mut Search {
        &mut self.reader.search
    }

    fn searched(&mut self, cx: &Cx<'_>) -> Reply {
        let lines = self.lines(cx);
        self.reader.searched(&lines, cx);
        Reply::default()
    }
}

impl<P: Papered> Screen for PaperPage<P> {
    fn context(&self, _: &Cx<'_>) -> Context {
        if self.is_typing() { Context::Search } else { P::CONTEXT }
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

    fn outcome(&mut self, _: Slot, answer: &Answer, cx: &Cx<'_>) -> Reply {
        self.of.outcome(answer, cx)
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        if let Some(reply) = self.search_command(command, cx) {
            return reply;
        }
        if let Some(reply) = self.of.command(command, cx) {
            return reply;
        }
        let lines = self.lines(cx);
        follow(self.reader.command(command, &lines, cx), cx)
    }

    fn key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        self.search_key(event, cx)
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        self.search_paste(text, cx)
    }

    fn click(&mut self, _: u16, row: u16, cx: &Cx<'_>) -> Reply {
        let lines = self.lines(cx);
        follow(self.reader.click(row, &lines, cx), cx)
    }

    fn is_typing(&self) -> bool {
        self.reader.search.is_typing()
    }

    fn settle(&mut self, cx: &Cx<'_>) {
        let lines = self.lines(cx);
        self.reader.settle(&lines, cx);
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        if let Some(lines) = self.of.lines(cx) {
            return self.reader.draw(&lines, buffer, cx);
        }
        let (look, area) = (cx.look, cx.area);
        let (role, text) = self.of.missing(cx);
        let text = look.cut(&text, 1_000).to_string();
        let lines = wrapped(&text, usize::from(area.width.saturating_sub(4)));
        for (y, text) in (area.y + 1..area.bottom()).zip(lines) {
            let row = Rect { y, height: 1, ..area };
            Line::from(look.span(role, format!("  {text}"))).render(row, buffer);
        }
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        if self.is_typing() { search_hints() } else { self.of.hints() }
    }

    fn state(&self, _: &Cx<'_>) -> Option<State<'_>> {
        Some(self.of.state())
    }

    fn subject(&self, _: &Cx<'_>) -> Subject<'_> {
        let (subject, tenant) = self.of.about();
        subject.map_or(NOTHING, |subject| Subject::Support(subject, tenant))
    }

    fn copies(&self, _: &Cx<'_>) -> Option<String> {
        Some(self.of.copies())
    }

    fn reads(&self, cx: &Cx<'_>) -> Option<Slot> {
        self.of.reads(cx)
    }
}
