//! Headers between a client and a service (RFC 9110, section 7.6).

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Headers that are about one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What only the gateway may tell a service; sent by a client, it is a lie.
const OURS: [&str; 5] = ["x-forwarded-", "x-user-", "x-auth-", "x-internal-", "x-service-"];
const OURS_TOO: [&str; 5] = ["forwarded", "x-real-ip", "x-client-ip", "x-original-url", "x-rewrite-url"];

/// The client as the gateway sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    address: Option<IpAddr>,
    scheme: &'static str,
    host: Option<HeaderValue>,
}

impl Client {
    /// The client of a request that came from `peer` through `trusted` proxies, which have told in their headers.
    pub(crate) fn of(headers: &HeaderMap, authority: Option<&str>, peer: Option<IpAddr>, trusted: usize) -> Self {
        let told = |name: &HeaderName| headers.get(name).filter(|_| trusted > 0);
        let host = told(&FORWARDED_HOST).or_else(|| headers.get(header::HOST)).cloned();
        let host = host.or_else(|| HeaderValue::try_from(authority?).ok());
        Self {
            address: forwarded_for(headers, trusted).or(peer).map(|address| address.to_canonical()),
            scheme: if told(&FORWARDED_PROTO).is_some_and(|scheme| scheme == "https") { "https" } else { "http" },
            host,
        }
    }

    /// Whether the client's own connection is encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        self.scheme == "https"
    }
}

/// The address that the first of the `trusted` proxies has seen: each appends what it sees.
fn forwarded_for(headers: &HeaderMap, trusted: usize) -> Option<IpAddr> {
    if trusted == 0 {
        return None;
    }
    let lists = headers.get_all(FORWARDED_FOR).into_iter().filter_map(|list| list.to_str().ok());
    let seen: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
    seen.get(seen.len().checked_sub(trusted)?)?.parse().ok()
}

/// Turns the headers of a client's request into those of the request to the service.
pub(crate) fn to_service(headers: &mut HeaderMap, client: Client, traceparent: Option<&str>) {
    remove_hop_by_hop(headers);
    headers.remove(header::EXPECT);
    headers.remove(header::HOST);
    let lies: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name)).cloned().collect();
    for name in lies {
        headers.remove(name);
    }
    let Client { address, scheme, host } = client;
    if let Some(address) = address.and_then(|address| HeaderValue::try_from(address.to_string()).ok()) {
        headers.insert(FORWARDED_FOR, address);
    }
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST, host);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    if traceparent.is_none() {
        headers.remove(TRACESTATE);
        headers.insert(TRACEPARENT, new_traceparent());
    }
}

/// Turns the headers of a service's answer into those of the answer to the client.
pub(crate) fn to_client(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
}

/// The protocol that a client asks to change to, where it is one that is passed through: `websocket` (RFC 6455).
pub(crate) fn asked_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let upgrade = headers.get(header::UPGRADE)?;
    let is_websocket = upgrade.to_str().is_ok_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    (is_websocket && named_by_connection(headers).any(|name| name.eq_ignore_ascii_case("upgrade")))
        .then(|| upgrade.clone())
}

/// Asks for the upgrade on the next connection too.
pub(crate) fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = named_by_connection(headers).filter_map(|name| name.parse().ok()).collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(header::CONNECTION).into_iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

fn is_ours(name: &HeaderName) -> bool {
    let name = name.as_str();
    // Services behind other stacks read `x_user_id` as `x-user-id`.
    let name = name.replace('_', "-");
    OURS.iter().any(|prefix| name.starts_with(prefix)) || OURS_TOO.contains(&name.as_str())
}

/// A new trace, sampled (W3C Trace Context, section 3.2.2).
fn new_traceparent() -> HeaderValue {
    let (trace, span) = (rand::random::<u128>().max(1), rand::random::<u64>().max(1));
    HeaderValue::try_from(format!("00-{trace:032x}-{span:016x}-01")).expect("hexadecimal digits are a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&'static str, &'static str)]) -> HeaderMap {
        entries.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn passed(entries: &[(&'static str, &'static str)], trusted: usize) -> HeaderMap {
        let mut headers = map(entries);
        let client = Client::of(&headers, Some("shop.example"), Some("192.0.2.7".parse().unwrap()), trusted);
        to_service(&mut headers, client, headers_traceparent(entries));
        headers
    }

    fn headers_traceparent(entries: &[(&'static str, &'static str)]) -> Option<&'static str> {
        entries.iter().find(|(name, _)| *name == "traceparent").map(|(_, value)| *value)
    }

    #[test]
    fn what_only_the_gateway_may_say_is_taken_out() {
        let sent = [
            ("x-user-id", "1"),
            ("x_user_id", "1"),
            ("x-user-roles", "admin"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "203.0.113.9"),
            ("forwarded", "for=203.0.113.9"),
            ("x-internal-call", "yes"),
            ("x-auth-subject", "1"),
            ("host", "shop.example"),
            ("accept", "application/json"),
        ];
        let mut headers = passed(&sent, 0);
        headers.remove(TRACEPARENT);
        let expected = map(&[
            ("accept", "application/json"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-proto", "http"),
        ]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn trusted_proxies_are_believed_as_far_as_they_are_trusted() {
        let sent = [("x-forwarded-for", "198.51.100.1, 203.0.113.9"), ("x-forwarded-proto", "https")];
        assert_eq!(passed(&sent, 1)["x-forwarded-for"], "203.0.113.9");
        assert_eq!(passed(&sent, 1)["x-forwarded-proto"], "https");
        assert_eq!(passed(&sent, 2)["x-forwarded-for"], "198.51.100.1");
        assert_eq!(passed(&sent, 3)["x-forwarded-for"], "192.0.2.7", "fewer have told than are trusted");
    }

    #[test]
    fn headers_of_the_connection_stay_on_it() {
        let sent = [
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic eA=="),
            ("expect", "100-continue"),
            ("authorization", "Bearer x"),
        ];
        let headers = passed(&sent, 0);
        for (name, _) in sent.iter().take(7) {
            assert!(!headers.contains_key(*name), "{name}");
        }
        assert_eq!(headers["authorization"], "Bearer x");
    }

    #[test]
    fn a_request_without_a_trace_begins_one() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(passed(&[("traceparent", parent)], 0)["traceparent"], parent);
        let begun = passed(&[("tracestate", "a=b")], 0);
        assert_eq!(begun["traceparent"].len(), parent.len());
        assert!(!begun.contains_key("tracestate"));
    }

    #[test]
    fn only_a_websocket_is_upgraded() {
        assert!(asked_upgrade(&map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")])).is_some());
        assert!(asked_upgrade(&map(&[("connection", "upgrade"), ("upgrade", "h2c")])).is_none());
        assert!(asked_upgrade(&map(&[("upgrade", "websocket")])).is_none());
    }
}
