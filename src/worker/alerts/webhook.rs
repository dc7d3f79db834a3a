//! One post to the webhook: body, headers, signature, and what the answer means.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::oneshot;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::AlertSettings;
use crate::config::{WebhookUrl, format_duration};
use crate::domain::json;
use crate::ops::alerts::ClaimedAlert;

/// Carries the event's name.
pub const EVENT_HEADER: &str = "X-TenantPilot-Event";
/// Carries the delivery's id, the same at every attempt: a receiver tells doubles by it.
pub const DELIVERY_HEADER: &str = "X-TenantPilot-Delivery";
/// Carries `t=SECONDS,v1=HEX`, where a secret is configured.
pub const SIGNATURE_HEADER: &str = "X-TenantPilot-Signature";
/// How this program names itself.
pub const USER_AGENT: &str = concat!("tenantpilot/", env!("CARGO_PKG_VERSION"));

/// How long after its own limit an attempt is waited for, in case the limit does not hold.
pub(super) const OVERTIME: Duration = Duration::from_secs(5);
/// More of an answer's head is never read; its body never is.
const LARGEST_HEAD: usize = 16 * 1024;

const NO_HOST: &str = "the receiver's host name was not found";

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The receiver took it.
    Taken,
    /// It did not, and why, in our words; it may have named a time to wait.
    Refused(String, Option<Duration>),
}

/// Posts to one webhook. Its connections are never kept.
pub(super) struct Poster {
    url: WebhookUrl,
    secret: Option<SecretString>,
    timeout: Duration,
    use_proxy: bool,
    agent: OnceLock<Agent>,
}

impl Poster {
    pub(super) fn new(url: WebhookUrl, settings: &AlertSettings) -> Self {
        Self {
            url,
            secret: settings.secret.clone(),
            timeout: settings.timeout,
            use_proxy: settings.use_proxy,
            agent: OnceLock::new(),
        }
    }

    /// Posts one alert at `now`, on a thread of its own: a receiver that hangs holds up that
    /// thread and nothing else, not even the end of the process.
    pub(super) async fn post(self: &Arc<Self>, alert: &ClaimedAlert, now: DateTime<Utc>) -> Answer {
        let (told, answer) = oneshot::channel();
        let (poster, body) = (Arc::clone(self), body(alert));
        let (event, delivery) = (alert.event.clone(), alert.delivery_id.clone());
        let spawned = std::thread::Builder::new().name("alert".to_owned()).spawn(move || {
            // Whoever waited may have gone; then there is nobody to tell.
            let _ = told.send(poster.post_now(&event, &delivery, &body, now));
        });
        if spawned.is_err() {
            return Answer::Refused("no thread could be started to send it".to_owned(), None);
        }
        match tokio::time::timeout(self.timeout + OVERTIME, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer::Refused("the attempt broke off".to_owned(), None),
            Err(_) => Answer::Refused(self.too_slow(), None),
        }
    }

    fn post_now(&self, event: &str, delivery: &str, body: &str, now: DateTime<Utc>) -> Answer {
        // A name from the database: only what can stand in a header.
        let event: String = event.chars().filter(char::is_ascii_graphic).take(100).collect();
        let mut request = self
            .agent
            .get_or_init(|| self.agent())
            .post(self.url.expose())
            .header("Content-Type", "application/json")
            .header(EVENT_HEADER, event)
            .header(DELIVERY_HEADER, delivery);
        if let Some(secret) = &self.secret {
            request = request.header(SIGNATURE_HEADER, signature(secret, now.timestamp(), body));
        }
        match request.send(body) {
            Ok(answer) => {
                let header = answer.headers().get("Retry-After");
                let wait = header.and_then(|value| retry_after(value.to_str().ok()?, now));
                judge(answer.status(), wait)
            }
            Err(error) => Answer::Refused(self.explain(&error), None),
        }
    }

    fn agent(&self) -> Agent {
        let mut config = Agent::config_builder()
            .timeout_global(Some(self.timeout))
            // A redirect could send the alert, signed, to anybody.
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(USER_AGENT)
            .max_response_header_size(LARGEST_HEAD)
            .max_idle_connections(0);
        if !self.use_proxy {
            config = config.proxy(None);
        }
        if self.url.expose().starts_with("https") {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let roots = rustls_native_certs::load_native_certs().certs;
            let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
            let tls = TlsConfig::builder()
                .unversioned_rustls_crypto_provider(provider)
                .root_certs(RootCerts::from(roots.collect::<Vec<_>>()));
            config = config.tls_config(tls.build());
        }
        config.build().new_agent()
    }

    fn too_slow(&self) -> String {
        format!("the receiver did not answer within {}", format_duration(self.timeout))
    }

    /// What went wrong, in words of ours: the library's can repeat the address.
    fn explain(&self, error: &ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(_) => self.too_slow(),
            ureq::Error::HostNotFound => NO_HOST.to_owned(),
            ureq::Error::Io(error) => self.explain_io(error),
            ureq::Error::ConnectionFailed => "no connection to the receiver".to_owned(),
            ureq::Error::Rustls(error) => format!("no TLS connection to the receiver: {error}"),
            ureq::Error::Tls(_) => "no TLS connection to the receiver".to_owned(),
            ureq::Error::Protocol(_) => "the receiver does not speak HTTP".to_owned(),
            ureq::Error::RedirectFailed | ureq::Error::TooManyRedirects => {
                "the receiver redirects; redirects are not followed".to_owned()
            }
            ureq::Error::LargeResponseHeader(..) => {
                "the head of the receiver's answer is too large".to_owned()
            }
            ureq::Error::InvalidProxyUrl | ureq::Error::ConnectProxyFailed(_) => {
                "no connection through the proxy that the environment names".to_owned()
            }
            _ => "it could not be sent".to_owned(),
        }
    }

    fn explain_io(&self, error: &io::Error) -> String {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => "the receiver refused the connection".to_owned(),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => {
                "the receiver closed the connection without an answer".to_owned()
            }
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => self.too_slow(),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                "the receiver's network cannot be reached".to_owned()
            }
            // rustls wraps its own refusals of a certificate like this.
            io::ErrorKind::InvalidData => match error.get_ref() {
                Some(inner) if inner.is::<rustls::Error>() => {
                    format!("no TLS connection to the receiver: {inner}")
                }
                _ => "the receiver does not speak HTTP".to_owned(),
            },
            // The one failure that has no kind: names are looked up by the C library.
            _ if error.to_string().starts_with("failed to lookup") => NO_HOST.to_owned(),
            other if error.raw_os_error().is_some() => {
                format!("no connection to the receiver: {other}")
            }
            _ => "no connection to the receiver".to_owned(),
        }
    }
}

/// What is sent: what was stored, the id, and how to see the run. The same at every attempt.
pub(super) fn body(alert: &ClaimedAlert) -> String {
    let mut body = match &alert.payload {
        Value::Object(fields) => fields.clone(),
        other => serde_json::Map::from_iter([("payload".to_owned(), other.clone())]),
    };
    body.insert("event".to_owned(), json!(alert.event));
    body.insert("delivery".to_owned(), json!(alert.delivery_id));
    body.insert("created_at".to_owned(), json!(alert.created_at));
    if let Some(run_id) = alert.run_id {
        body.insert("view".to_owned(), json!(format!("tenantpilot runs show {run_id}")));
    }
    json::of_value(&Value::Object(body))
}

/// `t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA-256 of `SECONDS.BODY` under the secret.
fn signature(secret: &SecretString, seconds: i64, body: &str) -> String {
    let mut text = format!("t={seconds},v1=");
    // A key of any length is taken: longer ones are hashed first.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) {
        mac.update(format!("{seconds}.{body}").as_bytes());
        for byte in mac.finalize().into_bytes() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
    }
    text
}

fn judge(status: StatusCode, wait: Option<Duration>) -> Answer {
    let code = status.as_u16();
    let words = match code {
        200..=299 => return Answer::Taken,
        300..=399 => {
            format!("the receiver answered {code}, a redirect; redirects are not followed")
        }
        408 | 425 | 429 => format!("the receiver answered {code}: not now"),
        410 => {
            "the receiver answered 410: this address is gone; it is tried all the same".to_owned()
        }
        400..=499 => {
            format!("the receiver answered {code}: it refuses the alert; it is tried all the same")
        }
        _ => format!("the receiver answered {code}"),
    };
    Answer::Refused(words, wait)
}

/// Seconds, or a date.
fn retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    at.with_timezone(&Utc).signed_duration_since(now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_wait_is_read_in_both_forms() {
        let now = DateTime::parse_from_rfc2822("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        let now = now.with_timezone(&Utc);
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        let later = "Wed, 21 Oct 2026 07:29:30 GMT";
        assert_eq!(retry_after(later, now), Some(Duration::from_secs(90)));
        for odd in ["", "-3", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(retry_after(odd, now), None, "{odd}");
        }
    }
}
