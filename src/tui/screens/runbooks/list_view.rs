//! Draws the list of runbooks, and what is to be known of the one under the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::card::Card;
use super::view::{fact, is_roomy, key, list_rows, put};
use super::{Cx, Runbooks};
use crate::tui::command::{Command, Context};
use crate::tui::theme::Role;
use crate::tui::widgets::table::Column;

const TITLE: usize = 40;

impl Runbooks {
    pub(super) fn draw_list(&self, area: Rect, buffer: &mut Buffer, cx: &Cx<'_>) {
        let look = cx.look;
        let width = usize::from(area.width);
        let title = TITLE.min(width.saturating_sub(4) / 2);
        let keys = width.saturating_sub(title + 4);
        let columns = [
            Column::new("RUNBOOK", title, |card: &Card| card.title().to_owned()).chief(),
            Column::new("KEY", keys, |card: &Card| (Role::Muted, card.key().to_owned())),
        ];
        let rows = self.cards.count().min(list_rows(cx.area));
        let height = u16::try_from(rows + 1).unwrap_or(u16::MAX).min(area.height);
        let list = Rect { x: area.x + 1, width: area.width.saturating_sub(1), height, ..area };
        self.cards.draw(&columns, list, buffer, look, false);
        let used = (height + u16::from(is_roomy(cx.area))).min(area.height);
        let area = Rect { y: area.y + used, height: area.height - used, ..area };
        let Some(card) = self.cards.selected() else { return };
        let mut lines = fact(look, "changes", Role::Text, card.changes(), area);
        lines.extend(fact(look, "undo", Role::Text, card.undo(), area));
        let mut label = "needs";
        let mut needs = card.needs(cx.held);
        needs.sort_by_key(|(_, held)| *held);
        for (capability, held) in needs {
            let (role, text) = if held {
                (Role::Text, format!("{capability} (yours)"))
            } else {
                let mark = look.glyph("✗", "x");
                (Role::Failed, format!("{capability} ({mark} not yours: ask an administrator)"))
            };
            lines.extend(fact(look, label, role, &text, area));
            label = "";
        }
        lines.extend(fact(look, "aimed at", Role::Text, &card.aims(), area));
        if let Some(id) = self.last {
            let tab = key(cx, Context::Runbooks, Command::TabRun);
            let said = format!("run {id} is the last one started here; {tab} shows it");
            lines.extend(fact(look, "started", Role::Accent, &said, area));
        }
        put(lines, area, buffer);
    }
}
