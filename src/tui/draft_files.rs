//! Files of drafts of support requests: the work on them, in its order.

use chrono::{DateTime, Utc};

use crate::Result;
use crate::drafts::{DraftKey, Drafts, Found, Kept};

/// One piece of work on the file of a draft.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub key: DraftKey,
    pub work: Work,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Read it, after what is too old was removed.
    Load(DateTime<Utc>),
    /// Write it, in its turn.
    Save(u64, Box<Kept>),
    /// Remove it, in its turn.
    Remove(u64),
}

#[derive(Debug, Clone)]
pub enum Done {
    Loaded(Result<Found>),
    Saved(Result<()>),
    Removed(Result<()>),
}

pub async fn run_jobs(drafts: Drafts, jobs: Vec<Job>) -> Vec<(DraftKey, Done)> {
    let all = move || {
        let work = |Job { key, work }| {
            let done = work.on(&drafts, &key);
            (key, done)
        };
        jobs.into_iter().map(work).collect()
    };
    tokio::task::spawn_blocking(all).await.unwrap_or_default()
}

impl Work {
    fn on(self, drafts: &Drafts, key: &DraftKey) -> Done {
        match self {
            Self::Load(now) => {
                drafts.clean(now);
                Done::Loaded(drafts.load(key, now))
            }
            Self::Save(turn, kept) => Done::Saved(drafts.save(key, turn, &kept)),
            Self::Remove(turn) => Done::Removed(drafts.remove(key, turn)),
        }
    }
}
