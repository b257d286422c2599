//! `target/cluster/env`: how to reach the cluster and its shop, for people and for tests.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    cluster::{self, Provider},
    digest,
};

const ADMIN_EMAIL: &str = "admin@greencommerce.example";

/// What the file says. The password is made once and kept.
pub(super) struct Environment {
    file: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// What an earlier run wrote, brought up to date. The file exists afterwards: a password is never used before it is
    /// kept.
    pub(super) fn new(provider: &dyn Provider, store_url: String) -> Result<Self> {
        let file = cluster::dir().join("env");
        let mut variables = parse(&fs::read_to_string(&file).unwrap_or_default());
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        variables.insert("KUBECONFIG".to_owned(), text(provider.kubeconfig()));
        variables.insert("CLUSTER_BIN".to_owned(), text(cluster::bin()));
        variables.insert("STORE_URL".to_owned(), store_url);
        variables.entry("ADMIN_EMAIL".to_owned()).or_insert_with(|| ADMIN_EMAIL.to_owned());
        if !variables.contains_key("ADMIN_PASSWORD") {
            variables.insert("ADMIN_PASSWORD".to_owned(), password()?);
        }
        match provider.audit_log() {
            Some(log) => variables.insert("AUDIT_LOG".to_owned(), text(log)),
            None => variables.remove("AUDIT_LOG"),
        };
        let environment = Self { file, variables };
        environment.write()?;
        Ok(environment)
    }

    /// Remembers that this store has its administrator.
    pub(super) fn finish(mut self, store_uid: &str) -> Result<Self> {
        self.variables.insert("STORE_UID".to_owned(), store_uid.to_owned());
        self.write()?;
        Ok(self)
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn store_url(&self) -> &str {
        self.get("STORE_URL")
    }

    pub(super) fn admin_email(&self) -> &str {
        self.get("ADMIN_EMAIL")
    }

    pub(super) fn admin_password(&self) -> &str {
        self.get("ADMIN_PASSWORD")
    }

    /// The store whose administrator and catalogue were made.
    pub(super) fn store_uid(&self) -> Option<&str> {
        self.variables.get("STORE_UID").map(String::as_str)
    }

    fn get(&self, name: &str) -> &str {
        self.variables.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Readable by its owner alone, since it has the password. Nothing is written where nothing changed.
    fn write(&self) -> Result<()> {
        let text = render(&self.variables);
        if fs::read_to_string(&self.file).is_ok_and(|old| old == text) {
            return Ok(());
        }
        let partial = self.file.with_extension("partial");
        let _ = fs::remove_file(&partial);
        let write = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&partial, &self.file)
        };
        write().with_context(|| format!("cannot write {}", self.file.display()))
    }
}

/// In single quotes, where a shell reads everything as it stands but the quote itself.
fn render(variables: &BTreeMap<String, String>) -> String {
    let mut text = "# Written by `cargo xtask up`; read it with `. target/cluster/env`.\n".to_owned();
    for (name, value) in variables {
        let _ = writeln!(text, "export {name}='{}'", value.replace('\'', r"'\''"));
    }
    text
}

/// What the file says.
pub(crate) fn read() -> Result<BTreeMap<String, String>> {
    let file = cluster::dir().join("env");
    let text = fs::read_to_string(&file);
    let text = text.with_context(|| format!("cannot read {}: `cargo xtask up` writes it", file.display()))?;
    Ok(parse(&text))
}

fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .filter_map(|(name, value)| {
            let value = value.strip_prefix('\'')?.strip_suffix('\'')?.replace(r"'\''", "'");
            Some((name.to_owned(), value))
        })
        .collect()
}

/// 160 random bits as hexadecimal digits.
fn password() -> Result<String> {
    let mut bytes = [0; 20];
    let mut source = fs::File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    source.read_exact(&mut bytes).context("cannot read /dev/urandom")?;
    Ok(digest::hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let variables = BTreeMap::from([
            ("ADMIN_PASSWORD".to_owned(), "it's $ecret \"quoted\"".to_owned()),
            ("STORE_URL".to_owned(), "http://localhost:30080".to_owned()),
        ]);
        assert_eq!(parse(&render(&variables)), variables);
    }

    #[test]
    fn a_shell_reads_the_same() {
        let variables = BTreeMap::from([("SECRET".to_owned(), r"it's a \ $HOME".to_owned())]);
        let script = format!("{}printf %s \"$SECRET\"", render(&variables));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), r"it's a \ $HOME");
    }

    #[test]
    fn passwords_are_long_and_differ() {
        let (one, other) = (password().unwrap(), password().unwrap());
        assert_eq!(one.len(), 40);
        assert_ne!(one, other);
    }
}
