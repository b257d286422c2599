//! Every policy of a store together, evaluated as a network plugin would, against the table in `docs/network.md`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use crate::{framework::labels, store, store_database, store_service};

const PAGE: &str = include_str!("../../../docs/network.md");

/// Ports that somebody listens on in a store, and one that nobody does.
const PORTS: [(&str, i32); 7] =
    [("http", 8080), ("grpc", 9090), ("ops", 9100), ("postgres", 5432), ("kafka", 9092), ("redis", 6379), ("ssh", 22)];

/// Who belongs to no store.
const STRANGERS: [&str; 4] = ["operator", "impostor", "another pod", "outside"];

/// From, to and port.
type Edge = (String, String, i32);

type Labels = BTreeMap<String, String>;

/// A pod, or an address that is none.
struct Actor {
    name: String,
    namespace: &'static str,
    labels: Option<Labels>,
    /// It is not the store's, so none of its policies concerns it.
    stranger: bool,
}

struct World {
    actors: Vec<Actor>,
    policies: Vec<NetworkPolicy>,
}

impl World {
    /// A store with a service of the user's own, the operator, and strangers.
    fn of(store_yaml: &str) -> Self {
        Self::with(store_yaml, "database: {secretRef: {name: green-orders-database}}")
    }

    /// The same, with more in the spec of the user's service.
    fn with(store_yaml: &str, more: &str) -> Self {
        let parts = store::network_of(store_yaml);
        let own = serde_yaml::from_str(&format!(
            "{{apiVersion: greencommerce.dev/v1alpha1, kind: StoreService, metadata: {{name: loyalty, namespace: shop}}, \
               spec: {{store: green, image: 'loyalty:1', {more}, \
                      ports: [{{name: http, port: 8080}}, {{name: grpc, port: 9090}}, {{name: ops, port: 9100}}]}}}}",
        ))
        .unwrap();
        let database = store_database::network_of(&parts.database, "loyalty");
        let services =
            parts.services.iter().chain([&own]).map(|service| store_service::network_of(service, &parts.store));
        let mut world = Self { actors: Vec::new(), policies: parts.policies };
        for (name, pod, policy) in services.chain(database) {
            let name = if name == "loyalty" { "own service" } else { name.trim_start_matches("green-") };
            world.actors.push(Actor::of_store(name, pod));
            world.policies.push(policy);
        }
        world.actors.extend(parts.pods.into_iter().map(|(name, pod)| Actor::of_store(&name, pod)));
        let operator = labels([("app.kubernetes.io/name", "greencommerce-operator")]);
        world.actors.extend([
            Actor::stranger("operator", "greencommerce-system", Some(operator.clone())),
            Actor::stranger("impostor", "elsewhere", Some(operator)),
            Actor::stranger("another pod", "shop", Some(labels([("app", "guest")]))),
            Actor::stranger("outside", "", None),
        ]);
        world
    }

    fn edges(&self) -> BTreeSet<Edge> {
        let mut edges = BTreeSet::new();
        for from in &self.actors {
            for to in self.actors.iter().filter(|to| !(from.stranger && to.stranger)) {
                for (name, port) in PORTS {
                    if self.lets_out(from, to, name, port) && self.lets_in(from, to, name, port) {
                        edges.insert((from.name.clone(), to.name.clone(), port));
                    }
                }
            }
        }
        edges
    }

    /// Whether no policy selects the sender, or one that does lets it out.
    fn lets_out(&self, from: &Actor, to: &Actor, name: &str, port: i32) -> bool {
        let mut policies = self.about(from).peekable();
        policies.peek().is_none()
            || policies.any(|policy| {
                policy
                    .spec
                    .iter()
                    .flat_map(|spec| spec.egress.iter().flatten())
                    .any(|rule| matches(rule.ports.as_deref(), name, port) && reaches(rule.to.as_deref(), to))
            })
    }

    fn lets_in(&self, from: &Actor, to: &Actor, name: &str, port: i32) -> bool {
        let mut policies = self.about(to).peekable();
        policies.peek().is_none()
            || policies.any(|policy| {
                policy
                    .spec
                    .iter()
                    .flat_map(|spec| spec.ingress.iter().flatten())
                    .any(|rule| matches(rule.ports.as_deref(), name, port) && reaches(rule.from.as_deref(), from))
            })
    }

    fn about<'a>(&'a self, actor: &'a Actor) -> impl Iterator<Item = &'a NetworkPolicy> {
        self.policies.iter().filter(|policy| {
            let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
            actor.namespace == "shop" && actor.labels.as_ref().is_some_and(|held| selects(selector.unwrap(), held))
        })
    }
}

impl Actor {
    fn of_store(name: &str, labels: Labels) -> Self {
        Self { name: name.to_owned(), namespace: "shop", labels: Some(labels), stranger: false }
    }

    fn stranger(name: &str, namespace: &'static str, labels: Option<Labels>) -> Self {
        Self { name: name.to_owned(), namespace, labels, stranger: true }
    }
}

fn matches(ports: Option<&[NetworkPolicyPort]>, name: &str, port: i32) -> bool {
    let tcp = |allowed: &&NetworkPolicyPort| allowed.protocol.as_deref() == Some("TCP");
    ports.is_none_or(|ports| {
        ports.iter().filter(tcp).any(|allowed| match &allowed.port {
            None => true,
            Some(IntOrString::Int(number)) => *number == port,
            Some(IntOrString::String(named)) => named == name,
        })
    })
}

fn reaches(peers: Option<&[NetworkPolicyPeer]>, other: &Actor) -> bool {
    let is = |peer: &NetworkPolicyPeer| {
        let Some(held) = &other.labels else { return false };
        let space = match &peer.namespace_selector {
            None => other.namespace == "shop",
            Some(spaces) => selects(spaces, &labels([("kubernetes.io/metadata.name", other.namespace)])),
        };
        space && peer.pod_selector.as_ref().is_none_or(|pods| selects(pods, held))
    };
    peers.is_none_or(|peers| peers.iter().any(is))
}

fn selects(selector: &LabelSelector, held: &Labels) -> bool {
    let expressions = selector.match_expressions.iter().flatten().all(|wanted| {
        let values = wanted.values.clone().unwrap_or_default();
        let within = held.get(&wanted.key).is_some_and(|value| values.contains(value));
        match wanted.operator.as_str() {
            "In" => within,
            "NotIn" => !within,
            other => panic!("the operator uses no selector {other}"),
        }
    });
    expressions && selector.match_labels.iter().flatten().all(|(key, value)| held.get(key) == Some(value))
}

/// The rows of the page, each of its pairs for itself.
fn documented() -> BTreeSet<Edge> {
    const SERVICES: [&str; 7] = ["gateway", "auth", "catalog", "inventory", "cart", "orders", "own service"];
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| ")).skip(1);
    let mut edges = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        let port = cells[2].rsplit(' ').next().unwrap().parse().unwrap();
        for from in cells[0].split(", ") {
            for to in cells[1].split(", ") {
                let to = if to == "every service" { SERVICES.to_vec() } else { vec![to] };
                edges.extend(to.into_iter().map(|to| (from.to_owned(), to.to_owned(), port)));
            }
        }
    }
    edges
}

/// "Anyone" is whom no policy holds back: the strangers. Pods of the store only get where they are let out to.
fn with_anyone(edges: BTreeSet<Edge>) -> BTreeSet<Edge> {
    let anyone = |edge: Edge| {
        let from = if edge.0 == "anyone" { STRANGERS.to_vec() } else { vec![edge.0.as_str()] };
        from.into_iter().map(|from| (from.to_owned(), edge.1.clone(), edge.2)).collect::<Vec<_>>()
    };
    edges.into_iter().flat_map(anyone).collect()
}

const MINIMAL: &str = include_str!("../store/build/fixtures/minimal.yaml");

#[test]
fn the_policies_of_a_store_allow_what_the_page_says_and_nothing_else() {
    let (allowed, documented) = (World::of(MINIMAL).edges(), with_anyone(documented()));
    assert!(documented.len() > 60, "{}", documented.len());
    let missing: Vec<&Edge> = documented.difference(&allowed).collect();
    let undocumented: Vec<&Edge> = allowed.difference(&documented).collect();
    assert_eq!((missing, undocumented), (vec![], vec![]), "(missing, undocumented)");
}

#[test]
fn every_pod_of_a_store_is_selected_by_a_policy_of_its_own_beside_the_one_that_closes_it() {
    let world = World::of(MINIMAL);
    for actor in world.actors.iter().filter(|actor| !actor.stranger) {
        let closing = |policy: &&NetworkPolicy| {
            policy.spec.as_ref().is_some_and(|spec| spec.ingress == Some(vec![]) && spec.egress == Some(vec![]))
        };
        let (closing, opening): (Vec<_>, Vec<_>) = world.about(actor).partition(closing);
        // A service of the user's own may live where there is no store.
        assert_eq!((closing.len(), opening.len()), (1, 1), "{}", actor.name);
    }
}

#[test]
fn a_database_elsewhere_is_reached_at_its_port_by_those_who_need_it() {
    let external = format!(
        "{MINIMAL}  database: {{external: {{host: db.example, port: 6432, adminSecretRef: {{name: admin}}}}}}\n"
    );
    let world = World::of(&external);
    let with_database = ["auth", "catalog", "inventory", "orders", "own service", "migration"];
    assert_eq!(reach_outside(&world, 6432), with_database);
    assert_eq!(reach_outside(&world, 5432), Vec::<&str>::new());
    for (_, port) in PORTS {
        assert_eq!(reach_outside(&World::of(MINIMAL), port), Vec::<&str>::new());
    }
}

/// Who of a store may go to any address at a port.
fn reach_outside(world: &World, port: i32) -> Vec<&str> {
    let outside = world.actors.iter().find(|actor| actor.name == "outside").unwrap();
    let out = |actor: &&Actor| !actor.stranger && world.lets_out(actor, outside, "", port);
    world.actors.iter().filter(out).map(|actor| actor.name.as_str()).collect()
}

#[test]
fn brokers_and_a_cache_elsewhere_are_reached_by_those_who_need_them() {
    let kafka = format!("{MINIMAL}  kafka: {{external: {{bootstrapServers: 'kafka.example:9092'}}}}\n");
    let with_events = ["auth", "catalog", "inventory", "cart", "orders", "own service"];
    assert_eq!(reach_outside(&World::of(&kafka), 9092), with_events);
    let cache = format!("{MINIMAL}  cache: {{external: {{urlSecretRef: {{name: redis}}}}}}\n");
    assert_eq!(reach_outside(&World::of(&cache), 6379), ["cart"]);
    for (elsewhere, server) in [(kafka, "kafka"), (cache, "cache")] {
        let (edges, mut expected) = (World::of(&elsewhere).edges(), with_anyone(documented()));
        expected.retain(|(from, to, _)| from != server && to != server);
        let missing: Vec<&Edge> = expected.difference(&edges).collect();
        // Any port of any address: what is open to anyone is open to these as well, and all strangers are.
        let open_to_anyone = |(_, to, port): &Edge| expected.contains(&("outside".to_owned(), to.clone(), *port));
        let stranger = |(_, to, _): &Edge| STRANGERS.contains(&to.as_str());
        let more: Vec<&Edge> =
            edges.difference(&expected).filter(|edge| !open_to_anyone(edge) && !stranger(edge)).collect();
        assert_eq!((missing, more), (vec![], vec![]), "(missing, more) without {server}");
    }
}

#[test]
fn what_a_service_asks_of_its_store_makes_no_connection_that_the_page_does_not_know() {
    let guest = "database: {name: loyalty}, topics: [{name: points.events}], routes: [{path: /api/points}]";
    assert_eq!(World::with(MINIMAL, guest).edges(), World::of(MINIMAL).edges());
}

#[test]
fn a_service_of_the_users_own_takes_requests_from_anyone_where_it_is_exposed() {
    let from_outside = |exposure: &str| {
        let edges = World::with(MINIMAL, &format!("exposure: {exposure}")).edges();
        let of_own = edges.into_iter().filter(|(from, to, _)| from == "outside" && to == "own service");
        of_own.map(|(_, _, port)| port).collect::<Vec<_>>()
    };
    for exposure in ["{nodePort: {port: 30090}}", "{loadBalancer: {}}", "{ingress: {}}"] {
        assert_eq!(from_outside(exposure), [8080, 9100], "{exposure}");
    }
    assert_eq!(from_outside("{internal: {}}"), [9100]);
}

#[test]
fn whoever_may_connect_may_look_up_names_and_nobody_else() {
    let world = World::of(MINIMAL);
    let dns = Actor::stranger("dns", "kube-system", Some(labels([("k8s-app", "kube-dns")])));
    let outside = world.actors.iter().find(|actor| actor.name == "outside").unwrap();
    for actor in world.actors.iter().filter(|actor| !actor.stranger) {
        let looks_up = !["cache", "database"].contains(&actor.name.as_str());
        assert_eq!(world.lets_out(actor, outside, "", 53), looks_up, "{}", actor.name);
        assert_eq!(world.lets_out(actor, &dns, "", 1053), looks_up, "{}", actor.name);
    }
}
