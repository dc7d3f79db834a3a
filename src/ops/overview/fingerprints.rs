//! Failures of a window by what they say: 2,000 failures are 3 errors.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::access::{Requirement, ViewScope};
use crate::domain::failure::ReasonCode;
use crate::domain::fingerprint;
use crate::domain::kept::Data;
use crate::domain::run_filter::{RunFilter, TermKind};
use crate::domain::safe_text::quoted;
use crate::domain::sanitize;
use crate::domain::window::{Span, Window};
use crate::ops::dashboard::{DASHBOARD, window_of};
use crate::ops::store::fingerprints::{self as rows, GroupRow, SampleRow};
use crate::ops::store::{Tx, retention, together};
use crate::ops::telemetry::{NOT_KEPT, WindowSpan};
use crate::ops::{Access, Context, Operation};
use crate::{Error, Result};

/// The most groups of one answer.
const MAX_LIMIT: i64 = 1_000;
/// How many failures are given their fingerprint in one transaction.
const FILL: i64 = 1_000;

/// Reads the groups of failures of a window, most failures first. Failures belong to the window
/// in which their run was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListFingerprints {
    /// How far back; what the person chose last where absent.
    pub window: Option<Window>,
    /// At most this many, up to 1,000; 0 means 100.
    pub limit: i64,
}

/// The groups of a window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FingerprintPage {
    /// The window: from its first moment on, before its last.
    pub window: WindowSpan,
    /// When it was looked at.
    pub as_of: DateTime<Utc>,
    /// The moment in the window before which ended runs are not kept; none: all are.
    pub missing_before: Option<DateTime<Utc>>,
    /// How many failures the window has.
    pub total_failures: i64,
    /// How many groups they make.
    pub total_fingerprints: i64,
    /// The groups, most failures first.
    pub fingerprints: Vec<FingerprintGroup>,
}

/// Failures that say the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FingerprintGroup {
    /// 12 hex digits; empty for failures that have none.
    pub fingerprint: String,
    /// The reason.
    pub reason_code: String,
    /// What a person reads of it.
    pub label: &'static str,
    /// What it says, without ids, numbers and names.
    pub pattern: String,
    /// How many failures.
    pub failures: i64,
    /// In how many runs.
    pub runs: i64,
    /// Of how many tenants; a failure of a run's own has none.
    pub tenants: i64,
    /// The first one.
    pub first_seen_at: DateTime<Utc>,
    /// The last one.
    pub last_seen_at: DateTime<Utc>,
    /// The moment in the window before which ended runs are not kept; none: all are.
    pub missing_before: Option<DateTime<Utc>>,
    /// The newest of them.
    pub sample: Sample,
    /// The runs that have one.
    #[serde(serialize_with = "super::shown")]
    pub filter: RunFilter,
}

/// One failure of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Its run.
    pub run_id: i64,
    /// The run's type.
    #[serde(rename = "type")]
    pub run_type: String,
    /// The tenant.
    pub tenant_id: Option<i64>,
    /// Its name.
    pub tenant_name: Option<String>,
    /// What it says, as stored: sanitised.
    pub message: String,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

impl FingerprintPage {
    /// The whole in one sentence, also where there is nothing.
    pub fn sentence(&self) -> String {
        let noun =
            |count: i64, one: &str| if count == 1 { one.to_owned() } else { format!("{one}s") };
        let (failures, groups, label) =
            (self.total_failures, self.total_fingerprints, self.window.label);
        let missing =
            self.missing_before.map_or_else(String::new, |at| format!("; {}", not_kept(at)));
        if failures == 0 {
            let nothing = if missing.is_empty() { "Nothing" } else { "Nothing that is kept" };
            return format!("{nothing} failed in {label}{missing}.");
        }
        let verb = if failures == 1 { "is" } else { "are" };
        format!(
            "{failures} recorded {} {verb} {groups} {} in {label}{missing}",
            noun(failures, "failure"),
            noun(groups, "error")
        )
    }
}

impl Operation for ListFingerprints {
    const NAME: &'static str = "overview.list_fingerprints";
    const REQUIREMENT: Requirement = DASHBOARD;
    const ACCESS: Access = Access::Read;
    type Output = FingerprintPage;

    async fn execute(self, context: &mut Context) -> Result<FingerprintPage> {
        let limit = if self.limit <= 0 { 100 } else { self.limit.min(MAX_LIMIT) };
        let window = window_of(context, self.window);
        let (now, view) = (context.now(), context.permit().scope());
        let [span, _] = window.of_runs(now);
        let tx = context.tx()?;
        let ((total_failures, total_fingerprints), found, missing_before) = together!(
            tx,
            |tx| rows::totals(tx, view, span),
            |tx| rows::groups(tx, view, span, None, limit),
            |tx| retention::missing_before(tx, Data::Runs, span.from),
        )?;
        let fingerprints = found.into_iter().map(|row| group(row, span, missing_before)).collect();
        let shown = WindowSpan {
            key: window,
            label: window.label(),
            start_at: span.from,
            end_at: span.until,
        };
        Ok(FingerprintPage {
            window: shown,
            as_of: now,
            missing_before,
            total_failures,
            total_fingerprints,
            fingerprints,
        })
    }
}

fn group(row: GroupRow, span: Span, missing_before: Option<DateTime<Utc>>) -> FingerprintGroup {
    let mut sample = row.sample;
    // Again: whoever wrote it may have known fewer rules.
    sample.message = sanitize::message(&sample.message);
    let mut filter = super::in_window(&[], span);
    let kind = if row.fingerprint.is_empty() {
        TermKind::Id(vec![sample.run_id])
    } else {
        TermKind::Fingerprint(vec![row.fingerprint.clone()])
    };
    filter.terms.insert(0, super::term(kind));
    FingerprintGroup {
        label: ReasonCode::of(&sample.reason_code).label(),
        pattern: fingerprint::pattern(&sample.message, &sample.names()),
        fingerprint: row.fingerprint,
        reason_code: sample.reason_code,
        failures: row.failures,
        runs: row.runs,
        tenants: row.tenants,
        first_seen_at: row.first_seen_at,
        last_seen_at: row.last_seen_at,
        missing_before,
        sample: Sample {
            run_id: sample.run_id,
            run_type: sample.run_type,
            tenant_id: sample.tenant_id,
            tenant_name: sample.tenant_name,
            message: sample.message,
            occurred_at: sample.occurred_at,
        },
        filter,
    }
}

impl SampleRow {
    fn names(&self) -> Vec<&str> {
        [&self.tenant_name, &self.workspace_name].into_iter().filter_map(Option::as_deref).collect()
    }
}

/// Reads one group of a window.
#[derive(Debug, Clone)]
pub struct GetFingerprint {
    /// The fingerprint.
    pub fingerprint: String,
    /// How far back; what the person chose last where absent.
    pub window: Option<Window>,
}

impl Operation for GetFingerprint {
    const NAME: &'static str = "overview.get_fingerprint";
    const REQUIREMENT: Requirement = DASHBOARD;
    const ACCESS: Access = Access::Read;
    type Output = FingerprintGroup;

    async fn execute(self, context: &mut Context) -> Result<FingerprintGroup> {
        let window = window_of(context, self.window);
        let (now, view) = (context.now(), context.permit().scope());
        let [span, _] = window.of_runs(now);
        one(context.tx()?, view, span, &self.fingerprint, window.label()).await
    }
}

fn not_kept(before: DateTime<Utc>) -> String {
    format!("ended runs are {NOT_KEPT} before {}", before.format("%Y-%m-%d %H:%M UTC"))
}

/// One group of a window within a view.
pub(super) async fn one(
    tx: &mut Tx,
    view: ViewScope,
    span: Span,
    fingerprint: &str,
    window: &str,
) -> Result<FingerprintGroup> {
    if !fingerprint::is_fingerprint(fingerprint) {
        return Err(Error::usage(format!("{} is not a fingerprint", quoted(fingerprint)))
            .hint("a fingerprint has 12 digits and letters a to f; failures list shows them"));
    }
    let missing = retention::missing_before(tx, Data::Runs, span.from).await?;
    let gone = || {
        let hint = missing.map_or_else(|| "look at a longer window".to_owned(), not_kept);
        Error::not_found(format!("an error with the fingerprint {fingerprint} in {window}"))
            .hint(hint)
    };
    let row = rows::groups(tx, view, span, Some(fingerprint), 1).await?.into_iter().next();
    Ok(group(row.ok_or_else(gone)?, span, missing))
}

/// Gives a fingerprint to failures that were written before there were any. It is done after the
/// schema was brought up to date; a second time finds nothing to do.
#[derive(Debug, Clone, Copy)]
pub struct FillFingerprints;

impl Operation for FillFingerprints {
    const NAME: &'static str = "overview.fill_fingerprints";
    const REQUIREMENT: Requirement = Requirement::SystemOnly;
    const ACCESS: Access = Access::Stepwise;
    /// How many it gave.
    type Output = u64;

    async fn execute(self, context: &mut Context) -> Result<u64> {
        let (mut filled, mut after) = (0, 0);
        loop {
            context.begin_checked(&Self::REQUIREMENT, true).await?;
            let tx = context.tx()?;
            let left = rows::without(tx, after, FILL).await?;
            let Some(last) = left.last() else {
                context.end(false).await?;
                return Ok(filled);
            };
            after = last.id;
            for row in &left {
                let text = fingerprint::fingerprint(&row.reason_code, &row.message, &row.names());
                rows::set(tx, row.id, &text).await?;
                filled += 1;
            }
            context.end(true).await?;
        }
    }
}
