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

fn containers(pod: &Pod) -> Vec<String> {
    pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| container.name.clone()).collect()
}

fn parameters(container: String, options: &cli::Logs) -> LogParams {
    LogParams {
        container: Some(container),
        since_seconds: options.since.map(|since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
        tail_lines: options.tail,
        ..LogParams::default()
    }
}

/// Everything there is, in the order of time.
async fn merged(cluster: &Cluster, pods: &[Pod], options: &cli::Logs) -> Result<(), Error> {
    let api = cluster.api::<Pod>();
    let wanted = pods.iter().flat_map(|pod| containers(pod).into_iter().map(move |container| (pod, container)));
    let reads = wanted.map(|(pod, container)| {
        let parameters = LogParams { timestamps: true, ..parameters(container, options) };
        let api = api.clone();
        async move { (pod, api.logs(&pod.name_any(), &parameters).await) }
    });
    let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
    let mut lines = Vec::new();
    for (pod, log) in read {
        match log {
            Ok(log) => lines.extend(log.lines().map(|line| (stamped(line).0, source(pod), stamped(line).1.to_owned()))),
            Err(error) => output::complain(&format!("{}: cannot read the log: {}", source(pod), cause(&error))),
        }
    }
    lines.sort_by_key(|(time, _, _)| *time);
    let kept = lines.iter().filter(|(_, _, text)| !options.errors || is_error(text));
    let kept: Vec<String> = kept.map(|(_, source, text)| format!("{source} {}", shown(text, options.raw))).collect();
    if kept.is_empty() { Ok(()) } else { output::print(&kept.join("\n")) }
}
