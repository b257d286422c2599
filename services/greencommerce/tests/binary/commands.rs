//! The commands beside the services.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use testkit::TestDatabase;

static NOTHING: sqlx::migrate::Migrator = sqlx::migrate::Migrator::DEFAULT;

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_greencommerce"));
    command.env_clear();
    command
}

/// Runs the command with `input` on its standard input.
pub(crate) fn run(command: &mut Command, input: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without reading.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_migrated_once_and_an_administrator_made_once() {
    let database = TestDatabase::new("empty", &NOTHING).await;
    for _ in 0..2 {
        let output = run(binary().args(["migrate", "auth"]).env("DATABASE_URL", database.url()), "");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let admin = || {
        let mut command = binary();
        command.args(["admin", "create", "--email", "root@example.com"]).env("DATABASE_URL", database.url());
        run(&mut command, "a password of some length\n")
    };
    let (first, second) = (admin(), admin());
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert_eq!(text(&first.stdout), text(&second.stdout));
    assert_eq!(text(&first.stdout).trim().len(), 36);
}

#[test]
fn what_is_missing_is_said_without_a_trace_of_secrets() {
    let output = run(binary().args(["orders", "--database-url", "no address of password hunter2"]), "");
    assert!(!output.status.success());
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(said.contains("the database address is malformed"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let output = run(binary().args(["orders"]), "");
    assert!(text(&output.stderr).contains("--database-url"), "{}", text(&output.stderr));
    let nobody = ["admin", "create", "--email", "a@example.com", "--database-url", "postgres://127.0.0.1:1/none"];
    let output = run(binary().args(nobody), "");
    assert!(text(&output.stderr).contains("there is no password on standard input"), "{}", text(&output.stderr));
}

#[test]
fn the_description_of_the_interface_is_printed_as_json() {
    let output = run(binary().arg("openapi"), "");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["paths"]["/api/orders"]["post"].is_object());
}
