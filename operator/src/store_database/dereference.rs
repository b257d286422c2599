//! Reads what a database's spec refers to. What the cache does not have is asked of the API server: a password made because
//! a watch was late would lock everybody out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

use api::{StoreDatabase, StoreDatabaseSpec, StoreService};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{PersistentVolumeClaim, Secret},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{
    names::Names,
    sql::{Identifier, NoRandomness, Password},
};
use crate::{
    framework::{Cached, Context, namespace},
    storage,
};

/// Passwords of the databases' roles: those of their Secrets, and new ones where there is no Secret yet.
pub(crate) type Passwords = BTreeMap<Identifier, Password>;

/// What was read for a database.
#[derive(Clone, Debug)]
pub(crate) struct Reads {
    /// Namespace of the operator.
    pub(crate) operator: String,
    /// Names of the StoreServices that use one of the databases.
    pub(crate) users: Vec<String>,
    /// Passwords of the roles.
    pub(crate) passwords: Passwords,
    /// What concerns the server itself.
    pub(crate) server: ServerReads,
}

/// What was read for the server.
#[derive(Clone, Debug)]
pub(crate) enum ServerReads {
    /// This operator runs it.
    Managed(Box<ManagedReads>),
    /// Somebody else runs it.
    External(Box<AdminReads>),
}

/// What was read for a server that this operator runs.
#[derive(Clone, Debug)]
pub(crate) struct ManagedReads {
    /// The superuser's Secret.
    pub(crate) superuser: Option<Secret>,
    /// The volume.
    pub(crate) storage: storage::Observed,
    /// A password for a superuser that does not exist yet.
    pub(crate) new_password: Password,
}

/// What was read for a server that somebody else runs.
#[derive(Clone, Debug)]
pub(crate) struct AdminReads {
    /// Name of the Secret.
    pub(crate) name: String,
    /// The Secret.
    pub(crate) secret: Option<Secret>,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DereferenceError {
    /// The API server did not give an object.
    #[error("cannot read {kind} {name}")]
    Read {
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// No password could be made.
    #[error("cannot make a password")]
    Randomness(#[from] NoRandomness),
}

/// Reads everything a database needs.
pub(super) async fn dereference(context: &Context, database: &StoreDatabase) -> Result<Reads, DereferenceError> {
    let reader = Reader { context, namespace: namespace(database) };
    let names = Names::new(&database.name_any());
    let passwords = reader.passwords(&names, &database.spec).await?;
    let server = match &database.spec.external {
        Some(_) => ServerReads::External(Box::new(administrator(context, database).await?)),
        None => ServerReads::Managed(Box::new(reader.managed(&names, &database.spec).await?)),
    };
    let users = users(context, database, &names).iter().map(|service| service.name_any()).collect();
    let operator = context.own_namespace().to_owned();
    Ok(Reads { operator, users, passwords, server })
}

/// The StoreServices that read one of the Secrets made for a database, by name.
fn users(context: &Context, database: &StoreDatabase, names: &Names) -> Vec<Arc<StoreService>> {
    let logins = database.spec.databases.iter().filter_map(|named| Identifier::parse(&named.name).ok());
    let secrets: BTreeSet<String> = logins.map(|name| names.login_secret(&name)).collect();
    let mut users = context.cache.store_services.state();
    users.retain(|service| {
        let secret = service.spec.database.as_ref().map(|database| &database.secret_ref.name);
        service.namespace() == database.namespace() && secret.is_some_and(|secret| secrets.contains(secret))
    });
    users.sort_by_key(|service| service.name_any());
    users
}

/// Reads the login of the administrator of an external server.
pub(super) async fn administrator(context: &Context, database: &StoreDatabase) -> Result<AdminReads, DereferenceError> {
    let reader = Reader { context, namespace: namespace(database) };
    let name = database.spec.external.as_ref().map(|external| external.admin_secret_ref.name.clone());
    let name = name.unwrap_or_default();
    let secret = reader.get("Secret", &name).await?;
    Ok(AdminReads { name, secret })
}

/// The password in a Secret.
pub(super) fn password(secret: &Secret) -> Option<Password> {
    let bytes = secret.data.as_ref()?.get("password")?;
    Password::from_secret(std::str::from_utf8(&bytes.0).ok()?)
}

struct Reader<'a> {
    context: &'a Context,
    namespace: &'a str,
}

impl Reader<'_> {
    async fn passwords(&self, names: &Names, spec: &StoreDatabaseSpec) -> Result<Passwords, DereferenceError> {
        let mut passwords = Passwords::new();
        // A name that is none is refused by the next step.
        for name in spec.databases.iter().filter_map(|database| Identifier::parse(&database.name).ok()) {
            let secret: Option<Secret> = self.get("Secret", &names.login_secret(&name)).await?;
            let password = secret.as_ref().and_then(password).map_or_else(Password::generate, Ok)?;
            passwords.insert(name, password);
        }
        Ok(passwords)
    }

    async fn managed(&self, names: &Names, spec: &StoreDatabaseSpec) -> Result<ManagedReads, DereferenceError> {
        // The claim first: a claim that is there now had its Secret before, so a Secret found missing afterwards is lost.
        let claim: Option<PersistentVolumeClaim> = self.get("PersistentVolumeClaim", &names.volume()).await?;
        let superuser = self.get("Secret", &names.superuser_secret()).await?;
        let want = spec.managed.as_ref().map(|managed| Quantity::from(&managed.storage.size));
        let class = match &claim {
            Some(claim) if want.is_some_and(|want| storage::must_grow(&want, Some(claim))) => {
                self.storage_class(claim).await?
            }
            _ => None,
        };
        let storage = storage::Observed { claim, class };
        Ok(ManagedReads { superuser, storage, new_password: Password::generate()? })
    }

    /// The object as the cache has it, else as the API server has it.
    async fn get<K>(&self, kind: &'static str, name: &str) -> Result<Option<K>, DereferenceError>
    where
        K: Cached + Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Debug,
    {
        if let Some(seen) = self.context.cache.get::<K>(self.namespace, name) {
            return Ok(Some(K::clone(&seen)));
        }
        let api: Api<K> = Api::namespaced(self.context.client.clone(), self.namespace);
        api.get_opt(name).await.map_err(failed(kind, name))
    }

    async fn storage_class(&self, claim: &PersistentVolumeClaim) -> Result<Option<storage::Class>, DereferenceError> {
        let Some(name) = storage::class_of(claim) else {
            return Ok(None);
        };
        storage::read_class(self.context, name).await.map_err(failed("StorageClass", name))
    }
}

fn failed(kind: &'static str, name: &str) -> impl FnOnce(kube::Error) -> DereferenceError {
    let name = name.to_owned();
    move |source| DereferenceError::Read { kind, name, source: Box::new(source) }
}
