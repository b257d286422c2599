//! Writes to the API server in traces.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Display,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use api::{Store, StoreDatabase, StoreService, StoreTopic};
use axum::http::{Method, Request, Response, header::CONTENT_TYPE};
use futures::future::Either;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service as KubeService, ServiceAccount},
    events::v1::Event,
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use kube::{Resource, client::Body};
use opentelemetry::trace::Status;
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::span::TARGET;

/// A layer of the API client by which each write of a reconciliation is a span of its own: `apply Deployment`,
/// `apply Store/status`, `delete Job`.
pub(crate) struct TraceWrites;

impl<S> Layer<S> for TraceWrites {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced(inner)
    }
}

/// A connection to the API server whose writes show in traces.
pub(crate) struct Traced<S>(S);

impl<S, B> Service<Request<Body>> for Traced<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Display, Future: Send + 'static>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let span = span_of(&request);
        if span.is_disabled() {
            return Either::Left(self.0.call(request));
        }
        let answer = span.in_scope(|| self.0.call(request));
        Either::Right(Box::pin(async move {
            let answer = answer.instrument(span.clone()).await;
            conclude(&span, &answer);
            answer
        }))
    }
}

/// What no reconciliation does is no trace: the lease is renewed all the time.
fn span_of(request: &Request<Body>) -> Span {
    if request.method().is_safe() || Span::current().is_none() {
        return Span::none();
    }
    let span = info_span!(
        target: TARGET,
        "write",
        otel.name = Empty,
        otel.kind = "client",
        http.request.method = request.method().as_str(),
        http.response.status_code = Empty,
        k8s.object.kind = Empty,
        k8s.object.name = Empty,
        k8s.namespace.name = Empty,
    );
    if !span.is_disabled() {
        let target = Target::of(request.uri().path());
        let subresource = target.subresource.map(|name| format!("/{name}")).unwrap_or_default();
        span.record("otel.name", format!("{} {}{subresource}", verb(request), target.kind));
        span.record("k8s.object.kind", &*target.kind);
        span.record("k8s.object.name", target.name);
        span.record("k8s.namespace.name", target.namespace);
    }
    span
}

fn conclude<B, E: Display>(span: &Span, answer: &Result<Response<B>, E>) {
    match answer {
        Ok(answer) => {
            let status = answer.status();
            span.record("http.response.status_code", i64::from(status.as_u16()));
            if status.is_client_error() || status.is_server_error() {
                span.set_attribute("error.type", i64::from(status.as_u16()).to_string());
                span.set_status(Status::error(""));
            }
        }
        Err(error) => span.set_status(Status::error(error.to_string())),
    }
}

/// What the API server is asked to do, in the words of kubectl.
fn verb(request: &Request<Body>) -> &'static str {
    let applies = || {
        request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/apply-patch"))
    };
    match *request.method() {
        Method::PATCH if applies() => "apply",
        Method::PATCH => "patch",
        Method::POST => "create",
        Method::DELETE => "delete",
        _ => "replace",
    }
}

/// The object that a request is about.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    kind: Cow<'static, str>,
    namespace: Option<&'a str>,
    /// Missing while the object is created.
    name: Option<&'a str>,
    subresource: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// By `/api/v1/…` or `/apis/<group>/<version>/…`, then `namespaces/<namespace>/` if there is one, then
    /// `<plural>/<name>/<subresource>`.
    fn of(path: &'a str) -> Self {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let before = if parts.next() == Some("api") { 1 } else { 2 };
        let rest: Vec<&str> = parts.skip(before).collect();
        let (namespace, rest) = match rest.as_slice() {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let plural = rest.first().copied().unwrap_or_default();
        let kind = KINDS.get(plural).cloned().unwrap_or_else(|| plural.to_owned().into());
        Self { kind, namespace, name: rest.get(1).copied(), subresource: rest.get(2).copied() }
    }
}

/// The kinds that the operator writes, by their plural.
static KINDS: LazyLock<BTreeMap<Cow<'static, str>, Cow<'static, str>>> = LazyLock::new(|| {
    macro_rules! kinds {
        ($($kind:ty),* $(,)?) => {
            BTreeMap::from([$((<$kind>::plural(&()), <$kind as Resource>::kind(&()))),*])
        };
    }
    kinds![
        Store,
        StoreService,
        StoreDatabase,
        StoreTopic,
        Deployment,
        StatefulSet,
        KubeService,
        ServiceAccount,
        ConfigMap,
        Secret,
        PersistentVolumeClaim,
        Pod,
        Job,
        HorizontalPodAutoscaler,
        PodDisruptionBudget,
        Ingress,
        NetworkPolicy,
        Event,
    ]
});

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> (String, Option<&str>, Option<&str>, Option<&str>) {
        let Target { kind, namespace, name, subresource } = Target::of(path);
        (kind.into_owned(), namespace, name, subresource)
    }

    #[test]
    fn a_path_tells_the_object_by_its_kind() {
        assert_eq!(
            target("/api/v1/namespaces/shop/configmaps/routes"),
            ("ConfigMap".to_owned(), Some("shop"), Some("routes"), None)
        );
        assert_eq!(
            target("/apis/greencommerce.dev/v1alpha1/namespaces/shop/stores/green/status"),
            ("Store".to_owned(), Some("shop"), Some("green"), Some("status"))
        );
        assert_eq!(
            target("/apis/events.k8s.io/v1/namespaces/shop/events"),
            ("Event".to_owned(), Some("shop"), None, None)
        );
        assert_eq!(target("/api/v1/namespaces/shop"), ("namespaces".to_owned(), None, Some("shop"), None));
        assert_eq!(target("/"), (String::new(), None, None, None));
    }
}
