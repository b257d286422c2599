//! The loop that keeps a controller going.

use std::{fmt::Debug, future::Future, hash::Hash, marker::PhantomData, sync::Arc};

use api::{ConditionType, Status};
use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Resource, ResourceExt,
    api::ObjectMeta,
    core::{PartialObjectMeta, object::HasStatus},
    runtime::{
        controller::{self, Action},
        reflector::{self, ObjectRef},
        watcher::Event,
    },
};
use tokio::{sync::mpsc::UnboundedReceiver, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    Cache, Cached, Context, Finding, ReconcileError, Retry, Wake,
    backoff::{Attempt, Backoff},
    chain,
    error::is_conflict,
    metrics,
    names::{describe, key},
    namespace,
    slot::Slots,
    status::latest,
    telemetry, write_status,
};

/// Objects of one kind that are worked at at the same time.
const CONCURRENCY: usize = 8;

/// Reconciliations of one kind under way: beside those at work, those that wait for a place or for a server outside.
const UNDER_WAY: u16 = 256;

/// A controller: what it takes to make the cluster hold what one object describes.
pub(crate) trait Reconciler: Send + Sync + 'static {
    /// The kind.
    type Object: Cached + Resource<Scope = NamespaceResourceScope> + HasStatus<Status: Status> + Debug;
    /// What can go wrong.
    type Error: ReconcileError;

    /// Name of the controller in logs and metrics.
    const NAME: &'static str;

    /// Brings the cluster closer to what `object` describes and reports how far that is.
    ///
    /// It is called after any change and must not depend on which; what it did before counts as done only if the
    /// cache shows it.
    fn reconcile(
        &self,
        context: &Context,
        object: Arc<Self::Object>,
    ) -> impl Future<Output = Result<Action, Self::Error>> + Send;
}

/// What a process does when.
#[derive(Clone, Default)]
pub(crate) struct Phases {
    /// It leads: controllers start.
    pub(crate) lead: CancellationToken,
    /// It ends: controllers start nothing any more.
    pub(crate) stop: CancellationToken,
}

/// Once this process leads, reconciles every object, and from then on those that come through `queue`, until it is to
/// stop; reconciliations under way are finished.
pub(crate) async fn run<R: Reconciler>(
    reconciler: R,
    context: Context,
    mut queue: UnboundedReceiver<ObjectRef<R::Object>>,
    phases: Phases,
) {
    context.activity.register(R::NAME);
    if !starts(&context, &mut queue, &phases).await {
        return;
    }
    tracing::info!(controller = R::NAME, "started");
    let worker = Arc::new(Worker::new(reconciler, context));
    let (mut roll, present) = Roll::open();
    let everything = R::Object::reader(&worker.context.cache).all();
    let everything: Vec<_> =
        everything.iter().map(|packed| packed.names()).map(|(space, name)| key(space, name)).collect();
    let changed = futures::stream::unfold(queue, |mut queue| async { Some((queue.recv().await?, queue)) });
    let waiting = worker.clone();
    let queue = futures::stream::iter(everything)
        .chain(changed)
        .map(move |object| {
            waiting.context.activity.waits(R::NAME, name_of(&object));
            Ok::<_, std::convert::Infallible>(roll.call(&waiting.context.cache, &object))
        })
        .take_until(phases.stop.cancelled_owned());
    let config = controller::Config::default().concurrency(UNDER_WAY);
    let reconcile = |object: Arc<Present<R::Object>>, worker: Arc<Worker<R>>| {
        Box::pin(async move { worker.work(key(namespace(&*object), &object.name_any())).await })
    };
    let never = |_: Arc<Present<R::Object>>, error: &std::convert::Infallible, _: Arc<Worker<R>>| match *error {};
    controller::applier(reconcile, never, worker.clone(), present, Box::pin(queue), config)
        .for_each(|result| {
            if let Err(controller::Error::ObjectNotFound(object)) = &result {
                worker.forget(&key(object.namespace.as_deref().unwrap_or_default(), &object.name));
            }
            std::future::ready(())
        })
        .await;
}

/// Whether the controllers are to start: a standby waits for its turn, and what changes meanwhile is only remembered by the
/// cache.
async fn starts<T>(context: &Context, queue: &mut UnboundedReceiver<T>, phases: &Phases) -> bool {
    let turn = async {
        context.cache.wait_until_complete().await;
        phases.lead.cancelled().await;
    };
    let forget = async { while queue.recv().await.is_some() {} };
    tokio::select! {
        biased;
        () = phases.stop.cancelled() => false,
        () = turn => true,
        () = forget => false,
    }
}

/// An object that is there, of which no more than its name is told.
type Present<K> = PartialObjectMeta<K>;

/// Which objects are there: the library looks them up before it calls us, and the cache keeps them packed.
struct Roll<K: Cached>(reflector::store::Writer<Present<K>>);

impl<K: Cached> Roll<K> {
    /// An empty roll, and where to look it up.
    fn open() -> (Self, reflector::Store<Present<K>>) {
        let mut writer = reflector::store::Writer::default();
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        let reader = writer.as_reader();
        (Self(writer), reader)
    }

    /// Puts an object on the roll if the cache has it, and takes it off if not.
    fn call(&mut self, cache: &Cache, object: &ObjectRef<K>) -> ObjectRef<Present<K>> {
        let (space, name) = (object.namespace.as_deref().unwrap_or_default(), &object.name);
        let metadata =
            ObjectMeta { namespace: Some(space.to_owned()), name: Some(name.clone()), ..ObjectMeta::default() };
        let present = Present { types: None, metadata, _phantom: PhantomData };
        let event = if cache.holds::<K>(space, name) { Event::Apply(present) } else { Event::Delete(present) };
        self.0.apply_watcher_event(&event);
        key(space, name)
    }
}

fn name_of<K: Resource<DynamicType = ()>>(object: &ObjectRef<K>) -> String {
    format!("{}/{}", object.namespace.as_deref().unwrap_or_default(), object.name)
}

struct Worker<R: Reconciler> {
    reconciler: R,
    context: Context,
    backoff: Backoff<ObjectRef<R::Object>>,
    slots: Slots,
}

impl<R: Reconciler> Worker<R>
where
    ObjectRef<R::Object>: Eq + Hash,
{
    fn new(reconciler: R, context: Context) -> Self {
        Self { reconciler, context, backoff: Backoff::new(), slots: Slots::new(CONCURRENCY) }
    }

    /// One reconciliation, when there is a place for it. Many may wait, and until then they are small.
    async fn work(&self, key: ObjectRef<R::Object>) -> Result<Action, std::convert::Infallible> {
        let context = self.context.of_one(self.slots.take().await);
        Box::pin(self.named(context, key)).await
    }

    /// The same, which everything that is logged meanwhile names.
    async fn named(&self, context: Context, key: ObjectRef<R::Object>) -> Result<Action, std::convert::Infallible> {
        // It may have changed or gone while it waited for its place.
        let space = key.namespace.as_deref().unwrap_or_default();
        let Some(object) = context.cache.get::<R::Object>(space, &key.name) else {
            self.forget(&key);
            return Ok(Action::await_change());
        };
        let running = self.context.activity.starts(R::NAME, &name_of(&key));
        let object_name = describe(&*object);
        let span = tracing::info_span!(
            "reconcile",
            controller = R::NAME,
            object = object_name,
            id = %running.id,
            trace_id = tracing::field::Empty,
        );
        telemetry::begin(&span, &R::Object::kind(&()));
        self.measured(&context, key, object).instrument(span).await
    }

    /// Notes that there is nothing to do for an object: it is gone.
    fn forget(&self, gone: &ObjectRef<R::Object>) {
        self.context.activity.dropped(R::NAME, &name_of(gone));
        self.context.vigil.forget(&Wake {
            kind: R::Object::kind(&()).into_owned(),
            namespace: gone.namespace.clone().unwrap_or_default(),
            name: gone.name.clone(),
        });
        self.backoff.succeeded(gone);
    }

    /// A failure is reported in the status and decides when the next reconciliation comes. That somebody wrote first, such as
    /// the leader before, is none: what it wrote is looked at.
    async fn measured(
        &self,
        context: &Context,
        key: ObjectRef<R::Object>,
        object: Arc<R::Object>,
    ) -> Result<Action, std::convert::Infallible> {
        let started = Instant::now();
        let result = self.reconciler.reconcile(context, object.clone()).await;
        let failure = result.as_ref().err().map(ReconcileError::reason);
        metrics::reconciled(R::NAME, started.elapsed(), failure);
        if let Some(reason) = failure {
            telemetry::fail(&tracing::Span::current(), reason.as_str());
        }
        Ok(match result {
            Ok(action) => {
                self.backoff.succeeded(&key);
                action
            }
            Err(error) => {
                let (generation, written) = (object.meta().generation, context.written.take());
                if is_conflict(&error) && !self.backoff.lasts(&key) {
                    tracing::info!(error = chain(&error), "somebody else wrote first");
                } else if !context.gate.is_leaving() {
                    // Else the talk may have been cut short: whoever leads next looks anew.
                    self.report(&key, &object, &error).await;
                }
                self.next(key, error.retry(), Attempt { generation, started: started.into_std(), written })
            }
        })
    }

    fn next(&self, key: ObjectRef<R::Object>, retry: Retry, attempt: Attempt) -> Action {
        match retry {
            Retry::Backoff => Action::requeue(self.backoff.failed(key, attempt)),
            Retry::Steady => Action::requeue(self.backoff.steady(key, &attempt)),
            Retry::OnChange => Action::await_change(),
        }
    }

    /// The status keeps what it said and adds that the object is not ready, and why.
    async fn report(&self, key: &ObjectRef<R::Object>, object: &R::Object, error: &R::Error) {
        let (message, reason) = (chain(error), error.reason().as_str());
        let status = latest(&self.context, object);
        let known = is_known(&status, reason, object.meta().generation);
        if known && error.retry() == Retry::Steady {
            tracing::debug!(reason, error = message, "reconciliation failed as before");
        } else {
            tracing::warn!(reason, error = message, "reconciliation failed");
        }
        if known && !self.backoff.may_reword(key) {
            return;
        }
        let mut findings = vec![Finding::no(ConditionType::Ready, error.reason(), message)];
        findings.extend(error.findings());
        if let Err(error) = write_status(&self.context, object, status, findings).await {
            tracing::warn!(error = chain(&error), "cannot report a failure");
        }
    }
}

/// Whether the status tells already that the object, as it is described now, is not ready for this reason.
fn is_known<S: Status>(status: &S, reason: &str, generation: Option<i64>) -> bool {
    let ready = status.condition(ConditionType::Ready.as_str());
    ready.is_some_and(|ready| ready.reason == reason && ready.observed_generation == generation)
}

#[cfg(test)]
mod tests;
