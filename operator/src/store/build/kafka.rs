//! The event broker: one Kafka process that is broker and controller, and the topics on it.

use api::{ANNOTATION_CONFIG, DeletionPolicy, StoreTopic, StoreTopicSpec};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Container, ContainerPort, PodSpec, Probe, TCPSocketAction},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{
    Broker, Validated,
    data::{Identity, server},
    meta,
};
use crate::{
    events::{Brokers, PORT},
    framework::{content_bytes, content_hash, labels},
    network::Party,
    store::{
        names::TOPICS,
        plan::Plan,
        validate::{self, Kafka},
    },
    workload::{
        DefaultResources, claimed, config_map, mount, mount_read_only, restricted_container, restricted_pod, scratch,
        variable,
    },
};

const PART: &str = "kafka";
const CONTROLLER_PORT: i32 = 9093;

/// Where the volume is.
const DATA: &str = "/var/lib/kafka/data";
/// Where the configuration is.
const CONFIG: &str = "/etc/kafka";

/// User and group of the official image.
const USER: i64 = 1000;

const RESOURCES: DefaultResources =
    DefaultResources { cpu_request: "100m", memory_request: "384Mi", memory_limit: "768Mi" };

/// Partitions of each topic: consumers of one group share them.
const PARTITIONS: i32 = 3;

/// The broker, if the store runs one.
pub(super) fn broker(of: &Validated, plan: &Plan) -> Option<Broker> {
    let Kafka::Managed(settings) = &of.kafka else { return None };
    let identity = Identity {
        part: PART,
        party: Party::Kafka,
        component: "broker",
        name: of.names.kafka(),
        nodes: of.names.kafka_nodes(),
        port_name: PART,
        port: PORT,
    };
    let properties = properties(of);
    // The broker reads its configuration once.
    let hash = content_hash([properties.as_bytes()]);
    Some(Broker {
        config: ConfigMap {
            metadata: meta(of, of.names.kafka(), PART, "broker"),
            data: Some(labels([("server.properties", &properties)])),
            ..ConfigMap::default()
        },
        server: server(of, plan, &identity, settings, pod(of, settings), Some(labels([(ANNOTATION_CONFIG, &hash)]))),
    })
}

/// The brokers, whoever runs them.
pub(super) fn brokers(of: &Validated) -> Brokers {
    match &of.kafka {
        Kafka::Managed(_) => Brokers::own(&of.namespace, of.names.store()),
        Kafka::External(kafka) => Brokers::external(kafka),
    }
}

/// The store's topics.
pub(super) fn topics(of: &Validated, plan: &Plan) -> Vec<StoreTopic> {
    let brokers = brokers(of);
    let deletion_policy = match &of.kafka {
        // The topics live on the store's own volume and go with it or stay with it, so they are never deleted one by one:
        // that would need a broker, which is being deleted at the same time.
        Kafka::Managed(_) => DeletionPolicy::Retain,
        Kafka::External(_) => of.deletion_policy,
    };
    TOPICS
        .iter()
        .map(|&topic| StoreTopic {
            metadata: meta(of, of.names.topic(topic), topic, "topic"),
            spec: StoreTopicSpec {
                bootstrap_servers: brokers.bootstrap_servers.clone(),
                topic_name: format!("{}{topic}", brokers.topic_prefix),
                partitions: PARTITIONS,
                replicas: brokers.topic_replicas,
                config: Vec::new(),
                deletion_policy,
                suspend: plan.data_sleeps,
            },
            status: None,
        })
        .collect()
}

/// <https://kafka.apache.org/41/configuration/broker-configs/>
fn properties(of: &Validated) -> String {
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@localhost:{CONTROLLER_PORT}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://:{PORT},CONTROLLER://localhost:{CONTROLLER_PORT}\n\
         advertised.listeners=PLAINTEXT://{}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n\
         log.dirs={DATA}/logs\n\
         auto.create.topics.enable=false\n\
         num.partitions={PARTITIONS}\n\
         default.replication.factor=1\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=8\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=8\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         share.coordinator.state.topic.num.partitions=8\n\
         group.initial.rebalance.delay.ms=0\n\
         controlled.shutdown.enable=true\n",
        brokers(of).bootstrap_servers,
    )
}

/// Formats an empty volume, leaves another as it is, and becomes the broker. Formatting is over before a second
/// compiler would pay.
fn command(of: &Validated) -> String {
    format!(
        "{{ test -f {DATA}/logs/meta.properties || \
         KAFKA_JVM_PERFORMANCE_OPTS='-XX:+UseSerialGC -XX:TieredStopAtLevel=1' \
         /opt/kafka/bin/kafka-storage.sh format --ignore-formatted -t {} -c {CONFIG}/server.properties; }} && \
         exec /opt/kafka/bin/kafka-server-start.sh {CONFIG}/server.properties",
        cluster_id(of),
    )
}

/// Sixteen bytes in URL-safe base 64, as Kafka wants it. It depends on the store's name only, so that a store which
/// takes up a retained volume calls it by its old name.
fn cluster_id(of: &Validated) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digest = content_bytes([of.namespace.as_bytes(), of.names.store().as_bytes()]);
    // The first bit is dropped: an id that began with a dash would be taken for an option.
    let bits = digest[..16].iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte)) & (u128::MAX >> 1);
    (0..22)
        .map(|index| {
            // The last digit holds two bits, the others six.
            let digit = if index < 21 { bits >> (122 - 6 * index) } else { bits << 4 };
            char::from(ALPHABET[usize::from((digit & 63) as u8)])
        })
        .collect()
}

fn pod(of: &Validated, settings: &validate::DataServer) -> PodSpec {
    PodSpec {
        security_context: Some(restricted_pod(USER)),
        termination_grace_period_seconds: Some(60),
        containers: vec![container(of, settings)],
        volumes: Some(vec![
            claimed("data", &of.names.kafka()),
            config_map("config", &of.names.kafka()),
            scratch("tmp", "256Mi"),
        ]),
        ..PodSpec::default()
    }
}

fn container(of: &Validated, settings: &validate::DataServer) -> Container {
    Container {
        name: PART.to_owned(),
        image: Some(settings.image.clone()),
        command: Some(vec!["/bin/bash".to_owned(), "-c".to_owned()]),
        args: Some(vec![command(of)]),
        env: Some(vec![
            variable("KAFKA_HEAP_OPTS", heap(settings)),
            // A heap this small is collected fastest, and with the fewest threads, by the plainest collector.
            variable("KAFKA_JVM_PERFORMANCE_OPTS", "-XX:+UseSerialGC"),
            variable("LOG_DIR", "/tmp/logs"),
        ]),
        ports: Some(vec![ContainerPort {
            name: Some(PART.to_owned()),
            container_port: PORT,
            ..ContainerPort::default()
        }]),
        resources: Some(RESOURCES.with(settings.resources.as_ref())),
        // Recovery after a crash reads the logs again: it gets ten minutes.
        startup_probe: Some(accepts_connections(1, 600)),
        readiness_probe: Some(accepts_connections(5, 3)),
        liveness_probe: Some(accepts_connections(20, 6)),
        security_context: Some(restricted_container()),
        volume_mounts: Some(vec![mount("data", DATA), mount_read_only("config", CONFIG), mount("tmp", "/tmp")]),
        ..Container::default()
    }
}

/// The heap. Of a limit that users set it takes half, as the JVM measures it: what the broker keeps in the page cache and
/// beside the heap counts too.
fn heap(settings: &validate::DataServer) -> &'static str {
    let limits = settings.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    match limits.and_then(|limits| limits.memory.as_ref()) {
        Some(_) => "-XX:InitialRAMPercentage=25 -XX:MaxRAMPercentage=50",
        None => "-Xms128m -Xmx256m",
    }
}

/// The broker listens for clients as soon as it has become the leader of its own quorum and read its logs.
fn accepts_connections(period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::String(PART.to_owned()), ..TCPSocketAction::default() }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failure_threshold),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}
