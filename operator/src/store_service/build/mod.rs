//! Step 3: the children of a StoreService. Pure.

mod deployment;
mod network;
mod scaling;

use std::collections::BTreeMap;

use api::{ANNOTATION_SECRETS, PortName};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::validate::Validated;

/// The children of a StoreService. One that is absent must not exist.
#[derive(Clone, Debug)]
pub(super) struct Children {
    pub(super) service_account: ServiceAccount,
    pub(super) policy: NetworkPolicy,
    pub(super) deployment: Deployment,
    pub(super) service: Option<Service>,
    pub(super) autoscaler: Option<HorizontalPodAutoscaler>,
    pub(super) disruption_budget: Option<PodDisruptionBudget>,
}

pub(super) fn build(of: &Validated) -> Children {
    Children {
        service_account: network::service_account(of),
        policy: network::policy(of),
        deployment: deployment::deployment(of),
        service: network::service(of),
        autoscaler: scaling::autoscaler(of),
        disruption_budget: scaling::disruption_budget(of),
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
        validate::validate,
    };
    use crate::network::Place;

    let external = store.spec.database.external.as_ref().map(|database| u16::try_from(database.port).ok());
    let secret = Secret {
        keys: ["uri".to_owned()].into(),
        database: store.metadata.name.clone(),
        place: external.map_or(Place::Here, Place::Elsewhere),
        ..Secret::default()
    };
    let seen = Seen {
        secret: service.spec.database.as_ref().map(|_| secret),
        store: Some(std::sync::Arc::new(store.clone())),
        ..Seen::default()
    };
    let validated = validate(service, &seen).unwrap();
    let children = build(&validated);
    let labels = children.deployment.spec.template.metadata.unwrap().labels.unwrap();
    (validated.name, labels, children.policy)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            dereference::{Secret, Seen},
            validate::validate,
        },
        *,
    };
    use crate::network::Place;

    fn children(fixture: &str) -> Children {
        let service = serde_yaml::from_str(fixture).unwrap();
        let secret = Secret {
            keys: ["uri".to_owned()].into(),
            hash: "cafe".to_owned(),
            place: Place::Here,
            ..Secret::default()
        };
        build(&validate(&service, &Seen { secret: Some(secret), ..Seen::default() }).unwrap())
    }

    fn everything(children: &Children) -> serde_json::Value {
        serde_json::json!([
            children.service_account,
            children.policy,
            children.deployment,
            children.service,
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
    fn an_autoscaled_service_leaves_the_number_of_pods_to_the_autoscaler() {
        let children = children(include_str!("fixtures/full.yaml"));
        assert_eq!(children.deployment.spec.replicas, None);
        assert_eq!(children.autoscaler.unwrap().spec.max_replicas, 3);
    }

    #[test]
    fn a_changed_secret_changes_the_pod_template() {
        let service = serde_yaml::from_str(include_str!("fixtures/full.yaml")).unwrap();
        let template = |hash: &str| {
            let secret = Secret { keys: ["uri".to_owned()].into(), hash: hash.to_owned(), ..Secret::default() };
            let seen = Seen { secret: Some(secret), ..Seen::default() };
            build(&validate(&service, &seen).unwrap()).deployment.spec.template
        };
        assert_eq!(template("cafe"), template("cafe"));
        assert_ne!(template("cafe"), template("beef"));
    }
}
