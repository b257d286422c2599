//! From a spec and what was read, to a value that can be built from without further questions. Pure.

use api::{ManagedDatabase, NamedDatabase, StoreDatabase, label};
use k8s_openapi::{
    api::core::v1::{ResourceRequirements, Secret},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::OwnerReference},
};
use kube::ResourceExt;
use sqlx::postgres::PgSslMode;

use super::{
    build,
    dereference::{AdminReads, ManagedReads, Passwords, Reads, ServerReads, password},
    error::ValidateError,
    names::Names,
    sql::{Identifier, Login, Password, Server, Tenancy},
};
use crate::{
    framework::{namespace, owner_reference},
    storage,
};

/// A database resource that can be carried out.
#[derive(Clone, Debug)]
pub struct Validated {
    /// Name of the resource.
    pub name: String,
    /// Namespace of the resource and of everything made for it.
    pub namespace: String,
    /// Name of the store the databases belong to; the resource's own when there is none.
    pub store: String,
    /// The resource as the owner of its children.
    pub owner: OwnerReference,
    /// Names of the children.
    pub names: Names,
    /// Host of the server, as clients in the cluster reach it.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// The databases with the passwords of their roles.
    pub logins: Vec<Login>,
    /// Who runs the server.
    pub mode: Mode,
}

/// Who runs the server.
#[derive(Clone, Debug)]
pub enum Mode {
    /// This operator.
    Managed(Box<Managed>),
    /// Somebody else.
    External(Admin),
}

/// A server that this operator runs.
#[derive(Clone, Debug)]
pub struct Managed {
    /// Image of the server.
    pub image: String,
    /// Compute resources of the server.
    pub resources: ResourceRequirements,
    /// Storage class of the volume.
    pub storage_class: Option<String>,
    /// What to ask of the volume's claim.
    pub claimed: Quantity,
    /// Whether the volume is as large as wanted.
    pub storage: storage::State,
    /// Password of the superuser.
    pub superuser: Password,
}

/// The administrator of a server that somebody else runs.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Name of the role.
    pub username: String,
    /// Its password.
    pub password: Password,
}

impl Validated {
    /// How the operator logs in to the server.
    pub fn server(&self) -> Server {
        let (tls, username, password) = match &self.mode {
            Mode::Managed(managed) => (PgSslMode::Disable, build::SUPERUSER, &managed.superuser),
            Mode::External(admin) => (PgSslMode::Prefer, admin.username.as_str(), &admin.password),
        };
        Server {
            host: self.host.clone(),
            port: self.port,
            tls,
            username: username.to_owned(),
            password: password.clone(),
        }
    }

    /// How much of the server is this resource's.
    pub fn tenancy(&self) -> Tenancy {
        match self.mode {
            Mode::Managed(_) => Tenancy::Whole,
            Mode::External(_) => Tenancy::Shared { mark: mark(&self.namespace, &self.name) },
        }
    }
}

/// What stands as a comment on the roles that a resource made on somebody else's server.
fn mark(namespace: &str, name: &str) -> String {
    format!("{} StoreDatabase {namespace}/{name}", api::GROUP)
}

/// Checks a resource against what was read for it.
pub fn validate(database: &StoreDatabase, reads: Reads) -> Result<Validated, ValidateError> {
    let name = database.name_any();
    let namespace = namespace(database).to_owned();
    let owner = owner_reference(database);
    let store = store_of(database);
    let names = Names::new(&name);
    let logins = logins(&database.spec.databases, reads.passwords)?;
    let (host, port, mode) = match (&database.spec.managed, &database.spec.external, reads.server) {
        (Some(managed), None, ServerReads::Managed(server)) => {
            let host = format!("{}.{namespace}.svc", names.server());
            let superuser = superuser(&names, &server)?;
            let mode = managed_mode(managed, &server.storage, superuser);
            (host, build::PORT, Mode::Managed(Box::new(mode)))
        }
        (None, Some(external), ServerReads::External(admin)) => {
            (external.host.clone(), port(external.port)?, Mode::External(administrator(&admin)?))
        }
        _ => return Err(ValidateError::Mode),
    };
    Ok(Validated { name, namespace, store, owner, names, host, port, logins, mode })
}

/// The store a database belongs to.
fn store_of(database: &StoreDatabase) -> String {
    database.labels().get(label::STORE).cloned().unwrap_or_else(|| database.name_any())
}

/// How the operator removes what it made on somebody else's server.
pub(super) fn removal(database: &StoreDatabase, admin: &AdminReads) -> Result<Removal, ValidateError> {
    let external = database.spec.external.as_ref().ok_or(ValidateError::Mode)?;
    let admin = administrator(admin)?;
    let server = Server {
        host: external.host.clone(),
        port: port(external.port)?,
        tls: PgSslMode::Prefer,
        username: admin.username,
        password: admin.password,
    };
    let tenancy = Tenancy::Shared { mark: mark(namespace(database), &database.name_any()) };
    Ok(Removal { server, tenancy, names: identifiers(&database.spec.databases)? })
}

/// What to remove from somebody else's server.
#[derive(Clone, Debug)]
pub(super) struct Removal {
    pub(super) server: Server,
    pub(super) tenancy: Tenancy,
    pub(super) names: Vec<Identifier>,
}

fn port(number: i32) -> Result<u16, ValidateError> {
    u16::try_from(number).map_err(|_| ValidateError::Port(number))
}

fn identifiers(databases: &[NamedDatabase]) -> Result<Vec<Identifier>, ValidateError> {
    databases.iter().map(|database| Ok(Identifier::parse(&database.name)?)).collect()
}

fn logins(
    databases: &[NamedDatabase],
    mut passwords: Passwords,
) -> Result<Vec<Login>, ValidateError> {
    let with_password = |name: Identifier| {
        let password = passwords.remove(&name).ok_or_else(|| ValidateError::Unread(name.clone()))?;
        Ok(Login { name, password })
    };
    identifiers(databases)?.into_iter().map(with_password).collect()
}

/// The superuser's password is made once, together with the volume. Were it made again over a volume with data in it,
/// nobody could log in any more.
fn superuser(names: &Names, server: &ManagedReads) -> Result<Password, ValidateError> {
    let lost = || ValidateError::CredentialsLost { secret: names.superuser_secret(), volume: names.volume() };
    match (&server.superuser, &server.storage.claim) {
        (Some(secret), _) => password(secret).ok_or_else(lost),
        (None, Some(_)) => Err(lost()),
        (None, None) => Ok(server.new_password.clone()),
    }
}

fn administrator(admin: &AdminReads) -> Result<Admin, ValidateError> {
    let name = || admin.name.clone();
    let secret = admin.secret.as_ref().ok_or_else(|| ValidateError::AdminMissing { secret: name() })?;
    let username =
        text(secret, "username").ok_or_else(|| ValidateError::AdminInvalid { secret: name(), key: "username" })?;
    let password = password(secret).ok_or_else(|| ValidateError::AdminInvalid { secret: name(), key: "password" })?;
    Ok(Admin { username, password })
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.0.clone()).ok().filter(|text| !text.is_empty())
}

fn managed_mode(managed: &ManagedDatabase, observed: &storage::Observed, superuser: Password) -> Managed {
    let claim = storage::claim(&Quantity::from(&managed.storage.size), observed);
    Managed {
        image: managed.image.clone().unwrap_or_else(|| format!("postgres:{}", managed.version)),
        resources: resources(managed),
        // An existing claim keeps its class: the cluster may have filled in its default.
        storage_class: match &observed.claim {
            Some(claim) => storage::class_of(claim).map(str::to_owned),
            None => managed.storage.class_name.clone(),
        },
        claimed: claim.size,
        storage: claim.state,
        superuser,
    }
}

/// What the server gets where the resource says nothing: enough for a small shop, with room for bursts. A resource of
/// which the spec names a request or a limit gets only those: a default beside them could contradict them.
fn resources(managed: &ManagedDatabase) -> ResourceRequirements {
    let given = managed.resources.clone().unwrap_or_default();
    let (requests, limits) = (given.requests.unwrap_or_default(), given.limits.unwrap_or_default());
    let cpu = amounts(requests.cpu, limits.cpu, (Some("50m"), None));
    let memory = amounts(requests.memory, limits.memory, (Some("128Mi"), Some("1Gi")));
    let named = |cpu: Option<Quantity>, memory: Option<Quantity>| {
        let entries = [("cpu", cpu), ("memory", memory)];
        Some(entries.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount?))).collect())
    };
    ResourceRequirements {
        requests: named(cpu.0, memory.0),
        limits: named(cpu.1, memory.1),
        ..ResourceRequirements::default()
    }
}

fn amounts(
    request: Option<api::Quantity>,
    limit: Option<api::Quantity>,
    (default_request, default_limit): (Option<&str>, Option<&str>),
) -> (Option<Quantity>, Option<Quantity>) {
    if request.is_none() && limit.is_none() {
        let quantity = |text: &str| Quantity(text.to_owned());
        return (default_request.map(quantity), default_limit.map(quantity));
    }
    (request.as_ref().map(Quantity::from), limit.as_ref().map(Quantity::from))
}
