//! What an answer does: to whichever asked, and to what is known of the database.

use super::App;
use crate::ErrorKind;
use crate::ops::AnyOutput;
use crate::tui::msg::{Answer, Effect, Slot};
use crate::tui::screens::login::Login;

impl App {
    pub(super) fn done(&mut self, slot: Slot, answer: Answer) -> Vec<Effect> {
        // The disk's answer says nothing about the database.
        if !matches!(answer, Answer::Files(_)) {
            self.link.note(slot, &answer, self.look.now);
            if let Some(error) = answer.error()
                && error.kind() == ErrorKind::NotLoggedIn
                && self.session.is_some()
            {
                return self.end_session(Some(error.clone().hint("log in again")));
            }
        }
        // An answer that comes after the logout belongs to no one who is here; files go on.
        let here = self.session.is_some();
        match answer {
            Answer::Later => Vec::new(),
            Answer::Op(output) => {
                let screens = if here { self.answer_screens(&output) } else { Vec::new() };
                screens.into_iter().chain(self.take(output, here)).collect()
            }
            answer if here || matches!(answer, Answer::Files(_)) => {
                self.ask_tabs(|tab, cx| tab.outcome(slot, &answer, cx))
            }
            _ => Vec::new(),
        }
    }

    /// Takes what came of an operation that the console itself has asked.
    fn take(&mut self, output: AnyOutput, here: bool) -> Vec<Effect> {
        let now = self.look.now;
        match output {
            AnyOutput::PlatformInfo(_, result) => self.platform.take(result, now),
            AnyOutput::Login(_, Ok((session, _))) => {
                self.session = Some(session);
                self.login = Login::default();
                self.touched = Some(now);
                let begun = self.ask_tabs(|tab, cx| tab.begin(cx));
                return begun.into_iter().chain(self.ask_now()).collect();
            }
            AnyOutput::Login(_, Err(error)) => self.login.refused(error),
            _ if !here => {}
            AnyOutput::ChooseWindow(asked, Err(error)) => {
                let window = asked.window.label();
                self.say(format!("{window} is shown, but not remembered: {error}"));
            }
            AnyOutput::CurrentBreakGlass(_, found) => return self.take_glass(found),
            AnyOutput::EnterBreakGlass(_, Ok(glass)) => return self.glass_changed(Some(glass)),
            AnyOutput::EndBreakGlass(_, Ok(_)) => return self.glass_changed(None),
            _ => {}
        }
        Vec::new()
    }
}
