//! StoreService: one deployed service.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Autoscaling, DeletionPolicy, EnvVar, Exposure, ImagePullPolicy, LocalReference, PodMonitoring, PodOverrides,
    Resources, TopicConfig, login_secret,
};

/// One service of a store: an image that runs as a Deployment behind a Service.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "greencommerce.dev",
    version = "v1alpha1",
    kind = "StoreService",
    plural = "storeservices",
    shortname = "gcsvc",
    category = "greencommerce",
    namespaced,
    status = "StoreServiceStatus",
    derive = "PartialEq",
    doc = "One service of a store: a Deployment with probes and graceful shutdown, a Service, and, where asked for, an autoscaler and a disruption budget. A store makes one for each of its services; write one by hand to add a service of your own to a store, with a database, topics and paths at its gateway.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Store", type_ = "string", json_path = ".spec.store"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Pods", type_ = "string", json_path = ".status.pods"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason", priority = 1),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint", priority = 1),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.image", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z][-a-z0-9]*$')").message("the name must be a DNS label, as it becomes the name of a Service: lower case letters, digits and '-', starting with a letter, at most 63 characters")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.replicas) && has(self.autoscaling))")
        .message("set replicas or autoscaling, not both: the autoscaler decides the number of pods"),
    validation = Rule::new("!has(self.exposure) || has(self.exposure.internal) || self.ports.exists(port, port.name == 'http')")
        .message("exposure needs a port named http"),
    validation = Rule::new("!has(self.exposure) || !(has(self.exposure.nodePort) || has(self.exposure.loadBalancer)) \
        || !self.ports.exists(port, port.name == 'grpc')")
        .message("exposure on a node port or a load balancer allows no port named grpc: gRPC stays inside the cluster"),
    validation = Rule::new("!has(self.host) || has(self.exposure) && has(self.exposure.ingress)")
        .message("host is used by an Ingress only: set exposure.ingress, or remove host"),
    validation = Rule::new("!has(self.exposure) || !has(self.exposure.ingress) || !has(self.exposure.ingress.tls) || has(self.host)")
        .message("exposure.ingress.tls needs host: a certificate is for a name"),
    validation = Rule::new("!has(self.routes) || size(self.routes) == 0 || self.ports.exists(port, port.name == 'http')")
        .message("routes need a port named http: the gateway sends their requests there"),
    validation = Rule::new("!has(self.database) || !has(self.env) || !self.env.exists(variable, variable.name == 'DATABASE_URL')")
        .message("env sets DATABASE_URL, and so does database: remove one of them"),
    validation = Rule::new("!has(self.topics) || size(self.topics) == 0 || !has(self.env) \
        || !self.env.exists(variable, variable.name in ['KAFKA_BOOTSTRAP_SERVERS', 'KAFKA_PREFIX'])")
        .message("env sets KAFKA_BOOTSTRAP_SERVERS or KAFKA_PREFIX, and so do topics: remove the variable"),
)]
pub struct StoreServiceSpec {
    /// Name of the store this service belongs to.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(
        validation = Rule::new("self == oldSelf").message("store cannot be changed: create another StoreService"),
        validation = Rule::new("self.matches('^[a-z][-a-z0-9]*$')")
            .message("must be the name of a Store: lower case letters, digits and '-', starting with a letter")
    )]
    pub store: String,
    /// Image to run, with its tag.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[^\\\\s]+$')").message("must be an image reference without spaces, for example registry.example/shop:1.2.3"))]
    pub image: String,
    /// When the image is pulled.
    #[serde(default)]
    pub pull_policy: ImagePullPolicy,
    /// Secrets for a private registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub pull_secrets: Vec<LocalReference>,
    /// Arguments of the image's entrypoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<String>,
    /// Ports the container listens on, by name. `ops` answers the probes: `/startupz`, `/readyz`, `/livez`, and `/metrics`.
    #[serde(default = "default_ports")]
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self.exists(port, port.name == 'ops')").message("a port named ops is needed: it answers the probes"),
        validation = Rule::new("self.all(port, self.exists_one(other, other.port == port.port))")
            .message("two ports have the same number: the container can listen on it once only")
    )]
    pub ports: Vec<ServicePort>,
    /// Number of pods; 1 if neither this nor autoscaling is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: Option<i32>,
    /// Scales the service by CPU use instead of a fixed number of pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// Seconds that a roll may go without progress before it counts as failed; 600 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub progress_deadline_seconds: Option<i32>,
    /// Compute resources of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Environment variables of the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,
    /// The service's database: its address becomes the variable `DATABASE_URL`. Where a StoreDatabase verifies its server,
    /// `DATABASE_CA` has the certificates (PEM) to do that with, unless `env` sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<ServiceDatabase>,
    /// Paths at the store's gateway that lead to the service, at its port `http`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".into()]))]
    pub routes: Vec<ServiceRoute>,
    /// Topics that are made for the service on the store's brokers. The variable `KAFKA_BOOTSTRAP_SERVERS` tells where these
    /// are, and `KAFKA_PREFIX`, if it is set, what stands before the name of each topic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self.all(topic, self.exists_one(other, other.name.replace('.', '-') == topic.name.replace('.', '-')))")
            .message("two names differ in '.' and '-' only, so their StoreTopics would have the same name: rename one of the topics")
    )]
    pub topics: Vec<ServiceTopic>,
    /// Each ConfigMap here is a folder whose files the container sees. Changes reach running pods without a restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self.all(mount, self.exists_one(other, other.mountPath == mount.mountPath))")
            .message("two ConfigMaps have the same mountPath: give each a folder of its own")
    )]
    pub config_maps: Vec<ConfigMapMount>,
    /// Where the pods run, and what they are called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodOverrides>,
    /// Makes a `PodMonitor` for the pods' figures at `/metrics` of the port `ops`; none if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_monitor: Option<PodMonitoring>,
    /// Host name at which the service is reached, for `exposure.ingress`; every host that leads to it if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
        .message("must be a host name such as shop.example.com, without scheme, port and path"))]
    pub host: Option<String>,
    /// How the service is reached from outside the cluster; only from inside it if left out.
    // No default in the schema, as in `StoreSpec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
}

impl StoreServiceSpec {
    /// Names of the Secrets that the container reads; one may come more than once.
    pub fn secrets(&self) -> impl Iterator<Item = String> {
        let sources = self.env.iter().filter_map(|variable| variable.value_from.as_ref());
        self.database_secret().into_iter().chain(sources.map(|source| source.secret_key_ref.name.clone()))
    }

    /// Name of the Secret with the address of the service's database.
    #[must_use]
    pub fn database_secret(&self) -> Option<String> {
        let database = self.database.as_ref()?;
        let given = database.secret_ref.as_ref().map(|secret| secret.name.clone());
        given.or_else(|| Some(login_secret(&self.store, database.name.as_ref()?)))
    }

    /// Whether the service asks something of its store.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        let database = self.database.as_ref().is_some_and(|database| database.name.is_some());
        database || !self.routes.is_empty() || !self.topics.is_empty()
    }
}

/// Name of a port; it says what is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PortName {
    /// The public HTTP API.
    Http,
    /// gRPC for other services.
    Grpc,
    /// Probes and metrics.
    Ops,
}

impl PortName {
    /// The name as Kubernetes objects carry it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Ops => "ops",
        }
    }

    /// The port the services of a store listen on.
    #[must_use]
    pub fn default_port(self) -> i32 {
        match self {
            Self::Http => 8080,
            Self::Grpc => 9090,
            Self::Ops => 9100,
        }
    }
}

/// A port of the container, and the port of the Service in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServicePort {
    /// What is spoken on the port.
    pub name: PortName,
    /// The port's number.
    #[schemars(range(min = 1024, max = 65535))]
    pub port: i32,
}

impl From<PortName> for ServicePort {
    fn from(name: PortName) -> Self {
        Self { name, port: name.default_port() }
    }
}

fn default_ports() -> Vec<ServicePort> {
    vec![PortName::Http.into(), PortName::Ops.into()]
}

/// The database of a service: exactly one of the fields is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) != has(self.secretRef)")
    .message("set exactly one of name (a database is made for the service) and secretRef (one that exists)"))]
pub struct ServiceDatabase {
    /// Name of a database that is made for the service beside the store's own, with a login role of the same name. It stays
    /// when the service goes, and goes with the store's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z][a-z0-9_]*$')")
            .message("must consist of lower case letters, digits and '_', and start with a letter"),
        validation = Rule::new("!(self in ['postgres', 'template0', 'template1', 'public', 'none', 'user'] || self.startsWith('pg_'))")
            .message("is a name that PostgreSQL keeps for itself"),
        validation = Rule::new("!(self in ['auth', 'users', 'catalog', 'inventory', 'cart', 'orders', 'payments', 'notifications', 'reports'])")
            .message("is a name that the platform keeps for a service of its own: choose another")
    )]
    pub name: Option<String>,
    /// Secret whose key `uri` is the address of the database. When its content changes, the pods are replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
}

/// A path at the gateway of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ServiceRoute {
    /// What the paths begin with, for example `/api/parcels`; `/` for all that no other route takes. The longest one wins. Two
    /// services of a store cannot have the same.
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(
        validation = Rule::new("self == '/' || self.matches('^(/[A-Za-z0-9._~-]+)+$')")
            .message("must begin with '/' and not end with it, for example /api/parcels"),
        validation = Rule::new("!['/api/auth', '/auth', '/.well-known', '/api/products', '/api/categories', '/api/search', '/api/inventory', \
            '/api/cart', '/api/orders', '/api/docs', '/api/openapi.json', '/healthz'].exists(own, self == own || self.startsWith(own + '/'))")
            .message("belongs to a service of the platform: choose another path")
    )]
    pub path: String,
}

/// A topic that is made for a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTopic {
    /// Name of the topic.
    #[schemars(length(min = 1, max = 180))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
            .message("must consist of lower case letters, digits, '.' and '-', for example parcel.events"),
        validation = Rule::new("!(self.replace('.', '-') in ['user-events', 'catalog-events', 'inventory-events', 'order-events', 'payment-events', 'dead-letters'])")
            .message("is a topic of the platform, where '.' and '-' count alike: it is there without being asked for")
    )]
    pub name: String,
    /// Number of partitions. It can grow but never shrink.
    #[serde(default = "default_partitions")]
    #[schemars(range(min = 1, max = 1000))]
    pub partitions: i32,
    /// Settings of the topic that differ from the broker's defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub config: Vec<TopicConfig>,
    /// What happens to the topic when the service no longer asks for it.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

fn default_partitions() -> i32 {
    3
}

/// A ConfigMap mounted into the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapMount {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Folder in which its entries appear as files.
    #[schemars(length(min = 2, max = 512))]
    #[x_kube(
        validation = Rule::new("self.startsWith('/') && !self.contains(':') && !self.contains('..')")
            .message("must be an absolute path without ':' and '..'"),
        validation = Rule::new("!self.matches('^/+tmp/*$')")
            .message("/tmp is every service's folder for scratch files: choose another, for example /etc/NAME")
    )]
    pub mount_path: String,
}

/// What is known about a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreServiceStatus {
    /// Generation of the object that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State: `Ready`, `Progressing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Tag of the image that every pod runs; the last one that did, while pods are being replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The whole image that every pod runs; the last one that did, while pods are being replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where the service is reached from outside the cluster, as soon as its address is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Pods that exist.
    #[serde(default)]
    pub replicas: i32,
    /// Pods that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Pods that should be ready.
    #[serde(default)]
    pub desired_replicas: i32,
    /// Ready and desired pods, for people: `2/2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<String>,
    /// Label selector of the pods, for autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}
