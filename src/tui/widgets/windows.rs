//! The choice of the window of everything that sums up, and its line of names.

use std::time::Duration;

use crate::domain::window::Window;
use crate::tui::command::Command;
use crate::tui::screen::{Cx, Go, Reply};
use crate::tui::theme::Role;

const LEADING: &str = " window ";

/// Sums over hours and days are read once in so many poll intervals.
const POLL_FACTOR: u32 = 5;
const SLOWEST: Duration = Duration::from_secs(60);

pub fn every(cx: &Cx<'_>) -> Duration {
    cx.every.max((cx.every * POLL_FACTOR).min(SLOWEST))
}

pub fn step(command: Command, cx: &Cx<'_>) -> Reply {
    let Some(window) = cx.window else {
        let why = "the window is not known yet: the first numbers are on their way";
        return Reply::default().say(why, cx);
    };
    let (all, count) = (Window::ALL, Window::ALL.len());
    let here = all.iter().position(|other| *other == window).unwrap_or(0);
    let by = if command == Command::WindowNext { 1 } else { count - 1 };
    let next = all.get((here + by) % count).copied().unwrap_or(window);
    Reply::default().go(Go::Window(next))
}

pub fn click(column: u16, cx: &Cx<'_>) -> Reply {
    let mut end = LEADING.len();
    let clicked = Window::ALL.iter().copied().find(|window| {
        let start = end + 1;
        end = start + marked(*window, cx.window).len();
        (start..end).contains(&usize::from(column))
    });
    match clicked {
        Some(window) if cx.window.is_some_and(|chosen| chosen != window) => {
            Reply::default().go(Go::Window(window))
        }
        _ => Reply::default(),
    }
}

/// Whether an answer about the window `read` (none where it was an error) is still wanted. The first
/// one says which window the person chose last.
pub fn answered(asked: Option<Window>, read: Option<Window>, cx: &Cx<'_>) -> (bool, Reply) {
    match (read, cx.window) {
        (None, _) => (asked == cx.window, Reply::default()),
        (Some(read), None) => (true, Reply::default().go(Go::WindowKnown(read))),
        (Some(read), Some(chosen)) => (read == chosen, Reply::default()),
    }
}

/// A window's name, in brackets if it is the chosen one.
fn marked(window: Window, chosen: Option<Window>) -> String {
    if chosen == Some(window) { format!("[{window}]") } else { window.to_string() }
}

/// The line of the windows, in pieces.
pub fn names(chosen: Option<Window>) -> Vec<(Role, String)> {
    let mut names = vec![(Role::Muted, LEADING.to_owned())];
    for window in Window::ALL {
        let role = if chosen == Some(*window) { Role::TabActive } else { Role::Text };
        names.extend([(Role::Text, " ".to_owned()), (role, marked(*window, chosen))]);
    }
    names
}

/// The window in words that follow "the".
pub fn length_of(window: Window) -> &'static str {
    match window {
        Window::Hour => "hour",
        Window::Day => "24 hours",
        Window::Week => "7 days",
        Window::Month => "30 days",
    }
}
