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

pub(crate) use self::judge::{Judgement, judge};
use crate::{
    choose::choose,
    cli::{self, Goal, Patience},
    cluster::Cluster,
    duration::show,
    error::{Error, answer_to_watch, watch_cause},
    output,
};

/// How often a watch may fail in a row before that is the error: the API server may be away for a moment.
pub(crate) const FAILURES: usize = 5;

pub(crate) async fn run(cluster: &Cluster, options: &cli::Wait) -> Result<(), Error> {
    let Some(name) = wanted(cluster, options).await? else {
        let none = |_: &Option<Store>| format!("namespace {} has no Store", cluster.namespace);
        return output::print_as(options.output, &None, none);
    };
    let store = until(cluster, &name, options.goal, options.patience).await?;
    let sentence = |_: &Option<Store>| format!("Store {}/{name} is {}", cluster.namespace, word(options.goal));
    output::print_as(options.output, &store, sentence)
}

/// The store to wait for; `None` where there is none that could go.
async fn wanted(cluster: &Cluster, options: &cli::Wait) -> Result<Option<String>, Error> {
    match (&options.store, options.goal) {
        // It may be gone already.
        (Some(name), Goal::Gone) => Ok(Some(name.clone())),
        (None, Goal::Gone) => {
            let stores = cluster.store_names().await?;
            if stores.is_empty() { Ok(None) } else { choose(None, &stores, &cluster.namespace).map(Some) }
        }
        (named, _) => Ok(Some(cluster.store(named.as_deref()).await?.name_any())),
    }
}

/// Waits, and says on standard error whenever what it waits for changes. The store as it was at the end, unless it is gone.
pub(crate) async fn until(
    cluster: &Cluster,
    name: &str,
    goal: Goal,
    patience: Patience,
) -> Result<Option<Store>, Error> {
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
) -> Result<Option<Store>, Error> {
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
            output::progress(begun.elapsed(), judgement.text());
        }
        match judgement {
            Judgement::Done(_) => return Ok(store),
            hopeless if hopeless.is_hopeless(fail_fast) => return Err(never(cluster, name, goal, hopeless.text())),
            judgement => *last = judgement,
        }
    }
}

/// Whether trying again is of no use.
fn is_refused(error: &watcher::Error) -> bool {
    matches!(answer_to_watch(error), Some(kube::Error::Api(answer)) if matches!(answer.code, 401 | 403 | 404))
}

fn unwatchable(cluster: &Cluster, name: &str, error: &watcher::Error) -> Error {
    Error::failed(format!("cannot watch Store {}/{name}: {}", cluster.namespace, watch_cause(error)))
}

/// Says that it will not be, and why.
pub(crate) fn never(cluster: &Cluster, name: &str, goal: Goal, text: &str) -> Error {
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        cli::{Cli, Command},
        fake::{cluster, list},
        output::captured,
    };

    async fn wait(line: &str, stores: &[Value]) -> Result<(), Error> {
        let words = ["kubectl-greencommerce", "wait"].into_iter().chain(line.split_whitespace());
        let Command::Wait(options) = Cli::try_parse_from(words).unwrap().command else { panic!() };
        let path = "GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores?";
        run(&cluster(vec![(path, list("Store", stores))]).0, &options).await
    }

    fn ready(name: &str) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "shop", "generation": 1},
            "spec": {"version": "1.0.0"},
            "status": {"observedGeneration": 1, "conditions": [{
                "type": "Ready", "status": "True", "reason": "AllReady", "message": "so it is",
                "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        })
    }

    #[tokio::test]
    async fn where_no_store_is_the_only_one_is_gone() {
        wait("--for gone", &[]).await.unwrap();
        assert_eq!(wait("", &[]).await.unwrap_err().exit_code(), 2);
        let several = wait("--for gone", &[ready("blue"), ready("green")]).await.unwrap_err();
        assert_eq!(several.exit_code(), 2);
    }

    #[tokio::test]
    async fn a_document_is_the_store_at_the_end_and_progress_no_part_of_it() {
        wait("-o json", &[ready("green")]).await.unwrap();
        let printed: Value = serde_json::from_str(&captured::printed()).unwrap();
        assert_eq!(printed["metadata"]["name"], "green");
        assert!(captured::complained().contains("AllReady: so it is"));
        wait("green --for gone -o json", &[]).await.unwrap();
        assert_eq!(captured::printed(), "null\n");
    }
}
