//! A Service inside the cluster, reached from the test by `kubectl port-forward`.

use std::process::Stdio;

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
};

use crate::{Shop, Space};

/// A way to one pod behind a Service, open as long as this lives.
#[derive(Debug)]
pub struct Forward {
    base: String,
    _process: Child,
    /// Held open: kubectl writes a line for each connection and must find a reader.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Space {
    /// Opens a way to port `port` of a Service of this namespace.
    pub async fn forward(&self, service: &str, port: &str) -> Result<Forward> {
        let target = format!("service/{service}");
        let ports = format!(":{port}");
        let mut process = self
            .kubectl()
            .command(["port-forward", &target, &ports, "--address", "127.0.0.1", "--namespace", self.name()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start kubectl")?;
        let stdout = process.stdout.take().context("kubectl has no output")?;
        let mut output = BufReader::new(stdout).lines();
        let line = output.next_line().await?.with_context(|| format!("no way to {target}"))?;
        let address = address(&line).with_context(|| format!("no way to {target}: {line}"))?;
        Ok(Forward { base: format!("http://{address}"), _process: process, _output: output })
    }
}

impl Forward {
    /// The public API behind it, as a guest.
    pub fn shop(&self) -> Result<Shop> {
        Shop::new(&self.base)
    }
}

/// `Forwarding from 127.0.0.1:40213 -> 8080`
fn address(line: &str) -> Option<&str> {
    line.strip_prefix("Forwarding from ")?.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_says_where_it_listens() {
        assert_eq!(address("Forwarding from 127.0.0.1:40213 -> 8080"), Some("127.0.0.1:40213"));
        assert_eq!(address("error: unable to forward"), None);
    }
}
