//! Pruning ended runs. A chunk has a limit of rows, of all tables together, and gets smaller where it
//! takes long: others wait for its locks. A run with more rows than that goes piece by piece, and counts
//! as gone from the first piece on.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::ViewScope;
use crate::domain::count::count;
use crate::domain::kept::Data;
use crate::domain::setting::{SettingKey, number};
use crate::ops::store::Tx;
use crate::ops::store::retention::{self, Kept};
use crate::ops::store::run_removal::{self as removal, Removable};
use crate::ops::{Context, settings};
use crate::{Error, Result};

/// The most rows of a chunk, and as many as the first one has.
const MOST_ROWS: i64 = 200;
const FIRST_ROWS: i64 = 50;
/// No chunk gets smaller than this.
const FEWEST_ROWS: i64 = 20;
/// A chunk that takes longer makes the next smaller; any other lets it grow a little.
const LONG: Duration = Duration::from_millis(4);

/// How far a prune of runs is, from the newest to the oldest: a retry goes before the run that it
/// tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    created_at: DateTime<Utc>,
    id: i64,
    /// How many rows the next chunk has at most.
    rows: i64,
    /// Whether a run may be going piece by piece.
    #[serde(default = "yes")]
    pieces: bool,
    /// The newest run of which it is noted that it is gone.
    #[serde(default)]
    newest: Option<i64>,
}

fn yes() -> bool {
    true
}

impl Place {
    /// Before the first chunk.
    pub(crate) fn first(cutoff: DateTime<Utc>) -> Self {
        Self { created_at: cutoff, id: 0, rows: FIRST_ROWS, pieces: true, newest: None }
    }

    fn sized(self, took: Duration) -> Self {
        let rows = if took > LONG * 3 {
            self.rows / 2
        } else if took > LONG {
            self.rows - self.rows / 8
        } else {
            self.rows + self.rows / 32 + 1
        };
        Self { rows: rows.clamp(FEWEST_ROWS, MOST_ROWS), ..self }
    }
}

/// Deletes a chunk of the runs that had ended at `cutoff`, as the run `own`: at most `limit` rows.
/// Gives how many runs are gone, and where the next chunk begins; none: no run is left.
pub(crate) async fn prune_chunk(
    context: &mut Context,
    own: i64,
    cutoff: DateTime<Utc>,
    place: Place,
    limit: i64,
) -> Result<(i64, Option<Place>)> {
    let now = context.now();
    let rows = place.rows.min(limit).max(1);
    let mut place = place;
    let tx = context.tx()?;
    removal::prepare(tx, now).await?;
    if place.pieces {
        if let Some(run) = removal::leaving(tx).await? {
            let began = Instant::now();
            tx.locks(began);
            let gone = removal::delete_piece(tx, run, rows).await? < rows;
            if gone {
                removal::end(tx, run).await?;
            }
            return Ok((i64::from(gone), Some(place.sized(began.elapsed()))));
        }
        place.pieces = false;
    }
    // Hardly a run has no row beside its own.
    let limit = rows / 2 + 1;
    let listed = removal::after(tx, (place.created_at, place.id), cutoff, limit).await?;
    let Some(last) = listed.last() else { return Ok((0, None)) };
    let ended: Vec<i64> = listed.iter().filter(|run| run.ended).map(|run| run.id).collect();
    let began = Instant::now();
    let found = removal::removable(tx, &ended, own, rows + 1).await?;
    if let Some(first) = found.first() {
        // Before its first lock it only read.
        tx.locks(began + Duration::from_micros(first.read_us.unsigned_abs()));
    }
    let (some, other) = fitting(found, rows);
    let (mut created_at, mut id) = (last.created_at, last.id);
    if let Some(other) = &other {
        // The next chunk begins with it, or with those after it where it is to go by itself.
        let at = listed.iter().position(|run| run.id == other.id).unwrap_or_default();
        let before = if some.is_empty() { Some(at) } else { at.checked_sub(1) };
        (created_at, id) = before
            .and_then(|at| listed.get(at))
            .map_or((place.created_at, place.id), |run| (run.created_at, run.id));
        if some.is_empty() {
            note(tx, cutoff, std::slice::from_ref(other), &mut place).await?;
            removal::begin(tx, other.id, now).await?;
            place.pieces = true;
        }
    }
    note(tx, cutoff, &some, &mut place).await?;
    removal::delete(tx, &some).await?;
    let (runs, rows) = (some.len(), some.iter().map(|run| run.own + run.about).sum::<i64>());
    tracing::debug!(runs, rows, "a chunk of runs goes");
    let deleted = i64::try_from(runs).unwrap_or(i64::MAX);
    Ok((deleted, Some(Place { created_at, id, ..place }.sized(began.elapsed()))))
}

/// The first runs with at most so many rows, and the one that is too much. A run stays while one that
/// tried it again does.
fn fitting(found: Vec<Removable>, mut rows: i64) -> (Vec<Removable>, Option<Removable>) {
    let mut some: Vec<Removable> = Vec::new();
    for run in found {
        let gone = some.iter().filter(|other| other.retry_of == Some(run.id)).count();
        if i64::try_from(gone).is_ok_and(|gone| gone < run.retries) {
            continue;
        }
        rows -= run.own + run.about;
        if rows < 0 {
            return (some, Some(run));
        }
        some.push(run);
    }
    (some, None)
}

/// Records from when on no run is missing, in the transaction in which runs go; once for all runs that
/// are no newer.
async fn note(
    tx: &mut Tx,
    cutoff: DateTime<Utc>,
    runs: &[Removable],
    place: &mut Place,
) -> Result<()> {
    let newest_id = runs.iter().map(|run| run.id).max();
    if newest_id <= place.newest {
        return Ok(());
    }
    place.newest = newest_id;
    retention::keep(tx, Data::Runs, Kept { kept_from: cutoff, newest_id }).await
}

/// Why there is no run `id` within a view: to those who see all, that it is not kept, where it may have
/// been pruned. Others get one answer for what is gone and for what is not theirs.
pub(in crate::ops) async fn no_run(tx: &mut Tx, id: i64, view: ViewScope) -> Result<Error> {
    let unknown = Error::not_found(format!("run {id}"));
    let Some(kept) = retention::kept(tx, Data::Runs).await? else { return Ok(unknown) };
    let days = number(&settings::lenient(tx, SettingKey::RunsRetentionDays).await?);
    let hint = format!("ended runs are kept for {}", count(days, "day"));
    let gone = view == ViewScope::All && id > 0 && kept.newest_id.is_some_and(|gone| id <= gone);
    let error = if gone {
        Error::new(unknown.kind(), format!("run {id} is not kept any more"))
    } else {
        unknown
    };
    Ok(error.hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_gets_smaller_where_it_takes_long() {
        let after = |rows, ms| {
            let place = Place { rows, ..Place::first(DateTime::UNIX_EPOCH) };
            place.sized(Duration::from_millis(ms)).rows
        };
        assert_eq!((after(100, 13), after(100, 5), after(100, 4)), (50, 88, 104));
        assert_eq!((after(22, 90), after(200, 0)), (FEWEST_ROWS, MOST_ROWS));
    }
}
