//! The services: each a StoreService, configured to find the others.

use api::{
    ConfigMapMount, EnvVar, LocalReference, PortName, Quantity, ResourceAmounts, Resources, ServiceDatabase,
    ServiceName, ServicePort, StoreService, StoreServiceSpec,
};

use super::{Validated, cache, kafka, meta};
use crate::{
    guests::ROUTES_FILE,
    network::table::{asks, has_cache, has_database, has_events},
    store::{
        plan::Plan,
        validate::{Service, Validated as Store},
    },
};

/// Where the gateway finds its routes.
const ROUTES_FOLDER: &str = "/etc/greencommerce";

/// Every service that may exist now, with the image it may have now.
pub(super) fn services(of: &Validated, plan: &Plan) -> Vec<StoreService> {
    of.services
        .iter()
        .filter_map(|(&name, settings)| {
            let service = service(of, name, settings, plan.images.get(&name)?);
            let service = if let Some(live) = plan.held.get(&name) { held(service, live) } else { service };
            Some(if plan.at_rest.contains(&name) { at_rest(service) } else { service })
        })
        .collect()
}

/// The service as it is, while another image waits for its turn. How many pods there are, how they are reached from outside
/// and how their figures are found is no matter of the image.
fn held(service: StoreService, live: &StoreServiceSpec) -> StoreService {
    let StoreServiceSpec { replicas, autoscaling, host, exposure, pod_monitor, .. } = service.spec;
    let spec = StoreServiceSpec { replicas, autoscaling, host, exposure, pod_monitor, ..live.clone() };
    StoreService { spec, ..service }
}

/// The service without pods, and without an autoscaler that would start some.
fn at_rest(service: StoreService) -> StoreService {
    let spec = StoreServiceSpec { replicas: Some(0), autoscaling: None, ..service.spec };
    StoreService { spec, ..service }
}

fn service(of: &Store, name: ServiceName, settings: &Service, image: &str) -> StoreService {
    let gateway = name == ServiceName::Gateway;
    StoreService {
        metadata: meta(of, of.names.service(name), name.as_str(), "service"),
        spec: StoreServiceSpec {
            store: of.names.store().to_owned(),
            image: image.to_owned(),
            pull_policy: of.image.pull_policy,
            pull_secrets: of.image.pull_secrets.clone(),
            args: vec![name.as_str().to_owned()],
            ports: ports(name),
            replicas: settings.replicas.or_else(|| settings.autoscaling.is_none().then_some(1)),
            autoscaling: settings.autoscaling.clone(),
            progress_deadline_seconds: i32::try_from(of.progress_deadline.as_secs()).ok(),
            resources: resources(name, settings),
            env: environment(of, name, settings),
            database: has_database(name).then(|| own_database(of, name)),
            routes: Vec::new(),
            topics: Vec::new(),
            config_maps: gateway.then(|| route_files(of)).into_iter().collect(),
            pod: settings.pod.clone(),
            pod_monitor: of.pod_monitors.clone(),
            host: of.host.clone().filter(|_| gateway),
            exposure: gateway.then(|| of.exposure.clone()),
        },
        status: None,
    }
}

fn own_database(of: &Store, name: ServiceName) -> ServiceDatabase {
    ServiceDatabase { name: None, secret_ref: Some(LocalReference { name: of.names.database_secret(name) }) }
}

/// Every service speaks HTTP and answers probes; those that others ask speak gRPC too.
fn ports(name: ServiceName) -> Vec<ServicePort> {
    let grpc = matches!(name, ServiceName::Catalog | ServiceName::Inventory | ServiceName::Cart);
    let names = [Some(PortName::Http), grpc.then_some(PortName::Grpc), Some(PortName::Ops)];
    names.into_iter().flatten().map(ServicePort::from).collect()
}

/// The catalogue is what shoppers load most. Autoscalers count in percent of the request, so its own must not be tiny.
fn resources(name: ServiceName, settings: &Service) -> Option<Resources> {
    let fallback = || Resources {
        requests: Some(ResourceAmounts { cpu: Some(Quantity::new("50m")), memory: None }),
        limits: None,
    };
    settings.resources.clone().or_else(|| (name == ServiceName::Catalog).then(fallback))
}

fn route_files(of: &Store) -> ConfigMapMount {
    ConfigMapMount { name: of.names.routes(), mount_path: ROUTES_FOLDER.to_owned() }
}

fn environment(of: &Store, name: ServiceName, settings: &Service) -> Vec<EnvVar> {
    let grpc = |service: ServiceName| format!("http://{}:{}", of.names.service(service), PortName::Grpc.default_port());
    let auth = format!("http://{}:{}", of.names.service(ServiceName::Auth), PortName::Http.default_port());
    let mut all = vec![
        EnvVar::of("LOG_LEVEL", of.log_level.as_str()),
        EnvVar::of("LOG_FORMAT", "json"),
        EnvVar::of("STORE_CURRENCY", &of.currency),
        EnvVar::of("AUTH_HTTP_URL", auth),
    ];
    if name == ServiceName::Gateway {
        all.push(EnvVar::of("ROUTES_FILE", format!("{ROUTES_FOLDER}/{ROUTES_FILE}")));
    }
    if has_events(name) {
        all.extend(kafka::brokers(of).variables());
    }
    if has_cache(name) {
        all.push(cache::address(of));
    }
    all.extend(
        asks(name).iter().map(|&other| EnvVar::of(&format!("{}_GRPC_URL", other.as_str().to_uppercase()), grpc(other))),
    );
    all.extend(settings.env.iter().cloned());
    all
}
