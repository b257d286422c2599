//! From a spec and what was read, to a value that can be built from without further questions. Pure.

use std::{collections::BTreeMap, time::Duration};

use api::{ExternalDatabase, ManagedDatabase, NamedDatabase, StoreDatabase, TlsMode, label};
use jiff::SignedDuration;
use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, ResourceRequirements, Secret},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::ResourceExt;

use super::{
    build,
    dereference::{AdminReads, Credentials, ManagedReads, Reads, ServerReads, password, requested},
    error::ValidateError,
    names::Names,
    rotation::Wish,
    sql::{Authorities, Identifier, InvalidAuthorities, Login, Mark, Password, Server, Tenancy, Tls},
};
use crate::{
    framework::{Refused, host_in, namespace, owner_reference},
    storage,
    workload::DefaultResources,
};

/// What the server gets where the resource says nothing: enough for a small shop, with room for bursts.
const DEFAULTS: DefaultResources =
    DefaultResources { cpu_request: "50m", memory_request: "128Mi", memory_limit: "1Gi" };

/// How long logging in may take.
const LOGIN: Duration = Duration::from_secs(5);

/// A database resource that can be carried out.
#[derive(Clone, Debug)]
pub(crate) struct Validated {
    /// Name of the resource.
    pub(crate) name: String,
    /// Namespace of the resource and of everything made for it.
    pub(crate) namespace: String,
    /// Name of the store the databases belong to; the resource's own when there is none.
    pub(crate) store: String,
    /// Namespace of the operator.
    pub(crate) operator: String,
    /// Names of the StoreServices that use one of the databases.
    pub(crate) users: Vec<String>,
    /// The resource as the owner of its children.
    pub(crate) owner: OwnerReference,
    /// Names of the children.
    pub(crate) names: Names,
    /// Host of the server, as clients in the cluster reach it.
    pub(crate) host: String,
    /// Port of the server.
    pub(crate) port: u16,
    /// The databases with the passwords of their roles.
    pub(crate) logins: Vec<Login>,
    /// What their Secrets say of them.
    pub(crate) credentials: Credentials,
    /// Which databases they were when they were last looked at, by their names in the spec.
    pub(crate) identities: BTreeMap<String, String>,
    /// When passwords are to be replaced.
    pub(crate) wish: Wish,
    /// Who runs the server.
    pub(crate) mode: Mode,
    /// The Store that the data belongs to, if one owns this.
    pub(crate) store_uid: Option<String>,
    /// Whether what a former resource of this name left on somebody else's server is taken up.
    pub(crate) adopts: bool,
    /// Whether the server is to run no pod.
    pub(crate) suspend: bool,
}

/// Who runs the server.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// This operator.
    Managed(Box<Managed>),
    /// Somebody else.
    External(Admin),
}

/// A server that this operator runs.
#[derive(Clone, Debug)]
pub(crate) struct Managed {
    /// Image of the server.
    pub(crate) image: String,
    /// Compute resources of the server.
    pub(crate) resources: ResourceRequirements,
    /// The volume's claim, if it exists.
    pub(crate) seen: Option<PersistentVolumeClaim>,
    /// What to ask of it.
    pub(crate) claim: storage::Claim,
    /// Password of the superuser.
    pub(crate) superuser: Password,
}

/// The administrator of a server that somebody else runs.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    /// Name of the role.
    pub(crate) username: String,
    /// Its password.
    pub(crate) password: Password,
    /// How connections to the server are protected, the administrator's and all others.
    pub(crate) tls: Tls,
}

impl Mode {
    /// What to do about a server that refuses connections: one of our own has just become ready.
    pub(crate) fn refused(&self) -> Refused {
        match self {
            Self::Managed(_) => Refused::TryAgain,
            Self::External(_) => Refused::GiveUp,
        }
    }

    /// How connections to the server are protected. One of our own is a pod of the namespace, and speaks no TLS.
    pub(crate) fn tls(&self) -> &Tls {
        match self {
            Self::Managed(_) => &Tls::Disable,
            Self::External(admin) => &admin.tls,
        }
    }
}

impl Validated {
    /// Whether only the storage class of the volume can make it better.
    pub(crate) fn waits_for_its_class(&self) -> bool {
        match &self.mode {
            Mode::Managed(managed) => managed.claim.state.waits_for_its_class(),
            Mode::External(_) => false,
        }
    }

    /// How the operator logs in to the server.
    pub(crate) fn server(&self) -> Server {
        let (username, password) = match &self.mode {
            Mode::Managed(managed) => (build::SUPERUSER, &managed.superuser),
            Mode::External(admin) => (admin.username.as_str(), &admin.password),
        };
        Server {
            host: self.host.clone(),
            port: self.port,
            tls: self.mode.tls().clone(),
            username: username.to_owned(),
            password: password.clone(),
            patience: LOGIN,
        }
    }

    /// How much of the server is this resource's.
    pub(crate) fn tenancy(&self) -> Tenancy {
        match self.mode {
            Mode::Managed(_) => Tenancy::Whole,
            Mode::External(_) => {
                let uid = self.store_uid.as_ref().unwrap_or(&self.owner.uid);
                Tenancy::Shared(Mark::new(&self.namespace, &self.name, uid).adopting(self.adopts))
            }
        }
    }
}

/// Checks a resource against what was read for it.
pub(crate) fn validate(database: &StoreDatabase, reads: Reads) -> Result<Validated, ValidateError> {
    let name = database.name_any();
    let namespace = namespace(database).to_owned();
    let owner = owner_reference(database);
    let store = store_of(database);
    let store_uid = owning_store(database);
    let names = Names::of(database);
    let logins = logins(&names, &database.spec.databases, &reads.credentials)?;
    let wish = Wish { request: requested(database), interval: interval(database)? };
    let (operator, users, credentials) = (reads.operator, reads.users, reads.credentials);
    let (host, port, mode) = match (&database.spec.managed, &database.spec.external, reads.server) {
        (Some(managed), None, ServerReads::Managed(server)) => {
            let host = format!("{}.{namespace}.svc", names.server());
            let superuser = superuser(&names, &server)?;
            let mode = managed_mode(managed, store_uid.as_deref(), &server.storage, superuser);
            (host, build::PORT, Mode::Managed(Box::new(mode)))
        }
        (None, Some(external), ServerReads::External(admin)) => {
            let host = host_in(&namespace, &external.host);
            (host, port(external.port)?, Mode::External(administrator(external, &admin)?))
        }
        _ => return Err(ValidateError::Mode),
    };
    let (suspend, adopts) = (database.spec.suspend, database.spec.adopt_retained_data);
    let identities = identities(database);
    Ok(Validated {
        name,
        namespace,
        store,
        operator,
        users,
        owner,
        names,
        host,
        port,
        logins,
        credentials,
        identities,
        wish,
        mode,
        store_uid,
        adopts,
        suspend,
    })
}

fn identities(database: &StoreDatabase) -> BTreeMap<String, String> {
    let known = database.status.iter().flat_map(|status| &status.databases);
    known.filter_map(|known| Some((known.name.clone(), known.identity.clone()?))).collect()
}

/// Uid of the Store that owns it, if one does.
fn owning_store(database: &StoreDatabase) -> Option<String> {
    let store = database.owner_references().iter().find(|owner| owner.kind == "Store")?;
    Some(store.uid.clone())
}

/// The store a database belongs to.
pub(super) fn store_of(database: &StoreDatabase) -> String {
    database.labels().get(label::STORE).cloned().unwrap_or_else(|| database.name_any())
}

/// How the operator removes what it made on somebody else's server.
pub(super) fn removal(database: &StoreDatabase, admin: &AdminReads) -> Result<Removal, ValidateError> {
    let external = database.spec.external.as_ref().ok_or(ValidateError::Mode)?;
    let admin = administrator(external, admin)?;
    let server = Server {
        host: host_in(namespace(database), &external.host),
        port: port(external.port)?,
        tls: admin.tls,
        username: admin.username,
        password: admin.password,
        patience: LOGIN,
    };
    // What has not been taken up by now is not removed either.
    let uid = owning_store(database).or_else(|| database.uid()).unwrap_or_default();
    let tenancy = Tenancy::Shared(Mark::new(namespace(database), &database.name_any(), &uid));
    Ok(Removal { server, tenancy, names: identifiers(&Names::of(database), &database.spec.databases)? })
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

fn identifiers(names: &Names, databases: &[NamedDatabase]) -> Result<Vec<Identifier>, ValidateError> {
    databases.iter().map(|database| Ok(names.on_server(&database.name)?)).collect()
}

fn logins(names: &Names, databases: &[NamedDatabase], credentials: &Credentials) -> Result<Vec<Login>, ValidateError> {
    let login = |name: Identifier| {
        let held = credentials.get(&name).ok_or_else(|| ValidateError::Unread(name.clone()))?;
        Ok(Login { seat: held.seat, password: held.password.clone(), name })
    };
    identifiers(names, databases)?.into_iter().map(login).collect()
}

fn interval(database: &StoreDatabase) -> Result<Option<SignedDuration>, ValidateError> {
    let given = database.spec.password_rotation.as_ref().map(|rotation| &rotation.interval);
    given.map(|text| text.parse().map_err(|_| ValidateError::Interval(text.clone()))).transpose()
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

fn administrator(external: &ExternalDatabase, admin: &AdminReads) -> Result<Admin, ValidateError> {
    let name = || admin.name.clone();
    let secret = admin.secret.as_ref().ok_or_else(|| ValidateError::AdminMissing { secret: name() })?;
    let username =
        text(secret, "username").ok_or_else(|| ValidateError::AdminInvalid { secret: name(), key: "username" })?;
    let password = password(secret).ok_or_else(|| ValidateError::AdminInvalid { secret: name(), key: "password" })?;
    Ok(Admin { username, password, tls: tls(external, admin)? })
}

fn tls(external: &ExternalDatabase, reads: &AdminReads) -> Result<Tls, ValidateError> {
    Ok(match external.tls_mode() {
        TlsMode::Prefer => Tls::Prefer,
        TlsMode::Require => Tls::Require,
        TlsMode::VerifyFull => Tls::VerifyFull(authorities(external, reads)?),
    })
}

fn authorities(external: &ExternalDatabase, reads: &AdminReads) -> Result<Authorities, ValidateError> {
    let named = external.authorities().ok_or(ValidateError::AuthoritiesUnnamed)?;
    let (secret, key) = (named.name.clone(), named.key.clone());
    let Some(found) = &reads.authorities else { return Err(ValidateError::AuthoritiesMissing { secret, key }) };
    let text = found.data.as_ref().and_then(|data| data.get(&key));
    let parsed = text.ok_or(InvalidAuthorities::Empty).and_then(|text| Authorities::parse(&text.0));
    parsed.map_err(|why| ValidateError::AuthoritiesInvalid { secret, key, why })
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.0.clone()).ok().filter(|text| !text.is_empty())
}

fn managed_mode(
    managed: &ManagedDatabase,
    store: Option<&str>,
    observed: &storage::Observed,
    superuser: Password,
) -> Managed {
    Managed {
        image: managed.image.clone().unwrap_or_else(|| format!("postgres:{}", managed.version)),
        resources: DEFAULTS.with(managed.resources.as_ref()),
        seen: observed.claim.clone(),
        claim: storage::claim(&managed.storage, store, observed),
        superuser,
    }
}
