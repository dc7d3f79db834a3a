//! The traffic of customers while a demo is open: they start runs and leave telemetry, all through
//! the operations. A worker executes the runs.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::activity::Habits;
use crate::access::Actor;
use crate::ops::Ops;
use crate::ops::seed::Starters;
use crate::{Error, Result};

/// The wait before the first thing that happens.
const FIRST: Duration = Duration::from_secs(1);
/// The wait after the database did not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// Traffic in the background; stops when dropped.
#[derive(Debug)]
pub struct Traffic {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Starts it, on the runtime at hand.
    pub fn start(ops: Ops, seed: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(Customers::new(ops, seed).run(stopped));
        Self { stop, task: Some(task) }
    }

    /// Stops it and waits until what a customer is just doing is done.
    pub async fn stop(mut self) {
        // Nobody listening means that it has ended already.
        let _ = self.stop.send(true);
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

struct Customers {
    ops: Ops,
    rng: StdRng,
    starters: Vec<(i64, i64)>,
    habits: Habits,
}

impl Customers {
    fn new(ops: Ops, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed ^ 0x7472_6166_6669_6300);
        Self { ops, rng, starters: Vec::new(), habits: Habits::default() }
    }

    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut pause = FIRST;
        loop {
            tokio::select! {
                _ = stopped.changed() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = match self.act().await {
                Ok(()) => Duration::from_millis(self.rng.random_range(2_500..9_000)),
                Err(error) => {
                    tracing::warn!(%error, "the demo's traffic pauses");
                    PAUSE
                }
            };
        }
    }

    async fn act(&mut self) -> Result<()> {
        if self.starters.is_empty() {
            self.starters = self.ops.run(&Actor::System, Starters).await?;
        }
        // A platform without customers has no traffic.
        if self.starters.is_empty() {
            return Ok(());
        }
        let (user_id, tenant_id) = self.starters[self.rng.random_range(0..self.starters.len())];
        match self.habits.act(&self.ops, &mut self.rng, user_id, tenant_id).await {
            Err(error) if waits(&error) => Err(error),
            Err(_) => {
                // The tenant or the person is gone: look again who there is.
                self.starters.clear();
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Whether the database was the trouble: then waiting helps, and nothing is given up.
fn waits(error: &Error) -> bool {
    error.retry_can_help()
}
