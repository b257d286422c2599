//! A process: from its arguments to its end.

use std::{net::SocketAddr, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Check, Service, ops, server,
    telemetry::{self, TelemetryArgs, TelemetryError},
};

/// Where a process listens, what it logs, and how it ends.
#[derive(Debug, Clone, clap::Args)]
pub struct ProcessArgs {
    /// Logs.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,

    /// Address of the public HTTP interface
    #[arg(long, env = "HTTP_ADDR", default_value = "0.0.0.0:8080")]
    pub http_addr: SocketAddr,

    /// Address of the interface for other services
    #[arg(long, env = "GRPC_ADDR", default_value = "0.0.0.0:9090")]
    pub grpc_addr: SocketAddr,

    /// Address of probes and metrics
    #[arg(long, env = "OPS_ADDR", default_value = "0.0.0.0:9100")]
    pub ops_addr: SocketAddr,

    /// Seconds that requests under way are given when the process is asked to end
    #[arg(long, env = "SHUTDOWN_GRACE", default_value_t = 25)]
    pub shutdown_grace: u64,

    /// Seconds between being asked to end and refusing new connections, while readiness already fails
    #[arg(long, env = "DRAIN_DELAY", default_value_t = 0)]
    pub drain_delay: u64,
}

/// Why a service could not be made; each has causes of its own.
pub type BuildError = Box<dyn std::error::Error + Send + Sync>;

/// Why a process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Logs or metrics could not be set up.
    #[error("telemetry could not be set up")]
    Telemetry(#[source] TelemetryError),
    /// An address could not be listened on.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The signals of the system cannot be waited for.
    #[error("cannot wait for signals")]
    Signals(#[source] std::io::Error),
    /// A part of the service could not be made from its settings.
    #[error("the service could not be built")]
    Build(#[source] BuildError),
    /// Background work ended by itself.
    #[error("{0} ended by itself")]
    WorkerEnded(&'static str),
}

/// The life of a process: running, draining (not ready, still serving), stopping.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    draining: CancellationToken,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Lifecycle {
    /// A life that has just begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled once the process should get no more requests.
    #[must_use]
    pub const fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Cancelled once the process takes no more requests and finishes those it has.
    #[must_use]
    pub const fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// The tasks that are waited for at the end.
    #[must_use]
    pub const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Stops taking requests, after `delay` of failing readiness, and waits up to `grace` for what is under way.
    pub async fn stop(&self, delay: Duration, grace: Duration) {
        self.draining.cancel();
        tokio::time::sleep(delay).await;
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!("requests were cut off after the grace period");
        }
    }
}

/// What a process listens on for one service.
#[derive(Debug)]
pub struct Listeners {
    /// For the public HTTP interface.
    pub http: TcpListener,
    /// For other services.
    pub grpc: TcpListener,
}

/// The running services of a process.
#[derive(Debug)]
pub struct Running {
    life: Lifecycle,
    ended: mpsc::UnboundedReceiver<&'static str>,
    report_end: mpsc::UnboundedSender<&'static str>,
    /// Probes and metrics, which are served to the very end.
    ops: JoinSet<()>,
}

/// Runs one service until the process is asked to end (SIGTERM, SIGINT), then drains it.
///
/// `build` is called once logs work, so that what fails in it is logged like all else.
pub async fn run<F>(args: ProcessArgs, build: impl FnOnce() -> F) -> Result<(), StartError>
where
    F: Future<Output = Result<Service, BuildError>>,
{
    let metrics = telemetry::init(&args.telemetry).map_err(StartError::Telemetry)?;
    let service = build().await.map_err(StartError::Build)?;
    let listeners = Listeners { http: listen(args.http_addr).await?, grpc: listen(args.grpc_addr).await? };
    let mut running = Running::new(Lifecycle::new());
    running.observe(listen(args.ops_addr).await?, metrics, service.checks.clone());
    tracing::info!(service = service.name, address = %args.http_addr, "serving");
    running.serve(service, listeners);
    running.until_asked_to_end(&args).await
}

/// Listens on `address`.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| StartError::Listen(address, error))
}

impl Running {
    /// A process that runs nothing yet.
    #[must_use]
    pub fn new(life: Lifecycle) -> Self {
        let (report_end, ended) = mpsc::unbounded_channel();
        Self { life, ended, report_end, ops: JoinSet::new() }
    }

    /// Serves probes and metrics on `listener`, to the end of the process. It is ready while all of `checks` succeed.
    pub fn observe(&mut self, listener: TcpListener, metrics: PrometheusHandle, checks: Vec<Check>) {
        self.ops.spawn(ops::keep_up(metrics.clone(), ops::UPKEEP));
        let probes = ops::router(metrics, checks, self.life.clone());
        self.ops.spawn(server::serve_http(listener, probes, server::LINGER, CancellationToken::new()));
    }

    /// Runs `service` too.
    pub fn serve(&mut self, service: Service, listeners: Listeners) {
        let Service { name, http, linger, grpc, workers, checks: _ } = service;
        let tasks = &self.life.tasks;
        let stopping = &self.life.stopping;
        tasks.spawn(server::serve_http(listeners.http, http, linger, stopping.clone()));
        if let Some(routes) = grpc {
            let (ended, stop) = (self.report_end.clone(), stopping.clone());
            tasks.spawn(async move {
                if let Err(error) = server::serve_grpc(listeners.grpc, routes, stop).await {
                    tracing::error!(service = name, error = %telemetry::Chain(&error), "internal calls are not served");
                    ended.send("the gRPC server").ok();
                }
            });
        }
        for worker in workers {
            let (ended, stop) = (self.report_end.clone(), stopping.clone());
            tasks.spawn(async move {
                (worker.run)(stop.clone()).await;
                if !stop.is_cancelled() {
                    ended.send(worker.name).ok();
                }
            });
        }
    }

    /// Waits for SIGTERM or SIGINT, or for background work that ends by itself, then stops everything.
    pub async fn until_asked_to_end(mut self, args: &ProcessArgs) -> Result<(), StartError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
        let broken = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            worker = self.ended.recv() => worker,
        };
        tracing::info!("stopping");
        let delay = Duration::from_secs(args.drain_delay);
        self.life.stop(delay, Duration::from_secs(args.shutdown_grace)).await;
        broken.map_or(Ok(()), |worker| Err(StartError::WorkerEnded(worker)))
    }
}

/// Forgets what `database` may forget, once an hour.
pub(crate) async fn forget_every_hour(stop: CancellationToken, database: db::Database) {
    let mut hours = tokio::time::interval(Duration::from_hours(1));
    while stop.run_until_cancelled(hours.tick()).await.is_some() {
        if let Err(error) = db::forget_old(&database).await {
            tracing::warn!(error = %telemetry::Chain(&error), "old rows were not forgotten");
        }
    }
}
