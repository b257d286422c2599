//! Watches: streams of events, one a line, that may be cut, thinned and delayed.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http_body_util::{BodyDataStream, BodyExt as _};
use tokio::{sync::watch, time::Instant};

use super::{Shared, content_type, json, judge::Fate, upstream};

/// What the API server says of a watch that it cannot resume.
pub(super) fn expired() -> Response {
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410, "reason": "Expired",
        "message": "too old resource version",
    });
    json(format!("{}\n", serde_json::json!({"type": "ERROR", "object": status})))
}

/// Passes a watch on, event by event.
pub(super) async fn forward(shared: Arc<Shared>, request: Request) -> Response {
    let answer = match upstream(&shared, request).await {
        Ok(answer) => answer,
        Err(answer) => return answer,
    };
    let (parts, body) = answer.into_parts();
    let life = shared.judge().faults.watch_life;
    let feed = Feed {
        lines: Lines { body: body.into_data_stream(), buffer: BytesMut::new() },
        cut: shared.cut.subscribe(),
        end: life.map(|life| Instant::now() + life),
        shared,
    };
    let events = futures::stream::unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((event, feed))
    });
    (parts.status, content_type(&parts.headers), Body::from_stream(events)).into_response()
}

/// One watch.
struct Feed {
    lines: Lines,
    cut: watch::Receiver<u64>,
    end: Option<Instant>,
    shared: Arc<Shared>,
}

impl Feed {
    /// The next event that is not lost; an error breaks the connection.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let line = tokio::select! {
                line = self.lines.next() => line?,
                _ = self.cut.changed() => return Some(Err(reset())),
                () = until(self.end) => return Some(Err(reset())),
            };
            let Ok(line) = line else { return Some(Err(reset())) };
            if is_bookmark(&line) {
                return Some(Ok(line));
            }
            let fate = self.shared.judge().event();
            match fate {
                Fate::Lost => {}
                Fate::Pass(delay) => {
                    return tokio::select! {
                        () = tokio::time::sleep(delay.unwrap_or(Duration::ZERO)) => Some(Ok(line)),
                        _ = self.cut.changed() => Some(Err(reset())),
                    };
                }
            }
        }
    }
}

/// The lines of a body, each with its end.
struct Lines {
    body: BodyDataStream<kube::client::Body>,
    buffer: BytesMut,
}

impl Lines {
    async fn next(&mut self) -> Option<Result<Bytes, kube::Error>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return Some(Ok(self.buffer.split_to(end + 1).freeze()));
            }
            match self.body.next().await? {
                Ok(more) => self.buffer.extend_from_slice(&more),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// A bookmark tells how far the watch is and nothing else.
fn is_bookmark(line: &[u8]) -> bool {
    line.starts_with(br#"{"type":"BOOKMARK""#)
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

fn reset() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}
