//! What confirms an action: one rule for the console, the command line and the operations.

use serde::Serialize;

use super::shell;
use crate::{Error, Result};

/// At most so many tenants of one start may have a name that could be taken for another: each
/// of their IDs has to be typed.
pub const MAX_ODD: usize = 5;
/// What confirms an action of level [`Level::Key`] in the console.
pub const YES: &str = "y";

/// How an action is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// `y` in the console; `--yes` or the phrase on the command line.
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
    /// The rule for a start or a retry on so many tenants.
    pub fn for_tenants(tenants: usize) -> Self {
        if tenants > 1 { Self::Required } else { Self::Optional }
    }

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
        /// The runbook's word, or `RETRY`.
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
    /// A platform user disabled.
    Disable(&'a str),
    /// A platform flag turned on or off.
    SetFlag(&'a str, bool),
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
    /// `y`, or `--yes`.
    Yes,
    /// A phrase, as it was typed.
    Typed(String),
    /// The definition of a schedule or of a deployment; only the system can give it.
    Declared,
}

/// Proof that an action was confirmed, or is only rehearsed. Only [`Confirmation::allow`] makes it.
#[derive(Debug)]
pub struct Confirmed(());

impl Confirmation {
    /// What confirms `action`.
    ///
    /// # Errors
    /// *Refused* for more than [`MAX_ODD`] names that could be taken for others.
    pub fn of(action: &Action<'_>) -> Result<Self> {
        Ok(match *action {
            Action::Tenants { word, count, odd } => Self::on_tenants(word, count, odd)?,
            Action::Platform { word, exact } => Self {
                declarable: exact.is_none(),
                ..Self::phrase(exact.unwrap_or(word).to_owned())
            },
            Action::Cancel { run_id, targets } if targets > 1 => {
                Self::phrase(format!("CANCEL {run_id}"))
            }
            Action::Cancel { run_id, .. } => Self::key(format!("CANCEL {run_id}")),
            Action::Close(run_id) => Self::phrase(format!("CLOSE {run_id}")),
            Action::Pause(run_id) => Self::key(format!("PAUSE {run_id}")),
            Action::Resume(run_id) => Self::key(format!("RESUME {run_id}")),
            Action::Disable(name) => Self::phrase(name.to_owned()),
            Action::SetFlag(name, on) => {
                Self::phrase(format!("{name} {}", if on { "on" } else { "off" }))
            }
        })
    }

    /// What confirms a plan that was stored: its columns say the same as [`Confirmation::of`] did.
    pub fn stored(phrase: &str, must_confirm: bool, tenants: usize, word: &str) -> Self {
        Self {
            level: if must_confirm { Level::Phrase } else { Level::Key },
            phrase: phrase.to_owned(),
            reason: ReasonRule::for_tenants(tenants),
            declarable: tenants > 0 || phrase == word,
        }
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
        Ok(Self { reason: ReasonRule::for_tenants(count), ..base })
    }

    fn key(phrase: String) -> Self {
        Self { level: Level::Key, ..Self::phrase(phrase) }
    }

    fn phrase(phrase: String) -> Self {
        Self { level: Level::Phrase, phrase, reason: ReasonRule::Optional, declarable: true }
    }

    /// What the console asks to type.
    pub fn asks(&self) -> &str {
        match self.level {
            Level::Key => YES,
            Level::Phrase => &self.phrase,
        }
    }

    /// What a typed text gives; none where it confirms nothing.
    pub fn read(&self, text: &str) -> Option<Given> {
        match (text, self.level) {
            (YES, Level::Key) => Some(Given::Yes),
            _ if text == self.phrase => Some(Given::Typed(text.to_owned())),
            _ => None,
        }
    }

    /// The option that gives it on the command line.
    pub fn option(&self) -> String {
        match self.level {
            Level::Key => "--yes".to_owned(),
            Level::Phrase => format!("--confirm {}", shell::quoted(&self.phrase)),
        }
    }

    /// Lets the action go on if it was confirmed. A rehearsal needs nothing; what is given with
    /// it has to be right all the same.
    ///
    /// # Errors
    /// *Usage* where nothing or not enough was given, *refused* for a wrong phrase.
    pub fn allow(&self, given: &Given, dry_run: bool) -> Result<Confirmed> {
        match (given, self.level) {
            (Given::Typed(typed), _) if *typed == self.phrase => Ok(Confirmed(())),
            (Given::Yes, Level::Key) => Ok(Confirmed(())),
            (Given::Declared, _) if self.declarable => Ok(Confirmed(())),
            (Given::Nothing, _) if dry_run => Ok(Confirmed(())),
            (Given::Typed(_), _) => {
                Err(Error::refused("the confirmation is not the phrase that was asked for")
                    .hint(format!("type exactly: {}", self.phrase)))
            }
            (Given::Nothing | Given::Yes | Given::Declared, Level::Phrase) => {
                Err(Error::usage("this has to be confirmed with a typed phrase").hint(format!(
                    "type exactly: {} (on the command line: {})",
                    self.phrase,
                    self.option()
                )))
            }
            (Given::Nothing | Given::Declared, Level::Key) => {
                Err(Error::usage("this has to be confirmed").hint(format!(
                    "add {}, or --confirm {}",
                    self.option(),
                    shell::quoted(&self.phrase)
                )))
            }
        }
    }
}

impl From<Option<String>> for Given {
    fn from(typed: Option<String>) -> Self {
        typed.map_or(Self::Nothing, Self::Typed)
    }
}

/// What confirms deleting product usage events older than `days` while the platform keeps them
/// for `kept` days: to delete more than the daily run does, the days have to be typed.
pub fn prune(days: i64, kept: i64) -> Confirmation {
    let exact = (days < kept).then(|| prune_phrase(days));
    Confirmation {
        declarable: exact.is_none(),
        ..Confirmation::phrase(exact.unwrap_or_else(|| PRUNE.to_owned()))
    }
}

/// The word of the runbook that deletes product usage events.
pub const PRUNE: &str = "PRUNE";

/// The phrase for fewer days than the platform keeps.
pub fn prune_phrase(days: i64) -> String {
    format!("{PRUNE} {days}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn of(action: Action<'_>) -> (Level, String, ReasonRule) {
        let Confirmation { level, phrase, reason, .. } = Confirmation::of(&action).unwrap();
        (level, phrase, reason)
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
            (tenants("RETRY", 1, &[]), Key, "RETRY 1", Optional),
            (tenants("RETRY", 12, &[]), Phrase, "RETRY 12", Required),
            (Action::Platform { word: "RECONCILE", exact: None }, Phrase, "RECONCILE", Optional),
            (Action::Platform { word: "PRUNE", exact: None }, Phrase, "PRUNE", Optional),
            (Action::Cancel { run_id: 5, targets: 1 }, Key, "CANCEL 5", Optional),
            (Action::Cancel { run_id: 5, targets: 2 }, Phrase, "CANCEL 5", Optional),
            (Action::Close(5), Phrase, "CLOSE 5", Optional),
            (Action::Pause(5), Key, "PAUSE 5", Optional),
            (Action::Resume(5), Key, "RESUME 5", Optional),
            (Action::Disable("ben"), Phrase, "ben", Optional),
            (Action::SetFlag("f", true), Phrase, "f on", Optional),
            (Action::SetFlag("f", false), Phrase, "f off", Optional),
        ] {
            assert_eq!(of(action), (level, phrase.to_owned(), reason), "{action:?}");
        }
        let six = tenants("BACKFILL", 6, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(Confirmation::of(&six).unwrap_err().kind(), ErrorKind::Refused);
    }

    #[test]
    fn only_what_the_level_asks_for_confirms() {
        let key = Confirmation::of(&Action::Pause(5)).unwrap();
        let phrase = Confirmation::of(&Action::Close(5)).unwrap();
        let below = prune(30, 90);
        let typed = |text: &str| Given::Typed(text.to_owned());
        let kind = |confirmation: &Confirmation, given: &Given, dry: bool| {
            confirmation.allow(given, dry).err().map(|error| error.kind())
        };
        for (confirmation, right) in [(&key, "PAUSE 5"), (&phrase, "CLOSE 5"), (&below, "PRUNE 30")]
        {
            for dry in [false, true] {
                assert_eq!(kind(confirmation, &typed(right), dry), None);
                for wrong in ["", "y", "pause 5", "PAUSE 5 ", "CLOSE 50", "PRUNE", "PRUNE 31"] {
                    let refused = Some(ErrorKind::Refused);
                    assert_eq!(kind(confirmation, &typed(wrong), dry), refused, "{wrong}");
                }
            }
            assert_eq!(kind(confirmation, &Given::Nothing, true), None);
            assert_eq!(kind(confirmation, &Given::Nothing, false), Some(ErrorKind::Usage));
        }
        assert_eq!(kind(&key, &Given::Yes, false), None);
        assert_eq!(kind(&phrase, &Given::Yes, false), Some(ErrorKind::Usage));
        assert_eq!(kind(&phrase, &Given::Yes, true), Some(ErrorKind::Usage));
        // A definition stands for a phrase, but not for one that goes beyond a setting.
        assert_eq!(kind(&prune(90, 90), &Given::Declared, false), None);
        assert_eq!(kind(&prune(365, 90), &Given::Declared, false), None);
        assert_eq!(kind(&below, &Given::Declared, false), Some(ErrorKind::Usage));
    }

    #[test]
    fn the_console_reads_what_it_asks_for() {
        let key = Confirmation::of(&Action::Pause(5)).unwrap();
        assert_eq!((key.asks(), key.read("y")), ("y", Some(Given::Yes)));
        assert_eq!(key.read("PAUSE 5"), Some(Given::Typed("PAUSE 5".to_owned())));
        let phrase = Confirmation::of(&Action::Close(5)).unwrap();
        assert_eq!((phrase.asks(), phrase.read("y")), ("CLOSE 5", None));
        for none in ["", "n", "Y", "yes", "close 5"] {
            assert_eq!((key.read(none), phrase.read(none)), (None, None), "{none}");
        }
    }

    #[test]
    fn a_stored_plan_says_the_same() {
        let same = |action: &Action<'_>, must: bool, tenants: usize, word: &str| {
            let made = Confirmation::of(action).unwrap();
            assert_eq!(Confirmation::stored(&made.phrase, must, tenants, word), made);
        };
        same(&Action::Tenants { word: "BACKFILL", count: 1, odd: &[] }, false, 1, "BACKFILL");
        same(&Action::Tenants { word: "BACKFILL", count: 3, odd: &[2] }, true, 3, "BACKFILL");
        same(&Action::Platform { word: "PRUNE", exact: None }, true, 0, "PRUNE");
        same(&Action::Platform { word: "PRUNE", exact: Some("PRUNE 3") }, true, 0, "PRUNE");
    }
}
