//! What commands, keys and answers do to the wizard.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use super::scope::{Page, Way};
use super::{Cx, Draft, Reply, Runbooks, Step, refusal, say, view};
use crate::domain::count::count;
use crate::ops::AnyOutput;
use crate::ops::runbooks::StartRunbook;
use crate::ops::runs::Started;
use crate::tui::command::{Command, Context};
use crate::tui::export::ExportPlan;
use crate::tui::msg::Answer;
use crate::tui::screen::{Go, Hint, NO_FIELD, Screen, Target, UNTYPED};
use crate::tui::slot::Slot;
use crate::tui::tabs::HOME;
use crate::tui::widgets::form::Pasted;
use crate::{ErrorKind, Result};

const LEAVE: &str = "What was entered for the runbook would be lost. y leaves the console, any \
                     other key stays.";
const NOTHING_NEW: &str = "nothing new was started";
const PICK: &str = "nothing can be pasted here: choose one";

impl Screen for Runbooks {
    fn context(&self, cx: &Cx<'_>) -> Context {
        self.context_at(cx.look.now)
    }

    fn open(&mut self, _: &Cx<'_>) -> Reply {
        match &self.draft {
            Some(draft) if draft.step == Step::Scope => Reply::of(draft.scope.ask()),
            _ => Reply::default(),
        }
    }

    fn reads(&self, _: &Cx<'_>) -> Option<Slot> {
        let draft = self.draft.as_ref()?;
        let chooses = draft.scope.page == Page::Choose;
        match draft.step {
            Step::Scope => chooses.then_some(Slot::SCOPE_CHOICES),
            Step::Preflight if draft.plan.plan().is_some() => Some(Slot::PLAN_TARGETS),
            Step::Preflight => Some(Slot::PREFLIGHT),
            _ => None,
        }
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
        if let AnyOutput::StartRunbook(asked, done) = answer {
            return Some(self.started(asked, done, cx));
        }
        let draft = self.draft.as_mut()?;
        match answer {
            AnyOutput::ListScopeTenants(asked, found) => {
                draft.scope.take_tenants(asked, found.clone());
            }
            AnyOutput::ListScopeWorkspaces(asked, found) => {
                draft.scope.take_workspaces(asked, found.clone());
            }
            AnyOutput::Preflight(asked, plan) => {
                return Some(Reply::of(draft.plan.take(asked, plan.clone())));
            }
            AnyOutput::ListPlanTargets(asked, found) => {
                draft.plan.take_targets(asked, found.clone());
            }
            _ => return None,
        }
        Some(Reply::default())
    }

    fn outcome(&mut self, _: Slot, answer: &Answer, cx: &Cx<'_>) -> Reply {
        match (answer, &mut self.draft) {
            (Answer::Counted(counted), Some(draft)) => draft.plan.take_progress(*counted),
            (Answer::PlanExported(asked, written), _) => {
                return self.exported(asked, written, cx);
            }
            _ => {}
        }
        Reply::default()
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let context = self.context(cx);
        let moves = matches!(command, Command::AppBack | Command::FilterEdit);
        let own = context == Context::Filter || (context != Context::Runbooks && moves);
        if !own && (moves || command.is_everywhere()) {
            return Reply::up(command);
        }
        if refusal(cx).is_some() {
            return if moves { Reply::default().go(Go::Tab(HOME)) } else { Reply::default() };
        }
        self.step_command(command, cx)
    }

    fn key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        // The field of the phrase is gone, but the hand may still be typing it.
        let refused = self.context(cx) == Context::Refused;
        let Some(draft) = self.draft.as_mut().filter(|_| !refused) else { return Reply::default() };
        if draft.is_typing() {
            return draft.change(|search| search.key(event));
        }
        match draft.step {
            Step::Scope => draft.scope.refusal = None,
            Step::Confirm => draft.confirm.type_key(event),
            _ => {}
        }
        if let Some(form) = draft.form() {
            form.key(event);
        }
        Reply::default()
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        let context = self.context(cx);
        let phrase = matches!(context, Context::Phrase | Context::Refused);
        let Some(draft) = self.draft.as_mut().filter(|_| context.is_text() && !phrase) else {
            return say(cx, if phrase { UNTYPED } else { NO_FIELD });
        };
        if draft.is_typing() {
            let mut whole = true;
            let reply = draft.change(|search| whole = search.paste(text));
            return reply.pasted(if whole { Pasted::Whole } else { Pasted::Cut }, PICK, cx);
        }
        let pasted = draft.form().map_or(Pasted::Whole, |form| form.paste(text));
        Reply::default().pasted(pasted, PICK, cx)
    }

    fn click(&mut self, _: u16, row: u16, cx: &Cx<'_>) -> Reply {
        if refusal(cx).is_some() {
            return Reply::default();
        }
        let Some(draft) = &mut self.draft else {
            let top = view::head_rows(cx.area);
            let line = usize::from(row).checked_sub(usize::from(top) + 1);
            let clicked = line.and_then(|line| self.cards.click(line, view::list_rows(cx.area)));
            if clicked == Some(true) {
                return self.choose(Command::RowOpen, cx);
            }
            return Reply::default();
        };
        let (first, height) = draft.rows(cx);
        let Some(line) = row.checked_sub(first).map(usize::from) else { return Reply::default() };
        match draft.step {
            Step::Scope if draft.scope.page == Page::Choose && draft.scope.way != Way::All => {
                _ = draft.scope.list_mut().table.click(line, height);
            }
            Step::Preflight => _ = draft.plan.targets.table.click(line, height),
            _ => {}
        }
        Reply::default()
    }

    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        self.draw(buffer, cx)
    }

    fn hints(&self, cx: &Cx<'_>) -> Vec<Hint> {
        if refusal(cx).is_some() {
            return Vec::new();
        }
        self.offers(cx.look.now)
    }

    fn unsaved(&self) -> Option<&'static str> {
        self.draft.as_ref().is_some_and(Draft::has_work).then_some(LEAVE)
    }

    fn discard(&mut self, _: &Cx<'_>) -> Reply {
        let counting = self.draft.as_mut().filter(|draft| draft.plan.is_counting());
        let effects = counting.map_or_else(Vec::new, |draft| draft.plan.cancel());
        self.draft = None;
        Reply::of(effects)
    }
}

impl Runbooks {
    fn step_command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let Some(draft) = &mut self.draft else { return self.choose(command, cx) };
        match (draft.step, command) {
            _ if draft.is_typing() => draft.list_command(command, cx),
            (_, Command::AppBack) => draft.back(cx),
            (Step::Runbook | Step::Scope, _) => {
                if let Some(reply) = draft.scope_command(command, cx) {
                    return reply;
                }
                if let Err(error) = draft.card.check_inputs(&draft.scope.given()) {
                    // The first one that is wrong without those below it.
                    let checked = |n| draft.card.check_inputs(&draft.scope.first_given(n));
                    let fields = 0..draft.card.inputs().len();
                    let wrong = fields.into_iter().find(|n| checked(n + 1).is_err());
                    draft.refuse_input(wrong.unwrap_or(0), &error);
                    return Reply::default();
                }
                draft.count(cx, false)
            }
            (Step::Preflight, _) => draft.plan_command(command, cx),
            (Step::Rollout | Step::Reason, _) => draft.form_command(command, cx),
            (Step::Confirm, _) => draft.confirm_command(command, cx),
        }
    }

    fn choose(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match command {
            Command::AppBack => return Reply::up(command),
            Command::RowOpen | Command::WizardNext => {
                let Some(card) = self.cards.selected().cloned() else { return Reply::default() };
                let needed = card.capability();
                if !cx.held.has(needed) {
                    let why = format!("this needs the capability {needed}");
                    return say(cx, format!("{why}; ask an administrator for it"));
                }
                let (draft, missing) = (Draft::of(card.clone()), card.missing(cx.held));
                let reply = Reply::of(draft.scope.ask());
                self.draft = Some(draft);
                let Some(missing) = missing else { return reply };
                let only = format!("you may look; to start it you need the capability {missing}");
                return reply.say(only, cx);
            }
            _ => _ = self.cards.command(command, view::list_rows(cx.area)),
        }
        Reply::default()
    }

    fn exported(&mut self, asked: &ExportPlan, written: &Result<usize>, cx: &Cx<'_>) -> Reply {
        let Some(draft) = &mut self.draft else { return Reply::default() };
        draft.plan.exporting = false;
        let id = asked.plan_id;
        let ours = draft.plan.plan().is_some_and(|plan| plan.id == id);
        let text = match written {
            Ok(rows) => {
                let file = crate::paths::shown(&asked.file);
                // The page has room for a long path.
                draft.plan.exported = ours.then(|| file.clone());
                format!("{} of plan {id} written to {file}", count(*rows, "target"))
            }
            Err(error) => format!("plan {id} was not exported: {error}"),
        };
        say(cx, text)
    }

    fn started(&mut self, asked: &StartRunbook, done: &Result<Started>, cx: &Cx<'_>) -> Reply {
        let request_id = asked.request_id.as_ref();
        let ours = |draft: &&mut Draft| Some(&draft.confirm.request_id) == request_id;
        match done {
            Ok(started) => {
                if self.draft.as_mut().is_some_and(|draft| ours(&draft)) {
                    self.draft = None;
                }
                let id = started.run_id;
                self.last = Some(id);
                let text = if started.created {
                    format!("queued as run {id}, enter to view")
                } else {
                    format!("{NOTHING_NEW}: run {id} does the same already, enter to view")
                };
                // The notice goes; the run stays where runs are looked at.
                Reply::default().lead(text, Some(id), cx).go(Go::Ready(Target::Run(id)))
            }
            Err(error) => match self.draft.as_mut().filter(ours) {
                Some(draft) => {
                    if error.kind() == ErrorKind::NoWorker {
                        draft.plan.lose_workers();
                        draft.confirm.wait_for_worker = false;
                    }
                    if matches!(error.kind(), ErrorKind::Refused | ErrorKind::NotFound) {
                        draft.plan.dead = Some(error.message().to_owned());
                    }
                    draft.confirm.sending = false;
                    draft.confirm.error = Some(error.clone());
                    Reply::default()
                }
                None => say(cx, format!("{} was not started: {error}", asked.key)),
            },
        }
    }
}
