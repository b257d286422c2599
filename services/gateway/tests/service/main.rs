//! The gateway in front of upstreams that misbehave in known ways, through its real listeners.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and says where")]

mod answers;
mod forwarding;
mod retries;
mod tunnels;
mod upstream;

use gateway::{Args, Route};
use testkit::{Issuer, Server};

/// A running gateway.
struct Gateway {
    server: Server,
    issuer: Issuer,
}

impl Gateway {
    /// With routes as `PREFIX=URL`.
    async fn start(routes: &[String]) -> Self {
        let routes: Vec<Route> = routes.iter().map(|route| route.parse().unwrap()).collect();
        Self::start_with(Args { routes_file: None, routes, cors_origins: vec![], trusted_proxies: 0 }).await
    }

    async fn start_with(args: Args) -> Self {
        let issuer = Issuer::start().await;
        let service = gateway::build(args, issuer.platform(), gateway::openapi).await.unwrap();
        Self { server: Server::start(service).await, issuer }
    }
}
