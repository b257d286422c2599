//! The Deployment: what runs, how it is probed, how it is replaced without a failed request.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Container, ContainerPort, EnvVar, HTTPGetAction, Lifecycle, LifecycleHandler, LocalObjectReference,
            PodSpec, PodTemplateSpec, Probe, SleepAction, TopologySpreadConstraint, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use super::{ANNOTATION_CONFIG, ANNOTATION_SECRETS, ANNOTATION_VARIABLES, BTreeMap, PortName, Validated, meta};
use crate::{
    store_service::validate::{DATABASE_CA, DATABASE_CA_KEY, DATABASE_KEY, DATABASE_URL, Scaling},
    workload::{
        DefaultResources, config_map, mount, mount_read_only, restricted_container, restricted_pod, scratch,
        secret_variable, variable,
    },
};

/// User and group that every image of a service runs as.
const USER: i64 = 65532;

/// Seconds between a pod leaving its Service and the signal to stop: proxies forget the pod meanwhile.
const LEAVE_SECONDS: i64 = 5;

/// Seconds from the start of the end of a pod until it is killed: leaving, then the service's own 25 seconds of drain.
const GRACE_SECONDS: i64 = 40;

const RESOURCES: DefaultResources =
    DefaultResources { cpu_request: "20m", memory_request: "32Mi", memory_limit: "256Mi" };

pub(super) fn deployment(of: &Validated) -> Deployment {
    Deployment {
        metadata: meta(of),
        spec: DeploymentSpec {
            replicas: match &of.scaling {
                Scaling::Fixed(replicas) => Some(*replicas),
                Scaling::Auto(_) => None,
            },
            progress_deadline_seconds: of.progress_deadline,
            revision_history_limit: Some(3),
            selector: selector(of),
            strategy: Some(never_fewer()),
            template: template(of),
            ..DeploymentSpec::default()
        },
        status: None,
    }
}

/// A new pod is ready before an old one leaves.
fn never_fewer() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

fn selector(of: &Validated) -> LabelSelector {
    LabelSelector { match_labels: Some(of.selector.clone()), ..LabelSelector::default() }
}

/// A function of the resource and the content of the Secrets and files it names, and of nothing else: a new operator restarts
/// no pod.
fn template(of: &Validated) -> PodTemplateSpec {
    let hashes = [
        (ANNOTATION_SECRETS, &of.database_hash),
        (ANNOTATION_VARIABLES, &of.variables_hash),
        (ANNOTATION_CONFIG, &of.config_hash),
    ];
    let hashes = hashes.into_iter().filter_map(|(key, hash)| Some((key.to_owned(), hash.clone()?)));
    let annotations: BTreeMap<String, String> = of.pod.annotations.clone().into_iter().chain(hashes).collect();
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(of.pod.labels.clone().into_iter().chain(of.labels.clone()).collect()),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(of.name.clone()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            image_pull_secrets: (!of.pull_secrets.is_empty()).then(|| pull_secrets(of)),
            security_context: Some(restricted_pod(USER)),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            node_selector: (!of.pod.node_selector.is_empty()).then(|| of.pod.node_selector.clone()),
            tolerations: (!of.pod.tolerations.is_empty()).then(|| of.pod.tolerations.clone()),
            affinity: of.pod.affinity.clone(),
            priority_class_name: of.pod.priority_class_name.clone(),
            topology_spread_constraints: Some(spread(of)),
            containers: vec![container(of)],
            volumes: Some(volumes(of)),
            ..PodSpec::default()
        }),
    }
}

fn pull_secrets(of: &Validated) -> Vec<LocalObjectReference> {
    of.pull_secrets.iter().map(|secret| LocalObjectReference { name: secret.name.clone() }).collect()
}

/// Pods of one service, of one version, stand on different nodes where there are such, unless users say otherwise.
fn spread(of: &Validated) -> Vec<TopologySpreadConstraint> {
    if of.pod.topology_spread_constraints.is_empty() {
        return vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(selector(of)),
            match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
            ..TopologySpreadConstraint::default()
        }];
    }
    let counted = |given: &TopologySpreadConstraint| TopologySpreadConstraint {
        label_selector: given.label_selector.clone().or_else(|| Some(selector(of))),
        ..given.clone()
    };
    of.pod.topology_spread_constraints.iter().map(counted).collect()
}

fn container(of: &Validated) -> Container {
    let leave = SleepAction { seconds: LEAVE_SECONDS };
    Container {
        name: "service".to_owned(),
        image: Some(of.image.clone()),
        image_pull_policy: Some(of.pull_policy.to_owned()),
        args: (!of.args.is_empty()).then(|| of.args.clone()),
        env: Some(environment(of)).filter(|variables| !variables.is_empty()),
        ports: Some(ports(of)),
        resources: Some(RESOURCES.with(of.resources.as_ref())),
        // Five minutes to start, looked at every second so that nobody waits for a pod that is up.
        startup_probe: Some(probe("/startupz", 1, 300)),
        readiness_probe: Some(probe("/readyz", 2, 3)),
        liveness_probe: Some(probe("/livez", 10, 3)),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler { sleep: Some(leave), ..LifecycleHandler::default() }),
            ..Lifecycle::default()
        }),
        security_context: Some(restricted_container()),
        volume_mounts: Some(mounts(of)),
        ..Container::default()
    }
}

fn environment(of: &Validated) -> Vec<EnvVar> {
    let given = of.env.iter().map(|given| match &given.value_from {
        Some(source) => secret_variable(&given.name, &source.secret_key_ref.name, &source.secret_key_ref.key),
        None => variable(&given.name, &given.value),
    });
    let database = of.database.as_ref();
    let address = database.map(|secret| secret_variable(DATABASE_URL, secret, DATABASE_KEY));
    let authorities = database.filter(|_| of.database_ca);
    let authorities = authorities.map(|secret| secret_variable(DATABASE_CA, secret, DATABASE_CA_KEY));
    given.chain(address).chain(authorities).collect()
}

fn ports(of: &Validated) -> Vec<ContainerPort> {
    of.ports
        .iter()
        .map(|port| ContainerPort {
            name: Some(port.name.as_str().to_owned()),
            container_port: port.port,
            ..ContainerPort::default()
        })
        .collect()
}

fn probe(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(PortName::Ops.as_str().to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failure_threshold),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}

fn volumes(of: &Validated) -> Vec<Volume> {
    let files = of.config_maps.iter().enumerate();
    let files = files.map(|(index, files)| config_map(&format!("config-{index}"), &files.name));
    std::iter::once(scratch("tmp", "64Mi")).chain(files).collect()
}

fn mounts(of: &Validated) -> Vec<VolumeMount> {
    let files = of.config_maps.iter().enumerate();
    let files = files.map(|(index, files)| mount_read_only(&format!("config-{index}"), &files.mount_path));
    std::iter::once(mount("tmp", "/tmp")).chain(files).collect()
}
