//! What customers keep besides runs: findings, onboarding, reports, packs, and the telemetry
//! that each of these left.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::calendar;
use super::cast::{Cast, number};
use super::draft::{Draft, Starter, tenant_id};
use super::words;
use crate::domain::run::RunOutcome;
use crate::ops::activity::{EvidenceGroup, PACK_LIFETIME, PACK_TYPE, fingerprint_of};
use crate::ops::seed::{Chunk, EventRow, FindingRow, OnboardingRow, PackRow, ReportRow};

/// At most so many sources of one kind are remembered for events.
const REMEMBERED: usize = 50_000;

/// What a tenant's packs are made of so far: kind, type and outcome, the number of rows, and the newest.
/// The findings are made later.
type Evidence = BTreeMap<[&'static str; 3], (i64, DateTime<Utc>)>;

/// Something that leaves one event.
#[derive(Debug, Clone, Copy)]
struct Source {
    id: i64,
    tenant: u32,
    user: u32,
    at: DateTime<Utc>,
    /// The run's type, or the report's, or the checkpoint.
    word: &'static str,
    flags: (bool, bool),
}

/// Notes what left traces, and makes the rows of it.
pub struct Records<'a> {
    cast: &'a Cast,
    rng: StdRng,
    start: DateTime<Utc>,
    now: DateTime<Utc>,
    started: Vec<Source>,
    /// Starts that went through the operation, which left their event.
    played: Vec<Source>,
    recorded: u64,
    reports: Vec<Source>,
    packs: Vec<Source>,
    onboarding: Vec<Source>,
    /// Per position of a tenant.
    evidence: Vec<Evidence>,
    next_report: i64,
    next_pack: i64,
}

impl<'a> Records<'a> {
    /// For `cast`, from `start` until `now`.
    pub fn new(cast: &'a Cast, start: DateTime<Utc>, now: DateTime<Utc>, rng: StdRng) -> Self {
        Self {
            cast,
            rng,
            start,
            now,
            started: Vec::new(),
            played: Vec::new(),
            recorded: 0,
            reports: Vec::new(),
            packs: Vec::new(),
            onboarding: Vec::new(),
            evidence: vec![Evidence::new(); cast.tenants.len()],
            next_report: 1,
            next_pack: 1,
        }
    }

    /// Onboarding checkpoints of every tenant.
    pub fn onboard(&mut self) -> Chunk {
        let mut chunk = Chunk::default();
        for at in 0..self.cast.tenants.len() {
            let Some(user) = self.cast.person(at, &mut self.rng) else { continue };
            let tenant = &self.cast.tenants[at];
            let reached = self.rng.random_range(3..=words::CHECKPOINTS.len());
            let days = self.rng.random_range(6..34);
            let span = (self.now - self.start).num_days().max(1);
            let mut when = self.now - Duration::days(days.min(span));
            let mut last_completed_checkpoint = None;
            for (n, checkpoint_key) in words::CHECKPOINTS.iter().copied().enumerate().take(reached)
            {
                let begun = when;
                when += Duration::minutes(self.rng.random_range(20..1400));
                let done =
                    (n + 1 < reached || reached == words::CHECKPOINTS.len()) && when < self.now;
                let id = number(chunk.onboarding.len() + 1);
                if done {
                    last_completed_checkpoint = Some(checkpoint_key);
                }
                chunk.onboarding.push(OnboardingRow {
                    id,
                    workspace_id: tenant.workspace_id,
                    tenant_id: tenant.id,
                    user_id: self.cast.users[user].0,
                    checkpoint_key,
                    lifecycle_state: if done { "completed" } else { "in_progress" },
                    created_at: begun,
                    updated_at: if done { when } else { begun },
                    completed_at: done.then_some(when),
                    last_completed_checkpoint,
                });
                if !done {
                    break;
                }
                remember(&mut self.onboarding, source(id, at, user, when, checkpoint_key));
            }
        }
        chunk
    }

    /// What a run left: its report or pack, and who started it.
    pub fn note(&mut self, chunk: &mut Chunk, run_id: i64, draft: &Draft) {
        self.note_start(chunk, run_id, draft, false);
    }

    /// The same of a run that was played: its start is in the ledger already.
    pub fn note_played(&mut self, chunk: &mut Chunk, run_id: i64, draft: &Draft) {
        self.note_start(chunk, run_id, draft, true);
    }

    /// How many events are in the ledger already.
    pub fn recorded(&self) -> u64 {
        self.recorded
    }

    fn note_start(&mut self, chunk: &mut Chunk, run_id: i64, draft: &Draft, played: bool) {
        let Some(at) = draft.tenant else { return };
        if let Some(end) = draft.completed_at
            && draft.run_type != PACK_TYPE
        {
            self.add_evidence(at, ["run", draft.run_type, draft.outcome.as_str()], end);
        }
        let Starter::Customer(user) = draft.starter else { return };
        let start = source(run_id, at, user, draft.created_at, draft.run_type);
        if played {
            self.recorded += 1;
            remember(&mut self.played, start);
        } else {
            remember(&mut self.started, start);
        }
        let tenant = &self.cast.tenants[at];
        match (draft.run_type, draft.completed_at) {
            ("stored_report.create", Some(end)) if draft.outcome == RunOutcome::Succeeded => {
                let report_type = words::report(&mut self.rng);
                let id = self.next_report;
                self.next_report += 1;
                chunk.reports.push(ReportRow {
                    id,
                    workspace_id: tenant.workspace_id,
                    tenant_id: tenant.id,
                    run_id,
                    report_type,
                    created_at: end,
                });
                self.add_evidence(at, ["report", report_type, ""], end);
                remember(&mut self.reports, source(id, at, user, end, report_type));
            }
            (PACK_TYPE, end) => {
                let id = self.next_pack;
                self.next_pack += 1;
                let (operations, pii) = (self.rng.random_bool(0.7), self.rng.random_bool(0.2));
                let status = match (end, draft.outcome) {
                    (None, _) => "requested",
                    (_, RunOutcome::Succeeded | RunOutcome::PartiallySucceeded) => "ready",
                    _ => "failed",
                };
                // Until it is ready, its request counts.
                let since = end.filter(|_| status == "ready").unwrap_or(draft.created_at);
                chunk.packs.push(PackRow {
                    id,
                    workspace_id: tenant.workspace_id,
                    tenant_id: tenant.id,
                    run_id,
                    status,
                    include_operations: operations,
                    include_pii: pii,
                    created_at: draft.created_at,
                    expires_at: since + PACK_LIFETIME,
                    evidence_fingerprint: self.fingerprint(at, operations),
                });
                let mut pack = source(id, at, user, draft.created_at, "");
                pack.flags = (operations, pii);
                remember(&mut self.packs, pack);
            }
            _ => {}
        }
    }

    fn add_evidence(&mut self, tenant: usize, kind: [&'static str; 3], at: DateTime<Utc>) {
        let (rows, newest) = self.evidence[tenant].entry(kind).or_insert((0, at));
        *rows += 1;
        *newest = at.max(*newest);
    }

    fn fingerprint(&self, tenant: usize, include_operations: bool) -> String {
        let kinds = self.evidence[tenant].iter();
        let kinds = kinds.filter(|([kind, ..], _)| include_operations || *kind != "run");
        let made = kinds.map(|(kind, (rows, newest))| EvidenceGroup {
            kind: kind.join(" "),
            rows: *rows,
            newest: Some(*newest),
        });
        // Stands for the findings: those of another tenant are others.
        let findings = EvidenceGroup {
            kind: "findings of tenant".to_owned(),
            rows: self.cast.tenants[tenant].id,
            newest: None,
        };
        fingerprint_of(std::iter::once(findings).chain(made))
    }

    /// What is missing to `count` events, in chunks; each has a source that exists, and everything but
    /// the opening of diagnostics leaves at most one.
    pub fn events(&mut self, count: u64) -> impl Iterator<Item = Chunk> + Send + '_ {
        let missing = count.saturating_sub(self.recorded);
        let count = usize::try_from(missing).unwrap_or(usize::MAX);
        // The ids of what is there are below, also where some were given out in vain.
        let taken = match i64::try_from(self.recorded).unwrap_or(0) {
            0 => 0,
            recorded => recorded * 2 + 1_000,
        };
        let quota = |percent: usize, from: &[Source]| (count / 100 * percent).min(from.len());
        let quotas = [
            quota(42, &self.started),
            quota(9, &self.reports),
            quota(8, &self.packs),
            quota(13, &self.onboarding),
        ];
        let mut made = 0_usize;
        std::iter::from_fn(move || {
            let mut chunk = Chunk::default();
            while made < count && chunk.events.len() < super::seed::CHUNK {
                let mut place = made;
                made += 1;
                let mut event = None;
                for (kind, quota) in quotas.iter().copied().enumerate() {
                    if place < quota {
                        event = Some(self.event_of(kind, place, quota));
                        break;
                    }
                    place -= quota;
                }
                let event = event.unwrap_or_else(|| self.diagnostics());
                chunk.events.push(EventRow { id: taken + number(made), ..event });
            }
            (!chunk.events.is_empty()).then_some(chunk)
        })
    }

    fn event_of(&self, kind: usize, place: usize, quota: usize) -> EventRow {
        let sources = [&self.started, &self.reports, &self.packs, &self.onboarding][kind];
        let source = sources[place * sources.len() / quota];
        let (name, area, subject, metadata) = match kind {
            0 => (
                "product.operations.started",
                "operations",
                "operation_run",
                json!({ "operation_type": source.word }),
            ),
            1 => (
                "product.stored_report.created",
                "stored_reports",
                "stored_report",
                json!({ "report_type": source.word }),
            ),
            2 => (
                "product.review_pack.requested",
                "review_pack",
                "review_pack",
                json!({ "source_surface": "tenant_review",
                        "include_operations": source.flags.0, "include_pii": source.flags.1 }),
            ),
            _ => (
                "product.onboarding.checkpoint_completed",
                "onboarding",
                "tenant_onboarding_session",
                json!({ "checkpoint_key": source.word, "lifecycle_state": "completed",
                        "completed_at": source.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true) }),
            ),
        };
        self.event(&source, name, area, subject, metadata)
    }

    /// A customer opens diagnostics: of a run of theirs, or of a tenant.
    fn diagnostics(&mut self) -> EventRow {
        let name = "product.support_diagnostics.opened";
        let starts = if self.started.is_empty() { &self.played } else { &self.started };
        if !starts.is_empty() && self.rng.random_bool(0.4) {
            let mut source = starts[self.rng.random_range(0..starts.len())];
            let later = source.at + Duration::minutes(self.rng.random_range(1..90));
            source.at = later.min(self.now);
            let metadata =
                json!({ "source_surface": "operation_run_viewer", "operation_type": source.word });
            return self.event(&source, name, "support_diagnostics", "operation_run", metadata);
        }
        let at = self.cast.allowed[self.rng.random_range(0..self.cast.allowed.len())];
        let user = self.cast.person(at, &mut self.rng).unwrap_or_default();
        let mut when = self.moment();
        for _ in 0..4 {
            if !calendar::is_office_hour(when) {
                when = self.moment();
            }
        }
        let source = source(tenant_id(at), at, user, when, "");
        let metadata = json!({ "source_surface": "tenant_dashboard" });
        self.event(&source, name, "support_diagnostics", "tenant", metadata)
    }

    fn event(
        &self,
        source: &Source,
        event_name: &'static str,
        feature_area: &'static str,
        subject_type: &'static str,
        metadata: Value,
    ) -> EventRow {
        let tenant = &self.cast.tenants[source.tenant as usize];
        EventRow {
            id: 0,
            workspace_id: tenant.workspace_id,
            tenant_id: tenant.id,
            user_id: self.cast.users[source.user as usize].0,
            event_name,
            feature_area,
            subject_type,
            subject_id: source.id.to_string(),
            metadata,
            occurred_at: source.at,
        }
    }

    fn moment(&mut self) -> DateTime<Utc> {
        let span = (self.now - self.start).num_seconds().max(2);
        self.start + Duration::seconds(self.rng.random_range(1..span))
    }

    /// `count` findings in chunks: some of an older time, without what a lifecycle needs and
    /// with duplicates, so that a backfill has work.
    pub fn findings(&mut self, count: u64) -> impl Iterator<Item = Chunk> + Send + '_ {
        let mut made = 0_u64;
        let mut original: Option<FindingRow> = None;
        std::iter::from_fn(move || {
            let mut chunk = Chunk::default();
            while made < count && chunk.findings.len() < super::seed::CHUNK {
                made += 1;
                let id = i64::try_from(made).unwrap_or(i64::MAX);
                let again = original.take().filter(|_| self.rng.random_bool(0.12));
                let row = match again {
                    Some(newer) => self.finding_again(id, &newer),
                    None => self.finding(id),
                };
                original = (row.status != "duplicate").then(|| row.clone());
                chunk.findings.push(row);
            }
            (!chunk.findings.is_empty()).then_some(chunk)
        })
    }

    fn finding(&mut self, id: i64) -> FindingRow {
        let at = self.cast.allowed[self.rng.random_range(0..self.cast.allowed.len())];
        let tenant = &self.cast.tenants[at];
        let (severity, rule, title) =
            words::FINDINGS[self.rng.random_range(0..words::FINDINGS.len())];
        let days: i64 = match severity {
            "critical" => 3,
            "high" => 7,
            "medium" => 14,
            _ => 30,
        };
        let created_at = self.moment();
        let seen = created_at + Duration::hours(self.rng.random_range(1..200));
        let seen = seen.min(self.now);
        let (workspace_id, tenant_id) = (tenant.workspace_id, tenant.id);
        let status = match self.rng.random_range(0..100) {
            n if n < 24 => "open",
            n if n < 36 => "acknowledged",
            n if n < 56 => "new",
            n if n < 72 => "triaged",
            _ => "resolved",
        };
        let legacy = matches!(status, "open" | "acknowledged");
        FindingRow {
            id,
            workspace_id,
            tenant_id,
            recurrence_key: format!("{rule}:{:06x}", self.rng.random_range(0..0xff_ffff)),
            title,
            severity,
            status,
            first_seen_at: (!legacy).then_some(created_at),
            last_seen_at: (!legacy).then_some(seen),
            times_seen: (!legacy).then(|| self.rng.random_range(1..9)),
            sla_days: (!legacy).then_some(days),
            due_at: (!legacy).then(|| created_at + Duration::days(days)),
            duplicate_of_id: None,
            created_at,
            updated_at: if legacy { created_at } else { seen },
        }
    }

    /// The same finding, seen earlier: legacy ones stand side by side, newer ones are linked.
    fn finding_again(&mut self, id: i64, newer: &FindingRow) -> FindingRow {
        let legacy = matches!(newer.status, "open" | "acknowledged");
        let before = newer.created_at - Duration::hours(self.rng.random_range(4..300));
        FindingRow {
            id,
            status: if legacy { newer.status } else { "duplicate" },
            duplicate_of_id: (!legacy).then_some(newer.id),
            first_seen_at: newer.first_seen_at.map(|_| before),
            last_seen_at: newer.last_seen_at.map(|_| before),
            times_seen: newer.times_seen.map(|_| 1),
            due_at: None,
            created_at: before,
            updated_at: if legacy { before } else { newer.updated_at },
            ..newer.clone()
        }
    }
}

fn source(id: i64, tenant: usize, user: usize, at: DateTime<Utc>, word: &'static str) -> Source {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Source { id, tenant: small(tenant), user: small(user), at, word, flags: (false, false) }
}

/// Keeps the newest: what is remembered does not grow with the history.
fn remember(sources: &mut Vec<Source>, source: Source) {
    if sources.len() == REMEMBERED {
        sources.drain(..REMEMBERED / 2);
    }
    sources.push(source);
}
