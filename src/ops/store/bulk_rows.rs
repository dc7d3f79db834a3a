//! The rows of a bulk load: one type per table, with every column named once.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// One value on its way into a table.
#[derive(Debug)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// A text, or JSON as text.
    Text(String),
    /// A fixed word.
    Word(&'static str),
    /// A moment.
    Time(DateTime<Utc>),
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<&'static str> for Cell {
    fn from(value: &'static str) -> Self {
        Self::Word(value)
    }
}
impl From<DateTime<Utc>> for Cell {
    fn from(value: DateTime<Utc>) -> Self {
        Self::Time(value)
    }
}
impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        Self::Text(value.to_string())
    }
}
impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of one table.
pub trait Row: Send {
    /// The table.
    const TABLE: &'static str;
    /// Its columns, in the order of [`Row::cells`].
    const COLUMNS: &'static [&'static str];
    /// The row's values.
    fn cells(self) -> Vec<Cell>;
}

/// Declares a row type per table.
macro_rules! rows {
    ($($(#[$meta:meta])* $name:ident in $table:literal { $($field:ident: $kind:ty,)+ })+) => {
        $($(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $(#[doc = concat!("The column `", stringify!($field), "`.")] pub $field: $kind,)+
        }

        impl Row for $name {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field),)+];
            fn cells(self) -> Vec<Cell> {
                vec![$(self.$field.into(),)+]
            }
        })+
    };
}

/// A moment that may be missing.
type Moment = Option<DateTime<Utc>>;

rows! {
    /// A customer organisation.
    WorkspaceRow in "workspaces" { id: i64, name: String, created_at: DateTime<Utc>, archived_at: Moment, }
    /// One environment of a customer.
    TenantRow in "tenants" { id: i64, workspace_id: i64, name: String, is_platform: bool, created_at: DateTime<Utc>, archived_at: Moment, }
    /// A person of the customers' plane.
    UserRow in "users" { id: i64, workspace_id: i64, email: String, name: String, active: bool, created_at: DateTime<Utc>, }
    /// A person of the system plane.
    PlatformUserRow in "platform_users" { id: i64, username: String, display_name: String, password_hash: String, capabilities: Value, active: bool, view_all: bool, created_at: DateTime<Utc>, updated_at: DateTime<Utc>, }
    /// A tenant's connection to its provider.
    ConnectionRow in "provider_connections" { id: i64, workspace_id: i64, tenant_id: i64, provider: &'static str, status: &'static str, last_error_code: Option<&'static str>, last_checked_at: Moment, consent_expires_at: Moment, created_at: DateTime<Utc>, }
    /// An operation run; its type stands in `run_type`.
    RunRow in "operation_runs" { id: i64, workspace_id: Option<i64>, tenant_id: Option<i64>, user_id: Option<i64>, platform_user_id: Option<i64>, initiator_name: Option<String>, source: &'static str, run_type: &'static str, scope_kind: &'static str, status: &'static str, outcome: &'static str, reason_code: Option<&'static str>, identity_hash: String, summary_counts: Value, context: Value, target_count: i64, fence: i64, lease_owner: Option<String>, cancel_requested_at: Moment, created_at: DateTime<Utc>, started_at: Moment, completed_at: Moment, updated_at: DateTime<Utc>, }
    /// One tenant's share of a run.
    TargetRow in "operation_run_targets" { run_id: i64, ordinal: i64, kind: &'static str, tenant_id: Option<i64>, status: &'static str, starts: i64, reason_code: Option<&'static str>, progress: Value, steps: i64, items: i64, failed_items: i64, item_total: Option<i64>, updated: i64, updated_at: DateTime<Utc>, }
    /// One failure of a run.
    FailureRow in "operation_run_failures" { id: i64, run_id: i64, tenant_id: Option<i64>, reason_code: &'static str, fingerprint: String, message: String, occurred_at: DateTime<Utc>, }
    /// The lease of a running run.
    LeaseRow in "operation_run_leases" { run_id: i64, owner: String, acquired_at: DateTime<Utc>, heartbeat_at: DateTime<Utc>, expires_at: DateTime<Utc>, }
    /// A finding.
    FindingRow in "findings" { id: i64, workspace_id: i64, tenant_id: i64, recurrence_key: String, title: &'static str, severity: &'static str, status: &'static str, first_seen_at: Moment, last_seen_at: Moment, times_seen: Option<i64>, sla_days: Option<i64>, due_at: Moment, duplicate_of_id: Option<i64>, created_at: DateTime<Utc>, updated_at: DateTime<Utc>, }
    /// A checkpoint of a tenant's onboarding.
    OnboardingRow in "tenant_onboarding_sessions" { id: i64, workspace_id: i64, tenant_id: i64, user_id: i64, checkpoint_key: &'static str, lifecycle_state: &'static str, created_at: DateTime<Utc>, updated_at: DateTime<Utc>, completed_at: Moment, last_completed_checkpoint: Option<&'static str>, }
    /// A report that a run stored.
    ReportRow in "stored_reports" { id: i64, workspace_id: i64, tenant_id: i64, run_id: i64, report_type: &'static str, created_at: DateTime<Utc>, }
    /// A review pack that a customer asked for.
    PackRow in "review_packs" { id: i64, workspace_id: i64, tenant_id: i64, run_id: i64, status: &'static str, include_operations: bool, include_pii: bool, created_at: DateTime<Utc>, expires_at: DateTime<Utc>, evidence_fingerprint: String, }
    /// One event of the telemetry ledger.
    EventRow in "product_usage_events" { id: i64, workspace_id: i64, tenant_id: i64, user_id: i64, event_name: &'static str, feature_area: &'static str, subject_type: &'static str, subject_id: String, metadata: Value, occurred_at: DateTime<Utc>, }
    /// A line of the audit log.
    AuditLine in "audit_logs" { plane: &'static str, actor_kind: &'static str, actor_id: Option<i64>, actor_name: Option<String>, origin: Option<&'static str>, action: &'static str, status: &'static str, workspace_id: Option<i64>, tenant_id: Option<i64>, run_id: Option<i64>, target_type: Option<&'static str>, target_id: Option<String>, before_state: Option<Value>, after_state: Option<Value>, metadata: Value, occurred_at: DateTime<Utc>, }
    /// A line in somebody's inbox.
    NotificationRow in "notifications" { platform_user_id: i64, kind: &'static str, run_id: i64, title: String, created_at: DateTime<Utc>, read_at: Moment, }
    /// An alert that was sent.
    AlertRow in "alert_deliveries" { event: &'static str, run_id: i64, payload: Value, status: &'static str, attempts: i64, next_attempt_at: DateTime<Utc>, created_at: DateTime<Utc>, delivered_at: Moment, delivery_id: Option<String>, last_attempt_at: Moment, }
    /// A setting of the platform.
    SettingRow in "platform_settings" { key: &'static str, value: String, updated_at: DateTime<Utc>, }
}

/// The column of a field: `type` is a word of the language, so its field has another name.
pub fn column(field: &'static str) -> &'static str {
    if field == "run_type" { "type" } else { field }
}
