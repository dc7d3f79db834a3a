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

const KEYS: usize = 22;

#[derive(Debug)]
pub struct Help {
    context: Context,
    shown: Cursor,
}

impl Help {
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
            n => {
                let keys = keymap.keys_for(Context::Help, Command::CursorDown).join(", ");
                format!("Keys in force; {n} more below: {keys}")
            }
        };
        Line::from(look.span(Role::Title, format!(" {title}")))
            .render(Rect { height: 1, ..area }, buffer);
        for (y, row) in (area.y + 1..area.bottom()).zip(rows.iter().skip(self.shown.at)) {
            let line = match row {
                (None, text) => Line::from(look.span(Role::Header, format!(" {text}"))),
                (Some(keys), text) => {
                    let taken = keys.chars().count().max(KEYS) + 4;
                    let room = usize::from(area.width).saturating_sub(taken);
                    Line::from(vec![
                        look.span(Role::Key, format!("   {keys:<KEYS$} ")),
                        look.span(Role::Hint, look.cut(text, room).to_string()),
                    ])
                }
            };
            line.render(Rect { y, height: 1, ..area }, buffer);
        }
        None
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        Hint::of(&[Command::CursorPageDown, Command::AppBack, Command::AppClose])
    }
}

/// The headings, and the commands below each with their keys.
fn rows(context: Context, keymap: &Keymap) -> Vec<(Option<String>, &'static str)> {
    let mut rows = Vec::new();
    let both = [context, Context::Global];
    for place in both.into_iter().skip(usize::from(context == Context::Global)) {
        rows.push((None, place.title()));
        let mut commands: Vec<Command> = keymap.bindings(place).map(|bound| bound.1).collect();
        commands.dedup();
        if place == Context::Compose && !bound(keymap, KeyCode::Right) {
            let what = "Choose a severity; attach diagnostics or not";
            rows.push((Some("left, right".to_owned()), what));
        }
        for command in commands {
            let keys = keymap.keys_for(context, command);
            if !keys.is_empty() {
                rows.push((Some(keys.join(", ")), command.description()));
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
