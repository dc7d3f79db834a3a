//! Who there is: customers, their tenants and people, and the platform's accounts.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::words;
use crate::ops::seed::{Chunk, ConnectionRow, TenantRow, UserRow, WorkspaceRow};

/// Tenants per workspace, roughly; the demo's 60 make 14 workspaces.
const TENANTS_PER_WORKSPACE: usize = 9;
/// A customer of the average size has so many tenants more than two.
const SIZES: &[usize] = &[9, 7, 6, 5, 5, 4, 4, 4, 3, 3, 3, 3, 2];

/// A tenant as the stories need it.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Id.
    pub id: i64,
    /// Its workspace.
    pub workspace_id: i64,
    /// Since when it is archived.
    pub archived_at: Option<DateTime<Utc>>,
    /// The platform's own.
    pub is_platform: bool,
    /// Fails more often than others.
    pub flaky: bool,
    /// Its people: a range of [`Cast::users`].
    pub users: std::ops::Range<usize>,
}

/// Everybody.
#[derive(Debug)]
pub struct Cast {
    /// All tenants, by id.
    pub tenants: Vec<Tenant>,
    /// Positions of those that runs may aim at.
    pub allowed: Vec<usize>,
    /// Positions of archived ones.
    pub archived: Vec<usize>,
    /// Customers' people: id and name.
    pub users: Vec<(i64, String)>,
    /// How many workspaces there are.
    pub workspaces: usize,
    /// The one tenant whose consent has run out: a position.
    pub expired: usize,
    /// Since when it has.
    pub expired_at: DateTime<Utc>,
    /// The rows of all this.
    pub rows: Chunk,
}

impl Cast {
    /// Makes a cast of `tenants` tenants (at least two), the platform's own among them.
    pub fn new(tenants: usize, start: DateTime<Utc>, now: DateTime<Utc>, rng: &mut StdRng) -> Self {
        let mut cast = Self {
            tenants: Vec::new(),
            allowed: Vec::new(),
            archived: Vec::new(),
            users: Vec::new(),
            workspaces: 0,
            expired: 0,
            expired_at: now - Duration::days(12),
            rows: Chunk::default(),
        };
        let born = start - Duration::days(400);
        let archive = tenants / 20;
        let mut left = tenants.saturating_sub(1).max(1);
        while left > 0 {
            let n = cast.workspaces;
            let size = SIZES.get(n).copied().unwrap_or(2 + n % TENANTS_PER_WORKSPACE);
            // The last of the demo's customers takes what is left over, within reason.
            let rest = if n + 1 == SIZES.len() { TENANTS_PER_WORKSPACE } else { size };
            let size = size.max(rest.min(left)).min(left);
            let name = words::customer(n);
            let created_at = born + Duration::hours(rng.random_range(0..300 * 24));
            cast.add_workspace(&name, created_at);
            let people = cast.add_people(&name, 2 + size.min(4), created_at, rng);
            for place in 0..size {
                let at = created_at + Duration::hours(rng.random_range(1..2000));
                cast.add_tenant(words::tenant(&name, place), at, people.clone(), rng);
            }
            left -= size;
        }
        cast.add_workspace("TenantPilot", born);
        cast.add_tenant("TenantPilot Platform".to_owned(), born, 0..0, rng);
        cast.mark_platform();
        for n in 0..archive {
            // Spread, and never the last tenant of the first customer.
            let at = (n * 17 + 6) % (tenants - 1);
            cast.archive(at, now - Duration::days(rng.random_range(4..30)));
        }
        cast.sort_out();
        cast.connect(now, rng);
        cast
    }

    fn add_workspace(&mut self, name: &str, created_at: DateTime<Utc>) {
        self.workspaces += 1;
        let id = number(self.workspaces);
        let name = name.to_owned();
        self.rows.workspaces.push(WorkspaceRow { id, name, created_at, archived_at: None });
    }

    fn add_people(
        &mut self,
        customer: &str,
        count: usize,
        created_at: DateTime<Utc>,
        rng: &mut StdRng,
    ) -> std::ops::Range<usize> {
        let first = self.users.len();
        while self.users.len() < first + count {
            let name = words::person(rng);
            if self.users[first..].iter().any(|(_, other)| *other == name) {
                continue;
            }
            let id = number(self.users.len() + 1);
            // The workspace's number keeps addresses of customers with like names apart.
            let host = match self.workspaces {
                n if n <= words::CUSTOMERS.len() => words::host(customer),
                n => format!("w{n}.{}", words::host(customer)),
            };
            self.rows.users.push(UserRow {
                id,
                workspace_id: number(self.workspaces),
                email: format!("{name}@{host}"),
                name: name.clone(),
                active: true,
                created_at,
            });
            self.users.push((id, name));
        }
        first..self.users.len()
    }

    fn add_tenant(
        &mut self,
        name: String,
        created_at: DateTime<Utc>,
        users: std::ops::Range<usize>,
        rng: &mut StdRng,
    ) {
        let id = number(self.tenants.len() + 1);
        let workspace_id = number(self.workspaces);
        let flaky = rng.random_bool(0.12);
        self.rows.tenants.push(TenantRow {
            id,
            workspace_id,
            name,
            is_platform: false,
            created_at,
            archived_at: None,
        });
        self.tenants.push(Tenant {
            id,
            workspace_id,
            archived_at: None,
            is_platform: false,
            flaky,
            users,
        });
    }

    fn mark_platform(&mut self) {
        if let (Some(row), Some(tenant)) = (self.rows.tenants.last_mut(), self.tenants.last_mut()) {
            row.is_platform = true;
            tenant.is_platform = true;
        }
    }

    fn archive(&mut self, at: usize, when: DateTime<Utc>) {
        self.rows.tenants[at].archived_at = Some(when);
        self.tenants[at].archived_at = Some(when);
    }

    fn sort_out(&mut self) {
        for (at, tenant) in self.tenants.iter().enumerate() {
            if tenant.archived_at.is_some() {
                self.archived.push(at);
            } else if !tenant.is_platform {
                self.allowed.push(at);
            }
        }
        self.expired = self.allowed[self.allowed.len() / 3];
    }

    /// Every tenant's connection to its provider: most are well, a few are not.
    fn connect(&mut self, now: DateTime<Utc>, rng: &mut StdRng) {
        for (at, tenant) in self.tenants.iter().enumerate() {
            if tenant.is_platform {
                continue;
            }
            let chance = rng.random_range(0..100);
            let (status, error, consent) = if at == self.expired {
                ("consent_expired", Some("provider_auth_expired"), self.expired_at)
            } else if tenant.archived_at.is_some() {
                ("disconnected", None, now - Duration::days(3))
            } else if chance < 5 {
                ("degraded", Some("provider_throttled"), now + Duration::days(120))
            } else if chance < 7 {
                ("degraded", Some("permission_denied"), now + Duration::days(40))
            } else {
                ("connected", None, now + Duration::days(rng.random_range(20..300)))
            };
            let row = &self.rows.tenants[at];
            self.rows.connections.push(ConnectionRow {
                id: number(at + 1),
                workspace_id: tenant.workspace_id,
                tenant_id: tenant.id,
                provider: if at % 6 == 5 { "google_workspace" } else { "microsoft_graph" },
                status,
                last_error_code: error,
                last_checked_at: Some(now - Duration::minutes(rng.random_range(5..240))),
                consent_expires_at: Some(consent),
                created_at: row.created_at,
            });
        }
    }

    /// The allowed tenants of a workspace.
    pub fn allowed_of(&self, workspace_id: i64) -> Vec<i64> {
        let own = |at: &&usize| self.tenants[**at].workspace_id == workspace_id;
        self.allowed.iter().filter(own).map(|at| self.tenants[*at].id).collect()
    }

    /// All allowed tenants.
    pub fn all_allowed(&self) -> Vec<i64> {
        self.allowed.iter().map(|at| self.tenants[*at].id).collect()
    }

    /// One of a tenant's people.
    pub fn person(&self, at: usize, rng: &mut StdRng) -> Option<usize> {
        let users = self.tenants[at].users.clone();
        (!users.is_empty()).then(|| rng.random_range(users))
    }
}

/// A position or a count as the database's number.
pub fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Whether the tenant at a position speaks to the provider that had the incident.
pub fn is_throttled(at: usize) -> bool {
    at % 6 != 5 && !at.is_multiple_of(3)
}
