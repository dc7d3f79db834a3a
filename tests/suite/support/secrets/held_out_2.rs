//! The second half of the held-out shapes.

use super::{ALNUM, B64, BASE32, Corpus, DIGIT, HEX, LOWER, UPPER, URL64, armour, b64, url64};

/// The shapes that do not hang on one maker's token.
pub(super) fn more(c: &mut Corpus) {
    tokens(c);
    keys(c);
    databases(c);
    brokers(c);
    headers(c);
    sessions(c);
    oauth(c);
    hashes(c);
    webhooks(c);
    files(c);
    kube(c);
    signed(c);
    configs(c);
    dumps(c);
    commands(c);
    prose(c);
    foreign(c);
    people(c);
}

#[rustfmt::skip]
fn tokens(c: &mut Corpus) {
    let (body, sign, jwt) = c.jwt(
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"sub\":\"8841\",\"name\":\"K. Brandt\",\"role\":\"admin\",\"exp\":1767225600}", 43);
    c.put("jwt", "in an exception", &[&body, &sign], format!(
        "io.jsonwebtoken.ExpiredJwtException: JWT expired 3120 ms ago. Token: {jwt}"));
    let (body, sign, jwt) = c.jwt(
        "{\"kid\":\"k-2024\",\"alg\":\"RS256\"}",
        "{\"iss\":\"https://id.acme.example/\",\"aud\":\"till\",\"scope\":\"orders:write\"}", 342);
    c.put("jwt", "in a query", &[&body, &sign], format!(
        "WebSocket connection to 'wss://live.acme.example/feed?jwt={jwt}&v=3' failed"));
    let (body, sign, jwt) = c.jwt(
        "{\"typ\":\"JWT\",\"alg\":\"ES256\"}", "{\"uid\":77120,\"tenant\":\"north\"}", 86);
    c.put("jwt", "local storage dump", &[&body, &sign], format!(
        "localStorage = {{\"theme\":\"dark\",\"id_token\":\"{jwt}\",\"lang\":\"de\"}}"));
    let parts = [342, 16, 254, 22].map(|len| c.any(URL64, len));
    let head = url64("{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"}");
    let jwe = parts.join(".");
    c.put("jwt", "encrypted", &[&parts[0], &parts[2]], format!("cannot decrypt token {head}.{jwe}"));
}

#[rustfmt::skip]
fn keys(c: &mut Corpus) {
    let (one, two, end) = (c.any(B64, 60), c.any(B64, 64), c.any(B64, 43));
    let tail = format!("{end}=");
    let pem = armour("RSA ", &[&format!("MIIE{one}"), &two, &tail], "\n");
    c.put("private-key", "rsa", &[&one, &two, &end], format!("nginx: cannot load key:\n{pem}\n"));
    let (one, two, end) = (c.any(B64, 50), c.any(B64, 70), c.any(B64, 38));
    let pem = armour("OPENSSH ", &[&format!("b3BlbnNzaC1rZXktdjEA{one}"), &two, &end], "\n");
    c.put("private-key", "openssh in a chat", &[&one, &two, &end], format!(
        "hier der deploy key, bitte eintragen\n{pem}\ndanke!"));
    let (one, end) = (c.any(B64, 60), c.any(B64, 55));
    let pem = armour("EC ", &[&format!("MHcC{one}"), &end], "\\n");
    c.put("private-key", "ec, one escaped line", &[&one, &end], format!("JWT_SIGNING_KEY=\"{pem}\\n\""));
    let (one, end) = (c.any(B64, 64), c.any(B64, 64));
    let pem = armour("ENCRYPTED ", &[&one, &end], "\n    ");
    c.put("private-key", "encrypted, indented yaml", &[&one, &end], format!(
        "tls:\n  key: |\n    {pem}\n  cert: /etc/tls/till.pem\n"));
    let (one, end) = (c.any(B64, 64), c.any(B64, 64));
    c.put("private-key", "pgp block", &[&one, &end], format!(
        "-----{0} PGP {1} KEY BLOCK-----\nVersion: GnuPG v2\n\n{one}\n{end}\n=aB3d\n-----END PGP {1} KEY BLOCK-----",
        "BEGIN", "PRIVATE"));
    let key = c.any(B64, 43);
    c.put("private-key", "wireguard", &[&key], format!(
        "[Interface]\nAddress = 10.8.0.4/32\nPrivateKey = {key}=\nDNS = 10.8.0.1\n"));
    let (one, end) = (c.any(B64, 64), c.any(B64, 48));
    c.put("private-key", "putty", &[&one, &end], format!(
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: ops\n{}-Lines: 2\n{one}\n{end}\n",
        "Private"));
    let (d, p) = (c.any(URL64, 342), c.any(URL64, 171));
    c.put("private-key", "json web key", &[&d, &p], format!(
        "{{\"kty\":\"RSA\",\"kid\":\"sig-1\",\"e\":\"AQAB\",\"d\":\"{d}\",\"p\":\"{p}\"}}"));
}

#[rustfmt::skip]
fn databases(c: &mut Corpus) {
    let pw = c.any(ALNUM, 18);
    c.put("database", "postgres url", &[&pw], format!(
        "sqlalchemy.exc.OperationalError: postgresql+psycopg2://till:{pw}@db-3.acme.example:5432/till"));
    let pw = "Harbour!Lantern42";
    c.put("database", "ado.net", &[pw], format!(
        "Connection failed: Server=tcp:sql01,1433;Initial Catalog=Ledger;User ID=ledger_rw;\
         Password={pw};Encrypt=True;Connection Timeout=30;"));
    let pw = "n0rdlicht_Kombi";
    c.put("database", "ado.net, short key", &[pw], format!(
        "Data Source=SQL02;Database=Stock;Uid=stock;Pwd={pw};MultipleActiveResultSets=true"));
    let pw = "Gr8tBarrier.Reef";
    c.put("database", "jdbc mysql query", &[pw], format!(
        "java.sql.SQLException: Access denied [jdbc:mysql://10.2.0.8:3306/shop?user=shop&password={pw}&useSSL=true]"));
    let pw = c.any(ALNUM, 14);
    c.put("database", "jdbc oracle thin", &[&pw], format!("url=jdbc:oracle:thin:billing/{pw}@//ora1.acme.example:1521/BILL"));
    let pw = "Winter2024#Erp";
    c.put("database", "jdbc sqlserver", &[pw], format!(
        "jdbc:sqlserver://erp-db:1433;databaseName=erp;user=erp_app;password={pw};encrypt=false"));
    let pw = "q7;Tannenzapfen";
    c.put("database", "odbc with braces", &["Tannenzapfen"], format!(
        "Driver={{ODBC Driver 18 for SQL Server}};Server=dw;UID=loader;PWD={{{pw}}};TrustServerCertificate=yes"));
    let pw = "Okt0berfest wiesn";
    c.put("database", "libpq, quoted", &["Okt0berfest", pw], format!(
        "psycopg.connect(\"host=db1 port=5432 dbname=crm user=crm password='{pw}' sslmode=require\")"));
    let pw = c.any(ALNUM, 22);
    c.put("database", "mongodb+srv", &[&pw], format!(
        "MongoServerError: bad auth for mongodb+srv://catalog:{pw}@cluster0.x1y2z.mongodb.net/?retryWrites=true"));
    let pw = format!("{}%40{}%2F", c.any(ALNUM, 7), c.any(ALNUM, 7));
    c.put("database", "percent-encoded mysql url", &[&pw], format!("DATABASE_URL=\"mysql://web:{pw}@mariadb:3306/web\""));
    let pw = c.any(URL64, 20);
    c.put("database", "django settings", &[&pw], format!(
        "DATABASES = {{'default': {{'ENGINE': 'django.db.backends.mysql', 'USER': 'cms', 'PASSWORD': '{pw}', 'HOST': 'db'}}}}"));
    let pw = c.any(ALNUM, 16);
    c.put("database", "snowflake url", &[&pw], format!("snowflake://ETL_USER:{pw}@ab12345.eu-central-1/RAW?warehouse=WH_ETL"));
}

#[rustfmt::skip]
fn brokers(c: &mut Corpus) {
    let pw = c.any(ALNUM, 32);
    c.put("broker", "redis without a user", &[&pw], format!("redis.exceptions.ConnectionError: redis://:{pw}@cache-1:6379/0"));
    let pw = c.any(ALNUM, 48);
    c.put("broker", "redis conf", &[&pw], format!("redis.conf line 3\nrequirepass {pw}\nmaxmemory 2gb"));
    let pw = "hoppla-Hase-9";
    c.put("broker", "stackexchange redis", &[pw], format!("cache.acme.example:6380,password={pw},ssl=True,abortConnect=False"));
    let pw = c.any(ALNUM, 20);
    c.put("broker", "amqps", &[&pw], format!("kombu: Cannot connect to amqps://worker:{pw}@mq.acme.example:5671/prod: timed out"));
    let pw = c.any(B64, 64);
    c.put("broker", "kafka jaas", &[&pw], format!(
        "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=\"ETL7\" password=\"{pw}\";"));
    let pw = "Moewe_am_Kai_3";
    c.put("broker", "ldap bind flag", &[pw], format!("ldapsearch -x -D cn=svc,dc=acme,dc=example -w {pw} -b dc=acme"));
    let pw = c.any(ALNUM, 15);
    c.put("broker", "sftp url", &[&pw], format!("lftp: sftp://bankfile:{pw}@sftp.bank.example:2222/out: Login failed"));
}

#[rustfmt::skip]
fn headers(c: &mut Corpus) {
    let token = c.any(URL64, 43);
    c.put("bearer", "curl verbose", &[&token], format!(
        "> GET /v2/orders HTTP/1.1\n> Host: api.acme.example\n> Authorization: Bearer {token}\n> Accept: */*\n< HTTP/1.1 401"));
    let token = c.any(ALNUM, 40);
    c.put("bearer", "axios dump", &[&token], format!(
        "AxiosError {{ config: {{ headers: {{ Accept: 'application/json', Authorization: 'Bearer {token}' }}, method: 'post' }} }}"));
    let token = c.any(HEX, 48);
    c.put("bearer", "go header map", &[&token], format!("req.Header=map[Accept:[*/*] Authorization:[Bearer {token}] User-Agent:[till/2.1]]"));
    let token = c.any(ALNUM, 36);
    c.put("bearer", "python tuples", &[&token], format!("headers=[('Host', 'api'), ('Authorization', 'Bearer {token}'), ('Accept', '*/*')]"));
    let token = c.any(ALNUM, 64);
    c.put("bearer", "php server variable", &[&token], format!("[HTTP_HOST] => shop\n[HTTP_AUTHORIZATION] => Bearer {token}\n"));
    let basic = b64("deploy:Kastanie.Allee.12");
    c.put("basic", "header", &[&basic], format!("authorization: Basic {basic}\naccept-encoding: gzip"));
    let basic = b64("svc-proxy:Fluss#ufer88");
    c.put("basic", "proxy header in json", &[&basic], format!("{{\"Proxy-Authorization\": \"Basic {basic}\", \"Via\": \"1.1 squid\"}}"));
    let basic = b64("api:Sieben&Zwerge7");
    c.put("basic", "escaped json", &[&basic], format!("log={{\"msg\":\"{{\\\"headers\\\":{{\\\"Authorization\\\":\\\"Basic {basic}\\\"}}}}\"}}"));
    let (response, nonce) = (c.any(HEX, 32), c.any(HEX, 32));
    c.put("digest", "header", &[&response], format!(
        "Authorization: Digest username=\"cam\", realm=\"IPC\", nonce=\"{nonce}\", uri=\"/live\", response=\"{response}\", qop=auth"));
    let key = c.any(ALNUM, 32);
    c.put("api-key", "x-api-key", &[&key], format!("curl -sS -H 'X-API-Key: {key}' https://rates.example/v1/latest"));
    let key = c.any(HEX, 32);
    c.put("api-key", "ocp-apim", &[&key], format!("Ocp-Apim-Subscription-Key: {key}\nHTTP/1.1 401 Access Denied"));
    let key = c.any(HEX, 32);
    c.put("api-key", "query parameter", &[&key], format!("GET http://api.weather.example/data/2.5/forecast?q=Kassel&appid=7&api_key={key}&units=metric: 429"));
    let key = c.any(ALNUM, 40);
    c.put("api-key", "har entry", &[&key], format!("{{\"name\": \"x-auth-token\", \"value\": \"{key}\"}}, {{\"name\": \"accept\", \"value\": \"*/*\"}}"));
    let pw = "Biene+Maja1976";
    c.put("url-auth", "https", &[pw], format!("wget https://mirror:{pw}@dl.acme.example/pkg/till-2.1.tgz: 401 Unauthorized"));
    let pw = c.any(ALNUM, 12);
    c.put("url-auth", "proxy variable", &[&pw], format!("https_proxy=http://svc-build:{pw}@proxy.acme.example:3128 npm ci"));
    let pw = "kamera-Sued-4";
    c.put("url-auth", "rtsp", &[pw], format!("ffmpeg: rtsp://admin:{pw}@192.168.4.20:554/h264: Server returned 401"));
}

#[rustfmt::skip]
fn sessions(c: &mut Corpus) {
    let (sid, csrf) = (c.any(LOWER, 32), c.any(ALNUM, 64));
    c.put("cookie", "request", &[&sid, &csrf], format!("Cookie: lang=de; sessionid={sid}; csrftoken={csrf}; theme=dark"));
    let sid = c.any(URL64, 64);
    c.put("cookie", "set-cookie, connect", &[&sid], format!("Set-Cookie: connect.sid=s%3A{sid}; Path=/; HttpOnly; SameSite=Lax"));
    let sid = c.any(UPPER, 32);
    c.put("cookie", "jsessionid in a path", &[&sid], format!("GET /portal/cart.do;jsessionid={sid}?step=2 500"));
    let sid = c.any(LOWER, 26);
    c.put("cookie", "curl flag", &[&sid], format!("curl 'https://erp.acme.example/list' -b 'PHPSESSID={sid}; lang=de'"));
    let sid = c.any(URL64, 180);
    c.put("cookie", "asp.net", &[&sid], format!("set-cookie: .AspNetCore.Identity.Application=CfDJ8{sid}; path=/; secure; httponly"));
    let sid = c.any(ALNUM, 60);
    c.put("cookie", "netscape jar", &[&sid], format!("# Netscape HTTP Cookie File\n.acme.example\tTRUE\t/\tTRUE\t1767225600\tauth_session\t{sid}\n"));
    let sid = c.any(HEX, 40);
    c.put("cookie", "json context", &[&sid], format!("{{\"user\": 81, \"session_id\": \"{sid}\", \"path\": \"/checkout\"}}"));
}

#[rustfmt::skip]
fn oauth(c: &mut Corpus) {
    let code = c.any(URL64, 44);
    c.put("oauth", "callback code", &[&code], format!("GET /oauth/callback?code={code}&state=xyz HTTP/1.1 500 in 31 ms"));
    let (secret, token) = (c.any(ALNUM, 40), c.any(URL64, 64));
    c.put("oauth", "form body", &[&secret, &token], format!(
        "POST /token\n\ngrant_type=refresh_token&client_id=till&client_secret={secret}&refresh_token={token}"));
    let (access, refresh) = (c.any(URL64, 48), c.any(URL64, 48));
    c.put("oauth", "token reply", &[&access, &refresh], format!(
        "{{\"access_token\":\"{access}\",\"token_type\":\"bearer\",\"expires_in\":3600,\"refresh_token\":\"{refresh}\"}}"));
    let token = c.any(ALNUM, 50);
    c.put("oauth", "implicit fragment", &[&token], format!("redirected to https://app.acme.example/#access_token={token}&token_type=bearer"));
    let (verifier, code) = (c.any(URL64, 64), c.any(ALNUM, 32));
    c.put("oauth", "pkce", &[&verifier, &code], format!("grant_type=authorization_code&code={code}&code_verifier={verifier}"));
    let (sign, token) = (c.any(B64, 27), c.any(ALNUM, 42));
    c.put("oauth", "oauth 1", &[&token], format!(
        "Authorization: OAuth oauth_consumer_key=\"shop\", oauth_token=\"{token}\", oauth_signature=\"{sign}%3D\""));
    let one = b64(&format!("<saml2p:Response ID=\"_{}\"><saml2:Assertion>", c.any(HEX, 40)));
    let two = c.any(B64, 300);
    c.put("saml", "posted form", &[&one, &two], format!("POST /saml/acs body: SAMLResponse={one}{two}&RelayState=%2Fhome"));
    let (value, id) = (c.any(B64, 171), c.any(HEX, 32));
    c.put("saml", "assertion", &[&value], format!(
        "<saml:Assertion ID=\"_{id}\"><ds:SignatureValue>{value}=</ds:SignatureValue></saml:Assertion>"));
    let token = c.any(HEX, 40);
    c.put("reset-link", "password reset", &[&token], format!("mail body: https://shop.acme.example/password/reset?token={token}&lang=de"));
    let token = c.any(URL64, 43);
    c.put("reset-link", "magic link", &[&token], format!("Sign in with this link: https://app.acme.example/login/magic?login_token={token}"));
}

#[rustfmt::skip]
fn hashes(c: &mut Corpus) {
    let hash = c.any(ALNUM, 53);
    c.put("hash", "bcrypt row", &[&hash], format!("DETAIL: Failing row contains (17, meier, $2b$12${hash}, t)."));
    let (salt, hash) = (c.any(B64, 22), c.any(B64, 43));
    c.put("hash", "argon2id", &[&hash], format!("verify failed for $argon2id$v=19$m=65536,t=3,p=4${salt}${hash}"));
    let (salt, hash) = (c.any(ALNUM, 16), c.any(ALNUM, 86));
    c.put("hash", "shadow line", &[&hash], format!("backup:$6${salt}${hash}:19740:0:99999:7:::"));
    let (salt, hash) = (c.any(ALNUM, 22), c.any(B64, 43));
    c.put("hash", "django pbkdf2", &[&hash], format!("'password': 'pbkdf2_sha256$600000${salt}${hash}='"));
    let (salt, hash) = (c.any(ALNUM, 8), c.any(ALNUM, 22));
    c.put("hash", "htpasswd", &[&hash], format!("/etc/nginx/.htpasswd: ops:$apr1${salt}${hash}"));
    let seed = c.any(BASE32, 32);
    c.put("otp", "otpauth uri", &[&seed], format!("otpauth://totp/Acme:ops?secret={seed}&issuer=Acme&digits=6"));
    let seed = c.any(BASE32, 16);
    c.put("otp", "setup note", &[&seed], format!("2FA for the registrar account, TOTP secret: {seed}"));
    let (one, two) = (format!("{}-{}", c.any(HEX, 5), c.any(HEX, 5)), format!("{}-{}", c.any(HEX, 5), c.any(HEX, 5)));
    c.put("otp", "recovery codes", &[&one, &two], format!("GitHub recovery codes:\n{one}\n{two}\nkeep them safe"));
}

#[rustfmt::skip]
fn webhooks(c: &mut Corpus) {
    let (team, hook, key) = (c.any(UPPER, 8), c.any(UPPER, 10), c.any(ALNUM, 24));
    c.put("webhook", "slack", &[&key], format!("POST https://hooks.{}.com/services/T{team}/B{hook}/{key} -> 404 no_service", "slack"));
    let (id, key) = (c.any(DIGIT, 18), c.any(URL64, 68));
    c.put("webhook", "discord", &[&key], format!("https://{}.com/api/webhooks/1{id}/{key} returned 429", "discord"));
    let (one, two, three) = (c.uuid(), c.any(HEX, 32), c.uuid());
    c.put("webhook", "teams", &[&two], format!("https://acme.webhook.{}.com/webhookb2/{one}@{three}/IncomingWebhook/{two}/{three}", "office"));
    let (key, token) = (c.any(URL64, 39), c.any(URL64, 43));
    c.put("webhook", "google chat", &[&token], format!("https://chat.googleapis.com/v1/spaces/AAAA/messages?key={key}&token={token}"));
    let key = c.any(URL64, 22);
    c.put("webhook", "zapier", &[&key], format!("notify.url = https://hooks.{}.com/hooks/catch/81234/{key}/", "zapier"));
    let sig = c.any(URL64, 43);
    c.put("webhook", "logic app", &[&sig], format!(
        "https://prod-12.westeurope.logic.azure.com/workflows/7/triggers/manual/paths/invoke?api-version=2016-10-01&sv=1.0&sig={sig}"));
}

#[rustfmt::skip]
fn files(c: &mut Corpus) {
    let auth = b64("acmeops:Zaunkoenig-und-Meise");
    c.put("docker", "config.json", &[&auth], format!("{{\"auths\": {{\"registry.acme.example\": {{\"auth\": \"{auth}\"}}}}}}"));
    let token = c.any(ALNUM, 60);
    c.put("docker", "identity token", &[&token], format!("\"acme.azurecr.io\": {{ \"identitytoken\": \"{token}\" }}"));
    let pw = "Leuchtturm_5_West";
    c.put("netrc", "one line", &[pw], format!("machine git.acme.example login robot password {pw}"));
    let pw = c.any(ALNUM, 20);
    c.put("netrc", "many lines", &[&pw], format!("machine api.acme.example\n  login ci\n  password {pw}\n"));
    let pw = c.any(ALNUM, 18);
    c.put("pgpass", "line", &[&pw], format!("$ cat ~/.pgpass\ndb-1.acme.example:5432:ledger:ledger_ro:{pw}\n"));
    let pw = "Ahorn-Blatt-1867";
    c.put("my.cnf", "client section", &[pw], format!("[client]\nuser = backup\npassword = \"{pw}\"\nhost = db-2\n"));
    let pw = "unser-Gaeste-Netz-08";
    c.put("wifi", "wpa_supplicant", &[pw], format!("network={{\n  ssid=\"Lager\"\n  psk=\"{pw}\"\n}}"));
    let pw = "KaffeeImLager22";
    c.put("wifi", "qr text", &[pw], format!("scanned: WIFI:T:WPA;S:Lager;P:{pw};;"));
    let words = "ribbon harvest pilot cactus lunar oxygen velvet monkey drift canyon spoon jaguar";
    c.put("seed-phrase", "wallet note", &[words], format!("wallet recovery phrase: {words}"));
}

#[rustfmt::skip]
fn kube(c: &mut Corpus) {
    let (key, token) = (b64(&format!("-----BEGIN EC{}", c.any(ALNUM, 120))), c.any(ALNUM, 64));
    c.put("kubernetes", "kubeconfig", &[&key, &token], format!(
        "users:\n- name: admin\n  user:\n    client-key-data: {key}\n    token: {token}\n"));
    let (pw, key) = (b64("Rhabarber;Kuchen3"), b64(&c.any(ALNUM, 30)));
    c.put("kubernetes", "secret manifest", &[&pw, &key], format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: till-db\ntype: Opaque\ndata:\n  password: {pw}\n  api-key: {key}\n"));
    let pw = "Birnen-Most-64";
    c.put("kubernetes", "container env", &[pw], format!("env:\n- name: DB_PASSWORD\n  value: {pw}\n- name: DB_HOST\n  value: pg-main\n"));
    let pw = "Falke%Horst31";
    c.put("kubernetes", "helm flag", &[pw], format!("helm upgrade till ./chart --set image.tag=2.1 --set postgresql.auth.password={pw}"));
    let token = format!("{}.{}", c.any(LOWER, 6), c.any(LOWER, 16));
    c.put("kubernetes", "kubeadm join", &[&token], format!("kubeadm join 10.0.0.2:6443 --token {token} --discovery-token-unsafe-skip-ca-verification"));
}

#[rustfmt::skip]
fn signed(c: &mut Corpus) {
    let (id, sign) = (c.tok("AK", "IA", UPPER, 16), c.any(HEX, 64));
    c.put("signed", "sigv4 header", &[&sign], format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={id}/20250301/eu-west-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={sign}"));
    let (id, token, sign) = (c.tok("AS", "IA", UPPER, 16), c.any(ALNUM, 200), c.any(HEX, 64));
    c.put("signed", "s3 presigned", &[&token, &sign], format!(
        "https://shop.s3.amazonaws.com/inv/9.pdf?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={id}%2F20250301\
         &X-Amz-Expires=900&X-Amz-Security-Token={token}&X-Amz-Signature={sign}"));
    let sign = c.any(HEX, 512);
    c.put("signed", "gcs", &[&sign], format!(
        "https://storage.googleapis.com/inv/9.pdf?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Expires=900&X-Goog-Signature={sign}"));
    let (pair, sign) = (c.any(UPPER, 14), c.any(URL64, 342));
    c.put("signed", "cloudfront", &[&sign], format!("https://d111.cloudfront.net/v.mp4?Expires=1767225600&Signature={sign}__&Key-Pair-Id=K{pair}"));
}

#[rustfmt::skip]
fn configs(c: &mut Corpus) {
    let (pw, key) = ("Storch&Nest2020", c.any(ALNUM, 50));
    c.put("config", "dotenv", &[pw, &key], format!("APP_ENV=production\nDB_PASSWORD=\"{pw}\"\nSECRET_KEY={key}\nLOG_LEVEL=info"));
    let pw = "Bernstein-Kueste-7";
    c.put("config", "yaml", &[pw], format!("smtp:\n  host: mail.acme.example\n  username: robot\n  password: '{pw}'\n  port: 587\n"));
    let pw = "Sauer.Teig.Brot";
    c.put("config", "toml", &[pw], format!("[database]\nhost = \"pg\"\npassword = \"{pw}\"\npool = 8\n"));
    let pw = "Drachen_Steigen5";
    c.put("config", "json, camel case", &[pw], format!("{{\"host\":\"imap\",\"adminPassword\":\"{pw}\",\"tls\":true}}"));
    let pw = "Hafen-Rundfahrt-1";
    c.put("config", "xml element", &[pw], format!("<server><id>nexus</id><username>ci</username><password>{pw}</password></server>"));
    let pw = "Glueh!Wuermchen";
    c.put("config", "xml attribute", &[pw], format!("<add key=\"SmtpPassword\" value=\"{pw}\" /><add key=\"SmtpPort\" value=\"25\" />"));
    let pw = "Eisvogel99!";
    c.put("config", "ini", &[pw], format!("[ldap]\nbind_dn = cn=svc\nbind_password = {pw}\n; end\n"));
    let pw = "Schnee-Eule-404";
    c.put("config", "spring properties", &[pw], format!("spring.datasource.username=till\nspring.datasource.password={pw}\n"));
    let key = b64(&c.any(ALNUM, 32));
    c.put("config", "laravel key", &[&key], format!("APP_NAME=Shop\nAPP_KEY=base64:{key}\nAPP_DEBUG=false"));
    let salt = c.any(ALNUM, 64);
    c.put("config", "wordpress defines", &[&salt, "Pfau-und-Rad-3"], format!(
        "define('DB_PASSWORD', 'Pfau-und-Rad-3');\ndefine( 'AUTH_KEY', '{salt}' );"));
    let key = c.any(HEX, 128);
    c.put("config", "rails secret_key_base", &[&key], format!("production:\n  secret_key_base: {key}\n"));
}

#[rustfmt::skip]
fn dumps(c: &mut Corpus) {
    let pw = "Mango_Lassi_12";
    c.put("dump", "php array", &[pw], format!("Array\n(\n    [username] => shop\n    [password] => {pw}\n    [charset] => utf8\n)"));
    let pw = "Erbsen-Zaehler8";
    c.put("dump", "php var_dump", &[pw], format!("[\"passwd\"]=>\n  string({}) \"{pw}\"\n  [\"port\"]=>\n  int(25)", pw.len()));
    let pw = "Katzen~Pfote6";
    c.put("dump", "php stack trace", &[pw], format!("#0 /srv/Db.php(31): PDO->__construct('mysql:host=db;dbn...', 'shop', '{pw}')"));
    let pw = "Pinguin-Parade";
    c.put("dump", "ruby hash", &[pw], format!("ArgumentError: {{:host=>\"pg\", :user=>\"till\", :password=>\"{pw}\", :port=>5432}}"));
    let pw = "Blau.Wal.77";
    c.put("dump", "ruby inspect", &[pw], format!("#<Config:0x000055d0 @user=\"till\", @password=\"{pw}\", @pool=5>"));
    let pw = "Otter$Bau19";
    c.put("dump", "python dict", &[pw], format!("KeyError: 'port' in {{'user': 'etl', 'passwd': '{pw}', 'db': 'raw'}}"));
    let pw = "Luchs-Pfad-31";
    c.put("dump", "python dataclass", &[pw], format!("Settings(host='imap.acme.example', user='robot', password='{pw}', ssl=True)"));
    let pw = "Dachs_Hoehle4";
    c.put("dump", "go struct", &[pw], format!("panic: dial &{{Host:pg Port:5432 User:till Password:{pw} SSLMode:require}}"));
    let pw = "Reh-im-Nebel-2";
    c.put("dump", "java toString", &[pw], format!("LoginRequest(username=kbrandt, password={pw}, rememberMe=true)"));
    let key = c.any(ALNUM, 40);
    c.put("dump", "rust debug", &[&key], format!("Client {{ base: \"https://x\", api_token: Some(\"{key}\"), retries: 3 }}"));
    let pw = "Specht&Baum1";
    c.put("dump", "multipart form", &["Specht", "&Baum1"], format!("--b7\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{pw}\r\n--b7--"));
    let pw = "Fuchs%21Bau52";
    c.put("dump", "urlencoded login", &[pw], format!("POST /login username=kbrandt&password={pw}&submit=Login"));
}

#[rustfmt::skip]
fn commands(c: &mut Corpus) {
    let pw = "Kranich_Zug_3";
    c.put("command", "mysql flag", &[pw], format!("+ mysqldump -h db1 -u backup -p{pw} ledger\nmysqldump: Got error: 1045"));
    let pw = "Zander-Filet-5";
    c.put("command", "curl user", &[pw], format!("curl -fsS -u robot:{pw} https://nexus.acme.example/repo/x.jar"));
    let pw = "Hecht+Teich8";
    c.put("command", "sshpass", &[pw], format!("sshpass -p '{pw}' scp out.csv ops@10.0.4.7:/in/"));
    let pw = c.any(ALNUM, 16);
    c.put("command", "pgpassword prefix", &[&pw], format!("PGPASSWORD={pw} pg_restore -h pg -U till -d till dump.bin"));
    let pw = "Aal-Reuse-2023";
    c.put("command", "sql statement", &[pw], format!("ERROR near: ALTER USER reporting WITH PASSWORD '{pw}';"));
    let pw = "Biber.Damm.9";
    c.put("command", "mysql identified by", &[pw], format!("CREATE USER 'app'@'%' IDENTIFIED BY '{pw}'"));
    let pw = "Hummel#Nest44";
    c.put("command", "mount options", &[pw], format!("mount -t cifs //nas/scan /mnt/scan -o username=scan,password={pw},vers=3.0"));
    let pw = "Igel-Laub-Haufen";
    c.put("command", "openssl passin", &[pw], format!("openssl pkcs12 -in till.p12 -nodes -passin pass:{pw}"));
}

#[rustfmt::skip]
fn prose(c: &mut Corpus) {
    c.put("prose", "is", &["tulpe-Regen-77"], "the password for the staging admin is tulpe-Regen-77, please change it".to_owned());
    c.put("prose", "user slash password", &["Sommer!2025x"], "login: jmeier / password: Sommer!2025x (VPN)".to_owned());
    c.put("prose", "quoted passphrase", &["purple walrus sings at noon"], "the backup passphrase is \"purple walrus sings at noon\"".to_owned());
    c.put("prose", "was changed to", &["Karpfen_Teich_21"], "I've reset her password to Karpfen_Teich_21 for now.".to_owned());
    let key = c.any(ALNUM, 32);
    c.put("prose", "api key sentence", &[&key], format!("Called support; they gave us a new API key, {key}, valid from Monday."));
    c.put("prose", "pw abbreviation", &["Linde+Bank3"], "fyi root pw: Linde+Bank3 on both nodes".to_owned());
    c.put("prose", "use with", &["Gruene-Welle-5"], "You can log in with user demo and password Gruene-Welle-5 until Friday".to_owned());
}

#[rustfmt::skip]
fn foreign(c: &mut Corpus) {
    c.put("foreign", "german", &["Apfel#Mus88"], "Das Passwort für den Router lautet Apfel#Mus88, bitte nicht weitergeben.".to_owned());
    c.put("foreign", "german, key", &["Wolke-Sieben-7"], "Zugangsdaten SFTP:\nBenutzer: lager\nKennwort: Wolke-Sieben-7".to_owned());
    c.put("foreign", "french", &["Soleil.Bleu42"], "Le mot de passe est Soleil.Bleu42 pour le compte de test".to_owned());
    c.put("foreign", "spanish", &["Gato_Negro19"], "usuario: caja3, contraseña: Gato_Negro19".to_owned());
    c.put("foreign", "italian", &["Mare-Mosso-6"], "La password del server è Mare-Mosso-6".to_owned());
    c.put("foreign", "portuguese", &["Praia@Norte1"], "senha: Praia@Norte1\nusuário: estoque".to_owned());
    c.put("foreign", "dutch", &["Fiets!Bel303"], "Het wachtwoord is Fiets!Bel303, graag wijzigen".to_owned());
    c.put("foreign", "polish", &["Zielony-Las-4"], "hasło: Zielony-Las-4".to_owned());
    c.put("foreign", "russian", &["Sneg_i_Led7"], "логин admin, пароль: Sneg_i_Led7".to_owned());
    c.put("foreign", "turkish", &["Deniz.Kabugu5"], "Yönetici şifresi: Deniz.Kabugu5".to_owned());
    c.put("foreign", "japanese", &["Sakura-Matsuri3"], "パスワード：Sakura-Matsuri3".to_owned());
    c.put("foreign", "chinese", &["Shanghai_Ye88"], "用户名 admin 密码: Shanghai_Ye88".to_owned());
}

#[rustfmt::skip]
fn people(c: &mut Corpus) {
    let card = c.card("45", 16);
    c.put("card", "visa, plain", &[&card], format!("charge declined for card {card}, exp 09/27"));
    let card = c.card("53", 16);
    let spaced = format!("{} {} {} {}", &card[..4], &card[4..8], &card[8..12], &card[12..]);
    c.put("card", "mastercard, spaced", &[&spaced], format!("Customer gave the number by phone: {spaced}"));
    let card = c.card("37", 15);
    let dashed = format!("{}-{}-{}", &card[..4], &card[4..10], &card[10..]);
    c.put("card", "amex, dashed", &[&dashed], format!("cardNumber: \"{dashed}\", holder: \"K BRANDT\""));
    let mail = format!("{}{}", "karla.brandt", "@kundenpost.example.de");
    c.put("email", "smtp bounce", &[&mail], format!("550 5.1.1 <{mail}>: Recipient address rejected: User unknown"));
    let mail = format!("{}{}", "j.o'neill+orders", "@mail.example.co.uk");
    c.put("email", "json", &["neill+orders", &mail], format!("{{\"customer\": {{\"email\": \"{mail}\", \"id\": 4}}}}"));
    let mail = format!("{}{}", "t_yilmaz88", "%40posta.example.com");
    c.put("email", "url-encoded query", &["t_yilmaz88"], format!("GET /unsubscribe?email={mail}&list=7 500"));
}
