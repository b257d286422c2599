//! The cluster that `cargo xtask up` made.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use uuid::Uuid;

use crate::{Api, AuditLog, Kubectl, NAMESPACES, NODES, Namespace, STORES, Settings, Shop, Space, Store};

/// The file that stands for the whole cluster, and the one for the shared store.
const CLUSTER: &str = "e2e.lock";
const STORE: &str = "e2e-store.lock";

/// Takes a lock on a file, shared or not, when it is free.
type Lock = fn(&File) -> std::io::Result<()>;

/// Namespace of the operator.
const OPERATOR: &str = "greencommerce-system";

/// The cluster, for as long as the test runs.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) kubectl: Kubectl,
    pub(crate) api: Api,
    /// Released with this value.
    _locks: Vec<File>,
}

impl Cluster {
    /// Connects for a test that uses the shared store as its shoppers and staff do.
    pub async fn connect() -> Result<Self> {
        Self::open(&[(CLUSTER, File::lock_shared), (STORE, File::lock_shared)]).await
    }

    /// Connects for a test that leaves the shared store alone: it has objects of its own.
    pub async fn elsewhere() -> Result<Self> {
        Self::open(&[(CLUSTER, File::lock_shared)]).await
    }

    /// Connects for a test that changes the shared store: waits until no other test uses that.
    pub async fn changing_the_store() -> Result<Self> {
        Self::open(&[(CLUSTER, File::lock_shared), (STORE, File::lock)]).await
    }

    /// Connects for a test that disturbs the cluster or needs it undisturbed: waits until no other test uses it.
    pub async fn alone() -> Result<Self> {
        Self::open(&[(CLUSTER, File::lock)]).await
    }

    /// Takes the locks in the order given, which is the same everywhere.
    async fn open(locks: &'static [(&str, Lock)]) -> Result<Self> {
        let dir = workspace().join("target/cluster");
        let file = dir.join("env");
        let text = fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}: `cargo xtask up` writes it", file.display()))?;
        let settings = Settings::parse(&text).with_context(|| format!("{} is of no use", file.display()))?;
        let held = tokio::task::spawn_blocking(move || hold(&dir, locks)).await??;
        let kubectl = Kubectl::new(&settings);
        let api = Api::start(&kubectl).await?;
        Ok(Self { inner: Arc::new(Inner { settings, kubectl, api, _locks: held }) })
    }

    /// What `cargo xtask up` said.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// kubectl, as the administrator.
    #[must_use]
    pub fn kubectl(&self) -> &Kubectl {
        &self.inner.kubectl
    }

    /// The API server, as the administrator.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.inner.api
    }

    /// Every request to the API server.
    #[must_use]
    pub fn audit_log(&self) -> AuditLog {
        AuditLog::new(&self.inner.settings.audit_log)
    }

    /// The public API of the shared store, as a guest.
    pub fn shop(&self) -> Result<Shop> {
        Shop::new(&self.inner.settings.store_url)
    }

    /// The public API of the shared store, as its first admin.
    pub async fn staff(&self) -> Result<Shop> {
        let Settings { admin_email, admin_password, .. } = self.settings();
        self.shop()?.login(admin_email, admin_password).await
    }

    /// A namespace that exists.
    #[must_use]
    pub fn space(&self, name: &str) -> Space {
        Space::new(self.clone(), name)
    }

    /// The operator's namespace.
    #[must_use]
    pub fn operator(&self) -> Space {
        self.space(OPERATOR)
    }

    /// A namespace of the test's own, in which Pod Security *restricted* is enforced. It goes when the value is dropped.
    pub async fn namespace(&self, purpose: &str) -> Result<Namespace> {
        let name = unique(&format!("e2e-{purpose}"));
        let object = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        });
        self.api().create(&NAMESPACES.list(None), &object).await?;
        Ok(Namespace::new(self.space(&name)))
    }

    /// The store that `cargo xtask up` applied: the one that answers at the address it printed.
    pub async fn store(&self) -> Result<Store> {
        let port: Option<u16> = self.settings().store_url.rsplit(':').next().and_then(|port| port.parse().ok());
        let stores = self.api().get(&STORES.list(None)).await?;
        let stores = stores["items"].as_array().cloned().unwrap_or_default();
        let found =
            stores.iter().find(|store| store["spec"]["exposure"]["nodePort"]["port"].as_u64() == port.map(u64::from));
        let Some(found) = found else { bail!("no store answers on the port of {}", self.settings().store_url) };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let space = self.space(&text(&found["metadata"]["namespace"]));
        Ok(Store::new(space, &text(&found["metadata"]["name"])))
    }

    /// Names of the nodes.
    pub async fn node_names(&self) -> Result<Vec<String>> {
        let nodes = self.nodes().await?;
        Ok(nodes.iter().filter_map(|node| node["metadata"]["name"].as_str()).map(str::to_owned).collect())
    }

    /// Every node.
    pub async fn nodes(&self) -> Result<Vec<Value>> {
        let list = self.api().get(&NODES.list(None)).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }
}

/// A name that nothing else has, of this and of every other run.
#[must_use]
pub fn unique(word: &str) -> String {
    let id = Uuid::now_v7().simple().to_string();
    format!("{word}-{}", &id[id.len() - 10..])
}

/// Waits for the locks, which are held as long as the files are open.
fn hold(dir: &Path, locks: &[(&str, Lock)]) -> Result<Vec<File>> {
    let hold = |&(name, lock): &(&str, Lock)| {
        let file = File::create(dir.join(name)).context("cannot make the lock file")?;
        lock(&file).with_context(|| format!("cannot lock {name}"))?;
        Ok(file)
    };
    locks.iter().map(hold).collect()
}

/// The root of the checkout.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_where_kubernetes_wants_labels() {
        let (first, second) = (unique("e2e-minimal"), unique("e2e-minimal"));
        assert_ne!(first, second);
        assert!(first.len() <= 40 && first.starts_with("e2e-minimal-"));
        assert!(first.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
    }

    #[test]
    fn the_workspace_is_the_folder_of_the_lock_file() {
        assert!(workspace().join("Cargo.lock").exists());
    }
}
