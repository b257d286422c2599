//! The Secrets of a database. Nobody owns them: together with the volume they outlive their resource, so that its data
//! can be opened again.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{SUPERUSER, labels};
use crate::store_database::{
    sql::Login,
    validate::{Managed, Validated},
};

pub(super) fn superuser(of: &Validated, managed: &Managed) -> Secret {
    let data = [("username", SUPERUSER.to_owned()), ("password", managed.superuser.expose().to_owned())];
    secret(of, of.names.superuser_secret(), data)
}

pub(super) fn login(of: &Validated, login: &Login) -> Secret {
    let (name, password) = (login.name.as_str(), login.password.expose());
    let (host, port) = (&of.host, of.port);
    let data = [
        ("uri", uri(name, password, host, port)),
        ("host", host.clone()),
        ("port", port.to_string()),
        ("username", name.to_owned()),
        ("password", password.to_owned()),
        ("database", name.to_owned()),
    ];
    secret(of, of.names.login_secret(&login.name), data)
}

/// A connection URI (RFC 3986): an IPv6 address stands in brackets, and of the password, which somebody may have put
/// into the Secret by hand, everything but unreserved characters is escaped.
fn uri(name: &str, password: &str, host: &str, port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let escaped = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let password: String = password.bytes().map(escaped).collect();
    format!("postgres://{name}:{password}@{host}:{port}/{name}")
}

fn secret<const N: usize>(of: &Validated, name: String, data: [(&str, String); N]) -> Secret {
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
        assert_eq!(uri("auth", "p@s/s:%", "db", 5432), "postgres://auth:p%40s%2Fs%3A%25@db:5432/auth");
        assert_eq!(uri("auth", "p", "fd00::1", 5432), "postgres://auth:p@[fd00::1]:5432/auth");
    }
}
