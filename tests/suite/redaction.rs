//! Redaction: many shapes of secrets in many surroundings, ordinary text that stays as it is,
//! what an operator masks besides, counts, and what is still suspected.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tenantpilot::domain::sanitize::{
    MAX_MESSAGE, Rule, Tally, message, redact, redact_also, suspects,
};

use crate::support::secrets::{Shape, development, held_out, ordinary};

/// Without white space and marks, so that a secret in pieces is found as well.
fn stripped(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// The parts of `shape` that are in `out`, as they are or in pieces.
fn leaks<'a>(shape: &'a Shape, out: &str) -> Vec<&'a str> {
    let plain = stripped(out);
    let parts = shape.secret.iter().filter(|part| part.len() >= 6);
    let whole = |part: &&String| {
        out.contains(part.as_str()) || stripped(part).len() >= 6 && plain.contains(&stripped(part))
    };
    parts.filter(whole).map(String::as_str).collect()
}

/// `shape` in the places where secrets turn up; what is done to it, and the text.
fn surroundings(shape: &Shape) -> Vec<(&'static str, String)> {
    let text = &shape.text;
    let json = serde_json::json!({ "error": { "message": text, "attempt": 2 } }).to_string();
    let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap();
    let mut hidden = text.clone();
    for part in shape.secret.iter().filter(|part| part.len() >= 6) {
        let half = part.len() / 2;
        hidden = hidden.replace(part, &format!("{}\u{200b}{}", &part[..half], &part[half..]));
    }
    vec![
        ("alone", text.clone()),
        ("in a sentence", format!("the call failed: {text} (attempt 2 of 5)")),
        ("in JSON", json.clone()),
        ("in JSON in JSON", serde_json::json!([{ "body": json }]).to_string()),
        ("behind a tab", format!("2026-11-20T10:00:00Z\t{text}\tdone")),
        ("between lines", format!("request\n{text}\nresponse 401\n")),
        ("in CRLF", format!("request\r\n{}\r\nend", text.replace('\n', "\r\n"))),
        ("marks in the middle", format!("{}\u{200d}{}", &text[..middle], &text[middle..])),
        ("marks in the secret", hidden),
        ("cut by the length", format!("{}{text}", "word ".repeat((MAX_MESSAGE - 20) / 5))),
    ]
}

/// What is wrong with the masking of `shapes`.
pub fn wrong(shapes: &[Shape]) -> Vec<String> {
    let mut wrong = Vec::new();
    for shape in shapes {
        for (place, text) in surroundings(shape) {
            let redacted = redact(&text).text;
            let also = redact_also(&text, &["attempt".to_owned()]).text;
            for (by, out) in [("redact", &redacted), ("message", &message(&text)), ("also", &also)]
            {
                let leaks = leaks(shape, out);
                if !leaks.is_empty() {
                    wrong.push(format!("{} {place}, {by}: {leaks:?} in {out:?}", shape.family));
                    break;
                }
            }
            if redact(&redacted).text != redacted {
                wrong.push(format!("{} {place}: not stable: {redacted:?}", shape.family));
            }
        }
    }
    wrong
}

#[test]
fn fr_028_001_every_shape_is_masked_in_every_place() {
    let shapes = development();
    let families: BTreeSet<_> = shapes.iter().map(|shape| shape.family).collect();
    let names: BTreeSet<_> = shapes.iter().map(|shape| shape.name).collect();
    assert!(names.len() >= 240 && families.len() >= 30, "{} {}", names.len(), families.len());
    let wrong = wrong(&shapes);
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn fr_028_009_shapes_that_were_kept_away_are_masked_in_every_place() {
    let (known, kept) = (development(), held_out());
    let families: BTreeSet<_> = kept.iter().map(|shape| shape.family).collect();
    let names: BTreeSet<_> = kept.iter().map(|shape| (shape.family, shape.name)).collect();
    assert!(kept.len() >= 242 && families.len() >= 40, "{} {}", kept.len(), families.len());
    assert!(names.len() == kept.len() && known.len() >= 240);
    assert!(kept.len() * 5 >= known.len() + kept.len(), "a fifth of all is kept away");
    assert!(kept.iter().all(|shape| shape.secret.iter().any(|part| part.len() >= 6)));
    let wrong = wrong(&kept);
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn fr_028_002_ordinary_lines_are_neither_masked_nor_suspected() {
    let lines = ordinary();
    assert!(lines.len() >= 400, "{}", lines.len());
    let mut wrong = Vec::new();
    for line in &lines {
        let redacted = redact(line);
        if redacted.text != *line || !redacted.hits.is_empty() {
            wrong.push(format!("masked: {}", redacted.text));
        }
        let suspected = suspects(line).into_iter().map(|range| &line[range]);
        wrong.extend(suspected.map(|word| format!("suspected: {word:?} in {line}")));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
}

#[test]
fn fr_028_010_lines_keep_their_numbers() {
    let begin = format!("{}BEGIN OPENSSH {} KEY{}", "-----", "PRIVATE", "-----");
    let body =
        crate::support::secrets::Chance::of("body").draw("abcdefghijABCDEFGHIJ0123456789+/", 64);
    for (text, kept) in [
        ("Server=tcp:db,1433;Uid=sa;Pwd=Hunter2;\nsecond line".to_owned(), "\nsecond line"),
        ("Server=db;\nUid=sa;\nPwd=Hunter2;\r\n\r\nend".to_owned(), "\r\n\r\nend"),
        ("Server=db;Uid=sa;Pwd=Hunter2;\\nsecond line".to_owned(), "\\nsecond line"),
        (
            "my passphrase = blue horse nine staple\nthe next".to_owned(),
            "= [redacted:password]\nthe next",
        ),
        (
            "passphrase = blue horse nine staple. The next".to_owned(),
            "= [redacted:password]. The next",
        ),
        ("passphrase=blue user=bob".to_owned(), "=[redacted:password] user=bob"),
        (
            format!("{begin}\n{body}\n{body}\nabc\n\nthe next step failed\nagain"),
            "]\n\nthe next step failed\nagain",
        ),
        (
            format!("{begin}\r\nProc-Type: 4,ENCRYPTED\r\n{body}\r\nthe next step"),
            "]\r\nthe next step",
        ),
        (format!("{begin}\\n{body}\\nthe next step"), "]\\nthe next step"),
        (
            format!("{begin}\nthe next step of a and\n{begin}\n{body}\nlast words"),
            "]\nthe next step of a and\n[redacted:private_key]\nlast words",
        ),
    ] {
        let out = redact(&text).text;
        assert!(out.ends_with(kept), "{text:?} -> {out:?}");
        assert!(
            !out.contains("Hunter2") && !out.contains(&body) && !out.contains("horse"),
            "{out}"
        );
    }
    for shape in development().into_iter().chain(held_out()) {
        let redacted = redact(&shape.text);
        let block = redacted.hits.iter().any(|hit| hit.rule == Rule::PrivateKey);
        let lines = |text: &str| text.matches('\n').count();
        assert!(block || lines(&shape.text) == lines(&redacted.text), "{:?}", redacted.text);
    }
}

#[test]
fn fr_028_003_an_operator_masks_more() {
    let also = |text: &str, also: &[&str]| {
        redact_also(text, &also.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()).text
    };
    let mask = Rule::Operator.mask();
    assert_eq!(also("Contoso DE failed", &["contoso de"]), format!("{mask} failed"));
    assert_eq!(also("Contoso\n\t DE failed", &["  Contoso DE "]), format!("{mask} failed"));
    assert_eq!(
        also("con\u{200b}toso and ＣＯＮＴＯＳＯ", &["contoso"]),
        format!("{mask} and {mask}")
    );
    assert_eq!(also("aXa aXaXa", &["axa"]), format!("{mask} {mask}"), "overlapping ones too");
    assert_eq!(also("a b, x", &["", " ", "x", "\u{200b}x"]), "a b, x", "too short");
    // A passage over a mask leaves the mask as it is.
    assert_eq!(
        also("Bob has password=hunter2 now", &["has password=[redacted:password] now"]),
        format!("Bob {mask}[redacted:password]{mask}")
    );
    assert_eq!(
        also("Bob has password=hunter2 now", &["has password=hunter2 now"]),
        format!("Bob {mask}[redacted:password]{mask}")
    );
    // Words of masks are no words of the text.
    assert_eq!(also("token=abcdef1", &["redacted"]), "token=[redacted:secret]");
    assert_eq!(also("x redacted y", &["redacted", "operator"]), format!("x {mask} y"));
}

#[test]
fn fr_028_005_a_tally_counts_by_rule_in_words() {
    let mut tally = Tally::default();
    assert_eq!((tally.total(), tally.sentence()), (0, "nothing withheld".to_owned()));
    tally.add(&redact("-u bob:hunter2x"));
    assert_eq!(tally.sentence(), "1 value withheld: 1 password");
    tally.add(&redact("ana@contoso.example and password=hunter2 of bob@contoso.example"));
    let mut other = Tally::default();
    other.add(&redact_also("GET /v1/users?name=ana of Contoso, contoso", &["contoso".to_owned()]));
    tally.merge(&other);
    assert_eq!(
        tally.sentence(),
        "7 values withheld: 2 passwords, 2 e-mails, 1 address query, 2 passages of the operator's"
    );
    let counts: Vec<_> = tally.counts().collect();
    assert!(counts.is_sorted() && counts.iter().map(|(_, count)| count).sum::<usize>() == 7);
    let json = tenantpilot::domain::json::line(&tally).unwrap();
    assert_eq!(json, r#"{"password":2,"email":2,"query":1,"operator":2}"#);
    assert_eq!(serde_json::from_str::<Tally>(&json).unwrap(), tally);
}

#[test]
fn fr_028_006_what_no_rule_is_sure_of_is_suspected() {
    let secret = |kind: &str, length| crate::support::secrets::Chance::of(kind).draw(kind, length);
    let mixed = secret("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", 14);
    let hex = secret("0123456789abcdef", 26);
    for (text, word) in [
        (format!("got {mixed} back"), mixed.as_str()),
        (format!("value {hex} refused"), hex.as_str()),
        (
            "basic dXNlcjpwYXNzd29yZA== sent by hand".replace("basic", "sent"),
            "dXNlcjpwYXNzd29yZA==",
        ),
        ("we have API key 5f4dcc3b there".to_owned(), "5f4dcc3b"),
        ("he typed Winter2026! twice".to_owned(), "Winter2026!"),
        ("the password that he typed may have been hunter2x".to_owned(), "hunter2x"),
        ("das Passwort von Bob war gestern noch sommer2026".to_owned(), "sommer2026"),
        (format!("order {}{} came", "5018", "000000000009"), "5018000000000009"),
        (format!("he sent {}/K7MDENG/{}", "wJalrXUtnFEMI", "bPxRfiCYEXAMPLEKEY"), "MDENG"),
        (format!("{}BEGIN SOMETHING SECRET-----", "-----"), "-----BEGIN SOMETHING SECRET-----"),
    ] {
        let redacted = redact(&text).text;
        let found: Vec<_> =
            suspects(&redacted).into_iter().map(|at| redacted[at].to_owned()).collect();
        let masked = !redacted.contains(word);
        assert!(masked || found.iter().any(|found| found.contains(word)), "{redacted}: {found:?}");
        // The operator masks it, and it is suspected no longer.
        let done = redact_also(&text, &found).text;
        assert!(suspects(&done).is_empty(), "{done}");
    }
    assert!(suspects("").is_empty());
}

#[test]
fn fr_028_007_escapes_hide_nothing() {
    for text in [
        r"line\npassword=hunter2x\nline",
        r#"{"a":"{\"b\":\"{\\\"password\\\":\\\"hunter2x\\\"}\"}"}"#,
        "pass&#119;ord&#x3D;hunter2x",
        "password%253Dhunter2x",
        "&lt;password&gt;hunter2x&lt;/password&gt;",
        r"\u0070assword\u003dhunter2x",
        r#""https:\/\/bob:hunter2x@host\/x""#,
        "https%3A%2F%2Fbob%3Ahunter2x%40host%2Fx",
    ] {
        let out = redact(text).text;
        assert!(!out.contains("hunter2x"), "{text} -> {out}");
    }
}

#[test]
fn fr_028_008_what_says_that_a_secret_is_wrong_stays_readable() {
    for text in [
        "password=${DB_PASSWORD}",
        "token: $API_TOKEN",
        "password=********",
        "PASSWORD={{ vault_password }}",
        "tenantpilot::ops::password::hash",
        "password: must have 12 characters",
        "the --token flag is missing",
    ] {
        assert_eq!(redact(text).text, text);
    }
}

/// Text that is near to secrets.
fn likely() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("password".to_owned()),
        Just("token: ".to_owned()),
        Just("=".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just(" ".to_owned()),
        Just("\n".to_owned()),
        Just("[redacted:".to_owned()),
        Just("[redacted:token]".to_owned()),
        Just("[redacted:operator]".to_owned()),
        Just("://".to_owned()),
        Just("@".to_owned()),
        Just("Bearer ".to_owned()),
        Just("Cookie: a=".to_owned()),
        Just("hunter2".to_owned()),
        Just("-----BEGIN PRIVATE ".to_owned()),
        Just("[".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("%3D".to_owned()),
        Just("&quot;".to_owned()),
        "[a-zA-Z0-9]{1,24}",
        "\\PC{1,6}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn fr_028_004_more_is_masked_and_never_less(
        text in likely(), also in prop::collection::vec("[a-z0-9 =:]{0,6}", 0..3),
    ) {
        let rules = redact(&text);
        prop_assert_eq!(&redact(&rules.text), &rules);
        let more = redact_also(&text, &also);
        prop_assert_eq!(&redact_also(&more.text, &also), &more);
        // Every mask of the rules is still there, in its order.
        let mut left = more.hits.iter();
        for hit in &rules.hits {
            prop_assert!(left.any(|other| other.rule == hit.rule), "{:?} {:?}", rules.text, more.text);
        }
    }

    #[test]
    fn fr_028_010_only_blocks_of_keys_take_lines_away(text in likely()) {
        let redacted = redact(&text);
        let block = redacted.hits.iter().any(|hit| hit.rule == Rule::PrivateKey);
        let lines = |text: &str| text.matches('\n').count();
        prop_assert!(block || lines(&text) == lines(&redacted.text), "{:?}", redacted.text);
    }

    #[test]
    fn fr_028_006_suspects_are_outside_of_masks_and_in_order(text in likely()) {
        let redacted = redact(&text);
        let mut done = 0;
        for suspect in suspects(&redacted.text) {
            prop_assert!(suspect.start >= done && suspect.end > suspect.start);
            done = suspect.end;
            prop_assert!(redacted.text.is_char_boundary(suspect.start) && redacted.text.is_char_boundary(done));
            prop_assert!(redacted.hits.iter().all(
                |hit| hit.range.end <= suspect.start || suspect.end <= hit.range.start
            ));
        }
    }
}
