//! The platform's settings: one row each, with type, range, default and which way is stricter.
//!
//! Values live in the database as text, so that every client of a platform obeys the same
//! policy. They are checked where they are written and again where they are read: someone
//! with SQL may have written anything.

use crate::domain::safe_text::{clean, quoted};
use crate::{Error, Result};

/// What a setting holds, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number in a range.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// A share from 1 % to 100 %, written `20%`; `any` where zero is meant and allowed.
    Percent {
        /// Whether `any` may be written: a share above zero, however small.
        any: bool,
    },
    /// Words of a closed list, separated by commas; `all` for all of them, `none` for none.
    Words(&'static [&'static str]),
    /// One word of a closed list.
    Choice(&'static [&'static str]),
    /// One line of text; empty where nothing is set.
    Text {
        /// The most characters.
        max: usize,
    },
}

/// Which way a client may differ from the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stricter {
    /// A larger value.
    Higher,
    /// A smaller value.
    Lower,
    /// More words.
    More,
    /// Neither way.
    Neither,
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident $key:literal $kind:expr, $default:literal, $stricter:ident, $about:literal;)+) => {
        /// The name of a platform setting.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SettingKey { $($(#[$doc])* $name,)+ }

        impl SettingKey {
            /// Every setting, in the order in which they are listed.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name as it is stored and typed.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $key,)+ }
            }

            /// What it holds.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => $kind,)+ }
            }

            /// The value where none is set.
            pub const fn default_text(self) -> &'static str {
                match self { $(Self::$name => $default,)+ }
            }

            /// Which way is stricter.
            pub const fn stricter(self) -> Stricter {
                match self { $(Self::$name => Stricter::$stricter,)+ }
            }

            /// What it is for, one line.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)+ }
            }
        }
    };
}

/// The events that an alert may be about.
pub const ALERT_EVENTS: &[&str] = &[
    "operations.run.failed",
    "operations.run.partially_succeeded",
    "operations.run.blocked",
    "operations.run.worker_lost",
    "operations.run.recovered",
];

/// The colours of an environment.
pub const COLORS: &[&str] = &["red", "yellow", "green", "blue", "magenta", "cyan", "white"];

settings! {
    /// Which events are sent as alerts.
    AlertEvents "alerts.events" Kind::Words(ALERT_EVENTS),
        "all",
        More, "events that are sent as alerts";
    /// From which share of failed targets an alert is sent.
    AlertFailedShare "alerts.failed_share" Kind::Percent { any: true },
        "any", Lower, "share of failed targets from which an alert is sent";
    /// How much an unattended prune may delete.
    RetentionPruneBound "retention.prune_bound" Kind::Percent { any: false },
        "20%", Lower, "most that an unattended prune deletes of a table, or two days' worth";
    /// The name of the environment.
    EnvironmentLabel "environment.label" Kind::Text { max: 24 },
        "", Neither, "name of the environment in every header";
    /// The colour of the environment's name.
    EnvironmentColor "environment.color" Kind::Choice(COLORS),
        "cyan", Neither, "color of the environment's name";
    /// For how many days product usage events are kept.
    UsageRetentionDays "product_usage.retention_days" Kind::Integer { min: 1, max: 36_500 },
        "90", Higher, "days for which product usage events are kept";
    /// For how many days ended runs are kept.
    RunsRetentionDays "runs.retention_days" Kind::Integer { min: 1, max: 36_500 },
        "400", Higher, "days for which ended runs are kept, with targets and failures";
    /// For how many days notifications are kept.
    NotificationsRetentionDays "notifications.retention_days" Kind::Integer { min: 1, max: 36_500 },
        "180", Higher, "days for which notifications are kept";
    /// For how many days alerts are kept.
    AlertsRetentionDays "alerts.retention_days" Kind::Integer { min: 1, max: 36_500 },
        "90", Higher, "days for which alerts are kept that are not tried any more";
    /// For how many days stored reports are kept.
    ReportsRetentionDays "reports.retention_days" Kind::Integer { min: 1, max: 36_500 },
        "90", Higher, "days for which stored reports are kept";
    /// For how many days sessions and login attempts are kept.
    SessionsRetentionDays "sessions.retention_days" Kind::Integer { min: 1, max: 36_500 },
        "30", Higher, "days for which expired sessions and login attempts are kept";
    /// Where support requests go.
    SupportContactText "support.contact_text" Kind::Text { max: 200 },
        "", Neither, "where support requests are answered, shown on the page of a request";
}

impl std::fmt::Display for SettingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl serde::Serialize for SettingKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl std::str::FromStr for SettingKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|key| key.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|key| key.as_str()).collect();
            Error::usage(format!("there is no setting {}", quoted(text)))
                .hint(format!("one of: {}", names.join(", ")))
        })
    }
}

impl SettingKey {
    /// What may be written, in words.
    pub fn allowed(self) -> String {
        match self.kind() {
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Percent { any: true } => "any, or a share from 1% to 100%".to_owned(),
            Kind::Percent { any: false } => "a share from 1% to 100%".to_owned(),
            Kind::Words(words) => format!("all, none, or a list of: {}", words.join(", ")),
            Kind::Choice(words) => format!("one of: {}", words.join(", ")),
            Kind::Text { max } => format!("one line of at most {max} characters"),
        }
    }

    /// The one way in which `text` is stored.
    ///
    /// # Errors
    /// *Usage*, with what is allowed.
    pub fn normalized(self, text: &str) -> Result<String> {
        let trimmed = text.trim();
        let value = match self.kind() {
            Kind::Integer { min, max } => whole_number(trimmed)
                .filter(|number| (min..=max).contains(number))
                .map(|number| number.to_string()),
            Kind::Percent { any: true } if trimmed == "any" => Some("any".to_owned()),
            Kind::Percent { .. } => percent(trimmed).map(|share| format!("{share}%")),
            Kind::Words(known) => words(trimmed, known),
            Kind::Choice(known) => {
                known.iter().find(|word| **word == trimmed).map(|word| (*word).to_owned())
            }
            Kind::Text { max } => {
                let plain = clean(trimmed) == trimmed && trimmed.chars().count() <= max;
                plain.then(|| trimmed.to_owned())
            }
        };
        value.ok_or_else(|| {
            Error::usage(format!("{} is not a value of {self}", quoted(text)))
                .hint(format!("allowed: {}", self.allowed()))
        })
    }

    /// Whether `value` is less strict than `than`; both normalized.
    pub fn is_looser(self, value: &str, than: &str) -> bool {
        match self.stricter() {
            Stricter::Neither => false,
            Stricter::Higher => number(value) < number(than),
            Stricter::Lower => number(value) > number(than),
            Stricter::More => {
                let has = words_of(value, ALERT_EVENTS);
                words_of(than, ALERT_EVENTS).iter().any(|word| !has.contains(word))
            }
        }
    }
}

/// The number in a normalized value; `any` is zero.
pub fn number(value: &str) -> i64 {
    value.trim_end_matches('%').parse().unwrap_or(0)
}

fn whole_number(text: &str) -> Option<i64> {
    // Neither a sign nor a leading zero, which `parse` would take.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

fn percent(text: &str) -> Option<i64> {
    let share = whole_number(text.strip_suffix('%')?)?;
    (1..=100).contains(&share).then_some(share)
}

/// The normal form of typed words: in the order of `known`, `all` or `none`. A word may leave
/// out what comes before its last dot.
fn words(text: &str, known: &[&str]) -> Option<String> {
    if ["all", "none"].contains(&text) {
        return Some(text.to_owned());
    }
    let typed: Vec<&str> = text.split(',').map(str::trim).collect();
    let is = |word: &str, typed: &str| word == typed || word.rsplit('.').next() == Some(typed);
    if !typed.iter().all(|typed| known.iter().any(|word| is(word, typed))) {
        return None;
    }
    let chosen = known.iter().filter(|word| typed.iter().any(|typed| is(word, typed)));
    let chosen: Vec<&str> = chosen.copied().collect();
    Some(if chosen.len() == known.len() { "all".to_owned() } else { chosen.join(",") })
}

/// The words that a normal form stands for.
pub fn words_of<'a>(value: &'a str, known: &'static [&'static str]) -> Vec<&'a str> {
    match value {
        "all" => known.to_vec(),
        "none" => Vec::new(),
        some => some.split(',').collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_setting() {
        for key in SettingKey::ALL {
            assert_eq!(key.normalized(key.default_text()).unwrap(), key.default_text(), "{key}");
            assert_eq!(key.as_str().parse::<SettingKey>().unwrap(), *key);
        }
    }

    #[test]
    fn values_are_normalized_or_refused() {
        use SettingKey as K;
        let good = [
            (K::UsageRetentionDays, " 365 ", "365"),
            (K::RetentionPruneBound, "5%", "5%"),
            (K::AlertFailedShare, "any", "any"),
            (K::AlertEvents, "recovered, failed", "operations.run.failed,operations.run.recovered"),
            (K::AlertEvents, "none", "none"),
            (K::AlertEvents, "worker_lost,blocked,failed,partially_succeeded,recovered", "all"),
            (K::EnvironmentColor, "red", "red"),
            (K::EnvironmentLabel, "  PRODUCTION EU ", "PRODUCTION EU"),
            (K::SupportContactText, "", ""),
        ];
        for (key, typed, stored) in good {
            assert_eq!(key.normalized(typed).unwrap(), stored, "{key}");
        }
        let bad = [
            (K::UsageRetentionDays, "0"),
            (K::UsageRetentionDays, "+9"),
            (K::UsageRetentionDays, "007"),
            (K::UsageRetentionDays, "36501"),
            (K::UsageRetentionDays, ""),
            (K::RetentionPruneBound, "any"),
            (K::RetentionPruneBound, "0%"),
            (K::RetentionPruneBound, "20"),
            (K::AlertFailedShare, "101%"),
            (K::AlertEvents, ""),
            (K::AlertEvents, "failed,"),
            (K::AlertEvents, "started"),
            (K::EnvironmentColor, "Red"),
            (K::EnvironmentLabel, "a\u{202e}b"),
            (K::EnvironmentLabel, "0123456789012345678901234"),
        ];
        for (key, typed) in bad {
            assert!(key.normalized(typed).is_err(), "{key} took {typed:?}");
        }
    }

    #[test]
    fn looser_is_what_the_row_says() {
        use SettingKey as K;
        assert!(K::UsageRetentionDays.is_looser("30", "90"));
        assert!(!K::UsageRetentionDays.is_looser("90", "90"));
        assert!(!K::UsageRetentionDays.is_looser("365", "90"));
        assert!(K::RetentionPruneBound.is_looser("50%", "20%"));
        assert!(K::AlertFailedShare.is_looser("1%", "any"));
        assert!(K::AlertEvents.is_looser("none", K::AlertEvents.default_text()));
        assert!(K::AlertEvents.is_looser("operations.run.failed", "operations.run.blocked"));
        assert!(!K::AlertEvents.is_looser(K::AlertEvents.default_text(), "none"));
        assert!(!K::EnvironmentLabel.is_looser("", "PROD"));
    }
}
