//! Texts of people.

use std::str::FromStr;

use crate::{Invalid, checked_text};

/// One line of text: 1 to 200 characters without control characters, trimmed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortText(String);

/// Several lines of text: at most 10 000 characters, trimmed, without control characters but line breaks and tabs. May be
/// empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LongText(String);

impl FromStr for ShortText {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 200 characters on one line"))
        }
    }
}

impl FromStr for LongText {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        if text.chars().count() <= 10_000 && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be at most 10000 characters, without control characters"))
        }
    }
}

checked_text!(ShortText, "line", "Tote of old sails");
checked_text!(LongText, "text", "Sewn in Lagos from sails that crossed the Atlantic.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_character_never_gets_in() {
        assert!("a\0b".parse::<ShortText>().is_err());
        assert!("a\0b".parse::<LongText>().is_err());
    }
}
