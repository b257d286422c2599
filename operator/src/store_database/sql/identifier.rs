//! Names of databases and roles, safe to put into a statement: DDL takes no bind parameters.

use std::fmt;

/// Names that PostgreSQL, or everybody's habits, already give a meaning to.
const RESERVED: [&str; 5] = ["postgres", "public", "none", "template0", "template1"];

/// The longest name PostgreSQL stores whole (`NAMEDATALEN` - 1 bytes); longer ones are cut silently.
const MAX_BYTES: usize = 63;

/// A database or role name: lower-case letters, digits, `-` and `_`, beginning with a letter, at most 63 bytes.
///
/// Its `Display` is the quoted form, so that a statement built with `format!` cannot hold it unquoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identifier(String);

/// Why a text is not an [`Identifier`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentifier {
    /// The text is empty or longer than PostgreSQL keeps.
    #[error("a name has 1 to {MAX_BYTES} characters, {0:?} has {len}", len = .0.len())]
    Length(String),
    /// The text holds something else than the characters allowed.
    #[error("a name begins with a lower-case letter and goes on with letters, digits, `-` or `_`: {0:?} does not")]
    Characters(String),
    /// The text means something else to PostgreSQL.
    #[error("{0:?} is a name of PostgreSQL's own")]
    Reserved(String),
}

impl Identifier {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self, InvalidIdentifier> {
        if name.is_empty() || name.len() > MAX_BYTES {
            return Err(InvalidIdentifier::Length(name.to_owned()));
        }
        let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(inside) {
            return Err(InvalidIdentifier::Characters(name.to_owned()));
        }
        if RESERVED.contains(&name) || name.starts_with("pg_") {
            return Err(InvalidIdentifier::Reserved(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name of a second role beside the one of this name. A database's name has no `-`, so that it is nobody else's.
    pub(super) fn second(&self) -> Self {
        Self(format!("{}-b", self.0))
    }

    /// The name as it stands in the catalogue, without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Quoted(&self.0))
    }
}

/// Any name in double quotes, quotes inside doubled.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// Any text as a string constant in single quotes, quotes inside doubled. With a backslash inside it becomes an escape
/// string, which reads the same whatever `standard_conforming_strings` says.
pub(super) struct Literal<'a>(pub(super) &'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = self.0.replace('\'', "''");
        if quoted.contains('\\') { write!(f, "E'{}'", quoted.replace('\\', "\\\\")) } else { write!(f, "'{quoted}'") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_name_is_an_identifier_and_is_shown_quoted() {
        let name = Identifier::parse("order-history_2").unwrap();
        assert_eq!(name.as_str(), "order-history_2");
        assert_eq!(name.to_string(), "\"order-history_2\"");
    }

    #[test]
    fn what_could_leave_its_quotes_or_mean_something_else_is_refused() {
        let long = "a".repeat(64);
        for bad in [
            "",
            &long,
            "Auth",
            "1st",
            "-a",
            "a b",
            "a\"b",
            "a;drop",
            "ä",
            "pg_auth",
            "postgres",
            "public",
            "none",
            "template1",
            "a\0",
        ] {
            assert!(Identifier::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(Identifier::parse(&"a".repeat(63)).is_ok());
    }

    #[test]
    fn quotes_inside_are_doubled() {
        assert_eq!(Quoted("a\"b").to_string(), "\"a\"\"b\"");
        assert_eq!(Literal("it's").to_string(), "'it''s'");
        assert_eq!(Literal("a\\b'c").to_string(), "E'a\\\\b''c'");
    }
}
