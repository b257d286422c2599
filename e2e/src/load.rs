//! A load of so many requests a second, however long the answers take.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{Report, Shop, unique};

/// Longer than this, a shopper has gone: it counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests under way at once. Beyond them a request is not sent, and counts as failed.
const IN_FLIGHT: usize = 500;

/// A request of the mix.
#[derive(Debug, Clone)]
pub struct Shot {
    shop: Shop,
    path: String,
    /// What is posted; nothing where it is only looked.
    body: Option<Value>,
}

/// A load that runs until it is told to stop.
#[derive(Debug)]
pub struct Load {
    stop: watch::Sender<bool>,
    running: JoinSet<Report>,
}

/// One request, on a kept or on a new connection.
struct Sender {
    kept: reqwest::Client,
    fresh: reqwest::Client,
    shots: Vec<Shot>,
    begun: Instant,
}

impl Shot {
    /// `GET path`, as whoever `shop` is.
    #[must_use]
    pub fn get(shop: &Shop, path: &str) -> Self {
        Self { shop: shop.clone(), path: path.to_owned(), body: None }
    }

    /// `POST path`, each time under a key of its own, so that whoever repeats it on the way does not repeat what it does.
    #[must_use]
    pub fn post(shop: &Shop, path: &str, body: Value) -> Self {
        Self { body: Some(body), ..Self::get(shop, path) }
    }

    fn method(&self) -> Method {
        if self.body.is_some() { Method::POST } else { Method::GET }
    }
}

impl Load {
    /// Starts sending `rate` requests a second, of each of the mix in turn, every other round over new connections.
    pub fn start(rate: u32, mix: Vec<Shot>) -> Result<Self> {
        let client = || reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        let (kept, fresh) = (client().build()?, client().pool_max_idle_per_host(0).build()?);
        let sender = Arc::new(Sender { kept, fresh, shots: mix, begun: Instant::now() });
        let (stop, told) = watch::channel(false);
        let mut running = JoinSet::new();
        running.spawn(run(rate, sender, told));
        Ok(Self { stop, running })
    }

    /// Stops, waits for the last answers and tells how it went.
    pub async fn stop(mut self) -> Result<Report> {
        self.stop.send_replace(true);
        self.running.join_next().await.context("no load")?.context("the load broke off")
    }
}

async fn run(rate: u32, sender: Arc<Sender>, mut told: watch::Receiver<bool>) -> Report {
    let mut report = Report::default();
    let mut requests = JoinSet::new();
    let mut tick = interval(Duration::from_secs(1) / rate.max(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0.. {
        tokio::select! {
            _ = tick.tick() => {}
            _ = told.changed() => break,
        }
        while let Some(done) = requests.try_join_next() {
            count(&mut report, done);
        }
        if requests.len() < IN_FLIGHT {
            let sender = Arc::clone(&sender);
            requests.spawn(async move { sender.send(number).await });
        } else {
            report.count(
                sender.begun.elapsed(),
                "",
                Duration::ZERO,
                Some(format!("{IN_FLIGHT} requests are under way")),
            );
        }
    }
    let seconds = usize::try_from(sender.begun.elapsed().as_secs()).unwrap_or_default();
    report.promise(seconds * rate as usize);
    while let Some(done) = requests.join_next().await {
        count(&mut report, done);
    }
    report
}

/// When a request was sent, its line, how long it took, and what went wrong.
type Done = (Duration, String, Duration, Option<String>);

fn count(report: &mut Report, done: Result<Done, tokio::task::JoinError>) {
    match done {
        Ok((sent, line, took, failure)) => report.count(sent, &line, took, failure),
        Err(error) => report.count(Duration::ZERO, "", Duration::ZERO, Some(error.to_string())),
    }
}

impl Sender {
    async fn send(&self, number: usize) -> Done {
        let shot = &self.shots[number % self.shots.len()];
        let new = (number / self.shots.len()) % 2 == 1;
        let client = if new { &self.fresh } else { &self.kept };
        let (method, kind) = (shot.method(), if new { "new" } else { "kept" });
        let line = format!("{method} {} over a {kind} connection", shot.path);
        let mut request = client.request(method, format!("{}{}", shot.shop.base(), shot.path));
        if let Some(body) = &shot.body {
            request = request.header("idempotency-key", unique("load")).header("if-match", "*").json(body);
        }
        if let Some(token) = shot.shop.token() {
            request = request.bearer_auth(token);
        }
        let begun = Instant::now();
        // The client has a time-out of its own, which tells more; this one ends what that one would miss.
        let failure = timeout(PATIENCE * 2, answer(request)).await.unwrap_or_else(|_| Some("no end".to_owned()));
        (begun - self.begun, line, begun.elapsed(), failure)
    }
}

/// What went wrong with a request, if something did.
async fn answer(request: reqwest::RequestBuilder) -> Option<String> {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Some(format!("{:#}", anyhow::Error::from(error))),
    };
    let status = response.status();
    match response.text().await {
        Err(error) => Some(format!("{status}, then {:#}", anyhow::Error::from(error))),
        Ok(body) if !status.is_success() => Some(format!("{status}: {body}")),
        Ok(_) => None,
    }
}
