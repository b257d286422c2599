//! The command line.

use std::{io::Write as _, net::SocketAddr};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::{
    framework::{LogFormat, init_telemetry},
    manager::{self, Settings},
};

/// Reconciles stores, their services, databases and topics.
#[derive(Debug, Parser)]
#[command(name = "operator", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controllers until a signal ends them.
    Run(Run),
    /// Print the custom resource definitions as YAML.
    Crds,
}

#[derive(Debug, Args)]
struct Run {
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "OPS_ADDR", default_value = "0.0.0.0:8080")]
    ops_addr: SocketAddr,
    /// Look after the resources of this namespace only.
    #[arg(long, env = "WATCH_NAMESPACE")]
    watch_namespace: Option<String>,
    /// What is logged, for example `info` or `operator=debug,kube=warn`.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// How log lines look.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "json")]
    log_format: LogFormat,
}

impl Cli {
    /// Does what the command line asks for.
    pub fn execute(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run(run) => {
                init_telemetry(&run.log_level, run.log_format)?;
                manager::run(Settings { ops_addr: run.ops_addr, namespace: run.watch_namespace })
            }
            Command::Crds => print_crds(),
        }
    }
}

fn print_crds() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for crd in api::crds() {
        let yaml = serde_yaml::to_string(&crd).context("cannot write a definition as YAML")?;
        write!(out, "---\n{yaml}")?;
    }
    Ok(())
}
