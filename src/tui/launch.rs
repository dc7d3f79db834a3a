//! Opens the console on the process's own terminal.

use ratatui::Terminal;
use ratatui::layout::Size;

use crate::access::ClientKind;
use crate::config::{Color, Config, locale};
use crate::domain::sanitize;
use crate::drafts::Drafts;
use crate::ops::Ops;
use crate::paths::Paths;
use crate::term::fence::Fence;
use crate::term::{ColorSupport, Modes, SizedBackend, TerminalGuard, local, signals};
use crate::tui::app::App;
use crate::tui::command::{Command, Context};
use crate::tui::keymap::{Key, Keymap, Resolved};
use crate::tui::session::{self, Client, End, Host};
use crate::tui::setup::Setup;
use crate::tui::theme::Theme;
use crate::{Error, Result, logging};

pub struct Launch {
    pub ops: Ops,
    pub config: Config,
    pub paths: Paths,
    /// Where drafts of support requests are kept, apart for each database.
    pub drafts: Drafts,
}

const CRASHED: u8 = 101;

/// Opens the console and stays until it is left; gives the exit code.
///
/// # Errors
/// *Usage* for a theme or keymap that cannot be used, before anything is drawn.
pub async fn run(launch: Launch) -> Result<u8> {
    let Launch { ops, config, paths, drafts } = launch;
    let environment = |name: &str| std::env::var(name).ok();
    let keymap = Keymap::load(&config.keymap.value, Some(&paths.keymaps_dir()))?;
    let theme = Theme::load(&config.theme.value, Some(&paths.themes_dir()))?;
    let colors = match config.color.value {
        Color::Never => ColorSupport::None,
        Color::Always => {
            match ColorSupport::detect(|name| environment(name).filter(|_| name != "NO_COLOR")) {
                ColorSupport::None => ColorSupport::Ansi16,
                found => found,
            }
        }
        Color::Auto => ColorSupport::detect(environment),
    };
    let sizes = local::SizeChanges::listen().map_err(|error| terminal_error(&error))?;
    let (width, height) = local::size().map_err(|error| terminal_error(&error))?;
    let quit = Resolved::Command(Command::AppQuit);
    let quits = keymap.resolve(Context::Global, &[], Key::ctrl('c')) == quit;
    let setup = Setup {
        keymap,
        theme,
        colors,
        ascii: config.ascii.value,
        zone: config.time_zone.value,
        poll: config.poll_interval.value,
        page_size: i64::from(config.page_size.value),
        size: Size { width, height },
        now: ops.clock().now(),
        registry: ops.registry().clone(),
        exports: Some(paths.exports_dir()),
        drafts: Some(drafts),
    };
    let modes = Modes { raw: true, mouse: config.mouse.value };
    let mut signals =
        signals::EndSignals::listen_to_all().map_err(|error| terminal_error(&error))?;
    let insistent = signals::EndSignals::listen_to_all().map_err(|error| terminal_error(&error))?;
    let mut jobs = signals::JobSignals::listen().map_err(|error| terminal_error(&error))?;
    if let Some(number) = jobs.wait_for_foreground(&mut signals).await {
        return Ok(signals::exit_code(number));
    }
    let guard = TerminalGuard::new(std::io::stdout(), modes);
    // Before anything is written, which the terminal may not take.
    let insisting = guard.insist_on(insistent);
    let fence = Fence::new(config.link.value);
    let exit = quits.then(|| guard.exit());
    let events = local::LocalEvents::new(sizes, config.mouse.value, fence.ear(), exit)
        .map_err(|error| terminal_error(&error))?;
    guard.enter().map_err(|error| terminal_error(&error))?;
    let log = logging::current_file(&paths, ops.clock());
    let crash = guard.install_panic_hook(Some(log), |text| sanitize::redact(text).text);
    let backend = SizedBackend::new(guard.writer(), width, height, colors)
        .synchronized(config.synchronized_output.value)
        .ascii(config.ascii.value && locale::without_utf8(environment).is_some());
    let mut terminal = Terminal::new(backend).map_err(|error| terminal_error(&error))?;
    let mut app = App::new(setup);
    let client = Client { origin: local_origin(), kind: ClientKind::Console };
    let host = Host {
        guard: Some(&guard),
        signals: Some(signals),
        jobs: Some(jobs),
        crash: Some(crash),
        fence,
    };
    let ended = session::run(&mut terminal, events, &mut app, ops, client, host).await;
    let code = match ended {
        Ok(End::Quit) => 0,
        Ok(End::Signal(number)) => signals::exit_code(number),
        Ok(End::Crashed) => CRASHED,
        Ok(End::Gone) | Err(_) => signals::exit_code(1),
    };
    guard.leave_or_exit(code);
    // Not before: also what leaving writes may be more than the terminal takes.
    insisting.abort();
    Ok(code)
}

/// What the throttle counts a local person by: the operating system's user, which no
/// environment variable can change.
pub fn local_origin() -> String {
    format!("local:uid {}", rustix::process::getuid().as_raw())
}

fn terminal_error(error: &std::io::Error) -> Error {
    Error::failed(format!("the terminal cannot be used: {}", error.kind()))
}
