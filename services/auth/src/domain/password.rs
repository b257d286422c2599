//! Passwords: what is asked of a new one (NIST SP 800-63B-4, section 3.1.1; OWASP ASVS 5.0, section 6.2).

use std::{collections::HashSet, fmt, sync::LazyLock};

use types::{EmailAddress, Invalid, ShortText};
use unicode_normalization::UnicodeNormalization;

/// A password as it is hashed: in Unicode NFKC, so that it is the same from every keyboard. It never shows in logs.
#[derive(Clone)]
pub(crate) struct Password(String);

/// Whose password it is to be: their names are no secret.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) email: &'a EmailAddress,
    pub(crate) name: &'a ShortText,
}

/// Fewest characters of a new password.
const SHORTEST: usize = 8;
/// Most characters of any password; a longer one is refused rather than cut.
const LONGEST: usize = 256;
/// What the shop is called is the first thing someone tries.
const SHOP: [&str; 2] = ["greencommerce", "green commerce"];

/// Passwords of 8 characters and more that leaked most often: the part of the frequency list of zxcvbn (MIT licence) that
/// the minimum length does not refuse anyway. In lower case, one a line.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

impl Password {
    /// A password that someone logs in with; `None` where it is longer than any can be.
    pub(crate) fn presented(text: &str) -> Option<Self> {
        (text.len() <= LONGEST * 4 && text.chars().count() <= LONGEST).then(|| Self(text.nfkc().collect()))
    }

    /// A password that `owner` chooses.
    pub(crate) fn chosen(text: &str, owner: Owner<'_>) -> Result<Self, Invalid> {
        let password = Self::presented(text);
        let password = password.filter(|password| password.0.chars().count() >= SHORTEST);
        let password = password.ok_or_else(|| Invalid::new("must be 8 to 256 characters"))?;
        let lower = password.0.to_lowercase();
        if COMMON.contains(lower.as_str()) || lower.chars().collect::<HashSet<_>>().len() < 3 {
            return Err(Invalid::new("is one of those that are guessed first: choose another"));
        }
        if owner.is_named_by(&lower) {
            return Err(Invalid::new("must not be your name, your address or the shop's name: choose another"));
        }
        Ok(password)
    }

    /// What is hashed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Owner<'_> {
    /// Whether `password` is a name of the owner or the shop, whatever digits and signs stand around it.
    fn is_named_by(self, password: &str) -> bool {
        let email = self.email.as_str();
        let local_part = email.split('@').next().unwrap_or_default();
        let name = self.name.as_str();
        let mut names = vec![email, local_part, name];
        names.extend(SHOP);
        names.extend(name.split_whitespace());
        let bare = letters(password);
        names.into_iter().any(|name| bare == letters(&name.to_lowercase()) && !bare.is_empty())
    }
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).collect()
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str) -> Result<Password, Invalid> {
        let (email, name) = ("ada@example.com".parse().unwrap(), "Ada Lovelace".parse().unwrap());
        Password::chosen(text, Owner { email: &email, name: &name })
    }

    #[test]
    fn a_password_needs_eight_characters_and_nothing_else() {
        assert!(choose("mwqpzxnb").is_ok());
        assert!(choose("mwqpzxn").is_err());
        assert!(choose("tiffin ocean ladder").is_ok());
        assert!(choose("ẹ káàbọ̀ sí ilé").is_ok(), "any script will do");
        assert!(choose(&"ab1 ".repeat(64)).is_ok());
        assert!(choose(&"ab1 ".repeat(65)).is_err(), "a long one is refused, not cut");
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        for guessed in ["password", "PASSWORD", "12345678", "qwertyuiop", "iloveyou", "aaaaaaaaaa", "abababab"] {
            assert!(choose(guessed).is_err(), "{guessed}");
        }
    }

    #[test]
    fn names_of_the_owner_and_the_shop_are_refused() {
        for named in ["AdaLovelace", "ada lovelace 1815", "Lovelace!!", "ada@example.com", "GreenCommerce1", "ada12345"]
        {
            assert!(choose(named).is_err(), "{named}");
        }
        assert!(choose("ada likes old sails").is_ok(), "a name in a longer password is fine");
    }

    #[test]
    fn a_password_is_the_same_however_its_characters_are_composed() {
        let (composed, decomposed) =
            (Password::presented("caf\u{e9}s au lait"), Password::presented("cafe\u{301}s au lait"));
        assert_eq!(composed.unwrap().as_bytes(), decomposed.unwrap().as_bytes());
    }

    #[test]
    fn a_password_never_shows() {
        assert_eq!(format!("{:?}", choose("tiffin ocean ladder").unwrap()), "Password(…)");
    }
}
