//! The rest of a body that was refused: it is read and thrown away, so that its sender gets to see the refusal.
//!
//! A server that answers and closes while the client still sends makes the client's system throw the answer away (RFC 9112,
//! section 9.6).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
};
use bytes::Bytes;
use http::header;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::{sync::oneshot, time::timeout};

/// Bytes that are thrown away at most: what comes after them is cut off.
const MOST: usize = 8 * 1024 * 1024;
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a call that was given up may hold on to the body.
const RETURN: Duration = Duration::from_millis(100);

/// Reads what a refused client still sends.
pub(crate) fn around(router: Router) -> Router {
    router.layer(from_fn(read_rest))
}

async fn read_rest(request: Request, next: Next) -> Response {
    // Who waits for `100 Continue` has sent nothing yet, and will not.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (back, returned) = oneshot::channel();
    let request = request.map(|body| Body::new(Lent { body: Some(body), back: Some(back) }));
    let response = next.run(request).await;
    let refused = response.status().is_client_error() || response.status().is_server_error();
    if refused && let Ok(Ok(rest)) = timeout(RETURN, returned).await {
        let _ = timeout(PATIENCE, discard(rest)).await;
    }
    response
}

async fn discard(mut body: Body) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        let size = frame.data_ref().map_or(0, Bytes::len);
        let Some(less) = left.checked_sub(size) else { return };
        left = less;
    }
}

/// A body that comes back when its reader drops it before its end.
struct Lent {
    body: Option<Body>,
    back: Option<oneshot::Sender<Body>>,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
            self.back = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Some(back)) = (rest, self.back.take()) {
            // Nobody waits for it where the answer was no refusal.
            let _ = back.send(body);
        }
    }
}
