//! What is known of whether the database takes writes. Answers to reads say nothing of that.

use chrono::{DateTime, Utc};

use crate::domain::database_fault::Condition;
use crate::ops::AnyOutput;
use crate::ops::condition::DatabaseCondition;
use crate::tui::msg::Answer;

#[derive(Debug, Clone, Default)]
pub struct Writes {
    /// The refusal of a write of this console that none has followed which succeeded.
    refused: Option<Refused>,
    known: DatabaseCondition,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    condition: Condition,
    looked: bool,
    /// The newest heartbeat of a worker that the first look found.
    written_at: Option<DateTime<Utc>>,
}

impl Writes {
    pub(in crate::tui) fn note(&mut self, answer: &Answer) {
        if let Answer::Op(AnyOutput::PlatformInfo(_, Ok(platform))) = answer {
            self.known.refuses = platform.refuses;
        }
        if let Answer::Op(AnyOutput::ReadCondition(_, Ok(known))) = answer {
            // A worker that wrote since shows that the refusal is over.
            match &mut self.refused {
                Some(refused) if !refused.looked => {
                    *refused = Refused { looked: true, written_at: known.written_at, ..*refused };
                }
                Some(refused) if known.written_at > refused.written_at => self.refused = None,
                _ => {}
            }
            self.known = known.clone();
        }
        let refuses = answer.error().and_then(crate::Error::condition);
        match refuses {
            Some(condition @ (Condition::ReadOnly | Condition::Full)) => {
                self.refused = Some(Refused { condition, looked: false, written_at: None });
            }
            None if answer.wrote() => self.refused = None,
            _ => {}
        }
    }

    /// What the header says instead of "live"; none while nothing is known against it. Before a login,
    /// when a refused write is over is not kept up with, nor what workers wait for.
    pub fn trouble(&self, logged_in: bool) -> Option<String> {
        let refused = self.refused.filter(|_| logged_in).map(|refused| refused.condition);
        match self.known.refuses.or(refused) {
            Some(Condition::ReadOnly) => Some("read-only".to_owned()),
            Some(Condition::Full) => Some("disk full".to_owned()),
            _ => {
                let outage = self.known.outage.as_ref().filter(|_| logged_in);
                outage.map(|_| "worker outage".to_owned())
            }
        }
    }
}
