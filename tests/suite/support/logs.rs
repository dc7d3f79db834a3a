//! A log of the thread of a test.

use tempfile::TempDir;
use tenantpilot::config::LogLevel;
use tenantpilot::logging::LogGuard;
use tenantpilot::paths::Paths;
use tenantpilot::{Clock, logging};
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};

/// Takes what a runtime of one thread logs, until it is dropped.
pub struct Log {
    _logging: DefaultGuard,
    _other: Dispatch,
    _writer: LogGuard,
    paths: Paths,
    _folder: TempDir,
}

impl Log {
    pub fn of_this_thread() -> Self {
        let folder = TempDir::new().unwrap();
        let root = folder.path().display().to_string();
        let paths = Paths::from_env(|_| Some(root.clone())).unwrap();
        let (subscriber, writer) =
            logging::subscriber(&paths, LogLevel::Info, Clock::system()).unwrap();
        // With one subscriber alone, the first thread to come by a place decides whether it is ever
        // logged, and most threads of the suite have none.
        let other = Dispatch::new(NoSubscriber::default());
        let logging = tracing::subscriber::set_default(subscriber);
        Self { _logging: logging, _other: other, _writer: writer, paths, _folder: folder }
    }

    /// How often `what` is in it.
    pub fn times(&self, what: &str) -> usize {
        let files = std::fs::read_dir(self.paths.logs_dir()).unwrap();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts.map(|text| text.matches(what).count()).sum()
    }
}
