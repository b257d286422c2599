//! The end of a topic resource: what its deletion policy says about the topic.

use api::{DeletionPolicy, Store, StoreTopic, label};
use kube::ResourceExt;

use super::{broker, brokers::Brokers, error::Error, validate};
use crate::framework::{
    Context, Refused, converse, followed, goes_with_its_namespace, has_finalizer, is_as_described, namespace,
    of_brokers, reach, remove_finalizer,
};

/// What became of the topic.
enum Fate {
    Deleted,
    /// It is still there: the resource is not what was seen of it, and its own watch will tell what it is.
    Kept,
}

/// Deletes the topic or leaves it, then lets the resource go.
pub(super) async fn finalize(context: &Context, topic: &StoreTopic) -> Result<(), Error> {
    if !has_finalizer(topic) {
        return Ok(());
    }
    match topic.spec.deletion_policy {
        DeletionPolicy::Retain => {}
        DeletionPolicy::Delete => match delete(context, topic).await {
            Ok(Fate::Deleted) => {}
            Ok(Fate::Kept) => return Ok(()),
            Err(Error::Delete(error)) if error.is_silence() && went_with_its_store(context, topic) => {}
            Err(error) if goes_with_its_namespace(context, topic, &error).await => {}
            Err(error) => return Err(error),
        },
    }
    remove_finalizer(context, topic).await?;
    Ok(())
}

/// The policy may have been changed since the resource was seen, or its name be another's by now: no watch is so fresh
/// that events may be deleted for what it shows.
async fn delete(context: &Context, topic: &StoreTopic) -> Result<Fate, Error> {
    let addresses = validate::addresses(&topic.spec.bootstrap_servers, namespace(topic));
    reach(context, &addresses, Refused::GiveUp).await.map_err(|silence| Error::Delete(silence.into()))?;
    let servers = addresses.join(",");
    let span = of_brokers("delete", &addresses, &topic.spec.topic_name);
    let conversation = async {
        if !is_as_described(context, topic).await? {
            return Ok(Fate::Kept);
        }
        let deletion = async { Brokers::new(&context.gate, &servers)?.delete(&topic.spec.topic_name).await };
        followed(span, deletion).await.map_err(|error| Error::Delete(error.into()))?;
        Ok(Fate::Deleted)
    };
    converse(context, &servers, Box::pin(conversation)).await?
}

/// Whether the store the topic belongs to goes as well, and its own broker with it: there is nobody left to ask, and what
/// the store's own policy says about the broker's volume decides.
fn went_with_its_store(context: &Context, topic: &StoreTopic) -> bool {
    let Some(store) = topic.labels().get(label::STORE) else {
        return false;
    };
    if !broker::is_of_store(topic, store) {
        return false;
    }
    let store = context.cache.get::<Store>(namespace(topic), store);
    store.is_none_or(|store| store.metadata.deletion_timestamp.is_some())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use api::FINALIZER;
    use serde_json::json;

    use super::*;
    use crate::framework::scenario::{Call, Scenario, still};

    const PATH: &str = "/apis/greencommerce.dev/v1alpha1/namespaces/shop/storetopics/orders";

    fn leaving(broker: &TcpListener) -> StoreTopic {
        serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic",
            "metadata": {
                "name": "orders", "namespace": "shop", "uid": "1", "generation": 3, "finalizers": [FINALIZER],
                "deletionTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {
                "bootstrapServers": broker.local_addr().unwrap().to_string(), "topicName": "orders",
                "deletionPolicy": "Delete",
            },
        }))
        .unwrap()
    }

    /// The end of a resource that is something else than was seen of it.
    async fn ends_after(change: impl FnOnce(&mut StoreTopic)) {
        // It accepts connections and never says a word: whoever wants to delete something here fails.
        let broker = TcpListener::bind("127.0.0.1:0").unwrap();
        let seen = leaving(&broker);
        let mut now = seen.clone();
        change(&mut now);
        let (scenario, context, _) = Scenario::of(vec![still(PATH, &now)]);
        finalize(&context, &seen).await.unwrap();
        scenario.finish();
    }

    #[tokio::test]
    async fn no_topic_is_deleted_under_a_policy_that_has_been_changed_meanwhile() {
        ends_after(|now| {
            now.spec.deletion_policy = DeletionPolicy::Retain;
            now.metadata.generation = Some(4);
        })
        .await;
    }

    #[tokio::test]
    async fn a_topic_of_a_namespace_that_goes_with_the_rights_over_it_is_let_go() {
        let broker = TcpListener::bind("127.0.0.1:0").unwrap();
        let going = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        });
        let (scenario, context, _) = Scenario::of(vec![
            Call::refused(format!("GET {PATH}"), 403, "the role is gone"),
            Call::ok("GET /api/v1/namespaces/shop", going.clone()),
            Call::ok(format!("PATCH {PATH}?"), going),
        ]);
        finalize(&context, &leaving(&broker)).await.unwrap();
        scenario.finish();
    }

    #[tokio::test]
    async fn no_topic_of_a_namesake_that_has_been_made_since_is_deleted() {
        ends_after(|now| now.metadata.uid = Some("2".to_owned())).await;
    }
}
