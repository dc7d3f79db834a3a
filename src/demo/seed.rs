//! Makes an empty database a lifelike platform, the same one for the same seed and moment.

use chrono::{DateTime, Duration, DurationRound as _, Utc};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::sync::mpsc::{self, Sender};

use super::cast::{Cast, number};
use super::draft::Draft;
use super::history::History;
use super::records::Records;
use super::rows::Writer;
use crate::access::Actor;
use crate::domain::capability::Role;
use crate::domain::setting::SettingKey;
use crate::ops::seed::{
    AuditLine, Chunk, DEMO_SETTING, LoadPlatform, LookAtHolding, Part, SeedAccount, SettingRow,
    Stage,
};
use crate::ops::{Ops, password};
use crate::{Error, Result};

/// Up to so many runs go through the operations, one by one.
pub const SMALL: u64 = 100;
/// From so many rows on, indexes are made after the rows.
const LARGE: u64 = 50_000;
/// So many of the newest runs have their start and end audited; older lines count as kept
/// elsewhere. What platform users started is always there.
const AUDITED: u64 = 20_000;
/// Rows per chunk, at most. A chunk costs a wait per table: over TCP the end of a COPY goes when its rows have
/// been acknowledged, which a server may put off for 40 ms.
pub(super) const CHUNK: usize = 8_000;
/// How many accounts there are, and which.
const ACCOUNTS: [(&str, &str, Role); 4] = [
    ("administrator", "Administrator", Role::Administrator),
    ("operator", "Operator", Role::Operator),
    ("oncall", "On call", Role::OnCall),
    ("viewer", "Viewer", Role::Viewer),
];
/// The password of every account of a demo.
pub const DEMO_PASSWORD: &str = "demo-pilot";

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    /// Tenants, the platform's own and archived ones among them; at least 2.
    pub tenants: u64,
    /// Runs.
    pub runs: u64,
    /// Findings.
    pub findings: u64,
    /// Telemetry events.
    pub events: u64,
}

impl Default for Amounts {
    fn default() -> Self {
        Self { tenants: 60, runs: 3_400, findings: 5_000, events: 4_000 }
    }
}

impl Amounts {
    /// The usual amounts around so many runs: more runs come from more tenants.
    pub fn for_runs(runs: u64) -> Self {
        let usual = Self::default();
        let tenants = usual.tenants + (runs.saturating_sub(usual.runs) / 2_500).min(2_000);
        Self { tenants, runs, ..usual }
    }
}

/// An account that was made; its password is known only here.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
pub struct Account {
    /// Name to log in with.
    pub username: String,
    /// Password.
    pub password: String,
    /// The preset.
    pub role: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Seeded {
    /// Accounts.
    pub accounts: Vec<Account>,
    /// Workspaces.
    pub workspaces: u64,
    /// Tenants.
    pub tenants: u64,
    /// Runs.
    pub runs: u64,
    /// Findings.
    pub findings: u64,
    /// Telemetry events.
    pub events: u64,
}

/// Receives a line when there is something to tell.
pub type Progress<'a> = &'a mut (dyn FnMut(&str) + Send);

/// Seeds an empty, migrated database; accounts get fresh random passwords.
///
/// # Errors
/// *Refused* where the database already holds a platform or part of one, *usage* for amounts
/// that make no platform.
pub async fn seed(
    ops: &Ops,
    amounts: &Amounts,
    seed: u64,
    progress: Progress<'_>,
) -> Result<Seeded> {
    let accounts = accounts(fresh_password);
    Box::pin(run(ops, amounts, seed, accounts, false, progress)).await
}

/// Seeds the demo: known passwords, which the login screen tells, and requests for support.
///
/// # Errors
/// As [`seed`].
pub async fn seed_demo(ops: &Ops, seed: u64, progress: Progress<'_>) -> Result<Seeded> {
    let accounts = accounts(|| DEMO_PASSWORD.to_owned());
    let seeded =
        Box::pin(run(ops, &Amounts::default(), seed, accounts, true, &mut *progress)).await?;
    let requests = Box::pin(super::requests::send(ops, ops.clock().now())).await?;
    progress(&format!("{requests} support requests"));
    Ok(seeded)
}

/// What the demo's login screen says.
pub fn login_note() -> String {
    let does = |role| match role {
        Role::Administrator => "manages users, and may do everything",
        Role::Operator => "works on runs, starts runbooks",
        Role::OnCall => "triages failed runs",
        Role::Viewer => "looks, and changes nothing",
    };
    let lines =
        ACCOUNTS.map(|(name, _, role)| format!("{name:<13}  {DEMO_PASSWORD}  {}", does(role)));
    format!("Demo accounts (name, password):\n{}", lines.join("\n"))
}

fn accounts(mut password: impl FnMut() -> String) -> Vec<SeedAccount> {
    ACCOUNTS
        .iter()
        .enumerate()
        .map(|(n, (username, display_name, role))| SeedAccount {
            id: number(n + 1),
            username,
            display_name,
            password: password::secret(password()),
            role: *role,
        })
        .collect()
}

/// A password of 100 random bits from the operating system's generator.
fn fresh_password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut rng = rand::rng();
    let mut group = || -> String {
        (0..5).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect()
    };
    [group(), group(), group(), group()].join("-")
}

/// What does not change while rows are made.
struct Plan<'a> {
    amounts: &'a Amounts,
    cast: &'a Cast,
    names: &'a [(i64, &'static str)],
    start: DateTime<Utc>,
    now: DateTime<Utc>,
    seed: u64,
    demo: bool,
}

async fn run(
    ops: &Ops,
    amounts: &Amounts,
    seed: u64,
    accounts: Vec<SeedAccount>,
    demo: bool,
    progress: Progress<'_>,
) -> Result<Seeded> {
    if amounts.tenants < 2 {
        return Err(Error::usage("a platform has at least 2 tenants: its own and a customer's"));
    }
    ops.run(&Actor::System, LookAtHolding).await?.require_empty()?;
    let now = ops.clock().now().duration_trunc(Duration::minutes(1)).unwrap_or_default();
    // The more runs, the longer the history: from five weeks to a year.
    let days = 35 + i64::try_from(amounts.runs / 3_000).unwrap_or(0).min(330);
    let start = now - Duration::days(days);
    let mut rng = part_of(seed, 1);
    let tenants = usize::try_from(amounts.tenants).unwrap_or(usize::MAX);
    let mut cast = Cast::new(tenants, start, now, &mut rng);
    let cast_rows = std::mem::take(&mut cast.rows);
    let mut seeded = Seeded {
        accounts: accounts
            .iter()
            .map(|account| Account {
                username: account.username.to_owned(),
                password: account.password.expose_secret().to_owned(),
                role: account.role.as_str().to_owned(),
            })
            .collect(),
        workspaces: u64::try_from(cast.workspaces).unwrap_or(0),
        tenants: amounts.tenants,
        runs: amounts.runs,
        findings: amounts.findings,
        events: amounts.events,
    };
    let names: Vec<(i64, &'static str)> =
        accounts.iter().map(|account| (account.id, account.username)).collect();
    let plan = Plan { amounts, cast: &cast, names: &names, start, now, seed, demo };
    if amounts.runs > SMALL {
        whole(ops, &plan, accounts, cast_rows, progress).await?;
    } else {
        seeded.events = in_steps(ops, &plan, accounts, cast_rows, progress).await?;
    }
    Ok(seeded)
}

/// A generator for one part of the data, so that one part's length does not move the others.
fn part_of(seed: u64, part: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(part))
}

/// Loads everything in one transaction.
async fn whole(
    ops: &Ops,
    plan: &Plan<'_>,
    accounts: Vec<SeedAccount>,
    cast_rows: Chunk,
    progress: Progress<'_>,
) -> Result<()> {
    let amounts = plan.amounts;
    let large = amounts.runs.max(amounts.findings).max(amounts.events) > LARGE;
    load(ops, Stage::Whole, accounts, large, async |parts: Sender<Part>| {
        let mut records = records(plan);
        send(&parts, first_rows(plan, cast_rows)).await?;
        send(&parts, records.onboard()).await?;
        let mut writer = Writer::new(plan.cast, plan.names);
        let mut chunk = Chunk::default();
        let (mut id, mut told) = (0, 0);
        for draft in history(plan) {
            id += 1;
            let newest = amounts.runs.saturating_sub(number_of(id)) < AUDITED;
            let audited = newest || matches!(draft.starter, super::draft::Starter::Platform(_));
            writer.add(&mut chunk, id, &draft, audited);
            records.note(&mut chunk, id, &draft);
            if chunk.runs.len() >= CHUNK || chunk.targets.len() >= 4 * CHUNK {
                send(&parts, std::mem::take(&mut chunk)).await?;
                let tenth = number_of(id) * 10 / amounts.runs.max(1);
                if large && tenth > told {
                    told = tenth;
                    progress(&format!("{id} of {} runs", amounts.runs));
                }
            }
        }
        send(&parts, chunk).await?;
        progress(&format!("{id} runs, with what belongs to them"));
        rest(plan, &mut records, &parts, progress).await?;
        if large {
            progress("making the indexes");
        }
        Ok(())
    })
    .await
}

fn number_of(id: i64) -> u64 {
    u64::try_from(id).unwrap_or(0)
}

/// Loads who there is, then plays the runs through the operations, then loads the rest. Until
/// the end the database is marked, and nobody can log in. Gives how many events there are.
async fn in_steps(
    ops: &Ops,
    plan: &Plan<'_>,
    accounts: Vec<SeedAccount>,
    cast_rows: Chunk,
    progress: Progress<'_>,
) -> Result<u64> {
    let mut records = records(plan);
    let onboarding = records.onboard();
    let mut left: Vec<Draft> = Vec::new();
    let mut left_out: Vec<(i64, Draft)> = Vec::new();
    for draft in history(plan) {
        if draft.is_playable(plan.cast) {
            left.push(draft);
        } else {
            left_out.push((number(left_out.len() + 1), draft));
        }
    }
    load(ops, Stage::First, accounts, false, async |parts: Sender<Part>| {
        let mut writer = Writer::new(plan.cast, plan.names);
        let mut chunk = first_rows(plan, cast_rows);
        for (id, draft) in &left_out {
            writer.add(&mut chunk, *id, draft, true);
        }
        send(&parts, chunk).await?;
        send(&parts, onboarding).await
    })
    .await?;
    let mut chunk = Chunk::default();
    for (id, draft) in &left_out {
        records.note(&mut chunk, *id, draft);
    }
    for draft in &left {
        let run_id = super::replay::play(ops, plan.cast, draft).await?;
        records.note_played(&mut chunk, run_id, draft);
    }
    progress(&format!("{} runs, through the operations", left.len()));
    load(ops, Stage::Last, Vec::new(), false, async |parts: Sender<Part>| {
        send(&parts, chunk).await?;
        rest(plan, &mut records, &parts, progress).await
    })
    .await?;
    Ok(records.recorded().max(plan.amounts.events))
}

/// Findings, events, and the logins of the accounts.
async fn rest(
    plan: &Plan<'_>,
    records: &mut Records<'_>,
    parts: &Sender<Part>,
    progress: Progress<'_>,
) -> Result<()> {
    for chunk in records.findings(plan.amounts.findings) {
        send(parts, chunk).await?;
    }
    progress(&format!("{} findings", plan.amounts.findings));
    for chunk in records.events(plan.amounts.events) {
        send(parts, chunk).await?;
    }
    let events = plan.amounts.events.max(records.recorded());
    progress(&format!("{events} telemetry events"));
    send(parts, logins(plan)).await
}

fn records<'a>(plan: &Plan<'a>) -> Records<'a> {
    Records::new(plan.cast, plan.start, plan.now, part_of(plan.seed, 2))
}

fn history<'a>(plan: &Plan<'a>) -> History<'a> {
    History::new(plan.cast, plan.start, plan.now, plan.amounts.runs, part_of(plan.seed, 3))
}

/// Runs a load beside the maker of its rows.
async fn load(
    ops: &Ops,
    stage: Stage,
    accounts: Vec<SeedAccount>,
    large: bool,
    make: impl AsyncFnOnce(Sender<Part>) -> Result<()>,
) -> Result<()> {
    let (sender, parts) = mpsc::channel(2);
    let made = async {
        make(sender.clone()).await?;
        sender.send(Part::End).await.map_err(|_| stopped())?;
        drop(sender);
        Ok(())
    };
    let operation = LoadPlatform { stage, accounts, large, parts };
    let (loaded, made) = tokio::join!(ops.run(&Actor::System, operation), made);
    // When the load stops, the maker only notices that nobody listens.
    loaded.and(made)
}

async fn send(parts: &Sender<Part>, chunk: Chunk) -> Result<()> {
    parts.send(Part::Rows(Box::new(chunk))).await.map_err(|_| stopped())
}

fn stopped() -> Error {
    Error::failed("the database stopped taking rows")
}

fn first_rows(plan: &Plan<'_>, mut rows: Chunk) -> Chunk {
    let mut set = |key, value: String| {
        rows.settings.push(SettingRow { key, value, updated_at: plan.now });
    };
    let (label, color) = if plan.demo { ("DEMO", "magenta") } else { ("SEED", "blue") };
    set(SettingKey::EnvironmentLabel.as_str(), label.to_owned());
    set(SettingKey::EnvironmentColor.as_str(), color.to_owned());
    if plan.demo {
        set("login_note", login_note());
        set(DEMO_SETTING, plan.seed.to_string());
    }
    rows
}

/// Logins of the last two weeks: in the morning of working days, on call every night, and now
/// and then a wrong password first.
fn logins(plan: &Plan<'_>) -> Chunk {
    let mut rng = part_of(plan.seed, 4);
    let mut lines = Vec::new();
    for back in (0..14).rev() {
        let day = plan.now.duration_trunc(Duration::days(1)).unwrap_or(plan.now);
        let day = day - Duration::days(back);
        for (id, name) in plan.names {
            let on_call = *name == "oncall";
            let hour = if on_call { 21 } else { 7 };
            if super::calendar::is_weekend(day) && !on_call {
                continue;
            }
            let at = day + Duration::hours(hour) + Duration::minutes(rng.random_range(0..90));
            if at >= plan.now {
                continue;
            }
            let line = AuditLine {
                plane: "system",
                actor_kind: "platform_user",
                actor_id: Some(*id),
                actor_name: Some((*name).to_owned()),
                origin: Some("local:ops"),
                action: "auth.login",
                status: "succeeded",
                workspace_id: None,
                tenant_id: None,
                run_id: None,
                target_type: Some("platform_user"),
                target_id: Some((*name).to_owned()),
                before_state: None,
                after_state: None,
                metadata: json!({ "client": "console" }),
                occurred_at: at,
            };
            if rng.random_bool(0.1) {
                lines.push(AuditLine {
                    actor_kind: "anonymous",
                    actor_id: None,
                    actor_name: None,
                    status: "failed",
                    metadata: json!({}),
                    occurred_at: at - Duration::seconds(8),
                    ..line.clone()
                });
            }
            lines.push(line);
        }
    }
    Chunk { audit: lines, ..Chunk::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_note_fits_its_place() {
        let note = login_note();
        assert!(note.lines().count() <= 5);
        assert!(note.lines().all(|line| line.chars().count() <= 76));
        for (name, _, _) in ACCOUNTS {
            assert!(note.contains(name));
        }
    }

    #[test]
    fn fresh_passwords_differ_and_meet_the_rules() {
        let (a, b) = (fresh_password(), fresh_password());
        assert_ne!(a, b);
        assert!(password::check_rules(&password::secret(a)).is_ok());
    }
}
