//! Files that people have written out of the console: where they go, and how they are written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::access::Actor;
use crate::domain::json;
use crate::domain::support::{Evidence, bundle_markdown};
use crate::ops::Ops;
use crate::ops::plans::{ListPlanTargets, targets_csv};
use crate::{Error, Result, files};

/// Where an export made now goes: its name, the moment, and the ending.
pub fn file(dir: &Path, name: &str, ending: &str, now: DateTime<Utc>) -> PathBuf {
    dir.join(format!("{name}-{}.{ending}", now.format("%Y%m%dT%H%M%SZ")))
}

/// Writes an export, readable by its owner only (0600), away from where keys are read.
pub async fn write(file: PathBuf, text: String) -> Result<()> {
    let written = tokio::task::spawn_blocking(move || {
        // The folder of exports, and the state directory that it is in.
        let dirs: Vec<&Path> = file.ancestors().skip(1).take(2).collect();
        files::check_own_dirs(&dirs)?;
        files::write_private(&file, text.as_bytes())
    });
    written.await.map_err(|_| Error::failed("the file could not be written"))?
}

#[derive(Debug, Clone, PartialEq)]
pub struct ExportPlan {
    pub plan_id: i64,
    pub file: PathBuf,
}

impl ExportPlan {
    pub fn new(plan_id: i64, dir: &Path, now: DateTime<Utc>) -> Self {
        Self { plan_id, file: file(dir, &format!("plan-{plan_id}"), "csv", now) }
    }

    /// Writes all of the plan's targets as comma-separated values; gives how many.
    pub async fn send(&self, ops: &Ops, actor: &Actor) -> Result<usize> {
        let targets = ops.run(actor, ListPlanTargets::all(self.plan_id)).await?.targets;
        write(self.file.clone(), targets_csv(&targets)).await?;
        Ok(targets.len())
    }
}

pub const EXPORT_SCHEMA_VERSION: i64 = 1;

/// Diagnostics to be written into files, as they were opened.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportDiagnostics {
    pub evidence: Arc<Evidence>,
    pub dir: PathBuf,
    /// The moment, which is part of the files' names.
    pub now: DateTime<Utc>,
}

impl ExportDiagnostics {
    pub async fn send(&self) -> Result<Vec<PathBuf>> {
        let Some(bundle) = self.evidence.bundle() else {
            return Err(Error::failed("there are no diagnostics to write"));
        };
        let subject = self.evidence.subject();
        let name = match &subject.run {
            Some(run) => format!("diagnostics-run-{}-tenant-{}", run.id, subject.tenant_id),
            None => format!("diagnostics-tenant-{}", subject.tenant_id),
        };
        let whole = json!({
            "schema_version": EXPORT_SCHEMA_VERSION,
            "diagnostics": { "subject": subject, "bundle": bundle, "withheld": bundle.tally() },
        });
        let forms =
            [("json", json::text(&whole)? + "\n"), ("md", bundle_markdown(subject, bundle))];
        let mut written = Vec::new();
        for (ending, text) in forms {
            let path = file(&self.dir, &name, ending, self.now);
            write(path.clone(), text).await?;
            written.push(path);
        }
        Ok(written)
    }
}
