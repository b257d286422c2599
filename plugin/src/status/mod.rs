//! `status`: how a store is, and what keeps it from being ready.

mod events;
mod gather;
mod render;
#[cfg(test)]
mod tests;
mod view;

use std::{fmt::Debug, future::ready, pin::pin, time::Duration};

use api::{Store, StoreDatabase, StoreService, StoreTopic, label};
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use kube::{
    Resource, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};

pub(crate) use self::{
    events::Belongs,
    gather::{Gathered, gather},
    render::render,
    view::{Cause, rotation, verdict, view},
};
use crate::{
    cli, clock,
    cluster::Cluster,
    error::{Error, watch_cause},
    output::{self, Format},
};

/// Changes that come within this time are shown together.
const TOGETHER: Duration = Duration::from_millis(500);

/// Prints the status once, or again and again.
pub(crate) async fn run(cluster: &Cluster, options: &cli::Status) -> Result<(), Error> {
    let store = cluster.store(options.store.as_deref()).await?;
    let name = store.name_any();
    let mut shown = show(cluster, store, options.output, None).await?;
    if !options.watch {
        return Ok(());
    }
    let mut changes = pin!(changes(cluster, &name));
    while changes.next().await.is_some() {
        tokio::time::sleep(TOGETHER).await;
        while let Some(Some(())) = changes.next().now_or_never() {}
        let store = cluster.store(Some(&name)).await?;
        shown = show(cluster, store, options.output, Some(shown)).await?;
    }
    Ok(())
}

/// Prints the status, unless it is the one that was shown before but for the ages in it. Returns what was shown.
async fn show(
    cluster: &Cluster,
    store: Store,
    format: Format,
    before: Option<view::View>,
) -> Result<view::View, Error> {
    let now = clock::now();
    // It holds much while it waits.
    let view = view(&Box::pin(gather(cluster, store)).await, now);
    if before.as_ref() == Some(&view) {
        return Ok(view);
    }
    if before.is_some() && format == Format::Table {
        output::print(&format!("\n--- {now:.0}\n"))?;
    }
    output::print_as(format, &view, |view| render(view, now))?;
    Ok(view)
}

/// Something for each change of the store or of one of its parts.
fn changes(cluster: &Cluster, store: &str) -> impl Stream<Item = ()> {
    let of_store = watcher::Config::default().labels(&format!("{}={store}", label::STORE));
    let itself = watcher::Config::default().fields(&format!("metadata.name={store}"));
    stream::select_all([
        watch::<Store>(cluster, itself),
        watch::<StoreDatabase>(cluster, of_store.clone()),
        // Services that users add carry no label.
        watch::<StoreService>(cluster, watcher::Config::default()),
        watch::<StoreTopic>(cluster, of_store),
    ])
}

fn watch<K>(cluster: &Cluster, config: watcher::Config) -> stream::BoxStream<'static, ()>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Clone + Debug + Send + 'static,
{
    // That something changed is enough, so that an object that makes no sense does not end the watch.
    let events = watcher(cluster.api::<PartialObjectMeta<K>>(), config).default_backoff().touched_objects();
    let mut told = None;
    // What may not be watched is shown when something else changes.
    let changes = events.filter_map(move |change| {
        let failure = change.err().map(|error| format!("cannot watch the {}: {}", K::plural(&()), watch_cause(&error)));
        // It is tried again and again, and told once.
        if let Some(text) = failure.as_ref().filter(|_| told != failure) {
            output::complain(text);
        }
        let changed = failure.is_none().then_some(());
        told = failure;
        ready(changed)
    });
    changes.boxed()
}
