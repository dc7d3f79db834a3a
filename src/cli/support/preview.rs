//! What would be stored, and what keeps it from being sent.

use serde_json::{Value, json};

use super::view;
use crate::cli::Env;
use crate::domain::sanitize::{Redacted, Rule};
use crate::domain::support::{
    CONTEXT_SCHEMA_VERSION, Draft, Evidence, Place, Prepared, Problem, request_markdown,
};
use crate::{Error, Result};

/// Shows what would be stored; ends as sending it would.
///
/// # Errors
/// As [`verdict`].
pub fn show(prepared: &Prepared, json: bool, markdown: bool, env: &Env) -> Result<u8> {
    if json {
        env.out.json(&as_json(prepared))?;
        return verdict(prepared, env).map(|()| 0);
    }
    if markdown {
        env.out.lines(&request_markdown(prepared, None))?;
    } else {
        for line in view::request(prepared, None, env) {
            env.out.line(line)?;
        }
    }
    if prepared.is_ready() {
        env.out.message("nothing was stored; the same without --dry-run sends it");
        return Ok(0);
    }
    if !prepared.suspects.is_empty() {
        env.out.line("")?;
        env.out.line("STILL LOOKS LIKE A SECRET")?;
        for suspect in &prepared.suspects {
            let passage = format!("{}: ", suspect.place);
            for line in crate::cli::text::wrapped(&format!("  {passage}"), &suspect.text) {
                env.out.line(line)?;
            }
        }
    }
    verdict(prepared, env).map(|()| 0)
}

/// The columns as they would be stored, and beside them what was masked and what is wrong.
fn as_json(prepared: &Prepared) -> Value {
    let text =
        |redacted: &Option<Redacted>| redacted.as_ref().map(|redacted| redacted.text.clone());
    let hits =
        |redacted: &Option<Redacted>| redacted.as_ref().map(|redacted| redacted.hits.clone());
    let subject = &prepared.subject;
    let suspects: Vec<Value> = prepared
        .suspects
        .iter()
        .map(|suspect| json!({ "place": suspect.place.to_string(), "text": suspect.text }))
        .collect();
    json!({
        "schema_version": 1,
        "dry_run": true,
        "ready": prepared.is_ready(),
        "support_request": {
            "workspace_id": subject.workspace_id,
            "tenant_id": subject.tenant_id,
            "run_id": subject.run.as_ref().map(|run| run.id),
            "primary_context": subject.primary_context(),
            "severity": prepared.severity,
            "summary": prepared.summary.text,
            "reproduction_notes": text(&prepared.notes),
            "contact_name": text(&prepared.contact_name),
            "contact_email": prepared.contact_email,
            "attachment_mode": prepared.attachment_mode,
            "context_schema_version": CONTEXT_SCHEMA_VERSION,
            "context": prepared.context(),
        },
        "masks": {
            "summary": prepared.summary.hits,
            "reproduction_notes": hits(&prepared.notes),
            "contact_name": hits(&prepared.contact_name),
        },
        "manifest": prepared.manifest(),
        "withheld": prepared.withheld,
        "items_left_out": prepared.withheld_items,
        "problems": prepared.problems,
        "suspects": suspects,
    })
}

/// Refuses a draft with problems: the first is the error, the others are said before it.
///
/// # Errors
/// *Usage*.
pub fn no_problems(problems: &[Problem], env: &Env) -> Result<()> {
    let Some((first, more)) = problems.split_first() else { return Ok(()) };
    for problem in more {
        env.out.message(format!("also: {}", problem.text));
    }
    Err(Error::usage(first.text.clone()).hint("nothing was sent"))
}

/// Whether it may be sent. What looks like a secret is told by its place alone: standard error is
/// where logs are made of.
///
/// # Errors
/// *Usage* for a problem, *refused* where something looks like a secret.
pub fn verdict(prepared: &Prepared, env: &Env) -> Result<()> {
    no_problems(&prepared.problems, env)?;
    let mut places: Vec<&Place> = Vec::new();
    for suspect in &prepared.suspects {
        if !places.contains(&&suspect.place) {
            places.push(&suspect.place);
        }
    }
    for place in &places {
        let way = match place {
            Place::Item(path) => format!("mask it by --mask-file, or add: --withhold {path}"),
            Place::Subject => "mask it by --mask-file".to_owned(),
            _ => "write it differently, or mask it by --mask-file".to_owned(),
        };
        env.out.message(format!("{place}: something still looks like a secret; {way}"));
    }
    match prepared.suspects.len() {
        0 => Ok(()),
        count => {
            let what = match count {
                1 => "1 passage still looks like a secret".to_owned(),
                many => format!("{many} passages still look like secrets"),
            };
            Err(Error::refused(what).hint("--dry-run shows them; nothing was sent"))
        }
    }
}

/// Warns of passages to mask that change nothing: a slip in one would send what was to stay.
pub fn useless_masks(evidence: &Evidence, draft: &Draft, env: &Env) {
    let masked = |mask: Vec<String>| {
        let tried = evidence.prepare(&Draft { mask, ..draft.clone() });
        let own = tried.withheld.counts().find(|(rule, _)| *rule == Rule::Operator);
        own.map_or(0, |(_, count)| count)
    };
    // One that the operator's mask stood in before is no find of a passage.
    let before = masked(Vec::new());
    for (at, passage) in draft.mask.iter().enumerate() {
        if masked(vec![passage.clone()]) <= before {
            let at = at + 1;
            env.out.message(format!(
                "warning: passage {at} of the mask file masks nothing that is not masked already"
            ));
        }
    }
}
