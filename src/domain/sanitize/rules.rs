//! The shapes of secrets. Every pattern runs in linear time and is compiled once, when a text may
//! match it: all of them together would be a third of a console's memory.

mod armour;
pub(super) mod cards;
pub(super) mod gates;
mod keys;
mod lists;
mod makers;
mod phrases;
mod remarks;
mod sentences;
pub(super) mod values;

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use self::gates::Gates;
use self::keys::{PASSWORD, SECRET, SUFFIX, VERBS};
use self::values::Found;
use super::{Rule, chance};

/// A pattern, what it means, and a last look at what it found. The secret is the first
/// group that took part, or else the whole match.
struct Pattern {
    rule: Rule,
    /// One of these signs is in every text that matches; all texts, where it is empty.
    needs: &'static str,
    /// And so it has to be, or the pattern is not compiled.
    gate: Gate,
    regex: LazyLock<Option<Regex>, Box<dyn FnOnce() -> Option<Regex> + Send>>,
    check: fn(&Found<'_>) -> bool,
    /// What it means where the group `secret` took part.
    other: Option<Rule>,
}

/// What is in every text that a pattern matches.
enum Gate {
    /// One of these words, or anything where there are none.
    Words(&'static str),
    /// A name of a password or a secret.
    Named,
    /// A name of a password.
    Password,
    /// What may be a maker's token.
    Token,
}

impl Gate {
    fn is_open(&self, gates: &Gates<'_>) -> bool {
        match self {
            Self::Words(words) => words.is_empty() || gates.has(words),
            Self::Named => gates.named(),
            Self::Password => gates.password(),
            Self::Token => gates.token(),
        }
    }
}

type Needs = (&'static str, &'static str);

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let mut patterns = Patterns::default();
    patterns.keys_and_headers();
    patterns.addresses();
    patterns.tokens();
    patterns.assignments();
    patterns.commands_and_files();
    patterns.prose();
    patterns.0
});

/// The patterns, as they are put together.
#[derive(Default)]
struct Patterns(Vec<Pattern>);

/// A value in quotes of any kind; each alternative is a group.
const QUOTED: &str = r#"\\+"\\+"\\+"([^"]*?)\\+"|"""(.*?)"""|'''(.*?)'''|\\"((?:[^"\\]|\\+[^"\\]|\\{2,}")*)\\"|\\{3}"((?:[^"\\]|\\+[^"\\]|\\{4,}")*)\\{3}"|\\+"([^"]*?)\\+"|\\+'([^']*?)\\+'|"((?:[^"\\]|\\.)*)(?:"|\\?\z)|'((?:[^'\\]|\\.)*)(?:'|\\?\z)|`([^`]*)`|[“„]([^“”]*)[“”]|«([^»]*)»"#;
/// A value up to white space, a sign of markup, or the end of a pair.
const BARE: &str = r#"%22(.*?)%22|([^\s"'`&<>“”„«»]+(?:["'`][A-Za-z0-9!#$%][^\s"'`&<>]*)*)"#;
/// What stands before a quoted value in dumps of values: `Some(`, `b`, `string(7) `.
const WRAPPED: &str = r"(?:(?i:string|str|bytes|binary)\s?\([0-9]*\)\s*|(?:[A-Za-z_&@$][A-Za-z0-9_:.]*[({\[]){0,2}[A-Za-z@$]{0,2})";

/// A name of a password, or of a secret as the group that `group` begins.
fn names(group: &str) -> String {
    format!("(?:(?i:{})|({group}(?i:{})))", PASSWORD.join("|"), SECRET.join("|"))
}

fn compiled(text: &str) -> Option<Regex> {
    // Only ASCII letters have two cases here, and an ASCII word boundary keeps the fast engine in
    // use.
    let text = text.replace(r"\b", r"(?-u:\b)").replace("(?i:", "(?i-u:");
    let regex = Regex::new(&text);
    debug_assert!(regex.is_ok(), "{regex:?}");
    regex.ok()
}

impl Patterns {
    fn add(
        &mut self,
        rule: Rule,
        (needs, words): Needs,
        text: &str,
        check: fn(&Found<'_>) -> bool,
    ) {
        self.add_behind(Gate::Words(words), rule, needs, text, check);
    }

    /// The same with a pattern that a name of a password or a secret is part of.
    fn add_named(
        &mut self,
        rule: Rule,
        needs: &'static str,
        text: &str,
        check: fn(&Found<'_>) -> bool,
    ) {
        debug_assert!(text.contains(PASSWORD[0]) || text.contains("secret|token|credentials?"));
        self.add_behind(Gate::Named, rule, needs, text, check);
    }

    fn add_behind(
        &mut self,
        gate: Gate,
        rule: Rule,
        needs: &'static str,
        text: &str,
        check: fn(&Found<'_>) -> bool,
    ) {
        let other = text.contains("(?P<secret>").then_some(Rule::Secret);
        let text = text.to_owned();
        let regex = LazyLock::new(Box::new(move || compiled(&text)) as Box<_>);
        self.0.push(Pattern { rule, needs, gate, regex, check, other });
    }

    fn keys_and_headers(&mut self) {
        // Head lost, end still there.
        self.add(
            Rule::PrivateKey,
            ("-", "private"),
            &format!(r"[A-Za-z0-9+/=\s\\]*{}", armour::END),
            all,
        );
        self.add(
            Rule::PrivateKey,
            ("-", "putty|private-|ls0tls1crudjti"),
            r"(?s)(?:PuTTY-User-Key-File-|Private-(?:Lines|MAC|Hash):).*\z|LS0tLS1CRUdJTi[A-Za-z0-9+/=\s]*",
            all,
        );
        self.add(
            Rule::PrivateKey,
            ("\"", "\"k\"|\"k\\|\"d\"|\"d\\|\"p\"|\"p\\|\"q\"|\"q\\|\"dp|\"dq|\"qi"),
            r#""(?:k|d|p|q|dp|dq|qi)\\*"\s*:\s*\\*"([A-Za-z0-9_-]{16,})"#,
            values::looks_made,
        );

        let sep = r#"\\*(?:["'`]|%22)?\]?\s*(?:=>|:=|=|:|,)\s*(?:[\[({]\s*)?b?\\*["'`]?"#;
        self.add(
            Rule::Authorization,
            ("", "authorization|x-auth-token"),
            &format!(
                r"(?i:authorization|x-auth-token){sep}((?i:digest|aws4-[a-z0-9-]+|hawk|oauth|signature|credential)\s[^\r\n]+)"
            ),
            all,
        );
        self.add(
            Rule::Authorization,
            ("", "authorization"),
            &format!(
                r#"(?i:authorization){sep}((?:(?i:bearer|basic|token|negotiate|ntlm|apikey|api-key|sharedkey(?:lite)?|sharedaccesssignature|key|splunk|genie-?key|bot|jwt|ssws|zoho-oauthtoken)(?:\s+(?:token=)?|%20|\+))?[^\s"',;\\<>]+)"#
            ),
            values::is_secret_value,
        );
        self.add(
            Rule::Authorization,
            ("", "bearer|basic|negotiate|ntlm|ssws|geniekey"),
            r#"\b(?i:bearer|basic|negotiate|ntlm|ssws|geniekey)(?:\s+|%20|\\*["']?\s*[,:=]\s*\\*["']?(?i:parameter\\*["']?\s*[:=]\s*\\*["']?)?)([A-Za-z0-9._~+/=-]{6,})"#,
            |found| values::looks_made(found) && !values::is_ordinary(found.value()),
        );
        self.add(
            Rule::Authorization,
            (":=", "auth"),
            r#"\b_?auth\\*["']?\s*[:=]\s*\\*["']?([A-Za-z0-9+/=_-]{8,})"#,
            values::looks_made,
        );
        self.add(
            Rule::Password,
            ("(", "auth|login|credential"),
            r#"(?i:basic_?auth|digest_?auth|\bauth\s*=|\blogin|credentials?|authenticate)\s*\(\s*\\*["'][^"'\n]*["']\s*,\s*(?:Some\()?\\*["']([^"']+)"#,
            all,
        );

        // The third argument of a call that connects, as stack frames show it.
        self.add(
            Rule::Password,
            ("(", "connect|construct|pdo|mysqli|bind|login|logon|imap_open|open_session|auth"),
            r#"(?i:connect|connection|construct|pdo|mysqli|bind|login|logon|imap_open|open_session|auth|authenticate)\s*\(\s*(?:(?:\\*"[^"\n]*?\\*"|\\*'[^'\n]*?\\*'|Resource id #[0-9]+|[^\s"'(),]+(?:\([^()]*\))?)\s*,\s*){2}(?:\\*"([^"\n]+?)\\*"|\\*'([^'\n]+?)\\*')"#,
            values::is_third_argument,
        );

        self.add(
            Rule::Cookie,
            ("=", "cookie"),
            r#"(?i:cookies?)2?\\*["']?\]?\s*(?:=>|[:=\s,])\s*[\[(]?\s*b?\\*["']?([^\s"'=;,{\[]+=[^\s";,]*(?:;\s*[^\s"=;,]+(?:=[^\s";]*(?:, [^\s"=;,]+ [^\s"=;,]+ GMT)?)?)*)"#,
            all,
        );
        self.add(
            Rule::Cookie,
            (":", "cookie"),
            r#"(?i:cookie)\\*["']?\s*:\s*\\*["']?([A-Za-z0-9._~+/%-]{8,})"#,
            values::looks_made,
        );
        self.add(
            Rule::Cookie,
            ("{[", "cookie"),
            r#"(?i:cookies?(?:jar)?)\\*["']?\s*(?:=>|[:=(])\s*(?:[A-Za-z]+\()?(?:\{([^{}]*)\}|\[([^\[\]]*)\])"#,
            all,
        );
        self.add(
            Rule::Cookie,
            ("\t-", "\tTRUE|\tFALSE|-b|--cookie"),
            r#"\t(?:TRUE|FALSE)\t\S*\t(?:TRUE|FALSE)\t[0-9]+\t[^\t\n]+\t(\S+)|\s(?:-b|--cookie)[\s=]+(?:'([^']*=[^']*)'|"([^"]*=[^"]*)")"#,
            all,
        );
    }

    fn addresses(&mut self) {
        let slashes = "(?:/|%(?:25)*2[fF]){2}";
        self.add(
            Rule::ConnectionString,
            (":", ":/|:%|jdbc:oracle"),
            &format!(
                r#"\b(?i:postgres(?:ql)?|mysqlx?|mariadb|mongodb(?:\+srv)?|rediss?|valkeys?|amqps?|mssql|sqlserver|oracle|clickhouse|cockroachdb|cassandra|couchbases?|couchdb|nats|kafka|ldaps?|smtps?|snowflake|neo4j|bolt|db2|libsql|influxdb|redshift|trino|presto|hive2|rabbitmq|jdbc:[a-z0-9:]+)(?:\+[a-z0-9]+)?:(?:{slashes})[^\s"'<>`]+|\b(?i:jdbc:oracle:[a-z]+):[^\s"'<>]*@[^\s"'<>]+"#
            ),
            all,
        );
        self.add(
            Rule::ConnectionString,
            (";", "="),
            r#"\b(?:(?i:server|host|hostname|data source|address|addr|network address|endpoint|defaultendpointsprotocol|accountname|blobendpoint|user id|uid|user|username|database|initial catalog|driver|dsn|port|provider)\s*=[^;\r\n"'=]*;\s*)(?:[A-Za-z][A-Za-z0-9 _]*=[^;\r\n"]*;\s*)*(?:[A-Za-z][A-Za-z0-9 _]*=[^;\s"]*;?)?"#,
            values::has_key,
        );

        let scheme = r"\b[a-zA-Z][a-zA-Z0-9+.-]*:";
        self.add(
            Rule::UrlCredentials,
            ("@", ":/|:%"),
            &format!(r#"{scheme}{slashes}([^\s/"'<>?#]+)@"#),
            all,
        );
        self.add(
            Rule::UrlCredentials,
            ("@", ":/|:%"),
            &format!(r#"{scheme}{slashes}([^\s:/@"'<>]+:[^\s"'<>@]*[^\s"'<>@0-9/][^\s"'<>@]*)@"#),
            |found| !found.value().contains('?'),
        );
        self.add(
            Rule::UrlCredentials,
            ("@", ""),
            r#"\b[A-Za-z0-9._-]+:([^\s:/@"'<>\[\]]+)@[A-Za-z0-9]"#,
            |found| !found.text[found.value.end + 1..].starts_with("sha256:"),
        );
        let part = r#"[^\s@<>()\[\]"',:;=/?&|\\{}]"#;
        let top = r#"[^\s@<>()\[\]"',:;=/?&|\\{}.0-9…%]"#;
        self.add(
            Rule::Email,
            ("@%", "@|%40"),
            &format!(r"{part}+(?:@|%40){part}+\.{top}{{2,}}"),
            all,
        );
        self.add(Rule::Query, ("?", "://"), r#"://[^\s"'<>?]*\?([^\s"'<>]+)"#, all);
        self.add(Rule::Query, ("?", "="), r#"/[^\s"'<>?]*\?([^\s"'<>=]*=[^\s"'<>]*)"#, all);
    }

    fn tokens(&mut self) {
        self.add(
            Rule::Jwt,
            ("", "eyJ|eyAi|ewoi|ewog|ew0K|ZXlK|TlRMTVNTUA"),
            r"(?:\b|_)e(?:yJ|yAi|woi|wog|w0K)[A-Za-z0-9_-]{8,}(?:(?:\.|%2[eE]|\.?\s*\n\s*[A-Za-z0-9_-]*\.|\.?\s*\n\s*[A-Za-z0-9_-]{16})[A-Za-z0-9_-]*)*|\bZXlK[A-Za-z0-9+/=_-]{16,}|\bTlRMTVNTUA[A-Za-z0-9+/=]+",
            all,
        );
        let made = format!(r"\b(?:{})", makers::TOKENS.join("|"));
        self.add_behind(Gate::Token, Rule::Token, "", &made, all);
        self.add(Rule::Password, ("${*", ""), &makers::SIGNED.join("|"), |found| {
            found.value().bytes().any(|b| b.is_ascii_digit()) || found.value().len() >= 20
        });
        self.add(Rule::Token, (":", "otpauth"), r"\botpauth(?:-migration)?://[^\s\x22'<>]+", all);
        self.add(
            Rule::Token,
            ("/", "/hook|/webhook|/incoming|/callback"),
            r#"/(?i:hooks?|webhooks?|webhookb2|incoming-?webhook|callbacks?/secret)/([^\s"'<>?#]+)"#,
            values::has_made_part,
        );
        self.add(
            Rule::Secret,
            (":=", "key"),
            r#"\b(?i:key)\\*["']?\s*[:=]\s*\\*["']?([A-Za-z0-9_/+=-]{12,})"#,
            values::is_drawn_value,
        );
        self.add(
            Rule::Secret,
            ("23456", ""),
            r"\b[2-6][0-9](?:[ -]?[0-9]){11,17}\b",
            cards::is_card,
        );
        self.add(
            Rule::Secret,
            ("234567", ""),
            r"\b[A-Z2-7]{4}(?:[ -][A-Z2-7]{4}){3,}\b",
            |found| {
                found.value().contains(|c: char| c.is_ascii_digit())
                    && found.value().contains(|c: char| c.is_ascii_alphabetic())
            },
        );
    }

    fn assignments(&mut self) {
        let keys = names("?P<secret>");
        let key = format!("{keys}(?i:{SUFFIX})");
        let again = key.replace("(?P<secret>", "(?:");
        let sep =
            r#"\\*(?:["'`”»]|%22)?\)?\]?(?:\s|%20)*(?:=>|:=|={1,3}|:|(?u:：|＝)|->|~>)(?:\s|%20)*"#;
        let value = format!(
            r"(?:\[([^\[\]\n]+)\]|\{{([^{{}}\x22'=:\n]+)\}}|(?:[\[(]\s*){{0,2}}(?:[|>][+-]?[0-9]?\s*\n\s*|\|[+-]?[0-9]?\s+|>[+-]\s+)?(?:s:[0-9]+:)?(?:{WRAPPED}(?:{QUOTED})|{BARE}))"
        );
        self.add_named(
            Rule::Password,
            ":=>",
            &format!(r"{key}{sep}(?s:{value})"),
            values::is_secret_value,
        );
        // What goes with the id of a role, which is no id.
        self.add(
            Rule::Secret,
            ("", "secret|key"),
            &format!(
                r#"(?i:secret[ _-]?id){sep}\\*["'`]?([A-Za-z0-9-]{{16,}})|(?i:secret[ _-]?id)(?:\s+(?i:is|was|ist))?\s+["'`]?([A-Za-z0-9-]{{32,}})|(?i:(?:api|access|license|secret)[ _-]?key)(?:,|\s+(?i:is|was|ist))?\s+["'`]?([0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}})"#
            ),
            |found| !chance::ids(found.value()).is_empty() || values::is_drawn_value(found),
        );
        // `('password', 'x')`, `setPassword("x")`, `s:8:"password";s:7:"x"`.
        self.add_named(
            Rule::Password,
            ",;(",
            &format!(
                r#"{key}(?:\\*["'`]?\s*[,;]\s*(?:s:[0-9]+:|<<)?|\(\s*)[A-Za-z@]{{0,2}}(?s:{QUOTED})"#
            ),
            values::is_argument,
        );
        // `name: password, value: x` in JSON, YAML and markup.
        self.add_named(
            Rule::Password,
            "vVcC",
            &format!(
                r#"{key}\\*["']?[\s,;:{{]*(?:[A-Za-z-]+\\*["']?\s*[=:]\s*\\*["'][^"'\n]*["'][\s,]*){{0,3}}\\*["']?\b(?i:value|val|content|stringvalue|plaintext)\\*["']?\s*[:=]\s*(?s:{value})"#
            ),
            values::is_secret_value,
        );
        self.add_named(
            Rule::Password,
            "<",
            &format!(
                r"<[^<>/\s]*{key}(?:\s[^<>]*)?>\s*(?:<!\[CDATA\[)?([^<\]]+)|{again}</[A-Za-z:]+>\s*<[A-Za-z:]+[^<>]*>\s*(?:<!\[CDATA\[)?([^<\]]+)"
            ),
            |found| found.value().contains(|c: char| c.is_alphanumeric()),
        );
        // A field of a form, one part of several.
        self.add_named(
            Rule::Password,
            "=",
            &format!(
                r#"name=\\*["']?[A-Za-z0-9_.\[\]-]*{key}\]?\\*["']?[^\n]*\n(?:[A-Za-z-]+:[^\n]*\n)*\s*([^\n]+)"#
            ),
            all,
        );
        self.add_named(
            Rule::Password,
            "-",
            &format!(r#"(?:^|[\s"'(\[,=])--?[A-Za-z0-9-]*{key}\s+(?s:{value})"#),
            values::is_flag_value,
        );
    }

    fn commands_and_files(&mut self) {
        let word = r#"(?:\\+"([^"]*?)\\+"|'([^']*)'|"([^"]*)"|([^\s"'|;]+))"#;
        self.add(
            Rule::Password,
            ("-%", "-u|-p|-w|-cli|ssh-keygen|htpasswd|convertto-securestring"),
            &[
                r#"(?:^|[\s"'])(?:-u|-U|--(?:proxy-)?user)[\s=]*["']?[^\s:"'-][^\s:"']*:([^\s"']+)"#,
                &format!(r"\b(?:mysql[a-z]*|mariadb(?:-[a-z]+)?)\s[^\n|;]*?-p{word}"),
                &format!(r"\b(?:sshpass|(?:docker|podman|oras|registry|auth|az|nerdctl)\s+login|mongo[a-z]*|cqlsh|[Pp]s[Ee]xec(?:\.exe)?|7z\s+[a-z]|expect|influx)\s[^\n|;]*?-p\s*{word}"),
                &format!(r"\b(?:redis-cli|valkey-cli|keydb-cli)\s[^\n|;]*?-a\s*{word}"),
                &format!(r"\b(?:ldap[a-z]+|plink|pscp)\s[^\n|;]*?-p?w\s*{word}"),
                &format!(r"\b(?:sqlcmd|bcp|isql|osql|zip|unzip|mosquitto_[a-z]+|ipmitool)\s[^\n|;]*?-P\s*{word}"),
                &format!(r"\bssh-keygen\s[^\n|;]*?-[NP]\s*{word}"),
                r#"\b(?:smbclient|rpcclient|winexe|wmic|net)\s[^\n|;]*?(?:-U|--user)[\s=]*["']?[^\s%"']+%([^\s"']+)"#,
                &format!(r"\bhtpasswd\s+-[a-zA-Z]*b[a-zA-Z]*\s+\S+\s+\S+\s+{word}"),
                &format!(r"\bConvertTo-SecureString\s+(?:-String\s+)?{word}"),
            ]
            .join("|"),
            values::is_flag_value,
        );
        self.add(
            Rule::Password,
            ("/:", "/user|@|chpasswd|wifi:|pass:|:*|:0|:1|:2|:3|:4|:5|:6|:7|:8|:9"),
            &[
                r"\b(?i:net\s+use)\s+(?:\S+\s+){1,2}(\S+)\s+/(?i:user):",
                r"\b(?i:sqlplus|expdp|impdp|sqlldr|exp|imp)\s+(?:-[A-Za-z]+\s+)*[^\s/]+/([^\s@]+)@",
                // .pgpass
                r"(?:^|[\s\x22'])[A-Za-z0-9.*_-]+:(?:[0-9]{4,5}|\*):[A-Za-z0-9.*_-]+:[A-Za-z0-9.*_@-]+:([^\s:\x22']{5,})",
                r#"["'][A-Za-z0-9._-]+:([^\s"']+)\\*["']\s*\|\s*(?:sudo\s+)?chpasswd"#,
                r"\bWIFI:(?:[^\s;]*;)*?P:((?:[^;\\]|\\.)+);",
                r"-(?:[a-z]+-)?pass(?:in|out)?[\s=]+pass:(\S+)",
            ]
            .join("|"),
            |found| !found.value().starts_with('/') && values::is_secret_value(found),
        );
        self.add(
            Rule::Password,
            ("", "*|password|--from-literal|^net |^net\t|^net\n|/rp|openssl|echo|secret|key|snmp-server|login|token|requirepass|masterauth|identified"),
            &[
                // .netrc
                r"\b(?:login|user|machine|default)\s+\S+\s+(?:account\s+\S+\s+)?password\s+(\S+)",
                r#"--from-literal[=\s]+["']?[A-Za-z0-9_.-]+=([^\s"']+)"#,
                r"\b(?i:net\s+user)\s+\S+\s+([^\s/]\S*)\s+/|\s/rp\s+([^\s/]\S*)",
                r"\bopenssl\s+enc\s[^\n|;]*?\s-k\s+(\S+)",
                r#"\becho\s+(?:-n\s+)?["']?([^\s"'|]{4,})["']?\s*\|\s*(?:sudo\s+-S|(?:sudo\s+)?(?:docker|podman)\s+login|cryptsetup|gpg|passwd)"#,
                // Routers and switches.
                r"\b(?:password|secret|key)\s+[0-9]\s+([^\s]{4,})",
                r"\bsnmp-server\s+community\s+(\S+)",
                r"\b(?:vault\s+login|login\s+--token)\s+([^\s-]\S{7,})",
                r"\b(?:set|configure\s+set|config\s+set|put-parameter|setx|add_user\s+\S+|change_password\s+\S+)\s+(?i:[a-z0-9_./:-]*(?:password|secret|token|_key|requirepass|masterauth))(?:_id)?\s+([^\s=]{4,})",
                r"\b(?:requirepass|masterauth)\s+(\S{4,})",
                r"\bIDENTIFIED\s+(?:WITH\s+\S+\s+)?(?:BY|AS)\s+(?:PASSWORD\s+)?(?:'([^']+)'|\x22([^\x22]+)\x22|(\S+))",
                r"\b(?i:with\s+(?:encrypted\s+)?password|password)\s+'([^']{4,})'",
            ]
            .join("|"),
            values::is_flag_value,
        );
        // The data of a secret of Kubernetes, which has any names.
        self.add(
            Rule::Secret,
            ("", "secret"),
            r#"\b(?i:kind)\\*["']?:\s*\\*["']?Secret\b(?s:.*?)\bdata\\*["']?:\s*(?:\{([^{}]*)\}|((?:\n[ \t]+[^\n]*)+))|\b(?:string)?data\\*["']?:\s*(?:\{([^{}]*)\}|((?:\n[ \t]+[^\n]*)+))[^{}]{0,40}?\bkind\\*["']?:\s*\\*["']?Secret\b"#,
            all,
        );
    }

    fn prose(&mut self) {
        let keys = format!("(?i:{})", PASSWORD.join("|"));
        let secrets = r"(?i:secret|token|credentials?|api[ _-]?key|access key|zugangsdaten|geheimnis|schlüssel)";
        let quote = r#"\\*["'“„«`(]?"#;
        let verb = format!(
            r"(?:\s+(?i:{VERBS}|changed|reset|updated|rotated|new|still|from|of|it|currently|temporarily|just|for\s+(?:user\s+|the\s+|account\s+)?[A-Za-z0-9._@-]+|f(?:u|(?u:ü))r\s+[A-Za-z0-9._@-]+|pour\s+[A-Za-z0-9._@-]+|para\s+[A-Za-z0-9._@-]+))"
        );
        self.add_named(
            Rule::Password,
            "",
            &format!(r"(?:{keys}|{secrets}){verb}{{1,4}}:?\s+{quote}([^\s\x22“”„«»`]{{4,}})"),
            values::chosen,
        );
        self.add(
            Rule::Secret,
            ("", "secret|token|credential|key|zugangsdaten|geheimnis|schl"),
            &format!(r"{secrets}\s+{quote}([^\s\x22“”„«»`']{{10,}})"),
            values::is_direct_secret,
        );
        self.add(
            Rule::Secret,
            ("0123456789", "key|secret|token"),
            &format!(r"\b(?i:(?:api|app|access|account|secret|service|master|licen[cs]e)[ _-]?key|secret|token)\s+{quote}([A-Za-z0-9]{{7,40}})\b"),
            values::is_short_key,
        );
        self.add_named(
            Rule::Secret,
            ":",
            &format!(r"(?:{keys}|{secrets})(?:\s+[A-Za-z0-9._-]+){{1,5}}:\s+{quote}([^\s\x22“”„«»`']{{5,}})"),
            |found| values::chosen(found) && !found.value().ends_with(':'),
        );
        self.add(
            Rule::Password,
            ("", "*"),
            r"(?u:密码|密碼|口令|パスワード|비밀번호|암호)(?u:是|为|為|は|는|은)\s*(?:(?u:「([^」\n]{3,})」)|([!-~]{4,}))",
            |found| found.value().contains(char::is_alphanumeric) && values::is_secret_value(found),
        );
        self.add(
            Rule::Secret,
            ("0123456789", "code|digo|pin|pass|cvv|cvc|csc|ssn|social"),
            r"\b(?i:your|ihr|dein|votre|tu|su)\s+(?:[A-Za-z]+\s+)?(?i:code|c(?u:ó)digo|pin|passcode)(?i:\s+(?:is|lautet|ist|est|es))?\s*:?\s+([0-9]{3,4}[ -]?[0-9]{3,4}|[0-9]{4,8})\b|\b((?:[A-Z]-)?[0-9]{4,8})\s+(?i:is\s+(?:your|the))\b[^\n.]{0,30}(?i:code|pin)|\b(?i:pass(?:word|code|phrase|wort))\s+(?i:is|ist|lautet):?\s+([0-9]{4,10})\b|\b(?i:cvv2?|cvc2?|csc)\s*(?i:is|code)?\s*[:=]?\s*([0-9]{3,4})\b|\b(?i:ssn|social security number)[\s:=#]{1,3}([0-9]{3}-?[0-9]{2}-?[0-9]{4})\b",
            all,
        );
        self.add_behind(
            Gate::Password,
            Rule::Password,
            "",
            &format!(r"(?:{keys})\s*[-–—]?\s+{quote}([^\s\x22“”„«»`]{{6,}})"),
            |found| values::chosen(found) && found.value().contains(|c: char| !c.is_alphabetic()),
        );
        self.add(
            Rule::Secret,
            ("0123456789", "^pin|verification|time|security|confirmation|login|sign-in|signin|mfa|2fa|factor|otp|authenticator|recovery|backup|unlock|access|auth|sms|tan"),
            r"(?i:\bpin(?:[ -]?code)?|(?:verification|one[ -]?time|security|confirmation|login|sign-?in|mfa|2fa|two[ -]factor|otp|authenticator|recovery|backup|unlock|access|auth(?:entication)?|sms|tan)(?:[ _-]?(?:pass)?code)?s?|\btan)(?:\s+(?:is|was|ist|lautet|code))?\s*[:=]?\s+([0-9]{3,4}[ -]?[0-9]{3,4}|[0-9]{4,8})\b",
            values::is_code,
        );
        self.add(
            Rule::Secret,
            ("", "phrase|mnemonic|wallet"),
            r"(?i:seed phrase|recovery phrase|mnemonic(?: phrase)?|secret phrase|wallet words)[^\na-z]{1,4}(?i:is:?\s+)?((?:[a-z]{3,16}\s+){11,23}[a-z]{3,16})",
            all,
        );
    }
}

fn all(_: &Found<'_>) -> bool {
    true
}

/// Every place in `text` that a rule takes for a secret; places may overlap.
pub(super) fn spans(text: &str) -> Vec<(Range<usize>, Rule)> {
    let mut spans = Vec::new();
    let mut there = [false; 256];
    text.bytes().for_each(|byte| there[usize::from(byte)] = true);
    let gates = Gates::of(text);
    for pattern in PATTERNS.iter() {
        let needs = pattern.needs.as_bytes();
        if !needs.is_empty() && !needs.iter().any(|byte| there[usize::from(*byte)]) {
            continue;
        }
        if LazyLock::get(&pattern.regex).is_none() && !pattern.gate.is_open(&gates) {
            continue;
        }
        let Some(regex) = &*pattern.regex else { continue };
        for captures in regex.captures_iter(text) {
            let Some(whole) = captures.get(0) else { continue };
            let mut rule = pattern.rule;
            let mut groups = captures.iter().skip(1).flatten();
            let mut group = groups.next();
            if let (Some(other), Some(name)) = (pattern.other, captures.name("secret")) {
                rule = other;
                if group == Some(name) {
                    group = groups.next();
                }
            }
            let value = group.unwrap_or(whole).range();
            let found = Found { text, whole: whole.range(), value: value.clone() };
            if !(pattern.check)(&found) {
                continue;
            }
            // White space around a secret is none, and line breaks stay.
            let trimmed = text[value.clone()].trim_end();
            let end = value.start + without_punctuation(trimmed).len();
            let start = value.start + trimmed.len() - trimmed.trim_start().len();
            if end > start {
                spans.push((start..end, rule));
            }
        }
    }
    spans.extend(armour::spans(text).into_iter().map(|span| (span, Rule::PrivateKey)));
    spans.extend(lists::spans(text, &gates).into_iter().map(|span| (span, Rule::Secret)));
    spans.extend(sentences::spans(text, &gates).into_iter().map(|span| (span, Rule::Password)));
    spans.extend(phrases::spans(text, &gates).into_iter().map(|span| (span, Rule::Password)));
    spans.extend(chance::spans(text).into_iter().map(|span| (span, Rule::Random)));
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
