//! Short fingerprints of content.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};

/// Sixteen hexadecimal digits that change when any part changes. Parts are framed, so `["ab"]` and `["a", "b"]` differ.
pub(crate) fn content_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    content_bytes(parts)[..8].iter().fold(String::with_capacity(16), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// The fingerprint of what a Secret holds. It stands on the pods that were made from it.
pub(crate) fn secret_hash(secret: &Secret) -> String {
    let data = secret.data.iter().flatten();
    content_hash(data.flat_map(|(key, value)| [key.as_bytes(), value.0.as_slice()]))
}

/// The fingerprint of the texts that files hold, in this order; none of no file. It stands on the pods that were started with
/// them.
pub(crate) fn config_hash<'a>(files: impl IntoIterator<Item = &'a ConfigMap>) -> Option<String> {
    let of_one = |file: &ConfigMap| {
        let data = file.data.iter().flatten();
        content_hash(data.flat_map(|(key, text)| [key.as_bytes(), text.as_bytes()]))
    };
    let hashes: Vec<String> = files.into_iter().map(of_one).collect();
    (!hashes.is_empty()).then(|| content_hash(hashes.iter().map(String::as_bytes)))
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
