//! E-mail addresses.

use std::str::FromStr;

use crate::{Invalid, checked_text};

/// An e-mail address in lower case, so that one mailbox has one account. The check is the plain one of the HTML standard
/// (`input type=email`), with the lengths of RFC 5321; only a delivered mail proves more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(String);

impl FromStr for EmailAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || Invalid::new("must be an e-mail address such as ada@example.com");
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or_else(refused)?;
        let local_is_fine = (1..=64).contains(&local.len()) && local.chars().all(allowed_in_local_part);
        let domain_is_fine = domain.len() <= 253 && domain.contains('.') && domain.split('.').all(is_host_label);
        if text.len() <= 254 && local_is_fine && domain_is_fine {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(refused())
        }
    }
}

fn allowed_in_local_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c)
}

fn is_host_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

checked_text!(EmailAddress, "email", "ada@example.com");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_in_lower_case() {
        assert_eq!("  Ada@Example.COM ".parse::<EmailAddress>().unwrap().as_str(), "ada@example.com");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for wrong in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "a b@example.com",
            "ada@-a.com",
            "ada@a..com",
            "ada@exämple.com",
        ] {
            assert!(wrong.parse::<EmailAddress>().is_err(), "{wrong}");
        }
    }
}
