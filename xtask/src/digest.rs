//! Content keys: what a cached thing was made from, as a short hash.

use std::{fmt::Write as _, fs, io::Read as _, path::Path};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

/// A SHA-256 over named parts. Every part is preceded by its length, so that no two different lists of parts are the same stream of bytes.
#[derive(Clone, Default)]
pub(crate) struct Key(Sha256);

impl Key {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn part(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// The content of a file as one part.
    pub(crate) fn file(self, path: &Path) -> Result<Self> {
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(self.part(content))
    }

    /// The first `digits` hexadecimal digits (at most 64).
    pub(crate) fn hex(self, digits: usize) -> String {
        let mut text = hex(&self.0.finalize());
        text.truncate(digits);
        text
    }
}

/// The hash of one file's content, read in pieces: binaries are large.
pub(crate) fn of_file(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    Ok(hex(&hash.finalize()))
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_between_parts_changes_the_key() {
        let one = Key::new().part("ab").part("c").hex(16);
        let other = Key::new().part("a").part("bc").hex(16);
        assert_ne!(one, other);
    }

    #[test]
    fn equal_parts_give_equal_keys_of_the_asked_length() {
        let key = || Key::new().part("tool").part("v1").hex(12);
        assert_eq!(key(), key());
        assert_eq!(key().len(), 12);
    }
}
