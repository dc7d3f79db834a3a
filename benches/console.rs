//! One whole update and render of the console, and the cleaning of foreign text.

use std::hint::black_box;
use std::time::Duration;

use chrono::{DateTime, TimeZone as _, Utc};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::layout::Size;
use tenantpilot::access::Actor;
use tenantpilot::access::ClientKind;
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::run::{Run, RunOutcome, RunStatus, ScopeKind, Source};
use tenantpilot::domain::run_filter::RunFilter;
use tenantpilot::domain::safe_text::SafeText;
use tenantpilot::domain::sanitize;
use tenantpilot::domain::summary_counts::{CountKey, SummaryCounts};
use tenantpilot::domain::time_zone::TimeZone;
use tenantpilot::ops::auth::{Login, Session, Token};
use tenantpilot::ops::runs::{ListRuns, Page, RunPage};
use tenantpilot::ops::{AnyOutput, password};
use tenantpilot::runbooks::Registry;
use tenantpilot::term::{ColorSupport, SizedBackend};
use tenantpilot::tui::app::App;
use tenantpilot::tui::frame;
use tenantpilot::tui::keymap::Keymap;
use tenantpilot::tui::msg::{Answer, Msg};
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;
use tenantpilot::tui::theme::Theme;

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).single().unwrap_or_default()
}

fn run(id: i64) -> Run {
    let created_at = now() - chrono::Duration::seconds(1_000 - id);
    let failed = u64::from(id % 7 == 0);
    Run {
        id,
        workspace_id: Some(1),
        workspace_name: Some("Contoso".to_owned()),
        tenant_id: Some(1),
        tenant_name: Some("Contoso Deutschland".to_owned()),
        user_id: None,
        platform_user_id: None,
        initiator_name: Some("m.lang".to_owned()),
        source: Source::Admin,
        subject: None,
        run_type: "inventory.sync".to_owned(),
        scope: ScopeKind::Tenant,
        status: RunStatus::Completed,
        outcome: if failed > 0 { RunOutcome::Failed } else { RunOutcome::Succeeded },
        reason_code: (failed > 0).then(|| "provider_throttled".to_owned()),
        identity_hash: "0".repeat(64),
        summary_counts: SummaryCounts::default()
            .with(CountKey::Total, 12)
            .with(CountKey::Failed, failed),
        target_count: 1,
        fence: 1,
        lease_owner: None,
        lease_overdue: false,
        basis: tenantpilot::domain::run_facts::Basis::default(),
        paused_at: None,
        cancel_requested_at: None,
        audit_gaps: 0,
        break_glass: false,
        created_at,
        queued_at: None,
        started_at: Some(created_at),
        completed_at: Some(created_at),
        updated_at: created_at,
    }
}

/// A console that is logged in and shows a page of 200 runs.
fn console(width: u16, height: u16) -> App {
    let setup = Setup {
        keymap: Keymap::embedded("default").expect("the embedded keymap loads"),
        theme: Theme::embedded("default").expect("the embedded theme loads"),
        colors: ColorSupport::Ansi16,
        ascii: false,
        zone: TimeZone::Utc,
        poll: Duration::from_secs(2),
        page_size: 200,
        size: Size { width, height },
        now: now(),
        registry: Registry::standard(),
        exports: None,
        drafts: None,
    };
    let mut app = App::new(setup);
    let session = Session {
        actor: Actor::System,
        username: "operator".to_owned(),
        capabilities: Role::Operator.capabilities(),
        restricted: false,
        break_glass: None,
        expires_at: now(),
        last_active_at: now(),
    };
    let login = Login::new("operator", "", ClientKind::Console);
    let token = Token::from(password::secret(""));
    let login = AnyOutput::Login(login, Ok((session, token)));
    app.update(Msg::Done { slot: Slot::SESSION, answer: Box::new(Answer::Op(login)) }, now());
    let asked = ListRuns { filter: RunFilter::default(), page: Page::Newest, limit: 200 };
    let page = RunPage {
        runs: (1..=200).rev().map(run).collect(),
        more: true,
        next: None,
        searched: None,
        missing_before: None,
    };
    app.update(
        Msg::Done {
            slot: Slot::LIST,
            answer: Box::new(Answer::Op(AnyOutput::ListRuns(asked, Ok(page)))),
        },
        now(),
    );
    app
}

fn update_and_render(c: &mut Criterion) {
    for (width, height) in [(80, 24), (200, 50)] {
        let mut app = console(width, height);
        let backend = SizedBackend::new(std::io::sink(), width, height, ColorSupport::Ansi16);
        let mut terminal = Terminal::new(backend).expect("a sink takes everything");
        let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
        let mut down = true;
        c.bench_function(&format!("update_and_render/{width}x{height}"), |b| {
            b.iter(|| {
                let code = if down { KeyCode::Down } else { KeyCode::Up };
                down = !down;
                black_box(app.update(Msg::Key(key(code)), now()));
                terminal.draw(|frame| frame::draw(&app, frame)).expect("a sink takes everything");
            });
        });
    }
}

fn sanitising(c: &mut Criterion) {
    let plain = "429 from provider, retry after 30 s while listing devices of the tenant";
    let hostile = "\u{1b}[31mGET https://user:pw@host/x?token=abc Authorization: Bearer eyJhbGciOi.J9.x \u{202e}evil\u{200b}";
    let mut group = c.benchmark_group("sanitising");
    for (name, text) in [("plain", plain), ("hostile", hostile)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("safe_text/{name}"), |b| {
            b.iter(|| SafeText::new(black_box(text)))
        });
        group.bench_function(format!("message/{name}"), |b| {
            b.iter(|| sanitize::message(black_box(text)))
        });
    }
    group.finish();
}

criterion_group!(benches, update_and_render, sanitising);
criterion_main!(benches);
