//! The inbox: what the person started and has ended, newest first, and how much is unread.
//!
//! As in the operations list, the cursor is bound to an id, and once scrolled the rows on the
//! screen stay where they are. The rows held always start at the newest; older pages are put
//! behind them.

mod view;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::app::Setup;
use super::super::command::Command;
use super::super::msg::{Effect, Follows, Request, Slot, Sub};
use super::super::remote::Remote;
use crate::ops::notifications::{
    CountUnread, ListNotifications, MAX_LIMIT, MarkAllRead, MarkRead, Notification,
    NotificationPage,
};
use crate::ops::runs::Cursor;
use crate::{Error, Result};

/// The most rows that are held at once.
const HELD: usize = 5_000;
/// The next page is asked for when the cursor is this near to the end.
const AHEAD: usize = 20;

/// The state of the inbox.
#[derive(Debug)]
pub struct Inbox {
    rows: Vec<Notification>,
    /// When the rows were read or confirmed, and what went wrong since.
    read: Remote<()>,
    /// How many are unread, on every screen.
    unread: Remote<i64>,
    unread_only: bool,
    /// Where older rows start, if there are more.
    older: Option<Cursor>,
    selected: Option<i64>,
    /// Index of the first row on the screen.
    top: usize,
    /// Ids that are being marked as read. A request names all of them, so one that takes the
    /// place of another loses none.
    marking: BTreeSet<i64>,
    /// All are being marked as read: once is enough.
    marking_all: bool,
    page_size: i64,
}

impl Inbox {
    /// An empty inbox.
    pub fn new(setup: &Setup) -> Self {
        Self {
            rows: Vec::new(),
            read: Remote::default(),
            unread: Remote::default(),
            unread_only: false,
            older: None,
            selected: None,
            top: 0,
            marking: BTreeSet::new(),
            marking_all: false,
            page_size: setup.page_size,
        }
    }

    /// The rows held, newest first.
    pub fn rows(&self) -> &[Notification] {
        &self.rows
    }

    /// How many are unread, as far as is known.
    pub fn unread(&self) -> Option<i64> {
        self.unread.value().copied()
    }

    /// The notification under the cursor.
    pub fn selected(&self) -> Option<&Notification> {
        self.rows.get(self.selected_index()?)
    }

    /// The last error of the list.
    pub fn error(&self) -> Option<&Error> {
        self.read.error()
    }

    fn selected_index(&self) -> Option<usize> {
        self.index_of(self.selected?)
    }

    fn index_of(&self, id: i64) -> Option<usize> {
        self.rows.iter().position(|row| row.id == id)
    }

    /// The poll that keeps the count in the header right, whatever is shown.
    pub fn count(every: Duration) -> Sub {
        let request = Request::of(CountUnread);
        Sub { slot: Slot::Unread, request, every, follows: Follows::Changes }
    }

    /// What is asked again and again while the inbox is shown.
    pub fn subscriptions(&self, every: Duration) -> Vec<Sub> {
        let request = Request::of(self.newest());
        vec![Sub { slot: Slot::Notices, request, every, follows: Follows::Changes }]
    }

    /// Asks for rows and count without waiting for the next poll.
    pub fn refresh(&self) -> Vec<Effect> {
        vec![Effect::ask(Slot::Notices, self.newest()), Effect::ask(Slot::Unread, CountUnread)]
    }

    fn newest(&self) -> ListNotifications {
        let held = i64::try_from(self.rows.len()).unwrap_or(MAX_LIMIT);
        let limit = held.clamp(self.page_size.min(MAX_LIMIT), MAX_LIMIT);
        ListNotifications { unread_only: self.unread_only, before: None, limit }
    }

    /// Takes the count of unread ones.
    pub fn take_unread(&mut self, answer: Result<i64>, now: DateTime<Utc>) {
        self.unread.take(answer, now);
    }

    /// The rows were found to be unchanged.
    pub fn confirm(&mut self, now: DateTime<Utc>) {
        self.read.confirm(now);
    }

    /// Takes rows; an answer to a question that no longer stands is dropped. `height` is how
    /// many rows the screen shows.
    pub fn take_page(
        &mut self,
        asked: &ListNotifications,
        answer: Result<NotificationPage>,
        height: usize,
        now: DateTime<Utc>,
    ) {
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
        let before = self.here();
        if asked.before.is_some() {
            self.rows.extend(page.notifications);
            self.older = page.next;
        } else {
            // What was loaded beyond the end of this page stays.
            let beyond = |row: &Notification| match page.next {
                Some(end) => (row.created_at, row.id) < (end.created_at, end.id),
                None => false,
            };
            let mut rows = page.notifications;
            let newest = rows.len();
            rows.extend(std::mem::take(&mut self.rows).into_iter().filter(beyond));
            if rows.len() == newest {
                self.older = page.next;
            }
            self.rows = rows;
        }
        if self.rows.len() > HELD {
            self.rows.truncate(HELD);
            self.older = self.rows.last().map(Notification::place);
        }
        self.keep_place(before, height);
    }

    /// The first row on the screen, and the index of the selected one.
    fn here(&self) -> (Option<i64>, Option<usize>) {
        (self.rows.get(self.top).map(|row| row.id), self.selected_index())
    }

    /// Rows came and went: the first row on the screen stays there, unless it is the newest
    /// one; a selected row that is gone gives way to its neighbour.
    fn keep_place(&mut self, (first, selected): (Option<i64>, Option<usize>), height: usize) {
        if self.top > 0
            && let Some(index) = first.and_then(|id| self.index_of(id))
        {
            self.top = index;
        }
        if self.selected_index().is_none() {
            let index = selected.unwrap_or(0).min(self.rows.len().saturating_sub(1));
            self.selected = self.rows.get(index).map(|row| row.id);
        }
        self.top = self.top.min(self.rows.len().saturating_sub(height));
    }

    /// Does a command; `height` is how many rows the screen shows.
    pub fn command(&mut self, command: Command, height: usize) -> Vec<Effect> {
        let page = isize::try_from(height.saturating_sub(1).max(1)).unwrap_or(1);
        match command {
            Command::CursorUp => self.step(-1, height),
            Command::CursorDown => self.step(1, height),
            Command::CursorPageUp => self.step(-page, height),
            Command::CursorPageDown => self.step(page, height),
            Command::CursorFirst => self.step(isize::MIN / 2, height),
            Command::CursorLast => self.step(isize::MAX / 2, height),
            Command::ListOlder => self.ask_older(),
            Command::InboxUnreadOnly => {
                self.unread_only = !self.unread_only;
                self.rows.clear();
                self.read = Remote::default();
                self.older = None;
                self.selected = None;
                self.top = 0;
                self.refresh()
            }
            Command::InboxMarkRead => self.mark(),
            Command::PollNow => self.refresh(),
            _ => Vec::new(),
        }
    }

    fn step(&mut self, by: isize, height: usize) -> Vec<Effect> {
        let Some(last) = self.rows.len().checked_sub(1) else {
            return Vec::new();
        };
        let index = self.selected_index().unwrap_or(0).saturating_add_signed(by).min(last);
        self.select(index, height);
        if by > 0 && index + AHEAD > last { self.ask_older() } else { Vec::new() }
    }

    /// Selects a row and brings it into sight, half a screen at once at an edge.
    fn select(&mut self, index: usize, height: usize) {
        self.selected = self.rows.get(index).map(|row| row.id);
        let half = height / 2;
        let last_top = self.rows.len().saturating_sub(height);
        if index == 0 {
            self.top = 0;
        } else if index < self.top {
            self.top = index.saturating_sub(half);
        } else if height > 0 && index >= self.top + height {
            self.top = (index + 1 - height + half).min(last_top).max(index + 1 - height);
        }
    }

    fn ask_older(&self) -> Vec<Effect> {
        if self.rows.len() >= HELD {
            return Vec::new();
        }
        let ask = |before| {
            let limit = self.page_size.min(MAX_LIMIT);
            let page =
                ListNotifications { unread_only: self.unread_only, before: Some(before), limit };
            Effect::ask(Slot::Notices, page)
        };
        self.older.map(ask).into_iter().collect()
    }

    /// Selects the row on line `line` of the body; whether it was selected before. None where
    /// there is no row.
    pub fn click(&mut self, line: u16) -> Option<bool> {
        let id = self.rows.get(self.top + Self::row_at(line)?)?.id;
        let before = self.selected.replace(id);
        Some(before == Some(id))
    }

    /// The screen has another height: the selected row stays in sight if it was.
    pub fn resized(&mut self, height: usize) {
        if let Some(index) = self.selected_index()
            && index >= self.top
        {
            self.select(index, height);
        }
    }

    /// Marks the selected notification as read, if it is unread.
    pub fn mark(&mut self) -> Vec<Effect> {
        let unread = self.selected().filter(|row| row.is_unread()).map(|row| row.id);
        let Some(id) = unread else {
            return Vec::new();
        };
        self.marking.insert(id);
        let ids = self.marking.iter().copied().collect();
        vec![Effect::ask(Slot::MarkRead, MarkRead { ids })]
    }

    /// Marks everything as read up to the newest row held: nobody has seen what came after
    /// it. Nothing where no row is held, or while it is being done.
    pub fn mark_all(&mut self) -> Vec<Effect> {
        let Some(up_to) = self.rows.iter().map(|row| row.id).max() else {
            return Vec::new();
        };
        if std::mem::replace(&mut self.marking_all, true) {
            return Vec::new();
        }
        vec![Effect::ask(Slot::MarkAllRead, MarkAllRead { up_to_id: up_to })]
    }

    /// These were marked as read, or could not be; what is shown follows at once.
    pub fn marked(&mut self, ids: &[i64], done: bool, height: usize, now: DateTime<Utc>) {
        self.marking.retain(|id| !ids.contains(id));
        if done {
            self.set_read(|row| ids.contains(&row.id), height, now);
        }
    }

    /// All up to an id were marked as read, or could not be.
    pub fn marked_all(&mut self, up_to: i64, done: bool, height: usize, now: DateTime<Utc>) {
        self.marking_all = false;
        if done {
            self.set_read(|row| row.id <= up_to, height, now);
        }
    }

    fn set_read(
        &mut self,
        which: impl Fn(&Notification) -> bool,
        height: usize,
        now: DateTime<Utc>,
    ) {
        let before = self.here();
        for row in self.rows.iter_mut().filter(|row| which(row)) {
            row.read_at.get_or_insert(now);
        }
        if self.unread_only {
            self.rows.retain(Notification::is_unread);
        }
        self.keep_place(before, height);
    }
}
