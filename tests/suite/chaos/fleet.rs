//! Worker processes that the harness starts, kills, freezes and thaws. It never signals any
//! process but its own.

use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// One worker process.
struct Hand {
    child: Child,
    number: usize,
    frozen_until: Option<Instant>,
}

/// The worker processes of a harness; killed when dropped.
pub struct Fleet {
    url: String,
    mutant: Option<String>,
    options: Vec<String>,
    hands: Vec<Hand>,
    made: usize,
    folder: TempDir,
}

impl Fleet {
    /// No workers yet, on the database at `url`, with a seeded bug or none.
    pub fn new(url: &str, mutant: Option<&str>, options: &[&str]) -> Self {
        Self {
            url: url.to_owned(),
            mutant: mutant.map(str::to_owned),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            hands: Vec::new(),
            made: 0,
            folder: TempDir::new().unwrap(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.hands.len()
    }

    /// Starts one more.
    pub fn hire(&mut self) {
        let number = self.made;
        self.made += 1;
        let own = self.folder.path().join(number.to_string());
        std::fs::create_dir(&own).unwrap();
        let file = |name: &str| File::create(own.join(name)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenantpilot"));
        command
            .args(["worker", "--lease", "1s", "--heartbeat", "300ms", "--no-schedule"])
            .args(&self.options)
            .env_clear()
            .env("HOME", &own)
            .env("TENANTPILOT_CONFIG_DIR", own.join("config"))
            .env("TENANTPILOT_DATA_DIR", own.join("data"))
            .env("TENANTPILOT_STATE_DIR", own.join("state"))
            .env("TENANTPILOT_DATABASE_URL", &self.url)
            .env("TENANTPILOT_TEST_PROBE", "1")
            .current_dir(&own)
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"));
        if let Some(mutant) = &self.mutant {
            command.env("TENANTPILOT_TEST_MUTANT", mutant);
        }
        let child = command.spawn().unwrap();
        self.hands.push(Hand { child, number, frozen_until: None });
    }

    /// The process id of a worker.
    pub fn pid(&self, index: usize) -> u32 {
        self.hands[index].child.id()
    }

    /// Which worker has this process id.
    pub fn with_pid(&self, pid: u32) -> Option<usize> {
        self.hands.iter().position(|hand| hand.child.id() == pid)
    }

    /// Kills a worker and waits until it is gone; gives the process id it had.
    pub fn kill(&mut self, index: usize) -> u32 {
        let mut hand = self.hands.swap_remove(index);
        hand.child.kill().unwrap();
        hand.child.wait().unwrap();
        hand.child.id()
    }

    /// Stops a worker's clockwork for at least `pause`, see [`Fleet::thaw_due`].
    pub fn freeze(&mut self, index: usize, pause: Duration) {
        signal(&self.hands[index].child, Signal::STOP);
        self.hands[index].frozen_until = Some(Instant::now() + pause);
    }

    /// Whether a worker is frozen.
    pub fn is_frozen(&self, index: usize) -> bool {
        self.hands[index].frozen_until.is_some()
    }

    /// Lets the frozen go on whose time has come, or all of them.
    pub fn thaw_due(&mut self, all: bool) {
        for hand in &mut self.hands {
            if hand.frozen_until.is_some_and(|until| all || until <= Instant::now()) {
                signal(&hand.child, Signal::CONT);
                hand.frozen_until = None;
            }
        }
    }

    /// The workers that ended though nobody killed them, with what they said.
    pub fn deserters(&mut self) -> Vec<String> {
        let folder = self.folder.path().to_owned();
        let ended = |hand: &mut Hand| {
            let status = hand.child.try_wait().unwrap()?;
            let own = folder.join(hand.number.to_string());
            let read = |name: &str| std::fs::read_to_string(own.join(name)).unwrap_or_default();
            let last = read("out").lines().last().unwrap_or_default().to_owned();
            Some(format!("a worker ended by itself ({status}): {last} {}", read("err").trim()))
        };
        self.hands.iter_mut().filter_map(ended).collect()
    }

    /// Tells all of them to stop; gives how they ended.
    pub fn dismiss(&mut self) -> Vec<ExitStatus> {
        self.thaw_due(true);
        for hand in &self.hands {
            signal(&hand.child, Signal::TERM);
        }
        self.hands.drain(..).map(|mut hand| hand.child.wait().unwrap()).collect()
    }

    /// How many runs were taken over from lost workers, as the workers themselves say.
    pub fn takeovers(&self) -> u64 {
        let said = |number: usize| {
            let file = self.folder.path().join(number.to_string()).join("out");
            std::fs::read_to_string(file).unwrap_or_default()
        };
        let count = |text: String| text.lines().filter(|line| line.contains("taken over")).count();
        (0..self.made).map(|number| count(said(number)) as u64).sum()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for hand in &mut self.hands {
            let _ = hand.child.kill();
            let _ = hand.child.wait();
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    // A child that was not waited for keeps its number, even when it has ended.
    kill_process(Pid::from_child(child), signal).unwrap();
}
