//! The topics that the service asked for.

use api::{StoreTopic, StoreTopicSpec, label};
use kube::api::ObjectMeta;

use super::{Validated, meta};

/// A topic for each that was asked for, with the store's own settings of its brokers.
pub(super) fn topics(of: &Validated) -> Vec<StoreTopic> {
    let Some(guest) = &of.guest else { return Vec::new() };
    let brokers = &guest.brokers;
    let topic = |asked: &api::ServiceTopic| {
        let mut labels = of.labels.clone();
        let short: String = asked.name.chars().take(63).collect();
        labels.insert(label::NAME.to_owned(), short.trim_end_matches(['.', '-']).to_owned());
        labels.insert(label::COMPONENT.to_owned(), "topic".to_owned());
        StoreTopic {
            metadata: ObjectMeta { name: Some(guest.topic(&asked.name)), labels: Some(labels), ..meta(of) },
            spec: StoreTopicSpec {
                bootstrap_servers: brokers.bootstrap_servers.clone(),
                topic_name: format!("{}{}", brokers.topic_prefix, asked.name),
                partitions: asked.partitions,
                replicas: brokers.topic_replicas,
                config: asked.config.clone(),
                deletion_policy: asked.deletion_policy,
                suspend: guest.suspend,
            },
            status: None,
        }
    };
    guest.topics.iter().map(topic).collect()
}
