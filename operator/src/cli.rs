//! The command line.

use std::{io::Write as _, net::SocketAddr};

use anyhow::Context as _;
use clap::{ArgAction, Args, Parser, Subcommand};
use uuid::Uuid;

use crate::{
    framework::{Endpoint, LogFormat, Telemetry},
    leader::Candidate,
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
    /// Send traces of the reconciliations to this OpenTelemetry Collector by OTLP over gRPC, for example
    /// `http://otel-collector.observability:4317`. Without it no traces are taken.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "", hide_default_value = true)]
    otlp_endpoint: String,
    #[command(flatten)]
    election: Election,
}

#[derive(Debug, Args)]
struct Election {
    /// Take part in the election of a leader: of all processes with the same lease one writes, and the others stand by.
    /// Without it this process writes at once, and there must be no other.
    #[arg(long, env = "LEADER_ELECT", default_value_t = true, default_missing_value = "true", num_args = 0..=1,
          require_equals = true, action = ArgAction::Set)]
    leader_elect: bool,
    /// Namespace of the lease: the one that the operator's Pods are in.
    #[arg(long, env = "LEASE_NAMESPACE")]
    lease_namespace: Option<String>,
    /// Name of the lease. Operators that look after different namespaces have different ones.
    #[arg(long, env = "LEASE_NAME", default_value = "greencommerce-operator")]
    lease_name: String,
    /// What this process is called in the lease, followed by an id of its own, and in traces. `operator` if it is not said.
    #[arg(long, env = "POD_NAME")]
    pod_name: Option<String>,
}

impl Cli {
    /// Does what the command line asks for.
    pub fn execute(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run(run) => {
                let telemetry = Telemetry {
                    log_level: run.log_level,
                    log_format: run.log_format,
                    traces: Endpoint::parse(&run.otlp_endpoint)?,
                    pod_name: run.election.pod_name.clone(),
                };
                let candidate = run.election.candidate()?;
                manager::run(Settings { ops_addr: run.ops_addr, namespace: run.watch_namespace, candidate }, &telemetry)
            }
            Command::Crds => print_crds(),
        }
    }
}

impl Election {
    fn candidate(self) -> anyhow::Result<Option<Candidate>> {
        if !self.leader_elect {
            return Ok(None);
        }
        let namespace = self.lease_namespace.filter(|namespace| !namespace.is_empty()).context(
            "the election of a leader needs a namespace for its lease: set --lease-namespace (LEASE_NAMESPACE), or turn the \
             election off with --leader-elect=false if no other operator runs",
        )?;
        // A container that starts again in the same Pod is another process: it must not take itself for the one before.
        let identity = format!("{}_{}", self.pod_name.as_deref().unwrap_or("operator"), Uuid::now_v7());
        Ok(Some(Candidate { identity, namespace, name: self.lease_name }))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn election(arguments: &[&str]) -> Election {
        let cli = Cli::parse_from([&["operator", "run"], arguments].concat());
        match cli.command {
            Command::Run(run) => run.election,
            Command::Crds => unreachable!("the command is run"),
        }
    }

    #[test]
    fn a_malformed_endpoint_for_traces_is_refused_before_anything_starts() {
        let arguments = ["operator", "run", "--leader-elect=false", "--otlp-endpoint=collector:4317"];
        let refusal = Cli::parse_from(arguments).execute().unwrap_err().to_string();
        assert!(refusal.contains("does not begin with http://"), "{refusal}");
    }

    #[test]
    fn a_leader_is_elected_unless_that_is_turned_off() {
        let candidate = election(&["--lease-namespace=system", "--pod-name=operator-1"]).candidate().unwrap().unwrap();
        assert_eq!((candidate.namespace.as_str(), candidate.name.as_str()), ("system", "greencommerce-operator"));
        assert!(candidate.identity.starts_with("operator-1_"));
        assert!(election(&["--leader-elect=false"]).candidate().unwrap().is_none());
    }

    #[test]
    fn two_processes_of_one_pod_are_two_candidates() {
        let identity = || election(&["--lease-namespace=system"]).candidate().unwrap().unwrap().identity;
        assert_ne!(identity(), identity());
    }

    #[test]
    fn an_election_without_a_namespace_is_refused_with_what_to_do() {
        let refusal = election(&[]).candidate().unwrap_err().to_string();
        assert!(refusal.contains("--lease-namespace") && refusal.contains("--leader-elect=false"), "{refusal}");
    }
}
