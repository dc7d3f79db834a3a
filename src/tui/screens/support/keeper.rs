//! Work on files of drafts in its turn.

use chrono::{DateTime, Utc};

use crate::drafts::{DraftKey, Drafts, Kept};
use crate::tui::draft_files::{Job, Work};
use crate::tui::msg::{Effect, Request};
use crate::tui::slot::Slot;

/// Puts work on files one after the other: what is asked while a batch is under way waits, and
/// nothing is replaced by what comes later. Without a place for drafts nothing is kept.
#[derive(Debug, Default)]
pub struct Keeper {
    drafts: Option<Drafts>,
    waiting: Vec<Job>,
    flying: Vec<Job>,
}

impl Keeper {
    pub fn new(drafts: Option<Drafts>) -> Self {
        Self { drafts, ..Self::default() }
    }

    pub fn save_job(&self, key: &DraftKey, kept: Kept) -> Option<(Drafts, Job)> {
        let drafts = self.drafts.clone()?;
        let work = Work::Save(drafts.turn(), Box::new(kept));
        Some((drafts, Job { key: key.clone(), work }))
    }

    pub fn save(&mut self, key: &DraftKey, kept: Kept) -> Vec<Effect> {
        self.wait(key, kept);
        self.next()
    }

    /// The same, when the console ends at the latest.
    pub fn wait(&mut self, key: &DraftKey, kept: Kept) {
        if let Some((_, job)) = self.save_job(key, kept) {
            self.put(job);
        }
    }

    pub fn remove(&mut self, key: &DraftKey) -> Vec<Effect> {
        let Some(turn) = self.drafts.as_ref().map(Drafts::turn) else { return Vec::new() };
        self.put(Job { key: key.clone(), work: Work::Remove(turn) });
        self.next()
    }

    /// Reads a draft's file; none where there is no place for drafts.
    pub fn load(&mut self, key: &DraftKey, now: DateTime<Utc>) -> Option<Vec<Effect>> {
        self.drafts.as_ref()?;
        self.put(Job { key: key.clone(), work: Work::Load(now) });
        Some(self.next())
    }

    fn put(&mut self, job: Job) {
        // Of writes of one file only the last one counts.
        let loads = |job: &Job| matches!(job.work, Work::Load(_));
        self.waiting.retain(|old| old.key != job.key || loads(old) || loads(&job));
        self.waiting.push(job);
    }

    fn next(&mut self) -> Vec<Effect> {
        let Some(drafts) = self.drafts.clone() else { return Vec::new() };
        if !self.flying.is_empty() || self.waiting.is_empty() {
            return Vec::new();
        }
        self.flying = std::mem::take(&mut self.waiting);
        vec![Effect::Ask(Slot::DRAFTS, Request::Files(drafts, self.flying.clone()))]
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
