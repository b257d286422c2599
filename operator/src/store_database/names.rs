//! Names of a database's children, and of what is on its server.

use api::{StoreDatabase, login_secret};
use kube::ResourceExt;

use super::sql::{Identifier, InvalidIdentifier};

/// Builds the names from the resource's own, which is its store's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    resource: String,
    /// What the names of databases begin with on a server that others use as well.
    on_server: String,
}

impl Names {
    /// The names of a resource.
    pub(crate) fn of(database: &StoreDatabase) -> Self {
        let prefix = database.spec.external.as_ref().map(|external| external.database_prefix.clone());
        Self { resource: database.name_any(), on_server: prefix.unwrap_or_default() }
    }

    /// The name that a database of the spec has on the server, and its role.
    pub(crate) fn on_server(&self, database: &str) -> Result<Identifier, InvalidIdentifier> {
        Identifier::parse(&format!("{}{database}", self.on_server))
    }

    /// The name that a database on the server has in the spec.
    pub(crate) fn in_spec<'a>(&self, database: &'a Identifier) -> &'a str {
        database.as_str().strip_prefix(&self.on_server).unwrap_or(database.as_str())
    }

    /// The managed server: its StatefulSet and its Service.
    pub(crate) fn server(&self) -> String {
        format!("{}-postgres", self.resource)
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
        login_secret(&self.resource, self.in_spec(database))
    }
}
