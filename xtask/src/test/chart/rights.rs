//! The rights that a rendered chart gives: the operator can lead and sees what it looks after, whichever values it was
//! rendered with, and no more of the cluster than those say.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize as _;
use serde_json::Value;

/// Somebody's wish to do something with objects of a kind: in one namespace, or where there is none in all of them.
struct Wish<'a> {
    namespace: Option<&'a str>,
    group: &'a str,
    resource: &'a str,
    verb: &'a str,
    /// One object, where the right may be limited to it.
    name: Option<&'a str>,
}

/// Checks the objects of one release.
pub(super) fn check(manifests: &str) -> Result<()> {
    let documents = serde_yaml::Deserializer::from_str(manifests).map(Value::deserialize);
    let release = Release(documents.collect::<Result<_, _>>().context("the chart renders no YAML")?);
    let operator = release.of_kind("Deployment").next().context("the chart renders no Deployment")?;
    let home = text(&operator["metadata"]["namespace"]);
    let pod = &operator["spec"]["template"]["spec"];
    let account = text(&pod["serviceAccountName"]);
    let (lease, watched) = (variable(pod, "LEASE_NAME"), variable(pod, "WATCH_NAMESPACE"));
    let lease = lease.context("nobody says which Lease the leader holds")?;
    let wish = |namespace, group, resource, verb, name| Wish { namespace, group, resource, verb, name };
    let mut wishes = vec![
        wish(Some(home), "coordination.k8s.io", "leases", "create", None),
        wish(watched, "greencommerce.dev", "stores", "watch", None),
        wish(watched, "", "secrets", "patch", None),
        wish(watched, "events.k8s.io", "events", "create", None),
        wish(watched, "", "namespaces", "get", watched),
        wish(None, "storage.k8s.io", "storageclasses", "get", None),
    ];
    wishes.extend(["get", "update"].map(|verb| wish(Some(home), "coordination.k8s.io", "leases", verb, Some(lease))));
    for wish in &wishes {
        let Wish { group, resource, verb, .. } = wish;
        ensure!(release.lets((home, account), wish), "the operator may not {verb} {group}/{resource}");
    }
    let everywhere = wish(None, "", "secrets", "get", None);
    let may = release.lets((home, account), &everywhere);
    ensure!(may == watched.is_none(), "whether the operator may get Secrets everywhere: {may}");
    release.serves_people()
}

/// The objects of a release.
struct Release(Vec<Value>);

impl Release {
    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// Whether a service account (namespace and name) is granted a wish.
    fn lets(&self, account: (&str, &str), wish: &Wish<'_>) -> bool {
        let bindings = self.of_kind("ClusterRoleBinding").chain(self.of_kind("RoleBinding"));
        bindings.filter(|binding| is_of(binding, account) && reaches(binding, wish)).any(|binding| {
            let role = &binding["roleRef"];
            let namespace = if role["kind"] == "Role" { &binding["metadata"]["namespace"] } else { &Value::Null };
            let mut roles = self.of_kind(text(&role["kind"]));
            let role = roles.find(|found| {
                found["metadata"]["name"] == role["name"] && &found["metadata"]["namespace"] == namespace
            });
            role.is_some_and(|role| list(&role["rules"]).iter().any(|rule| grants(rule, wish)))
        })
    }

    /// Whoever may view or edit a namespace may view or edit the stores in it.
    fn serves_people(&self) -> Result<()> {
        for (role, verb) in [("view", "watch"), ("edit", "create"), ("admin", "create")] {
            let label = format!("rbac.authorization.k8s.io/aggregate-to-{role}");
            let wish = Wish { namespace: None, group: "greencommerce.dev", resource: "stores", verb, name: None };
            let mut roles = self.of_kind("ClusterRole").filter(|found| found["metadata"]["labels"][&label] == "true");
            let served = roles.any(|role| list(&role["rules"]).iter().any(|rule| grants(rule, &wish)));
            ensure!(served, "whoever has the role {role} may not {verb} stores");
        }
        Ok(())
    }
}

fn is_of(binding: &Value, (namespace, name): (&str, &str)) -> bool {
    list(&binding["subjects"]).iter().any(|subject| subject["namespace"] == namespace && subject["name"] == name)
}

fn reaches(binding: &Value, wish: &Wish<'_>) -> bool {
    binding["kind"] == "ClusterRoleBinding"
        || wish.namespace.is_some_and(|namespace| binding["metadata"]["namespace"] == namespace)
}

fn grants(rule: &Value, wish: &Wish<'_>) -> bool {
    let has = |field: &str, word: &str| list(&rule[field]).iter().any(|entry| entry == word);
    let named = rule["resourceNames"].is_null() || wish.name.is_some_and(|name| has("resourceNames", name));
    has("apiGroups", wish.group) && has("resources", wish.resource) && has("verbs", wish.verb) && named
}

/// The value of a variable of a Pod's container.
fn variable<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    list(&pod["containers"][0]["env"]).iter().find(|variable| variable["name"] == name)?["value"].as_str()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
