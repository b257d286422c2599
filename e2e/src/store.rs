//! Stores.

use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use crate::{
    DEPLOYMENTS, PODS, SECRETS, STORES, Seen, Space,
    diagnostics::{condition, is_ready},
    wait_until,
};

/// Every service of a store.
pub(crate) const SERVICES: [&str; 6] = ["gateway", "auth", "catalog", "inventory", "cart", "orders"];

/// A Store and what belongs to it.
#[derive(Debug, Clone)]
pub struct Store {
    space: Space,
    name: String,
}

impl Store {
    /// The Store `name`, which may not be there yet.
    #[must_use]
    pub fn new(space: Space, name: &str) -> Self {
        Self { space, name: name.to_owned() }
    }

    /// Its services.
    #[must_use]
    pub const fn services() -> &'static [&'static str] {
        &SERVICES
    }

    /// Its namespace.
    #[must_use]
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of what belongs to one of its services or other parts: `recycled-goods-cart`.
    #[must_use]
    pub fn child(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    /// The object.
    pub async fn get(&self) -> Result<Value> {
        self.space.get(STORES, &self.name).await
    }

    /// Merges `change` into the object.
    pub async fn patch(&self, change: &Value) -> Result<Value> {
        self.space.patch(STORES, &self.name, change).await
    }

    /// Puts `settings` in place of those of one service, and gives the list as it was, for [`Self::set_services`].
    pub async fn set_service(&self, settings: Value) -> Result<Value> {
        let before = self.get().await?["spec"]["services"].clone();
        let others = before.as_array().into_iter().flatten().filter(|entry| entry["name"] != settings["name"]);
        let services: Vec<Value> = others.cloned().chain([settings.clone()]).collect();
        self.set_services(json!(services)).await?;
        Ok(before)
    }

    /// Puts `services` in place of the settings of all services.
    pub async fn set_services(&self, services: Value) -> Result<()> {
        self.patch(&json!({"spec": {"services": services}})).await.map(drop)
    }

    /// Waits until the store says that it is ready, at its present generation.
    pub async fn wait_ready(&self, deadline: Duration) -> Result<Value> {
        self.space.wait_ready(STORES, &self.name, deadline).await
    }

    /// Waits until every pod of a service is of its newest template and ready, and no other is left.
    pub async fn wait_rolled_out(&self, service: &str, deadline: Duration) -> Result<()> {
        let name = self.child(service);
        wait_until(&self.space, &format!("the rollout of {name}"), deadline, async || {
            let deployment = self.space.get(DEPLOYMENTS, &name).await?;
            let pods = self.pods(service).await?;
            let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or_default();
            let rolled_out = is_rolled_out(&deployment) && pods.len() as u64 == wanted && pods.iter().all(is_ready);
            Ok(Seen::when(rolled_out, format!("{} pods, {}", pods.len(), deployment["status"])))
        })
        .await
    }

    /// The pods of a service or of another part, those that are ending included.
    pub async fn pods(&self, part: &str) -> Result<Vec<Value>> {
        let labels = format!("app.kubernetes.io/instance={},app.kubernetes.io/name={part}", self.name);
        let pods = self.space.select(PODS, &labels).await?;
        // Migrations are of a service too, and end.
        Ok(pods.into_iter().filter(|pod| pod["status"]["phase"] != "Succeeded").collect())
    }

    /// The address of a service's database, with the service's login.
    pub async fn login(&self, service: &str) -> Result<String> {
        let secret = self.space.get(SECRETS, &self.child(&format!("{service}-database"))).await?;
        let uri = BASE64.decode(secret["data"]["uri"].as_str().context("a login without an address")?)?;
        Ok(String::from_utf8(uri)?)
    }

    /// What the store's own database server answers to a login.
    pub async fn query(&self, login: &str, statement: &str) -> Result<String> {
        let server = format!("{}-0", self.child("postgres"));
        let run = ["exec", &server, "--namespace", self.space.name(), "--", "psql", login, "-tAc", statement];
        self.space.kubectl().run(run).await
    }

    /// The image that a service's Deployment asks for.
    pub async fn image(&self, service: &str) -> Result<String> {
        let deployment = self.space.get(DEPLOYMENTS, &self.child(service)).await?;
        let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
        image.map(str::to_owned).context("a Deployment without an image")
    }
}

/// Whether a Store, or one of its parts, is ready and has nothing newer to look at.
pub(crate) fn is_settled(object: &Value) -> bool {
    says(object, "Ready") && object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// Whether the condition holds, of the object as it is described now.
pub(crate) fn says(object: &Value, type_: &str) -> bool {
    let held = condition(object, type_);
    held.is_some_and(|held| held["status"] == "True" && held["observedGeneration"] == object["metadata"]["generation"])
}

/// As `kubectl rollout status` sees it.
fn is_rolled_out(deployment: &Value) -> bool {
    let status = |field: &str| deployment["status"][field].as_i64().unwrap_or_default();
    let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or_default();
    deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"]
        && [status("replicas"), status("updatedReplicas"), status("availableReplicas")] == [wanted; 3]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(generation: i64, observed: i64, of_condition: i64, ready: &str) -> Value {
        json!({
            "metadata": {"generation": generation},
            "status": {
                "observedGeneration": observed,
                "conditions": [{"type": "Ready", "status": ready, "observedGeneration": of_condition}],
            },
        })
    }

    #[test]
    fn ready_at_an_older_generation_is_not_ready() {
        assert!(is_settled(&store(2, 2, 2, "True")));
        assert!(!is_settled(&store(2, 1, 2, "True")));
        assert!(!is_settled(&store(2, 2, 1, "True")));
        assert!(!is_settled(&store(2, 2, 2, "False")));
        assert!(!is_settled(&json!({"metadata": {"generation": 1}})));
    }

    #[test]
    fn a_rollout_ends_when_no_old_pod_is_left() {
        let deployment = |replicas: i64, updated: i64, available: i64| {
            json!({
                "metadata": {"generation": 4},
                "spec": {"replicas": 2},
                "status": {
                    "observedGeneration": 4,
                    "replicas": replicas,
                    "updatedReplicas": updated,
                    "availableReplicas": available,
                },
            })
        };
        assert!(is_rolled_out(&deployment(2, 2, 2)));
        assert!(!is_rolled_out(&deployment(3, 2, 3)));
        assert!(!is_rolled_out(&deployment(2, 1, 2)));
        assert!(!is_rolled_out(&deployment(2, 2, 1)));
    }
}
