//! The gateway's routes, which it reads again whenever they change.

use api::ServiceName;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::Serialize;

use super::{Validated, meta};
use crate::framework::labels;

/// Name of the file in the ConfigMap.
pub(super) const FILE: &str = "routes.yaml";

#[derive(Serialize)]
struct Routes {
    routes: Vec<Route>,
}

#[derive(Serialize)]
struct Route {
    prefix: &'static str,
    upstream: String,
}

/// The routes to every service that runs; none without a gateway.
pub(super) fn config_map(of: &Validated) -> Option<ConfigMap> {
    if !of.services.contains_key(&ServiceName::Gateway) {
        return None;
    }
    let routes = of.services.keys().flat_map(|&service| {
        let upstream = format!("http://{}:8080", of.names.service(service));
        prefixes(service).iter().map(move |&prefix| Route { prefix, upstream: upstream.clone() })
    });
    let yaml = serde_yaml::to_string(&Routes { routes: routes.collect() }).expect("strings have no failing serializer");
    Some(ConfigMap {
        metadata: meta(of, of.names.routes(), ServiceName::Gateway.as_str(), "routes"),
        data: Some(labels([(FILE, &yaml)])),
        ..ConfigMap::default()
    })
}

/// The paths that belong to a service.
fn prefixes(service: ServiceName) -> &'static [&'static str] {
    match service {
        ServiceName::Gateway => &[],
        ServiceName::Auth => &["/api/auth", "/auth", "/.well-known"],
        ServiceName::Catalog => &["/api/products", "/api/categories", "/api/search"],
        ServiceName::Inventory => &["/api/inventory"],
        ServiceName::Cart => &["/api/cart"],
        ServiceName::Orders => &["/api/orders"],
    }
}
