//! Statements that do not wait for each other are asked together.
//!
//! Each of them goes on until it asks something. What all of them ask then goes to the server as one
//! text, in one round trip. SQLite is asked one by one; there no trip is to be saved.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use sqlx::postgres::PgRow;
use tokio::sync::oneshot;

use super::commit::{PgTx, Trail};
use super::sql::{Done, Query};
use crate::Result;

/// What a statement gave.
pub type Answer = (Vec<PgRow>, Done);

/// Where statements that are asked together are left.
#[derive(Clone)]
pub struct Counter {
    left: Arc<Mutex<Left>>,
    /// Whether the server took no writes when the transaction began.
    pub takes_no_writes: bool,
}

#[derive(Default)]
struct Left {
    asked: Vec<(Query, oneshot::Sender<sqlx::Result<Answer>>)>,
    trail: Trail,
}

impl Counter {
    /// One of a transaction.
    pub fn new(takes_no_writes: bool) -> Self {
        Self { left: Arc::default(), takes_no_writes }
    }

    /// Leaves a statement; the answer comes once all the others have left theirs.
    pub async fn ask(&self, query: Query) -> sqlx::Result<Answer> {
        let (sender, answer) = oneshot::channel();
        self.left().asked.push((query, sender));
        answer.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Keeps what the commit of the transaction can be looked up by.
    pub fn leave(&self, keep: impl FnOnce(&mut Trail)) {
        keep(&mut self.left().trail);
    }

    fn take(&self) -> (Vec<Query>, Vec<oneshot::Sender<sqlx::Result<Answer>>>) {
        std::mem::take(&mut self.left().asked).into_iter().unzip()
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works off reads that leave what they ask at `counter`.
///
/// # Errors
/// That of the first statement that fails, and that of the first read that does.
pub async fn work_off<T>(
    tx: &mut PgTx,
    counter: &Counter,
    reads: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut reads = pin!(reads);
    loop {
        let done = poll_fn(|context| match reads.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            // They wait for something else.
            Poll::Pending if counter.left().asked.is_empty() => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(done) = done.await {
            tx.follow(std::mem::take(&mut counter.left().trail));
            return done;
        }
        let (queries, senders) = counter.take();
        let (answers, failed) = tx.ask_all(queries).await;
        let mut senders = senders.into_iter();
        for (sender, answer) in senders.by_ref().take(answers.len()).zip(answers) {
            // A read that was given up needs no answer.
            let _ = sender.send(Ok(answer));
        }
        let Some(error) = failed else { continue };
        // The read that asked it says what it means; those behind it are never answered.
        if let Some(sender) = senders.next() {
            let _ = sender.send(Err(error));
        }
        let done = poll_fn(|context| match reads.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => Poll::Ready(None),
        });
        let done = done.await;
        drop(senders);
        return done.unwrap_or(Err(sqlx::Error::WorkerCrashed.into()));
    }
}

/// Reads together, each with a transaction under the given name; gives what they gave, or the first
/// error.
macro_rules! together {
    ($tx:expr, $(|$with:ident| $read:expr),+ $(,)?) => {
        match &mut *$tx {
            $crate::ops::store::Tx::Postgres(own) => {
                let counter = own.counter();
                let reads = async {
                    tokio::try_join!(biased; $(async {
                        let mut branch = $crate::ops::store::Tx::Postgres(
                            $crate::ops::store::commit::PgTx::at(counter.clone()),
                        );
                        let $with = &mut branch;
                        $read.await
                    }),+)
                };
                $crate::ops::store::together::work_off(own, &counter, reads).await
            }
            tx @ $crate::ops::store::Tx::Sqlite(_) => async { Ok(($({ let $with = &mut *tx; $read.await? },)+)) }.await,
        }
    };
}

/// Reads once for each item, all together; gives what they gave, in the order of the items, or the
/// first error.
macro_rules! each {
    ($tx:expr, $items:expr, |$with:ident, $item:ident| $read:expr) => {
        match &mut *$tx {
            $crate::ops::store::Tx::Postgres(own) => {
                let counter = own.counter();
                let reads = futures_util::future::try_join_all($items.into_iter().map(|$item| {
                    let mut branch = $crate::ops::store::Tx::Postgres(
                        $crate::ops::store::commit::PgTx::at(counter.clone()),
                    );
                    async move {
                        let $with = &mut branch;
                        $read.await
                    }
                }));
                $crate::ops::store::together::work_off(own, &counter, reads).await
            }
            tx @ $crate::ops::store::Tx::Sqlite(_) => {
                async {
                    let mut all = Vec::new();
                    for $item in $items {
                        let $with = &mut *tx;
                        all.push($read.await?);
                    }
                    Ok(all)
                }
                .await
            }
        }
    };
}
pub(crate) use {each, together};
