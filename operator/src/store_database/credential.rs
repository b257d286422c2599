//! The login of a database, as its Secret holds it. Pure.

use api::{ANNOTATION_ROTATE, ANNOTATION_ROTATED_AT};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::{
    dereference::password,
    sql::{Identifier, Password, Seat},
};

/// A login, and what its Secret says of where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    /// The role in use.
    pub(crate) seat: Seat,
    pub(crate) password: Password,
    /// The request for a rotation that it was made for, or made after.
    pub(crate) request: Option<String>,
    /// When it took the place of another.
    pub(crate) rotated: Option<Timestamp>,
    /// When the Secret was made; `None` where it is still to be.
    pub(crate) made: Option<Timestamp>,
    /// Version of the Secret that was read.
    pub(crate) version: Option<String>,
    /// Pods that may use another login than this.
    pub(crate) pods_behind: usize,
}

impl Credential {
    /// The first login of a database.
    pub(crate) fn new(password: Password, request: Option<String>) -> Self {
        Self { seat: Seat::First, password, request, rotated: None, made: None, version: None, pods_behind: 0 }
    }

    /// What a Secret holds, if it has a password.
    pub(crate) fn of(name: &Identifier, secret: &Secret) -> Option<Self> {
        let username = secret.data.as_ref().and_then(|data| data.get("username"));
        let is_second = username.is_some_and(|held| held.0 == Seat::Second.of(name).as_str().as_bytes());
        Some(Self {
            seat: if is_second { Seat::Second } else { Seat::First },
            password: password(secret)?,
            request: secret.annotations().get(ANNOTATION_ROTATE).cloned(),
            rotated: secret.annotations().get(ANNOTATION_ROTATED_AT).and_then(|text| text.parse().ok()),
            made: secret.creation_timestamp().map(|time| time.0),
            version: secret.resource_version(),
            pods_behind: 0,
        })
    }

    /// What takes its place: a new password of the other role.
    pub(crate) fn next(&self, password: Password, request: Option<String>, now: Timestamp) -> Self {
        Self { seat: self.seat.other(), password, request, rotated: Some(now), ..self.clone() }
    }
}
