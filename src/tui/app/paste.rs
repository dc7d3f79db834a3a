//! Text that is pasted in one piece: only a text field takes it, and it confirms nothing.

use super::App;
use crate::tui::command::Context;
use crate::tui::msg::Effect;
use crate::tui::screen::{CUT, NO_FIELD, UNTYPED};

impl App {
    /// Gives pasted text to the text field that has the keys, if one has.
    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        if self.too_small() {
            return Vec::new();
        }
        if !self.modals.is_empty() {
            return self.ask_top(|top, cx| top.paste(text, cx));
        }
        let context = self.context();
        let typed = matches!(context, Context::Phrase | Context::Refused);
        if context.is_text() && !typed && self.in_wizard() {
            return self.paste_in_wizard(text);
        }
        let mut effects = Vec::new();
        if context.is_text() && self.in_composition() {
            return self.paste_in_composition(text);
        }
        let whole = match context {
            Context::Login => self.login.paste(text),
            Context::Filter => self.tabs.operations.paste(text),
            Context::Search => {
                let (whole, asked) = self.paste_in_support(text);
                effects = asked;
                whole
            }
            _ => {
                self.say(if typed { UNTYPED } else { NO_FIELD });
                true
            }
        };
        if !whole {
            self.say(CUT);
        }
        effects
    }
}
