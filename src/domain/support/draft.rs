//! What an operator writes: a request before it is sent.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Severity;
use crate::domain::safe_text::{REPLACEMENT, SafeText, is_unseen};
use crate::domain::sanitize::{MAX_INPUT, redact, redact_also};

/// The longest summary, in characters.
pub const MAX_SUMMARY: usize = 500;
/// The longest reproduction notes, in characters.
pub const MAX_NOTES: usize = 10_000;
/// The longest name of a contact, in characters.
pub const MAX_NAME: usize = 200;
/// The longest e-mail address of a contact, in characters.
pub const MAX_EMAIL: usize = 254;
/// The longest piece of a text that is redacted at once, in bytes.
const MAX_PIECE: usize = MAX_INPUT / 2;
/// How many passages an operator may mask by hand.
pub const MAX_MASKS: usize = 50;

/// A request as it was typed. Nothing in it was checked or cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// How much it presses.
    #[serde(default)]
    pub severity: Severity,
    /// What is wrong, one line.
    #[serde(default)]
    pub summary: String,
    /// How to see it, several lines.
    #[serde(default)]
    pub notes: String,
    /// Whom to ask.
    #[serde(default)]
    pub contact_name: String,
    /// Where to reach them: the one address that is kept.
    #[serde(default)]
    pub contact_email: String,
    /// Whether diagnostics go with it, where the operator may open them.
    #[serde(default = "yes")]
    pub attach: bool,
    /// Passages that are masked wherever they stand. Never written to a file.
    #[serde(skip)]
    pub mask: Vec<String>,
    /// Paths of items of the diagnostics that are left out.
    #[serde(default)]
    pub withhold: BTreeSet<String>,
}

fn yes() -> bool {
    true
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            severity: Severity::default(),
            summary: String::new(),
            notes: String::new(),
            contact_name: String::new(),
            contact_email: String::new(),
            attach: true,
            mask: Vec::new(),
            withhold: BTreeSet::new(),
        }
    }
}

/// A field of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemField {
    /// The summary.
    Summary,
    /// The reproduction notes.
    Notes,
    /// The contact's name.
    ContactName,
    /// The contact's e-mail address.
    ContactEmail,
    /// What is masked by hand.
    Mask,
}

/// Why a draft cannot be sent as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where.
    pub field: ProblemField,
    /// What is wrong, and what to do.
    pub text: String,
}

impl Draft {
    /// Whether nothing was typed yet.
    pub fn is_blank(&self) -> bool {
        [&self.summary, &self.notes, &self.contact_name, &self.contact_email]
            .iter()
            .all(|text| text.trim().is_empty())
    }

    /// As it may lie in a file: what looks like a secret is masked, and so is what the operator
    /// masked by hand. The passages themselves are not in it.
    #[must_use]
    pub fn for_file(&self) -> Self {
        let safe_piece = |text: &str| {
            let redacted = redact_also(text, &self.mask).text;
            let mut safe = String::with_capacity(redacted.len());
            let mut done = 0;
            for span in crate::domain::sanitize::suspects(&redacted) {
                safe.push_str(&redacted[done..span.start]);
                safe.push_str(crate::domain::sanitize::Rule::Operator.mask());
                done = span.end;
            }
            safe.push_str(&redacted[done..]);
            safe
        };
        let safe = |text: &str| pieces(text).map(safe_piece).collect::<String>();
        // Kept as typed where it is an address, and an address only.
        let email = match email_problem(self.contact_email.trim()) {
            None => self.contact_email.clone(),
            Some(_) => safe(&self.contact_email),
        };
        Self {
            summary: safe(&self.summary),
            notes: safe(&self.notes),
            contact_name: safe(&self.contact_name),
            contact_email: email,
            mask: Vec::new(),
            ..self.clone()
        }
    }

    /// What keeps it from being sent, apart from what may be secret.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut say = |field, text: String| problems.push(Problem { field, text });
        if !says_something(&self.summary) {
            say(
                ProblemField::Summary,
                "the summary is empty; say in a few words what is wrong".to_owned(),
            );
        }
        let too_long = |text: &str, max: usize| {
            let has = text.chars().count();
            (has > max).then(|| format!("has {has} characters, at most {max} are kept; shorten it"))
        };
        if let Some(long) = too_long(&self.summary, MAX_SUMMARY) {
            say(ProblemField::Summary, format!("the summary {long}, details go into the notes"));
        }
        if let Some(long) = too_long(&self.notes, MAX_NOTES) {
            say(ProblemField::Notes, format!("the notes' text {long}"));
        }
        if let Some(long) = too_long(&self.contact_name, MAX_NAME) {
            say(ProblemField::ContactName, format!("the contact's name {long}"));
        }
        let email = self.contact_email.trim();
        if !email.is_empty()
            && let Some(why) = email_problem(email)
        {
            say(ProblemField::ContactEmail, format!("the contact's e-mail address {why}"));
        }
        if self.mask.len() > MAX_MASKS {
            say(
                ProblemField::Mask,
                format!(
                    "at most {MAX_MASKS} passages are masked by hand; leave the text out instead"
                ),
            );
        }
        problems
    }
}

/// A text in pieces that redaction looks at as a whole, so that nothing of a long one is cut off.
/// They end between lines, outside of key blocks, as far as there is such a place.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(piece_end(rest));
        rest = after;
        Some(piece)
    })
}

fn piece_end(text: &str) -> usize {
    if text.len() <= MAX_PIECE {
        return text.len();
    }
    let most = text.floor_char_boundary(MAX_PIECE);
    let ends = |c: char| text[..most].rmatch_indices(c).map(|(at, _)| at + 1);
    let outside = |end: &usize| {
        let before = &text[..*end];
        before.rfind("-----BEGIN").is_none_or(|begin| before[begin..].contains("-----END"))
    };
    // A place far from the end of the piece is as good; one that splits a key is not.
    let lines = ends('\n').find(outside).or_else(|| ends('\n').next());
    lines.or_else(|| ends(' ').next()).unwrap_or(most)
}

/// Whether a text has a letter or a digit that can be seen.
fn says_something(text: &str) -> bool {
    text.chars().any(|c| c.is_alphanumeric() && !is_unseen(c))
}

/// Why an address cannot be one; none where it can.
fn email_problem(email: &str) -> Option<String> {
    let has = email.chars().count();
    if has > MAX_EMAIL {
        return Some(format!("has {has} characters, at most {MAX_EMAIL} are possible"));
    }
    if email.chars().any(|c| !c.is_ascii_graphic()) {
        return Some(
            "holds a blank or a character that no address has; write it like ana@example.com"
                .to_owned(),
        );
    }
    let wrong = || Some("is not one; write it like ana@example.com, or leave it empty".to_owned());
    let Some((local, domain)) = email.split_once('@') else { return wrong() };
    let local_fine = (1..=64).contains(&local.len())
        && local.chars().all(|c| c.is_ascii_alphanumeric() || "._%+'-".contains(c))
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    let labels: Vec<&str> = domain.split('.').collect();
    let label_fine = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top_fine = labels
        .last()
        .is_some_and(|top| top.len() >= 2 && top.chars().any(|c| c.is_ascii_alphabetic()));
    if !local_fine || labels.len() < 2 || !labels.iter().all(label_fine) || !top_fine {
        return wrong();
    }
    // An address is no place to hide something else in.
    let secret = |part: &str| {
        let redacted = redact(part);
        !redacted.hits.is_empty() || !crate::domain::sanitize::suspects(&redacted.text).is_empty()
    };
    (secret(local) || labels.iter().any(|label| secret(label)))
        .then(|| "looks like a secret; write the address of a person".to_owned())
}

/// One line, as it is stored: cleaned visibly, blanks folded.
pub(super) fn one_line(text: &str) -> String {
    let clean = SafeText::new(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    clean.as_str().to_owned()
}

/// Several lines, as they are stored: each cleaned visibly, without blanks at its end.
pub(super) fn many_lines(text: &str) -> String {
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<String> =
        unix.split('\n').map(|line| SafeText::new(line).as_str().trim_end().to_owned()).collect();
    let whole = lines.join("\n");
    let whole = whole.trim_matches('\n').trim_end();
    // Nothing but stand-ins says nothing.
    if whole.chars().all(|c| c == REPLACEMENT || c.is_whitespace()) {
        return String::new();
    }
    whole.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for fine in ["ana@example.com", "o'neil+night@sub.example.co", "a.b_c%d-e@x-y.de"] {
            assert_eq!(email_problem(fine), None, "{fine}");
        }
        for wrong in [
            "ana",
            "@",
            "a@b",
            "a@b.c",
            "a@@b.com",
            "a b@c.de",
            "a@b..de",
            ".a@b.de",
            "a@b.de.",
            "a@-b.de",
            "ana@exämple.com",
            "a\u{202e}@b.de",
            "a@b.12",
            "<a@b.de>",
            "a@b.de,c@d.de",
            "a@127.0.0.1",
        ] {
            assert!(email_problem(wrong).is_some(), "{wrong}");
        }
        let key = format!("{}{}@example.com", "AKIA", "IOSFODNN7EXAMPLE");
        assert!(email_problem(&key).is_some());
    }

    #[test]
    fn a_long_text_is_kept_whole_and_redacted_whole() {
        let key = format!(
            "-----{0} {2}-----\n{1}\n-----END {2}-----\n",
            "BEGIN",
            "QUJD".repeat(12),
            "PRIVATE KEY"
        );
        let text = format!("{}{key}{}", "a line of it\n".repeat(2_510), "and more\n".repeat(9_000));
        let kept = Draft { notes: text.clone(), ..Draft::default() }.for_file().notes;
        assert!(kept.ends_with("and more\n") && kept.len() > 100_000, "{}", kept.len());
        assert!(!kept.contains("QUJDQUJD"));
        let plain = "word ".repeat(30_000);
        assert!(Draft { notes: plain.clone(), ..Draft::default() }.for_file().notes == plain);
        let long = "x".repeat(200_000);
        assert_eq!(pieces(&long).collect::<String>(), long);
    }

    #[test]
    fn lines() {
        assert_eq!(one_line("  a \t b\n c\u{202e} "), "a b c\u{fffd}");
        assert_eq!(many_lines("\r\na  \r\n\tb\u{7}\r\n\r\n"), "a\n b\u{fffd}");
        assert_eq!(many_lines("\u{200b}\n \u{7}"), "");
    }
}
