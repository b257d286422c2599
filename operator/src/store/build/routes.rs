//! The gateway's routes, which it reads again whenever they change.

use api::ServiceName;
use k8s_openapi::api::core::v1::ConfigMap;

use super::{Validated, meta};
use crate::{
    framework::labels,
    guests::{ROUTES_FILE, Route, RouteTable},
};

/// The routes to every service that runs, and to guests; none without a gateway. A service of the platform keeps its paths.
pub(super) fn config_map(of: &Validated) -> Option<ConfigMap> {
    if !of.services.contains_key(&ServiceName::Gateway) {
        return None;
    }
    let mut routes: Vec<Route> = of.services.keys().flat_map(|&service| own(of, service)).collect();
    let guests = of.given.routes().filter(|route| routes.iter().all(|own| own.prefix != route.prefix));
    let guests: Vec<Route> = guests.cloned().collect();
    routes.extend(guests);
    let yaml = serde_yaml::to_string(&RouteTable { routes }).expect("strings have no failing serializer");
    Some(ConfigMap {
        metadata: meta(of, of.names.routes(), ServiceName::Gateway.as_str(), "routes"),
        data: Some(labels([(ROUTES_FILE, &yaml)])),
        ..ConfigMap::default()
    })
}

fn own(of: &Validated, service: ServiceName) -> impl Iterator<Item = Route> {
    let upstream = format!("http://{}:8080", of.names.service(service));
    prefixes(service).iter().map(move |&prefix| Route { prefix: prefix.to_owned(), upstream: upstream.clone() })
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
