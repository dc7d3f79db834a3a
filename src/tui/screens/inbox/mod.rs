//! The inbox: what the person started and has ended, newest first, and how much is unread.
//!
//! As in the operations list, the cursor is bound to an id, and once scrolled the rows on the
//! screen stay where they are. The rows held always start at the newest; older pages are put
//! behind them.

mod view;

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use self::view::{HEAD, rows_in};
use crate::ops::AnyOutput;
use crate::ops::notifications::{
    CountUnread, ListNotifications, MAX_LIMIT, MarkAllRead, MarkRead, Notification,
    NotificationPage,
};
use crate::ops::runs::Cursor;
use crate::tui::command::{Command, Context};
use crate::tui::look::{Look, grouped};
use crate::tui::msg::{Answer, Effect, Follows, Request, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Go, Hint, Reply, Screen, State, Target, Way};
use crate::tui::setup::Setup;
use crate::tui::slot::{HEADER, Slot};
use crate::tui::tabs::{HOME, Tab};
use crate::tui::widgets::table::{Row, Table};
use crate::{Error, Result};

impl Slot {
    pub const UNREAD: Self = Self::new("unread", "the inbox").hinted().aside(HEADER);
    pub const NOTICES: Self = Self::new("notices", "the inbox").hinted().kept();
    pub const MARK_READ: Self = Self::new("mark read", "the change");
    pub const MARK_ALL_READ: Self = Self::new("mark all read", "the change");
}

/// The most rows that are held at once.
const HELD: usize = 5_000;
/// The next page is asked for when the cursor is this near to the end.
const AHEAD: usize = 20;

#[derive(Debug, Default)]
pub struct Inbox {
    table: Table<Notification>,
    /// When the rows were read or confirmed, and what went wrong since.
    read: Remote<()>,
    /// How many are unread, on every screen.
    unread: Remote<i64>,
    unread_only: bool,
    /// Where older rows start, if there are more.
    older: Option<Cursor>,
    /// Ids that are being marked as read. A request names all of them, so one that takes the
    /// place of another loses none.
    marking: BTreeSet<i64>,
    /// All are being marked as read: once is enough.
    marking_all: bool,
    page_size: i64,
    /// Where one level back leads.
    from: Tab,
}

impl Inbox {
    pub fn new(setup: &Setup) -> Self {
        Self { page_size: setup.page_size, table: Table::loose(), ..Self::default() }
    }

    /// The rows held, newest first.
    pub fn rows(&self) -> &[Notification] {
        self.table.rows()
    }

    /// How many are unread, as far as is known.
    pub fn unread(&self) -> Option<i64> {
        self.unread.value().copied()
    }

    pub fn selected(&self) -> Option<&Notification> {
        self.table.selected()
    }

    /// Asks for rows and count without waiting for the next poll.
    fn ask(&self) -> Reply {
        let count = Effect::ask(Slot::UNREAD, CountUnread);
        Reply::ask(Slot::NOTICES, self.newest()).and([count])
    }

    fn newest(&self) -> ListNotifications {
        let held = i64::try_from(self.table.count()).unwrap_or(MAX_LIMIT);
        let limit = held.clamp(self.page_size.min(MAX_LIMIT), MAX_LIMIT);
        ListNotifications { unread_only: self.unread_only, before: None, limit }
    }

    /// Takes rows; an answer to a question that no longer stands is dropped.
    fn take_page(
        &mut self,
        asked: &ListNotifications,
        answer: Result<NotificationPage>,
        cx: &Cx<'_>,
    ) {
        let (height, now) = (rows_in(cx), cx.look.now);
        if asked.unread_only != self.unread_only {
            return;
        }
        let page = match answer {
            Ok(page) => page,
            Err(error) => return self.read.take(Err(error), now),
        };
        if asked.before.is_some() && asked.before != self.older {
            return;
        }
        self.read.take(Ok(()), now);
        let older = &mut self.older;
        self.table.update(height, |rows| {
            if asked.before.is_some() {
                rows.extend(page.notifications);
                *older = page.next;
            } else {
                // What was loaded beyond the end of this page stays.
                let beyond = |row: &Notification| match page.next {
                    Some(end) => (row.created_at, row.id) < (end.created_at, end.id),
                    None => false,
                };
                rows.retain(beyond);
                if rows.is_empty() {
                    *older = page.next;
                }
                rows.splice(0..0, page.notifications);
            }
            if rows.len() > HELD {
                rows.truncate(HELD);
                *older = rows.last().map(Notification::place);
            }
            true
        });
    }

    fn ask_older(&self) -> Option<Effect> {
        let before = Some(self.older.filter(|_| self.table.count() < HELD)?);
        let (unread_only, limit) = (self.unread_only, self.page_size.min(MAX_LIMIT));
        Some(Effect::ask(Slot::NOTICES, ListNotifications { unread_only, before, limit }))
    }

    /// Marks the selected notification as read, if it is unread.
    fn mark(&mut self) -> Option<Effect> {
        self.marking.insert(self.selected().filter(|row| row.is_unread())?.id);
        let ids = self.marking.iter().copied().collect();
        Some(Effect::ask(Slot::MARK_READ, MarkRead { ids }))
    }

    /// Marks everything as read up to the newest row held: the person has not seen what came after
    /// it. Nothing where no row is held, or while it is being done.
    fn mark_all(&mut self) -> Option<Effect> {
        let up_to_id = self.rows().iter().map(|row| row.id).max()?;
        let again = std::mem::replace(&mut self.marking_all, true);
        (!again).then(|| Effect::ask(Slot::MARK_ALL_READ, MarkAllRead { up_to_id }))
    }

    /// Says what came of marking; the count in the header and the rows are asked again, paused or
    /// not: the person has just changed them.
    fn marked(&self, error: Option<&Error>, cx: &Cx<'_>) -> Reply {
        match error {
            None => self.ask(),
            Some(error) if error.is_uncertain() => Reply::default().say(error.to_string(), cx),
            Some(error) => Reply::default().say(format!("not marked as read: {error}"), cx),
        }
    }

    fn set_read(&mut self, which: impl Fn(&Notification) -> bool, cx: &Cx<'_>) {
        let (unread_only, now) = (self.unread_only, cx.look.now);
        self.table.update(rows_in(cx), |rows| {
            for row in rows.iter_mut().filter(|row| which(row)) {
                row.read_at.get_or_insert(now);
            }
            rows.retain(|row| row.is_unread() || !unread_only);
            true
        });
    }
}

impl Row for Notification {
    type Key = i64;

    fn key(&self) -> i64 {
        self.id
    }
}

impl Screen for Inbox {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Inbox
    }

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let request = Request::of(self.newest());
        vec![Sub { slot: Slot::NOTICES, request, every: cx.every, follows: Follows::Changes }]
    }

    fn always(&self, cx: &Cx<'_>) -> Vec<Sub> {
        let request = Request::of(CountUnread);
        vec![Sub { slot: Slot::UNREAD, request, every: cx.every, follows: Follows::Changes }]
    }

    fn open(&mut self, _: &Cx<'_>) -> Reply {
        self.from = HOME;
        Reply::default()
    }

    fn place(&self) -> Option<(Target, Tab)> {
        Some((Target::Inbox, self.from))
    }

    fn show(&mut self, target: &Target, way: Way, cx: &Cx<'_>) -> Option<Reply> {
        if *target != Target::Inbox {
            return None;
        }
        let led = !matches!(way, Way::Back(_));
        (self.from, _) = way.before(self.from, cx);
        Some(if led { Reply::default().go(Go::Poll) } else { Reply::default() })
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        Some(match answer {
            AnyOutput::CountUnread(_, answer) => {
                self.unread.take(answer.clone(), cx.look.now);
                Reply::default()
            }
            AnyOutput::ListNotifications(asked, answer) => {
                self.take_page(asked, answer.clone(), cx);
                let missed = answer.as_ref().err().filter(|_| asked.before.is_some());
                Reply::default().miss_rows(missed, cx)
            }
            AnyOutput::MarkRead(asked, done) => {
                // What is shown follows at once.
                self.marking.retain(|id| !asked.ids.contains(id));
                if done.is_ok() {
                    self.set_read(|row| asked.ids.contains(&row.id), cx);
                }
                self.marked(done.as_ref().err(), cx)
            }
            AnyOutput::MarkAllRead(asked, done) => {
                self.marking_all = false;
                if done.is_ok() {
                    self.set_read(|row| row.id <= asked.up_to_id, cx);
                }
                // It cannot be undone, so it says what it did.
                let reply = self.marked(done.as_ref().err(), cx);
                match done {
                    Ok(0) => reply.say("nothing was unread", cx),
                    Ok(n) => {
                        let n = grouped(i64::try_from(*n).unwrap_or(i64::MAX));
                        reply.say(format!("{n} marked as read"), cx)
                    }
                    Err(_) => reply,
                }
            }
            _ => return None,
        })
    }

    fn outcome(&mut self, slot: Slot, answer: &Answer, cx: &Cx<'_>) -> Reply {
        if let (Slot::NOTICES, Answer::Unchanged) = (slot, answer) {
            self.read.confirm(cx.look.now);
        }
        Reply::default()
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match command {
            Command::AppBack => Reply::default().go(Go::Tab(self.from)),
            // Opening the run of a notice counts as having read it.
            Command::RowOpen => {
                let Some(run) = self.selected().map(|notice| notice.run_id) else {
                    return Reply::default();
                };
                let reply = Reply::default().and(self.mark());
                match run {
                    Some(id) => reply.go(Go::Show(Target::Run(id))),
                    None => reply.say("this notification is not about a run", cx),
                }
            }
            Command::InboxMarkAllRead if self.rows().is_empty() => {
                Reply::default().say("there is no notification to mark as read", cx)
            }
            Command::InboxMarkAllRead => Reply::default().and(self.mark_all()),
            Command::ListOlder => Reply::default().and(self.ask_older()),
            Command::InboxUnreadOnly => {
                self.unread_only = !self.unread_only;
                self.table.clear();
                self.read = Remote::default();
                self.older = None;
                self.ask()
            }
            Command::InboxMarkRead => Reply::default().and(self.mark()),
            Command::PollNow => self.ask(),
            _ => match self.table.command(command, rows_in(cx)) {
                Some(on) => {
                    let near = on && self.table.at() + AHEAD >= self.table.count();
                    Reply::default().and(self.ask_older().filter(|_| near))
                }
                None => Reply::up(command),
            },
        }
    }

    /// A click selects a notice; one on the selected notice views its run.
    fn click(&mut self, _: u16, row: u16, cx: &Cx<'_>) -> Reply {
        let line = row.checked_sub(HEAD);
        match line.and_then(|line| self.table.click(usize::from(line), rows_in(cx))) {
            Some(true) => self.command(Command::RowOpen, cx),
            _ => Reply::default(),
        }
    }

    fn settle(&mut self, cx: &Cx<'_>) {
        self.table.settle(rows_in(cx));
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.draw(buffer, cx);
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        let mut hints = vec![Hint::Does(Command::RowOpen, "view run")];
        hints.extend(Hint::of(&[
            Command::InboxMarkRead,
            Command::InboxMarkAllRead,
            Command::InboxUnreadOnly,
            Command::AppPalette,
        ]));
        hints
    }

    fn badge(&self, look: &Look) -> Option<String> {
        let unread = self.unread().filter(|unread| *unread > 0)?;
        Some(format!("{} {}", look.glyph("✉", "mail"), grouped(unread)))
    }

    fn state(&self, _: &Cx<'_>) -> Option<State<'_>> {
        Some(State { error: self.read.error(), has_data: self.table.count() > 0 })
    }

    fn copies(&self, _: &Cx<'_>) -> Option<String> {
        Some(self.selected()?.run_id?.to_string())
    }
}
