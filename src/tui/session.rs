//! The loop of one session: events in, frames out. It does not know whether the terminal is
//! the process's own.
//!
//! No arm of its `select!` waits for anything but the next thing to happen, so a key is
//! never stuck behind the database.

use std::io::{self, Write};
use std::time::Duration;

use chrono::{DateTime, Utc};
use crossterm::event::{Event, KeyEventKind, MouseButton, MouseEventKind};
use futures_util::{Stream, StreamExt};
use ratatui::Terminal;
use tokio::time::{Instant, sleep_until};

use crate::access::ClientKind;
use crate::ops::Ops;
use crate::paths;
use crate::term::fence::{FENCE, Fence};
use crate::term::signals::{self, Job};
use crate::term::{Crash, SizedBackend, TerminalGuard, local};
use crate::tui::app::App;
use crate::tui::draft_files::run_jobs;
use crate::tui::export;
use crate::tui::frame;
use crate::tui::msg::{Effect, Msg};
use crate::tui::runner::Runner;

/// Frames are at least this far apart.
const FRAME: Duration = Duration::from_millis(16);
/// Time-dependent parts of the screen are looked at this often.
const TICK: Duration = Duration::from_secs(1);
/// On a slow line, what only time changes is drawn so long after the last frame.
const CALM: Duration = Duration::from_secs(5);
/// The cursor has rested when no key came for this long.
const REST: Duration = Duration::from_millis(200);
/// How long the session's end may take at the service when the console is left.
const GOODBYE: Duration = Duration::from_millis(300);
/// How long the last writing of drafts may take.
const LAST_WRITE: Duration = Duration::from_secs(1);
/// The largest text that is sent to a terminal's clipboard.
const CLIPBOARD_LIMIT: usize = 8 * 1024;

/// What belongs to the process's own terminal; a remote session has none of it.
#[derive(Default)]
pub struct Host<'a> {
    /// The terminal's modes, for going into the background.
    pub guard: Option<&'a TerminalGuard>,
    pub signals: Option<signals::EndSignals>,
    /// Being told to step into the background, and coming back.
    pub jobs: Option<signals::JobSignals>,
    pub crash: Option<Crash>,
    pub fence: Fence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Quit,
    /// A signal came, with its number.
    Signal(u8),
    Gone,
    Crashed,
}

/// Who is at the terminal, as far as the throttle and sessions care.
#[derive(Debug, Clone)]
pub struct Client {
    pub origin: String,
    pub kind: ClientKind,
}

/// Runs a session until it ends.
///
/// # Errors
/// When nothing can be written to the terminal any more.
pub async fn run<W, E>(
    terminal: &mut Terminal<SizedBackend<W>>,
    events: E,
    app: &mut App,
    ops: Ops,
    client: Client,
    mut host: Host<'_>,
) -> io::Result<End>
where
    W: Write,
    E: Stream<Item = io::Result<Event>>,
{
    let clock = ops.clock().clone();
    let (mut runner, mut answers, mut hints) = Runner::new(ops, client.origin, client.kind);
    let mut events = std::pin::pin!(events);
    let mut fence = std::mem::take(&mut host.fence);
    // When what has changed is drawn.
    let mut due: Option<Instant> = None;
    let mut next_frame = Instant::now() + FRAME;
    let mut next_tick = Instant::now() + TICK;
    let mut rest: Option<Instant> = None;
    for effect in app.start() {
        if let Effect::Ask(slot, request) = effect {
            runner.ask(slot, request);
        }
    }
    runner.subscribe(app.subscriptions());
    // Nothing is known of what the screen shows: not every terminal has a second one.
    terminal.clear()?;
    if fence.asks() {
        // Before the first frame: whether the terminal answers at all is soon known.
        write_now(terminal, FENCE)?;
        fence.asked(0, Instant::now());
    }
    app.update(Msg::Terse(fence.is_slow()), clock.now());
    draw(terminal, app, &mut fence)?;
    let end = loop {
        let now = Instant::now();
        if fence.is_slow() != app.is_terse() {
            app.update(Msg::Terse(fence.is_slow()), clock.now());
            due.get_or_insert(now);
        }
        runner.set_terse(app.is_terse());
        if due.is_some_and(|due| due.max(next_frame) <= now) && fence.is_open(now) {
            draw(terminal, app, &mut fence)?;
            due = None;
            next_frame = Instant::now() + FRAME;
        }
        let frame = due.map(|due| due.max(next_frame).max(fence.opens(now)));
        let poll = runner.next_due();
        let msg = tokio::select! {
            biased;
            // Before the events, of which there may be no end.
            number = ended(host.signals.as_mut()) => break End::Signal(number),
            () = crashed(host.crash.as_mut()) => break End::Crashed,
            job = asked(host.jobs.as_mut()) => {
                if let Some(number) = obey(&mut host, &mut fence, job).await? {
                    break End::Signal(number);
                }
                Some(come_back(terminal)?)
            }
            event = events.next() => match event {
                Some(Ok(event)) => message(event),
                Some(Err(_)) | None => break End::Gone,
            },
            Some(arrived) = answers.recv() => runner
                .take(arrived)
                .map(|(slot, answer)| Msg::Done { slot, answer: Box::new(answer) }),
            Some(()) = hints.recv() => {
                runner.hinted();
                None
            }
            () = fence.heard() => {
                fence.answered(Instant::now());
                None
            }
            () = at(frame.or(fence.deadline())) => {
                fence.is_open(Instant::now());
                None
            }
            () = at(rest) => {
                rest = None;
                Some(Msg::Rested)
            }
            () = at(poll) => {
                runner.poll_due();
                None
            }
            () = sleep_until(next_tick) => {
                next_tick = Instant::now() + TICK;
                Some(Msg::Tick)
            }
        };
        let now = Instant::now();
        let mut draw_soon = |only_time: bool, app: &App| {
            let calm = only_time && app.is_terse();
            let at = if calm { (next_frame + CALM).max(now) } else { now };
            due = Some(due.map_or(at, |due| due.min(at)));
        };
        let waiting = runner.waiting();
        if waiting != *app.waiting() {
            draw_soon(waiting.is_like(app.waiting()), app);
            app.update(Msg::Waiting(waiting), clock.now());
        }
        let Some(msg) = msg else {
            continue;
        };
        draw_soon(matches!(msg, Msg::Tick), app);
        if let Msg::Resize(width, height) = msg {
            terminal.backend_mut().resize(width, height);
            terminal.autoresize()?;
        }
        let login = matches!(&msg, Msg::Done { answer, .. } if answer.logs_in());
        let had_session = app.session().is_some();
        let effects = app.update(msg, clock.now());
        if login {
            runner.set_session(app.session());
        }
        let mut end = None;
        for effect in effects {
            match effect {
                Effect::Ask(slot, request) => runner.ask(slot, request),
                Effect::Stop(slot) => runner.stop(slot),
                Effect::Leave(slot) => runner.leave(slot),
                Effect::Copy(text) => {
                    if let Some(text) = keep_if_long(app, text, clock.now()).await {
                        copy(terminal, &text)?;
                    }
                }
                Effect::WaitForRest => rest = Some(Instant::now() + REST),
                Effect::Repaint => terminal.clear()?,
                Effect::Suspend if host.guard.is_some() => {
                    end = obey(&mut host, &mut fence, Job::Stop).await?.map(End::Signal);
                    if end.is_none() {
                        app.update(come_back(terminal)?, clock.now());
                    }
                }
                Effect::Suspend => {}
                Effect::Quit => end = Some(End::Quit),
            }
        }
        if let Some(end) = end {
            break end;
        }
        if had_session && app.session().is_none() {
            runner.set_session(None);
        }
        runner.subscribe(app.subscriptions());
    };
    // However it ends, what was typed last is in its file.
    if let Some((drafts, jobs)) = app.last_drafts(clock.now()) {
        let _ = tokio::time::timeout(LAST_WRITE, run_jobs(drafts, jobs)).await;
    }
    let reachable = app.reachable() && end != End::Crashed;
    let close = runner.close(GOODBYE, reachable);
    if matches!(end, End::Quit | End::Signal(_)) {
        tokio::join!(close, fence.settle());
    } else {
        close.await;
    }
    Ok(end)
}

fn draw<W: Write>(
    terminal: &mut Terminal<SizedBackend<W>>,
    app: &App,
    fence: &mut Fence,
) -> io::Result<()> {
    let before = terminal.backend().bytes_written();
    terminal.backend_mut().fence(fence.asks());
    terminal.draw(|frame| frame::draw(app, frame))?;
    let backend = terminal.backend();
    fence.drew(backend.bytes_written() - before, backend.took(), Instant::now());
    Ok(())
}

fn write_now<W: Write>(terminal: &mut Terminal<SizedBackend<W>>, bytes: &[u8]) -> io::Result<()> {
    let writer = terminal.backend_mut().writer_mut();
    writer.write_all(bytes)?;
    writer.flush()
}

/// Goes into the background until a shell brings the console back, or comes back from there; gives
/// the number of a signal to end that came meanwhile.
async fn obey(host: &mut Host<'_>, fence: &mut Fence, job: Job) -> io::Result<Option<u8>> {
    match job {
        Job::Stop => fence.settle().await,
        Job::Continued => fence.reset(),
    }
    match (host.guard, &mut host.jobs, &mut host.signals) {
        (Some(guard), Some(jobs), Some(signals)) => match job {
            Job::Stop => jobs.suspend(guard, signals).await,
            Job::Continued => jobs.resume(guard, signals).await,
        },
        _ => Ok(None),
    }
}

/// Whatever the terminal shows now, and whatever its size: the next frame draws every cell.
fn come_back<W: Write>(terminal: &mut Terminal<SizedBackend<W>>) -> io::Result<Msg> {
    let (width, height) = local::size()?;
    terminal.backend_mut().resize(width, height);
    terminal.backend_mut().forget();
    terminal.autoresize()?;
    terminal.clear()?;
    Ok(Msg::Resize(width, height))
}

/// What an event of the terminal means; none for those that mean nothing.
fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Msg::Key(key)),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Resize(width, height) => Some(Msg::Resize(width, height)),
        Event::FocusGained => Some(Msg::Focus(true)),
        Event::FocusLost => Some(Msg::Focus(false)),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::ScrollUp => Some(Msg::Wheel { up: true }),
            MouseEventKind::ScrollDown => Some(Msg::Wheel { up: false }),
            MouseEventKind::Down(MouseButton::Left) => {
                Some(Msg::Click { column: mouse.column, row: mouse.row })
            }
            _ => None,
        },
        Event::Key(_) => None,
    }
}

/// Gives a text back that a terminal's clipboard takes; a longer one goes to a file, and that is
/// said.
pub async fn keep_if_long(app: &mut App, text: String, now: DateTime<Utc>) -> Option<String> {
    if text.len() <= CLIPBOARD_LIMIT {
        return Some(text);
    }
    let long = format!("too long for the terminal's clipboard ({} bytes)", text.len());
    app.say(match app.setup.exports.as_deref() {
        None => format!("{long}, and there is no folder for files"),
        Some(dir) => {
            let file = export::file(dir, "copy", "txt", now);
            let name = paths::shown(&file);
            match export::write(file, text).await {
                Ok(()) => format!("{long}: written to {name}"),
                Err(error) => format!("{long}, and not written: {error}"),
            }
        }
    });
    None
}

/// Sends text to the terminal's clipboard (OSC 52); never reads it.
fn copy<W: Write>(terminal: &mut Terminal<SizedBackend<W>>, text: &str) -> io::Result<()> {
    write_now(terminal, format!("\x1b]52;c;{}\x07", base64(text.as_bytes())).as_bytes())
}

/// The one encoding that OSC 52 takes.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = (group >> (18 - 6 * i)) & 63;
            let known = DIGITS.get(digit as usize).copied().map_or('=', char::from);
            text.push(if i <= chunk.len() { known } else { '=' });
        }
    }
    text
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn ended(signals: Option<&mut signals::EndSignals>) -> u8 {
    match signals {
        Some(signals) => signals.received().await,
        None => std::future::pending().await,
    }
}

async fn asked(jobs: Option<&mut signals::JobSignals>) -> Job {
    match jobs {
        Some(jobs) => jobs.received().await,
        None => std::future::pending().await,
    }
}

async fn crashed(crash: Option<&mut Crash>) {
    match crash {
        Some(crash) => crash.happened().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_the_standard_one() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("10482", "MTA0ODI=")];
        for (text, encoded) in cases {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }
}
