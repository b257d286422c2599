//! Releases to upgrade to, and what later ones leave in a database.

use anyhow::{Context as _, Result};
use e2e::{Cluster, Machine, Store, unique};

/// The release that a store runs, under another tag on every node.
pub(crate) struct Release {
    pub(crate) tag: String,
    /// The whole name of its image.
    pub(crate) image: String,
}

impl Release {
    pub(crate) async fn like_that_of(store: &Store, cluster: &Cluster) -> Result<Self> {
        let present = store.image("gateway").await?;
        let (repository, _) = present.rsplit_once(':').context("an image without a tag")?;
        let tag = unique("release");
        let image = format!("{repository}:{tag}");
        for node in cluster.node_names().await? {
            Machine::of_the_cluster().tag_image(&node, &present, &image).await?;
        }
        Ok(Self { tag, image })
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
