//! The outbox of alerts: what is sent, how often, to whom, and what is kept of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tenantpilot::access::Actor;
use tenantpilot::config::{Config, Flags, Sources, WebhookUrl};
use tenantpilot::ops::alerts::{
    Alert, AlertStatus, AlertSummary, AttemptEnd, ClaimAlerts, ClaimedAlert, ListAlerts,
    SettleAlert, SummariseAlerts,
};
use tenantpilot::ops::{Create, Engine, Ops, OpsSettings};
use tenantpilot::worker::alerts::{AlertSender, AlertSettings, USER_AGENT};
use tenantpilot::{Clock, ErrorKind};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::logs::Log;
use crate::support::proxy::Proxy;
use crate::support::receiver::{Receiver, Reply, Request};
use crate::support::stores::{Store, both_engines};

const CANARY: &str = "c4n4ryS3cr3tc4n4ry";

/// Long pauses cut short, and limits that a slow machine never meets.
pub fn settings(url: &str) -> AlertSettings {
    AlertSettings {
        webhook: Some(WebhookUrl::parse(url).unwrap()),
        timeout: Duration::from_secs(60),
        poll: Duration::from_millis(20),
        backoff_base: Duration::from_millis(5),
        backoff_cap: Duration::from_millis(20),
        use_proxy: false,
        ..AlertSettings::default()
    }
}

/// A sender at work.
pub struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    pub fn start(ops: &Ops, settings: AlertSettings) -> Self {
        let (stop, told) = watch::channel(false);
        Self { stop, task: tokio::spawn(AlertSender::new(ops.clone(), settings).run(told)) }
    }

    pub async fn end(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

/// Waits until `holds`, for as long as a loaded machine may need.
macro_rules! until {
    ($holds:expr) => {{
        let mut left = 3_000;
        while !$holds {
            left -= 1;
            assert!(left > 0, "this never came: {}", stringify!($holds));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }};
}
pub(crate) use until;

/// Puts `count` alerts into the outbox, due long ago.
pub async fn queue(store: &Store, count: usize) {
    for number in 1..=count {
        let insert = format!(
            "insert into alert_deliveries (event, payload, next_attempt_at, created_at) values \
             ('operations.run.failed', '{{\"number\": {number}}}', '2020-01-01T00:00:00+00:00', \
             '2020-01-01T00:00:00+00:00')"
        );
        store.sql(&insert).await.unwrap();
    }
}

pub async fn listed(store: &Store) -> Vec<Alert> {
    store.ops.run(&Actor::System, ListAlerts::default()).await.unwrap().alerts
}

async fn the_one(store: &Store) -> Alert {
    let mut all = listed(store).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

async fn summary(store: &Store) -> AlertSummary {
    store.ops.run(&Actor::System, SummariseAlerts).await.unwrap()
}

async fn claim(store: &Store, visibility: Duration) -> Vec<ClaimedAlert> {
    store.ops.run(&Actor::System, ClaimAlerts { limit: 10, visibility }).await.unwrap()
}

async fn delivered(store: &Store) -> i64 {
    store.number("select count(*) from alert_deliveries where status = 'delivered'").await
}

/// Sends one alert to a receiver until it is dead; gives what is kept of it.
async fn given_up(store: &Store, receiver: &Receiver, timeout: Duration) -> Alert {
    let mut settings = settings(&receiver.url());
    (settings.max_attempts, settings.timeout) = (2, timeout);
    store.sql("delete from alert_deliveries").await.unwrap();
    queue(store, 1).await;
    let running = Running::start(&store.ops, settings);
    until!(the_one(store).await.status == AlertStatus::Dead);
    running.end().await;
    the_one(store).await
}

/// HMAC-SHA-256 as the standard writes it, without the library that the program uses.
fn hmac_sha256(key: &[u8], text: &[u8]) -> String {
    let mut block = [0u8; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn is_signed(request: &Request, secret: &str) -> bool {
    let header = &request.headers["x-tenantpilot-signature"];
    let (time, hex) = header.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    hex == hmac_sha256(secret.as_bytes(), format!("{time}.{}", request.body).as_bytes())
}

both_engines! {
    async fn fr_016_001_a_failed_run_is_told_of_once(store) {
        let mut store = store.with_platform().await;
        let clock = Clock::system();
        let ops = Ops::open(&store.url, Create::Never, clock.clone(), OpsSettings::default()).unwrap();
        (store.ops, store.clock) = (ops, clock);
        let run_id = store.ended("policy.sync", 3, 4, 4, 0).await;
        store.ended("policy.sync", 4, 4, 0, 0).await;
        let receiver = Receiver::new(vec![], Reply::status(204));
        let running = Running::start(&store.ops, settings(&receiver.url()));
        until!(delivered(&store).await == 1);
        running.end().await;
        let requests = receiver.requests();
        assert_eq!(requests.len(), 1);
        let Request { line, headers, body } = &requests[0];
        assert_eq!(line, "POST /hook HTTP/1.1");
        let alert = the_one(&store).await;
        assert_eq!((alert.attempts, alert.run_id, &alert.last_error), (1, Some(run_id), &None));
        assert_eq!((alert.status, alert.next_attempt_at), (AlertStatus::Delivered, None));
        let id = alert.delivery_id.unwrap();
        for (name, value) in [("content-type", "application/json"), ("user-agent", USER_AGENT),
            ("x-tenantpilot-event", "operations.run.failed"), ("x-tenantpilot-delivery", &id)] {
            assert_eq!(headers[name], value);
        }
        assert!(!headers.contains_key("x-tenantpilot-signature"), "signed without a secret");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["event"], &body["run_id"], &body["type"], &body["tenant_id"], &body["reason_code"]),
            (&"operations.run.failed".into(), &run_id.into(), &"policy.sync".into(), &3.into(), &"provider_throttled".into()));
        assert_eq!((&body["delivery"], &body["view"]), (&id.into(), &format!("tenantpilot runs show {run_id}").into()));
        assert_eq!(summary(&store).await, AlertSummary::default());
    }

    async fn fr_016_002_a_receiver_can_check_the_signature(store) {
        // The published example, so that the check itself is right.
        assert_eq!(hmac_sha256(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let receiver = Receiver::new(vec![], Reply::status(200));
        for secret in ["short".to_owned(), "long ".repeat(40)] {
            queue(&store, 1).await;
            let before = receiver.requests().len();
            let mut settings = settings(&receiver.url());
            settings.secret = Some(SecretString::from(secret.clone()));
            let running = Running::start(&store.ops, settings);
            until!(receiver.requests().len() > before);
            running.end().await;
            let request = receiver.requests().pop().unwrap();
            assert!(is_signed(&request, &secret) && !is_signed(&request, "another"), "{request:?}");
            let time = format!("t={},", store.clock.now().timestamp());
            assert!(request.headers["x-tenantpilot-signature"].starts_with(&time), "{request:?}");
        }
    }

    async fn fr_016_003_a_failed_attempt_is_made_again_as_the_same_delivery(store) {
        let script = vec![Reply::status(500), Reply::Reset, Reply::Nonsense, Reply::status(503)];
        let receiver = Receiver::new(script, Reply::status(200));
        queue(&store, 1).await;
        let running = Running::start(&store.ops, settings(&receiver.url()));
        until!(delivered(&store).await == 1);
        running.end().await;
        assert_eq!(the_one(&store).await.attempts, 5);
        let requests = receiver.requests();
        // The one that was reset was not read.
        assert_eq!(requests.len(), 4);
        for request in &requests {
            assert_eq!(request.body, requests[0].body);
            assert_eq!(request.headers["x-tenantpilot-delivery"], requests[0].headers["x-tenantpilot-delivery"]);
        }
    }

    async fn fr_016_003_a_receiver_that_is_not_there_is_tried_again(store) {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        queue(&store, 1).await;
        let mut settings = settings(&format!("http://{address}/"));
        settings.max_attempts = 3;
        let running = Running::start(&store.ops, settings);
        until!(the_one(&store).await.status == AlertStatus::Dead);
        running.end().await;
        let alert = the_one(&store).await;
        assert_eq!((alert.attempts, alert.last_error.unwrap().as_str()), (3, "the receiver refused the connection"));
        // A name that is reserved to lead nowhere.
        store.sql("delete from alert_deliveries").await.unwrap();
        queue(&store, 1).await;
        let mut settings = self::settings("http://receiver.invalid/");
        settings.max_attempts = 1;
        let running = Running::start(&store.ops, settings);
        until!(the_one(&store).await.status == AlertStatus::Dead);
        running.end().await;
        let error = the_one(&store).await.last_error.unwrap();
        assert!(error == "the receiver's host name was not found" || error.contains("within"), "{error}");
    }

    async fn fr_016_003_a_receiver_without_tls_is_not_spoken_to_without_it(store) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/{CANARY}", listener.local_addr().unwrap());
        let plain = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut first = [0; 512];
            let length = stream.read(&mut first).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            first[..length].to_vec()
        });
        queue(&store, 1).await;
        let mut settings = settings(&url);
        settings.max_attempts = 1;
        let running = Running::start(&store.ops, settings);
        until!(the_one(&store).await.status == AlertStatus::Dead);
        running.end().await;
        let error = the_one(&store).await.last_error.unwrap();
        assert!(error.starts_with("no TLS connection to the receiver"), "{error}");
        let heard = plain.join().unwrap();
        assert_eq!(heard[0], 0x16, "that was no TLS handshake");
        assert!(!String::from_utf8_lossy(&heard).contains(CANARY));
    }

    async fn fr_016_004_a_redirect_is_a_failure_that_says_so(store) {
        let elsewhere = Receiver::new(vec![], Reply::status(200));
        for code in [301, 302, 303, 307, 308] {
            let there = vec![format!("Location: {}?token={CANARY}", elsewhere.url())];
            let receiver = Receiver::new(vec![], Reply::Status(code, there, String::new()));
            let error = given_up(&store, &receiver, Duration::from_secs(60)).await.last_error.unwrap();
            assert_eq!(error, format!("the receiver answered {code}, a redirect; redirects are not followed"));
            assert_eq!(receiver.requests().len(), 2);
        }
        assert!(elsewhere.requests().is_empty(), "a redirect was followed");
    }

    async fn fr_016_005_a_refusal_is_tried_all_the_same_and_says_so(store) {
        for (code, part) in [(400, "it refuses the alert; it is tried all the same"), (410, "gone; it is tried all the same"),
            (408, "not now"), (425, "not now"), (429, "not now")] {
            let receiver = Receiver::new(vec![], Reply::status(code));
            let alert = given_up(&store, &receiver, Duration::from_secs(60)).await;
            let error = alert.last_error.unwrap();
            assert!(error.contains(&code.to_string()) && error.contains(part), "{error}");
            assert_eq!(alert.attempts, 2);
        }
    }

    async fn fr_016_005_a_receiver_can_ask_for_time_up_to_a_limit(store) {
        let asks = |seconds: &str| Reply::Status(503, vec![format!("Retry-After: {seconds}")], String::new());
        let receiver = Receiver::new(vec![asks("0"), asks("600")], asks("999999999"));
        queue(&store, 1).await;
        let mut settings = settings(&receiver.url());
        settings.retry_after_cap = Duration::from_hours(2);
        let running = Running::start(&store.ops, settings);
        let left = "select cast(extract(epoch from next_attempt_at - clock_timestamp()) as bigint) from alert_deliveries";
        let left = if store.engine == Engine::Postgres { left } else {
            "select cast((julianday(next_attempt_at) - julianday('now')) * 86400 as integer) from alert_deliveries"
        };
        until!(receiver.requests().len() == 2 && the_one(&store).await.last_error.is_some());
        until!(store.number(left).await > 300);
        assert!(store.number(left).await <= 600);
        store.sql("update alert_deliveries set next_attempt_at = '2020-01-01T00:00:00+00:00'").await.unwrap();
        until!(receiver.requests().len() == 3 && store.number(left).await > 3_600);
        assert!(store.number(left).await <= 7_200, "the limit does not hold");
        running.end().await;
    }

    async fn fr_016_006_a_receiver_that_hangs_holds_up_nothing_else(store) {
        let receiver = Receiver::new(vec![Reply::Hang, Reply::Hang], Reply::status(200));
        queue(&store, 5).await;
        let mut settings = settings(&receiver.url());
        settings.grace = Duration::from_millis(10);
        settings.timeout = Duration::from_mins(30);
        let running = Running::start(&store.ops, settings);
        until!(delivered(&store).await == 3);
        assert_eq!(receiver.requests().len(), 5);
        // Two posts hang, and the database is free.
        if store.engine == Engine::Postgres {
            let open = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'";
            // The sender looks for more all the while, in short ones.
            until!(store.number(open).await == 0);
        }
        store.sql("update alert_deliveries set payload = payload").await.unwrap();
        // Nor do they hold up the end.
        running.end().await;
        assert_eq!(summary(&store).await.pending, 2);
    }

    async fn fr_016_006_a_receiver_that_never_answers_or_never_ends_is_left(store) {
        let receiver = Receiver::new(vec![], Reply::Hang);
        let alert = given_up(&store, &receiver, Duration::from_millis(300)).await;
        assert_eq!(alert.last_error.unwrap(), "the receiver did not answer within 300ms");
        let receiver = Receiver::new(vec![], Reply::Endless);
        store.sql("delete from alert_deliveries").await.unwrap();
        queue(&store, 1).await;
        let running = Running::start(&store.ops, settings(&receiver.url()));
        until!(delivered(&store).await == 1);
        running.end().await;
        assert_eq!(receiver.requests().len(), 1);
    }

    async fn fr_016_007_after_so_many_attempts_it_is_dead_and_stays_visible(store) {
        let receiver = Receiver::new(vec![], Reply::status(500));
        queue(&store, 1).await;
        let mut settings = settings(&receiver.url());
        settings.max_attempts = 4;
        let running = Running::start(&store.ops, settings);
        until!(the_one(&store).await.status == AlertStatus::Dead);
        let error = Some("the receiver answered 500".to_owned());
        assert_eq!(summary(&store).await, AlertSummary { pending: 0, overdue: 0, dead: 1, last_error: error });
        tokio::time::sleep(Duration::from_millis(200)).await;
        running.end().await;
        assert_eq!(receiver.requests().len(), 4, "a dead alert was sent");
        assert_eq!(the_one(&store).await.next_attempt_at, None);
    }

    async fn fr_016_008_several_senders_send_each_alert_once(store) {
        const ALERTS: usize = 60;
        let receiver = Receiver::new(vec![], Reply::status(200));
        queue(&store, ALERTS).await;
        let patience = OpsSettings { patience: Duration::from_secs(60), ..OpsSettings::default() };
        let running: Vec<_> = (0..3)
            .map(|_| Running::start(&store.another(patience.clone()), settings(&receiver.url())))
            .collect();
        until!(delivered(&store).await == i64::try_from(ALERTS).unwrap());
        for one in running {
            one.end().await;
        }
        let mut times = BTreeMap::new();
        for request in receiver.requests() {
            *times.entry(request.headers["x-tenantpilot-delivery"].clone()).or_insert(0) += 1;
        }
        assert_eq!((times.len(), times.values().max()), (ALERTS, Some(&1)));
        assert_eq!(store.number("select cast(sum(attempts) as bigint) from alert_deliveries").await, i64::try_from(ALERTS).unwrap());
    }

    async fn fr_016_009_what_a_killed_sender_held_is_sent_again_as_the_same_delivery(store) {
        queue(&store, 1).await;
        // Killed after the claim was committed.
        let held = claim(&store, Duration::from_mins(30)).await.remove(0);
        let receiver = Receiver::new(vec![], Reply::status(200));
        let running = Running::start(&store.ops, settings(&receiver.url()));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(receiver.requests().is_empty(), "an alert that somebody holds was sent");
        store.sql("update alert_deliveries set next_attempt_at = '2020-01-01T00:00:00+00:00'").await.unwrap();
        until!(delivered(&store).await == 1);
        running.end().await;
        assert_eq!(receiver.requests()[0].headers["x-tenantpilot-delivery"], held.delivery_id);
        assert_eq!(the_one(&store).await.attempts, 2);
    }

    async fn fr_016_009_a_late_report_counts_only_if_the_receiver_took_it(store) {
        queue(&store, 1).await;
        let late = claim(&store, Duration::ZERO).await.remove(0);
        let mut again = vec![];
        until!({ again.extend(claim(&store, Duration::from_mins(30)).await); !again.is_empty() });
        let settle = |claim_id: &str, end| SettleAlert { id: late.id, claim_id: claim_id.to_owned(), end };
        let failed = AttemptEnd::Failed { error: "late".to_owned(), delay: Duration::ZERO, max_attempts: 1 };
        let told = store.ops.run(&Actor::System, settle(&late.claim_id, failed.clone())).await.unwrap();
        assert_eq!((told, the_one(&store).await.last_error), (None, None));
        let told = store.ops.run(&Actor::System, settle(&late.claim_id, AttemptEnd::Delivered)).await.unwrap();
        assert_eq!(told, Some(AlertStatus::Delivered));
        let told = store.ops.run(&Actor::System, settle(&again[0].claim_id, failed)).await.unwrap();
        assert_eq!((told, the_one(&store).await.status), (None, AlertStatus::Delivered));
    }

    async fn fr_016_010_without_a_webhook_alerts_wait_and_say_why(store) {
        queue(&store, 2).await;
        let settings = AlertSettings { webhook: None, ..settings("http://127.0.0.1/") };
        let running = Running::start(&store.ops, settings);
        until!(summary(&store).await.last_error.is_some());
        running.end().await;
        let waiting = summary(&store).await;
        assert_eq!((waiting.pending, waiting.overdue, waiting.dead), (2, 0, 0));
        assert_eq!(waiting.last_error.as_deref(), Some("no webhook is configured"));
        let receiver = Receiver::new(vec![], Reply::status(200));
        let running = Running::start(&store.ops, self::settings(&receiver.url()));
        until!(delivered(&store).await == 2);
        running.end().await;
        assert_eq!(summary(&store).await.last_error, None);
    }

    async fn fr_016_011_nothing_that_the_receiver_says_is_kept(store) {
        let hostile = Reply::Status(500, vec![format!("X-Token: {CANARY}"), format!("Retry-After: {CANARY}")],
            format!("Authorization: Bearer {CANARY}\r\npassword={CANARY}"));
        for reply in [hostile, Reply::Nonsense] {
            let alert = given_up(&store, &Receiver::new(vec![], reply), Duration::from_secs(60)).await;
            let error = alert.last_error.unwrap();
            assert!(!error.contains(CANARY) && !error.contains("hunter2"), "{error}");
            assert!(error.contains("500") || error.contains("does not speak HTTP"), "{error}");
        }
        // Whatever reaches the operation is sanitised there.
        store.sql("delete from alert_deliveries").await.unwrap();
        queue(&store, 1).await;
        let held = claim(&store, Duration::ZERO).await.remove(0);
        let error = format!("https://user:{CANARY}@host/?token={CANARY}\u{1b}[31m\nBearer {CANARY}");
        let end = AttemptEnd::Failed { error, delay: Duration::ZERO, max_attempts: 9 };
        store.ops.run(&Actor::System, SettleAlert { id: held.id, claim_id: held.claim_id, end }).await.unwrap();
        let kept = the_one(&store).await.last_error.unwrap();
        assert!(!kept.contains(CANARY) && !kept.contains(['\u{1b}', '\n']) && kept.contains("[redacted:"), "{kept}");
        assert_eq!(summary(&store).await.overdue, 1);
    }
}

fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, tenantpilot::Error> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, file).unwrap();
    let env = |name: &str| {
        env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    Config::load(Sources {
        default_file: Some(path),
        file: None,
        env: &env,
        flags: Flags::default(),
    })
}

#[test]
fn fr_016_012_an_address_with_credentials_or_of_another_kind_is_refused_without_a_word_of_it() {
    for (address, part) in [
        (format!("https://user:{CANARY}@alerts.example/x"), "user name or password"),
        (format!("https://{CANARY}@alerts.example/x"), "user name or password"),
        (format!("ftp://alerts.example/{CANARY}"), "https:// or http://"),
        (format!("alerts.example/{CANARY}"), "address"),
        (format!("https:///{CANARY}"), "address"),
        (format!("https://alerts.example/ {CANARY}"), "space"),
        (format!("https://alerts.example/#{CANARY}"), "fragment"),
        (CANARY.to_owned(), "address"),
    ] {
        let file = format!("[alerts]\nwebhook_url = \"{address}\"\n");
        let env = [("TENANTPILOT_ALERTS_WEBHOOK_URL", address.as_str())];
        for (refused, place) in [(load(&file, &[]), "line 2"), (load("", &env), env[0].0)] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            let error = error.to_string();
            assert!(error.contains(part) && error.contains(place), "{address}: {error}");
            assert!(!error.contains(CANARY), "{error}");
        }
    }
    let address = format!("https://alerts.example:8443/hooks/{CANARY}?key={CANARY}");
    let config = load("", &[("TENANTPILOT_ALERTS_WEBHOOK_URL", &address)]).unwrap();
    let settings = AlertSettings::from_config(&config).unwrap();
    assert_eq!(settings.webhook.as_ref().unwrap().expose(), address);
    let shown =
        format!("{:?} {:?} {config:?} {settings:?}", settings.webhook, config.all_settings());
    assert!(
        shown.contains("https://alerts.example:8443/***") && !shown.contains(CANARY),
        "{shown}"
    );
}

#[test]
fn fr_016_013_a_secret_is_read_only_from_a_file_of_its_owners_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secret");
    let file = format!(
        "[alerts]\nwebhook_url = \"https://alerts.example/\"\nwebhook_secret_file = \"{}\"\n",
        path.display()
    );
    let config = load(&file, &[]).unwrap();
    let refusal = |part: &str| {
        let error = AlertSettings::from_config(&config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let error = error.to_string();
        assert!(error.contains(part) && error.contains("secret"), "{error}");
        assert!(!error.contains(CANARY), "{error}");
    };
    refusal("does not exist");
    fs::write(&path, format!("{CANARY}\n")).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o666, 0o644] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        refusal("chmod 600");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let settings = AlertSettings::from_config(&config).unwrap();
    assert_eq!(settings.secret.as_ref().unwrap().expose_secret(), CANARY);
    assert!(!format!("{config:?} {settings:?}").contains(CANARY));
    fs::write(&path, "\n").unwrap();
    refusal("empty");
    fs::write(&path, CANARY.repeat(1_000)).unwrap();
    refusal("larger than");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refusal("directory");

    let env = [("TENANTPILOT_ALERTS_WEBHOOK_SECRET", CANARY)];
    let config = load(&file, &env).unwrap();
    assert_eq!(config.webhook_secret().unwrap().unwrap().expose_secret(), CANARY);
    assert!(!format!("{config:?} {:?}", config.all_settings()).contains(CANARY));
    let relative = load("[alerts]\nwebhook_secret_file = \"secret\"\n", &[]).unwrap_err();
    assert!(relative.to_string().contains("absolute"), "{relative}");
}

#[tokio::test]
async fn fr_016_014_a_sender_outlives_an_outage_and_says_so_once() {
    let store = Store::new(Engine::Postgres).await;
    let log = Log::of_this_thread();
    let proxy = Proxy::start(&store.url);
    let patience = OpsSettings { patience: Duration::from_secs(2), ..OpsSettings::default() };
    let ops = Ops::open(&proxy.url(&store.url), Create::Never, Clock::system(), patience).unwrap();
    let receiver = Receiver::new(vec![], Reply::status(200));
    let running = Running::start(&ops, settings(&receiver.url()));
    queue(&store, 1).await;
    until!(delivered(&store).await == 1);
    for round in 2..4 {
        let before = log.times("cannot be used");
        proxy.cut();
        until!(log.times("cannot be used") == before + 1);
        queue(&store, 1).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(log.times("cannot be used"), before + 1, "it says so again and again");
        assert!(log.times("can be reached again") <= before && !running.task.is_finished());
        proxy.restore();
        until!(delivered(&store).await == round && log.times("can be reached again") > before);
    }
    running.end().await;
    drop(log);
    assert_eq!(receiver.requests().len(), 3);
}
