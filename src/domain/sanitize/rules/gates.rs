//! What a text must hold to match a pattern, in plain words: a pattern that no text may match is
//! not compiled, and compiled patterns would be most of what a console has in memory.
//!
//! Words are separated by `|`. Letters match without regard to case, but a word with a capital
//! letter stands as it is. No letter or digit is before a word that begins with `^`. `*` is any
//! letter that is not Latin, or a blank outside of ASCII.

/// What names of passwords hold.
const PASSWORD: &str = "\
    *|pass|pwd|pswd|^pw|^psw|^p/w|kennw|senord|adgangskode|wachtwoord|salasana|hasl|hasł|hasŁ|^hesl|\
    jelsz|^parol|parool|^senha|palavra|contrase|^clave|mot de|mot_de|mot-de|^mdp|ifre|lozinka|\
    zaporka|geslo|sandi|slapta|^pin";
/// What names of secrets hold, besides the words that follow.
const SECRET: &str = "\
    secret|token|credential|geheimnis|passkey|jwt|^psk|session|sessid|^sid|^otp|^totp|^mfa|\
    ^seed|mnemonic|phrase|assertion|saml|connectionstring|connection_string|connection-string|\
    ^dsn|database_url|database-url|^x-auth|authenticity|csrf|xsrf|requestverification|^sig|hmac|\
    oauth|verifier|nthash|lmhash|^ntlm|^cvv|^cvc|community|webhook|schl|zugangsdaten|clé|clÉ|cle api|\
    cle_api|cle-api|cle secr|cle_secr|cle-secr|clave";
/// What makes a code a secret.
const BEFORE_CODE: &str = "\
    device|auth|authorization|oauth|recovery|backup|verification|time|security|confirmation|\
    login|sign-in|signin|mfa|2fa|authentication|access|reset|unlock|activation|tan|sms";
/// What makes a key a secret.
const BEFORE_KEY: &str = "\
    api|app|application|access|account|auth|private|shared|signing|signature|encryption|\
    decryption|validation|machine|master|session|service|storage|license|licence|subscription|\
    consumer|client|server|deploy|integration|routing|ingest|write|admin|primary|secondary|\
    connection|host|function|webhook|hmac|aes|rsa|ssh|gpg|pgp|cipher|crypto|root|recovery|\
    backup|security|publishable|sas|wep|wpa|wifi|stream|join|unseal|bot|ssl|tls";
/// What tokens begin with, or hold.
const TOKENS: &str = "\
    ^AKIA|^ASIA|^AGPA|^AIDA|^AROA|^AIPA|^ANPA|^ANVA|^ABIA|^ACCA|^APKA|^ASCA|^AIza|^ya29.|\
    ^GOCSPX-|^GOOG|^1//0|^4//0|^1/0A|^4/0A|^APA91b|^6L|Q~|AzFu|AzFS|ASt|AzCa|AIoT|+ARm|APIM|\
    ^LTAI|^AKID|^AQVN|^y0_|^y1_|^y2_|^y3_|^t1.|^doo_v1_|^dop_v1_|^dor_v1_|^SCW|^HRKU-|^v1.|\
    ^ghp_|^gho_|^ghu_|^ghs_|^ghr_|^github_pat_|^glpat-|^gldt-|^glrt-|^glrtr-|^glcbt-|^glptt-|\
    ^glft-|^glsoat-|^glagent-|^gloas-|^glimt-|^glffct-|^glwt-|^GR1348941|^npm_|^pypi-|\
    ^rubygems_|^oy2|^cio|^CLOJARS_|^packagist_|^dckr_|^AKCp|^cmVmdGtu|^CCI|^CCP|^squ_|^sqp_|\
    ^sqa_|^bkua_|^sgp_|^ATATT3|^ATBB|^ATCTT3|^ATOA|^ATTA|^PMAK-|^xox|^xapp-|^mfa.|:AA|\
    ^hooks.slack|^discord|webhook.office.com|^hooks.zapier|^maker.ifttt|^events.pagerduty|\
    ^open.feishu|^open.larksuite|^api.telegram|_live_|_test_|_prod_|^whsec_|^sq0|^EAA|^EZAK|\
    ^EZTK|^FLW|^access_token$|^access-token$|^access_sandbox|^access-sandbox|^access_production|\
    ^access-production|^access_development|^access-development|^shpat_|^shpca_|^shppa_|^shpss_|\
    ^shptka_|^shpua_|^SG.|^SK|^AC|^key-|^pubkey-|-us|^xkeysib-|^md-|^re_|^os_v2_|^sk-|^hf_|\
    ^api_org_|^r8_|^gsk_|^xai-|^pplx-|^lsv2_|^pcsk_|^nvapi-|^hvs.|^hvb.|^hvr.|^s.|.atlasv1.|\
    ^pul-|^dp.|^dapi|^NR|NRAL|^glsa_|^glc_|^sntry|^dt0|^phc_|^phx_|^fo1_|^fm1|^fm2|^sbp_|^sb_|\
    ^pscale_|^nfp_|^rnd_|^napi_|^tskey-|^sdk-|^mob-|^api-|^lin_|^ntn_|^secret_|^fig|^pat|^tfp_|\
    ^CFPAT-|^00D|^sl.|^0/|^1/|^2/|^3/|^4/|^5/|^6/|^7/|^8/|^9/|^AGE-|^A3-|^xprv|outlook.office|\
    ^hc-ping|^sha1:|^sha1$|^sha256:|^sha256$|^sha512:|^sha512$|^md5:|^md5$|scram-sha-|^pbkdf2|\
    ^bcrypt|^scrypt|^argon2|ik_|^lsk-|^lsk_|^tvly-|^tvly_|^fc-|^fc_|^waka-|^waka_|^figma-|\
    ^figma_|^duffel-|^duffel_|^rdme-|^rdme_|^doppler-|^doppler_|^akab-|^akab_|^p8e-|^p8e_|^s8e-|\
    ^s8e_";
/// What the shortest token has in one piece, in bytes.
const SHORTEST_TOKEN: usize = 11;
/// Some tokens have no words, but so many bytes.
const LONGEST: usize = 55;

/// A text that is looked at.
pub(in super::super) struct Gates<'a> {
    text: &'a str,
    lower: String,
    /// Whether it has what `*` stands for.
    foreign: bool,
}

impl<'a> Gates<'a> {
    pub(in super::super) fn of(text: &'a str) -> Self {
        let foreign = text.chars().any(|c| !c.is_ascii() && (c.is_whitespace() || is_foreign(c)));
        Self { text, lower: text.to_ascii_lowercase(), foreign }
    }

    /// Whether one of `words` is there.
    pub(in super::super) fn has(&self, words: &str) -> bool {
        words.split('|').any(|word| match word {
            "*" => self.foreign,
            _ => holds(self.text, &self.lower, word),
        })
    }

    /// Whether there may be a name of a password.
    pub(in super::super) fn password(&self) -> bool {
        self.has(PASSWORD)
    }

    /// Whether there may be a name of a password or of a secret.
    pub(in super::super) fn named(&self) -> bool {
        self.password()
            || self.has(SECRET)
            || self.follows("code", BEFORE_CODE)
            || self.follows("key", BEFORE_KEY)
    }

    /// Whether there may be a token that its maker made to be recognised.
    pub(in super::super) fn token(&self) -> bool {
        let piece = |piece: &str| {
            let lower = piece.to_ascii_lowercase();
            piece.len() >= LONGEST || TOKENS.split('|').any(|word| holds(piece, &lower, word))
        };
        self.text.contains("krb5")
            || self
                .text
                .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
                .filter(|piece| piece.len() >= SHORTEST_TOKEN)
                .any(piece)
    }

    /// Whether `word` is there with one of `before` in front of it.
    fn follows(&self, word: &str, before: &str) -> bool {
        self.lower.match_indices(word).any(|(at, _)| {
            let front = &self.lower[..at];
            let front = front.strip_suffix([' ', '_', '-']).unwrap_or(front);
            before.split('|').any(|before| front.ends_with(before))
        })
    }
}

/// Whether a letter is not Latin, or has the case of one that is of ASCII.
fn is_foreign(c: char) -> bool {
    (c >= '\u{250}' || c == 'ſ') && c.is_alphanumeric()
}

fn holds(text: &str, lower: &str, word: &str) -> bool {
    let (word, starts) = word.strip_prefix('^').map_or((word, false), |word| (word, true));
    let text = if word.bytes().any(|byte| byte.is_ascii_uppercase()) { text } else { lower };
    text.match_indices(word)
        .any(|(at, _)| !starts || !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use proptest::strategy::{Strategy as _, ValueTree as _};
    use proptest::string::string_regex;
    use proptest::test_runner::TestRunner;

    use super::super::{Gate, PATTERNS, keys, makers};
    use super::*;

    #[test]
    fn fr_007_013_a_text_that_a_list_of_shapes_matches_is_let_through() {
        let mut runner = TestRunner::deterministic();
        let mut check = |shapes: &[&str], gate: Gate| {
            for shape in shapes {
                let texts = string_regex(&shape.replace(r"\b", "")).unwrap();
                for _ in 0..200 {
                    let text = texts.new_tree(&mut runner).unwrap().current();
                    let text = format!("a {text}");
                    assert!(gate.is_open(&Gates::of(&text)), "{text:?} of {shape}");
                }
            }
        };
        check(keys::PASSWORD, Gate::Password);
        check(keys::SECRET, Gate::Named);
        check(makers::TOKENS, Gate::Token);
    }

    #[test]
    fn fr_007_013_a_text_that_a_pattern_matches_opens_its_gate() {
        let mut runner = TestRunner::deterministic();
        let mut made = 0;
        for pattern in PATTERNS.iter() {
            let regex = pattern.regex.as_ref().expect("it compiles");
            let shape = regex.as_str().replace(r"\b", "").replace(r"\z", "");
            // Not every shape can be made texts of.
            let Ok(texts) = string_regex(&shape) else { continue };
            let all = (0..60).map(|_| texts.new_tree(&mut runner).unwrap().current());
            // What stands at the edge of a word matters to some.
            for text in all.filter(|text| regex.is_match(text)) {
                made += 1;
                assert!(pattern.gate.is_open(&Gates::of(&text)), "{text:?} of {shape}");
            }
        }
        assert!(made > 1_000, "{made} texts");
    }

    #[test]
    fn fr_007_013_ordinary_messages_compile_no_pattern() {
        for text in [
            "403 Forbidden: the application lacks DeviceManagementConfiguration.Read.All",
            "consent of the provider connection has expired; the directory answered 401 invalid_grant",
            "throttled while reading device configurations, page 27",
            "item 37: displayName is longer than 256 characters",
            "429 after 22 calls within one minute; the limit of the tenant is used up",
            "the database refused the statement (SQLSTATE 23514, constraint runs_check)",
            "Größe von Müller & Söhne wurde nicht gelesen: no answer within 30 s",
        ] {
            let gates = Gates::of(text);
            let open = PATTERNS.iter().filter(|pattern| {
                let needs = pattern.needs;
                needs.is_empty() || text.contains(|c| needs.contains(c))
            });
            let open = open.filter(|pattern| pattern.gate.is_open(&gates)).count();
            // Digits in groups have no words.
            assert!(open <= 2, "{open}: {text}");
        }
    }
}
