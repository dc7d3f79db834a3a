//! What a harness has done, in numbers.

use std::fmt;

/// Counts over all rounds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    pub rounds: u64,
    pub runs: u64,
    pub targets: u64,
    pub steps: u64,
    pub kills: u64,
    /// Kills of a worker with a step in flight.
    pub kills_in_step: u64,
    pub freezes: u64,
    /// Freezes of a worker with a step in flight.
    pub freezes_in_step: u64,
    /// Freezes shorter than the lease.
    pub dozes: u64,
    pub terminated: u64,
    /// Connections that were ended within a transaction.
    pub terminated_in_transaction: u64,
    pub crashes: u64,
    pub double_starts: u64,
    pub cancels: u64,
    pub closes: u64,
    pub pauses: u64,
    pub takeovers: u64,
    pub step_crashed: u64,
    /// Targets that failed because a step or the database took too long.
    pub too_slow: u64,
    pub worker_lost: u64,
    pub notifications: u64,
    pub alerts: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("rounds", self.rounds),
            ("runs", self.runs),
            ("targets", self.targets),
            ("steps", self.steps),
            ("workers killed", self.kills),
            ("  of them with a step in flight", self.kills_in_step),
            ("workers frozen past their lease", self.freezes),
            ("  of them with a step in flight", self.freezes_in_step),
            ("workers frozen for less", self.dozes),
            ("connections terminated", self.terminated),
            ("  of them in a transaction", self.terminated_in_transaction),
            ("server crashes", self.crashes),
            ("double starts", self.double_starts),
            ("cancels", self.cancels),
            ("closes by force", self.closes),
            ("pauses", self.pauses),
            ("takeovers", self.takeovers),
            ("targets failed as step_crashed", self.step_crashed),
            ("targets failed as too slow", self.too_slow),
            ("runs closed as worker_lost", self.worker_lost),
            ("notifications", self.notifications),
            ("alerts", self.alerts),
        ];
        for (name, number) in lines {
            writeln!(f, "{name:<34} {number:>8}")?;
        }
        Ok(())
    }
}
