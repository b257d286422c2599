//! The table: every connection there may be.

use api::{PortName, ServiceName};

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    /// A service of the platform.
    Service(ServiceName),
    /// A service that a user brought: a StoreService that no Store made.
    Own,
    /// The migration of a database.
    Migration,
    /// The PostgreSQL server.
    Database,
    /// The broker.
    Kafka,
    /// The cache.
    Cache,
    /// This operator.
    Operator,
    /// Whoever it may be, inside the cluster or outside.
    Anyone,
}

/// What is asked for at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    /// The public API.
    Http,
    /// gRPC.
    Grpc,
    /// Probes and figures.
    Ops,
    /// SQL.
    Postgres,
    /// Events.
    Kafka,
    /// Carts.
    Redis,
}

/// A connection that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) door: Door,
}

impl Door {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => PortName::Http.as_str(),
            Self::Grpc => PortName::Grpc.as_str(),
            Self::Ops => PortName::Ops.as_str(),
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
            Self::Redis => "redis",
        }
    }

    /// Where the platform's own parts listen for it.
    pub(crate) fn port(self) -> i32 {
        match self {
            Self::Http => PortName::Http.default_port(),
            Self::Grpc => PortName::Grpc.default_port(),
            Self::Ops => PortName::Ops.default_port(),
            Self::Postgres => 5432,
            Self::Kafka => 9092,
            Self::Redis => 6379,
        }
    }
}

/// Whether the service has a database.
pub(crate) fn has_database(service: ServiceName) -> bool {
    match service {
        ServiceName::Auth | ServiceName::Catalog | ServiceName::Inventory | ServiceName::Orders => true,
        ServiceName::Gateway | ServiceName::Cart => false,
    }
}

/// Whether the service publishes or consumes events.
pub(crate) fn has_events(service: ServiceName) -> bool {
    service != ServiceName::Gateway
}

/// Whether the service keeps something in the cache.
pub(crate) fn has_cache(service: ServiceName) -> bool {
    service == ServiceName::Cart
}

/// The services that a service asks by gRPC.
pub(crate) fn asks(service: ServiceName) -> &'static [ServiceName] {
    match service {
        ServiceName::Catalog => &[ServiceName::Inventory],
        ServiceName::Cart => &[ServiceName::Catalog],
        ServiceName::Orders => &[ServiceName::Cart, ServiceName::Catalog, ServiceName::Inventory],
        ServiceName::Auth | ServiceName::Gateway | ServiceName::Inventory => &[],
    }
}

/// Every connection there may be. What is not here is forbidden.
pub(crate) fn pairs() -> Vec<Pair> {
    let mut all: Vec<Pair> = ServiceName::ALL.into_iter().flat_map(of_service).collect();
    let mut allow = |from, to, door| all.push(Pair { from, to, door });
    let (gateway, auth) = (Party::Service(ServiceName::Gateway), Party::Service(ServiceName::Auth));
    allow(Party::Anyone, gateway, Door::Http);
    allow(Party::Anyone, Party::Own, Door::Ops);
    allow(gateway, Party::Own, Door::Http);
    allow(Party::Own, Party::Own, Door::Http);
    allow(Party::Own, Party::Own, Door::Grpc);
    allow(Party::Own, gateway, Door::Http);
    allow(Party::Own, auth, Door::Http);
    allow(Party::Own, Party::Database, Door::Postgres);
    allow(Party::Own, Party::Kafka, Door::Kafka);
    allow(Party::Migration, Party::Database, Door::Postgres);
    allow(Party::Operator, Party::Database, Door::Postgres);
    allow(Party::Operator, Party::Kafka, Door::Kafka);
    // The broker is a client of its own under the address that it tells others.
    allow(Party::Kafka, Party::Kafka, Door::Kafka);
    all
}

/// What a service of the platform needs, and that its probes and figures are for everybody.
fn of_service(service: ServiceName) -> Vec<Pair> {
    let from = Party::Service(service);
    let mut all = vec![Pair { from: Party::Anyone, to: from, door: Door::Ops }];
    let mut needs = |needed: bool, to, door| {
        if needed {
            all.push(Pair { from, to, door });
        }
    };
    for other in ServiceName::ALL.into_iter().filter(|other| *other != service) {
        // The gateway has a route to each, and everybody checks tokens with the keys of auth.
        let asked = service == ServiceName::Gateway || other == ServiceName::Auth;
        needs(asked, Party::Service(other), Door::Http);
        needs(asks(service).contains(&other), Party::Service(other), Door::Grpc);
    }
    needs(has_database(service), Party::Database, Door::Postgres);
    needs(has_events(service), Party::Kafka, Door::Kafka);
    needs(has_cache(service), Party::Cache, Door::Redis);
    all
}
