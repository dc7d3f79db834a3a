//! What a database says of a failure that may be kept: its code and the names of its own rules,
//! never a value.

use std::fmt;

use serde::Serialize;

/// The longest name that PostgreSQL gives anything.
const LONGEST_NAME: usize = 63;

/// A failure as the database reported it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct DatabaseFault {
    /// SQLSTATE on PostgreSQL; on SQLite the extended result code, a number of at most four
    /// digits.
    pub code: String,
    /// The constraint that was violated.
    pub constraint: Option<String>,
    /// The table it happened in.
    pub table: Option<String>,
}

/// Why a server refuses work, whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It takes no writes.
    ReadOnly,
    /// There is no room.
    Full,
    /// It waits for a lock of another session for too long.
    Locked,
    /// Anything else: its disk fails, it stops, it is damaged.
    Other,
}

impl Condition {
    /// In words, of a database that was just named.
    pub fn text(self) -> &'static str {
        match self {
            Self::ReadOnly => "it is read-only",
            Self::Full => "its disk is full",
            Self::Locked => "another session holds a lock",
            Self::Other => "its server fails",
        }
    }
}

impl DatabaseFault {
    /// A fault with the names that may be kept: plain identifiers. Anything else could be a value
    /// that a trigger put there.
    pub fn new(code: &str, constraint: Option<&str>, table: Option<&str>) -> Self {
        let named = |name: Option<&str>| name.filter(|name| is_name(name)).map(str::to_owned);
        let code = if is_code(code) { code.to_owned() } else { "unknown".to_owned() };
        Self { code, constraint: named(constraint), table: named(table) }
    }

    /// The condition of the server that it is a sign of; none where the statement was at fault.
    pub fn condition(&self) -> Option<Condition> {
        let code = self.code.as_str();
        if let Some(number) = self.sqlite() {
            // The low byte is the primary code.
            return match number & 0xff {
                5 | 6 => Some(Condition::Locked),
                8 => Some(Condition::ReadOnly),
                13 => Some(Condition::Full),
                10 | 11 | 14 | 26 => Some(Condition::Other),
                _ => None,
            };
        }
        match code {
            "25006" => Some(Condition::ReadOnly),
            "53100" => Some(Condition::Full),
            "55P03" => Some(Condition::Locked),
            // A session that had fallen asleep was ended, with its transaction.
            "25P03" | "25P04" => Some(Condition::Other),
            _ if ["08", "53", "57P", "58", "XX"].iter().any(|class| code.starts_with(class)) => {
                Some(Condition::Other)
            }
            _ => None,
        }
    }

    /// Whether the server ended a statement or a transaction that took too long.
    pub fn is_timeout(&self) -> bool {
        // Statement timeout or cancel; the transaction timeout of a server.
        matches!(self.code.as_str(), "57014" | "25P04")
    }

    /// SQLite's number.
    pub fn sqlite(&self) -> Option<u32> {
        (self.code.len() < 5).then(|| self.code.parse().ok()).flatten()
    }
}

impl fmt::Display for DatabaseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = if self.sqlite().is_some() { "SQLite code" } else { "SQLSTATE" };
        write!(f, "{engine} {}", self.code)?;
        for (kind, name) in [("constraint", &self.constraint), ("table", &self.table)] {
            if let Some(name) = name {
                write!(f, ", {kind} {name}")?;
            }
        }
        Ok(())
    }
}

fn is_code(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_name(text: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.len() <= LONGEST_NAME
        && text.starts_with(starts)
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_the_server_are_told_from_faults_of_a_statement() {
        let condition = |code: &str| DatabaseFault::new(code, None, None).condition();
        for code in ["58030", "57P01", "XX000", "XX001", "53300", "08006", "10", "266", "11", "26"]
        {
            assert_eq!(condition(code), Some(Condition::Other), "{code}");
        }
        for (code, expected) in [
            ("53100", Condition::Full),
            ("13", Condition::Full),
            ("25006", Condition::ReadOnly),
            ("8", Condition::ReadOnly),
            ("1032", Condition::ReadOnly),
            ("55P03", Condition::Locked),
            ("5", Condition::Locked),
            ("517", Condition::Locked),
        ] {
            assert_eq!(condition(code), Some(expected), "{code}");
        }
        for code in
            ["P0001", "23505", "57014", "40001", "40P01", "42501", "19", "2067", "1811", "1"]
        {
            assert_eq!(condition(code), None, "{code}");
        }
    }

    #[test]
    fn what_took_too_long_is_told_from_other_faults() {
        let timeout = |code: &str| DatabaseFault::new(code, None, None).is_timeout();
        assert!(["57014", "25P04"].into_iter().all(timeout));
        // A lock that was not free, a session that fell asleep, a deadlock, a busy file.
        assert!(!["55P03", "25P03", "57P05", "40P01", "40001", "5", "9"].into_iter().any(timeout));
    }

    #[test]
    fn only_plain_names_are_kept() {
        let fault = |name| DatabaseFault::new("23514", Some(name), Some(name));
        let kept = fault("findings_status_check");
        assert_eq!(
            kept.to_string(),
            "SQLSTATE 23514, constraint findings_status_check, table findings_status_check"
        );
        for value in ["m.lang@contoso.example", "a secret", "", "12", "x'y", &"n".repeat(64)] {
            let fault = fault(value);
            assert_eq!((fault.constraint, fault.table), (None, None), "{value}");
        }
        assert_eq!(DatabaseFault::new("' or 1", None, None).code, "unknown");
    }
}
