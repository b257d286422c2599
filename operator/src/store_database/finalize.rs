//! The end of a database resource: what its deletion policy says about the data.

use std::fmt::Debug;

use api::{DeletionPolicy, MANAGED_BY, StoreDatabase, label};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{PersistentVolumeClaim, Secret},
};
use kube::{Api, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;

use super::{dereference::administrator, error::Error, sql, validate};
use crate::framework::{
    ApplyError, Context, Refused, converse, delete, followed, goes_with_its_namespace, has_finalizer, is_as_described,
    namespace, of_server, reach, remove_finalizer,
};

/// What became of the data.
enum Data {
    Removed,
    /// It is still there: the resource is not what was seen of it, and its own watch will tell what it is.
    Kept,
}

/// Removes the data or leaves it, then lets the resource go. The server itself goes with its owner.
pub(super) async fn finalize(context: &Context, database: &StoreDatabase) -> Result<(), Error> {
    if !has_finalizer(database) {
        return Ok(());
    }
    match database.spec.deletion_policy {
        DeletionPolicy::Retain => {}
        DeletionPolicy::Delete => match remove_data(context, database).await {
            Ok(Data::Removed) => {}
            Ok(Data::Kept) => return Ok(()),
            Err(error) if goes_with_its_namespace(context, database, &error).await => {}
            Err(error) => return Err(error),
        },
    }
    remove_finalizer(context, database).await?;
    Ok(())
}

async fn remove_data(context: &Context, database: &StoreDatabase) -> Result<Data, Error> {
    if database.spec.external.is_some()
        && let Data::Kept = remove_databases(context, database).await?
    {
        return Ok(Data::Kept);
    }
    delete_all::<PersistentVolumeClaim>(context, database).await?;
    delete_all::<Secret>(context, database).await?;
    Ok(Data::Removed)
}

/// The policy may have been changed since the resource was seen, or its name be another's by now: no watch is so fresh
/// that databases may be dropped for what it shows.
async fn remove_databases(context: &Context, database: &StoreDatabase) -> Result<Data, Error> {
    let admin = administrator(context, database).await?;
    let removal = validate::removal(database, &admin)?;
    let address = removal.server.address();
    reach(context, std::slice::from_ref(&address), Refused::GiveUp).await?;
    let span = of_server("remove", &removal.server.host, removal.server.port);
    let conversation = async {
        if !is_as_described(context, database).await? {
            return Ok(Data::Kept);
        }
        sql::remove(&context.gate, &removal.server, &removal.tenancy, &removal.names).await?;
        Ok::<_, Error>(Data::Removed)
    };
    converse(context, &address, Box::pin(followed(span, conversation))).await?
}

/// Asks the API server: what was made a moment ago may not be in the cache yet, and would be left for ever.
async fn delete_all<K>(context: &Context, database: &StoreDatabase) -> Result<(), ApplyError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let (space, name) = (namespace(database), database.name_any());
    let ours = format!("{}={MANAGED_BY},{}={name}", label::MANAGED_BY, label::DATABASE);
    let api: Api<K> = Api::namespaced(context.client.clone(), space);
    let found = api.list_metadata(&ListParams::default().labels(&ours)).await.map_err(|source| ApplyError::Read {
        object: format!("the {}s of StoreDatabase {space}/{name}", K::kind(&())),
        source: Box::new(source),
    })?;
    for object in &found.items {
        delete(context, database, object).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use api::FINALIZER;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;
    use crate::framework::scenario::{Call, Scenario, still};

    const PATH: &str = "/apis/greencommerce.dev/v1alpha1/namespaces/shop/storedatabases/green";

    fn leaving(uid: &str, generation: i64, spec: &Value) -> StoreDatabase {
        serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase",
            "metadata": {
                "name": "green", "namespace": "shop", "uid": uid, "generation": generation, "finalizers": [FINALIZER],
                "deletionTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": spec,
        }))
        .unwrap()
    }

    /// The end of a resource on somebody else's server, which is something else than was seen of it.
    async fn ends_after(change: impl FnOnce(&mut StoreDatabase)) {
        // It accepts connections and never says a word: whoever wants to drop something here fails.
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let external = json!({
            "host": "127.0.0.1", "port": server.local_addr().unwrap().port(), "adminSecretRef": {"name": "admin"},
        });
        let seen = leaving("1", 3, &json!({"external": external, "databases": [], "deletionPolicy": "Delete"}));
        let mut now = seen.clone();
        change(&mut now);
        let (scenario, context, mut writers) = Scenario::of(vec![still(PATH, &now)]);
        let metadata = json!({"name": "admin", "namespace": "shop"});
        let admin = json!({"metadata": metadata, "data": {"username": "ZGJh", "password": "ZGJh"}});
        writers.secrets.apply_watcher_event(&Event::Apply(serde_json::from_value(admin).unwrap()));
        finalize(&context, &seen).await.unwrap();
        scenario.finish();
    }

    #[tokio::test]
    async fn no_database_is_dropped_under_a_policy_that_has_been_changed_meanwhile() {
        ends_after(|now| {
            now.spec.deletion_policy = DeletionPolicy::Retain;
            now.metadata.generation = Some(4);
        })
        .await;
    }

    #[tokio::test]
    async fn no_database_of_a_namesake_that_has_been_made_since_is_dropped() {
        ends_after(|now| now.metadata.uid = Some("2".to_owned())).await;
    }

    #[tokio::test]
    async fn what_no_watch_has_shown_yet_goes_with_its_resource_too() {
        let database = leaving("1", 3, &json!({"managed": {}, "databases": [], "deletionPolicy": "Delete"}));
        let child = |kind: &str, name: &str| {
            let metadata = json!({"name": name, "namespace": "shop", "uid": "9"});
            json!({"apiVersion": "v1", "kind": kind, "metadata": metadata})
        };
        let path = |kind: &str| format!("/api/v1/namespaces/shop/{kind}");
        let label =
            "&labelSelector=app.kubernetes.io%2Fmanaged-by%3Dgreencommerce%2Cgreencommerce.dev%2Fdatabase%3Dgreen";
        let mut calls = Vec::new();
        for (kind, name) in [("persistentvolumeclaims", "data-green-postgres-0"), ("secrets", "green-auth-database")] {
            let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [child("Object", name)]});
            calls.push(Call::ok(format!("GET {}?{label}", path(kind)), list));
            calls.push(still(PATH, &database));
            calls.push(Call::ok(format!("DELETE {}/{name}?", path(kind)), child("Object", name)));
        }
        calls.push(Call::ok(format!("PATCH {PATH}?"), child("StoreDatabase", "green")));
        let (scenario, context, _) = Scenario::of(calls);
        finalize(&context, &database).await.unwrap();
        assert_eq!(scenario.finish()[2]["preconditions"]["uid"], "9");
    }
}
