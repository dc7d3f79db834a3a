//! Weeks of runs, oldest first: who ran what, for how long, and what went wrong.

use chrono::{DateTime, Datelike, Duration, Timelike, Utc, Weekday};
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::calendar::{self, Hour};
use super::cast::{Cast, is_throttled};
use super::draft::{Draft, Mishap, Starter, tenant_id};
use super::profile::{PROFILES, Profile};
use super::words;
use crate::domain::failure::ReasonCode;
use crate::domain::run::{RunOutcome, Source};
use crate::ops::runs::RunScope;

/// At most this many failures of one run are written down one by one.
const MISHAPS: u64 = 8;
/// The newest runs that still go on, if there is room for them.
pub const ACTIVE: u64 = 6;
/// So many runs are needed before some of them still go on.
const ENOUGH_FOR_ACTIVE: u64 = 20;
/// The position of the operator among the accounts, and of the one on call.
pub const OPERATOR: usize = 1;
const ON_CALL: usize = 2;

/// Makes the drafts, one after the other.
pub struct History<'a> {
    cast: &'a Cast,
    rng: StdRng,
    now: DateTime<Utc>,
    hours: Box<dyn Iterator<Item = Hour> + Send + 'a>,
    /// The hour at hand, oldest last.
    ready: Vec<Draft>,
    active: u64,
}

impl<'a> History<'a> {
    /// The history of `cast` from `start` until now, of exactly `runs` runs.
    pub fn new(
        cast: &'a Cast,
        start: DateTime<Utc>,
        now: DateTime<Utc>,
        runs: u64,
        rng: StdRng,
    ) -> Self {
        let active = if runs >= ENOUGH_FOR_ACTIVE { ACTIVE } else { 0 };
        let hours = Box::new(calendar::hours(start, now - Duration::minutes(12), runs - active));
        Self { cast, rng, now, hours, ready: Vec::new(), active }
    }
}

impl Iterator for History<'_> {
    type Item = Draft;

    fn next(&mut self) -> Option<Draft> {
        loop {
            if let Some(draft) = self.ready.pop() {
                return Some(draft);
            }
            match self.hours.next() {
                Some(hour) => self.fill(hour),
                None if self.active > 0 => {
                    self.active = 0;
                    self.ready = self.active_now();
                    self.ready.reverse();
                }
                None => return None,
            }
        }
    }
}

impl History<'_> {
    fn fill(&mut self, hour: Hour) {
        let millis = (hour.seconds * 1000).max(1);
        let mut moments: Vec<i64> =
            (0..hour.runs).map(|_| self.rng.random_range(0..millis)).collect();
        moments.sort_unstable();
        let mut drafts = Vec::with_capacity(moments.len());
        for (n, moment) in moments.into_iter().enumerate() {
            let at = hour.start + Duration::milliseconds(moment);
            let draft = match if n == 0 { self.fixed(at) } else { None } {
                Some(draft) => draft,
                None => self.usual(at, hour.scheduled),
            };
            drafts.push(draft);
        }
        drafts.reverse();
        self.ready = drafts;
    }

    /// What always runs at this hour: the schedule's housekeeping, the tenant whose consent
    /// has run out, the operator's weekly maintenance.
    fn fixed(&mut self, at: DateTime<Utc>) -> Option<Draft> {
        let platform = |run_type| (run_type, RunScope::Platform, None, Starter::Nobody);
        let (run_type, scope, tenant, starter) = match (at.hour(), at.weekday()) {
            (2, _) => {
                let tenant = self.cast.expired;
                let scope = RunScope::Tenant(tenant_id(tenant));
                ("policy.sync", scope, Some(tenant), Starter::Nobody)
            }
            (3, _) => platform("product_usage.prune"),
            (4, _) => platform("operations.reconcile_stale"),
            (9, Weekday::Tue) => {
                let operator = Starter::Platform(OPERATOR);
                ("findings.lifecycle_backfill", RunScope::All, None, operator)
            }
            (14, Weekday::Thu) => {
                let at = self.cast.allowed[self.rng.random_range(0..self.cast.allowed.len())];
                let scope = RunScope::Workspace(self.cast.tenants[at].workspace_id);
                ("findings.lifecycle_backfill", scope, None, Starter::Nobody)
            }
            _ => return None,
        };
        let source = match (starter, &scope) {
            (Starter::Platform(_), _) => Source::Console,
            (_, RunScope::Workspace(_)) => Source::DeployHook,
            _ => Source::Schedule,
        };
        let mut draft = self.blank(run_type, scope, tenant, starter, source, at);
        draft.total = u64::try_from(draft.targets(self.cast).len()).unwrap_or(0);
        let expired = tenant.is_some() && at > self.cast.expired_at;
        if expired {
            let took = self.rng.random_range(1..4);
            self.end(&mut draft, took);
            draft.total = 1;
            self.fail(&mut draft, ReasonCode::ProviderAuthExpired, 1);
        } else if tenant.is_some() {
            self.work(&mut draft, &PROFILES[0]);
        } else {
            self.maintain(&mut draft);
        }
        Some(draft)
    }

    /// A run over many tenants or the platform: nearly always well.
    fn maintain(&mut self, draft: &mut Draft) {
        let seconds = 2 + i64::try_from(draft.total).unwrap_or(0) * self.rng.random_range(1..4);
        self.end(draft, seconds.min(3 * 3600));
        draft.updated = draft.total * self.rng.random_range(0..30);
        draft.succeeded = draft.total;
        if draft.total > 4 && self.rng.random_bool(0.5) {
            let failed = self.rng.random_range(1..=draft.total.min(4));
            let targets = draft.targets(self.cast);
            draft.succeeded = draft.total - failed;
            draft.failed = failed;
            draft.outcome = RunOutcome::PartiallySucceeded;
            let first = self.rng.random_range(0..targets.len());
            for n in 0..usize::try_from(failed).unwrap_or(0) {
                let tenant = targets[(first + n * 2 + n) % targets.len()];
                if tenant.is_some_and(|id| draft.failed_tenants.contains(&id)) {
                    draft.failed -= 1;
                    draft.succeeded += 1;
                    continue;
                }
                let reason = [ReasonCode::Conflict, ReasonCode::StepCrashed, ReasonCode::Timeout]
                    [self.rng.random_range(0..3)];
                draft.failed_tenants.extend(tenant);
                self.add_mishap(draft, tenant, reason, n);
            }
        }
    }

    fn usual(&mut self, at: DateTime<Utc>, scheduled: f64) -> Draft {
        let scheduled = self.rng.random_bool(scheduled.clamp(0.0, 1.0));
        if !scheduled && self.rng.random_bool(0.05) {
            return self.by_platform(at);
        }
        let tenant = self.pick_tenant(at);
        let profile = self.pick_profile(scheduled);
        let person = if scheduled { None } else { self.cast.person(tenant, &mut self.rng) };
        let (starter, source) = match person {
            Some(person) => (Starter::Customer(person), Source::Admin),
            None => (Starter::Nobody, Source::Schedule),
        };
        let scope = RunScope::Tenant(tenant_id(tenant));
        let mut draft = self.blank(profile.run_type, scope, Some(tenant), starter, source, at);
        self.work(&mut draft, profile);
        draft
    }

    /// What operators and those on call start: several tenants after an incident, or one.
    fn by_platform(&mut self, at: DateTime<Utc>) -> Draft {
        let office = calendar::is_office_hour(at);
        let starter = Starter::Platform(if office { OPERATOR } else { ON_CALL });
        let source = if self.rng.random_bool(0.6) { Source::Console } else { Source::Cli };
        if self.rng.random_bool(0.4) {
            let mut ids: Vec<i64> = (0..self.rng.random_range(2..7))
                .map(|_| {
                    tenant_id(self.cast.allowed[self.rng.random_range(0..self.cast.allowed.len())])
                })
                .collect();
            ids.sort_unstable();
            ids.dedup();
            let total = u64::try_from(ids.len()).unwrap_or(0);
            let scope = RunScope::Tenants(ids);
            let mut draft = self.blank("inventory.sync", scope, None, starter, source, at);
            draft.total = total;
            self.maintain(&mut draft);
            return draft;
        }
        let tenant = self.cast.allowed[self.rng.random_range(0..self.cast.allowed.len())];
        let scope = RunScope::Tenant(tenant_id(tenant));
        let profile = &PROFILES[if self.rng.random_bool(0.5) { 0 } else { 3 }];
        let mut draft = self.blank(profile.run_type, scope, Some(tenant), starter, source, at);
        self.work(&mut draft, profile);
        draft
    }

    fn pick_tenant(&mut self, at: DateTime<Utc>) -> usize {
        if !self.cast.archived.is_empty() && self.rng.random_bool(0.02) {
            let which = self.rng.random_range(0..self.cast.archived.len());
            let tenant = self.cast.archived[which];
            // It worked until it was archived.
            if self.cast.tenants[tenant]
                .archived_at
                .is_some_and(|end| at + Duration::hours(6) < end)
            {
                return tenant;
            }
        }
        // Some customers are much busier than others.
        let a = self.rng.random_range(0..self.cast.allowed.len());
        let b = self.rng.random_range(0..self.cast.allowed.len());
        self.cast.allowed[a.min(b)]
    }

    fn pick_profile(&mut self, scheduled: bool) -> &'static Profile {
        let weight = |p: &Profile| if scheduled { p.scheduled } else { p.by_people };
        let mut left = self.rng.random_range(0..PROFILES.iter().map(weight).sum());
        for profile in PROFILES {
            match left.checked_sub(weight(profile)) {
                Some(rest) => left = rest,
                None => return profile,
            }
        }
        &PROFILES[0]
    }

    fn blank(
        &mut self,
        run_type: &'static str,
        scope: RunScope,
        tenant: Option<usize>,
        starter: Starter,
        source: Source,
        created_at: DateTime<Utc>,
    ) -> Draft {
        let waited = Duration::milliseconds(self.rng.random_range(300..9_000));
        Draft {
            run_type,
            scope,
            tenant,
            starter,
            source,
            created_at,
            started_at: Some(created_at + waited),
            completed_at: None,
            outcome: RunOutcome::Succeeded,
            blocked: None,
            total: 1,
            succeeded: 0,
            failed: 0,
            skipped: 0,
            updated: 0,
            mishaps: Vec::new(),
            failed_tenants: Vec::new(),
        }
    }

    /// Ends a run after about so many seconds, and in the past.
    fn end(&mut self, draft: &mut Draft, seconds: i64) {
        let started = draft.started_at.unwrap_or(draft.created_at);
        let millis = self.rng.random_range(0..1000);
        let end = started + Duration::seconds(seconds) + Duration::milliseconds(millis);
        draft.completed_at = Some(end.min(self.now - Duration::seconds(30)).max(started));
    }

    /// A single tenant's run, with whatever happens to it.
    fn work(&mut self, draft: &mut Draft, profile: &Profile) {
        draft.total = self.rng.random_range(profile.items.0..=profile.items.1);
        let mut seconds = self.rng.random_range(profile.seconds.0..=profile.seconds.1);
        if self.rng.random_bool(0.03) {
            seconds *= self.rng.random_range(3..9);
        }
        self.end(draft, seconds);
        if let Some(reason) = self.incident(draft) {
            let some = self.rng.random_range(1..=draft.total);
            if some < draft.total && self.rng.random_bool(0.4) {
                self.fail_partly(draft, reason, some);
            } else {
                self.fail(draft, reason, some.min(12));
            }
            return;
        }
        let tenant = draft.tenant.map(|at| &self.cast.tenants[at]);
        let flaky = if tenant.is_some_and(|tenant| tenant.flaky) { 3 } else { 1 };
        match self.rng.random_range(0..1000) {
            n if n < 24 * flaky => {
                let reason = self.reason(draft.run_type);
                let some = self.rng.random_range(1..=draft.total.min(12));
                self.fail(draft, reason, some);
            }
            n if n < 48 * flaky && draft.total > 3 => {
                let reason = self.reason(draft.run_type);
                let some = self.rng.random_range(1..=(draft.total / 6).max(1));
                self.fail_partly(draft, reason, some);
            }
            n if n >= 994 => self.cancel(draft),
            n if n >= 988 => block(draft),
            n if n >= 986 && draft.source == Source::Schedule => self.leave(draft),
            _ => {
                draft.succeeded = draft.total;
                draft.updated = draft.total / self.rng.random_range(2..40);
            }
        }
    }

    /// A throttling provider last night and once before; workers lost in a deployment.
    fn incident(&mut self, draft: &Draft) -> Option<ReasonCode> {
        let ago = self.now - draft.created_at;
        let within =
            |from: i64, to: i64| ago <= Duration::minutes(from) && ago > Duration::minutes(to);
        let throttled = draft.tenant.is_some_and(is_throttled)
            && (within(9 * 60, 7 * 60) || within((11 * 24 + 3) * 60, 11 * 24 * 60));
        if throttled && self.rng.random_bool(0.7) {
            return Some(ReasonCode::ProviderThrottled);
        }
        let lost = within((16 * 24 + 1) * 60, 16 * 24 * 60 + 20);
        (lost && self.rng.random_bool(0.6)).then_some(ReasonCode::WorkerLost)
    }

    fn reason(&mut self, run_type: &str) -> ReasonCode {
        use ReasonCode as R;
        let own = matches!(run_type, "stored_report.create" | "review_pack.generate");
        let choice: &[R] = if own {
            &[
                R::Timeout,
                R::DependencyUnavailable,
                R::DependencyUnavailable,
                R::ValidationFailed,
                R::UnexpectedError,
            ]
        } else {
            &[
                R::ProviderThrottled,
                R::ProviderThrottled,
                R::ProviderUnavailable,
                R::ProviderUnavailable,
                R::PermissionDenied,
                R::PermissionDenied,
                R::Timeout,
                R::Timeout,
                R::Conflict,
                R::ValidationFailed,
                R::DependencyUnavailable,
                R::QuotaExceeded,
                R::UnexpectedError,
            ]
        };
        choice[self.rng.random_range(0..choice.len())]
    }

    /// Nothing succeeded: `failed` items failed, the rest was not tried.
    fn fail(&mut self, draft: &mut Draft, reason: ReasonCode, failed: u64) {
        draft.outcome = RunOutcome::Failed;
        draft.failed = failed;
        draft.skipped = draft.total - failed;
        self.tell(draft, reason);
    }

    fn fail_partly(&mut self, draft: &mut Draft, reason: ReasonCode, failed: u64) {
        draft.outcome = RunOutcome::PartiallySucceeded;
        draft.failed = failed;
        draft.succeeded = draft.total - failed;
        self.tell(draft, reason);
    }

    /// Writes failures down: mostly one reason, sometimes another beside it.
    fn tell(&mut self, draft: &mut Draft, reason: ReasonCode) {
        let tenant = draft.tenant.map(tenant_id);
        for n in 0..usize::try_from(draft.failed.min(MISHAPS)).unwrap_or(0) {
            let other = n > 2 && self.rng.random_bool(0.2);
            let reason = if other { ReasonCode::Timeout } else { reason };
            self.add_mishap(draft, tenant, reason, n);
        }
    }

    fn add_mishap(
        &mut self,
        draft: &mut Draft,
        tenant_id: Option<i64>,
        reason: ReasonCode,
        n: usize,
    ) {
        let start = draft.started_at.unwrap_or(draft.created_at);
        let end = draft.completed_at.unwrap_or(start);
        let part = i32::try_from(n + 1).unwrap_or(1);
        let at = start + (end - start) / 10 * part.min(10);
        let message = words::message(reason, &mut self.rng);
        draft.mishaps.push(Mishap { tenant_id, reason, message, at });
    }

    fn cancel(&mut self, draft: &mut Draft) {
        draft.outcome = RunOutcome::Cancelled;
        draft.succeeded = self.rng.random_range(0..draft.total);
        draft.skipped = draft.total - draft.succeeded;
    }

    /// Nobody claimed it, until it was closed.
    fn leave(&mut self, draft: &mut Draft) {
        draft.started_at = None;
        draft.total = 1;
        self.end(draft, 3600);
        self.fail(draft, ReasonCode::StaleQueued, 1);
        for mishap in &mut draft.mishaps {
            mishap.at = draft.completed_at.unwrap_or(draft.created_at);
        }
    }

    /// What goes on at this moment.
    fn active_now(&mut self) -> Vec<Draft> {
        let allowed = &self.cast.allowed;
        let pick = |n: usize| allowed[(n * 5 + 1) % allowed.len()];
        let own = self.cast.tenants[pick(0)].workspace_id;
        // Queued by a newer version: no worker here knows it, so it waits and is warned of.
        let mut drafts =
            vec![self.active("findings.risk_rescore", RunScope::Workspace(own), None, 11 * 60)];
        let singles = [
            ("inventory.sync", 6 * 60, 640, 402),
            ("policy.sync", 3 * 60, 96, 31),
            ("backup.snapshot", 2 * 60, 140, 22),
            ("review_pack.generate", 40, 1, 0),
            ("stored_report.create", 12, 1, 0),
        ];
        for (n, (run_type, ago, total, done)) in singles.into_iter().enumerate() {
            let tenant = pick(n + 1);
            let scope = RunScope::Tenant(tenant_id(tenant));
            let mut draft = self.active(run_type, scope, Some(tenant), ago);
            draft.total = total;
            draft.succeeded = done;
            if done > 0 {
                draft.started_at = Some(draft.created_at + Duration::seconds(2));
            }
            drafts.push(draft);
        }
        drafts
    }

    fn active(
        &mut self,
        run_type: &'static str,
        scope: RunScope,
        tenant: Option<usize>,
        seconds_ago: i64,
    ) -> Draft {
        let person = tenant.and_then(|at| self.cast.person(at, &mut self.rng));
        let (starter, source) = match (tenant, person) {
            (None, _) => (Starter::Platform(OPERATOR), Source::Cli),
            (_, Some(person)) => (Starter::Customer(person), Source::Admin),
            (_, None) => (Starter::Nobody, Source::Schedule),
        };
        let created_at = self.now - Duration::seconds(seconds_ago);
        let mut draft = self.blank(run_type, scope, tenant, starter, source, created_at);
        draft.started_at = None;
        draft.outcome = RunOutcome::Pending;
        draft.total = u64::try_from(draft.targets(self.cast).len()).unwrap_or(0);
        draft
    }
}

/// Nothing was attempted: the consent had run out meanwhile.
fn block(draft: &mut Draft) {
    draft.outcome = RunOutcome::Blocked;
    draft.blocked = Some(ReasonCode::ProviderAuthExpired);
    draft.total = 1;
    draft.skipped = 1;
    draft.completed_at = draft.started_at;
}
