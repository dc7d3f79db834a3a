//! A console without a terminal: the application, its requests and a test backend, driven by
//! typed keys and without sleeps.

use std::fmt::Write as _;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use ratatui::style::{Color, Modifier};
use tenantpilot::access::ClientKind;
use tenantpilot::domain::time_zone::TimeZone;
use tenantpilot::ops::{AnyOutput, Ops};
use tenantpilot::runbooks::Registry;
use tenantpilot::term::ColorSupport;
use tenantpilot::tui::app::App;
use tenantpilot::tui::command::Command;
use tenantpilot::tui::frame;
use tenantpilot::tui::keymap::Keymap;
use tenantpilot::tui::msg::{Answer, Effect, Msg};
use tenantpilot::tui::runner::{Arrived, Runner};
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;
use tenantpilot::tui::theme::Theme;
use tenantpilot::{Clock, Error, ErrorKind};
use tokio::sync::mpsc::UnboundedReceiver;

use super::stores::{ORIGIN, PASSWORD};

/// What a console of a test starts with.
pub fn setup(width: u16, height: u16, clock: &Clock) -> Setup {
    Setup {
        keymap: Keymap::embedded("default").unwrap(),
        theme: Theme::embedded("default").unwrap(),
        colors: ColorSupport::Ansi16,
        ascii: false,
        zone: TimeZone::Utc,
        poll: Duration::from_secs(2),
        page_size: 200,
        size: Size { width, height },
        now: clock.now(),
        registry: Registry::standard(),
        exports: None,
        drafts: None,
    }
}

/// A console on a database.
pub struct Console {
    pub app: Box<App>,
    runner: Runner,
    answers: UnboundedReceiver<Arrived>,
    terminal: Terminal<TestBackend>,
    clock: Clock,
    /// The slot whose answer is lost on its way, once.
    pub loses: Option<Slot>,
    /// Effects that reach the terminal or end the session, in order.
    pub outside: Vec<Effect>,
}

impl Console {
    /// A console of `width` by `height` before the login.
    pub async fn open(ops: &Ops, width: u16, height: u16) -> Self {
        let clock = ops.clock().clone();
        Self::with(ops, setup(width, height, &clock)).await
    }

    /// A console with another setup.
    pub async fn with(ops: &Ops, setup: Setup) -> Self {
        let Size { width, height } = setup.size;
        let (runner, answers, _hints) =
            Runner::new(ops.clone(), ORIGIN.to_owned(), ClientKind::Console);
        let mut console = Self {
            app: Box::new(App::new(setup)),
            runner,
            answers,
            terminal: Terminal::new(TestBackend::new(width, height)).unwrap(),
            clock: ops.clock().clone(),
            loses: None,
            outside: Vec::new(),
        };
        let effects = console.app.start();
        console.perform(effects);
        console.settle().await;
        console
    }

    /// Types a user's name and password.
    pub async fn log_in(&mut self, name: &str) {
        self.keys(&format!("{name}<tab>{}<enter>", PASSWORD.replace(' ', "<space>"))).await;
    }

    /// Types keys, `jj<enter>`, and waits for what they set off.
    pub async fn keys(&mut self, text: &str) {
        for event in events(text) {
            self.press(event);
            self.settle().await;
        }
    }

    /// Types keys without waiting for any answer.
    pub fn keys_at_once(&mut self, text: &str) {
        for event in events(text) {
            self.press(event);
        }
    }

    /// Does a command.
    pub async fn command(&mut self, command: Command) {
        let effects = self.app.command(command);
        self.perform(effects);
        self.settle().await;
    }

    /// Pastes text in one piece.
    pub async fn paste(&mut self, text: &str) {
        self.send(Msg::Paste(text.to_owned())).await;
    }

    fn press(&mut self, event: KeyEvent) {
        let effects = self.app.update(Msg::Key(event), self.clock.now());
        self.perform(effects);
    }

    /// Gives the application a message.
    pub async fn send(&mut self, msg: Msg) {
        if let Msg::Resize(width, height) = &msg {
            self.terminal.backend_mut().resize(*width, *height);
        }
        let effects = self.app.update(msg, self.clock.now());
        self.perform(effects);
        self.settle().await;
    }

    /// One round of polling: what the state subscribes to is asked.
    pub async fn poll(&mut self) {
        for sub in self.app.subscriptions() {
            self.runner.ask(sub.slot, sub.request);
        }
        self.settle().await;
    }

    pub fn perform(&mut self, effects: Vec<Effect>) {
        if self.app.session().is_some() {
            self.runner.set_session(self.app.session());
        }
        for effect in effects {
            match effect {
                Effect::Ask(slot, request) => self.runner.ask(slot, request),
                Effect::Stop(slot) => self.runner.stop(slot),
                Effect::Leave(slot) => self.runner.leave(slot),
                // The tests' cursor always rests.
                Effect::WaitForRest => {
                    let more = self.app.update(Msg::Rested, self.clock.now());
                    self.perform(more);
                }
                other => self.outside.push(other),
            }
        }
        self.runner.set_session(self.app.session());
    }

    /// Waits until every request was answered.
    pub async fn settle(&mut self) {
        while !self.runner.busy().is_empty() {
            let arrived = self.answers.recv().await.unwrap();
            if let Some((slot, answer)) = self.runner.take(arrived) {
                let answer = match answer {
                    Answer::Op(AnyOutput::CreateRequest(asked, _)) if self.loses == Some(slot) => {
                        self.loses = None;
                        let error =
                            Error::new(ErrorKind::Unreachable, "the database cannot be reached");
                        Answer::Op(AnyOutput::CreateRequest(asked, Err(error)))
                    }
                    answer => answer,
                };
                let msg = Msg::Done { slot, answer: Box::new(answer) };
                let effects = self.app.update(msg, self.clock.now());
                self.perform(effects);
            }
        }
    }

    /// What is on the screen, without trailing spaces.
    pub fn screen(&mut self) -> String {
        self.terminal.draw(|frame| frame::draw(&self.app, frame)).unwrap();
        let buffer = self.terminal.backend().buffer();
        let mut text = String::new();
        for y in 0..buffer.area.height {
            let mut line = String::new();
            let mut skip = 0;
            for x in 0..buffer.area.width {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let symbol = buffer[(x, y)].symbol();
                skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
                line.push_str(symbol);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// How it is styled: per line, the pieces that are not plain.
    pub fn styles(&mut self) -> String {
        self.terminal.draw(|frame| frame::draw(&self.app, frame)).unwrap();
        let buffer = self.terminal.backend().buffer();
        let mut text = String::new();
        for y in 0..buffer.area.height {
            let mut pieces: Vec<(String, String)> = Vec::new();
            for x in 0..buffer.area.width {
                let cell = &buffer[(x, y)];
                let mut style = String::new();
                if cell.fg != Color::Reset {
                    write!(style, " {}", cell.fg).unwrap();
                }
                if cell.bg != Color::Reset {
                    write!(style, " on {}", cell.bg).unwrap();
                }
                if cell.modifier != Modifier::empty() {
                    write!(style, " {:?}", cell.modifier).unwrap();
                }
                match pieces.last_mut() {
                    Some((piece, last)) if *last == style => piece.push_str(cell.symbol()),
                    _ => pieces.push((cell.symbol().to_owned(), style)),
                }
            }
            for (piece, style) in pieces {
                if !style.is_empty() && !piece.trim().is_empty() {
                    writeln!(text, "{y:>2} {:?}{style}", piece.trim_end()).unwrap();
                }
            }
        }
        text
    }
}

/// Keys from text: `<enter>`, `<esc>`, `<ctrl-c>`, `<space>`; anything else is typed.
pub fn events(text: &str) -> Vec<KeyEvent> {
    let mut events = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (name, length) = match rest.find('>') {
            Some(end) if c == '<' => (&rest[1..end], end + 1),
            _ => ("", c.len_utf8()),
        };
        rest = &rest[length..];
        let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
        events.push(match name {
            "" => plain(KeyCode::Char(c)),
            "enter" => plain(KeyCode::Enter),
            "esc" => plain(KeyCode::Esc),
            "tab" => plain(KeyCode::Tab),
            "backtab" => plain(KeyCode::BackTab),
            "space" => plain(KeyCode::Char(' ')),
            "up" => plain(KeyCode::Up),
            "down" => plain(KeyCode::Down),
            "left" => plain(KeyCode::Left),
            "right" => plain(KeyCode::Right),
            "pgdn" => plain(KeyCode::PageDown),
            "pgup" => plain(KeyCode::PageUp),
            "home" => plain(KeyCode::Home),
            "end" => plain(KeyCode::End),
            "f1" => plain(KeyCode::F(1)),
            "backspace" => plain(KeyCode::Backspace),
            other => match other.strip_prefix("ctrl-") {
                Some(key) => {
                    KeyEvent::new(KeyCode::Char(key.chars().next().unwrap()), KeyModifiers::CONTROL)
                }
                None => panic!("unknown key <{other}>"),
            },
        });
    }
    events
}
