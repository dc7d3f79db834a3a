//! Fingerprints of failures: messages that differ only in ids, numbers and the names of those
//! they happened to share one, so that 2,000 failures read as 3 errors.

use std::sync::LazyLock;

use regex::{NoExpand, Regex};
use sha2::{Digest as _, Sha256};

use super::identity::hex;

/// What stands for an id or a number.
const HOLE: &str = "#";
/// What stands for the name of a tenant or a workspace.
const NAME: &str = "<name>";
/// The placeholder of an error code while other numbers are replaced.
const PLACE: &str = "\u{fdd0}";
/// Names shorter than this are left alone: they would be found inside of other words.
const SHORTEST_NAME: usize = 3;
/// How many characters of a pattern count. The end of a long message may be cut anywhere.
const COUNTED: usize = 400;

/// An error code of PostgreSQL or SQLite; errors of different codes have different fingerprints.
static CODE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let text = r"(?i-u:\bSQLSTATE|\bSQLite code)[:= ]{0,2}[\[(]?([0-9A-Z]{5}|[0-9]{1,4})(?-u:\b)";
    let regex = Regex::new(text);
    debug_assert!(regex.is_ok(), "{regex:?}");
    regex.ok()
});

/// What is stripped, in this order; each is a whole word or a part of one.
static HOLES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let texts = [
        // Moments: 2026-11-20, 2026-11-20T12:00:00.5Z, 12:00:00.
        (r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b", HOLE),
        // UUIDs.
        (r"(?i:\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)", HOLE),
        // ULIDs.
        (r"\b[0-9A-HJKMNP-TV-Z]{26}\b", HOLE),
        // Addresses of networks and devices: fe80::1, 00:1b:44:11:3a:b7.
        (
            r"(?i:\b[0-9a-f]{1,4}(?::{1,2}[0-9a-f]{1,4}){2,7}\b|\b[0-9a-f]{1,4}::[0-9a-f]{1,4}\b)",
            HOLE,
        ),
        // Hex numbers, hashes, short ids: four or more hex digits, of which one is a digit.
        (r"(?i:\b0x[0-9a-f]+\b)", HOLE),
        (
            r"(?i:\b[a-f]{1,40}[0-9][0-9a-f]{2,}\b|\b[a-f]{2,40}[0-9][0-9a-f]+\b|\b[a-f]{3,40}[0-9][0-9a-f]*\b)",
            HOLE,
        ),
        (r"(?i:\b[0-9]+[a-f][0-9a-f]{2,}\b|\b[0-9]{2,}[a-f][0-9a-f]+\b|\b[0-9]{3,}[a-f]\b)", HOLE),
        (r"(?i:_[0-9a-f]*[0-9][0-9a-f]*\b)", "_#"),
        // How long and how much: 30s, 1h30m, 10MB.
        (r"\b(?:[0-9]+(?:\.[0-9]+)?(?:ms|us|ns|s|m|h|d|[kKMGT]i?B|B))+\b", HOLE),
        // Numbers, also in the middle of a word.
        (r"[0-9]+", HOLE),
        // 1,234.5 and 10.0.0.1 and 1-2-3 and 1, 2, 3 are one each; what stands around one alone
        // tells nothing.
        (r"#(?:(?:[-.:/_]|,\s*)#)+", HOLE),
        (r#"[\[{("'<]#[\]})"'>]"#, HOLE),
        (r"\s+", " "),
    ];
    texts
        .into_iter()
        .filter_map(|(text, with)| {
            // Only ASCII has the digits and letters that ids are made of.
            let text = text.replace(r"\b", r"(?-u:\b)").replace("(?i:", "(?i-u:");
            let regex = Regex::new(&text);
            debug_assert!(regex.is_ok(), "{regex:?}");
            Some((regex.ok()?, with))
        })
        .collect()
});

/// Puts what is no character of a message in the place of each error code, and gives the codes.
fn set_aside(text: String) -> (String, Vec<String>) {
    let mut codes = Vec::new();
    let Some(regex) = CODE.as_ref() else { return (text, codes) };
    let mut rest = text.replace(PLACE, "");
    let mut start = 0;
    while let Some(range) = regex.captures_at(&rest, start).and_then(|c| Some(c.get(1)?.range())) {
        codes.push(rest[range.clone()].to_owned());
        rest.replace_range(range.clone(), PLACE);
        start = range.start + PLACE.len();
    }
    (rest, codes)
}

/// The message without what differs from one failure to the next: ids, numbers and moments
/// are `#`, each of `names` is `<name>`.
pub fn pattern(message: &str, names: &[&str]) -> String {
    let mut text = message.to_owned();
    let mut names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
    // The longer one first: it may hold the shorter one.
    names.sort_by_key(|name| std::cmp::Reverse(name.chars().count()));
    for name in names.into_iter().filter(|name| name.chars().count() >= SHORTEST_NAME) {
        text = text.replace(name, NAME);
    }
    let (mut text, codes) = set_aside(text);
    for (regex, with) in HOLES.iter() {
        text = regex.replace_all(&text, NoExpand(with)).into_owned();
    }
    for code in codes {
        text = text.replacen(PLACE, &code, 1);
    }
    text.trim().trim_end_matches(['.', '!']).to_owned()
}

/// The fingerprint of a failure: 12 lower-case hex digits over its reason and its pattern.
pub fn fingerprint(reason_code: &str, message: &str, names: &[&str]) -> String {
    let pattern: String = pattern(message, names).to_lowercase().chars().take(COUNTED).collect();
    let mut digest = hex(&Sha256::digest(format!("{reason_code}\n{pattern}").as_bytes()));
    digest.truncate(12);
    digest
}

/// Whether `text` can be a fingerprint.
pub fn is_fingerprint(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_numbers_moments_and_names_are_stripped() {
        for (message, expected) in [
            (
                "provider answered 429 on page 17; retry-after 120 s",
                "provider answered # on page #; retry-after # s",
            ),
            ("took 1,234.5 ms at 10.0.0.1:5432", "took # ms at #"),
            ("at 2026-11-20T12:00:00.25Z the row 2026-11-19 was gone", "at # the row # was gone"),
            ("object 6F9619FF-8B86-D011-B42D-00C04FC964FF is locked", "object # is locked"),
            ("report 01ARZ3NDEKTSV4RRFFQ69G5FAV, commit 9fceb02d0ae598e9", "report #, commit #"),
            (
                "Contoso DE: policy p17b was refused\n by  Contoso",
                "<name>: policy p#b was refused by <name>",
            ),
            ("the facade and the decade were added", "the facade and the decade were added"),
            ("größe ist ٣", "größe ist ٣"),
            ("commit 7f3a9cb of run_3fa9 at 0xcafe.", "commit # of run_# at #"),
            ("from fe80::1 and 00:1b:44:11:3a:b7", "from # and #"),
            ("after 30s, 1h30m and 10MB", "after # and #"),
            ("items 1, 2, 3 of {17}", "items # of #"),
            ("AADSTS50034, sha256, field \"due_at\"", "AADSTS#, sha#, field \"due_at\""),
            ("bad cafe, dead beef, added a face", "bad cafe, dead beef, added a face"),
            (
                "the database refused the statement (SQLSTATE 23505, constraint runs_2_key)",
                "the database refused the statement (SQLSTATE 23505, constraint runs_#_key)",
            ),
            ("sqlstate[23514]: 17 rows; SQLState=40P01", "sqlstate[23514]: # rows; SQLState=40P01"),
            ("SQLite code 1811, code 12345", "SQLite code 1811, code #"),
            ("", ""),
        ] {
            assert_eq!(pattern(message, &["Contoso", "Contoso DE", "p"]), expected);
        }
    }

    #[test]
    fn a_fingerprint_tells_reasons_and_words_apart_and_nothing_else() {
        let one = fingerprint("timeout", "no answer within 30 s on page 3", &[]);
        assert!(is_fingerprint(&one));
        assert_eq!(one, fingerprint("timeout", "No answer within 60 s on page 12", &[]));
        assert_ne!(one, fingerprint("conflict", "no answer within 30 s on page 3", &[]));
        assert_ne!(one, fingerprint("timeout", "no answer within 30 s on item 3", &[]));
        let state = |code: &str| {
            fingerprint("unexpected_error", &format!("refused (SQLSTATE {code}) on row 7"), &[])
        };
        assert_ne!(state("23505"), state("23514"));
        // What has no code has the fingerprint that it always had.
        assert_eq!(one, "a0f3e294f53d");
        let long = |end: &str| fingerprint("timeout", &format!("{}{end}", "x ".repeat(250)), &[]);
        assert_eq!(long("cut he"), long("cut here"));
    }
}
