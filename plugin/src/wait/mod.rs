//! `wait`: until a store is as wanted.

mod judge;

use std::{pin::pin, time::Duration};

use api::Store;
use futures::TryStreamExt as _;
use kube::{
    ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::time::Instant;

use self::judge::{Judgement, judge};
use crate::{
    cli::{self, Goal, Patience},
    cluster::Cluster,
    duration::show,
    error::{Error, chain, explain},
    output,
};

/// How often a watch may fail in a row before that is the error: the API server may be away for a moment.
const FAILURES: usize = 5;

pub(crate) async fn run(cluster: &Cluster, options: &cli::Wait) -> Result<(), Error> {
    let name = match (&options.store, options.goal) {
        // It may be gone already.
        (Some(name), Goal::Gone) => name.clone(),
        (named, _) => cluster.store(named.as_deref()).await?.name_any(),
    };
    until(cluster, &name, options.goal, options.patience).await
}

/// Waits; prints a line whenever what it waits for changes.
pub(crate) async fn until(cluster: &Cluster, name: &str, goal: Goal, patience: Patience) -> Result<(), Error> {
    let begun = Instant::now();
    let mut last = Judgement::Waiting("the API server has not answered".to_owned());
    let waiting = watch(cluster, name, goal, patience.fail_fast, begun, &mut last);
    match tokio::time::timeout(patience.timeout, waiting).await {
        Ok(result) => result,
        Err(_) => Err(Error::failed(format!(
            "waited {} in vain for Store {}/{name} to be {}: {}",
            show(patience.timeout),
            cluster.namespace,
            word(goal),
            last.text(),
        ))),
    }
}

async fn watch(
    cluster: &Cluster,
    name: &str,
    goal: Goal,
    fail_fast: bool,
    begun: Instant,
    last: &mut Judgement,
) -> Result<(), Error> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = pin!(watcher(cluster.api::<Store>(), config).default_backoff());
    let mut failures = 0;
    let mut listed = false;
    loop {
        let store = match events.try_next().await {
            Ok(Some(watcher::Event::Init)) => {
                listed = false;
                continue;
            }
            Ok(Some(watcher::Event::InitApply(store) | watcher::Event::Apply(store))) => {
                listed = true;
                Some(store)
            }
            Ok(Some(watcher::Event::InitDone)) if listed => continue,
            Ok(Some(watcher::Event::InitDone | watcher::Event::Delete(_))) => None,
            Ok(None) => return Err(Error::failed("the watch on the store has ended: try again")),
            Err(error) if failures >= FAILURES || is_refused(&error) => return Err(unwatchable(cluster, name, &error)),
            Err(_) => {
                failures += 1;
                continue;
            }
        };
        failures = 0;
        let judgement = judge(store.as_ref(), goal);
        if judgement != *last {
            output::print(&format!("{:>6}  {}", show(begun.elapsed()), judgement.text()))?;
        }
        match &judgement {
            Judgement::Done(_) => return Ok(()),
            Judgement::Never(text) => return Err(never(cluster, name, goal, text)),
            Judgement::Stuck(text) if fail_fast => return Err(never(cluster, name, goal, text)),
            Judgement::Stuck(_) | Judgement::Waiting(_) => *last = judgement,
        }
    }
}

/// Whether trying again is of no use.
fn is_refused(error: &watcher::Error) -> bool {
    matches!(answer(error), Some(kube::Error::Api(answer)) if matches!(answer.code, 401 | 403 | 404))
}

fn unwatchable(cluster: &Cluster, name: &str, error: &watcher::Error) -> Error {
    let action = format!("watch Store {}/{name}", cluster.namespace);
    match answer(error) {
        Some(answer) => explain(&action, answer),
        None => Error::failed(format!("cannot {action}: {}", chain(error))),
    }
}

/// What the API server said to a list or a watch.
fn answer(error: &watcher::Error) -> Option<&kube::Error> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Some(error),
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => None,
    }
}

fn never(cluster: &Cluster, name: &str, goal: Goal, text: &str) -> Error {
    Error::failed(format!("Store {}/{name} will not be {}: {text}", cluster.namespace, word(goal)))
}

fn word(goal: Goal) -> &'static str {
    match goal {
        Goal::Ready => "ready",
        Goal::Upgraded => "upgraded",
        Goal::Suspended => "suspended",
        Goal::Gone => "gone",
    }
}

/// The same patience, less the time that has passed.
pub(crate) fn less(patience: Patience, passed: Duration) -> Patience {
    Patience { timeout: patience.timeout.saturating_sub(passed), ..patience }
}
