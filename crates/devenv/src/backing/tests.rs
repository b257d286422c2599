//! The real processes, in a folder of their own, so that the checkout's set is left alone.

use super::*;

/// Stops what a test started, also when it fails.
struct Own {
    backing: Backing,
    _dir: tempfile::TempDir,
}

impl Own {
    fn new(ports: Ports) -> Self {
        let dir = tempfile::Builder::new().permissions(permissions()).tempdir().unwrap();
        Self { backing: Backing::with_ports(dir.path(), ports), _dir: dir }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.backing.stop();
    }
}

fn permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    fs::Permissions::from_mode(0o755)
}

const PORTS: Ports = Ports { postgres: 25432, kafka: 29092, redis: 26379 };

#[test]
fn a_running_server_is_found_again_and_a_dead_one_is_started_again() {
    let own = Own::new(PORTS);
    let first = own.backing.ensure(Part::Redis).unwrap();
    assert_eq!(own.backing.ensure(Part::Redis).unwrap(), first);

    first.process.terminate(Signal::SIGKILL, STOP_GRACE);
    let second = own.backing.ensure(Part::Redis).unwrap();
    assert_ne!(second.process, first.process);
    assert_eq!(own.backing.running(), [(Part::Redis, second.port)]);

    own.backing.stop().unwrap();
    assert_eq!(own.backing.running(), []);
}

#[test]
fn a_port_held_by_a_stranger_is_left_to_it() {
    let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = stranger.local_addr().unwrap().port();
    let own = Own::new(Ports { redis: taken, ..PORTS });
    let state = own.backing.ensure(Part::Redis).unwrap();
    assert!(state.port > taken);
}

#[test]
fn many_callers_at_once_start_one_server() {
    let own = Own::new(Ports { redis: PORTS.redis + 200, ..PORTS });
    let states: Vec<State> = thread::scope(|scope| {
        let callers: Vec<_> = (0..8).map(|_| scope.spawn(|| own.backing.ensure(Part::Redis).unwrap())).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(states.iter().all(|state| state == &states[0]));
}

#[test]
fn postgresql_keeps_its_data_over_a_restart() {
    let own = Own::new(PORTS);
    let postgres = own.backing.postgres().unwrap();
    postgres.ensure_database("shop").unwrap();
    postgres.ensure_database("shop").unwrap();
    postgres.query("shop", "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)").unwrap();
    own.backing.stop().unwrap();
    let postgres = own.backing.postgres().unwrap();
    assert_eq!(postgres.query("shop", "SELECT id FROM kept").unwrap(), "7");
}

#[test]
fn a_file_of_sql_that_fails_changes_nothing() {
    let own = Own::new(Ports { postgres: PORTS.postgres + 200, ..PORTS });
    let postgres = own.backing.postgres().unwrap();
    postgres.recreate_database("half").unwrap();
    let file = own.backing.dir.join("bad.sql");
    fs::write(&file, "CREATE TABLE kept (id int);\nSELECT 1 / 0;\n").unwrap();
    assert!(matches!(postgres.run_file("half", &file), Err(SqlError::Refused { .. })));
    assert_eq!(postgres.query("half", "SELECT to_regclass('kept') IS NULL").unwrap(), "t");
}

#[test]
fn kafka_answers_and_comes_back_after_a_crash() {
    let own = Own::new(PORTS);
    let first = own.backing.ensure(Part::Kafka).unwrap();
    assert!(probe::answers(Part::Kafka, first.port));
    first.process.terminate(Signal::SIGKILL, STOP_GRACE);
    let second = own.backing.ensure(Part::Kafka).unwrap();
    assert!(probe::answers(Part::Kafka, second.port));
}

#[test]
fn a_damaged_record_counts_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state.json");
    fs::write(&file, "{\"port\": 1").unwrap();
    assert_eq!(State::read(&file), None);
}
