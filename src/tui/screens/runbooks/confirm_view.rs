//! Draws the last page: what will be done, the command that does the same, and the phrase.
//!
//! The phrase and what is wrong stay in sight; the summary above scrolls where it has to.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use super::plan_view::{affects, plan_words};
use super::scope::{Candidate, Way};
use super::view::{below_head, fact, failed, is_roomy, key, name, put, put_below, text};
use super::{Cx, Draft, settings};
use crate::domain::capability::Capability;
use crate::ops::plans::Plan;
use crate::tui::command::{Command, Context};
use crate::tui::theme::Role;

const NAMED: usize = 6;
const NAME_MAX: usize = 40;
/// Lines of the summary that stay in sight.
const KEPT: u16 = 3;

/// How many of so many lines are shown in `room` rows: where not all are, one row says so.
fn shown_of(lines: usize, room: u16) -> usize {
    let room = usize::from(room);
    if lines <= room { lines } else { room.saturating_sub(1) }
}

impl Draft {
    fn summary(&self, area: Rect, cx: &Cx<'_>) -> Vec<Line<'static>> {
        let look = cx.look;
        let Some(plan) = self.plan.plan() else {
            return text(look, Role::Muted, "There is no plan.", area);
        };
        let mut lines = Vec::new();
        let mut say = |label: &str, role: Role, words: &str| {
            lines.extend(fact(look, label, role, words, area));
        };
        // What a person has to know stands where the smallest screen shows it.
        say("affects", Role::Accent, &affects(plan, self.card.items()));
        say("undo", Role::Text, self.card.undo());
        say("scope", Role::Accent, &self.scope_in_full(cx));
        if let Some(inputs) = plan.inputs.as_object().filter(|inputs| !inputs.is_empty()) {
            let inputs: Vec<String> =
                inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            say("inputs", Role::Text, &inputs.join(", "));
        }
        if let Ok(rollout) = settings::rollout(&self.rollout) {
            say("rollout", Role::Text, &rollout.words());
        }
        let rule = self.reason_rule(cx.under_glass);
        match settings::reason(&self.reason, rule) {
            Ok(Some(reason)) => {
                say("reason", Role::Text, &format!("{}: {}", reason.code, reason.text));
            }
            Ok(None) => say("reason", Role::Muted, "none given"),
            Err(_) => say("reason", Role::Failed, "missing: go back and give one"),
        }
        say("plan", Role::Text, &plan_words(plan, look));
        say("changes", Role::Text, self.card.changes());
        if let Some(command) = self.command_line(cx.under_glass) {
            let copy = key(cx, Context::Phrase, Command::CommandCopy);
            let hint = format!("the same without the console ({copy} copies it):");
            say("command", Role::Hint, &hint);
            say("", Role::Text, &command);
        }
        lines
    }

    fn scope_in_full(&self, cx: &Cx<'_>) -> String {
        let words = self.plan.plan().map_or_else(String::new, Plan::scope_words);
        let look = cx.look;
        match self.scope.way {
            _ if self.card.is_platforms() => words,
            Way::Tenants if self.scope.marks.len() <= NAMED => {
                if let [one] = self.scope.marks.values().collect::<Vec<_>>().as_slice() {
                    return format!("{words}, {}", name(look, &one.name, NAME_MAX));
                }
                let named = |tenant: &Candidate| {
                    format!("{} {}", tenant.id, name(look, &tenant.name, NAME_MAX))
                };
                let names: Vec<String> = self.scope.marks.values().map(named).collect();
                format!("{words}: {}", names.join(", "))
            }
            Way::Workspace => match &self.scope.workspace {
                Some(workspace) => format!("{words}: {}", name(look, &workspace.name, NAME_MAX)),
                None => words,
            },
            Way::Tenants | Way::All => words,
        }
    }

    /// The phrase to type or why it cannot be typed, with what is wrong; and the line of the
    /// field, if there is one.
    fn ask(&self, area: Rect, cx: &Cx<'_>) -> (Vec<Line<'static>>, Option<usize>) {
        let look = cx.look;
        let mut lines = Vec::new();
        if is_roomy(cx.area) {
            lines.push(Line::default());
        }
        let failed = |why: &str| failed(look, why, area);
        let Some(plan) = self.plan.plan() else { return (lines, None) };
        if self.confirm.sending {
            let say = format!("starting {} ...", self.card.key());
            lines.extend(text(look, Role::Running, &say, area));
            return (lines, None);
        }
        if self.is_refused(look.now) {
            match &self.confirm.error {
                Some(error) => lines.extend(failed(&error.to_string())),
                None => lines.extend(failed("this plan has expired; nothing was started")),
            }
            let renew = key(cx, Context::Refused, Command::PreflightNew);
            let hint = format!("{renew} makes a new preflight and keeps everything else.");
            lines.extend(text(look, Role::Hint, &hint, area));
            return (lines, None);
        }
        let needed = Capability::RunbooksRun;
        if !cx.held.has(needed) {
            let why = format!("starting it needs the capability {needed}");
            lines.extend(failed(&format!("{why}; ask an administrator for it")));
            return (lines, None);
        }
        if let Some(why) = self.plan.obstacle() {
            if !self.confirm.wait_for_worker {
                lines.extend(failed(&format!("refused: {why}")));
                if plan.support.lacks_worker() {
                    let wait = key(cx, Context::Phrase, Command::WaitForWorker);
                    let hint = format!("{wait} queues it all the same, to wait for one.");
                    lines.extend(text(look, Role::Hint, &hint, area));
                }
                return (lines, None);
            }
            lines.extend(text(look, Role::Warning, &format!("The run waits: {why}."), area));
        }
        let asks = plan.confirmation();
        let hint =
            format!("Type {} and press enter to start it. Pasting does not count.", asks.asks());
        lines.extend(text(look, Role::Text, &hint, area));
        let field = lines.len();
        lines.push(Line::default());
        match &self.confirm.error {
            Some(error) => lines.extend(failed(&error.to_string())),
            None if cx.lost => lines.extend(failed(
                "starting is disabled: the database does not answer; what was typed stays",
            )),
            None => {}
        }
        (lines, Some(field))
    }

    pub(super) fn summary_overflow(&self, cx: &Cx<'_>) -> usize {
        let area = below_head(cx.area);
        let lines = self.summary(area, cx).len();
        lines - shown_of(lines, self.summary_room(area, lines, cx))
    }

    /// Rows that the summary of so many lines has: what is asked stands right below it.
    fn summary_room(&self, area: Rect, lines: usize, cx: &Cx<'_>) -> u16 {
        let asked = u16::try_from(self.ask(area, cx).0.len()).unwrap_or(u16::MAX);
        let free = area.height.saturating_sub(asked).max(KEPT.min(area.height));
        free.min(u16::try_from(lines).unwrap_or(u16::MAX))
    }

    pub(super) fn draw_confirm(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        cx: &Cx<'_>,
    ) -> Option<Position> {
        let look = cx.look;
        let lines = self.summary(area, cx);
        let room = self.summary_room(area, lines.len(), cx);
        let summary = Rect { height: room, ..area };
        let (all, shown) = (lines.len(), shown_of(lines.len(), room));
        let top = self.confirm.top.min(all - shown);
        put(lines.into_iter().skip(top).take(shown).collect(), summary, buffer);
        if shown < all {
            let (up, down) = (look.glyph("↑", "^"), look.glyph("↓", "v"));
            let text = format!(" {up} {top} above  {down} {} below", all - top - shown);
            put_below(vec![Line::from(look.span(Role::Hint, text))], summary, buffer);
        }
        let below = Rect { y: area.y + room, height: area.height - room, ..area };
        let (lines, field) = self.ask(area, cx);
        let shown = usize::from(below.height);
        // The field and what is wrong come first where not all of it fits.
        let skip = lines.len().saturating_sub(shown);
        let at = field.and_then(|field| field.checked_sub(skip));
        put(lines.into_iter().skip(skip).collect(), below, buffer);
        let y = below.y + u16::try_from(at?).ok()?;
        let phrase = self.plan.plan()?.phrase.chars().count();
        let width = u16::try_from(phrase + 12).unwrap_or(40).min(area.width.saturating_sub(2));
        let field = Rect { x: area.x + 1, y, width, height: 1 };
        let role = if self.confirm.error.is_some() { Role::InputError } else { Role::Input };
        Some(self.confirm.field.draw(field, buffer, look.style(role), None))
    }
}
