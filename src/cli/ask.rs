//! What is asked of the person: passwords, from a file or without echo, and typed names.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::Env;
use crate::access::Actor;
use crate::domain::confirmation::{Confirmation, Given, Level};
use crate::domain::safe_text::quoted;
use crate::domain::start_reason::{StartReason, StartReasonCode};
use crate::ops::password::{self, check_rules};
use crate::ops::{Consent, Operation, Ops};
use crate::{Error, Result};
use crate::{files, paths};

/// The largest password file; a longer one is not a password.
const MAX_FILE: u64 = 64 * 1024;
/// Signals that end the program, and have to give the terminal its echo back first.
const ENDING: [SignalKind; 4] =
    [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];

/// Where a password comes from, other than the person.
#[derive(Debug, Clone, clap::Args)]
pub struct PasswordSource {
    /// Read the password from FILE, or from standard input with "-"; one line
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

impl PasswordSource {
    /// The password of an account that is there.
    ///
    /// # Errors
    /// *Usage* where there is none and nobody may be asked.
    pub async fn existing(&self, env: &Env) -> Result<SecretString> {
        match &self.password_file {
            Some(path) => from_file(env, path),
            None => hidden(env, "Password:").await,
        }
    }

    /// A new password, checked against the rules; typed twice where it is typed.
    ///
    /// # Errors
    /// *Usage* where there is none, it breaks a rule, or it was mistyped.
    pub async fn new_one(&self, env: &Env, who: &str) -> Result<SecretString> {
        if let Some(path) = &self.password_file {
            let password = from_file(env, path)?;
            check_rules(&password)?;
            return Ok(password);
        }
        let first = hidden(env, &format!("New password of {who}:")).await?;
        check_rules(&first)?;
        let second = hidden(env, "Once more:").await?;
        if first.expose_secret() != second.expose_secret() {
            return Err(Error::usage("the two passwords differ").hint("nothing was changed"));
        }
        Ok(first)
    }

    /// Refuses early what could not be asked later.
    ///
    /// # Errors
    /// *Usage*.
    pub fn check(&self, env: &Env) -> Result<()> {
        if self.password_file.is_some() { Ok(()) } else { may_ask(env) }
    }
}

fn may_ask(env: &Env) -> Result<()> {
    let trouble = if env.no_input {
        "a password is needed, and --no-input forbids to ask for it"
    } else if io::stdin().is_terminal() {
        return Ok(());
    } else {
        "a password is needed, and standard input is not a terminal to ask at"
    };
    Err(Error::usage(trouble).hint("give --password-file FILE, or - to read standard input"))
}

fn from_file(env: &Env, path: &Path) -> Result<SecretString> {
    let shown =
        if files::is_stdin(path) { "standard input".to_owned() } else { paths::shown(path) };
    let content = files::read_or_stdin(path, MAX_FILE).map_err(|refusal| {
        Error::usage(format!("cannot read {shown}: {}", refusal.reason()))
            .hint("name a regular file with the password alone in it, or - for standard input")
    })?;
    if content.open_to_others() {
        env.out.message(format!("warning: others can read {shown}; run: chmod 600 {shown}"));
    }
    let text = String::from_utf8(content.bytes)
        .map_err(|_| Error::usage(format!("{shown} holds no password: it is not UTF-8")))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(Error::usage(format!("{shown} holds no password: it is empty")));
    }
    if line.contains('\n') {
        return Err(Error::usage(format!("{shown} holds more than one line")));
    }
    Ok(password::secret(line))
}

/// Asks without echo.
async fn hidden(env: &Env, question: &str) -> Result<SecretString> {
    may_ask(env)?;
    // Off before the question: a quick hand or a paste must not be shown either.
    let before = echo_off()?;
    let hiding = before.as_ref().and_then(|before| hide_again(&silent(before)));
    env.out.question(question);
    // Echo is off already: a reader that turned it off again could do so after a signal gave
    // it back.
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        read.map(|_| line)
    })
    .await;
    if let Some(hiding) = hiding {
        hiding.abort();
        // It must not hide again what is restored now.
        let _ = hiding.await;
    }
    restore(before.as_ref());
    match read {
        Ok(Ok(text)) if !text.is_empty() => Ok(password::secret(text)),
        Ok(Ok(_)) => Err(Error::usage("no password was given")),
        Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
            // The signal that came with it ends the program meanwhile, in the usual way.
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err(Error::failed("interrupted"))
        }
        _ => Err(Error::usage("no password could be read from the terminal")),
    }
}

/// Hides what is typed; gives the modes to go back to. From the first question on, a signal
/// restores them before it ends the program: a shell without echo is a nasty surprise.
fn echo_off() -> Result<Option<Termios>> {
    let Ok(before) = tcgetattr(io::stdin()) else { return Ok(None) };
    for kind in ENDING {
        let before = before.clone();
        let mut signals =
            signal(kind).map_err(|_| Error::failed("signals cannot be waited for"))?;
        tokio::spawn(async move {
            signals.recv().await;
            restore(Some(&before));
            std::process::exit(128 + kind.as_raw_value());
        });
    }
    // If this fails, there is no terminal to show anything.
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, &silent(&before));
    Ok(Some(before))
}

/// The modes in which only the end of the line is shown.
fn silent(before: &Termios) -> Termios {
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ECHONL);
    silent
}

/// Turns echo off again each time the program continues after a stop: the shell sets the modes of
/// the terminal meanwhile.
fn hide_again(silent: &Termios) -> Option<JoinHandle<()>> {
    let mut continued = signal(SignalKind::from_raw(Signal::CONT.as_raw())).ok()?;
    let silent = silent.clone();
    Some(tokio::spawn(async move {
        while continued.recv().await.is_some() {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &silent);
        }
    }))
}

fn restore(modes: Option<&Termios>) {
    if let Some(modes) = modes {
        // There is nothing else to try if this fails.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, modes);
    }
}

/// What confirms a change, or that it is only a dry run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfirmArgs {
    /// Confirm it; what needs a typed phrase takes --confirm instead
    #[arg(long, conflicts_with = "confirm")]
    yes: bool,
    /// The phrase that confirms it; without it the command names the phrase
    #[arg(long, value_name = "PHRASE")]
    confirm: Option<String>,
    /// Check everything and change nothing; needs no confirmation
    #[arg(long)]
    pub dry_run: bool,
}

impl ConfirmArgs {
    /// What was given; `Ask` where nothing was and the terminal can ask.
    pub fn given(&self, env: &Env) -> Given {
        match (&self.confirm, self.yes) {
            (Some(typed), _) => Given::Typed(typed.clone()),
            (None, true) => Given::Yes,
            (None, false) if !self.dry_run && env.can_ask() => Given::Ask,
            (None, false) => Given::Nothing,
        }
    }
}

/// The same with a reason.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConsentArgs {
    #[command(flatten)]
    confirm: ConfirmArgs,
    /// Why: DATA_REPAIR, INCIDENT, SUPPORT or SECURITY
    #[arg(long, value_name = "CODE", requires = "reason")]
    reason_code: Option<String>,
    /// Why, in your words; at most 500 characters, and at least 10 where a reason is required
    #[arg(long, value_name = "TEXT", requires = "reason_code")]
    reason: Option<String>,
}

impl ConsentArgs {
    /// Whether it is only a dry run.
    pub fn is_dry_run(&self) -> bool {
        self.confirm.dry_run
    }

    /// What goes to the operation, which checks it, so that a refusal is on record.
    ///
    /// # Errors
    /// *Usage* for an unknown code of a reason.
    pub fn consent(&self, env: &Env) -> Result<Consent> {
        let reason = match (&self.reason_code, &self.reason) {
            (Some(code), Some(text)) => {
                Some(StartReason::as_typed(code.parse::<StartReasonCode>()?, text))
            }
            _ => None,
        };
        Ok(Consent { given: self.confirm.given(env), reason, dry_run: self.is_dry_run() })
    }
}

/// Runs a change that has to be confirmed. At a terminal, where nothing was given yet, it asks for
/// what the operation wants; `what` says what would happen.
///
/// # Errors
/// Those of the operation.
pub async fn confirmed<O: Operation>(
    env: &Env,
    ops: &Ops,
    actor: &Actor,
    what: &str,
    consent: Consent,
    change: impl Fn(Consent) -> O,
) -> Result<O::Output> {
    match ops.run(actor, change(consent.clone())).await {
        Err(error) if consent.given == Given::Ask => {
            let Some(confirmation) = error.asks() else { return Err(error) };
            let given = asked(env, Given::Ask, confirmation, what).await;
            ops.run(actor, change(Consent { given, ..consent })).await
        }
        done => done,
    }
}

/// What was given, or what a person types who is asked for it.
pub async fn asked(env: &Env, given: Given, confirmation: &Confirmation, what: &str) -> Given {
    if given != Given::Ask {
        return given;
    }
    let wanted = quoted(confirmation.asks());
    let wanted = if confirmation.level == Level::Key { confirmation.asks() } else { &wanted };
    env.out.question(format!("{what} Type {wanted} to go on:"));
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    })
    .await;
    let Ok(Ok(line)) = read else { return Given::Nothing };
    match line.trim_end_matches(['\r', '\n']) {
        "" => Given::Nothing,
        typed => confirmation.read(typed),
    }
}
