//! Draws the console: one header, one tab line, one body, one footer.

use std::ops::Range;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::app::link::State;
use super::app::{App, MINIMUM};
use super::banner;
use super::command::{Command, Context};
use super::look::wrapped;
use super::screen::{Cx, Hint};
use super::tabs::Tab;
use super::theme::Role;
use crate::domain::safe_text::SafeText;
use crate::domain::time_zone;
use crate::ops::platform::Platform;

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
    if let Some(top) = app.modals.last() {
        cursor = top.view(&Cx { area: body, ..app.cx() }, buffer);
    }
    draw_footer(app, Rect { y: area.bottom() - 1, height: 1, ..area }, buffer);
    if let Some(position) = cursor {
        frame.set_cursor_position(position);
    }
}

fn draw_too_small(app: &App, area: Rect, buffer: &mut Buffer) {
    let quit = if app.may_leave() { Command::AppClose } else { Command::AppQuit };
    let quit = app.setup.keymap.keys_for(Context::Operations, quit);
    let quit = quit.first().map_or("ctrl-c", String::as_str);
    let texts = [
        format!("{}x{} is too small", area.width, area.height),
        format!("{}x{} is needed", MINIMUM.width, MINIMUM.height),
        format!("{quit} quits"),
    ];
    let columns = usize::from(area.width);
    let lines = texts.iter().flat_map(|text| wrapped(text, columns));
    for (y, line) in (area.y..area.bottom()).zip(lines) {
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
    let mut left = Line::from(left);
    let badge = app.session.as_ref().and_then(|_| app.tabs.inbox.badge(look));
    let badge = badge.map_or_else(String::new, |badge| format!("{badge}   "));
    let zone = format!("{}   ", look.zone_name());
    let columns = usize::from(area.width);
    let fixed = left.width() + Span::raw(&badge).width() + zone.len() + 4;
    let free = columns.saturating_sub(fixed);
    let (role, links) = link_texts(app);
    let link = links.iter().find(|link| Span::raw(*link).width() <= free).or(links.last());
    let link = link.cloned().unwrap_or_default();
    let free = free.saturating_sub(Span::raw(&link).width());
    let (mode, who) = mode_and_who(app, free);
    left.spans.push(look.span(Role::Muted, mode));
    let mut right = Vec::new();
    if columns > left.width() + Span::raw(&link).width() + Span::raw(&badge).width() + zone.len() {
        right.push(look.span(Role::Text, who));
        right.push(look.span(Role::Accent, badge));
        right.push(look.span(Role::Muted, zone));
    }
    right.push(look.span(role, link));
    right.push(Span::raw(" "));
    left.render(area, buffer);
    Line::from(right).right_aligned().render(area, buffer);
}

/// The words for the mode and for who is logged in, as much of them as fits: the sentence of
/// the mode gives way first, then the role, then the name.
fn mode_and_who(app: &App, room: usize) -> (String, String) {
    let modes = app.platform.value().map_or_else(Default::default, Platform::modes);
    let [whole, short, shortest] =
        modes.map(|mode| if mode.is_empty() { mode } else { format!("  {mode}") });
    let [full, name] = who(app);
    let offers = [
        (&whole, full.as_str()),
        (&short, &full),
        (&short, &name),
        (&shortest, &name),
        (&shortest, ""),
    ];
    let fits = |(mode, who): &(&String, &str)| {
        let apart = if mode.is_empty() || who.is_empty() { 0 } else { 2 };
        Span::raw(mode.as_str()).width() + apart + Span::raw(*who).width() <= room
    };
    let chosen = offers.into_iter().find(fits);
    chosen.map_or_else(Default::default, |(mode, who)| (mode.clone(), who.to_owned()))
}

/// Who is logged in, in full and in short.
fn who(app: &App) -> [String; 2] {
    let Some(session) = &app.session else {
        return Default::default();
    };
    let role =
        session.capabilities.role().map_or("custom", crate::domain::capability::Role::as_str);
    let name = app.look.cut(&session.username, 20);
    [format!("{name} {} {role}   ", app.look.glyph("·", "-")), format!("{name}   ")]
}

/// How things stand with the database, in the words that are tried one after another where
/// room is short.
fn link_texts(app: &App) -> (Role, Vec<String>) {
    let look = &app.look;
    let state = app.link_state();
    let paused = app.paused && !matches!(state, State::Disconnected | State::Connecting);
    let open = look.glyph("○", "o");
    match state {
        State::Disconnected => {
            let lost = format!("{} disconnected", look.glyph("✗", "x"));
            let plain = format!("{lost}, reconnecting");
            let Some(age) = age_shown(app).filter(|age| age_room(app) < age.chars().count()) else {
                return (Role::Lost, vec![plain, lost]);
            };
            let age = age.trim_start_matches("what is shown is ").to_owned();
            let lost = [format!("{plain}, {age}"), format!("{lost}, {age}"), age];
            (Role::Lost, lost.map(|text| text.trim_end().to_owned()).to_vec())
        }
        State::Connecting => (Role::Muted, vec![format!("{open} connecting")]),
        _ if paused => (Role::Paused, vec![format!("{} frozen", look.glyph("◌", "="))]),
        State::Slow { slot, waiting: Some(seconds), .. } => {
            let short = format!("{open} slow: waiting {seconds} s");
            let whole = format!("{short} for {}", slot.subject());
            (Role::Stale, vec![whole, short, format!("{open} slow {seconds} s")])
        }
        State::Slow { slot, age, .. } => {
            let age = age.map_or_else(|| "not read yet".to_owned(), old);
            let whole = format!("{open} slow: {}, {age}", slot.subject());
            (Role::Stale, vec![whole, format!("{open} slow: {age}"), format!("{open} slow")])
        }
        State::Refused { slot, age } => {
            let age = age.map_or_else(|| "nothing before".to_owned(), old);
            let whole = format!("{open} not read: {}, {age}", slot.subject());
            (
                Role::Stale,
                vec![whole, format!("{open} not read: {age}"), format!("{open} not read")],
            )
        }
        State::Old(age) => (Role::Stale, vec![format!("{open} {}", old(age))]),
        State::Live => live(app),
    }
}

/// Whether the database takes writes, which is not kept up with before a login, and how far away it
/// is.
fn live(app: &App) -> (Role, Vec<String>) {
    let look = &app.look;
    if let Some(trouble) = app.session.as_ref().and_then(|_| app.link.writes.trouble()) {
        return (Role::Stale, vec![format!("{} {trouble}", look.glyph("‼", "!"))]);
    }
    let (live, dot) = (format!("{} live", look.glyph("●", "*")), look.glyph("·", "-"));
    let far = app.waiting().trip.map(|trip| format!("{live} {dot} {trip}"));
    (Role::Live, far.into_iter().chain([live]).collect())
}

fn old(age: chrono::Duration) -> String {
    format!("{} old", whole_seconds(age))
}

/// How old is what is shown, where the database does not answer or is slow.
fn age_shown(app: &App) -> Option<String> {
    let age = app.stale_for()?;
    let late =
        matches!(app.link_state(), State::Disconnected | State::Slow { waiting: Some(_), .. });
    late.then(|| format!("what is shown is {} ", old(age)))
}

/// Columns that the tabs leave of their line.
fn age_room(app: &App) -> usize {
    let taken = tabs(app).last().map_or(0, |(_, cells)| cells.end);
    usize::from(app.setup.size.width.saturating_sub(taken))
}

fn whole_seconds(age: chrono::Duration) -> String {
    let seconds = age.num_seconds();
    if seconds < 60 { format!("{seconds} s") } else { time_zone::took(age) }
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

/// What the tab line says of each tab, in fewer columns where there is too little room for all.
fn tab_texts(app: &App) -> Vec<(Tab, String)> {
    let room = usize::from(app.setup.size.width);
    let mut texts = Vec::new();
    for brevity in 0..=3 {
        texts = Tab::ALL.iter().map(|tab| (*tab, tab_text(app, *tab, brevity))).collect();
        let width: usize = texts.iter().map(|(_, text)| text.chars().count()).sum();
        if width <= room {
            break;
        }
    }
    texts
}

/// What the tab line says of a tab: with the open run's id and apart at 0, closer at 1, in
/// short at 2 and as short as it can be at 3.
fn tab_text(app: &App, tab: Tab, brevity: usize) -> String {
    let key = app.setup.keymap.keys_for(app.tab.context(), tab.command());
    let key = key.first().map_or_else(String::new, |key| format!("{key} "));
    let [full, short, shortest] = tab.titles();
    match (brevity, tab, app.tabs.run.id()) {
        (0, Tab::Run, Some(id)) => format!(" {key}{full} {id} "),
        (0, ..) => format!(" {key}{full} "),
        (1, ..) => format!(" {key}{full}"),
        (2, ..) => format!(" {key}{short}"),
        _ => format!(" {key}{shortest}"),
    }
}

fn draw_tabs(app: &App, area: Rect, buffer: &mut Buffer) {
    let look = &app.look;
    if app.session.is_none() {
        return;
    }
    let mut spans = Vec::new();
    for (tab, text) in tab_texts(app) {
        let role = if tab == app.tab { Role::TabActive } else { Role::Tab };
        spans.push(look.span(role, text));
    }
    Line::from(spans).render(area, buffer);
    if let Some(age) = age_shown(app).filter(|age| age.chars().count() <= age_room(app)) {
        Line::from(look.span(Role::Stale, age)).right_aligned().render(area, buffer);
    }
}

fn draw_body(app: &App, body: Rect, buffer: &mut Buffer) -> Option<Position> {
    let look = &app.look;
    if app.session.is_none() {
        let note = app.platform.value().and_then(|platform| platform.login_note.as_deref());
        let lost = app.link.trouble.as_ref().or(app.platform.error());
        let lost = lost.filter(|_| app.platform.value().is_none() || app.link.is_lost());
        let lost = lost.filter(|_| !app.login.has_message());
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
        Tab::Operations => app.tabs.operations.draw(body, buffer, look, app.greyed()),
        Tab::Run => {
            app.tabs.run.draw(body, buffer, look, app.greyed());
            None
        }
        Tab::Inbox => {
            app.tabs.inbox.draw(body, buffer, look, app.greyed(), &app.setup.keymap);
            None
        }
        Tab::Workers => {
            app.tabs.workers.draw(body, buffer, look, app.greyed());
            None
        }
        Tab::Overview => {
            app.tabs.overview.draw(buffer, &app.around_overview());
            None
        }
        Tab::Telemetry => {
            app.tabs.telemetry.draw(body, buffer, &app.around_telemetry());
            None
        }
        Tab::Support if app.shows_composition() => app.draw_composition(buffer),
        Tab::Support => app.tabs.support.screen().draw(buffer, &app.around_support()),
        Tab::Runbooks => app.tabs.runbooks.draw(buffer, &app.around_wizard()),
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
    let mut spans = Vec::new();
    let mut steps = if app.in_wizard() && !app.refuses_wizard() {
        app.tabs.runbooks.footer(look.now)
    } else if let Some(open) = app.composition().filter(|_| app.in_composition()) {
        open.footer()
    } else {
        Vec::new()
    };
    for hint in app.modals.last().map_or_else(Vec::new, |top| top.hints()) {
        match hint {
            Hint::Does(command, label) => steps.push((command, label)),
            Hint::Key(key, label) => {
                spans.push(look.span(Role::Key, format!(" {key}")));
                spans.push(look.span(Role::Hint, format!(" {label} ")));
            }
        }
    }
    let of_step: Vec<Command> = steps.iter().map(|(command, _)| *command).collect();
    let commands: &[Command] = match context {
        _ if !app.modals.is_empty() || app.in_wizard() || app.in_composition() => &of_step,
        Context::Login => &[Command::FormSubmit, Command::FieldNext, Command::AppQuit],
        Context::Filter => &[
            Command::FilterAccept,
            Command::FilterComplete,
            Command::FilterClear,
            Command::AppBack,
        ],
        Context::Errors => &[
            Command::RowOpen,
            Command::SampleOpen,
            Command::FoldToggle,
            Command::AppBack,
            Command::WindowNext,
            Command::AppPalette,
        ],
        Context::Search => &[Command::FilterAccept, Command::FilterClear, Command::AppBack],
        // What may not be seen has nothing to be done to it.
        _ if refuses_support(app) => &[],
        Context::Requests => &[
            Command::RowOpen,
            Command::FilterEdit,
            Command::SupportTenants,
            Command::CopyId,
            Command::AppPalette,
        ],
        Context::Request => &[
            Command::AppBack,
            Command::FilterEdit,
            Command::FoldToggle,
            Command::CopyId,
            Command::SupportTenant,
            Command::SupportRequest,
        ],
        Context::Tenants => &[
            Command::RowOpen,
            Command::FilterEdit,
            Command::SupportRequest,
            Command::SupportDiagnostics,
            Command::AppBack,
        ],
        Context::Tenant => &[
            Command::SupportRequest,
            Command::SupportDiagnostics,
            Command::AppBack,
            Command::RowOpen,
            Command::FilterEdit,
            Command::FoldToggle,
        ],
        Context::RunTenants => &[Command::RowOpen, Command::FilterEdit, Command::AppBack],
        Context::Diagnostics => &[
            Command::SupportRequest,
            Command::DiagnosticsExport,
            Command::AppBack,
            Command::FoldToggle,
            Command::FilterEdit,
            Command::PollNow,
        ],
        Context::Overview
        | Context::Operations
        | Context::Run
        | Context::Telemetry
        | Context::Inbox
        | Context::Workers
        | Context::Runbooks
        | Context::Scope
        | Context::Plan
        | Context::Refused
        | Context::Phrase
        | Context::Compose
        | Context::Notes
        | Context::Preview
        | Context::Mask
        | Context::Sent
        | Context::Help
        | Context::Palette
        | Context::Report
        | Context::Confirm
        | Context::Form
        | Context::Discard
        | Context::Global => app.tab.footer(),
    };
    let offers = if app.modals.is_empty() { app.controls() } else { Vec::new() };
    let back = (context == Context::Operations && app.is_led()).then_some(Command::AppBack);
    let plain = !context.is_text()
        || matches!(
            context,
            Context::Form | Context::Phrase | Context::Refused | Context::Compose | Context::Notes
        );
    let help = (plain && context != Context::Help).then_some(Command::AppHelp);
    let quit = if context == Context::Operations { Some(Command::AppClose) } else { None };
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
    for command in
        back.into_iter().chain(offered).chain(commands.iter().copied()).chain(help).chain(quit)
    {
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

/// Whether the page of the Support tab is one that the person may not see.
fn refuses_support(app: &App) -> bool {
    let shown = app.tab == Tab::Support && app.modals.is_empty() && !app.shows_composition();
    let error = app.tabs.support.screen().error().filter(|_| shown);
    error.is_some_and(|error| error.kind() == crate::ErrorKind::Forbidden)
        && !app.tabs.support.screen().has_data()
}

/// What the footer calls a command.
fn label_of(command: Command, context: Context) -> &'static str {
    match (command, context) {
        (Command::FormSubmit, Context::Login) => "log in",
        (Command::RowOpen, Context::Inbox) => "view run",
        (Command::RowOpen, Context::Errors) => "list runs",
        (Command::FoldToggle, Context::Errors) => "alone",
        (Command::RowOpen, Context::RunTenants) => "select",
        (Command::PollNow, Context::Diagnostics) => "reopen",
        (
            Command::FilterEdit,
            Context::Requests
            | Context::Request
            | Context::Tenants
            | Context::Tenant
            | Context::RunTenants
            | Context::Diagnostics,
        ) => "search",
        (Command::AppClose, Context::Operations) => "quit",
        _ => command.help(),
    }
}

/// An error that stands beside data that is still shown, or why the database does not answer.
fn error_of_screen(app: &App) -> Option<String> {
    app.session.as_ref()?;
    if !app.modals.is_empty() {
        return None;
    }
    let (error, has_data) = match app.tab {
        Tab::Operations => (app.tabs.operations.error(), !app.tabs.operations.rows().is_empty()),
        Tab::Run => (app.tabs.run.error(), app.tabs.run.detail().is_some()),
        Tab::Inbox => (app.tabs.inbox.error(), !app.tabs.inbox.rows().is_empty()),
        Tab::Workers => (app.tabs.workers.error(), app.tabs.workers.has_data()),
        Tab::Overview => (app.tabs.overview.error(), app.tabs.overview.has_data(app.window)),
        Tab::Telemetry => (app.tabs.telemetry.error(), app.tabs.telemetry.has_data(app.window)),
        Tab::Support if app.shows_composition() => return app.blocked(),
        Tab::Support => (app.tabs.support.screen().error(), app.tabs.support.screen().has_data()),
        Tab::Runbooks => return app.blocked(),
    };
    // Where there is nothing to stand beside, the body says what the screen itself was answered.
    let lost = app.link.trouble.as_ref().filter(|_| app.link.is_lost());
    let said = lost.or(error).filter(|_| has_data || error.is_none());
    app.blocked().or_else(|| said.map(ToString::to_string))
}
