//! Draws the console: one header, one tab line, one body, one footer.

use std::ops::Range;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::app::{App, MINIMUM, Overlay};
use super::banner;
use super::command::{Command, Context};
use super::look::{Look, span_of, wrapped};
use super::screens::Tab;
use super::theme::Role;
use super::widgets::dialog;
use crate::domain::safe_text::SafeText;
use crate::ops::platform::Platform;

/// Columns that the shortest words for the mode may take on the tab line.
const MODE_ROOM: usize = 10;

/// Draws everything.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    buffer.set_style(area, app.look.style(Role::Text));
    if app.too_small() {
        return draw_too_small(app, area, buffer);
    }
    draw_header(app, Rect { height: 1, ..area }, buffer);
    draw_tabs(app, Rect { y: 1, height: 1, ..area }, buffer);
    let body = app.body().intersection(area);
    if body.y > 2 {
        banner::draw(app, Rect { y: 2, height: 1, ..area }, buffer);
    }
    let mut cursor = draw_body(app, body, buffer);
    match app.overlays.last() {
        Some(Overlay::Help(help)) => {
            help.draw(body, buffer, &app.setup.keymap, &app.look);
            cursor = None;
        }
        Some(Overlay::Palette(palette)) => {
            let held = app.session.as_ref().map(|session| &session.capabilities);
            cursor = Some(palette.draw(body, buffer, &app.setup.keymap, &app.look, held));
        }
        Some(Overlay::Confirm(confirm)) => cursor = confirm.draw(body, buffer, &app.look),
        Some(Overlay::BreakGlass(dialog)) => cursor = dialog.draw(body, buffer, &app.look),
        Some(Overlay::Discard) => {
            draw_discard(body, buffer, &app.look);
            cursor = None;
        }
        None => {}
    }
    draw_footer(app, Rect { y: area.bottom() - 1, height: 1, ..area }, buffer);
    if let Some(position) = cursor {
        frame.set_cursor_position(position);
    }
}

fn draw_too_small(app: &App, area: Rect, buffer: &mut Buffer) {
    let quit = app.setup.keymap.keys_for(Context::Operations, Command::AppQuit);
    let text = format!(
        "{}x{} is too small: {}x{} is needed. {} quits.",
        area.width,
        area.height,
        MINIMUM.width,
        MINIMUM.height,
        quit.first().map_or("ctrl-c", String::as_str)
    );
    let columns = usize::from(area.width);
    let characters: Vec<char> = text.chars().collect();
    for (y, piece) in (area.y..area.bottom()).zip(characters.chunks(columns.max(1))) {
        let line: String = piece.iter().collect();
        Line::from(app.look.span(Role::Text, line)).render(Rect { y, height: 1, ..area }, buffer);
    }
}

fn draw_header(app: &App, area: Rect, buffer: &mut Buffer) {
    let look = &app.look;
    let mut left = vec![look.span(Role::Title, " TenantPilot")];
    if let Some(platform) = app.platform.value() {
        let role = Role::environment(&platform.environment_color);
        left.push(Span::raw("  "));
        left.push(look.span(role, format!(" {} ", look.cut(&platform.environment, 16))));
    }
    let left = Line::from(left);
    let mut right = Vec::new();
    if let Some(badge) = app.session.as_ref().and_then(|_| app.inbox.badge(look)) {
        right.push(look.span(Role::Accent, format!("{badge}   ")));
    }
    let (role, text) = link_text(app);
    right.push(look.span(role, text));
    right.push(Span::raw(" "));
    let mut right = Line::from(right);
    let room = usize::from(area.width).saturating_sub(left.width() + right.width());
    let who = who(app).into_iter().find(|who| Span::raw(who).width() <= room);
    if let Some(who) = who {
        right.spans.insert(0, look.span(Role::Text, who));
    }
    left.render(area, buffer);
    right.right_aligned().render(area, buffer);
}

/// Who is logged in, in the words that are tried one after another where room is short.
fn who(app: &App) -> Vec<String> {
    let Some(session) = &app.session else {
        return Vec::new();
    };
    let role =
        session.capabilities.role().map_or("custom", crate::domain::capability::Role::as_str);
    let name = app.look.cut(&session.username, 20);
    vec![format!("{name} {} {role}   ", app.look.glyph("·", "-")), format!("{name}   ")]
}

/// How things stand with the database, in words.
fn link_text(app: &App) -> (Role, String) {
    let look = &app.look;
    if app.link.trouble.is_some() {
        return (Role::Lost, format!("{} database lost, retrying", look.glyph("✗", "x")));
    }
    if app.link.answered.is_none() {
        return (Role::Muted, format!("{} connecting", look.glyph("○", "o")));
    }
    if app.paused {
        return (Role::Paused, format!("{} paused", look.glyph("◌", "=")));
    }
    match app.stale_for() {
        Some(age) => (Role::Stale, format!("{} {} old", look.glyph("○", "o"), whole_seconds(age))),
        None => (Role::Live, format!("{} live", look.glyph("●", "*"))),
    }
}

fn whole_seconds(age: chrono::Duration) -> String {
    let seconds = age.num_seconds();
    if seconds < 60 { format!("{seconds} s") } else { span_of(age) }
}

/// The tabs with the columns they take on the tab line.
pub fn tabs(app: &App) -> Vec<(Tab, Range<u16>)> {
    let mut column = 0;
    let mut places = Vec::new();
    for (tab, text) in tab_texts(app) {
        let width = u16::try_from(text.chars().count()).unwrap_or(0);
        places.push((tab, column..column + width));
        column += width;
    }
    places
}

/// What the tab line says of each tab; in fewer columns where the mode would have no room.
fn tab_texts(app: &App) -> Vec<(Tab, String)> {
    let texts = |narrow: bool| -> Vec<(Tab, String)> {
        Tab::ALL.iter().map(|tab| (*tab, tab_text(app, *tab, narrow))).collect()
    };
    let full = texts(false);
    let width: usize = full.iter().map(|(_, text)| text.chars().count()).sum();
    let room = usize::from(app.setup.size.width).saturating_sub(MODE_ROOM);
    if width <= room { full } else { texts(true) }
}

fn tab_text(app: &App, tab: Tab, narrow: bool) -> String {
    let key = app.setup.keymap.keys_for(app.tab.context(), tab.command());
    let key = key.first().map_or_else(String::new, |key| format!("{key} "));
    let id = match (tab, app.run.id()) {
        (Tab::Run, Some(id)) => format!(" {id}"),
        _ => String::new(),
    };
    if narrow {
        return format!(" {key}{}", tab.title());
    }
    format!(" {key}{}{id} ", tab.title())
}

fn draw_tabs(app: &App, area: Rect, buffer: &mut Buffer) {
    let look = &app.look;
    let mut spans = Vec::new();
    if app.session.is_some() {
        for (tab, text) in tab_texts(app) {
            let role = if tab == app.tab { Role::TabActive } else { Role::Tab };
            spans.push(look.span(role, text));
        }
    }
    Line::from(spans).render(area, buffer);
    let age = app.stale_for().filter(|_| app.link.trouble.is_some());
    let (role, text) = match (age, app.platform.value()) {
        (Some(age), _) => (Role::Stale, format!("what is shown is {} old ", whole_seconds(age))),
        (None, Some(platform)) => (Role::Muted, format!("{} ", platform.mode())),
        (None, None) => return,
    };
    let shown = app.session.is_some();
    let taken = tabs(app).last().filter(|_| shown).map_or(0, |(_, cells)| cells.end);
    let room = usize::from(area.width.saturating_sub(taken));
    let text = if text.chars().count() <= room { text } else { short_mode(app, room) };
    let line = Line::from(look.span(role, text)).right_aligned();
    line.render(area, buffer);
}

/// The mode where there is no room for its sentence.
fn short_mode(app: &App, room: usize) -> String {
    let mode = app.platform.value().map_or("", Platform::mode);
    let words = mode.split(':').next().filter(|words| words.len() < room);
    format!("{} ", words.or_else(|| mode.split(',').next()).unwrap_or(mode))
}

fn draw_body(app: &App, body: Rect, buffer: &mut Buffer) -> Option<Position> {
    let look = &app.look;
    if app.session.is_none() {
        let note = app.platform.value().and_then(|platform| platform.login_note.as_deref());
        let lost = app.link.trouble.as_ref();
        let lost = lost.filter(|_| app.platform.value().is_none() && !app.login.has_message());
        if let Some(error) = lost {
            let width = usize::from(body.width.saturating_sub(2));
            for (y, text) in (body.y..body.bottom()).zip(wrapped(&error.to_string(), width)) {
                let row = Rect { y, height: 1, ..body };
                Line::from(look.span(Role::Lost, format!(" {text}"))).render(row, buffer);
            }
        }
        return Some(app.login.draw(body, buffer, look, note));
    }
    match app.tab {
        Tab::Operations => app.operations.draw(body, buffer, look, app.greyed()),
        Tab::Run => {
            app.run.draw(body, buffer, look, app.greyed());
            None
        }
        Tab::Inbox => {
            app.inbox.draw(body, buffer, look, app.greyed(), &app.setup.keymap);
            None
        }
        Tab::Workers => {
            app.workers.draw(body, buffer, look, app.greyed());
            None
        }
        Tab::Runbooks => app.runbooks.draw(buffer, &app.around_wizard()),
    }
}

/// The question before a draft is thrown away.
fn draw_discard(body: Rect, buffer: &mut Buffer, look: &Look) {
    let why = "What was chosen and typed for this runbook would be lost. y throws it away, any \
               other key keeps it.";
    let lines = wrapped(why, dialog::columns(body));
    let room = dialog::draw(body, lines.len(), " Throw it away? ", buffer, look);
    for (y, line) in (room.y..room.bottom()).zip(lines) {
        let line = Line::from(look.span(Role::Text, line));
        line.render(Rect { y, height: 1, ..room }, buffer);
    }
}

fn draw_footer(app: &App, area: Rect, buffer: &mut Buffer) {
    let look = &app.look;
    if let Some(toast) = &app.toast {
        let text = SafeText::new(&toast.text).truncated(usize::from(area.width.saturating_sub(2)));
        return Line::from(look.span(Role::Toast, format!(" {text} "))).render(area, buffer);
    }
    if !app.pending.is_empty() {
        let keys: Vec<String> = app.pending.iter().map(ToString::to_string).collect();
        let text = format!(" {} ... ", keys.join(" "));
        return Line::from(look.span(Role::Key, text)).render(area, buffer);
    }
    let shown = error_of_screen(app);
    if let Some(error) = shown {
        let text = look.cut(&error, usize::from(area.width.saturating_sub(2)));
        return Line::from(look.span(Role::Failed, format!(" {text}"))).render(area, buffer);
    }
    let context = app.context();
    let steps = if app.in_wizard() && !app.refuses_wizard() {
        app.runbooks.footer(look.now)
    } else {
        Vec::new()
    };
    let of_step: Vec<Command> = steps.iter().map(|(command, _)| *command).collect();
    let commands: &[Command] = match context {
        _ if app.in_wizard() => &of_step,
        Context::Discard => {
            let keys = vec![look.span(Role::Key, " y"), look.span(Role::Hint, " throw away ")];
            return Line::from(keys).render(area, buffer);
        }
        Context::Login => &[Command::FormSubmit, Command::FieldNext, Command::AppQuit],
        Context::Filter => &[
            Command::FilterAccept,
            Command::FilterComplete,
            Command::FilterClear,
            Command::AppBack,
        ],
        Context::Palette => &[Command::RowOpen, Command::FilterClear, Command::AppBack],
        Context::Help => &[Command::CursorPageDown, Command::AppBack, Command::AppQuit],
        Context::Confirm => &[Command::FormSubmit, Command::FilterClear, Command::AppBack],
        Context::Form => {
            &[Command::FormSubmit, Command::FieldNext, Command::AppBack, Command::FieldPrevious]
        }
        Context::Operations
        | Context::Run
        | Context::Inbox
        | Context::Workers
        | Context::Runbooks
        | Context::Scope
        | Context::Plan
        | Context::Refused
        | Context::Phrase
        | Context::Global => app.tab.footer(),
    };
    let offers = if app.overlays.is_empty() { app.controls() } else { Vec::new() };
    let mut spans = Vec::new();
    let plain = !context.is_text() || matches!(context, Context::Form | Context::Phrase);
    let help = (plain && context != Context::Help).then_some(Command::AppHelp);
    let quit = if context == Context::Operations { Some(Command::AppQuit) } else { None };
    let piece_of = |command: Command| {
        let mut keys = app.setup.keymap.keys_for(context, command).into_iter();
        // Where text is typed, `?` is text.
        let help = command == Command::AppHelp && context.is_text();
        let key = keys.find(|key| !help || key.chars().count() > 1)?;
        let offer = offers.iter().find(|(offered, _)| *offered == command);
        let step = steps.iter().find(|(offered, _)| *offered == command);
        let label = match (offer, step) {
            (Some((_, label)), _) => label.clone(),
            (None, Some((_, label))) => (*label).to_owned(),
            (None, None) => label_of(command, context).to_owned(),
        };
        let width = key.chars().count() + label.chars().count() + 3;
        Some((key, label, width))
    };
    // The help always has its place: it leads to everything that has none.
    let mut left = usize::from(area.width);
    left = left.saturating_sub(help.and_then(piece_of).map_or(0, |(_, _, width)| width));
    let offered = offers.iter().map(|(command, _)| *command);
    for command in offered.chain(commands.iter().copied()).chain(help).chain(quit) {
        let Some((key, label, width)) = piece_of(command) else {
            continue;
        };
        if Some(command) != help {
            if width > left {
                continue;
            }
            left -= width;
        }
        spans.push(look.span(Role::Key, format!(" {key}")));
        spans.push(look.span(Role::Hint, format!(" {label} ")));
    }
    Line::from(spans).render(area, buffer);
}

/// What the footer calls a command.
fn label_of(command: Command, context: Context) -> &'static str {
    match (command, context) {
        (Command::FormSubmit, Context::Login) => "log in",
        (Command::RowOpen, Context::Inbox) => "view run",
        (Command::FormSubmit, Context::Confirm) => "confirm",
        (Command::AppBack, Context::Confirm) => "change nothing",
        _ => command.help(),
    }
}

/// An error that stands beside data that is still shown; the connection's own trouble is in
/// the header.
fn error_of_screen(app: &App) -> Option<String> {
    app.session.as_ref()?;
    if app.link.trouble.is_some() || !app.overlays.is_empty() {
        return None;
    }
    let (error, has_data) = match app.tab {
        Tab::Operations => (app.operations.error(), !app.operations.rows().is_empty()),
        Tab::Run => (app.run.error(), app.run.detail().is_some()),
        Tab::Inbox => (app.inbox.error(), !app.inbox.rows().is_empty()),
        Tab::Workers => (app.workers.error(), app.workers.has_data()),
        Tab::Runbooks => (None, false),
    };
    error.filter(|_| has_data).map(ToString::to_string)
}
