//! The platform's flags: settings of the whole platform that are on or off.

use serde::Serialize;
use serde_json::json;

use super::runbooks::ADMIN_MAINTENANCE_FLAG;
use super::store::settings;
use super::{About, Access, Consent, Context, Operation};
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::domain::confirmation::{Action, Confirmation};
use crate::domain::safe_text::quoted;
use crate::{Error, Result};

/// A flag that exists.
struct Known {
    name: &'static str,
    about: &'static str,
}

/// Every flag. All of them are off until somebody turns them on.
const FLAGS: &[Known] = &[Known {
    name: ADMIN_MAINTENANCE_FLAG,
    about: "customers may start maintenance from their side",
}];

/// A flag of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flag {
    /// Its name.
    pub name: &'static str,
    /// Whether it is on.
    pub on: bool,
    /// What it allows while it is on.
    pub about: &'static str,
}

/// Lists the platform's flags.
#[derive(Debug, Clone, Copy)]
pub struct ListFlags;

impl Operation for ListFlags {
    const NAME: &'static str = "platform.list_flags";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::UsersManage]);
    const ACCESS: Access = Access::Read;
    type Output = Vec<Flag>;

    async fn execute(self, context: &mut Context) -> Result<Vec<Flag>> {
        let mut flags = Vec::with_capacity(FLAGS.len());
        for known in FLAGS {
            flags.push(read(context, known).await?);
        }
        Ok(flags)
    }
}

/// Turns a flag of the platform on or off.
#[derive(Debug, Clone)]
pub struct SetFlag {
    /// Its name.
    pub name: String,
    /// On or off.
    pub on: bool,
    /// What confirms it.
    pub consent: Consent,
}

impl SetFlag {
    /// A harmless example, for the test of the access check.
    pub(in crate::ops) fn sample() -> Self {
        Self { name: "none_such".to_owned(), on: false, consent: Consent::dry_run() }
    }
}

/// A flag, and whether a change was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagSet {
    /// The flag as it is now; after a dry run, as it would be.
    pub flag: Flag,
    /// False: it was so before.
    pub changed: bool,
}

impl Operation for SetFlag {
    const NAME: &'static str = "platform.set_flag";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::UsersManage]);
    const ACCESS: Access = Access::Write;
    // What it was before is read, and has to be true when the change is written.
    const ONE_AT_A_TIME: bool = true;
    type Output = FlagSet;

    fn about(&self) -> About {
        About::of("platform_flag", &self.name).with(&self.consent)
    }

    async fn execute(self, context: &mut Context) -> Result<FlagSet> {
        let mut row = self.consent.begin(context, Self::NAME, &self.about()).await?;
        row.metadata["wanted"] = json!(self.on);
        let attempt = self.attempt(context).await;
        let (before, after) = self.consent.end(context, row.clone(), attempt).await?;
        let changed = before.on != after.on;
        if changed {
            row.before = Some(json!({ "on": before.on }));
            row.after = Some(json!({ "on": after.on }));
            context.audit(&row).await?;
        }
        Ok(FlagSet { flag: after, changed })
    }
}

impl SetFlag {
    async fn attempt(&self, context: &mut Context) -> Result<(Flag, Flag)> {
        context.require_unrestricted(Self::NAME).await?;
        let known = FLAGS.iter().find(|known| known.name == self.name).ok_or_else(|| {
            let names: Vec<_> = FLAGS.iter().map(|known| known.name).collect();
            Error::usage(format!("there is no flag {}", quoted(&self.name)))
                .hint(format!("one of: {}", names.join(", ")))
        })?;
        let action = Action::SetFlag(known.name, self.on);
        self.consent.allow(context, &Confirmation::of(&action)?)?;
        let before = read(context, known).await?;
        let now = context.now();
        let value = if self.on { "true" } else { "false" };
        if before.on != self.on && !self.consent.dry_run {
            settings::set(context.tx()?, known.name, value, now).await?;
        }
        let after = Flag { on: self.on, ..before.clone() };
        Ok((before, after))
    }
}

async fn read(context: &mut Context, known: &Known) -> Result<Flag> {
    let value = settings::get(context.tx()?, known.name).await?;
    let on = value.as_deref() == Some("true");
    Ok(Flag { name: known.name, on, about: known.about })
}
