//! The heartbeat: keeps leases alive on a connection of its own, and notices first when the
//! database is gone or a run was lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Shared;
use super::condition::Source;
use crate::access::Actor;
use crate::ops::SchemaState;
use crate::ops::runs::Claimed;
use crate::ops::workers::{Beat, WorkerInfo};
use crate::{ErrorKind, Result};

/// How often the database is looked at between heartbeats.
const LOOK: Duration = Duration::from_secs(4);
/// How often it is asked while it fails.
const PROBE: Duration = Duration::from_secs(1);

/// Until when a run is held, by this process's own clock; none: it is lost.
pub type Until = Option<Instant>;

/// The runs this process holds.
#[derive(Debug, Default)]
pub struct Heart {
    held: Mutex<HashMap<i64, watch::Sender<Until>>>,
}

impl Heart {
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the lease of a run alive from now on.
    pub fn hold(&self, claimed: &Claimed, until: Instant) -> watch::Receiver<Until> {
        let (sender, receiver) = watch::channel(Some(until));
        self.locked().insert(claimed.id, sender);
        receiver
    }

    /// Stops keeping it alive.
    pub fn let_go(&self, run_id: i64) {
        self.locked().remove(&run_id);
    }

    fn runs(&self) -> Vec<i64> {
        self.locked().keys().copied().collect()
    }

    /// Sets until when the runs that were asked about are held.
    fn set(&self, asked: &[i64], held: &[i64], until: Instant) {
        for (run_id, sender) in self.locked().iter() {
            if asked.contains(run_id) {
                sender.send_replace(held.contains(run_id).then_some(until));
            }
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<i64, watch::Sender<Until>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beat before anything is said or claimed, tried until the database writes it; false if the
/// worker was told to stop first.
///
/// # Errors
/// *Refused* where the role may not do what a worker does.
pub async fn first(shared: &Shared) -> Result<bool> {
    while !shared.is_stopping() {
        let beat = Beat {
            worker: WorkerInfo { types: shared.types(), ..shared.info.clone() },
            stopping: false,
            runs: Vec::new(),
            lease: shared.settings.lease,
            outage: None,
        };
        match shared.heart_ops.run(&Actor::System, beat).await {
            Ok(_) => {
                shared.wrote(Source::Heart);
                return Ok(true);
            }
            Err(error) if error.kind() == ErrorKind::Refused && !error.is_waited_out() => {
                return Err(error);
            }
            Err(error) => shared.failed(Source::Heart, &error),
        }
        shared.rest(PROBE).await;
    }
    Ok(false)
}

/// Beats until it is ended, and says when the database goes and comes back.
pub async fn beat(shared: Arc<Shared>, heart: Arc<Heart>) {
    let heartbeat = shared.settings.heartbeat;
    let mut due = Instant::now();
    loop {
        // A claim's lease is as good as a heartbeat; what counts is the time the question
        // was asked, not the time of its answer.
        let asked_at = Instant::now();
        let answer = if asked_at >= due {
            due = asked_at + heartbeat;
            let asked = heart.runs();
            let beat = Beat {
                worker: WorkerInfo { types: shared.types(), ..shared.info.clone() },
                stopping: shared.is_stopping(),
                runs: asked.clone(),
                lease: shared.settings.lease,
                outage: shared.condition.cause(),
            };
            let answer = shared.heart_ops.run(&Actor::System, beat).await;
            if let Ok(held) = &answer {
                heart.set(&asked, held, asked_at + shared.settings.lease);
                // Only a write shows that the database takes writes.
                let failed = shared.condition.is_failing(Source::Heart);
                shared.wrote(Source::Heart);
                shared.settle_owed().await;
                // With longer heartbeats there are looks in between.
                if heartbeat <= LOOK {
                    shared.check_schema().await;
                }
                if failed {
                    shared.hint.notify_waiters();
                }
            }
            answer.map(drop)
        } else {
            match shared.heart_ops.schema_state().await {
                Ok(SchemaState::Newer { .. }) => {
                    shared.check_schema().await;
                    Ok(())
                }
                other => other.map(drop),
            }
        };
        match &answer {
            Ok(()) => shared.look_at_clock(),
            Err(error) => shared.failed(Source::Heart, error),
        }
        if answer.is_err() || shared.condition.is_failing(Source::Heart) {
            due = Instant::now();
        }
        let pause = LOOK.min(heartbeat).min(due.saturating_duration_since(Instant::now()));
        // A database that refuses at once must not be asked without end.
        let pause = if answer.is_err() { PROBE.min(heartbeat / 2) } else { pause };
        // What has changed is said at once, as long as the database answers.
        tokio::select! {
            () = tokio::time::sleep(pause.max(Duration::from_millis(10))) => {}
            () = shared.news.notified(), if answer.is_ok() => due = Instant::now(),
        }
    }
}
