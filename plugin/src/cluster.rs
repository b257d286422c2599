//! The connection to the cluster.

use std::fmt::Debug;

use api::Store;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Config, Resource, ResourceExt as _,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::de::DeserializeOwned;

use crate::{
    choose::choose,
    cli::Global,
    error::{Error, cause, chain, explain},
};

/// A cluster, and the namespace that is looked at.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Cluster {
    /// Connects as kubectl would with the same flags.
    pub(crate) async fn connect(global: &Global) -> Result<Self, Error> {
        let config = config(global).await?;
        let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| explain("set up the connection", &error))?;
        Ok(Self { client, namespace })
    }

    /// Objects of a kind in the namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The store that is meant.
    pub(crate) async fn store(&self, named: Option<&str>) -> Result<Store, Error> {
        let stores = self.stores().await?;
        let all: Vec<String> = stores.iter().map(kube::ResourceExt::name_any).collect();
        let name = choose(named, &all, &self.namespace)?;
        let found = stores.into_iter().find(|store| store.name_any() == name);
        found.ok_or_else(|| Error::failed(format!("Store {}/{name} has just been deleted", self.namespace)))
    }

    /// Every store of the namespace.
    pub(crate) async fn stores(&self) -> Result<Vec<Store>, Error> {
        let list = self.api::<Store>().list(&ListParams::default()).await;
        let list =
            list.map_err(|error| explain(&format!("list the Stores of namespace {}", self.namespace), &error))?;
        Ok(list.items)
    }

    /// Objects with labels, or a note that they cannot be read.
    pub(crate) async fn list<K>(&self, labels: &str, unreadable: &mut Vec<String>) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        match self.api::<K>().list(&ListParams::default().labels(labels)).await {
            Ok(list) => list.items,
            Err(error) => {
                unreadable.push(format!("{}: {}", K::plural(&()), cause(&error)));
                Vec::new()
            }
        }
    }
}

async fn config(global: &Global) -> Result<Config, Error> {
    let unusable = |error: &(dyn std::error::Error + 'static)| {
        Error::failed(format!("no usable kubeconfig ({}): set --kubeconfig or KUBECONFIG", chain(error)))
    };
    let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    match &global.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| unusable(&error))
        }
        None if global.context.is_some() => Config::from_kubeconfig(&options).await.map_err(|error| unusable(&error)),
        None => Config::infer().await.map_err(|error| unusable(&error)),
    }
}
