//! `target/cluster/env`: what `cargo xtask up` says about the cluster it made.

use std::{collections::HashMap, path::PathBuf};

use anyhow::{Context as _, Result};

/// How to reach the cluster and its store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// Folder of kubectl and helm.
    pub bin: PathBuf,
    /// Where the shop answers: `http://localhost:30080`.
    pub store_url: String,
    /// The first admin's login.
    pub admin_email: String,
    /// The first admin's password.
    pub admin_password: String,
    /// Every request to the API server, one JSON document a line.
    pub audit_log: PathBuf,
}

impl Settings {
    /// Reads the file's text: shell syntax, one variable a line.
    pub fn parse(text: &str) -> Result<Self> {
        let variables: HashMap<&str, String> = text.lines().filter_map(assignment).collect();
        let get = |name: &str| variables.get(name).cloned().with_context(|| format!("{name} is not set"));
        Ok(Self {
            kubeconfig: get("KUBECONFIG")?.into(),
            bin: get("CLUSTER_BIN")?.into(),
            store_url: get("STORE_URL")?.trim_end_matches('/').to_owned(),
            admin_email: get("ADMIN_EMAIL")?,
            admin_password: get("ADMIN_PASSWORD")?,
            audit_log: get("AUDIT_LOG")?.into(),
        })
    }
}

/// `[export] NAME=value`, where the value may be quoted as a shell reads it.
fn assignment(line: &str) -> Option<(&str, String)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then(|| (name, unquoted(value)))
}

fn unquoted(value: &str) -> String {
    let mut text = String::new();
    let mut quote = None;
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None | Some('"'), '\\') => text.extend(characters.next()),
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
# made by cargo xtask up
export KUBECONFIG=/var/lib/x/admin.kubeconfig
CLUSTER_BIN='/work space/bin'
STORE_URL="http://localhost:30080/"
ADMIN_EMAIL=admin@example.com
ADMIN_PASSWORD='it'\''s $ecret'
AUDIT_LOG=/var/lib/x/audit.log
"#;

    #[test]
    fn the_file_is_read_as_a_shell_reads_it() {
        let settings = Settings::parse(FILE).unwrap();
        assert_eq!(settings.kubeconfig, PathBuf::from("/var/lib/x/admin.kubeconfig"));
        assert_eq!(settings.bin, PathBuf::from("/work space/bin"));
        assert_eq!(settings.store_url, "http://localhost:30080");
        assert_eq!(settings.admin_password, "it's $ecret");
    }

    #[test]
    fn what_is_missing_is_named() {
        let without = FILE.replace("AUDIT_LOG", "OTHER");
        assert_eq!(Settings::parse(&without).unwrap_err().to_string(), "AUDIT_LOG is not set");
    }
}
