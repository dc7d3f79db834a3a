//! Shapes that the rules were not written against.

use super::{Shape, chance};

#[path = "held_out_2.rs"]
mod held_out_2;

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const B64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &str = "0123456789abcdef";
const DIGIT: &str = "0123456789";

/// The shapes so far, and the seed of the last random part.
struct Corpus {
    shapes: Vec<Shape>,
    seed: u64,
}

impl Corpus {
    /// A fresh random part.
    fn any(&mut self, alphabet: &str, len: usize) -> String {
        self.seed += 1;
        chance(self.seed, alphabet, len)
    }

    /// A fresh token whose prefix is given in two fragments.
    fn tok(&mut self, head: &str, tail: &str, alphabet: &str, len: usize) -> String {
        format!("{head}{tail}{}", self.any(alphabet, len))
    }

    /// A random identifier in the 8-4-4-4-12 form.
    fn uuid(&mut self) -> String {
        let h = self.any(HEX, 32);
        let part = |from: usize, len: usize| h.chars().skip(from).take(len).collect::<String>();
        [part(0, 8), part(8, 4), part(12, 4), part(16, 4), part(20, 12)].join("-")
    }

    /// Claims and signature of a token, and the token itself.
    fn jwt(&mut self, header: &str, claims: &str, len: usize) -> (String, String, String) {
        let body = url64(claims);
        let sign = self.any(URL64, len);
        let whole = format!("{}.{body}.{sign}", url64(header));
        (body, sign, whole)
    }

    /// A card number with a right check digit.
    fn card(&mut self, prefix: &str, len: usize) -> String {
        let body = format!("{prefix}{}", self.any(DIGIT, len - 1 - prefix.len()));
        let sum: u32 = body
            .chars()
            .rev()
            .enumerate()
            .map(|(at, c)| {
                let d = c.to_digit(10).unwrap_or(0);
                if at % 2 == 1 {
                    d
                } else if d > 4 {
                    d * 2 - 9
                } else {
                    d * 2
                }
            })
            .sum();
        format!("{body}{}", (10 - sum % 10) % 10)
    }

    /// One more shape.
    fn put(&mut self, family: &'static str, name: &'static str, secret: &[&str], text: String) {
        let secret = secret.iter().map(|part| (*part).to_owned()).collect();
        self.shapes.push(Shape { family, name, text, secret });
    }
}

fn b64(text: &str) -> String {
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_usize, |n, b| (n << 8) | usize::from(*b));
        let bits = bits << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let sign = B64.chars().nth((bits >> (18 - 6 * at)) & 63);
            out.push(sign.filter(|_| at <= chunk.len()).unwrap_or('='));
        }
    }
    out
}

fn url64(text: &str) -> String {
    b64(text).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// An armoured key; `sep` stands between the lines.
fn armour(kind: &str, body: &[&str], sep: &str) -> String {
    let label = format!("{kind}{} KEY", "PRIVATE");
    let body = body.join(sep);
    format!("-----{} {label}-----{sep}{body}{sep}-----END {label}-----", "BEGIN")
}

/// Every held-out shape.
pub fn held_out() -> Vec<Shape> {
    let mut c = Corpus { shapes: Vec::new(), seed: 7000 };
    aws(&mut c);
    gcp(&mut c);
    azure(&mut c);
    clouds(&mut c);
    forges(&mut c);
    chats(&mut c);
    payments(&mut c);
    mailers(&mut c);
    models(&mut c);
    registries(&mut c);
    monitors(&mut c);
    vaults(&mut c);
    held_out_2::more(&mut c);
    c.shapes
}

#[rustfmt::skip]
fn aws(c: &mut Corpus) {
    let (id, key) = (c.tok("AK", "IA", UPPER, 16), c.any(B64, 40));
    c.put("aws", "shell export", &[&id, &key], format!(
        "+ export AWS_ACCESS_KEY_ID={id}\n+ export AWS_SECRET_ACCESS_KEY={key}\n\
         + aws s3 sync ./dist s3://shop-assets\nfatal error: An error occurred (AccessDenied)"));
    let (id, key) = (c.tok("AK", "IA", UPPER, 16), c.any(B64, 40));
    c.put("aws", "credentials file", &[&id, &key], format!(
        "cat ~/.aws/credentials\n[default]\nregion = eu-central-1\naws_access_key_id = {id}\n\
         aws_secret_access_key = {key}\n"));
    let (id, key, session) = (c.tok("AS", "IA", UPPER, 16), c.any(B64, 40), c.any(B64, 180));
    c.put("aws", "assume-role reply", &[&key, &session], format!(
        "{{\"Credentials\": {{\"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{key}\", \
         \"SessionToken\": \"IQoJb3JpZ2lu{session}==\", \"Expiration\": \"2025-03-02T11:20:09Z\"}}}}"));
    let (id, key) = (c.tok("AK", "IA", UPPER, 16), c.any(B64, 40));
    c.put("aws", "terraform provider", &[&id, &key], format!(
        "Error: configuring Terraform AWS Provider\n\n  on main.tf line 3:\n   3: provider \"aws\" {{\
         \n   4:   access_key = \"{id}\"\n   5:   secret_key = \"{key}\"\n   6: }}"));
    let (id, key) = (c.tok("AK", "IA", UPPER, 16), c.any(B64, 40));
    c.put("aws", "boto3 call in a traceback", &[&id, &key], format!(
        "Traceback (most recent call last):\n  File \"/srv/export.py\", line 41, in upload\n    \
         s3 = boto3.client('s3', aws_access_key_id='{id}', aws_secret_access_key='{key}')\n\
         botocore.exceptions.EndpointConnectionError: Could not connect"));
    let key = c.any(B64, 40);
    c.put("aws", "java properties", &[&key], format!(
        "cloud.aws.credentials.accessKey=(set)\ncloud.aws.credentials.secretKey={key}\n\
         cloud.aws.region.static=eu-west-1"));
    let pass = c.any(B64, 44);
    c.put("aws", "ses smtp password", &[&pass], format!(
        "SMTP login to email-smtp.eu-west-1.amazonaws.com:587 failed (535), \
         smtp_password='{pass}'"));
}

#[rustfmt::skip]
fn gcp(c: &mut Corpus) {
    let (kid, one, two) = (c.any(HEX, 40), c.any(B64, 64), c.any(B64, 64));
    let pem = armour("", &[&format!("MIIEvQ{one}"), &two], "\\n");
    c.put("gcp", "service account file", &[&kid, &one, &two], format!(
        "could not parse {{\"type\": \"service_account\", \"project_id\": \"ledger-prod\", \
         \"private_key_id\": \"{kid}\", \"private_key\": \"{pem}\\n\", \
         \"client_id\": \"104\"}}: unexpected EOF"));
    let key = c.tok("AI", "za", URL64, 35);
    c.put("gcp", "maps key in a url", &[&key], format!(
        "GET https://maps.googleapis.com/maps/api/geocode/json?address=Kassel&key={key} 403"));
    let token = c.tok("ya", "29.a0", URL64, 160);
    c.put("gcp", "access token line", &[&token], format!(
        "$ gcloud auth print-access-token\n{token}\n$ gcloud projects list"));
    let (token, secret) = (c.tok("1/", "/0g", URL64, 60), c.tok("GOC", "SPX-", URL64, 28));
    c.put("gcp", "application default credentials", &[&token, &secret], format!(
        "{{\n  \"client_secret\": \"{secret}\",\n  \"refresh_token\": \"{token}\",\n  \
         \"type\": \"authorized_user\"\n}}"));
}

#[rustfmt::skip]
fn azure(c: &mut Corpus) {
    let key = c.any(B64, 86);
    c.put("azure", "storage connection string", &[&key], format!(
        "System.FormatException: No valid combination of account information found in \
         'DefaultEndpointsProtocol=https;AccountName=ordersarchive;AccountKey={key}==;\
         EndpointSuffix=core.windows.net'"));
    let sig = format!("{}%2B{}%3D", c.any(ALNUM, 20), c.any(ALNUM, 21));
    c.put("azure", "sas url", &[&sig], format!(
        "azcopy: failed to copy https://ordersarchive.blob.core.windows.net/daily/0301.csv\
         ?sv=2022-11-02&ss=b&srt=co&sp=rl&se=2025-06-01T00:00:00Z&spr=https&sig={sig}"));
    let secret = format!("{}8Q~{}", c.any(ALNUM, 3), c.any(URL64, 34));
    let tenant = c.uuid();
    c.put("azure", "client secret env", &[&secret], format!(
        "AZURE_TENANT_ID={tenant}\nAZURE_CLIENT_SECRET={secret}\n"));
    let secret = format!("{}8Q~{}", c.any(ALNUM, 3), c.any(URL64, 34));
    let (app, tenant) = (c.uuid(), c.uuid());
    c.put("azure", "az login command", &[&secret], format!(
        "exit 1: az login --service-principal -u {app} -p {secret} --tenant {tenant}"));
    let key = c.any(B64, 43);
    c.put("azure", "service bus", &[&key], format!(
        "ServiceBus: Endpoint=sb://orders.servicebus.windows.net/;\
         SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={key}= not reachable"));
    let key = c.any(URL64, 54);
    c.put("azure", "function key", &[&key], format!(
        "POST https://invoice-fn.azurewebsites.net/api/Render?code={key}== -> 500"));
    let key = c.any(B64, 86);
    c.put("azure", "cosmos db", &[&key], format!(
        "\"CosmosDb\": \"AccountEndpoint=https://carts.documents.azure.com:443/;AccountKey={key}==;\""));
    let (dev, sig) = (c.any(B64, 43), c.any(ALNUM, 43));
    c.put("azure", "iot hub", &[&dev, &sig], format!(
        "device: HostName=plant.azure-devices.net;DeviceId=press-7;SharedAccessKey={dev}=\n\
         auth: SharedAccessSignature sr=plant.azure-devices.net&sig={sig}%3D&se=1767225600"));
}

#[rustfmt::skip]
fn clouds(c: &mut Corpus) {
    let token = c.tok("dop", "_v1_", HEX, 64);
    c.put("cloud", "digitalocean", &[&token], format!(
        "doctl auth init -t {token}\nError: Unable to use supplied token"));
    let (id, key) = (c.tok("LT", "AI5t", ALNUM, 20), c.any(ALNUM, 30));
    c.put("cloud", "alibaba", &[&id, &key], format!(
        "oss config: accessKeyId: {id}, accessKeySecret: {key}, endpoint: oss-cn-hangzhou"));
    let (id, key) = (c.tok("AK", "ID", ALNUM, 32), c.any(ALNUM, 32));
    c.put("cloud", "tencent", &[&key], format!(
        "[common]\nsecret_id = {id}\nsecret_key = {key}\nbucket = media-1250000000"));
    let key = c.any(HEX, 37);
    c.put("cloud", "cloudflare global key", &[&key], format!(
        "> GET /client/v4/zones HTTP/2\n> Host: api.cloudflare.com\n> X-Auth-Key: {key}\n< HTTP/2 403"));
    let token = c.any(URL64, 40);
    c.put("cloud", "cloudflare token env", &[&token], format!(
        "wrangler: CLOUDFLARE_API_TOKEN={token} was rejected [code: 10000]"));
    let key = c.any(URL64, 44);
    c.put("cloud", "ibm api key", &[&key], format!(
        "ibmcloud login --apikey {key} -r eu-de\nFAILED\nProvided API key could not be found."));
    let secret = c.uuid();
    c.put("cloud", "scaleway", &[&secret], format!("SCW_SECRET_KEY={secret}\nSCW_DEFAULT_ZONE=fr-par-1"));
    let (app, consumer) = (c.any(HEX, 32), c.any(HEX, 32));
    c.put("cloud", "ovh", &[&app, &consumer], format!(
        "[ovh-eu]\napplication_secret={app}\nconsumer_key={consumer}\n"));
    let token = c.any(ALNUM, 64);
    c.put("cloud", "hetzner", &[&token], format!(
        "cluster-autoscaler env: HCLOUD_TOKEN: \"{token}\" HCLOUD_NETWORK: \"staging\""));
    let token = c.tok("FlyV1 fm2", "_lJPECAAAAAAA", B64, 120);
    c.put("cloud", "fly.io", &[&token], format!("FLY_API_TOKEN=\"{token}\" flyctl deploy --remote-only"));
    let key = c.tok("HR", "KU-AA", URL64, 58);
    c.put("cloud", "heroku", &[&key], format!("heroku: invalid credentials provided, HEROKU_API_KEY is {key}"));
    let token = c.tok("nf", "p_", ALNUM, 36);
    c.put("cloud", "netlify", &[&token], format!("netlify deploy --prod --auth {token} --dir=public"));
}

#[rustfmt::skip]
fn forges(c: &mut Corpus) {
    let token = c.tok("gh", "p_", ALNUM, 36);
    c.put("forge", "github classic in a header", &[&token], format!(
        "curl -H \"Authorization: token {token}\" https://api.github.com/repos/acme/till -> 401"));
    let token = format!("{}_{}", c.tok("github", "_pat_", ALNUM, 22), c.any(ALNUM, 59));
    c.put("forge", "github fine-grained", &[&token], format!("hab den neuen PAT erzeugt: {token}, gilt 90 Tage"));
    let token = c.tok("gh", "s_", ALNUM, 36);
    c.put("forge", "github app token in a remote", &[&token], format!(
        "fatal: unable to access 'https://x-access-token:{token}@github.com/acme/till.git/': 403"));
    let token = c.tok("gl", "pat-", URL64, 20);
    c.put("forge", "gitlab personal", &[&token], format!("PRIVATE-TOKEN: {token}\n\n{{\"message\":\"401 Unauthorized\"}}"));
    let token = c.tok("gl", "rt-", URL64, 20);
    c.put("forge", "gitlab runner", &[&token], format!(
        "[[runners]]\n  name = \"ci-04\"\n  url = \"https://git.acme.example\"\n  token = \"{token}\"\n"));
    let token = c.any(ALNUM, 20);
    c.put("forge", "gitlab ci job token url", &[&token], format!(
        "Cloning 'https://gitlab-ci-token:{token}@git.acme.example/ops/charts.git' failed"));
    let token = c.tok("AT", "BB", ALNUM, 32);
    c.put("forge", "bitbucket app password", &[&token], format!("git clone https://jmeier:{token}@bitbucket.org/acme/pos.git"));
    let token = format!("{}={}", c.tok("ATATT", "3xFfGF0", URL64, 171), c.any(UPPER, 8));
    c.put("forge", "atlassian", &[&token], format!("jira:\n  user: bot@acme.example\n  api_token: {token}\n"));
    let token = c.any(HEX, 40);
    c.put("forge", "gitea", &[&token], format!("tea login add --name acme --url https://gitea.acme.example --token {token}"));
}

#[rustfmt::skip]
fn chats(c: &mut Corpus) {
    let token = format!("{}-{}", c.tok("xo", "xb-", DIGIT, 12), c.any(ALNUM, 24));
    c.put("chat", "slack bot", &[&token], format!("slack_sdk.errors.SlackApiError: invalid_auth (token={token})"));
    let token = format!("{}-{}-{}", c.tok("xa", "pp-1-A", UPPER, 10), c.any(DIGIT, 13), c.any(HEX, 64));
    c.put("chat", "slack app level", &[&token], format!("SLACK_APP_TOKEN: {token}"));
    let token = format!("{}.{}.{}", c.tok("MT", "Iz", ALNUM, 22), c.any(ALNUM, 6), c.any(URL64, 38));
    c.put("chat", "discord bot", &[&token], format!("client.login('{token}')\nError [TokenInvalid]: An invalid token was provided."));
    let (id, token) = (c.any("123456789", 10), c.tok("AA", "H", URL64, 32));
    c.put("chat", "telegram bot", &[&token], format!(
        "requests.exceptions.HTTPError: 409 Client Error: Conflict for url: \
         https://api.telegram.org/bot{id}:{token}/getUpdates"));
    let token = c.tok("syt", "_b3BzYm90_", ALNUM, 30);
    c.put("chat", "matrix", &[&token], format!("{{\"user_id\":\"@opsbot:acme.example\",\"access_token\":\"{token}\"}}"));
}

#[rustfmt::skip]
fn payments(c: &mut Corpus) {
    let key = c.tok("sk", "_live_51", ALNUM, 99);
    c.put("payment", "stripe secret", &[&key], format!("stripe.error.AuthenticationError: Invalid API Key provided: {key}"));
    let key = c.tok("rk", "_live_", ALNUM, 24);
    c.put("payment", "stripe restricted, curl", &[&key], format!("curl https://api.stripe.com/v1/charges -u {key}: -d amount=1200"));
    let key = c.tok("wh", "sec_", ALNUM, 32);
    c.put("payment", "stripe endpoint secret", &[&key], format!("signature mismatch; endpoint secret used: {key}"));
    let key = c.tok("shp", "at_", HEX, 32);
    c.put("payment", "shopify", &[&key], format!("X-Shopify-Access-Token => {key}"));
    let key = c.tok("EAAA", "E", URL64, 59);
    c.put("payment", "square", &[&key], format!("square: accessToken: '{key}', environment: 'production'"));
    let key = format!("{}${}", c.tok("access_token$", "production$", LOWER, 16), c.any(HEX, 32));
    c.put("payment", "braintree", &[&key], format!("BRAINTREE_ACCESS_TOKEN={key}"));
    let key = c.tok("li", "ve_", ALNUM, 30);
    c.put("payment", "mollie", &[&key], format!("Mollie\\Api\\Exceptions\\ApiException: Invalid API key: '{key}'."));
    let (id, secret) = (c.tok("rzp", "_live_", ALNUM, 14), c.any(ALNUM, 24));
    c.put("payment", "razorpay", &[&secret], format!("new Razorpay({{ key_id: '{id}', key_secret: '{secret}' }})"));
    let (id, secret) = (c.tok("A", "Y", URL64, 78), c.tok("E", "L", URL64, 78));
    c.put("payment", "paypal", &[&secret], format!("paypal.client.id={id}\npaypal.client.secret={secret}\n"));
}

#[rustfmt::skip]
fn mailers(c: &mut Corpus) {
    let key = format!("{}.{}", c.tok("S", "G.", URL64, 22), c.any(URL64, 43));
    c.put("mailer", "sendgrid", &[&key], format!("sendgrid 401: header Authorization=[Bearer {key}]"));
    let key = c.tok("ke", "y-", HEX, 32);
    c.put("mailer", "mailgun", &[&key], format!("curl -s --user 'api:{key}' https://api.mailgun.net/v3/mg.acme.example/messages"));
    let key = format!("{}-us{}", c.any(HEX, 32), 14);
    c.put("mailer", "mailchimp", &[&key], format!("mailchimp api key {key} has been revoked by another user"));
    let (sid, token) = (c.tok("A", "C", HEX, 32), c.any(HEX, 32));
    c.put("mailer", "twilio", &[&token], format!("TWILIO_ACCOUNT_SID={sid} TWILIO_AUTH_TOKEN={token} node notify.js"));
    let key = format!("{}-{}", c.tok("xkey", "sib-", HEX, 64), c.any(ALNUM, 16));
    c.put("mailer", "brevo", &[&key], format!("api-key: {key}\ncontent-type: application/json"));
    let key = format!("{}_{}", c.tok("r", "e_", ALNUM, 8), c.any(ALNUM, 24));
    c.put("mailer", "resend", &[&key], format!("const resend = new Resend(\"{key}\");"));
    let token = c.uuid();
    c.put("mailer", "postmark", &[&token], format!("X-Postmark-Server-Token: {token}\n{{\"ErrorCode\":10}}"));
}

#[rustfmt::skip]
fn models(c: &mut Corpus) {
    let key = format!("{}T3BlbkFJ{}", c.tok("sk-", "proj-", URL64, 74), c.any(URL64, 74));
    c.put("model", "openai", &[&key], format!("openai.AuthenticationError: Error code: 401 - Incorrect API key provided: {key}."));
    let key = format!("{}AA", c.tok("sk-", "ant-api03-", URL64, 93));
    c.put("model", "anthropic", &[&key], format!("x-api-key: {key}\nanthropic-version: 2023-06-01"));
    let key = c.tok("h", "f_", ALNUM, 34);
    c.put("model", "hugging face", &[&key], format!("HfHubHTTPError: 401; login(token=\"{key}\") did not work"));
    let key = c.tok("r", "8_", ALNUM, 37);
    c.put("model", "replicate", &[&key], format!("export REPLICATE_API_TOKEN={key}"));
    let key = c.tok("gs", "k_", ALNUM, 52);
    c.put("model", "groq", &[&key], format!("Groq(api_key='{key}', timeout=20.0)"));
    let key = c.any(ALNUM, 32);
    c.put("model", "mistral", &[&key], format!("{{\"provider\": \"mistral\", \"apiKey\": \"{key}\", \"model\": \"large\"}}"));
}

#[rustfmt::skip]
fn registries(c: &mut Corpus) {
    let token = c.tok("np", "m_", ALNUM, 36);
    c.put("registry", "npmrc", &[&token], format!("//registry.{}.org/:_authToken={token}\nalways-auth=true", "npmjs"));
    let pass = b64("kiwi-Fahrrad-2291");
    c.put("registry", "npmrc legacy", &[&pass], format!(
        "//npm.acme.example/:username=ci\n//npm.acme.example/:_password=\"{pass}\"\n"));
    let token = c.tok("py", "pi-AgEIcHlwaS5vcmc", URL64, 140);
    c.put("registry", "pypirc", &[&token], format!("[pypi]\nusername = __token__\npassword = {token}\n"));
    let token = c.tok("ruby", "gems_", HEX, 48);
    c.put("registry", "gem credentials", &[&token], format!("---\n:rubygems_api_key: {token}\n"));
    let token = c.tok("ci", "o", ALNUM, 32);
    c.put("registry", "cargo", &[&token], format!("cargo publish --token {token}\nerror: failed to publish to registry"));
    let token = c.tok("oy", "2", LOWER, 43);
    c.put("registry", "nuget", &[&token], format!("dotnet nuget push out/*.nupkg --api-key {token} --source nuget.org"));
    let token = c.tok("dckr", "_pat_", URL64, 27);
    c.put("registry", "docker login", &[&token], format!("docker login -u acmeops -p {token}\nWARNING! Using --password via the CLI is insecure."));
    let token = c.tok("AKC", "p8", ALNUM, 68);
    c.put("registry", "artifactory", &[&token], format!("X-JFrog-Art-Api: {token}\nHTTP/1.1 403 Forbidden"));
}

#[rustfmt::skip]
fn monitors(c: &mut Corpus) {
    let (api, app) = (c.any(HEX, 32), c.any(HEX, 40));
    c.put("monitor", "datadog", &[&api, &app], format!("DD-API-KEY: {api}\nDD-APPLICATION-KEY: {app}\n< 403 Forbidden"));
    let key = c.tok("NR", "AK-", UPPER, 27);
    c.put("monitor", "new relic", &[&key], format!("newrelic profile add --apiKey {key} --accountId 3311"));
    let key = format!("{}_{}", c.tok("gl", "sa_", ALNUM, 32), c.any(HEX, 8));
    c.put("monitor", "grafana", &[&key], format!("grafana: invalid API key: Bearer {key}"));
    let key = format!("{}_{}", c.tok("snt", "rys_eyJpYXQiOjE3", B64, 80), c.any(B64, 43));
    c.put("monitor", "sentry", &[&key], format!("SENTRY_AUTH_TOKEN={key}\nerror: API request failed"));
    let key = format!("{}.{}", c.tok("dt0", "c01.", BASE32, 24), c.any(BASE32, 64));
    c.put("monitor", "dynatrace", &[&key], format!("Authorization: Api-Token {key}"));
    let key = c.uuid();
    c.put("monitor", "splunk hec", &[&key], format!("curl -k https://hec.acme.example:8088/services/collector -H 'Authorization: Splunk {key}'"));
    let key = b64(&format!("{}:{}", c.any(URL64, 20), c.any(URL64, 22)));
    c.put("monitor", "elastic api key", &[&key], format!("elasticsearch security_exception for header [Authorization: ApiKey {key}]"));
}

#[rustfmt::skip]
fn vaults(c: &mut Corpus) {
    let token = c.tok("hv", "s.CAESI", URL64, 90);
    c.put("vault", "hashicorp token", &[&token], format!("X-Vault-Token: {token}\n{{\"errors\":[\"permission denied\"]}}"));
    let (one, root) = (c.any(B64, 44), c.tok("hv", "s.", ALNUM, 24));
    c.put("vault", "init output", &[&one, &root], format!(
        "Unseal Key 1: {one}\n\nInitial Root Token: {root}\n\nVault initialized with 1 key shares"));
    let secret = c.uuid();
    c.put("vault", "approle login", &[&secret], format!("vault write auth/approle/login role_id=till secret_id={secret}"));
    let token = c.tok("dp", ".pt.", ALNUM, 43);
    c.put("vault", "doppler", &[&token], format!("doppler run --token={token} -- ./serve"));
    let token = c.tok("pu", "l-", HEX, 40);
    c.put("vault", "pulumi", &[&token], format!("PULUMI_ACCESS_TOKEN={token}: error: 401"));
    let token = format!("{}.{}", c.any(ALNUM, 14), c.tok("atlas", "v1.", ALNUM, 64));
    c.put("vault", "terraform cloud", &[&token], format!("credentials \"app.terraform.io\" {{\n  token = \"{token}\"\n}}"));
    let key = c.tok("AGE-", "SECRET-KEY-1", UPPER, 58);
    c.put("vault", "age identity", &[&key], format!("# created: 2025-01-09T08:11:54Z\n# public key: age1qzz\n{key}\n"));
    let token = c.tok("ops", "_eyJzaWduSW5BZGRyZXNzIjoi", B64, 180);
    c.put("vault", "1password service account", &[&token], format!("OP_SERVICE_ACCOUNT_TOKEN={token} op read op://ops/db/pw"));
}
