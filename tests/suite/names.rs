//! A name typed as it is shown finds itself, the same on both engines and in every collation.

use std::collections::BTreeMap;

use tempfile::TempDir;
use tenantpilot::Clock;
use tenantpilot::access::Actor;
use tenantpilot::domain::run_filter::RunFilter;
use tenantpilot::domain::safe_text::SafeText;
use tenantpilot::ops::plans::{ListScopeTenants, ListScopeWorkspaces};
use tenantpilot::ops::runs::ListRuns;
use tenantpilot::ops::support::{ListRequests, ListRunTenants, ListTenants};
use tenantpilot::ops::{Create, Ops, OpsSettings};

use crate::support::postgres::{DatabaseGuard, postgres_database_with};
use crate::support::stores::block_on;

/// Names of tenants, by id.
const NAMES: [&str; 24] = [
    "İstanbul",
    "ıIiİ",
    "ΣΊΣΥΦΟΣ",
    "Οδυσσεύς",
    "ÄRZTE",
    "A\u{308}rzte im Netz",
    "Straße 7",
    "STRAẞE 8",
    "café",
    "Cafe\u{301} Zwei",
    "Ǆungla ǆ ǅ",
    "Ω Ohm \u{2126}",
    "K \u{212a} Kelvin",
    "ﬁnance ＦＵＬＬ",
    "100% [x]*?^_ \\ - ]",
    "it's \"quoted\", with commas",
    "tab\tand  two spaces",
    "line\nbreak\r\nand\u{2028}more",
    "bidi \u{202e}name\u{200b}",
    "many \u{7}\u{7}\u{7}\u{7}\u{7} bells",
    "z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305} stacked",
    "👩\u{200d}⚕️ Praxis",
    "한국 \u{1112}\u{1161}\u{11ab} 日本",
    "412",
];

/// A database, and what keeps it.
struct Place {
    name: &'static str,
    ops: Ops,
    url: String,
    _guard: Option<DatabaseGuard>,
    _folder: Option<TempDir>,
}

fn open(url: &str) -> Ops {
    let settings =
        OpsSettings { patience: std::time::Duration::from_secs(60), ..OpsSettings::default() };
    Ops::open(url, Create::IfMissing, Clock::system(), settings).unwrap()
}

async fn places() -> Vec<Place> {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}/p.db", folder.path().display());
    let mut all =
        vec![Place { name: "sqlite", ops: open(&url), url, _guard: None, _folder: Some(folder) }];
    for (name, options) in [
        ("the cluster's", ""),
        ("C", "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"),
        ("Turkish", "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'"),
        ("Greek", "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'el-GR'"),
    ] {
        let (url, guard) = postgres_database_with(options).await;
        all.push(Place { name, ops: open(&url), url, _guard: Some(guard), _folder: None });
    }
    for place in &all {
        place.ops.migrate().await.unwrap();
        place.fill().await;
    }
    all
}

impl Place {
    /// A workspace, a tenant and a run for each name, and one run over all of them.
    async fn fill(&self) {
        let now = "2026-11-01T00:00:00+00:00";
        let mut sql = String::new();
        for (id, name) in (1..).zip(NAMES) {
            let name = name.replace('\'', "''");
            sql += &format!(
                "insert into workspaces (id, name, created_at) values ({id}, '{name}', '{now}'); \
                 insert into tenants (id, workspace_id, name, is_platform, created_at) \
                 values ({id}, {id}, '{name}', false, '{now}'); \
                 insert into operation_runs (id, workspace_id, tenant_id, initiator_name, source, type, \
                 scope_kind, identity_hash, created_at, updated_at, status) values \
                 ({id}, {id}, {id}, '{name}', 'admin', 'policy.sync', 'tenant', '{id:064x}', '{now}', \
                 '{now}', 'queued'); \
                 insert into operation_run_targets (run_id, ordinal, kind, tenant_id, updated_at) \
                 values ({id}, 0, 'tenant', {id}, '{now}');"
            );
        }
        if self.url.starts_with("sqlite") {
            let mut connection =
                <sqlx::SqliteConnection as sqlx::Connection>::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        } else {
            let mut connection =
                <sqlx::PgConnection as sqlx::Connection>::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        }
    }

    async fn runs(&self, filter: &str) -> Vec<i64> {
        let filter = RunFilter::parse(filter).unwrap();
        let list = ListRuns { filter, limit: 200, ..ListRuns::default() };
        let page = self.ops.run(&Actor::System, list).await.unwrap();
        let mut ids: Vec<i64> = page.runs.iter().map(|run| run.id).collect();
        ids.sort_unstable();
        ids
    }

    /// What each way to search finds.
    async fn search(&self, text: &str) -> BTreeMap<&'static str, Vec<i64>> {
        let system = &Actor::System;
        let search = text.to_owned();
        let sorted = |mut ids: Vec<i64>| {
            ids.sort_unstable();
            ids
        };
        let tenants = ListTenants { search: search.clone(), limit: 1000, ..ListTenants::default() };
        let tenants = self.ops.run(system, tenants).await.unwrap().tenants;
        let scope = ListScopeTenants { search: search.clone(), offset: 0, limit: 1000 };
        let scope = self.ops.run(system, scope).await.unwrap().tenants;
        let workspaces = ListScopeWorkspaces { search: search.clone(), offset: 0, limit: 1000 };
        let workspaces = self.ops.run(system, workspaces).await.unwrap().workspaces;
        let requests = ListRequests { search: search.clone(), ..ListRequests::default() };
        assert!(self.ops.run(system, requests).await.unwrap().support_requests.is_empty());
        let mut of_runs = Vec::new();
        for run_id in 1..=i64::try_from(NAMES.len()).unwrap() {
            let list = ListRunTenants { run_id, search: search.clone(), limit: 0 };
            let found = self.ops.run(system, list).await.unwrap();
            of_runs.extend(found.tenants.iter().map(|tenant| tenant.tenant_id));
        }
        let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let begun: String = text.chars().take(4).collect();
        let begun = format!("\"{}\"*", begun.replace('\\', "\\\\").replace('"', "\\\""));
        BTreeMap::from([
            ("tenants", sorted(tenants.iter().map(|tenant| tenant.id).collect())),
            ("scope", sorted(scope.iter().map(|tenant| tenant.id).collect())),
            ("workspaces", sorted(workspaces.iter().map(|workspace| workspace.id).collect())),
            ("tenants of runs", sorted(of_runs)),
            ("tenant:", self.runs(&format!("tenant:{quoted}")).await),
            ("workspace:", self.runs(&format!("workspace:{quoted}")).await),
            ("by:", self.runs(&format!("by:{quoted}")).await),
            ("tenant:*", self.runs(&format!("tenant:{begun}")).await),
            ("text", self.runs(&quoted).await),
        ])
    }
}

#[test]
fn fr_043_009_a_name_typed_as_shown_finds_itself() {
    block_on(async {
        let places = places().await;
        for (id, name) in (1..).zip(NAMES) {
            let shown = SafeText::new(name).to_string();
            let first = places[0].search(&shown).await;
            for (way, found) in &first {
                assert!(found.contains(&id), "{way} does not find {shown:?}: {found:?}");
            }
            // Nothing else is the whole of it, unless characters that cannot be shown stand in it.
            if !shown.contains(['\u{fffd}', '␊']) {
                assert_eq!(first["tenant:"], [id], "{shown:?}");
            }
            for place in &places[1..] {
                assert_eq!(place.search(&shown).await, first, "{}: {shown:?}", place.name);
            }
        }
    });
}

#[test]
fn fr_011_003_fr_043_009_a_number_that_is_no_id_is_a_name() {
    block_on(async {
        for place in places().await {
            for filter in ["tenant:412", "workspace:412", "tenant:24", "tenant:412,24,999"] {
                assert_eq!(place.runs(filter).await, [24], "{}: {filter}", place.name);
            }
            assert_eq!(place.runs("!tenant:412").await.len(), NAMES.len() - 1, "{}", place.name);
            assert!(place.runs("tenant:999").await.is_empty());
        }
    });
}

#[test]
fn fr_043_009_letters_are_found_in_either_case_everywhere() {
    block_on(async {
        for place in places().await {
            for (typed, id) in [
                ("istanbul", None),
                ("İSTANBUL", Some(1)),
                ("σίσυφος", Some(3)),
                ("σίσ", Some(3)),
                ("ΟΔΥΣΣΕΎΣ", Some(4)),
                ("ärzte", Some(5)),
                ("ÄRZTE IM NETZ", Some(6)),
                ("STRASSE", None),
                ("straẞe 7", Some(7)),
                ("CAFÉ", Some(9)),
                ("cafe\u{301}", Some(9)),
                ("CAFÉ ZWEI", Some(10)),
                ("ǆUNGLA", Some(11)),
            ] {
                let list = ListTenants { search: typed.to_owned(), ..ListTenants::default() };
                let found = place.ops.run(&Actor::System, list).await.unwrap().tenants;
                let ids: Vec<i64> = found.iter().map(|tenant| tenant.id).collect();
                match id {
                    Some(id) => assert!(ids.contains(&id), "{}: {typed}: {ids:?}", place.name),
                    None => assert!(ids.is_empty(), "{}: {typed}: {ids:?}", place.name),
                }
            }
            // A text longer than any name is no error.
            let list = ListTenants { search: "ä[*".repeat(20_000), ..ListTenants::default() };
            assert_eq!(place.ops.run(&Actor::System, list).await.unwrap().matching, 0);
        }
    });
}
