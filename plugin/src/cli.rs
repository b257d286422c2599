//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{duration, output::Format};

/// Looks after GreenCommerce stores.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl greencommerce",
    bin_name = "kubectl greencommerce",
    version,
    after_help = "STORE may be left out where the namespace has exactly one.\n\nExit codes: 0 done; 1 the cluster refused, \
                  something failed, or what was waited for did not come; 2 the command line does not say enough, or names \
                  what is not there."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// As kubectl's own.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Namespace of the store; that of the context if left out
    #[arg(long, short, global = true)]
    pub(crate) namespace: Option<String>,
    /// Context of the kubeconfig to use
    #[arg(long, global = true)]
    pub(crate) context: Option<String>,
    /// Path of the kubeconfig
    #[arg(long, global = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show how a store and its parts are, and what keeps it from being ready
    Status(Status),
    /// Wait until a store is as wanted, at its present generation
    Wait(Wait),
    /// Put a store to sleep: no pod runs, all data is kept
    Suspend(Change),
    /// Wake a store that sleeps
    Resume(Change),
    /// Go back to a version that ran before
    Rollback(Rollback),
    /// Give the store's databases new passwords
    Rotate(Change),
    /// Show the logs of a store's services, merged
    Logs(Logs),
    /// Write a bundle for support, without secrets
    Report(Report),
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The store
    pub(crate) store: Option<String>,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    pub(crate) output: Format,
    /// Show it again whenever something changes
    #[arg(long, short)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// The store
    pub(crate) store: Option<String>,
    /// What to wait for
    #[arg(long = "for", value_enum, default_value = "ready", value_name = "STATE")]
    pub(crate) goal: Goal,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// Form of the output: a sentence, or the Store at the end, which is null where it is gone
    #[arg(long, short, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Patience {
    /// How long to wait at most, for example 90s, 5m or 1h30m
    #[arg(long, default_value = "5m", value_parser = duration::parse)]
    pub(crate) timeout: Duration,
    /// Give up as soon as something has failed that does not pass by itself
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Goal {
    /// Everything the store describes exists and works.
    Ready,
    /// The version of the spec runs.
    Upgraded,
    /// The store sleeps.
    Suspended,
    /// The store is deleted.
    Gone,
}

#[derive(Debug, Args)]
pub(crate) struct Change {
    /// The store
    pub(crate) store: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of every command that changes a store.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Wait until it is done
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// Form of the output: a sentence, or the Store after the change, and after the wait if there is one
    #[arg(long, short, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The store
    pub(crate) store: Option<String>,
    /// Version to go back to; the newest that ran before the present one if left out
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(crate) struct Logs {
    /// The store
    pub(crate) store: Option<String>,
    /// A service, or kafka, cache, postgres; every service if left out
    pub(crate) service: Option<String>,
    /// Go on as new lines come, and with pods that start later
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only lines of this last stretch of time, for example 10m
    #[arg(long, value_parser = duration::parse)]
    pub(crate) since: Option<Duration>,
    /// Only this many lines of the end of each pod's log
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) tail: Option<i64>,
    /// Only lines that tell of errors
    #[arg(long)]
    pub(crate) errors: bool,
    /// Of containers that were started again, the logs of the one before
    #[arg(long, short, conflicts_with = "follow")]
    pub(crate) previous: bool,
    /// Show lines as they were written
    #[arg(long)]
    pub(crate) raw: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The store
    pub(crate) store: Option<String>,
    /// File to write; a name with store and time if left out
    #[arg(long, short, value_name = "FILE.tar.gz")]
    pub(crate) output: Option<PathBuf>,
    /// Namespace of the operator
    #[arg(long, default_value = "greencommerce-system")]
    pub(crate) operator_namespace: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["kubectl-greencommerce"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_kubectl_stand_before_or_after_the_command() {
        for line in ["-n shop --context c status green", "status green --namespace shop --context c"] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.global.namespace.as_deref(), Some("shop"));
            assert_eq!(cli.global.context.as_deref(), Some("c"));
            assert!(matches!(cli.command, Command::Status(Status { store: Some(store), .. }) if store == "green"));
        }
    }

    #[test]
    fn waiting_is_for_readiness_and_five_minutes_unless_said_otherwise() {
        let Command::Wait(wait) = parse("wait").unwrap().command else { panic!() };
        assert_eq!((wait.goal, wait.patience.timeout), (Goal::Ready, Duration::from_mins(5)));
        let Command::Wait(wait) = parse("wait green --for gone --timeout 1h30m --fail-fast").unwrap().command else {
            panic!()
        };
        assert_eq!((wait.goal, wait.patience.timeout), (Goal::Gone, Duration::from_mins(90)));
        assert!(wait.patience.fail_fast);
    }

    #[test]
    fn the_output_of_a_report_is_a_file_and_that_of_a_status_a_form() {
        let Command::Report(report) = parse("report green -o x.tar.gz").unwrap().command else { panic!() };
        assert_eq!(report.output, Some(PathBuf::from("x.tar.gz")));
        let Command::Status(status) = parse("status -o json").unwrap().command else { panic!() };
        assert_eq!(status.output, Format::Json);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_code_2() {
        for line in ["", "stats", "wait --timeout soon", "logs --tail -1", "status -o xml", "wait --for lunch"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn the_exit_codes_are_documented() {
        assert!(Cli::command().render_long_help().to_string().contains("Exit codes: 0 done; 1 "));
    }
}
