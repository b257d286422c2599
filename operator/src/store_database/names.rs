//! Names of a database's children.

use super::sql::Identifier;

/// Builds the names from what the children of one store share: the store's name, or the resource's own without a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// Names that begin with `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The managed server: its StatefulSet and its Service.
    pub fn server(&self) -> String {
        format!("{}-postgres", self.prefix)
    }

    /// The managed server's only Pod.
    pub fn pod(&self) -> String {
        format!("{}-0", self.server())
    }

    /// The managed server's PersistentVolumeClaim.
    pub fn volume(&self) -> String {
        format!("data-{}-0", self.server())
    }

    /// The Secret with the managed server's superuser.
    pub fn superuser_secret(&self) -> String {
        format!("{}-superuser", self.server())
    }

    /// The Secret with the login of one database.
    pub fn login_secret(&self, database: &Identifier) -> String {
        format!("{}-{}-database", self.prefix, database.as_str())
    }
}
