//! What commands, keys and answers do to the wizard.

use crossterm::event::KeyEvent;
use serde_json::Value;

use super::super::super::command::{Command, Context};
use super::super::super::export::ExportPlan;
use super::super::super::widgets::form::Pasted;
use super::scope::{Keys, Page};
use super::{Around, Draft, Outcome, Runbooks, Step, view};
use crate::ops::AnyOutput;
use crate::ops::plans::Counted;
use crate::ops::runbooks::StartRunbook;
use crate::ops::runs::Started;
use crate::{ErrorKind, Result};

impl Around<'_> {
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
    /// Does a command.
    pub fn command(&mut self, command: Command, around: &Around<'_>) -> Outcome {
        let registry = &self.registry;
        let Some(draft) = &mut self.draft else {
            return self.choose(command, around);
        };
        match (draft.step, command) {
            (Step::Scope, _) if draft.scope.editor.is_some() => draft.search(command, around),
            (Step::Preflight, _) if draft.plan.editor.is_some() => draft.search(command, around),
            (_, Command::AppBack) => draft.back(),
            (Step::Runbook | Step::Scope, _) => {
                let Some(error) = draft.scope_command(command, around) else {
                    let check = |inputs: &Value| registry.get(draft.card.key)?.check_inputs(inputs);
                    return match check(&draft.scope.given()) {
                        Ok(()) => draft.count(around, false),
                        Err(error) => {
                            // The first one that is wrong without those below it.
                            let mut fields = 0..draft.card.inputs.len();
                            let wrong =
                                fields.find(|n| check(&draft.scope.first_given(n + 1)).is_err());
                            draft.refuse_input(wrong.unwrap_or(0), &error);
                            Outcome::default()
                        }
                    };
                };
                error
            }
            (Step::Preflight, _) => draft.plan_command(command, around),
            (Step::Rollout | Step::Reason, _) => draft.form_command(command, around),
            (Step::Confirm, _) => draft.confirm_command(command, around),
        }
    }

    /// The first step.
    fn choose(&mut self, command: Command, around: &Around<'_>) -> Outcome {
        let last = self.cards.len().saturating_sub(1);
        match command {
            Command::AppBack => return Outcome { leave: true, ..Outcome::default() },
            Command::CursorUp => self.at = self.at.saturating_sub(1),
            Command::CursorDown => self.at = (self.at + 1).min(last),
            Command::CursorPageUp | Command::CursorFirst => self.at = 0,
            Command::CursorPageDown | Command::CursorLast => self.at = last,
            Command::RowOpen | Command::WizardNext => {
                let Some(card) = self.cards.get(self.at).copied() else {
                    return Outcome::default();
                };
                if !around.held.has(card.capability) {
                    return Outcome::say(format!(
                        "this needs the capability {}; ask an administrator for it",
                        card.capability
                    ));
                }
                let draft = Draft::of(card);
                let effects = draft.scope.ask();
                self.draft = Some(draft);
                let missing = card.missing(&around.held);
                let say = missing.map(|missing| {
                    format!("you may look; to start it you need the capability {missing}")
                });
                return Outcome { effects, say, ..Outcome::default() };
            }
            _ => {}
        }
        Outcome::default()
    }

    /// Puts the cursor on the row that was clicked.
    pub fn click(&mut self, row: u16, around: &Around<'_>) -> Outcome {
        let Some(draft) = &mut self.draft else {
            let top = view::head_rows(around.area);
            let line = usize::from(row).checked_sub(usize::from(top) + 1);
            let line = line.filter(|line| *line < self.cards.len());
            if let Some(line) = line {
                if self.at == line {
                    return self.choose(Command::RowOpen, around);
                }
                self.at = line;
            }
            return Outcome::default();
        };
        let (first, height) = draft.rows(around);
        let Some(line) = row.checked_sub(first).map(usize::from) else {
            return Outcome::default();
        };
        match draft.step {
            Step::Scope if draft.scope.page == Page::Choose => draft.scope.click(line, height),
            Step::Preflight => {
                draft.plan.targets.click(line, height);
            }
            _ => {}
        }
        Outcome::default()
    }

    /// Types a key into the field that has the keys.
    pub fn type_key(&mut self, event: &KeyEvent) -> Outcome {
        let Some(draft) = &mut self.draft else {
            return Outcome::default();
        };
        match draft.step {
            Step::Scope => match &mut draft.scope.editor {
                Some(editor) => {
                    let typed = editor.key(event);
                    let effects = typed.map(|text| draft.scope.search_for(&text));
                    return Outcome::effects(effects.unwrap_or_default());
                }
                None => draft.scope.type_key(event),
            },
            Step::Preflight => {
                if let Some(editor) = &mut draft.plan.editor {
                    let typed = editor.key(event);
                    let effects = typed.map(|text| draft.plan.search_for(&text));
                    return Outcome::effects(effects.unwrap_or_default());
                }
            }
            Step::Rollout => drop(draft.rollout.key(event)),
            Step::Reason => drop(draft.reason.key(event)),
            Step::Confirm => draft.confirm.type_key(event),
            Step::Runbook => {}
        }
        Outcome::default()
    }

    /// Pastes text into the field that has the keys.
    pub fn paste(&mut self, text: &str) -> Outcome {
        let Some(draft) = &mut self.draft else {
            return Outcome::default();
        };
        let form = match draft.step {
            Step::Scope if draft.scope.editor.is_some() => {
                let Some(editor) = &mut draft.scope.editor else {
                    return Outcome::default();
                };
                let whole = editor.field.paste(text);
                let text = editor.field.text().to_owned();
                let effects = draft.scope.search_for(&text);
                return Outcome { say: cut(whole), effects, ..Outcome::default() };
            }
            Step::Preflight => {
                let Some(editor) = &mut draft.plan.editor else {
                    return Outcome::default();
                };
                let whole = editor.field.paste(text);
                let text = editor.field.text().to_owned();
                let effects = draft.plan.search_for(&text);
                return Outcome { say: cut(whole), effects, ..Outcome::default() };
            }
            Step::Scope => draft.scope.inputs.as_mut(),
            Step::Rollout => Some(&mut draft.rollout),
            Step::Reason => Some(&mut draft.reason),
            Step::Runbook | Step::Confirm => None,
        };
        let say = match form.map(|form| form.paste(text)) {
            Some(Pasted::Cut) => cut(false),
            Some(Pasted::Refused) => Some("nothing can be pasted here: choose one".to_owned()),
            _ => None,
        };
        Outcome { say, ..Outcome::default() }
    }

    /// Takes an answer.
    pub fn take(&mut self, output: AnyOutput) -> Outcome {
        let output = match output {
            AnyOutput::StartRunbook(asked, done) => return self.started(&asked, done),
            output => output,
        };
        let Some(draft) = &mut self.draft else {
            return Outcome::default();
        };
        match output {
            AnyOutput::ListScopeTenants(asked, found) => draft.scope.take_tenants(&asked, found),
            AnyOutput::ListScopeWorkspaces(asked, found) => {
                draft.scope.take_workspaces(&asked, found);
            }
            AnyOutput::Preflight(asked, plan) => {
                return Outcome::effects(draft.plan.take(&asked, plan));
            }
            AnyOutput::ListPlanTargets(asked, found) => draft.plan.take_targets(&asked, found),
            _ => {}
        }
        Outcome::default()
    }

    /// Takes how far the preflight is.
    pub fn counted(&mut self, counted: Counted) {
        if let Some(draft) = &mut self.draft {
            draft.plan.take_progress(counted);
        }
    }

    /// Takes what came of writing a plan into a file.
    pub fn exported(&mut self, asked: &ExportPlan, written: Result<usize>) -> Outcome {
        let Some(draft) = &mut self.draft else {
            return Outcome::default();
        };
        draft.plan.exporting = false;
        let id = asked.plan_id;
        let ours = draft.plan.plan().is_some_and(|plan| plan.id == id);
        Outcome::say(match written {
            Ok(rows) => {
                let file = crate::paths::shown(&asked.file);
                // The page has room for a long path.
                draft.plan.exported = ours.then(|| file.clone());
                let s = if rows == 1 { "" } else { "s" };
                format!("{rows} target{s} of plan {id} written to {file}")
            }
            Err(error) => format!("plan {id} was not exported: {error}"),
        })
    }

    /// Takes what came of a start.
    fn started(&mut self, asked: &StartRunbook, done: Result<Started>) -> Outcome {
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
                Outcome { say: Some(text), view: Some(id), ..Outcome::default() }
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
                    draft.confirm.failed(error);
                    Outcome::default()
                }
                None => Outcome::say(format!("{} was not started: {error}", asked.key)),
            },
        }
    }
}

fn cut(whole: bool) -> Option<String> {
    (!whole).then(|| "the paste was longer than the field and was cut off".to_owned())
}
