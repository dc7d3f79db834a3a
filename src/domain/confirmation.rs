//! What confirms an action: one rule for the console, the command line and the operations.

use serde::Serialize;

use super::shell;
use crate::{Error, Result};

/// At most so many tenants of one start may have a name that could be taken for another: each
/// of their IDs has to be typed.
pub const MAX_ODD: usize = 5;
/// The word of a retry.
pub const RETRY: &str = "RETRY";
/// What confirms that a support request is sent.
pub const SEND: &str = "SEND";
/// What confirms an action of level [`Level::Key`] at a terminal.
const YES: &str = "y";

/// How an action is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// `y`, or `--yes`, or the phrase.
    Key,
    /// Only the typed phrase.
    Phrase,
}

/// Whether an action needs a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonRule {
    /// One may be given.
    Optional,
    /// One that says something has to be given.
    Required,
}

impl ReasonRule {
    /// Whether a reason has to be given.
    pub fn is_required(self) -> bool {
        self == Self::Required
    }
}

/// What is to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// A start or a retry on tenants. `odd` are those that were selected one by one and whose
    /// names could be taken for others.
    Tenants {
        /// The runbook's word, or [`RETRY`].
        word: &'a str,
        /// How many tenants.
        count: usize,
        /// IDs that have to be typed.
        odd: &'a [i64],
    },
    /// A start or a retry on the platform itself. `exact` replaces the word where the inputs go
    /// beyond a setting of the platform.
    Platform {
        /// The runbook's word.
        word: &'a str,
        /// The phrase that only a person can give, such as `PRUNE 30`.
        exact: Option<&'a str>,
    },
    /// A cancel of a run with so many targets.
    Cancel {
        /// The run.
        run_id: i64,
        /// Its targets.
        targets: i64,
    },
    /// A run closed by force.
    Close(i64),
    /// A run paused.
    Pause(i64),
    /// A run resumed.
    Resume(i64),
    /// A change of a platform user.
    User {
        /// Their name.
        name: &'a str,
        /// Whether it disables them, or grants a high capability.
        high: bool,
    },
    /// A platform flag turned on or off.
    SetFlag(&'a str, bool),
    /// A platform setting.
    Setting {
        /// Its name.
        key: &'a str,
        /// Whether the new value is less strict.
        looser: bool,
    },
    /// Break-glass taken.
    EnterBreakGlass,
    /// Break-glass ended.
    EndBreakGlass,
    /// A dead alert sent again.
    RetryAlert(i64),
    /// A support request sent: it is stored for good.
    SendRequest,
}

/// What confirms one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    /// How.
    pub level: Level,
    /// The phrase: `BACKFILL 412`, `PRUNE` for the platform itself, and the IDs of tenants that
    /// were selected by a name that could be taken for another, `BACKFILL 2 ID 7`.
    pub phrase: String,
    /// Whether it needs a reason.
    pub reason: ReasonRule,
    /// Whether the definition of a schedule or of a deployment stands for the phrase.
    #[serde(skip)]
    pub declarable: bool,
}

/// What an actor gave to confirm an action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Given {
    /// Nothing.
    #[default]
    Nothing,
    /// Nothing yet: the answer says what to ask the person for.
    Ask,
    /// `y`, or `--yes`.
    Yes,
    /// A phrase, as it was typed.
    Typed(String),
    /// The definition of a schedule or of a deployment; only the system can give it.
    Declared,
}

/// The options of a reason that is still to be written. Dots alone are none: as it stands, it is
/// refused.
pub const WITH_REASON: &str = "--reason-code DATA_REPAIR --reason '...' ";

impl Confirmation {
    /// What confirms `action`.
    ///
    /// # Errors
    /// *Refused* for more than [`MAX_ODD`] names that could be taken for others.
    pub fn of(action: &Action<'_>) -> Result<Self> {
        let typed = |phrase: String, high: bool| {
            if high { Self::phrase(phrase) } else { Self::key(phrase) }
        };
        Ok(match *action {
            Action::Tenants { word, count, odd } => Self::on_tenants(word, count, odd)?,
            Action::Platform { word, exact } => Self {
                declarable: exact.is_none(),
                ..Self::phrase(exact.unwrap_or(word).to_owned())
            },
            Action::Cancel { run_id, targets } => typed(format!("CANCEL {run_id}"), targets > 1),
            Action::Close(run_id) => Self::phrase(format!("CLOSE {run_id}")),
            Action::Pause(run_id) => Self::key(format!("PAUSE {run_id}")),
            Action::Resume(run_id) => Self::key(format!("RESUME {run_id}")),
            Action::User { name, high } => typed(name.to_owned(), high),
            Action::SetFlag(name, on) => {
                Self::phrase(format!("{name} {}", if on { "on" } else { "off" }))
            }
            Action::Setting { key, looser } => typed(key.to_owned(), looser),
            Action::EnterBreakGlass => Self::key("BREAK-GLASS".to_owned()).requiring_reason(true),
            Action::EndBreakGlass => Self::key("END BREAK-GLASS".to_owned()),
            Action::RetryAlert(id) => Self::key(format!("{RETRY} ALERT {id}")),
            Action::SendRequest => Self::phrase(SEND.to_owned()),
        })
    }

    /// What confirms a plan that was stored: its columns say the same as [`Confirmation::of`] did.
    /// `tenants` is none for the platform itself.
    pub fn stored(phrase: &str, must_confirm: bool, tenants: Option<i64>) -> Self {
        Self {
            level: if must_confirm { Level::Phrase } else { Level::Key },
            // A phrase for the platform itself that is more than the word is an exact one.
            declarable: tenants.is_some() || !phrase.contains(' '),
            ..Self::phrase(phrase.to_owned())
        }
        .requiring_reason(tenants.is_some_and(|tenants| tenants > 1))
    }

    fn on_tenants(word: &str, count: usize, odd: &[i64]) -> Result<Self> {
        if odd.len() > MAX_ODD {
            return Err(Error::refused(format!(
                "{} of the selected tenants have names that could be taken for others; at most {MAX_ODD} can be selected at once",
                odd.len()
            ))
            .hint("look at their IDs, and select fewer of them at a time"));
        }
        let mut phrase = format!("{word} {count}");
        if !odd.is_empty() {
            let ids: Vec<String> = odd.iter().map(ToString::to_string).collect();
            phrase.push_str(" ID ");
            phrase.push_str(&ids.join(" "));
        }
        let one = count <= 1 && odd.is_empty();
        let base = if one { Self::key(phrase) } else { Self::phrase(phrase) };
        Ok(base.requiring_reason(count > 1))
    }

    fn key(phrase: String) -> Self {
        Self { level: Level::Key, ..Self::phrase(phrase) }
    }

    fn phrase(phrase: String) -> Self {
        Self { level: Level::Phrase, phrase, reason: ReasonRule::Optional, declarable: true }
    }

    /// The same, and it needs a reason also where `always` says so.
    #[must_use]
    pub fn requiring_reason(mut self, always: bool) -> Self {
        if always {
            self.reason = ReasonRule::Required;
        }
        self
    }

    /// What a person is asked to type.
    pub fn asks(&self) -> &str {
        match self.level {
            Level::Key => YES,
            Level::Phrase => &self.phrase,
        }
    }

    /// What a typed text gives.
    pub fn read(&self, text: &str) -> Given {
        if text == YES { Given::Yes } else { Given::Typed(text.to_owned()) }
    }

    /// The option that gives it on the command line.
    pub fn option(&self) -> String {
        match self.level {
            Level::Key => "--yes".to_owned(),
            Level::Phrase => self.confirm_option(),
        }
    }

    /// The same, with the options of a reason where it needs one.
    pub fn options(&self) -> String {
        let reason = if self.reason.is_required() { WITH_REASON } else { "" };
        format!("{reason}{}", self.option())
    }

    fn confirm_option(&self) -> String {
        format!("--confirm {}", shell::quoted(&self.phrase))
    }

    /// Refuses an action that was not confirmed. A dry run needs no confirmation, but a phrase
    /// that is given with it has to be right.
    ///
    /// # Errors
    /// *Usage* where nothing or not enough was given, *refused* for a wrong phrase.
    pub fn allow(&self, given: &Given, dry_run: bool) -> Result<()> {
        match (given, self.level) {
            (Given::Typed(typed), _) if *typed == self.phrase => Ok(()),
            (Given::Yes, Level::Key) => Ok(()),
            (Given::Declared, _) if self.declarable => Ok(()),
            (Given::Typed(_), _) => {
                let or = if self.level == Level::Key { ", or confirm with y or --yes" } else { "" };
                Err(Error::refused("the confirmation is not the phrase that was asked for")
                    .hint(format!("type exactly: {}{or}", self.phrase)))
            }
            _ if dry_run => Ok(()),
            (_, Level::Phrase) => Err(Error::usage("this has to be confirmed with a typed phrase")
                .hint(format!(
                    "type exactly: {} (on the command line: {})",
                    self.phrase,
                    self.confirm_option()
                ))
                .asking(self.clone())),
            (_, Level::Key) => Err(Error::usage("this has to be confirmed")
                .hint(format!("add: --yes, or {}", self.confirm_option()))
                .asking(self.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn of(action: Action<'_>) -> Confirmation {
        Confirmation::of(&action).unwrap()
    }

    #[test]
    fn each_action_has_its_phrase_and_its_level() {
        use Level::{Key, Phrase};
        use ReasonRule::{Optional, Required};
        let tenants = |word, count, odd| Action::Tenants { word, count, odd };
        for (action, level, phrase, reason) in [
            (tenants("BACKFILL", 1, &[]), Key, "BACKFILL 1", Optional),
            (tenants("BACKFILL", 1, &[7]), Phrase, "BACKFILL 1 ID 7", Optional),
            (tenants("BACKFILL", 2, &[]), Phrase, "BACKFILL 2", Required),
            (tenants("BACKFILL", 2, &[8]), Phrase, "BACKFILL 2 ID 8", Required),
            (tenants(RETRY, 1, &[]), Key, "RETRY 1", Optional),
            (tenants(RETRY, 12, &[]), Phrase, "RETRY 12", Required),
            (Action::Platform { word: "RECONCILE", exact: None }, Phrase, "RECONCILE", Optional),
            (Action::Platform { word: "PRUNE", exact: None }, Phrase, "PRUNE", Optional),
            (
                Action::Platform { word: "PRUNE", exact: Some("PRUNE 3") },
                Phrase,
                "PRUNE 3",
                Optional,
            ),
            (Action::Cancel { run_id: 5, targets: 1 }, Key, "CANCEL 5", Optional),
            (Action::Cancel { run_id: 5, targets: 2 }, Phrase, "CANCEL 5", Optional),
            (Action::Close(5), Phrase, "CLOSE 5", Optional),
            (Action::Pause(5), Key, "PAUSE 5", Optional),
            (Action::Resume(5), Key, "RESUME 5", Optional),
            (Action::User { name: "ben", high: true }, Phrase, "ben", Optional),
            (Action::User { name: "ben", high: false }, Key, "ben", Optional),
            (Action::SetFlag("f", true), Phrase, "f on", Optional),
            (Action::SetFlag("f", false), Phrase, "f off", Optional),
            (Action::Setting { key: "a.b", looser: true }, Phrase, "a.b", Optional),
            (Action::Setting { key: "a.b", looser: false }, Key, "a.b", Optional),
            (Action::EnterBreakGlass, Key, "BREAK-GLASS", Required),
            (Action::EndBreakGlass, Key, "END BREAK-GLASS", Optional),
            (Action::RetryAlert(5), Key, "RETRY ALERT 5", Optional),
            (Action::SendRequest, Phrase, "SEND", Optional),
        ] {
            let Confirmation { level: l, phrase: p, reason: r, .. } = of(action);
            assert_eq!((l, p.as_str(), r), (level, phrase, reason), "{action:?}");
        }
        let six = tenants("BACKFILL", 6, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(Confirmation::of(&six).unwrap_err().kind(), ErrorKind::Refused);
    }

    #[test]
    fn only_what_the_level_asks_for_confirms() {
        let key = of(Action::Pause(5));
        let phrase = of(Action::Close(5));
        let below = of(Action::Platform { word: "PRUNE", exact: Some("PRUNE 30") });
        let typed = |text: &str| Given::Typed(text.to_owned());
        let kind = |confirmation: &Confirmation, given: &Given, dry: bool| {
            confirmation.allow(given, dry).err().map(|error| error.kind())
        };
        for (confirmation, right) in [(&key, "PAUSE 5"), (&phrase, "CLOSE 5"), (&below, "PRUNE 30")]
        {
            for dry in [false, true] {
                assert_eq!(kind(confirmation, &typed(right), dry), None);
                for wrong in ["", "yes", "pause 5", "PAUSE 5 ", "CLOSE 50", "PRUNE", "PRUNE 31"] {
                    let error = confirmation.allow(&typed(wrong), dry).unwrap_err();
                    assert_eq!((error.kind(), error.asks()), (ErrorKind::Refused, None), "{wrong}");
                    assert!(error.to_string().contains(right), "{error}");
                }
            }
            for none in [Given::Nothing, Given::Ask] {
                assert_eq!(kind(confirmation, &none, true), None);
                let error = confirmation.allow(&none, false).unwrap_err();
                assert_eq!((error.kind(), error.asks()), (ErrorKind::Usage, Some(confirmation)));
                assert!(error.to_string().contains(right), "{error}");
            }
        }
        assert_eq!(kind(&key, &Given::Yes, false), None);
        assert_eq!(kind(&phrase, &Given::Yes, false), Some(ErrorKind::Usage));
        assert_eq!(kind(&phrase, &Given::Yes, true), None);
        // A definition stands for a phrase, but not for one that goes beyond a setting.
        let prune = of(Action::Platform { word: "PRUNE", exact: None });
        assert_eq!(kind(&prune, &Given::Declared, false), None);
        assert_eq!(kind(&below, &Given::Declared, false), Some(ErrorKind::Usage));
    }

    #[test]
    fn the_console_reads_what_it_asks_for() {
        for (confirmation, asks) in [(of(Action::Pause(5)), "y"), (of(Action::Close(5)), "CLOSE 5")]
        {
            assert_eq!(confirmation.asks(), asks);
            assert!(confirmation.allow(&confirmation.read(asks), false).is_ok());
            for no in ["", "n", "Y", "yes", "close 5"] {
                assert!(confirmation.allow(&confirmation.read(no), false).is_err(), "{no}");
            }
        }
        assert!(of(Action::Close(5)).allow(&of(Action::Close(5)).read("y"), false).is_err());
    }

    #[test]
    fn a_stored_plan_says_the_same() {
        let same = |action: &Action<'_>, must: bool, tenants: Option<i64>| {
            let made = of(*action);
            assert_eq!(Confirmation::stored(&made.phrase, must, tenants), made);
        };
        same(&Action::Tenants { word: "BACKFILL", count: 1, odd: &[] }, false, Some(1));
        same(&Action::Tenants { word: "BACKFILL", count: 0, odd: &[] }, false, Some(0));
        same(&Action::Tenants { word: "BACKFILL", count: 3, odd: &[2] }, true, Some(3));
        same(&Action::Platform { word: "PRUNE", exact: None }, true, None);
        same(&Action::Platform { word: "PRUNE", exact: Some("PRUNE 3") }, true, None);
    }
}
