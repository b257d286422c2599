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

    /// A login in the place of one that was in its Secret until that was lost. Pods may still use that one, so this is the
    /// other role's, and the end of that one is the end of a rotation.
    pub(crate) fn instead_of(lost: Seat, password: Password, request: Option<String>, now: Timestamp) -> Self {
        Self { seat: lost.other(), rotated: Some(now), ..Self::new(password, request) }
    }

    /// Whether it takes the place of one whose Secret was lost, and is still to be written.
    pub(crate) fn replaces_a_lost_one(&self) -> bool {
        self.version.is_none() && self.rotated.is_some()
    }

    /// What a Secret holds, if it has a password.
    pub(crate) fn of(name: &Identifier, secret: &Secret) -> Option<Self> {
        let username = secret.data.as_ref().and_then(|data| data.get("username"));
        let username = username.and_then(|held| std::str::from_utf8(&held.0).ok());
        Some(Self {
            seat: username.map(|role| Seat::named(role, name)).unwrap_or_default(),
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
