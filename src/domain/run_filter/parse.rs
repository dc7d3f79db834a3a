//! Reads the filter language.

use std::ops::Range;
use std::str::FromStr;

use chrono::{
    DateTime, Datelike as _, Duration, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime,
    SubsecRound as _, Utc,
};

use super::{FilterError, IdOrName, MAX_LENGTH, Pattern, RunFilter, Term, TermKind, When, Word};
use crate::domain::fingerprint::is_fingerprint;
use crate::domain::run::{RunOutcome, Source};
use crate::domain::safe_text::quoted;

/// The longest time back: ten years, more than any run is kept.
const MAX_AGO: Duration = Duration::days(3660);

type Parsed<T> = Result<T, FilterError>;

/// One value as it was written.
struct Value {
    text: String,
    /// Was it in quotes? Then it is never a number or a pattern.
    quoted: bool,
    /// Does a `*` follow it?
    star: bool,
    at: Range<usize>,
}

pub(super) fn filter(text: &str, offset: FixedOffset) -> Parsed<RunFilter> {
    let chars: Vec<char> = text.chars().take(MAX_LENGTH + 1).collect();
    if chars.len() > MAX_LENGTH {
        let message = format!("the filter is longer than {MAX_LENGTH} characters");
        return Err(error(MAX_LENGTH..MAX_LENGTH + 1, message));
    }
    let mut reader = Reader { chars, at: 0, offset };
    let mut filter = RunFilter::default();
    while reader.skip_space() {
        let start = reader.at;
        let term = reader.term()?;
        fits(&filter, &term).map_err(|message| error(start..reader.at, message))?;
        filter.terms.push(term);
    }
    Ok(filter)
}

fn error(at: Range<usize>, message: impl Into<String>) -> FilterError {
    FilterError { at, message: message.into(), allowed: Vec::new() }
}

/// Whether `term` can stand beside the terms before it.
fn fits(filter: &RunFilter, term: &Term) -> Result<(), String> {
    let Some(word) = term.kind.word() else { return Ok(()) };
    let same = |other: &&Term| !other.negated && other.kind.word() == Some(word);
    if !term.negated && filter.terms.iter().any(|other| same(&other)) {
        return Err(match term.kind {
            TermKind::Since(_) | TermKind::Until(_) => format!("{word}: stands twice"),
            _ => format!("{word}: stands twice; write alternatives with a comma, {word}:a,b"),
        });
    }
    let opposite = |other: &&Term| other.negated != term.negated && other.kind == term.kind;
    if let Some(other) = filter.terms.iter().find(opposite) {
        return Err(format!("this contradicts {}", quoted(&other.to_string())));
    }
    let edges = filter.terms.iter().find_map(|other| match (&other.kind, &term.kind) {
        (TermKind::Since(since), TermKind::Until(until))
        | (TermKind::Until(until), TermKind::Since(since)) => Some((*since, *until)),
        _ => None,
    });
    let empty = match edges {
        Some((When::At(since), When::At(until))) => since >= until,
        Some((When::Ago(since), When::Ago(until))) => since <= until,
        // Which comes first depends on when it is asked.
        _ => false,
    };
    if empty { Err("since: must be before until:".to_owned()) } else { Ok(()) }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    /// That of times that say none.
    offset: FixedOffset,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    /// Whether anything but white space is left.
    fn skip_space(&mut self) -> bool {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        self.at < self.chars.len()
    }

    fn term(&mut self) -> Parsed<Term> {
        let start = self.at;
        let negated = self.eat('!');
        if self.peek().is_none_or(|c| c == '!' || c.is_whitespace()) {
            let message = "! must stand directly before the word that it negates, once";
            return Err(error(start..self.at, message));
        }
        let Some(head) = self.head() else {
            return Ok(Term { negated, kind: TermKind::Text(self.text()?) });
        };
        let head_at = self.at..self.at + head.chars().count();
        let Ok(word) = head.to_ascii_lowercase().parse::<Word>() else {
            let message = format!(
                "unknown word {}; put text that holds a colon in quotes",
                quoted(&format!("{head}:"))
            );
            let allowed = Word::ALL.iter().map(|word| word.as_str()).collect();
            return Err(FilterError { at: head_at, message, allowed });
        };
        self.at = head_at.end + 1;
        let values = self.values(word, start)?;
        let kind = kind(word, values, self.offset)?;
        if negated && matches!(kind, TermKind::Since(_) | TermKind::Until(_)) {
            let other = if word == Word::Since { Word::Until } else { Word::Since };
            let message = format!("{word}: cannot be negated; use {other}:");
            return Err(error(start..self.at, message));
        }
        Ok(Term { negated, kind })
    }

    /// The letters before a colon, if the word starts like that. Nothing is consumed.
    fn head(&self) -> Option<String> {
        let rest = &self.chars[self.at..];
        let length = rest.iter().take_while(|c| c.is_ascii_alphabetic() || **c == '_').count();
        (length > 0 && rest.get(length) == Some(&':')).then(|| rest[..length].iter().collect())
    }

    fn text(&mut self) -> Parsed<String> {
        let start = self.at;
        let text = if self.peek() == Some('"') { self.quoted()? } else { self.bare(&[]) };
        if self.peek().is_some_and(|c| !c.is_whitespace()) {
            return Err(error(start..self.at + 1, "a space must follow the closing quote"));
        }
        if text.trim().is_empty() {
            return Err(error(start..self.at, "the text is empty"));
        }
        Ok(text)
    }

    /// The alternatives after a word, at least one.
    fn values(&mut self, word: Word, start: usize) -> Parsed<Vec<Value>> {
        let mut values = Vec::new();
        loop {
            let from = self.at;
            let quoted = self.peek() == Some('"');
            let mut text = if quoted { self.quoted()? } else { self.bare(&[',']) };
            let star = if quoted { self.eat('*') } else { text.ends_with('*') };
            if star && !quoted {
                text.pop();
            }
            if text.trim().is_empty() {
                let missing = if star { "something before the *" } else { "a value" };
                let message = format!("{word}: needs {missing}");
                return Err(FilterError {
                    allowed: closed(word),
                    ..error(start..self.at, message)
                });
            }
            if !quoted && text.contains('*') {
                return Err(error(from..self.at, "* may only stand at the end of a value"));
            }
            values.push(Value { text, quoted, star, at: from..self.at });
            if self.eat(',') {
                continue;
            }
            if self.peek().is_some_and(|c| !c.is_whitespace()) {
                let message = "a comma or a space must follow the closing quote";
                return Err(error(from..self.at + 1, message));
            }
            return Ok(values);
        }
    }

    fn bare(&mut self, stops: &[char]) -> String {
        let rest = self.chars[self.at..].iter();
        let text: String = rest.take_while(|c| !c.is_whitespace() && !stops.contains(c)).collect();
        self.at += text.chars().count();
        text
    }

    /// A text in quotes; `\"` and `\\` stand for themselves.
    fn quoted(&mut self) -> Parsed<String> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '"' => return Ok(text),
                '\\' if matches!(self.peek(), Some('"' | '\\')) => {
                    text.extend(self.peek());
                    self.at += 1;
                }
                _ => text.push(c),
            }
        }
        Err(error(start..self.at, "the closing quote is missing"))
    }
}

/// The closed list of values that a word takes, if it is one.
pub(super) fn closed(word: Word) -> Vec<&'static str> {
    match word {
        Word::Status => super::StatusWord::ALL.iter().map(|value| value.as_str()).collect(),
        Word::Outcome => RunOutcome::ALL.iter().map(|value| value.as_str()).collect(),
        Word::Source => Source::ALL.iter().map(|value| value.as_str()).collect(),
        _ => Vec::new(),
    }
}

fn kind(word: Word, values: Vec<Value>, offset: FixedOffset) -> Parsed<TermKind> {
    Ok(match word {
        Word::Status => TermKind::Status(each(values, |value| listed(word, value))?),
        Word::Outcome => TermKind::Outcome(each(values, |value| listed(word, value))?),
        Word::Source => TermKind::Source(each(values, |value| listed(word, value))?),
        Word::Type => TermKind::Type(each(values, |value| Ok(pattern(value)))?),
        Word::Reason => TermKind::Reason(each(values, |value| Ok(pattern(value)))?),
        Word::By => TermKind::By(each(values, |value| Ok(pattern(value)))?),
        Word::Tenant => TermKind::Tenant(each(values, id_or_name)?),
        Word::Workspace => TermKind::Workspace(each(values, id_or_name)?),
        Word::Id => TermKind::Id(each(values, |value| id(&value))?),
        Word::Fingerprint => TermKind::Fingerprint(each(values, fingerprint)?),
        Word::Since => TermKind::Since(when(word, &values, offset)?),
        Word::Until => TermKind::Until(when(word, &values, offset)?),
    })
}

fn each<T: PartialEq>(values: Vec<Value>, read: impl Fn(Value) -> Parsed<T>) -> Parsed<Vec<T>> {
    let mut list = Vec::with_capacity(values.len());
    for value in values {
        let value = read(value)?;
        if !list.contains(&value) {
            list.push(value);
        }
    }
    Ok(list)
}

fn listed<T: FromStr>(word: Word, value: Value) -> Parsed<T> {
    let parsed = value.text.to_ascii_lowercase().parse().ok().filter(|_| !value.star);
    parsed.ok_or_else(|| FilterError {
        message: format!("{} is not a value of {word}:", quoted(&value.text)),
        at: value.at,
        allowed: closed(word),
    })
}

fn pattern(value: Value) -> Pattern {
    Pattern { text: value.text, prefix: value.star }
}

fn id_or_name(value: Value) -> Parsed<IdOrName> {
    let number = value.text.bytes().all(|byte| byte.is_ascii_digit());
    if number && !value.quoted && !value.star {
        return id(&value).map(IdOrName::Id);
    }
    Ok(IdOrName::Name(pattern(value)))
}

fn id(value: &Value) -> Parsed<i64> {
    let digits = value.text.bytes().all(|byte| byte.is_ascii_digit()) && !value.star;
    value.text.parse().ok().filter(|id| digits && *id > 0).ok_or_else(|| {
        error(value.at.clone(), format!("{} is not an id: a whole number", quoted(&value.text)))
    })
}

fn fingerprint(value: Value) -> Parsed<String> {
    let text = value.text.to_ascii_lowercase();
    if is_fingerprint(&text) && !value.star {
        return Ok(text);
    }
    let what = "is not a fingerprint: 12 digits and letters a to f";
    Err(error(value.at, format!("{} {what}", quoted(&value.text))))
}

fn when(word: Word, values: &[Value], offset: FixedOffset) -> Parsed<When> {
    let [value] = values else {
        let at = values.get(1).map_or(0..0, |value| value.at.clone());
        return Err(error(at, format!("{word}: takes one time")));
    };
    let parsed = if value.star { None } else { moment(&value.text, offset) };
    parsed.ok_or_else(|| {
        let message = format!(
            "{} is not a time; write 90m, 24h, 7d, 2026-11-20, 2026-11-20T10:00 ({}), or with \
             an offset 2026-11-20T10:00+02:00",
            quoted(&value.text),
            if offset.local_minus_utc() == 0 { "UTC".to_owned() } else { offset.to_string() }
        );
        error(value.at.clone(), message)
    })
}

fn moment(text: &str, offset: FixedOffset) -> Option<When> {
    if let Some(ago) = ago(text) {
        return Some(When::Ago(ago));
    }
    let in_full = text.strip_suffix(['Z', 'z']).map(|text| format!("{text}+00:00"));
    let in_full = in_full.as_deref().unwrap_or(text);
    let exact = ["%Y-%m-%dT%H:%M%:z", "%Y-%m-%dT%H:%M:%S%.f%:z"];
    let exact = exact.iter().find_map(|format| DateTime::parse_from_str(in_full, format).ok());
    let at = if let Some(at) = exact {
        at.to_utc()
    } else {
        let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f"];
        let local = match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(day) => day.and_time(NaiveTime::MIN),
            Err(_) => formats
                .iter()
                .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?,
        };
        local.and_local_timezone(offset).single()?.to_utc()
    };
    // As precise as the database, and without leap seconds, which it does not know.
    let at = DateTime::<Utc>::from_timestamp_micros(at.timestamp_micros())?.trunc_subsecs(6);
    (1970..=9999).contains(&at.year()).then_some(When::At(at))
}

fn ago(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = match unit.to_ascii_lowercase() {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let ago = Duration::try_seconds(digits.parse::<i64>().ok()?.checked_mul(seconds)?)?;
    (ago > Duration::zero() && ago <= MAX_AGO).then_some(ago)
}
