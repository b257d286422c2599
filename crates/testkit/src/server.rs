//! A service in this process, behind real listeners.

use std::{net::SocketAddr, time::Duration};

use kit::{Lifecycle, Listeners, Running, Service};
use tokio::net::TcpListener;

use crate::Client;

/// A running service. It ends with the runtime of the test, or by [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    http: SocketAddr,
    grpc: SocketAddr,
    life: Lifecycle,
    _running: Running,
}

impl Server {
    /// Runs `service` on free loopback ports.
    ///
    /// # Panics
    ///
    /// When no port is to be had.
    pub async fn start(service: Service) -> Self {
        Self::start_on(service, Self::listeners().await)
    }

    /// Free loopback ports, for a service that must know its address before it is built.
    ///
    /// # Panics
    ///
    /// When no port is to be had.
    pub async fn listeners() -> Listeners {
        Listeners { http: listener().await, grpc: listener().await }
    }

    /// Runs `service` on `listeners`.
    ///
    /// # Panics
    ///
    /// When a listener has lost its address, which cannot be.
    #[must_use]
    pub fn start_on(service: Service, listeners: Listeners) -> Self {
        let address = |listener: &TcpListener| listener.local_addr().expect("a listener has an address");
        let (http, grpc) = (address(&listeners.http), address(&listeners.grpc));
        let life = Lifecycle::new();
        let mut running = Running::new(life.clone());
        running.serve(service, listeners);
        Self { http, grpc, life, _running: running }
    }

    /// The address of its HTTP interface.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The address of its internal interface.
    #[must_use]
    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// A client of its HTTP interface, without a token.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url())
    }

    /// Drains it, as SIGTERM would.
    pub async fn stop(self) {
        self.life.stop(Duration::ZERO, Duration::from_secs(25)).await;
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free")
}
