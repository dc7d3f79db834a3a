//! Draws the console: one header, one tab line, one body, one footer.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use crate::domain::safe_text::SafeText;
use crate::domain::time_zone;
use crate::ops::platform::Platform;
use crate::tui::app::link;
use crate::tui::app::{App, MINIMUM};
use crate::tui::banner;
use crate::tui::command::{Command, Context};
use crate::tui::look::wrapped;
use crate::tui::screen::{Cx, Hint, State};
use crate::tui::tabs::Tab;
use crate::tui::theme::Role;

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
    let cx = Cx { area: body, ..app.cx() };
    let mut cursor = app.below().view(&cx, buffer);
    if let Some(top) = app.modals.last() {
        cursor = top.view(&cx, buffer);
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
    let tabs = Tab::ALL.iter().filter(|_| app.session.is_some());
    let badges = tabs.filter_map(|tab| app.tabs.get(*tab).badge(look));
    let badge: String = badges.flat_map(|badge| [badge, "   ".to_owned()]).collect();
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
    let paused =
        app.paused && !matches!(state, link::State::Disconnected | link::State::Connecting);
    let open = look.glyph("○", "o");
    match state {
        link::State::Disconnected => {
            let lost = format!("{} disconnected", look.glyph("✗", "x"));
            let plain = format!("{lost}, reconnecting");
            let Some(age) = age_shown(app).filter(|age| age_room(app) < age.chars().count()) else {
                return (Role::Lost, vec![plain, lost]);
            };
            let age = age.trim_start_matches("what is shown is ").to_owned();
            let lost = [format!("{plain}, {age}"), format!("{lost}, {age}"), age];
            (Role::Lost, lost.map(|text| text.trim_end().to_owned()).to_vec())
        }
        link::State::Connecting => (Role::Muted, vec![format!("{open} connecting")]),
        _ if paused => (Role::Paused, vec![format!("{} frozen", look.glyph("◌", "="))]),
        link::State::Slow { slot, waiting: Some(seconds), .. } => {
            let short = format!("{open} slow: waiting {seconds} s");
            let whole = format!("{short} for {}", slot.subject());
            (Role::Stale, vec![whole, short, format!("{open} slow {seconds} s")])
        }
        link::State::Slow { slot, age, .. } => {
            let age = age.map_or_else(|| "not read yet".to_owned(), old);
            let whole = format!("{open} slow: {}, {age}", slot.subject());
            (Role::Stale, vec![whole, format!("{open} slow: {age}"), format!("{open} slow")])
        }
        link::State::Refused { slot, age } => {
            let age = age.map_or_else(|| "nothing before".to_owned(), old);
            let whole = format!("{open} not read: {}, {age}", slot.subject());
            (
                Role::Stale,
                vec![whole, format!("{open} not read: {age}"), format!("{open} not read")],
            )
        }
        link::State::Old(age) => (Role::Stale, vec![format!("{open} {}", old(age))]),
        link::State::Live => live(app),
    }
}

/// Whether the database takes writes, and how far away it is.
fn live(app: &App) -> (Role, Vec<String>) {
    let look = &app.look;
    if let Some(trouble) = app.link.writes.trouble(app.session.is_some()) {
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
    let late = matches!(
        app.link_state(),
        link::State::Disconnected | link::State::Slow { waiting: Some(_), .. }
    );
    late.then(|| format!("what is shown is {} ", old(age)))
}

/// Columns that the tabs leave of their line.
fn age_room(app: &App) -> usize {
    let taken = app.tab_places().last().map_or(0, |(_, cells)| cells.end);
    usize::from(app.setup.size.width.saturating_sub(taken))
}

fn whole_seconds(age: chrono::Duration) -> String {
    let seconds = age.num_seconds();
    if seconds < 60 { format!("{seconds} s") } else { time_zone::took(age) }
}

fn draw_tabs(app: &App, area: Rect, buffer: &mut Buffer) {
    let look = &app.look;
    if app.session.is_none() {
        return;
    }
    let mut spans = Vec::new();
    for (tab, text) in app.tab_texts() {
        let role = if tab == app.tab { Role::TabActive } else { Role::Tab };
        spans.push(look.span(role, text));
    }
    Line::from(spans).render(area, buffer);
    if let Some(age) = age_shown(app).filter(|age| age.chars().count() <= age_room(app)) {
        Line::from(look.span(Role::Stale, age)).right_aligned().render(area, buffer);
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
    let mut offers: Vec<(Command, String)> = Vec::new();
    for hint in app.front().hints(&app.cx()) {
        match hint {
            Hint::Does(command, label) => offers.push((command, label.to_owned())),
            Hint::Runs => offers.extend(app.controls()),
            Hint::Key(key, label) => {
                spans.push(look.span(Role::Key, format!(" {key}")));
                spans.push(look.span(Role::Hint, format!(" {label} ")));
            }
        }
    }
    let plain = !context.is_text()
        || matches!(
            context,
            Context::Form | Context::Phrase | Context::Refused | Context::Compose | Context::Notes
        );
    let help = (plain && context != Context::Help).then_some(Command::AppHelp);
    let help = help.map(|command| (command, command.help().to_owned()));
    let quit = (context == Context::Operations).then(|| (Command::AppClose, "quit".to_owned()));
    let piece_of = |(command, label): &(Command, String)| {
        let mut keys = app.setup.keymap.keys_for(context, *command).into_iter();
        // Where text is typed, `?` is text.
        let help = *command == Command::AppHelp && context.is_text();
        let key = keys.find(|key| !help || key.chars().count() > 1)?;
        let width = key.chars().count() + label.chars().count() + 3;
        Some((key, width))
    };
    // The help always has its place: it leads to everything that has none.
    let mut left = usize::from(area.width);
    left = left.saturating_sub(help.as_ref().and_then(piece_of).map_or(0, |(_, width)| width));
    for offer in offers.iter().chain(&help).chain(&quit) {
        let Some((key, width)) = piece_of(offer) else {
            continue;
        };
        if Some(offer) != help.as_ref() {
            if width > left {
                continue;
            }
            left -= width;
        }
        spans.push(look.span(Role::Key, format!(" {key}")));
        spans.push(look.span(Role::Hint, format!(" {} ", offer.1)));
    }
    Line::from(spans).render(area, buffer);
}

/// An error that stands beside data that is still shown, or why the database does not answer.
fn error_of_screen(app: &App) -> Option<String> {
    app.session.as_ref()?;
    if !app.modals.is_empty() {
        return None;
    }
    let Some(State { error, has_data }) = app.below().state(&app.cx()) else {
        return app.blocked();
    };
    // Where there is nothing to stand beside, the body says what the screen itself was answered.
    let said = app.link.outage().or_else(|| error.map(ToString::to_string));
    app.blocked().or(said.filter(|_| has_data || error.is_none()))
}
