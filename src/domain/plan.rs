//! What a plan holds a start to: its targets with their counts, one hash over them, and the
//! difference to what is there later.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::MixedScript as _;

use super::count::count;
use super::identity::{canonical_text, hex};
use super::safe_text;

/// How many differences are spelled out; the others are counted.
const SPELLED: usize = 3;

/// What a runbook would change at one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TargetCounts {
    /// The tenant; none for the platform itself.
    pub tenant_id: Option<i64>,
    /// Records that would change.
    pub affected: i64,
    /// Records there are.
    pub total: i64,
}

/// One hash over what a plan says: 64 lower-case hex digits.
pub fn plan_hash(runbook: &str, scope: &Value, inputs: &Value, targets: &[TargetCounts]) -> String {
    let mut hash = Sha256::new();
    let head = json!({ "runbook": runbook, "scope": scope, "inputs": inputs });
    hash.update(canonical_text(&head).as_bytes());
    for target in targets {
        let tenant = target.tenant_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        hash.update(format!("|{tenant}:{}/{}", target.affected, target.total).as_bytes());
    }
    hex(&hash.finalize())
}

/// Why a name could be taken for another, in words; none for an ordinary one. It mixes scripts,
/// as with a Cyrillic letter in a Latin word (UTS 39, the level *single script* with its usual
/// exceptions); or it holds odd characters: what cannot be seen, or what only looks like plain
/// letters and spaces (it changes under NFKC).
pub fn suspicion(name: &str) -> Option<&'static str> {
    if !name.is_single_script() {
        return Some("mixes scripts");
    }
    let unseen = name.chars().any(|c| c.is_control() || safe_text::is_unseen(c));
    let spaced = name.trim() != name || name.contains("  ");
    let composed = name.nfkc().ne(name.nfc());
    (unseen || spaced || composed).then_some("odd characters")
}

/// How what is there differs from what a plan says: by targets, or by what would change.
///
/// Records that would not be touched may come and go: they change nothing about the run, and
/// on a platform at work they always do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    changes: Vec<(Option<i64>, Change)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Left,
    Joined,
    Counted { before: i64, now: i64 },
}

impl Difference {
    /// The difference; none where the plan still holds.
    pub fn between(plan: &[TargetCounts], now: &[TargetCounts]) -> Option<Self> {
        let key = |target: &TargetCounts| (target.tenant_id, target.affected);
        let before: BTreeMap<_, _> = plan.iter().map(key).collect();
        let after: BTreeMap<_, _> = now.iter().map(key).collect();
        let mut changes = Vec::new();
        for (tenant, affected) in &before {
            match after.get(tenant) {
                None => changes.push((*tenant, Change::Left)),
                Some(now) if now != affected => {
                    changes.push((*tenant, Change::Counted { before: *affected, now: *now }));
                }
                Some(_) => {}
            }
        }
        let joined = after.keys().filter(|tenant| !before.contains_key(*tenant));
        changes.extend(joined.map(|tenant| (*tenant, Change::Joined)));
        (!changes.is_empty()).then_some(Self { changes })
    }

    /// How many targets differ.
    pub fn count(&self) -> usize {
        self.changes.len()
    }

    /// The difference in words: `3 tenants changed since preflight: tenant 4 left the scope,
    /// tenant 7 joined it, tenant 9 has 12 to change instead of 10`.
    pub fn words(&self) -> String {
        let spelled: Vec<String> = self
            .changes
            .iter()
            .take(SPELLED)
            .map(|(tenant, change)| {
                let who =
                    tenant.map_or_else(|| "the platform".to_owned(), |id| format!("tenant {id}"));
                match change {
                    Change::Left => format!("{who} left the scope"),
                    Change::Joined => format!("{who} joined the scope"),
                    Change::Counted { before, now } => {
                        format!("{who} has {now} to change instead of {before}")
                    }
                }
            })
            .collect();
        let many = match self.changes.as_slice() {
            [(None, _)] => "the platform".to_owned(),
            changes => count(changes.len(), "tenant"),
        };
        let more = match self.changes.len().saturating_sub(SPELLED) {
            0 => String::new(),
            n => format!(", and {n} more"),
        };
        format!("{many} changed since preflight: {}{more}", spelled.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(tenant: i64, affected: i64, total: i64) -> TargetCounts {
        TargetCounts { tenant_id: Some(tenant), affected, total }
    }

    #[test]
    fn a_difference_names_what_changed_and_counts_the_rest() {
        let plan = [counts(1, 5, 9), counts(2, 0, 3), counts(3, 1, 1), counts(4, 2, 2)];
        assert_eq!(Difference::between(&plan, &plan), None);
        let more_rows = [counts(1, 5, 99), counts(2, 0, 4), counts(3, 1, 1), counts(4, 2, 2)];
        assert_eq!(Difference::between(&plan, &more_rows), None, "untouched records do not count");
        let now = [counts(1, 6, 9), counts(3, 1, 1), counts(4, 1, 2), counts(7, 0, 0)];
        let difference = Difference::between(&plan, &now).unwrap();
        assert_eq!(difference.count(), 4);
        assert_eq!(
            difference.words(),
            "4 tenants changed since preflight: tenant 1 has 6 to change instead of 5, \
             tenant 2 left the scope, tenant 4 has 1 to change instead of 2, and 1 more"
        );
    }

    #[test]
    fn names_that_could_be_taken_for_others_are_found() {
        for plain in [
            "Contoso DE",
            "Müller & Söhne",
            "Mu\u{308}ller",
            "株式会社テスト",
            "Контосо",
            "東京 2",
            "",
        ] {
            assert_eq!(suspicion(plain), None, "{plain}");
        }
        for mixed in ["Cont\u{43e}so DE", "\u{410}cme", "Fabr\u{131}kam \u{391}"] {
            assert_eq!(suspicion(mixed), Some("mixes scripts"), "{mixed}");
        }
        for odd in [
            "Contoso DE\u{200b}",
            "Con\u{202e}toso",
            "\u{1b}[1mContoso",
            "\u{ff23}ontoso DE",
            "\u{1d402}ontoso DE",
            "Contoso\u{a0}DE",
            "Contoso DE ",
            " Contoso",
            "Contoso  DE",
            "\u{216d}ontoso",
        ] {
            assert_eq!(suspicion(odd), Some("odd characters"), "{odd:?}");
        }
    }

    #[test]
    fn the_hash_covers_every_part() {
        let (scope, inputs) = (json!({ "all": true }), json!({}));
        let base = plan_hash("a.b", &scope, &inputs, &[counts(1, 2, 3)]);
        assert_eq!(base.len(), 64);
        for other in [
            plan_hash("a.c", &scope, &inputs, &[counts(1, 2, 3)]),
            plan_hash("a.b", &json!({ "workspace": 1 }), &inputs, &[counts(1, 2, 3)]),
            plan_hash("a.b", &scope, &json!({ "days": 1 }), &[counts(1, 2, 3)]),
            plan_hash("a.b", &scope, &inputs, &[counts(1, 2, 4)]),
            plan_hash("a.b", &scope, &inputs, &[counts(1, 1, 3)]),
            plan_hash("a.b", &scope, &inputs, &[counts(2, 2, 3)]),
            plan_hash("a.b", &scope, &inputs, &[]),
        ] {
            assert_ne!(base, other);
        }
    }
}
