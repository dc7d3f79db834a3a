//! Why an encrypted connection could not be made.

use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use sqlx::error::BoxDynError;
use sqlx::postgres::PgSslMode;

use crate::domain::postgres_url::PostgresUrl;
use crate::files;
use crate::{Error, ErrorKind, Result};

/// More than any bundle of certificates has.
const LARGEST: u64 = 4 * 1024 * 1024;
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
    for file in &FILES {
        let named = url.parameter(&file.parameters).map(str::to_owned);
        let value = named.or_else(|| std::env::var(file.variable).ok());
        given.push(value.is_some());
        if let Some(value) = value {
            file.check(&value)?;
        }
    }
    if given[1] != given[2] {
        return Err(Error::usage("a client certificate needs both sslcert and sslkey"));
    }
    Ok(())
}

impl Named {
    fn check(&self, value: &str) -> Result<()> {
        let [name, ..] = self.parameters;
        let text = value.trim();
        let content = if text.starts_with("-----BEGIN") && text.ends_with("-----") {
            value.as_bytes().to_vec()
        } else {
            let read = files::read(Path::new(value), LARGEST).map_err(|refusal| {
                Error::usage(format!("the file of {name} cannot be read: {}", refusal.reason()))
                    .hint(format!("check {name} in the database URL, or {}", self.variable))
            });
            read?.bytes
        };
        let usable = if self.holds == "private key" {
            PrivateKeyDer::from_pem_slice(&content).is_ok()
        } else {
            let mut found = CertificateDer::pem_slice_iter(&content).peekable();
            found.peek().is_some() && found.all(|certificate| certificate.is_ok())
        };
        if usable {
            return Ok(());
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
            "the database offers no TLS, and sslmode asks for it",
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
