//! What people type into the search.

use std::str::FromStr;

use types::Invalid;

/// The longest text that is searched for, in characters.
const LONGEST: usize = 200;
/// The most words that are looked at.
const MOST_WORDS: usize = 16;

/// A text to search for: at most 200 characters, as words in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SearchText {
    text: String,
    words: Vec<String>,
}

impl SearchText {
    /// The text in lower case.
    #[must_use]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A `tsquery` of products that have all the words, each as the beginning of a word at least (PostgreSQL, section
    /// 8.11.2). Empty where there are no words.
    #[must_use]
    pub(crate) fn all_words(&self) -> String {
        self.tsquery(" & ")
    }

    /// A `tsquery` of products that have one of the words.
    #[must_use]
    pub(crate) fn any_word(&self) -> String {
        self.tsquery(" | ")
    }

    fn tsquery(&self, operator: &str) -> String {
        self.words.iter().map(|word| format!("{word}:*")).collect::<Vec<_>>().join(operator)
    }
}

impl FromStr for SearchText {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().count() > LONGEST || text.contains('\0') {
            return Err(Invalid::new("must be at most 200 characters"));
        }
        let text = text.trim().to_lowercase();
        // Letters and digits only, so that nothing in it means anything to PostgreSQL.
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let words = words.take(MOST_WORDS).map(str::to_owned).collect();
        Ok(Self { text, words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_beginnings_of_words() {
        let text: SearchText = " Recycled  TOTE-bag ".parse().unwrap();
        assert_eq!(text.all_words(), "recycled:* & tote:* & bag:*");
        assert_eq!(text.any_word(), "recycled:* | tote:* | bag:*");
        assert_eq!(text.text(), "recycled  tote-bag");
    }

    #[test]
    fn operators_mean_nothing() {
        let text: SearchText = "'a' & !(b <-> c:*) \\ |".parse().unwrap();
        assert_eq!(text.all_words(), "a:* & b:* & c:*");
        assert_eq!("!&|".parse::<SearchText>().unwrap().all_words(), "");
    }

    #[test]
    fn absurd_texts_are_refused() {
        assert!("a".repeat(201).parse::<SearchText>().is_err());
        assert!("a\0".parse::<SearchText>().is_err());
    }
}
