//! What a whole Store costs in memory.

use std::time::Duration;

use anyhow::Result;
use futures::StreamExt as _;
use kubekit::{Cluster, Launch, Space};
use serde_json::json;

use crate::{own_server::OwnServer, process, setup::program};

/// Port of the database server, or the next free one.
const PORT: u16 = 26100;
/// Stores there are when memory is taken for the first time.
pub(crate) const FEW: u16 = 8;
/// Stores that come up at the same time.
const TOGETHER: usize = 4;
/// So long without a write is rest: the brokers here never get ready, so nothing else is waited for.
const QUIET: Duration = Duration::from_secs(3);

/// What the operator holds with few stores and with all, in KiB of resident memory. The first make it load its code and fill
/// its buffers, which no other store does again.
pub(crate) struct Memory {
    pub(crate) few: u64,
    pub(crate) full: u64,
    /// Objects of one store, itself included.
    pub(crate) objects: usize,
}

/// Brings up stores with every service, each in a namespace of its own and all on one database server. An operator of all
/// namespaces looks after them.
pub(crate) async fn measure(cluster: &Cluster, stores: u16) -> Result<Memory> {
    let operator = Launch::new(program()).start(cluster);
    operator.ready().await;
    let server = tokio::task::spawn_blocking(|| OwnServer::start("bench", PORT)).await?;
    let spaces = bring_up(cluster, &server, FEW).await;
    let few = process::memory(operator.pid())?;
    bring_up(cluster, &server, stores - FEW).await;
    let full = process::memory(operator.pid())?;
    let objects = match spaces.first() {
        Some(space) => space.state().await.names().count(),
        None => 0,
    };
    Ok(Memory { few, full, objects })
}

/// So many stores more, until nothing happens any more.
async fn bring_up<'a>(cluster: &'a Cluster, server: &OwnServer, number: u16) -> Vec<Space<'a>> {
    let store = async |_| {
        let space = cluster.space().await;
        open(&space, server).await;
        space
    };
    let spaces: Vec<Space<'_>> = futures::stream::iter(0..number).map(store).buffer_unordered(TOGETHER).collect().await;
    come_to_rest(&spaces).await;
    spaces
}

async fn open(space: &Space<'_>, server: &OwnServer) {
    let login = json!({"username": "postgres", "password": "postgres"});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "administrator"}, "stringData": login,
    });
    space.apply(&secret).await;
    let port = server.postgres.port();
    let external = json!({
        "host": "127.0.0.1", "port": port, "adminSecretRef": {"name": "administrator"},
        "databasePrefix": format!("{}_", space.identifier()),
    });
    let spec = json!({
        "version": "1.0.0", "database": {"external": external},
        "kafka": {"managed": {"image": "registry.example/kafka:broken"}},
    });
    let store = json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "metadata": {"name": "shop"}, "spec": spec,
    });
    space.apply(&store).await;
    space.until_it_says("Store", "shop", "Upgraded", true).await;
}

/// Returns once nothing is written about any of them.
async fn come_to_rest(spaces: &[Space<'_>]) {
    let count = || spaces.iter().map(Space::count_writes).sum::<usize>();
    let mut writes = count();
    loop {
        tokio::time::sleep(QUIET).await;
        let now = count();
        if std::mem::replace(&mut writes, now) == now {
            return;
        }
    }
}
