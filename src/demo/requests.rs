//! Requests for support that the demo's people have sent, through the operations.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use super::seed::DEMO_PASSWORD;
use crate::access::{Actor, ClientKind};
use crate::domain::run::Run;
use crate::domain::run_filter::RunFilter;
use crate::domain::support::{Draft, Reference, Severity};
use crate::ops::auth::{Login, Logout};
use crate::ops::runs::{ListRuns, Page};
use crate::ops::support::{Compose, CreateRequest, DiagnosticsSubject};
use crate::ops::{Ops, password};
use crate::{Clock, Result};

/// Where the demo's people sit.
const ORIGIN: &str = "demo";

/// A request: minutes before now, its sender, which of the newest failed runs it is about, and
/// whether it is about the run or about its tenant.
struct Told {
    minutes: i64,
    sender: &'static str,
    run: usize,
    of_run: bool,
    severity: Severity,
    summary: &'static str,
    notes: &'static str,
    contact: (&'static str, &'static str),
}

const TOLD: &[Told] = &[
    Told {
        minutes: 205,
        sender: "oncall",
        run: 6,
        of_run: false,
        severity: Severity::Low,
        summary: "The customer asks how long their reports are kept",
        notes: "",
        contact: ("", ""),
    },
    Told {
        minutes: 96,
        sender: "operator",
        run: 4,
        of_run: true,
        severity: Severity::Normal,
        summary: "Fails on each try, while the tenant's other work succeeds",
        notes: "1. open the run\n2. retry what failed\n3. it fails again within seconds",
        contact: ("Operations desk", "operations@tenantpilot.example"),
    },
    Told {
        minutes: 52,
        sender: "oncall",
        run: 2,
        of_run: true,
        severity: Severity::High,
        summary: "Customer waits for this run before their audit on Thursday",
        notes: "They called twice. The last good run was yesterday.\n\
                Their log says: login of admin@customer.example with password=Winter-2026 refused",
        contact: ("On call", "oncall@tenantpilot.example"),
    },
    Told {
        minutes: 9,
        sender: "oncall",
        run: 0,
        of_run: true,
        severity: Severity::Blocking,
        summary: "Nothing of this tenant is processed any more",
        notes: "Every run of the last hour ended like this one.",
        contact: ("On call", "oncall@tenantpilot.example"),
    },
];

/// Sends them; gives how many.
pub async fn send(ops: &Ops, now: DateTime<Utc>) -> Result<usize> {
    let mut sent = 0;
    for told in TOLD {
        let at = now - Duration::minutes(told.minutes);
        let ops = ops.with_clock(Clock::fixed(at));
        let anonymous = Actor::Anonymous { origin: ORIGIN.to_owned() };
        let secret = password::secret(DEMO_PASSWORD.to_owned());
        let login = Login::with(told.sender, secret, ClientKind::Console);
        let (session, _) = ops.run(&anonymous, login).await?;
        let actor = &session.actor;
        let before = at.format("%Y-%m-%dT%H:%M:%SZ");
        let filter = RunFilter::parse(&format!("status:failed until:{before}")).unwrap_or_default();
        let list = ListRuns { filter, page: Page::Newest, limit: 50 };
        let runs = ops.run(actor, list).await?.runs;
        let of_one = |run: &Run| Some((run.id, run.tenant_id?));
        let single: Vec<(i64, i64)> = runs.iter().filter_map(of_one).collect();
        if let Some((run_id, tenant_id)) = single.get(told.run).or(single.last()).copied() {
            let subject = if told.of_run {
                DiagnosticsSubject::Run { run_id, tenant_id: Some(tenant_id) }
            } else {
                DiagnosticsSubject::Tenant(tenant_id)
            };
            let evidence = Arc::new(ops.run(actor, Compose { subject, attach: true }).await?);
            let draft = Draft {
                severity: told.severity,
                summary: told.summary.to_owned(),
                notes: told.notes.to_owned(),
                contact_name: told.contact.0.to_owned(),
                contact_email: told.contact.1.to_owned(),
                ..Draft::default()
            };
            ops.run(actor, CreateRequest { evidence, draft, reference: Reference::new(at) })
                .await?;
            sent += 1;
        }
        ops.run(actor, Logout).await?;
    }
    Ok(sent)
}
