//! The shapes of secrets. Every pattern runs in linear time and is compiled once.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Rule;

/// Words that make a value a password, as part of a pattern.
const PASSWORD_KEYS: &str =
    r"pass(?:word|wd|phrase|code)|passwort|kennwort|contrasena|(?u:contraseña)|\bpass|pwd|\bpw";
/// Words that make a value a secret.
const SECRET_KEYS: &str = r"secret|token|credentials?|api[_ -]?key|apikey|access[_ -]?key(?:[_-]?id)?|account[_-]?key|auth[_-]?key|private[_-]?key|shared[_-]?key|signing[_-]?key|encryption[_-]?key|master[_-]?key|session[_-]?key|service[_-]?key|storage[_-]?key|license[_-]?key|subscription[_-]?key|session[_-]?id|jsessionid|phpsessid|\bsid|\botp|client[_-]?assertion|connection[_-]?string|x-auth|authenticity|\bsig|\bsignature";

/// A pattern, what it means, and a last look at what it found. The secret is the first
/// group that took part, or else the whole match.
struct Pattern {
    rule: Rule,
    regex: Regex,
    check: fn(&str) -> bool,
}

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let key = r"[A-Za-z0-9+/=_-]";
    let mut patterns = Vec::new();
    let mut add = |rule, text: &str, check: fn(&str) -> bool| {
        // Only ASCII letters have two cases here, and an ASCII word boundary keeps the
        // fast engine in use.
        let text = text.replace(r"\b", r"(?-u:\b)").replace("(?i:", "(?i-u:");
        let regex = Regex::new(&text);
        debug_assert!(regex.is_ok(), "{rule}: {regex:?}");
        patterns.extend(regex.map(|regex| Pattern { rule, regex, check }));
    };
    let all: fn(&str) -> bool = |_| true;

    add(
        Rule::PrivateKey,
        r"(?s)-{2,}\s*BEGIN[ A-Z0-9]*PRIVATE KEY[ A-Z]*-*.*?(?:-+\s*END[ A-Z0-9]*PRIVATE KEY[ A-Z]*-*|\z)",
        all,
    );
    // Head lost, end still there.
    add(Rule::PrivateKey, r"[A-Za-z0-9+/=\s\\]*-{2,}\s*END[ A-Z0-9]*PRIVATE KEY[ A-Z]*-*", all);
    add(Rule::PrivateKey, r"(?s)PuTTY-User-Key-File-.*\z", all);

    let sep = r#"\\*(?:["'`]|%22)?\]?\s*(?:=>|:=|=|:|%3[aAdD])\s*"#;
    add(
        Rule::Authorization,
        &format!(
            r#"(?i:authorization|x-auth-token){sep}\\*["']?((?i:digest|aws4-hmac-sha256|hawk|oauth|signature)\s[^\r\n]+)"#
        ),
        all,
    );
    add(
        Rule::Authorization,
        &format!(
            r#"(?i:authorization){sep}\\*["']?((?:(?i:bearer|basic|token|negotiate|ntlm|apikey|api-key|sharedkey(?:lite)?|sharedaccesssignature|key)(?:\s+|%20|\+))?[^\s"',;\\]+)"#
        ),
        all,
    );
    add(
        Rule::Authorization,
        r"\b(?i:bearer|basic|negotiate)(?:\s+|%20)([A-Za-z0-9._~+/=-]{6,})",
        looks_made,
    );

    add(
        Rule::Cookie,
        r#"(?i:cookie)2?\\*["']?\s*[:=]\s*\\*["']?([^\s"=;,]+=[^\s";,]*(?:;\s*[^\s"=;,]+(?:=[^\s";]*(?:, [^\s"=;,]+ [^\s"=;,]+ GMT)?)?)*)"#,
        all,
    );

    add(
        Rule::ConnectionString,
        r#"\b(?i:postgres(?:ql)?|mysqlx?|mariadb|mongodb(?:\+srv)?|rediss?|valkeys?|amqps?|mssql|sqlserver|oracle|clickhouse|cockroachdb|cassandra|couchbases?|nats|kafka|ldaps?|smtps?|jdbc:[a-z:]+)(?:\+[a-z0-9]+)?:(?://|%2[fF]%2[fF])[^\s"'<>`]+"#,
        all,
    );
    add(
        Rule::ConnectionString,
        r#"\b(?:(?i:server|host|hostname|data source|address|endpoint|defaultendpointsprotocol|accountname|blobendpoint|user id|uid|user|username|database|initial catalog|driver|port|provider)\s*=[^;\r\n"'=]*;\s*)(?:[A-Za-z][A-Za-z0-9 _]*=[^;\r\n"]*;\s*)*(?:[A-Za-z][A-Za-z0-9 _]*=[^;\s"]*;?)?"#,
        has_key,
    );

    add(Rule::UrlCredentials, r#"\b[a-zA-Z][a-zA-Z0-9+.-]*://([^\s/"'<>?#]+)@"#, all);
    add(
        Rule::UrlCredentials,
        r#"\b[a-zA-Z][a-zA-Z0-9+.-]*://([^\s:/@"'<>]+:[^\s"'<>@]*[^\s"'<>@0-9/][^\s"'<>@]*)@"#,
        |text| !text.contains('?'),
    );

    add(Rule::UrlCredentials, r#"\b[A-Za-z0-9._-]+:([^\s:/@"'<>\[\]]+)@[A-Za-z0-9]"#, all);
    add(Rule::Password, r#"(?:^|\s)(?:-u|--user)\s+["']?[^\s:"']+:([^\s"']+)"#, all);
    // Prose: masked only where the word is no word.
    add(
        Rule::Password,
        r"(?i:password|passphrase|secret|token)\s+(?i:is|was)\s+(\S{4,})",
        looks_made,
    );

    add(Rule::Jwt, r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*", all);

    let makers = [
        r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{16}\b",
        r"AIza[0-9A-Za-z_-]{30,}",
        r"ya29\.[0-9A-Za-z_-]{10,}",
        r"GOCSPX-[0-9A-Za-z_-]{16,}",
        r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{30,}",
        r"gh[pousr]_[A-Za-z0-9]{16,}",
        r"github_pat_[A-Za-z0-9_]{20,}",
        r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas|imt|ffct)-[A-Za-z0-9_.-]{16,}",
        r"xox[a-z]-[A-Za-z0-9-]{8,}",
        r"xapp-[A-Za-z0-9-]{10,}",
        r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]+",
        r"discord(?:app)?\.com/api/webhooks/[A-Za-z0-9/_-]+",
        r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}",
        r"whsec_[A-Za-z0-9+/=]{16,}",
        r"npm_[A-Za-z0-9]{20,}",
        r"pypi-[A-Za-z0-9_-]{20,}",
        r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
        r"(?:SK|AC)[0-9a-f]{32}\b",
        r"sk-[A-Za-z0-9_-]{20,}",
        r"do[opr]_v1_[a-f0-9]{40,}",
        r"hv[sbr]\.[A-Za-z0-9_-]{20,}",
        r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{30,}",
        r"hf_[A-Za-z0-9]{20,}",
        r"[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}",
        r"key-[0-9a-f]{32}\b",
        r"dapi[0-9a-f]{32}\b",
        r"dckr_pat_[A-Za-z0-9_-]{20,}",
        r"ATATT3[A-Za-z0-9_=-]{20,}",
        r"AGE-SECRET-KEY-1[A-Z0-9]{30,}",
        r"sq0[a-z]{3}-[A-Za-z0-9_-]{20,}",
        r"lin_api_[A-Za-z0-9]{20,}",
        r"NRAK-[A-Z0-9]{20,}",
        r"gl(?:sa|c)_[A-Za-z0-9_=+/]{20,}",
    ];
    add(Rule::Token, &format!(r"\b(?:{})", makers.join("|")), all);

    let value = r#"(?:\\+"([^"]*?)\\+"|\\+'([^']*?)\\+'|"((?:[^"\\]|\\.)*)(?:"|\\?\z)|'((?:[^'\\]|\\.)*)(?:'|\\?\z)|%22(.*?)%22|`([^`]*)`|([^\s"'`&<>]+))"#;
    let suffix = r"(?:[_-]?(?:[0-9]{1,3}|value|hash|b64|base64|encoded|old|new|key))?";
    for (rule, keys) in [(Rule::Password, PASSWORD_KEYS), (Rule::Secret, SECRET_KEYS)] {
        add(rule, &format!(r"(?i:(?:{keys}){suffix}){sep}(?s:{value})"), is_secret_value);
        add(rule, &format!(r"--?[A-Za-z0-9-]*(?i:{keys}){suffix}\s+(?s:{value})"), is_flag_value);
        add(rule, &format!(r"<[^<>/\s]*(?i:{keys}){suffix}(?:\s[^<>]*)?>([^<]+)"), all);
    }

    let part = r#"[^\s@<>()\[\]"',:;=/?&|\\{}]"#;
    let top = r#"[^\s@<>()\[\]"',:;=/?&|\\{}.0-9…%]"#;
    add(Rule::Email, &format!(r"{part}+(?:@|%40){part}+\.{top}{{2,}}"), all);
    add(Rule::Query, r#"://[^\s"'<>?]*\?([^\s"'<>]+)"#, all);
    add(Rule::Query, r#"/[^\s"'<>?]*\?([^\s"'<>=]*=[^\s"'<>]*)"#, all);
    add(Rule::Random, &format!("{key}{{32,}}"), is_random);
    patterns
});

/// Every place in `text` that a rule takes for a secret; places may overlap.
pub(super) fn spans(text: &str) -> Vec<(Range<usize>, Rule)> {
    let mut spans = Vec::new();
    for pattern in PATTERNS.iter() {
        for captures in pattern.regex.captures_iter(text) {
            let found = captures.iter().skip(1).flatten().next().or_else(|| captures.get(0));
            let Some(found) = found.filter(|found| (pattern.check)(found.as_str())) else {
                continue;
            };
            let end = found.start() + without_punctuation(found.as_str()).len();
            if end > found.start() {
                spans.push((found.start()..end, pattern.rule));
            }
        }
    }
    spans
}

/// Without the punctuation that belongs to the sentence around an unquoted value; the end of
/// a mask is no punctuation.
fn without_punctuation(mut text: &str) -> &str {
    while let Some(shorter) = text.strip_suffix([',', ';', ')', '}', ']', '\\']) {
        if Rule::ALL.iter().any(|rule| text.ends_with(rule.mask())) {
            break;
        }
        text = shorter;
    }
    text
}

/// Whether a word after `Bearer` was made by a machine, unlike `Bearer authentication`.
fn looks_made(text: &str) -> bool {
    text.len() >= 20
        || text.contains(|c: char| c.is_ascii_digit() || c == '=')
        || text.chars().skip(1).any(|c| c.is_ascii_uppercase())
            && text.contains(|c: char| c.is_ascii_lowercase())
}

/// Whether a list of `Key=value;` holds something to log in with.
fn has_key(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["password=", "pwd=", "accountkey=", "sharedaccesskey=", "sharedaccesssignature=", "secret="]
        .iter()
        .any(|key| text.replace(' ', "").contains(key))
}

/// Words that say what is wrong with a secret rather than what it is.
const STATES: &[&str] = &[
    "absent",
    "denied",
    "empty",
    "expired",
    "false",
    "invalid",
    "is",
    "malformed",
    "mismatch",
    "missing",
    "nil",
    "none",
    "not",
    "null",
    "rejected",
    "required",
    "revoked",
    "true",
    "undefined",
    "unknown",
    "unset",
    "wrong",
];

fn is_secret_value(text: &str) -> bool {
    let word = text.trim_end_matches([',', ';', '.', ')', '}', ']']);
    // A lone ellipsis is where an earlier cut ended.
    !(word.is_empty() || word == "…" || STATES.contains(&word.to_ascii_lowercase().as_str()))
}

fn is_flag_value(text: &str) -> bool {
    is_secret_value(text) && !text.starts_with('-')
}

/// Whether a long run of key characters looks like chance rather than like words.
///
/// Our own long values are let through: UUIDs, ULIDs, and identity hashes (exactly 64
/// lower-case hex digits).
fn is_random(text: &str) -> bool {
    if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return false;
    }
    let rest = KNOWN_IDS.as_ref().map_or_else(|| text.into(), |ids| ids.replace_all(text, ""));
    if rest.len() < 32 {
        return false;
    }
    let kinds: Vec<u8> = rest
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' => 0,
            b'A'..=b'Z' => 1,
            b'0'..=b'9' => 2,
            _ => 3,
        })
        .collect();
    let changes =
        kinds.windows(2).filter(|pair| pair[0] != pair[1] && pair[0].max(pair[1]) < 3).count();
    let letters = rest.chars().filter(char::is_ascii_alphabetic).count();
    // Chance changes its kind of character often; words and numbers joined by dashes do not.
    let often =
        if kinds.contains(&2) { changes * 4 >= rest.len() } else { changes * 3 >= rest.len() };
    often && letters >= 4 && distinct(&rest) >= 8
}

static KNOWN_IDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let uuid = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
    Regex::new(&format!(r"{uuid}|(?-u:\b)[0-7][0-9A-HJKMNP-TV-Z]{{25}}(?-u:\b)")).ok()
});

fn distinct(text: &str) -> usize {
    let mut seen = [false; 256];
    text.bytes().for_each(|byte| seen[usize::from(byte)] = true);
    seen.iter().filter(|seen| **seen).count()
}
