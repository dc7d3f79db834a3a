//! The whole session in memory: keys in, bytes out, through a terminal emulator. This is
//! also the way a remote session goes.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossterm::event::Event;
use futures_util::stream::unfold;
use ratatui::Terminal;
use ratatui::layout::Size;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::run::Source;
use tenantpilot::ops::Ops;
use tenantpilot::ops::runs::StartRun;
use tenantpilot::term::{ColorSupport, SizedBackend};
use tenantpilot::tui::app::App;
use tenantpilot::tui::session::{self, Client, End, Host};
use tenantpilot::tui::setup::Setup;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::support::console::{events, setup};
use crate::support::stores::{ORIGIN, PASSWORD, Store, both_engines};

/// What the session has written, and the screen it makes.
#[derive(Clone)]
pub(super) struct Screen(Arc<Mutex<(vt100::Parser, Vec<u8>)>>);

impl Screen {
    pub(super) fn text(&self) -> String {
        self.0.lock().unwrap().0.screen().contents()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().1.clone()
    }

    /// Waits until the screen fits; the test fails after a minute.
    pub(super) async fn until(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        for _ in 0..6_000 {
            let text = self.text();
            if fits(&text) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited for {what}; the screen is:\n{}", self.text());
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap();
        inner.0.process(bytes);
        inner.1.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct Running {
    pub(super) screen: Screen,
    keys: UnboundedSender<io::Result<Event>>,
    task: JoinHandle<End>,
}

impl Running {
    fn start(store: &Store, poll: Duration) -> Self {
        Self::on(store.ops.clone(), poll)
    }

    /// A session on another service.
    pub(super) fn on(ops: Ops, poll: Duration) -> Self {
        let screen = Screen(Arc::new(Mutex::new((
            vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0),
            Vec::new(),
        ))));
        let (keys, receiver) = unbounded_channel();
        let stream =
            unfold(
                receiver,
                |mut receiver| async move { Some((receiver.recv().await?, receiver)) },
            );
        let setup =
            Setup { poll, size: Size { width: 80, height: 24 }, ..setup(80, 24, ops.clock()) };
        let writer = screen.clone();
        let task = tokio::spawn(async move {
            let backend = SizedBackend::new(writer, 80, 24, ColorSupport::Ansi16);
            let mut terminal = Terminal::new(backend).unwrap();
            let mut app = App::new(setup);
            let client = Client { origin: ORIGIN.to_owned(), kind: ClientKind::Console };
            session::run(&mut terminal, stream, &mut app, ops, client, Host::default())
                .await
                .unwrap()
        });
        Self { screen, keys, task }
    }

    /// Waits for its end.
    pub(super) async fn end(self) -> End {
        self.task.await.unwrap()
    }

    pub(super) fn type_keys(&self, text: &str) {
        for event in events(text) {
            self.keys.send(Ok(Event::Key(event))).unwrap();
        }
    }

    pub(super) async fn log_in(&self) {
        self.screen.until("the login", |text| text.contains("Log in")).await;
        self.type_keys(&format!("administrator<tab>{}<enter>", PASSWORD.replace(' ', "<space>")));
        self.screen
            .until("the list", |text| text.contains("inventory.sync") && text.contains("active"))
            .await;
    }
}

both_engines! {
    async fn fr_005_029_a_quiet_session_writes_nothing_and_shows_a_new_run_in_two_polls(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let poll = Duration::from_millis(500);
        let running = Running::start(&store, poll);
        running.log_in().await;
        // The first answers may still be on their way.
        tokio::time::sleep(poll * 3).await;
        let before = running.screen.bytes().len();
        tokio::time::sleep(poll * 6).await;
        let written = running.screen.bytes().split_off(before);
        assert_eq!(String::from_utf8_lossy(&written), "", "polling a quiet platform writes nothing");
        let start = StartRun::for_tenant("stored_report.create", 1, Source::Admin);
        let id = store.ops.run(&Actor::Customer { user_id: 1 }, start).await.unwrap().run_id;
        let line = format!("{id} 10:17:30    stored_report.create");
        running.screen.until("the new run", |text| text.contains(&line)).await;
        running.type_keys("q");
        assert_eq!(running.task.await.unwrap(), End::Quit);
        let ended = store.number("select count(*) from platform_sessions where end_reason = 'logout'").await;
        assert_eq!(ended, 1, "leaving ends the session");
    }

    async fn fr_005_030_a_cursor_move_writes_few_bytes_and_the_bytes_make_the_same_screen(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let running = Running::start(&store, Duration::from_secs(60));
        running.log_in().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = running.screen.bytes().len();
        running.type_keys("j");
        running.screen.until("the cursor one down", |text| text.lines().any(|line| line.starts_with("▸     8"))).await;
        let written = running.screen.bytes().split_off(before);
        assert!(written.len() <= 150, "{} bytes: {}", written.len(), String::from_utf8_lossy(&written));
        drop(running.keys);
        assert_eq!(running.task.await.unwrap(), End::Gone, "the end of the events is the end of the terminal");
    }

    async fn fr_005_031_untrusted_text_never_reaches_the_terminal_raw(store) {
        let store = store.with_scene().await;
        store.sql("update tenants set name = 'a\u{9b}31m\u{1b}]52;c;aGk=\u{7}b'").await.unwrap();
        store.administrator().await;
        let running = Running::start(&store, Duration::from_secs(60));
        running.log_in().await;
        running.type_keys("<enter>z");
        running.screen.until("the run", |text| text.contains("Waiting: no executor for policy.sync.")).await;
        let bytes = String::from_utf8(running.screen.bytes()).unwrap();
        assert!(!bytes.contains("\u{1b}]") && !bytes.contains('\u{9b}') && !bytes.contains('\u{7}'));
        running.type_keys("q");
        assert_eq!(running.task.await.unwrap(), End::Quit);
    }
}
