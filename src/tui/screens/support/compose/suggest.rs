//! A first summary, from what is known: it says what failed, and is there to be written over.

use crate::domain::failure::one_sentence_summary;
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
    let counts = one_sentence_summary(number(run, "failed"), 0, number(run, "total"), 1, &[]);
    let sentence = match headline.split_once(": ") {
        Some((_, sentence)) => sentence,
        None => counts.as_str(),
    };
    let sentence = Some(sentence).filter(|it| !it.starts_with("no"));
    let how = match state {
        "failed" => format!("{name} failed"),
        "partial" => format!("{name} failed in part"),
        "blocked" => format!("{name} was blocked"),
        "cancelled" => format!("{name} was cancelled"),
        "stale" => return Some(format!("{name} is waiting and no worker claims it")),
        "" | "succeeded" => return None,
        // To wait for its turn is no trouble by itself.
        "queued" if sentence.is_none() && reason.is_none() => return None,
        state => format!("{name} is {state}"),
    };
    let name = if matches!(state, "failed" | "partial") { name } else { how.clone() };
    Some(match (sentence, reason) {
        (None, Some(reason)) => format!("{how}: {reason}"),
        (None, None) => how,
        (Some(sentence), Some(reason)) if sentence.ends_with("for one reason") => {
            format!("{name}: {sentence}: {reason}")
        }
        (Some(sentence), Some(reason)) => format!("{name}: {sentence}, mostly {reason}"),
        (Some(sentence), None) => format!("{name}: {sentence}"),
    })
}

fn known(issue: &str) -> bool {
    !matches!(issue, "" | "-" | "none")
}

fn text<'a>(run: &'a EvidenceRun, name: &str) -> Option<&'a str> {
    run.facts.iter().find(|fact| fact.name == name)?.value.as_str()
}

/// A count of the run; 0 where it has none.
fn number(run: &EvidenceRun, name: &str) -> u64 {
    let fact = run.facts.iter().find(|fact| fact.name == name);
    fact.and_then(|fact| fact.value.as_u64()).unwrap_or(0)
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
        assert_eq!(
            of(Some("running"), "running: none of 9 items failed", "timeout").unwrap(),
            "policy.sync (run 4) is running: timeout"
        );
        assert_eq!(
            of(Some("running"), "running: 2 of 9 items failed", "timeout").unwrap(),
            "policy.sync (run 4) is running: 2 of 9 items failed, mostly timeout"
        );
        let partial = of(Some("partial"), "partial: nothing failed", "timeout").unwrap();
        assert_eq!(partial, "policy.sync (run 4) failed in part: timeout");
        let stuck = of(Some("stuck"), "stuck: nothing failed", "none").unwrap();
        assert_eq!(stuck, "policy.sync (run 4) is stuck");
        assert_eq!(of(Some("queued"), "queued: nothing failed", "none"), None);
        assert_eq!(of(Some("succeeded"), "succeeded: none of 4 items failed", "none"), None);
        assert_eq!(
            of(None, "2 of 9 runs of the last 7 days failed", "timeout").unwrap(),
            "Fabrikam Labs: 2 of 9 runs of the last 7 days failed, mostly timeout"
        );
        assert_eq!(of(None, "none of 9 runs of the last 7 days failed", "none"), None);
        assert_eq!(of(None, "no run of its own in the last 7 days", "none"), None);
    }
}
