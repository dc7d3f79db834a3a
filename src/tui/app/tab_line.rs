//! What the tab line says, and where.

use std::ops::Range;

use super::App;
use crate::tui::command::{Command, Context};
use crate::tui::tabs::Tab;

impl App {
    /// The tabs with the columns they take on the tab line.
    pub(in crate::tui) fn tab_places(&self) -> Vec<(Tab, Range<u16>)> {
        let mut column = 0;
        let mut places = Vec::new();
        for (tab, text) in self.tab_texts() {
            let width = u16::try_from(text.chars().count()).unwrap_or(0);
            places.push((tab, column..column + width));
            column += width;
        }
        places
    }

    /// What the tab line says of each tab, in fewer columns where there is too little room for all.
    pub(in crate::tui) fn tab_texts(&self) -> Vec<(Tab, String)> {
        let room = usize::from(self.setup.size.width);
        let mut texts = Vec::new();
        for brevity in 0..=3 {
            texts = Tab::ALL.iter().map(|tab| (*tab, self.tab_text(*tab, brevity))).collect();
            let width: usize = texts.iter().map(|(_, text)| text.chars().count()).sum();
            if width <= room {
                break;
            }
        }
        texts
    }

    /// What the tab line says of a tab: with the open run's id and apart at 0, closer at 1, in
    /// short at 2 and as short as it can be at 3.
    fn tab_text(&self, tab: Tab, brevity: usize) -> String {
        let key = self.setup.keymap.keys_for(Context::of(self.tab), Command::to(tab));
        let key = key.first().map_or_else(String::new, |key| format!("{key} "));
        let [full, short, shortest] = tab.titles();
        match (brevity, self.tabs.get(tab).caption()) {
            (0, Some(caption)) => format!(" {key}{full} {caption} "),
            (0, None) => format!(" {key}{full} "),
            (1, _) => format!(" {key}{full}"),
            (2, _) => format!(" {key}{short}"),
            _ => format!(" {key}{shortest}"),
        }
    }
}
