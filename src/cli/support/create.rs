//! `support create`: a request, shown before it is sent, and stored once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::subject::{self, SubjectArgs};
use super::{input, preview, repeat, view};
use crate::access::Actor;
use crate::cli::Env;
use crate::cli::ask::{self, ConfirmArgs};
use crate::domain::confirmation::{Action, Confirmation, Given};
use crate::domain::support::{Draft, Evidence, Prepared, Reference, Severity, title};
use crate::domain::window::Window;
use crate::files;
use crate::ops::overview::GetFingerprint;
use crate::ops::support::{Compose, CreateRequest, Created, DiagnosticsSubject, GetRequest};
use crate::ops::{About, Ops};
use crate::{Error, ErrorKind, Result};

/// From then on a person who waits is told under which reference.
const SLOW: Duration = Duration::from_secs(1);

/// Arguments of `support create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    #[command(flatten)]
    pub(super) subject: SubjectArgs,
    /// About the newest run that has this error
    #[arg(long, value_name = "FINGERPRINT", conflicts_with = "run")]
    fingerprint: Option<String>,
    /// Where to look for the error: 1h, 24h, 7d or 30d; where absent, the window that you chose
    /// last (24h if none)
    #[arg(long, value_name = "WINDOW", requires = "fingerprint")]
    window: Option<Window>,
    /// What is wrong, in one line of at most 500 characters
    #[arg(long, value_name = "TEXT")]
    summary: String,
    /// low, normal, high or blocking
    #[arg(long, value_name = "SEVERITY", default_value_t = Severity::default())]
    severity: Severity,
    /// Read how to see it from FILE, or from standard input with "-"; at most 10000 characters
    #[arg(long, value_name = "FILE")]
    pub(super) notes_file: Option<PathBuf>,
    /// Whom to ask
    #[arg(long, value_name = "NAME")]
    contact_name: Option<String>,
    /// Where to reach them: the one address that is kept
    #[arg(long, value_name = "EMAIL")]
    contact_email: Option<String>,
    /// Attach ids and codes only, though you may open diagnostics
    #[arg(long)]
    pub(super) no_diagnostics: bool,
    /// Leave this item of the diagnostics out, such as runs/run-10480; may be given several times
    #[arg(long = "withhold", value_name = "PATH", conflicts_with = "no_diagnostics")]
    pub(super) withhold: Vec<String>,
    /// Mask the passages that stand in FILE, one a line, wherever they occur; "-" reads standard
    /// input
    #[arg(long, value_name = "FILE")]
    pub(super) mask_file: Option<PathBuf>,
    #[command(flatten)]
    confirm: ConfirmArgs,
    /// With --dry-run: show it as Markdown
    #[arg(long, requires = "dry_run", conflicts_with = "json")]
    markdown: bool,
    /// Send under this reference again, after an answer that was lost: it is stored once
    #[arg(long, value_name = "REFERENCE", conflicts_with = "dry_run")]
    reference: Option<Reference>,
    /// Answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl CreateArgs {
    /// What was written, from flags and files.
    fn draft(&self, env: &Env) -> Result<Draft> {
        let from_stdin = |path: &Option<PathBuf>| path.as_deref().is_some_and(files::is_stdin);
        if from_stdin(&self.notes_file) && from_stdin(&self.mask_file) {
            return Err(Error::usage("--notes-file - and --mask-file - both read standard input")
                .hint("name a file for one of them"));
        }
        let notes = self.notes_file.as_deref().map(input::notes).transpose()?;
        if notes.as_ref().is_some_and(String::is_empty) {
            env.out.message("warning: the notes are empty");
        }
        let mask = self.mask_file.as_deref().map(|path| input::passages(env, path)).transpose()?;
        Ok(Draft {
            severity: self.severity,
            summary: self.summary.clone(),
            notes: notes.unwrap_or_default(),
            contact_name: self.contact_name.clone().unwrap_or_default(),
            contact_email: self.contact_email.clone().unwrap_or_default(),
            attach: !self.no_diagnostics,
            mask: mask.unwrap_or_default(),
            withhold: self.withhold.iter().cloned().collect(),
        })
    }

    /// What the row of a denial says it is about.
    fn about_denied(&self) -> About {
        let about = match (&self.fingerprint, self.subject.subject()) {
            (Some(fingerprint), _) => About::of("failure_fingerprint", fingerprint),
            (None, subject) => subject.map_or_else(About::default, DiagnosticsSubject::about),
        };
        about.dry_run(self.confirm.dry_run)
    }

    /// What it is about; an error stands for the newest run that has it.
    async fn about(&self, ops: &Ops, actor: &Actor) -> Result<DiagnosticsSubject> {
        if let Some(fingerprint) = self.fingerprint.clone() {
            let asked = GetFingerprint { fingerprint, window: self.window };
            let about = self.about_denied();
            let sample = ops.prepare::<Compose, _>(actor, about, asked).await?.sample;
            let tenant_id = self.subject.tenant.or(sample.tenant_id);
            return Ok(DiagnosticsSubject::Run { run_id: sample.run_id, tenant_id });
        }
        self.subject.subject().ok_or_else(unsaid)
    }
}

fn unsaid() -> Error {
    Error::usage("it was not said what it is about")
        .hint("add: --tenant ID, --run ID or --fingerprint FINGERPRINT")
}

/// Sends a request, or shows what would be sent.
///
/// # Errors
/// *Usage* for what was written wrong, *refused* for what still looks like a secret, and whatever
/// the operation says.
pub async fn run(args: CreateArgs, env: &Env) -> Result<u8> {
    if args.fingerprint.is_none() && args.subject.subject().is_none() {
        return Err(unsaid());
    }
    let dry_run = args.confirm.dry_run;
    let confirmation = Confirmation::of(&Action::SendRequest)?;
    let given = args.confirm.given(env);
    if given != Given::Ask {
        // What could not be sent is not opened either.
        confirmation.allow(&given, dry_run)?;
    }
    let draft = args.draft(env)?;
    if !dry_run {
        preview::no_problems(&draft.problems(), env)?;
    }
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    ops.allow::<CreateRequest>(&session, args.about_denied()).await?;
    let subject = args.about(&ops, &session.actor).await?;
    let stored = match args.reference {
        Some(reference) => is_stored(&ops, &session.actor, reference).await?,
        None => false,
    };
    let compose = Compose { subject, attach: draft.attach };
    let evidence = match ops.run(&session.actor, compose).await {
        Ok(evidence) => evidence,
        Err(error) => return Err(subject::explained(env, &ops, &session, subject, error).await),
    };
    if !stored {
        known_items(&evidence, &draft, env)?;
        preview::useless_masks(&evidence, &draft, env);
    }
    let prepared = evidence.prepare(&draft);
    if dry_run {
        return preview::show(&prepared, args.json, args.markdown, env);
    }
    if !stored {
        preview::verdict(&prepared, env)?;
        if given == Given::Ask {
            confirmed(&prepared, &confirmation, env).await?;
        }
    }
    let reference = args.reference.unwrap_or_else(|| Reference::new(env.clock.now()));
    let request = CreateRequest { evidence: Arc::new(evidence), draft, reference };
    match send(&ops, &session.actor, request, env).await {
        Ok(created) => told(&created, &prepared, &args, env),
        Err(error) if error.is_uncertain() || error.retry_can_help() => {
            let (known, look) = if error.is_uncertain() {
                let look = format!("look: tenantpilot support show {reference}; ");
                ("it may or may not have been stored", look)
            } else {
                ("nothing was stored", String::new())
            };
            env.out.message(format!("{known}; this stores it once in any case:"));
            env.out.message(repeat::command(&args, &prepared, reference));
            Err(Error::new(error.kind(), format!("{reference}: {}", error.message()))
                .hint(format!("{look}repeat it with: --reference {reference}")))
        }
        Err(error) => Err(error),
    }
}

/// Whether a request is there already under this reference; whose it is the operation looks at.
async fn is_stored(ops: &Ops, actor: &Actor, reference: Reference) -> Result<bool> {
    match ops.run(actor, GetRequest { reference }).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Refuses to leave out what is not there: a slip would send what was to stay.
fn known_items(evidence: &Evidence, draft: &Draft, env: &Env) -> Result<()> {
    let Some(bundle) = evidence.bundle() else {
        if !draft.withhold.is_empty() {
            env.out.message("no diagnostics go with it, so there is no item to leave out");
        }
        return Ok(());
    };
    let items = || bundle.sections.iter().flat_map(|section| &section.items);
    match draft.withhold.iter().find(|path| items().all(|item| item.path != **path)) {
        Some(path) => {
            let path = crate::domain::safe_text::quoted(path);
            Err(Error::usage(format!("--withhold: the diagnostics have no item {path}"))
                .hint("--dry-run shows the path of every item; nothing was sent"))
        }
        None => Ok(()),
    }
}

/// Shows at a terminal what would be sent, and asks.
async fn confirmed(prepared: &Prepared, confirmation: &Confirmation, env: &Env) -> Result<()> {
    for line in view::request(prepared, None, env) {
        env.out.message(line);
    }
    env.out.message("");
    let what = "This is stored as it stands here, for good.";
    let given = ask::asked(env, Given::Ask, confirmation, what).await;
    confirmation.allow(&given, false)
}

/// Sends it, and says under which reference where that takes long.
async fn send(ops: &Ops, actor: &Actor, request: CreateRequest, env: &Env) -> Result<Created> {
    let reference = request.reference;
    let work = ops.run(actor, request);
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => done,
        () = tokio::time::sleep(SLOW) => {
            env.out.message(format!("sending {reference}: the database has not answered yet"));
            work.await
        }
    }
}

/// Says what became of it: the reference alone on standard output, all else beside it.
fn told(created: &Created, prepared: &Prepared, args: &CreateArgs, env: &Env) -> Result<u8> {
    let request = &created.request;
    let reference = request.reference;
    if args.json {
        // What a mask holds back now says nothing about what was stored before.
        let manifest = created.created.then(|| prepared.manifest());
        env.out.json(&json!({
            "schema_version": 1,
            "created": created.created,
            "differs": created.differs,
            "manifest": manifest,
            "support_request": request,
        }))?;
    }
    if created.differs {
        return Err(Error::refused(format!(
            "{reference} was stored before, and says something else than this; nothing was stored"
        ))
        .hint(format!(
            "look at it: tenantpilot support show {reference}; without --reference this is a new request"
        )));
    }
    if !args.json {
        let printed = env.out.line(reference.to_string());
        // Told in any case: it is stored, whether anybody reads standard output or not.
        if created.created {
            env.out.message(format!("sent, about {}", title(&prepared.subject)));
            env.out.message(format!(
                "{}; {}",
                prepared.attachment_mode.label(),
                prepared.manifest()
            ));
        } else {
            env.out.message("it was stored before, and was not stored again");
        }
        env.out.message(format!("look at it: tenantpilot support show {reference}"));
        printed?;
    }
    Ok(0)
}
