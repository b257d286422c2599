//! Step 3: the children of a StoreService. Pure.

mod deployment;
mod ingress;
mod monitoring;
mod network;
mod scaling;
mod topics;

use std::collections::BTreeMap;

use api::{ANNOTATION_CONFIG, ANNOTATION_SECRETS, ANNOTATION_VARIABLES, PortName, StoreTopic};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::validate::Validated;
use crate::monitoring::PodMonitor;

/// The children of a StoreService. One that is absent must not exist, but for the policy, which then stays as it is.
#[derive(Clone, Debug)]
pub(super) struct Children {
    pub(super) service_account: ServiceAccount,
    pub(super) policy: Option<NetworkPolicy>,
    pub(super) deployment: Deployment,
    pub(super) service: Option<Service>,
    pub(super) ingress: Option<Ingress>,
    pub(super) autoscaler: Option<HorizontalPodAutoscaler>,
    pub(super) disruption_budget: Option<PodDisruptionBudget>,
    pub(super) pod_monitor: Option<PodMonitor>,
    pub(super) topics: Vec<StoreTopic>,
}

pub(super) fn build(of: &Validated) -> Children {
    Children {
        service_account: network::service_account(of),
        policy: network::policy(of),
        deployment: deployment::deployment(of),
        service: network::service(of),
        ingress: ingress::ingress(of),
        autoscaler: scaling::autoscaler(of),
        disruption_budget: scaling::disruption_budget(of),
        pod_monitor: monitoring::pod_monitor(of),
        topics: topics::topics(of),
    }
}

/// All children have the name of their StoreService.
fn meta(of: &Validated) -> ObjectMeta {
    ObjectMeta {
        name: Some(of.name.clone()),
        namespace: Some(of.namespace.clone()),
        labels: Some(of.labels.clone()),
        owner_references: Some(vec![of.owner.clone()]),
        ..ObjectMeta::default()
    }
}

/// Name and labels of a service's pods, and its policy; for the test that looks at all policies of a store.
#[cfg(test)]
pub(crate) fn network_of(
    service: &api::StoreService,
    store: &api::Store,
) -> (String, BTreeMap<String, String>, NetworkPolicy) {
    use super::{
        dereference::{Secret, Seen},
        guest::tests::host_of,
        validate::validate,
    };
    use crate::network::Place;

    let external = store.spec.database.external.as_ref().map(|database| u16::try_from(database.port).ok());
    let secret = Secret {
        keys: ["uri", "url"].map(str::to_owned).into(),
        database: store.metadata.name.clone(),
        place: external.map_or(Place::Here, Place::Elsewhere),
        ..Secret::default()
    };
    let seen = Seen {
        secrets: service.spec.secrets().map(|name| (name, secret.clone())).collect(),
        store: Some(std::sync::Arc::new(store.clone())),
        host: host_of(store, service),
        ..Seen::default()
    };
    let validated = validate(service, &seen).unwrap();
    let children = build(&validated);
    let labels = children.deployment.spec.template.metadata.unwrap().labels.unwrap();
    (validated.name, labels, children.policy.unwrap())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            dereference::{Secret, Seen},
            guest::tests::complete,
            validate::validate,
        },
        *,
    };
    use crate::network::Place;
    use k8s_openapi::api::core::v1::EnvVar;

    fn children(fixture: &str) -> Children {
        let service = serde_yaml::from_str(fixture).unwrap();
        build(&validate(&service, &with_secrets("cafe")).unwrap())
    }

    fn with_secrets(hash: &str) -> Seen {
        let secret = |key: &str| Secret {
            keys: [key.to_owned()].into(),
            hash: hash.to_owned(),
            place: Place::Here,
            ..Secret::default()
        };
        let secrets = [("green-catalog-database", "uri"), ("green-parcels-database", "uri"), ("redis", "url")];
        let secrets = secrets.map(|(name, key)| (name.to_owned(), secret(key))).into();
        Seen { secrets, monitoring: true, ..Seen::default() }
    }

    fn everything(children: &Children) -> serde_json::Value {
        serde_json::json!([
            children.service_account,
            children.policy,
            children.deployment,
            children.service,
            children.ingress,
            children.autoscaler,
            children.disruption_budget,
            children.pod_monitor,
        ])
    }

    #[test]
    fn a_minimal_service_has_one_pod_and_nothing_to_scale_it() {
        insta::assert_yaml_snapshot!(everything(&children(include_str!("fixtures/minimal.yaml"))));
    }

    #[test]
    fn a_full_service_has_every_child() {
        insta::assert_yaml_snapshot!(everything(&children(include_str!("fixtures/full.yaml"))));
    }

    #[test]
    fn a_service_behind_an_ingress_is_routed_to_by_its_host() {
        let children = children(include_str!("fixtures/ingress.yaml"));
        let cluster_ip = children.service.unwrap().spec.unwrap().type_;
        assert_eq!(cluster_ip.as_deref(), Some("ClusterIP"));
        insta::assert_yaml_snapshot!(children.ingress.unwrap());
    }

    #[test]
    fn what_users_say_of_the_pods_reaches_them_and_takes_nothing_away_from_the_operator() {
        let children = children(include_str!("fixtures/pods.yaml"));
        insta::assert_yaml_snapshot!(serde_json::json!([children.deployment.spec.template, children.autoscaler]));
    }

    #[test]
    fn a_guest_gets_its_database_and_topics_and_is_told_where_they_are() {
        let service = serde_yaml::from_str(include_str!("fixtures/guest.yaml")).unwrap();
        let seen = Seen { host: complete(), ..with_secrets("cafe") };
        let children = build(&validate(&service, &seen).unwrap());
        let pod = children.deployment.spec.template.spec.unwrap();
        insta::assert_yaml_snapshot!(serde_json::json!([pod.containers[0].env, children.topics]));
    }

    /// The variables of the container whose database's Secret has these keys and was made by this StoreDatabase, if by one.
    fn variables(keys: &[&str], made_by: Option<&str>, fixture: &str) -> Vec<EnvVar> {
        let mut seen = Seen { host: complete(), ..with_secrets("cafe") };
        let secret = seen.secrets.get_mut("green-parcels-database").unwrap();
        secret.keys = keys.iter().map(|&key| key.to_owned()).collect();
        secret.database = made_by.map(str::to_owned);
        let service = serde_yaml::from_str(fixture).unwrap();
        let pod = build(&validate(&service, &seen).unwrap()).deployment.spec.template.spec.unwrap();
        let mut variables = pod.containers[0].env.clone().unwrap();
        variables.retain(|variable| variable.name.starts_with("DATABASE_"));
        variables
    }

    #[test]
    fn who_verifies_the_database_gets_the_certificates_to_do_it_with() {
        let guest = include_str!("fixtures/guest.yaml");
        insta::assert_yaml_snapshot!(variables(&["uri", "ca.crt"], Some("green"), guest));
        assert_eq!(variables(&["uri"], Some("green"), guest).len(), 1);
    }

    #[test]
    fn certificates_in_a_secret_that_users_made_are_theirs_to_hand_on() {
        let guest = include_str!("fixtures/guest.yaml");
        assert_eq!(variables(&["uri", "ca.crt"], None, guest).len(), 1);
        let own = format!("{guest}  env: [{{name: DATABASE_CA, value: mine}}]\n");
        let given = variables(&["uri", "ca.crt"], Some("green"), &own);
        assert_eq!(given[0].value.as_deref(), Some("mine"));
        assert_eq!(given.len(), 2);
    }

    #[test]
    fn a_load_balancer_takes_the_place_of_the_ingress() {
        let fixture = include_str!("fixtures/ingress.yaml");
        let (head, _) = fixture.split_once("  host:").unwrap();
        let children = children(&format!("{head}  exposure: {{loadBalancer: {{}}}}\n"));
        assert_eq!(children.service.unwrap().spec.unwrap().type_.as_deref(), Some("LoadBalancer"));
        assert!(children.ingress.is_none());
    }

    #[test]
    fn prometheus_is_told_of_the_pods_where_the_cluster_knows_how() {
        let service = serde_yaml::from_str(include_str!("fixtures/full.yaml")).unwrap();
        let made = |monitoring| {
            let seen = Seen { monitoring, ..with_secrets("cafe") };
            build(&validate(&service, &seen).unwrap()).pod_monitor
        };
        let monitor = made(true).unwrap();
        assert_eq!(monitor.metadata.labels.unwrap()["release"], "prometheus");
        assert!(made(false).is_none());
    }

    #[test]
    fn an_autoscaled_service_leaves_the_number_of_pods_to_the_autoscaler() {
        let children = children(include_str!("fixtures/full.yaml"));
        assert_eq!(children.deployment.spec.replicas, None);
        assert_eq!(children.autoscaler.unwrap().spec.max_replicas, 3);
    }

    #[test]
    fn a_changed_secret_changes_the_pod_template() {
        let service = serde_yaml::from_str(include_str!("fixtures/full.yaml")).unwrap();
        let template = |hash: &str| build(&validate(&service, &with_secrets(hash)).unwrap()).deployment.spec.template;
        assert_eq!(template("cafe"), template("cafe"));
        assert_ne!(template("cafe"), template("beef"));
    }

    #[test]
    fn another_file_of_the_operators_changes_the_pod_template() {
        let service = serde_yaml::from_str(include_str!("fixtures/full.yaml")).unwrap();
        let template = |hash: Option<&str>| {
            let seen = Seen { config_hash: hash.map(str::to_owned), ..with_secrets("cafe") };
            build(&validate(&service, &seen).unwrap()).deployment.spec.template
        };
        assert_ne!(template(Some("one")), template(Some("two")));
        assert!(!template(None).metadata.unwrap().annotations.unwrap().contains_key(ANNOTATION_CONFIG));
    }

    /// The end of a rotation waits for pods that bear the hash of the database's Secret.
    #[test]
    fn other_secrets_change_the_pod_template_and_leave_the_hash_of_the_databases_alone() {
        let service = serde_yaml::from_str(include_str!("fixtures/full.yaml")).unwrap();
        let template = |hash: &str| {
            let mut seen = with_secrets("cafe");
            seen.secrets.get_mut("redis").unwrap().hash = hash.to_owned();
            build(&validate(&service, &seen).unwrap()).deployment.spec.template
        };
        assert_ne!(template("one"), template("two"));
        for hash in ["one", "two"] {
            let annotations = template(hash).metadata.unwrap().annotations.unwrap();
            assert_eq!(annotations[ANNOTATION_SECRETS], "cafe");
        }
    }
}
