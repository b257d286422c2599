//! Short fingerprints of content.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};

/// Sixteen hexadecimal digits that change when any part changes. Parts are framed, so `["ab"]` and `["a", "b"]` differ.
pub(crate) fn content_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    content_bytes(parts)[..8].iter().fold(String::with_capacity(16), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// The SHA-256 of the framed parts.
pub(crate) fn content_bytes<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::content_hash;

    #[test]
    fn framing_keeps_different_lists_apart() {
        assert_ne!(content_hash([b"ab".as_slice()]), content_hash([b"a".as_slice(), b"b".as_slice()]));
        assert_eq!(content_hash([b"ab".as_slice()]).len(), 16);
    }
}
