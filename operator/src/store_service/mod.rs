//! StoreService: a Deployment with what belongs to it.

mod address;
mod apply;
mod build;
mod dereference;
mod error;
mod guest;
mod status;
mod validate;

use std::sync::Arc;

use api::{ConditionType, StoreService};
use kube::runtime::controller::Action;

#[cfg(test)]
pub(crate) use self::build::network_of;
use self::error::StoreServiceError;
use crate::{
    framework::{Context, Reconciler, write_status},
    refused,
};

/// Makes the cluster hold what a StoreService describes.
pub(crate) struct StoreServiceReconciler;

impl Reconciler for StoreServiceReconciler {
    type Object = StoreService;
    type Error = StoreServiceError;

    const NAME: &'static str = "store_service";

    async fn reconcile(&self, context: &Context, service: Arc<StoreService>) -> Result<Action, StoreServiceError> {
        if service.metadata.deletion_timestamp.is_some() {
            // Every child is owned by the service, and goes with it.
            return Ok(Action::await_change());
        }
        let seen = dereference::dereference(context, &service).await?;
        let validated = validate::validate(&service, &seen)?;
        let children = build::build(&validated);
        // The children are many and large: they need not live in every reconciliation that waits.
        let wrote = Box::pin(apply::apply(context, &service, &seen, children)).await?;
        let now = context.clock.now();
        let (status, findings) = status::derive(&validated, &seen, service.status.as_ref(), wrote, now);
        let waits = findings.iter().any(|finding| !finding.holds && finding.condition == ConditionType::Ready);
        write_status(context, &*service, status, findings).await?;
        // A probe that fails for long is told by the clock alone, and so is an autoscaler without figures.
        let look = waits.then(|| status::PATIENCE.unsigned_abs()).or_else(|| status::told_in(&seen, now));
        let refused = seen.deployment.as_deref().is_some_and(refused::is_refused);
        let look = look.into_iter().chain(refused.then_some(refused::AGAIN)).min();
        Ok(look.map_or_else(Action::await_change, Action::requeue))
    }
}

#[cfg(test)]
mod tests {
    use api::Reason;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;
    use crate::framework::{
        ReconcileError as _,
        scenario::{Call, Scenario, made, reported, still, told},
    };

    #[tokio::test]
    async fn a_new_service_is_made_reported_and_told() {
        let service: StoreService = serde_yaml::from_str(include_str!("build/fixtures/minimal.yaml")).unwrap();
        let answer = json!(service);
        let paths = [
            "/api/v1/namespaces/shop/serviceaccounts/green-hello",
            "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/green-hello",
            "/apis/apps/v1/namespaces/shop/deployments/green-hello",
            "/api/v1/namespaces/shop/services/green-hello",
        ];
        let mut calls: Vec<Call> = paths.into_iter().flat_map(made).collect();
        calls.push(reported("/apis/greencommerce.dev/v1alpha1/namespaces/shop/storeservices/green-hello", answer));
        calls.push(told("shop"));
        let (scenario, context, _) = Scenario::of(calls);
        StoreServiceReconciler.reconcile(&context, Arc::new(service)).await.unwrap();
        let status = &scenario.finish()[8]["status"]["conditions"][0];
        assert_eq!((status["status"].as_str(), status["reason"].as_str()), (Some("False"), Some("Reconciling")));
    }

    #[tokio::test]
    async fn what_a_service_no_longer_asks_for_goes() {
        let service: StoreService = serde_yaml::from_str(include_str!("build/fixtures/minimal.yaml")).unwrap();
        let labels = json!({"greencommerce.dev/service": "green-hello"});
        let topic = json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic",
            "metadata": {"name": "green-old", "namespace": "shop", "uid": "8", "labels": labels},
            "spec": {"bootstrapServers": "kafka:9092", "topicName": "old"},
        });
        let ingress = json!({"metadata": {"name": "green-hello", "namespace": "shop", "uid": "9", "labels": labels}});
        let paths = [
            "/api/v1/namespaces/shop/serviceaccounts/green-hello",
            "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/green-hello",
            "/apis/apps/v1/namespaces/shop/deployments/green-hello",
            "/api/v1/namespaces/shop/services/green-hello",
        ];
        let gone = |path: &str| Call::ok(format!("DELETE {path}?"), json!({"kind": "Status", "status": "Success"}));
        let path = "/apis/greencommerce.dev/v1alpha1/namespaces/shop/storeservices/green-hello";
        let mut calls: Vec<Call> = paths.into_iter().flat_map(made).collect();
        calls.push(still(path, &service));
        calls.push(gone("/apis/greencommerce.dev/v1alpha1/namespaces/shop/storetopics/green-old"));
        calls.push(still(path, &service));
        calls.push(gone("/apis/networking.k8s.io/v1/namespaces/shop/ingresses/green-hello"));
        calls.push(reported(path, json!(service)));
        calls.push(told("shop"));
        let (scenario, context, mut writers) = Scenario::of(calls);
        writers.store_topics.apply_watcher_event(&Event::Apply(serde_json::from_value(topic).unwrap()));
        writers.ingresses.apply_watcher_event(&Event::Apply(serde_json::from_value(ingress).unwrap()));
        Box::pin(StoreServiceReconciler.reconcile(&context, Arc::new(service))).await.unwrap();
        let bodies = scenario.finish();
        assert_eq!(
            (&bodies[9]["preconditions"]["uid"], &bodies[11]["preconditions"]["uid"]),
            (&json!("8"), &json!("9"))
        );
    }

    #[tokio::test]
    async fn without_its_secret_a_service_is_not_made() {
        let service: StoreService = serde_yaml::from_str(include_str!("build/fixtures/full.yaml")).unwrap();
        let secret = "GET /api/v1/namespaces/shop/secrets/green-catalog-database";
        let other = "GET /api/v1/namespaces/shop/secrets/redis";
        let routes = "GET /api/v1/namespaces/shop/configmaps/green-gateway-routes";
        let mut missing = Vec::from([secret, other].map(|line| Call::refused(line, 404, "not found")));
        missing.push(Call::ok(routes, json!({"metadata": {"name": "green-gateway-routes"}})));
        let (scenario, context, _) = Scenario::of(missing);
        let error = StoreServiceReconciler.reconcile(&context, Arc::new(service)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the Secret green-catalog-database does not exist: the service starts as soon as it does"
        );
        scenario.finish();
    }

    #[tokio::test]
    async fn without_its_config_map_a_service_is_not_made() {
        let mut service: StoreService = serde_yaml::from_str(include_str!("build/fixtures/minimal.yaml")).unwrap();
        service.spec.config_maps =
            serde_json::from_value(json!([{"name": "rules", "mountPath": "/etc/hello"}])).unwrap();
        let rules = "GET /api/v1/namespaces/shop/configmaps/rules";
        let (scenario, context, _) = Scenario::of(vec![Call::refused(rules, 404, "not found")]);
        let error = StoreServiceReconciler.reconcile(&context, Arc::new(service)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::ConfigMapMissing);
        assert_eq!(error.to_string(), "the ConfigMap rules does not exist: the service starts as soon as it does");
        scenario.finish();
    }

    #[tokio::test]
    async fn a_service_added_to_a_store_that_does_not_exist_is_not_made() {
        let service: StoreService = serde_yaml::from_str(include_str!("build/fixtures/guest.yaml")).unwrap();
        let secret = "GET /api/v1/namespaces/shop/secrets/green-parcels-database";
        let (scenario, context, _) = Scenario::of(vec![Call::refused(secret, 404, "not found")]);
        let result = Box::pin(StoreServiceReconciler.reconcile(&context, Arc::new(service))).await;
        let expected = "the Store green does not exist: the service starts as soon as it does";
        assert_eq!(result.unwrap_err().to_string(), expected);
        scenario.finish();
    }

    #[tokio::test]
    async fn a_service_that_is_going_is_left_to_go() {
        let mut service: StoreService = serde_yaml::from_str(include_str!("build/fixtures/minimal.yaml")).unwrap();
        service.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        let (scenario, context, _) = Scenario::of(vec![]);
        StoreServiceReconciler.reconcile(&context, Arc::new(service)).await.unwrap();
        scenario.finish();
    }
}
