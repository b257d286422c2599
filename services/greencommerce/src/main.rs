//! Every service of the shop in one binary: `greencommerce <service>` runs one of them, and a few commands beside them
//! prepare and describe the shop.

mod admin;
mod all;
mod cli;
mod migrate;
mod openapi;
mod serve;

use std::{io::Write, process::ExitCode};

use clap::Parser;
use kit::{BuildError, telemetry::Chain};

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where logs work, the cause is there too; a wrong setting must be seen even where they do not.
            writeln!(std::io::stderr(), "error: {}", Chain(&*error)).ok();
            exit_code(&*error)
        }
    }
}

/// What went wrong, for those that start programs: 3 says that a later release has been at the database.
fn exit_code(error: &(dyn std::error::Error + Send + Sync + 'static)) -> ExitCode {
    match error.downcast_ref::<migrate::MigrateError>() {
        Some(error) if error.is_schema_too_new() => ExitCode::from(migrate::EXIT_SCHEMA_TOO_NEW),
        _ => ExitCode::FAILURE,
    }
}

fn run(cli: Cli) -> Result<(), BuildError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cli.worker_threads)
        .max_blocking_threads(32)
        .enable_all()
        .build()?;
    // The future of a whole service is large; it lives on the heap rather than on the main thread's stack.
    runtime.block_on(Box::pin(execute(cli.command)))
}

async fn execute(command: Command) -> Result<(), BuildError> {
    match command {
        Command::Gateway(args) => {
            serve::run(args, |args, platform| gateway::build(args, platform, openapi::merged)).await?;
        }
        Command::Auth(args) => serve::run(args, auth::build).await?,
        Command::Catalog(args) => serve::run(args, catalog::build).await?,
        Command::Inventory(args) => serve::run(args, inventory::build).await?,
        Command::Cart(args) => serve::run(args, cart::build).await?,
        Command::Orders(args) => serve::run(args, orders::build).await?,
        Command::All(args) => all::run(args).await?,
        Command::Migrate(args) => migrate::run(&args).await?,
        Command::Admin(args) => admin::run(args).await?,
        Command::Openapi => openapi::print()?,
    }
    Ok(())
}
