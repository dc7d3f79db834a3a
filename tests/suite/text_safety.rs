//! Safe text, redaction, and the reasons of failures.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use tenantpilot::domain::failure::{ReasonCode, RetryHelp, one_sentence_summary};
use tenantpilot::domain::safe_text::{SafeText, quoted};
use tenantpilot::domain::sanitize::{MAX_INPUT, MAX_MESSAGE, Rule, message, redact};

/// Characters that must never come out, spelled again here rather than shared with the code.
fn is_dangerous(c: char) -> bool {
    let n = c as u32;
    let ranges = [
        (0, 0x1f),
        (0x7f, 0x9f),
        (0xad, 0xad),
        (0x61c, 0x61c),
        (0x115f, 0x1160),
        (0x180e, 0x180e),
        (0x200b, 0x200f),
        (0x2028, 0x202e),
        (0x2060, 0x2064),
        (0x2066, 0x206f),
        (0x3164, 0x3164),
        (0xe000, 0xf8ff),
        (0xfdd0, 0xfdef),
        (0xfeff, 0xfeff),
        (0xffa0, 0xffa0),
        (0xfff9, 0xfffb),
        (0xe0000, 0xe0fff),
        (0xf0000, 0x0010_ffff),
    ];
    ranges.iter().any(|(from, to)| (*from..=*to).contains(&n)) || n & 0xfffe == 0xfffe
}

/// Arbitrary text, with the nasty characters made common.
fn nasty() -> impl Strategy<Value = String> {
    let c = prop_oneof![
        any::<char>(),
        prop::char::range('\0', '\u{a0}'),
        prop::char::range('\u{300}', '\u{36f}'),
        prop::char::range('\u{2000}', '\u{2070}'),
        prop::char::range('\u{1100}', '\u{11ff}'),
        prop::char::range('\u{fe00}', '\u{ffff}'),
        Just('\n'),
        Just('\r'),
        Just('\u{fffd}'),
        Just('␊'),
        Just('a'),
        Just('界'),
    ];
    prop::collection::vec(c, 0..60).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #[test]
    fn fr_007_001_no_dangerous_character_comes_out(text in nasty()) {
        let safe = SafeText::new(&text);
        prop_assert!(!safe.as_str().contains(is_dangerous), "{:?}", safe.as_str());
        prop_assert!(safe.width() <= text.chars().count() * 2);
    }

    #[test]
    fn fr_007_007_cleaning_twice_is_cleaning_once(text in nasty(), columns in 0_usize..40) {
        let once = SafeText::new(&text);
        prop_assert_eq!(&SafeText::new(once.as_str()), &once);
        let cut = once.truncated(columns);
        prop_assert_eq!(&SafeText::new(cut.as_str()), &cut);
        prop_assert!(cut.width() <= columns);
        prop_assert!(once.truncated_ascii(columns).width() <= columns);
    }

    #[test]
    fn fr_007_012_a_message_is_short_clean_and_stable(text in nasty(), secret in "[a-z=:/@?&. \\-]{0,80}") {
        for text in [format!("{text}{secret}"), format!("{secret} password={text}"), secret.repeat(12)] {
            let once = message(&text);
            prop_assert!(once.chars().count() <= MAX_MESSAGE);
            prop_assert!(!once.contains(is_dangerous));
            prop_assert_eq!(&message(&once), &once);
            let redacted = redact(&text);
            prop_assert_eq!(&redact(&redacted.text), &redacted);
        }
    }
}

#[test]
fn fr_007_001_terminal_attacks_are_shown_not_obeyed() {
    for (text, shown) in [
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("\x1b]0;title\x07", "�]0;title�"),
        ("\u{9b}2J", "�2J"),
        ("abc\rdef", "abc�def"),
        ("user\u{202e}gpj.exe", "user�gpj.exe"),
        ("pay\u{200b}pal", "pay�pal"),
        ("\u{e0041}\u{e0042}tag", "��tag"),
        ("a\u{feff}b\u{ad}c", "a�b�c"),
        ("\u{7f}", "�"),
    ] {
        assert_eq!(SafeText::new(text).as_str(), shown, "{text:?}");
    }
    let kept = "Müller & Söhne, Ελλάδα, Россия, 株式会社, 한국, हिन्दी, ไทย, 👍🏽";
    assert_eq!(SafeText::new(kept).as_str(), kept);
}

#[test]
fn fr_007_002_each_removal_leaves_a_trace_and_floods_collapse() {
    for c in (0..=0x0010_ffff).filter_map(char::from_u32).filter(|c| is_dangerous(*c)) {
        let safe = SafeText::new(&format!("a{c}b"));
        let middle = if c == '\t' {
            " "
        } else if "\n\u{2028}\u{2029}".contains(c) {
            "␊"
        } else {
            "�"
        };
        assert_eq!(safe.as_str(), format!("a{middle}b"), "{c:?}");
    }
    assert_eq!(SafeText::new(&"\x1b".repeat(10_000)).as_str(), "���");
    assert_eq!(SafeText::new(&"\r\n".repeat(10_000)).as_str(), "␊␊␊");
}

#[test]
fn fr_007_003_line_breaks_show_in_one_line_and_split_where_lines_are_wanted() {
    assert_eq!(SafeText::new("a\nb\r\nc\td").as_str(), "a␊b␊c d");
    let lines = SafeText::lines("one\r\ntwo\x07\nthree\nfour", 3);
    let lines: Vec<_> = lines.iter().map(SafeText::as_str).collect();
    assert_eq!(lines, ["one", "two�", "… 2 more lines"]);
    assert_eq!(SafeText::lines("one\ntwo", 2).len(), 2);
    assert!(SafeText::lines("one\ntwo", 0).is_empty());
}

#[test]
fn fr_007_004_combining_marks_are_capped_at_four() {
    let tower = format!("e{}x", "\u{301}".repeat(1000));
    let safe = SafeText::new(&tower);
    assert_eq!(safe.as_str(), "e\u{301}\u{301}\u{301}\u{301}���x");
    // A mark without a base would sit on whatever the screen shows to its left.
    assert_eq!(SafeText::new("\u{301}a").as_str(), "�a");
    assert_eq!(SafeText::new("\u{1112}\u{1161}\u{11ab}").width(), 2);
}

#[test]
fn fr_007_005_width_truncation_and_padding_count_columns() {
    let name = SafeText::new("株式会社 Contoso");
    assert_eq!(name.width(), 16);
    assert_eq!(name.truncated(6).as_str(), "株式…");
    assert_eq!(name.truncated_ascii(6).as_str(), "株式~");
    assert_eq!(name.truncated(16), name);
    assert_eq!(name.truncated(0).as_str(), "");
    assert_eq!(SafeText::new("e\u{301}e\u{301}e\u{301}").truncated(2).as_str(), "e\u{301}…");
    let wide = SafeText::new("会社");
    assert_eq!(
        format!("[{wide:6}] [{wide:>6}] [{wide:^6}] [{wide:.3}]"),
        "[会社  ] [  会社] [ 会社 ] [会…]"
    );
    assert_eq!(tenantpilot::domain::json::line(&SafeText::new("a\u{7}")).unwrap(), "\"a�\"");
}

#[test]
fn fr_007_006_invalid_bytes_are_shown() {
    assert_eq!(SafeText::from_bytes(b"ab\xff\xfe\xc3").as_str(), "ab���");
    assert_eq!(SafeText::from_bytes("Müller".as_bytes()).as_str(), "Müller");
}

#[test]
fn fr_007_008_quotations_in_errors_are_clean_and_short() {
    assert_eq!(quoted("a\x1b[2Jb"), "\"a�[2Jb\"");
    assert!(quoted(&"界".repeat(100_000)).chars().count() <= 82);
}

/// Family, text, what must not come out, the rule that names the mask.
fn shapes() -> Vec<(&'static str, String, &'static str, Rule)> {
    const HEX: &str = "4f1c9a7be02d5836aa17c94e0b6d2f58";
    const MIX: &str = "q7Rt2LmZ9xKd4WvB8nHs3JcY6pFa1GuE5iTo";
    let body = "MIIEpAIBAAKCAQEA7bq3pX9f2kD8s1ZyQw5vN0tR";
    let table: Vec<(&str, String, &str, Rule)> = vec![
        ("header", "Authorization: Bearer abcdef.ghi-123".into(), "abcdef", Rule::Authorization),
        ("header", "authorization=Basic dXNlcjpwYXNz".into(), "dXNlcj", Rule::Authorization),
        (
            "header",
            r#"{"Authorization": "Bearer zzsecretzz"}"#.into(),
            "zzsecretzz",
            Rule::Authorization,
        ),
        (
            "header",
            r#"{\"authorization\":\"Bearer zzsecretzz\"}"#.into(),
            "zzsecretzz",
            Rule::Authorization,
        ),
        ("header", "Proxy-Authorization: Negotiate YIIZZ".into(), "YIIZZ", Rule::Authorization),
        (
            "header",
            "Authorization: Digest username=\"bob\", response=\"00ff\"".into(),
            "00ff",
            Rule::Authorization,
        ),
        ("header", "got 401 with bearer 8f7d6c5b4a".into(), "8f7d6c5b4a", Rule::Authorization),
        ("header", "-H 'Authorization: token zz99zz'".into(), "zz99zz", Rule::Authorization),
        ("url login", "https://ana:hunter2@git.example/x".into(), "hunter2", Rule::UrlCredentials),
        ("url login", "ftp://ana:p@ss@files.example".into(), "p@ss", Rule::UrlCredentials),
        ("url login", "https://ghost@host.example/".into(), "ghost", Rule::UrlCredentials),
        (
            "connection",
            "postgres://tp:pw@db:5432/x?sslmode=require".into(),
            "pw@",
            Rule::ConnectionString,
        ),
        ("connection", "postgresql://tp:pw@db/x".into(), "pw@", Rule::ConnectionString),
        ("connection", "mysql://root:zzpw@db/x".into(), "zzpw", Rule::ConnectionString),
        ("connection", "mongodb+srv://u:zzpw@c.example/x".into(), "zzpw", Rule::ConnectionString),
        ("connection", "rediss://:zzpw@cache:6379/0".into(), "zzpw", Rule::ConnectionString),
        ("connection", "amqps://u:zzpw@mq/vhost".into(), "zzpw", Rule::ConnectionString),
        (
            "connection",
            "jdbc:sqlserver://db;user=sa;password=zzpw".into(),
            "zzpw",
            Rule::ConnectionString,
        ),
        ("connection", "postgresql+psycopg2://u:zzpw@db/x".into(), "zzpw", Rule::ConnectionString),
        (
            "connection",
            "Server=db;Database=My App;User Id=sa;Password=zzpw;".into(),
            "zzpw",
            Rule::ConnectionString,
        ),
        (
            "connection",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=zzpw==".into(),
            "zzpw",
            Rule::ConnectionString,
        ),
        (
            "connection",
            "Endpoint=sb://x.example/;SharedAccessKeyName=k;SharedAccessKey=zzpw=".into(),
            "zzpw",
            Rule::ConnectionString,
        ),
        ("connection", "host=db user=tp password=zzpw dbname=x".into(), "zzpw", Rule::Password),
        ("jwt", "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl".into(), "eyJ", Rule::Jwt),
        ("jwt", "cut eyJhbGciOiJIUzI1NiIs".into(), "eyJ", Rule::Jwt),
        (
            "private key",
            format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"),
            body,
            Rule::PrivateKey,
        ),
        (
            "private key",
            format!("-----BEGIN PRIVATE KEY-----\\n{body}\\n-----END PRIVATE KEY-----"),
            body,
            Rule::PrivateKey,
        ),
        (
            "private key",
            format!("-----BEGIN OPENSSH PRIVATE KEY----- {body}"),
            body,
            Rule::PrivateKey,
        ),
        ("private key", format!("{body}\n-----END EC PRIVATE KEY-----"), body, Rule::PrivateKey),
        (
            "private key",
            format!("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{body}"),
            body,
            Rule::PrivateKey,
        ),
        ("aws", format!("key {}{}", "AKIA", "IOSFODNN7EXAMPLE"), "IOSFODNN7", Rule::Token),
        ("aws", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG".into(), "wJalr", Rule::Secret),
        ("google", format!("{}{}", "AIza", &MIX[..35]), "q7Rt", Rule::Token),
        ("google", "ya29.a0AfH6SMBx-y_z".into(), "a0AfH6", Rule::Token),
        ("azure", format!("abc8Q~{MIX}"), "q7Rt", Rule::Token),
        ("github", format!("ghp_{MIX}"), "q7Rt", Rule::Token),
        ("github", format!("github_pat_{MIX}"), "q7Rt", Rule::Token),
        ("gitlab", format!("glpat-{}", &MIX[..20]), "q7Rt", Rule::Token),
        ("slack", "xoxb-123456-abcdef".into(), "123456", Rule::Token),
        (
            "slack",
            "https://hooks.slack.com/services/T0/B0/zzsecretzz".into(),
            "zzsecretzz",
            Rule::Token,
        ),
        ("stripe", format!("sk_{}_{}", "live", "4eC39HqLyjWD"), "4eC39", Rule::Token),
        ("npm", format!("npm_{MIX}"), "q7Rt", Rule::Token),
        ("other makers", format!("SG.{}.{}", &MIX[..22], MIX), "q7Rt", Rule::Token),
        ("other makers", format!("hvs.{MIX}"), "q7Rt", Rule::Token),
        ("other makers", format!("dapi{HEX}"), HEX, Rule::Token),
        ("other makers", format!("sk-proj-{MIX}"), "q7Rt", Rule::Token),
        ("password", "pw=hunter2".into(), "hunter2", Rule::Password),
        ("password", "curl -u ana:hunter2 x".into(), "hunter2", Rule::Password),
        ("password", "the password is hunter2".into(), "hunter2", Rule::Password),
        ("url login", "dial ana:hunter2@db:5432".into(), "hunter2", Rule::UrlCredentials),
        ("password", "password=hunter2".into(), "hunter2", Rule::Password),
        ("password", "DB_PASSWORD: hunter2".into(), "hunter2", Rule::Password),
        ("password", r#"{"password": "hun ter \" 2"}"#.into(), "ter", Rule::Password),
        ("password", r#"{\"password\":\"hunter2\"}"#.into(), "hunter2", Rule::Password),
        ("password", "'passwd' => 'hunter2'".into(), "hunter2", Rule::Password),
        ("password", "pwd:='hunter2'".into(), "hunter2", Rule::Password),
        ("password", "password%3Dhunter2%26x".into(), "hunter2", Rule::Password),
        ("password", "%22password%22%3A%22hunter2%22".into(), "hunter2", Rule::Password),
        ("password", "<password>hunter2</password>".into(), "hunter2", Rule::Password),
        ("password", "mysqldump --password hunter2 db".into(), "hunter2", Rule::Password),
        ("password", "Passphrase: \"correct horse\"".into(), "horse", Rule::Password),
        ("password", "password: \"never closed".into(), "never", Rule::Password),
        ("secret", "client_secret=zzz111".into(), "zzz111", Rule::Secret),
        ("secret", "X-Api-Key: zzz111".into(), "zzz111", Rule::Secret),
        ("secret", "\"apiKey\":\"zzz111\"".into(), "zzz111", Rule::Secret),
        ("secret", "refresh_token: zzz111".into(), "zzz111", Rule::Secret),
        ("secret", "token=zzz,111".into(), "111", Rule::Secret),
        ("secret", "config['secret'] = 'zzz111'".into(), "zzz111", Rule::Secret),
        ("cookie", "Cookie: sid=zzz111; theme=dark".into(), "zzz111", Rule::Cookie),
        ("cookie", "Set-Cookie: a=b; Path=/; session=zzz111".into(), "zzz111", Rule::Cookie),
        ("cookie", "PHPSESSID=zzz111".into(), "zzz111", Rule::Secret),
        ("e-mail", "mail to ana.lang@contoso.example failed".into(), "ana.lang", Rule::Email),
        ("e-mail", "user%3Dana%40contoso.example".into(), "contoso", Rule::Email),
        ("e-mail", "jürgen@müller.example".into(), "müller", Rule::Email),
        ("query", "GET https://api.example/v1/users?name=ana&id=3".into(), "ana", Rule::Query),
        ("query", "GET /v1/users?name=ana returned 500".into(), "ana", Rule::Query),
        ("random", format!("value {MIX} refused"), "q7Rt", Rule::Random),
        ("random", format!("value {HEX} refused"), HEX, Rule::Random),
    ];
    table
}

#[test]
fn fr_007_009_every_shape_of_secret_is_masked() {
    let shapes = shapes();
    let families: std::collections::BTreeSet<_> = shapes.iter().map(|shape| shape.0).collect();
    assert!(shapes.len() >= 60 && families.len() >= 15, "{} {}", shapes.len(), families.len());
    let mut wrong = Vec::new();
    for (family, text, secret, rule) in &shapes {
        for text in
            [text.clone(), format!("call failed: {text} (attempt 2)"), format!("x\n{text}\ny")]
        {
            let redacted = redact(&text);
            let ok = !redacted.text.contains(secret)
                && redacted.hits.iter().any(|hit| hit.rule == *rule)
                && redact(&redacted.text) == redacted
                && !message(&text).contains(secret);
            if !ok {
                wrong.push(format!("{family}: {text:?} -> {redacted:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn fr_007_010_secrets_cannot_hide() {
    for text in [
        "pass\u{200b}word=hunter2",
        "password=hun\u{200d}ter2",
        "ｐａｓｓｗｏｒｄ＝hunter2",
        "p\u{301}assword=hunter2",
        "pass\x1b[1mword=hunter2",
        "pass\u{ad}word\u{202e}: hunter2",
        "pass\x00word=hunter2",
        "password = \u{feff}hunter2",
    ] {
        let once = message(text);
        assert!(!once.contains("ter2"), "{text:?} -> {once:?}");
        assert!(once.contains(Rule::Password.mask()), "{text:?} -> {once:?}");
    }
    let text = "xo\u{200b}xb-123456-abc\u{2060}def";
    assert_eq!(redact(text).text, "[redacted:token]");
}

#[test]
fn fr_007_011_ordinary_words_and_ids_stay_readable() {
    for text in [
        "429 from provider, retry after 30 s",
        "provider_throttled: too many calls for tenant 412 (Fabrikam GmbH)",
        "support request SR-01JD3V5Q8ZK4M7N9P2R6T8W0XY was sent",
        "run 3f2504e0-4f89-11d3-9a0c-0305e82c3301 of findings.lifecycle_backfill",
        "identity 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "since 2026-11-20T10:00:00.123456Z until 2026-11-21",
        "token expired; invalid password; missing secret",
        "the password is wrong, the token was revoked, the secret is missing",
        "token: expired, password: required, api_key=null",
        "basic authentication is not supported, bearer authentication is",
        "passwords 3, tokens 12, token_count: 5, secretary: Bob",
        "could not open /var/lib/tenantpilot/exports/2026/11/20/inventory-sync-report-final.json",
        "MicrosoftGraphDeviceManagementConfigurationPolicyAssignment was not found",
        "lodash@4.17.21 needs node >= 18; really? yes",
        "3 of 40 items failed: 37 succeeded, 12.5 % slower, ratio 1:3",
        "Straße, 株式会社 and Ελλάδα: no answer",
        "see https://status.example.com/incidents/4711 for more",
        "policy.sync/inventory.sync/review_pack.generate on db-primary-eu-west-1a",
    ] {
        let redacted = redact(text);
        assert_eq!(redacted.text, text);
        assert!(redacted.hits.is_empty());
        assert_eq!(message(text), text);
    }
}

#[test]
fn fr_007_012_a_message_is_one_line_of_at_most_500_characters() {
    assert_eq!(message("  a\r\n\tb\u{2028}c  "), "a b c");
    assert_eq!(message("\x1b[31mno\u{202e}"), "�[31mno�");
    let long = message(&"wort ".repeat(1000));
    assert!(long.chars().count() <= MAX_MESSAGE && long.ends_with('…'), "{long}");
    // The cut never leaves half a mask, which would read like text.
    for pad in 470..500 {
        let text = message(&format!("{} password=hunter2 and more", "x ".repeat(pad / 2)));
        assert!(!text.contains("[redacted:") || text.contains(Rule::Password.mask()), "{text}");
        assert_eq!(message(&text), text);
    }
}

#[test]
fn fr_007_013_huge_input_is_cut_and_stays_cheap() {
    let limit = Duration::from_secs(90);
    for unit in [
        "password",
        "a@",
        "x=1;",
        "-----BEGIN ",
        "\"",
        "Cookie: a=b;",
        "eyJ",
        "://",
        "界",
        "<token",
    ] {
        let text = unit.repeat(4 * MAX_INPUT / unit.len());
        let start = Instant::now();
        let redacted = redact(&text);
        assert!(redacted.text.len() <= MAX_INPUT, "{unit:?}");
        assert!(start.elapsed() < limit, "{unit:?} took {:?}", start.elapsed());
    }
}

#[test]
fn fr_007_014_hits_say_which_rule_and_where() {
    let redacted = redact("ana@contoso.example used password=hunter2");
    assert_eq!(redacted.text, "[redacted:email] used password=[redacted:password]");
    let found: Vec<_> =
        redacted.hits.iter().map(|hit| (hit.rule, &redacted.text[hit.range.clone()])).collect();
    assert_eq!(found, [(Rule::Email, "[redacted:email]"), (Rule::Password, "[redacted:password]")]);
    assert_eq!(
        (Rule::Token.counted(5), Rule::Email.counted(1)),
        ("5 tokens".into(), "1 e-mail".into())
    );
    for rule in Rule::ALL {
        assert_eq!(rule.mask(), format!("[redacted:{rule}]"));
    }
}

#[test]
fn fr_007_015_every_reason_explains_itself() {
    let mut labels = std::collections::BTreeSet::new();
    for code in ReasonCode::ALL {
        assert!(labels.insert(code.label()), "{code} shares its label");
        assert!(code.explanation().len() > 20 && !code.explanation().ends_with('.'), "{code}");
        let step = code.next_step();
        assert!(step.ends_with('.') && step.starts_with(char::is_uppercase), "{code}: {step}");
        assert!(!step.contains("  ") && !code.retry().sentence().is_empty());
        assert_eq!(ReasonCode::of(code.as_str()), *code);
    }
    assert_eq!(ReasonCode::ProviderThrottled.retry(), RetryHelp::Helps);
    assert_eq!(ReasonCode::TenantGone.retry(), RetryHelp::Useless);
    assert_eq!(ReasonCode::of("from_a_newer_version"), ReasonCode::UnexpectedError);
}

#[test]
fn fr_007_016_failures_are_summed_up_in_one_sentence() {
    // The first reason has what the others leave.
    let groups = |n: u64, failed: u64| {
        let count = |i| if i == 0 { failed + 1 - n } else { 1 };
        (0..n).map(|i| (format!("r{i}"), count(i))).collect::<Vec<_>>()
    };
    assert_eq!(
        one_sentence_summary(3, 0, 40, 1, &groups(1, 3)),
        "3 of 40 items failed, for one reason"
    );
    assert_eq!(
        one_sentence_summary(5, 0, 40, 1, &groups(3, 5)),
        "5 of 40 items failed, for 3 reasons"
    );
    assert_eq!(
        one_sentence_summary(1, 0, 1, 1, &groups(1, 1)),
        "the only item failed, for one reason"
    );
    assert_eq!(
        one_sentence_summary(4, 0, 4, 1, &groups(2, 4)),
        "all 4 items failed, for 2 reasons"
    );
    assert_eq!(one_sentence_summary(0, 0, 40, 1, &[]), "none of 40 items failed");
    assert_eq!(one_sentence_summary(2, 0, 0, 1, &[]), "2 items failed");
    assert_eq!(
        one_sentence_summary(10, 420, 430, 1, &[]),
        "10 of 430 items failed, 420 were skipped"
    );
    assert_eq!(
        one_sentence_summary(10, 1, 430, 1, &groups(1, 10)),
        "10 of 430 items failed, for one reason; 1 was skipped"
    );
    // A run of several targets counts these.
    assert_eq!(
        one_sentence_summary(1, 0, 3, 3, &groups(1, 1)),
        "1 of 3 targets failed, for one reason"
    );
    assert_eq!(
        one_sentence_summary(3, 0, 3, 3, &groups(1, 3)),
        "all 3 targets failed, for one reason"
    );
    assert_eq!(one_sentence_summary(0, 1, 3, 3, &[]), "none of 3 targets failed, 1 was skipped");
    // Failures beyond the ones that are recorded.
    assert_eq!(
        one_sentence_summary(11, 0, 200, 1, &groups(1, 8)),
        "11 of 200 items failed, for one reason (8 of the failures are recorded)"
    );
    assert_eq!(
        one_sentence_summary(2, 3, 5, 1, &groups(1, 1)),
        "2 of 5 items failed, for one reason; 3 were skipped (1 of the failures is recorded)"
    );
}
