//! The console's state and how it changes: `update(Msg) -> Effects`, no I/O, no clock.

mod break_glass;
mod commands;
mod front;
mod leave;
pub mod link;
mod once;
mod places;
mod polling;
mod subject;
mod tab_line;

use std::time::Duration;

use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;
use ratatui::layout::{Rect, Size};

use crate::Error;
use crate::domain::window::Window;
use crate::drafts::Drafts;
use crate::ops::auth::{Session, Touch};
use crate::ops::platform::{Platform, PlatformInfo};
use crate::tui::command::{Command, Context};
use crate::tui::draft_files::Job;
use crate::tui::keymap::{Key, Resolved};
use crate::tui::link::Link;
use crate::tui::look::Look;
use crate::tui::msg::{Effect, Msg};
use crate::tui::remote::Remote;
use crate::tui::screen::{Place, Reply, Screen, Target, Toast};
use crate::tui::screens::Tabs;
use crate::tui::screens::login::Login;
use crate::tui::setup::Setup;
use crate::tui::slot::Slot;
use crate::tui::tabs::{HOME, Tab};
use break_glass::Glass;

pub const MINIMUM: Size = Size { width: 60, height: 15 };
const POLL_RANGE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// Without the focus, or on a slow line, polls are this many times slower.
const POLL_FACTOR: u32 = 5;
/// How often keys are reported as a sign of life.
const TOUCH_EVERY: chrono::Duration = chrono::Duration::seconds(60);
/// How much later than expected an answer may come before the data counts as old.
const GRACE: chrono::Duration = chrono::Duration::seconds(2);

#[derive(Debug)]
pub struct App {
    pub(in crate::tui) setup: Setup,
    pub(in crate::tui) look: Look,
    pub(in crate::tui) session: Option<Session>,
    pub(in crate::tui) platform: Remote<Platform>,
    pub(in crate::tui) login: Login,
    pub tabs: Tabs,
    /// The window of everything that sums up; none until an answer told the remembered one.
    pub(in crate::tui) window: Option<Window>,
    pub(in crate::tui) tab: Tab,
    /// What lies over the tab; the top one gets the keys first.
    pub(in crate::tui) modals: Vec<Box<dyn Screen>>,
    /// What was closed while an answer to it is on its way.
    closed: Vec<Box<dyn Screen>>,
    pub(in crate::tui) toast: Option<Toast>,
    pub(in crate::tui) link: Link,
    pub(in crate::tui) paused: bool,
    pub(in crate::tui) pending: Vec<Key>,
    glass: Glass,
    focused: bool,
    /// Which embedded theme is shown; their number stands for the one that was loaded.
    theme_index: usize,
    back: Vec<Place>,
    forward: Vec<Place>,
    touched: Option<DateTime<Utc>>,
}

impl App {
    pub fn new(setup: Setup) -> Self {
        let look = Look {
            theme: setup.theme.downgrade(setup.colors),
            ascii: setup.ascii,
            terse: false,
            zone: setup.zone,
            now: setup.now,
        };
        Self {
            tabs: Tabs::new(&setup),
            look,
            session: None,
            platform: Remote::default(),
            login: Login::default(),
            window: None,
            glass: Glass::default(),
            tab: HOME,
            modals: Vec::new(),
            closed: Vec::new(),
            toast: None,
            link: Link::default(),
            paused: false,
            pending: Vec::new(),
            focused: true,
            theme_index: crate::tui::theme::index_of(&setup.theme),
            back: Vec::new(),
            forward: Vec::new(),
            touched: None,
            setup,
        }
    }

    /// What a console asks as soon as it is there.
    pub fn start(&self) -> Vec<Effect> {
        vec![Effect::ask(Slot::PLATFORM, PlatformInfo)]
    }

    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    pub fn is_terse(&self) -> bool {
        self.look.terse
    }

    /// The window that is chosen, once it is known.
    pub fn window(&self) -> Option<Window> {
        self.window
    }

    /// Whether the terminal is too small to show anything but that.
    pub fn too_small(&self) -> bool {
        self.setup.size.width < MINIMUM.width || self.setup.size.height < MINIMUM.height
    }

    /// Where the body is drawn: under the header, the tabs and the banner, above the footer.
    pub fn body(&self) -> Rect {
        let Size { width, height } = self.setup.size;
        let y = 2 + u16::from(self.break_glass().is_some());
        Rect { x: 0, y, width, height: height.saturating_sub(y + 1) }
    }

    /// The context that keys are looked up in.
    pub fn context(&self) -> Context {
        self.front().context(&self.cx_of_link())
    }

    /// Changes the state by what happened, at `now`; gives what is to be done.
    pub fn update(&mut self, msg: Msg, now: DateTime<Utc>) -> Vec<Effect> {
        let body = self.body();
        let (read, once) = (self.tab_slots(), self.read_once());
        self.look.now = now;
        let effects = self.happened(msg, now);
        if self.body() != body {
            self.ask_tabs(|tab, cx| {
                tab.settle(cx);
                Reply::default()
            });
        }
        let reads = self.tab_slots();
        if reads.iter().any(|slot| !read.contains(slot)) {
            self.link.opened = Some(now);
        }
        let asked =
            |slot: Slot| effects.iter().any(|e| matches!(e, Effect::Ask(s, _) if *s == slot));
        let shown = [reads, self.read_once()].concat();
        let left = read.into_iter().chain(once);
        let left = left.filter(|slot| !shown.contains(slot) && !asked(*slot));
        let left: Vec<Effect> = left.map(Effect::Leave).collect();
        self.note_asked(&effects);
        left.into_iter().chain(effects).collect()
    }

    fn happened(&mut self, msg: Msg, now: DateTime<Utc>) -> Vec<Effect> {
        if self.toast.as_ref().is_some_and(|toast| toast.until <= now) {
            self.toast = None;
        }
        match msg {
            Msg::Key(event) => self.key(&event),
            Msg::Paste(_) if self.too_small() => Vec::new(),
            Msg::Paste(text) => self.ask_front(|front, cx| front.paste(&text, cx)),
            Msg::Resize(width, height) => {
                let was = self.too_small();
                self.setup.size = Size { width, height };
                if was != self.too_small() {
                    self.pending.clear();
                }
                Vec::new()
            }
            Msg::Wheel { up } => self.wheel(up),
            Msg::Click { column, row } => self.click(column, row),
            Msg::Focus(focused) => {
                let came_back = focused && !self.focused;
                self.focused = focused;
                if came_back { self.ask_now() } else { Vec::new() }
            }
            Msg::Terse(terse) => {
                self.look.terse = terse;
                Vec::new()
            }
            Msg::Tick => self.ask_tabs(|tab, cx| tab.tick(cx)),
            Msg::Waiting(waiting) => {
                self.link.wait(waiting);
                Vec::new()
            }
            Msg::Rested => self.ask_tabs(|tab, cx| tab.rested(cx)),
            Msg::Done { slot, answer } => self.done(slot, *answer),
        }
    }

    fn key(&mut self, event: &KeyEvent) -> Vec<Effect> {
        let Some(key) = Key::from_event(event) else {
            return Vec::new();
        };
        if self.too_small() {
            return self.key_unseen(key);
        }
        // A notice has been read once the next key is pressed; it hides the footer.
        let view = self.toast.take().and_then(|toast| toast.view);
        let mut effects = self.sign_of_life();
        let context = self.context();
        match self.setup.keymap.resolve(context, &self.pending, key) {
            Resolved::Command(command) => {
                self.pending.clear();
                let leads = command == Command::RowOpen && self.modals.is_empty();
                effects.extend(match view.filter(|_| leads) {
                    Some(id) => self.visit(&Target::Run(id), false),
                    None => self.command(command),
                });
            }
            Resolved::Pending => self.pending.push(key),
            Resolved::Unbound => {
                self.pending.clear();
                effects.extend(self.ask_front(|front, cx| front.key(event, cx)));
            }
        }
        effects
    }

    /// A person at the keys keeps the session alive; polls do not.
    fn sign_of_life(&mut self) -> Vec<Effect> {
        let now = self.look.now;
        let due = self.touched.is_none_or(|at| now - at >= TOUCH_EVERY);
        if self.session.is_none() || !due {
            return Vec::new();
        }
        self.touched = Some(now);
        vec![Effect::ask(Slot::TOUCH, Touch)]
    }

    /// What may not be on the disk yet, when the console ends at `now`.
    pub fn last_drafts(&mut self, now: DateTime<Utc>) -> Option<(Drafts, Vec<Job>)> {
        Tab::ALL.iter().find_map(|tab| self.tabs.get_mut(*tab).last(now))
    }

    /// Begins again, before a login: only how things look, and what is known of the database and of
    /// what is still written into files, outlives a session.
    pub(in crate::tui) fn end_session(&mut self, because: Option<Error>) -> Vec<Effect> {
        let (now, on_purpose) = (self.look.now, because.is_none());
        let next = Self::new(self.setup.clone());
        let old = std::mem::replace(self, next);
        self.look = old.look;
        self.theme_index = old.theme_index;
        self.platform = old.platform;
        self.link = old.link;
        self.link.forget();
        self.focused = old.focused;
        self.paused = old.paused;
        self.pending = old.pending;
        self.toast = old.toast;
        self.login = Login::because(because);
        self.tabs.inherit(old.tabs, on_purpose, now)
    }
}
