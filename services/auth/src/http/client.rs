//! Who is at the other end of a request, for throttling and for the list of sessions.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{header, request::Parts},
};

use crate::domain::network;

/// Longest part of a user agent that is kept, in bytes.
const LONGEST_AGENT: usize = 200;

/// The client: where it is, and what program it says it is.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) network: Option<IpAddr>,
    pub(crate) agent: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // The gateway sets the header anew; nobody else reaches this service.
        let forwarded = parts.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
        let forwarded = forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
        let peer = || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self {
            network: forwarded.or_else(peer).map(network),
            agent: agent.map(|agent| agent.chars().take(LONGEST_AGENT).collect()),
        })
    }
}
