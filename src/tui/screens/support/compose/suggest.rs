//! A first summary, from what is known: it says what failed, and is there to be written over.

use crate::domain::support::{Evidence, EvidenceRun};

/// What the summary may begin with; none where nothing has failed.
pub fn summary(evidence: &Evidence) -> Option<String> {
    let subject = evidence.subject();
    let (headline, issue) = match evidence.bundle() {
        Some(bundle) => (bundle.headline(), bundle.dominant_issue()),
        None => ("", "none"),
    };
    let Some(run) = &subject.run else {
        let fails = headline.contains(" failed") && !headline.starts_with("none of");
        let mostly = if known(issue) { format!(", mostly {issue}") } else { String::new() };
        return fails.then(|| format!("{}: {headline}{mostly}", subject.tenant_name));
    };
    let name = format!("{} (run {})", run.run_type, run.id);
    let state = text(run, "state").unwrap_or_default();
    let reason = if known(issue) { Some(issue) } else { text(run, "reason_code") };
    match state {
        "failed" | "partial" => {
            let sentence = headline.split_once(": ").map_or("", |(_, sentence)| sentence);
            Some(match (sentence, reason) {
                ("", Some(reason)) => format!("{name} failed: {reason}"),
                ("", None) => format!("{name} failed"),
                (sentence, Some(reason)) if sentence.ends_with("for one reason") => {
                    format!("{name}: {sentence}: {reason}")
                }
                (sentence, Some(reason)) => format!("{name}: {sentence}, mostly {reason}"),
                (sentence, None) => format!("{name}: {sentence}"),
            })
        }
        "blocked" => Some(match reason {
            Some(reason) => format!("{name} was blocked: {reason}"),
            None => format!("{name} was blocked"),
        }),
        "stale" => Some(format!("{name} is waiting and nobody takes it")),
        "stuck" => Some(format!("{name} is stuck")),
        _ => None,
    }
}

fn known(issue: &str) -> bool {
    !matches!(issue, "" | "-" | "none")
}

fn text<'a>(run: &'a EvidenceRun, name: &str) -> Option<&'a str> {
    run.facts.iter().find(|fact| fact.name == name)?.value.as_str()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::support::{Bundle, Fact, Item, Section, SectionKey, Subject};

    fn of(state: Option<&str>, headline: &str, issue: &str) -> Option<String> {
        let facts = vec![Fact::new("headline", headline), Fact::new("dominant_issue", issue)];
        let item = Item::new(SectionKey::Overview, "summary", facts);
        let section = Section::new(SectionKey::Overview, vec![item], None, "");
        let opened_at = DateTime::UNIX_EPOCH;
        let run = state.map(|state| EvidenceRun {
            id: 4,
            run_type: "policy.sync".to_owned(),
            facts: vec![Fact::new("state", state)],
        });
        let subject = Subject {
            workspace_id: 2,
            workspace_name: "Fabrikam".to_owned(),
            tenant_id: 3,
            tenant_name: "Fabrikam Labs".to_owned(),
            run,
        };
        let bundle = Some(Bundle { opened_at, sections: vec![section] });
        summary(&Evidence { subject, bundle, opened_at, platform_user_id: 1 })
    }

    #[test]
    fn it_says_what_failed_and_nothing_where_nothing_did() {
        let headline = "failed: all 4 items failed, for one reason";
        assert_eq!(
            of(Some("failed"), headline, "provider_throttled").unwrap(),
            "policy.sync (run 4): all 4 items failed, for one reason: provider_throttled"
        );
        let headline = "partial: 3 of 40 items failed, for 2 reasons";
        assert_eq!(
            of(Some("partial"), headline, "timeout").unwrap(),
            "policy.sync (run 4): 3 of 40 items failed, for 2 reasons, mostly timeout"
        );
        assert_eq!(
            of(Some("blocked"), "blocked: nothing failed", "timeout").unwrap(),
            "policy.sync (run 4) was blocked: timeout"
        );
        assert_eq!(of(Some("succeeded"), "succeeded: none of 4 items failed", "none"), None);
        assert_eq!(
            of(None, "2 of 9 runs of the last 7 days failed", "timeout").unwrap(),
            "Fabrikam Labs: 2 of 9 runs of the last 7 days failed, mostly timeout"
        );
        assert_eq!(of(None, "none of 9 runs of the last 7 days failed", "none"), None);
        assert_eq!(of(None, "no run of its own in the last 7 days", "none"), None);
    }
}
