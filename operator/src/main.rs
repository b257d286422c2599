//! The operator's entry point: parses the command line and hands over.

use clap::Parser;

fn main() -> anyhow::Result<()> {
    operator::Cli::parse().execute()
}
