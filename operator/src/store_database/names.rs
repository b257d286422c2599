//! Names of a database's children.

use api::login_secret;

use super::sql::Identifier;

/// Builds the names from the resource's own, which is its store's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    /// Names that begin with `prefix`.
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The managed server: its StatefulSet and its Service.
    pub(crate) fn server(&self) -> String {
        format!("{}-postgres", self.prefix)
    }

    /// The managed server's PersistentVolumeClaim.
    pub(crate) fn volume(&self) -> String {
        format!("data-{}-0", self.server())
    }

    /// The Secret with the managed server's superuser.
    pub(crate) fn superuser_secret(&self) -> String {
        format!("{}-superuser", self.server())
    }

    /// The Secret with the login of one database.
    pub(crate) fn login_secret(&self, database: &Identifier) -> String {
        login_secret(&self.prefix, database.as_str())
    }
}
