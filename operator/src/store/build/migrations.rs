//! Migrations: a Job per service with a database, which brings it into the shape that the image needs.

use api::{ServiceName, label};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule},
        core::v1::{Container, EnvVar, LocalObjectReference, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{Validated, labels_of, meta};
use crate::{
    store::{
        migration::{ANNOTATION_PLACE, EXIT_SCHEMA_TOO_NEW, Migration, Place},
        plan::Plan,
    },
    workload::{DefaultResources, mount, restricted_container, restricted_pod, scratch, secret_variable, variable},
};

const CONTAINER: &str = "migrate";

const USER: i64 = 65532;

const RESOURCES: DefaultResources =
    DefaultResources { cpu_request: "20m", memory_request: "32Mi", memory_limit: "256Mi" };

/// How often a migration is started before it counts as failed.
const RETRIES: i32 = 3;

/// The Jobs that have to run, or run. Those that are done or have failed are left as they are.
pub(super) fn jobs(of: &Validated, plan: &Plan) -> Vec<Job> {
    plan.migrations
        .iter()
        .filter(|(_, migration)| matches!(migration, Migration::Running(_) | Migration::Again))
        .map(|(service, _)| job(of, plan, *service))
        .collect()
}

fn job(of: &Validated, plan: &Plan, service: ServiceName) -> Job {
    let mut all = labels_of(of, service.as_str(), "migration");
    let hashes = &plan.hashes[&service];
    all.insert(label::IMAGE.to_owned(), hashes.label.clone());
    let name = of.names.migration(service, &hashes.job);
    let place = Place::of(of.services.get(&service).and_then(|settings| settings.pod.as_ref()));
    let noted = place.hash().map(|hash| [(ANNOTATION_PLACE.to_owned(), hash)].into());
    let metadata = meta(of, name, service.as_str(), "migration");
    Job {
        metadata: ObjectMeta { labels: Some(all.clone()), annotations: noted, ..metadata },
        spec: Some(JobSpec {
            active_deadline_seconds: i64::try_from(of.migration_timeout.as_secs()).ok(),
            backoff_limit: Some(RETRIES),
            pod_failure_policy: Some(no_use_in_trying_again()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(all), ..ObjectMeta::default() }),
                spec: Some(pod(of, service, place)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// A database of a later release does not become an earlier one by trying.
fn no_use_in_trying_again() -> PodFailurePolicy {
    PodFailurePolicy {
        rules: vec![PodFailurePolicyRule {
            action: "FailJob".to_owned(),
            on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
                container_name: Some(CONTAINER.to_owned()),
                operator: "In".to_owned(),
                values: vec![EXIT_SCHEMA_TOO_NEW],
            }),
            on_pod_conditions: None,
        }],
    }
}

/// It depends on the image, the name of the Secret, whether the server is verified and the place where the service may run: a
/// Job's template can never change, so settings such as the log level must not reach it.
fn pod(of: &Validated, service: ServiceName, place: Place) -> PodSpec {
    let secrets = of.image.pull_secrets.iter().map(|secret| LocalObjectReference { name: secret.name.clone() });
    let Place { node_selector, tolerations, affinity, priority_class_name } = place;
    PodSpec {
        node_selector,
        tolerations,
        affinity,
        priority_class_name,
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: Some(secrets.collect()).filter(|secrets: &Vec<_>| !secrets.is_empty()),
        restart_policy: Some("Never".to_owned()),
        security_context: Some(restricted_pod(USER)),
        containers: vec![Container {
            name: CONTAINER.to_owned(),
            image: Some(of.image_of(service)),
            image_pull_policy: Some(of.image.pull_policy.as_str().to_owned()),
            args: Some(vec!["migrate".to_owned(), service.as_str().to_owned()]),
            env: Some(environment(of, &of.names.database_secret(service))),
            resources: Some(RESOURCES.with(None)),
            security_context: Some(restricted_container()),
            // The last lines of its log become the cause in the store's condition.
            termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
            volume_mounts: Some(vec![mount("tmp", "/tmp")]),
            ..Container::default()
        }],
        volumes: Some(vec![scratch("tmp", "64Mi")]),
        ..PodSpec::default()
    }
}

fn environment(of: &Validated, secret: &str) -> Vec<EnvVar> {
    let authorities = of.verifies_database().then(|| secret_variable("DATABASE_CA", secret, "ca.crt"));
    let always = [variable("LOG_FORMAT", "json"), secret_variable("DATABASE_URL", secret, "uri")];
    always.into_iter().chain(authorities).collect()
}
