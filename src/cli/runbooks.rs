//! `runbooks`: listing maintenance procedures, and starting them.

use serde_json::{Map, Value, json};

use super::runs::as_json;
use super::{Env, Table, ask, break_glass, examples, runs_control};
use crate::domain::rollout::{ErrorThreshold, Rollout};
use crate::domain::run::Source;
use crate::domain::start_reason::{StartReason, StartReasonCode};
use crate::ops::plans::Preflight;
use crate::ops::runbooks::StartRunbook;
use crate::ops::runs::{GetRun, RunScope};
use crate::runbooks::Runbook;
use crate::{Error, Result};

/// What can be done with runbooks.
#[derive(Debug, clap::Subcommand)]
pub enum RunbooksCommand {
    /// List the runbooks: what each changes, and whether it can be undone
    #[command(before_help = examples!("tenantpilot runbooks list", "tenantpilot runbooks list --json"))]
    List {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Start a runbook
    #[command(before_help = examples!(
        "tenantpilot runbooks start findings.lifecycle_backfill --tenant 412",
        "tenantpilot runbooks start findings.lifecycle_backfill --all-tenants \\",
        "    --reason-code DATA_REPAIR --reason 'rows of the March import' --confirm 'BACKFILL 412'",
        "tenantpilot runbooks start operations.reconcile_stale --json",
    ))]
    Start(Box<StartArgs>),
}

/// Arguments of `runbooks start`.
#[derive(Debug, clap::Args)]
pub struct StartArgs {
    /// Key of the runbook
    #[arg(value_name = "KEY")]
    key: String,
    /// Aim at this tenant; may be given several times
    #[arg(long = "tenant", value_name = "ID", group = "scope")]
    tenants: Vec<i64>,
    /// Aim at the allowed tenants of this workspace
    #[arg(long, value_name = "ID", group = "scope")]
    workspace: Option<i64>,
    /// Aim at all allowed tenants
    #[arg(long, group = "scope")]
    all_tenants: bool,
    /// Why: DATA_REPAIR, INCIDENT, SUPPORT or SECURITY
    #[arg(long, value_name = "CODE", requires = "reason")]
    reason_code: Option<String>,
    /// Why, in your words; at most 500 characters
    #[arg(long, value_name = "TEXT", requires = "reason_code")]
    reason: Option<String>,
    /// The phrase that confirms a start on more than one tenant, such as "BACKFILL 412"
    #[arg(long, value_name = "PHRASE")]
    confirm: Option<String>,
    /// An input of the runbook, such as days=30; may be given several times
    #[arg(long = "input", value_name = "KEY=VALUE")]
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

/// Runs one of them.
///
/// # Errors
/// Whatever the operation says.
pub async fn run(command: RunbooksCommand, env: &Env) -> Result<u8> {
    match command {
        RunbooksCommand::List { json } => list(json, env),
        RunbooksCommand::Start(args) => start(*args, env).await,
    }
}

fn list(json: bool, env: &Env) -> Result<u8> {
    let registry = env.ops_settings().registry;
    if json {
        let rows: Vec<Value> = registry.iter().map(|runbook| describe(runbook.as_ref())).collect();
        env.out.json(&json!({ "schema_version": 1, "runbooks": rows }))?;
        return Ok(0);
    }
    let mut table = Table::new(&["KEY", "TITLE", "AIMED AT", "WORD"]);
    for runbook in registry.iter() {
        let scopes: Vec<_> = runbook.scopes().iter().map(|scope| scope.as_str()).collect();
        table.push([
            runbook.key().to_owned(),
            runbook.title().to_owned(),
            scopes.join(", "),
            runbook.word().to_owned(),
        ]);
    }
    table.print(&env.out)?;
    for runbook in registry.iter() {
        env.out.line("")?;
        env.out.line(runbook.key())?;
        env.out.line(format!("  changes  {}", runbook.changes()))?;
        env.out.line(format!("  undo     {}", runbook.undo()))?;
        env.out.line(format!("  needs    {}", runbook.capability()))?;
    }
    Ok(0)
}

fn describe(runbook: &dyn Runbook) -> Value {
    json!({
        "key": runbook.key(), "title": runbook.title(), "changes": runbook.changes(),
        "undo": runbook.undo(), "scopes": runbook.scopes(), "capability": runbook.capability(),
        "word": runbook.word(),
    })
}

async fn start(args: StartArgs, env: &Env) -> Result<u8> {
    let scope = scope(&args, env)?;
    let reason = match (&args.reason_code, &args.reason) {
        (Some(code), Some(text)) => Some(StartReason::new(code.parse::<StartReasonCode>()?, text)?),
        _ => None,
    };
    let rollout = Rollout {
        concurrency: args.concurrency,
        error_threshold: args.error_threshold,
        canary: args.canary,
    };
    rollout.check()?;
    let inputs = inputs(&args.inputs)?;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let preflight =
        Preflight { key: args.key.clone(), scope: scope.clone(), inputs, progress: None };
    let plan = ops.run(&session.actor, preflight).await?;
    if plan.tenant_count > 1 && reason.is_none() {
        return Err(Error::usage("a start on more than one tenant needs a reason")
            .hint("add: --reason-code CODE --reason TEXT"));
    }
    let mut confirm = args.confirm.clone();
    if plan.must_confirm {
        let what = format!("{} would run on {}.", args.key, plan.scope_words());
        ask::confirm(env, args.confirm.as_deref(), &plan.phrase, &what)?;
        confirm = Some(plan.phrase.clone());
    }
    let start = StartRunbook {
        plan_hash: Some(plan.hash),
        scope: Some(scope),
        rollout,
        reason,
        confirm,
        request_id: args.request_id,
        ..StartRunbook::of_plan(&args.key, plan.id, Source::Cli)
    };
    break_glass::notice(env, &ops, &session).await;
    let started = ops.run(&session.actor, start).await?;
    let run = ops.run(&session.actor, GetRun { id: started.run_id }).await?.run;
    if args.json {
        env.out.json(&json!({
            "schema_version": 1, "created": started.created, "run": as_json(&run, env.clock.now()),
        }))?;
        return Ok(0);
    }
    runs_control::started(env, started, &run)?;
    Ok(0)
}

/// What the flags aim at. Nothing chosen is all tenants only where that was said.
fn scope(args: &StartArgs, env: &Env) -> Result<RunScope> {
    use crate::domain::run::ScopeKind;
    let mut tenants = args.tenants.clone();
    tenants.sort_unstable();
    tenants.dedup();
    let chosen = match (tenants.as_slice(), args.workspace, args.all_tenants) {
        ([], None, false) => None,
        ([one], ..) => Some(RunScope::Tenant(*one)),
        ([], Some(workspace), _) => Some(RunScope::Workspace(workspace)),
        ([], None, true) => Some(RunScope::All),
        (many, ..) => Some(RunScope::Tenants(many.to_vec())),
    };
    let registry = env.ops_settings().registry;
    let platform = registry.get(&args.key)?.scopes() == [ScopeKind::Platform];
    match (chosen, platform) {
        (Some(scope), false) => Ok(scope),
        (None, true) => Ok(RunScope::Platform),
        (Some(_), true) => Err(Error::usage(format!("{} is not aimed at tenants", args.key))
            .hint("start it without --tenant, --workspace and --all-tenants")),
        (None, false) => Err(Error::usage("it was not said which tenants to aim at")
            .hint("add: --tenant ID, --workspace ID or --all-tenants")),
    }
}

/// `days=30` as JSON; numbers and true or false are what they look like.
fn inputs(given: &[String]) -> Result<Value> {
    let mut inputs = Map::new();
    for text in given {
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Error::usage("an input has the form KEY=VALUE"));
        };
        let value = match (value.parse::<i64>(), value.parse::<bool>()) {
            (Ok(number), _) => Value::from(number),
            (_, Ok(flag)) => Value::from(flag),
            _ => Value::from(value),
        };
        if inputs.insert(key.to_owned(), value).is_some() {
            return Err(Error::usage("an input is given twice"));
        }
    }
    Ok(Value::Object(inputs))
}
