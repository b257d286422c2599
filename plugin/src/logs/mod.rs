//! `logs`: what the pods of a store say, as one stream.

mod follow;
mod line;

use api::label;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt as _,
    api::{ListParams, LogParams},
};

use self::line::{is_error, shown, stamped};
use crate::{
    choose::choose_service,
    cli,
    cluster::Cluster,
    error::{Error, cause, explain},
    output,
};

/// Logs that are read at the same time.
const AT_ONCE: usize = 8;

/// Whose logs are wanted.
struct Selection {
    store: String,
    /// A service or another part; every service if there is none.
    part: Option<String>,
}

pub(crate) async fn run(cluster: &Cluster, options: &cli::Logs) -> Result<(), Error> {
    let stores = cluster.store_names().await?;
    let named = (options.store.as_deref(), options.service.as_deref());
    let (store, part) = choose_service(named, &stores, &cluster.namespace)?;
    let selection = Selection { store, part };
    let pods = selection.pods(cluster).await?;
    if options.follow { follow::run(cluster, &selection, options).await } else { merged(cluster, &pods, options).await }
}

impl Selection {
    fn labels(&self) -> String {
        format!("{}={}", label::STORE, self.store)
    }

    /// With a service come its migrations: they tell why it does not start.
    fn wants(&self, pod: &Pod) -> bool {
        match &self.part {
            Some(part) => pod.labels().get(label::NAME) == Some(part),
            None => pod.labels().get(label::COMPONENT).is_some_and(|component| component == "service"),
        }
    }

    /// The pods there are; a part without any is most likely misspelt.
    async fn pods(&self, cluster: &Cluster) -> Result<Vec<Pod>, Error> {
        let list = cluster.api::<Pod>().list(&ListParams::default().labels(&self.labels())).await;
        let all = list.map_err(|error| explain(&format!("list the pods of Store {}", self.store), &error))?.items;
        let mut parts: Vec<String> = all.iter().filter_map(|pod| pod.labels().get(label::NAME).cloned()).collect();
        let wanted: Vec<Pod> = all.into_iter().filter(|pod| self.wants(pod)).collect();
        match &self.part {
            Some(part) if wanted.is_empty() => {
                parts.sort();
                parts.dedup();
                let known = if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
                Err(Error::usage(format!("Store {} has no pod of {part}; there are pods of: {known}", self.store)))
            }
            _ => Ok(wanted),
        }
    }
}

/// `service/pod`, which begins each of the pod's lines.
fn source(pod: &Pod) -> String {
    format!("{}/{}", pod.labels().get(label::NAME).map_or("-", String::as_str), pod.name_any())
}

/// Those of a pod that have a log: with `previous`, those that were started again.
fn containers(pod: &Pod, previous: bool) -> Vec<String> {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let restarted = |name: &str| statuses.iter().any(|status| status.name == name && status.restart_count > 0);
    let all = pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| container.name.clone());
    all.filter(|name| !previous || restarted(name)).collect()
}

fn parameters(container: String, options: &cli::Logs) -> LogParams {
    LogParams {
        container: Some(container),
        since_seconds: options.since.map(|since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
        tail_lines: options.tail,
        previous: options.previous,
        ..LogParams::default()
    }
}

/// Everything there is, in the order of time.
async fn merged(cluster: &Cluster, pods: &[Pod], options: &cli::Logs) -> Result<(), Error> {
    let api = cluster.api::<Pod>();
    let wanted = pods
        .iter()
        .flat_map(|pod| containers(pod, options.previous).into_iter().map(move |container| (pod, container)));
    let reads = wanted.map(|(pod, container)| {
        let parameters = LogParams { timestamps: true, ..parameters(container, options) };
        let api = api.clone();
        async move { (pod, api.logs(&pod.name_any(), &parameters).await) }
    });
    let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
    let mut lines = Vec::new();
    let (all, mut refused) = (read.len(), 0);
    for (pod, log) in read {
        match log {
            Ok(log) => lines.extend(log.lines().map(|line| (stamped(line).0, source(pod), stamped(line).1.to_owned()))),
            Err(error) => {
                refused += 1;
                output::complain(&format!("{}: cannot read the log: {}", source(pod), cause(&error)));
            }
        }
    }
    if all == 0 && options.previous {
        output::complain("no container was started again, so there are no logs of one before");
    }
    if all > 0 && refused == all {
        return Err(Error::failed("no log could be read"));
    }
    lines.sort_by_key(|(time, _, _)| *time);
    let kept = lines.iter().filter(|(_, _, text)| !options.errors || is_error(text));
    let kept: Vec<String> = kept.map(|(_, source, text)| format!("{source} {}", shown(text, options.raw))).collect();
    if kept.is_empty() { Ok(()) } else { output::print(&kept.join("\n")) }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::{
        cli::{Cli, Command},
        fake::{Answer, cluster, list},
        output::captured,
    };

    /// Logs of a store with a pod of `cart` and one of `orders`, of whose logs some may be read.
    async fn read(logs: Vec<Answer>) -> Result<(), Error> {
        read_with(&[], 1, logs).await
    }

    /// The same with options, where the container of `cart` was started again so often.
    async fn read_with(options: &[&str], restarts: i32, logs: Vec<Answer>) -> Result<(), Error> {
        let pod = |name: &str, service: &str| {
            let restarts = if service == "cart" { restarts } else { 0 };
            json!({
                "metadata": {"name": name, "labels": {
                    "app.kubernetes.io/name": service, "app.kubernetes.io/component": "service",
                }},
                "spec": {"containers": [{"name": "service"}]},
                "status": {"containerStatuses": [{
                    "name": "service", "image": "shop:1", "imageID": "", "ready": true, "restartCount": restarts,
                }]},
            })
        };
        let store = json!({"metadata": {"name": "green", "namespace": "shop"}, "spec": {"version": "1.0.0"}});
        let pods = list("Pod", &[pod("green-cart-0", "cart"), pod("green-orders-0", "orders")]);
        let mut answers = vec![
            ("GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores?", list("Store", &[store])),
            ("GET /api/v1/namespaces/shop/pods?", pods),
        ];
        answers.extend(logs);
        let line = ["kubectl-greencommerce", "logs"].into_iter().chain(options.iter().copied());
        let Command::Logs(options) = Cli::try_parse_from(line).unwrap().command else { panic!() };
        run(&cluster(answers).0, &options).await
    }

    #[tokio::test]
    async fn no_log_at_all_is_a_failure() {
        let error = read(vec![]).await.unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert_eq!(captured::complained().matches("cannot read the log: you may not (no)").count(), 2);
    }

    #[tokio::test]
    async fn some_logs_are_better_than_none() {
        let log = json!("2026-01-01T00:00:00Z hello\n");
        read(vec![("GET /api/v1/namespaces/shop/pods/green-cart-0/log?", log)]).await.unwrap();
        assert_eq!(captured::printed(), "cart/green-cart-0 hello\n");
        assert!(captured::complained().starts_with("orders/green-orders-0: cannot read the log: "));
    }

    #[tokio::test]
    async fn the_log_before_is_that_of_containers_that_were_started_again() {
        let log = (
            "GET /api/v1/namespaces/shop/pods/green-cart-0/log?&container=service&previous=true",
            json!("last words\n"),
        );
        read_with(&["--previous"], 2, vec![log]).await.unwrap();
        assert_eq!(captured::printed(), "cart/green-cart-0 last words\n");
        read_with(&["--previous"], 0, vec![]).await.unwrap();
        assert!(captured::complained().contains("no container was started again"));
    }
}
