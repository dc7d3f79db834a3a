//! The line in which a search is typed; what is typed searches at once.

use crossterm::event::KeyEvent;

use crate::tui::widgets::text_field::TextField;

/// The longest search.
const LIMIT: usize = 60;

/// The line while it is open.
#[derive(Debug, Clone)]
pub(super) struct Search {
    pub(super) field: TextField,
    /// The search before it was opened, for going back to.
    pub(super) before: String,
}

impl Search {
    pub(super) fn over(search: &str) -> Self {
        let mut field = TextField::new(LIMIT);
        field.set(search, search.chars().count());
        Self { field, before: search.to_owned() }
    }

    /// Types a key; gives the search if it is another one now.
    pub(super) fn key(&mut self, event: &KeyEvent) -> Option<String> {
        let before = self.field.text().to_owned();
        self.field.key(event);
        (self.field.text() != before).then(|| self.field.text().to_owned())
    }
}
