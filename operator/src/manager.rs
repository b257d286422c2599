//! The running operator: its watches, controllers, ops port and part in the election, all of which must live.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, anyhow};
use axum::http::{HeaderValue, header::USER_AGENT};
use kube::{Client, Config, client::ClientBuilder};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::{JoinError, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    framework::{
        Cache, Context, Deadline, Gate, Phases, Queues, Receivers, Telemetry, TraceWrites, Uptime, attend_to_malformed,
        install_metrics, keep_vigil, run as run_controller, serve_ops, show_leading,
    },
    leader::{Candidate, Leadership},
    rounds,
    store::StoreReconciler,
    store_database::StoreDatabaseReconciler,
    store_service::StoreServiceReconciler,
    store_topic::StoreTopicReconciler,
};

/// How long reconciliations under way are let be when the operator ends.
const FINISH: Duration = Duration::from_secs(2);

/// How long after that the writes among them may take, while no other starts.
const LAST_WRITES: Duration = Duration::from_secs(4);

/// How long giving the lease back may take.
const RELEASE: Duration = Duration::from_secs(3);

/// How long to wait for threads that wait for a server themselves.
const THREADS: Duration = Duration::from_secs(1);

/// What the command line decides.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where health and metrics are served.
    pub(crate) ops_addr: SocketAddr,
    /// The one namespace to look after; all of them if none is given.
    pub(crate) namespace: Option<String>,
    /// How to take part in the election; without it this process leads at once.
    pub(crate) candidate: Option<Candidate>,
}

/// Runs the operator until SIGTERM or SIGINT, or until a part of it ends, which is an error.
///
/// Two worker threads are enough: the work is waiting for the API server.
pub(crate) fn run(settings: Settings, telemetry: &Telemetry) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let traces = {
        let _sends = runtime.enter();
        telemetry.start()?
    };
    let outcome = runtime.block_on(supervise(settings));
    // The next one leads already.
    if let Some(traces) = traces {
        traces.end();
    }
    runtime.shutdown_timeout(THREADS);
    outcome
}

async fn supervise(settings: Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut operator = Operator::start(settings).await?;
    let outcome = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = operator.first_end() => Err(why(ended)),
    };
    tracing::info!("stopping");
    operator.leave().await;
    outcome
}

type Parts = JoinSet<(&'static str, anyhow::Result<()>)>;

/// Everything that runs. No part ends before it is told to.
struct Operator {
    context: Context,
    phases: Phases,
    /// Ends the part in the election: the lease is given back.
    release: CancellationToken,
    controllers: Parts,
    leadership: Parts,
    /// Watches and the ops port, which live until the very end.
    others: Parts,
}

impl Operator {
    async fn start(settings: Settings) -> anyhow::Result<Self> {
        let figures = install_metrics().context("cannot start recording metrics")?;
        let uptime = Uptime::system();
        let gate = if settings.candidate.is_some() { Gate::closed(uptime.clone()) } else { Gate::open() };
        let client = client(&gate).await?;
        let (cache, watches) = Cache::filled_by(client.clone(), settings.namespace);
        let context = Context::new(client.clone(), cache, gate.clone());
        let (queues, receivers) = Queues::new();
        let mut operator = Self {
            context: context.clone(),
            phases: Phases::default(),
            release: CancellationToken::new(),
            controllers: JoinSet::new(),
            leadership: JoinSet::new(),
            others: JoinSet::new(),
        };
        for watch in watches(&context, &queues) {
            operator.others.spawn(async move {
                watch.await;
                ("a watch", Ok(()))
            });
        }
        let ops = serve_ops(settings.ops_addr, context, figures);
        operator.others.spawn(async move { ("the ops port", ops.await.context("cannot serve health and metrics")) });
        operator.start_controllers(receivers, queues);
        if let Some(candidate) = settings.candidate {
            operator.stand(Leadership::new(client, candidate, gate, uptime));
        } else {
            show_leading(true);
            operator.phases.lead.cancel();
        }
        Ok(operator)
    }

    fn start_controllers(&mut self, receivers: Receivers, queues: Queues) {
        let Receivers { stores, services, databases, topics } = receivers;
        macro_rules! controller {
            ($name:literal, $reconciler:expr, $queue:expr) => {
                let controller = run_controller($reconciler, self.context.clone(), $queue, self.phases.clone());
                self.controllers.spawn(async move {
                    controller.await;
                    ($name, Ok(()))
                });
            };
        }
        controller!("the Store controller", StoreReconciler, stores);
        controller!("the StoreService controller", StoreServiceReconciler, services);
        controller!("the StoreDatabase controller", StoreDatabaseReconciler, databases);
        controller!("the StoreTopic controller", StoreTopicReconciler, topics);
        let vigil = keep_vigil(self.context.clone(), queues.clone(), self.phases.clone());
        self.controllers.spawn(async move {
            vigil.await;
            ("the vigil", Ok(()))
        });
        let rounds = rounds::walk(self.context.clone(), queues, self.phases.clone());
        self.controllers.spawn(async move {
            rounds.await;
            ("the rounds", Ok(()))
        });
        let (context, Phases { lead, stop }) = (self.context.clone(), self.phases.clone());
        self.controllers.spawn(async move {
            let attend = async {
                lead.cancelled().await;
                attend_to_malformed(&context).await
            };
            tokio::select! { () = stop.cancelled() => {}, never = attend => match never {} }
            ("attending to malformed objects", Ok(()))
        });
    }

    /// Who leads must know everything, so only a complete cache stands for election.
    fn stand(&mut self, leadership: Leadership) {
        let (context, lead, release) = (self.context.clone(), self.phases.lead.clone(), self.release.clone());
        self.leadership.spawn(async move {
            tokio::select! {
                () = release.cancelled() => return ("the election", Ok(())),
                () = context.cache.wait_until_complete() => {}
            }
            ("the election", leadership.run(lead, release).await.map_err(anyhow::Error::new))
        });
    }

    async fn first_end(&mut self) -> Option<Ended> {
        tokio::select! {
            ended = self.leadership.join_next(), if !self.leadership.is_empty() => ended,
            ended = self.controllers.join_next() => ended,
            ended = self.others.join_next() => ended,
        }
    }

    /// Finishes what is under way, then lets the next one lead. Who cannot finish in time, or has lost the lease, just goes.
    async fn leave(mut self) {
        self.phases.stop.cancel();
        let gate = &self.context.gate;
        gate.leave();
        if gate.is_open() && timeout(FINISH, all(&mut self.controllers)).await.is_err() {
            gate.drain();
            tracing::info!("reconciliations are cut short");
            let last = async {
                tokio::select! { () = all(&mut self.controllers) => {}, () = gate.idle() => {} }
            };
            timeout(LAST_WRITES, last).await.ok();
        }
        let finished = gate.is_idle();
        self.controllers.shutdown().await;
        if finished {
            self.release.cancel();
            timeout(RELEASE, all(&mut self.leadership)).await.ok();
        } else {
            // Whoever is asked may still do it: the next one waits until the lease ends.
            tracing::warn!("a write has not been answered: the lease is not released and ends by itself");
        }
        self.leadership.shutdown().await;
        self.others.shutdown().await;
    }
}

async fn all(parts: &mut Parts) {
    while parts.join_next().await.is_some() {}
}

/// A client that the API server's audit log can tell from others, that waits for no answer without end, and that writes only
/// through the gate.
async fn client(gate: &Gate) -> anyhow::Result<Client> {
    let mut config = Config::infer()
        .await
        .context("cannot find the API server: there is neither a kubeconfig nor a service account")?;
    let agent = HeaderValue::from_static(concat!("greencommerce-operator/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    let client = ClientBuilder::try_from(config).context("cannot set up the connection to the API server")?;
    Ok(client.with_layer(&Deadline::STANDARD).with_layer(gate).with_layer(&TraceWrites).build())
}

type Ended = Result<(&'static str, anyhow::Result<()>), JoinError>;

fn why(ended: Option<Ended>) -> anyhow::Error {
    match ended {
        Some(Ok((part, Ok(())))) => anyhow!("{part} ended by itself"),
        Some(Ok((part, Err(error)))) => error.context(format!("{part} failed")),
        Some(Err(panic)) => anyhow::Error::new(panic).context("a part of the operator panicked"),
        None => anyhow!("nothing is running"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::framework::scenario::Scenario;

    type Story = Arc<Mutex<Vec<&'static str>>>;

    fn operator() -> (Operator, Story) {
        let (_, context, _) = Scenario::of(vec![]);
        let operator = Operator {
            context,
            phases: Phases::default(),
            release: CancellationToken::new(),
            controllers: JoinSet::new(),
            leadership: JoinSet::new(),
            others: JoinSet::new(),
        };
        (operator, Story::default())
    }

    impl Operator {
        /// A part in the election that tells when it gives the lease back.
        fn hold_lease(&mut self, story: &Story) {
            let (release, story) = (self.release.clone(), story.clone());
            self.leadership.spawn(async move {
                release.cancelled().await;
                story.lock().unwrap().push("lease released");
                ("the election", Ok(()))
            });
        }

        /// A controller that, told to stop, still has a write under way for this long.
        fn write_for(&mut self, time: Duration, story: &Story) {
            let (gate, stop, story) = (self.context.gate.clone(), self.phases.stop.clone(), story.clone());
            self.controllers.spawn(async move {
                let write = async {
                    stop.cancelled().await;
                    tokio::time::sleep(time).await;
                    story.lock().unwrap().push("last write");
                };
                gate.guard(write).await.unwrap();
                ("a controller", Ok(()))
            });
        }
    }

    #[tokio::test]
    async fn the_lease_is_given_back_after_the_last_write() {
        let (mut operator, story) = operator();
        operator.hold_lease(&story);
        operator.write_for(Duration::from_millis(50), &story);
        tokio::task::yield_now().await;
        operator.leave().await;
        assert_eq!(*story.lock().unwrap(), ["last write", "lease released"]);
    }

    #[tokio::test]
    async fn a_look_at_a_silent_server_holds_nobody_up() {
        let (mut operator, story) = operator();
        operator.hold_lease(&story);
        let gate = operator.context.gate.clone();
        operator.controllers.spawn(async move {
            gate.look(std::future::pending::<()>()).await.unwrap_err();
            ("a controller", Ok(()))
        });
        tokio::task::yield_now().await;
        let started = std::time::Instant::now();
        operator.leave().await;
        assert_eq!(*story.lock().unwrap(), ["lease released"]);
        assert!(started.elapsed() < FINISH / 4);
    }

    #[tokio::test]
    async fn a_reconciliation_that_only_waits_holds_nobody_up_for_long() {
        let (mut operator, story) = operator();
        operator.hold_lease(&story);
        operator.controllers.spawn(std::future::pending());
        let started = std::time::Instant::now();
        operator.leave().await;
        assert_eq!(*story.lock().unwrap(), ["lease released"]);
        assert!(started.elapsed() < FINISH + LAST_WRITES / 2);
    }

    #[tokio::test]
    async fn who_has_lost_the_lease_goes_at_once() {
        let (mut operator, story) = operator();
        operator.write_for(Duration::from_hours(1), &story);
        tokio::task::yield_now().await;
        operator.context.gate.close();
        let started = std::time::Instant::now();
        operator.leave().await;
        assert!(started.elapsed() < FINISH && story.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_part_that_ends_is_why_the_operator_ends() {
        let (mut operator, _) = operator();
        operator.controllers.spawn(std::future::pending());
        operator.others.spawn(async { ("a watch", Ok(())) });
        assert_eq!(why(operator.first_end().await).to_string(), "a watch ended by itself");
        operator.others.spawn(std::future::pending());
        operator.leadership.spawn(async { ("the election", Err(anyhow!("rival took the lease"))) });
        assert_eq!(why(operator.first_end().await).to_string(), "the election failed");
    }
}
