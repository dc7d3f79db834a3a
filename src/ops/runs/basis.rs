//! What an answer knows of runs beside their rows: whether their types can be executed now, and
//! what the actor may do with them.

use crate::Result;
use crate::access::{Permit, ViewScope};
use crate::domain::capability::Capability;
use crate::domain::run::Run;
use crate::domain::run_facts::Basis;
use crate::domain::type_support::{ActiveWorkers, Support};
use crate::ops::Context;
use crate::ops::seed::DEMO_SETTING;
use crate::ops::store::faults::Outages;
use crate::ops::store::{Tx, settings, together, workers};
use crate::runbooks::Registry;
use crate::{Error, ErrorKind};

/// The active workers, by the database's clock.
pub(in crate::ops) async fn active_workers(tx: &mut Tx) -> Result<ActiveWorkers> {
    let (demo, workers) =
        together!(tx, |tx| settings::get(tx, DEMO_SETTING), |tx| workers::active(tx))?;
    Ok(ActiveWorkers { demo: demo.is_some(), workers })
}

/// Fills in what the answer knows of these runs.
pub(in crate::ops) async fn complete(context: &mut Context, runs: &mut [Run]) -> Result<()> {
    let active = active_workers(context.tx()?).await?;
    complete_with(context, &active, &Outages::new(), runs);
    Ok(())
}

/// The same where the active workers are known, and what runs wait for in the database.
pub(in crate::ops) fn complete_with(
    context: &Context,
    active: &ActiveWorkers,
    outages: &Outages,
    runs: &mut [Run],
) {
    let registry = &context.settings().registry;
    let sees_all = context.permit().scope() == ViewScope::All;
    for run in runs {
        let may_manage = context.permit().has(Capability::OpsManage);
        run.basis = Basis {
            support: active.support(&run.run_type),
            missing: missing(context.permit(), registry, &run.run_type),
            may_manage,
            busy: run.basis.busy.map(|busy| busy.seen(sees_all)),
            outage: outages.get(&run.id).map(|held_up| held_up.condition),
            ..run.basis
        };
    }
}

/// The first capability for a retry of a type that the actor lacks.
pub(in crate::ops) fn missing(
    permit: &Permit,
    registry: &Registry,
    run_type: &str,
) -> Option<Capability> {
    let own = registry.get(run_type).ok().map(|runbook| runbook.capability());
    let of_runbook = own.map(|own| [Capability::RunbooksRun, own]).into_iter().flatten();
    [Capability::OpsManage].into_iter().chain(of_runbook).find(|needed| !permit.has(*needed))
}

/// Refuses a start of a type that nothing can execute. A start without a person at it, by a
/// schedule or a deployment, waits for a worker; a person has to say so.
pub(in crate::ops) async fn require_support(
    context: &mut Context,
    run_type: &str,
    wait_for_worker: bool,
) -> Result<Support> {
    let active = active_workers(context.tx()?).await?;
    supported(context, &active, run_type, wait_for_worker)
}

/// The same where the active workers are known.
pub(in crate::ops) fn supported(
    context: &Context,
    active: &ActiveWorkers,
    run_type: &str,
    wait_for_worker: bool,
) -> Result<Support> {
    let support = active.support(run_type);
    let attended = context.permit().holder().is_some();
    match (support, support.obstacle(run_type)) {
        (Support::NoWorker | Support::WrongClock, Some(why)) if attended && !wait_for_worker => {
            Err(no_worker(support, why))
        }
        (Support::Unknown | Support::NoExecutor, Some(why)) => Err(Error::refused(why)
            .hint(format!("see what executes it: tenantpilot types show {run_type}"))),
        _ => Ok(support),
    }
}

/// The refusal of a start that would wait for a worker.
pub(in crate::ops) fn no_worker(support: Support, why: String) -> Error {
    let first = match support {
        Support::WrongClock => "correct its clock: tenantpilot workers list",
        _ => "start one: tenantpilot worker",
    };
    Error::new(ErrorKind::NoWorker, why)
        .hint(format!("{first}; or queue it all the same with --wait-for-worker"))
}
