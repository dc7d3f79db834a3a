//! Files of drafts of support requests: the work on them, in its order.

use chrono::{DateTime, Utc};

use crate::Result;
use crate::drafts::{DraftKey, Drafts, Found, Kept};
use crate::tui::msg::{Effect, Request, Slot};

/// One piece of work on the file of a draft.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Whose draft.
    pub key: DraftKey,
    /// What is to be done.
    pub work: Work,
}

/// What is to be done to a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Read it, after what is too old was removed.
    Load(DateTime<Utc>),
    /// Write it, in its turn.
    Save(u64, Box<Kept>),
    /// Remove it, in its turn.
    Remove(u64),
}

/// What came of a job.
#[derive(Debug, Clone)]
pub enum Done {
    /// What was found.
    Loaded(Result<Found>),
    /// It was written, with the moment that is noted in it; or why not.
    Saved(DateTime<Utc>, Result<()>),
    /// It is gone, or why not.
    Removed(Result<()>),
}

/// Does all the jobs, one after the other.
pub async fn worked_off(drafts: Drafts, jobs: Vec<Job>) -> Vec<(DraftKey, Done)> {
    let all = move || {
        let work = |job: Job| {
            let done = job.work.on(&drafts, &job.key);
            (job.key, done)
        };
        jobs.into_iter().map(work).collect()
    };
    blocking(all).await.unwrap_or_default()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

impl Work {
    fn on(self, drafts: &Drafts, key: &DraftKey) -> Done {
        match self {
            Self::Load(now) => {
                drafts.clean(now);
                Done::Loaded(drafts.load(key, now))
            }
            Self::Save(turn, kept) => Done::Saved(kept.saved_at, drafts.save(key, turn, &kept)),
            Self::Remove(turn) => Done::Removed(drafts.remove(key, turn)),
        }
    }
}

/// Puts work on files one after the other: what is asked while a batch is under way waits, and
/// nothing is replaced by what comes later.
#[derive(Debug, Default)]
pub struct Keeper {
    drafts: Option<Drafts>,
    waiting: Vec<Job>,
    flying: Vec<Job>,
}

impl Keeper {
    /// A keeper of these drafts; without a place for them nothing is kept.
    pub fn new(drafts: Option<Drafts>) -> Self {
        Self { drafts, ..Self::default() }
    }

    /// Where drafts are kept.
    pub fn drafts(&self) -> Option<&Drafts> {
        self.drafts.as_ref()
    }

    /// A job that writes what is kept of a draft.
    pub fn save_job(&self, key: &DraftKey, kept: Kept) -> Option<Job> {
        let turn = self.drafts.as_ref()?.turn();
        Some(Job { key: key.clone(), work: Work::Save(turn, Box::new(kept)) })
    }

    /// Writes what is kept of a draft.
    pub fn save(&mut self, key: &DraftKey, kept: Kept) -> Vec<Effect> {
        match self.save_job(key, kept) {
            Some(job) => self.put(job),
            None => Vec::new(),
        }
    }

    /// Removes a draft's file.
    pub fn remove(&mut self, key: &DraftKey) -> Vec<Effect> {
        let Some(turn) = self.drafts.as_ref().map(Drafts::turn) else { return Vec::new() };
        self.put(Job { key: key.clone(), work: Work::Remove(turn) })
    }

    /// Reads a draft's file; none where there is no place for drafts.
    pub fn load(&mut self, key: &DraftKey, now: DateTime<Utc>) -> Option<Vec<Effect>> {
        self.drafts.as_ref()?;
        Some(self.put(Job { key: key.clone(), work: Work::Load(now) }))
    }

    fn put(&mut self, job: Job) -> Vec<Effect> {
        // Of writes of one file only the last one counts.
        let overtaken = |old: &Job| {
            old.key == job.key
                && !matches!(old.work, Work::Load(_))
                && !matches!(job.work, Work::Load(_))
        };
        self.waiting.retain(|old| !overtaken(old));
        self.waiting.push(job);
        self.next()
    }

    fn next(&mut self) -> Vec<Effect> {
        let Some(drafts) = self.drafts.clone().filter(|_| self.flying.is_empty()) else {
            return Vec::new();
        };
        if self.waiting.is_empty() {
            return Vec::new();
        }
        self.flying = std::mem::take(&mut self.waiting);
        vec![Effect::Ask(Slot::Drafts, Request::Files(drafts, self.flying.clone()))]
    }

    /// A job that nobody has to be told of: it is done when the console ends.
    pub fn wait(&mut self, job: Option<Job>) {
        self.waiting.extend(job);
    }

    /// The batch is done; the next one starts.
    pub fn landed(&mut self) -> Vec<Effect> {
        self.flying.clear();
        self.next()
    }

    /// Everything that may not be on the disk yet, for a console that ends. Doing it twice is no
    /// harm: each write knows its turn.
    pub fn last(&mut self) -> Option<(Drafts, Vec<Job>)> {
        let mut jobs = std::mem::take(&mut self.flying);
        jobs.append(&mut self.waiting);
        jobs.retain(|job| !matches!(job.work, Work::Load(_)));
        let drafts = self.drafts.clone().filter(|_| !jobs.is_empty())?;
        Some((drafts, jobs))
    }
}
