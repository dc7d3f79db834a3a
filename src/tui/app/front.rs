//! Which screen gets what happens and what is answered, and what is done that it asks for.

use super::App;
use crate::ErrorKind;
use crate::ops::AnyOutput;
use crate::ops::dashboard::ChooseWindow;
use crate::tui::msg::{Answer, Effect};
use crate::tui::screen::{Cx, Go, Nav, Reply, Screen, Toast};
use crate::tui::screens::login::Login;
use crate::tui::slot::Slot;
use crate::tui::tabs::Tab;

impl App {
    /// What is shown on the tab, or before there is a session.
    pub(in crate::tui) fn below(&self) -> &dyn Screen {
        if self.session.is_some() { self.tabs.get(self.tab) } else { &self.login }
    }

    /// What gets the keys: what lies on top.
    pub(in crate::tui) fn front(&self) -> &dyn Screen {
        self.modals.last().map_or_else(|| self.below(), |top| top.as_ref())
    }

    pub fn cx(&self) -> Cx<'_> {
        Cx { lost: self.greyed(), ..self.cx_of_link() }
    }

    pub(super) fn cx_of_link(&self) -> Cx<'_> {
        let Self { look, setup, session, link, platform, paused, window, .. } = self;
        Cx {
            area: self.body(),
            paused: *paused,
            every: self.poll_every(),
            window: *window,
            under_glass: self.break_glass().is_some(),
            ..Cx::new(look, setup, session.as_ref(), link, platform)
        }
    }

    /// Has the screen of a tab do something, or without one what gets the keys.
    pub(super) fn act<T>(
        &mut self,
        on: Option<Tab>,
        act: impl FnOnce(&mut dyn Screen, &Cx<'_>) -> T,
    ) -> T {
        let Cx { area, lost, paused, every, window, under_glass, .. } = self.cx();
        let Self { look, setup, session, link, platform, modals, login, tabs, tab, .. } = self;
        let screen: &mut dyn Screen = match (on, modals.last_mut()) {
            (Some(tab), _) => tabs.get_mut(tab),
            (None, Some(top)) => top.as_mut(),
            (None, None) if session.is_none() => login,
            (None, None) => tabs.get_mut(*tab),
        };
        let shown = on.is_none_or(|on| on == *tab);
        let cx = Cx::new(look, setup, session.as_ref(), link, platform);
        act(screen, &Cx { area, lost, paused, every, window, under_glass, shown, ..cx })
    }

    pub fn push(&mut self, mut screen: Box<dyn Screen>) -> Vec<Effect> {
        let reply = screen.open(&self.cx());
        self.modals.push(screen);
        self.follow(reply)
    }

    pub(super) fn ask_front(
        &mut self,
        act: impl FnOnce(&mut dyn Screen, &Cx<'_>) -> Reply,
    ) -> Vec<Effect> {
        let reply = self.act(None, act);
        if reply.closes() {
            self.modals.pop();
        }
        self.follow(reply)
    }

    /// Has the screens of all tabs do something.
    pub(super) fn ask_tabs(
        &mut self,
        act: impl Fn(&mut dyn Screen, &Cx<'_>) -> Reply,
    ) -> Vec<Effect> {
        let replies: Vec<Reply> =
            Tab::ALL.iter().map(|tab| self.act(Some(*tab), |s, cx| act(s, cx))).collect();
        replies.into_iter().flat_map(|reply| self.follow(reply)).collect()
    }

    /// Closes the top one; what it has sent is answered all the same.
    pub(super) fn close_top(&mut self) {
        self.closed.extend(self.modals.pop().filter(|top| top.awaits().is_some()));
    }

    /// Whether a change that one of them has sent in this slot is not answered yet.
    pub(super) fn awaits(&self, slot: Slot) -> bool {
        self.modals.iter().chain(&self.closed).any(|screen| screen.awaits() == Some(slot))
    }

    /// Gives an answer to whichever asked for it.
    pub(super) fn answer_screens(&mut self, answer: &AnyOutput) -> Vec<Effect> {
        let mut replies = Vec::new();
        let (mut modals, mut closed) =
            (std::mem::take(&mut self.modals), std::mem::take(&mut self.closed));
        for (shown, screens) in [(true, &mut modals), (false, &mut closed)] {
            let cx = Cx { shown, ..self.cx() };
            screens.retain_mut(|screen| {
                let Some(reply) = screen.answer(answer, &cx) else { return true };
                let stays = !reply.closes() && (shown || screen.awaits().is_some());
                replies.push(reply);
                stays
            });
        }
        (self.modals, self.closed) = (modals, closed);
        let mut effects: Vec<Effect> =
            replies.into_iter().flat_map(|reply| self.follow(reply)).collect();
        effects.extend(self.ask_tabs(|tab, cx| tab.answer(answer, cx).unwrap_or_default()));
        effects
    }

    /// Does what a screen asks of the console.
    pub(super) fn follow(&mut self, reply: Reply) -> Vec<Effect> {
        let mut effects = reply.effects;
        if reply.toast.is_some() {
            self.toast = reply.toast;
        }
        for nav in reply.nav {
            effects.extend(match nav {
                Nav::Close | Nav::Stay => Vec::new(),
                Nav::Push(screen) => self.push(screen),
                Nav::Up(command) => self.navigate(command),
                Nav::Go(go) => self.go_on(go),
            });
        }
        effects
    }

    fn go_on(&mut self, go: Go) -> Vec<Effect> {
        match go {
            Go::Command(command) => self.command(command),
            Go::To(target) => self.go_to(target),
            Go::Show(target) => self.visit(&target, false),
            Go::Ready(target) => self.ready(&target),
            Go::Tab(tab) => self.go(tab),
            Go::Return(place) => self.return_to(place),
            // Its numbers are asked for, paused or not, and it is remembered for the person.
            Go::Window(window) => {
                self.window = Some(window);
                let mut effects = self.go_on(Go::Refresh);
                effects.push(Effect::ask(Slot::WINDOW, ChooseWindow { window }));
                effects
            }
            Go::WindowKnown(window) => {
                self.window.get_or_insert(window);
                Vec::new()
            }
            Go::Discard => self.ask_front(|front, cx| front.discard(cx)),
            Go::Refresh => {
                let reply = self.act(Some(self.tab), |tab, cx| tab.refresh(cx));
                self.follow(reply)
            }
            Go::Poll => self.ask_now(),
        }
    }

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

    pub(in crate::tui) fn say(&mut self, text: impl Into<String>) {
        self.say_with(text, None);
    }

    /// Says something that may lead to a run.
    pub(super) fn say_with(&mut self, text: impl Into<String>, view: Option<i64>) {
        self.toast = Some(Toast::new(text, view, self.look.now));
    }
}
