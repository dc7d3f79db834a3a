//! What the errors of a change name to a role that lacks grants, held against what the server asks
//! for (specs/043-databases).

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tenantpilot::Error;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::ops::activity::SaveCheckpoint;
use tenantpilot::ops::auth::{Login, Session};
use tenantpilot::ops::break_glass::EndBreakGlass;
use tenantpilot::ops::overview::CheckRunCounts;
use tenantpilot::ops::runs::{CancelRun, PauseRun};
use tenantpilot::ops::settings::SetSetting;
use tenantpilot::ops::telemetry::CheckRollups;
use tenantpilot::ops::users::CreateFirstAdministrator;
use tenantpilot::ops::{Consent, Engine, Ops, password};

use crate::grants::{Role, statements};
use crate::lost_commits::scene::{CUSTOMER, Case, Scene, case};
use crate::lost_commits::{cases, prepared};
use crate::support::starts::sure;
use crate::support::stores::{ORIGIN, PASSWORD, Store, block_on};

/// The grants that the errors of one change named, by table.
type Named = BTreeMap<String, String>;

/// What is needed only where a run changes hands at the same moment.
const IN_A_RACE: [&str; 2] = [
    "runs.cancel: select on operation_run_requests",
    "runs.cancel: delete on operation_run_requests",
];

/// A role without any grant.
struct Trial {
    store: Store,
    administrator: Session,
    role: Role,
    ops: Ops,
    /// One connection of the owner: to connect takes longer than most statements.
    owner: PgConnection,
    rounds: usize,
}

impl Trial {
    async fn new() -> Self {
        let (store, administrator) = prepared().await;
        let role = Role::new(&store).await;
        let ops = role.ops(&store);
        let owner = PgConnection::connect(&store.url).await.unwrap();
        Self { store, administrator, role, ops, owner, rounds: 0 }
    }

    fn scene(&self, case: &Case) -> Scene<'_> {
        // Numbers below 100 make a reference.
        let n = if case.name == "support.create_request" { 10 } else { 100 } + self.rounds;
        Scene { store: &self.store, administrator: &self.administrator, ops: &self.ops, n, id: 0 }
    }

    async fn prepare(&mut self, case: &Case) -> i64 {
        self.rounds += 1;
        let end = EndBreakGlass { consent: Consent::yes() };
        let _ = self.store.ops.run(&self.administrator.actor, end).await;
        (case.prepare)(&self.scene(case)).await
    }

    async fn ask(&self, case: &Case, id: i64) -> Result<(), Error> {
        (case.ask)(&Scene { id, ..self.scene(case) }).await
    }

    async fn sql(&mut self, text: &str) {
        let done = self.owner.execute(AssertSqlSafe(text.to_owned())).await;
        done.unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    /// Gives the role what each error names until the change is made.
    async fn learn(&mut self, case: &Case) -> Named {
        let mut named = Named::new();
        let id = self.prepare(case).await;
        while let Err(error) = self.ask(case, id).await {
            let (table, grants) = denied(case.name, &error);
            assert_eq!(named.insert(table, grants), None, "{}: named twice: {error}", case.name);
            self.sql(&statements(&error)).await;
        }
        named
    }

    /// The grants without which the change is denied, of tables that it does not only read.
    async fn needed(&mut self, case: &Case, named: &Named) -> Vec<String> {
        let mut needed = Vec::new();
        let mut prepared = None;
        for (table, grant) in more_than_read(named) {
            let id = match prepared {
                Some(id) => id,
                None => self.prepare(case).await,
            };
            prepared = Some(id);
            self.sql(&format!("revoke {grant} on {table} from {}", self.role.name)).await;
            match self.ask(case, id).await {
                Ok(()) => prepared = None,
                Err(error) => {
                    let expected = (table.to_owned(), grant.to_owned());
                    assert_eq!(denied(case.name, &error), expected, "{}: {error}", case.name);
                    needed.push(one(case.name, table, grant));
                }
            }
            self.sql(&format!("grant {grant} on {table} to {}", self.role.name)).await;
        }
        needed
    }
}

fn more_than_read(named: &Named) -> impl Iterator<Item = (&str, &str)> {
    let written = named.iter().filter(|(_, grants)| *grants != "select");
    written.flat_map(|(table, grants)| grants.split(", ").map(|grant| (table.as_str(), grant)))
}

fn one(name: &str, table: &str, grant: &str) -> String {
    format!("{name}: {grant} on {table}")
}

/// The table and the grants that an error names.
fn denied(name: &str, error: &Error) -> (String, String) {
    let code = error.fault().map(|fault| fault.code.as_str());
    assert_eq!(code, Some("42501"), "{name}: {error}");
    assert!(error.to_string().contains("as its owner: grant "), "{name}: {error}");
    let text = statements(error);
    let (grants, rest) = text.strip_prefix("grant ").unwrap().split_once(" on ").unwrap();
    let (table, _) = rest.split_once(" to ").unwrap();
    if table != "audit_logs" {
        let told = format!("the database role may not use the table {table}");
        assert_eq!(error.message(), told, "{name}");
    }
    (table.to_owned(), grants.to_owned())
}

fn checkpoint(session_id: Option<i64>, key: String) -> SaveCheckpoint {
    SaveCheckpoint {
        session_id,
        tenant_id: Some(1),
        checkpoint_key: key,
        lifecycle_state: "completed".to_owned(),
    }
}

/// A run that a worker holds.
async fn running(s: &Scene<'_>) -> i64 {
    let id = s.queued().await;
    let holds = format!(
        "update operation_runs set status = 'running', lease_owner = 'w', started_at = created_at where id = {id}"
    );
    let lease = format!(
        "insert into operation_run_leases (run_id, owner, acquired_at, expires_at, heartbeat_at) values \
         ({id}, 'w', '2026-11-20T12:00:00+00:00', '2100-01-01T00:00:00+00:00', '2026-11-20T12:00:00+00:00')"
    );
    for text in [holds, lease] {
        s.store.sql(&text).await.unwrap();
    }
    id
}

/// A run whose worker is lost.
async fn lost(s: &Scene<'_>) -> i64 {
    let id = running(s).await;
    let expires = "2026-11-20T12:00:00+00:00";
    let text =
        format!("update operation_run_leases set expires_at = '{expires}' where run_id = {id}");
    s.store.sql(&text).await.unwrap();
    id
}

/// Changes that write more in other circumstances, and what only compares.
fn others() -> Vec<Case> {
    vec![
        case!(
            "auth.login",
            1,
            |s| {
                s.user().await;
                0
            },
            |s| {
                let login = || Login::new(&s.name(), PASSWORD, ClientKind::Console);
                let actor = Actor::Anonymous { origin: ORIGIN.to_owned() };
                let (_, token) = s.store.ops.run(&actor, login()).await.unwrap();
                let replaced = Some(password::secret(token.expose()));
                s.ops.run(&actor, login().replacing(replaced)).await.map(drop)
            },
            |_, _| String::new()
        ),
        case!(
            "activity.save_checkpoint",
            0,
            |s| {
                let first = checkpoint(None, "begun".to_owned());
                s.store.ops.run(&CUSTOMER, first).await.unwrap().session_id
            },
            |s| s.as_customer(checkpoint(Some(s.id), format!("step_{}", s.n))).await,
            |_, _| String::new()
        ),
        case!(
            "runs.cancel",
            0,
            |s| running(s).await,
            |s| s.run(CancelRun { run_id: s.id, consent: sure("CANCEL", s.id) }).await,
            |_, _| String::new()
        ),
        case!(
            "runs.cancel",
            0,
            |s| lost(s).await,
            |s| s.run(CancelRun { run_id: s.id, consent: sure("CANCEL", s.id) }).await,
            |_, _| String::new()
        ),
        case!(
            "runs.pause",
            0,
            |s| running(s).await,
            |s| s.run(PauseRun { run_id: s.id, consent: sure("PAUSE", s.id) }).await,
            |_, _| String::new()
        ),
        case!(
            "runs.pause",
            0,
            |s| lost(s).await,
            |s| s.run(PauseRun { run_id: s.id, consent: sure("PAUSE", s.id) }).await,
            |_, _| String::new()
        ),
        case!(
            "platform.set_setting",
            0,
            |s| {
                let key = "environment.label".to_owned();
                let value = Some(format!("TEST {}", s.n));
                let set = SetSetting { key, value, consent: Consent::yes() };
                s.store.ops.run(&s.administrator.actor, set).await.unwrap();
                0
            },
            |s| {
                let key = "environment.label".to_owned();
                s.run(SetSetting { key, value: None, consent: Consent::yes() }).await
            },
            |_, _| String::new()
        ),
        case!("overview.check_counts", 0, |_s| 0, |s| s.run(CheckRunCounts).await, |_, _| {
            String::new()
        }),
        case!("telemetry.check_rollups", 0, |_s| 0, |s| s.run(CheckRollups).await, |_, _| {
            String::new()
        }),
    ]
}

/// Tries each change of these areas: what its errors name is enough, and all of it is needed.
fn tried(areas: &[&str]) -> BTreeMap<&'static str, Named> {
    let wanted = |case: &Case| {
        // It is of an empty database.
        let is_first = case.name == "users.create_first_administrator";
        !is_first && areas.iter().any(|area| case.name.starts_with(area))
    };
    block_on(async {
        let mut all = BTreeMap::new();
        let (mut offered, mut needed) = (BTreeSet::new(), BTreeSet::new());
        let mut trial = Trial::new().await;
        for case in [cases(), others()].concat().iter().filter(|case| wanted(case)) {
            let named = trial.learn(case).await;
            needed.extend(trial.needed(case, &named).await);
            offered
                .extend(more_than_read(&named).map(|(table, grant)| one(case.name, table, grant)));
            for (table, _) in more_than_read(&named) {
                trial.sql(&format!("revoke all on {table} from {}", trial.role.name)).await;
            }
            all.entry(case.name).or_insert(named);
        }
        trial.owner.close().await.unwrap();
        trial.ops.close().await;
        trial.role.drop(&trial.store).await;
        let superfluous: Vec<&String> = offered
            .difference(&needed)
            .filter(|grant| !IN_A_RACE.contains(&grant.as_str()))
            .collect();
        assert!(superfluous.is_empty(), "{superfluous:#?}");
        all
    })
}

#[test]
fn fr_043_010_logging_in_and_out_name_the_grants_that_they_need() {
    let named = tried(&["auth.", "break_glass."]);
    let of_login = |table: &str| named["auth.login"][table].as_str();
    assert_eq!(of_login("platform_users"), "select, update");
    assert_eq!(of_login("platform_sessions"), "select, insert, update");
}

#[test]
fn fr_043_010_changes_of_users_name_the_grants_that_they_need() {
    let named = tried(&["users."]);
    assert_eq!(named["users.create"]["platform_users"], "select, insert, update");
    assert_eq!(named["users.create"]["platform_sessions"], "select");
}

#[test]
fn fr_043_010_changes_of_runs_name_the_grants_that_they_need() {
    let named = tried(&["runs."]);
    assert_eq!(named["runs.cancel"]["tenants"], "select");
    assert_eq!(named["runs.cancel"]["operation_runs"], "select, update");
}

#[test]
fn fr_043_010_runbooks_and_counts_name_the_grants_that_they_need() {
    let named = tried(&["runbooks.", "overview.", "product_usage.", "telemetry."]);
    assert_eq!(named["runbooks.preflight"]["runbook_plans"], "select, insert, delete");
    assert_eq!(named["runbooks.start"]["runbook_plans"], "select, update");
}

#[test]
fn fr_043_010_what_customers_do_names_the_grants_that_it_needs() {
    let named = tried(&["activity."]);
    assert_eq!(named["activity.store_report"]["operation_runs"], "select");
}

#[test]
fn fr_043_010_other_changes_name_the_grants_that_they_need() {
    let named = tried(&["alerts.", "notifications.", "platform.", "dashboard.", "support."]);
    assert_eq!(named["support.create_request"]["support_requests"], "select, insert");
}

#[test]
fn fr_043_010_the_first_administrator_is_made_with_the_grants_that_are_named() {
    block_on(async {
        let store = Store::new(Engine::Postgres).await;
        let role = Role::new(&store).await;
        let ops = role.ops(&store);
        let mut named = Named::new();
        let first = || CreateFirstAdministrator {
            username: "ana".to_owned(),
            password: password::secret(PASSWORD),
        };
        let actor = Actor::Anonymous { origin: ORIGIN.to_owned() };
        while let Err(error) = ops.run(&actor, first()).await {
            let (table, grants) = denied("users.create_first_administrator", &error);
            assert_eq!(named.insert(table, grants), None, "{error}");
            store.sql(&statements(&error)).await.unwrap();
        }
        assert_eq!(named["platform_users"], "select, insert, update");
        assert_eq!(named["platform_user_workspaces"], "select, delete");
        ops.close().await;
        role.drop(&store).await;
    });
}
