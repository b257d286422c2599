//! The PostgreSQL server of a managed database: a StatefulSet of one, its Service and its volume.

use api::{ANNOTATION_STORAGE, ANNOTATION_STORE_UID};
use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        core::v1::{
            Affinity, Container, ContainerPort, ExecAction, KeyToPath, PersistentVolumeClaim, PodAffinity,
            PodAffinityTerm, PodSpec, PodTemplateSpec, Probe, SecretVolumeSource, Service, ServicePort, ServiceSpec,
            TCPSocketAction, Volume, WeightedPodAffinityTerm,
        },
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use super::labels;
use crate::{
    store_database::validate::{Managed, Validated},
    workload::{claimed, mount, mount_read_only, restricted_container, restricted_pod, scratch, variable},
};

/// The port PostgreSQL listens on.
pub(crate) const PORT: u16 = 5432;

/// User and group of the official image.
const UID: i64 = 999;

/// Where the volume is mounted: not where the official images declare a volume of their own, which differs by version
/// and which the container runtime would put an empty one over.
const DATA: &str = "/data";
const SECRETS: &str = "/etc/postgres-superuser";

/// Connections the server takes. Every replica of a service keeps a pool, and a rollout doubles them for a while;
/// PostgreSQL's own 100 would be too few for three replicas of four services.
const MAX_CONNECTIONS: &str = "max_connections=200";

pub(super) fn service(of: &Validated) -> Service {
    Service {
        metadata: ObjectMeta {
            name: Some(of.names.server()),
            namespace: Some(of.namespace.clone()),
            labels: Some(labels::server(of)),
            owner_references: Some(vec![of.owner.clone()]),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(labels::server_selector(of)),
            ports: Some(vec![ServicePort {
                name: Some("postgres".to_owned()),
                port: i32::from(PORT),
                target_port: Some(IntOrString::String("postgres".to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// The volume. Nobody owns it: it outlives its resource unless the finalizer deletes it.
pub(super) fn volume(of: &Validated, managed: &Managed) -> PersistentVolumeClaim {
    let asked = (ANNOTATION_STORAGE.to_owned(), managed.claim.asked.to_string());
    let store = of.store_uid.clone().map(|uid| (ANNOTATION_STORE_UID.to_owned(), uid));
    let annotations = std::iter::once(asked).chain(store);
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(of.names.volume()),
            namespace: Some(of.namespace.clone()),
            labels: Some(labels::server(of)),
            annotations: Some(annotations.collect()),
            ..ObjectMeta::default()
        },
        spec: Some(managed.claim.spec()),
        ..PersistentVolumeClaim::default()
    }
}

pub(super) fn stateful_set(of: &Validated, managed: &Managed) -> StatefulSet {
    StatefulSet {
        metadata: ObjectMeta {
            name: Some(of.names.server()),
            namespace: Some(of.namespace.clone()),
            labels: Some(labels::server(of)),
            owner_references: Some(vec![of.owner.clone()]),
            ..ObjectMeta::default()
        },
        spec: StatefulSetSpec {
            replicas: Some(i32::from(!of.suspend)),
            service_name: Some(of.names.server()),
            selector: LabelSelector { match_labels: Some(labels::server_selector(of)), ..LabelSelector::default() },
            revision_history_limit: Some(3),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels::server(of)), ..ObjectMeta::default() }),
                spec: Some(pod(of, managed)),
            },
            ..StatefulSetSpec::default()
        },
        ..StatefulSet::default()
    }
}

fn pod(of: &Validated, managed: &Managed) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(60),
        affinity: Some(near_other_data(of)),
        security_context: Some(restricted_pod(UID)),
        containers: vec![container(managed)],
        volumes: Some(vec![
            claimed("data", &of.names.volume()),
            Volume {
                name: "superuser".to_owned(),
                secret: Some(SecretVolumeSource {
                    secret_name: Some(of.names.superuser_secret()),
                    default_mode: Some(0o440),
                    items: Some(vec![KeyToPath {
                        key: "password".to_owned(),
                        path: "password".to_owned(),
                        ..KeyToPath::default()
                    }]),
                    ..SecretVolumeSource::default()
                }),
                ..Volume::default()
            },
            scratch("run", "16Mi"),
            scratch("tmp", "256Mi"),
            shared_memory(),
        ]),
        ..PodSpec::default()
    }
}

fn container(managed: &Managed) -> Container {
    Container {
        name: "postgres".to_owned(),
        image: Some(managed.image.clone()),
        args: Some(["postgres", "-c", MAX_CONNECTIONS].map(str::to_owned).to_vec()),
        env: Some(vec![
            // A folder below the mount point: the volume's own may hold lost+found, which initdb refuses.
            variable("PGDATA", format!("{DATA}/pgdata")),
            variable("POSTGRES_USER", super::SUPERUSER),
            variable("POSTGRES_PASSWORD_FILE", format!("{SECRETS}/password")),
        ]),
        ports: Some(vec![ContainerPort {
            name: Some("postgres".to_owned()),
            container_port: i32::from(PORT),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        resources: Some(managed.resources.clone()),
        // While the image makes the first database it serves no TCP, so only a server that is complete passes.
        // Recovery after a crash may replay a gigabyte of log: it gets half an hour.
        startup_probe: Some(Probe { period_seconds: Some(1), failure_threshold: Some(1800), ..accepts_connections() }),
        readiness_probe: Some(Probe { period_seconds: Some(10), ..accepts_connections() }),
        // Not whether it accepts sessions: a server that is full must not be killed for it.
        liveness_probe: Some(Probe {
            tcp_socket: Some(TCPSocketAction {
                port: IntOrString::String("postgres".to_owned()),
                ..TCPSocketAction::default()
            }),
            period_seconds: Some(20),
            timeout_seconds: Some(5),
            failure_threshold: Some(6),
            ..Probe::default()
        }),
        security_context: Some(restricted_container()),
        volume_mounts: Some(vec![
            mount("data", DATA),
            mount_read_only("superuser", SECRETS),
            mount("run", "/var/run/postgresql"),
            mount("tmp", "/tmp"),
            mount("shm", "/dev/shm"),
        ]),
        ..Container::default()
    }
}

fn accepts_connections() -> Probe {
    Probe {
        exec: Some(ExecAction {
            command: Some(["pg_isready", "--quiet", "--host=127.0.0.1"].map(str::to_owned).to_vec()),
        }),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

/// Each server of the store's data is alone of its kind, so the fewer nodes hold them, the fewer can take the store
/// down.
fn near_other_data(of: &Validated) -> Affinity {
    Affinity {
        pod_affinity: Some(PodAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: PodAffinityTerm {
                    label_selector: Some(LabelSelector {
                        match_labels: Some(labels::data_tier(of)),
                        ..LabelSelector::default()
                    }),
                    topology_key: "kubernetes.io/hostname".to_owned(),
                    ..PodAffinityTerm::default()
                },
            }]),
            ..PodAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// The container's own /dev/shm has 64 MiB, which a parallel query can use up.
fn shared_memory() -> Volume {
    let mut volume = scratch("shm", "256Mi");
    if let Some(folder) = &mut volume.empty_dir {
        folder.medium = Some("Memory".to_owned());
    }
    volume
}
