//! Signals: being told to end, and stepping into the background.

use std::io;
use std::time::Duration;

use rustix::process::{Signal, kill_current_process_group};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::guard::TerminalGuard;

/// How long to wait for a stop that the system may refuse (no shell to come back to).
const STOP_REFUSED: Duration = Duration::from_millis(200);

/// Waits for SIGTERM, SIGINT and SIGHUP.
#[derive(Debug)]
pub struct EndSignals {
    terminate: Stream,
    interrupt: Stream,
    hangup: Stream,
}

impl EndSignals {
    /// Starts listening; from here on these signals no longer end the process by themselves.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The number of the next such signal. The exit code for it is [`exit_code`].
    pub async fn received(&mut self) -> u8 {
        tokio::select! {
            Some(()) = self.terminate.recv() => 15,
            Some(()) = self.interrupt.recv() => 2,
            Some(()) = self.hangup.recv() => 1,
            else => std::future::pending().await,
        }
    }
}

/// The exit code of a process that ended because of signal `number`.
pub const fn exit_code(number: u8) -> u8 {
    128 + number
}

/// Leaves the screen, stops the process group as ctrl-z in a shell does, and enters the
/// screen again once it is continued. The caller then asks for the size and draws anew.
///
/// Where there is nobody to continue it, the system refuses the stop, and this returns
/// after a moment.
pub async fn suspend(guard: &TerminalGuard) -> io::Result<()> {
    // Before the stop, or the continuation could be missed.
    let mut continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    guard.leave()?;
    let stopped = kill_current_process_group(Signal::TSTP);
    if stopped.is_ok() {
        // The stop may reach the process a moment after the call returns.
        let _ = tokio::time::timeout(STOP_REFUSED, continued.recv()).await;
    }
    guard.reenter()?;
    stopped.map_err(Into::into)
}
