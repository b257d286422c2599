//! The end of a topic resource: what its deletion policy says about the topic.

use api::{DeletionPolicy, Store, StoreTopic, label};
use kube::ResourceExt;

use super::{
    broker,
    brokers::Brokers,
    error::{DeleteError, Error},
    validate,
};
use crate::framework::{
    Context, NotLeading, Refused, converse, followed, goes_with_its_namespace, has_finalizer, namespace, of_brokers,
    reach, remove_finalizer,
};

/// Deletes the topic or leaves it, then lets the resource go.
pub(super) async fn finalize(context: &Context, topic: &StoreTopic) -> Result<(), Error> {
    if !has_finalizer(topic) {
        return Ok(());
    }
    match topic.spec.deletion_policy {
        DeletionPolicy::Retain => {}
        DeletionPolicy::Delete => match delete(context, topic).await? {
            Err(error) if error.is_silence() && went_with_its_store(context, topic) => {}
            Err(error) if goes_with_its_namespace(context, topic, &error).await => {}
            result => result.map_err(Error::Delete)?,
        },
    }
    remove_finalizer(context, topic).await?;
    Ok(())
}

async fn delete(context: &Context, topic: &StoreTopic) -> Result<Result<(), DeleteError>, NotLeading> {
    let addresses = validate::addresses(&topic.spec.bootstrap_servers, namespace(topic));
    if let Err(silence) = reach(context, &addresses, Refused::GiveUp).await {
        return Ok(Err(silence.into()));
    }
    let servers = addresses.join(",");
    let conversation = async { Brokers::new(&context.gate, &servers)?.delete(&topic.spec.topic_name).await };
    let conversation = followed(of_brokers("delete", &addresses, &topic.spec.topic_name), conversation);
    Ok(converse(context, &servers, Box::pin(conversation)).await?.map_err(DeleteError::from))
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
