//! Countries.

use std::str::FromStr;

use crate::{Invalid, checked_text};

/// A country by its two capital letters (the form of ISO 3166-1 alpha-2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CountryCode(String);

impl FromStr for CountryCode {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be a two-letter country code such as NG"))
        }
    }
}

checked_text!(CountryCode, "iso-3166-1-alpha-2", "NG");
