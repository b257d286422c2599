//! The connection to the cluster.

use api::{Store, StoreService};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Config, Resource, ResourceExt as _,
    api::{ApiResource, DynamicObject, ListParams},
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

    /// The store that is meant. What else is in the namespace need not make sense.
    pub(crate) async fn store(&self, named: Option<&str>) -> Result<Store, Error> {
        let stores = self.stores().await?;
        let all: Vec<String> = stores.iter().map(kube::ResourceExt::name_any).collect();
        let name = choose(named, &all, &self.namespace)?;
        let found = stores.into_iter().find(|store| store.name_any() == name);
        let found =
            found.ok_or_else(|| Error::failed(format!("Store {}/{name} has just been deleted", self.namespace)))?;
        typed(found).map_err(|why| Error::failed(format!("Store {}/{name} {why}", self.namespace)))
    }

    /// Names of every store of the namespace.
    pub(crate) async fn store_names(&self) -> Result<Vec<String>, Error> {
        Ok(self.stores().await?.iter().map(kube::ResourceExt::name_any).collect())
    }

    async fn stores(&self) -> Result<Vec<DynamicObject>, Error> {
        let list = self.untyped::<Store>("").await;
        list.map_err(|error| explain(&format!("list the Stores of namespace {}", self.namespace), &error))
    }

    /// Objects with labels, or a note that they cannot be read.
    pub(crate) async fn list<K>(&self, labels: &str, unreadable: &mut Vec<String>) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
    {
        let (found, notes) = match self.read(labels, |_| true).await {
            Ok(read) => read,
            Err(error) => (Vec::new(), vec![format!("{}: {}", K::plural(&()), cause(&error))]),
        };
        unreadable.extend(notes);
        found
    }

    /// The StoreServices of a store, those that users add included, and a note for each that makes no sense.
    pub(crate) async fn services_of(&self, store: &str) -> Result<(Vec<StoreService>, Vec<String>), kube::Error> {
        // Services that users add carry no label, but the store's name.
        self.read("", |service| service.data["spec"]["store"] == store).await
    }

    /// Objects with labels that are to be kept, and a note for each that makes no sense: one of them must not hide the rest.
    async fn read<K>(
        &self,
        labels: &str,
        keep: impl Fn(&DynamicObject) -> bool,
    ) -> Result<(Vec<K>, Vec<String>), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
    {
        let (mut found, mut notes) = (Vec::new(), Vec::new());
        for object in self.untyped::<K>(labels).await?.into_iter().filter(keep) {
            let name = object.name_any();
            match typed(object) {
                Ok(object) => found.push(object),
                Err(why) => notes.push(format!("{} {name}: it {why}", K::plural(&()))),
            }
        }
        Ok((found, notes))
    }

    async fn untyped<K>(&self, labels: &str) -> Result<Vec<DynamicObject>, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let kind = ApiResource::erase::<K>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &kind);
        Ok(api.list(&ListParams::default().labels(labels)).await?.items)
    }
}

/// An object as its kind, or why it is none: another version of the operator may have written it.
fn typed<K: DeserializeOwned>(object: DynamicObject) -> Result<K, String> {
    let typed = serde_json::to_value(object).and_then(serde_json::from_value);
    typed.map_err(|error| format!("makes no sense to this version of the plugin: {error}"))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        fake::{cluster, list},
        status::gather,
    };

    const STORES: &str = "GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores?";

    #[tokio::test]
    async fn a_store_that_makes_no_sense_stands_in_nobody_else_s_way() {
        let green = json!({"metadata": {"name": "green"}, "spec": {"version": "1.0.0"}});
        let blue = json!({"metadata": {"name": "blue"}, "spec": {"version": 1}});
        let (cluster, _) = cluster(vec![(STORES, list("Store", &[green, blue]))]);
        assert_eq!(cluster.store(Some("green")).await.unwrap().spec.version, "1.0.0");
        let error = cluster.store(Some("blue")).await.unwrap_err().to_string();
        assert!(error.starts_with("Store shop/blue makes no sense to this version of the plugin: "), "{error}");
        let error = cluster.store(None).await.unwrap_err().to_string();
        assert_eq!(error, "namespace shop has several Stores: name one of green, blue");
    }

    #[tokio::test]
    async fn a_part_that_makes_no_sense_is_left_out_and_named() {
        let green = json!({"metadata": {"name": "green"}, "spec": {"version": "1.0.0"}});
        let service = |name: &str, store: &str, image: serde_json::Value| json!({"metadata": {"name": name}, "spec": {"store": store, "image": image}});
        let services = [
            service("good", "green", json!("x:1")),
            service("bad", "green", json!(1)),
            service("of-another", "blue", json!(1)),
        ];
        let path = "GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/storeservices?";
        let (cluster, _) = cluster(vec![(STORES, list("Store", &[green])), (path, list("StoreService", &services))]);
        let store = cluster.store(None).await.unwrap();
        let found = gather(&cluster, store).await;
        let names: Vec<_> = found.services.iter().filter_map(|service| service.metadata.name.as_deref()).collect();
        assert_eq!(names, ["good"]);
        let notes: Vec<_> = found.unreadable.iter().filter(|note| note.contains("storeservices")).collect();
        assert!(matches!(notes[..], [note] if note.starts_with("storeservices bad: ")), "{notes:?}");
    }
}
