//! How Prometheus finds the figures of the pods.

use api::{PortName, label};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{Validated, meta};
use crate::{
    monitoring::{PodMetricsEndpoint, PodMonitor, PodMonitorSpec},
    store_service::validate::Monitoring,
};

/// Where the services of a store answer with their figures.
const PATH: &str = "/metrics";

pub(super) fn pod_monitor(of: &Validated) -> Option<PodMonitor> {
    let Monitoring::Wanted(wish) = &of.monitoring else { return None };
    let mut metadata = meta(of);
    let mut labels = wish.labels.clone();
    labels.extend(metadata.labels.take().unwrap_or_default());
    metadata.labels = Some(labels);
    let endpoint = PodMetricsEndpoint {
        port: PortName::Ops.as_str().to_owned(),
        path: PATH.to_owned(),
        interval: wish.interval.clone(),
    };
    Some(PodMonitor {
        metadata,
        spec: PodMonitorSpec {
            selector: LabelSelector { match_labels: Some(of.selector.clone()), ..LabelSelector::default() },
            pod_metrics_endpoints: vec![endpoint],
            pod_target_labels: vec![label::STORE.to_owned(), label::SERVICE.to_owned()],
        },
    })
}
