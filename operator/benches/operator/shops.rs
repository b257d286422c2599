//! Whole stores, each in a namespace of its own, on servers of somebody else's that they share.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt as _;
use kubekit::{Cluster, Space};
use serde_json::{Value, json};

use crate::{changes::Percentiles, own_server::OwnServer, pods};

/// Port of the database server, or the next free one.
const PORT: u16 = 26100;
/// A port at which nothing listens.
const NOWHERE: u16 = 9;
/// Stores that come up at the same time.
const TOGETHER: usize = 4;
/// So long without a write is rest.
const QUIET: Duration = Duration::from_secs(3);
/// The administrator of the database server: it logs in with a password, as one would anywhere.
const ADMINISTRATOR: &str = "administrator";
const PASSWORD: &str = "administrator";

/// The name of every Store here.
pub(crate) const NAME: &str = "shop";
/// The version that they run.
pub(crate) const VERSION: &str = "1.0.0";

/// The stores there are.
pub(crate) struct Shops<'a> {
    cluster: &'a Cluster,
    servers: OwnServer,
    bootstrap: String,
    cache: String,
    pub(crate) spaces: Vec<Space<'a>>,
}

impl<'a> Shops<'a> {
    /// None yet; the servers are started.
    pub(crate) async fn none(cluster: &'a Cluster) -> Result<Self> {
        let (servers, bootstrap, cache) = tokio::task::spawn_blocking(|| {
            let servers = OwnServer::start("bench", PORT);
            servers.postgres.query("postgres", &superuser(ADMINISTRATOR))?;
            let bootstrap = servers.backing.kafka()?.bootstrap_servers();
            let cache = servers.backing.redis()?.url(0);
            anyhow::Ok((servers, bootstrap, cache))
        })
        .await??;
        Ok(Self { cluster, servers, bootstrap, cache, spaces: Vec::new() })
    }

    /// Brings up stores until there are so many, all are ready and nothing happens any more.
    pub(crate) async fn grow_to(&mut self, number: usize) {
        let this = &*self;
        let opening = (this.spaces.len()..number).map(|_| this.open());
        let opened: Vec<_> = futures::stream::iter(opening).buffer_unordered(TOGETHER).collect().await;
        self.spaces.extend(opened);
        self.come_to_rest().await;
    }

    /// Sends the last store to servers that are not there, for good. Returns the others.
    pub(crate) async fn break_last(&self) -> &[Space<'a>] {
        let Some((last, others)) = self.spaces.split_last() else { return &[] };
        let nowhere = json!({
            "database": {"external": {"port": NOWHERE}}, "kafka": {"external": {"bootstrapServers": format!("127.0.0.1:{NOWHERE}")}},
        });
        last.edit("Store", NAME, &json!({"spec": nowhere})).await;
        last.until_it_says("StoreDatabase", NAME, "Ready", false).await;
        self.come_to_rest().await;
        others
    }

    /// Gives the first store's operator a login that its database server refuses, then has the server accept it. The times
    /// until the one is told, and until the other has healed the databases.
    pub(crate) async fn measure_refusal(&self, times: u32) -> Result<(Percentiles, Percentiles)> {
        let (shop, postgres) = (&self.spaces[0], &self.servers.postgres);
        let (mut told, mut healed) = (Vec::new(), Vec::new());
        for round in 0..times {
            let stranger = format!("stranger_{round}");
            let begun = Instant::now();
            shop.apply(&secret("postgres", &json!({"username": stranger, "password": PASSWORD}))).await;
            shop.until_it_says("StoreDatabase", NAME, "Ready", false).await;
            told.push(begun.elapsed());
            // What is told at once is looked at again at a pace of its own.
            shop.until_it_says("Store", NAME, "DatabaseReady", false).await;
            postgres.query("postgres", &superuser(&stranger))?;
            let begun = Instant::now();
            shop.ready("StoreDatabase", NAME).await;
            healed.push(begun.elapsed());
        }
        shop.apply(&secret("postgres", &json!({"username": ADMINISTRATOR, "password": PASSWORD}))).await;
        shop.ready("Store", NAME).await;
        Ok((Percentiles::of(told), Percentiles::of(healed)))
    }

    /// Objects of the first store, itself and its pods included.
    pub(crate) async fn objects(&self) -> usize {
        match self.spaces.first() {
            // Without the two Secrets that a user made.
            Some(space) => space.state().await.names().count() - 2 + pods::count(space).await,
            None => 0,
        }
    }

    /// Returns once nothing is written about any of them.
    async fn come_to_rest(&self) {
        let count = || self.spaces.iter().map(Space::count_writes).sum::<usize>();
        let mut writes = count();
        loop {
            tokio::time::sleep(QUIET).await;
            let now = count();
            if std::mem::replace(&mut writes, now) == now {
                return;
            }
        }
    }

    async fn open(&self) -> Space<'a> {
        let space = self.cluster.space().await;
        space.apply(&secret("postgres", &json!({"username": ADMINISTRATOR, "password": PASSWORD}))).await;
        space.apply(&secret("redis", &json!({"url": self.cache}))).await;
        space.apply(&self.store(&space)).await;
        space.ready("Store", NAME).await;
        pods::run(&space).await;
        space
    }

    fn store(&self, space: &Space<'_>) -> Value {
        let database = json!({
            "host": "127.0.0.1", "port": self.servers.postgres.port(), "adminSecretRef": {"name": "postgres"},
            "databasePrefix": format!("{}_", space.identifier()),
        });
        // They share their topics, too: a broker for tests cannot hold five for each of them.
        let kafka = json!({"bootstrapServers": self.bootstrap});
        json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "metadata": {"name": NAME},
            "spec": {
                "version": VERSION, "database": {"external": database}, "kafka": {"external": kafka},
                "cache": {"external": {"urlSecretRef": {"name": "redis"}}},
            },
        })
    }
}

fn superuser(name: &str) -> String {
    format!("CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
}

fn secret(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
}
