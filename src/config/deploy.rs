//! `[[deploy.runbooks]]`: the pieces of maintenance that a deployment declares.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{excerpt, nearest};
use crate::domain::confirmation::ReasonRule;
use crate::domain::operation_type;
use crate::domain::rollout::{ErrorThreshold, Rollout};
use crate::domain::start_reason::{StartReason, StartReasonCode};

/// Where the declarations stand in the file.
pub(super) const NAME: &str = "deploy.runbooks";
/// The longest id.
const MAX_ID: usize = 100;
/// What a declaration may say.
const KEYS: [&str; 12] = [
    "id",
    "runbook",
    "all_tenants",
    "tenants",
    "workspace",
    "reason_code",
    "reason",
    "confirm",
    "inputs",
    "concurrency",
    "error_threshold",
    "canary",
];

/// What a declaration is aimed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclaredScope {
    /// The platform itself: nothing else was said.
    Platform,
    /// These tenants, each once, by id.
    Tenants(Vec<i64>),
    /// The allowed tenants of this workspace.
    Workspace(i64),
    /// All allowed tenants.
    All,
}

/// One piece of work that a deployment declares. It is started once per id.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Its name, for good.
    pub id: String,
    /// The runbook's key.
    pub runbook: String,
    /// What it is aimed at.
    pub scope: DeclaredScope,
    /// Why.
    pub reason: Option<StartReason>,
    /// The phrase, for what its definition alone does not confirm.
    pub confirm: Option<String>,
    /// The runbook's inputs.
    pub inputs: Value,
    /// How its targets are worked through.
    pub rollout: Rollout,
}

/// What is wrong: where in the text, why, and what to write instead.
pub(super) struct Wrong {
    /// Byte in the file.
    pub at: usize,
    /// Which key.
    pub name: String,
    /// Why; quotes input.
    pub reason: String,
    /// What to write instead.
    pub hint: String,
}

type Read<T> = Result<T, Wrong>;

/// Reads what stands under `deploy.runbooks`.
pub(super) fn read(value: &Spanned<DeValue<'_>>) -> Read<Vec<Deployment>> {
    let DeValue::Array(rows) = value.get_ref() else {
        return Err(wrong(value, NAME, "this is no list of tables", "[[deploy.runbooks]]"));
    };
    let mut all = Vec::with_capacity(rows.len());
    let mut ids = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        let DeValue::Table(table) = row.get_ref() else {
            return Err(wrong(row, NAME, "this is no table", "[[deploy.runbooks]]"));
        };
        let declaration = Row { at: row.span().start, table };
        let deployment = declaration.read()?;
        if let Some(other) = ids.insert(deployment.id.clone(), i + 1) {
            let at = declaration.table.get("id").map_or(row.span().start, |id| id.span().start);
            return Err(Wrong {
                at,
                name: format!("{NAME}.id"),
                reason: format!("{} is the id of declaration {other}", excerpt(&deployment.id)),
                hint: "give each piece of work an id of its own".to_owned(),
            });
        }
        all.push(deployment);
    }
    Ok(all)
}

fn wrong(value: &Spanned<DeValue<'_>>, name: &str, reason: &str, allowed: &str) -> Wrong {
    Wrong {
        at: value.span().start,
        name: name.to_owned(),
        reason: reason.to_owned(),
        hint: format!("allowed: {allowed}"),
    }
}

/// One declaration.
struct Row<'a> {
    at: usize,
    table: &'a DeTable<'a>,
}

impl Row<'_> {
    fn read(&self) -> Read<Deployment> {
        self.check_keys()?;
        let id = self.needed("id", "a text of 1 to 100 letters, digits, and . _ : -", |text| {
            let fine = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
            ((1..=MAX_ID).contains(&text.len()) && text.chars().all(fine)).then(|| text.to_owned())
        })?;
        let runbook = self.needed("runbook", "the key of a runbook in quotes", |text| {
            operation_type::check(text).is_ok().then(|| text.to_owned())
        })?;
        Ok(Deployment {
            id,
            runbook,
            scope: self.scope()?,
            reason: self.reason()?,
            confirm: self.text("confirm", "the phrase in quotes")?.map(str::to_owned),
            inputs: self.inputs()?,
            rollout: self.rollout()?,
        })
    }

    fn get(&self, key: &str) -> Option<&Spanned<DeValue<'_>>> {
        self.table.get(key)
    }

    fn check_keys(&self) -> Read<()> {
        let mut keys: Vec<_> = self.table.keys().collect();
        // The first mistake is reported first.
        keys.sort_by_key(|key| key.span().start);
        match keys.into_iter().find(|key| !KEYS.contains(&key.get_ref().as_ref())) {
            None => Ok(()),
            Some(key) => {
                let name = key.get_ref();
                let hint = match nearest(name, KEYS) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => format!("allowed: {}", KEYS.join(", ")),
                };
                let reason = format!("unknown key {}", excerpt(name));
                Err(Wrong { at: key.span().start, name: NAME.to_owned(), reason, hint })
            }
        }
    }

    fn wrong(&self, key: &str, reason: impl Into<String>, allowed: &str) -> Wrong {
        Wrong {
            at: self.get(key).map_or(self.at, |value| value.span().start),
            name: format!("{NAME}.{key}"),
            reason: reason.into(),
            hint: format!("allowed: {allowed}"),
        }
    }

    fn text(&self, key: &str, allowed: &str) -> Read<Option<&str>> {
        match self.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::String(text)) => Ok(Some(text)),
            Some(other) => {
                Err(self.wrong(key, format!("this is {}, no text", kind(other)), allowed))
            }
        }
    }

    fn needed<T>(&self, key: &str, allowed: &str, read: impl Fn(&str) -> Option<T>) -> Read<T> {
        let text = self.text(key, allowed)?;
        let text = text.ok_or_else(|| self.wrong(key, "it is missing", allowed))?;
        read(text).ok_or_else(|| self.wrong(key, format!("{} is none", excerpt(text)), allowed))
    }

    fn number<T: TryFrom<i64>>(&self, key: &str, allowed: &str) -> Read<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = integer(value.get_ref()).and_then(|number| T::try_from(number).ok());
        number.map(Some).ok_or_else(|| {
            self.wrong(key, format!("this is {}", spelled(value.get_ref())), allowed)
        })
    }

    fn scope(&self) -> Read<DeclaredScope> {
        let given = ["all_tenants", "tenants", "workspace"].map(|key| (key, self.get(key)));
        let mut given = given.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let one = "one of all_tenants = true, tenants = [ID, ...], workspace = ID; none of them \
                   for a runbook of the platform itself";
        let Some((key, value)) = given.next() else { return Ok(DeclaredScope::Platform) };
        if let Some((second, _)) = given.next() {
            return Err(self.wrong(second, format!("{key} is given, too"), one));
        }
        match (key, value.get_ref()) {
            ("all_tenants", DeValue::Boolean(true)) => Ok(DeclaredScope::All),
            ("tenants", DeValue::Array(ids)) if ids.is_empty() => {
                Err(self.wrong(key, "no tenant is named", one))
            }
            ("tenants", DeValue::Array(ids)) => {
                let ids: Option<Vec<i64>> = ids.iter().map(|id| row_id(id.get_ref())).collect();
                let mut ids =
                    ids.ok_or_else(|| self.wrong(key, "an id is a whole number above 0", one))?;
                ids.sort_unstable();
                ids.dedup();
                Ok(DeclaredScope::Tenants(ids))
            }
            ("workspace", value) if row_id(value).is_some() => {
                Ok(DeclaredScope::Workspace(row_id(value).unwrap_or_default()))
            }
            (_, value) => Err(self.wrong(key, format!("this is {}", spelled(value)), one)),
        }
    }

    fn reason(&self) -> Read<Option<StartReason>> {
        let codes: Vec<_> = StartReasonCode::ALL.iter().map(|code| code.as_str()).collect();
        let codes = codes.join(", ");
        let words = "why, in at most 500 characters, in quotes";
        match (self.text("reason_code", &codes)?, self.text("reason", words)?) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(self.wrong("reason_code", "it is missing", &codes)),
            (Some(_), None) => Err(self.wrong("reason", "it is missing", words)),
            (Some(code), Some(text)) => {
                let code: StartReasonCode = code
                    .parse()
                    .map_err(|e: crate::Error| self.wrong("reason_code", e.message(), &codes))?;
                StartReason::new(code, text, ReasonRule::Optional)
                    .map(Some)
                    .map_err(|error| self.wrong("reason", error.message(), words))
            }
        }
    }

    fn inputs(&self) -> Read<Value> {
        let allowed = "a table such as { days = 30 } of whole numbers, truth values and texts";
        let table = match self.get("inputs").map(Spanned::get_ref) {
            None => return Ok(Value::Object(Map::new())),
            Some(DeValue::Table(table)) => table,
            Some(other) => {
                return Err(self.wrong("inputs", format!("this is {}", spelled(other)), allowed));
            }
        };
        let mut inputs = Map::new();
        for (key, value) in table {
            let read = match value.get_ref() {
                DeValue::String(text) => Some(Value::from(text.as_ref())),
                DeValue::Boolean(value) => Some(Value::from(*value)),
                other => integer(other).map(Value::from),
            };
            let Some(read) = read else {
                let name = format!("{NAME}.inputs.{}", excerpt(key.get_ref()));
                let reason = format!("this is {}", spelled(value.get_ref()));
                return Err(wrong(value, &name, &reason, allowed));
            };
            inputs.insert(key.get_ref().to_string(), read);
        }
        Ok(Value::Object(inputs))
    }

    fn rollout(&self) -> Read<Rollout> {
        let default = Rollout::default();
        let threshold = "a number of targets such as 5, or a share such as \"10%\"";
        let error_threshold = match self.get("error_threshold").map(Spanned::get_ref) {
            Some(DeValue::String(text)) => Some(text.parse().map_err(|_| {
                self.wrong("error_threshold", format!("{} is none", excerpt(text)), threshold)
            })?),
            _ => self.number::<u32>("error_threshold", threshold)?.map(ErrorThreshold::Count),
        };
        let concurrency = "a whole number from 1 to 32";
        let rollout = Rollout {
            concurrency: self.number("concurrency", concurrency)?.unwrap_or(default.concurrency),
            error_threshold,
            canary: self.number("canary", "a whole number, 0 for none")?.unwrap_or(default.canary),
        };
        rollout.check().map_err(|error| self.wrong("concurrency", error.message(), concurrency))?;
        Ok(rollout)
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    match value {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}

fn row_id(value: &DeValue<'_>) -> Option<i64> {
    integer(value).filter(|id| *id > 0)
}

/// A value as the reason of a refusal spells it.
fn spelled(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) => excerpt(number.as_str()).trim_matches('"').to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        other => kind(other).to_owned(),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
