//! A request that was sent, whole: what it says, what it is about, and what went with it.

use serde_json::Value;

use super::bundle;
use super::list::NOTHING;
use super::requests::{severity_in, subject_of, tenant_of};
use crate::domain::capability::Capability;
use crate::domain::support::{AttachmentMode, CONTEXT_SCHEMA_VERSION, Fact, Reference};
use crate::ops::AnyOutput;
use crate::ops::support::{GetRequest, RequestDetail};
use crate::tui::command::{Command, Context};
use crate::tui::msg::{Follows, Request, Sub};
use crate::tui::remote::Remote;
use crate::tui::screen::{Cx, Hint, Reply, State, Subject, Target};
use crate::tui::slot::Slot;
use crate::tui::theme::Role;
use crate::tui::widgets::document::Document;
use crate::tui::widgets::page::Page;
use crate::tui::widgets::paper::{Act, Paper};

const NAME: &str = "attached ";

#[derive(Debug)]
pub struct RequestPaper {
    reference: Reference,
    detail: Remote<RequestDetail>,
}

impl RequestPaper {
    pub fn page(reference: Reference) -> Page<Self> {
        Page::of(Self { reference, detail: Remote::default() })
    }
}

fn head(paper: &mut Paper<'_>, detail: &RequestDetail, cx: &Cx<'_>) {
    let look = cx.look;
    let request = &detail.request;
    let (role, severity) = severity_in(request.severity, look);
    paper.put(vec![
        look.span(Role::Title, request.reference.to_string()),
        look.span(Role::Text, "  "),
        look.span(role, severity),
    ]);
    paper.text(Role::Title, 0, &request.summary);
    paper.gap();
    let mut line = |name: &str, text: &str, act: Option<Act>| {
        let name = format!("{name:<width$}", width = NAME.len());
        paper.leading(Role::Text, 0, &name, text, act);
    };
    let at = look.full_time(request.created_at);
    line("sent", &format!("{at} by {}", request.created_by_name), None);
    if let Some(run) = request.run_id {
        let kind = detail.context["run"]["type"].as_str().unwrap_or("");
        line("run", &format!("{run} {kind}; enter opens it"), Some(Target::Run(run).into()));
    }
    let tenant = format!("{} ({}); enter shows it", tenant_of(request), request.tenant_id);
    line("tenant", &tenant, Some(Target::Tenant(request.tenant_id).into()));
    if let Some(name) = &request.workspace_name {
        line("workspace", &format!("{name} ({})", request.workspace_id), None);
    }
    match (&detail.contact_name, &detail.contact_email) {
        (None, None) => line("contact", "none was given", None),
        (name, email) => {
            let both = [name.as_deref(), email.as_deref()];
            let both: Vec<&str> = both.into_iter().flatten().collect();
            line("contact", &both.join(", "), None);
        }
    }
    if !detail.answered_at.is_empty() {
        line("goes to", &detail.answered_at, None);
    }
    line("attached", request.attachment_mode.label(), None);
}

fn notes(paper: &mut Paper<'_>, detail: &RequestDetail) {
    let Some(notes) = &detail.reproduction_notes else {
        paper.section("Reproduction notes", "none");
        return paper.end_section();
    };
    let count = notes.lines().count();
    let note = if count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
    paper.section("Reproduction notes", &note);
    for text in notes.lines() {
        if text.trim().is_empty() {
            paper.gap();
        } else {
            paper.text(Role::Text, 4, text);
        }
    }
    paper.end_section();
}

/// What was stored of the subject, under the version of its form.
fn context(paper: &mut Paper<'_>, detail: &RequestDetail, cx: &Cx<'_>) {
    let version = detail.context_schema_version;
    paper.section("Stored context", &format!("version {version}"));
    if version > CONTEXT_SCHEMA_VERSION {
        let text = "a newer version of this program has written it; --json shows it as it is";
        paper.text(Role::Warning, 4, text);
        return paper.end_section();
    }
    let opened = detail.context["opened_at"].clone();
    put(paper, "opened_at", opened, cx);
    for subject in ["workspace", "tenant", "run"] {
        if let Some(facts) = detail.context[subject].as_object() {
            for (name, value) in facts {
                put(paper, &format!("{subject}_{name}"), value.clone(), cx);
            }
        }
    }
    paper.end_section();
}

fn put(paper: &mut Paper<'_>, name: &str, value: Value, cx: &Cx<'_>) {
    let name = name.to_owned();
    bundle::put_fact(paper, &Fact { name, value }, cx.look);
}

/// What was withheld from it, rule by rule.
fn redaction(paper: &mut Paper<'_>, detail: &RequestDetail) {
    let tally = detail.withheld();
    paper.section("Redaction", &tally.sentence());
    for (rule, count) in tally.counts() {
        paper.labelled(Role::Text, 4, &format!("{:<28}", rule.mask()), &rule.counted(count));
    }
    match detail.context["redaction"]["items_left_out"].as_u64() {
        Some(1) => paper.text(Role::Text, 4, "1 item of the diagnostics was left out"),
        Some(items) if items > 1 => {
            paper.text(Role::Text, 4, &format!("{items} items of the diagnostics were left out"));
        }
        _ => {}
    }
    paper.end_section();
}

fn attached(paper: &mut Paper<'_>, detail: &RequestDetail, cx: &Cx<'_>) {
    paper.gap();
    let (role, text) = match (detail.bundle(), detail.request.attachment_mode) {
        (Some(opened), _) => {
            let at = cx.look.full_time(opened.opened_at);
            paper.text(Role::Title, 0, &format!("Diagnostics that went with it, of {at}"));
            return bundle::sections(paper, &opened, cx.look);
        }
        (None, AttachmentMode::ContextOnly) => {
            (Role::Muted, "No diagnostics went with it: ids, codes and times only.".to_owned())
        }
        (None, _) if detail.diagnostics_hidden => {
            let needed = Capability::SupportDiagnosticsView;
            let text = format!(
                "Diagnostics went with it; they are hidden: seeing them needs the capability {needed}."
            );
            (Role::Warning, text)
        }
        (None, _) => {
            let text = "Diagnostics went with it in a form that this version cannot read.";
            (Role::Warning, text.to_owned())
        }
    };
    paper.text(role, 0, &text);
}

impl Document for RequestPaper {
    const CONTEXT: Context = Context::Request;
    const OPEN: &'static [usize] = &[0];

    fn subscriptions(&self, cx: &Cx<'_>) -> Vec<Sub> {
        // What was read once never changes.
        if self.detail.value().is_some() {
            return Vec::new();
        }
        let (slot, follows) = (Slot::SUPPORT_REQUEST, Follows::Time);
        let request = Request::of(GetRequest { reference: self.reference });
        vec![Sub { slot, request, every: cx.every, follows }]
    }

    fn refresh(&mut self, _: &Cx<'_>) -> Reply {
        Reply::ask(Slot::SUPPORT_REQUEST, GetRequest { reference: self.reference })
    }

    fn answer(&mut self, answer: &AnyOutput, cx: &Cx<'_>) -> bool {
        let AnyOutput::GetRequest(asked, detail) = answer else { return false };
        let ours = asked.reference == self.reference;
        if ours {
            self.detail.take(detail.clone(), cx.look.now);
        }
        ours
    }

    fn write(&self, paper: &mut Paper<'_>, cx: &Cx<'_>) -> Option<()> {
        let detail = self.detail.value()?;
        head(paper, detail, cx);
        paper.gap();
        notes(paper, detail);
        context(paper, detail, cx);
        redaction(paper, detail);
        attached(paper, detail, cx);
        Some(())
    }

    fn reading(&self) -> String {
        format!("reading {} ...", self.reference)
    }

    fn state(&self) -> State<'_> {
        self.detail.state()
    }

    fn subject(&self) -> Subject<'_> {
        let about = |detail: &RequestDetail| {
            let request = &detail.request;
            Subject::Support(subject_of(request), Some(request.tenant_id))
        };
        self.detail.value().map_or(NOTHING, about)
    }

    fn copies(&self) -> Option<String> {
        Some(self.reference.to_string())
    }

    fn hints(&self) -> Vec<Hint> {
        vec![
            Hint::own(Command::AppBack),
            Hint::Does(Command::FilterEdit, "search"),
            Hint::own(Command::FoldToggle),
            Hint::own(Command::CopyId),
            Hint::own(Command::SupportTenant),
            Hint::own(Command::SupportRequest),
        ]
    }
}
