//! Calls between services: deadlines on both sides, and failures in the words of HTTP.

use std::time::Duration;

use tonic::{
    Code, Request, Status,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

use crate::http::{Problem, TraceContext};

/// How long a call may take in all, where nothing shorter is said. The server gives up at the same time, because the
/// deadline travels with the call (`grpc-timeout`).
pub const DEADLINE: Duration = Duration::from_secs(2);

/// The address of another service is not one.
#[derive(Debug, thiserror::Error)]
#[error("not the address of a service: {address}")]
pub struct AddressError {
    address: String,
    #[source]
    source: tonic::transport::Error,
}

/// A channel to the service at `address` (`http://host:port`). It connects when it is first used and again after the
/// connection was lost.
pub fn channel(address: &str) -> Result<Channel, AddressError> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|source| AddressError { address: address.to_owned(), source })?
        .connect_timeout(Duration::from_secs(1))
        .timeout(DEADLINE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(5));
    Ok(endpoint.connect_lazy())
}

/// `message` as a call with its deadline, in the trace of the request that causes it.
pub fn call<M>(message: M, trace: &TraceContext) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    if let Some(parent) = trace.traceparent().and_then(|text| MetadataValue::try_from(text).ok()) {
        request.metadata_mut().insert("traceparent", parent);
    }
    request
}

/// What a client is told when `service` did not answer as it should: 503 where trying again may help, else 500.
#[must_use]
pub fn problem(service: &'static str, status: Status) -> Problem {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::ResourceExhausted | Code::Aborted => {
            Problem::unavailable(format!("{service} does not answer, try again")).caused_by(status)
        }
        _ if is_broken_connection(&status) => {
            Problem::unavailable(format!("{service} does not answer, try again")).caused_by(status)
        }
        _ => Problem::internal(status),
    }
}

/// Whether the same call may be made again at once: the connection broke before the call was answered, as it does when
/// the other side is being replaced. Only for calls that may be repeated.
#[must_use]
pub fn may_retry(status: &Status) -> bool {
    status.code() == Code::Unavailable || is_broken_connection(status)
}

/// Whether the status stands for a connection that broke: it has a cause in this process, where an answer of the other side
/// has none, and that is not our own deadline.
fn is_broken_connection(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    let mut causes = 0;
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return false;
        }
        causes += 1;
        cause = error.source();
    }
    causes > 0
}

/// Pauses between the attempts of a call: a service whose last pod is being replaced is away for a second or two.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(1)];

/// Makes a call that may be repeated, up to five times while the other side is away for a moment.
pub async fn retrying<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<tonic::Response<T>, Status>>,
{
    for pause in PAUSES {
        match attempt().await {
            Err(status) if may_retry(&status) => tokio::time::sleep(pause).await,
            result => return result.map(tonic::Response::into_inner),
        }
    }
    attempt().await.map(tonic::Response::into_inner)
}
