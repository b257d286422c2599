//! Lines as they come, of pods as they come.

use std::{collections::HashSet, pin::pin};

use futures::{
    AsyncBufReadExt as _, StreamExt as _,
    stream::{self, BoxStream, SelectAll},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{
    Api, ResourceExt as _,
    api::LogParams,
    runtime::{WatchStreamExt as _, watcher},
};

use super::{
    Selection,
    line::{is_error, shown},
    parameters, source,
};
use crate::{
    cli, clock,
    cluster::Cluster,
    error::{Error, cause, watch_cause},
    output,
};

/// A line and where it came from; or that no more come from there, and why.
type Line = (String, Result<String, String>);

pub(super) async fn run(cluster: &Cluster, selection: &Selection, options: &cli::Logs) -> Result<(), Error> {
    let begun = clock::now();
    let config = watcher::Config::default().labels(&selection.labels());
    let mut pods = pin!(watcher(cluster.api::<Pod>(), config).default_backoff().applied_objects());
    let mut followed = HashSet::new();
    let mut lines: SelectAll<BoxStream<'static, Line>> = SelectAll::new();
    loop {
        tokio::select! {
            pod = pods.next() => match pod {
                Some(Ok(pod)) if selection.wants(&pod) => {
                    for run in fresh(&pod, &mut followed) {
                        lines.push(read(cluster.api(), &pod, begins(run, begun, options)));
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => output::complain(&format!("cannot watch the pods: {}", watch_cause(&error))),
                None => return Ok(()),
            },
            Some((source, line)) = lines.next(), if !lines.is_empty() => match line {
                Ok(line) if options.errors && !is_error(&line) => {}
                Ok(line) => output::print(&format!("{source} {}", shown(&line, options.raw)))?,
                Err(why) => output::complain(&format!("{source}: {why}")),
            },
        }
    }
}

/// The containers of the pod that have started and are not followed yet; one that starts again is another.
fn fresh<'a>(pod: &'a Pod, followed: &mut HashSet<(String, String, i32)>) -> Vec<&'a ContainerStatus> {
    let uid = pod.uid().unwrap_or_default();
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let started = statuses.iter().filter(|status| started_at(status).is_some());
    started.filter(|status| followed.insert((uid.clone(), status.name.clone(), status.restart_count))).collect()
}

fn started_at(status: &ContainerStatus) -> Option<Timestamp> {
    let state = status.state.as_ref()?;
    let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
    let ended = state.terminated.as_ref().and_then(|ended| ended.started_at.as_ref());
    running.or(ended).map(|time| time.0)
}

/// A container that ran before is shown from where the user wants it, one that starts later from its start.
fn begins(status: &ContainerStatus, begun: Timestamp, options: &cli::Logs) -> LogParams {
    let wanted = parameters(status.name.clone(), options);
    let later = started_at(status).is_some_and(|started| started >= begun);
    let (since_seconds, tail_lines) = if later { (None, None) } else { (wanted.since_seconds, wanted.tail_lines) };
    LogParams { follow: true, since_seconds, tail_lines, ..wanted }
}

fn read(api: Api<Pod>, pod: &Pod, parameters: LogParams) -> BoxStream<'static, Line> {
    let (source, name) = (source(pod), pod.name_any());
    let opened = stream::once(async move { api.log_stream(&name, &parameters).await });
    let lines = opened.flat_map(|log| match log {
        Ok(log) => log.lines().map(|line| line.map_err(|error| format!("the log broke off: {error}"))).left_stream(),
        Err(error) => stream::iter([Err(format!("cannot read the log: {}", cause(&error)))]).right_stream(),
    });
    lines.map(move |line| (source.clone(), line)).boxed()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(restarts: i32, started: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "green-cart-0", "uid": "1"},
            "status": {"containerStatuses": [{
                "name": "service", "image": "", "imageID": "", "ready": true, "restartCount": restarts,
                "state": {"running": {"startedAt": started}},
            }]},
        }))
        .unwrap()
    }

    fn options() -> cli::Logs {
        cli::Logs {
            store: None,
            service: None,
            follow: true,
            since: None,
            tail: Some(5),
            errors: false,
            previous: false,
            raw: false,
        }
    }

    #[test]
    fn a_container_is_followed_once_until_it_starts_again() {
        let mut followed = HashSet::new();
        assert_eq!(fresh(&pod(0, "2026-01-01T00:00:00Z"), &mut followed).len(), 1);
        assert_eq!(fresh(&pod(0, "2026-01-01T00:00:00Z"), &mut followed).len(), 0);
        assert_eq!(fresh(&pod(1, "2026-01-01T00:00:09Z"), &mut followed).len(), 1);
        let mut waiting = pod(2, "2026-01-01T00:00:09Z");
        waiting.status.as_mut().unwrap().container_statuses.as_mut().unwrap()[0].state = None;
        assert_eq!(fresh(&waiting, &mut followed).len(), 0);
    }

    #[test]
    fn a_pod_that_starts_later_is_shown_from_its_start() {
        let begun = "2026-01-01T00:00:05Z".parse().unwrap();
        let tail = |started: &str| {
            let pod = pod(0, started);
            begins(fresh(&pod, &mut HashSet::new())[0], begun, &options()).tail_lines
        };
        assert_eq!(tail("2026-01-01T00:00:00Z"), Some(5));
        assert_eq!(tail("2026-01-01T00:00:06Z"), None);
    }
}
