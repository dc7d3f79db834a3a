//! The process's own terminal: whether there is one, its events, and the end of it.

use std::io::{self, IsTerminal, PipeReader, PipeWriter};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use crossterm::event::Event;
use futures_util::Stream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::fence::Ear;
use super::guard::Exit;
use super::input::Input;
use super::queue::Queue;
use super::signals::{BACKGROUND, in_background};
use crate::{Error, Result};

/// The size of a terminal that does not know its own.
const USUAL_SIZE: (u16, u16) = (80, 24);
/// How many bytes are read at once.
const PART: usize = 1024;

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
    queue: Arc<Queue>,
    sizes: SizeChanges,
    ended: bool,
    /// Whether the mouse is on.
    mouse: bool,
    /// Closing it ends the thread.
    _stop: PipeWriter,
}

impl LocalEvents {
    /// Starts to read the process's terminal. Where the mouse is off, what a terminal reports of it
    /// means nothing. `ear` hears what the terminal answers to fences.
    ///
    /// With `exit`, ctrl-c means to quit: one that nobody takes within a second ends the process
    /// with code 0, and a second one ends it at once, also while the first is being obeyed.
    pub fn new(
        sizes: SizeChanges,
        mouse: bool,
        ear: Arc<Ear>,
        exit: Option<Exit>,
    ) -> io::Result<Self> {
        let (stop, writer) = io::pipe()?;
        let queue = Arc::new(Queue::default());
        let forward = Arc::clone(&queue);
        thread::Builder::new().name("terminal-read".to_owned()).spawn(move || {
            read_until_gone(&forward, &stop, &ear, exit.as_ref());
            forward.close();
        })?;
        Ok(Self { queue, sizes, ended: false, mouse, _stop: writer })
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
            match this.queue.take(context) {
                Poll::Ready(Some(Event::Mouse(_))) if !this.mouse => {}
                Poll::Ready(Some(event)) => return Poll::Ready(Some(Ok(event))),
                Poll::Ready(None) => {
                    this.ended = true;
                    let error = io::Error::new(io::ErrorKind::BrokenPipe, "the terminal is gone");
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Reads the terminal until it is gone, or until the other end of `stop` closes.
fn read_until_gone(queue: &Queue, stop: &PipeReader, ear: &Ear, exit: Option<&Exit>) {
    let stdin = io::stdin();
    let trouble = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let mut input = Input::new(Instant::now());
    let mut buffer = [0; PART];
    let interrupt_due = || exit.and_then(|_| queue.interrupt_due());
    loop {
        input.expect(ear.status(Instant::now()));
        let mut watched =
            [PollFd::new(&stdin, PollFlags::IN), PollFd::new(stop, PollFlags::empty())];
        let due = input.deadline().into_iter().chain(interrupt_due()).min();
        let wait = due
            .and_then(|at| Timespec::try_from(at.saturating_duration_since(Instant::now())).ok());
        match poll(&mut watched, wait.as_ref()) {
            Ok(_) if watched[0].revents().intersects(trouble) => return,
            Ok(_) if watched[1].revents().intersects(trouble) => return,
            // What is typed is for another program.
            Ok(1..) if in_background() => thread::sleep(BACKGROUND),
            Ok(1..) => {
                queue.wait_for_room();
                input.expect(ear.status(Instant::now()));
                match rustix::io::read(&stdin, &mut buffer) {
                    Ok(0) => return,
                    Ok(count) => input.feed(&buffer[..count], Instant::now()),
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(_) => return,
                }
            }
            Ok(0) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        let now = Instant::now();
        input.expire(now);
        if input.take_status() {
            ear.answer();
        }
        queue.add(std::iter::from_fn(|| input.next_event()), now);
        if let Some(exit) = exit
            && interrupt_due().is_some_and(|at| at <= now)
        {
            exit.now(0);
        }
    }
}
