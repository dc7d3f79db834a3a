//! Signals: being told to end, and stepping into the background.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use rustix::process::{Signal, kill_current_process_group};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::guard::TerminalGuard;

/// How long to wait for a stop that the system may refuse (no shell to come back to).
const STOP_REFUSED: Duration = Duration::from_millis(200);

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
    /// screen again once it is continued. The caller then asks for the size and draws anew.
    ///
    /// Where there is nobody to continue it, the system refuses the stop, and this returns
    /// after a moment.
    pub async fn suspend(&mut self, guard: &TerminalGuard) -> io::Result<()> {
        guard.leave()?;
        // SIGTSTP comes back to this process as an event, and SIGSTOP would stop it also where
        // nobody can continue it. SIGTTOU stops it by the same rules as SIGTSTP.
        let stopped = kill_current_process_group(Signal::TTOU);
        if stopped.is_ok() {
            // The stop may reach the process a moment after the call returns.
            let _ = tokio::time::timeout(STOP_REFUSED, self.continued.recv()).await;
        }
        guard.reenter()?;
        // What was waited for needs no second answer.
        let _ = self.continued.recv().now_or_never();
        stopped.map_err(Into::into)
    }
}
