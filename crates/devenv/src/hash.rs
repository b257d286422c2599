//! Short names for contents.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The first `length` bytes of the SHA-256 of `content`, in hexadecimal.
pub(crate) fn short(content: &[u8], length: usize) -> String {
    Sha256::digest(content).iter().take(length).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_beginning_of_the_well_known_digest() {
        assert_eq!(short(b"abc", 4), "ba7816bf");
    }
}
