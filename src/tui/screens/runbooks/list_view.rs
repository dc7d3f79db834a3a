//! Draws the list of runbooks, and what is to be known of the one under the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::super::theme::Role;
use super::view::{fact, is_roomy, key, put};
use super::{Cx, Runbooks};
use crate::tui::command::{Command, Context};

/// Cells of a runbook's title.
const TITLE: usize = 40;

impl Runbooks {
    pub(super) fn draw_list(&self, area: Rect, buffer: &mut Buffer, cx: &Cx<'_>) {
        let look = cx.look;
        let width = usize::from(area.width);
        let title = TITLE.min(width.saturating_sub(4) / 2);
        let keys = width.saturating_sub(title + 4);
        let head = format!("   {:<title$} {}", "RUNBOOK", "KEY");
        let area = put(vec![Line::from(look.span(Role::Header, head))], area, buffer);
        let room = usize::from(area.height / 2).max(1);
        let top = (self.at + 1).saturating_sub(room);
        let mut lines = Vec::new();
        for (i, card) in self.cards.iter().enumerate().skip(top).take(room) {
            let here = i == self.at;
            let marker = if here { look.glyph(" ▸ ", " > ") } else { "   " };
            let role = if here { Role::Selected } else { Role::Text };
            lines.push(Line::from(vec![
                look.span(role, marker),
                look.span(role, look.cell(card.title, title)),
                look.span(Role::Muted, format!(" {}", look.cut(card.key, keys))),
            ]));
        }
        if is_roomy(cx.area) {
            lines.push(Line::default());
        }
        let area = put(lines, area, buffer);
        let Some(card) = self.cards.get(self.at) else {
            return;
        };
        let mut lines = fact(look, "changes", Role::Text, card.changes, area);
        lines.extend(fact(look, "undo", Role::Text, card.undo, area));
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
