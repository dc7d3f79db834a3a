//! What a database says of a failure that may be kept: its code and the names of its own rules,
//! never a value.

use std::fmt;

use serde::Serialize;

/// What the hint of a denial begins with where it names what is missing.
pub const AS_OWNER: &str = "as its owner: ";
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// It takes no writes.
    ReadOnly,
    /// There is no room.
    Full,
    /// It waits for a lock of another session for too long.
    Locked,
    /// It has no memory left.
    OutOfMemory,
    /// It takes no more connections.
    TooManyConnections,
    /// It takes no connections yet, or any more.
    Starting,
    /// It ended the connection.
    Disconnected,
    /// Its file cannot be read or written.
    Unreadable,
    /// Its data is damaged.
    Damaged,
    /// A grant is missing.
    Denied,
    /// Anything else.
    Other,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ReadOnly,
        Self::Full,
        Self::Locked,
        Self::OutOfMemory,
        Self::TooManyConnections,
        Self::Starting,
        Self::Disconnected,
        Self::Unreadable,
        Self::Damaged,
        Self::Denied,
        Self::Other,
    ];

    /// In words, of a database that was just named.
    pub fn text(self) -> &'static str {
        match self {
            Self::ReadOnly => "it is read-only",
            Self::Full => "its disk is full",
            Self::Locked => "another session holds a lock",
            Self::OutOfMemory => "it is out of memory",
            Self::TooManyConnections => "it has too many connections",
            Self::Starting => "it is starting or stopping",
            Self::Disconnected => "it ended the connection",
            Self::Unreadable => "its file cannot be read or written",
            Self::Damaged => "it reports damaged data",
            Self::Denied => "the worker's role is missing a grant",
            Self::Other => "its server fails",
        }
    }

    /// What a run waits for in it, as a stable word.
    pub fn wait_word(self) -> &'static str {
        match self {
            Self::ReadOnly => "database_read_only",
            Self::Full => "database_full",
            Self::Locked => "database_locked",
            Self::OutOfMemory => "database_out_of_memory",
            Self::TooManyConnections => "database_too_many_connections",
            Self::Starting => "database_starting",
            Self::Disconnected => "database_disconnected",
            Self::Unreadable => "database_unreadable",
            Self::Damaged => "database_damaged",
            Self::Denied => "database_grant_missing",
            Self::Other => "database_failing",
        }
    }

    /// What ends it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::ReadOnly => "Let the database take writes",
            Self::Full => "Free space on the database's disk",
            Self::Locked => "Wait for the other session, or end it",
            Self::OutOfMemory => "Free memory on the database's machine",
            Self::TooManyConnections => "Close other clients of the database",
            Self::Starting => "Wait until the database has started",
            Self::Unreadable => "Check the disk of the database's file",
            Self::Damaged => "Restore the database from a backup",
            Self::Denied => "Give the worker's database role the grant that its log names",
            Self::Disconnected | Self::Other => "See the log of the database's server",
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

    /// Whether the server refused the session: its role, its password, its database.
    pub fn is_of_session(&self) -> bool {
        ["28", "3D"].iter().any(|class| self.code.starts_with(class))
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
                10 | 14 => Some(Condition::Unreadable),
                11 | 26 => Some(Condition::Damaged),
                _ => None,
            };
        }
        match code {
            "25006" => Some(Condition::ReadOnly),
            "53100" => Some(Condition::Full),
            "55P03" => Some(Condition::Locked),
            "53200" => Some(Condition::OutOfMemory),
            "53300" => Some(Condition::TooManyConnections),
            "57P03" => Some(Condition::Starting),
            "42501" => Some(Condition::Denied),
            "XX001" | "XX002" => Some(Condition::Damaged),
            // A session that had fallen asleep was ended, with its transaction.
            "25P03" | "25P04" => Some(Condition::Disconnected),
            c if c.starts_with("08") || c.starts_with("57P") => Some(Condition::Disconnected),
            c if ["53", "58", "XX"].iter().any(|class| c.starts_with(class)) => {
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
        for (code, expected) in [
            ("58030", Condition::Other),
            ("XX000", Condition::Other),
            ("53000", Condition::Other),
            ("53200", Condition::OutOfMemory),
            ("53300", Condition::TooManyConnections),
            ("57P03", Condition::Starting),
            ("57P01", Condition::Disconnected),
            ("08006", Condition::Disconnected),
            ("25P03", Condition::Disconnected),
            ("42501", Condition::Denied),
            ("XX001", Condition::Damaged),
            ("10", Condition::Unreadable),
            ("266", Condition::Unreadable),
            ("14", Condition::Unreadable),
            ("11", Condition::Damaged),
            ("26", Condition::Damaged),
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
            ["P0001", "23505", "57014", "40001", "40P01", "25P02", "19", "2067", "1811", "1"]
        {
            assert_eq!(condition(code), None, "{code}");
        }
    }

    #[test]
    fn every_condition_has_words_of_its_own() {
        let distinct = |words: fn(Condition) -> &'static str| {
            Condition::ALL.map(words).into_iter().collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!(
            [Condition::text, Condition::wait_word].map(distinct),
            [Condition::ALL.len(); 2]
        );
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
