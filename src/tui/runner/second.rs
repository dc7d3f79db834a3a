//! A console's second connection: it hears of changes, and looks what a request waits for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::Arrived;
use super::feed::Feed;
use crate::ops::{Blocker, ChangeWatch, Hint, Ops};
use crate::{ErrorKind, Result};

/// How long to wait before a lost listener is set up again.
const AGAIN: Duration = Duration::from_secs(3);
/// A message that shows whether hints arrive has so long to come.
const PROOF: Duration = Duration::from_secs(5);

/// What was found of what a request waits for.
pub type Looked = Result<Option<Blocker>>;

pub struct Second {
    task: JoinHandle<()>,
    /// Tells it that its connection gets another name.
    named: Arc<Notify>,
    looks: mpsc::Sender<()>,
}

/// Its end of what it is told, and tells.
struct Ends {
    ops: Ops,
    feed: Arc<Feed>,
    named: Arc<Notify>,
    hint: mpsc::Sender<()>,
    looks: mpsc::Receiver<()>,
    looked: mpsc::UnboundedSender<Arrived>,
}

impl Drop for Second {
    /// The task holds a connection of its own, which nothing else would close.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Second {
    /// Starts it. One pending hint is enough.
    pub fn start(
        ops: Ops,
        feed: Arc<Feed>,
        hint: mpsc::Sender<()>,
        looked: mpsc::UnboundedSender<Arrived>,
    ) -> Self {
        let (looks, wanted) = mpsc::channel(1);
        let named = Arc::new(Notify::new());
        let ends = Ends { ops, feed, named: Arc::clone(&named), hint, looks: wanted, looked };
        Self { task: tokio::spawn(ends.run()), named, looks }
    }

    pub fn named(&self) -> Arc<Notify> {
        Arc::clone(&self.named)
    }

    /// Looks what the request under way waits for.
    pub fn look(&self) {
        // One look at a time is enough.
        let _ = self.looks.try_send(());
    }
}

impl Ends {
    async fn run(mut self) {
        let mut listens = self.ops.listens();
        loop {
            if listens {
                match self.watch().await {
                    Ok(watch) => {
                        self.feed.listening(watch.proof());
                        listens = self.hear(watch).await;
                        self.feed.deaf();
                    }
                    Err(error) => listens = error.kind() != ErrorKind::Refused,
                }
            }
            let again = Instant::now() + AGAIN;
            loop {
                tokio::select! {
                    wanted = self.looks.recv() => match wanted {
                        Some(()) => self.look(None).await,
                        None => return,
                    },
                    () = sleep_until(again), if listens => break,
                }
            }
        }
    }

    /// Begins to listen. At another address that may take long, and what is waited for is looked for
    /// meanwhile; at the same one, both would be a connection too many.
    async fn watch(&mut self) -> Result<ChangeWatch> {
        let ops = self.ops.clone();
        let elsewhere = ops.listens_elsewhere();
        let mut watch = Box::pin(ops.watch());
        loop {
            tokio::select! {
                watch = &mut watch => return watch,
                Some(()) = self.looks.recv(), if elsewhere => self.look(None).await,
            }
        }
    }

    /// Passes hints on until the connection is lost; false where none arrives, for a pooler stands
    /// in between.
    async fn hear(&mut self, mut watch: ChangeWatch) -> bool {
        let mut deadline = None;
        loop {
            tokio::select! {
                heard = watch.hint() => match heard {
                    Ok(Hint::Change) => {
                        self.feed.hint();
                        let _ = self.hint.try_send(());
                    }
                    Ok(Hint::Proof) => {
                        self.feed.prove();
                        deadline = None;
                    }
                    Err(_) => return true,
                },
                () = self.named.notified() => self.ops.name_watch(&mut watch).await,
                // The message may have been quicker.
                () = self.feed.sent.notified(), if !self.feed.is_proven() => {
                    deadline = Some(Instant::now() + PROOF);
                }
                () = at(deadline) => return false,
                Some(()) = self.looks.recv() => self.look(Some(&mut watch)).await,
            }
        }
    }

    async fn look(&self, watch: Option<&mut ChangeWatch>) {
        let looked = self.ops.blocker(watch).await;
        // The receiver is gone once the session has ended.
        let _ = self.looked.send(Arrived::looked(looked));
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
