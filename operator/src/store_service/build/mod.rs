//! Step 3: the children of a StoreService. Pure.

mod deployment;
mod ingress;
mod network;
mod scaling;
mod topics;

use std::collections::BTreeMap;

use api::{ANNOTATION_SECRETS, PortName, StoreTopic};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Service, ServiceAccount},
        networking::v1::Ingress,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::validate::Validated;

/// The children of a StoreService. One that is absent must not exist.
#[derive(Clone, Debug)]
pub(super) struct Children {
    pub(super) service_account: ServiceAccount,
    pub(super) deployment: Deployment,
    pub(super) service: Option<Service>,
    pub(super) ingress: Option<Ingress>,
    pub(super) autoscaler: Option<HorizontalPodAutoscaler>,
    pub(super) disruption_budget: Option<PodDisruptionBudget>,
    pub(super) topics: Vec<StoreTopic>,
}

pub(super) fn build(of: &Validated) -> Children {
    Children {
        service_account: network::service_account(of),
        deployment: deployment::deployment(of),
        service: network::service(of),
        ingress: ingress::ingress(of),
        autoscaler: scaling::autoscaler(of),
        disruption_budget: scaling::disruption_budget(of),
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

    fn children(fixture: &str) -> Children {
        let service = serde_yaml::from_str(fixture).unwrap();
        build(&validate(&service, &with_secrets("cafe")).unwrap())
    }

    fn with_secrets(hash: &str) -> Seen {
        let secret = |key: &str| Secret { keys: [key.to_owned()].into(), hash: hash.to_owned(), watched: true };
        let secrets = [("green-catalog-database", "uri"), ("green-parcels-database", "uri"), ("redis", "url")];
        let secrets = secrets.map(|(name, key)| (name.to_owned(), secret(key))).into();
        Seen { secrets, ..Seen::default() }
    }

    fn everything(children: &Children) -> serde_json::Value {
        serde_json::json!([
            children.service_account,
            children.deployment,
            children.service,
            children.ingress,
            children.autoscaler,
            children.disruption_budget,
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

    #[test]
    fn a_load_balancer_takes_the_place_of_the_ingress() {
        let fixture = include_str!("fixtures/ingress.yaml");
        let (head, _) = fixture.split_once("  host:").unwrap();
        let children = children(&format!("{head}  exposure: {{loadBalancer: {{}}}}\n"));
        assert_eq!(children.service.unwrap().spec.unwrap().type_.as_deref(), Some("LoadBalancer"));
        assert!(children.ingress.is_none());
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
}
