//! Starting runbooks as everybody does: a preflight, and then its plan with the phrase.

use serde_json::{Value, json};
use tenantpilot::Error;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::CapabilitySet;
use tenantpilot::domain::confirmation::Given;
use tenantpilot::domain::rollout::Rollout;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::start_reason::{StartReason, StartReasonCode};
use tenantpilot::ops::plans::{Plan, Preflight};
use tenantpilot::ops::runbooks::StartRunbook;
use tenantpilot::ops::runs::{RunScope, Started};
use tenantpilot::ops::users::SetCapabilities;
use tenantpilot::ops::{Consent, Ops};

use super::stores::Store;

/// A start that somebody wishes for.
#[derive(Debug, Clone)]
pub struct Wish {
    pub key: String,
    pub scope: RunScope,
    pub inputs: Value,
    pub rollout: Rollout,
    pub source: Source,
    pub request_id: Option<String>,
}

impl Wish {
    /// A wish without inputs. The schedule is never told that there is nothing to do.
    pub fn new(key: &str, scope: RunScope) -> Self {
        Self {
            key: key.to_owned(),
            scope,
            inputs: json!({}),
            rollout: Rollout::default(),
            source: Source::Schedule,
            request_id: None,
        }
    }

    /// Its plan.
    pub async fn plan(&self, ops: &Ops, actor: &Actor) -> Result<Plan, Error> {
        let (key, scope, inputs) = (self.key.clone(), self.scope.clone(), self.inputs.clone());
        ops.run(actor, Preflight { key, scope, inputs, progress: None }).await
    }

    /// The start of a plan, with everything that it asks for.
    pub fn start(&self, plan: &Plan) -> StartRunbook {
        StartRunbook {
            plan_hash: Some(plan.hash.clone()),
            scope: Some(self.scope.clone()),
            rollout: self.rollout,
            consent: Consent::typed(plan.phrase.clone()).because(Some(reason())),
            request_id: self.request_id.clone(),
            wait_for_worker: true,
            ..StartRunbook::of_plan(&self.key, plan.id, self.source)
        }
    }

    /// Preflight and start.
    pub async fn begin(&self, ops: &Ops, actor: &Actor) -> Result<Started, Error> {
        let plan = self.plan(ops, actor).await?;
        ops.run(actor, self.start(&plan)).await
    }
}

/// A reason that holds.
pub fn reason() -> StartReason {
    StartReason::as_typed(StartReasonCode::DataRepair, "rows of the import")
}

/// What confirms something that is asked of a run, whatever its level.
pub fn sure(word: &str, run_id: i64) -> Consent {
    Consent::typed(format!("{word} {run_id}"))
}

/// What confirms a retry of so many targets.
pub fn again(targets: usize) -> Consent {
    match targets {
        0 | 1 => Consent::yes(),
        many => Consent::typed(format!("RETRY {many}")).because(Some(reason())),
    }
}

/// The same start, confirmed by this.
pub fn given(start: &StartRunbook, given: Given) -> StartRunbook {
    let consent = Consent { given, ..start.consent.clone() };
    StartRunbook { consent, ..start.clone() }
}

/// The same start for this reason.
pub fn because(start: &StartRunbook, reason: Option<StartReason>) -> StartRunbook {
    let consent = start.consent.clone().because(reason);
    StartRunbook { consent, ..start.clone() }
}

/// A change of capabilities that is confirmed, whatever it grants.
pub fn capabilities(name: &str, capabilities: CapabilitySet) -> SetCapabilities {
    SetCapabilities { consent: Consent::typed(name), ..SetCapabilities::new(name, capabilities) }
}

impl Store {
    /// Gives each of these tenants so many findings from before the lifecycle model.
    pub async fn legacy_findings(&self, tenants: &[i64], each: i64) {
        for tenant in tenants {
            let workspace = if *tenant <= 2 { 1 } else { 2 };
            for n in 0..each {
                let text = format!(
                    "insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, \
                     created_at, updated_at) values ({workspace}, {tenant}, 'key-{tenant}-{n}', 'A finding', \
                     'high', 'open', '2026-11-01T00:00:00+00:00', '2026-11-01T00:00:00+00:00')"
                );
                self.sql(&text).await.unwrap();
            }
        }
    }
}
