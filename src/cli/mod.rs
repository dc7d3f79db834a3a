//! The command line: parses, gathers what commands need, and turns errors into exit codes.

mod alerts;
mod ask;
mod auth;
mod break_glass;
pub mod crash;
mod demo;
mod env;
mod failures;
mod flags;
mod new_file;
mod notifications;
mod options;
mod output;
mod overview;
mod platform;
mod product_usage;
mod runbooks;
mod runs;
mod runs_control;
mod runs_filter;
mod runs_show;
mod runs_watch;
mod seed;
mod session_file;
mod settings;
mod support;
mod text;
mod types;
mod users;
mod worker;
mod workers;

use std::ffi::OsString;
use std::sync::Mutex;

use clap::error::ErrorKind as ParseErrorKind;
use clap::{Parser, Subcommand};

pub use env::Env;
pub use options::GlobalOptions;
pub use output::Output;
pub use text::Table;

use crate::paths::Paths;
use crate::term::local;
use crate::tui::launch::{self, Launch};
use crate::{Clock, Error, Result, logging};

/// Version and commit.
pub const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("TENANTPILOT_COMMIT"), ")");

/// Examples, as they stand above a command's help.
macro_rules! examples {
    ($($line:literal),+ $(,)?) => {
        concat!("Examples:", $("\n  ", $line),+)
    };
}
use examples;

/// The operator console of a multi-tenant platform
#[derive(Debug, Parser)]
#[command(
    name = "tenantpilot",
    version = VERSION,
    before_help = examples!(
        "tenantpilot demo                              look around in a made-up platform",
        "tenantpilot                                   the console",
        "tenantpilot migrate                           make or update the database",
        "tenantpilot users create ana --role administrator",
        "tenantpilot login ana",
        "tenantpilot overview                          is anything wrong, and what",
        "tenantpilot runs list --status failed --since 24h",
        "tenantpilot runs show 10480",
        "tenantpilot runs watch 10480 --exit-status",
    ),
)]
struct Cli {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open the console (the same as no command)
    #[command(before_help = examples!("tenantpilot console", "tenantpilot console --theme light"))]
    Console,
    /// Open the console on a made-up platform with live activity
    #[command(before_help = examples!("tenantpilot demo", "tenantpilot demo --dir /tmp/demo --reset"))]
    Demo(demo::DemoArgs),
    /// Fill an empty database with a made-up platform
    #[command(before_help = examples!(
        "tenantpilot seed",
        "tenantpilot --database-url sqlite:///tmp/big.db seed --runs 1000000 --json",
    ))]
    Seed(seed::SeedArgs),
    /// See how the platform is, what runs did, what fails most
    #[command(before_help = examples!(
        "tenantpilot overview",
        "tenantpilot overview --window 7d --json",
        "tenantpilot overview --exit-status || echo 'somebody must look now'",
        "tenantpilot overview window 7d                remember a window",
    ))]
    Overview(overview::OverviewArgs),
    /// List what fails by what it says, show one error, and have its runs tried again
    #[command(subcommand, before_help = examples!(
        "tenantpilot failures list --window 7d",
        "tenantpilot failures show 3fa9c01b77de",
        "tenantpilot failures retry 3fa9c01b77de --dry-run",
    ))]
    Failures(failures::FailuresCommand),
    /// List, show, watch and control operation runs
    #[command(subcommand, before_help = examples!(
        "tenantpilot runs list --filter 'status:failed since:24h'",
        "tenantpilot runs show 10480 --json",
        "tenantpilot runs watch 10480 --exit-status --timeout 10m",
    ))]
    Runs(runs::RunsCommand),
    /// List the operation types, and see what executes each
    #[command(subcommand, before_help = examples!(
        "tenantpilot types list",
        "tenantpilot types show policy.sync --json",
    ))]
    Types(types::TypesCommand),
    /// List runbooks, see what one would change, and start it
    #[command(subcommand, before_help = examples!(
        "tenantpilot runbooks list",
        "tenantpilot runbooks preflight findings.lifecycle_backfill --tenant 412",
        "tenantpilot runbooks start findings.lifecycle_backfill --tenant 412 --yes",
        "tenantpilot runbooks deploy --dry-run",
    ))]
    Runbooks(runbooks::RunbooksCommand),
    /// List tenants, and see one at a glance: its runs, its findings, its requests
    #[command(subcommand, before_help = examples!(
        "tenantpilot tenants list --search fabrikam",
        "tenantpilot tenants show 412",
    ))]
    Tenants(support::TenantsCommand),
    /// Ask for support with the right evidence, read requests, open diagnostics
    #[command(subcommand, before_help = examples!(
        "tenantpilot support create --run 10480 --summary 'every sync ends throttled' --dry-run",
        "tenantpilot support create --run 10480 --summary 'every sync ends throttled' --confirm SEND",
        "tenantpilot support list --mine",
        "tenantpilot support show SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV",
        "tenantpilot support diagnostics --tenant 412",
    ))]
    Support(support::SupportCommand),
    /// Show the workers and what they hold
    #[command(subcommand, before_help = examples!("tenantpilot workers list"))]
    Workers(workers::WorkersCommand),
    /// Execute runs in the background, until told to stop
    #[command(before_help = examples!(
        "tenantpilot worker",
        "tenantpilot worker --lease 1m --heartbeat 15s --slots 8",
    ))]
    Worker(worker::WorkerArgs),
    /// List alerts and their delivery, and have a dead one tried again
    #[command(subcommand, before_help = examples!(
        "tenantpilot alerts list --status dead",
        "tenantpilot alerts retry 17 --yes",
    ))]
    Alerts(alerts::AlertsCommand),
    /// List your notifications and mark them as read
    #[command(subcommand, before_help = examples!(
        "tenantpilot notifications list --unread",
        "tenantpilot notifications read 12 13",
        "tenantpilot notifications read --all",
    ))]
    Notifications(notifications::NotificationsCommand),
    /// Take break-glass, end it, and see whether it is active
    #[command(subcommand, before_help = examples!(
        "tenantpilot break-glass enter --reason-code INCIDENT --reason 'checkout is down'",
        "tenantpilot break-glass status",
        "tenantpilot break-glass end --yes",
    ))]
    BreakGlass(break_glass::BreakGlassCommand),
    /// See what customers use, and keep the ledger of it in order
    #[command(subcommand, before_help = examples!(
        "tenantpilot product-usage summary --window 7d",
        "tenantpilot product-usage prune --dry-run",
        "tenantpilot product-usage check",
    ))]
    ProductUsage(product_usage::ProductUsageCommand),
    /// Manage platform users
    #[command(subcommand, before_help = examples!(
        "tenantpilot users list",
        "tenantpilot users create ben --role viewer --all-workspaces --yes",
        "tenantpilot users disable ben --confirm ben",
    ))]
    Users(users::UsersCommand),
    /// See and change the flags and settings of the whole platform
    #[command(subcommand, before_help = examples!(
        "tenantpilot platform flags",
        "tenantpilot platform set-flag allow_admin_maintenance_actions on --dry-run",
        "tenantpilot platform settings list",
    ))]
    Platform(flags::PlatformCommand),
    /// Log the command line in
    #[command(before_help = examples!(
        "tenantpilot login ana",
        "tenantpilot login ana --password-file - < password.txt",
    ))]
    Login(auth::LoginArgs),
    /// Log the command line out
    #[command(before_help = examples!("tenantpilot logout"))]
    Logout,
    /// Tell who is logged in
    #[command(before_help = examples!("tenantpilot whoami --json"))]
    Whoami(auth::JsonArgs),
    /// Bring the database's schema up to date; makes a missing embedded database
    #[command(before_help = examples!(
        "tenantpilot migrate",
        "TENANTPILOT_DATABASE_URL=postgres://tp@db/platform tenantpilot migrate",
        "tenantpilot migrate --into-nonempty-database",
    ))]
    Migrate(platform::MigrateArgs),
    /// Show every path and setting, and where each comes from
    #[command(before_help = examples!("tenantpilot info", "tenantpilot info --json"))]
    Info(auth::JsonArgs),
}

/// Says that the program could not even start; gives its exit code.
pub fn cannot_start() -> u8 {
    let error = Error::failed("the program could not be started")
        .hint("check the limits on threads and open files");
    Output::process().failure(&error);
    error.exit_code()
}

/// Parses and runs one command line; gives the exit code.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    crash::install();
    let out = Output::process();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(mut cli) => {
            if let Some(Command::Platform(flags::PlatformCommand::SetLabel(_))) = cli.command {
                cli.global.forget_color();
            }
            cli
        }
        Err(error) => return answered(&out, &error),
    };
    let env = match prepare(cli.global, cli.command.as_ref(), out) {
        Ok(env) => env,
        Err(refusal) => {
            let (out, error) = *refusal;
            out.failure(&error);
            return error.exit_code();
        }
    };
    platform::warn(&env);
    let done = Box::pin(dispatch(cli.command, &env)).await;
    env.close().await;
    match done.and_then(|code| env.out.flush().map(|()| code)) {
        Ok(code) => code,
        Err(_) if env.out.is_closed() => 0,
        Err(error) => {
            env.out.failure(&error);
            error.exit_code()
        }
    }
}

/// Reads what all commands need. A failure gives the output back, to be reported on.
fn prepare(
    global: GlobalOptions,
    command: Option<&Command>,
    out: Output,
) -> Result<Env, Box<(Output, Error)>> {
    let gather = || {
        // First, so that a console in a pipe says so whatever else is wrong.
        if matches!(command, None | Some(Command::Console | Command::Demo(_))) {
            local::require_terminal(variable, "tenantpilot runs list")?;
        }
        let paths = Paths::from_env(variable)?;
        let no_input = global.no_input;
        let config = global.load(&paths, &variable)?;
        Ok((paths, config, no_input))
    };
    match gather() {
        Ok((paths, config, no_input)) => {
            let clock = Clock::system();
            Ok(Env { config, paths, clock, out, no_input, opened: Mutex::default() })
        }
        Err(error) => Err(Box::new((out, error))),
    }
}

async fn dispatch(command: Option<Command>, env: &Env) -> Result<u8> {
    match command {
        None | Some(Command::Console) => console(env).await,
        Some(Command::Demo(args)) => Box::pin(demo::run(args, env)).await,
        Some(Command::Seed(args)) => seed::run(args, env).await,
        Some(Command::Overview(args)) => Box::pin(overview::run(args, env)).await,
        Some(Command::Failures(command)) => Box::pin(failures::run(command, env)).await,
        Some(Command::Runs(command)) => runs::run(command, env).await,
        Some(Command::Types(command)) => types::run(command, env).await,
        Some(Command::Runbooks(command)) => Box::pin(runbooks::run(command, env)).await,
        Some(Command::Tenants(command)) => support::tenants(command, env).await,
        Some(Command::Support(command)) => Box::pin(support::run(command, env)).await,
        Some(Command::Workers(command)) => workers::run(command, env).await,
        Some(Command::Worker(args)) => worker::run(args, env).await,
        Some(Command::Alerts(command)) => alerts::run(command, env).await,
        Some(Command::Notifications(command)) => notifications::run(command, env).await,
        Some(Command::BreakGlass(command)) => break_glass::run(command, env).await,
        Some(Command::ProductUsage(command)) => product_usage::run(command, env).await,
        Some(Command::Users(command)) => users::run(command, env).await,
        Some(Command::Platform(command)) => flags::run(command, env).await,
        Some(Command::Login(args)) => auth::login(args, env).await,
        Some(Command::Logout) => auth::logout(env).await,
        Some(Command::Whoami(args)) => auth::whoami(args, env).await,
        Some(Command::Migrate(args)) => platform::migrate(args, env).await,
        Some(Command::Info(args)) => platform::info(args, env).await,
    }
}

async fn console(env: &Env) -> Result<u8> {
    let _log = start_log(env);
    let ops = env.open_console()?;
    let (config, paths) = (env.config.clone(), env.paths.clone());
    let drafts = env.drafts(&env.database_url()?);
    Box::pin(launch::run(Launch { ops, config, paths, drafts })).await
}

/// Starts the log of a command that runs for long. Without a log it still does its work.
fn start_log(env: &Env) -> Option<logging::LogGuard> {
    logging::init(&env.paths, env.config.log_level.value)
        .inspect_err(|error| env.out.message(format!("warning: there is no log: {error}")))
        .ok()
}

/// An environment variable; one that is not UTF-8 is kept visible rather than ignored.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Prints what the parser has to say: help, the version, or what is wrong with the call.
fn answered(out: &Output, error: &clap::Error) -> u8 {
    // Never with styles: help in a pipe or a log must be plain, and it reads well without.
    let text = error.render().to_string();
    match error.kind() {
        ParseErrorKind::DisplayHelp | ParseErrorKind::DisplayVersion => {
            let printed = text.trim_end().lines().try_for_each(|line| out.line(line));
            match printed.and_then(|()| out.flush()) {
                Err(error) if !out.is_closed() => {
                    out.failure(&error);
                    error.exit_code()
                }
                _ => 0,
            }
        }
        ParseErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            text.trim_end().lines().for_each(|line| out.message(line));
            2
        }
        _ => {
            let error = options::refusal(&text);
            out.failure(&error);
            error.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
