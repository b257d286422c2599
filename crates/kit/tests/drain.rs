//! How a service ends: what is under way is finished, nothing new is taken.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use kit::{Lifecycle, Listeners, Running, Service};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// Longer than any test runs.
const FOREVER: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_request_under_way_is_answered_and_no_other_is_taken() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (enter, left) = (entered.clone(), leave.clone());
    let slow = get(move || async move {
        enter.notify_one();
        left.notified().await;
        "done"
    });
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = http.local_addr().unwrap();
    let life = Lifecycle::new();
    let mut running = Running::new(life.clone());
    running.serve(Service::new("slow", Router::new().route("/", slow)), Listeners { http, grpc });

    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
    entered.notified().await;
    let stopped = async { life.stop(Duration::ZERO, Duration::from_secs(10)).await };
    let finished = async {
        life.stopping().cancelled().await;
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        leave.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let ((), answer) = tokio::join!(stopped, finished);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.ends_with("done"), "{answer}");
}

#[tokio::test]
async fn a_request_on_a_connection_that_was_idle_is_answered_and_ends_it() {
    let router = Router::new().route("/", get(async || "done"));
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = http.local_addr().unwrap();
    let life = Lifecycle::new();
    let mut running = Running::new(life.clone());
    running.serve(Service::new("patient", router).linger(FOREVER), Listeners { http, grpc });
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
    let mut first = Vec::new();
    while !first.ends_with(b"done") {
        assert_ne!(client.read_buf(&mut first).await.unwrap(), 0, "closed before the end began");
    }

    let stopped = life.stop(Duration::ZERO, FOREVER);
    let answered = async {
        life.stopping().cancelled().await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let ((), answer) = tokio::join!(stopped, answered);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}
