//! Signals: being told to end, and stepping into the background.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use nix::sys::signal::{SigSet, SigmaskHow, Signal as Masked};
use rustix::process::{Signal, getpgrp, kill_current_process_group};
use rustix::termios::tcgetpgrp;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::time::timeout;

use super::guard::TerminalGuard;

/// How long to wait for a stop that the system may refuse (no shell to come back to).
const STOP_REFUSED: Duration = Duration::from_millis(200);
/// How often a process in the background looks whether it still is.
pub(super) const BACKGROUND: Duration = Duration::from_millis(50);
/// How many times it looks before it stops again: a signal to end may come together with the one
/// that continued it.
const LOOKS: u32 = 10;

/// Whether another process group has the terminal. Where that is so, the system stops a process
/// that reads the terminal or sets its modes.
pub fn in_background() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground != getpgrp())
}

/// Does what the system would stop a process in the background for: writing to a terminal with
/// `tostop`, and setting a terminal's modes.
pub(super) fn unstopped<T>(act: impl FnOnce() -> T) -> T {
    let mut stop = SigSet::empty();
    stop.add(Masked::SIGTTOU);
    let before = stop.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let done = act();
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    done
}

/// Waits for signals to end.
#[derive(Debug)]
pub struct EndSignals(Vec<(u8, Stream)>);

impl EndSignals {
    /// Starts listening to SIGTERM, SIGINT and SIGHUP; from here on these signals no longer end
    /// the process by themselves.
    pub fn listen() -> io::Result<Self> {
        Self::of(&[SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()])
    }

    /// The same with every other signal that would end a console before it restores its terminal.
    pub fn listen_to_all() -> io::Result<Self> {
        Self::of(&[
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
            SignalKind::quit(),
            SignalKind::alarm(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
        ])
    }

    fn of(kinds: &[SignalKind]) -> io::Result<Self> {
        let listen = |kind: &SignalKind| {
            let number = u8::try_from(kind.as_raw_value()).map_err(io::Error::other)?;
            Ok((number, signal(*kind)?))
        };
        kinds.iter().map(listen).collect::<io::Result<_>>().map(Self)
    }

    /// The number of the next such signal. The exit code for it is [`exit_code`].
    pub async fn received(&mut self) -> u8 {
        poll_fn(|context| {
            let mut streams = self.0.iter_mut();
            let came = streams.find_map(|(number, stream)| {
                matches!(stream.poll_recv(context), Poll::Ready(Some(()))).then_some(*number)
            });
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// The exit code of a process that ended because of signal `number`.
pub const fn exit_code(number: u8) -> u8 {
    128 + number
}

/// What a shell asks of its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// To step into the background (SIGTSTP).
    Stop,
    /// It was stopped, perhaps by a signal that no program hears of (SIGSTOP), and goes on.
    Continued,
}

/// Waits for the signals of job control.
#[derive(Debug)]
pub struct JobSignals {
    stop: Stream,
    continued: Stream,
}

impl JobSignals {
    /// Starts listening; from here on SIGTSTP no longer stops the process by itself.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            stop: signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?,
            continued: signal(SignalKind::from_raw(Signal::CONT.as_raw()))?,
        })
    }

    /// What the shell asks next.
    pub async fn received(&mut self) -> Job {
        tokio::select! {
            Some(()) = self.stop.recv() => Job::Stop,
            Some(()) = self.continued.recv() => Job::Continued,
            else => std::future::pending().await,
        }
    }

    /// Leaves the screen, stops the process group as ctrl-z in a shell does, and enters the
    /// screen again once it is continued in the foreground. The caller then asks for the size and
    /// draws anew. Gives the number of a signal to end that came meanwhile; the screen is left then.
    ///
    /// Where there is nobody to continue it, the system refuses the stop, and this returns
    /// after a moment.
    pub async fn suspend(
        &mut self,
        guard: &TerminalGuard,
        ends: &mut EndSignals,
    ) -> io::Result<Option<u8>> {
        guard.leave()?;
        let stopped = self.stop().await;
        if let Some(number) = self.wait_for_foreground(ends).await {
            return Ok(Some(number));
        }
        guard.enter()?;
        stopped.map(|_| None)
    }

    /// Enters the screen once more after the process was continued, once it is in the foreground.
    /// Gives the number of a signal to end that came meanwhile.
    pub async fn resume(
        &mut self,
        guard: &TerminalGuard,
        ends: &mut EndSignals,
    ) -> io::Result<Option<u8>> {
        let number = self.wait_for_foreground(ends).await;
        if number.is_none() {
            guard.enter_anew()?;
        }
        Ok(number)
    }

    /// Waits until the process is in the foreground. Until then it stops as a process does that
    /// uses the terminal, but in no call that the system would stop again before a signal to end
    /// is seen. Gives the number of such a signal.
    pub async fn wait_for_foreground(&mut self, ends: &mut EndSignals) -> Option<u8> {
        let mut refused = false;
        let number = 'waiting: loop {
            for look in 0..=LOOKS {
                // Also right before it stops: in the foreground no shell would continue it.
                if !in_background() {
                    break 'waiting None;
                }
                if look < LOOKS
                    && let Ok(number) = timeout(BACKGROUND, ends.received()).await
                {
                    break 'waiting Some(number);
                }
            }
            // It may have been continued after all, and hear of it only now.
            if refused && self.continued.recv().now_or_never().is_none() {
                break None;
            }
            refused = !self.stop().await.unwrap_or(false);
        };
        // What was waited for needs no second answer.
        let _ = self.continued.recv().now_or_never();
        number
    }

    /// Stops the process group; gives whether it was continued since.
    async fn stop(&mut self) -> io::Result<bool> {
        // SIGTSTP comes back to this process as an event, and SIGSTOP would stop it also where
        // nobody can continue it. SIGTTOU stops it by the same rules as SIGTSTP.
        kill_current_process_group(Signal::TTOU)?;
        // The stop may reach the process a moment after the call returns.
        Ok(timeout(STOP_REFUSED, self.continued.recv()).await.is_ok())
    }
}
