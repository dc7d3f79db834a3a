//! What can be done on the preview of a request: what is wrong is gone to, mended in the form, masked
//! or left out.

use super::preview::{Mark, Spot, counted};
use super::{Composition, Field, Source, Step};
use crate::domain::sanitize::Rule;
use crate::domain::support::Prepared;
use crate::tui::command::Command;
use crate::tui::screen::{Cx, Nav, Reply, Screen};
use crate::tui::widgets::text_field::TextField;

/// The longest passage that can be typed to be masked.
const PASSAGE: usize = 1_000;

impl Composition {
    pub(super) fn show_preview(&mut self, cx: &Cx<'_>) {
        self.step = Step::Preview;
        self.judged = true;
        (self.prompt, self.settled) = (None, false);
        self.work_out();
        self.page.restart();
        // What stands in the way comes first, after its heading.
        if !self.prepared().is_none_or(Prepared::is_ready) {
            self.go_to_issue(true, cx);
        }
    }

    pub(super) fn look(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        let said = Reply::default();
        match command {
            _ if self.page.is_typing() => {}
            Command::AppBack if self.sending => {
                return said.say("it is being sent; what comes of it is shown here", cx);
            }
            Command::AppBack => {
                self.go_to_field(None);
                return said;
            }
            Command::MatchNext | Command::MatchPrevious if !self.page.is_searched() => {
                if !self.go_to_issue(command == Command::MatchNext, cx) {
                    return said.say("nothing stands in the way of sending it", cx);
                }
                return said;
            }
            Command::PollNow if self.sending => return said,
            Command::PollNow => {
                if !matches!(self.source, Source::Open(_)) {
                    self.source = Source::Opening;
                }
                return self.open();
            }
            Command::ComposeDiscard => return self.discard(cx),
            // What is on its way is not changed any more.
            _ if self.sending => {}
            Command::ComposeUnmask => return self.unmask(cx),
            Command::RowOpen | Command::ComposeWithhold | Command::ComposeMask => {
                if let Some(reply) = self.change(command, cx) {
                    return reply;
                }
            }
            _ => {}
        }
        let mut reply = self.page.command(command, &self.page_cx(cx));
        reply.nav.retain(|nav| !matches!(nav, Nav::Up(_)));
        reply
    }

    /// Back to the form, at a field and at a line of it, from 1.
    fn go_to_field(&mut self, place: Option<(Field, Option<usize>)>) {
        self.step = Step::Write;
        self.page.restart();
        if let Some((field, line)) = place {
            self.form.go(field, line);
        }
    }

    /// What can be done to the text under the cursor; none where the document does it.
    fn change(&mut self, command: Command, cx: &Cx<'_>) -> Option<Reply> {
        let page = self.page_cx(cx);
        let here = self.page.number_here(&page);
        let mark = self.page.of.marks(&page).into_iter().find(|mark| Some(mark.text) == here);
        let Mark { spot, suspect, listed, .. } =
            mark.unwrap_or(Mark { text: 0, spot: None, suspect: None, listed: false });
        match (command, spot) {
            (Command::RowOpen, Some(Spot::Field(field, line))) => {
                self.go_to_field(Some((field, line)));
            }
            (Command::RowOpen, Some(Spot::Item(path))) => self.go_to_item(&path, cx),
            (Command::ComposeWithhold, Some(Spot::Item(path))) => {
                let reply = self.edit(|form| {
                    if !form.withhold.remove(&path) {
                        form.withhold.insert(path.clone());
                    }
                });
                self.work_out();
                if !listed {
                    self.go_to_item(&path, cx);
                }
                return Some(reply);
            }
            (Command::ComposeWithhold, _) => {
                let why = "only an item of the diagnostics can be left out; move to one";
                return Some(Reply::default().say(why, cx));
            }
            (Command::ComposeMask, _) => match suspect {
                Some(passage) => return Some(self.mask(&passage, cx)),
                None => self.prompt = Some(TextField::new(PASSAGE)),
            },
            _ => return None,
        }
        Some(Reply::default())
    }

    /// Goes to the next text that stands in the way, or to the one before, round and round.
    pub(super) fn go_to_issue(&mut self, forward: bool, cx: &Cx<'_>) -> bool {
        let page = self.page_cx(cx);
        let here = self.page.number_here(&page).unwrap_or(0);
        let marks = self.page.of.marks(&page);
        let mut issues = marks.iter().filter(|mark| mark.is_issue()).map(|mark| mark.text);
        let found = if forward {
            issues.clone().find(|text| *text > here).or_else(|| issues.next())
        } else {
            issues.clone().rfind(|text| *text < here).or_else(|| issues.next_back())
        };
        if let Some(text) = found {
            self.page.go_to_number(text, &page);
        }
        found.is_some()
    }

    /// Goes to an item, to what looks like a secret in it first of all.
    fn go_to_item(&mut self, path: &str, cx: &Cx<'_>) {
        let page = self.page_cx(cx);
        let item = Some(Spot::Item(path.to_owned()));
        let mut marks = self.page.of.marks(&page);
        marks.retain(|mark| mark.spot == item && !mark.listed);
        let suspect = marks.iter().find(|mark| mark.suspect.is_some());
        if let Some(mark) = suspect.or(marks.first()) {
            self.page.go_to_number(mark.text, &page);
        }
    }

    pub(super) fn answer_prompt(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match (command, &mut self.prompt) {
            (Command::AppBack, _) => self.prompt = None,
            (Command::FilterClear, Some(prompt)) => prompt.clear(),
            (Command::FormSubmit, Some(prompt)) => {
                let passage = prompt.take();
                self.prompt = None;
                return self.mask(&passage, cx);
            }
            _ => {}
        }
        Reply::default()
    }

    fn mask(&mut self, passage: &str, cx: &Cx<'_>) -> Reply {
        let passage = passage.trim();
        if passage.chars().count() < 2 {
            let why = "a passage of two characters or more can be masked";
            return Reply::default().say(why, cx);
        }
        // How many places are masked by hand, and how many look like a secret.
        let counts = |composition: &Self| {
            composition.prepared().map_or((0, 0), |prepared| {
                let mut counts = prepared.withheld.counts();
                let own = counts.find(|(rule, _)| *rule == Rule::Operator);
                (own.map_or(0, |(_, count)| count), prepared.suspects.len())
            })
        };
        let (own, suspects) = counts(self);
        self.form.mask.push(passage.to_owned());
        self.work_out();
        let (now, left) = counts(self);
        let more = now.saturating_sub(own);
        if more == 0 && left >= suspects {
            self.form.mask.pop();
            self.work_out();
            let why = "this passage is nowhere in what would be stored";
            return Reply::default().say(why, cx);
        }
        self.changed().say(format!("masked in {}", counted(more, "place")), cx)
    }

    /// Takes back what was masked by hand last; what the rules mask stays masked.
    fn unmask(&mut self, cx: &Cx<'_>) -> Reply {
        if self.form.mask.pop().is_none() {
            let why = "nothing was masked by hand; what the rules mask stays masked";
            return Reply::default().say(why, cx);
        }
        self.work_out();
        self.changed().say("the last passage is not masked any more", cx)
    }
}
