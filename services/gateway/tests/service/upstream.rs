//! Services behind the gateway: one that tells what it got, and ones that break off.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::Request,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::IntoResponse,
    routing::any,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A service that answers with what it got.
pub(crate) struct Echo {
    pub(crate) url: String,
    _tasks: JoinSet<()>,
}

/// A service that closes its first `n` connections once it has read a request, then answers.
pub(crate) struct Breaking {
    pub(crate) url: String,
    seen: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        Self::on(listener().await)
    }

    pub(crate) fn on(listener: TcpListener) -> Self {
        let url = url(&listener);
        let router = Router::new().route("/api/slow", any(std::future::pending::<StatusCode>)).fallback(tell);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, _tasks: tasks }
    }

    /// The route of everything to it.
    pub(crate) fn route(&self) -> String {
        format!("/api={}", self.url)
    }
}

impl Breaking {
    /// Breaks off `n` times: at once, or after the `head` of an answer.
    pub(crate) async fn start(n: usize, head: &'static str) -> Self {
        let listener = listener().await;
        let (url, seen) = (url(&listener), Arc::<AtomicUsize>::default());
        let mut tasks = JoinSet::new();
        let counted = seen.clone();
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_request(&mut stream).await;
                let answer = if counted.fetch_add(1, Ordering::SeqCst) < n {
                    head
                } else {
                    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
                };
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, seen, _tasks: tasks }
    }

    pub(crate) fn route(&self) -> String {
        format!("/api={}", self.url)
    }

    /// How many requests it has read.
    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

pub(crate) fn url(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().unwrap())
}

/// The head and whatever of the body comes with it.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await.unwrap() {
            0 => break,
            length => request.extend_from_slice(&chunk[..length]),
        }
    }
    request
}

async fn tell(method: Method, uri: Uri, headers: HeaderMap, request: Request) -> impl IntoResponse {
    let body: Bytes = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let headers: serde_json::Map<String, Value> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let told = json!({ "method": method.as_str(), "uri": uri.to_string(), "headers": headers, "size": body.len() });
    ([("x-answered-by", "echo"), ("keep-alive", "timeout=1")], Json(told))
}
