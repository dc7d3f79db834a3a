//! The process's own terminal: whether there is one, its events, and the end of it.

use std::io::{self, IsTerminal, PipeReader, PipeWriter};
use std::pin::Pin;
use std::task::{Context, Poll};

use crossterm::event::{self, Event};
use futures_util::Stream;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Result};

/// Refuses to start the console where nobody could see or use it. `instead` is the command
/// to name that needs no terminal.
pub fn require_terminal(get: impl Fn(&str) -> Option<String>, instead: &str) -> Result<()> {
    check_terminal(
        io::stdin().is_terminal(),
        io::stdout().is_terminal(),
        get("TERM").as_deref(),
        instead,
    )
}

/// The rule behind [`require_terminal`]: both ends are terminals, and not a dumb one.
pub fn check_terminal(stdin: bool, stdout: bool, term: Option<&str>, instead: &str) -> Result<()> {
    let trouble = if !stdin {
        "standard input is not a terminal"
    } else if !stdout {
        "standard output is not a terminal"
    } else if term == Some("dumb") {
        "TERM is dumb, so the console cannot be drawn"
    } else {
        return Ok(());
    };
    Err(Error::usage(trouble).hint(format!("use: {instead}")))
}

/// The terminal's size in columns and rows.
pub fn size() -> io::Result<(u16, u16)> {
    crossterm::terminal::size()
}

/// Hears that the terminal's size changed. Listen before the size is first asked for, or a
/// change in between is missed.
#[derive(Debug)]
pub struct SizeChanges(Signal);

impl SizeChanges {
    /// Starts listening.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::window_change()).map(Self)
    }
}

/// What the person at the terminal does. Ends with an error once the terminal is gone.
///
/// crossterm hears of a change of size only once its reader runs, which is after the first
/// frame's size was asked for. So [`SizeChanges`] tells of them, and crossterm's are left out.
///
/// crossterm's own reader goes round and round at the end of input, whoever calls it. So it
/// has a thread to itself, where that holds nobody up, and the end is watched for beside it
/// by another thread, which sleeps until then. Make one of these per process.
pub struct LocalEvents {
    events: mpsc::Receiver<io::Result<Event>>,
    sizes: SizeChanges,
    gone: oneshot::Receiver<()>,
    ended: bool,
    /// Closing it ends the watching thread.
    _watch: PipeWriter,
}

impl LocalEvents {
    /// Starts to read the process's terminal.
    pub fn new(sizes: SizeChanges) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let (sender, gone) = oneshot::channel();
        std::thread::Builder::new().name("terminal-watch".to_owned()).spawn(move || {
            if wait_until_gone(&reader) {
                let _ = sender.send(());
            } else {
                // Dropped by its owner: nobody listens any more.
                drop(sender);
            }
        })?;
        let (forward, events) = mpsc::channel(64);
        std::thread::Builder::new().name("terminal-read".to_owned()).spawn(move || {
            // Ends when nobody listens any more, or with the process.
            while forward.blocking_send(event::read()).is_ok() {}
        })?;
        Ok(Self { events, sizes, gone, ended: false, _watch: writer })
    }
}

impl Stream for LocalEvents {
    type Item = io::Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if Pin::new(&mut self.gone).poll(context).is_pending() {
            if self.sizes.0.poll_recv(context).is_ready()
                && let Ok((columns, rows)) = size()
            {
                return Poll::Ready(Some(Ok(Event::Resize(columns, rows))));
            }
            loop {
                match self.events.poll_recv(context) {
                    Poll::Ready(Some(Ok(Event::Resize(..)))) => {}
                    // A reader that fails has lost its terminal, and may say so first.
                    Poll::Ready(Some(Err(_)) | None) => break,
                    other => return other,
                }
            }
        }
        self.ended = true;
        let error = io::Error::new(io::ErrorKind::BrokenPipe, "the terminal is gone");
        Poll::Ready(Some(Err(error)))
    }
}

/// Sleeps until the terminal hangs up (true) or the other end of `stop` closes (false).
fn wait_until_gone(stop: &PipeReader) -> bool {
    let stdin = io::stdin();
    let trouble = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    loop {
        // No events are asked for, so only trouble wakes this up; keys do not.
        let mut watched =
            [PollFd::new(&stdin, PollFlags::empty()), PollFd::new(stop, PollFlags::empty())];
        match poll(&mut watched, None) {
            Ok(_) if watched[0].revents().intersects(trouble) => return true,
            Ok(_) if watched[1].revents().intersects(trouble) => return false,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}
