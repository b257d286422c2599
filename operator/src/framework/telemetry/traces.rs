//! Traces of the reconciliations, sent by OTLP over gRPC (<https://opentelemetry.io/docs/specs/otlp/>).

use std::{
    convert::Infallible,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use anyhow::{Context as _, bail};
use axum::http::Uri;
use opentelemetry::{InstrumentationScope, KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{RetryPolicy, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SdkTracerProvider},
};
use tokio_util::sync::CancellationToken;
use tracing::{Level, Subscriber};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use super::export::Sending;
use crate::framework::context::OPERATOR;

/// How long the end may wait for the last spans to be taken.
const FLUSH: Duration = Duration::from_millis(1500);

/// How long it takes at most to break off sending.
const BREAK_OFF: Duration = Duration::from_millis(300);

/// Where a collector takes traces: the URL of its gRPC port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint(String);

impl Endpoint {
    /// What the command line says. An empty text is no endpoint.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Option<Self>> {
        const USE: &str = "set --otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT) to the gRPC port of an OpenTelemetry Collector, \
                           such as http://otel-collector.observability:4317, or leave it empty and no traces are taken";
        if text.is_empty() {
            return Ok(None);
        }
        let Ok(url) = text.parse::<Uri>() else { bail!("the endpoint for traces is not a URL: {USE}") };
        if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            bail!("the endpoint for traces has a password in it, which would not be sent: {USE}");
        }
        match url.scheme_str() {
            Some("http") => {}
            Some("https") => bail!(
                "the endpoint for traces is {text:?}, but they are sent without TLS: {USE}. A collector beside the operator may \
                 send them on with TLS"
            ),
            _ => bail!("the endpoint for traces is {text:?}, which does not begin with http://: {USE}"),
        }
        let bare = url.path_and_query().is_none_or(|path| path.as_str() == "/");
        if !bare || url.host().is_none_or(str::is_empty) || url.port_u16().is_none() {
            bail!("the endpoint for traces is {text:?}, which is not just a host and a port: {USE}");
        }
        Ok(Some(Self(text.to_owned())))
    }
}

/// Traces that are taken and sent. A collector that is away costs spans, and nothing else.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    /// Breaks off sending.
    stop: CancellationToken,
    /// Ends when nothing is sent any more.
    ended: Receiver<Infallible>,
}

impl Traces {
    /// Sends to `endpoint` by the runtime that this is called in. Which traces are taken, and how many attributes a span may
    /// have, is decided by OpenTelemetry's own environment variables, such as `OTEL_TRACES_SAMPLER`; by default all are.
    pub(super) fn to(endpoint: &Endpoint, pod_name: Option<&str>) -> anyhow::Result<Self> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&endpoint.0)
            // A connection may have broken since it was used last; what is more than that, is not waited for.
            .with_retry_policy(RetryPolicy::recommended().with_max_retries(1))
            .build()
            .context("cannot set up sending traces")?;
        let stop = CancellationToken::new();
        let (ends, ended) = channel();
        let sending = Sending::with(exporter, stop.clone(), ends);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(pod_name))
            .with_span_processor(BatchSpanProcessor::builder(sending).build())
            .build();
        Ok(Self { provider, stop, ended })
    }

    /// Takes the spans of this crate, whatever is logged. What is logged of them at `info` and above are their events.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let scope = InstrumentationScope::builder(OPERATOR).with_version(env!("CARGO_PKG_VERSION")).build();
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer_with_scope(scope))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(Targets::new().with_target(env!("CARGO_CRATE_NAME"), Level::INFO))
    }

    /// Sends what is left, as far as a moment allows. Blocks, and needs the runtime still. Returns whether nothing is sent
    /// any more, so that the runtime may end.
    pub(crate) fn end(self) -> bool {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH) {
            tracing::warn!(error = error.to_string(), "the last traces are not delivered");
        }
        self.stop.cancel();
        self.ended.recv_timeout(BREAK_OFF) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Whose traces these are.
fn resource(pod_name: Option<&str>) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let pod = pod_name.map(|name| KeyValue::new("k8s.pod.name", name.to_owned()));
    Resource::builder().with_service_name(OPERATOR).with_attribute(version).with_attributes(pod).build()
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, time::Instant};

    use tokio::task::spawn_blocking;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn an_endpoint_is_the_url_of_a_host() {
        for url in ["http://otel-collector.observability:4317", "http://127.0.0.1:4317/", "http://[::1]:4317"] {
            assert_eq!(Endpoint::parse(url).unwrap(), Some(Endpoint(url.to_owned())));
        }
    }

    #[test]
    fn no_endpoint_is_none() {
        assert_eq!(Endpoint::parse("").unwrap(), None);
    }

    #[test]
    fn a_malformed_endpoint_is_refused_with_what_to_do() {
        let malformed = [
            "collector:4317",
            "collector",
            "grpc://collector:4317",
            "https://collector:4317",
            "http://collector:4318/v1/traces",
            "http://user:hunter2@collector:4317",
            "http://collector:port",
            "http://collector",
            "http://",
            "not a URL",
        ];
        for text in malformed {
            let refusal = Endpoint::parse(text).unwrap_err().to_string();
            for hint in ["--otlp-endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel-collector.observability:4317"] {
                assert!(refusal.contains(hint), "{text}: {refusal}");
            }
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }

    /// Takes more spans than are kept, and ends. Returns how long the spans took, and the end.
    async fn take_spans_and_end(collector: &str) -> (Duration, Duration) {
        let endpoint = Endpoint::parse(&format!("http://{collector}")).unwrap().unwrap();
        let traces = Traces::to(&endpoint, None).unwrap();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(traces.layer()));
        let span = || tracing::info_span!("reconcile");
        drop(span());
        // Another test may have been asking who listens, and was told that nobody does: all are asked again.
        tracing::callsite::rebuild_interest_cache();
        assert!(!span().is_disabled());
        let started = Instant::now();
        for _ in 0..5000 {
            drop(span().entered());
        }
        let taken = started.elapsed();
        drop(guard);
        let started = Instant::now();
        assert!(spawn_blocking(|| traces.end()).await.unwrap(), "something is still being sent");
        (taken, started.elapsed())
    }

    #[tokio::test]
    async fn a_collector_that_is_away_or_keeps_silent_delays_nothing() {
        // Connections are accepted by the kernel, and nobody ever answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for collector in [silent.local_addr().unwrap(), away] {
            let (taken, ended) = take_spans_and_end(&collector.to_string()).await;
            // One that was waited for would take as long as a batch may, which is twice that.
            assert!(taken < Duration::from_secs(5), "spans took {taken:?}");
            assert!(ended < Duration::from_secs(5), "the end took {ended:?}");
        }
    }
}
