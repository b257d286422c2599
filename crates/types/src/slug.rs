//! Names that stand in addresses.

use std::str::FromStr;

use crate::{Invalid, checked_text};

const LONGEST: usize = 96;

/// A name for an address: lower-case letters, digits and single hyphens, at most 96 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

impl Slug {
    /// The slug of a title: "Tote of old Sails!" becomes `tote-of-old-sails`. A title without a letter or digit that can be
    /// kept becomes `item`.
    #[must_use]
    pub fn from_title(title: &str) -> Self {
        let mut slug = String::new();
        for c in title.chars().flat_map(char::to_lowercase) {
            if slug.len() >= LONGEST {
                break;
            }
            if c.is_ascii_alphanumeric() {
                slug.push(c);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        let slug = slug.trim_end_matches('-');
        Self(if slug.is_empty() { "item".to_owned() } else { slug.to_owned() })
    }

    /// This slug with a suffix that tells it from others: `tote-3`.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        let room = LONGEST.saturating_sub(suffix.len() + 1);
        let stem: String = self.0.chars().take(room).collect();
        Self(format!("{}-{suffix}", stem.trim_end_matches('-')))
    }
}

impl FromStr for Slug {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = (1..=LONGEST).contains(&text.len())
            && text.split('-').all(|part| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            });
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be lower-case letters, digits and single hyphens, at most 96 characters"))
        }
    }
}

checked_text!(Slug, "slug", "tote-of-old-sails");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_title_becomes_an_address() {
        assert_eq!(Slug::from_title("  Tote -- of old Sails! ").as_str(), "tote-of-old-sails");
        assert_eq!(Slug::from_title("♻♻").as_str(), "item");
    }

    proptest! {
        #[test]
        fn the_slug_of_any_title_is_a_slug(title in ".*", suffix in "[a-z0-9]{1,8}") {
            let slug = Slug::from_title(&title);
            prop_assert!(slug.as_str().parse::<Slug>().is_ok());
            prop_assert!(slug.with_suffix(&suffix).as_str().parse::<Slug>().is_ok());
        }
    }
}
