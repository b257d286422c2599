//! StoreDatabase: a PostgreSQL server, or a place on one, and the databases in it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DeletionPolicy, LocalReference, Resources, Storage};

/// The databases of a store, each with a login role of its own.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "greencommerce.dev",
    version = "v1alpha1",
    kind = "StoreDatabase",
    plural = "storedatabases",
    shortname = "gcdb",
    category = "greencommerce",
    namespaced,
    status = "StoreDatabaseStatus",
    derive = "PartialEq",
    doc = "The databases of a store: a PostgreSQL server run by the operator, or a place on one that exists, with a database, a login role and a Secret per service.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 40").message("the name must not exceed 40 characters: names of other objects are made from it"),
    validation = Rule::new("!has(self.spec.managed) || self.metadata.name.matches('^[a-z][-a-z0-9]*$')")
        .message("the name of a server's Service is made from this one: only lower case letters, digits and '-', starting with a letter")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.managed), has(self.external)].exists_one(set, set)")
        .message("set exactly one of managed and external"),
    validation = Rule::new("has(self.managed) == has(oldSelf.managed)")
        .message("the mode cannot be changed between managed and external: the data would stay behind; create another store and move the data"),
)]
pub struct StoreDatabaseSpec {
    /// A PostgreSQL server that the operator runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedDatabase>,
    /// A PostgreSQL server that exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
    /// The databases, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub databases: Vec<NamedDatabase>,
    /// When passwords are replaced by themselves. At any time the annotation `greencommerce.dev/rotate` with a new value
    /// replaces them once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_rotation: Option<PasswordRotation>,
    /// What happens to the data when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Whether the databases and roles are taken up that a former object of this name, or of this name in another cluster,
    /// made on a server that exists. While both exist, only one may. A volume of its own is taken up in any case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt_retained_data: bool,
    /// Whether the server sleeps: it runs no pod, and its volume is kept. A server that exists is left alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// Where the databases of a store live: exactly one of the fields is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.managed), has(self.external)].exists_one(set, set)")
        .message("set exactly one of managed and external"),
    validation = Rule::new("has(self.managed) == has(oldSelf.managed)")
        .message("the mode cannot be changed between managed and external: the data would stay behind; create another store and move the data"),
)]
pub struct DatabaseTarget {
    /// A PostgreSQL server that the operator runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedDatabase>,
    /// A PostgreSQL server that exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
    /// When passwords are replaced by themselves. At any time the annotation `greencommerce.dev/rotate` with a new value
    /// replaces them once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_rotation: Option<PasswordRotation>,
}

impl Default for DatabaseTarget {
    fn default() -> Self {
        Self { managed: Some(ManagedDatabase::default()), external: None, password_rotation: None }
    }
}

/// How often the passwords of the databases are replaced. Services take up a new one without a failed request: the one
/// before works until no pod uses it any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct PasswordRotation {
    /// Age at which a password is replaced, for example `720h`.
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+h)?([0-9]+m)?([0-9]+s)?$') && duration(self) >= duration('1h') && duration(self) <= duration('8760h')")
        .message("must be a duration from 1h to 8760h, for example 720h"))]
    pub interval: String,
}

/// A PostgreSQL server that the operator runs: one pod with one volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedDatabase {
    /// Major version of PostgreSQL. It cannot be changed: a new major version needs its data converted.
    #[serde(default = "default_postgres_version")]
    #[schemars(length(min = 2, max = 2))]
    #[x_kube(
        validation = Rule::new("self in ['14', '15', '16', '17', '18']")
            .message("must be a supported major version of PostgreSQL: 14, 15, 16, 17 or 18"),
        validation = Rule::new("self == oldSelf")
            .message("version cannot be changed: dump the data and load it into a store with the other version")
    )]
    pub version: String,
    /// Image with the conventions of the official one; `postgres:<version>` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// The volume.
    #[serde(default)]
    pub storage: Storage,
    /// Compute resources of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

impl Default for ManagedDatabase {
    fn default() -> Self {
        Self { version: default_postgres_version(), image: None, storage: Storage::default(), resources: None }
    }
}

fn default_postgres_version() -> String {
    "15".to_owned()
}

/// A PostgreSQL server that exists, with a role that may create databases and roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatabase {
    /// Host name or address of the server.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$')")
        .message("must be a host name or an address, without scheme and port"))]
    pub host: String,
    /// Port of the server.
    #[serde(default = "default_postgres_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Secret with the keys `username` and `password` of a role that may create databases and roles.
    pub admin_secret_ref: LocalReference,
    /// How connections to the server are protected; with TLS where the server speaks it, and unverified, if left out. It
    /// holds for the operator and, by the Secrets that it makes, for the services.
    // No default in the schema: the mode of what is left out is another than that of what is given without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<DatabaseTls>,
    /// Put before the names of the databases and of their roles on the server, for example `green_`. Two stores on the same
    /// server need different ones. It cannot be changed.
    #[serde(default)]
    #[schemars(length(max = 20))]
    #[x_kube(
        validation = Rule::new("self.matches('^([a-z][a-z0-9_]*)?$') && !self.startsWith('pg_')")
            .message("must consist of lower case letters, digits and '_', and start with a letter, but not with 'pg_'"),
        validation = Rule::new("self == oldSelf")
            .message("databasePrefix cannot be changed: the data would stay in the databases of the old name; create another store")
    )]
    pub database_prefix: String,
}

impl ExternalDatabase {
    /// How connections to the server are protected.
    #[must_use]
    pub fn tls_mode(&self) -> TlsMode {
        self.tls.as_ref().map_or(TlsMode::Prefer, |tls| tls.mode)
    }

    /// Where the certificates are that the server's is verified with.
    #[must_use]
    pub fn authorities(&self) -> Option<&AuthoritiesReference> {
        self.tls.as_ref()?.ca_secret_ref.as_ref()
    }

    /// Names of the Secrets that somebody else makes for it.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let authorities = self.authorities().map(|secret| secret.name.as_str());
        std::iter::once(self.admin_secret_ref.name.as_str()).chain(authorities)
    }
}

fn default_postgres_port() -> i32 {
    5432
}

/// How connections to a server that exists are protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.mode != 'VerifyFull' || has(self.caSecretRef)")
        .message("mode VerifyFull needs caSecretRef: name the Secret with the certificates of the authorities that may have signed the server's"),
    validation = Rule::new("self.mode == 'VerifyFull' || !has(self.caSecretRef)")
        .message("caSecretRef counts with mode VerifyFull only: set that mode, or remove caSecretRef"),
)]
pub struct DatabaseTls {
    /// What is asked of the server; the names are those of PostgreSQL's `sslmode`.
    #[serde(default)]
    pub mode: TlsMode,
    /// Secret with certificates in PEM: those of the authorities that may have signed the server's. When they change, the
    /// pods that use the databases are replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<AuthoritiesReference>,
}

/// What is asked of a server before anything is said to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// TLS where the server speaks it, and none where it does not. Nobody is kept from reading or answering in its place.
    Prefer,
    /// TLS, with any certificate: who only listens learns nothing, who answers in the server's place is not noticed.
    Require,
    /// TLS, with a certificate that one of the authorities signed for `host`.
    #[default]
    VerifyFull,
}

/// Names an entry of a Secret in the same namespace that holds certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct AuthoritiesReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
        .message("must be the name of an object: lower case letters, digits, '-' and '.'"))]
    pub name: String,
    /// Key of the entry.
    #[serde(default = "default_authorities_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn default_authorities_key() -> String {
    "ca.crt".to_owned()
}

/// One database. Its login role has the same name and owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct NamedDatabase {
    /// Name of the database and of its role.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z][a-z0-9_]*$')")
            .message("must consist of lower case letters, digits and '_', and start with a letter"),
        validation = Rule::new("!(self in ['postgres', 'template0', 'template1', 'public', 'none', 'user'] || self.startsWith('pg_'))")
            .message("is a name that PostgreSQL keeps for itself")
    )]
    pub name: String,
}

/// Name of the Secret with the login of a database. It cannot have the `_` that the database's own may.
#[must_use]
pub fn login_secret(resource: &str, database: &str) -> String {
    format!("{resource}-{}-database", database.replace('_', "-"))
}

/// What is known about the databases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreDatabaseStatus {
    /// Generation of the object that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State: `Ready`, `ServerReady`, `StorageReady`, `Rotating`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The databases, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub databases: Vec<DatabaseStatus>,
}

/// What is known about one database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStatus {
    /// Name of the database.
    pub name: String,
    /// Whether the database, its role and its Secret exist and fit together.
    pub ready: bool,
    /// Secret with the keys `uri`, `host`, `port`, `username`, `password` and `database`; and `ca.crt` where the server's
    /// certificate is verified.
    pub secret_name: String,
    /// Role that the Secret names. A database has two, of which one is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// What tells the database from every other of its name: one that was dropped and made again has another, and is
    /// empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// When its password was last replaced; absent while it is the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_rotated: Option<Time>,
}
