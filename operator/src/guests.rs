//! Guests: services that users add to a store. Each may ask the store for a database and for paths at its gateway; who comes
//! first has them. Pure, but for the look into the cache.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{PortName, ServiceName, Store, StoreService};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Resource, ResourceExt};
use serde::{Deserialize, Serialize};

use crate::framework::{Cache, Mark};

/// Name of the file with the gateway's routes.
pub(crate) const ROUTES_FILE: &str = "routes.yaml";

/// The gateway's routes as they are written down for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouteTable {
    pub(crate) routes: Vec<Route>,
}

/// A path, and the service to which it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Route {
    pub(crate) prefix: String,
    pub(crate) upstream: String,
}

/// What guests were given, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// Guest and route, by path.
    routes: BTreeMap<String, (String, Route)>,
    /// Guest, by name of the database.
    databases: BTreeMap<String, String>,
}

impl Given {
    /// The routes.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values().map(|(_, route)| route)
    }

    /// Adds these routes, as far as nobody was given them.
    pub(crate) fn keep(mut self, routes: &[Route]) -> Self {
        for route in routes {
            let kept = || (host(route).to_owned(), route.clone());
            self.routes.entry(route.prefix.clone()).or_insert_with(kept);
        }
        self
    }

    /// Names of the databases.
    pub(crate) fn databases(&self) -> impl Iterator<Item = &str> {
        self.databases.keys().map(String::as_str)
    }

    /// What the guest asks for and another has, and that other.
    pub(crate) fn refused_to(&self, guest: &StoreService) -> Option<(String, String)> {
        let name = guest.name_any();
        let route = guest.spec.routes.iter().find_map(|route| {
            let (holder, _) = self.routes.get(&route.path)?;
            (*holder != name).then(|| (format!("the route {}", route.path), holder.clone()))
        });
        route.or_else(|| {
            let database = database_of(guest)?;
            let holder = self.databases.get(database).filter(|holder| **holder != name)?;
            Some((format!("the database {database}"), holder.clone()))
        })
    }
}

/// Name of the StoreService and of the Deployment that are a store's gateway.
pub(crate) fn gateway_of(store: &str) -> String {
    format!("{store}-{}", ServiceName::Gateway.as_str())
}

/// The guests of a store that are not about to leave.
pub(crate) fn of_store(cache: &Cache, space: &str, store: &str) -> Vec<Arc<StoreService>> {
    let mut guests = cache.marked::<StoreService>(space, Mark::Guest, store);
    guests.retain(|service| service.metadata.deletion_timestamp.is_none());
    guests
}

/// Whether users wrote the service, as opposed to a store.
pub(crate) fn is_of_users(service: &StoreService) -> bool {
    let owners = service.owner_references();
    !owners.iter().any(|owner| owner.controller == Some(true) && owner.kind == Store::kind(&()))
}

/// Gives each guest what it asks for and no earlier one has.
pub(crate) fn give(guests: &[Arc<StoreService>]) -> Given {
    let mut guests: Vec<&StoreService> = guests.iter().map(|guest| &**guest).collect();
    guests.sort_by_key(|guest| (guest.creation_timestamp().map(|time| time.0), guest.name_any()));
    let mut given = Given::default();
    for guest in guests {
        for route in routes_of(guest) {
            given.routes.entry(route.prefix.clone()).or_insert_with(|| (guest.name_any(), route));
        }
        if let Some(database) = database_of(guest) {
            given.databases.entry(database.to_owned()).or_insert_with(|| guest.name_any());
        }
    }
    given
}

/// The routes by which the gateway leads to one of these services.
pub(crate) fn leading_to(services: &BTreeSet<String>, gateway: &ConfigMap) -> Vec<Route> {
    let text = gateway.data.as_ref().and_then(|data| data.get(ROUTES_FILE)).filter(|_| !services.is_empty());
    let table: RouteTable = text.and_then(|text| serde_yaml::from_str(text).ok()).unwrap_or_default();
    table.routes.into_iter().filter(|route| services.contains(host(route))).collect()
}

/// Name of the service to which a route leads.
fn host(route: &Route) -> &str {
    route.upstream.trim_start_matches("http://").split(':').next().unwrap_or_default()
}

/// The routes that a guest asks for.
pub(crate) fn routes_of(guest: &StoreService) -> Vec<Route> {
    let Some(port) = guest.spec.ports.iter().find(|port| port.name == PortName::Http) else { return Vec::new() };
    let upstream = format!("http://{}:{}", guest.name_any(), port.port);
    let route = |path: &str| Route { prefix: path.to_owned(), upstream: upstream.clone() };
    guest.spec.routes.iter().map(|asked| route(&asked.path)).collect()
}

/// The database that a guest asks for.
pub(crate) fn database_of(guest: &StoreService) -> Option<&str> {
    guest.spec.database.as_ref()?.name.as_deref()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn guest(name: &str, born: &str, path: &str, database: &str) -> Arc<StoreService> {
        let guest = serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
            "metadata": {"name": name, "namespace": "shop", "creationTimestamp": born},
            "spec": {"store": "green", "image": "x:1", "routes": [{"path": path}], "database": {"name": database}},
        }));
        Arc::new(guest.unwrap())
    }

    #[test]
    fn who_comes_first_has_the_route_and_the_database() {
        let late = guest("aaa", "2026-01-02T00:00:00Z", "/api/parcels", "parcels");
        let early = guest("zzz", "2026-01-01T00:00:00Z", "/api/parcels", "other");
        let given = give(&[late.clone(), early.clone()]);
        let routes: Vec<&str> = given.routes().map(|route| route.upstream.as_str()).collect();
        assert_eq!(routes, ["http://zzz:8080"]);
        assert_eq!(given.databases().collect::<Vec<_>>(), ["other", "parcels"]);
        assert_eq!(given.refused_to(&early), None);
        assert_eq!(given.refused_to(&late), Some(("the route /api/parcels".to_owned(), "zzz".to_owned())));
    }

    #[test]
    fn a_guest_that_cannot_be_read_keeps_its_routes_unless_another_has_them() {
        let route =
            |prefix: &str, guest: &str| Route { prefix: prefix.to_owned(), upstream: format!("http://{guest}:8080") };
        let routes = vec![route("/one", "one"), route("/shared", "one"), route("/gone", "gone")];
        let text = serde_yaml::to_string(&RouteTable { routes }).unwrap();
        let data = Some([(ROUTES_FILE.to_owned(), text)].into());
        let kept = leading_to(&["one".to_owned()].into(), &ConfigMap { data, ..ConfigMap::default() });
        let given = give(&[guest("two", "2026-01-01T00:00:00Z", "/shared", "two")]).keep(&kept);
        let leads: Vec<(&str, &str)> = given.routes().map(|route| (route.prefix.as_str(), host(route))).collect();
        assert_eq!(leads, [("/one", "one"), ("/shared", "two")]);
    }

    #[test]
    fn no_two_guests_share_a_database_by_accident() {
        let one = guest("one", "2026-01-01T00:00:00Z", "/one", "parcels");
        let two = guest("two", "2026-01-01T00:00:00Z", "/two", "parcels");
        let refused = give(&[two.clone(), one]).refused_to(&two);
        assert_eq!(refused, Some(("the database parcels".to_owned(), "one".to_owned())));
    }

    #[test]
    fn what_a_store_made_is_no_guest() {
        let mut service = StoreService::clone(&guest("green-cart", "2026-01-01T00:00:00Z", "/x", "x"));
        assert!(is_of_users(&service));
        let owner = json!([{"apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "name": "green", "uid": "1", "controller": true}]);
        service.metadata.owner_references = serde_json::from_value(owner).unwrap();
        assert!(!is_of_users(&service));
    }
}
