//! Retention: what is old, how it is pruned chunk by chunk, and what keeps a prune from deleting too
//! much. The same code for the runbooks and, of the product usage ledger, for the command line.

mod runs;

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::store::audit::{self, NewAudit};
use super::store::retention::{self, Size};
use super::{
    About, Access, AuditStatus, Consent, Context, Operation, Reader, break_glass, refusal, settings,
};
use crate::access::{Requirement, ViewScope};
use crate::domain::capability::Capability;
use crate::domain::confirmation::{Action, Confirmation};
use crate::domain::count::{count, noun};
use crate::domain::kept::Data;
use crate::{Error, ErrorKind, Result};

pub(in crate::ops) use runs::no_run;
pub(crate) use runs::{Place, prune_chunk as prune_runs};

/// The input that says which data is pruned.
pub const DATA_INPUT: &str = "data";
/// The input that says for how many days it is kept.
pub const DAYS_INPUT: &str = "days";
/// For how many days events are kept where nothing else is said.
pub const DEFAULT_DAYS: i64 = 90;
/// The longest retention: a hundred years.
const MAX_DAYS: i64 = 36_500;

/// The word of the runbooks.
pub const WORD: &str = "PRUNE";

/// How many events one transaction of [`PruneUsage`] deletes.
const CHUNK: i64 = 2_000;

/// Runs that a prune would delete are counted up to this many.
pub const COUNTED_RUNS: i64 = 10_000;

/// For how many days something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days(i64);

impl Default for Days {
    fn default() -> Self {
        Self(DEFAULT_DAYS)
    }
}

impl Days {
    /// A retention of `days`.
    ///
    /// # Errors
    /// *Usage* for fewer than 1 or more than 36,500.
    pub fn new(days: i64) -> Result<Self> {
        if (1..=MAX_DAYS).contains(&days) {
            return Ok(Self(days));
        }
        Err(Error::usage(format!("data is kept for 1 to {MAX_DAYS} days, not {days}")))
    }

    /// The retention that inputs give; none where they leave it to the platform's setting.
    ///
    /// # Errors
    /// *Usage* for anything but a whole number from 1 to 36,500.
    pub fn from_inputs(inputs: &Value) -> Result<Option<Self>> {
        match inputs.get(DAYS_INPUT) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_i64() {
                Some(days) => Self::new(days).map(Some),
                None => Err(Error::usage("the days to keep data must be a whole number")),
            },
        }
    }

    /// How many.
    pub fn get(self) -> i64 {
        self.0
    }

    /// What is from before this moment is too old at `now`.
    pub fn cutoff(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - Duration::days(self.0)
    }
}

/// Which data is kept for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The data.
    pub data: Data,
    /// For how many days; none: each row says so itself.
    pub days: Option<Days>,
}

impl Policy {
    /// What a run's inputs say, or else the platform's setting.
    pub(crate) async fn of(context: &mut Context, data: Data, inputs: &Value) -> Result<Self> {
        let days = match Days::from_inputs(inputs)? {
            None => settings::retention(context, data).await?,
            given => given,
        };
        Ok(Self { data, days })
    }

    /// What is from before this moment is too old at `at`.
    pub(crate) fn cutoff(self, at: DateTime<Utc>) -> DateTime<Utc> {
        self.days.map_or(at, |days| days.cutoff(at))
    }
}

/// The data that inputs name.
///
/// # Errors
/// *Usage* without one, or for data that this runbook does not prune.
pub(crate) fn data_of(inputs: &Value) -> Result<Data> {
    let words: Vec<_> = Data::ALL.iter().filter(|data| **data != Data::Events).collect();
    let named = inputs.get(DATA_INPUT).and_then(Value::as_str);
    let found = words.iter().find(|data| Some(data.as_str()) == named);
    found.map(|data| **data).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|data| data.as_str()).collect();
        let error = match inputs.get(DATA_INPUT) {
            None | Some(Value::Null) => Error::usage("no data given"),
            Some(_) => Error::usage("there is no such data"),
        };
        error.hint(format!("add the input {DATA_INPUT}, one of: {}", words.join(", ")))
    })
}

/// Deletes at most `limit` rows that are too old at `at`, the oldest first; gives how many. Fewer
/// than `limit`: none is left. In the same transaction it is recorded from when on nothing is missing.
pub(crate) async fn prune_chunk(
    context: &mut Context,
    policy: Policy,
    at: DateTime<Utc>,
    limit: i64,
) -> Result<i64> {
    let (data, cutoff, limit) = (policy.data, policy.cutoff(at), limit.max(1));
    let tx = context.tx()?;
    if data != Data::Events {
        return retention::delete(tx, data, cutoff, limit).await;
    }
    let newest = retention::newest_usage_event(tx).await?;
    let deleted = retention::delete(tx, data, cutoff, limit).await?;
    if let Some(newest) = newest
        && deleted > 0
    {
        // Where there was no event, none is missing: whatever a wrong clock says, events that
        // are written from now on are kept.
        let kept_from = cutoff.min(newest + Duration::microseconds(1));
        retention::keep_usage_from(tx, kept_from).await?;
    }
    Ok(deleted)
}

/// Whether there may be more than the `affected` that a preflight with these inputs has counted.
pub(crate) fn at_least(runbook: &str, inputs: &Value, affected: i64) -> bool {
    runbook == "retention.prune"
        && data_of(inputs).is_ok_and(|data| data == Data::Runs)
        && affected >= COUNTED_RUNS
}

/// How much is too old at `at`, and how much there is.
pub(crate) async fn count_old(
    reader: Reader<'_>,
    policy: Policy,
    at: DateTime<Utc>,
) -> Result<(i64, i64)> {
    let size = retention::size(reader.tx, policy.data, policy.cutoff(at), COUNTED_RUNS).await?;
    Ok((size.old, size.total))
}

/// Why a run may not delete what is too old at `at`: the platform keeps it for longer by now, or
/// it is unattended and would delete more than its bound. None: it may.
pub(crate) async fn beyond_bound(
    context: &mut Context,
    run_id: i64,
    policy: Policy,
    at: DateTime<Utc>,
) -> Result<Option<String>> {
    let needed = exact_phrase(context, policy).await?;
    let tx = context.tx()?;
    let items = policy.data.items();
    if let Some(needed) = needed
        && let Some(phrase) = retention::planned_phrase(tx, run_id).await?
        && phrase != needed
    {
        return Ok(Some(format!(
            "the platform keeps {items} for longer by now; a start of these days takes the phrase {needed}",
        )));
    }
    if !retention::is_unattended(tx, run_id).await? {
        return Ok(None);
    }
    let percent = settings::prune_bound(tx).await?;
    let (data, cutoff, mut most) = (policy.data, policy.cutoff(at), COUNTED_RUNS);
    let mut size = retention::size(tx, data, cutoff, most).await?;
    if data == Data::Runs && (most..=bound(&size, percent)).contains(&size.old) {
        most = bound(&size, percent) + 1;
        size = retention::size(tx, data, cutoff, most).await?;
    }
    let bound = bound(&size, percent);
    let Size { old, total, .. } = size;
    let more = if data == Data::Runs && old >= most { "at least " } else { "" };
    Ok((old > bound).then(|| {
        format!(
            "{more}{old} of {total} {} {}; an unattended prune deletes at most {bound}",
            noun(total, items),
            match policy.days {
                Some(days) => format!("are older than {}", count(days.get(), "day")),
                None => "have expired".to_owned(),
            },
        )
    }))
}

/// How much an unattended prune may delete: `percent` of the table or two days' worth,
/// whichever is more. A prune that would leave nothing is never the work of two days: then the
/// percentage alone counts.
fn bound(size: &Size, percent: i64) -> i64 {
    let share = size.total.saturating_mul(percent) / 100;
    let (Some(oldest), Some(newest)) = (size.oldest, size.newest) else { return share };
    if size.old >= size.total {
        return share;
    }
    let days = (newest - oldest).num_days().max(1);
    let daily = size.total / days + i64::from(size.total % days > 0);
    share.max(daily.saturating_mul(2))
}

/// The phrase for fewer days than the platform keeps something; none where its word does. Where the
/// setting is not valid, nobody can say that they are not fewer.
pub(crate) async fn exact_phrase(context: &mut Context, policy: Policy) -> Result<Option<String>> {
    let Some(days) = policy.days else { return Ok(None) };
    let fewer = match settings::retention(context, policy.data).await {
        Ok(kept) => kept.is_some_and(|kept| days < kept),
        Err(error) if error.kind() == ErrorKind::Refused => true,
        Err(error) => return Err(error),
    };
    Ok(fewer.then(|| format!("{WORD} {}", days.get())))
}

/// Refuses a retention of runs that is shorter than the age of what is in force: plans and leases.
/// `name` is what gives the days.
pub(crate) async fn refuse_too_short(
    context: &mut Context,
    data: Data,
    name: &str,
    days: i64,
) -> Result<()> {
    if data != Data::Runs {
        return Ok(());
    }
    let now = context.now();
    let Some(oldest) = retention::oldest_in_force(context.tx()?, now).await? else { return Ok(()) };
    let age = now - oldest;
    let least = age.num_days() + i64::from(age > Duration::days(age.num_days()));
    if days >= least {
        return Ok(());
    }
    Err(Error::refused(format!("{name} must be at least {least} now"))
        .hint(format!("a plan or a lease of {} is in force", oldest.format("%Y-%m-%d %H:%M UTC"))))
}

/// Lists the data of which something is older than its retention, for the schedule. Data whose
/// setting is not valid is listed, too: its start says so.
#[derive(Debug, Clone, Copy)]
pub struct OldData;

impl Operation for OldData {
    const NAME: &'static str = "retention.old_data";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Read;
    type Output = Vec<Data>;

    async fn execute(self, context: &mut Context) -> Result<Vec<Data>> {
        let now = context.now();
        let mut old = Vec::new();
        for data in Data::ALL.iter().copied().filter(|data| *data != Data::Events) {
            let is_old = match settings::retention(context, data).await {
                Ok(days) => {
                    let cutoff = Policy { data, days }.cutoff(now);
                    retention::has_old(context.tx()?, data, cutoff).await?
                }
                Err(error) if error.kind() == ErrorKind::Refused => true,
                Err(error) => return Err(error),
            };
            if is_old {
                old.push(data);
            }
        }
        Ok(old)
    }
}

/// The statements that find what is old, for the test that none of them reads a whole table.
#[cfg(debug_assertions)]
pub fn statements() -> Vec<String> {
    retention::statements()
}

/// Deletes the product usage events that are older than their retention, at once and not as a
/// run. It is confirmed as the runbook is.
#[derive(Debug, Clone)]
pub struct PruneUsage {
    /// For how many days events are kept; none: as long as the platform's setting says.
    pub days: Option<i64>,
    /// What confirms it, and why.
    pub consent: Consent,
}

impl PruneUsage {
    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        Self { days: None, consent: Consent::dry_run() }
    }

    async fn check(&self, context: &mut Context) -> Result<Days> {
        let days = match self.days {
            Some(days) => Days::new(days)?,
            None => settings::usage_retention(context).await?,
        };
        let policy = Policy { data: Data::Events, days: Some(days) };
        if context.permit().scope() != ViewScope::All {
            return Err(Error::restricted());
        }
        break_glass::require_reason(context.permit(), &self.consent)?;
        let exact = exact_phrase(context, policy).await?;
        let action = Action::Platform { word: WORD, exact: exact.as_deref() };
        let glass = context.permit().break_glass().is_some();
        let confirmation = Confirmation::of(&action)?.requiring_reason(glass);
        self.consent.allow(context, &confirmation)?;
        Ok(days)
    }
}

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// For how many days events are kept.
    pub days: i64,
    /// What is from before this moment was deleted.
    pub cutoff: DateTime<Utc>,
    /// How many events; after a dry run, how many would be.
    pub events: i64,
}

impl Operation for PruneUsage {
    const NAME: &'static str = "product_usage.prune";
    const REQUIREMENT: Requirement =
        Requirement::All(&[Capability::RunbooksRun, Capability::RunbookProductUsagePrune]);
    // Chunk by chunk: nobody who writes an event waits for all of it.
    const ACCESS: Access = Access::Stepwise;
    type Output = Pruned;

    fn about(&self) -> About {
        About::of("runbook", Self::NAME).with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<Pruned> {
        let dry_run = self.consent.dry_run;
        context.begin_checked(&Self::REQUIREMENT, !dry_run).await?;
        let at = context.now();
        let checked = self.check(context).await;
        let mut row = context.audit_row(Self::NAME, AuditStatus::Succeeded);
        self.about().mark(&mut row);
        let days = match checked {
            Ok(days) => days,
            Err(error) => {
                let told = !dry_run && !self.consent.only_asks(&error);
                if told {
                    row.metadata = json!({ "days": self.days });
                    refusal::record(context, row, &error).await?;
                }
                context.end_refused(told).await?;
                return Err(error);
            }
        };
        let (policy, cutoff) = (Policy { data: Data::Events, days: Some(days) }, days.cutoff(at));
        let (old, _) = count_old(context.reader()?, policy, at).await?;
        if dry_run {
            context.end(false).await?;
            return Ok(Pruned { days: days.get(), cutoff, events: old });
        }
        // The decision is on record before anything is gone for good, and its end after.
        row.metadata = json!({ "days": days.get(), "cutoff": cutoff, "events": old });
        self.consent.mark(&mut row.metadata);
        context.audit(&row).await?;
        let mut kept = 0;
        match delete(context, days, at, row, &mut kept).await {
            Ok(events) => Ok(Pruned { days: days.get(), cutoff, events }),
            Err(error) => Err(cut_short(error, kept)),
        }
    }
}

/// Deletes chunk by chunk; `kept` says how many are gone for good so far.
async fn delete(
    context: &mut Context,
    days: Days,
    at: DateTime<Utc>,
    mut row: NewAudit,
    kept: &mut i64,
) -> Result<i64> {
    let mut events = 0;
    loop {
        let policy = Policy { data: Data::Events, days: Some(days) };
        let deleted = prune_chunk(context, policy, at, CHUNK).await?;
        events += deleted;
        if deleted < CHUNK {
            break;
        }
        context.end(true).await?;
        *kept = events;
        context.begin_checked(&PruneUsage::REQUIREMENT, true).await?;
    }
    row.action = "product_usage.pruned";
    row.occurred_at = context.now();
    row.metadata = json!({ "days": days.get(), "cutoff": days.cutoff(at), "deleted": events });
    if *kept > 0 {
        audit::insert_of_rest(context.tx()?, &row).await?;
    } else {
        context.audit(&row).await?;
    }
    context.end(true).await?;
    Ok(events)
}

/// The error of a prune that ended early: what is gone is gone.
fn cut_short(error: Error, deleted: i64) -> Error {
    if deleted == 0 {
        return error;
    }
    let text = format!("{}; at least {deleted} event(s) were deleted before", error.message());
    Error::new(error.kind(), text).hint("prune again: it deletes the rest")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn days_are_a_whole_number_from_one_to_a_hundred_years() {
        assert_eq!(Days::from_inputs(&json!({})).unwrap(), None);
        for right in [1, 36_500] {
            let days = Days::from_inputs(&json!({ "days": right })).unwrap();
            assert_eq!(days.map(Days::get), Some(right));
        }
        for wrong in [json!(0), json!(-1), json!(36_501), json!(1.5), json!("30"), json!([1])] {
            let error = Days::from_inputs(&json!({ "days": wrong })).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Usage);
        }
    }
    #[test]
    fn a_bound_is_a_share_or_two_days_worth_and_never_everything() {
        let newest = DateTime::UNIX_EPOCH + Duration::days(20_000);
        let size = |old, total, days| Size {
            old,
            total,
            oldest: (total > 0).then_some(newest - Duration::days(days)),
            newest: (total > 0).then_some(newest),
        };
        for (size, percent, expected) in [
            (size(0, 0, 0), 20, 0),
            (size(10, 910, 91), 20, 182),
            // Two days of a ledger of five are more than a fifth of it.
            (size(40, 100, 5), 20, 40),
            (size(40, 101, 5), 20, 42),
            (size(2, 3, 49), 20, 2),
            // What would leave nothing has no two days.
            (size(100, 100, 1), 20, 20),
            (size(1, 1, 0), 20, 0),
            (size(100, 100, 1), 100, 100),
            (size(10, 100, 50), 1, 4),
        ] {
            assert_eq!(bound(&size, percent), expected, "{size:?} {percent} %");
        }
    }
}
