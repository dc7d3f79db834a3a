//! `runbooks start`: by a plan that was made before, or by one that is made and shown first.

use serde_json::json;

use super::plan::{self, as_json};
use super::scope::{ScopeArgs, inputs};
use crate::access::Actor;
use crate::cli::{Env, ask, break_glass, runs, runs_control};
use crate::domain::rollout::{ErrorThreshold, Rollout};
use crate::domain::run::Source;
use crate::domain::start_reason::{StartReason, StartReasonCode};
use crate::ops::Ops;
use crate::ops::plans::{GetPlan, Plan};
use crate::ops::runbooks::StartRunbook;
use crate::ops::runs::{GetRun, Started};
use crate::{ErrorKind, Result};

/// Arguments of `runbooks start`.
#[derive(Debug, clap::Args)]
pub struct StartArgs {
    /// Key of the runbook
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Start this plan of yours; without it, a preflight is made and shown first
    #[arg(long, value_name = "ID", value_parser = plan::id)]
    plan: Option<i64>,
    /// Check everything and start nothing
    #[arg(long)]
    dry_run: bool,
    /// The phrase that confirms a start on more than one tenant, such as "BACKFILL 412"
    #[arg(long, value_name = "PHRASE")]
    confirm: Option<String>,
    /// Why: DATA_REPAIR, INCIDENT, SUPPORT or SECURITY
    #[arg(long, value_name = "CODE", requires = "reason")]
    reason_code: Option<String>,
    /// Why, in your words; at most 500 characters
    #[arg(long, value_name = "TEXT", requires = "reason_code")]
    reason: Option<String>,
    /// An input of the runbook, such as days=30; may be given several times
    #[arg(long = "input", value_name = "KEY=VALUE", conflicts_with = "plan")]
    inputs: Vec<String>,
    /// Work on so many tenants at once
    #[arg(long, value_name = "N", default_value_t = Rollout::default().concurrency)]
    concurrency: u32,
    /// Stop once more than so many tenants failed: a number, or a share such as 10%
    #[arg(long, value_name = "N|P%")]
    error_threshold: Option<ErrorThreshold>,
    /// Do so many tenants first, and go on only if all of them succeed
    #[arg(long, value_name = "N", default_value_t = 0)]
    canary: u32,
    /// Your own id of this request: the same one twice makes one run
    #[arg(long, value_name = "TEXT")]
    request_id: Option<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

impl StartArgs {
    fn reason(&self) -> Result<Option<StartReason>> {
        let (Some(code), Some(text)) = (&self.reason_code, &self.reason) else { return Ok(None) };
        // The operation checks the text, so that a refusal has its line in the audit log.
        Ok(Some(StartReason::as_typed(code.parse::<StartReasonCode>()?, text)))
    }

    fn rollout(&self) -> Rollout {
        Rollout {
            concurrency: self.concurrency,
            error_threshold: self.error_threshold,
            canary: self.canary,
        }
    }
}

/// Starts a runbook.
///
/// What was given goes to the operation as it is: it checks all of it in the transaction of the
/// start, and a refusal is on record.
///
/// # Errors
/// Whatever the operation says.
pub async fn start(args: StartArgs, env: &Env) -> Result<u8> {
    let reason = args.reason()?;
    let rollout = args.rollout();
    let scope = match args.plan {
        Some(_) => args.scope.given(),
        None => Some(args.scope.of(env.ops_settings().registry.get(&args.key)?.as_ref())?),
    };
    let inputs = inputs(&args.inputs)?;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    break_glass::notice(env, &ops, &session).await;
    let actor = &session.actor;
    // Whoever may not start makes no plan for it either.
    ops.allow::<StartRunbook>(actor).await?;
    let plan = match (args.plan, &scope) {
        (Some(id), _) => Looked::at(&ops, actor, id).await?,
        (None, Some(scope)) => {
            let made = plan::make(env, &ops, actor, &args.key, scope.clone(), inputs).await?;
            Looked::Seen(Box::new(made))
        }
        (None, None) => return Err(crate::Error::usage("it was not said what to aim at")),
    };
    let request_id = args.request_id.clone().unwrap_or_else(runs_control::new_request);
    let mut confirm = args.confirm.clone();
    if let Looked::Seen(plan) = &plan {
        let asks = plan.must_confirm && confirm.is_none() && env.can_ask();
        if args.plan.is_none() || asks {
            for line in plan::lines(plan, ops.registry(), env) {
                env.out.message(line);
            }
        }
        // A question whose answer could not start it is not asked.
        let startable = plan.affected_count > 0 && (plan.tenant_count <= 1 || reason.is_some());
        if asks && startable {
            let what = format!("{} would start on {}.", args.key, plan.scope_named());
            confirm = ask::phrase(env, &plan.phrase, &what).await;
        }
    }
    let request = StartRunbook {
        plan_hash: plan.seen().map(|plan| plan.hash.clone()),
        scope,
        rollout,
        reason: reason.clone(),
        confirm,
        request_id: Some(request_id.clone()),
        dry_run: args.dry_run,
        ..StartRunbook::of_plan(&args.key, plan.id(), Source::Cli)
    };
    let started = ops.run(actor, request).await;
    let started = started.map_err(|error| runs_control::again(env, error, &request_id))?;
    let shown = plan.seen().map(as_json);
    if args.dry_run {
        if args.json {
            // What is there already is told; a run that was made for the rehearsal is gone.
            let there = (!started.created).then_some(started.run_id);
            env.out.json(&json!({
                "schema_version": 1, "dry_run": true, "created": started.created,
                "run_id": there, "plan": shown,
            }))?;
        } else if let Some(plan) = plan.seen() {
            rehearsed(env, started, plan, reason.as_ref(), rollout)?;
        }
        return Ok(0);
    }
    let run = ops.run(actor, GetRun { id: started.run_id }).await;
    if args.json {
        // It is started, whether it can be looked at or not.
        let run = run.map_or_else(
            |_| json!({ "id": started.run_id }),
            |detail| runs::as_json(&detail.run, env.clock.now()),
        );
        env.out.json(&json!({
            "schema_version": 1, "created": started.created, "run": run, "plan": shown,
        }))?;
        return Ok(0);
    }
    runs_control::started(env, started, run.ok().map(|detail| detail.run).as_ref())?;
    Ok(0)
}

/// A plan that was named: seen, or kept from view. What may not be seen cannot be started
/// either, and it is the operation that says so, on record.
enum Looked {
    Seen(Box<Plan>),
    Hidden(i64),
}

impl Looked {
    async fn at(ops: &Ops, actor: &Actor, id: i64) -> Result<Self> {
        match ops.run(actor, GetPlan { id }).await {
            Ok(plan) => Ok(Self::Seen(Box::new(plan))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {
                Ok(Self::Hidden(id))
            }
            Err(error) => Err(error),
        }
    }

    fn seen(&self) -> Option<&Plan> {
        match self {
            Self::Seen(plan) => Some(plan),
            Self::Hidden(_) => None,
        }
    }

    fn id(&self) -> i64 {
        match self {
            Self::Seen(plan) => plan.id,
            Self::Hidden(id) => *id,
        }
    }
}

/// Says what would have been started.
fn rehearsed(
    env: &Env,
    started: Started,
    plan: &Plan,
    reason: Option<&StartReason>,
    rollout: Rollout,
) -> Result<()> {
    if !started.created {
        let run = started.run_id;
        env.out.line(format!("this is run {run} already; nothing was started"))?;
        env.out.message(format!("look at it: tenantpilot runs show {run}"));
        return Ok(());
    }
    let registry = env.ops_settings().registry;
    let items = registry.get(&plan.runbook).map_or("records", |runbook| runbook.items());
    env.out.line(format!(
        "{} would start on {}: {} of {} {items} to change, {}; nothing was started",
        plan.runbook,
        plan.scope_named(),
        plan.affected_count,
        plan.total_count,
        rollout.words(),
    ))?;
    let command = plan::start_command(plan, reason, rollout);
    env.out.message(format!("start exactly this: {command}"));
    Ok(())
}
