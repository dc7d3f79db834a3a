//! One round of a change whose COMMIT is cut off, and what a change is held against.

use std::future::Future;
use std::pin::Pin;

use serde_json::json;
use tenantpilot::Error;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::capability::Role;
use tenantpilot::domain::operation_type::started_by_customers;
use tenantpilot::domain::run::Source;
use tenantpilot::domain::telemetry::SourceSurface;
use tenantpilot::ops::auth::{Login, Session};
use tenantpilot::ops::runs::StartRun;
use tenantpilot::ops::users::{CreateUser, NewPlatformUser, UserView};
use tenantpilot::ops::{Consent, Ops, activity, password};

use crate::support::stores::{ORIGIN, PASSWORD, Store};

pub const CUSTOMER: Actor = Actor::Customer { user_id: 1 };

pub type Asked<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// One round of one operation.
pub struct Scene<'a> {
    pub store: &'a Store,
    pub administrator: &'a Session,
    pub ops: &'a Ops,
    /// Which round it is.
    pub n: usize,
    /// What was prepared for it.
    pub id: i64,
}

impl Scene<'_> {
    pub fn name(&self) -> String {
        format!("user{}", self.n)
    }

    pub async fn run<O: tenantpilot::ops::Operation>(&self, operation: O) -> Result<(), Error> {
        self.ops.run(&self.administrator.actor, operation).await.map(drop)
    }

    pub async fn as_customer<O: tenantpilot::ops::Operation>(
        &self,
        operation: O,
    ) -> Result<(), Error> {
        self.ops.run(&CUSTOMER, operation).await.map(drop)
    }

    /// The session that was prepared.
    pub async fn another_session(&self) -> Session {
        let actor = Actor::Anonymous { origin: ORIGIN.to_owned() };
        let login = Login::new(&self.name(), PASSWORD, ClientKind::Console);
        self.store.ops.run(&actor, login).await.unwrap().0
    }

    pub async fn user(&self) {
        let new = NewPlatformUser {
            username: self.name(),
            display_name: String::new(),
            password: password::secret(PASSWORD),
            capabilities: Role::Operator.capabilities(),
            view: UserView::All,
            consent: Consent::typed(self.name()),
        };
        self.store.ops.run(&self.administrator.actor, CreateUser(new)).await.unwrap();
    }

    /// A pack that is not ready, and the run that makes it.
    pub async fn requested_pack(&self) -> i64 {
        self.store.sql("delete from review_packs").await.unwrap();
        let request = activity::RequestReviewPack {
            tenant_id: 1,
            source_surface: SourceSurface::TenantReview,
            include_operations: true,
            include_pii: false,
        };
        let start = StartRun {
            inputs: json!({ "n": self.n }),
            ..StartRun::for_tenant("review_pack.generate", 1, Source::Admin)
        };
        self.store.ops.run(&CUSTOMER, start).await.unwrap();
        self.store.ops.run(&CUSTOMER, request).await.unwrap().pack_id
    }

    pub async fn queued(&self) -> i64 {
        let start = StartRun {
            inputs: json!({ "n": self.n }),
            ..StartRun::for_tenant("policy.sync", 1, Source::Admin)
        };
        self.store.ops.run(&CUSTOMER, start).await.unwrap().run_id
    }

    pub async fn failed(&self) -> i64 {
        // Only the new run is there to be claimed.
        for text in [
            "update operation_runs set paused_at = created_at where status = 'queued'",
            "update operation_run_leases set expires_at = '2100-01-01T00:00:00+00:00'",
        ] {
            self.store.sql(text).await.unwrap();
        }
        let n = self.n;
        let kinds: Vec<&str> = started_by_customers().map(|kind| kind.key).collect();
        let tenant = [1, 3, 4][n / kinds.len() % 3];
        self.store.ended(kinds[n % kinds.len()], tenant, 1, 1, 1).await
    }
}

/// What the operations table is held against: name, which COMMIT is the change's own, what is
/// prepared, what is asked, and how the database tells whether it was made.
#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    pub passes: usize,
    pub prepare: for<'a> fn(&'a Scene<'a>) -> Pin<Box<dyn Future<Output = i64> + Send + 'a>>,
    pub ask: for<'a> fn(&'a Scene<'a>) -> Asked<'a>,
    pub made: fn(usize, i64) -> String,
}

macro_rules! case {
    ($name:literal, $passes:literal, |$p:ident| $prepare:expr, |$s:ident| $ask:expr, |$n:pat_param, $id:pat_param| $made:expr) => {
        $crate::lost_commits::scene::Case {
            name: $name,
            passes: $passes,
            prepare: |$p| Box::pin(async move { $prepare }),
            ask: |$s| Box::pin(async move { $ask }),
            made: |$n, $id| $made,
        }
    };
}

pub fn audited(action: &str) -> String {
    format!("select count(*) from audit_logs where action = '{action}' and status = 'succeeded'")
}

pub fn run_is(id: i64, condition: &str) -> String {
    format!("select count(*) from operation_runs where id = {id} and {condition}")
}

pub(crate) use case;
