//! What commands, keys and answers do to the wizard.

use crossterm::event::KeyEvent;
use serde_json::Value;

use super::super::super::command::{Command, Context};
use super::super::super::export::ExportPlan;
use super::super::super::widgets::form::Pasted;
use super::scope::{Keys, Page};
use super::{Cx, Draft, Reply, Runbooks, Step, say, view};
use crate::ops::AnyOutput;
use crate::ops::runbooks::StartRunbook;
use crate::ops::runs::Started;
use crate::tui::screen::{Go, Target};
use crate::{ErrorKind, Result};

/// What is said where something is to be chosen.
const PICK: &str = "nothing can be pasted here: choose one";

impl Cx<'_> {
    /// The keys that sentences of the scope name.
    pub(super) fn keys(&self) -> Keys {
        let key = |command| {
            let keys = self.keymap.keys_for(Context::Scope, command);
            keys.into_iter().next().unwrap_or_else(|| format!(":{command}"))
        };
        Keys { mark: key(Command::ScopeMark), clear: key(Command::FilterClear) }
    }
}

impl Runbooks {
    /// Does a command of the step.
    pub(super) fn step_command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let registry = &self.registry;
        let Some(draft) = &mut self.draft else {
            return self.choose(command, cx);
        };
        match (draft.step, command) {
            _ if draft.is_typing() => draft.search(command, cx),
            (_, Command::AppBack) => draft.back(cx),
            (Step::Runbook | Step::Scope, _) => {
                let Some(error) = draft.scope_command(command, cx) else {
                    let check = |inputs: &Value| registry.get(draft.card.key)?.check_inputs(inputs);
                    return match check(&draft.scope.given()) {
                        Ok(()) => draft.count(cx, false),
                        Err(error) => {
                            // The first one that is wrong without those below it.
                            let mut fields = 0..draft.card.inputs.len();
                            let wrong =
                                fields.find(|n| check(&draft.scope.first_given(n + 1)).is_err());
                            draft.refuse_input(wrong.unwrap_or(0), &error);
                            Reply::default()
                        }
                    };
                };
                error
            }
            (Step::Preflight, _) => draft.plan_command(command, cx),
            (Step::Rollout | Step::Reason, _) => draft.form_command(command, cx),
            (Step::Confirm, _) => draft.confirm_command(command, cx),
        }
    }

    /// The first step.
    fn choose(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match command {
            Command::AppBack => return Reply::up(command),
            Command::RowOpen | Command::WizardNext => {
                let Some(card) = self.cards.selected().copied() else {
                    return Reply::default();
                };
                if !cx.held.has(card.capability) {
                    return say(
                        cx,
                        format!(
                            "this needs the capability {}; ask an administrator for it",
                            card.capability
                        ),
                    );
                }
                let draft = Draft::of(card);
                let effects = draft.scope.ask();
                self.draft = Some(draft);
                let reply = Reply::of(effects);
                return match card.missing(cx.held) {
                    Some(missing) => reply.say(
                        format!("you may look; to start it you need the capability {missing}"),
                        cx,
                    ),
                    None => reply,
                };
            }
            _ => _ = self.cards.command(command, view::list_rows(cx.area)),
        }
        Reply::default()
    }

    /// Puts the cursor on the row that was clicked.
    pub(super) fn click_row(&mut self, row: u16, cx: &Cx<'_>) -> Reply {
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
        let Some(line) = row.checked_sub(first).map(usize::from) else {
            return Reply::default();
        };
        match draft.step {
            Step::Scope if draft.scope.page == Page::Choose => draft.scope.click(line, height),
            Step::Preflight => {
                draft.plan.targets.table.click(line, height);
            }
            _ => {}
        }
        Reply::default()
    }

    /// Types a key into the field that has the keys.
    pub(super) fn type_key(&mut self, event: &KeyEvent) -> Reply {
        let Some(draft) = &mut self.draft else {
            return Reply::default();
        };
        if draft.is_typing() {
            return draft.change(|search| search.key(event));
        }
        match draft.step {
            Step::Scope => draft.scope.type_key(event),
            Step::Rollout => drop(draft.rollout.key(event)),
            Step::Reason => drop(draft.reason.key(event)),
            Step::Confirm => draft.confirm.type_key(event),
            Step::Runbook | Step::Preflight => {}
        }
        Reply::default()
    }

    /// Pastes text into the field that has the keys.
    pub(super) fn paste_in_step(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        let Some(draft) = &mut self.draft else {
            return Reply::default();
        };
        if draft.is_typing() {
            let mut whole = true;
            let reply = draft.change(|search| whole = search.paste(text));
            return reply.pasted(if whole { Pasted::Whole } else { Pasted::Cut }, PICK, cx);
        }
        let form = match draft.step {
            Step::Scope => draft.scope.inputs.as_mut(),
            Step::Rollout => Some(&mut draft.rollout),
            Step::Reason => Some(&mut draft.reason),
            Step::Runbook | Step::Preflight | Step::Confirm => None,
        };
        let pasted = form.map_or(Pasted::Whole, |form| form.paste(text));
        Reply::default().pasted(pasted, PICK, cx)
    }

    /// Takes an answer; none where it is not one to what this asked.
    pub(super) fn take(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> Option<Reply> {
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

    /// Takes what came of writing a plan into a file.
    pub(super) fn exported(
        &mut self,
        asked: &ExportPlan,
        written: &Result<usize>,
        cx: &Cx<'_>,
    ) -> Reply {
        let Some(draft) = &mut self.draft else {
            return Reply::default();
        };
        draft.plan.exporting = false;
        let id = asked.plan_id;
        let ours = draft.plan.plan().is_some_and(|plan| plan.id == id);
        let text = match written {
            Ok(rows) => {
                let file = crate::paths::shown(&asked.file);
                // The page has room for a long path.
                draft.plan.exported = ours.then(|| file.clone());
                let s = if *rows == 1 { "" } else { "s" };
                format!("{rows} target{s} of plan {id} written to {file}")
            }
            Err(error) => format!("plan {id} was not exported: {error}"),
        };
        say(cx, text)
    }

    /// Takes what came of a start.
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
                    format!(
                        "nothing new was started: run {id} does the same already, enter to view"
                    )
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
                    draft.confirm.failed(error.clone());
                    Reply::default()
                }
                None => say(cx, format!("{} was not started: {error}", asked.key)),
            },
        }
    }
}
