//! The filter line while it is typed: completion as you type, errors at their word.

use chrono::FixedOffset;
use crossterm::event::KeyEvent;

use crate::domain::failure::ReasonCode;
use crate::domain::run_filter::{Completion, FilterError, MAX_LENGTH, RunFilter, Values, complete};
use crate::ops::platform::FilterNames;
use crate::tui::widgets::text_field::TextField;

/// What is typed, what is wrong with it, and what could follow.
#[derive(Debug)]
pub(super) struct FilterEditor {
    pub(super) field: TextField,
    offset: FixedOffset,
    /// An unfinished last word is not pointed at while it is typed.
    pub(super) error: Option<FilterError>,
    pub(super) offers: Vec<Completion>,
    /// The offer that tab takes.
    pub(super) chosen: usize,
}

impl FilterEditor {
    /// The editor on a filter; its times are shown and read in `offset`.
    pub(super) fn new(filter: &RunFilter, offset: FixedOffset) -> Self {
        let text = &filter.shown(offset);
        let mut field = TextField::new(MAX_LENGTH);
        field.set(text, text.chars().count());
        Self { field, offset, error: None, offers: Vec::new(), chosen: 0 }
    }

    /// Looks again at what could follow.
    pub(super) fn refresh(&mut self, names: &FilterNames) {
        let reasons = ReasonCode::ALL.iter().map(|reason| reason.as_str().to_owned()).collect();
        let values = Values {
            types: names.types.clone(),
            tenants: names.tenants.clone(),
            workspaces: names.workspaces.clone(),
            reasons,
            initiators: names.initiators.clone(),
        };
        self.offers = complete(self.field.text(), self.field.cursor(), &values);
        self.chosen = 0;
    }

    fn changed(&mut self, names: &FilterNames) {
        self.error = None;
        self.refresh(names);
    }

    pub(super) fn key(&mut self, event: &KeyEvent, names: &FilterNames) {
        if self.field.key(event) {
            self.changed(names);
        }
    }

    pub(super) fn paste(&mut self, text: &str, names: &FilterNames) -> bool {
        let whole = self.field.paste(text);
        self.changed(names);
        whole
    }

    pub(super) fn clear(&mut self, names: &FilterNames) {
        self.field.clear();
        self.changed(names);
    }

    pub(super) fn choose(&mut self, by: isize) {
        let last = self.offers.len().saturating_sub(1);
        self.chosen = self.chosen.saturating_add_signed(by).min(last);
    }

    /// Takes the chosen offer into the text.
    pub(super) fn complete(&mut self, names: &FilterNames) {
        let Some(offer) = self.offers.get(self.chosen) else { return };
        let characters: Vec<char> = self.field.text().chars().collect();
        let head: String = characters.iter().take(offer.range.start).collect();
        let tail: String = characters.iter().skip(offer.range.end).collect();
        let cursor = offer.range.start + offer.replacement.chars().count();
        self.field.set(&format!("{head}{}{tail}", offer.replacement), cursor);
        self.changed(names);
    }

    /// The filter, if the text is one; else the error is shown at its word.
    pub(super) fn accept(&mut self) -> Option<RunFilter> {
        let filter = RunFilter::parse_in(self.field.text(), self.offset);
        filter.map_err(|error| self.error = Some(error)).ok()
    }
}
