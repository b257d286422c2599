//! Names of conditions and of the reasons they give.

/// Type of a condition in a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// Everything the object describes exists, works, and is of the generation observed.
    Ready,
    /// The operator is moving the object towards its spec.
    Progressing,
    /// Store: the StoreDatabase is ready.
    DatabaseReady,
    /// Store: the broker and every StoreTopic are ready.
    EventsReady,
    /// Store: the cache is ready.
    CacheReady,
    /// Store: every StoreService is ready.
    ServicesReady,
    /// Store: the version in the spec is the version that runs.
    Upgraded,
    /// The volumes have the size that the spec asks for.
    StorageReady,
    /// StoreDatabase: the PostgreSQL server accepts connections.
    ServerReady,
    /// Store: something needs a hand, though the shop may serve.
    Degraded,
    /// Store: it sleeps, on request.
    Suspended,
    /// StoreDatabase: passwords are being replaced.
    Rotating,
}

impl ConditionType {
    /// Every type there is.
    pub const ALL: [Self; 12] = [
        Self::Ready,
        Self::Progressing,
        Self::DatabaseReady,
        Self::EventsReady,
        Self::CacheReady,
        Self::ServicesReady,
        Self::Upgraded,
        Self::StorageReady,
        Self::ServerReady,
        Self::Degraded,
        Self::Suspended,
        Self::Rotating,
    ];

    /// The type of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|type_| type_.as_str() == name)
    }

    /// The name in a status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Progressing => "Progressing",
            Self::DatabaseReady => "DatabaseReady",
            Self::EventsReady => "EventsReady",
            Self::CacheReady => "CacheReady",
            Self::ServicesReady => "ServicesReady",
            Self::Upgraded => "Upgraded",
            Self::StorageReady => "StorageReady",
            Self::ServerReady => "ServerReady",
            Self::Degraded => "Degraded",
            Self::Suspended => "Suspended",
            Self::Rotating => "Rotating",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why a condition has its status. The same name is the reason of the event and the label of the metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in a status, an event or a metric.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

impl Reason {
    /// The reason of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }

    /// Whether someone should look into it, as opposed to a state that passes by itself.
    #[must_use]
    pub fn is_failure(self) -> bool {
        !matches!(
            self,
            Self::AllReady
                | Self::Settled
                | Self::Reconciling
                | Self::ChildPending
                | Self::ChildNotReady
                | Self::PodsStarting
                | Self::AddressPending
                | Self::RoutePending
                | Self::RollingOut
                | Self::VolumePending
                | Self::VolumeResizing
                | Self::WaitingForData
                | Self::Migrating
                | Self::Upgrading
                | Self::RotatingPasswords
                | Self::UpToDate
                | Self::RollingBack
                | Self::Suspending
                | Self::Suspended
                | Self::NotSuspended
        )
    }
}

reasons! {
    /// All is as described.
    AllReady,
    /// Nothing is under way.
    Settled,
    /// Children are being created or changed.
    Reconciling,
    /// A child does not exist yet, or has not been looked at since it changed.
    ChildPending,
    /// A child says that it is not ready.
    ChildNotReady,
    /// Pods are starting.
    PodsStarting,
    /// A load balancer has no address yet.
    AddressPending,
    /// The gateway has not been told of a route yet.
    RoutePending,
    /// Pods are being replaced.
    RollingOut,
    /// No node can take a pod.
    Unschedulable,
    /// The image of a pod cannot be pulled.
    ImagePullFailed,
    /// A container keeps ending.
    CrashLooping,
    /// A container cannot be created, for example because a Secret or ConfigMap is missing.
    ContainerConfigInvalid,
    /// Pods run but their readiness probe fails.
    ProbeFailing,
    /// The API server refuses pods, for example because of a quota or of Pod Security.
    PodsRefused,
    /// A Secret that the object names does not exist.
    SecretMissing,
    /// A Secret that the object names lacks a key.
    SecretInvalid,
    /// A ConfigMap that the object names does not exist.
    ConfigMapMissing,
    /// A claim waits for its volume.
    VolumePending,
    /// The storage class of a claim does not exist.
    StorageClassMissing,
    /// A volume is growing.
    VolumeResizing,
    /// The storage class cannot grow volumes.
    VolumeExpansionUnsupported,
    /// Waiting for databases, events and cache.
    WaitingForData,
    /// Migrations are running.
    Migrating,
    /// A migration failed.
    MigrationFailed,
    /// A version is being rolled out.
    Upgrading,
    /// Pods take up new passwords, or are about to.
    RotatingPasswords,
    /// The version of the spec runs.
    UpToDate,
    /// The pods of a version did not become ready in time.
    ProgressDeadlineExceeded,
    /// A version that could not be rolled out is being taken back.
    RollingBack,
    /// A version could not be rolled out and was taken back: the one before it runs.
    UpgradeRolledBack,
    /// The databases are in a shape that the older version cannot work with.
    DowngradeRefused,
    /// The store is going to sleep: pods are ending.
    Suspending,
    /// The store sleeps: it runs no pod, and its data is kept.
    Suspended,
    /// The store is not asked to sleep.
    NotSuspended,
    /// The Store that a StoreService belongs to does not exist.
    StoreMissing,
    /// Another StoreService of the store has the route or the database.
    TakenByAnother,
    /// The spec cannot be carried out.
    SpecInvalid,
    /// The stored object does not fit its schema.
    ObjectMalformed,
    /// An object that does not fit its schema was deleted, and its data stays where it is.
    DataLeftBehind,
    /// The API server refused a write, or could not be reached.
    ApplyFailed,
    /// The API server refused a read, or could not be reached.
    ReadFailed,
    /// Another object, not made by this operator, has the name of a child.
    NameTaken,
    /// The PostgreSQL server cannot be reached.
    DatabaseUnreachable,
    /// The PostgreSQL server refused the credentials.
    DatabaseLoginRefused,
    /// A statement failed on the PostgreSQL server.
    DatabaseStatementFailed,
    /// A former store of the same name has left data behind, and nobody has said that it is to be taken up.
    DataRetained,
    /// The superuser's Secret is gone while the volume holds data.
    CredentialsLost,
    /// The external cache cannot be reached, or does not answer.
    CacheUnreachable,
    /// The external cache refused the login in its address.
    CacheLoginRefused,
    /// The Kafka brokers cannot be reached.
    BrokerUnreachable,
    /// Kafka refused a change of the topic.
    TopicRefused,
    /// The spec asks for fewer partitions than the topic has.
    PartitionsCannotShrink,
    /// The topic has another replication factor than the spec asks for.
    ReplicasDiffer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_name() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::parse("Whatever"), None);
    }

    #[test]
    fn what_passes_by_itself_is_no_failure() {
        assert!(!Reason::PodsStarting.is_failure());
        assert!(Reason::ImagePullFailed.is_failure());
    }
}
