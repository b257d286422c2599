//! How often someone may guess (NIST SP 800-63B-4, section 3.2.2: at most 100 in a row).

use std::net::IpAddr;

use sha2::{Digest, Sha256};
use types::EmailAddress;

/// Failures in one window before further tries are refused unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Limit(pub(crate) i32);

/// Failures of one client for one address.
pub(crate) const PER_CLIENT: Limit = Limit(20);
/// Failures of all clients together for one address: guessing from many places is bounded too. It is higher, so that one
/// stranger cannot lock the owner out.
pub(crate) const PER_ACCOUNT: Limit = Limit(100);
/// The length of a window.
pub(crate) const WINDOW_SECONDS: f64 = 900.0;

/// What a failure counts for, as it is stored: not the address itself.
pub(crate) fn subject(email: &EmailAddress, client: Option<IpAddr>) -> Vec<u8> {
    let client = client.map_or_else(String::new, |client| client.to_string());
    Sha256::digest(format!("{email}\n{client}")).to_vec()
}

/// What one client can freely choose from counts as one: an IPv6 network of 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let at = |text: &str| network(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }
}
