//! StoreTopic: one Kafka topic.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::DeletionPolicy;

/// A Kafka topic, kept as described by the Kafka admin protocol.
#[expect(clippy::duplicated_attributes, reason = "columns of the same type are not duplicates")]
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "greencommerce.dev",
    version = "v1alpha1",
    kind = "StoreTopic",
    plural = "storetopics",
    shortname = "gctopic",
    category = "greencommerce",
    namespaced,
    status = "StoreTopicStatus",
    derive = "PartialEq",
    doc = "A Kafka topic of a store. The operator creates it, grows its partitions, sets its configuration and corrects drift.",
    printcolumn(name = "Topic", type_ = "string", json_path = ".spec.topicName"),
    printcolumn(name = "Partitions", type_ = "integer", json_path = ".status.partitions"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct StoreTopicSpec {
    /// Brokers to connect to first: `host:port`, separated by commas.
    #[schemars(length(min = 3, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9.-]+:[0-9]{1,5}(,[A-Za-z0-9.-]+:[0-9]{1,5})*$')")
        .message("must be host:port, or several of them separated by commas"))]
    pub bootstrap_servers: String,
    /// Name of the topic in Kafka. It cannot be changed.
    #[schemars(length(min = 1, max = 249))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-zA-Z0-9._-]+$') && self != '.' && self != '..'")
            .message("must consist of letters, digits, '.', '_' and '-'"),
        validation = Rule::new("self == oldSelf")
            .message("topicName cannot be changed: Kafka has no rename; create another StoreTopic")
    )]
    pub topic_name: String,
    /// Number of partitions. It can grow but never shrink.
    #[serde(default = "default_partitions")]
    #[schemars(range(min = 1, max = 1000))]
    pub partitions: i32,
    /// Number of brokers that hold a copy of each partition. The operator makes a topic so and does not move the copies of
    /// one that exists: where that has another number, its status says so.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 10))]
    pub replicas: i32,
    /// Settings of the topic that differ from the broker's defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub config: Vec<TopicConfig>,
    /// What happens to the topic when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Whether the brokers sleep: the topic is then left as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

fn default_partitions() -> i32 {
    3
}

fn default_replicas() -> i32 {
    1
}

/// One setting of a topic (<https://kafka.apache.org/documentation/#topicconfigs>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopicConfig {
    /// Name of the setting, for example `retention.ms`.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Value of the setting.
    #[schemars(length(max = 1024))]
    pub value: String,
}

/// What is known about a topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreTopicStatus {
    /// Generation of the object that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the topic: `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Partitions the topic has in Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
}
