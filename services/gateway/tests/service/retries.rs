//! What clients see of services that go away.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use kit::Service;
use serde_json::json;
use testkit::Server;
use tokio::{net::TcpStream, sync::watch, task::JoinSet};
use tokio_util::task::TaskTracker;

use crate::{
    Gateway,
    upstream::{Breaking, Echo, listener, url},
};

#[tokio::test]
async fn a_read_that_was_broken_off_is_done_again() {
    let service = Breaking::start(2, "").await;
    let gateway = Gateway::start(&[service.route()]).await;
    gateway.server.client().get("/api/things").send().await.expect_status(200);
    assert_eq!(service.seen(), 3);
}

#[tokio::test]
async fn a_write_with_a_key_is_done_again_and_one_without_is_not() {
    let service = Breaking::start(1, "").await;
    let gateway = Gateway::start(&[service.route()]).await;
    let client = gateway.server.client();
    let post = || client.post("/api/things").json(&json!({ "a": 1 }));
    post().idempotency_key("k-1").send().await.expect_status(200);
    assert_eq!(service.seen(), 2);

    let service = Breaking::start(1, "").await;
    let gateway = Gateway::start(&[service.route()]).await;
    let client = gateway.server.client();
    client.post("/api/things").json(&json!({ "a": 1 })).send().await.expect_problem(502, "broken_off");
    assert_eq!(service.seen(), 1, "it may have been done");
}

#[tokio::test]
async fn a_service_that_breaks_off_for_good_is_asked_three_times() {
    let service = Breaking::start(usize::MAX, "HTTP/1.1 200 OK\r\ncontent-le").await;
    let gateway = Gateway::start(&[service.route()]).await;
    gateway.server.client().get("/api/things").send().await.expect_problem(502, "broken_off");
    assert_eq!(service.seen(), 3);
}

#[tokio::test]
async fn a_service_that_is_away_for_a_moment_is_waited_for() {
    let reserved = listener().await;
    let (address, route) = (reserved.local_addr().unwrap(), format!("/api={}", url(&reserved)));
    drop(reserved);
    let gateway = Gateway::start(&[route]).await;
    let client = gateway.server.client();
    let begun = Instant::now();
    let answer = client.get("/api/things").send().await;
    answer.expect_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(begun.elapsed() >= Duration::from_secs(1), "long enough for a pod to be replaced");

    let mut tasks = JoinSet::new();
    tasks.spawn(async move { client.post("/api/things").json(&json!({ "a": 1 })).send().await.expect_status(200) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _back = Echo::on(tokio::net::TcpListener::bind(address).await.unwrap());
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_a_timeout() {
    let echo = Echo::start().await;
    let gateway = Gateway::start(&[echo.route()]).await;
    gateway.server.client().get("/api/slow").send().await.expect_problem(504, "timeout");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_are_replaced_under_load_fail_no_request() {
    let mut pod = pod().await;
    let (address, choose) = balancer(pod.url()).await;
    let gateway = Gateway::start(&[format!("/api=http://{address}")]).await;
    let client = gateway.server.client();
    let mut load = JoinSet::new();
    for _ in 0..8 {
        let client = client.clone();
        load.spawn(async move {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(12) {
                client.get("/api/things").send().await.expect_status(200);
                // Without a key it is never sent again: so it must not even be at risk.
                client.post("/api/things").json(&json!({ "a": 1 })).send().await.expect_status(200);
            }
        });
    }
    while !load.is_empty() {
        let next = self::pod().await;
        choose.send(next.url()).unwrap();
        // What was on its way to the old pod has arrived, as after a preStop pause.
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::mem::replace(&mut pod, next).stop().await;
        while let Some(done) = load.try_join_next() {
            done.unwrap();
        }
    }
}

/// A service that can be stopped as a pod is: gracefully.
async fn pod() -> Server {
    let router = axum::Router::new().fallback(|| async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        "ok"
    });
    Server::start(Service::new("pod", router)).await
}

/// One address for pods that come and go, as a Service of Kubernetes is: it chooses for each connection.
async fn balancer(first: String) -> (SocketAddr, watch::Sender<String>) {
    let listener = listener().await;
    let address = listener.local_addr().unwrap();
    let (choose, chosen) = watch::channel(first);
    let mut connections = JoinSet::new();
    let accept = async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let pod = chosen.borrow().trim_start_matches("http://").to_owned();
            connections.spawn(async move {
                let mut pod = TcpStream::connect(pod).await.unwrap();
                tokio::io::copy_bidirectional(&mut client, &mut pod).await.ok();
            });
        }
    };
    let tasks = TaskTracker::new();
    tasks.spawn(accept);
    (address, choose)
}
