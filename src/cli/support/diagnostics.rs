//! `support diagnostics`: opened once, shown or written to a private file.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::subject::{self, SubjectArgs};
use super::view;
use crate::cli::new_file::NewFile;
use crate::cli::{Env, text};
use crate::domain::json;
use crate::domain::safe_text::SafeText;
use crate::domain::support::{Bundle, Subject, bundle_markdown, title};
use crate::ops::support::OpenDiagnostics;
use crate::{Error, Result};

/// Arguments of `support diagnostics`.
#[derive(Debug, clap::Args)]
pub struct DiagnosticsArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Answer as JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Answer as Markdown
    #[arg(long)]
    markdown: bool,
    /// Write them to FILE, which must not be there yet and is private, or to standard output
    /// with "-"
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Opens diagnostics.
///
/// # Errors
/// *Usage* for a file that is there already, and whatever the operation says.
pub async fn run(args: DiagnosticsArgs, env: &Env) -> Result<u8> {
    let subject = args.subject.subject().ok_or_else(|| {
        Error::usage("it was not said what to open").hint("add: --tenant ID or --run ID")
    })?;
    // Before the opening, which is on record.
    let output = NewFile::reserve(args.output.as_deref().unwrap_or("-".as_ref()))?;
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let evidence = match ops.run(&session.actor, OpenDiagnostics { subject }).await {
        Ok(evidence) => evidence,
        Err(error) => return Err(subject::explained(env, &ops, &session, subject, error).await),
    };
    let bundle = evidence.bundle().ok_or_else(|| Error::failed("there are no diagnostics"))?;
    let content = if args.json {
        json::text(&as_json(evidence.subject(), bundle))? + "\n"
    } else if args.markdown {
        bundle_markdown(evidence.subject(), bundle)
    } else {
        lines(evidence.subject(), bundle, env)
    };
    // JSON spells what a line of text could only lose.
    let written = match (args.json, output.is_stdout()) {
        (true, true) => env.out.json(&as_json(evidence.subject(), bundle)).map(|()| None)?,
        _ => output.write(&content, env)?,
    };
    if let Some(name) = written {
        env.out.message(format!("diagnostics written to {name}"));
        env.out.message(bundle.tally().sentence());
    } else if !args.json {
        env.out.message(bundle.tally().sentence());
    }
    Ok(0)
}

fn as_json(subject: &Subject, bundle: &Bundle) -> Value {
    let run = subject.run.as_ref();
    json!({
        "schema_version": 1,
        "support_diagnostics": {
            "opened_at": bundle.opened_at,
            "workspace_id": subject.workspace_id,
            "workspace_name": subject.workspace_name,
            "tenant_id": subject.tenant_id,
            "tenant_name": subject.tenant_name,
            "run_id": run.map(|run| run.id),
            "type": run.map(|run| run.run_type.clone()),
            "headline": bundle.headline(),
            "dominant_issue": bundle.dominant_issue(),
            "sections": bundle.sections,
            "withheld": bundle.tally(),
            "manifest": bundle.tally().sentence(),
        },
    })
}

/// As text, each line clean and ended.
fn lines(subject: &Subject, bundle: &Bundle, env: &Env) -> String {
    let mut lines = text::wrapped("", &format!("support diagnostics: {}", title(subject)));
    lines.extend(view::field("opened", &text::time(bundle.opened_at, env.zone())));
    lines.extend(view::field("redaction", &bundle.tally().sentence()));
    lines.extend(view::sections(bundle, env));
    let clean: Vec<String> = lines.iter().map(|line| SafeText::new(line).to_string()).collect();
    clean.join("\n") + "\n"
}
