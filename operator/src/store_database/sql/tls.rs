//! How a connection to a server is protected, and why it cannot be.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    CertificateError, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// As much as a variable of a container can hold, and some room.
const LONGEST: usize = 64 * 1024;

/// Characters of a line of PEM (RFC 7468).
const LINE: usize = 64;

/// How a connection to a server is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    Disable,
    /// With TLS, where the server speaks it.
    Prefer,
    /// With TLS, whatever the server's certificate is.
    Require,
    /// With TLS, and a certificate for the server's host that one of these authorities signed.
    VerifyFull(Authorities),
}

impl Tls {
    /// Asks it of a connection.
    pub(super) fn ask(&self, options: PgConnectOptions) -> PgConnectOptions {
        match self {
            Self::Disable => options.ssl_mode(PgSslMode::Disable),
            Self::Prefer => options.ssl_mode(PgSslMode::Prefer),
            Self::Require => options.ssl_mode(PgSslMode::Require),
            Self::VerifyFull(Authorities(pem)) => {
                options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert_from_pem(pem.clone().into_bytes())
            }
        }
    }

    /// What the address of a database says of it: nothing where clients prefer TLS by themselves.
    pub(crate) fn parameter(&self) -> &'static str {
        match self {
            Self::Disable | Self::Prefer => "",
            Self::Require => "?sslmode=require",
            Self::VerifyFull(_) => "?sslmode=verify-full",
        }
    }

    /// Whose signature is asked for.
    pub(crate) fn authorities(&self) -> Option<&Authorities> {
        match self {
            Self::VerifyFull(authorities) => Some(authorities),
            Self::Disable | Self::Prefer | Self::Require => None,
        }
    }
}

/// Certificates of authorities in PEM, and nothing beside them: a key that somebody keeps in the same place goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities(String);

/// What was given as certificates of authorities is none that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthorities {
    /// There is none.
    #[error("holds no certificate in PEM")]
    Empty,
    /// One of them is none.
    #[error("holds a certificate that cannot be read")]
    Malformed,
    /// They are more than a container can be told.
    #[error("holds more than {} KiB of certificates", LONGEST / 1024)]
    TooLong,
}

impl Authorities {
    /// Takes the certificates out of a text. The driver would pass over a text without any in silence.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidAuthorities> {
        let (mut known, mut pem) = (RootCertStore::empty(), String::new());
        for certificate in CertificateDer::pem_slice_iter(text) {
            let certificate = certificate.map_err(|_| InvalidAuthorities::Malformed)?;
            pem.push_str(&encoded(&certificate));
            known.add(certificate).map_err(|_| InvalidAuthorities::Malformed)?;
        }
        match pem.len() {
            0 => Err(InvalidAuthorities::Empty),
            length if length > LONGEST => Err(InvalidAuthorities::TooLong),
            _ => Ok(Self(pem)),
        }
    }

    /// The certificates in PEM, one behind the other.
    pub(crate) fn as_pem(&self) -> &str {
        &self.0
    }
}

fn encoded(certificate: &[u8]) -> String {
    let (mut pem, mut rest) = ("-----BEGIN CERTIFICATE-----\n".to_owned(), STANDARD.encode(certificate));
    while !rest.is_empty() {
        let next = rest.split_off(rest.len().min(LINE));
        pem.push_str(&rest);
        pem.push('\n');
        rest = next;
    }
    pem + "-----END CERTIFICATE-----\n"
}

/// Why there is no connection that is protected as it should be. The words are the same from attempt to attempt as long as
/// the cause is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// Whoever answers does not prove to be the server.
    #[error("the server's certificate is not trusted: {0}")]
    Certificate(String),
    /// The two sides do not come to terms.
    #[error("no TLS connection can be made: {0}")]
    Handshake(String),
}

impl TlsError {
    /// What kept a connection to `host` from being made, if TLS did.
    pub(super) fn of(error: &sqlx::Error, host: &str) -> Option<Self> {
        match error {
            sqlx::Error::Tls(why) => Some(Self::Handshake(why.to_string())),
            sqlx::Error::Io(error) => match error.get_ref()?.downcast_ref()? {
                rustls::Error::InvalidCertificate(why) => Some(Self::Certificate(distrust(why, host))),
                why => Some(Self::Handshake(why.to_string())),
            },
            _ => None,
        }
    }
}

/// Without the time, which the error's own words contain.
fn distrust(why: &CertificateError, host: &str) -> String {
    match why {
        // The second: one of the name has not, and another of that name may have.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "none of the authorities in tls.caSecretRef has signed it".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            format!("it is for {}, not for {host}", presented.join(", "))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it is not for {host}")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use devenv::Authority;
    use rustls::pki_types::UnixTime;

    use super::*;

    fn authority() -> String {
        Authority::new("ours").pem()
    }

    #[test]
    fn certificates_are_taken_out_of_whatever_stands_around_them() {
        let (one, other) = (authority(), authority());
        let key = Authority::new("ours").certify(&["db.example"]).key;
        let text = format!("# our authorities\r\n{one}\n{key}\n\nthe second:\n{}", other.replace('\n', "\r\n"));
        let authorities = Authorities::parse(text.as_bytes()).unwrap();
        assert_eq!(authorities.as_pem(), format!("{one}{other}"));
        assert_eq!(Authorities::parse(authorities.as_pem().as_bytes()), Ok(authorities));
    }

    #[test]
    fn what_holds_no_certificate_or_a_broken_one_is_refused() {
        let key = Authority::new("ours").certify(&["db.example"]).key;
        for none in ["", "no certificate", key.as_str()] {
            assert_eq!(Authorities::parse(none.as_bytes()), Err(InvalidAuthorities::Empty), "{none}");
        }
        let whole = authority();
        let cut = encoded(&[0x30, 0x03, 0x02, 0x01, 0x01]);
        for broken in [whole.replace("\nMI", "\n!!"), format!("{whole}{cut}")] {
            assert_eq!(Authorities::parse(broken.as_bytes()), Err(InvalidAuthorities::Malformed), "{broken}");
        }
        let many = whole.repeat(LONGEST / whole.len() + 1);
        assert_eq!(Authorities::parse(many.as_bytes()), Err(InvalidAuthorities::TooLong));
    }

    #[test]
    fn a_certificate_that_has_expired_is_told_in_the_same_words_at_any_time() {
        let told = |now: u64| {
            let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
            let not_after = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1));
            let expired = rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after });
            let error = std::io::Error::new(std::io::ErrorKind::InvalidData, expired);
            TlsError::of(&sqlx::Error::Io(error), "db.example").unwrap().to_string()
        };
        assert_eq!(told(100), "the server's certificate is not trusted: it has expired");
        assert_eq!(told(200), told(100));
    }

    #[test]
    fn a_connection_that_is_cut_off_is_no_matter_of_tls() {
        let cut = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(TlsError::of(&sqlx::Error::Io(cut), "db.example"), None);
    }
}
