//! `kubectl greencommerce`, as its users call it: beside kubectl on the PATH.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use e2e::{Cluster, DEPLOYMENTS, SECRETS, Seen, Store, unique, wait_until};
use serde_json::{Value, json};
use tokio::process::Command;

const READY: Duration = Duration::from_mins(3);
/// Until nodes send requests to new pods, and until pods that nobody asks any more have ended.
const SOON: Duration = Duration::from_mins(1);
/// Entries of a Secret that say where to log in, not how.
const PUBLIC: [&str; 6] = ["host", "port", "username", "database", "ca.crt", "tls.crt"];

/// What a call printed, and its exit code.
pub(crate) struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// What was printed by a call that has to succeed.
    pub(crate) fn expect(self, code: i32) -> Result<String> {
        ensure!(self.code == Some(code), "ended with {:?}\n{}\n{}", self.code, self.out, self.err);
        Ok(self.out)
    }
}

/// `kubectl greencommerce …` in the store's namespace.
pub(crate) async fn plugin(store: &Store, arguments: &[&str]) -> Result<Said> {
    let settings = store.space().cluster().settings();
    let path = std::env::join_paths([settings.bin.as_path(), Path::new("/usr/bin"), Path::new("/bin")])?;
    let output = Command::new(settings.bin.join("kubectl"))
        .arg("greencommerce")
        .args(arguments)
        .args(["--namespace", store.space().name()])
        .env("PATH", path)
        .env("KUBECONFIG", &settings.kubeconfig)
        .stdin(Stdio::null())
        .output()
        .await
        .context("cannot start kubectl")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
}

#[tokio::test]
async fn status_tells_of_a_ready_store_what_the_api_server_says() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let store = cluster.store().await?;
    let object = store.wait_ready(READY).await?;
    // While a service is being scaled by its load, nothing is said of its pods for a moment.
    let said = wait_until(store.space(), "the plugin to call the store ready", READY, async || {
        let said = plugin(&store, &["status", store.name(), "-o", "json"]).await?.expect(0)?;
        let status: Value = serde_json::from_str(&said).context("status printed no JSON")?;
        Ok(if status["ready"] == "True" { Seen::Yes(said) } else { Seen::NotYet(said) })
    })
    .await?;
    let status: Value = serde_json::from_str(&said)?;
    assert_eq!(status["name"], store.name());
    assert_eq!(status["version"], object["status"]["version"]);
    assert_eq!(status["unreadable"], serde_json::json!([]));
    let parts = status["parts"].as_array().context("no parts")?;
    let ready = |kind: &str| parts.iter().filter(|part| part["kind"] == kind && part["ready"] == "True").count();
    assert_eq!((ready("StoreDatabase"), ready("Broker"), ready("Cache"), ready("StoreTopic")), (1, 1, 1, 5), "{said}");
    assert_eq!(ready("StoreService"), Store::services().len(), "{said}");
    let table = plugin(&store, &["status"]).await?.expect(0)?;
    ensure!(table.contains("StoreService") && table.contains(&store.child("gateway")), "{table}");
    Ok(())
}

#[tokio::test]
async fn waiting_for_what_is_so_ends_at_once_and_for_what_is_not_in_vain() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    plugin(&store, &["wait", store.name(), "--for", "ready", "--timeout", "10m"]).await?.expect(0)?;
    plugin(&store, &["wait", "--for", "upgraded", "--timeout", "10m"]).await?.expect(0)?;
    let said = plugin(&store, &["wait", "--for", "gone", "--timeout", "10s"]).await?;
    assert_eq!(said.code, Some(1), "{}", said.err);
    ensure!(said.err.contains("waited 10s in vain") && said.err.contains("nobody has deleted it"), "{}", said.err);
    let said = plugin(&store, &["wait", "no-such-store"]).await?;
    assert_eq!(said.code, Some(2), "{}", said.err);
    ensure!(said.err.contains(store.name()), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn logs_are_of_every_service_and_tell_their_source() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let said = plugin(&store, &["logs", "--tail", "5"]).await?.expect(0)?;
    for service in Store::services() {
        let source = format!("{service}/{}-", store.child(service));
        ensure!(said.lines().any(|line| line.starts_with(&source)), "no line of {service}:\n{said}");
    }
    let one = plugin(&store, &["logs", store.name(), "postgres", "--tail", "1", "--raw"]).await?.expect(0)?;
    ensure!(one.lines().all(|line| line.starts_with("postgres/")), "{one}");
    let said = plugin(&store, &["logs", store.name(), "checkout"]).await?;
    assert_eq!(said.code, Some(2), "{}", said.err);
    ensure!(said.err.contains("gateway"), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn a_report_has_the_whole_store_and_no_secret() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    // When somebody makes a report
    let dir = std::env::temp_dir().join(unique("e2e-report"));
    fs::create_dir_all(&dir)?;
    let file = dir.join("report.tar.gz");
    let made = plugin(&store, &["report", store.name(), "-o", &file.to_string_lossy()]).await?;
    let result = made.expect(0).map(drop);
    let result = match result {
        Ok(()) => inspect(&store, &dir, &file).await,
        failed => failed,
    };
    fs::remove_dir_all(&dir)?;
    result
}

async fn inspect(store: &Store, dir: &Path, file: &Path) -> Result<()> {
    let unpacked = Command::new("tar").arg("-xzf").arg(file).arg("-C").arg(dir).status().await?;
    ensure!(unpacked.success(), "tar cannot unpack the report");
    let root = dir.join(format!("{}-report", store.name()));
    // Then it has the objects and logs of store and operator,
    for path in [
        "summary.txt".to_owned(),
        "versions.yaml".to_owned(),
        "nodes.yaml".to_owned(),
        format!("objects/stores/{}.yaml", store.name()),
        format!("objects/deployments/{}.yaml", store.child("gateway")),
        format!("objects/statefulsets/{}.yaml", store.child("kafka")),
        "operator/logs".to_owned(),
        "logs".to_owned(),
    ] {
        ensure!(root.join(&path).exists(), "the report lacks {path}");
    }
    let listed = fs::read_to_string(root.join("secrets.yaml"))?;
    ensure!(listed.contains(&format!("{}-database", store.child("orders"))), "{listed}");
    // and no value of any Secret of the namespace.
    let files = contents(&root)?;
    let mut values = 0;
    for secret in store.space().list(SECRETS).await? {
        for (key, value) in secret["data"].as_object().into_iter().flatten() {
            let encoded = value.as_str().unwrap_or_default();
            let plain = String::from_utf8_lossy(&STANDARD.decode(encoded)?).trim().to_owned();
            if PUBLIC.contains(&key.as_str()) || plain.len() < 6 {
                continue;
            }
            values += 1;
            for (path, content) in &files {
                let name = &secret["metadata"]["name"];
                ensure!(!content.contains(&plain) && !content.contains(encoded), "{key} of Secret {name} is in {path}");
            }
        }
    }
    ensure!(values >= 8, "only {values} secret values were looked for");
    Ok(())
}

#[tokio::test]
async fn a_store_sleeps_and_wakes_and_gets_new_passwords_on_request() -> Result<()> {
    // Given the shared store, with nobody in it
    let cluster = Cluster::changing_the_store().await?;
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let result = sleep_wake_and_rotate(&store).await;
    // Whatever came of it, the next test finds the store awake.
    store.patch(&json!({"spec": {"suspend": false}})).await?;
    store.wait_ready(READY).await?;
    result
}

async fn sleep_wake_and_rotate(store: &Store) -> Result<()> {
    // When it is put to sleep
    let asleep =
        plugin(store, &["suspend", store.name(), "--wait", "--timeout", "10m", "-o", "json"]).await?.expect(0)?;
    // Then one document is printed, which says that it sleeps, and nothing runs;
    let asleep: Value = serde_json::from_str(&asleep).context("suspend printed more or less than one JSON document")?;
    assert_eq!(
        (&asleep["spec"]["suspend"], &condition(&asleep, "Suspended")["status"]),
        (&json!(true), &json!("True"))
    );
    for service in Store::services() {
        let deployment = store.space().get(DEPLOYMENTS, &store.child(service)).await?;
        assert_eq!(deployment["spec"]["replicas"], 0, "{service}");
    }
    // when it is woken
    plugin(store, &["resume", store.name(), "--wait", "--timeout", "10m"]).await?.expect(0)?;
    // then it is ready and answers;
    assert_eq!(condition(&store.get().await?, "Ready")["status"], "True");
    let shop = store.space().cluster().shop()?;
    wait_until(store.space(), "the shop to answer", SOON, async || {
        shop.get("/api/products").send().await?.expect(200)?;
        Ok(Seen::Yes(()))
    })
    .await?;
    // and when new passwords are asked for
    let before = logins(store).await?;
    let said = plugin(store, &["rotate", store.name(), "--wait", "--timeout", "10m"]).await?;
    ensure!(said.err.contains("new passwords are to come"), "{}\n{}", said.out, said.err);
    said.expect(0)?;
    // then every login is another, and every pod has it.
    let after = logins(store).await?;
    ensure!(!before.is_empty() && before.len() == after.len(), "{} logins, then {}", before.len(), after.len());
    for (name, login) in &after {
        ensure!(before.iter().all(|(_, old)| old != login), "{name} has the login before");
    }
    for service in Store::services() {
        store.wait_rolled_out(service, SOON).await?;
    }
    Ok(())
}

/// The login Secrets of a store's databases, and what they hold.
async fn logins(store: &Store) -> Result<Vec<(String, Value)>> {
    let secrets = store.space().select(SECRETS, &format!("greencommerce.dev/database={}", store.name())).await?;
    let logins = secrets.into_iter().filter(|secret| secret["data"]["uri"].is_string());
    Ok(logins.map(|secret| (secret["metadata"]["name"].to_string(), secret["data"]["uri"].clone())).collect())
}

fn condition(object: &Value, type_: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|condition| condition["type"] == type_).cloned().unwrap_or_default()
}

/// Every file below a folder, with its path.
fn contents(root: &Path) -> Result<Vec<(String, String)>> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.display().to_string(), String::from_utf8_lossy(&fs::read(&path)?).into_owned()));
            }
        }
    }
    Ok(files)
}
