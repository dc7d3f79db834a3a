//! `runbooks start`: by a plan that was made before, or by one that is made and shown first.

use serde_json::json;

use super::plan::{self, as_json};
use super::scope::{ScopeArgs, inputs};
use crate::access::Actor;
use crate::cli::ask::{self, ConsentArgs};
use crate::cli::{Env, break_glass, runs, runs_control};
use crate::domain::confirmation::Given;
use crate::domain::count::noun;
use crate::domain::rollout::{ErrorThreshold, Rollout};
use crate::domain::run::Source;
use crate::domain::start_reason::StartReason;
use crate::ops::plans::{GetPlan, Plan};
use crate::ops::runbooks::StartRunbook;
use crate::ops::runs::{GetRun, Started};
use crate::ops::{About, Ops};
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
    #[command(flatten)]
    consent: ConsentArgs,
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
    /// Idempotency key: the same one twice makes one run
    #[arg(long, value_name = "TEXT")]
    request_id: Option<String>,
    /// Queue the run also where no active worker supports the runbook
    #[arg(long)]
    wait_for_worker: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

impl StartArgs {
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
    let mut consent = args.consent.consent(env)?;
    let rollout = args.rollout();
    let scope = match args.plan {
        Some(_) => args.scope.given(),
        None => Some(args.scope.of(env.ops_settings().registry.get(&args.key)?.as_ref())?),
    };
    let inputs = inputs(&args.inputs)?;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    break_glass::notice(env, &session);
    let actor = &session.actor;
    // A plan is made only for those who may start it.
    let about = About::of("runbook", &args.key).with(&args.consent.consent(env)?);
    ops.allow::<StartRunbook>(&session, about).await?;
    let plan = match (args.plan, &scope) {
        (Some(id), _) => Looked::at(&ops, actor, id).await?,
        (None, Some(scope)) => {
            let made = plan::make(env, &ops, actor, &args.key, scope.clone(), inputs).await?;
            Looked::Seen(Box::new(made))
        }
        (None, None) => return Err(crate::Error::usage("it was not said what to aim at")),
    };
    let request_id = args.request_id.clone().unwrap_or_else(runs_control::new_request);
    if let Looked::Seen(plan) = &plan {
        if args.plan.is_none() || consent.given == Given::Ask {
            for line in plan::lines(plan, ops.registry(), env) {
                env.out.message(line);
            }
        }
        let confirmation = plan.confirmation();
        // A question whose answer could not start it is not asked.
        let refused = plan.support.obstacle(&plan.runbook).is_some() && !args.wait_for_worker;
        let reasoned = consent.reason.is_some() || !confirmation.reason.is_required();
        if !refused && plan.affected_count > 0 && reasoned {
            let what = format!("{} would start on {}.", args.key, plan.scope_named());
            consent.given = ask::asked(env, consent.given, &confirmation, &what).await;
        }
    }
    if consent.given == Given::Ask {
        consent.given = Given::Nothing;
    }
    let dry_run = consent.dry_run;
    let reason = consent.reason.clone();
    let request = StartRunbook {
        plan_hash: plan.seen().map(|plan| plan.hash.clone()),
        scope,
        rollout,
        consent,
        request_id: Some(request_id.clone()),
        wait_for_worker: args.wait_for_worker,
        ..StartRunbook::of_plan(&args.key, plan.id(), Source::Cli)
    };
    let started = ops.run(actor, request).await;
    let started = started.map_err(|error| runs_control::again(env, error, &request_id))?;
    let shown = plan.seen().map(as_json);
    if dry_run {
        if args.json {
            // What is there already is told; a run that was made for the rehearsal is gone.
            let there = (!started.created).then_some(started.run_id);
            env.out.json(&json!({
                "schema_version": 1, "dry_run": true, "created": false,
                "run_id": there, "plan": shown,
            }))?;
        } else if let Some(plan) = plan.seen() {
            rehearsed(env, started, plan, reason.as_ref(), rollout)?;
        }
        return Ok(0);
    }
    let run = if session.may::<GetRun>() {
        ops.run(actor, GetRun { id: started.run_id }).await.ok().map(|detail| detail.run)
    } else {
        None
    };
    if args.json {
        // It is started, whether it can be looked at or not.
        let run = run.map_or_else(
            || json!({ "id": started.run_id }),
            |run| runs::as_json(&run, env.clock.now()),
        );
        env.out.json(&json!({
            "schema_version": 1, "created": started.created, "run": run, "plan": shown,
        }))?;
        return Ok(0);
    }
    runs_control::started(env, started, run.as_ref())?;
    if let Some(run) = run.filter(|_| started.created) {
        runs_control::waits(env, &run);
    }
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
    let items = noun(plan.total_count, items);
    env.out.line(format!(
        "{} would start on {}: {}{} of {} {items} to change, {}; nothing was started",
        plan.runbook,
        plan.scope_named(),
        plan.affected_prefix(),
        plan.affected_count,
        plan.total_count,
        rollout.words(),
    ))?;
    let wait = plan.support.obstacle(&plan.runbook).map_or("", |_| " --wait-for-worker");
    let command = format!("{}{wait}", plan::start_command(plan, reason, rollout));
    env.out.message(format!("start exactly this: {command}"));
    Ok(())
}
