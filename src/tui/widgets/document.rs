//! What is read: what it asks, how it is written, and what it does.

use std::fmt::Debug;

use crate::ops::AnyOutput;
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Answer, Sub};
use crate::tui::screen::{Cx, Hint, Reply, State, Subject, Target, Way};
use crate::tui::slot::Slot;
use crate::tui::tabs::Tab;
use crate::tui::widgets::paper::Paper;

pub trait Document: Debug + Send {
    const CONTEXT: Context;
    /// The sections that are unfolded at first.
    const OPEN: &'static [usize] = &[];

    fn subscriptions(&self, _cx: &Cx<'_>) -> Vec<Sub> {
        Vec::new()
    }
    fn refresh(&mut self, cx: &Cx<'_>) -> Reply {
        Reply::asks(&self.subscriptions(cx))
    }
    fn answer(&mut self, _answer: &AnyOutput, _cx: &Cx<'_>) -> bool {
        false
    }
    fn outcome(&mut self, _slot: Slot, _answer: &Answer, _cx: &Cx<'_>) {}
    /// Does a command that is its own; none where it is another one.
    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Option<Reply> {
        (command == Command::PollNow).then(|| self.refresh(cx))
    }
    fn write(&self, paper: &mut Paper<'_>, cx: &Cx<'_>) -> Option<()>;
    fn reading(&self) -> String;
    fn failed(&self, error: &crate::Error, _cx: &Cx<'_>) -> String {
        error.to_string()
    }
    fn state(&self) -> State<'_>;
    fn subject(&self) -> Subject<'_> {
        Subject::NONE
    }
    /// What is copied, which is another text for another document.
    fn copies(&self) -> Option<String> {
        None
    }
    fn hints(&self) -> Vec<Hint> {
        Vec::new()
    }
    fn reads(&self, _cx: &Cx<'_>) -> Option<Slot> {
        None
    }
    fn caption(&self) -> Option<String> {
        None
    }
    fn place(&self) -> Option<(Target, Tab)> {
        None
    }
    fn show(&mut self, _target: &Target, _way: Way, _cx: &Cx<'_>) -> Option<Reply> {
        None
    }
}
