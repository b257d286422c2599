//! The cache: one Redis server that writes every change to its volume.

use api::EnvVar;
use k8s_openapi::api::core::v1::{Container, ContainerPort, ExecAction, PodSpec, Probe};

use super::{
    DataServer, Validated,
    data::{Identity, server},
};
use crate::{
    network::Party,
    store::{
        external::URL_KEY,
        plan::Plan,
        validate::{self, Cache},
    },
    workload::{DefaultResources, claimed, mount, restricted_container, restricted_pod, scratch},
};

const PART: &str = "cache";
const PORT_NAME: &str = "redis";
const PORT: i32 = 6379;

/// User and group of the official image.
const USER: i64 = 999;

const RESOURCES: DefaultResources =
    DefaultResources { cpu_request: "20m", memory_request: "32Mi", memory_limit: "256Mi" };

/// The server, if the store runs one.
pub(super) fn cache(of: &Validated, plan: &Plan) -> Option<DataServer> {
    let Cache::Managed(settings) = &of.cache else { return None };
    let identity = Identity {
        part: PART,
        party: Party::Cache,
        component: "cache",
        name: of.names.cache(),
        nodes: of.names.cache_nodes(),
        port_name: PORT_NAME,
        port: PORT,
    };
    let pod = PodSpec {
        security_context: Some(restricted_pod(USER)),
        termination_grace_period_seconds: Some(30),
        containers: vec![container(settings)],
        volumes: Some(vec![claimed("data", &of.names.cache()), scratch("tmp", "16Mi")]),
        ..PodSpec::default()
    };
    Some(server(of, plan, &identity, settings, pod, None))
}

/// The variable that tells clients the cache's address.
pub(super) fn address(of: &Validated) -> EnvVar {
    const NAME: &str = "REDIS_URL";
    match &of.cache {
        Cache::Managed(_) => EnvVar::of(NAME, format!("redis://{}:{PORT}", of.names.cache())),
        Cache::External(secret) => EnvVar::secret(NAME, secret, URL_KEY),
    }
}

fn container(settings: &validate::DataServer) -> Container {
    // Carts are data: nothing is evicted, and at most a second of changes is lost with the machine.
    let command = "redis-server --dir /data --appendonly yes --appendfsync everysec --protected-mode no";
    let mut command: Vec<String> = command.split(' ').map(str::to_owned).collect();
    command.extend(["--save".to_owned(), String::new()]);
    Container {
        name: PORT_NAME.to_owned(),
        image: Some(settings.image.clone()),
        command: Some(command),
        ports: Some(vec![ContainerPort {
            name: Some(PORT_NAME.to_owned()),
            container_port: PORT,
            ..ContainerPort::default()
        }]),
        resources: Some(RESOURCES.with(settings.resources.as_ref())),
        startup_probe: Some(answers(1, 300)),
        readiness_probe: Some(answers(10, 3)),
        liveness_probe: Some(answers(20, 6)),
        security_context: Some(restricted_container()),
        volume_mounts: Some(vec![mount("data", "/data"), mount("tmp", "/tmp")]),
        ..Container::default()
    }
}

/// The server answers, and has read its data.
fn answers(period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        exec: Some(ExecAction { command: Some(["redis-cli", "-e", "ping"].map(str::to_owned).to_vec()) }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failure_threshold),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}
