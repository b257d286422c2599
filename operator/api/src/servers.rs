//! Servers of a store beside its databases: the event broker and the cache, run by the operator or by somebody else.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LocalReference, Resources, Storage};

/// The event broker of a store: exactly one of the fields is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("[has(self.managed), has(self.external)].exists_one(set, set)")
        .message("set exactly one of managed (the operator runs a broker) and external (brokers that exist)"),
    validation = Rule::new("has(self.managed) == has(oldSelf.managed)")
        .message("the mode cannot be changed between managed and external: events would stay behind; create another store"),
)]
pub struct Kafka {
    /// A broker that the operator runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedKafka>,
    /// Brokers that exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalKafka>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self { managed: Some(ManagedKafka::default()), external: None }
    }
}

/// A Kafka broker that the operator runs: one pod with one volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedKafka {
    /// Image with Kafka's scripts in `/opt/kafka/bin`, as the official one has.
    #[serde(default = "default_kafka_image")]
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// The volume.
    #[serde(default)]
    pub storage: Storage,
    /// Compute resources of the broker. Half of a memory limit is for its heap, which is 256 MiB if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

impl Default for ManagedKafka {
    fn default() -> Self {
        Self { image: default_kafka_image(), storage: Storage::default(), resources: None }
    }
}

fn default_kafka_image() -> String {
    "apache/kafka:4.1.1".to_owned()
}

/// Kafka brokers that exist. The operator makes the store's topics on them. The services speak plain text to them,
/// without TLS and without a login, so only a network that is trusted may lie between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalKafka {
    /// Brokers to connect to first: `host:port`, separated by commas.
    #[schemars(length(min = 3, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9.-]+:[0-9]{1,5}(,[A-Za-z0-9.-]+:[0-9]{1,5})*$')")
        .message("must be host:port, or several of them separated by commas"))]
    pub bootstrap_servers: String,
    /// Put before the names of the store's topics and consumer groups, for example `green.`. Two stores on the same
    /// brokers need different ones. It cannot be changed.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-zA-Z0-9._-]*$')").message("must consist of letters, digits, '.', '_' and '-'"),
        validation = Rule::new("self == oldSelf")
            .message("topicPrefix cannot be changed: the events would stay in the topics of the old name; create another store")
    )]
    pub topic_prefix: String,
    /// Number of brokers that hold a copy of each of the store's topics. The operator makes topics so and does not move the
    /// copies of those that exist: where one has another number, its status says so.
    #[serde(default = "default_topic_replicas")]
    #[schemars(range(min = 1, max = 10))]
    pub topic_replicas: i32,
}

fn default_topic_replicas() -> i32 {
    1
}

/// The cache of a store: exactly one of the fields is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("[has(self.managed), has(self.external)].exists_one(set, set)")
        .message("set exactly one of managed (the operator runs a cache) and external (a server that exists)"),
    validation = Rule::new("has(self.managed) == has(oldSelf.managed)")
        .message("the mode cannot be changed between managed and external: the carts would stay behind; create another store"),
)]
pub struct Cache {
    /// A Redis server that the operator runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedCache>,
    /// A server that exists and speaks the protocol of Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalCache>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { managed: Some(ManagedCache::default()), external: None }
    }
}

/// A Redis server that the operator runs: one pod with one volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedCache {
    /// Image with `redis-server` on its path.
    #[serde(default = "default_cache_image")]
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// The volume.
    #[serde(default = "default_cache_storage")]
    pub storage: Storage,
    /// Compute resources of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

impl Default for ManagedCache {
    fn default() -> Self {
        Self { image: default_cache_image(), storage: default_cache_storage(), resources: None }
    }
}

fn default_cache_image() -> String {
    "redis:7.0".to_owned()
}

fn default_cache_storage() -> Storage {
    Storage::default()
}

/// A server that exists and speaks the protocol of Redis. Carts are data: it should evict nothing, and keep what it is
/// told across a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalCache {
    /// Secret whose key `url` is the address: `redis://user:password@host:port/number`. TLS (`rediss://`) is not spoken.
    /// When its content changes, the pods that use it are replaced.
    pub url_secret_ref: LocalReference,
}
