//! Diagnostics and requests as a document to read or to pass on.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::{Bundle, Prepared, Reference, SectionKey, Subject};
use crate::domain::safe_text::SafeText;

/// What goes before a character that Markdown would take for its own.
const ESCAPED: &[char] = &['\\', '`', '*', '_', '[', ']', '<', '>', '#', '|', '~', '&', '!'];

/// One line of text, with nothing in it that Markdown would act on. Masks stay as they are.
fn plain(text: &str) -> String {
    let safe = SafeText::new(text);
    let mut out = String::with_capacity(safe.as_str().len());
    for c in safe.as_str().chars() {
        if ESCAPED.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Diagnostics as Markdown, under a heading that says what they are of.
pub fn bundle_markdown(subject: &Subject, bundle: &Bundle) -> String {
    let mut out = String::new();
    let of = plain(&title(subject));
    let _ = writeln!(out, "# Support diagnostics: {of}\n");
    let _ = writeln!(out, "Opened at {}, {}.", time(bundle.opened_at), bundle.tally().sentence());
    sections(&mut out, bundle, "##");
    out
}

/// What a request holds, as Markdown; `reference` where it was sent.
pub fn request_markdown(prepared: &Prepared, reference: Option<&str>) -> String {
    let mut out = String::new();
    let _ = match reference {
        Some(reference) => writeln!(out, "# Support request {reference}\n"),
        None => writeln!(out, "# Support request, not sent yet\n"),
    };
    body(&mut out, prepared);
    out
}

/// A request that was sent, as Markdown, with when and by whom.
pub fn sent_markdown(
    prepared: &Prepared,
    reference: Reference,
    sent_at: DateTime<Utc>,
    sender: &str,
) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# Support request {reference}\n");
    let _ = writeln!(out, "- sent: {} by {}", time(sent_at), plain(sender));
    body(&mut out, prepared);
    out
}

fn body(out: &mut String, prepared: &Prepared) {
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "- {name}: {}", plain(value));
    };
    line("about", &title(&prepared.subject));
    line("severity", prepared.severity.as_str());
    line("summary", &prepared.summary.text);
    if let Some(name) = &prepared.contact_name {
        line("contact", &name.text);
    }
    if let Some(email) = &prepared.contact_email {
        line("e-mail", email);
    }
    line("attachment", prepared.attachment_mode.as_str());
    line("redaction", &prepared.manifest());
    if let Some(notes) = &prepared.notes {
        let _ = writeln!(out, "\n## Reproduction notes\n");
        for text in notes.text.lines() {
            // Indented: kept line by line, whatever it looks like.
            let _ = writeln!(out, "    {}", SafeText::new(text));
        }
    }
    if let Some(run) = &prepared.subject.run {
        let _ = writeln!(out, "\n## Run {}\n", run.id);
        for fact in &run.facts {
            let _ = writeln!(out, "- {}: {}", plain(&fact.label()), plain(&fact.text()));
        }
    }
    if let Some(bundle) = &prepared.diagnostics {
        let _ = writeln!(out, "\n## Diagnostics\n\nOpened at {}.", time(bundle.opened_at));
        sections(out, bundle, "###");
    }
}

/// What a subject is called, `run 10482 (policy.sync), tenant Fabrikam (412)`.
pub fn title(subject: &Subject) -> String {
    let tenant = format!("tenant {} ({})", subject.tenant_name, subject.tenant_id);
    match &subject.run {
        Some(run) => format!("run {} ({}), {tenant}", run.id, run.run_type),
        None => tenant,
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn sections(out: &mut String, bundle: &Bundle, level: &str) {
    for section in &bundle.sections {
        let _ = writeln!(out, "\n{level} {}\n", section.key.label());
        if let Some(why) = &section.empty {
            let _ = writeln!(out, "Empty: {}.", plain(why));
            continue;
        }
        if let Some(newest) = section.newest_at {
            let _ = writeln!(out, "Newest at {}.\n", time(newest));
        }
        for item in &section.items {
            // The overview is one item; its facts speak for themselves.
            let indent = if section.key == SectionKey::Overview { "" } else { "  " };
            if !indent.is_empty() {
                let _ = writeln!(out, "- {}", plain(&item.title));
            }
            if item.withheld {
                let _ = writeln!(out, "{indent}- left out by the operator");
            }
            for fact in &item.facts {
                let (label, text) = (plain(&fact.label()), plain(&fact.text()));
                let _ = writeln!(out, "{indent}- {label}: {text}");
            }
        }
        if section.more > 0 {
            let _ = writeln!(out, "- and {} more", section.more);
        }
    }
}
