use api::{Reason, StoreTopic};
use futures::future::{Either, select};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::framework::{
    cache::Writers,
    converse,
    logged::Logged,
    namespace,
    scenario::{Scenario, reported, told},
    telemetry::{LogFormat, lines},
};

const PATH: &str = "/apis/greencommerce.dev/v1alpha1/namespaces/shop/storetopics/orders";

fn topic(name: &str) -> StoreTopic {
    serde_json::from_value(json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic",
        "metadata": {"name": name, "namespace": "shop", "uid": "1", "generation": 1},
        "spec": {"bootstrapServers": "kafka:9092", "topicName": name},
    }))
    .unwrap()
}

#[derive(Debug, thiserror::Error)]
#[error("the broker is away")]
struct Away;

impl ReconcileError for Away {
    fn reason(&self) -> Reason {
        Reason::BrokerUnreachable
    }

    fn retry(&self) -> Retry {
        Retry::OnChange
    }
}

/// Tells which objects it was given, and succeeds or fails.
struct Telling {
    names: UnboundedSender<String>,
    fails: bool,
}

impl Reconciler for Telling {
    type Object = StoreTopic;
    type Error = Away;

    const NAME: &'static str = "store_topic";

    async fn reconcile(&self, _: &Context, object: Arc<StoreTopic>) -> Result<Action, Away> {
        tracing::info!("looking");
        self.names.send(format!("{}/{}", namespace(&*object), object.metadata.name.as_deref().unwrap())).unwrap();
        if self.fails { Err(Away) } else { Ok(Action::await_change()) }
    }
}

/// A complete cache that holds these topics.
fn fill(context: &Context, writers: &mut Writers, names: &[&str]) {
    writers.store_topics.apply_watcher_event(&Event::Init);
    for name in names {
        writers.store_topics.apply_watcher_event(&Event::InitApply(topic(name)));
    }
    writers.store_topics.apply_watcher_event(&Event::InitDone);
    while !context.cache.is_complete() {
        context.cache.listed();
    }
}

fn reference(name: &str) -> ObjectRef<StoreTopic> {
    ObjectRef::new(name).within("shop")
}

#[tokio::test]
async fn a_standby_forgets_what_changes_and_looks_at_everything_once_it_leads() {
    let (scenario, context, mut writers) = Scenario::of(vec![]);
    fill(&context, &mut writers, &["orders", "users"]);
    let (names, mut told) = unbounded_channel();
    let (wake, queue) = unbounded_channel();
    let phases = Phases::default();
    let controller = run(Telling { names, fails: false }, context.clone(), queue, phases.clone());
    let story = async move {
        // While another leads, objects change and are not reconciled; nor do they pile up.
        for _ in 0..100 {
            wake.send(reference("orders")).unwrap();
        }
        while context.activity.loads().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(told.try_recv().is_err());
        phases.lead.cancel();
        let mut seen = [told.recv().await.unwrap(), told.recv().await.unwrap()];
        seen.sort();
        assert_eq!(seen, ["shop/orders", "shop/users"]);
        // From now on each change counts.
        wake.send(reference("users")).unwrap();
        assert_eq!(told.recv().await.as_deref(), Some("shop/users"));
        phases.stop.cancel();
        told
    };
    let (story, controller) = (std::pin::pin!(story), std::pin::pin!(controller));
    let mut told = match select(story, controller).await {
        Either::Left((told, controller)) => {
            controller.await;
            told
        }
        Either::Right(..) => panic!("the controller ended by itself"),
    };
    assert!(told.try_recv().is_err(), "once would have been enough");
    scenario.finish();
}

#[tokio::test]
async fn a_standby_that_stops_reconciles_nothing() {
    let (scenario, context, mut writers) = Scenario::of(vec![]);
    fill(&context, &mut writers, &["orders"]);
    let (names, mut told) = unbounded_channel();
    let (_wake, queue) = unbounded_channel();
    let phases = Phases::default();
    phases.stop.cancel();
    run(Telling { names, fails: false }, context, queue, phases).await;
    assert!(told.try_recv().is_err());
    scenario.finish();
}

/// Waits for ever for a server of somebody else's, except for one object that needs none.
struct Outside(UnboundedSender<String>);

impl Reconciler for Outside {
    type Object = StoreTopic;
    type Error = Away;

    const NAME: &'static str = "store_topic";

    async fn reconcile(&self, context: &Context, object: Arc<StoreTopic>) -> Result<Action, Away> {
        let name = object.metadata.name.clone().unwrap();
        if name.starts_with("silent") {
            context.slot.outside(std::future::pending::<()>()).await;
        }
        if name.starts_with("mute") {
            converse(context, "mute:9092", std::future::pending::<()>()).await.unwrap();
        }
        self.0.send(name).unwrap();
        Ok(Action::await_change())
    }
}

#[tokio::test]
async fn objects_whose_servers_keep_silent_hold_up_no_other() {
    let (scenario, context, mut writers) = Scenario::of(vec![]);
    let silent: Vec<String> = (0..CONCURRENCY * 4).map(|number| format!("silent-{number}")).collect();
    fill(&context, &mut writers, &silent.iter().map(String::as_str).chain(["orders"]).collect::<Vec<_>>());
    let (names, mut told) = unbounded_channel();
    let (_wake, queue) = unbounded_channel();
    let phases = Phases::default();
    phases.lead.cancel();
    let controller = std::pin::pin!(run(Outside(names), context, queue, phases));
    let first = std::pin::pin!(tokio::time::timeout(std::time::Duration::from_secs(10), told.recv()));
    let Either::Left((first, _)) = select(first, controller).await else { panic!("the controller ended by itself") };
    assert_eq!(first.unwrap().as_deref(), Some("orders"));
    scenario.finish();
}

#[tokio::test]
async fn objects_whose_server_accepts_them_and_says_nothing_hold_up_no_other() {
    let (scenario, context, mut writers) = Scenario::of(vec![]);
    let mute: Vec<String> = (0..CONCURRENCY * 2).map(|number| format!("mute-{number}")).collect();
    fill(&context, &mut writers, &mute.iter().map(String::as_str).collect::<Vec<_>>());
    let (names, mut told) = unbounded_channel();
    let (wake, queue) = unbounded_channel();
    let phases = Phases::default();
    phases.lead.cancel();
    let activity = context.activity.clone();
    let controller = std::pin::pin!(run(Outside(names), context, queue, phases));
    let story = std::pin::pin!(async {
        while activity.loads().first().is_none_or(|(_, load)| load.running < CONCURRENCY) {
            tokio::task::yield_now().await;
        }
        writers.store_topics.apply_watcher_event(&Event::Apply(topic("orders")));
        wake.send(reference("orders")).unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(10), told.recv()).await
    });
    let Either::Left((first, _)) = select(story, controller).await else { panic!("the controller ended by itself") };
    assert_eq!(first.unwrap().as_deref(), Some("orders"));
    scenario.finish();
}

#[tokio::test]
async fn every_line_of_a_reconciliation_names_it_by_an_id_of_its_own() {
    let one = async || {
        let (scenario, context, mut writers) = Scenario::of(vec![reported(PATH, json!(topic("orders"))), told("shop")]);
        fill(&context, &mut writers, &["orders"]);
        let (names, _told) = unbounded_channel();
        let worker = Worker::new(Telling { names, fails: true }, context);
        worker.work(reference("orders")).await.unwrap();
        scenario.finish();
    };
    let log = Logged::default();
    let writing = log.clone();
    let subscriber = tracing_subscriber::registry().with(lines(LogFormat::Json, move || writing.clone()));
    let guard = tracing::subscriber::set_default(subscriber);
    // Another test may have been asking, at this very moment, who listens to a place that logs, and was told that nobody
    // does. Once every place has been passed, all are asked again.
    one().await;
    tracing::callsite::rebuild_interest_cache();
    log.clear();
    // The failure is reported, with an event, and is logged by parts that know nothing of the controller.
    one().await;
    one().await;
    drop(guard);

    let lines = log.lines();
    let ours: Vec<&Value> = lines.iter().filter(|line| line["level"] == "INFO" || line["level"] == "WARN").collect();
    let messages: Vec<&str> = ours.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["looking", "reconciliation failed", "wrote the status"].repeat(2));
    for line in &ours {
        let span = &line["span"];
        assert_eq!((&span["controller"], &span["object"]), (&json!("store_topic"), &json!("StoreTopic shop/orders")));
    }
    assert_eq!(ours[2]["why"], "Ready=False (BrokerUnreachable)");
    let ids: Vec<&str> = ours.iter().map(|line| line["span"]["id"].as_str().unwrap()).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] < ids[3] && ids[3] == ids[5], "{ids:?}");
}

#[derive(Debug, thiserror::Error)]
#[error("cannot apply the Secret")]
struct Overtaken(#[source] kube::Error);

impl ReconcileError for Overtaken {
    fn reason(&self) -> Reason {
        Reason::ApplyFailed
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Finds each time that somebody else wrote first.
struct Late;

impl Reconciler for Late {
    type Object = StoreTopic;
    type Error = Overtaken;

    const NAME: &'static str = "store_topic";

    async fn reconcile(&self, _: &Context, _: Arc<StoreTopic>) -> Result<Action, Overtaken> {
        let mut status = kube::core::Status::failure("the object has been modified", "Conflict");
        status.code = 409;
        Err(Overtaken(kube::Error::Api(status.boxed())))
    }
}

#[tokio::test]
async fn that_somebody_else_wrote_first_is_tried_again_soon_and_told_nobody() {
    let (scenario, context, mut writers) = Scenario::of(vec![]);
    fill(&context, &mut writers, &["orders"]);
    let worker = Worker::new(Late, context);
    let next = worker.work(reference("orders")).await.unwrap();
    assert_ne!(next, Action::await_change());
    scenario.finish();
}
