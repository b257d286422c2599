//! `kubectl greencommerce`: looks after stores from the command line.
//!
//! Each command reads what it needs, decides or renders in pure functions, and writes at most one patch. What it may not
//! read it names instead of failing.

mod change;
mod choose;
mod cli;
mod clock;
mod cluster;
mod duration;
mod error;
#[cfg(test)]
mod fake;
mod logs;
mod output;
mod report;
mod status;
mod table;
mod wait;

use std::process::ExitCode;

use clap::Parser as _;

use self::{
    cli::{Cli, Command},
    cluster::Cluster,
    error::Error,
};

fn main() -> ExitCode {
    match start(Cli::parse()) {
        // Whoever read the output has seen enough.
        Ok(()) | Err(Error::Closed) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(cli: Cli) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::failed(format!("cannot start: {error}")))?;
    runtime.block_on(Box::pin(run(cli)))
}

async fn run(cli: Cli) -> Result<(), Error> {
    let cluster = Cluster::connect(&cli.global).await?;
    match cli.command {
        Command::Status(options) => Box::pin(status::run(&cluster, &options)).await,
        Command::Wait(options) => wait::run(&cluster, &options).await,
        Command::Suspend(options) => change::suspend(&cluster, &options).await,
        Command::Resume(options) => change::resume(&cluster, &options).await,
        Command::Rollback(options) => change::rollback(&cluster, &options).await,
        Command::Rotate(options) => change::rotate(&cluster, &options).await,
        Command::Logs(options) => logs::run(&cluster, &options).await,
        Command::Report(options) => report::run(&cluster, &options).await,
    }
}
