//! Why an encrypted connection could not be made.

use std::path::Path;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use sqlx::error::BoxDynError;
use sqlx::postgres::PgSslMode;

use crate::domain::postgres_url::PostgresUrl;
use crate::domain::safe_text::quoted;
use crate::files;
use crate::{Error, ErrorKind, Result};

/// More than any bundle of certificates has.
const LARGEST: u64 = 4 * 1024 * 1024;
/// What stands in the PEM form of a key with a passphrase.
const ENCRYPTED: &[u8] = b"ENCRYPTED";
/// How a certificate gets the version that is needed.
const VERSION_3: &str = "sign it with an extension, for instance with -extfile of openssl x509 -req and a file \
                         that says: basicConstraints=CA:FALSE";
/// What the driver says where a server has no TLS.
const NOT_OFFERED: &str = "server does not support TLS";

/// A file of certificates or a key: its names in a URL, and the variable that names it otherwise.
struct Named {
    parameters: [&'static str; 3],
    variable: &'static str,
    holds: &'static str,
}

const FILES: [Named; 3] = [
    Named {
        parameters: ["sslrootcert", "ssl-root-cert", "ssl-ca"],
        variable: "PGSSLROOTCERT",
        holds: "certificate",
    },
    Named { parameters: ["sslcert", "ssl-cert", ""], variable: "PGSSLCERT", holds: "certificate" },
    Named { parameters: ["sslkey", "ssl-key", ""], variable: "PGSSLKEY", holds: "private key" },
];

/// Refuses certificate and key files that cannot be used. The driver would say that the database
/// cannot be reached, or accept a file without a certificate.
///
/// # Errors
/// *Usage*, with the parameter that names the file.
pub fn check_files(url: &PostgresUrl, mode: PgSslMode) -> Result<()> {
    if matches!(mode, PgSslMode::Disable | PgSslMode::Allow) {
        return Ok(());
    }
    let mut given = Vec::new();
    let mut contents = Vec::new();
    for file in &FILES {
        let value = file.value(url);
        given.push(value.is_some());
        contents.push(value.map(|value| file.check(value)).transpose()?);
    }
    if given[1] != given[2] {
        return Err(Error::usage("a client certificate needs both sslcert and sslkey"));
    }
    match contents.as_slice() {
        [_, Some(certificate), Some(key)] => check_pair(certificate, key),
        _ => Ok(()),
    }
}

/// Refuses a host whose certificate would be compared with its address: the driver knows no other name
/// of it then.
///
/// # Errors
/// *Usage*.
pub fn check_name(place: &PostgresUrl) -> Result<()> {
    let (host, address) = (place.parameter(&["host"]), place.parameter(&["hostaddr"]));
    let (Some(host), Some(address)) = (host, address) else { return Ok(()) };
    if host == address {
        return Ok(());
    }
    Err(Error::usage(format!(
        "sslmode=verify-full cannot verify the name {} of a server that hostaddr leads to",
        quoted(host)
    ))
    .hint(
        "leave hostaddr out, and have the name lead to that address, for instance in /etc/hosts; or use \
         sslmode=verify-ca",
    ))
}

/// Whether a server has no TLS.
pub fn is_not_offered(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Tls(error) if error.to_string() == NOT_OFFERED)
}

/// Whether the certificates of a CA are named.
pub fn names_root(url: &PostgresUrl) -> bool {
    FILES[0].value(url).is_some()
}

/// Refuses a key that is not the certificate's. The driver would say that the handshake failed.
fn check_pair(certificate: &[u8], key: &[u8]) -> Result<()> {
    let certificates = CertificateDer::pem_slice_iter(certificate).filter_map(Result::ok).collect();
    let Ok(key) = PrivateKeyDer::from_pem_slice(key) else { return Ok(()) };
    match CertifiedKey::from_der(certificates, key, &default_provider()) {
        Err(TlsError::InconsistentKeys(_)) => {
            Err(Error::usage("the key of sslkey does not belong to the certificate of sslcert")
                .hint("name the key that the certificate was made with"))
        }
        Err(TlsError::InvalidCertificate(error)) if is_of_old_version(&error) => {
            Err(Error::usage("the certificate of sslcert is of X.509 version 1, and 3 is needed")
                .hint(VERSION_3))
        }
        Err(TlsError::InvalidCertificate(_)) => {
            Err(Error::usage("the certificate of sslcert cannot be read")
                .hint("check it with: openssl x509 -text -in FILE"))
        }
        Err(_) => Err(Error::usage("the key of sslkey is of a kind that cannot be used")
            .hint("use an RSA, ECDSA (P-256, P-384, P-521) or Ed25519 key")),
        Ok(_) => Ok(()),
    }
}

impl Named {
    /// What the URL says.
    fn value<'a>(&self, url: &'a PostgresUrl) -> Option<&'a str> {
        url.parameter(&self.parameters)
    }

    /// The content, which can be used.
    fn check(&self, value: &str) -> Result<Vec<u8>> {
        let [name, ..] = self.parameters;
        if name == "sslrootcert" && value == "system" {
            return Err(Error::usage("sslrootcert=system is not supported").hint(
                "leave sslrootcert out, and use sslmode=verify-full: without a file, the CAs of the \
                 operating system count",
            ));
        }
        let text = value.trim();
        let mut refusal = None;
        let content = if text.starts_with("-----BEGIN") && text.ends_with("-----") {
            value.as_bytes().to_vec()
        } else {
            let read = files::read(Path::new(value), LARGEST).map_err(|refusal| {
                Error::usage(format!("the file of {name} cannot be read: {}", refusal.reason()))
                    .hint(format!("check {name} in the database URL, or {}", self.variable))
            });
            let read = read?;
            refusal = read.refused_as_key();
            read.bytes
        };
        let is_key = self.holds == "private key";
        let usable = if is_key {
            PrivateKeyDer::from_pem_slice(&content).is_ok()
        } else {
            let mut found = CertificateDer::pem_slice_iter(&content).peekable();
            found.peek().is_some() && found.all(|certificate| certificate.is_ok())
        };
        if let (true, true, Some(refusal)) = (usable, is_key, refusal) {
            let what = format!("cannot use the file of {name}");
            return Err(refusal.error(ErrorKind::Usage, &what, Path::new(value)));
        }
        if usable {
            return Ok(content);
        }
        if is_key && content.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) {
            return Err(Error::usage(format!("the key of {name} is encrypted"))
                .hint("passphrases are not supported; decrypt it with: openssl pkey -in FILE"));
        }
        Err(Error::usage(format!("the file of {name} holds no {} in PEM form", self.holds)))
    }
}

/// What a failed handshake means.
pub fn of_handshake(error: &TlsError) -> Error {
    let (message, hint) = match error {
        TlsError::InvalidCertificate(error) => of_certificate(error),
        TlsError::AlertReceived(alert) => of_alert(*alert),
        TlsError::PeerIncompatible(_) => (
            "the database offers no TLS version that this program knows",
            "TLS 1.2 or newer is needed",
        ),
        _ => (
            "the TLS handshake with the database failed",
            "check that host and port lead to PostgreSQL, and its certificate and key",
        ),
    };
    Error::new(ErrorKind::Unreachable, message).hint(hint)
}

/// What the driver's own refusal means.
pub fn of_driver(error: &BoxDynError) -> Error {
    if let Some(error) = error.downcast_ref::<TlsError>() {
        return of_handshake(error);
    }
    let (message, hint) = if error.to_string() == NOT_OFFERED {
        (
            "the database offers no TLS, and sslmode or require_tls asks for it",
            "turn ssl on in the server's configuration, or use another sslmode",
        )
    } else {
        (
            "TLS with the database could not be set up",
            "check the host and the certificate files of the database URL",
        )
    };
    Error::new(ErrorKind::Unreachable, message).hint(hint)
}

fn is_of_old_version(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if format!("{other:?}").contains("UnsupportedCertVersion"))
}

fn of_certificate(error: &CertificateError) -> (&'static str, &'static str) {
    use CertificateError as C;
    match error {
        C::UnknownIssuer => (
            "the database's certificate is signed by an unknown CA",
            "name the file with the CA's certificate in the database URL: sslrootcert=FILE",
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => (
            "the database's certificate is for another host name",
            "use a host name that the certificate holds, or sslmode=verify-ca",
        ),
        C::Expired | C::ExpiredContext { .. } => (
            "the database's certificate has expired",
            "renew it on the server; if it is valid, check this machine's clock",
        ),
        C::NotValidYet | C::NotValidYetContext { .. } => (
            "the database's certificate is not valid yet",
            "check the clocks of this machine and of the server",
        ),
        C::Revoked => ("the database's certificate was revoked", "renew it on the server"),
        C::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => (
            "the database's certificate is that of a CA",
            "give the server a certificate that the CA has signed (basicConstraints CA:FALSE)",
        ),
        error if is_of_old_version(error) => {
            ("the database's certificate is of X.509 version 1, and 3 is needed", VERSION_3)
        }
        _ => (
            "the database's certificate cannot be verified",
            "check it with: openssl s_client -starttls postgres -connect HOST:PORT",
        ),
    }
}

fn of_alert(alert: AlertDescription) -> (&'static str, &'static str) {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => (
            "the database requires a client certificate",
            "name it in the database URL: sslcert=FILE and sslkey=FILE",
        ),
        A::UnknownCA
        | A::BadCertificate
        | A::CertificateExpired
        | A::CertificateRevoked
        | A::CertificateUnknown
        | A::UnsupportedCertificate
        | A::DecryptError => (
            "the database did not accept the client certificate",
            "check sslcert and sslkey, and the CA that the server trusts",
        ),
        A::ProtocolVersion => (
            "the database offers no TLS version that this program knows",
            "TLS 1.2 or newer is needed",
        ),
        _ => ("the database ended the TLS handshake", "see the server's log"),
    }
}
