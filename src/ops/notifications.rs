//! The inbox of a platform user: what they started and has ended.
//!
//! Every operation here works on the actor's own rows. A row of somebody else is treated
//! exactly like one that is not there.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::runs::Cursor;
use super::store::notifications::{self as rows, NotificationRow, Wanted};
use super::telemetry::NOT_KEPT;
use super::{Access, Context, Operation};
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::run_state::RunState;
use crate::{Error, Result};

/// The largest page, and the most ids that one call marks.
pub const MAX_LIMIT: i64 = 1_000;
/// Whoever may be here may read what is addressed to them.
const OWN: Requirement = Requirement::All(&[Capability::AccessSystemPanel]);

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// Id.
    pub id: i64,
    /// What it is about, as a stable word: `run_completed`.
    pub kind: String,
    /// The run to view. It may lie outside of what the reader may see by now.
    pub run_id: Option<i64>,
    /// The state of that run, as every screen words it.
    pub state: Option<RunState>,
    /// One line.
    pub title: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
}

impl Notification {
    /// Its place in the list.
    pub fn place(&self) -> Cursor {
        Cursor { created_at: self.created_at, id: self.id }
    }

    /// The state of its run, as lists show it.
    pub fn state_label(&self, ascii: bool) -> String {
        match (self.state, self.run_id) {
            (Some(state), _) => state.label(ascii),
            (None, Some(_)) => NOT_KEPT.to_owned(),
            (None, None) => String::new(),
        }
    }

    /// Whether it is still to be read.
    pub fn is_unread(&self) -> bool {
        self.read_at.is_none()
    }
}

/// A page of the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationPage {
    /// Newest first.
    pub notifications: Vec<Notification>,
    /// Where the next page starts, if there is more.
    pub next: Option<Cursor>,
}

/// What marking as read came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    /// How many were unread until now.
    pub marked: u64,
    /// Ids that are not in the actor's inbox, whether they exist or not, ascending.
    pub missing: Vec<i64>,
}

/// Reads a page of the actor's inbox, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListNotifications {
    /// Leave out what was read.
    pub unread_only: bool,
    /// Only what is older than this place.
    pub before: Option<Cursor>,
    /// At most this many rows, up to [`MAX_LIMIT`]; 0 means 50.
    pub limit: i64,
}

impl Operation for ListNotifications {
    const NAME: &'static str = "notifications.list";
    const REQUIREMENT: Requirement = OWN;
    const ACCESS: Access = Access::Read;
    type Output = NotificationPage;

    async fn execute(self, context: &mut Context) -> Result<NotificationPage> {
        let limit = if self.limit <= 0 { 50 } else { self.limit.min(MAX_LIMIT) };
        let wanted = Wanted {
            platform_user_id: own(context)?,
            unread_only: self.unread_only,
            before: self.before,
            limit: limit + 1,
        };
        let now = context.now();
        let tx = context.tx()?;
        let mut found = rows::page(tx, &wanted).await?;
        let more = i64::try_from(found.len()).unwrap_or(i64::MAX) > limit;
        if more {
            found.pop();
        }
        let ids: BTreeSet<i64> = found.iter().filter_map(|row| row.run_id).collect();
        let runs = rows::runs(tx, &Vec::from_iter(ids)).await?;
        let states: BTreeMap<i64, RunState> =
            runs.iter().map(|run| (run.id, RunState::of(run, now))).collect();
        let notifications: Vec<Notification> =
            found.into_iter().map(|row| with_state(row, &states)).collect();
        let next = notifications.last().filter(|_| more).map(Notification::place);
        Ok(NotificationPage { notifications, next })
    }
}

/// Counts what is unread in the actor's inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountUnread;

impl Operation for CountUnread {
    const NAME: &'static str = "notifications.count_unread";
    const REQUIREMENT: Requirement = OWN;
    const ACCESS: Access = Access::Read;
    type Output = i64;

    async fn execute(self, context: &mut Context) -> Result<i64> {
        let platform_user_id = own(context)?;
        rows::unread(context.tx()?, platform_user_id).await
    }
}

/// Marks some notifications of the actor's inbox as read. Doing it again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkRead {
    /// At most [`MAX_LIMIT`] ids.
    pub ids: Vec<i64>,
}

impl Operation for MarkRead {
    const NAME: &'static str = "notifications.mark_read";
    const REQUIREMENT: Requirement = OWN;
    const ACCESS: Access = Access::Write;
    type Output = Marked;

    async fn execute(self, context: &mut Context) -> Result<Marked> {
        let ids = Vec::from_iter(BTreeSet::from_iter(self.ids));
        if i64::try_from(ids.len()).unwrap_or(i64::MAX) > MAX_LIMIT {
            return Err(Error::usage(format!(
                "at most {MAX_LIMIT} notifications are marked at once"
            )));
        }
        let (platform_user_id, now) = (own(context)?, context.now());
        let tx = context.tx()?;
        let own: BTreeSet<i64> =
            rows::among(tx, platform_user_id, &ids).await?.into_iter().collect();
        let marked = rows::mark(tx, platform_user_id, &ids, now).await?;
        let missing = ids.into_iter().filter(|id| !own.contains(id)).collect();
        Ok(Marked { marked, missing })
    }
}

/// Marks everything in the actor's inbox as read up to an id, so that nothing is marked that
/// came after the person looked; gives how many were unread. Doing it again changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkAllRead {
    /// The newest id that was seen.
    pub up_to_id: i64,
}

impl Operation for MarkAllRead {
    const NAME: &'static str = "notifications.mark_all_read";
    const REQUIREMENT: Requirement = OWN;
    const ACCESS: Access = Access::Write;
    type Output = u64;

    async fn execute(self, context: &mut Context) -> Result<u64> {
        let (platform_user_id, now) = (own(context)?, context.now());
        rows::mark_up_to(context.tx()?, platform_user_id, self.up_to_id, now).await
    }
}

/// Whose inbox it is; the system has none.
fn own(context: &Context) -> Result<i64> {
    let holder = context.permit().holder().ok_or_else(Error::not_logged_in)?;
    Ok(holder.platform_user_id)
}

fn with_state(row: NotificationRow, states: &BTreeMap<i64, RunState>) -> Notification {
    Notification {
        id: row.id,
        kind: row.kind,
        state: row.run_id.and_then(|id| states.get(&id).copied()),
        run_id: row.run_id,
        title: row.title,
        created_at: row.created_at,
        read_at: row.read_at,
    }
}
