//! The terminal is entered once and always left: at the end, on an error, on a signal, and
//! when anything panics. Leaving undoes exactly what entering did, in reverse, and can be
//! done any number of times from any thread.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture,
};
use crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, queue, style};
use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::signals::{EndSignals, exit_code, in_background, unstopped};
use crate::domain::safe_text::SafeText;

/// How long a program that panicked, or was told to end, may take to end by itself.
const LAST_GRACE: Duration = Duration::from_secs(2);
/// How long the terminal may take for the last bytes of a program whose user has quit.
const LEAVE_GRACE: Duration = Duration::from_secs(1);

/// How the terminal is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Modes {
    /// Switch the process's own terminal to raw mode; not for a remote one.
    pub raw: bool,
    /// Receive the mouse, which takes text selection away from the terminal.
    pub mouse: bool,
}

/// The keyboard of the process's own terminal. It has a lock of its own: a write may be stuck.
#[derive(Clone, Default)]
struct Keyboard {
    /// The modes to go back to and those of raw mode, while that is on.
    modes: Arc<Mutex<Option<(Termios, Termios)>>>,
}

impl Keyboard {
    /// Sets raw mode, also where it is believed to be on.
    fn set_raw(&self) -> io::Result<()> {
        let mut modes = lock(&self.modes);
        let now = tcgetattr(io::stdin())?;
        let mut raw = now.clone();
        raw.make_raw();
        let before = modes.take().map_or(now, |(before, _)| before);
        *modes = Some((before, raw.clone()));
        Ok(tcsetattr(io::stdin(), OptionalActions::Now, &raw)?)
    }

    /// In the background only modes that are still this program's are restored: others are those of
    /// the program that has the terminal now.
    fn restore(&self) -> io::Result<()> {
        let mut modes = lock(&self.modes);
        let Some((before, raw)) = modes.as_ref() else { return Ok(()) };
        if in_background() && !tcgetattr(io::stdin()).is_ok_and(|now| is_same(&now, raw)) {
            return Ok(());
        }
        unstopped(|| tcsetattr(io::stdin(), OptionalActions::Now, before))?;
        *modes = None;
        Ok(())
    }
}

/// Whether two sets of modes treat input and output alike.
fn is_same(one: &Termios, other: &Termios) -> bool {
    one.input_modes == other.input_modes
        && one.output_modes == other.output_modes
        && one.local_modes == other.local_modes
}

struct Inner {
    out: Box<dyn Write + Send>,
    keyboard: Keyboard,
    modes: Modes,
    entered: bool,
    /// After a panic nothing draws any more, so that the message stays readable.
    closed: bool,
}

impl Inner {
    fn enter(&mut self) -> io::Result<()> {
        if self.entered || self.closed {
            return Ok(());
        }
        // First of all, so that a failure on the way is undone as well.
        self.entered = true;
        if self.modes.raw {
            self.keyboard.set_raw()?;
        }
        queue!(
            self.out,
            EnterAlternateScreen,
            cursor::Hide,
            EnableBracketedPaste,
            EnableFocusChange
        )?;
        if self.modes.mouse {
            queue!(self.out, EnableMouseCapture)?;
        }
        self.out.flush()
    }

    fn leave(&mut self) -> io::Result<()> {
        let entered = std::mem::take(&mut self.entered);
        if !entered || self.closed {
            return Ok(());
        }
        if !self.modes.raw {
            return self.write_leave();
        }
        // A shell that has taken the terminal back still has it in this program's modes.
        let written = unstopped(|| self.write_leave());
        // The rest of a paste, or an answer of the terminal, is no command for the shell. What
        // comes while that has the terminal is.
        if !in_background() {
            let _ = tcflush(io::stdin(), QueueSelector::IFlush);
        }
        // Also when the writing failed: a shell in raw mode is the worse of the two.
        written.and(self.keyboard.restore())
    }

    /// Whether the screen is entered and the terminal is this program's to use.
    fn is_usable(&self) -> bool {
        self.entered && !self.closed && !(self.modes.raw && in_background())
    }

    fn write_leave(&mut self) -> io::Result<()> {
        // A frame cut in half may have left synchronized output on and a colour set.
        self.out.write_all(b"\x1b[?2026l")?;
        // Always: capture may have been switched on by a key since.
        queue!(self.out, DisableMouseCapture)?;
        queue!(
            self.out,
            DisableFocusChange,
            DisableBracketedPaste,
            style::ResetColor,
            // A terminal without an alternate screen would go on showing the last frame.
            Clear(ClearType::All),
            cursor::MoveTo(0, 0),
            LeaveAlternateScreen,
            cursor::Show
        )?;
        self.out.flush()
    }
}

/// Owns the terminal's state; dropping it leaves.
pub struct TerminalGuard {
    inner: Arc<Mutex<Inner>>,
    keyboard: Keyboard,
}

impl TerminalGuard {
    /// The guard of the screen of `out`, which is not entered yet.
    pub fn new(out: impl Write + Send + 'static, modes: Modes) -> Self {
        let keyboard = Keyboard::default();
        let inner = Inner {
            out: Box::new(out),
            keyboard: keyboard.clone(),
            modes,
            entered: false,
            closed: false,
        };
        Self { inner: Arc::new(Mutex::new(inner)), keyboard }
    }

    /// Enters the screen, also again after [`leave`](Self::leave): raw mode, alternate screen,
    /// cursor hidden, bracketed paste, focus events, and the mouse if asked for. Nothing if it is
    /// entered.
    pub fn enter(&self) -> io::Result<()> {
        lock(&self.inner).enter()
    }

    /// Enters once more although it was not left: while the process was stopped, a shell may
    /// have changed every mode. Nothing if it was left.
    pub fn enter_anew(&self) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        if !std::mem::take(&mut inner.entered) {
            return Ok(());
        }
        inner.enter()
    }

    /// Undoes everything; nothing if that is done already.
    pub fn leave(&self) -> io::Result<()> {
        lock(&self.inner).leave()
    }

    /// The way to end the process where the terminal takes no output.
    pub fn exit(&self) -> Exit {
        Exit { inner: Arc::clone(&self.inner), keyboard: self.keyboard.clone() }
    }

    /// Ends the process if it has not ended by itself a while after one of `signals`: it is
    /// stuck in a write that the terminal does not take. Until the task is aborted.
    pub fn insist_on(&self, mut signals: EndSignals) -> JoinHandle<()> {
        let exit = self.exit();
        tokio::spawn(async move {
            let number = signals.received().await;
            tokio::time::sleep(LAST_GRACE).await;
            exit.now(exit_code(number));
        })
    }

    /// Undoes everything, and ends the process with `code` if the terminal does not take that.
    pub fn leave_or_exit(&self, code: u8) {
        let exit = self.exit();
        let waiting = tokio::spawn(async move {
            tokio::time::sleep(LEAVE_GRACE).await;
            exit.now(code);
        });
        // Nothing is left to do about a terminal that cannot be written to.
        let _ = self.leave();
        waiting.abort();
    }

    /// Switches the mouse on or off.
    pub fn set_mouse(&self, on: bool) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        inner.modes.mouse = on;
        if !inner.is_usable() {
            return Ok(());
        }
        if on {
            queue!(inner.out, EnableMouseCapture)?;
        } else {
            queue!(inner.out, DisableMouseCapture)?;
        }
        inner.out.flush()
    }

    /// The way to the screen for a backend: it swallows what is drawn while the screen is
    /// left, so that no late frame lands in somebody's shell.
    pub fn writer(&self) -> ScreenWriter {
        ScreenWriter { inner: Arc::clone(&self.inner) }
    }

    /// Makes a panic, in whatever thread or task, restore the terminal and say one readable
    /// line and the log's path on standard error.
    ///
    /// `redact` cleans the panic's text, which may hold anything. The caller waits for
    /// [`Crash::happened`] beside its events and ends with a failure; should it be stuck,
    /// the process is ended two seconds later with exit code 101.
    pub fn install_panic_hook(
        &self,
        log_path: Option<PathBuf>,
        redact: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Crash {
        let (sender, receiver) = watch::channel(false);
        let (inner, keyboard) = (Arc::clone(&self.inner), self.keyboard.clone());
        std::panic::set_hook(Box::new(move |info| {
            // Before anything is written: the terminal may not take it.
            let waiting = keyboard.clone();
            let _ = std::thread::Builder::new().name("last-grace".to_owned()).spawn(move || {
                std::thread::sleep(LAST_GRACE);
                let _ = waiting.restore();
                std::process::exit(101);
            });
            close(&inner, &keyboard);
            let text = info.payload_as_str().unwrap_or("no message");
            let text = SafeText::new(&redact(text).replace('\n', " "));
            let place = info.location().map_or_else(String::new, |at| format!(" at {at}"));
            tracing::error!(place, message = text.as_str(), "panic");
            report(&format!("tenantpilot stopped because of a bug{place}: {text}"));
            if let Some(path) = &log_path {
                report(&format!("the log is {}", path.display()));
            }
            sender.send_replace(true);
        }));
        Crash { receiver }
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.leave();
    }
}

/// Ends the process from any thread; see [`TerminalGuard::exit`].
#[derive(Clone)]
pub struct Exit {
    inner: Arc<Mutex<Inner>>,
    keyboard: Keyboard,
}

impl Exit {
    /// Restores the terminal as far as it takes that, and ends the process with `code`.
    pub fn now(&self, code: u8) -> ! {
        close(&self.inner, &self.keyboard);
        std::process::exit(i32::from(code))
    }
}

/// Tells that something panicked.
#[derive(Debug, Clone)]
pub struct Crash {
    receiver: watch::Receiver<bool>,
}

impl Crash {
    /// Resolves once something has panicked.
    pub async fn happened(&mut self) {
        if self.receiver.wait_for(|crashed| *crashed).await.is_err() {
            // The hook was replaced: it can never tell.
            std::future::pending::<()>().await;
        }
    }

    /// Whether something has panicked.
    pub fn has_happened(&self) -> bool {
        *self.receiver.borrow()
    }
}

/// Writes to the screen while it is entered, and not from the background; see
/// [`TerminalGuard::writer`].
pub struct ScreenWriter {
    inner: Arc<Mutex<Inner>>,
}

impl Write for ScreenWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = lock(&self.inner);
        if inner.is_usable() { inner.out.write(bytes) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        if inner.is_usable() { inner.out.flush() } else { Ok(()) }
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves for good, without waiting for ever for a thread that is stuck in a write.
fn close(inner: &Mutex<Inner>, keyboard: &Keyboard) {
    for _ in 0..20 {
        let mut held = match inner.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => held.into_inner(),
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            }
        };
        let _ = held.leave();
        held.closed = true;
        return;
    }
    // The writer is stuck, so the screen cannot be told; the keyboard still can.
    let _ = keyboard.restore();
}

/// One line on standard error; it is the only way left to say anything.
fn report(line: &str) {
    let _ = unstopped(|| writeln!(io::stderr(), "{line}"));
}
