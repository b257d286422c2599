//! How many pods there are, and how many may be away.

use k8s_openapi::{
    api::{
        autoscaling::v2::{
            CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec,
            MetricTarget, ResourceMetricSource,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{Validated, meta};
use crate::store_service::validate::Scaling;

/// The autoscaler, where one was asked for.
pub(super) fn autoscaler(of: &Validated) -> Option<HorizontalPodAutoscaler> {
    let Scaling::Auto(autoscaling) = &of.scaling else { return None };
    let target = MetricTarget {
        type_: "Utilization".to_owned(),
        average_utilization: Some(autoscaling.target_cpu_utilization_percentage),
        ..MetricTarget::default()
    };
    let cpu = MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource { name: "cpu".to_owned(), target }),
        ..MetricSpec::default()
    };
    Some(HorizontalPodAutoscaler {
        metadata: meta(of),
        spec: HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: of.name.clone(),
            },
            min_replicas: Some(autoscaling.min_replicas),
            max_replicas: autoscaling.max_replicas,
            metrics: Some([cpu].into_iter().chain(autoscaling.metrics.iter().cloned()).collect()),
            behavior: autoscaling.behavior.clone(),
        },
        status: None,
    })
}

/// Lets a node be drained one pod at a time, where there is more than one. A pod that is not ready serves nobody and
/// may always go.
pub(super) fn disruption_budget(of: &Validated) -> Option<PodDisruptionBudget> {
    (of.scaling.most() > 1).then(|| PodDisruptionBudget {
        metadata: meta(of),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector { match_labels: Some(of.selector.clone()), ..LabelSelector::default() }),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    })
}
