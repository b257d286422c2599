//! Only the leader writes: every mutating call passes this gate, which is open as long as the lease surely is ours.
//!
//! It is asked each time such a call gets on, not only when it starts. So a process that was stopped in the middle of one,
//! for longer than its lease, does not finish it when it wakes. Of a talk with a server outside, each statement that changes
//! something there is such a call, and the rest is none.

use std::{
    future::{Future, poll_fn, ready},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use api::Reason;
use axum::http::Request;
use kube::client::Body;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tower::{BoxError, Layer, Service};

use super::{ReconcileError, Retry, uptime::Uptime};

/// What decides about the gate is decided by calls that cannot wait for it.
const LEASES: &str = "/apis/coordination.k8s.io/";

const ALWAYS: u64 = u64::MAX;

/// This process may not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process does not hold the lease, and only the leader writes")]
pub struct NotLeading;

impl ReconcileError for NotLeading {
    fn reason(&self) -> Reason {
        Reason::ApplyFailed
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Whether this process may write, for everyone who does.
#[derive(Clone)]
pub struct Gate(Arc<State>);

struct State {
    uptime: Uptime,
    /// Uptime in milliseconds.
    open_until: AtomicU64,
    draining: AtomicBool,
    /// This process is about to go.
    leaving: CancellationToken,
    /// The writes under way.
    writes: TaskTracker,
}

impl Gate {
    /// A gate that nothing closes by itself: for a process without a rival.
    #[must_use]
    pub fn open() -> Self {
        let gate = Self::closed(Uptime::system());
        gate.0.open_until.store(ALWAYS, Ordering::Release);
        gate
    }

    /// A gate that opens with the lease.
    pub(crate) fn closed(uptime: Uptime) -> Self {
        let writes = TaskTracker::new();
        writes.close();
        let (open_until, draining) = (AtomicU64::new(0), AtomicBool::new(false));
        let leaving = CancellationToken::new();
        Self(Arc::new(State { uptime, open_until, draining, leaving, writes }))
    }

    /// Opens it until a time of the machine's uptime.
    pub(crate) fn open_until(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(ALWAYS);
        self.0.open_until.store(millis, Ordering::Release);
    }

    /// Closes it, also to the writes under way.
    pub(crate) fn close(&self) {
        self.0.open_until.store(0, Ordering::Release);
    }

    /// Tells those who only look that this process is about to go.
    pub(crate) fn leave(&self) {
        self.0.leaving.cancel();
    }

    /// Whether this process is about to go.
    pub(crate) fn is_leaving(&self) -> bool {
        self.0.leaving.is_cancelled()
    }

    /// Lets nothing new in.
    pub(crate) fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Returns once no write is under way.
    pub(crate) async fn idle(&self) {
        self.0.writes.wait().await;
    }

    /// Whether no write is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.writes.is_empty()
    }

    /// Whether a write may start.
    pub(crate) fn is_open(&self) -> bool {
        self.holds() && !self.0.draining.load(Ordering::Acquire)
    }

    /// Does `work`, which writes somewhere, as long as this process may.
    pub(crate) async fn guard<F: Future>(&self, work: F) -> Result<F::Output, NotLeading> {
        let write = self.enter()?;
        self.finish(write, work).await
    }

    /// Does `look`, which changes nothing but what it guards itself, until this process is about to go and nothing is being
    /// changed.
    pub(crate) async fn look<F: Future>(&self, look: F) -> Result<F::Output, NotLeading> {
        let end = async {
            self.0.leaving.cancelled().await;
            // What has been let in since somebody was told that there is nothing counts too.
            while !self.is_idle() {
                self.idle().await;
            }
        };
        tokio::select! { biased; output = look => Ok(output), () = end => Err(NotLeading) }
    }

    /// Whether what has been let in may go on.
    fn holds(&self) -> bool {
        let open_until = self.0.open_until.load(Ordering::Acquire);
        open_until == ALWAYS || self.0.uptime.now() < Duration::from_millis(open_until)
    }

    fn enter(&self) -> Result<TaskTrackerToken, NotLeading> {
        let write = self.0.writes.token();
        if self.is_open() { Ok(write) } else { Err(NotLeading) }
    }

    async fn finish<F: Future>(&self, _write: TaskTrackerToken, work: F) -> Result<F::Output, NotLeading> {
        let mut work = pin!(work);
        poll_fn(|context| if self.holds() { work.as_mut().poll(context).map(Ok) } else { Poll::Ready(Err(NotLeading)) })
            .await
    }
}

/// As a layer of the API client it refuses what is not a read, but for the lease itself.
impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: self.clone(), inner }
    }
}

/// A connection to the API server that writes only for the leader.
pub struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Error: Into<BoxError>, Future: Send + 'static>,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.method().is_safe() || request.uri().path().starts_with(LEASES) {
            let answer = self.inner.call(request);
            return Box::pin(async { answer.await.map_err(Into::into) });
        }
        let write = match self.gate.enter() {
            Ok(write) => write,
            Err(refused) => return Box::pin(ready(Err(refused.into()))),
        };
        let (gate, answer) = (self.gate.clone(), self.inner.call(request));
        Box::pin(async move { gate.finish(write, answer).await?.map_err(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::http::Response;
    use k8s_openapi::api::{coordination::v1::Lease, core::v1::ConfigMap};
    use kube::{
        Api, Client,
        api::{DeleteParams, Patch, PatchParams, PostParams},
        client::ClientBuilder,
    };
    use serde_json::json;
    use tokio::sync::Notify;

    use super::*;
    use crate::framework::{chain, uptime::fake::Hands};

    const TERM: Duration = Duration::from_secs(7);

    /// A client whose server notes what reaches it and answers everything alike.
    fn client(gate: &Gate) -> (Client, Arc<Mutex<Vec<String>>>) {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let noting = calls.clone();
        let server = tower::service_fn(move |request: Request<Body>| {
            noting.lock().unwrap().push(request.method().to_string());
            let answer = json!({"metadata": {"name": "x"}}).to_string();
            ready(Ok::<_, BoxError>(Response::new(Body::from(answer.into_bytes()))))
        });
        (ClientBuilder::new(server, "shop").with_layer(gate).build(), calls)
    }

    #[tokio::test]
    async fn without_a_lease_everything_is_read_and_nothing_is_written() {
        let gate = Gate::closed(Hands::default().clock());
        let (client, calls) = client(&gate);
        let api: Api<ConfigMap> = Api::namespaced(client, "shop");
        api.get("x").await.unwrap();
        let patch = Patch::Merge(json!({}));
        let refusals = [
            api.create(&PostParams::default(), &ConfigMap::default()).await.unwrap_err(),
            api.patch("x", &PatchParams::default(), &patch).await.unwrap_err(),
            api.patch_status("x", &PatchParams::default(), &patch).await.unwrap_err(),
            api.delete("x", &DeleteParams::default()).await.unwrap_err(),
        ];
        for refusal in refusals {
            assert!(chain(&refusal).contains("does not hold the lease"), "{refusal}");
        }
        assert_eq!(*calls.lock().unwrap(), ["GET"]);
    }

    #[tokio::test]
    async fn the_lease_itself_is_written_through_a_closed_gate() {
        let (client, calls) = client(&Gate::closed(Hands::default().clock()));
        let api: Api<Lease> = Api::namespaced(client, "shop");
        api.create(&PostParams::default(), &Lease::default()).await.unwrap();
        assert_eq!(*calls.lock().unwrap(), ["POST"]);
    }

    #[tokio::test]
    async fn it_closes_by_the_clock_and_opens_with_the_next_renewal() {
        let hands = Hands::default();
        let gate = Gate::closed(hands.clock());
        gate.open_until(TERM);
        let (client, calls) = client(&gate);
        let api: Api<ConfigMap> = Api::namespaced(client, "shop");
        let delete = async || api.delete("x", &DeleteParams::default()).await;
        hands.set(TERM.checked_sub(Duration::from_millis(1)).unwrap());
        delete().await.unwrap();
        hands.set(TERM);
        delete().await.unwrap_err();
        gate.open_until(TERM * 2);
        delete().await.unwrap();
        gate.close();
        delete().await.unwrap_err();
        assert_eq!(*calls.lock().unwrap(), ["DELETE", "DELETE"]);
    }

    #[tokio::test]
    async fn a_write_that_a_frozen_process_had_begun_gets_no_further() {
        let hands = Hands::default();
        let gate = Gate::closed(hands.clock());
        gate.open_until(TERM);
        let (thaw, sent) = (Notify::new(), Mutex::new(false));
        let write = gate.guard(async {
            thaw.notified().await;
            *sent.lock().unwrap() = true;
        });
        let freeze = async {
            // The write waits; the process is stopped and wakes long after its lease has ended.
            tokio::task::yield_now().await;
            assert!(!gate.is_idle());
            hands.set(TERM * 3);
            thaw.notify_one();
        };
        let (outcome, ()) = tokio::join!(write, freeze);
        assert_eq!(outcome, Err(NotLeading));
        assert!(!*sent.lock().unwrap() && gate.is_idle());
    }

    #[tokio::test]
    async fn a_drained_gate_finishes_what_was_let_in_and_lets_nothing_in() {
        let gate = Gate::open();
        let thaw = Notify::new();
        let drain = async {
            tokio::task::yield_now().await;
            gate.drain();
            assert_eq!(gate.guard(ready(())).await, Err(NotLeading));
            assert!(!gate.is_idle());
            thaw.notify_one();
            gate.idle().await;
        };
        let (outcome, ()) = tokio::join!(gate.guard(thaw.notified()), drain);
        assert_eq!(outcome, Ok(()));
    }

    #[tokio::test]
    async fn who_only_looks_leaves_at_once_and_who_changes_something_once_that_is_done() {
        let gate = Gate::open();
        let (thaw, silence) = (Notify::new(), std::future::pending::<()>);
        let looks = gate.look(silence());
        let changes = gate.look(async {
            gate.guard(thaw.notified()).await.unwrap();
            silence().await;
        });
        let (mut looks, mut changes) = (Box::pin(looks), Box::pin(changes));
        let pause = || tokio::time::sleep(Duration::from_millis(20));
        tokio::select! { _ = &mut looks => panic!(), _ = &mut changes => panic!(), () = pause() => {} }
        assert!(!gate.is_idle());
        gate.leave();
        tokio::select! { _ = &mut changes => panic!("it was not answered"), () = pause() => {} }
        thaw.notify_one();
        assert_eq!(changes.await, Err(NotLeading));
        assert_eq!(looks.await, Err(NotLeading));
    }

    #[tokio::test]
    async fn a_process_that_wakes_in_the_middle_of_a_look_changes_nothing_any_more() {
        let hands = Hands::default();
        let gate = Gate::closed(hands.clock());
        gate.open_until(TERM);
        let outcome = gate.look(async {
            hands.set(TERM * 3);
            gate.guard(ready(())).await
        });
        assert_eq!(outcome.await, Ok(Err(NotLeading)));
    }
}
