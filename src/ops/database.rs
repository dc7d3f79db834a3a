//! What a process asks of its database as a whole: its schema, its clock, who is connected.

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::store::database::Begin;
use super::store::grants::Use;
use super::store::{Db, awaited};
use super::{
    Awaited, Blocker, ChangeWatch, Engine, Listen, Ops, SchemaState, Snapshot, Target, overview,
    store,
};
use crate::Result;
use crate::access::Actor;

impl Ops {
    /// How the schema stands to this version of the program.
    pub async fn schema_state(&self) -> Result<SchemaState> {
        self.patiently(store::schema::state(&self.inner.db)).await
    }

    /// Refuses any schema but the one this version needs.
    pub async fn require_current_schema(&self) -> Result<()> {
        self.patiently(store::schema::require_current(&self.inner.db)).await
    }

    /// The same, where a server is asked about it with the first transaction.
    pub async fn require_current_schema_first(&self) -> Result<()> {
        self.patiently(self.inner.db.require_current_schema_first()).await
    }

    /// Refuses a server behind a pooler that loses what a connection keeps, for `who` needs that.
    pub async fn require_direct_connection(&self, who: &str) -> Result<()> {
        match &self.inner.db {
            Db::Postgres(server) => {
                store::pooled::require_direct(&server.keeper().options(), who).await
            }
            Db::Sqlite(..) => Ok(()),
        }
    }

    /// Refuses a database role that lacks a grant which a worker needs.
    pub async fn require_worker_grants(&self) -> Result<()> {
        self.patiently(store::grants::require_of_worker(&self.inner.db)).await
    }

    /// The schema version this program needs.
    pub fn program_schema_version(&self) -> i64 {
        store::schema::program_version(&self.inner.db)
    }

    /// Brings the schema up to date; gives how many migrations were applied. A database that
    /// holds something else is refused.
    pub async fn migrate(&self) -> Result<usize> {
        self.migrate_into(Target::Own, &|_| {}).await
    }

    /// The migrations that [`Ops::migrate_into`] would apply.
    pub async fn missing_migrations(&self, target: Target) -> Result<Vec<store::migrate::Missing>> {
        let missing = store::migrate::missing(&self.inner.db, target).await;
        self.explaining(missing, Use::Migrates).await
    }

    /// Brings the schema up to date in a database that may hold something else; `waits` hears the
    /// version of each migration that waits for a lock.
    pub async fn migrate_into(
        &self,
        target: Target,
        waits: &(dyn Fn(i64) + Sync),
    ) -> Result<usize> {
        let done = store::migrate::migrate(&self.inner.db, target, waits).await;
        let applied = self.explaining(done, Use::Migrates).await?;
        let filled = self.run(&Actor::System, overview::FillFingerprints).await;
        filled.map_err(store::migrate::interrupted)?;
        Ok(applied)
    }

    /// Tells the database's server that `user` is at the console now; none after a logout.
    pub async fn name_user(&self, user: Option<&str>) {
        self.inner.db.name_user(user).await;
    }

    /// Has a watch's connection be listed with the console's user, too.
    pub async fn name_watch(&self, watch: &mut ChangeWatch) {
        self.inner.db.name_watch(watch).await;
    }

    /// A watch on other processes' changes.
    pub async fn watch(&self) -> Result<ChangeWatch> {
        self.patiently_for(4, self.inner.db.watch()).await
    }

    /// Whether hints of changes may be listened for.
    pub fn listens(&self) -> bool {
        let off = matches!(self.inner.settings.limits.listen, Listen::Off);
        self.engine() == Engine::Postgres && !off
    }

    /// Whether they are listened for at another address.
    pub fn listens_elsewhere(&self) -> bool {
        self.listens() && matches!(self.inner.settings.limits.listen, Listen::At(_))
    }

    /// The state of a server's data, by one cheap question, and when it was asked; none for a file. A
    /// message is sent to the channel `proof` with it.
    pub async fn snapshot(&self, proof: Option<&str>) -> Result<Option<(Instant, Snapshot)>> {
        self.inner.db.snapshot(proof).await
    }

    /// Looks whether the database answers, and which lock the request under way waits for.
    pub async fn blocker(&self, watch: Option<&mut ChangeWatch>) -> Result<Option<Blocker>> {
        self.inner.db.blocker(watch).await
    }

    /// Waits for a turn before anything is asked of the database.
    pub async fn queue<T>(&self, turn: impl Future<Output = T>) -> T {
        awaited::turn(turn).await
    }

    /// Does `work`, and keeps track in `awaited` of the answer it waits for. A file gives one
    /// answer for all of it.
    pub async fn tracked<T>(&self, awaited: &Awaited, work: impl Future<Output = T>) -> T {
        match self.engine() {
            Engine::Postgres => awaited.during(work).await,
            Engine::Sqlite => awaited.during(awaited::answer(work)).await,
        }
    }

    /// What the database's clock shows.
    pub async fn database_now(&self) -> Result<DateTime<Utc>> {
        let (tx, _) = self.inner.db.begin(&Begin::READ, &self.inner.clock).await?;
        tx.rollback().await?;
        Ok(self.inner.clock.now())
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.inner.db.close().await;
    }
}
