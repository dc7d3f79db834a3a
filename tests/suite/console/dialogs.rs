//! A dialog is a file: a throw-away one that nothing in the console knows gets what happens.

use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::text::Line;
use ratatui::widgets::Widget;
use tenantpilot::ops::AnyOutput;
use tenantpilot::ops::condition::ReadCondition;
use tenantpilot::ops::platform::PlatformInfo;
use tenantpilot::tui::command::{Command, Context};
use tenantpilot::tui::msg::{Answer, Msg};
use tenantpilot::tui::screen::{Cx, Go, Hint, Reply, Screen};
use tenantpilot::tui::slot::Slot;
use tenantpilot::{Error, ErrorKind};

use crate::support::console::Console;
use crate::support::stores::both_engines;

/// Counts what reaches it.
#[derive(Debug, Default)]
struct Counter {
    keys: usize,
    commands: Vec<Command>,
    sends: bool,
}

impl Screen for Counter {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Confirm
    }

    fn open(&mut self, cx: &Cx<'_>) -> Reply {
        Reply::default().say("it counts", cx)
    }

    fn command(&mut self, command: Command, _: &Cx<'_>) -> Reply {
        self.commands.push(command);
        match command {
            Command::FormSubmit => Reply::close().go(Go::Command(Command::AppHelp)),
            Command::FilterClear => {
                self.sends = true;
                Reply::ask(Slot::PLATFORM, PlatformInfo)
            }
            _ => Reply::default(),
        }
    }

    fn key(&mut self, _: &crossterm::event::KeyEvent, _: &Cx<'_>) -> Reply {
        self.keys += 1;
        Reply::default()
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        let AnyOutput::PlatformInfo(..) = answer else { return None };
        let how = if cx.shown { "seen" } else { "unseen" };
        Some(Reply::close().say(format!("answered {how}"), cx))
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let text = format!("{} keys, {} commands", self.keys, self.commands.len());
        Line::from(text).render(cx.area, buffer);
        Some(cx.area.as_position())
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        vec![Hint::Key("z", "counts"), Hint::Does(Command::AppBack, "enough")]
    }

    fn awaits(&self) -> Option<Slot> {
        self.sends.then_some(Slot::PLATFORM)
    }
}

fn with_counter(console: &mut Console) {
    let effects = console.app.push(Box::new(Counter::default()));
    console.perform(effects);
}

fn footer(console: &mut Console) -> String {
    console.screen().lines().last().unwrap_or_default().to_owned()
}

both_engines! {
    async fn fr_052_004_what_happens_reaches_a_dialog_that_nothing_else_names(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let list = console.screen();
        with_counter(&mut console);
        assert_eq!(footer(&mut console).trim(), "it counts");
        // A key that means a place elsewhere, one that means nothing, the wheel and a paste.
        console.keys("3z").await;
        assert!(console.screen().contains("2 keys, 0 commands"), "{}", console.screen());
        assert_eq!(footer(&mut console), " z counts  esc enough");
        console.send(Msg::Wheel { up: true }).await;
        assert!(console.screen().contains("2 keys, 3 commands"), "{}", console.screen());
        console.paste("text").await;
        assert!(footer(&mut console).contains("pasted text is taken only in a text field"));
        console.send(Msg::Resize(60, 15)).await;
        assert!(console.screen().contains("2 keys"), "{}", console.screen());
        console.send(Msg::Resize(80, 24)).await;
        console.keys("<esc>").await;
        assert_eq!(console.screen(), list);

        with_counter(&mut console);
        console.keys("<enter>").await;
        assert!(console.screen().contains("Keys in force"), "{}", console.screen());
    }
}

both_engines! {
    async fn fr_052_005_what_a_dialog_sent_is_answered_also_after_it_was_closed(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        with_counter(&mut console);
        console.keys("<ctrl-u>").await;
        assert_eq!(footer(&mut console).trim(), "answered seen");
        with_counter(&mut console);
        console.keys_at_once("<ctrl-u><esc>");
        console.settle().await;
        assert_eq!(footer(&mut console).trim(), "answered unseen");
        // With the session goes what lies over it, and what it waits for.
        with_counter(&mut console);
        console.keys_at_once("<ctrl-u><esc>");
        with_counter(&mut console);
        let ended = Error::new(ErrorKind::NotLoggedIn, "the session has ended");
        let answer = Box::new(Answer::Op(AnyOutput::ReadCondition(ReadCondition, Err(ended))));
        console.send(Msg::Done { slot: Slot::CONDITION, answer }).await;
        let screen = console.screen();
        assert!(screen.contains("the session has ended"), "{screen}");
        assert!(!screen.contains("answered") && !screen.contains("commands"), "{screen}");
    }
}
