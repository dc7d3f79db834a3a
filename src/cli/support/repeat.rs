//! The command that sends a request once more under its reference.

use super::create::CreateArgs;
use crate::domain::confirmation::SEND;
use crate::domain::shell::quoted;
use crate::domain::support::{Prepared, Reference, Severity};

/// The command, for a shell. Its texts are the redacted ones: what is stored of them is the same,
/// and nothing of what was masked stands in it. What an error stood for is the run that it was.
pub fn command(args: &CreateArgs, prepared: &Prepared, reference: Reference) -> String {
    let mut words = vec!["tenantpilot support create".to_owned()];
    let mut flag = |name: &str, value: &str| words.push(format!("--{name} {}", quoted(value)));
    if let Some(run) = &prepared.subject.run {
        flag("run", &run.id.to_string());
    }
    flag("tenant", &prepared.subject.tenant_id.to_string());
    flag("summary", &prepared.summary.text);
    if prepared.severity != Severity::default() {
        flag("severity", prepared.severity.as_str());
    }
    if let Some(path) = &args.notes_file {
        flag("notes-file", &path.to_string_lossy());
    }
    if let Some(name) = &prepared.contact_name {
        flag("contact-name", &name.text);
    }
    if let Some(email) = &prepared.contact_email {
        flag("contact-email", email);
    }
    for path in &args.withhold {
        flag("withhold", path);
    }
    if let Some(path) = &args.mask_file {
        flag("mask-file", &path.to_string_lossy());
    }
    flag("confirm", SEND);
    flag("reference", &reference.to_string());
    if args.no_diagnostics {
        words.push("--no-diagnostics".to_owned());
    }
    if args.json {
        words.push("--json".to_owned());
    }
    words.join(" ")
}
