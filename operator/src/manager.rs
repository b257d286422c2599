//! The running operator: its watches, controllers and ops port, all of which must live.

use std::net::SocketAddr;

use anyhow::{Context as _, anyhow};
use axum::http::{HeaderValue, header::USER_AGENT};
use kube::{Client, Config};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    framework::{Cache, Context, Queues, Receivers, install_metrics, run as run_controller, serve_ops},
    store::StoreReconciler,
    store_database::StoreDatabaseReconciler,
    store_service::StoreServiceReconciler,
    store_topic::StoreTopicReconciler,
};

/// What the command line decides.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where health and metrics are served.
    pub(crate) ops_addr: SocketAddr,
    /// The one namespace to look after; all of them if none is given.
    pub(crate) namespace: Option<String>,
}

/// Runs the operator until SIGTERM or SIGINT, or until a part of it ends, which is an error.
///
/// Two worker threads are enough: the work is waiting for the API server.
pub(crate) fn run(settings: Settings) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(supervise(settings))
}

async fn supervise(settings: Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let mut parts = start(settings, &stop).await?;
    let outcome = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = parts.join_next() => Err(why(ended)),
    };
    tracing::info!("stopping");
    stop.cancel();
    while parts.join_next().await.is_some() {}
    outcome
}

/// Starts every part. None of them ends before `stop`.
async fn start(
    settings: Settings,
    stop: &CancellationToken,
) -> anyhow::Result<JoinSet<(&'static str, anyhow::Result<()>)>> {
    let figures = install_metrics().context("cannot start recording metrics")?;
    let client = client().await?;
    let (cache, watches) = Cache::filled_by(client.clone(), settings.namespace);
    let context = Context::new(client, cache.clone());
    let (queues, Receivers { stores, services, databases, topics }) = Queues::new();
    let mut parts = JoinSet::new();
    for watch in watches(&context, &queues) {
        let stop = stop.clone();
        parts.spawn(async move {
            tokio::select! { () = stop.cancelled() => {}, () = watch => {} }
            ("a watch", Ok(()))
        });
    }
    let ops = serve_ops(settings.ops_addr, cache, figures, stop.clone());
    parts.spawn(async move { ("the ops port", ops.await.context("cannot serve health and metrics")) });
    macro_rules! controller {
        ($name:literal, $reconciler:expr, $queue:expr) => {
            let controller = run_controller($reconciler, context.clone(), $queue, stop.clone());
            parts.spawn(async move {
                controller.await;
                ($name, Ok(()))
            });
        };
    }
    controller!("the Store controller", StoreReconciler, stores);
    controller!("the StoreService controller", StoreServiceReconciler, services);
    controller!("the StoreDatabase controller", StoreDatabaseReconciler, databases);
    controller!("the StoreTopic controller", StoreTopicReconciler, topics);
    Ok(parts)
}

/// A client that the API server's audit log can tell from others.
async fn client() -> anyhow::Result<Client> {
    let mut config = Config::infer()
        .await
        .context("cannot find the API server: there is neither a kubeconfig nor a service account")?;
    let agent = HeaderValue::from_static(concat!("greencommerce-operator/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    Client::try_from(config).context("cannot set up the connection to the API server")
}

fn why(ended: Option<Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>>) -> anyhow::Error {
    match ended {
        Some(Ok((part, Ok(())))) => anyhow!("{part} ended by itself"),
        Some(Ok((part, Err(error)))) => error.context(format!("{part} failed")),
        Some(Err(panic)) => anyhow::Error::new(panic).context("a part of the operator panicked"),
        None => anyhow!("nothing is running"),
    }
}
