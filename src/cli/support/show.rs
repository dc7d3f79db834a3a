//! `support show`: one request as it was stored.

use serde_json::{Value, json};

use super::view::{self, Sent};
use crate::Result;
use crate::cli::Env;
use crate::domain::capability::Capability;
use crate::domain::sanitize::redact;
use crate::domain::support::{
    CONTEXT_SCHEMA_VERSION, EvidenceRun, Fact, Prepared, Reference, Subject, sent_markdown,
};
use crate::ops::support::{GetRequest, RequestDetail};

/// Arguments of `support show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The request's reference, in any case
    #[arg(value_name = "REFERENCE")]
    reference: Reference,
    /// Answer as JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Answer as Markdown
    #[arg(long)]
    markdown: bool,
}

/// Shows one request.
///
/// # Errors
/// *Not found* also for one that may not be seen.
pub async fn run(args: ShowArgs, env: &Env) -> Result<u8> {
    let ops = env.ops().await?;
    let session = env.session(&ops).await?;
    let detail = ops.run(&session.actor, GetRequest { reference: args.reference }).await?;
    if args.json {
        env.out.json(&json!({ "schema_version": 1, "support_request": detail }))?;
        return Ok(0);
    }
    let (request, stored) = (&detail.request, as_stored(&detail));
    let (at, by) = (request.created_at, request.created_by_name.as_str());
    if args.markdown {
        env.out.lines(&sent_markdown(&stored, request.reference, at, by))?;
    } else {
        let answered_at = detail.answered_at.as_str();
        let sent = Sent { reference: request.reference.to_string(), at, by, answered_at };
        view::request(&stored, Some(&sent), env).iter().try_for_each(|line| env.out.line(line))?;
    }
    if detail.diagnostics_hidden {
        let needed = Capability::SupportDiagnosticsView;
        env.out
            .message(format!("its diagnostics are not shown: this needs the capability {needed}"));
    } else if detail.context_schema_version > CONTEXT_SCHEMA_VERSION {
        env.out.message("a newer version stored it: what this one cannot read is in --json");
    }
    Ok(0)
}

/// A stored request as it was when it was sent.
fn as_stored(detail: &RequestDetail) -> Prepared {
    let (request, context) = (&detail.request, &detail.context);
    let name = |of: &str| context[of]["name"].as_str().unwrap_or("?").to_owned();
    let run = request.run_id.map(|id| EvidenceRun {
        id,
        run_type: context["run"]["type"].as_str().unwrap_or("?").to_owned(),
        facts: facts(&context["run"]),
    });
    let left_out = context["redaction"]["items_left_out"].as_u64();
    Prepared {
        severity: request.severity,
        summary: redact(&request.summary),
        notes: detail.reproduction_notes.as_deref().map(redact),
        contact_name: detail.contact_name.as_deref().map(redact),
        contact_email: detail.contact_email.clone(),
        attachment_mode: request.attachment_mode,
        subject: Subject {
            workspace_id: request.workspace_id,
            workspace_name: name("workspace"),
            tenant_id: request.tenant_id,
            tenant_name: name("tenant"),
            run,
        },
        diagnostics: detail.bundle(),
        withheld: detail.withheld(),
        withheld_items: left_out.and_then(|n| usize::try_from(n).ok()).unwrap_or_default(),
        problems: Vec::new(),
        suspects: Vec::new(),
        opened_at: request.created_at,
    }
}

/// What was stored of a run beside its id and type.
fn facts(run: &Value) -> Vec<Fact> {
    let fields = run.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !matches!(name.as_str(), "id" | "type"))
        .map(|(name, value)| Fact { name: name.clone(), value: value.clone() })
        .collect()
}
