//! `cargo xtask`: run, test and measure GreenCommerce.

mod architecture;
mod bench;
mod cluster;
mod command;
mod dev;
mod digest;
mod generate;
mod images;
mod packages;
mod test;
mod tools;
mod ui;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Run, test and measure GreenCommerce.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start a real Kubernetes cluster on this machine and a Ready store on it.
    Up(up::Options),
    /// Stop the cluster and remove everything it made, data included.
    Down(cluster::DownOptions),
    /// Build the container images without a cluster.
    Images(images::Options),
    /// Run the shop without a cluster: PostgreSQL, Kafka, Redis and all services as plain processes.
    Dev(dev::Options),
    /// Generate what is committed beside the code: SQL query data, custom resource definitions, their reference, the
    /// OpenAPI document.
    Gen(generate::Options),
    /// Build what the operator's tests run against: etcd and the Kubernetes API server.
    Tools,
    /// Run every check and every test, or a part of them.
    Test(test::Options),
    /// Measure, and write the figures into docs/benchmarks.md.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Up(options) => up::run(&options),
        Task::Down(options) => cluster::down(&options),
        Task::Images(options) => images::run(&options),
        Task::Dev(options) => dev::run(&options),
        Task::Gen(options) => generate::run(&options),
        Task::Tools => tools::run(),
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::report(&error);
            ExitCode::FAILURE
        }
    }
}
