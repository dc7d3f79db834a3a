//! The help: the keys in force, read from the keymap, so it cannot drift from it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Clear, Widget};

use crate::tui::command::{Command, Context};
use crate::tui::keymap::{Key, Keymap, Resolved};
use crate::tui::screen::{Cx, Hint, Reply, Screen};
use crate::tui::theme::Role;
use crate::tui::widgets::cursor::Cursor;

/// Columns of the keys.
const KEYS: usize = 22;

/// The help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// The context it explains.
    pub context: Context,
    shown: Cursor,
}

impl Help {
    /// Help for a context.
    pub fn of(context: Context) -> Self {
        Self { context, shown: Cursor::default() }
    }
}

impl Screen for Help {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Help
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        if command == Command::AppHelp {
            return Reply::close();
        }
        let count = rows(self.context, cx.keymap).len();
        self.shown.scroll(command, count, usize::from(cx.area.height.saturating_sub(1)));
        Reply::default()
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let Cx { look, keymap, area, .. } = *cx;
        Clear.render(area, buffer);
        let rows = rows(self.context, keymap);
        let shown = usize::from(area.height.saturating_sub(1));
        let more = rows.len().saturating_sub(self.shown.at + shown);
        let title = match more {
            0 => "Keys in force".to_owned(),
            n => format!(
                "Keys in force; {n} more below: {}",
                keys(keymap, Context::Help, Command::CursorDown)
            ),
        };
        Line::from(look.span(Role::Title, format!(" {title}")))
            .render(Rect { height: 1, ..area }, buffer);
        for (y, row) in (area.y + 1..area.bottom()).zip(rows.iter().skip(self.shown.at)) {
            let taken = match row {
                Row::Key(keys, _) => keys.chars().count().max(KEYS) + 4,
                Row::Head(_) => 1,
            };
            let room = usize::from(area.width).saturating_sub(taken);
            let line = match row {
                Row::Head(text) => Line::from(look.span(Role::Header, format!(" {text}"))),
                Row::Key(keys, text) => Line::from(vec![
                    look.span(Role::Key, format!("   {keys:<KEYS$} ")),
                    look.span(Role::Hint, look.cut(text, room).to_string()),
                ]),
            };
            line.render(Rect { y, height: 1, ..area }, buffer);
        }
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        Hint::of(&[Command::CursorPageDown, Command::AppBack, Command::AppClose])
    }
}

enum Row {
    Head(String),
    Key(String, &'static str),
}

fn rows(context: Context, keymap: &Keymap) -> Vec<Row> {
    let mut rows = Vec::new();
    for place in [context, Context::Global] {
        if place == Context::Global && context == Context::Global {
            continue;
        }
        rows.push(Row::Head(place.title().to_owned()));
        let mut commands: Vec<Command> = Vec::new();
        for (_, command) in keymap.bindings(place) {
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
        if place == Context::Compose && !bound(keymap, KeyCode::Right) {
            let what = "Choose a severity; attach diagnostics or not";
            rows.push(Row::Key("left, right".to_owned(), what));
        }
        for command in commands {
            let keys = keymap.keys_for(context, command);
            if !keys.is_empty() {
                rows.push(Row::Key(keys.join(", "), command.description()));
            }
        }
    }
    rows
}

/// Whether a key does a command in the form of a request, instead of reaching its field.
fn bound(keymap: &Keymap, code: KeyCode) -> bool {
    let key = Key::from_event(&KeyEvent::new(code, KeyModifiers::NONE));
    key.is_some_and(|key| keymap.resolve(Context::Compose, &[], key) != Resolved::Unbound)
}

fn keys(keymap: &Keymap, context: Context, command: Command) -> String {
    keymap.keys_for(context, command).join(", ")
}
