//! The log: daily files in the state directory, private, redacted, never on the terminal.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::config::LogLevel;
use crate::domain::safe_text::SafeText;
use crate::domain::sanitize;
use crate::files::{self, Refusal};
use crate::paths::Paths;
use crate::{Clock, Error, ErrorKind, Result};

/// How many daily files are kept, today's included.
pub const FILES_KEPT: usize = 7;

const PREFIX: &str = "tenantpilot.";
const SUFFIX: &str = ".log";

/// Keeps the log's thread alive; dropping it writes what is still waiting.
#[derive(Debug)]
pub struct LogGuard {
    _worker: WorkerGuard,
    directory: PathBuf,
}

impl LogGuard {
    /// The directory of the log files, to be named when something went wrong.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Starts logging for the whole process. A second call in one process is an error.
pub fn init(paths: &Paths, level: LogLevel) -> Result<LogGuard> {
    let (subscriber, guard) = subscriber(paths, level, Clock::system())?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| Error::failed("logging was already started"))?;
    Ok(guard)
}

/// The log file of today, for messages such as the one after a panic.
pub fn current_file(paths: &Paths, clock: &Clock) -> PathBuf {
    paths.logs_dir().join(file_name(&day(clock)))
}

/// What [`init`] installs, for a test or a thread of its own.
pub fn subscriber(
    paths: &Paths,
    level: LogLevel,
    clock: Clock,
) -> Result<(impl tracing::Subscriber + Send + Sync + use<>, LogGuard)> {
    let directory = paths.logs_dir();
    files::create_private_dir(&directory)?;
    files::check_own_dirs(&[paths.state_dir(), &directory])?;
    let today = current_file(paths, &clock);
    let file = DailyFile::open(directory.clone(), clock)
        .map_err(|refusal| refusal.error(ErrorKind::Failed, "cannot write", &today))?;
    // Lossy: a full disk or a slow one must never hold up the console.
    let (writer, worker) = NonBlockingBuilder::default()
        .lossy(true)
        // The default reserves room for 128,000 lines, a quarter of a console's memory.
        .buffered_lines_limit(1_024)
        .thread_name("log")
        .finish(file);
    let ours = filter(level);
    let targets = Targets::new()
        .with_target("tenantpilot", ours)
        // A server's notices; that it ended a connection, the next statement reports.
        .with_target("sqlx::postgres::notice", LevelFilter::ERROR)
        // Libraries log statements and addresses at their lower levels.
        .with_default(ours.min(LevelFilter::WARN));
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(OneLine(Mutex::new(writer)))
        .with_filter(targets);
    let subscriber = tracing_subscriber::registry().with(layer);
    Ok((subscriber, LogGuard { _worker: worker, directory }))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}

/// What may be written for one event: a single line without anything that a terminal would
/// act on when the file is shown.
fn redact(event: &str) -> String {
    SafeText::new(&sanitize::redact(event).text).to_string()
}

/// Hands each event to the log's thread as one cleaned line.
#[derive(Debug)]
struct OneLine<W>(Mutex<W>);

/// Collects what the formatter writes for one event.
#[derive(Debug)]
struct Event<'a, W: Write> {
    to: &'a Mutex<W>,
    bytes: Vec<u8>,
}

impl<'a, W: Write + 'static> MakeWriter<'a> for OneLine<W> {
    type Writer = Event<'a, W>;

    fn make_writer(&'a self) -> Self::Writer {
        Event { to: &self.0, bytes: Vec::new() }
    }
}

impl<W: Write> Write for Event<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for Event<'_, W> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes);
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return;
        }
        let mut line = redact(text);
        line.push('\n');
        // There is nowhere to report to: this is the log.
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = to.write_all(line.as_bytes());
    }
}

/// Appends to the file of the day and removes the oldest ones.
///
/// The library's own rolling file cannot set the mode of the files it makes.
#[derive(Debug)]
struct DailyFile {
    directory: PathBuf,
    clock: Clock,
    day: String,
    file: File,
}

impl DailyFile {
    fn open(directory: PathBuf, clock: Clock) -> Result<Self, Refusal> {
        let day = day(&clock);
        let file = files::append_private(&directory.join(file_name(&day)))?;
        let daily = Self { directory, clock, day, file };
        daily.remove_old();
        Ok(daily)
    }

    /// What cannot be removed stays: another process may have removed it just now.
    fn remove_old(&self) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
            .collect();
        // ISO dates sort by time.
        names.sort_unstable_by(|a, b| b.cmp(a));
        for name in names.iter().skip(FILES_KEPT) {
            let _ = std::fs::remove_file(self.directory.join(name));
        }
    }
}

impl Write for DailyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let today = day(&self.clock);
        if today != self.day {
            let path = self.directory.join(file_name(&today));
            self.file = files::append_private(&path)
                .map_err(|refusal| io::Error::other(refusal.reason()))?;
            self.day = today;
            self.remove_old();
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn day(clock: &Clock) -> String {
    clock.now().format("%Y-%m-%d").to_string()
}

fn file_name(day: &str) -> String {
    format!("{PREFIX}{day}{SUFFIX}")
}
