//! `runbooks deploy`: starts what the configuration declares, each piece once.

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::scope::tenants;
use crate::access::Actor;
use crate::cli::Env;
use crate::config::{DeclaredScope, Deployment};
use crate::domain::confirmation::Given;
use crate::domain::identity::identity_hash;
use crate::domain::run::{RunOutcome, RunStatus, Source};
use crate::ops::plans::{Plan, Preflight};
use crate::ops::runbooks::StartRunbook;
use crate::ops::runs::{FindRequest, GetRun, RunDetail, RunScope, Started};
use crate::ops::{Consent, Ops};
use crate::{Error, Result};

/// How the configuration declares work, for the command's help.
pub const DECLARATION: &str = "\
Declared in config.toml; needs no login, and is recorded without an initiator:

  [[deploy.runbooks]]
  id = \"2026-03-import\"       # names this piece of work for good: it is started once per id
  runbook = \"findings.lifecycle_backfill\"
  all_tenants = true          # or tenants = [4, 7], or workspace = 3; none for the platform itself
  reason_code = \"DATA_REPAIR\"
  reason = \"rows of the March import\"
  concurrency = 4             # optional, as error_threshold = \"10%\" and canary = 3
  inputs = {}                 # optional, such as { days = 30 }
  # confirm = \"PRUNE 30\"      # needed for fewer days than the platform keeps usage events

Ends with 0 where every piece is started, running, done, or has nothing to do; with 1 where a run
of one has failed before; with the code of the first refusal, mostly 5, where one is refused.";

/// How many runs that try others again are followed.
const MAX_RETRIES: usize = 50;

/// Arguments of `runbooks deploy`.
#[derive(Debug, clap::Args)]
pub struct DeployArgs {
    /// Check everything and start nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What became of one declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// It was started now.
    Started,
    /// It would be started.
    WouldStart,
    /// A run is at it.
    Running,
    /// A run of it has succeeded before.
    Done,
    /// Nothing would be changed.
    NothingToDo,
    /// A run of it has ended before, but not well.
    FailedBefore,
    /// It was refused.
    Refused,
}

/// The answer to one declaration.
struct Outcome {
    word: Word,
    run_id: Option<i64>,
    message: String,
    hint: Option<String>,
    code: u8,
}

impl Outcome {
    fn new(word: Word, run_id: Option<i64>, message: impl Into<String>) -> Self {
        Self { word, run_id, message: message.into(), hint: None, code: 0 }
    }

    fn refused(error: &Error) -> Self {
        Self {
            hint: error.next_step().map(str::to_owned),
            code: error.exit_code(),
            ..Self::new(Word::Refused, None, error.message())
        }
    }
}

/// Starts what is declared and was not started before.
///
/// # Errors
/// Trouble with the database; what is refused is an answer, and the others are tried.
pub async fn deploy(args: DeployArgs, env: &Env) -> Result<u8> {
    let declared = &env.config.deployments;
    if declared.is_empty() {
        if args.json {
            env.out.json(&json!({ "schema_version": 1, "deployments": [] }))?;
        } else {
            env.out.line("the configuration declares no [[deploy.runbooks]]: nothing to do")?;
        }
        return Ok(0);
    }
    let ops = env.ops().await?;
    let mut rows = Vec::new();
    let (mut failed, mut refused, mut broken) = (false, None, None);
    for deployment in declared {
        let outcome = match one(&ops, deployment, args.dry_run).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_refusal() => Outcome::refused(&error),
            Err(error) => {
                broken = Some(cut_short(&deployment.id, &error));
                break;
            }
        };
        failed |= outcome.word == Word::FailedBefore;
        if outcome.word == Word::Refused {
            refused = refused.or(Some(outcome.code));
        }
        if args.json {
            rows.push(json!({
                "id": deployment.id, "runbook": deployment.runbook, "result": outcome.word,
                "run_id": outcome.run_id, "message": outcome.message, "hint": outcome.hint,
            }));
        } else {
            let id = &deployment.id;
            let refused = if outcome.word == Word::Refused { "refused: " } else { "" };
            env.out.line(format!("{id}: {refused}{}", outcome.message))?;
            if let Some(hint) = outcome.hint {
                env.out.message(format!("hint for {id}: {hint}"));
            }
        }
    }
    if args.json {
        let mut answer = json!({ "schema_version": 1, "deployments": rows });
        if args.dry_run {
            answer["dry_run"] = json!(true);
        }
        env.out.json(&answer)?;
    }
    match (broken, refused) {
        (Some(error), _) => Err(error),
        (None, Some(code)) => Ok(code),
        (None, None) => Ok(u8::from(failed)),
    }
}

/// The error of a deployment that could not be asked for: those named before are done, and what
/// became of this one is not known.
fn cut_short(id: &str, error: &Error) -> Error {
    let look = if error.is_uncertain() { "look: tenantpilot runs list; then " } else { "" };
    Error::new(error.kind(), format!("{id}: {}", error.message())).hint(format!(
        "{look}deploy again: each declaration is started once, whatever came of it before"
    ))
}

async fn one(ops: &Ops, deployment: &Deployment, dry_run: bool) -> Result<Outcome> {
    let scope = scope_of(deployment);
    let request_id = format!("deploy:{}", deployment.id);
    let find = FindRequest { request_id: request_id.clone() };
    let mut changed = false;
    if let Some(run_id) = ops.run(&Actor::System, find).await? {
        let detail = ops.run(&Actor::System, GetRun { id: run_id }).await?;
        let inputs = as_settled(&deployment.inputs, &detail);
        let identity = identity_hash(&deployment.runbook, &scope.to_json(), &inputs);
        changed = detail.run.identity_hash != identity;
        if !changed {
            return started_before(ops, detail).await;
        }
    }
    let preflight = Preflight {
        inputs: deployment.inputs.clone(),
        ..Preflight::new(&deployment.runbook, scope.clone())
    };
    let plan = ops.run(&Actor::System, preflight).await?;
    if plan.affected_count == 0 && !changed {
        let message = format!("nothing to do on {}", plan.scope_named());
        return Ok(Outcome::new(Word::NothingToDo, None, message));
    }
    let given = deployment.confirm.clone().map_or(Given::Declared, Given::Typed);
    let start = StartRunbook {
        plan_hash: Some(plan.hash.clone()),
        scope: Some(scope),
        rollout: deployment.rollout,
        consent: Consent { given: given.clone(), reason: deployment.reason.clone(), dry_run },
        request_id: Some(request_id),
        ..StartRunbook::of_plan(&deployment.runbook, plan.id, Source::DeployHook)
    };
    let confirmation = plan.confirmation();
    // The definition has to say what its dry run does not ask for.
    let done = match ops.run(&Actor::System, start).await {
        Ok(started) if dry_run => confirmation.allow(&given, false).map(|()| started),
        done => done,
    };
    match done {
        Ok(started) => Ok(answered(started, &plan, dry_run)),
        Err(error) if error.is_refusal() => {
            let mut outcome = Outcome::refused(&error);
            if plan.tenant_count > 1 && deployment.reason.is_none() {
                outcome.hint = Some("declare its reason_code and reason".to_owned());
            }
            if let Some(asked) = error.asks() {
                outcome.hint = Some(format!("declare: confirm = \"{}\"", asked.phrase));
            }
            if changed {
                // It is the operation that refuses it, on record; what to do is known here.
                outcome.hint = Some(format!(
                    "{} was declared differently before: give what is new an id of its own",
                    deployment.id
                ));
            }
            Ok(outcome)
        }
        Err(error) => Err(error),
    }
}

/// The declared inputs, with what the platform's settings filled in when the run was planned: a
/// setting that was changed since is no other declaration.
fn as_settled(declared: &Value, run: &RunDetail) -> Value {
    let mut inputs = run.context.get("inputs").cloned().unwrap_or_else(|| json!({}));
    if let (Some(inputs), Some(declared)) = (inputs.as_object_mut(), declared.as_object()) {
        inputs.extend(declared.clone());
    }
    inputs
}

fn scope_of(deployment: &Deployment) -> RunScope {
    match &deployment.scope {
        DeclaredScope::Platform => RunScope::Platform,
        DeclaredScope::Tenants(ids) => tenants(ids),
        DeclaredScope::Workspace(id) => RunScope::Workspace(*id),
        DeclaredScope::All => RunScope::All,
    }
}

fn answered(started: Started, plan: &Plan, dry_run: bool) -> Outcome {
    let id = started.run_id;
    let on = plan.scope_named();
    let waits = plan
        .support
        .obstacle(&plan.runbook)
        .map_or_else(String::new, |why| format!("; it waits: {why}"));
    match (started.created, dry_run) {
        (true, false) => {
            let message = format!("queued as run {id}, on {on}{waits}");
            Outcome::new(Word::Started, Some(id), message)
        }
        (true, true) => Outcome::new(Word::WouldStart, None, format!("would start on {on}{waits}")),
        // Somebody else was quicker, or is at the same work.
        (false, _) => Outcome::new(Word::Running, Some(id), format!("already running as run {id}")),
    }
}

/// What became of a declaration's run, and of the runs that tried it again.
async fn started_before(ops: &Ops, first: RunDetail) -> Result<Outcome> {
    let (mut active, mut last) = (None, first.run.id);
    let mut seen = BTreeSet::from([first.run.id]);
    let mut waiting = VecDeque::from([first]);
    while let Some(detail) = waiting.pop_front() {
        let id = detail.run.id;
        last = last.max(id);
        if detail.run.status != RunStatus::Completed {
            active = active.max(Some(id));
        } else if detail.run.outcome == RunOutcome::Succeeded {
            let message = format!("done before by run {id}");
            return Ok(Outcome::new(Word::Done, Some(id), message));
        }
        for again in detail.retried_by {
            if seen.len() < MAX_RETRIES && seen.insert(again.run_id) {
                waiting.push_back(ops.run(&Actor::System, GetRun { id: again.run_id }).await?);
            }
        }
    }
    if let Some(id) = active {
        let message = format!("already running as run {id}");
        return Ok(Outcome::new(Word::Running, Some(id), message));
    }
    let message = format!("run {last} of it has ended before, and did not succeed");
    let mut outcome = Outcome::new(Word::FailedBefore, Some(last), message);
    outcome.hint = Some(format!(
        "see whether it can be retried: tenantpilot runs show {last}; then: tenantpilot runs retry {last}"
    ));
    Ok(outcome)
}
