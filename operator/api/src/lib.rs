//! The custom resources of greencommerce.dev, and the names of their conditions and reasons.
//!
//! Types only: no I/O, no async runtime, no controller code. What a user may write is decided here, by the schema
//! and its CEL rules, so that the API server refuses a mistake with a message that says what to do.

#![expect(unreachable_pub, reason = "KubeSchema repeats each type, with its visibility, inside a function")]

mod common;
mod conditions;
mod crds;
#[cfg(test)]
mod documentation;
mod exposure;
mod labels;
mod monitoring;
mod pod;
mod quantity;
mod servers;
mod status;
mod store;
mod store_database;
mod store_service;
mod store_topic;

pub use common::{
    Autoscaling, DeletionPolicy, EnvVar, EnvVarSource, ImagePullPolicy, LocalReference, ResourceAmounts, Resources,
    SecretKeyReference, Storage,
};
pub use conditions::{ConditionType, Reason};
pub use crds::crds;
pub use exposure::{Exposure, IngressExposure, IngressTls, InternalExposure, LoadBalancerExposure, NodePortExposure};
pub use labels::{
    ANNOTATION_APPLIED, ANNOTATION_CONFIG, ANNOTATION_ROTATE, ANNOTATION_ROTATED_AT, ANNOTATION_SECRETS,
    ANNOTATION_STORAGE, ANNOTATION_STORE_UID, ANNOTATION_VARIABLES, FINALIZER, MANAGED_BY, label,
};
pub use monitoring::PodMonitoring;
pub use pod::PodOverrides;
pub use quantity::Quantity;
pub use servers::{Cache, ExternalCache, ExternalKafka, Kafka, ManagedCache, ManagedKafka};
pub use status::Status;
pub use store::{
    Endpoints, Image, LogLevel, Observability, Payments, ServiceName, ServiceSettings, ServiceStatus, Store, StoreSpec,
    StoreStatus, Upgrade, UpgradeRecord, UpgradeResult,
};
pub use store_database::{
    AuthoritiesReference, DatabaseStatus, DatabaseTarget, DatabaseTls, ExternalDatabase, ManagedDatabase,
    NamedDatabase, PasswordRotation, StoreDatabase, StoreDatabaseSpec, StoreDatabaseStatus, TlsMode, login_secret,
};
pub use store_service::{
    ConfigMapMount, PortName, ServiceDatabase, ServicePort, ServiceRoute, ServiceTopic, StoreService, StoreServiceSpec,
    StoreServiceStatus,
};
pub use store_topic::{StoreTopic, StoreTopicSpec, StoreTopicStatus, TopicConfig};

/// The API group of every kind in this crate.
pub const GROUP: &str = "greencommerce.dev";
/// The version of every kind in this crate.
pub const VERSION: &str = "v1alpha1";
