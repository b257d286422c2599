//! A load of so many requests a second, however long the answers take.

use std::{
    fmt,
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

use crate::{Report, Shop, report::Sent, unique};

/// Longer than this, a shopper has gone: it counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests under way at once. Beyond them a request is not sent, and counts as failed.
const IN_FLIGHT: usize = 500;

/// A request.
#[derive(Clone)]
pub struct Shot {
    shop: Shop,
    path: String,
    /// What is posted; nothing where it is only looked.
    body: Option<Value>,
    /// Whether whoever repeats it on the way does not repeat what it does.
    keyed: bool,
    /// Who wants to hear a success.
    heard: Option<Heard>,
}

type Heard = Arc<dyn Fn(&Value) + Send + Sync>;

/// A place in the mix: gives the request that is sent when its turn comes.
pub type Turn = Arc<dyn Fn() -> Shot + Send + Sync>;

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
    mix: Vec<Turn>,
    begun: Instant,
}

impl Shot {
    /// `GET path`, as whoever `shop` is.
    #[must_use]
    pub fn get(shop: &Shop, path: &str) -> Self {
        Self { shop: shop.clone(), path: path.to_owned(), body: None, keyed: false, heard: None }
    }

    /// `POST path`, each time under a key of its own, so that whoever repeats it on the way does not repeat what it does.
    #[must_use]
    pub fn post(shop: &Shop, path: &str, body: Value) -> Self {
        Self { keyed: true, ..Self::post_once(shop, path, body) }
    }

    /// `POST path`, which nobody may repeat on the way.
    #[must_use]
    pub fn post_once(shop: &Shop, path: &str, body: Value) -> Self {
        Self { body: Some(body), ..Self::get(shop, path) }
    }

    /// Tells `heard` what the answer is, if it is a success.
    #[must_use]
    pub fn then(self, heard: impl Fn(&Value) + Send + Sync + 'static) -> Self {
        Self { heard: Some(Arc::new(heard)), ..self }
    }

    /// The same each time.
    #[must_use]
    pub fn again(self) -> Turn {
        Arc::new(move || self.clone())
    }

    fn hear(&self, body: &[u8]) -> Result<(), String> {
        let Some(heard) = &self.heard else { return Ok(()) };
        let answer = serde_json::from_slice(body).map_err(|error| format!("a success that is no JSON: {error}"))?;
        heard(&answer);
        Ok(())
    }

    fn method(&self) -> Method {
        if self.body.is_some() { Method::POST } else { Method::GET }
    }
}

impl fmt::Debug for Shot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.path)
    }
}

impl Load {
    /// Starts sending `rate` requests a second, of each of the mix in turn, every other round over new connections.
    pub fn start(rate: u32, mix: Vec<Turn>) -> Result<Self> {
        let client = || reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        let (kept, fresh) = (client().build()?, client().pool_max_idle_per_host(0).build()?);
        let sender = Arc::new(Sender { kept, fresh, mix, begun: Instant::now() });
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
            let cause = format!("{IN_FLIGHT} requests are under way");
            report.count(Sent { at: sender.begun.elapsed(), failure: Some(cause), ..Sent::default() });
        }
    }
    let seconds = usize::try_from(sender.begun.elapsed().as_secs()).unwrap_or_default();
    report.promise(seconds * rate as usize);
    while let Some(done) = requests.join_next().await {
        count(&mut report, done);
    }
    report
}

fn count(report: &mut Report, done: Result<Sent, tokio::task::JoinError>) {
    report.count(done.unwrap_or_else(|error| Sent { failure: Some(error.to_string()), ..Sent::default() }));
}

impl Sender {
    async fn send(&self, number: usize) -> Sent {
        let shot = self.mix[number % self.mix.len()]();
        let new = (number / self.mix.len()) % 2 == 1;
        let (client, connection) = if new { (&self.fresh, "new") } else { (&self.kept, "kept") };
        let mut request = client.request(shot.method(), format!("{}{}", shot.shop.base(), shot.path));
        if let Some(body) = &shot.body {
            request = request.json(body);
        }
        if shot.keyed {
            request = request.header("idempotency-key", unique("load")).header("if-match", "*");
        }
        if let Some(token) = shot.shop.token() {
            request = request.bearer_auth(token);
        }
        let begun = Instant::now();
        // The client has a time-out of its own, which tells more; this one ends what that one would miss.
        let answer = timeout(PATIENCE * 2, answer(request)).await.unwrap_or_else(|_| Err("no end".to_owned()));
        let took = begun.elapsed();
        let failure = answer.and_then(|body| shot.hear(&body)).err();
        Sent { at: begun - self.begun, request: format!("{shot:?}"), connection, took, failure }
    }
}

/// The answer to a request, or what went wrong with it.
async fn answer(request: reqwest::RequestBuilder) -> Result<Vec<u8>, String> {
    let in_full = |error: reqwest::Error| format!("{:#}", anyhow::Error::from(error));
    let response = request.send().await.map_err(in_full)?;
    let status = response.status();
    let body = response.bytes().await.map_err(|error| format!("{status}, then {}", in_full(error)))?;
    if status.is_success() { Ok(body.to_vec()) } else { Err(format!("{status}: {}", String::from_utf8_lossy(&body))) }
}
