//! The platform's settings: read by everything that follows a policy, changed by those who
//! hold `platform.settings.manage` and see all workspaces.

use serde::Serialize;
use serde_json::json;

use super::retention::{self, Days};
use super::store::{Tx, settings as rows};
use super::{About, Access, Consent, Context, Operation};
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::confirmation::{Action, Confirmation};
use crate::domain::kept::Data;
use crate::domain::safe_text::quoted;
use crate::domain::setting::{ALERT_EVENTS, SettingKey, number, words_of};
use crate::{Error, Result};

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlatformSetting {
    /// Its name.
    pub key: SettingKey,
    /// The value in force.
    pub value: String,
    /// The value where none is set.
    pub default: &'static str,
    /// Whether what is stored is not a value of this setting; then the default is in force.
    pub invalid: bool,
    /// What is stored, where it is not valid.
    pub stored: Option<String>,
    /// What it is for.
    pub about: &'static str,
    /// What may be written.
    pub allowed: String,
}

impl PlatformSetting {
    fn of(key: SettingKey, stored: Option<&str>) -> Self {
        let value = stored.map(|text| key.normalized(text));
        let invalid = matches!(value, Some(Err(_)));
        Self {
            key,
            value: value.and_then(Result::ok).unwrap_or_else(|| key.default_text().to_owned()),
            default: key.default_text(),
            invalid,
            stored: stored.filter(|_| invalid).map(str::to_owned),
            about: key.about(),
            allowed: key.allowed(),
        }
    }

    /// That what is stored is not used, and what mends it; none for a valid value.
    pub fn warning(&self) -> Option<String> {
        let (key, stored) = (self.key, quoted(self.stored.as_deref()?));
        let used = if self.default.is_empty() { "(none)" } else { self.default };
        let prunes = key == SettingKey::RetentionPruneBound || Data::of_setting(key).is_some();
        let pruning = if prunes { ", and nothing is pruned until it is valid" } else { "" };
        Some(format!(
            "{key}: the stored value {stored} is not valid, the default {used} is used{pruning}; \
             run: tenantpilot platform settings reset {key}",
        ))
    }
}

/// The value in force, where a value that cannot be read may be the default: for what only
/// informs.
pub(in crate::ops) async fn lenient(tx: &mut Tx, key: SettingKey) -> Result<String> {
    let stored = rows::get(tx, key.as_str()).await?;
    let setting = PlatformSetting::of(key, stored.as_deref());
    if setting.invalid {
        tracing::warn!(%key, "the stored setting is not valid; its default is in force");
    }
    Ok(setting.value)
}

/// Every setting.
pub(in crate::ops) async fn all(tx: &mut Tx) -> Result<Vec<PlatformSetting>> {
    let stored = rows::all(tx).await?;
    let of = |key: &SettingKey| {
        let found = stored.iter().find(|(name, _)| name == key.as_str());
        PlatformSetting::of(*key, found.map(|(_, value)| value.as_str()))
    };
    Ok(SettingKey::ALL.iter().map(of).collect())
}

/// The value in force, for what cannot be undone.
///
/// # Errors
/// *Refused* for a stored value that is not one of the setting's.
pub(in crate::ops) async fn strict(tx: &mut Tx, key: SettingKey) -> Result<String> {
    let stored = rows::get(tx, key.as_str()).await?;
    let setting = PlatformSetting::of(key, stored.as_deref());
    if setting.invalid {
        return Err(Error::refused(format!("the platform setting {key} is not valid"))
            .hint(format!("set it: tenantpilot platform settings set {key} VALUE")));
    }
    Ok(setting.value)
}

/// The events that are sent as alerts.
pub(in crate::ops) async fn alert_events(tx: &mut Tx) -> Result<Vec<String>> {
    let value = lenient(tx, SettingKey::AlertEvents).await?;
    Ok(words_of(&value, ALERT_EVENTS).into_iter().map(str::to_owned).collect())
}

/// The share of failed targets, in percent, from which an alert is sent; 0 for any.
pub(in crate::ops) async fn failed_share(tx: &mut Tx) -> Result<i64> {
    Ok(number(&lenient(tx, SettingKey::AlertFailedShare).await?))
}

/// The largest share of a table, in percent, that an unattended prune deletes.
pub(in crate::ops) async fn prune_bound(tx: &mut Tx) -> Result<i64> {
    Ok(number(&strict(tx, SettingKey::RetentionPruneBound).await?))
}

/// For how many days product usage events are kept: the platform's setting, or this client's
/// own where that is longer.
pub(in crate::ops) async fn usage_retention(context: &mut Context) -> Result<Days> {
    let own = context.settings().usage_retention;
    let platform = strict(context.tx()?, SettingKey::UsageRetentionDays).await?;
    let platform = Days::new(number(&platform))?;
    Ok(own.map_or(platform, |own| own.max(platform)))
}

/// For how many days something is kept; none where each row says so itself.
pub(in crate::ops) async fn retention(context: &mut Context, data: Data) -> Result<Option<Days>> {
    match data.setting() {
        None => Ok(None),
        Some(SettingKey::UsageRetentionDays) => usage_retention(context).await.map(Some),
        Some(key) => {
            let days = strict(context.tx()?, key).await?;
            Days::new(number(&days)).map(Some)
        }
    }
}

/// Lists the platform's settings.
#[derive(Debug, Clone, Copy)]
pub struct ListSettings;

impl Operation for ListSettings {
    const NAME: &'static str = "platform.list_settings";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::SettingsManage]);
    const ACCESS: Access = Access::Read;
    type Output = Vec<PlatformSetting>;

    async fn execute(self, context: &mut Context) -> Result<Vec<PlatformSetting>> {
        all(context.tx()?).await
    }
}

/// Reads which settings are not valid, for `info`. Nothing of a customer is in it, so it needs no
/// login.
#[derive(Debug, Clone, Copy)]
pub struct SettingWarnings;

impl Operation for SettingWarnings {
    const NAME: &'static str = "platform.setting_warnings";
    const REQUIREMENT: Requirement = Requirement::BeforeLogin;
    const ACCESS: Access = Access::Read;
    type Output = Vec<String>;

    async fn execute(self, context: &mut Context) -> Result<Vec<String>> {
        Ok(all(context.tx()?).await?.iter().filter_map(PlatformSetting::warning).collect())
    }
}

/// Reads for how many days product usage events are kept.
#[derive(Debug, Clone, Copy)]
pub struct UsageRetention;

impl Operation for UsageRetention {
    const NAME: &'static str = "product_usage.retention";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::RunbooksRun]);
    const ACCESS: Access = Access::Read;
    type Output = Days;

    async fn execute(self, context: &mut Context) -> Result<Days> {
        usage_retention(context).await
    }
}

/// Sets a setting, or resets it to its default.
#[derive(Debug, Clone)]
pub struct SetSetting {
    /// Its name.
    pub key: String,
    /// The new value; none: the default.
    pub value: Option<String>,
    /// What confirms it: the setting's name where the new value is less strict.
    pub consent: Consent,
}

impl SetSetting {
    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        Self { key: "none.such".to_owned(), value: None, consent: Consent::dry_run() }
    }
}

/// A setting before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingSet {
    /// Its name.
    pub key: SettingKey,
    /// The value in force before.
    pub before: String,
    /// What was stored before, where it was not valid.
    pub stored: Option<String>,
    /// The value now; after a dry run, the value it would have.
    pub after: String,
    /// Whether the new value is less strict.
    pub looser: bool,
    /// False: it was so before.
    pub changed: bool,
}

impl Operation for SetSetting {
    const NAME: &'static str = "platform.set_setting";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::SettingsManage]);
    const ACCESS: Access = Access::Write;
    // What it was before is read, and has to be true when the change is written.
    const ONE_AT_A_TIME: bool = true;
    type Output = SettingSet;

    fn about(&self) -> About {
        About::of("platform_setting", &self.key).with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<SettingSet> {
        let mut row = self.consent.begin(context, Self::NAME, &self.about()).await?;
        let attempt = self.attempt(context).await;
        let set = self.consent.end(context, row.clone(), attempt).await?;
        if set.changed {
            let (stored, invalid) = (set.stored.as_ref(), set.stored.is_some());
            row.before =
                Some(json!({ "value": stored.unwrap_or(&set.before), "invalid": invalid }));
            row.after = Some(json!({ "value": set.after }));
            context.audit(&row).await?;
        }
        Ok(set)
    }
}

impl SetSetting {
    async fn attempt(&self, context: &mut Context) -> Result<SettingSet> {
        let key: SettingKey = self.key.parse()?;
        context.require_unrestricted(Self::NAME).await?;
        let after = match &self.value {
            Some(text) => key.normalized(text)?,
            None => key.default_text().to_owned(),
        };
        if let Some(data) = Data::of_setting(key) {
            retention::refuse_too_short(context, data, key.as_str(), number(&after)).await?;
        }
        let stored = rows::get(context.tx()?, key.as_str()).await?;
        let before = PlatformSetting::of(key, stored.as_deref());
        let looser = key.is_looser(&after, &before.value);
        let action = Action::Setting { key: key.as_str(), looser };
        self.consent.allow(context, &Confirmation::of(&action)?)?;
        let changed = after != before.value || before.invalid;
        if changed && !self.consent.dry_run {
            let now = context.now();
            match &self.value {
                Some(_) => rows::set(context.tx()?, key.as_str(), &after, now).await?,
                None => rows::remove(context.tx()?, key.as_str()).await?,
            }
        }
        Ok(SettingSet { key, before: before.value, stored: before.stored, after, looser, changed })
    }
}
