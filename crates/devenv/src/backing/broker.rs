//! Kafka: one process that is broker and controller (KRaft).

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{BackingError, Home, Part, State, create_dir, free_port};
use crate::{debian::last_lines, kafka, process};

/// Any 16 bytes in URL-safe Base64 will do.
const CLUSTER_ID: &str = "Z3JlZW5jb21tZXJjZS1kZQ";

pub(super) fn start(home: &Home, first_port: u16) -> Result<State, BackingError> {
    let class_path = kafka::class_path(&kafka::distribution()?);
    let port = free_port(Part::Kafka, first_port)?;
    let controller_port = free_port(Part::Kafka, port + 1)?;
    let data = home.dir.join("data");
    create_dir(&data)?;
    let config = home.dir.join("server.properties");
    fs::write(&config, properties(port, controller_port, &data))
        .map_err(|source| BackingError::File { path: config.clone(), source })?;
    if !data.join("meta.properties").is_file() {
        format(&class_path, &config)?;
    }
    let mut command = java(&class_path);
    command.args(["-Xms64m", "-Xmx256m", "kafka.Kafka"]).arg(&config).current_dir(&home.dir);
    let process = process::spawn_detached(&mut command, &home.log_file()).map_err(java_missing)?;
    Ok(State { port, process })
}

/// Serial collection and the first compiler tier only: quick to start and small, which matters more here than speed.
fn java(class_path: &str) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .args(["-cp", class_path]);
    command
}

fn format(class_path: &str, config: &Path) -> Result<(), BackingError> {
    let output = java(class_path)
        .args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .map_err(java_missing)?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(BackingError::Prepare {
        command: "kafka.tools.StorageTool format".to_owned(),
        output: last_lines(&String::from_utf8_lossy(&text), 20),
    })
}

fn java_missing(source: std::io::Error) -> BackingError {
    BackingError::Spawn { program: "java (JDK 17)".to_owned(), source }
}

/// Replication factor 1 throughout, small internal topics, small segments and indexes: a test run makes hundreds of
/// topics.
fn properties(port: u16, controller_port: u16, data: &Path) -> String {
    let listener = format!("PLAINTEXT://127.0.0.1:{port}");
    let settings = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", &format!("1@127.0.0.1:{controller_port}")),
        ("controller.listener.names", "CONTROLLER"),
        ("listeners", &format!("{listener},CONTROLLER://127.0.0.1:{controller_port}")),
        ("advertised.listeners", &listener),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("log.dirs", &data.display().to_string()),
        ("auto.create.topics.enable", "false"),
        ("offsets.topic.num.partitions", "4"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.num.partitions", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.num.partitions", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("log.segment.bytes", "16777216"),
        ("log.index.size.max.bytes", "1048576"),
        ("log.retention.hours", "24"),
        ("log.cleaner.dedupe.buffer.size", "4194304"),
        ("num.network.threads", "2"),
        ("num.io.threads", "2"),
    ];
    settings.map(|(name, value)| format!("{name}={value}\n")).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_listens_and_is_announced_on_loopback_only() {
        let text = properties(19092, 19093, Path::new("/srv/data"));
        assert!(text.contains("\nlisteners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093\n"));
        assert!(text.contains("\nadvertised.listeners=PLAINTEXT://127.0.0.1:19092\n"));
        assert!(text.contains("\ncontroller.quorum.voters=1@127.0.0.1:19093\n"));
        assert!(text.contains("\nlog.dirs=/srv/data\n"));
    }
}
