use std::{io, sync::Arc};

use api::{Reason, StoreTopic};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{controller::Action, watcher};
use opentelemetry::trace::TraceId;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{JoinSet, spawn_blocking},
};
use tonic::transport::{Server, server::TcpIncoming};
use tracing::{callsite::rebuild_interest_cache, dispatcher::set_default, field::Empty};

use super::*;
use crate::framework::{
    Context, Phases, ReconcileError, Reconciler, Retry, apply,
    logged::Logged,
    run,
    scenario::{Scenario, made, reported, told},
};

const PATH: &str = "/apis/greencommerce.dev/v1alpha1/namespaces/shop/storetopics/orders";

const PASSWORD: &str = "correct-horse-battery";

/// What a collector does: it takes spans.
struct Collector(UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.send(request.into_inner()).unwrap();
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector at a port of this machine, until what is returned first is dropped.
async fn collector() -> (JoinSet<()>, Endpoint, UnboundedReceiver<ExportTraceServiceRequest>) {
    let (taken, received) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let service = TraceServiceServer::new(Collector(taken));
        Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
    });
    (tasks, endpoint, received)
}

/// Who listens and writes to `log`.
fn dispatch_to(log: &Logged, level: &str, traces: Option<&Traces>) -> Dispatch {
    let log = log.clone();
    dispatch(EnvFilter::new(level), LogFormat::Json, move || log.clone(), traces)
}

#[derive(Debug, thiserror::Error)]
enum Unwell {
    #[error("cannot apply")]
    Apply(#[from] crate::framework::ApplyError),
    #[error("the server is away")]
    Away(#[source] io::Error),
}

impl ReconcileError for Unwell {
    fn reason(&self) -> Reason {
        Reason::DatabaseUnreachable
    }

    fn retry(&self) -> Retry {
        Retry::OnChange
    }
}

/// Writes a Secret, and fails to talk to a server.
struct Failing(UnboundedSender<()>);

impl Reconciler for Failing {
    type Object = StoreTopic;
    type Error = Unwell;

    const NAME: &'static str = "store_topic";

    async fn reconcile(&self, context: &Context, _: Arc<StoreTopic>) -> Result<Action, Unwell> {
        self.0.send(()).unwrap();
        let secret = json!({"metadata": {"name": "admin", "namespace": "shop"}, "stringData": {"password": PASSWORD}});
        apply(context, serde_json::from_value::<Secret>(secret).unwrap()).await?;
        let conversation = async {
            tracing::info!("talking");
            Err(Unwell::Away(io::Error::other("no answer")))
        };
        followed(of_server("ensure", "db.shop.svc", 5432), conversation).await
    }
}

/// One reconciliation by a controller, from its start to its end.
async fn reconcile() {
    let topic: StoreTopic = serde_json::from_value(json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "1", "generation": 1},
        "spec": {"bootstrapServers": "kafka:9092", "topicName": "orders"},
    }))
    .unwrap();
    let calls = made("/api/v1/namespaces/shop/secrets/admin").into_iter();
    let (scenario, context, mut writers) =
        Scenario::of(calls.chain([reported(PATH, json!(topic)), told("shop")]).collect());
    for event in [watcher::Event::Init, watcher::Event::InitApply(topic), watcher::Event::InitDone] {
        writers.store_topics.apply_watcher_event(&event);
    }
    while !context.cache.is_complete() {
        context.cache.listed();
    }
    let (starts, mut started) = unbounded_channel();
    let (_wake, queue) = unbounded_channel();
    let phases = Phases::default();
    phases.lead.cancel();
    let end = async {
        started.recv().await.unwrap();
        phases.stop.cancel();
    };
    tokio::join!(run(Failing(starts), context, queue, phases.clone()), end);
    scenario.finish();
}

fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|found| found.value.clone()?.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("{key} is {other:?} in {attributes:?}"),
    }
}

fn status(span: &Span) -> (StatusCode, &str) {
    let status = span.status.as_ref().unwrap();
    (status.code(), &status.message)
}

/// What the collector has taken once a reconciliation has been traced, and the lines of that.
async fn traced() -> (Vec<ExportTraceServiceRequest>, Vec<Value>) {
    let (_collector, endpoint, mut received) = collector().await;
    let traces = Traces::to(&endpoint, Some("operator-1")).unwrap();
    let log = Logged::default();
    let guard = set_default(&dispatch_to(&log, "info", Some(&traces)));
    // Another test may have been asking who listens to a place, and was told that nobody does: all are asked again.
    reconcile().await;
    rebuild_interest_cache();
    log.clear();
    reconcile().await;
    drop(guard);
    assert!(spawn_blocking(|| traces.end()).await.unwrap());
    let lines = log.lines().into_iter().filter(|line| !line["span"].is_null());
    (std::iter::from_fn(|| received.try_recv().ok()).collect(), lines.collect())
}

#[tokio::test]
async fn a_reconciliation_is_a_trace_with_its_writes_and_conversations_and_without_secrets() {
    let (requests, lines) = traced().await;
    assert!(!format!("{requests:?}").contains(PASSWORD), "{requests:?}");
    let logged = &lines[0]["span"];
    let spans = spans_of(&requests, logged["trace_id"].as_str().unwrap());

    let root = spans.iter().find(|span| span.parent_span_id.is_empty()).unwrap();
    assert_eq!((root.name.as_str(), root.kind()), ("reconcile StoreTopic", SpanKind::Internal));
    assert_eq!(status(root), (StatusCode::Error, "DatabaseUnreachable"));
    assert_eq!(attribute(&root.attributes, "error.type"), "DatabaseUnreachable");
    assert_eq!(attribute(&root.attributes, "controller"), "store_topic");
    assert_eq!(attribute(&root.attributes, "object"), "StoreTopic shop/orders");
    assert_eq!(attribute(&root.attributes, "id"), logged["id"]);

    let mut below: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == root.span_id).collect();
    below.sort_by_key(|span| span.start_time_unix_nano);
    let names: Vec<&str> = below.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["apply Secret", "ensure database", "apply StoreTopic/status", "create Event"]);
    assert_eq!(spans.len(), names.len() + 1);
    assert!(below.iter().all(|span| span.kind() == SpanKind::Client));
    let (write, conversation) = (&below[0].attributes, &below[1].attributes);
    let of_write = ["k8s.object.kind", "k8s.object.name", "k8s.namespace.name", "http.response.status_code"];
    assert_eq!(of_write.map(|key| attribute(write, key)), ["Secret", "admin", "shop", "200"]);
    assert_eq!(status(below[1]), (StatusCode::Error, "the server is away"));
    let of_conversation = ["db.system.name", "server.address", "server.port"];
    assert_eq!(of_conversation.map(|key| attribute(conversation, key)), ["postgresql", "db.shop.svc", "5432"]);
}

/// The spans of one trace.
fn spans_of(requests: &[ExportTraceServiceRequest], trace_id: &str) -> Vec<Span> {
    let trace_id = TraceId::from_hex(trace_id).unwrap().to_bytes();
    let resources = requests.iter().flat_map(|request| &request.resource_spans);
    let spans = resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
    spans.filter(|span| span.trace_id == trace_id).cloned().collect()
}

#[tokio::test]
async fn traces_say_which_pod_of_which_version_took_them() {
    let (requests, _) = traced().await;
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    let said = ["service.name", "service.version", "k8s.pod.name"].map(|key| attribute(&resource.attributes, key));
    assert_eq!(said, ["greencommerce-operator", env!("CARGO_PKG_VERSION"), "operator-1"]);
}

#[tokio::test]
async fn lines_of_a_traced_reconciliation_name_it_and_its_trace_and_no_other_span() {
    let (_, lines) = traced().await;
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["applied", "talking", "reconciliation failed", "wrote the status"]);
    for line in &lines {
        let span = &line["span"];
        assert_eq!((&span["name"], &span["object"]), (&json!("reconcile"), &json!("StoreTopic shop/orders")));
        assert_eq!((&span["id"], &span["trace_id"]), (&lines[0]["span"]["id"], &lines[0]["span"]["trace_id"]));
        assert_eq!(span["trace_id"].as_str().map(str::len), Some(32), "{line}");
    }
}

/// Whether a reconciliation, and what is only of use in a trace, are spans; and what was logged.
fn reconciled(log: &Logged, level: &str, traces: Option<&Traces>) -> [bool; 2] {
    tracing::dispatcher::with_default(&dispatch_to(log, level, traces), || {
        let look = || {
            let span = tracing::info_span!("reconcile", trace_id = Empty);
            begin(&span, "Store");
            let conversation = of_server("ensure", "db.shop.svc", 5432);
            let _inside = conversation.enter();
            span.in_scope(|| tracing::info!("looking"));
            [!span.is_disabled(), !conversation.is_disabled()]
        };
        look();
        rebuild_interest_cache();
        log.clear();
        look()
    })
}

#[test]
fn without_an_endpoint_nothing_is_traced_and_lines_are_as_ever() {
    let log = Logged::default();
    assert_eq!(reconciled(&log, "info", None), [true, false]);
    let lines = log.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["message"], &lines[0]["span"]), (&json!("looking"), &json!({"name": "reconcile"})));
}

#[tokio::test]
async fn a_quiet_log_makes_no_trace_smaller() {
    let (_collector, endpoint, mut received) = collector().await;
    let (traces, log) = (Traces::to(&endpoint, None).unwrap(), Logged::default());
    assert_eq!(reconciled(&log, "error", Some(&traces)), [true, true]);
    assert!(spawn_blocking(|| traces.end()).await.unwrap() && log.lines().is_empty());
    let request = received.try_recv().unwrap();
    let names: Vec<&str> =
        request.resource_spans[0].scope_spans[0].spans.iter().map(|span| span.name.as_str()).collect();
    assert!(names.contains(&"reconcile Store") && names.contains(&"ensure database"), "{names:?}");
}
