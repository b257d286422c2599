//! The spans of a trace: a reconciliation is its root, and what the reconciliation waits for is below that.
//!
//! Names of spans are few, and attributes have the names of OpenTelemetry's semantic conventions
//! (<https://opentelemetry.io/docs/specs/semconv/>) where there are such. What is written or asked is no attribute: it may
//! be a secret.

use std::error::Error;

use opentelemetry::trace::{Status, TraceContextExt as _};
use tracing::{Instrument as _, Metadata, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The target of spans that are only of use in a trace: log lines go on naming the reconciliation.
pub(super) const TARGET: &str = "operator::trace";

/// Whether log lines may name the span, if it is one.
pub(super) fn is_logged(metadata: &Metadata<'_>) -> bool {
    !(metadata.is_span() && metadata.target() == TARGET)
}

/// Begins the trace of a reconciliation with its span. If it is one that will be sent, log lines tell its id.
pub(in crate::framework) fn begin(span: &Span, kind: &str) {
    let context = span.context();
    let root = context.span();
    if root.span_context().is_sampled() {
        root.update_name(format!("reconcile {kind}"));
        span.record("trace_id", tracing::field::display(root.span_context().trace_id()));
    }
}

/// Marks what the span stands for as failed. `kind` is one of few words, such as a reason.
pub(in crate::framework) fn fail(span: &Span, kind: &'static str) {
    span.set_attribute("error.type", kind);
    span.set_status(Status::error(kind));
}

/// Does `work` within a span, and marks that as failed if the work fails: with what the error itself says, which is ours,
/// and not what its causes say.
pub(crate) async fn followed<T, E: Error>(span: Span, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let result = work.instrument(span.clone()).await;
    if let Err(error) = &result {
        span.set_status(Status::error(error.to_string()));
    }
    result
}

/// The span of knocking at servers (`host:port`).
pub(in crate::framework) fn of_knock(addresses: &[String]) -> Span {
    info_span!(target: TARGET, "knock", otel.kind = "client", server.address = addresses.join(","))
}

/// The span of a conversation with a PostgreSQL server.
pub(crate) fn of_server(operation: &'static str, host: &str, port: u16) -> Span {
    info_span!(
        target: TARGET,
        "database",
        otel.name = format!("{operation} database"),
        otel.kind = "client",
        db.system.name = "postgresql",
        db.operation.name = operation,
        server.address = host,
        server.port = i64::from(port),
    )
}

/// The span of a conversation with a cache.
pub(crate) fn of_cache(operation: &'static str, host: &str, port: u16) -> Span {
    info_span!(
        target: TARGET,
        "cache",
        otel.name = format!("{operation} cache"),
        otel.kind = "client",
        db.system.name = "redis",
        db.operation.name = operation,
        server.address = host,
        server.port = i64::from(port),
    )
}

/// The span of a conversation with brokers (`host:port`) about a topic.
pub(crate) fn of_brokers(operation: &'static str, addresses: &[String], topic: &str) -> Span {
    info_span!(
        target: TARGET,
        "topic",
        otel.name = format!("{operation} topic"),
        otel.kind = "client",
        messaging.system = "kafka",
        messaging.operation.name = operation,
        messaging.destination.name = topic,
        server.address = addresses.join(","),
    )
}
