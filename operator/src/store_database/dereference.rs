//! Reads what a database's spec refers to. What the cache does not have is asked of the API server: a password made because
//! a watch was late would lock everybody out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

use api::{
    ANNOTATION_ROTATE, ANNOTATION_SECRETS, ExternalDatabase, StoreDatabase, StoreDatabaseSpec, StoreService, label,
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{PersistentVolumeClaim, Pod, Secret},
};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{
    credential::Credential,
    names::Names,
    sql::{Identifier, NoRandomness, Password, Seat},
    validate::store_of,
};
use crate::{
    framework::{Cached, Context, Mark, namespace, secret_hash},
    storage,
};

/// Logins of the databases: those of their Secrets, and new ones where there is no Secret yet.
pub(crate) type Credentials = BTreeMap<Identifier, Credential>;

/// What was read for a database.
#[derive(Clone, Debug)]
pub(crate) struct Reads {
    /// Namespace of the operator.
    pub(crate) operator: String,
    /// Names of the StoreServices that use one of the databases.
    pub(crate) users: Vec<String>,
    /// Logins of the databases.
    pub(crate) credentials: Credentials,
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
    /// The Secret with the certificates of the authorities, where one is named.
    pub(crate) authorities: Option<Secret>,
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
    let names = Names::of(database);
    let credentials = reader.credentials(database, &names).await?;
    let server = match &database.spec.external {
        Some(_) => ServerReads::External(Box::new(administrator(context, database).await?)),
        None => ServerReads::Managed(Box::new(reader.managed(&names, &database.spec).await?)),
    };
    let users = users(context, database, &names).iter().map(|service| service.name_any()).collect::<BTreeSet<_>>();
    let users = users.union(&illegible(context, namespace(database))).cloned().collect();
    let operator = context.own_namespace().to_owned();
    Ok(Reads { operator, users, credentials, server })
}

/// The StoreServices that read one of the Secrets made for a database, by name.
fn users(context: &Context, database: &StoreDatabase, names: &Names) -> Vec<Arc<StoreService>> {
    let logins = database.spec.databases.iter().filter_map(|named| names.on_server(&named.name).ok());
    let secrets: BTreeSet<String> = logins.map(|name| names.login_secret(&name)).collect();
    let space = namespace(database);
    let readers = |secret: &String| {
        let mut readers = context.cache.marked::<StoreService>(space, Mark::Secret, secret);
        readers.retain(|service| service.spec.database_secret().as_ref() == Some(secret));
        readers
    };
    let mut users: Vec<Arc<StoreService>> = secrets.iter().flat_map(readers).collect();
    users.sort_by_key(|service| service.name_any());
    users
}

/// StoreServices that do not fit their schema. Any of them may use a database, so none is locked out.
fn illegible(context: &Context, namespace: &str) -> BTreeSet<String> {
    context.cache.malformed.names::<StoreService>(namespace)
}

/// Reads the login of the administrator of an external server, and whom to trust about the server.
pub(super) async fn administrator(context: &Context, database: &StoreDatabase) -> Result<AdminReads, DereferenceError> {
    let reader = Reader { context, namespace: namespace(database) };
    let external = database.spec.external.as_ref();
    let name = external.map(|external| external.admin_secret_ref.name.clone()).unwrap_or_default();
    let secret = reader.get("Secret", &name).await?;
    let authorities = match external.and_then(ExternalDatabase::authorities) {
        Some(named) => reader.get("Secret", &named.name).await?,
        None => None,
    };
    Ok(AdminReads { name, secret, authorities })
}

/// A Secret as the API server has it now: what the cache shows may be older than what was written last.
pub(super) async fn secret_now(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<Secret>, DereferenceError> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    api.get_opt(name).await.map_err(failed("Secret", name))
}

/// The rotation that was asked for last.
pub(super) fn requested(database: &StoreDatabase) -> Option<String> {
    database.annotations().get(ANNOTATION_ROTATE).filter(|value| !value.is_empty()).cloned()
}

/// Whether a pod's containers may still run.
fn lives(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
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
    async fn credentials(&self, database: &StoreDatabase, names: &Names) -> Result<Credentials, DereferenceError> {
        let mut credentials = Credentials::new();
        // A name that is none is refused by the next step.
        for name in database.spec.databases.iter().filter_map(|named| names.on_server(&named.name).ok()) {
            let secret: Option<Secret> = self.get("Secret", &names.login_secret(&name)).await?;
            let mut credential = match secret.as_ref().and_then(|secret| Credential::of(&name, secret)) {
                Some(credential) => credential,
                None => self.new_login(database, names.in_spec(&name), &name)?,
            };
            credential.pods_behind = self.pods_behind(database, names, &name, secret.as_ref());
            credentials.insert(name, credential);
        }
        Ok(credentials)
    }

    /// The first login of a database, or one in the place of what a Secret held that is gone.
    fn new_login(
        &self,
        database: &StoreDatabase,
        in_spec: &str,
        name: &Identifier,
    ) -> Result<Credential, NoRandomness> {
        let (password, request) = (Password::generate()?, requested(database));
        let known = database.status.iter().flat_map(|status| &status.databases).find(|known| known.name == in_spec);
        Ok(match known.and_then(|known| known.username.as_deref()) {
            Some(role) => Credential::instead_of(Seat::named(role, name), password, request, self.context.clock.now()),
            None => Credential::new(password, request),
        })
    }

    /// Pods that were made with another content of a database's Secret than it has now, and migrations, of which that
    /// cannot be told.
    fn pods_behind(
        &self,
        database: &StoreDatabase,
        names: &Names,
        name: &Identifier,
        secret: Option<&Secret>,
    ) -> usize {
        let (cache, hash) = (&self.context.cache, secret.map(secret_hash));
        let login = names.login_secret(name);
        let uses = |service: &Arc<StoreService>| service.spec.database_secret().as_ref() == Some(&login);
        let services = users(self.context, database, names).into_iter().filter(uses);
        let pods_of = |service: &str| cache.labelled::<Pod>(self.namespace, label::SERVICE, service);
        let made_with = |pod: &Pod| pod.annotations().get(ANNOTATION_SECRETS).cloned();
        let sure = services.flat_map(|service| pods_of(&service.name_any()));
        let maybe = illegible(self.context, self.namespace).into_iter().flat_map(|service| pods_of(&service));
        let pods = sure.chain(maybe.filter(|pod| made_with(pod).is_some()));
        let old = pods.filter(|pod| lives(pod) && made_with(pod) != hash);
        let migrates = |pod: &Arc<Pod>| {
            let held = |key: &str| pod.labels().get(key).map(String::as_str);
            held(label::COMPONENT) == Some("migration") && held(label::NAME) == Some(names.in_spec(name)) && lives(pod)
        };
        let of_store = cache.labelled::<Pod>(self.namespace, label::STORE, &store_of(database));
        old.count() + of_store.iter().filter(|pod| migrates(pod)).count()
    }

    async fn managed(&self, names: &Names, spec: &StoreDatabaseSpec) -> Result<ManagedReads, DereferenceError> {
        // The claim first: a claim that is there now had its Secret before, so a Secret found missing afterwards is lost.
        let claim: Option<PersistentVolumeClaim> = self.get("PersistentVolumeClaim", &names.volume()).await?;
        let superuser = self.get("Secret", &names.superuser_secret()).await?;
        let want = spec.managed.as_ref().map(|managed| &managed.storage);
        let class = match &claim {
            Some(claim) if want.is_some_and(|want| storage::needs_class(want, claim)) => {
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
        storage::read_class(self.context, name).await.map(Some).map_err(failed("StorageClass", name))
    }
}

fn failed(kind: &'static str, name: &str) -> impl FnOnce(kube::Error) -> DereferenceError {
    let name = name.to_owned();
    move |source| DereferenceError::Read { kind, name, source: Box::new(source) }
}
