//! `runbooks list` and `show`: what there is, and what one of them is about.

use serde_json::{Value, json};

use crate::cli::runs::as_json;
use crate::cli::{Env, Table, text};
use crate::domain::capability::Capability;
use crate::domain::confirmation::{Action, Confirmation, Level};
use crate::domain::run::{Run, ScopeKind};
use crate::domain::run_filter::RunFilter;
use crate::domain::run_state::RunState;
use crate::ops::Ops;
use crate::ops::auth::Session;
use crate::ops::runbooks::ListRunbooks;
use crate::ops::runs::ListRuns;
use crate::runbooks::{Input, Runbook};
use crate::{ErrorKind, Result};

/// How many of its last runs are shown.
const LAST_RUNS: i64 = 3;

/// Lists the runbooks.
///
/// # Errors
/// *Not logged in*, *forbidden* without the capability to see runbooks.
pub async fn list(json: bool, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let registry = ops.run(&session.actor, ListRunbooks).await?;
    if json {
        let rows: Vec<Value> = registry.iter().map(|runbook| describe(runbook.as_ref())).collect();
        env.out.json(&json!({ "schema_version": 1, "runbooks": rows }))?;
        return Ok(0);
    }
    let mut table = Table::new(&["KEY", "TITLE", "AIMED AT", "WORD"]);
    for runbook in registry.iter() {
        table.push([
            runbook.key().to_owned(),
            runbook.title().to_owned(),
            scopes(runbook.as_ref()),
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
        "word": runbook.word(), "items": runbook.items(), "inputs": runbook.inputs(),
    })
}

fn scopes(runbook: &dyn Runbook) -> String {
    let scopes: Vec<_> = runbook.scopes().iter().map(|scope| scope.as_str()).collect();
    scopes.join(", ")
}

/// Shows one runbook.
///
/// # Errors
/// *Usage* for an unknown key, *not logged in*, *forbidden* without the capability to see runbooks.
pub async fn show(key: &str, json: bool, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let registry = ops.run(&session.actor, ListRunbooks).await?;
    let runbook = registry.get(key)?.as_ref();
    let runs = last_runs(&ops, &session, runbook).await?;
    let held = session.capabilities.has(Capability::RunbooksRun)
        && session.capabilities.has(runbook.capability());
    if json {
        let mut value = describe(runbook);
        let now = env.clock.now();
        value["held"] = json!(held);
        value["last_runs"] =
            json!(runs.map(|runs| runs.iter().map(|run| as_json(run, now)).collect::<Vec<_>>()));
        env.out.json(&json!({ "schema_version": 1, "runbook": value }))?;
        return Ok(0);
    }
    let out = &env.out;
    out.line(runbook.key())?;
    out.line(format!("title      {}", runbook.title()))?;
    out.line(format!("changes    {}", runbook.changes()))?;
    out.line(format!("undo       {}", runbook.undo()))?;
    out.line(format!("aimed at   {}", scopes(runbook)))?;
    for input in runbook.inputs() {
        let (name, about, default) = (input.name, input.about, input.default);
        out.line(format!("input      {name}: {about}; {default} where it is not given"))?;
    }
    out.line(format!("confirmed  {}", confirmed(runbook)))?;
    let held = if held { "you hold it" } else { "you lack it" };
    out.line(format!(
        "needs      {} and {}: {held}",
        Capability::RunbooksRun,
        runbook.capability()
    ))?;
    for run in runs.unwrap_or_default() {
        let state = RunState::of(&run, env.clock.now()).label(env.ascii());
        let at = text::time(run.created_at, env.zone());
        out.line(format!("last run   {}  {at}  {state}", run.id))?;
    }
    let aim = if runbook.scopes() == [ScopeKind::Platform] { "" } else { " --tenant ID" };
    let required = runbook.inputs().iter().filter(|input| input.default == Input::REQUIRED);
    let inputs: Vec<String> =
        required.map(|input| format!(" --input {}=VALUE", input.name)).collect();
    let inputs = inputs.concat();
    out.message(format!("what it would change: tenantpilot runbooks preflight {key}{inputs}{aim}"));
    Ok(0)
}

/// What confirms its start, as the rule says it.
fn confirmed(runbook: &dyn Runbook) -> String {
    let word = runbook.word();
    let of = |count| Confirmation::of(&Action::Tenants { word, count, odd: &[] });
    let words = |confirmation: Confirmation| {
        let reason = if confirmation.reason.is_required() { " and a reason" } else { "" };
        match confirmation.level {
            Level::Key => format!("{} or {}{reason}", confirmation.asks(), confirmation.phrase),
            Level::Phrase => format!("{}{reason}", confirmation.phrase),
        }
    };
    if runbook.scopes() == [ScopeKind::Platform] {
        return Confirmation::of(&Action::Platform { word, exact: None }).map_or_else(
            |_| word.to_owned(),
            |confirmation| {
                let exact =
                    runbook.exact_about().map_or(String::new(), |about| format!("; {about}"));
                format!("type {}{exact}", words(confirmation))
            },
        );
    }
    match (of(1), of(412)) {
        (Ok(one), Ok(many)) => {
            format!("one tenant: type {}; 412 tenants: type {}", words(one), words(many))
        }
        _ => word.to_owned(),
    }
}

/// The runbook's last runs; none where the actor may not see runs.
async fn last_runs(
    ops: &Ops,
    session: &Session,
    runbook: &dyn Runbook,
) -> Result<Option<Vec<Run>>> {
    // A key has no sign that the language would take for its own.
    let filter = RunFilter::parse(&format!("type:{}", runbook.key())).unwrap_or_default();
    let list = ListRuns { filter, limit: LAST_RUNS, ..ListRuns::default() };
    match ops.run(&session.actor, list).await {
        Ok(page) => Ok(Some(page.runs)),
        Err(error) if error.kind() == ErrorKind::Forbidden => Ok(None),
        Err(error) => Err(error),
    }
}
