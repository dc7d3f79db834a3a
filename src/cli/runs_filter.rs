//! The flags of `runs list`, which are another way to write the filter language.

use chrono::FixedOffset;

use crate::domain::run_filter::{FilterError, RunFilter};
use crate::domain::safe_text::quoted;
use crate::{Error, Result};

/// Which runs to list.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FilterArgs {
    /// Conditions in one text, such as 'status:failed since:24h !source:schedule'
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// queued, running, paused, stale, cancelling, succeeded, partial, failed, blocked,
    /// cancelled, active or completed; commas give alternatives
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// How they ended, as stored
    #[arg(long, value_name = "OUTCOME")]
    outcome: Vec<String>,
    /// Operation type, such as policy.sync or 'policy.*'
    #[arg(long = "type", value_name = "TYPE")]
    run_type: Vec<String>,
    /// Tenant, by id or name
    #[arg(long, value_name = "TENANT")]
    tenant: Vec<String>,
    /// Workspace, by id or name
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Vec<String>,
    /// Reason code of the failures
    #[arg(long, value_name = "REASON")]
    reason: Vec<String>,
    /// Who started them
    #[arg(long, value_name = "NAME")]
    by: Vec<String>,
    /// console, cli, deploy_hook, schedule or admin
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// Created at or after: 90m, 24h, 7d, 2026-11-20, 2026-11-20T10:00 (in the zone that is shown)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Created before, written as for --since
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Text to be found anywhere in what the list shows
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

impl FilterArgs {
    /// The filter that all of them make together; times without an offset are of `offset`.
    ///
    /// # Errors
    /// *Usage*, naming the flag at fault.
    pub fn filter(&self, offset: FixedOffset) -> Result<RunFilter> {
        let whole = self.filter.as_deref().unwrap_or_default();
        let mut filter = RunFilter::parse_in(whole, offset)?;
        let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<_>>();
        // Names may hold commas; words, codes and types cannot.
        let flags: [(&str, Vec<String>, bool); 11] = [
            ("status", self.status.clone(), true),
            ("outcome", self.outcome.clone(), true),
            ("type", self.run_type.clone(), true),
            ("tenant", self.tenant.clone(), false),
            ("workspace", self.workspace.clone(), false),
            ("reason", self.reason.clone(), true),
            ("by", self.by.clone(), false),
            ("source", self.source.clone(), true),
            ("since", one(&self.since), false),
            ("until", one(&self.until), false),
            ("text", one(&self.text), false),
        ];
        for (word, values, commas) in flags {
            if values.is_empty() {
                continue;
            }
            let values: Vec<String> = values
                .iter()
                .flat_map(|value| if commas { value.split(',').collect() } else { vec![&**value] })
                .map(|value| match word {
                    "text" => in_quotes(value),
                    "tenant" | "workspace" if is_name_of_digits(value) => in_quotes(value),
                    _ => written(value),
                })
                .collect();
            let text = match word {
                "text" => values.join(""),
                _ => format!("{word}:{}", values.join(",")),
            };
            let flag = format!("--{word}");
            let part = RunFilter::parse_in(&text, offset).map_err(|error| named(&flag, &error))?;
            filter.terms.extend(part.terms);
            // What fits alone may contradict what came before it.
            RunFilter::parse(&filter.to_string()).map_err(|error| named(&flag, &error))?;
        }
        Ok(filter)
    }
}

/// An error of a flag's value; a column in what it was turned into says nothing.
fn named(flag: &str, error: &FilterError) -> Error {
    let named = Error::usage(format!("{flag}: {}", error.message));
    match error.allowed.as_slice() {
        [] => named,
        allowed => named.hint(format!("one of: {}", allowed.join(", "))),
    }
}

/// Whether digits cannot be an ID as they are written, such as `007`.
fn is_name_of_digits(value: &str) -> bool {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits && !value.parse::<i64>().is_ok_and(|id| id > 0 && id.to_string() == value)
}

/// A value as the language reads it; a star at its end stays a pattern.
fn written(value: &str) -> String {
    let (stem, star) = match value.strip_suffix('*') {
        Some(stem) => (stem, "*"),
        None => (value, ""),
    };
    let plain = |c: char| !(c.is_whitespace() || matches!(c, '"' | ',' | '\\' | '*'));
    if stem.chars().all(plain) { value.to_owned() } else { format!("{}{star}", in_quotes(stem)) }
}

fn in_quotes(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A place in the list as it is given to `--before`.
pub mod cursor {
    use chrono::DateTime;

    use super::{Error, Result, quoted};
    use crate::ops::runs::Cursor;

    /// Writes a place.
    pub fn text(cursor: &Cursor) -> String {
        format!("{}-{}", cursor.created_at.timestamp_micros(), cursor.id)
    }

    /// Reads a place.
    ///
    /// # Errors
    /// *Usage* for anything that [`text`] did not write.
    pub fn parse(text: &str) -> Result<Cursor> {
        text.split_once('-')
            .and_then(|(micros, id)| Some((micros.parse().ok()?, id.parse().ok()?)))
            .and_then(|(micros, id)| {
                Some(Cursor { created_at: DateTime::from_timestamp_micros(micros)?, id })
            })
            .ok_or_else(|| {
                Error::usage(format!("--before: {} is not a place in the list", quoted(text)))
                    .hint("use what \"next\" said, or leave it out to start at the newest")
            })
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Offset as _, Utc};

    use super::*;

    #[test]
    fn flags_become_the_filter_language() {
        let args = FilterArgs {
            filter: Some("status:failed".to_owned()),
            run_type: vec!["policy.*,backup.create".to_owned()],
            tenant: vec!["5".to_owned(), "Contoso, \"DE\"".to_owned(), "Fabri kam*".to_owned()],
            since: Some("2026-11-20T10:00".to_owned()),
            text: Some("429 from: provider".to_owned()),
            ..FilterArgs::default()
        };
        assert_eq!(
            args.filter(Utc.fix()).unwrap().to_string(),
            "status:failed type:policy.*,backup.create tenant:5,\"Contoso, \\\"DE\\\"\",\"Fabri kam\"* \
             since:2026-11-20T10:00Z \"429 from: provider\""
        );
    }

    #[test]
    fn an_error_names_its_flag() {
        let args = FilterArgs { status: vec!["brocken".to_owned()], ..FilterArgs::default() };
        let error = args.filter(Utc.fix()).unwrap_err();
        assert!(error.message().starts_with("--status: \"brocken\""), "{error}");
        assert!(error.next_step().unwrap().contains("failed"), "{error}");
        let args = FilterArgs {
            filter: Some("status:failed".to_owned()),
            status: vec!["running".to_owned()],
            ..FilterArgs::default()
        };
        assert!(args.filter(Utc.fix()).unwrap_err().message().starts_with("--status: "));
    }
}
