//! How an operation runs: who acts is checked, it executes, and is committed or undone.

use std::future::Future;
use std::time::Duration;

use super::authorise::authorise;
use super::store::database::Begin;
use super::store::error::{SILENT, silent_database};
use super::store::grants::Use;
use super::store::sessions::{By, SessionRow};
use super::store::{self, Tx};
use super::{About, Access, Context, Engine, Operation, Ops, commit, denial, runs};
use crate::access::{Actor, Permit, Requirement};
use crate::{Error, Result};

impl Ops {
    /// Checks, executes and commits; who asks audits what is denied of a look.
    pub(super) async fn ask<O: Operation>(&self, actor: &Actor, operation: O) -> Result<O::Output> {
        let run_id = operation.run_id();
        let what = Use::of::<O>(actor);
        let done = self.run_checked(actor, operation).await;
        let done = self.explaining(done, what).await;
        if let Err(error) = &done
            && let Some(fault) = error.fault()
        {
            let action = O::NAME;
            // A worker reports an outage and the failure of a step once, not at each retry.
            let reported = error.is_waited_out() || action == runs::RunStep::NAME;
            if matches!(actor, Actor::System) && reported {
                tracing::debug!(action, run_id, %fault, "the database refused it");
            } else {
                tracing::warn!(action, run_id, %fault, "the database refused it");
            }
        }
        done
    }

    async fn run_checked<O: Operation>(&self, actor: &Actor, operation: O) -> Result<O::Output> {
        let (run_id, about) = (operation.run_id(), operation.about());
        match O::ACCESS {
            Access::Stepwise => {
                let (permit, arrived, tx) = self.permit::<O>(actor, &about).await?;
                let mut context = Context::of::<O>(self.clone(), (permit, arrived), None);
                context.keep_first(tx);
                // On the heap: callers hold many of these at once.
                let done = Box::pin(operation.execute(&mut context)).await;
                let audited = context.is_refusal_audited();
                // What it has not committed is not to happen.
                if let Some(tx) = context.into_tx() {
                    tx.rollback().await?;
                }
                if let (Err(error), false) = (&done, audited) {
                    Box::pin(self.audit_denial::<O>(actor, &about, error)).await?;
                }
                done.map_err(|error| self.explained::<O>(error, run_id))
            }
            // On the heap: these are large, and everything that asks would be.
            Access::Read => {
                self.timely::<O, _>(actor, Box::pin(self.run_in_one(actor, &about, operation)))
                    .await?
                    .0
            }
            Access::Write => {
                let work = Box::pin(self.run_in_one(actor, &about, operation));
                // Of a change it is said in other words.
                let change = |error: Error| match error.message() {
                    SILENT => commit::unanswered(),
                    // Whatever took too long was undone.
                    _ if error.kind() == crate::ErrorKind::TimedOut && error.fault().is_some() => {
                        error.hint("nothing was changed; try again")
                    }
                    _ => error,
                };
                let (done, tx) = self.timely::<O, _>(actor, work).await.map_err(change)?;
                let done = done.map_err(change);
                let limit = self.inner.settings.patience * O::PATIENCE * 3;
                Box::pin(self.settle::<O>(done, tx, limit, run_id)).await
            }
        }
    }

    /// Checks an actor; gives the reading transaction in which it did, if it did.
    pub(super) async fn permit<O: Operation>(
        &self,
        actor: &Actor,
        about: &About,
    ) -> Result<(Permit, Option<SessionRow>, Option<Tx>)> {
        if O::REQUIREMENT == Requirement::BeforeLogin {
            let permit = authorise(actor, None, &O::REQUIREMENT, &self.inner.clock)?;
            return Ok((permit, None, None));
        }
        let begin = Begin { session: session_of(actor), patience: O::PATIENCE, ..Begin::READ };
        let (tx, arrived) = self.inner.db.begin(&begin, &self.inner.clock).await?;
        match authorise(actor, arrived.as_ref(), &O::REQUIREMENT, &self.inner.clock) {
            Ok(permit) => Ok((permit, arrived, Some(tx))),
            Err(error) => {
                tx.rollback().await?;
                Box::pin(self.audit_denial::<O>(actor, about, &error)).await?;
                Err(error)
            }
        }
    }

    /// Checks and executes in one transaction; gives the answer, and the transaction if it is
    /// to be committed.
    async fn run_in_one<O: Operation>(
        &self,
        actor: &Actor,
        about: &About,
        operation: O,
    ) -> Result<(Result<O::Output>, Option<Tx>)> {
        let changes = O::ACCESS == Access::Write;
        // A dry run reads, so that it answers also where nothing can be written.
        let writes = changes && !about.rehearses();
        let begin = Begin {
            writes,
            one_at_a_time: writes && O::ONE_AT_A_TIME,
            patience: O::PATIENCE,
            // A worker looks by itself, and stops.
            schema: changes && *actor != Actor::System,
            session: session_of(actor).or_else(|| operation.token_hash().map(By::TokenHash)),
        };
        let (tx, arrived) = self.inner.db.begin(&begin, &self.inner.clock).await?;
        let permit = match authorise(actor, arrived.as_ref(), &O::REQUIREMENT, &self.inner.clock) {
            Ok(permit) => permit,
            Err(error) => {
                // A denied change leaves its trace here; a denied look, by who asks.
                if writes {
                    let now = self.inner.clock.now();
                    denial::leave_trace::<O>(tx, actor, about, &error, now).await?;
                } else {
                    tx.rollback().await?;
                    if changes {
                        Box::pin(self.audit_denial::<O>(actor, about, &error)).await?;
                    }
                }
                return Err(error);
            }
        };
        let mut context = Context::of::<O>(self.clone(), (permit, arrived), Some(tx));
        let done = Box::pin(operation.execute(&mut context)).await;
        let keeps = context.keeps_on_error();
        let keep = (done.is_ok() && !context.is_undone()) || keeps;
        let refusals = context.take_refusals();
        match context.into_tx() {
            Some(mut tx) if keep && writes => {
                // A worker does its work again until it knows; a person gets the answer.
                if !matches!(actor, Actor::System) {
                    tx.identify().await?;
                }
                return Ok((done, Some(tx)));
            }
            Some(tx) => tx.rollback().await?,
            None => {}
        }
        if !refusals.is_empty() {
            let (mut tx, _) = self.inner.db.begin(&Begin::WRITE, &self.inner.clock).await?;
            for row in &refusals {
                store::audit::insert(&mut tx, row).await?;
            }
            store::commit::commit_record(tx).await?;
        }
        if changes
            && !keeps
            && let Err(error) = &done
        {
            Box::pin(self.audit_denial::<O>(actor, about, error)).await?;
        }
        Ok((done, None))
    }

    /// What the platform itself does has one limit for all of it: a worker's lease goes on, and a
    /// heartbeat that is answered late is worth as much as none. For people each answer has one.
    async fn timely<O: Operation, T>(
        &self,
        actor: &Actor,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if !matches!(actor, Actor::System) {
            return work.await;
        }
        let turns = if O::ACCESS == Access::Write { 3 } else { 1 };
        let limit = self.inner.settings.patience * O::PATIENCE * turns;
        match tokio::time::timeout(limit, work).await {
            Ok(done) => done,
            Err(_) if O::ACCESS == Access::Write => Err(commit::unanswered()),
            Err(_) => Err(silent_database()),
        }
    }

    /// Waits for the database as long as the settings say, and for a connection to a server.
    pub(super) async fn patiently<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.patiently_for(1, work).await
    }

    /// The same for `times` as long: over a long way, several connections need it.
    pub(super) async fn patiently_for<T>(
        &self,
        times: u32,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let connecting = match self.engine() {
            Engine::Postgres => store::connect::CONNECT_TIMEOUT,
            Engine::Sqlite => Duration::ZERO,
        };
        let limit = (self.inner.settings.patience + connecting) * times;
        match tokio::time::timeout(limit, work).await {
            Ok(done) => self.explaining(done, Use::Reads).await,
            Err(_) => Err(silent_database()),
        }
    }

    /// Adds which grant the database role is missing, where one is.
    pub(super) async fn explaining<T>(&self, done: Result<T>, what: Use) -> Result<T> {
        match done {
            Err(error) if error.fault().is_some() => {
                let error = Box::pin(store::missing::explain(&self.inner.db, error)).await;
                let error = Box::pin(store::condition::explain(&self.inner.db, error)).await;
                Err(Box::pin(store::grants::explain(&self.inner.db, error, what)).await)
            }
            done => done,
        }
    }
}

/// The session that acts, where one does.
pub(super) fn session_of(actor: &Actor) -> Option<By> {
    match actor {
        Actor::Platform(session) => Some(By::Id(session.id())),
        _ => None,
    }
}
