//! Tokens that their makers made to be recognised.

/// Shapes that begin at a word boundary.
pub(super) const TOKENS: &[&str] = &[
    // Clouds.
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA|APKA|ASCA)[A-Z0-9]{12,}\b",
    r"AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z_.-]{10,}|GOCSPX-[0-9A-Za-z_-]{16,}|GOOG[0-9A-Z]{16,}",
    r"[14]/(?:/0|0A)[0-9A-Za-z_-]{16,}|APA91b[0-9A-Za-z_-]{20,}|6L[0-9A-Za-z_-]{38}\b",
    r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{30,}|[A-Za-z0-9+/]{20,}(?:AzF[uS]|ASt|AzCa|AIoT|\+ARm|APIM)[A-Za-z0-9+/=]{4,}",
    r"LTAI[A-Za-z0-9]{12,}|AKID[A-Za-z0-9]{13,}|AQVN[A-Za-z0-9_-]{30,}|y[0-3]_[A-Za-z0-9_-]{30,}|t1\.[A-Z0-9a-z_-]{20,}",
    r"do[opr]_v1_[a-f0-9]{20,}|SCW[A-Z0-9]{17}\b|HRKU-[A-Za-z0-9_-]{20,}|v1\.0-[a-f0-9]{20,}-[a-f0-9]{20,}",
    // Code and packages.
    r"gh[pousr]_[A-Za-z0-9_]{10,}|github_pat_[A-Za-z0-9_]{16,}|v1\.[0-9a-f]{40}\b",
    r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|agent|oas|imt|ffct|wt)-[A-Za-z0-9_.-]{12,}|GR1348941[A-Za-z0-9_-]{16,}",
    r"npm_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_-]{16,}|rubygems_[a-f0-9]{20,}|oy2[a-z0-9]{43}|cio[A-Za-z0-9]{32}\b|CLOJARS_[a-z0-9]{20,}|packagist_[a-z_]*[A-Za-z0-9]{20,}",
    r"dckr_[a-z]{2,4}_[A-Za-z0-9_-]{16,}|AKCp[A-Za-z0-9]{10,}|cmVmdGtu[A-Za-z0-9+/=]{10,}|CC[IP]{2}(?:AT|RJ)_[A-Za-z0-9_-]{10,}|sq[upa]_[a-f0-9]{20,}|bkua_[a-f0-9]{20,}|sgp_[A-Za-z0-9_]{20,}",
    r"AT(?:ATT3|BB|CTT3|OA)[A-Za-z0-9_=-]{16,}|ATTA[a-f0-9]{30,}|PMAK-[A-Za-z0-9-]{20,}",
    // Talk.
    r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{6,}|xapp-[A-Za-z0-9-]{10,}|mfa\.[A-Za-z0-9_-]{20,}",
    r"[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{25,}|[0-9]{8,10}:AA[A-Za-z0-9_-]{20,}",
    r"hooks\.slack(?:-gov)?\.com/[a-z]+/[A-Za-z0-9/_-]+|discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[A-Za-z0-9/_-]+",
    r"[a-z0-9.-]*webhook\.office\.com/[A-Za-z0-9@/_-]+|hooks\.zapier\.com/hooks/[A-Za-z0-9/_-]+|maker\.ifttt\.com/trigger/[A-Za-z0-9/_-]+|events\.pagerduty\.com/integration/[A-Za-z0-9/_-]+",
    r"open\.(?:feishu|larksuite)\.(?:cn|com)/open-apis/bot/[A-Za-z0-9/_-]+|api\.telegram\.org/(?:file/)?bot[A-Za-z0-9:_-]+",
    // Money.
    r"(?:sk|rk|pk|ak)_(?:live|test|prod)_[A-Za-z0-9]{6,}|whsec_[A-Za-z0-9+/=]{12,}|rzp_(?:live|test)_[A-Za-z0-9]{10,}|shippo_(?:live|test)_[a-f0-9]{20,}",
    r"sq0[a-z]{3}-[A-Za-z0-9_-]{16,}|EAAA[A-Za-z0-9_-]{20,}|EAA[A-Za-z0-9]{40,}|EZ[AT]K[A-Za-z0-9]{40,}|FLW(?:PUB|SEC)K[A-Za-z0-9_-]{12,}|access[_-](?:token\$)?(?:sandbox|production|development)[$-][a-z0-9$-]{20,}",
    r"shp(?:at|ca|pa|ss|tka|ua)_[a-fA-F0-9]{16,}",
    // Mail and messages.
    r"SG\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|(?:SK|AC)[0-9a-f]{32}\b|(?:pub)?key-[0-9a-f]{32}\b|[0-9a-f]{32}-us[0-9]{1,2}\b|xkeysib-[a-f0-9]{20,}[A-Za-z0-9-]*|md-[A-Za-z0-9_-]{22}\b|re_[A-Za-z0-9]{6,12}_[A-Za-z0-9]{16,}|os_v2_[a-z]+_[a-z0-9]{20,}",
    // Models.
    r"sk-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}|api_org_[A-Za-z0-9]{16,}|r8_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}|pplx-[A-Za-z0-9]{20,}|lsv2_[a-z]{2}_[a-z0-9_]{20,}|pcsk_[A-Za-z0-9_]{20,}|nvapi-[A-Za-z0-9_-]{20,}",
    // Running and watching.
    r"hv[sbr]\.[A-Za-z0-9_-]{16,}|s\.[A-Za-z0-9]{24}\b|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{20,}|pul-[a-f0-9]{20,}|dp\.(?:[a-z]+\.)+[A-Za-z0-9_-]{16,}",
    r"dapi[0-9a-f]{24,}(?:-[0-9])?|NR[A-Z]{2}-[A-Za-z0-9]{16,}|[a-f0-9]{36}NRAL|gl(?:sa|c)_[A-Za-z0-9_=+/]{16,}|sntry[a-z]_[A-Za-z0-9+/=_-]{16,}|dt0[a-z][0-9]{2}\.[A-Z0-9]{20,}(?:\.[A-Z0-9]{20,})?|hc[a-z]ik_[a-z0-9]{20,}|ph[cx]_[A-Za-z0-9]{20,}",
    r"fo1_[A-Za-z0-9_-]{16,}|fm[12][a-z]?_[A-Za-z0-9+/=_,-]{16,}|sbp_[a-z0-9]{16,}|sb_(?:secret|publishable)_[A-Za-z0-9_-]{12,}|pscale_[a-z]+_[A-Za-z0-9=._-]{16,}|nfp_[A-Za-z0-9]{16,}|rnd_[A-Za-z0-9]{16,}|napi_[a-z0-9]{16,}|tskey-[a-z]+-[A-Za-z0-9-]{10,}|(?:sdk|mob|api)-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}",
    // Offices.
    r"lin_(?:api|oauth)_[A-Za-z0-9]{16,}|ntn_[A-Za-z0-9]{20,}|secret_[A-Za-z0-9]{32,}|fig[a-z]_[A-Za-z0-9_-]{16,}|pat[A-Za-z0-9]{14}\.[a-f0-9]{20,}|pat-[a-z]{2}[0-9]-[0-9a-f-]{30,}|tfp_[A-Za-z0-9_-]{20,}|CFPAT-[A-Za-z0-9_-]{20,}|00D[A-Za-z0-9]{12,15}![A-Za-z0-9._]{20,}|sl\.[A-Za-z0-9_-]{40,}|[0-9]/[0-9]{10,}(?:/[0-9]{10,})?:[0-9a-f]{20,}",
    r"AGE-(?:SECRET-KEY|PLUGIN-[A-Z0-9]+)-1[A-Z0-9]{20,}|A3-[A-Z0-9]{6}(?:-[A-Z0-9]{5,11}){4,}|xprv[A-Za-z0-9]{40,}|(?:lsk|tvly|fc|waka|figma|duffel|rdme|doppler|akab|p8e|s8e)[-_][A-Za-z0-9_-]{20,}",
    r"[a-z0-9.-]*outlook\.office(?:365)?\.com/webhook/[A-Za-z0-9@/_-]+|hc-ping\.com/[0-9a-f-]{36}",
    // Hashes of passwords.
    r"krb5[a-z]+\$[^\s\x22']+|(?:sha1|sha256|sha512|md5)[:$][0-9]+[:$][A-Za-z0-9+/=]+[:$][A-Za-z0-9+/=]{8,}",
    r"(?:scram-sha-(?:1|256)|SCRAM-SHA-(?:1|256)|pbkdf2[_a-z0-9:-]*|bcrypt(?:_sha256)?|scrypt|argon2)[$:][A-Za-z0-9+/=$:.,-]{12,}",
];

/// Shapes that begin with a sign.
pub(super) const SIGNED: &[&str] = &[
    r"\$(?:2[abxy]?|1|5|6|7|8|9|14|y|gy|apr1|P|H|S|md5|sha1|argon2(?:id|i|d)|scrypt|bcrypt[a-z0-9-]*|pbkdf2[a-z0-9-]*)\$[A-Za-z0-9./$=,+-]{8,}",
    r"\{(?i:S?SHA(?:256|384|512)?|S?MD5|CRYPT|PBKDF2[A-Z0-9_-]*|ARGON2[A-Z]*|BCRYPT)\}[A-Za-z0-9+/=$.,]{8,}",
    r"\$ANSIBLE_VAULT;[0-9.]+;AES256[^\n]*\n?[0-9a-f\s]*",
    r"(?:^|[\s:='\x22(])\*[0-9A-F]{40}\b",
];
