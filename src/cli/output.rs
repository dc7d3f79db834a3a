//! The one place that prints: data on stdout, messages on stderr, nothing raw on either.

use std::io::{self, LineWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::domain::json;
use crate::domain::safe_text::SafeText;
use crate::paths;
use crate::{Error, Result};

/// Standard output that says when it is closed; the standard library's takes such a write for done.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a command writes.
pub struct Output {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    /// The reader of stdout went away.
    closed: AtomicBool,
}

impl Output {
    /// The process's own stdout and stderr.
    pub fn process() -> Self {
        Self::new(LineWriter::new(Stdout), io::stderr())
    }

    /// Any two writers.
    pub fn new(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self {
            out: Mutex::new(Box::new(out)),
            err: Mutex::new(Box::new(err)),
            closed: AtomicBool::new(false),
        }
    }

    /// Writes one line of data; what a terminal would act on is replaced.
    ///
    /// # Errors
    /// *Failed* where it cannot be written; see [`Output::is_closed`].
    pub fn line(&self, text: impl AsRef<str>) -> Result<()> {
        self.write(SafeText::new(text.as_ref()).as_str())
    }

    /// Writes `value` as JSON over several lines.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        self.write(&json::text(value)?)
    }

    /// Writes `value` as JSON on one line.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn json_line(&self, value: &impl Serialize) -> Result<()> {
        self.write(&json::line(value)?)
    }

    /// Writes one line for the person, on stderr.
    pub fn message(&self, text: impl AsRef<str>) {
        let mut err = self.err.lock().unwrap_or_else(PoisonError::into_inner);
        // There is nobody left to tell that stderr is gone.
        let _ = writeln!(err, "{}", SafeText::new(text.as_ref()));
    }

    /// Asks on stderr, and leaves the cursor behind the question.
    pub fn question(&self, text: impl AsRef<str>) {
        let mut err = self.err.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = write!(err, "{} ", SafeText::new(text.as_ref()));
        let _ = err.flush();
    }

    /// Writes a line for the person that the next one replaces, on a stderr that is a terminal;
    /// an empty one takes it away.
    pub fn progress(&self, text: impl AsRef<str>) {
        let mut err = self.err.lock().unwrap_or_else(PoisonError::into_inner);
        // Back to the first column, and what was there is erased.
        let _ = write!(err, "\r{}\u{1b}[K", SafeText::new(text.as_ref()));
        let _ = err.flush();
    }

    /// Writes text of several lines that was cleaned before, as data.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn lines(&self, text: &str) -> Result<()> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// Writes what went wrong and what to do next, on stderr.
    pub fn failure(&self, error: &Error) {
        self.message(format!("error: {}", error.message()));
        if let Some(hint) = error.next_step() {
            self.message(format!("hint: {hint}"));
        }
    }

    /// Whether the reader of stdout went away (`| head`), which is not an error.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Hands on what is still buffered.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn flush(&self) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.flush().map_err(|error| self.lost(&error))
    }

    fn write(&self, text: &str) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(out, "{text}").map_err(|error| self.lost(&error))
    }

    fn lost(&self, error: &io::Error) -> Error {
        if error.kind() == io::ErrorKind::BrokenPipe {
            self.closed.store(true, Ordering::Relaxed);
        }
        Error::failed(format!("cannot write the output: {}", paths::reason(error)))
    }
}
