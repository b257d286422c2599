//! What may happen now: which migrations run, and which services may have which image. Pure.
//!
//! Migrations come first, while the old pods serve; a failed one changes no service. Then the services that exist
//! change their image one after the other, in the order in which they need one another.

use std::collections::{BTreeMap, BTreeSet};

use api::{DatabaseStatus, Reason, ServiceName, Status, StoreService, label};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;

use super::{
    dereference::Seen,
    names::{Names, has_database},
    upgrade::Course,
    validate::{Image, Validated},
    verdict::data_works,
};
use crate::{
    framework::{PodTrouble, content_hash, trouble_of},
    guests::is_of_users,
    workload::image_tag,
};

/// What to do now.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// State of the migration of each service that has a database.
    pub(super) migrations: BTreeMap<ServiceName, Migration>,
    /// Image of each service that may exist.
    pub(super) images: BTreeMap<ServiceName, String>,
    /// What the Job of each service that has a database is known by.
    pub(super) hashes: BTreeMap<ServiceName, Hashes>,
    /// Which release the services go to.
    pub(super) course: Course,
    /// Services that run no pod now, whatever their settings say: the store sleeps, or its data is not awake yet.
    pub(super) at_rest: BTreeSet<ServiceName>,
    /// Whether databases, broker and cache sleep.
    pub(super) data_sleeps: bool,
}

/// What a migration Job is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hashes {
    /// What its name ends in.
    pub(super) job: String,
    /// Its label: changes with the image and with the database, because one that was made anew is empty.
    pub(super) label: String,
    /// The label of a Job of this image of which is not known which database it was for.
    of_any: String,
}

/// State of the migration of one service's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Migration {
    /// The database is not there yet.
    Waiting,
    /// Its Job has to run, or runs; with what keeps its pod, if anything does.
    Running(Option<PodTrouble>),
    /// It is done, but for which database is not known: its Job has to run once more, or runs, and holds nothing up.
    Again,
    /// It is done.
    Done,
    /// It failed for good; the text says which Job and why.
    Failed(Reason, String),
}

impl Plan {
    /// Whether every database is in the shape that the image needs.
    pub(super) fn migrated(&self) -> bool {
        self.migrations.values().all(|migration| matches!(migration, Migration::Done | Migration::Again))
    }

    /// The first migration that failed.
    pub(super) fn failure(&self) -> Option<(Reason, &str)> {
        self.migrations.values().find_map(|migration| match migration {
            Migration::Failed(reason, message) => Some((*reason, message.as_str())),
            Migration::Waiting | Migration::Running(_) | Migration::Again | Migration::Done => None,
        })
    }
}

pub(super) fn plan(of: &Validated, seen: &Seen, course: Course) -> Plan {
    let services = || of.services.keys().copied().filter(|service| has_database(*service));
    let mut plan = Plan {
        migrations: BTreeMap::new(),
        images: BTreeMap::new(),
        hashes: services().map(|service| (service, hashes(of, seen, service))).collect(),
        course,
        at_rest: at_rest(of, seen),
        data_sleeps: of.suspend && services_sleep(of, seen),
    };
    let migrate = !of.suspend && plan.course.taken_back.is_none();
    let state = |service: ServiceName| {
        // A release that ran before finds its databases as it left them, or as a later one may leave them for it.
        if migrate { migration(of, seen, service, &plan.hashes[&service]) } else { Migration::Done }
    };
    plan.migrations = services().map(|service| (service, state(service))).collect();
    plan.images = images(of, seen, &plan);
    plan
}

/// Services that sleep, and those that slept and whose data is not awake yet.
fn at_rest(of: &Validated, seen: &Seen) -> BTreeSet<ServiceName> {
    if of.suspend {
        return of.services.keys().copied().collect();
    }
    let was_put_to_rest = |name: &&ServiceName| {
        let wanted = of.services.get(name).is_some_and(|settings| settings.replicas != Some(0));
        wanted && seen.services.get(name).is_some_and(|live| live.spec.replicas == Some(0))
    };
    let resting: BTreeSet<ServiceName> = of.services.keys().filter(was_put_to_rest).copied().collect();
    if resting.is_empty() || data_works(of, seen) { BTreeSet::new() } else { resting }
}

/// Whether no service of the store has a pod left. One that a user put in the place of the store's own is the user's.
fn services_sleep(of: &Validated, seen: &Seen) -> bool {
    let ours = |name: &ServiceName, service: &StoreService| of.services.contains_key(name) || !is_of_users(service);
    seen.services.iter().filter(|(name, service)| ours(name, service)).all(|(_, service)| sleeps(service))
}

/// Whether the service has no pod left.
fn sleeps(service: &StoreService) -> bool {
    service.spec.replicas == Some(0)
        && service
            .status
            .as_ref()
            .is_some_and(|status| status.observed_generation() == service.metadata.generation && status.replicas == 0)
}

/// The name changes with what makes another Job necessary: a failed one is tried again when the user changes any of it.
fn hashes(of: &Validated, seen: &Seen, service: ServiceName) -> Hashes {
    let (image, database) = (of.image_of(service), database_of(seen, service));
    let identity = database.and_then(|database| database.identity.as_deref()).map(str::as_bytes);
    let Image { pull_policy, pull_secrets, .. } = &of.image;
    let timeout = of.migration_timeout.as_secs().to_be_bytes();
    let parts = [image.as_bytes(), pull_policy.as_str().as_bytes(), &timeout];
    let secrets = pull_secrets.iter().map(|secret| secret.name.as_bytes());
    Hashes {
        job: content_hash(parts.into_iter().chain(secrets).chain(identity)),
        label: content_hash([image.as_bytes()].into_iter().chain(identity)),
        of_any: content_hash([image.as_bytes()]),
    }
}

fn migration(of: &Validated, seen: &Seen, service: ServiceName, hashes: &Hashes) -> Migration {
    let is_done = |label: &str| seen.jobs.iter().any(|job| has_migrated(job, service, label));
    if is_done(&hashes.label) {
        return Migration::Done;
    }
    let name = of.names.migration(service, &hashes.job);
    match seen.jobs.iter().find(|job| job.name_any() == name) {
        Some(job) => match ended(job, "Failed") {
            Some(cause) => failure(service, job, &cause, &seen.job_pods),
            None if is_done(&hashes.of_any) => Migration::Again,
            None => Migration::Running(trouble_of(pods_of(job, &seen.job_pods))),
        },
        None if !database_of(seen, service).is_some_and(|database| database.ready) => {
            if is_done(&hashes.of_any) {
                Migration::Done
            } else {
                Migration::Waiting
            }
        }
        None if is_done(&hashes.of_any) => Migration::Again,
        None => Migration::Running(None),
    }
}

/// Whether it is a Job of the service with this label, and has succeeded.
fn has_migrated(job: &Job, service: ServiceName, image: &str) -> bool {
    label_is(job, label::NAME, service.as_str())
        && label_is(job, label::IMAGE, image)
        && ended(job, "Complete").is_some()
}

fn label_is<K: ResourceExt>(object: &K, key: &str, value: &str) -> bool {
    object.labels().get(key).is_some_and(|held| held == value)
}

/// The message of the Job's condition of that type, if it has it.
fn ended(job: &Job, type_: &str) -> Option<String> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")?;
    Some(condition.message.clone().unwrap_or_default())
}

fn pods_of<'a>(job: &Job, pods: &'a [std::sync::Arc<Pod>]) -> impl Iterator<Item = &'a Pod> {
    let name = job.name_any();
    pods.iter().map(|pod| &**pod).filter(move |pod| label_is(*pod, "batch.kubernetes.io/job-name", &name))
}

/// What `greencommerce migrate` exits with when a later release has left the database in a shape that this one does not
/// know and cannot work with.
pub(super) const EXIT_SCHEMA_TOO_NEW: i32 = 3;

fn failure(service: ServiceName, job: &Job, cause: &str, pods: &[std::sync::Arc<Pod>]) -> Migration {
    let trouble = trouble_of(pods_of(job, pods)).map(|trouble| format!("; {}", trouble.message)).unwrap_or_default();
    let (service, job_name) = (service.as_str(), job.name_any());
    if pods_of(job, pods).any(|pod| exit_code(pod) == Some(EXIT_SCHEMA_TOO_NEW)) {
        let message = format!(
            "the database of {service} is in the shape of a later release, which this version cannot work with (Job \
             {job_name}{trouble}): the services still run their former image; set the version that ran, or a later one"
        );
        return Migration::Failed(Reason::DowngradeRefused, message);
    }
    let message = format!(
        "the migration of {service} failed in Job {job_name} ({cause}{trouble}): the services still run their former \
         image; read the Job's log, then set another spec.version, or delete the Job to try again"
    );
    Migration::Failed(Reason::MigrationFailed, message)
}

fn exit_code(pod: &Pod) -> Option<i32> {
    let containers = pod.status.as_ref()?.container_statuses.as_deref()?;
    containers.iter().find_map(|container| Some(container.state.as_ref()?.terminated.as_ref()?.exit_code))
}

fn database_of(seen: &Seen, service: ServiceName) -> Option<&DatabaseStatus> {
    let status = seen.database.as_ref()?.status.as_ref()?;
    status.databases.iter().find(|database| database.name == service.as_str())
}

/// The image of each service: the new one as soon as the databases fit it and every service before has it and is
/// ready; until then the one it has. A service that does not exist yet starts with the new one. On the way back all
/// change at once, and while the store sleeps none does.
fn images(of: &Validated, seen: &Seen, plan: &Plan) -> BTreeMap<ServiceName, String> {
    let migrated = plan.migrated() && !of.suspend;
    let back = plan.course.taken_back.is_some();
    let mut may_roll = migrated;
    let mut images = BTreeMap::new();
    for service in ServiceName::ALL.into_iter().filter(|service| of.services.contains_key(service)) {
        let target = plan.course.image_of(of, service);
        match seen.services.get(&service) {
            None if migrated => {
                images.insert(service, target);
            }
            None => {}
            Some(live) if may_roll || live.spec.image == target => {
                // Only a service that is being changed holds up the next: one that is ill for another reason does not.
                may_roll = may_roll && (back || has_rolled(live, &target));
                images.insert(service, target);
            }
            Some(live) => {
                images.insert(service, live.spec.image.clone());
            }
        }
    }
    images
}

/// Whether every pod of the service runs the image.
fn has_rolled(live: &StoreService, target: &str) -> bool {
    let status = live.status.as_ref();
    live.spec.image == target
        && status.is_some_and(|status| status.observed_generation() == live.metadata.generation)
        && status.and_then(|status| status.version.as_deref()).is_some_and(|version| version == image_tag(target))
}

/// Jobs that no longer matter: of other images or settings, once every database fits the present one.
pub(super) fn obsolete_jobs<'a>(plan: &'a Plan, seen: &'a Seen, names: &'a Names) -> impl Iterator<Item = &'a Job> {
    let done = plan.migrated() && plan.course.taken_back.is_none() && !plan.data_sleeps;
    seen.jobs.iter().map(|job| &**job).filter(move |job| {
        let is_current = |service: &ServiceName| {
            let hashes = &plan.hashes[service];
            let told_apart = || seen.jobs.iter().any(|job| has_migrated(job, *service, &hashes.label));
            has_migrated(job, *service, &hashes.label)
                || has_migrated(job, *service, &hashes.of_any) && !told_apart()
                || names.migration(*service, &hashes.job) == job.name_any()
        };
        done && !plan.migrations.keys().any(is_current)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use api::Store;
    use serde_json::{Value, json};

    use super::*;
    use crate::store::{upgrade::course, validate::validate};

    fn validated(version: &str) -> Validated {
        let store: Store = serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store",
            "metadata": {"name": "green", "namespace": "shop"}, "spec": {"version": version},
        }))
        .unwrap();
        validate(&store, &Seen::default()).unwrap()
    }

    /// The plan of a store without a history.
    fn asked(of: &Validated, seen: &Seen) -> Plan {
        plan(of, seen, course(of, None))
    }

    fn with_databases() -> Seen {
        let ready = |name: &str| json!({"name": name, "ready": true, "secretName": ""});
        let databases = ["auth", "catalog", "inventory", "orders"].map(ready);
        let database = serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": {"name": "green"}, "spec": {},
            "status": {"databases": databases},
        }))
        .unwrap();
        Seen { database: Some(Arc::new(database)), ..Seen::default() }
    }

    fn job(of: &Validated, service: ServiceName, condition: Option<&str>) -> Arc<Job> {
        job_for(of, &Seen::default(), service, condition)
    }

    /// The Job that the databases seen call for.
    fn job_for(of: &Validated, seen: &Seen, service: ServiceName, condition: Option<&str>) -> Arc<Job> {
        let hashes = &asked(of, seen).hashes[&service];
        let conditions: Vec<Value> =
            condition.iter().map(|type_| json!({"type": type_, "status": "True", "message": "boom"})).collect();
        let job = serde_json::from_value(json!({
            "metadata": {
                "name": of.names.migration(service, &hashes.job),
                "labels": {"app.kubernetes.io/name": service.as_str(), "greencommerce.dev/image": hashes.label},
            },
            "status": {"conditions": conditions},
        }));
        Arc::new(job.unwrap())
    }

    fn all_migrated(of: &Validated) -> Vec<Arc<Job>> {
        let services = ServiceName::ALL.into_iter().filter(|service| has_database(*service));
        services.map(|service| job(of, service, Some("Complete"))).collect()
    }

    fn service(image: &str, running: &str) -> Arc<StoreService> {
        let service = serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
            "metadata": {"name": "x", "generation": 1},
            "spec": {"store": "green", "image": format!("greencommerce/services:{image}")},
            "status": {"observedGeneration": 1, "version": running},
        }));
        Arc::new(service.unwrap())
    }

    fn everywhere(image: &str) -> BTreeMap<ServiceName, Arc<StoreService>> {
        ServiceName::ALL.into_iter().map(|name| (name, service(image, image))).collect()
    }

    fn tags(plan: &Plan) -> Vec<(ServiceName, &str)> {
        let mut tags: Vec<_> =
            plan.images.iter().map(|(name, image)| (*name, image.rsplit(':').next().unwrap())).collect();
        tags.sort_by_key(|(name, _)| ServiceName::ALL.iter().position(|other| other == name));
        tags
    }

    #[test]
    fn nothing_starts_before_the_databases_are_there() {
        let plan = asked(&validated("1.0.0"), &Seen::default());
        assert!(plan.migrations.values().all(|migration| *migration == Migration::Waiting));
        assert!(plan.images.is_empty());
    }

    #[test]
    fn migrations_start_with_the_databases_and_services_after_them() {
        let of = validated("1.0.0");
        let mut seen = with_databases();
        let started = asked(&of, &seen);
        assert!(started.migrations.values().all(|migration| *migration == Migration::Running(None)));
        assert!(started.images.is_empty());
        seen.jobs = all_migrated(&of);
        let done = asked(&of, &seen);
        assert!(done.migrated());
        assert_eq!(done.images.len(), 6);
    }

    #[test]
    fn a_failed_migration_changes_no_service() {
        let of = validated("2.0.0");
        let mut seen = with_databases();
        seen.services = everywhere("1.0.0");
        seen.jobs = all_migrated(&of);
        seen.jobs[3] = job(&of, ServiceName::Orders, Some("Failed"));
        let plan = asked(&of, &seen);
        assert!(plan.failure().unwrap().1.contains("boom"));
        assert!(tags(&plan).iter().all(|(_, tag)| *tag == "1.0.0"));
    }

    #[test]
    fn services_change_one_after_the_other_in_the_order_of_their_needs() {
        let of = validated("2.0.0");
        let mut seen = with_databases();
        seen.jobs = all_migrated(&of);
        seen.services = everywhere("1.0.0");
        assert_eq!(tags(&asked(&of, &seen))[..2], [(ServiceName::Auth, "2.0.0"), (ServiceName::Inventory, "1.0.0")]);
        seen.services.insert(ServiceName::Auth, service("2.0.0", "1.0.0"));
        assert_eq!(tags(&asked(&of, &seen))[1], (ServiceName::Inventory, "1.0.0"));
        seen.services.insert(ServiceName::Auth, service("2.0.0", "2.0.0"));
        assert_eq!(
            tags(&asked(&of, &seen))[1..3],
            [(ServiceName::Inventory, "2.0.0"), (ServiceName::Catalog, "1.0.0")]
        );
    }

    #[test]
    fn a_service_with_a_version_of_its_own_is_migrated_and_rolled_with_it_and_the_others_are_not() {
        let mut of = validated("1.0.0");
        let mut seen = with_databases();
        seen.jobs = all_migrated(&of);
        seen.services = everywhere("1.0.0");
        of.services.get_mut(&ServiceName::Catalog).unwrap().version = Some("1.0.1".to_owned());
        let started = asked(&of, &seen);
        let open: Vec<_> = started.migrations.iter().filter(|(_, state)| **state != Migration::Done).collect();
        assert_eq!(open, [(&ServiceName::Catalog, &Migration::Running(None))]);
        assert!(tags(&started).iter().all(|(_, tag)| *tag == "1.0.0"));
        let hashes = &started.hashes[&ServiceName::Catalog];
        let mut fixed = Job::clone(&job(&of, ServiceName::Catalog, Some("Complete")));
        fixed.metadata.name = Some(of.names.migration(ServiceName::Catalog, &hashes.job));
        fixed.metadata.labels.as_mut().unwrap().insert(label::IMAGE.to_owned(), hashes.label.clone());
        seen.jobs.push(Arc::new(fixed));
        let done = asked(&of, &seen);
        let changed: Vec<_> = tags(&done).into_iter().filter(|(_, tag)| *tag != "1.0.0").collect();
        assert_eq!(changed, [(ServiceName::Catalog, "1.0.1")]);
        assert_eq!(obsolete_jobs(&done, &seen, &of.names).count(), 1);
    }

    fn identify(seen: &mut Seen, identity: &str) {
        let database = Arc::make_mut(seen.database.as_mut().unwrap());
        for known in &mut database.status.as_mut().unwrap().databases {
            known.identity = Some(identity.to_owned());
        }
    }

    #[test]
    fn a_database_that_was_made_anew_is_migrated_again_and_no_image_changes_meanwhile() {
        let of = validated("1.0.0");
        let mut seen = with_databases();
        identify(&mut seen, "7/16384");
        let jobs = |seen: &Seen| -> Vec<Arc<Job>> {
            let services = ServiceName::ALL.into_iter().filter(|service| has_database(*service));
            services.map(|service| job_for(&of, seen, service, Some("Complete"))).collect()
        };
        seen.jobs = jobs(&seen);
        seen.services = everywhere("1.0.0");
        assert!(asked(&of, &seen).migrated());
        identify(&mut seen, "7/16999");
        let anew = asked(&of, &seen);
        assert!(anew.migrations.values().all(|migration| *migration == Migration::Running(None)));
        assert!(tags(&anew).iter().all(|(_, tag)| *tag == "1.0.0"));
        seen.jobs.extend(jobs(&seen));
        let done = asked(&of, &seen);
        assert!(done.migrated());
        assert_eq!(obsolete_jobs(&done, &seen, &of.names).count(), 4);
    }

    #[test]
    fn migrations_for_databases_that_were_not_told_apart_run_once_more_and_hold_nothing_up() {
        let of = validated("1.0.0");
        let mut seen = with_databases();
        seen.jobs = all_migrated(&of);
        seen.services = everywhere("1.0.0");
        identify(&mut seen, "7/16384");
        let again = asked(&of, &seen);
        assert!(again.migrated() && again.migrations.values().all(|migration| *migration == Migration::Again));
        assert_eq!(obsolete_jobs(&again, &seen, &of.names).count(), 0);
        let orders = job_for(&of, &seen, ServiceName::Orders, None);
        seen.jobs.push(orders);
        assert_eq!(asked(&of, &seen).migrations[&ServiceName::Orders], Migration::Again);
        let last = seen.jobs.len() - 1;
        seen.jobs[last] = job_for(&of, &seen, ServiceName::Orders, Some("Complete"));
        let done = asked(&of, &seen);
        assert_eq!(done.migrations[&ServiceName::Orders], Migration::Done);
        assert_eq!(obsolete_jobs(&done, &seen, &of.names).count(), 1);
        seen.jobs[last] = job_for(&of, &seen, ServiceName::Orders, Some("Failed"));
        assert!(asked(&of, &seen).failure().is_some());
    }

    #[test]
    fn jobs_of_other_versions_go_when_the_present_one_is_in_place() {
        let (old, new) = (validated("1.0.0"), validated("2.0.0"));
        let mut seen = with_databases();
        seen.jobs = all_migrated(&old);
        assert_eq!(obsolete_jobs(&asked(&new, &seen), &seen, &new.names).count(), 0);
        seen.jobs.extend(all_migrated(&new));
        let plan = asked(&new, &seen);
        let obsolete: Vec<String> = obsolete_jobs(&plan, &seen, &new.names).map(ResourceExt::name_any).collect();
        assert_eq!(obsolete.len(), 4);
        assert!(all_migrated(&old).iter().all(|job| obsolete.contains(&job.name_any())));
    }

    #[test]
    fn a_database_that_is_too_new_for_the_version_is_told_from_a_migration_that_fails() {
        let of = validated("1.0.0");
        let mut seen = with_databases();
        seen.jobs = vec![job(&of, ServiceName::Orders, Some("Failed"))];
        assert_eq!(asked(&of, &seen).failure().unwrap().0, Reason::MigrationFailed);
        let pod = json!({
            "metadata": {"name": "p", "labels": {"batch.kubernetes.io/job-name": seen.jobs[0].name_any()}},
            "status": {"containerStatuses": [{
                "name": "migrate", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": EXIT_SCHEMA_TOO_NEW, "message": "0007 is unknown"}},
            }]},
        });
        seen.job_pods = vec![Arc::new(serde_json::from_value(pod).unwrap())];
        let plan = asked(&of, &seen);
        let (reason, message) = plan.failure().unwrap();
        assert_eq!(reason, Reason::DowngradeRefused);
        assert!(message.contains("0007 is unknown"), "{message}");
    }

    fn asleep(replicas: i32) -> Arc<StoreService> {
        let mut live = (*service("1.0.0", "1.0.0")).clone();
        live.spec.replicas = Some(0);
        live.status.as_mut().unwrap().replicas = replicas;
        Arc::new(live)
    }

    #[test]
    fn data_sleeps_only_when_no_service_has_a_pod_left_and_no_image_changes_meanwhile() {
        let mut of = validated("2.0.0");
        of.suspend = true;
        let mut seen = with_databases();
        seen.services = everywhere("1.0.0");
        let going = asked(&of, &seen);
        assert_eq!((going.at_rest.len(), going.data_sleeps), (6, false));
        assert!(tags(&going).iter().all(|(_, tag)| *tag == "1.0.0"));
        seen.services.values_mut().for_each(|live| *live = asleep(0));
        assert!(asked(&of, &seen).data_sleeps);
        seen.services.insert(ServiceName::Orders, asleep(1));
        assert!(!asked(&of, &seen).data_sleeps);
    }

    #[test]
    fn services_that_slept_wait_for_their_data_and_those_that_run_do_not() {
        let of = validated("1.0.0");
        let mut seen = with_databases();
        seen.services = everywhere("1.0.0");
        seen.services.insert(ServiceName::Orders, asleep(0));
        let plan = asked(&of, &seen);
        assert_eq!(plan.at_rest, BTreeSet::from([ServiceName::Orders]));
        assert!(!plan.data_sleeps);
    }
}
