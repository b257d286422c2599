//! Connections that become something else.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    Gateway,
    upstream::{listener, read_request, url},
};

#[tokio::test]
async fn a_websocket_is_passed_through_in_both_directions() {
    let service = listener().await;
    let gateway = Gateway::start(&[format!("/api/live={}", url(&service))]).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = service.accept().await.unwrap();
        let request = String::from_utf8(read_request(&mut stream).await).unwrap().to_lowercase();
        assert!(request.contains("upgrade: websocket") && request.contains("sec-websocket-key: x"), "{request}");
        let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut heard = [0; 4];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
        stream.write_all(b"pong").await.unwrap();
    });
    let mut client = TcpStream::connect(gateway.server.url().trim_start_matches("http://")).await.unwrap();
    let ask = "GET /api/live HTTP/1.1\r\nhost: shop\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n\r\n";
    client.write_all(ask.as_bytes()).await.unwrap();
    let answer = String::from_utf8(read_request(&mut client).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.to_lowercase().contains("upgrade: websocket"), "{answer}");
    client.write_all(b"ping").await.unwrap();
    let mut heard = [0; 4];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"pong");
    tasks.join_next().await.unwrap().unwrap();
}
