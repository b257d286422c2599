//! How long the API server may take to answer: behind a load balancer a dead one would keep silent for many minutes.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body as Answer, Bytes, HttpBody, to_bytes},
    http::{Request, Response},
};
use kube::client::Body;
use tokio::time::timeout;
use tower::{BoxError, Layer, Service};

/// A layer of the API client that gives up what is not answered in time, to the last byte. A watch need only begin to
/// answer: whoever follows it knows how long it may last.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Duration);

impl Deadline {
    /// Half of what an API server takes at the most before it gives up itself.
    pub(crate) const STANDARD: Self = Self(Duration::from_secs(30));
}

/// No answer, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API server has not answered within {} seconds", .0.as_secs())]
struct Unanswered(Duration);

impl<S> Layer<S> for Deadline {
    type Service = Hurried<S>;

    fn layer(&self, inner: S) -> Hurried<S> {
        Hurried { longest: self.0, inner }
    }
}

/// A connection to the API server that is not waited for without end.
pub(crate) struct Hurried<S> {
    longest: Duration,
    inner: S,
}

impl<S, B> Service<Request<Body>> for Hurried<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: Send + 'static>,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (longest, watches) = (self.longest, is_watch(&request));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let whole = async {
                let (parts, body) = answer.await.map_err(Into::into)?.into_parts();
                let body = Answer::new(body);
                let body = if watches { body } else { to_bytes(body, usize::MAX).await?.into() };
                Ok(Response::from_parts(parts, body))
            };
            timeout(longest, whole).await.unwrap_or_else(|_| Err(Unanswered(longest).into()))
        })
    }
}

fn is_watch<B>(request: &Request<B>) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|parameter| parameter == "watch=true"))
}

#[cfg(test)]
mod tests {
    use api::StoreTopic;
    use futures::{StreamExt as _, stream};
    use kube::{
        Api, Client,
        api::{Patch, PatchParams, WatchParams},
        client::ClientBuilder,
    };
    use serde_json::json;

    use super::*;
    use crate::framework::{Clock, ReconcileError as _, Retry, add_finalizer, chain, scenario::Scenario};

    const MOMENT: Duration = Duration::from_millis(50);

    /// A client whose API server never answers, or begins to and never ends.
    fn client(begins: bool) -> Client {
        let server = tower::service_fn(move |_: Request<Body>| async move {
            if !begins {
                std::future::pending::<()>().await;
            }
            let first = stream::iter([Ok::<_, BoxError>("{\"metadata\":")]);
            Ok::<_, BoxError>(Response::new(Answer::from_stream(first.chain(stream::pending()))))
        });
        ClientBuilder::new(server, "shop").with_layer(&Deadline(MOMENT)).build()
    }

    #[tokio::test]
    async fn what_is_not_answered_to_the_end_is_given_up() {
        for begins in [false, true] {
            let topics: Api<StoreTopic> = Api::namespaced(client(begins), "shop");
            let read = topics.get("orders").await.unwrap_err();
            let patch = Patch::Merge(json!({}));
            let written = topics.patch("orders", &PatchParams::default(), &patch).await.unwrap_err();
            for error in [read, written] {
                assert!(chain(&error).contains("has not answered within"), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_watch_may_keep_silent_once_it_has_begun() {
        let topics: Api<StoreTopic> = Api::namespaced(client(true), "shop");
        let watch = async { topics.watch(&WatchParams::default(), "1").await.unwrap().boxed().next().await.is_some() };
        assert!(timeout(MOMENT * 4, watch).await.is_err());
        let topics: Api<StoreTopic> = Api::namespaced(client(false), "shop");
        let watch = async { topics.watch(&WatchParams::default(), "1").await.is_err() };
        assert!(timeout(MOMENT * 4, watch).await.unwrap(), "it never began");
    }

    #[tokio::test]
    async fn what_was_given_up_is_tried_again_after_a_while() {
        let (_, mut context, _) = Scenario::of(vec![]);
        (context.client, context.clock) = (client(false), Clock::system());
        let topic = serde_json::from_value::<StoreTopic>(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic", "metadata": {"name": "orders"},
            "spec": {"bootstrapServers": "kafka:9092", "topicName": "orders"},
        }));
        let error = add_finalizer(&context, &topic.unwrap()).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Backoff);
    }
}
