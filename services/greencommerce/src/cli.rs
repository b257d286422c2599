//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::{admin::AdminArgs, all::AllArgs, migrate::MigrateArgs};

/// The services of a GreenCommerce shop
#[derive(Debug, Parser)]
#[command(name = "greencommerce", version, about, propagate_version = true)]
pub(crate) struct Cli {
    /// Threads that run tasks
    #[arg(long, global = true, env = "TOKIO_WORKER_THREADS", default_value_t = 2, value_parser = threads)]
    pub(crate) worker_threads: usize,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the door of the shop
    Gateway(Serve<gateway::Args>),
    /// Runs accounts, sessions and signing keys
    Auth(Serve<auth::Args>),
    /// Runs products, prices and search
    Catalog(Serve<catalog::Args>),
    /// Runs stock and reservations
    Inventory(Serve<inventory::Args>),
    /// Runs the carts
    Cart(Serve<cart::Args>),
    /// Runs checkout and orders
    Orders(Serve<orders::Args>),
    /// Runs the whole shop in one process, for development
    All(AllArgs),
    /// Brings a service's database to the schema of this release
    Migrate(MigrateArgs),
    /// Accounts that run the shop
    Admin(AdminArgs),
    /// Prints the description of the public interface (OpenAPI 3.1, JSON)
    Openapi,
}

/// What one service, as a process of its own, is told.
#[derive(Debug, Args)]
pub(crate) struct Serve<A: Args> {
    #[command(flatten)]
    pub(crate) process: kit::ProcessArgs,

    #[command(flatten)]
    pub(crate) verifier: kit::auth::VerifierArgs,

    #[command(flatten)]
    pub(crate) service: A,
}

fn threads(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|threads| (1..=64).contains(threads)).ok_or_else(|| "must be 1 to 64".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_free_of_contradictions() {
        Cli::command().debug_assert();
    }
}
