//! Namespaces.

use std::{ops::Deref, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    Cluster, Kubectl, NAMESPACES, Outcome, Resource, Seen, diagnostics::conditions, store::is_settled, wait_until,
};

/// A namespace and what is in it.
#[derive(Debug, Clone)]
pub struct Space {
    cluster: Cluster,
    name: String,
}

/// A namespace of a test's own: removed, with everything in it, when this is dropped.
#[derive(Debug)]
pub struct Namespace(Space);

impl Space {
    pub(crate) fn new(cluster: Cluster, name: &str) -> Self {
        Self { cluster, name: name.to_owned() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is in.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// kubectl, as the administrator.
    #[must_use]
    pub fn kubectl(&self) -> &Kubectl {
        self.cluster.kubectl()
    }

    /// An object that must be there.
    pub async fn get(&self, resource: Resource, name: &str) -> Result<Value> {
        self.cluster.api().get(&resource.object(Some(&self.name), name)).await
    }

    /// An object that may be there.
    pub async fn find(&self, resource: Resource, name: &str) -> Result<Option<Value>> {
        self.cluster.api().find(&resource.object(Some(&self.name), name)).await
    }

    /// Every object of a kind.
    pub async fn list(&self, resource: Resource) -> Result<Vec<Value>> {
        let list = self.cluster.api().get(&resource.list(Some(&self.name))).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Every object of a kind with these labels: `app.kubernetes.io/name=cart,…`.
    pub async fn select(&self, resource: Resource, labels: &str) -> Result<Vec<Value>> {
        let selector = labels.replace('=', "%3D").replace(',', "%2C").replace('/', "%2F");
        let path = format!("{}?labelSelector={selector}", resource.list(Some(&self.name)));
        let list = self.cluster.api().get(&path).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Names of every object of a kind, sorted.
    pub async fn names(&self, resource: Resource) -> Result<Vec<String>> {
        let objects = self.list(resource).await?;
        let mut names: Vec<String> =
            objects.iter().filter_map(|object| object["metadata"]["name"].as_str()).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Creates an object.
    pub async fn create(&self, resource: Resource, object: &Value) -> Result<Value> {
        self.cluster.api().create(&resource.list(Some(&self.name)), object).await
    }

    /// Merges `change` into an object.
    pub async fn patch(&self, resource: Resource, name: &str, change: &Value) -> Result<Value> {
        self.cluster.api().patch(&resource.object(Some(&self.name), name), change).await
    }

    /// Deletes an object, as `kubectl delete` does without waiting.
    pub async fn delete(&self, resource: Resource, name: &str) -> Result<()> {
        self.cluster.api().delete(&resource.object(Some(&self.name), name)).await
    }

    /// `kubectl apply`, which must succeed.
    pub async fn apply(&self, manifest: &str) -> Result<()> {
        let Outcome { success, stderr, .. } = self.try_apply(manifest, &[]).await?;
        if !success {
            bail!("kubectl apply: {}", stderr.trim());
        }
        Ok(())
    }

    /// `kubectl apply` with `flags`, and what came of it.
    pub async fn try_apply(&self, manifest: &str, flags: &[&str]) -> Result<Outcome> {
        let arguments = [&["apply", "--filename=-", "--namespace", self.name()], flags].concat();
        self.kubectl().attempt(arguments, manifest).await
    }

    /// What a pod behind a Service of this namespace answers to `GET path`, through the API server.
    pub async fn ask(&self, service: &str, port: &str, path: &str) -> Result<String> {
        let proxy = format!("/api/v1/namespaces/{}/services/{service}:{port}/proxy{path}", self.name);
        self.cluster.api().text(&proxy).await
    }

    /// Waits until an object of ours says that it is ready, at its present generation.
    pub async fn wait_ready(&self, resource: Resource, name: &str, deadline: Duration) -> Result<Value> {
        wait_until(self, &format!("{}/{name} to be ready", resource.plural()), deadline, async || {
            let object = self.get(resource, name).await?;
            Ok(if is_settled(&object) { Seen::Yes(object) } else { Seen::NotYet(conditions(&object)) })
        })
        .await
    }

    /// Waits until an object is gone.
    pub async fn wait_gone(&self, resource: Resource, name: &str, deadline: Duration) -> Result<()> {
        let what = format!("the end of {}/{name}", resource.plural());
        wait_until(self, &what, deadline, async || {
            let object = self.find(resource, name).await?;
            let finalizers = object.as_ref().map(|object| object["metadata"]["finalizers"].to_string());
            Ok(Seen::when(object.is_none(), format!("it is there, with finalizers {}", finalizers.unwrap_or_default())))
        })
        .await
    }
}

impl Namespace {
    pub(crate) fn new(space: Space) -> Self {
        Self(space)
    }

    /// Removes it and waits until it is gone with everything in it.
    pub async fn remove(self, deadline: Duration) -> Result<()> {
        let api = self.0.cluster.api();
        let path = NAMESPACES.object(None, &self.0.name);
        api.delete(&path).await?;
        wait_until(&self.0, "the end of the namespace", deadline, async || {
            let namespace = api.find(&path).await?;
            Ok(Seen::when(namespace.is_none(), namespace.unwrap_or_default()["status"].to_string()))
        })
        .await
    }
}

impl Deref for Namespace {
    type Target = Space;

    fn deref(&self) -> &Space {
        &self.0
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let mut command =
            self.kubectl().command(["delete", "namespace", self.name(), "--wait=false", "--ignore-not-found"]);
        let outcome = command.as_std_mut().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        // Nobody is left to tell: the name says where it came from.
        let _ = outcome.context("cannot start kubectl");
    }
}
