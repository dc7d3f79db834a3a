//! Text that is pasted in one piece: only a text field takes it, and it confirms nothing.

use super::{App, Overlay};
use crate::tui::command::Context;
use crate::tui::msg::Effect;
use crate::tui::widgets::form::Pasted;

/// What is said where a confirmation is pasted.
const UNTYPED: &str = "a confirmation has to be typed; the pasted text was not taken";

impl App {
    /// Gives pasted text to the text field that has the keys, if one has.
    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        if self.too_small() {
            return Vec::new();
        }
        let context = self.context();
        let typed = matches!(context, Context::Confirm | Context::Phrase | Context::Refused);
        if context.is_text() && !typed && self.in_wizard() {
            return self.paste_in_wizard(text);
        }
        let mut effects = Vec::new();
        if context.is_text() && self.in_composition() {
            return self.paste_in_composition(text);
        }
        let whole = match context {
            Context::Login => self.login.paste(text),
            Context::Filter => self.operations.paste(text),
            Context::Search => {
                let (whole, asked) = self.paste_in_support(text);
                effects = asked;
                whole
            }
            Context::Palette => {
                let (whole, asked) = self.change_palette(|palette| palette.paste(text));
                effects = asked;
                whole.unwrap_or(true)
            }
            Context::Form => match self.overlays.last_mut() {
                Some(Overlay::BreakGlass(dialog)) => {
                    let pasted = dialog.paste(text);
                    self.pasted_in_form(pasted, "this field takes no pasted text")
                }
                Some(Overlay::Confirm(dialog)) => {
                    let pasted = dialog.paste(text);
                    self.pasted_in_form(pasted, UNTYPED)
                }
                _ => true,
            },
            _ => {
                self.say(if typed {
                    UNTYPED
                } else {
                    "pasted text is taken only in a text field; nothing was done"
                });
                true
            }
        };
        if !whole {
            self.say("the paste was longer than the field and was cut off");
        }
        effects
    }
    /// Whether all of it was taken, or nothing; says so where the field takes none.
    fn pasted_in_form(&mut self, pasted: Pasted, refusal: &str) -> bool {
        if pasted == Pasted::Refused {
            self.say(refusal);
        }
        pasted != Pasted::Cut
    }
}
