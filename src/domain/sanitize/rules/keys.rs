//! The words that make what follows them a secret, as parts of patterns.

/// Names of passwords, in the languages of the people who write them into tickets.
pub(super) const PASSWORD: &[&str] = &[
    r"pass(?:[ _-]?word|wd|wort|[ _-]?phrase|code|ord)",
    r"(?:\b|_)pass(?:e?)",
    r"pwd|pswd|passw|(?:\b|_)pw|(?:\b|_)psw|(?:\b|_)p/w",
    r"kennwort|l(?:oe|o|(?u:ö))senord|adgangskode|wachtwoord|salasana(?:n|si|nne)?|has(?:l|(?u:ł))(?:o|a|em)|(?:\b|_)hesl(?:o|a|em)",
    r"jelsz(?:o|(?u:ó)|ava)|(?:\b|_)parol(?:a(?:s(?:i|(?u:ı)))?|(?u:ă)|e)|(?:\b|_)senha|palavra[ -]passe|contrase(?:n|(?u:ñ)|nh)a|(?:\b|_)clave",
    r"mot[ _-]de[ _-]passe|(?:\b|_)mdp|(?:(?u:ş)|\bs|_s)ifre(?:si|niz|miz|m|n|yi)?|lozinka|zaporka|geslo|kata[ _-]sandi|parool|slapta(?:z|(?u:ž))odis|(?u:mật khẩu)",
    r"(?u:(?:П|п)арол(?:ь|я|ю|ем|а|и)|ПАРОЛ(?:Ь|А)|(?:Л|л)озинка|(?:К|κ|Κ)ωδικ(?:ός|ό|ού)(?: πρόσβασης)?|ΚΩΔΙΚΟΣ|σύνθημα|סיסמ(?:ה|א|ת)|كلمة (?:المرور|السر)|رمز عبور|密码|密碼|口令|暗証番号|パスワード|パスフレーズ|ハスワート|비밀번호|패스워드|암호|पसवरड|รหสผาน)",
    r"(?:\b|_)pin(?:[ _-]?code)?",
];

/// Names of secrets, keys and tokens.
pub(super) const SECRET: &[&str] = &[
    r"secret|token|credentials?|geheimnis|passkey|jwt",
    r"(?:api|app|application|access|account|auth|private|shared|pre[ _-]?shared|signing|signature|encryption|decryption|validation|machine|master|session|service|storage|license|licence|subscription|consumer|client|server|deploy|integration|routing|ingest|write|admin|primary|secondary|connection|host|function|webhook|hmac|aes|rsa|ssh|gpg|pgp|cipher|crypto|root|recovery|backup|security|publishable|sas|wep|wpa|wifi|stream|join|unseal|bot|(?:\b|_)ssl|tls)[ _-]?key(?:[ _-]?(?:id|data|material|pair))?",
    r"(?:\b|_)psk|session[_-]?(?:id|cookie)|(?:\b|_)session|sessid|jsessionid|phpsessid|sessionid|connect\.sid|(?:\b|_)sid",
    r"(?:\b|_)otp|(?:\b|_)totp|(?:\b|_)mfa[_-]?(?:seed|key)|(?:otp|totp|mfa|2fa|authenticator)[ _-]seed|(?:\b|_)seed(?:[ _-]?(?:key|phrase))?|mnemonic|recovery[ _-]phrase",
    r"client[_-]?assertion|saml[_-]?(?:response|request|assertion|art)|(?:\b|_)assertion",
    r"connection[_-]?string|(?:\b|_)dsn|database[_-]url|(?:\b|_)x-auth|authenticity|csrf|xsrf|requestverification",
    r"(?:\b|_)sig|(?:\b|_)signature|hmac|oauth[_-]?(?:verifier|signature|code)|code[_-]?verifier|(?:device|auth(?:orization)?|oauth)[_-]?code",
    r"(?:recovery|backup|verification|one[ -]?time|security|confirmation|login|sign-?in|mfa|2fa|auth(?:entication)?|access|reset|unlock|activation|tan|sms)[ _-]?codes?",
    r"(?:\b|_)nthash|(?:\b|_)lmhash|(?:\b|_)ntlm[_-]?hash|(?:\b|_)cvv2?|(?:\b|_)cvc2?|community[ _-]string|snmp[ _-]community|webhook[ _-]?url|authkey",
    r"schl(?:ue|(?u:ü))ssel(?:wort)?|zugangsdaten|(?u:秘密|密钥|密鑰|シークレット|секрет|ключ доступа)|cl(?:e|(?u:é))[ _-](?:api|secr(?:e|(?u:è))te)|clave[ _-]?(?:api|secreta)",
];

/// What may follow such a word and still belong to the name.
pub(super) const SUFFIX: &str = r"s?(?:[ _.-]?(?:[0-9]{1,3}|base|value|plain|text|plaintext|hash|digest|salt|b64|base64|encoded|encrypted|old|new|current|confirm|confirmation|again|repeat|key|field|param|header|prod|production|dev|test|staging|primary|secondary|main|default)){0,2}(?:\([A-Za-z0-9 _-]{1,30}\)|\[[0-9]{0,3}\])?";

/// Words before a value in prose, `is`, `lautet`.
pub(super) const VERBS: &str = r"is|was|are|be|will be|has been|now|lautet|lauten|ist|war|est|es|era|(?u:è|é)|on|jest|to|as|set to|changed to|reset to|with|using|equals|reads|becomes|used";
