//! Whether it is so when a store, or a part of one, says that it is ready, or that it has been upgraded: `kubectl wait`
//! believes it.

mod looked;
mod truth;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, interval, timeout},
};

pub use self::looked::Looked;
use self::truth::{Doubt, Scene};
use crate::{DEPLOYMENTS, STATEFUL_SETS, STORE_DATABASES, STORE_SERVICES, STORE_TOPICS, STORES, Store};

/// How often the conditions are looked at.
const SAMPLE: Duration = Duration::from_millis(100);
/// How long a look may take that sees what is so.
const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody who looks at a store ten times a second, at its parts, and at the workloads behind them. What is said at a present
/// generation has to be so.
#[derive(Debug)]
pub struct Lies {
    stop: watch::Sender<bool>,
    told: JoinSet<Result<Looked>>,
    /// What `Ready` was at the last look that saw it said.
    ready: watch::Receiver<Option<bool>>,
}

impl Lies {
    /// Starts looking. The store need not be there yet.
    #[must_use]
    pub fn watch_for(store: &Store) -> Self {
        let ((stop, end), (seen, ready)) = (watch::channel(false), watch::channel(None));
        let mut told = JoinSet::new();
        told.spawn(look(store.clone(), end, seen));
        Self { stop, told, ready }
    }

    /// Waits until it has been seen that the store is ready: what comes next may leave it so for less than a look takes.
    pub async fn sees_it_ready(&self) -> Result<()> {
        let mut ready = self.ready.clone();
        let seen = timeout(PATIENCE, ready.wait_for(|ready| *ready == Some(true))).await;
        seen.context("the store was not seen ready in time")?.context("nobody looks any more")?;
        Ok(())
    }

    /// What was seen up to now. Who looked is gone then.
    pub async fn told(mut self) -> Result<Looked> {
        self.stop.send_replace(true);
        self.told.join_next().await.context("nobody looked")?.context("the looking broke off")?
    }
}

async fn look(store: Store, mut end: watch::Receiver<bool>, seen: watch::Sender<Option<bool>>) -> Result<Looked> {
    let (mut looked, mut before, mut is_last) = (Looked::default(), BTreeSet::new(), false);
    let (mut clock, begun) = (interval(SAMPLE), Instant::now());
    // What is so when it ends is looked at too.
    while !is_last {
        tokio::select! {
            _ = end.changed() => is_last = true,
            _ = clock.tick() => {}
        }
        let scene = scene(&store).await?;
        looked.note(&scene);
        seen.send_replace(looked.last_ready());
        let doubts = that_stand(&store, scene).await?;
        let lies = doubts.iter().filter(|doubt| doubt.sure || before.contains(&doubt.of));
        looked.lies.extend(lies.map(|doubt| doubt.truth.clone()));
        before = doubts.into_iter().map(|doubt| doubt.of).collect();
    }
    Ok(looked.for_so_long(begun.elapsed()))
}

/// First those who say something, then what it is about.
async fn scene(store: &Store) -> Result<Scene> {
    let (space, speakers) = (store.space(), speakers(store).await?);
    let (deployments, servers) = tokio::try_join!(space.list(DEPLOYMENTS), space.list(STATEFUL_SETS))?;
    Ok(Scene { deployments, servers, ..speakers })
}

/// A store and its parts.
async fn speakers(store: &Store) -> Result<Scene> {
    let space = store.space();
    let (seen, services, databases, topics) = tokio::try_join!(
        space.find(STORES, store.name()),
        space.list(STORE_SERVICES),
        space.list(STORE_DATABASES),
        space.list(STORE_TOPICS),
    )?;
    let Some(store) = seen else { return Ok(Scene::default()) };
    let is_ours = |part: &Value| part["metadata"]["ownerReferences"][0]["uid"] == store["metadata"]["uid"];
    let [services, databases, topics] =
        [services, databases, topics].map(|parts| parts.into_iter().filter(|part| is_ours(part)).collect());
    Ok(Scene { store, services, databases, topics, ..Scene::default() })
}

/// What was said counts only if it still is, in the same words, after everything was looked at: somebody may have changed
/// their mind in between.
async fn that_stand(store: &Store, scene: Scene) -> Result<Vec<Doubt>> {
    let mut doubts = scene.doubts();
    if !doubts.is_empty() {
        let Scene { deployments, servers, .. } = scene;
        let later = Scene { deployments, servers, ..speakers(store).await? }.doubts();
        doubts.retain(|doubt| doubt.stands(&later));
    }
    Ok(doubts)
}
