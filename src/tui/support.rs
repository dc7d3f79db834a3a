//! Diagnostics written into files.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::export;
use crate::domain::json;
use crate::domain::support::{Evidence, bundle_markdown};
use crate::{Error, Result};

/// The version of the form in which diagnostics are exported.
pub const EXPORT_SCHEMA_VERSION: i64 = 1;

/// Diagnostics to be written into files, as they were opened.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportDiagnostics {
    /// What was opened.
    pub evidence: Arc<Evidence>,
    /// The directory.
    pub dir: PathBuf,
    /// The moment, which is part of the files' names.
    pub now: DateTime<Utc>,
}

impl ExportDiagnostics {
    /// Writes both forms; gives the files.
    ///
    /// # Errors
    /// When a file cannot be written.
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
        let mut files = Vec::new();
        for (ending, text) in forms {
            let file = export::file(&self.dir, &name, ending, self.now);
            export::write(file.clone(), text).await?;
            files.push(file);
        }
        Ok(files)
    }
}
