//! Serving connections: HTTP/1.1 and HTTP/2 without TLS (that ends at the ingress), with limits on what a slow client may
//! hold, and a drain that lets requests under way finish.

use std::{convert::Infallible, fmt, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use http::{HeaderValue, header};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

/// How long a client may take to send a request's head; also how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_mins(1);

/// How long idle connections are kept open after the end has begun, where the gateway is the client: it sends nothing on
/// one that was idle for 1 s; see there.
pub(crate) const LINGER: Duration = Duration::from_millis(1500);

/// Serves `router` until `stop`, then finishes the requests under way, and those that still come while clients learn of it.
///
/// Idle connections are closed `linger` after that. A client that has just sent a request on one must get its answer, which
/// tells it to close the connection: cut off at that moment, it could not know whether the request was worked on.
pub(crate) async fn serve_http(listener: TcpListener, router: Router, linger: Duration, stop: CancellationToken) {
    let server = builder();
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut lingered = pin!(async {
        stop.cancelled().await;
        tokio::time::sleep(linger).await;
    });
    while !(stop.is_cancelled() && connections.is_empty()) {
        tokio::select! {
            biased;
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    stream.set_nodelay(true).ok();
                    let service = TowerToHyperService::new(service(router.clone(), peer, stop.clone()));
                    let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
                    connections.spawn(until_closed(graceful.watch(connection.into_owned())));
                }
                Err(error) => {
                    // Out of file descriptors, mostly: give requests under way a moment to end.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = &mut lingered => break,
            () = stop.cancelled(), if !stop.is_cancelled() => {}
        }
    }
    drop(listener);
    graceful.shutdown().await;
    while connections.join_next().await.is_some() {}
}

async fn until_closed<E: fmt::Display>(connection: impl Future<Output = Result<(), E>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// `router` as it serves the connection of `peer`.
fn service(
    router: Router,
    peer: SocketAddr,
    stop: CancellationToken,
) -> impl Service<http::Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send {
    router
        .map_request(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request.map(Body::new)
        })
        .map_response(move |response| if stop.is_cancelled() { closing(response) } else { response })
}

/// Tells the client to send nothing more on this connection.
fn closing(mut response: Response) -> Response {
    if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Serves internal calls until `stop`, then finishes those under way.
pub(crate) async fn serve_grpc(
    listener: TcpListener,
    routes: tonic::service::Routes,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .timeout(Duration::from_secs(5))
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .max_connection_age(Duration::from_mins(5))
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned())
        .await
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(64 * 1024);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(256);
    server
}
