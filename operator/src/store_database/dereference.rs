//! Reads what a database's spec refers to. Secrets and the volume's claim are read from the API server itself: a password
//! made because a cache was late would lock everybody out.

use std::collections::BTreeMap;

use api::{StoreDatabase, StoreDatabaseSpec};
use k8s_openapi::{
    api::{
        core::v1::{PersistentVolumeClaim, Secret},
        storage::v1::StorageClass,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{Api, Client, ResourceExt};

use super::{
    names::Names,
    sql::{Identifier, NoRandomness, Password},
};
use crate::storage;

/// Passwords of the databases' roles: those of their Secrets, and new ones where there is no Secret yet.
pub type Passwords = BTreeMap<Identifier, Password>;

/// What was read for a database.
#[derive(Clone, Debug)]
pub struct Reads {
    /// Passwords of the roles.
    pub passwords: Passwords,
    /// What concerns the server itself.
    pub server: ServerReads,
}

/// What was read for the server.
#[derive(Clone, Debug)]
pub enum ServerReads {
    /// This operator runs it.
    Managed(Box<ManagedReads>),
    /// Somebody else runs it.
    External(AdminReads),
}

/// What was read for a server that this operator runs.
#[derive(Clone, Debug)]
pub struct ManagedReads {
    /// The superuser's Secret.
    pub superuser: Option<Secret>,
    /// The volume.
    pub storage: storage::Observed,
    /// A password for a superuser that does not exist yet.
    pub new_password: Password,
}

/// What was read for a server that somebody else runs.
#[derive(Clone, Debug)]
pub struct AdminReads {
    /// Name of the Secret.
    pub name: String,
    /// The Secret.
    pub secret: Option<Secret>,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DereferenceError {
    /// The API server did not give an object.
    #[error("cannot read {kind} {name}")]
    Read {
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What the API server said.
        source: kube::Error,
    },
    /// No password could be made.
    #[error("cannot make a password")]
    Randomness(#[from] NoRandomness),
}

/// Reads everything a database needs.
pub async fn dereference(client: &Client, database: &StoreDatabase) -> Result<Reads, DereferenceError> {
    let namespace = database.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let names = Names::new(&database.name_any());
    let passwords = passwords(&secrets, &names, &database.spec).await?;
    let server = match &database.spec.external {
        Some(external) => {
            let name = external.admin_secret_ref.name.clone();
            let secret = secret(&secrets, &name).await?;
            ServerReads::External(AdminReads { name, secret })
        }
        None => ServerReads::Managed(Box::new(managed(client, &namespace, &names, &database.spec).await?)),
    };
    Ok(Reads { passwords, server })
}

/// The password in a Secret.
pub fn password(secret: &Secret) -> Option<Password> {
    let bytes = secret.data.as_ref()?.get("password")?;
    Password::from_secret(std::str::from_utf8(&bytes.0).ok()?)
}

async fn passwords(
    secrets: &Api<Secret>,
    names: &Names,
    spec: &StoreDatabaseSpec,
) -> Result<Passwords, DereferenceError> {
    let mut passwords = Passwords::new();
    // A name that is none is refused by the next step.
    for name in spec.databases.iter().filter_map(|database| Identifier::parse(&database.name).ok()) {
        let kept = secret(secrets, &names.login_secret(&name)).await?.as_ref().and_then(password);
        let password = kept.map_or_else(Password::generate, Ok)?;
        passwords.insert(name, password);
    }
    Ok(passwords)
}

async fn managed(
    client: &Client,
    namespace: &str,
    names: &Names,
    spec: &StoreDatabaseSpec,
) -> Result<ManagedReads, DereferenceError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    // The claim first: a claim that is there now had its Secret before, so a Secret found missing afterwards is lost.
    let claim = claim(client, namespace, &names.volume()).await?;
    let superuser = secret(&secrets, &names.superuser_secret()).await?;
    let want = spec.managed.as_ref().map(|managed| Quantity::from(&managed.storage.size));
    let class = match &claim {
        Some(claim) if want.is_some_and(|want| storage::must_grow(&want, Some(claim))) => {
            storage_class(client, claim).await?
        }
        _ => None,
    };
    let storage = storage::Observed { claim, class };
    Ok(ManagedReads { superuser, storage, new_password: Password::generate()? })
}

async fn secret(secrets: &Api<Secret>, name: &str) -> Result<Option<Secret>, DereferenceError> {
    secrets.get_opt(name).await.map_err(failed("Secret", name))
}

async fn claim(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<PersistentVolumeClaim>, DereferenceError> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    claims.get_opt(name).await.map_err(failed("PersistentVolumeClaim", name))
}

async fn storage_class(
    client: &Client,
    claim: &PersistentVolumeClaim,
) -> Result<Option<StorageClass>, DereferenceError> {
    let Some(name) = storage::class_of(claim) else {
        return Ok(None);
    };
    Api::all(client.clone()).get_opt(name).await.map_err(failed("StorageClass", name))
}

fn failed(kind: &'static str, name: &str) -> impl FnOnce(kube::Error) -> DereferenceError {
    let name = name.to_owned();
    move |source| DereferenceError::Read { kind, name, source }
}
