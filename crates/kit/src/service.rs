//! What a service hands over to be run.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{Clock, auth::Verifier, kafka::KafkaArgs, server};

/// A service, ready to be run: its routes, its internal calls, its background work, and what it cannot work without.
pub struct Service {
    pub(crate) name: &'static str,
    pub(crate) http: axum::Router,
    pub(crate) linger: Duration,
    pub(crate) grpc: Option<tonic::service::Routes>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) checks: Vec<Check>,
}

/// Work beside the requests. It runs until the token is cancelled; when it ends before, the process ends.
pub struct Worker {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnOnce(CancellationToken) -> BoxFuture<()> + Send>,
}

/// A hard dependency: the service is ready only while it answers.
#[derive(Clone)]
pub struct Check {
    pub(crate) name: &'static str,
    pub(crate) probe: Arc<dyn Fn() -> BoxFuture<Result<(), String>> + Send + Sync>,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a service gets from the process it runs in.
#[derive(Clone)]
pub struct Platform {
    /// The time.
    pub clock: Clock,
    /// Checks access tokens.
    pub verifier: Verifier,
}

/// Settings that every service but the gateway shares.
#[derive(Debug, Clone, clap::Args)]
pub struct PlatformArgs {
    /// Kafka.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// Currency of every price, by its ISO 4217 code
    #[arg(long, env = "STORE_CURRENCY", default_value = "NGN")]
    pub store_currency: types::Currency,
}

impl Service {
    /// A service that serves `http` under its own paths.
    #[must_use]
    pub fn new(name: &'static str, http: axum::Router) -> Self {
        Self { name, http, linger: server::LINGER, grpc: None, workers: Vec::new(), checks: Vec::new() }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it cannot work without.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Keeps idle HTTP connections for so long after it was asked to end: the longest that clients, which nothing else tells
    /// of the end, may let one rest between two requests and not meet a connection that closes. 1.5 s when not said, enough
    /// for the gateway.
    #[must_use]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Serves internal calls too.
    #[must_use]
    pub fn grpc(mut self, routes: tonic::service::Routes) -> Self {
        self.grpc = Some(routes);
        self
    }

    /// Does `run` beside the requests, until the token is cancelled.
    #[must_use]
    pub fn worker<F, R>(mut self, name: &'static str, run: R) -> Self
    where
        R: FnOnce(CancellationToken) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.workers.push(Worker { name, run: Box::new(move |stop| Box::pin(run(stop))) });
        self
    }

    /// Is ready only while `probe` succeeds.
    #[must_use]
    pub fn check<F, P>(mut self, name: &'static str, probe: P) -> Self
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push(Check { name, probe: Arc::new(move || Box::pin(probe())) });
        self
    }

    /// Is ready only while `database` answers, and forgets there what may be forgotten.
    #[must_use]
    pub fn database(self, database: &db::Database) -> Self {
        let (probed, tidied) = (database.clone(), database.clone());
        self.check("postgres", move || {
            let database = probed.clone();
            async move { database.ping().await.map_err(|error| error.to_string()) }
        })
        .worker("retention", move |stop| crate::process::forget_every_hour(stop, tidied))
    }
}
