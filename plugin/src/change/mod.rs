//! `suspend`, `resume`, `rollback`, `rotate`: each one patch of the Store.

mod rollback;
mod rotate;
#[cfg(test)]
mod tests;

use api::Store;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use self::rollback::Plan;
use crate::{
    cli::{self, Common, Goal},
    clock,
    cluster::Cluster,
    error::{Error, explain},
    output::{self, Format},
    wait,
};

/// The field manager of what this program writes.
const MANAGER: &str = "kubectl-greencommerce";
const NEW_PASSWORDS: &str = "gets new database passwords";
/// Asks the operator for new database passwords; its value is the time of the wish.
const ANNOTATION_ROTATE: &str = "greencommerce.dev/rotate";

pub(crate) async fn suspend(cluster: &Cluster, options: &cli::Change) -> Result<(), Error> {
    set_suspend(cluster, options, true).await
}

pub(crate) async fn resume(cluster: &Cluster, options: &cli::Change) -> Result<(), Error> {
    set_suspend(cluster, options, false).await
}

async fn set_suspend(cluster: &Cluster, options: &cli::Change, suspend: bool) -> Result<(), Error> {
    let store = cluster.store(options.store.as_deref()).await?;
    let name = store.name_any();
    let (done, held, goal) = if suspend {
        ("goes to sleep: all data is kept", "sleeps already, or is about to", Goal::Suspended)
    } else {
        ("wakes up", "is not suspended", Goal::Ready)
    };
    if store.spec.suspend == suspend {
        return finish(cluster, &options.common, store, held, goal).await;
    }
    let changed = patch(cluster, &name, &json!({"spec": {"suspend": suspend}})).await?;
    finish(cluster, &options.common, changed, done, goal).await
}

pub(crate) async fn rollback(cluster: &Cluster, options: &cli::Rollback) -> Result<(), Error> {
    let store = cluster.store(options.store.as_deref()).await?;
    let name = store.name_any();
    let Plan { from, to, patch: change } = rollback::plan(&store, options.to.as_deref())?;
    let way = format!("from {from} to {to}");
    if !options.yes {
        let question = format!("Roll Store {}/{name} back {way}?", cluster.namespace);
        if !output::confirm(&question)? {
            return Err(Error::failed("nothing was changed"));
        }
        // The answer was about what was shown.
        let now = cluster.store(Some(&name)).await?;
        if now.metadata.uid != store.metadata.uid || now.metadata.generation != store.metadata.generation {
            return Err(Error::failed("the store was changed meanwhile, so nothing was done: try again"));
        }
    }
    let changed = patch(cluster, &name, &change).await?;
    finish(cluster, &options.common, changed, &format!("goes back {way}"), Goal::Ready).await
}

pub(crate) async fn rotate(cluster: &Cluster, options: &cli::Change) -> Result<(), Error> {
    let store = cluster.store(options.store.as_deref()).await?;
    let name = store.name_any();
    let common = &options.common;
    let before = if common.wait { Some(rotate::look(cluster, &name).await?) } else { None };
    // Two wishes of the same second are two.
    let wish = format!("{:.3}", clock::now());
    let change = json!({"metadata": {"annotations": {ANNOTATION_ROTATE: wish}}});
    let changed = patch(cluster, &name, &change).await?;
    let Some(before) = before else {
        return finish(cluster, common, changed, NEW_PASSWORDS, Goal::Ready).await;
    };
    say(cluster, common, &changed, NEW_PASSWORDS)?;
    for note in &before.unreadable {
        output::complain(&format!("not waited for: {note}"));
    }
    let took = rotate::until_rolled(cluster, &name, &before, common.patience).await?;
    let store = wait::until(cluster, &name, Goal::Ready, wait::less(common.patience, took)).await?;
    show(common, &store.unwrap_or(changed))
}

async fn patch(cluster: &Cluster, name: &str, change: &Value) -> Result<Store, Error> {
    let api: Api<Store> = cluster.api();
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let changed = api.patch(name, &params, &Patch::Merge(change)).await;
    changed.map_err(|error| explain(&format!("change Store {}/{name}", cluster.namespace), &error))
}

/// Tells what was done, waits if that was asked for, and shows the Store as it is then.
async fn finish(cluster: &Cluster, options: &Common, changed: Store, what: &str, goal: Goal) -> Result<(), Error> {
    say(cluster, options, &changed, what)?;
    if !options.wait {
        return show(options, &changed);
    }
    let store = wait::until(cluster, &changed.name_any(), goal, options.patience).await?;
    show(options, &store.unwrap_or(changed))
}

/// For people, who want to know at once.
fn say(cluster: &Cluster, options: &Common, store: &Store, what: &str) -> Result<(), Error> {
    match options.output {
        Format::Table => output::print(&format!("Store {}/{} {what}", cluster.namespace, store.name_any())),
        Format::Json | Format::Yaml => Ok(()),
    }
}

/// For programs, which want one document.
fn show(options: &Common, store: &Store) -> Result<(), Error> {
    match options.output {
        Format::Table => Ok(()),
        format => output::print_as(format, store, |_| String::new()),
    }
}
