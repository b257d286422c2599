//! Store: one shop.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Autoscaling, Cache, DatabaseTarget, DeletionPolicy, EnvVar, Exposure, ImagePullPolicy, Kafka, LocalReference,
    PodMonitoring, PodOverrides, Resources,
};

/// One shop: its services, databases, topics and cache.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "greencommerce.dev",
    version = "v1alpha1",
    kind = "Store",
    plural = "stores",
    shortname = "gcs",
    category = "greencommerce",
    namespaced,
    status = "StoreStatus",
    derive = "PartialEq",
    doc = "One shop: its services, databases, topics and cache. Only spec.version is needed; every part has a default.",
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoints.external"),
    printcolumn(name = "API", type_ = "string", json_path = ".status.endpoints.api", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z][-a-z0-9]*$')").message("the name must be a DNS label of at most 40 characters, as the names of Services are made from it: lower case letters, digits and '-', starting with a letter")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.host) || has(self.exposure) && has(self.exposure.ingress)")
        .message("host is used by an Ingress only: set exposure.ingress, or remove host"),
    validation = Rule::new("!has(self.exposure) || !has(self.exposure.ingress) || !has(self.exposure.ingress.tls) || has(self.host)")
        .message("exposure.ingress.tls needs host: a certificate is for a name"),
    validation = Rule::new("!has(self.exposure) || has(self.exposure.internal) || !has(self.services) \
        || !self.services.exists(service, service.name == 'gateway' && service.disabled)")
        .message("exposure leads to the gateway, which is disabled: remove exposure and host, or enable the gateway"),
)]
pub struct StoreSpec {
    /// Release of the platform to run. A change starts an upgrade: migrations first, then the services.
    #[schemars(length(min = 5, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^(0|[1-9][0-9]*)[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)(-[0-9A-Za-z-]+([.][0-9A-Za-z-]+)*)?$')")
        .message("must be a semantic version without build metadata, for example 1.4.2 or 1.5.0-rc.1"))]
    pub version: String,
    /// Image of the services.
    #[serde(default)]
    pub image: Image,
    /// Host name at which the shop is reached, for `exposure.ingress`; every host that leads to it if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
        .message("must be a host name such as shop.example.com, without scheme, port and path"))]
    pub host: Option<String>,
    /// How the shop's API is reached from outside the cluster; only from inside it if left out.
    // No default in the schema: the API server would store it, and a manifest that names another way later would name two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// Where the databases live.
    #[serde(default)]
    pub database: DatabaseTarget,
    /// The event broker.
    #[serde(default)]
    pub kafka: Kafka,
    /// The cache that holds carts.
    #[serde(default)]
    pub cache: Cache,
    /// Settings of services, by name. A service that is not listed runs with its defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("!self.exists(service, service.name == 'auth' && service.disabled)")
            .message("auth cannot be disabled: every service checks the tokens it signs"),
        validation = Rule::new("!self.exists(service, service.name in ['catalog', 'inventory', 'cart'] && service.disabled) \
            || self.exists(service, service.name == 'orders' && service.disabled)")
            .message("catalog, inventory and cart are needed by orders: disable orders as well"),
        validation = Rule::new("!self.exists(service, service.name == 'catalog' && service.disabled) \
            || self.exists(service, service.name == 'cart' && service.disabled)")
            .message("catalog is needed by cart: disable cart as well"),
        validation = Rule::new("!self.exists(service, service.name == 'inventory' && service.disabled) \
            || self.exists(service, service.name == 'catalog' && service.disabled)")
            .message("inventory is needed by catalog: disable catalog as well")
    )]
    pub services: Vec<ServiceSettings>,
    /// How the shop takes payments.
    #[serde(default)]
    pub payments: Payments,
    /// What the services tell about themselves.
    #[serde(default)]
    pub observability: Observability,
    /// How an upgrade proceeds.
    #[serde(default)]
    pub upgrade: Upgrade,
    /// What happens to the store's data when the store is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Whether data that a former store of this name left behind is taken up. Otherwise a store whose name has such data waits.
    #[serde(default)]
    pub adopt_retained_data: bool,
    /// Whether the store sleeps: every service, the databases, the broker and the cache run no pod, and all data is kept.
    #[serde(default)]
    pub suspend: bool,
}

/// The image that all services run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Repository of the image.
    #[serde(default = "default_repository")]
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = Rule::new("self.matches('^([a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?/)?[a-z0-9]([a-z0-9._/-]*[a-z0-9])?$')")
        .message("must be an image repository without a tag, for example registry.example/greencommerce/services"))]
    pub repository: String,
    /// Tag of the image; spec.version if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]*$')")
        .message("must be an image tag: letters, digits, '_', '.' and '-'"))]
    pub tag: Option<String>,
    /// When the image is pulled.
    #[serde(default)]
    pub pull_policy: ImagePullPolicy,
    /// Secrets for a private registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub pull_secrets: Vec<LocalReference>,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            repository: default_repository(),
            tag: None,
            pull_policy: ImagePullPolicy::default(),
            pull_secrets: Vec::new(),
        }
    }
}

fn default_repository() -> String {
    "greencommerce/services".to_owned()
}

/// A service of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceName {
    /// The entrance: routes requests to the other services.
    Gateway,
    /// Accounts, sessions and signing keys.
    Auth,
    /// Products and search.
    Catalog,
    /// Stock and reservations.
    Inventory,
    /// Carts.
    Cart,
    /// Checkout and orders.
    Orders,
}

impl ServiceName {
    /// Every service, in the order in which they are rolled out: what others need comes first.
    pub const ALL: [Self; 6] = [Self::Auth, Self::Inventory, Self::Catalog, Self::Cart, Self::Orders, Self::Gateway];

    /// The name as users write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Auth => "auth",
            Self::Catalog => "catalog",
            Self::Inventory => "inventory",
            Self::Cart => "cart",
            Self::Orders => "orders",
        }
    }
}

/// Settings of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.replicas) && has(self.autoscaling))")
        .message("set replicas or autoscaling, not both: the autoscaler decides the number of pods"),
)]
pub struct ServiceSettings {
    /// The service.
    pub name: ServiceName,
    /// Tag of the image that this service runs, instead of the store's, for example to try a fix. Its migration runs with
    /// the same image.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]*$')")
        .message("must be an image tag: letters, digits, '_', '.' and '-'"))]
    pub version: Option<String>,
    /// Number of pods; 1 if neither this nor autoscaling is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: Option<i32>,
    /// Scales the service by CPU use instead of a fixed number of pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// Compute resources of each pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Further environment variables. Those that the operator sets itself are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("!self.exists(variable, variable.name in ['HTTP_ADDR', 'GRPC_ADDR', 'OPS_ADDR', 'LOG_LEVEL', 'LOG_FORMAT', \
            'SHUTDOWN_GRACE', 'DATABASE_URL', 'DATABASE_CA', 'KAFKA_BOOTSTRAP_SERVERS', 'KAFKA_PREFIX', 'REDIS_URL', 'AUTH_HTTP_URL', 'CATALOG_GRPC_URL', 'INVENTORY_GRPC_URL', \
            'CART_GRPC_URL', 'STORE_CURRENCY', 'ROUTES_FILE'])")
            .message("names a variable that the operator sets: use the field of the Store for it, for example observability.logLevel or payments.currency")
    )]
    pub env: Vec<EnvVar>,
    /// Where the pods run, and what they are called. The service's migration runs where they may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodOverrides>,
    /// Whether the service is left out. Its database and topics stay.
    #[serde(default)]
    pub disabled: bool,
}

/// How the shop takes payments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Payments {
    /// Currency of all prices, as an ISO 4217 code. It cannot be changed.
    #[serde(default = "default_currency")]
    #[schemars(length(min = 3, max = 3))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Z]{3}$')").message("must be an ISO 4217 code of three capital letters, for example NGN"),
        validation = Rule::new("self == oldSelf")
            .message("currency cannot be changed: prices and orders are kept in it; create another store")
    )]
    pub currency: String,
}

impl Default for Payments {
    fn default() -> Self {
        Self { currency: default_currency() }
    }
}

fn default_currency() -> String {
    "NGN".to_owned()
}

/// What the services tell about themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observability {
    /// Least severity that is logged.
    #[serde(default)]
    pub log_level: LogLevel,
    /// Makes a `PodMonitor` for each service; none if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_monitors: Option<PodMonitoring>,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only failures.
    Error,
    /// Also what may become one.
    Warn,
    /// Also the course of events.
    #[default]
    Info,
    /// Also details.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The name as the services read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How an upgrade proceeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// How long the migration of one service may take, retries included, for example `90s`, `5m` or `1h30m`.
    #[serde(default = "default_migration_timeout")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+h)?([0-9]+m)?([0-9]+s)?$') && duration(self) >= duration('10s') && duration(self) <= duration('24h')")
        .message("must be a duration from 10s to 24h, for example 90s, 5m or 1h30m"))]
    pub migration_timeout: String,
    /// How long the roll of one service may go without progress before the version counts as bad, for example `90s` or `10m`.
    #[serde(default = "default_progress_deadline")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+h)?([0-9]+m)?([0-9]+s)?$') && duration(self) >= duration('10s') && duration(self) <= duration('24h')")
        .message("must be a duration from 10s to 24h, for example 90s, 5m or 1h30m"))]
    pub progress_deadline: String,
    /// Whether a version that cannot be rolled out is taken back: every service goes back to the last version that ran, and
    /// the bad one is not tried again until the spec changes.
    #[serde(default = "default_auto_rollback")]
    pub auto_rollback: bool,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            migration_timeout: default_migration_timeout(),
            progress_deadline: default_progress_deadline(),
            auto_rollback: default_auto_rollback(),
        }
    }
}

fn default_migration_timeout() -> String {
    "5m".to_owned()
}

fn default_progress_deadline() -> String {
    "10m".to_owned()
}

fn default_auto_rollback() -> bool {
    true
}

/// What is known about a store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// Generation of the object that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Release that runs: every service of the store has it, or the version that is set for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// State: `Ready`, `Progressing`, `Degraded`, `Suspended`, `DatabaseReady`, `EventsReady`, `CacheReady`, `ServicesReady`, `Upgraded`, `StorageReady`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The services, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub services: Vec<ServiceStatus>,
    /// Where the shop is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
    /// The upgrades so far, the newest first; at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub history: Vec<UpgradeRecord>,
}

/// One upgrade: from the version that ran before it to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpgradeRecord {
    /// Version that ran before; none for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Version that was asked for.
    pub to: String,
    /// Image of that version.
    pub image: String,
    /// Hash of what decides whether the upgrade can work: it is tried again only when this changes.
    pub attempt: String,
    /// How it went.
    pub result: UpgradeResult,
    /// Why it did not succeed, as one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it did not succeed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was first seen.
    pub started: Time,
    /// When its result was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
}

/// How an upgrade went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpgradeResult {
    /// It is under way.
    Running,
    /// Every service runs the version.
    Succeeded,
    /// It could not be rolled out; the services went back to the version before.
    RolledBack,
    /// It could not be carried out, and nothing was taken back: no service had changed, `autoRollback` is off, or what does not
    /// start is a service with a version of its own.
    Failed,
    /// Another version was asked for before it ended.
    Superseded,
}

/// What is known about one service of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceStatus {
    /// The service.
    pub name: String,
    /// Tag of the image that every pod runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Pods that are ready.
    pub ready: i32,
    /// Pods that should be ready.
    pub desired: i32,
}

/// Addresses of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoints {
    /// The API, inside the cluster.
    pub api: String,
    /// The API, from outside the cluster, as soon as its address is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<String>,
    /// The port of every node that leads to the API, when the store is exposed on one.
    #[serde(rename = "nodePort", skip_serializing_if = "Option::is_none")]
    pub node_port: Option<i32>,
}
