//! The catalogue of operation types: one row for each, with what executes it, what it risks and
//! who may start it. There is no other list of types.

use serde::Serialize;
use serde_json::Value;

use crate::domain::safe_text::quoted;
use crate::text_enum;
use crate::{Error, Result};

/// The longest type name.
const MAX_LENGTH: usize = 80;

text_enum! {
    /// What executes a type.
    pub enum Executor as "executor" {
        /// A worker of this program.
        Builtin = "builtin",
        /// Nothing: its runs come from elsewhere and can only be looked at.
        None = "none",
    }
}

text_enum! {
    /// What a run of a type may do to a customer's data.
    pub enum Risk as "risk" {
        /// It only reads.
        Read = "read",
        /// It changes data.
        Write = "write",
        /// It removes data.
        Destructive = "destructive",
    }
}

/// One type of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OperationType {
    /// Canonical dotted name, `policy.sync`.
    pub key: &'static str,
    /// What a person reads.
    pub label: &'static str,
    /// What it belongs to.
    pub category: &'static str,
    /// What executes it.
    pub executor: Executor,
    /// What it may do.
    pub risk: Risk,
    /// Whether failed targets of a run can be retried.
    pub retryable: bool,
    /// Whether customers start it by themselves.
    pub customers_start: bool,
    /// Whether it needs a provider connection.
    pub needs_provider: bool,
    /// Whether it deletes or closes by age: a worker whose clock is wrong does not execute it.
    pub by_age: bool,
    /// The input that says what a run is about, where runs of the type are about several things.
    #[serde(skip)]
    pub subject: Option<&'static str>,
}

impl OperationType {
    const fn maintenance(key: &'static str, label: &'static str, risk: Risk) -> Self {
        Self {
            key,
            label,
            category: "maintenance",
            executor: Executor::Builtin,
            risk,
            // What removes data is started again from a new preflight.
            retryable: !matches!(risk, Risk::Destructive),
            customers_start: false,
            needs_provider: false,
            by_age: false,
            subject: None,
        }
    }

    const fn customers(key: &'static str, label: &'static str, category: &'static str) -> Self {
        Self {
            key,
            label,
            category,
            executor: Executor::None,
            risk: Risk::Read,
            retryable: true,
            customers_start: true,
            needs_provider: true,
            by_age: false,
            subject: None,
        }
    }

    const fn writes(mut self) -> Self {
        self.risk = Risk::Write;
        self
    }

    const fn by_age(mut self) -> Self {
        self.by_age = true;
        self
    }

    const fn about(mut self, input: &'static str) -> Self {
        self.subject = Some(input);
        self
    }

    const fn without_provider(mut self) -> Self {
        self.needs_provider = false;
        self
    }

    /// What executes it in this database. A demo's simulator executes the customers' types.
    pub const fn executor_in(&self, demo: bool) -> Executor {
        if demo && self.customers_start { Executor::Builtin } else { self.executor }
    }
}

/// Every type, by key.
pub const CATALOGUE: &[OperationType] = &[
    OperationType::customers("backup.snapshot", "Configuration backup", "backup"),
    OperationType::maintenance(
        "findings.lifecycle_backfill",
        "Backfill findings lifecycle",
        Risk::Write,
    ),
    OperationType::customers("inventory.sync", "Inventory sync", "inventory"),
    OperationType::maintenance("operations.reconcile_stale", "Reconcile stale runs", Risk::Write)
        .by_age(),
    OperationType::customers("policy.sync", "Policy sync", "policy").writes(),
    OperationType::maintenance("product_usage.prune", "Prune product usage", Risk::Destructive)
        .by_age(),
    OperationType::customers("provider.connection_check", "Provider connection check", "provider"),
    OperationType::maintenance("retention.prune", "Prune old data", Risk::Destructive)
        .by_age()
        .about("data"),
    OperationType::customers("review_pack.generate", "Review pack", "review")
        .writes()
        .without_provider(),
    OperationType::customers("stored_report.create", "Stored report", "report")
        .writes()
        .without_provider(),
];

/// The type that the fault tests watch; no list names it.
#[cfg(debug_assertions)]
const PROBE: OperationType =
    OperationType::maintenance("testing.probe", "testing.probe", Risk::Write);

/// The types that customers start by themselves.
pub fn started_by_customers() -> impl Iterator<Item = &'static OperationType> {
    CATALOGUE.iter().filter(|kind| kind.customers_start)
}

/// The type with this key; none where the catalogue has no such row.
pub fn find(key: &str) -> Option<&'static OperationType> {
    let found = CATALOGUE.iter().find(|kind| kind.key == key);
    #[cfg(debug_assertions)]
    let found = found.or_else(|| (key == PROBE.key).then_some(&PROBE));
    found
}

/// The type with this key.
///
/// # Errors
/// *Refused* for an unknown type: it can only be viewed.
pub fn require(key: &str) -> Result<&'static OperationType> {
    find(key).ok_or_else(|| {
        Error::refused(format!("unknown type {key}: its runs can only be viewed"))
            .hint("see the types: tenantpilot types list")
    })
}

/// The label of a type; the type itself where it is not known.
pub fn label(run_type: &str) -> &str {
    find(run_type).map_or(run_type, |kind| kind.label)
}

/// What a run with these inputs is about, beside its type and tenant; none with most types.
pub fn subject<'a>(run_type: &str, inputs: &'a Value) -> Option<&'a str> {
    inputs.get(find(run_type)?.subject?)?.as_str()
}

/// Checks that `text` is a canonical dotted name, `findings.lifecycle_backfill`.
///
/// # Errors
/// *Usage*, with the rule.
pub fn check(text: &str) -> Result<()> {
    let part_ok = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let ok = text.len() <= MAX_LENGTH && text.contains('.') && text.split('.').all(part_ok);
    if ok {
        return Ok(());
    }
    Err(Error::usage(format!("{} is not an operation type", quoted(text)))
        .hint("use lower-case words joined by dots, such as policy.sync"))
}
