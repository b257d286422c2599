//! Releases to upgrade to, and what later ones leave in a database.

use anyhow::{Context as _, Result};
use e2e::{Cluster, Machine, Store, unique};
use serde_json::{Value, json};

/// A version that no test has used, on every node.
pub(crate) struct Release {
    /// The version, and the tag of its image.
    pub(crate) version: String,
    /// The whole name of its image.
    pub(crate) image: String,
}

impl Release {
    /// What a store runs.
    pub(crate) async fn like_that_of(store: &Store, cluster: &Cluster) -> Result<Self> {
        Self::made_of(&store.image("gateway").await?, cluster).await
    }

    /// What an image has in it that is on every node.
    pub(crate) async fn made_of(present: &str, cluster: &Cluster) -> Result<Self> {
        let (repository, _) = present.rsplit_once(':').context("an image without a tag")?;
        let version = unique("0.2.0-release");
        let image = format!("{repository}:{version}");
        for node in cluster.node_names().await? {
            Machine::of_the_cluster().tag_image(&node, present, &image).await?;
        }
        Ok(Self { version, image })
    }

    /// What makes a store ask for it, by its version alone.
    pub(crate) fn wanted(&self) -> Value {
        json!({"version": self.version, "image": {"tag": null}})
    }

    /// Takes the tag away, which nothing may run any more.
    pub(crate) async fn remove(self, cluster: &Cluster) -> Result<()> {
        for node in cluster.node_names().await? {
            Machine::of_the_cluster().untag_image(&node, &self.image).await?;
        }
        Ok(())
    }
}

/// A migration of the catalogue that no release has yet.
pub(crate) struct Later<'a> {
    store: &'a Store,
    login: String,
    undo: &'static str,
}

impl<'a> Later<'a> {
    /// A column more, which the present release knows nothing of.
    pub(crate) async fn adds(store: &'a Store) -> Result<Self> {
        let change = "ALTER TABLE products ADD COLUMN made_in text";
        Self::apply(store, "made in", change, "ALTER TABLE products DROP COLUMN made_in").await
    }

    /// Something less, going by its name: that is all a release looks at.
    pub(crate) async fn cuts(store: &'a Store) -> Result<Self> {
        Self::apply(store, "contract drop the former price", "SELECT", "SELECT").await
    }

    async fn apply(store: &'a Store, name: &str, change: &str, undo: &'static str) -> Result<Self> {
        let login = store.login("catalog").await?;
        let note = format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, '{name}', true, '', 0)"
        );
        store.query(&login, &format!("{change}; {note}")).await?;
        Ok(Self { store, login, undo })
    }

    /// Takes it back.
    pub(crate) async fn undo(self) -> Result<()> {
        let forget = "DELETE FROM _sqlx_migrations WHERE version = 9999";
        self.store.query(&self.login, &format!("{}; {forget}", self.undo)).await.map(drop)
    }
}
