//! `runbooks preflight` and `plan`: what a runbook would change, shown and exported.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::scope::{ScopeArgs, inputs};
use crate::access::Actor;
use crate::cli::new_file::NewFile;
use crate::cli::{Env, Table, text};
use crate::config::format_duration;
use crate::domain::count::{count, noun};
use crate::domain::rollout::Rollout;
use crate::domain::run::ScopeKind;
use crate::domain::shell;
use crate::domain::start_reason::StartReason;
use crate::ops::Ops;
use crate::ops::plans::{
    Counted, GetPlan, ListPlanTargets, Plan, PlanTarget, Preflight, targets_csv,
};
use crate::ops::runs::RunScope;
use crate::runbooks::{Registry, Runbook};
use crate::term::local::takes_escapes;
use crate::{Error, Result};

/// A preflight that takes less long is not told how far it is.
const SILENT: Duration = Duration::from_millis(400);
/// How often that is told.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// How a plan is shown.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Show every target with its counts, too
    #[arg(long)]
    targets: bool,
    /// Write the targets as CSV to FILE, which must not be there yet, or to standard output
    /// with "-"
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `runbooks preflight`.
#[derive(Debug, clap::Args)]
pub struct PreflightArgs {
    /// Key of the runbook
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    scope: ScopeArgs,
    /// An input of the runbook, such as days=30; may be given several times
    #[arg(long = "input", value_name = "KEY=VALUE")]
    inputs: Vec<String>,
    #[command(flatten)]
    show: ShowArgs,
}

/// Arguments of `runbooks plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// Number of the plan
    #[arg(value_name = "ID", value_parser = id)]
    id: i64,
    #[command(flatten)]
    show: ShowArgs,
}

/// Counts what a runbook would change, and shows the plan.
///
/// # Errors
/// Whatever the operation says; *usage* for a file that is there already.
pub async fn preflight(args: PreflightArgs, env: &Env) -> Result<u8> {
    let registry = env.ops_settings().registry;
    let scope = args.scope.of(registry.get(&args.key)?.as_ref())?;
    let inputs = inputs(&args.inputs)?;
    // Before the work, not after it.
    let csv = args.show.csv()?;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let plan = make(env, &ops, &session.actor, &args.key, scope, inputs).await?;
    args.show.show(env, &ops, &session.actor, &plan, csv).await
}

/// Shows a plan of one's own.
///
/// # Errors
/// *Not found* also for somebody else's; *usage* for a file that is there already.
pub async fn plan(args: PlanArgs, env: &Env) -> Result<u8> {
    let csv = args.show.csv()?;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let plan = ops.run(&session.actor, GetPlan { id: args.id }).await?;
    args.show.show(env, &ops, &session.actor, &plan, csv).await
}

/// Reads the number of a plan.
///
/// # Errors
/// *Usage* for anything but a whole number above 0.
pub fn id(text: &str) -> Result<i64> {
    text.parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| Error::usage("the number of a plan is a whole number above 0"))
}

/// Makes a plan, and says how far it is where somebody looks on.
///
/// # Errors
/// Whatever the operation says.
pub async fn make(
    env: &Env,
    ops: &Ops,
    actor: &Actor,
    key: &str,
    scope: RunScope,
    inputs: Value,
) -> Result<Plan> {
    let watched =
        std::io::stderr().is_terminal() && takes_escapes(crate::cli::variable("TERM").as_deref());
    let (progress, far) = watch::channel(Counted::default());
    let progress = watched.then(|| Arc::new(progress));
    let preflight = Preflight { inputs, progress, ..Preflight::new(key, scope) };
    let work = ops.run(actor, preflight);
    tokio::pin!(work);
    if !watched {
        return work.await;
    }
    let mut pause = SILENT;
    let mut told = false;
    loop {
        tokio::select! {
            done = &mut work => {
                if told {
                    env.out.progress("");
                }
                return done;
            }
            () = tokio::time::sleep(pause) => {
                let Counted { done, total } = *far.borrow();
                pause = TOLD_EVERY;
                if total > 0 {
                    told = true;
                    env.out.progress(format!("counting: {done} of {}", count(total, "tenant")));
                }
            }
        }
    }
}

/// A plan with its fields and its share of the fleet.
pub fn as_json(plan: &Plan) -> Value {
    let mut value = json!(plan);
    value["share_percent"] = json!(plan.share().map(|share| (share * 10.0).round() / 10.0));
    value["scope_words"] = json!(plan.scope_words());
    value
}

/// What a plan says, in lines for people.
pub fn lines(plan: &Plan, registry: &Registry, env: &Env) -> Vec<String> {
    let runbook = registry.get(&plan.runbook).ok().map(AsRef::as_ref);
    let items = noun(plan.total_count, runbook.map_or("records", Runbook::items));
    let at = match plan.affected_tenant_count {
        _ if plan.scope_kind == ScopeKind::Platform => String::new(),
        n => format!(" at {}", count(n, "tenant")),
    };
    let mut lines = vec![format!("plan      {} of {}", plan.id, plan.runbook)];
    if let Some(runbook) = runbook {
        lines.push(format!("changes   {}", runbook.changes()));
        lines.push(format!("undo      {}", runbook.undo()));
    }
    lines.push(format!("scope     {}", plan.scope_named()));
    if plan.inputs.as_object().is_some_and(|inputs| !inputs.is_empty()) {
        lines.push(format!("inputs    {}", plan.inputs));
    }
    let affected = format!("{}{}", plan.affected_prefix(), plan.affected_count);
    lines.push(format!("affected  {affected} of {} {items}{at}", plan.total_count));
    lines.push(match plan.expected_seconds {
        Some(seconds) => format!(
            "expected  about {}, from {}",
            format_duration(Duration::from_secs(seconds.unsigned_abs())),
            count(plan.expected_runs, "earlier run"),
        ),
        None => "expected  not known: there are no earlier runs".to_owned(),
    });
    let or = if plan.must_confirm { "" } else { ", or y" };
    lines.push(format!("confirm   {}{or}", plan.phrase));
    lines.push(format!("hash      {}", plan.hash));
    lines.push(format!("made      {}", text::time(plan.created_at, env.zone())));
    let state = match plan.used_by_run_id {
        Some(run) => format!(" (used by run {run})"),
        None if plan.expires_at <= env.clock.now() => " (expired)".to_owned(),
        None => String::new(),
    };
    lines.push(format!("good to   {}{state}", text::time(plan.expires_at, env.zone())));
    lines
}

/// The command that starts a plan, as a shell takes it. A reason that is needed and not there
/// is left to be filled in.
pub fn start_command(plan: &Plan, reason: Option<&StartReason>, rollout: Rollout) -> String {
    let mut command = format!("tenantpilot runbooks start {} --plan {}", plan.runbook, plan.id);
    let default = Rollout::default();
    if rollout.concurrency != default.concurrency {
        command.push_str(&format!(" --concurrency {}", rollout.concurrency));
    }
    if rollout.canary != default.canary {
        command.push_str(&format!(" --canary {}", rollout.canary));
    }
    if let Some(threshold) = rollout.error_threshold {
        command.push_str(&format!(" --error-threshold {threshold}"));
    }
    match reason {
        Some(reason) => command.push_str(&format!(
            " --reason-code {} --reason {}",
            reason.code,
            shell::quoted(&reason.text)
        )),
        None => {
            return format!("{command} {}", plan.confirmation().options());
        }
    }
    command.push(' ');
    command.push_str(&plan.confirmation().option());
    command
}

/// Says what can be done with a plan now.
pub fn next_step(plan: &Plan, env: &Env) {
    if let Some(run) = plan.used_by_run_id {
        env.out.message(format!("look at its run: tenantpilot runs show {run}"));
    } else if plan.affected_count == 0 {
        env.out.message("nothing would be changed: there is nothing to start");
    } else if plan.expires_at <= env.clock.now() {
        env.out.message("it has expired: run a new preflight");
    } else {
        let command = start_command(plan, None, Rollout::default());
        match plan.support.obstacle(&plan.runbook) {
            None => env.out.message(format!("start it: {command}")),
            Some(why) => {
                env.out.message(format!("{why}; start a worker: tenantpilot worker"));
                env.out.message(format!("start it all the same: {command} --wait-for-worker"));
            }
        }
    }
}

impl ShowArgs {
    fn csv(&self) -> Result<Option<NewFile>> {
        if self.json && self.csv.as_deref().is_some_and(|path| path == "-") {
            return Err(Error::usage("--json and --csv - both write to standard output")
                .hint("give --csv a file, or leave one of them away"));
        }
        self.csv.as_deref().map(NewFile::reserve).transpose()
    }

    async fn show(
        &self,
        env: &Env,
        ops: &Ops,
        actor: &Actor,
        plan: &Plan,
        csv: Option<NewFile>,
    ) -> Result<u8> {
        let on_stdout = csv.as_ref().is_some_and(NewFile::is_stdout);
        let targets = if self.targets || csv.is_some() {
            Some(targets(ops, actor, plan.id).await?)
        } else {
            None
        };
        if let (Some(csv), Some(targets)) = (csv, &targets)
            && let Some(written) = csv.write(&targets_csv(targets), env)?
        {
            let rows = count(targets.len(), "target");
            env.out.message(format!("{rows} written to {written}"));
        }
        if self.json {
            let mut answer = json!({ "schema_version": 1, "plan": as_json(plan) });
            if let (true, Some(targets)) = (self.targets, &targets) {
                answer["targets"] = json!(targets);
            }
            env.out.json(&answer)?;
            return Ok(0);
        }
        let lines = lines(plan, ops.registry(), env);
        if on_stdout {
            for line in lines {
                env.out.message(line);
            }
        } else {
            lines.iter().try_for_each(|line| env.out.line(line))?;
            if let (true, Some(targets)) = (self.targets, &targets) {
                env.out.line("")?;
                table(plan, targets, env).print(&env.out)?;
            }
        }
        next_step(plan, env);
        Ok(0)
    }
}

fn table(plan: &Plan, targets: &[PlanTarget], env: &Env) -> Table {
    let headings = ["TENANT", "NAME", "WORKSPACE", "NAME", "AFFECTED", "TOTAL"];
    let mut table = Table::new(&headings).right(0).right(2).right(4).right(5);
    let name = |name: &Option<String>| {
        name.as_deref().map(|name| text::name(name, env.ascii())).unwrap_or_default()
    };
    let more = if plan.affected_at_least { "+" } else { "" };
    for target in targets {
        let tenant = match target.tenant_id {
            Some(_) => name(&target.tenant_name),
            None => "(platform)".to_owned(),
        };
        table.push([
            target.tenant_id.map(|id| id.to_string()).unwrap_or_default(),
            tenant,
            target.workspace_id.map(|id| id.to_string()).unwrap_or_default(),
            name(&target.workspace_name),
            format!("{}{more}", target.affected_count),
            target.total_count.to_string(),
        ]);
    }
    table
}

/// Every target of a plan, most to change first.
async fn targets(ops: &Ops, actor: &Actor, plan_id: i64) -> Result<Vec<PlanTarget>> {
    let mut all = Vec::new();
    loop {
        let offset = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let page = ListPlanTargets { offset, ..ListPlanTargets::all(plan_id) };
        let page = ops.run(actor, page).await?;
        let empty = page.targets.is_empty();
        all.extend(page.targets);
        if empty || i64::try_from(all.len()).unwrap_or(i64::MAX) >= page.matching {
            return Ok(all);
        }
    }
}
