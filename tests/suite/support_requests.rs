//! Support requests: specs/029-support.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::sanitize::{Redacted, redact, suspects};
use tenantpilot::domain::support::{
    AttachmentMode, Draft, Evidence, Prepared, Reference, Severity, request_markdown,
};
use tenantpilot::ops::auth::Session;
use tenantpilot::ops::runs::Cursor;
use tenantpilot::ops::support::{
    Compose, CreateRequest, Created, DiagnosticsSubject, GetRequest, GetTenant, ListRequests,
    RequestPage,
};
use tenantpilot::ops::users::SetCapabilities;
use tenantpilot::{Error, ErrorKind};

use crate::database::texts;
use crate::support::stores::{Store, both_engines, noon, view_of};
use crate::support_diagnostics::refuse_audit;

const RUN: DiagnosticsSubject = DiagnosticsSubject::Run { run_id: 4, tenant_id: None };

pub fn draft(summary: &str) -> Draft {
    Draft { summary: summary.to_owned(), ..Draft::default() }
}

pub async fn compose(store: &Store, by: &Session, subject: DiagnosticsSubject) -> Arc<Evidence> {
    Arc::new(store.ops.run(&by.actor, Compose { subject, attach: true }).await.unwrap())
}

async fn send(
    store: &Store,
    by: &Session,
    evidence: &Arc<Evidence>,
    draft: &Draft,
    reference: Reference,
) -> Result<Created, Error> {
    let (evidence, draft) = (Arc::clone(evidence), draft.clone());
    store.ops.run(&by.actor, CreateRequest { evidence, draft, reference }).await
}

async fn sent(store: &Store, by: &Session, subject: DiagnosticsSubject, draft: &Draft) -> Created {
    let evidence = compose(store, by, subject).await;
    send(store, by, &evidence, draft, Reference::new(store.clock.now())).await.unwrap()
}

async fn stored(store: &Store) -> i64 {
    store.number("select count(*) from support_requests").await
}

fn creates_only() -> CapabilitySet {
    [Capability::AccessSystemPanel, Capability::SupportRequestsCreate].into_iter().collect()
}

/// A token of a known maker, made here so that no scanner takes this file for a leak.
fn token() -> String {
    format!("{}{}{}", "gh", "p_", "x7Kq2LmP9aZ4vT1bR8sD3fG6hJ5kW0nQ2yUe")
}

both_engines! {
    async fn fr_029_006_what_is_attached_follows_the_capability_and_the_operator(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let writer = store.user_with(&first, "writer", creates_only(), &[]).await;
        let with = sent(&store, &first, RUN, &draft("it fails")).await.request;
        let without = sent(&store, &writer, RUN, &draft("it fails")).await.request;
        let left = Draft { attach: false, ..draft("it fails") };
        let left = sent(&store, &first, RUN, &left).await.request;
        assert_eq!(with.attachment_mode, AttachmentMode::Snapshot);
        assert_eq!(without.attachment_mode, AttachmentMode::ContextOnly);
        assert_eq!(left.attachment_mode, AttachmentMode::ContextOnly);
        for (request, attached) in [(with, true), (without, false), (left, false)] {
            let detail = store.ops.run(&first.actor, GetRequest { reference: request.reference }).await.unwrap();
            assert_eq!(detail.context["diagnostics"].is_object(), attached);
            assert_eq!(detail.bundle().is_some(), attached);
            // What it is about is always there.
            assert_eq!(detail.context["run"]["id"], 4);
            assert_eq!(detail.context["run"]["failures_by_reason"], "provider_throttled x3");
            assert_eq!(detail.context["tenant"], json!({ "id": 3, "name": "Fabrikam" }));
        }
    }

    async fn fr_029_006_a_capability_lost_before_sending_stops_it(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let on_call = store.user(&first, Role::OnCall).await;
        let evidence = compose(&store, &on_call, RUN).await;
        let lose = async |capabilities: CapabilitySet| {
            store.ops.run(&first.actor, crate::support::starts::capabilities("oncall", capabilities)).await.unwrap();
            store.login("oncall").await
        };
        let reference = Reference::new(noon());
        let on_call = lose(creates_only()).await;
        let error = send(&store, &on_call, &evidence, &draft("it fails"), reference).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(error.message().contains("platform.support_diagnostics.view"), "{error}");
        let without = Draft { attach: false, ..draft("it fails") };
        let viewer = lose(Role::Viewer.capabilities()).await;
        let error = send(&store, &viewer, &evidence, &without, reference).await.unwrap_err();
        assert!(error.message().contains("platform.support_requests.create"), "{error}");
        assert_eq!(stored(&store).await, 0);
        assert_eq!(store.number("select count(*) from audit_logs where action = 'support.create_request' and status = 'denied'").await, 2);
        // Without the diagnostics it may go, under the rights that are left.
        let on_call = lose(creates_only()).await;
        send(&store, &on_call, &evidence, &without, reference).await.unwrap();
        // A view that was narrowed meanwhile narrows the request.
        let restrict = SetCapabilities { view: Some(view_of(&[1])), ..crate::support::starts::capabilities("oncall", creates_only()) };
        store.ops.run(&first.actor, restrict).await.unwrap();
        let on_call = store.login("oncall").await;
        let error = send(&store, &on_call, &evidence, &without, Reference::new(noon())).await.unwrap_err();
        assert_eq!((error.kind(), stored(&store).await), (ErrorKind::NotFound, 1));
    }

    async fn fr_029_007_what_was_shown_is_what_is_stored(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        store.sql(&format!("update operation_run_failures set message = 'refused with {} for maria.keller@fabrikam.example' where run_id = 4", token())).await.unwrap();
        let evidence = compose(&store, &first, RUN).await;
        let draft = Draft {
            severity: Severity::High,
            notes: format!("1. open it\r\n2. see {}\u{202e}\n\n", token()),
            contact_name: "Ana  Diaz".to_owned(),
            contact_email: " ana@example.com ".to_owned(),
            mask: vec!["from provider".to_owned()],
            withhold: ["runs/run-3".to_owned()].into(),
            ..draft("  it\tfails\nagain for maria.keller@fabrikam.example ")
        };
        let shown = evidence.prepare(&draft);
        assert!(shown.is_ready(), "{shown:?}");
        let created = send(&store, &first, &evidence, &draft, Reference::new(noon())).await.unwrap();
        assert_eq!((created.created, created.differs), (true, false));
        let detail = store.ops.run(&first.actor, GetRequest { reference: created.request.reference }).await.unwrap();
        let request = &detail.request;
        assert_eq!((request.severity, &request.summary), (Severity::High, &shown.summary.text));
        assert_eq!(request.summary, "it fails again for [redacted:email]");
        assert_eq!(detail.reproduction_notes, shown.notes.as_ref().map(|notes| notes.text.clone()));
        assert_eq!(detail.reproduction_notes.as_deref(), Some("1. open it\n2. see [redacted:token]\u{fffd}"));
        assert_eq!(detail.contact_name.as_deref(), Some("Ana Diaz"));
        // The one address that is kept.
        assert_eq!(detail.contact_email.as_deref(), Some("ana@example.com"));
        assert_eq!(detail.context, shown.context());
        assert_eq!(detail.bundle(), shown.diagnostics);
        assert_eq!(detail.withheld(), shown.withheld);
        let markdown = request_markdown(&shown, None);
        for text in [markdown, tenantpilot::domain::json::line(&detail).unwrap(), tenantpilot::domain::json::line(&shown).unwrap()] {
            assert!(!text.contains(&token()) && !text.contains("keller"), "{text}");
        }
        // Who, where and by whom, and nothing by a customer.
        assert_eq!((request.workspace_id, request.tenant_id, request.run_id), (2, 3, Some(4)));
        assert_eq!(request.created_by_name, "administrator");
    }

    async fn fr_029_007_of_any_draft_what_is_stored_is_what_was_shown(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        store.sql(&format!("update operation_run_failures set message = 'call 4711 with {} for maria@fabrikam.example' where run_id = 4", token())).await.unwrap();
        let evidence = compose(&store, &first, RUN).await;
        let paths: Vec<String> = evidence.bundle().unwrap().sections.iter().flat_map(|section| &section.items).map(|item| item.path.clone()).collect();
        let token = token();
        let words = ["it fails", "call 4711", token.as_str(), "maria@fabrikam.example", "\u{202e}", "\n", "\r\n", "\u{1b}[2J", "e\u{301}\u{301}",
            "password=hunter2x", "日本語", " ", "429", "provider_throttled", "[redacted:token]"];
        let mut rng = StdRng::seed_from_u64(29);
        let mut sent = 0;
        for _ in 0..40 {
            let text = |rng: &mut StdRng, most: usize| -> String {
                let picked: Vec<&str> = (0..rng.random_range(0..most)).map(|_| words[rng.random_range(0..words.len())]).collect();
                picked.join(" ")
            };
            let pick = |rng: &mut StdRng, from: &[String]| -> Vec<String> {
                from.iter().filter(|_| rng.random_bool(0.2)).cloned().collect()
            };
            let draft = Draft {
                severity: Severity::ALL[rng.random_range(0..4)],
                summary: format!("it fails {}", text(&mut rng, 5)),
                notes: text(&mut rng, 12),
                contact_name: text(&mut rng, 3),
                contact_email: if rng.random_bool(0.5) { "ana@example.com".to_owned() } else { String::new() },
                attach: rng.random_bool(0.8),
                mask: pick(&mut rng, &["call".to_owned(), "fabrikam".to_owned(), "429".to_owned(), "日本".to_owned()]),
                withhold: pick(&mut rng, &paths).into_iter().collect(),
            };
            let shown = evidence.prepare(&draft);
            assert_eq!(shown, evidence.prepare(&draft));
            let created = match send(&store, &first, &evidence, &draft, Reference::new(noon())).await {
                Ok(created) => created,
                Err(error) => {
                    assert!(!shown.is_ready(), "{error}: {shown:?}");
                    continue;
                }
            };
            assert!(shown.is_ready());
            sent += 1;
            let detail = store.ops.run(&first.actor, GetRequest { reference: created.request.reference }).await.unwrap();
            let text = |redacted: Option<&Redacted>| redacted.map(|redacted| redacted.text.clone());
            assert_eq!(detail.request.summary, shown.summary.text);
            assert_eq!(detail.reproduction_notes, text(shown.notes.as_ref()));
            assert_eq!(detail.contact_name, text(shown.contact_name.as_ref()));
            assert_eq!(detail.contact_email, shown.contact_email);
            assert_eq!((detail.request.severity, detail.request.attachment_mode), (shown.severity, shown.attachment_mode));
            assert_eq!(detail.context, shown.context());
            // What a rule masked stays masked, and what was masked by hand is nowhere.
            let all = format!("{} {:?} {:?} {}", detail.request.summary, detail.reproduction_notes, detail.contact_name, detail.context);
            assert!(!all.contains(&token) && !all.contains("maria") && !all.contains("hunter2x"), "{all}");
            assert!(!draft.mask.iter().any(|mask| all.to_lowercase().contains(&mask.to_lowercase())), "{:?} in {all}", draft.mask);
        }
        assert!(sent > 20, "{sent}");
    }

    async fn fr_029_008_an_operator_hides_more_and_never_less(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        store.sql(&format!("update operation_run_failures set message = 'call 4711 with {} was refused' where run_id = 4", token())).await.unwrap();
        let evidence = compose(&store, &first, RUN).await;
        let plain = evidence.prepare(&draft("it fails"));
        let failure = |prepared: &Prepared| {
            let sections = &prepared.diagnostics.as_ref().unwrap().sections;
            sections.iter().flat_map(|section| &section.items).find(|item| item.path.starts_with("runs/failure-")).unwrap().clone()
        };
        assert_eq!(failure(&plain).fact("message").unwrap(), "call 4711 with [redacted:token] was refused");
        assert_eq!(plain.manifest(), "3 values withheld: 3 tokens");
        let path = failure(&plain).path;
        let more = Draft { mask: vec!["CALL 4711".to_owned(), "x".to_owned()], ..draft("it fails, call 4711") };
        let masked = evidence.prepare(&more);
        assert_eq!(masked.summary.text, "it fails, [redacted:operator]");
        assert_eq!(failure(&masked).fact("message").unwrap(), "[redacted:operator] with [redacted:token] was refused");
        let left_out = Draft { withhold: [path.clone(), "no/such".to_owned()].into(), ..more };
        let left_out = evidence.prepare(&left_out);
        let item = failure(&left_out);
        assert!(item.withheld && item.facts.is_empty() && item.path == path);
        assert_eq!(left_out.manifest(), "7 values withheld: 2 tokens, 5 passages of the operator's; 1 item left out"
            .replace('7', &left_out.withheld.total().to_string())
            .replace("5 passages", &format!("{} passages", left_out.withheld.total() - 2)));
        // A mask that names masks takes nothing back.
        let back = Draft { mask: vec!["[redacted:token]".to_owned(), "redacted".to_owned()], ..draft("it fails") };
        assert!(!tenantpilot::domain::json::line(&evidence.prepare(&back)).unwrap().contains(&token()));
    }

    async fn fr_029_009_nothing_is_sent_while_something_looks_like_a_secret(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let odd = "Xk9Qz2Lm4Rt7";
        assert!(redact(odd).hits.is_empty() && !suspects(odd).is_empty(), "choose another");
        let evidence = compose(&store, &first, RUN).await;
        let reference = Reference::new(noon());
        let drafts = [
            (draft(&format!("it fails with {odd}")), "the summary"),
            (Draft { notes: format!("one\ntwo {odd}"), ..draft("it fails") }, "line 2 of the notes"),
            (Draft { contact_name: odd.to_owned(), ..draft("it fails") }, "the contact's name"),
        ];
        for (draft, place) in &drafts {
            let error = send(&store, &first, &evidence, draft, reference).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
            assert!(error.message().ends_with(place) && !error.to_string().contains(odd), "{error}");
        }
        store.sql(&format!("update operation_run_failures set message = 'sent {odd} again' where run_id = 4")).await.unwrap();
        let evidence = compose(&store, &first, RUN).await;
        let error = send(&store, &first, &evidence, &draft("it fails"), reference).await.unwrap_err();
        assert!(error.message().contains("3 passages still look like secrets, the first in runs/failure-"), "{error}");
        assert_eq!(stored(&store).await, 0);
        // Masked by hand it may go, and it is nowhere.
        let mask = Draft { mask: vec![odd.to_owned()], ..drafts[1].0.clone() };
        let created = send(&store, &first, &evidence, &mask, reference).await.unwrap();
        let detail = store.ops.run(&first.actor, GetRequest { reference: created.request.reference }).await.unwrap();
        assert!(!tenantpilot::domain::json::line(&detail).unwrap().contains(odd));
        assert_eq!(texts(&store, &format!("select cast(metadata as text) from audit_logs where cast(metadata as text) like '%{odd}%'")).await.len(), 0);
    }

    async fn fr_029_010_bad_input_is_refused_with_what_to_do(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let evidence = compose(&store, &first, RUN).await;
        let fine = draft("it fails");
        for (bad, says) in [
            (draft(""), "the summary is empty; say in a few words"),
            (draft(" \t\u{200b}\u{202e}\n"), "the summary is empty"),
            (draft("...!"), "the summary is empty"),
            (draft(&"word ".repeat(101)), "the summary has 505 characters, at most 500"),
            (Draft { notes: "line\n".repeat(20_480), ..fine.clone() }, "notes' text has 102400 characters, at most 10000 are kept; shorten it"),
            (Draft { contact_name: "n".repeat(201), ..fine.clone() }, "has 201 characters, at most 200"),
            (Draft { contact_email: "ana at example".to_owned(), ..fine.clone() }, "holds a blank"),
            (Draft { contact_email: "ana@example".to_owned(), ..fine.clone() }, "is not one; write it like ana@example.com"),
            (Draft { contact_email: "ana\u{202e}@example.com".to_owned(), ..fine.clone() }, "holds a blank or a character"),
            (Draft { contact_email: format!("{}@example.com", token()), ..fine.clone() }, "e-mail address"),
            (Draft { mask: vec!["more".to_owned(); 51], ..fine.clone() }, "at most 50 passages"),
            // Short secrets, long masks.
            (draft(&"pw=abcd1 ".repeat(55)), "with its masks the summary has"),
        ] {
            let error = send(&store, &first, &evidence, &bad, Reference::new(noon())).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
            assert!(error.message().contains(says), "{says}: {error}");
            assert!(error.next_step().unwrap().contains("the draft is kept"), "{error}");
            assert!(!error.to_string().contains(&token()));
        }
        assert_eq!(stored(&store).await, 0);
        let odd = Draft { notes: "a\u{1b}[31mred\u{202e}\r\n\u{200b}b\u{0}".to_owned(), ..draft("s\u{1b}]0;x\u{7}") };
        let created = send(&store, &first, &evidence, &odd, Reference::new(noon())).await.unwrap();
        let detail = store.ops.run(&first.actor, GetRequest { reference: created.request.reference }).await.unwrap();
        assert_eq!(detail.request.summary, "s\u{fffd}]0;x\u{fffd}");
        assert_eq!(detail.reproduction_notes.as_deref(), Some("a\u{fffd}[31mred\u{fffd}\n\u{fffd}b\u{fffd}"));
    }

    async fn fr_029_012_a_reference_is_one_request(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let other = store.user(&first, Role::OnCall).await;
        let evidence = compose(&store, &first, RUN).await;
        let reference = Reference::new(noon());
        let created = send(&store, &first, &evidence, &draft("it fails"), reference).await.unwrap();
        assert_eq!((created.created, created.request.reference), (true, reference));
        let again = send(&store, &first, &evidence, &draft("it fails"), reference).await.unwrap();
        assert_eq!((again.created, again.differs, again.request.id), (false, false, created.request.id));
        let changed = send(&store, &first, &evidence, &draft("it fails otherwise"), reference).await.unwrap();
        assert_eq!((changed.created, changed.differs, changed.request.summary.as_str()), (false, true, "it fails"));
        let theirs = compose(&store, &other, RUN).await;
        let error = send(&store, &other, &theirs, &draft("it fails"), reference).await.unwrap_err();
        assert_eq!(error.to_string(), "this reference is taken; leave it out: every request gets a new one");
        assert_eq!(stored(&store).await, 1);
        // Another reference: repeats are allowed.
        let repeat = send(&store, &first, &evidence, &draft("it fails"), Reference::new(noon())).await.unwrap();
        assert!(repeat.created && repeat.request.reference != reference);
        assert_eq!(stored(&store).await, 2);
        assert_eq!(store.number("select count(*) from audit_logs where action = 'support.create_request' and status = 'succeeded'").await, 2);
    }

    async fn fr_029_012_sending_at_the_same_time_stores_one(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let evidence = compose(&store, &first, RUN).await;
        let reference = Reference::new(noon());
        let tries: Vec<_> = (0..8).map(|_| {
            let (ops, actor) = (store.ops.clone(), first.actor.clone());
            let create = CreateRequest { evidence: Arc::clone(&evidence), draft: draft("it fails"), reference };
            tokio::spawn(async move { ops.run(&actor, create).await })
        }).collect();
        let mut made = 0;
        for one in tries {
            let created = one.await.unwrap().unwrap();
            assert_eq!(created.request.reference, reference);
            made += i32::from(created.created);
        }
        assert_eq!((made, stored(&store).await), (1, 1));
        assert_eq!(store.number("select count(*) from audit_logs where action = 'support.create_request'").await, 1);
    }

    async fn fr_029_013_creation_is_audited_and_makes_nothing_else(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let evidence = compose(&store, &first, RUN).await;
        let others = "select (select count(*) from operation_runs) * 1000000 + (select count(*) from notifications) * 1000 \
                      + (select count(*) from alert_deliveries)";
        let before = store.number(others).await;
        let created = send(&store, &first, &evidence, &draft("it fails"), Reference::new(noon())).await.unwrap();
        assert_eq!(store.number(others).await, before);
        let rows = texts(&store, "select actor_name || ' ' || target_type || ' ' || target_id || ' ' || cast(workspace_id as text) \
            || ' ' || cast(tenant_id as text) || ' ' || cast(run_id as text) from audit_logs where action = 'support.create_request'").await;
        assert_eq!(rows, [format!("administrator support_request {} 2 3 4", created.request.reference)]);
        let metadata = store.text("select cast(metadata as text) from audit_logs where action = 'support.create_request'").await;
        let metadata: Value = serde_json::from_str(&metadata).unwrap();
        assert_eq!(metadata, json!({ "severity": "normal", "attachment_mode": "diagnostic_snapshot_attached", "withheld": {}, "items_left_out": 0 }));

        refuse_audit(&store, "support.create_request").await;
        assert!(send(&store, &first, &evidence, &draft("it fails"), Reference::new(noon())).await.is_err());
        assert_eq!(stored(&store).await, 1);
    }

    async fn fr_029_014_evidence_is_good_for_four_hours_and_for_who_opened_it(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let other = store.user(&first, Role::OnCall).await;
        let evidence = compose(&store, &first, RUN).await;
        let error = send(&store, &other, &evidence, &draft("it fails"), Reference::new(noon())).await.unwrap_err();
        assert_eq!(error.to_string(), "this evidence was opened by somebody else; open it again under your own name");
        store.pass(4 * 3600 + 1);
        // The session has ended meanwhile.
        let first = store.login("administrator").await;
        let error = send(&store, &first, &evidence, &draft("it fails"), Reference::new(noon())).await.unwrap_err();
        assert_eq!(error.to_string(), "what would be attached is older than four hours; open it again; your text is kept");
        assert_eq!(stored(&store).await, 0);
    }

    async fn fr_029_015_requests_are_listed_within_the_view(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let on_call = store.user(&first, Role::OnCall).await;
        let tenant = DiagnosticsSubject::Tenant;
        let severe = |summary: &str| Draft { severity: Severity::Blocking, ..draft(summary) };
        let mut made = Vec::new();
        for (by, subject, draft) in [
            (&first, tenant(1), draft("no 100% of it")),
            (&on_call, RUN, severe("Sync is down")),
            (&first, tenant(3), draft("third")),
            (&on_call, tenant(4), severe("fourth")),
        ] {
            store.pass(1);
            made.push(sent(&store, by, subject, &draft).await.request);
        }
        let list = async |by: &Session, wanted: ListRequests| -> Vec<usize> {
            let page: RequestPage = store.ops.run(&by.actor, wanted).await.unwrap();
            page.support_requests.iter().map(|found| made.iter().position(|one| one == found).unwrap()).collect()
        };
        let all = ListRequests::default;
        assert_eq!(list(&first, all()).await, [3, 2, 1, 0]);
        assert_eq!(list(&first, ListRequests { tenant_id: Some(3), ..all() }).await, [2, 1]);
        assert_eq!(list(&first, ListRequests { run_id: Some(4), ..all() }).await, [1]);
        assert_eq!(list(&first, ListRequests { severity: Some(Severity::Blocking), ..all() }).await, [3, 1]);
        assert_eq!(list(&on_call, ListRequests { mine: true, ..all() }).await, [3, 1]);
        for (search, found) in [("SYNC", vec![1]), ("fabrikam", vec![3, 2, 1]), ("oncall", vec![3, 1]), ("0%", vec![0]), ("_", vec![])] {
            assert_eq!(list(&first, ListRequests { search: search.to_owned(), ..all() }).await, found, "{search}");
        }
        let quoted = made[2].reference.to_string().to_lowercase();
        assert_eq!(list(&first, ListRequests { search: quoted, ..all() }).await, [2]);
        // Pages meet without a gap and without an overlap.
        let (mut before, mut seen): (Option<Cursor>, Vec<i64>) = (None, Vec::new());
        loop {
            let page = store.ops.run(&first.actor, ListRequests { before, limit: 3, ..all() }).await.unwrap();
            seen.extend(page.support_requests.iter().map(|request| request.id));
            before = page.next;
            if before.is_none() { break }
        }
        assert_eq!(seen, [made[3].id, made[2].id, made[1].id, made[0].id]);

        let contoso = store.user_with(&first, "contoso", Role::OnCall.capabilities(), &[1]).await;
        assert_eq!(list(&contoso, all()).await, [0]);
        let get = |reference| GetRequest { reference };
        let unseen = store.ops.run(&contoso.actor, get(made[1].reference)).await.unwrap_err();
        let unknown = Reference::new(noon());
        let missing = store.ops.run(&contoso.actor, get(unknown)).await.unwrap_err();
        assert_eq!(unseen.to_string().replace(&made[1].reference.to_string(), ""), missing.to_string().replace(&unknown.to_string(), ""));
        assert_eq!(unseen.kind(), ErrorKind::NotFound);
        assert!(store.ops.run(&contoso.actor, GetTenant { id: 1 }).await.unwrap().requests.unwrap().len() == 1);

        let viewer = store.user(&first, Role::Viewer).await;
        let error = store.ops.run(&viewer.actor, all()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(error.message().contains("platform.support_requests.create, or platform.support_diagnostics.view"), "{error}");
        assert_eq!(store.ops.run(&viewer.actor, get(made[0].reference)).await.unwrap_err().kind(), ErrorKind::Forbidden);

        // Whoever may not open diagnostics does not see them through a request.
        let writer = store.user_with(&first, "writer", creates_only(), &[]).await;
        let detail = store.ops.run(&writer.actor, get(made[1].reference)).await.unwrap();
        assert!(detail.diagnostics_hidden && detail.context["diagnostics"].is_null() && detail.bundle().is_none());
        assert_eq!(detail.context["run"]["id"], 4);
    }

    async fn fr_029_016_the_context_says_its_version(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        let request = sent(&store, &first, RUN, &draft("it fails")).await.request;
        let json = store.text("select cast(context as text) from support_requests").await;
        let context: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(store.number("select context_schema_version from support_requests").await, 1);
        assert_eq!(context["schema_version"], 1);
        let keys: Vec<&String> = context.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["diagnostics", "opened_at", "redaction", "run", "schema_version", "tenant", "workspace"]);
        assert_eq!(context["redaction"], json!({ "withheld": {}, "items_left_out": 0 }));
        assert_eq!(context["diagnostics"]["sections"].as_array().unwrap().len(), 7);
        // What a later version wrote is not misread.
        let mut detail = store.ops.run(&first.actor, GetRequest { reference: request.reference }).await.unwrap();
        detail.context_schema_version = 2;
        assert_eq!(detail.bundle(), None);
        let about_a_tenant = sent(&store, &first, DiagnosticsSubject::Tenant(3), &draft("it fails")).await.request;
        let detail = store.ops.run(&first.actor, GetRequest { reference: about_a_tenant.reference }).await.unwrap();
        assert!(detail.context["run"].is_null() && detail.request.run_id.is_none());
    }

    async fn fr_029_011_the_database_refuses_what_is_not_a_request(store) {
        let store = store.with_scene().await;
        let first = store.administrator().await;
        sent(&store, &first, RUN, &draft("it fails")).await;
        let columns = "reference, workspace_id, tenant_id, run_id, primary_context, created_by_platform_user, created_by_name, \
            severity, summary, reproduction_notes, contact_name, contact_email, attachment_mode, context_schema_version, context, created_at";
        let copy = |change: &str, with: &str| {
            let reference = if change == "reference" { with } else { "'SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV'" };
            let row = columns.replacen("reference,", &format!("{reference},"), 1);
            let row: Vec<String> = row.split(", ").map(|column| if column.trim() == change { with.to_owned() } else { column.to_owned() }).collect();
            format!("insert into support_requests ({columns}) select {} from support_requests limit 1", row.join(", "))
        };
        for (column, with) in [
            ("workspace_id", "null"), ("tenant_id", "null"), ("created_by_platform_user", "null"), ("run_id", "null"),
            ("severity", "'urgent'"), ("summary", "''"), ("summary", "'   '"), ("reproduction_notes", "''"),
            ("contact_name", "''"), ("contact_email", "'ana'"), ("contact_email", "'a @b.de'"), ("contact_email", "'a@b@c.de'"),
            ("attachment_mode", "'canonical_context_only'"), ("attachment_mode", "'all'"), ("context_schema_version", "0"),
            ("summary", "' \t\n\r\u{a0}'"), ("contact_email", "'a\u{202e}@b.de'"),
            ("reference", "'SR-ZZZZZZZZZZZZZZZZZZZZZZZZZZ'"), ("created_at", "'1999-12-31T23:59:59+00:00'"),
            ("created_at", "'2100-01-01T00:00:00+00:00'"), ("workspace_id", "0"), ("tenant_id", "-1"),
            ("created_by_platform_user", "-1"), ("created_by_name", "''"), ("context", "'[]'"), ("context", "'{}'"), ("primary_context", "'tenant'"), ("created_at", "null"),
        ] {
            assert!(store.sql(&copy(column, with)).await.is_err(), "{column} {with}");
        }
        let long = "x".repeat(10_001);
        assert!(store.sql(&copy("reproduction_notes", &format!("'{long}'"))).await.is_err());
        assert!(store.sql(&copy("summary", &format!("'{}'", &long[..501]))).await.is_err());
        match store.engine {
            tenantpilot::ops::Engine::Postgres => {
                assert!(store.sql(&copy("created_at", "'infinity'")).await.is_err());
            }
            tenantpilot::ops::Engine::Sqlite => {
                for at in ["2026-02-30T01:00:00.000000+00:00", "2026-02-11T24:00:00+00:00"] {
                    assert!(store.sql(&copy("created_at", &format!("'{at}'"))).await.is_err(), "{at}");
                }
            }
        }
        assert_eq!(stored(&store).await, 1);
        // What the database takes and no reader understands hides nothing else.
        let deep = format!("'{{\"diagnostics\": {{\"a\": {}1{}}}}}'", "[".repeat(200), "]".repeat(200));
        store.sql(&copy("context", &deep)).await.unwrap();
        assert_eq!(stored(&store).await, 2);
        let reference: Reference = "SR-01J9ZQ4M9QZ6W3J8R5T2Y7XKNV".parse().unwrap();
        let detail = store.ops.run(&first.actor, GetRequest { reference }).await.unwrap();
        assert!(detail.context_unreadable && detail.context.is_null() && detail.bundle().is_none());
        assert_eq!(store.ops.run(&first.actor, ListRequests::default()).await.unwrap().support_requests.len(), 2);

        // By every way there is, as owner, on a request with everything in it.
        let before = texts(&store, "select cast(id as text) || reference || summary || severity || cast(context as text) from support_requests order by id").await;
        let mut ways = vec![
            "update support_requests set severity = 'high'".to_owned(),
            "update support_requests set id = id + 10".to_owned(),
            "update support_requests set contact_email = null".to_owned(),
            "delete from support_requests".to_owned(),
        ];
        let whole = copy("summary", "'replaced'");
        match store.engine {
            tenantpilot::ops::Engine::Postgres => {
                ways.push("truncate support_requests".to_owned());
                ways.push(format!("{whole} on conflict (reference) do update set summary = excluded.summary"));
            }
            tenantpilot::ops::Engine::Sqlite => {
                ways.push(whole.replacen("insert", "replace", 1));
                ways.push(whole.replacen("insert", "insert or replace", 1));
                ways.push("update or replace support_requests set severity = 'high'".to_owned());
                ways.push(format!("{} on conflict (reference) do update set summary = excluded.summary", whole.replace("limit 1", "where true")));
            }
        }
        for way in ways {
            let error = store.sql(&way).await.unwrap_err().to_string();
            assert!(error.contains("append-only"), "{way}: {error}");
        }
        assert_eq!(texts(&store, "select cast(id as text) || reference || summary || severity || cast(context as text) from support_requests order by id").await, before);
    }
}

#[test]
fn fr_029_018_a_draft_in_a_file_holds_no_secret() {
    let odd = "Xk9Qz2Lm4Rt7";
    let draft = Draft {
        severity: Severity::High,
        summary: format!("it fails with {} and {odd}", token()),
        notes: format!("call 4711\nAuthorization: Bearer {}", token()),
        contact_name: "Ana Diaz".to_owned(),
        contact_email: "ana@example.com".to_owned(),
        mask: vec!["call 4711".to_owned()],
        withhold: ["runs/run-3".to_owned()].into(),
        attach: false,
    };
    let kept = draft.for_file();
    let file = tenantpilot::domain::json::line(&kept).unwrap();
    for never in [token().as_str(), odd, "4711", "mask\""] {
        assert!(!file.contains(never), "{never} in {file}");
    }
    assert_eq!(kept.summary, "it fails with [redacted:token] and [redacted:operator]");
    let read: Draft = serde_json::from_str(&file).unwrap();
    assert_eq!(read, kept);
    assert_eq!(
        (read.severity, read.attach, read.contact_email.as_str()),
        (Severity::High, false, "ana@example.com")
    );
    assert_eq!(read.withhold, draft.withhold);
    // What is no address may be anything.
    let odd_address = Draft { contact_email: token(), ..draft };
    assert!(!tenantpilot::domain::json::line(&odd_address.for_file()).unwrap().contains(&token()));
}
