//! The palette: every command by its name, with its key, and what can be gone to by name or ID.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use crate::domain::capability::Capability;
use crate::ops::AnyOutput;
use crate::ops::named::{FindNamed, Named};
use crate::ops::support::SupportTenant;
use crate::tui::command::{Command, Context};
use crate::tui::keymap::Keymap;
use crate::tui::screen::{Cx, Go, Hint, Reply, Screen};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::form::Pasted;
use crate::tui::widgets::go_to::GoTo;
use crate::tui::widgets::text_field::TextField;

impl Slot {
    pub const NAMED: Self = Self::new("named", "the names").anew();
}

/// What names quitting where it is typed in full, beside the command's name.
const QUIT: [&str; 2] = ["q", "quit"];
const LIMIT: usize = 60;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Offer {
    Command(Command),
    GoTo(GoTo),
}

#[derive(Debug)]
pub struct Palette {
    field: TextField,
    /// The row that enter does; none where nothing is selected yet.
    chosen: Option<usize>,
    /// Whether the selection was moved since something was typed.
    moved: bool,
    /// What a text names, as the database answered.
    named: Option<(String, Named)>,
    /// Every command that means something here, in the order they are offered.
    commands: Vec<Command>,
    context: Context,
}

impl Palette {
    /// A palette over `context`: what its own keys do comes first, what leaves it last.
    pub fn over(context: Context, keymap: &Keymap) -> Self {
        let own: Vec<Command> = keymap.bindings(context).map(|(_, command)| command).collect();
        let mut commands: Vec<Command> =
            Command::ALL.iter().copied().filter(|command| makes_sense(*command, context)).collect();
        commands.sort_by_key(|command| (leaves(*command), !own.contains(command)));
        let field = TextField::new(LIMIT);
        Self { field, chosen: None, moved: false, named: None, commands, context }
    }

    fn typed(&self) -> &str {
        self.field.text().trim()
    }

    /// Takes what a text names. The selected row stays the same one if the person moved to it.
    fn take(&mut self, text: String, named: Named) {
        let chosen = self.chosen().filter(|_| self.moved);
        self.named = Some((text, named));
        match chosen.and_then(|chosen| self.offers().iter().position(|offer| *offer == chosen)) {
            Some(row) => self.chosen = Some(row),
            None => self.select(),
        }
    }

    /// What fits the typed text: what it names, commands, tenants. Of runs and tenants only those
    /// that there are, once that is known.
    fn offers(&self) -> Vec<Offer> {
        let typed = self.typed();
        let named = self.named.as_ref().filter(|(text, _)| text == typed).map(|(_, named)| named);
        let words: Vec<String> = typed.split_whitespace().map(str::to_lowercase).collect();
        let quits = QUIT.contains(&typed).then_some(Command::AppQuit);
        let fits = |command: &Command| {
            let text = format!("{} {}", command.id(), command.description()).to_lowercase();
            Some(*command) != quits && words.iter().all(|word| text.contains(word))
        };
        let commands = self.commands.iter().copied().filter(fits).map(Offer::Command);
        let is_there = |target: &GoTo| match (target, named) {
            (GoTo::Run(id), Some(named)) => named.run == Some(*id),
            _ => true,
        };
        let (meant, others): (Vec<&SupportTenant>, Vec<_>) = named
            .iter()
            .flat_map(|named| &named.tenants)
            .partition(|tenant| is_meant(tenant, typed));
        let tenant = |tenant: &SupportTenant| GoTo::Tenant(Box::new(tenant.clone()));
        let places = GoTo::read(typed).into_iter().filter(is_there);
        let places = places.chain(meant.into_iter().map(tenant)).map(Offer::GoTo);
        let mut offers: Vec<Offer> = quits.into_iter().map(Offer::Command).chain(places).collect();
        offers.extend(commands);
        offers.extend(others.into_iter().map(tenant).map(Offer::GoTo));
        let are_there = named.is_none_or(|named| !named.tenants.is_empty());
        if !typed.is_empty() && are_there {
            offers.push(Offer::GoTo(GoTo::Tenants(typed.to_owned())));
        }
        offers
    }

    fn chosen(&self) -> Option<Offer> {
        self.offers().into_iter().nth(self.chosen?)
    }

    /// Selects the first row that fits what was typed; a command that leaves the console has to be
    /// moved to, or typed in full.
    fn select(&mut self) {
        let offers = self.offers();
        let fits = match offers.first() {
            Some(Offer::Command(command)) if leaves(*command) => command.id() == self.typed(),
            first => first.is_some(),
        };
        self.chosen = (fits && !self.typed().is_empty()).then_some(0);
        self.moved = false;
    }

    fn accept(&self, cx: &Cx<'_>) -> Reply {
        let Some(chosen) = self.chosen() else {
            let why = "nothing is selected; type a name or an ID, or move to a command";
            return Reply::default().say(why, cx);
        };
        Reply::close().go(match chosen {
            // Here, too, nothing that was entered is lost without a question.
            Offer::Command(Command::AppQuit) => Go::Command(Command::AppClose),
            Offer::Command(command) => Go::Command(command),
            Offer::GoTo(target) => Go::To(target),
        })
    }

    /// Changes it; asks what is typed there now.
    fn change(&mut self, cx: &Cx<'_>, change: impl FnOnce(&mut Self)) -> Reply {
        let before = self.typed().to_owned();
        change(self);
        let text = self.typed().to_owned();
        if cx.has(Capability::OpsView) && !text.is_empty() && text != before {
            Reply::ask(Slot::NAMED, FindNamed { text })
        } else {
            Reply::default()
        }
    }

    fn edit(&mut self, command: Command) {
        let last = self.offers().len().saturating_sub(1);
        match command {
            Command::CursorUp => {
                self.moved = true;
                self.chosen = Some(self.chosen.map_or(last, |row| row.saturating_sub(1)));
            }
            Command::CursorDown => {
                self.moved = true;
                self.chosen = Some(self.chosen.map_or(0, |row| (row + 1).min(last)));
            }
            Command::FilterClear => {
                self.field.clear();
                self.select();
            }
            Command::FilterComplete => {
                if let Some(offer) = self.chosen().or(self.offers().into_iter().next()) {
                    let name = match offer {
                        Offer::Command(command) => command.id().to_owned(),
                        Offer::GoTo(target) => target.typed(),
                    };
                    self.field.set(&name, name.len());
                    self.select();
                }
            }
            _ => {}
        }
    }
}

impl Screen for Palette {
    fn context(&self, _: &Cx<'_>) -> Context {
        Context::Palette
    }

    fn command(&mut self, command: Command, cx: &Cx<'_>) -> Reply {
        match command {
            Command::RowOpen => self.accept(cx),
            _ => self.change(cx, |palette| palette.edit(command)),
        }
    }

    fn key(&mut self, event: &KeyEvent, cx: &Cx<'_>) -> Reply {
        self.change(cx, |palette| {
            palette.field.key(event);
            palette.select();
        })
    }

    fn paste(&mut self, text: &str, cx: &Cx<'_>) -> Reply {
        let mut whole = true;
        let reply = self.change(cx, |palette| {
            whole = palette.field.paste(text);
            palette.select();
        });
        reply.pasted(if whole { Pasted::Whole } else { Pasted::Cut }, "", cx)
    }

    fn answer(&mut self, answer: &AnyOutput, _: &Cx<'_>) -> Option<Reply> {
        let AnyOutput::FindNamed(asked, Ok(named)) = answer else { return None };
        self.take(asked.text.clone(), named.clone());
        Some(Reply::default())
    }

    fn reads(&self, _: &Cx<'_>) -> Option<Slot> {
        (!self.typed().is_empty()).then_some(Slot::NAMED)
    }

    fn hints(&self, _: &Cx<'_>) -> Vec<Hint> {
        Hint::of(&[Command::RowOpen, Command::FilterClear, Command::AppBack])
    }

    /// Commands that the person has no capability for are grey.
    fn view(&self, cx: &Cx<'_>, buffer: &mut Buffer) -> Option<Position> {
        let Cx { look, keymap, area, .. } = *cx;
        Clear.render(area, buffer);
        Line::from(look.span(Role::Title, " command")).render(Rect { height: 1, ..area }, buffer);
        let field =
            Rect { x: area.x + 10, width: area.width.saturating_sub(12), height: 1, ..area };
        let cursor = self.field.draw(field, buffer, look.style(Role::Input), None);
        let offers = self.offers();
        if offers.is_empty() {
            let none = look.span(Role::Hint, "   no command, run or tenant matches");
            Line::from(none).render(Rect { y: area.y + 1, height: 1, ..area }, buffer);
        }
        let rows = usize::from(area.height.saturating_sub(2));
        let first = self.chosen.map_or(0, |row| (row + 1).saturating_sub(rows));
        for (i, offer) in offers.iter().enumerate().skip(first).take(rows) {
            let y = area.y + 1 + u16::try_from(i - first).unwrap_or(0);
            let (name, keys, description, capability) = match offer {
                Offer::Command(command) => (
                    command.id().to_owned(),
                    keymap.keys_for(self.context, *command).join(", "),
                    command.description().to_owned(),
                    command.capability(),
                ),
                Offer::GoTo(target) => {
                    (target.name(), String::new(), target.description(), target.capability())
                }
            };
            let allowed = capability.is_none_or(|capability| cx.has(capability));
            let chosen = Some(i) == self.chosen;
            let marker = if chosen { look.glyph("▸", ">") } else { " " };
            let role = match (chosen, allowed) {
                (_, false) => Role::Muted,
                (true, true) => Role::Selected,
                (false, true) => Role::Text,
            };
            let head = 18 + name.chars().count().max(22);
            let room = usize::from(area.width).saturating_sub(head + 1);
            let line = Line::from(vec![
                Span::raw(" "),
                look.span(role, format!("{marker} {name:<22}")),
                look.span(Role::Key, format!(" {:<14}", look.cut(&keys, 14))),
                look.span(Role::Hint, format!(" {}", look.cut(&description, room))),
            ]);
            line.render(Rect { y, height: 1, ..area }, buffer);
        }
        Some(cursor)
    }
}

/// Whether a text is a tenant's ID or its whole name.
fn is_meant(tenant: &SupportTenant, typed: &str) -> bool {
    let name = |text: &str| text.trim().to_lowercase();
    typed.parse() == Ok(tenant.id) || name(&tenant.name) == name(typed)
}

/// Whether a command leaves the console, for a shell or for the login.
fn leaves(command: Command) -> bool {
    matches!(command, Command::AppQuit | Command::AppSuspend | Command::AppLogout)
}

/// Whether a command means something in a context: those of text fields and dialogs do not.
fn makes_sense(command: Command, context: Context) -> bool {
    use Command as C;
    use Context::{Errors, Inbox, Operations, Overview, Run, Telemetry, Workers};
    let elsewhere: &[Context] = match command {
        C::FilterAccept | C::FilterComplete | C::FieldNext | C::FieldPrevious => return false,
        C::FormSubmit | C::AppPalette | C::AppClose => return false,
        C::WindowNext | C::WindowPrevious => {
            return matches!(context, Telemetry | Overview | Errors);
        }
        C::CursorLeft | C::CursorRight | C::OverviewErrors => return context == Overview,
        C::SampleOpen => return context == Errors,
        C::InboxMarkRead | C::InboxMarkAllRead | C::InboxUnreadOnly => {
            &[Operations, Run, Overview, Errors, Telemetry, Workers]
        }
        C::FoldToggle => &[Operations, Inbox, Overview, Telemetry, Workers],
        C::FoldAll | C::DetailSameFailures | C::RunPause | C::RunClose => {
            &[Operations, Inbox, Overview, Errors, Telemetry, Workers]
        }
        C::RunRetry => &[Inbox, Telemetry, Workers],
        C::RunCancel | C::FilterClear => &[Inbox, Overview, Errors, Telemetry, Workers],
        C::ListOlder => &[Run, Overview, Errors, Telemetry, Workers],
        C::MatchNext | C::MatchPrevious => &[Inbox, Overview, Errors, Telemetry],
        C::CopyId | C::RowOpen => &[Telemetry],
        _ => &[],
    };
    !elsewhere.contains(&context)
}
