//! What browsers are told about the shop's answers.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use tower_http::cors::{AllowOrigin, CorsLayer};
use types::Invalid;

use crate::headers::Client;

/// A year, as browsers ask of it (RFC 6797).
const ONLY_ENCRYPTED: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// An origin whose pages may call the shop (RFC 6454): `https://shop.example`, or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_origin = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']));
        let value = HeaderValue::try_from(text).ok().filter(|_| is_origin || text == "*");
        value.map(Self).ok_or_else(|| Invalid::new("must be an origin such as https://shop.example, or *"))
    }
}

/// Puts the headers for browsers around `router`, and lets pages of `origins` call it.
pub(crate) fn around(router: Router, origins: &[Origin], trusted_proxies: usize) -> Router {
    let router = router.layer(from_fn_with_state(trusted_proxies, tell_browsers));
    if origins.is_empty() { router } else { router.layer(cors(origins)) }
}

async fn tell_browsers(State(trusted): State<usize>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let secure = trusted > 0 && Client::of(request.headers(), None, peer, trusted).is_secure();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
    if secure {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(ONLY_ENCRYPTED);
    }
    response
}

fn cors(origins: &[Origin]) -> CorsLayer {
    let everybody = origins.iter().any(|Origin(value)| value == "*");
    let allowed = if everybody {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().map(|Origin(value)| value.clone()))
    };
    let name = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            name("idempotency-key"),
            name("x-request-id"),
            name("traceparent"),
        ])
        .expose_headers([header::ETAG, header::LOCATION, header::RETRY_AFTER, name("x-request-id")])
        .max_age(Duration::from_mins(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_a_scheme_and_no_path() {
        for origin in ["https://shop.example", "http://localhost:3000", "*"] {
            assert!(origin.parse::<Origin>().is_ok(), "{origin}");
        }
        for other in ["shop.example", "https://", "https://shop.example/", "https://*.example", "", "null"] {
            assert!(other.parse::<Origin>().is_err(), "{other}");
        }
    }
}
