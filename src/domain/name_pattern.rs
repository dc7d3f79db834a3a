//! Finding a name by what was typed, the same way on both engines and in every collation.
//!
//! `lower` follows the database's locale on PostgreSQL and knows ASCII only on SQLite, so the
//! letters are folded here, and the database compares characters. What a screen shows in place of
//! characters that it cannot show stands for those characters.

use regex::Regex;
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
use unicode_normalization::UnicodeNormalization as _;

use super::safe_text::{LINE_BREAK, REPLACEMENT};

/// The most characters that are compared; a longer text is taken as the start of a name.
const MAX_LENGTH: usize = 300;

/// How much of a name the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Any part.
    Part,
    /// The start.
    Start,
    /// The whole.
    Whole,
}

/// A text, ready to be compared with names without regard to case and Unicode form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    /// The text as it was typed, composed and decomposed; each once.
    forms: Vec<Vec<Piece>>,
    extent: Extent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// One of these characters.
    OneOf(Vec<char>),
    /// At least one character, whichever.
    Some,
}

impl NamePattern {
    /// The pattern of `text`.
    pub fn new(text: &str, extent: Extent) -> Self {
        let whole = text.chars().nth(MAX_LENGTH).is_none();
        let text: String = text.chars().take(MAX_LENGTH).collect();
        let mut forms: Vec<Vec<Piece>> = Vec::new();
        for form in [text.clone(), text.nfc().collect(), text.nfd().collect()] {
            let form = form.chars().map(Piece::of).collect();
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        let extent = if extent == Extent::Whole && !whole { Extent::Start } else { extent };
        Self { forms, extent }
    }

    /// The pattern of what was typed into a search; none for nothing.
    pub fn searched(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self::new(text, Extent::Part))
    }

    /// As a regular expression of PostgreSQL.
    pub fn regex(&self) -> String {
        let forms: Vec<String> =
            self.forms.iter().map(|form| form.iter().map(Piece::regex).collect()).collect();
        let (start, end) = match self.extent {
            Extent::Part => ("", ""),
            Extent::Start => ("^", ""),
            Extent::Whole => ("^", "$"),
        };
        format!("{start}(?:{}){end}", forms.join("|"))
    }

    /// As a JSON list of patterns for SQLite's `GLOB`; a name matches one of them.
    pub fn globs(&self) -> String {
        let (start, end) = match self.extent {
            Extent::Part => ("*", "*"),
            Extent::Start => ("", "*"),
            Extent::Whole => ("", ""),
        };
        let glob = |form: &Vec<Piece>| {
            format!("{start}{}{end}", form.iter().map(Piece::glob).collect::<String>())
        };
        serde_json::Value::from(self.forms.iter().map(glob).collect::<Vec<_>>()).to_string()
    }

    /// For names that are in memory; none for a text that is too long for one.
    pub fn in_memory(&self) -> Option<Regex> {
        Regex::new(&format!("(?s){}", self.regex())).ok()
    }
}

impl Piece {
    fn of(c: char) -> Self {
        match c {
            REPLACEMENT | LINE_BREAK => Self::Some,
            // A tab shows as a space, and these cannot be told from one.
            ' ' => Self::OneOf(
                [' ', '\t', '\u{a0}', '\u{202f}', '\u{205f}']
                    .into_iter()
                    .chain('\u{2000}'..='\u{200a}')
                    .collect(),
            ),
            _ => {
                let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
                // Without the tables, which are compiled in, the character stands for itself.
                let _ = class.try_case_fold_simple();
                Self::OneOf(class.iter().flat_map(|range| range.start()..=range.end()).collect())
            }
        }
    }

    fn regex(&self) -> String {
        let escaped = |c: &char| format!("\\U{:08X}", u32::from(*c));
        match self {
            Self::Some => ".+".to_owned(),
            Self::OneOf(chars) => {
                format!("[{}]", chars.iter().map(escaped).collect::<String>())
            }
        }
    }

    fn glob(&self) -> String {
        match self {
            Self::Some => "?*".to_owned(),
            Self::OneOf(chars) => match chars.as_slice() {
                // In brackets these two mean something else; outside they mean themselves.
                [c @ (']' | '^')] => c.to_string(),
                chars => format!("[{}]", chars.iter().collect::<String>()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::safe_text::clean;

    fn finds(text: &str, extent: Extent, name: &str) -> bool {
        NamePattern::new(text, extent).in_memory().unwrap().is_match(name)
    }

    #[test]
    fn letters_match_without_regard_to_case_and_form() {
        for (text, name) in [
            ("İstanbul", "İstanbul"),
            ("σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("ärzte", "ÄRZTE"),
            ("ÄRZTE", "A\u{308}rzte"),
            ("cafe\u{301}", "Café"),
            ("straße 1", "STRAẞE\t1"),
            ("a^b]c-[d]*?\\", "A^B]C-[D]*?\\"),
            ("a nbsp b", "A\u{a0}nbsp\u{2009}b"),
        ] {
            assert!(finds(text, Extent::Whole, name), "{text} {name}");
        }
        for (text, name) in [("b*", "bus"), ("a?c", "abc"), ("[ab]", "a"), ("İ", "i"), ("ß", "ss")]
        {
            assert!(!finds(text, Extent::Part, name), "{text} {name}");
        }
        assert!(
            finds("fab", Extent::Start, "Fabrikam") && !finds("rik", Extent::Start, "Fabrikam")
        );
        assert!(!finds("fab", Extent::Whole, "Fabrikam"));
    }

    #[test]
    fn a_text_longer_than_any_pattern_is_the_start_of_a_name() {
        let long = "x".repeat(MAX_LENGTH + 1);
        assert!(finds(&long, Extent::Whole, &long) && finds(&long, Extent::Part, &long));
        assert!(!finds(&long, Extent::Whole, "x"));
    }

    proptest! {
        #[test]
        fn a_name_is_found_by_what_is_shown_of_it(name in "\\PC{1,20}|.{1,20}") {
            prop_assert!(finds(&clean(&name), Extent::Whole, &name));
        }
    }
}
