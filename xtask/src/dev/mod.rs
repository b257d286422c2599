//! `cargo xtask dev`: the shop without a cluster. PostgreSQL, Kafka and Redis as plain processes that stay, and every
//! service in one process that ends with Ctrl-C.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt as _,
    process::Command,
};

use anyhow::{Context as _, Result};
use clap::Args;
use devenv::{
    Backing,
    backing::{Kafka, Ports, Postgres, Redis},
    paths,
};

use crate::{
    ui::{self, Step, Ui},
    workspace,
};

const ADMIN_EMAIL: &str = "admin@greencommerce.example";
/// Known to everybody, like everything else here: nothing listens beyond this machine.
const ADMIN_PASSWORD: &str = "development only";

/// How `dev` runs the shop.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Stop PostgreSQL, Kafka and Redis; their data stays in target/dev
    #[arg(long, conflicts_with = "backing")]
    stop: bool,

    /// Start PostgreSQL, Kafka and Redis, say how to reach them, and nothing more
    #[arg(long)]
    backing: bool,

    /// Port of the shop on 127.0.0.1
    #[arg(long, default_value_t = 8080)]
    port: u16,

    /// Port of PostgreSQL; the next free one where it is taken
    #[arg(long, default_value_t = Ports::default().postgres)]
    postgres_port: u16,

    /// Port of Kafka; the next free one where it is taken
    #[arg(long, default_value_t = Ports::default().kafka)]
    kafka_port: u16,

    /// Port of Redis; the next free one where it is taken
    #[arg(long, default_value_t = Ports::default().redis)]
    redis_port: u16,
}

/// Runs the shop until Ctrl-C, or does what the options say instead.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ports = Ports { postgres: options.postgres_port, kafka: options.kafka_port, redis: options.redis_port };
    let backing = Backing::with_ports(paths::dev_dir(), ports);
    if options.stop {
        backing.stop()?;
        ui::line("PostgreSQL, Kafka and Redis are stopped; their data stays in target/dev");
        return Ok(());
    }
    let ui = Ui::new(&workspace::root().join("target/dev/steps"))?;
    let servers = ui.step("PostgreSQL, Kafka, Redis", |_| Servers::start(&backing))?;
    if options.backing {
        ui::line(&servers.shell());
        return Ok(());
    }
    ui.step("Build", build)?;
    ui.step("First admin", |step| create_admin(step, &servers))?;
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), options.port);
    ui::line(&welcome(address));
    Err(open(&servers, address)).context("cannot start the shop")
}

/// The running servers.
struct Servers {
    postgres: Postgres,
    kafka: Kafka,
    redis: Redis,
}

impl Servers {
    fn start(backing: &Backing) -> Result<Self> {
        backing.start_all()?;
        Ok(Self { postgres: backing.postgres()?, kafka: backing.kafka()?, redis: backing.redis()? })
    }

    /// What `greencommerce all` reads.
    fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("POSTGRES_URL", self.postgres.url("")),
            ("KAFKA_BOOTSTRAP_SERVERS", self.kafka.bootstrap_servers()),
            ("REDIS_URL", self.redis.url(0)),
        ]
    }

    /// The same, to be read by a shell.
    fn shell(&self) -> String {
        self.environment().iter().fold(String::new(), |mut text, (name, value)| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "export {name}='{value}'");
            text
        })
    }
}

fn build(step: &Step) -> Result<()> {
    step.command("cargo").args(["build", "--package", "greencommerce"]).directory(&workspace::root()).run()
}

/// The database must have its schema before the shop has started, because the shop never returns.
fn create_admin(step: &Step, servers: &Servers) -> Result<()> {
    let database = "greencommerce_auth";
    servers.postgres.ensure_database(database)?;
    let greencommerce = |arguments: &[&str]| {
        step.command("cargo")
            .args(["run", "--quiet", "--package", "greencommerce", "--"])
            .args(arguments)
            .directory(&workspace::root())
            .env("DATABASE_URL", servers.postgres.url(database))
    };
    greencommerce(&["migrate", "auth"]).run()?;
    greencommerce(&["admin", "create", "--email", ADMIN_EMAIL]).input(ADMIN_PASSWORD).run()
}

/// Becomes the shop: cargo replaces this process and the shop replaces cargo, so that Ctrl-C reaches it and its drain is
/// waited for.
fn open(servers: &Servers, address: SocketAddr) -> std::io::Error {
    Command::new("cargo")
        .args(["run", "--quiet", "--package", "greencommerce", "--", "all"])
        .current_dir(workspace::root())
        .envs(servers.environment())
        .env("HTTP_ADDR", address.to_string())
        .env("LOG_FORMAT", "text")
        .exec()
}

fn welcome(address: SocketAddr) -> String {
    format!(
        "
The shop opens on http://{address} and closes with Ctrl-C.

  shop        curl http://{address}/api/products
  API         http://{address}/api/docs
  admin       {ADMIN_EMAIL}, password \"{ADMIN_PASSWORD}\"
  take away   cargo xtask dev --stop
"
    )
}
