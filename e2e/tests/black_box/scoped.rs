//! An operator for one namespace, in a release of its own.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{Cluster, DEPLOYMENTS, LEASES, Mark, STORES, Seen, Space, Store, unique, wait_until};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_mins(3);
/// The Deployment of the operator that `cargo xtask up` installed.
const FIRST: &str = "greencommerce-operator";

#[tokio::test]
async fn an_operator_for_one_namespace_leads_and_looks_after_that_alone() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let (home, watched) = (cluster.namespace("scoped-operator").await?, cluster.namespace("scoped").await?);
    // Given a cluster in which nobody else looks after stores
    let first = Away::send(&cluster).await?;

    // When an operator is installed for one namespace, and a store is described there
    let name = unique("scoped");
    let mark = cluster.audit_log().mark()?;
    let only = [format!("--set=watchNamespace={}", watched.name()), "--set=replicas=1".to_owned()];
    let release = home.install(&name, &[first.image()?, only].concat()).await?;
    let store = Store::new((*watched).clone(), "asleep");
    watched.apply(&described(store.name()).to_string()).await?;

    // Then it leads,
    let operator = format!("{name}-operator");
    leads(&home, &operator).await?;
    // looks after the store and sees no other,
    looked_after(&store).await?;
    let metrics = home.ask(&format!("{operator}-metrics"), "metrics", "/metrics").await?;
    for line in ["greencommerce_operator_leader 1", r#"greencommerce_operator_objects{kind="Store"} 1"#] {
        ensure!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
    // ends it when it is deleted,
    watched.delete(STORES, store.name()).await?;
    watched.wait_gone(STORES, store.name(), DEADLINE).await?;
    // was refused nothing,
    assert_eq!(refused(&home, &operator, mark)?, Vec::<String>::new());
    // may describe nothing elsewhere,
    confined(&home, &operator).await?;
    // does not hold up the end of the namespace, with which its own role goes, also where data is to go first,
    for (name, policy) in [("keeps", "Retain"), ("takes-along", "Delete")] {
        let forgotten = Store::new((*watched).clone(), name);
        let mut manifest = described(name);
        manifest["spec"]["deletionPolicy"] = json!(policy);
        watched.apply(&manifest.to_string()).await?;
        looked_after(&forgotten).await?;
    }
    watched.remove(DEADLINE).await?;
    // and leaves nothing in the cluster when it is uninstalled.
    release.uninstall().await?;
    let roles = cluster.kubectl().run(["get", "clusterroles,clusterrolebindings", "--output=name"]).await?;
    ensure!(!roles.contains(&name), "left behind: {roles}");
    first.call_back().await?;
    home.remove(DEADLINE).await
}

fn described(name: &str) -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "metadata": {"name": name},
        "spec": {"version": "1.0.0", "suspend": true},
    })
}

async fn leads(home: &Space, operator: &str) -> Result<()> {
    wait_until(home, "the operator to lead", DEADLINE, async || {
        let lease = home.find(LEASES, operator).await?.unwrap_or_default();
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        Ok(Seen::when(holder.starts_with(operator), lease["spec"].to_string()))
    })
    .await
}

async fn looked_after(store: &Store) -> Result<()> {
    wait_until(store.space(), "the store to be looked after", DEADLINE, async || {
        let status = store.get().await?["status"].clone();
        let told = status["conditions"].as_array().is_some_and(|all| all.iter().any(|told| told["type"] == "Ready"));
        Ok(Seen::when(told, status.to_string()))
    })
    .await
}

/// Its right to let objects go outlives its namespace and is therefore a right in all of them; an admission policy keeps it
/// out of the others.
async fn confined(home: &Space, operator: &str) -> Result<()> {
    home.apply(&described("foreign").to_string()).await?;
    let change = described("foreign").to_string();
    let identity = format!("--as={}", user(home, operator));
    let tried = home.try_apply(&change, &["--server-side", "--field-manager=somebody", &identity]).await?;
    ensure!(!tried.success, "the operator changed a store of another namespace");
    ensure!(tried.stderr.contains("looks after namespace"), "it was refused for another reason: {}", tried.stderr);
    home.delete(STORES, "foreign").await
}

fn user(home: &Space, operator: &str) -> String {
    format!("system:serviceaccount:{}:{operator}", home.name())
}

/// What the operator asked for and had no right to.
fn refused(home: &Space, operator: &str, since: Mark) -> Result<Vec<String>> {
    let user = user(home, operator);
    let mut asked = home.cluster().audit_log().since(since)?;
    asked.retain(|request| request.user == user);
    ensure!(asked.len() > 20, "the audit log has {} requests of {user}", asked.len());
    Ok(asked.iter().filter(|request| request.forbidden).map(ToString::to_string).collect())
}

/// The first operator, sent away: it would look after the same stores. It comes back when this is dropped.
struct Away {
    space: Space,
    deployment: Value,
}

impl Away {
    async fn send(cluster: &Cluster) -> Result<Self> {
        let space = cluster.operator();
        let deployment = space.get(DEPLOYMENTS, FIRST).await?;
        let away = Self { space, deployment };
        away.scale(&json!(0)).await?;
        wait_until(&away.space, "the first operator to end", DEADLINE, async || {
            let status = away.space.get(DEPLOYMENTS, FIRST).await?["status"].clone();
            let lease = away.space.find(LEASES, FIRST).await?.unwrap_or_default();
            let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
            let ended = status["replicas"].as_u64().unwrap_or_default() == 0 && holder.is_empty();
            Ok(Seen::when(ended, format!("{status} and {holder:?} holds the lease")))
        })
        .await?;
        Ok(away)
    }

    /// The flags that name its image. A tag may look like a number.
    fn image(&self) -> Result<[String; 2]> {
        let image = self.deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
        let (repository, tag) = image.rsplit_once(':').with_context(|| format!("{image:?} has no tag"))?;
        Ok([format!("--set-string=image.repository={repository}"), format!("--set-string=image.tag={tag}")])
    }

    async fn scale(&self, replicas: &Value) -> Result<()> {
        self.space.kubectl().run(self.scaling(replicas)).await.map(drop)
    }

    fn scaling(&self, replicas: &Value) -> [String; 5] {
        let deployment = format!("deployment/{FIRST}");
        ["scale".into(), format!("--replicas={replicas}"), "--namespace".into(), self.space.name().into(), deployment]
    }

    /// Calls it back, and waits until it leads.
    async fn call_back(self) -> Result<()> {
        self.scale(&self.deployment["spec"]["replicas"]).await?;
        let deployment = format!("deployment/{FIRST}");
        let rollout = ["rollout", "status", &deployment, "--namespace", self.space.name(), "--timeout=3m"];
        self.space.kubectl().run(rollout).await?;
        leads(&self.space, FIRST).await
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let mut command = self.space.kubectl().command(self.scaling(&self.deployment["spec"]["replicas"]));
        // Nobody is left to tell; the tests after this one say that no operator runs.
        let _ = command.as_std_mut().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
