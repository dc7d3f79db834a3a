//! The filter language of the operations list.

use chrono::{DateTime, Duration, Utc};
use proptest::prelude::*;
use tenantpilot::domain::run::{RunOutcome, Source};
use tenantpilot::domain::run_filter::{
    FilterError, IdOrName, MAX_LENGTH, Pattern, RunFilter, StatusWord, Term, TermKind, Values,
    When, Word, complete,
};
use tenantpilot::domain::run_state::RunState;
use tenantpilot::{Error, ErrorKind};

fn parse(text: &str) -> RunFilter {
    RunFilter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn one(text: &str) -> TermKind {
    let filter = parse(text);
    assert_eq!(filter.terms.len(), 1, "{text}");
    filter.terms[0].kind.clone()
}

fn refused(text: &str) -> (String, FilterError) {
    let error = RunFilter::parse(text).expect_err(text);
    let chars: Vec<char> = text.chars().collect();
    (chars[error.at.start..error.at.end.min(chars.len())].iter().collect(), error)
}

fn at(text: &str) -> When {
    When::At(text.parse::<DateTime<Utc>>().unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn name(text: &str, prefix: bool) -> IdOrName {
    IdOrName::Name(Pattern { text: text.to_owned(), prefix })
}

#[test]
fn fr_011_001_words_alternatives_and_negation_become_typed_terms() {
    let filter =
        parse("status:failed,partial !source:schedule id:10482,10480 OUTCOME:Failed throttle");
    let term = |negated, kind| Term { negated, kind };
    assert_eq!(
        filter.terms,
        [
            term(false, TermKind::Status(vec![StatusWord::Failed, StatusWord::Partial])),
            term(true, TermKind::Source(vec![Source::Schedule])),
            term(false, TermKind::Id(vec![10482, 10480])),
            term(false, TermKind::Outcome(vec![RunOutcome::Failed])),
            term(false, TermKind::Text("throttle".into())),
        ]
    );
    assert!(parse("  ").is_empty() && !filter.is_empty());
    assert_eq!(one("status:failed,failed"), TermKind::Status(vec![StatusWord::Failed]));
    assert_eq!(one("10:30"), TermKind::Text("10:30".into()));
    for word in Word::ALL {
        let value = match word {
            Word::Status => "active",
            Word::Outcome => "blocked",
            Word::Source => "cli",
            Word::Since | Word::Until => "24h",
            Word::Fingerprint => "0123456789ab",
            _ => "7",
        };
        assert_eq!(one(&format!("{word}:{value}")).word(), Some(*word));
    }
}

#[test]
fn fr_011_002_times_are_relative_or_fixed_and_utc_by_default() {
    for (text, when) in [
        ("90m", When::Ago(Duration::minutes(90))),
        ("24h", When::Ago(Duration::hours(24))),
        ("7d", When::Ago(Duration::days(7))),
        ("2026-11-20", at("2026-11-20T00:00:00Z")),
        ("2026-11-20T10:00", at("2026-11-20T10:00:00Z")),
        ("2026-11-20T10:00:05", at("2026-11-20T10:00:05Z")),
        ("2026-11-20T10:00:00+02:00", at("2026-11-20T08:00:00Z")),
        ("2026-11-20T10:00:00.25Z", at("2026-11-20T10:00:00.250Z")),
    ] {
        assert_eq!(one(&format!("since:{text}")), TermKind::Since(when), "{text}");
    }
    let now = "2026-11-20T12:00:00Z".parse::<DateTime<Utc>>().unwrap();
    assert_eq!(When::Ago(Duration::hours(2)).resolve(now), now - Duration::hours(2));
    for text in
        ["0h", "yesterday", "24", "h", "99999999d", "2026-02-30", "24h,7d", "24h*", "-1h", "1é"]
    {
        assert!(RunFilter::parse(&format!("since:{text}")).is_err(), "{text}");
    }
}

#[test]
fn fr_011_003_tenants_and_workspaces_go_by_id_or_name() {
    assert_eq!(one("tenant:412"), TermKind::Tenant(vec![IdOrName::Id(412)]));
    assert_eq!(one("tenant:\"412\""), TermKind::Tenant(vec![name("412", false)]));
    assert_eq!(
        one("workspace:Contoso*,\"Fabrikam G\"*"),
        TermKind::Workspace(vec![name("Contoso", true), name("Fabrikam G", true)])
    );
    let pattern = Pattern { text: "contoso".into(), prefix: true };
    assert!(pattern.matches("CONTOSO DE") && !pattern.matches("The Contoso"));
    let whole = Pattern { text: "Policy.Sync".into(), prefix: false };
    assert!(whole.matches("policy.sync") && !whole.matches("policy.sync2"));
}

#[test]
fn fr_011_004_errors_point_at_the_word_and_say_what_is_allowed() {
    let (word, error) = refused("é status:queued,brocken x");
    assert_eq!(word, "brocken");
    assert!(error.allowed.contains(&"blocked"));
    let error = Error::from(error);
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(
        error.to_string().contains("column 17") && error.to_string().contains("blocked"),
        "{error}"
    );

    let (word, error) = refused("state:failed");
    assert_eq!((word.as_str(), error.allowed.len()), ("state", Word::ALL.len()));
    for (text, at) in [
        ("a status:", "status:"),
        ("status:failed,", "status:failed,"),
        ("type:*", "type:*"),
        ("type:a*b", "a*b"),
        ("id:12,x", "x"),
        ("id:0", "0"),
        ("!", "!"),
        ("!!a", "!"),
        ("tenant:\"open", "\"open"),
        ("tenant:\"a\"b", "\"a\"b"),
        ("since:24h,7d", "7d"),
        ("!since:24h", "!since:24h"),
        ("\"\"", "\"\""),
        ("tenant:\" \"", "tenant:\" \""),
    ] {
        assert_eq!(refused(text).0, at, "{text}");
    }
    assert!(!refused("status:\x1b[2J").1.message.contains('\x1b'));
}

#[test]
fn fr_011_005_what_stands_twice_or_contradicts_is_refused_at_the_second_place() {
    for (text, second) in [
        ("since:24h x since:7d", "since:7d"),
        ("status:failed status:queued", "status:queued"),
        ("status:failed !status:failed", "!status:failed"),
        ("since:24h until:48h", "until:48h"),
        ("until:2026-11-01 since:2026-11-02", "since:2026-11-02"),
    ] {
        assert_eq!(refused(text).0, second, "{text}");
    }
    assert_eq!(parse("since:48h until:24h !type:a.b !type:c.d").terms.len(), 4);
    // Which of the two is earlier depends on the day.
    assert_eq!(parse("since:24h until:2026-11-01").terms.len(), 2);
}

#[test]
fn fr_011_006_the_canonical_text_is_short_and_stable() {
    for (text, canonical) in [
        ("  STATUS:Failed,FAILED   since:1440m ", "status:failed since:1d"),
        ("tenant:\"Contoso\"  \"a b\" \"x\"", "tenant:Contoso \"a b\" x"),
        ("since:2026-11-20T02:00:00+02:00", "since:2026-11-20T00:00Z"),
        ("!by:\"m. \\\"x\\\" lang\"", "!by:\"m. \\\"x\\\" lang\""),
    ] {
        assert_eq!(parse(text).to_string(), canonical);
        assert_eq!(parse(canonical), parse(text));
    }
}

fn filter_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("status:"),
        Just("failed"),
        Just(","),
        Just(" "),
        Just("!"),
        Just("\""),
        Just("\\"),
        Just("since:"),
        Just("until:"),
        Just("24h"),
        Just("2026-11-20"),
        Just("tenant:"),
        Just("12"),
        Just("*"),
        Just("type:"),
        Just("policy.sync"),
        Just("é"),
        Just("id:"),
        Just("by:"),
        Just("x"),
        Just("\u{2003}"),
        Just("T10:00"),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn fr_011_006_canonical_text_parses_to_the_same_filter(text in filter_like()) {
        if let Ok(filter) = RunFilter::parse(&text) {
            let canonical = filter.to_string();
            prop_assert_eq!(RunFilter::parse(&canonical).unwrap(), filter, "{}", canonical);
        }
    }

    #[test]
    fn fr_011_007_no_input_panics(text in any::<String>(), mixed in filter_like(), cursor in 0_usize..80) {
        for text in [text, mixed] {
            if let Err(error) = RunFilter::parse(&text) {
                prop_assert!(error.at.start <= error.at.end && error.at.end <= text.chars().count());
                prop_assert!(!Error::from(error).to_string().is_empty());
            }
            let length = text.chars().count();
            for completion in complete(&text, cursor, &Values::default()) {
                prop_assert!(completion.range.end <= length.min(cursor));
                prop_assert!(completion.range.start <= completion.range.end);
            }
        }
    }
}

#[test]
fn fr_011_007_a_filter_has_a_longest_length() {
    assert!(RunFilter::parse(&"a".repeat(MAX_LENGTH)).is_ok());
    assert!(RunFilter::parse(&"é".repeat(MAX_LENGTH + 1)).is_err());
    assert!(RunFilter::parse(&"x".repeat(1_000_000)).is_err());
}

#[test]
fn fr_011_008_words_closed_values_and_names_are_completed() {
    let values = Values {
        tenants: vec!["Contoso DE".into(), "Contoso FR".into(), "Fabrikam".into(), "412".into()],
        types: vec!["policy.sync".into(), "policy.check".into()],
        ..Values::default()
    };
    let offers = |input: &str| {
        let offers = complete(input, input.chars().count(), &values);
        let applied = offers.iter().map(|offer| {
            let mut text: Vec<char> = input.chars().collect();
            text.splice(offer.range.clone(), offer.replacement.chars());
            text.into_iter().collect::<String>()
        });
        applied.collect::<Vec<_>>()
    };
    assert_eq!(offers("é st"), ["é status:"]);
    assert_eq!(offers("!ou"), ["!outcome:"]);
    assert_eq!(offers("").len(), Word::ALL.len());
    assert_eq!(offers("status:fa"), ["status:failed"]);
    assert_eq!(offers("status:queued,ru"), ["status:queued,running"]);
    assert_eq!(
        offers("status:"),
        StatusWord::ALL.iter().map(|w| format!("status:{w}")).collect::<Vec<_>>()
    );
    assert_eq!(offers("tenant:con"), ["tenant:\"Contoso DE\"", "tenant:\"Contoso FR\""]);
    assert_eq!(offers("tenant:\"contoso d"), ["tenant:\"Contoso DE\""]);
    assert_eq!(offers("tenant:41"), ["tenant:\"412\""]);
    assert_eq!(offers("type:policy."), ["type:policy.sync", "type:policy.check"]);
    assert_eq!(offers("reason:provider_t"), ["reason:provider_throttled"]);
    assert!(offers("nonsense:x").is_empty() && offers("\"sta").is_empty());
    for input in ["status:", "tenant:", "type:", "reason:", "source:", "outcome:", "since:"] {
        for text in offers(input) {
            parse(&text);
        }
    }
}

#[test]
fn fr_011_009_status_words_cover_the_states_that_operators_mean() {
    for state in RunState::ALL {
        let active = StatusWord::Active.covers(*state);
        assert_ne!(active, StatusWord::Completed.covers(*state), "{state:?}");
        let own: StatusWord = state.word().parse().unwrap();
        assert!(own.covers(*state), "{state:?}");
    }
    assert!(StatusWord::Running.covers(RunState::Cancelling));
    assert!(!StatusWord::Queued.covers(RunState::Stale));
}

#[test]
fn fr_011_010_quotes_hold_spaces_commas_and_signs() {
    assert_eq!(one("tenant:\"Contoso, DE\""), TermKind::Tenant(vec![name("Contoso, DE", false)]));
    assert_eq!(one("\"status: !x\""), TermKind::Text("status: !x".into()));
    assert_eq!(
        one("by:\"a\\\\b\\\"c*\""),
        TermKind::By(vec![Pattern { text: "a\\b\"c*".into(), prefix: false }])
    );
}
