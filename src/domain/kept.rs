//! What is kept for a while and then pruned: one row for each kind of data.

use crate::domain::setting::SettingKey;
use crate::text_enum;

text_enum! {
    /// Data with a retention.
    pub enum Data as "data" {
        /// Ended runs with their targets and failures.
        Runs = "runs",
        /// Notifications.
        Notifications = "notifications",
        /// Alerts that are not tried any more.
        Alerts = "alerts",
        /// Sessions and login attempts.
        Sessions = "sessions",
        /// Stored reports.
        Reports = "reports",
        /// Review packs.
        Packs = "packs",
        /// Product usage events, which have a runbook of their own.
        Events = "events",
    }
}

impl Data {
    /// The setting that says for how many days it is kept; none where each row says so itself.
    pub const fn setting(self) -> Option<SettingKey> {
        match self {
            Self::Runs => Some(SettingKey::RunsRetentionDays),
            Self::Notifications => Some(SettingKey::NotificationsRetentionDays),
            Self::Alerts => Some(SettingKey::AlertsRetentionDays),
            Self::Sessions => Some(SettingKey::SessionsRetentionDays),
            Self::Reports => Some(SettingKey::ReportsRetentionDays),
            Self::Packs => None,
            Self::Events => Some(SettingKey::UsageRetentionDays),
        }
    }

    /// What its rows are, in the plural.
    pub const fn items(self) -> &'static str {
        match self {
            Self::Runs => "ended runs",
            Self::Sessions => "sessions and login attempts",
            Self::Reports => "stored reports",
            Self::Packs => "review packs",
            Self::Notifications | Self::Alerts | Self::Events => self.as_str(),
        }
    }

    /// The data whose retention a setting is.
    pub fn of_setting(key: SettingKey) -> Option<Self> {
        Self::ALL.iter().copied().find(|data| data.setting() == Some(key))
    }
}
