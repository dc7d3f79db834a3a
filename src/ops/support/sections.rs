//! The sections of a bundle: what is read for each, and why one is empty.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use super::tenants::SUMMED_DAYS;
use super::{RunTenant, SupportTenant, evidence::covers_many};
use crate::Result;
use crate::access::ViewScope;
use crate::domain::capability::Capability;
use crate::domain::count::count;
use crate::domain::failure::{ReasonCode, one_sentence_summary};
use crate::domain::run::Run;
use crate::domain::run_state::RunState;
use crate::domain::summary_counts::CountKey;
use crate::domain::support::{Bundle, Fact, Item, Section, SectionKey};
use crate::ops::store::diagnostics::{self as rows, TenantFailure};
use crate::ops::store::{Tx, run_read};

/// How many runs a bundle lists.
const RUNS: i64 = 10;
/// How many failures of a run a bundle lists.
const FAILURES: i64 = 10;
/// How many connections, reports and packs a bundle lists, each.
const FEW: i64 = 5;
/// How many audit rows a bundle lists.
const TRAIL: i64 = 20;

/// A subject as it was found.
pub(super) struct Found {
    pub tenant: SupportTenant,
    pub run: Option<Run>,
    pub share: Option<RunTenant>,
    pub now: DateTime<Utc>,
}

/// Reads a bundle: all sections, empty ones with their reason.
pub(super) async fn bundle(
    tx: &mut Tx,
    found: &Found,
    view: ViewScope,
    may_audit: bool,
) -> Result<Bundle> {
    let runs = runs(tx, found, view).await?;
    let mut sections = vec![
        provider_connection(tx, found).await?,
        runs,
        findings(tx, found).await?,
        stored_reports(tx, found).await?,
        review_packs(tx, found).await?,
        audit_trail(tx, found, may_audit).await?,
    ];
    let newest = sections.iter().filter_map(|section| section.newest_at).max();
    sections.insert(0, overview(tx, found, newest).await?);
    Ok(Bundle { opened_at: found.now, sections })
}

/// Codes, counts and times of a run, and of the tenant's share of it.
pub(super) async fn run_reference(tx: &mut Tx, found: &Found, run: &Run) -> Result<Vec<Fact>> {
    let mut facts = run_facts(run, found.now);
    facts.push(Fact::new("scope", run.scope.as_str()));
    facts.push(Fact::new("identity_hash", run.identity_hash.clone()));
    if let Some(share) = found.share.as_ref().filter(|_| covers_many(run)) {
        facts.push(Fact::new("tenant_status", share.status.clone()));
        facts.push(Fact::new("tenant_reason_code", share.reason_code.clone()));
    }
    let reasons = rows::run_reasons(tx, run.id, found.tenant.id).await?;
    if !reasons.is_empty() {
        let words: Vec<String> =
            reasons.iter().map(|(reason, count)| format!("{reason} x{count}")).collect();
        facts.push(Fact::new("failures_by_reason", words.join(", ")));
    }
    Ok(facts)
}

async fn overview(tx: &mut Tx, found: &Found, newest: Option<DateTime<Utc>>) -> Result<Section> {
    let since = found.now - Duration::days(SUMMED_DAYS);
    let tenant = &found.tenant;
    let mut missing_before = None;
    let (headline, issue, affected) = if let Some(run) = &found.run {
        let reasons = rows::run_reasons(tx, run.id, tenant.id).await?;
        let issue = reasons.first().map(|(reason, _)| reason.clone());
        let affected = reasons.first().map(|(_, count)| *count);
        let headline = run_headline(tx, run, found.now).await?;
        (headline, issue.or_else(|| run.reason_code.clone()), affected)
    } else {
        let sums = rows::run_sums(tx, tenant.id, since).await?;
        let main = rows::main_reason(tx, tenant.id, since).await?;
        missing_before = sums.missing_before;
        let headline = match (sums.total, sums.failed.unwrap_or(0)) {
            (None, _) => format!("no run of its own of the last {SUMMED_DAYS} days is kept"),
            (Some(0), _) => format!("no run of its own in the last {SUMMED_DAYS} days"),
            (Some(total), failed) => {
                let failed = if failed == 0 { "none".to_owned() } else { failed.to_string() };
                let kept = if missing_before.is_some() { "kept run" } else { "run" };
                let runs = count(total, kept);
                format!("{failed} of {runs} of the last {SUMMED_DAYS} days failed")
            }
        };
        (headline, main.as_ref().map(|(reason, _)| reason.clone()), main.map(|(_, n)| n))
    };
    let mut facts = vec![
        Fact::new("headline", headline),
        Fact::new("dominant_issue", issue.clone().unwrap_or_else(|| "none".to_owned())),
    ];
    if let Some(code) = &issue {
        let reason = ReasonCode::of(code);
        facts.push(Fact::new("dominant_issue_means", reason.explanation()));
        facts.push(Fact::new("next_step", reason.next_step()));
    }
    if let Some(count) = affected {
        let name = if found.run.is_some() { "failures_of_it" } else { "runs_of_it" };
        facts.push(Fact::new(name, count));
    }
    facts.push(Fact::new("workspace_id", tenant.workspace_id));
    facts.push(Fact::new("workspace", tenant.workspace_name.clone()));
    facts.push(Fact::new("tenant_id", tenant.id));
    facts.push(Fact::new("tenant", tenant.name.clone()));
    if tenant.archived_at.is_some() {
        facts.push(Fact::at("archived_at", tenant.archived_at));
    }
    if tenant.is_platform {
        facts.push(Fact::new("platforms_own", true));
    }
    if missing_before.is_some() {
        facts.push(Fact::at("ended_runs_not_kept_before", missing_before));
    }
    facts.push(Fact::at("newest_activity_at", newest));
    facts.push(Fact::at("opened_at", Some(found.now)));
    let item = Item::new(SectionKey::Overview, "summary", facts);
    Ok(Section::new(SectionKey::Overview, vec![item], newest, ""))
}

async fn run_headline(tx: &mut Tx, run: &Run, now: DateTime<Utc>) -> Result<String> {
    let count = |key| run.summary_counts.get(key).unwrap_or(0);
    let groups: Vec<(String, u64)> = run_read::failure_groups(tx, run.id)
        .await?
        .into_iter()
        .map(|(reason, count)| (reason, u64::try_from(count).unwrap_or(0)))
        .collect();
    let (failed, skipped) = (count(CountKey::Failed), count(CountKey::Skipped));
    let state = RunState::of(run, now).word();
    let sentence =
        one_sentence_summary(failed, skipped, count(CountKey::Total), run.target_count, &groups);
    Ok(format!("{state}: {sentence}"))
}

async fn provider_connection(tx: &mut Tx, found: &Found) -> Result<Section> {
    let connections = rows::connections(tx, found.tenant.id, FEW).await?;
    let newest = connections.iter().filter_map(|connection| connection.last_checked_at).max();
    let items = connections
        .into_iter()
        .map(|connection| {
            let facts = vec![
                Fact::new("provider", connection.provider),
                Fact::new("status", connection.status),
                Fact::new("last_error_code", connection.last_error_code),
                Fact::at("last_checked_at", connection.last_checked_at),
                Fact::at("consent_expires_at", connection.consent_expires_at),
            ];
            Item::new(
                SectionKey::ProviderConnection,
                format!("connection {}", connection.id),
                facts,
            )
        })
        .collect();
    let why = "no provider was ever connected to this tenant";
    Ok(Section::new(SectionKey::ProviderConnection, items, newest, why))
}

async fn runs(tx: &mut Tx, found: &Found, view: ViewScope) -> Result<Section> {
    let mut items = Vec::new();
    let recent = rows::runs(tx, found.tenant.id, view, RUNS).await?;
    let mut newest = recent.iter().map(|run| run.updated_at).max();
    let mut left_out = 0;
    if let Some(run) = &found.run {
        newest = newest.max(Some(run.updated_at));
        let mut item = run_item(run, found.now);
        item.facts.insert(0, Fact::new("subject", true));
        items.push(item);
        let key = (run.id, found.tenant.id);
        let (failures, total) = rows::run_failures(tx, key, FAILURES).await?;
        left_out = total - i64::try_from(failures.len()).unwrap_or(total);
        items.extend(failures.into_iter().map(failure_item));
    } else if let Some(failed) = recent.iter().find(|run| run.reason_code.is_some()) {
        // The newest failure says more than the newest ten successes.
        let key = (failed.id, found.tenant.id);
        let (failures, _) = rows::run_failures(tx, key, FEW).await?;
        items.push(run_item(failed, found.now));
        items.extend(failures.into_iter().map(failure_item));
    }
    let shown: Vec<String> = items.iter().map(|item| item.path.clone()).collect();
    let others = recent.iter().map(|run| run_item(run, found.now));
    items.extend(others.filter(|item| !shown.contains(&item.path)));
    let mut section =
        Section::new(SectionKey::Runs, items, newest, "no run of this tenant is kept");
    section.more = left_out.max(0);
    Ok(section)
}

fn run_item(run: &Run, now: DateTime<Utc>) -> Item {
    let mut facts = vec![Fact::new("type", run.run_type.clone())];
    facts.extend(run_facts(run, now));
    Item::new(SectionKey::Runs, format!("run {}", run.id), facts)
}

/// What is told of a run wherever it is told of: its initiator by plane, never by name.
fn run_facts(run: &Run, now: DateTime<Utc>) -> Vec<Fact> {
    let by = match (run.user_id, run.platform_user_id) {
        (Some(_), _) => "customer",
        (_, Some(_)) => "platform user",
        _ => "system",
    };
    let mut facts = vec![
        Fact::new("state", RunState::of(run, now).word()),
        Fact::new("outcome", run.outcome.as_str()),
        Fact::new("reason_code", run.reason_code.clone()),
        Fact::new("source", run.source.as_str()),
        Fact::new("started_by", by),
        Fact::at("created_at", Some(run.created_at)),
        Fact::at("started_at", run.started_at),
        Fact::at("completed_at", run.completed_at),
    ];
    facts.extend(run.summary_counts.iter().map(|(key, n)| Fact::new(key.as_str(), n)));
    if run.break_glass {
        facts.push(Fact::new("break_glass", true));
    }
    facts
}

fn failure_item(failure: TenantFailure) -> Item {
    let facts = vec![
        Fact::new("run_id", failure.run_id),
        Fact::new("reason_code", failure.reason_code),
        Fact::new("message", failure.message),
        Fact::new("fingerprint", failure.fingerprint),
        Fact::at("occurred_at", Some(failure.occurred_at)),
    ];
    Item::new(SectionKey::Runs, format!("failure {}", failure.id), facts)
}

async fn findings(tx: &mut Tx, found: &Found) -> Result<Section> {
    let sums = rows::findings(tx, found.tenant.id, found.now).await?;
    let newest = sums.iter().filter_map(|sums| sums.newest_at).max();
    let items = sums
        .into_iter()
        .map(|sums| {
            let facts = vec![
                Fact::new("open", sums.open),
                Fact::new("overdue", sums.overdue),
                Fact::new("closed", sums.total - sums.open),
                Fact::at("newest_change_at", sums.newest_at),
            ];
            Item::new(SectionKey::Findings, format!("{} findings", sums.severity), facts)
        })
        .collect();
    Ok(Section::new(SectionKey::Findings, items, newest, "the tenant has no findings"))
}

async fn stored_reports(tx: &mut Tx, found: &Found) -> Result<Section> {
    let (reports, total) = rows::reports(tx, found.tenant.id, FEW).await?;
    let newest = reports.first().map(|report| report.created_at);
    let items = reports
        .into_iter()
        .map(|report| {
            let facts = vec![
                Fact::new("report_type", report.code),
                Fact::new("run_id", report.run_id),
                Fact::at("created_at", Some(report.created_at)),
            ];
            Item::new(SectionKey::StoredReports, format!("report {}", report.id), facts)
        })
        .collect();
    let why = "no report of this tenant is kept";
    Ok(Section::new(SectionKey::StoredReports, items, newest, why).and_more(total))
}

async fn review_packs(tx: &mut Tx, found: &Found) -> Result<Section> {
    let (packs, total) = rows::packs(tx, found.tenant.id, FEW).await?;
    let newest = packs.first().map(|pack| pack.created_at);
    let items = packs
        .into_iter()
        .map(|pack| {
            let facts = vec![
                Fact::new("status", pack.code),
                Fact::new("run_id", pack.run_id),
                Fact::at("created_at", Some(pack.created_at)),
            ];
            Item::new(SectionKey::ReviewPacks, format!("review pack {}", pack.id), facts)
        })
        .collect();
    let why = "no review pack of this tenant is kept";
    Ok(Section::new(SectionKey::ReviewPacks, items, newest, why).and_more(total))
}

async fn audit_trail(tx: &mut Tx, found: &Found, may_audit: bool) -> Result<Section> {
    let key = SectionKey::AuditTrail;
    if !may_audit {
        let why = format!("not shown: this needs the capability {}", Capability::AuditView);
        return Ok(Section::new(key, Vec::new(), None, &why));
    }
    let run_id = found.run.as_ref().map(|run| run.id);
    let trail = rows::trail(tx, found.tenant.id, run_id, TRAIL).await?;
    let newest = trail.first().map(|row| row.occurred_at);
    let items = trail
        .into_iter()
        .map(|row| {
            let mut facts = vec![
                Fact::new("action", row.action),
                Fact::new("status", row.status),
                Fact::new("actor", row.actor_kind.replace('_', " ")),
                Fact::new("actor_id", row.actor_id),
                Fact::new("run_id", row.run_id),
                Fact::at("occurred_at", Some(row.occurred_at)),
            ];
            if row.break_glass {
                facts.push(Fact { name: "break_glass".to_owned(), value: json!(true) });
            }
            Item::new(key, format!("audit row {}", row.id), facts)
        })
        .collect();
    let why = match run_id {
        Some(_) => "no audited action was ever about this run",
        None => "no audited action was ever about this tenant",
    };
    Ok(Section::new(key, items, newest, why))
}
