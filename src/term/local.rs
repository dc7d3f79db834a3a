//! The process's own terminal: whether there is one, its events, and the end of it.

use std::io::{self, IsTerminal, PipeReader, PipeWriter};
use std::pin::Pin;
use std::task::{Context, Poll};

use crossterm::event::Event;
use futures_util::Stream;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

use super::input::Input;
use crate::{Error, Result};

/// The size of a terminal that does not know its own.
const USUAL_SIZE: (u16, u16) = (80, 24);
/// How many bytes are read at once, and how many such parts wait to be understood.
const PART: usize = 1024;
const PARTS: usize = 4;

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

/// The rule behind [`require_terminal`]: both ends are terminals, and it is known of what kind.
/// One line, since it is most often read in the log of some other program.
pub fn check_terminal(stdin: bool, stdout: bool, term: Option<&str>, instead: &str) -> Result<()> {
    let trouble = match term {
        _ if !stdin => "standard input is no terminal",
        _ if !stdout => "standard output is no terminal",
        term if takes_escapes(term) => return Ok(()),
        None => "TERM is not set",
        Some("") => "TERM is empty",
        Some(_) => "TERM is dumb",
    };
    Err(Error::usage(format!("the console needs a terminal and {trouble}; use: {instead}")))
}

/// Whether a terminal of the kind `term` is known to understand escape sequences.
pub fn takes_escapes(term: Option<&str>) -> bool {
    !matches!(term, None | Some("" | "dumb"))
}

/// The terminal's size in columns and rows.
pub fn size() -> io::Result<(u16, u16)> {
    let size = tcgetwinsize(io::stdout())?;
    Ok(match (size.ws_col, size.ws_row) {
        (0, _) | (_, 0) => USUAL_SIZE,
        known => known,
    })
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
/// A thread reads the bytes, because a terminal's input shared with a shell must not be made
/// non-blocking. Make one of these per process.
pub struct LocalEvents {
    parts: mpsc::Receiver<Vec<u8>>,
    sizes: SizeChanges,
    input: Input,
    /// Runs out when what is incomplete in the input has waited for too long.
    timer: Pin<Box<Sleep>>,
    ended: bool,
    /// Whether the mouse is on.
    mouse: bool,
    /// Closing it ends the thread.
    _stop: PipeWriter,
}

impl LocalEvents {
    /// Starts to read the process's terminal. Where the mouse is off, what a terminal reports of it
    /// means nothing.
    pub fn new(sizes: SizeChanges, mouse: bool) -> io::Result<Self> {
        let (stop, writer) = io::pipe()?;
        let (forward, parts) = mpsc::channel(PARTS);
        std::thread::Builder::new()
            .name("terminal-read".to_owned())
            .spawn(move || read_until_gone(&forward, &stop))?;
        let now = Instant::now();
        Ok(Self {
            parts,
            sizes,
            input: Input::new(now),
            timer: Box::pin(sleep_until(now)),
            ended: false,
            mouse,
            _stop: writer,
        })
    }
}

impl Stream for LocalEvents {
    type Item = io::Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if this.sizes.0.poll_recv(context).is_ready()
            && let Ok((columns, rows)) = size()
        {
            return Poll::Ready(Some(Ok(Event::Resize(columns, rows))));
        }
        loop {
            while let Some(event) = this.input.next_event() {
                if this.mouse || !matches!(event, Event::Mouse(_)) {
                    return Poll::Ready(Some(Ok(event)));
                }
            }
            match this.parts.poll_recv(context) {
                Poll::Ready(Some(bytes)) => {
                    this.input.feed(&bytes, Instant::now());
                    continue;
                }
                Poll::Ready(None) => {
                    this.ended = true;
                    let error = io::Error::new(io::ErrorKind::BrokenPipe, "the terminal is gone");
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Pending => {}
            }
            let Some(deadline) = this.input.deadline() else { return Poll::Pending };
            if this.timer.deadline() != deadline {
                this.timer.as_mut().reset(deadline);
            }
            if this.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            this.input.expire(Instant::now());
        }
    }
}

/// Reads the terminal until it is gone, or until the other end of `stop` closes.
fn read_until_gone(forward: &mpsc::Sender<Vec<u8>>, stop: &PipeReader) {
    let stdin = io::stdin();
    let trouble = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let mut buffer = [0; PART];
    loop {
        let mut watched =
            [PollFd::new(&stdin, PollFlags::IN), PollFd::new(stop, PollFlags::empty())];
        match poll(&mut watched, None) {
            Ok(_) if watched[0].revents().intersects(trouble) => return,
            Ok(_) if watched[1].revents().intersects(trouble) => return,
            Ok(_) if watched[0].revents().contains(PollFlags::IN) => {}
            Ok(_) | Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        match rustix::io::read(&stdin, &mut buffer) {
            Ok(0) => return,
            Ok(count) if forward.blocking_send(buffer[..count].to_vec()).is_ok() => {}
            Ok(_) => return,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}
