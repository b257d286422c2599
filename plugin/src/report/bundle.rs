//! The files of a report. Nothing gets in that has not been redacted.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde::Serialize;

use super::redact::Redactor;
use crate::error::Error;

/// Files in one folder.
pub(super) struct Bundle {
    root: String,
    redactor: Redactor,
    files: Vec<(String, String)>,
}

impl Bundle {
    pub(super) fn new(root: &str, redactor: Redactor) -> Self {
        Self { root: root.to_owned(), redactor, files: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Adds text for people.
    pub(super) fn text(&mut self, path: &str, text: &str) {
        self.files.push((path.to_owned(), self.redactor.text(text)));
    }

    /// Adds a log.
    pub(super) fn log(&mut self, path: &str, log: &str) {
        self.files.push((path.to_owned(), self.redactor.log(log)));
    }

    /// Adds a value as YAML.
    pub(super) fn value<T: Serialize>(&mut self, path: &str, value: &T) -> Result<(), Error> {
        let unwritable = |error: &dyn std::fmt::Display| Error::failed(format!("cannot write {path}: {error}"));
        let mut value = serde_json::to_value(value).map_err(|error| unwritable(&error))?;
        self.redactor.value(&mut value);
        let text = serde_yaml::to_string(&value).map_err(|error| unwritable(&error))?;
        self.files.push((path.to_owned(), text));
        Ok(())
    }

    /// Writes everything as a compressed archive.
    pub(super) fn write<W: Write>(&self, out: W, now: Timestamp) -> std::io::Result<W> {
        let mut archive = tar::Builder::new(GzEncoder::new(out, Compression::default()));
        for (path, content) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(now.as_second().try_into().unwrap_or_default());
            archive.append_data(&mut header, format!("{}/{path}", self.root), content.as_bytes())?;
        }
        archive.into_inner()?.finish()
    }
}
