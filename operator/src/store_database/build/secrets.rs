//! The Secrets of a database. Nobody owns them: together with the volume they outlive their resource, so that its data
//! can be opened again.

use std::collections::BTreeMap;

use api::{ANNOTATION_ROTATE, ANNOTATION_ROTATED_AT};
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{SUPERUSER, labels};
use crate::store_database::{
    credential::Credential,
    sql::Login,
    validate::{Managed, Validated},
};

pub(super) fn superuser(of: &Validated, managed: &Managed) -> Secret {
    let data = [("username", SUPERUSER.to_owned()), ("password", managed.superuser.expose().to_owned())];
    secret(of, of.names.superuser_secret(), data)
}

/// Where the password comes from stands beside it, so that one write says both. It follows from what the Secret held, and is
/// written over that alone: whoever changed it since, such as somebody who put a password back, is not overwritten.
pub(super) fn login(of: &Validated, login: &Login, held: &Credential) -> Secret {
    let (name, role, password) = (login.name.as_str(), login.role(), login.password.expose());
    let (host, port, tls) = (&of.host, of.port, of.mode.tls());
    let data = [
        ("uri", uri(name, role.as_str(), password, host, port) + tls.parameter()),
        ("host", host.clone()),
        ("port", port.to_string()),
        ("username", role.as_str().to_owned()),
        ("password", password.to_owned()),
        ("database", name.to_owned()),
    ];
    let authorities = tls.authorities().map(|authorities| ("ca.crt", authorities.as_pem().to_owned()));
    let mut secret = secret(of, of.names.login_secret(&login.name), data.into_iter().chain(authorities));
    let rotated = held.rotated.map(|at| (ANNOTATION_ROTATED_AT.to_owned(), at.to_string()));
    let request = held.request.clone().map(|request| (ANNOTATION_ROTATE.to_owned(), request));
    let annotations: BTreeMap<String, String> = rotated.into_iter().chain(request).collect();
    secret.metadata.resource_version.clone_from(&held.version);
    secret.metadata.annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
    secret
}

/// A connection URI (RFC 3986): an IPv6 address stands in brackets, and of the password, which somebody may have put
/// into the Secret by hand, everything but unreserved characters is escaped.
fn uri(name: &str, role: &str, password: &str, host: &str, port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let escaped = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let password: String = password.bytes().map(escaped).collect();
    format!("postgres://{role}:{password}@{host}:{port}/{name}")
}

fn secret<'a>(of: &Validated, name: String, data: impl IntoIterator<Item = (&'a str, String)>) -> Secret {
    let data: BTreeMap<String, ByteString> =
        data.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes()))).collect();
    Secret {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(of.namespace.clone()),
            labels: Some(labels::all(of)),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_escapes_what_would_end_a_part_of_it() {
        assert_eq!(uri("auth", "auth-b", "p@s/s:%", "db", 5432), "postgres://auth-b:p%40s%2Fs%3A%25@db:5432/auth");
        assert_eq!(uri("auth", "auth", "p", "fd00::1", 5432), "postgres://auth:p@[fd00::1]:5432/auth");
    }
}
