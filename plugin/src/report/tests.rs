//! No secret of a whole store survives anywhere in its report.

use std::{collections::BTreeMap, io::Read as _, os::unix::fs::PermissionsExt as _, path::Path};

use flate2::read::GzDecoder;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::{assemble, collect::Collected, run};
use crate::{
    cli,
    fake::{cluster, list},
    output::captured,
    status::Gathered,
};

/// Each of these stands in several places of the fixture.
const SECRETS: [&str; 9] = [
    "correct-horse-battery",
    "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5",
    "line-one-of-a-key-file",
    "line-two-of-a-key-file",
    "sk_live_0123456789",
    "plain-variable-value",
    "header.payload",
    "ada@example.com",
    "mounted-in-a-config-map",
];

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn secrets() -> Vec<Secret> {
    let list = json!([
        {
            "metadata": {"name": "green-orders-database", "labels": {"greencommerce.dev/store": "green"}},
            "type": "Opaque",
            // password: correct-horse-battery; host: green-postgres
            "data": {"password": "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5", "host": "Z3JlZW4tcG9zdGdyZXM="},
        },
        {
            "metadata": {"name": "keys"},
            // Two lines.
            "data": {"signing": "bGluZS1vbmUtb2YtYS1rZXktZmlsZQpsaW5lLXR3by1vZi1hLWtleS1maWxlCg=="},
        },
        {"metadata": {"name": "of-somebody-else"}, "data": {"other": "c29tZXRoaW5nLWVsc2U="}},
    ]);
    serde_json::from_value(list).unwrap()
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "green-orders-0",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"value\":\"plain-variable-value\"}", "note": "ask ada@example.com"},
            "managedFields": [{"manager": "x"}],
        },
        "spec": {
            "volumes": [{"name": "keys", "secret": {"secretName": "keys"}}],
            "containers": [{
                "name": "service", "image": "greencommerce/services:1.0.0",
                "command": ["run", "--admin-password", "plain-variable-value"],
                "env": [
                    {"name": "SMTP_PASSWORD", "value": "plain-variable-value"},
                    {"name": "LOG_LEVEL", "value": "info"},
                    {"name": "BROKER", "value": "kafka://u:correct-horse-battery@green-kafka:9092"},
                    {"name": "CONFIG", "value": "{\"token\":\"plain-variable-value\"}"},
                    {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "green-orders-database", "key": "uri"}}},
                ],
            }],
        },
        "status": {"message": "said correct-horse-battery and sk_live_0123456789"},
    })
}

fn log() -> String {
    [
        r#"2026-01-01T00:00:00Z {"level":"INFO","message":"login of ada@example.com","authorization":"Bearer eyJhbGciOiJFZERTQSJ9.header.payload"}"#,
        r#"2026-01-01T00:00:01Z {"level":"INFO","message":"reading line-one-of-a-key-file","span":{"password":"plain-variable-value"}}"#,
        "2026-01-01T00:00:02Z thread panicked: connect postgres://orders:correct-horse-battery@green-postgres:5432/orders",
        "2026-01-01T00:00:03Z dump: line-one-of-a-key-file line-two-of-a-key-file Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5",
        "2026-01-01T00:00:04Z Bearer eyJhbGciOiJFZERTQSJ9.header.payload for ada@example.com",
    ]
    .join("\n")
}

fn collected() -> Collected {
    let store = json!({
        "metadata": {"name": "green", "namespace": "shop", "generation": 1},
        "spec": {"version": "1.0.0"},
        "status": {"observedGeneration": 1, "conditions": [{
            "type": "Ready", "status": "False", "reason": "CrashLooping", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "message": "ended: connect postgres://orders:correct-horse-battery@green-postgres:5432/orders",
        }]},
    });
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "green-gateway-routes"},
        "data": {"routes.json": "{\"upstream\":\"http://u:mounted-in-a-config-map@x\"}", "api-key": "mounted-in-a-config-map"},
    });
    Collected {
        gathered: Gathered {
            store: serde_json::from_value(store).unwrap(),
            databases: Vec::new(),
            topics: Vec::new(),
            services: Vec::new(),
            servers: Vec::new(),
            events: Vec::new(),
            unreadable: vec!["storetopics: you may not".to_owned()],
        },
        objects: vec![
            ("objects/pods/green-orders-0".to_owned(), pod()),
            ("objects/configmaps/green-gateway-routes".to_owned(), config),
        ],
        events: vec![json!({"note": "Back-off: password=plain-variable-value", "regarding": {"name": "green"}})],
        secrets: Some(secrets()),
        nodes: vec![json!({"name": "node-0", "capacity": {"cpu": "2"}})],
        versions: json!({"kubernetes": "v1.35.0"}),
        logs: vec![("logs/green-orders-0/service".to_owned(), log())],
        problems: vec!["nodes: you may not".to_owned()],
    }
}

/// The files of the report as somebody would unpack them.
fn unpacked() -> BTreeMap<String, String> {
    files(&assemble(&collected(), now()).unwrap().write(Vec::new(), now()).unwrap())
}

fn files(archive: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let (path, mut content) = (entry.path().unwrap().to_string_lossy().into_owned(), String::new());
        entry.read_to_string(&mut content).unwrap();
        files.insert(path, content);
    }
    files
}

#[test]
fn no_secret_survives_anywhere_in_the_bundle() {
    let before = format!("{} {} {:?}", pod(), log(), collected().objects);
    for secret in SECRETS {
        assert!(before.contains(secret), "the fixture lacks {secret}");
        for (path, content) in unpacked() {
            assert!(!content.contains(secret), "{secret} is in {path}:\n{content}");
        }
    }
}

#[test]
fn the_bundle_has_what_support_needs() {
    let files = unpacked();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "green-report/events.yaml",
            "green-report/logs/green-orders-0/service.log",
            "green-report/nodes.yaml",
            "green-report/objects/configmaps/green-gateway-routes.yaml",
            "green-report/objects/pods/green-orders-0.yaml",
            "green-report/secrets.yaml",
            "green-report/status.yaml",
            "green-report/summary.txt",
            "green-report/versions.yaml",
        ]
    );
    let summary = &files["green-report/summary.txt"];
    for expected in
        ["Ready     False (CrashLooping)", "@green-postgres:5432/orders", "not in the report: nodes: you may not"]
    {
        assert!(summary.contains(expected), "{summary}");
    }
    insta::assert_snapshot!("secrets", files["green-report/secrets.yaml"]);
    insta::assert_snapshot!("pod", files["green-report/objects/pods/green-orders-0.yaml"]);
    insta::assert_snapshot!("log", files["green-report/logs/green-orders-0/service.log"]);
}

fn readable_store() -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store",
        "metadata": {"name": "green", "namespace": "shop"}, "spec": {"version": "1.0.0"},
    })
}

fn into(path: &Path) -> cli::Report {
    cli::Report { store: None, output: Some(path.into()), operator_namespace: "greencommerce-system".to_owned() }
}

async fn reported(answers: Vec<(&'static str, Value)>) -> BTreeMap<String, String> {
    let stores = "GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores?";
    let answers = answers.into_iter().chain([(stores, list("Store", &[readable_store()]))]).collect();
    let (cluster, calls) = cluster(answers);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.tar.gz");
    run(&cluster, &into(&path)).await.unwrap();
    assert!(calls.writes().is_empty());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    files(&std::fs::read(path).unwrap())
}

#[tokio::test]
async fn what_may_not_be_read_is_named_and_the_rest_is_there() {
    let files = reported(vec![]).await;
    assert!(files.contains_key("green-report/objects/stores/green.yaml"), "{:?}", files.keys());
    let summary = &files["green-report/summary.txt"];
    for missing in [
        "pods of namespace shop",
        "secrets of namespace shop",
        "nodes",
        "storetopics",
        "pods of namespace greencommerce-system",
    ] {
        assert!(summary.contains(&format!("not in the report: {missing}: ")), "{missing}\n{summary}");
    }
}

#[tokio::test]
async fn without_the_right_to_secrets_nobody_is_told_that_their_values_are_left_out() {
    let files = reported(vec![]).await;
    let (told, complaint) = (captured::printed(), captured::complained());
    let warning = "the values of Secrets could not be looked for";
    assert!(files["green-report/summary.txt"].contains(warning));
    assert!(complaint.contains(warning), "{complaint}");
    assert!(!told.contains("secrets are left out"), "{told}");
    let files = reported(vec![("GET /api/v1/namespaces/shop/secrets?", list("Secret", &[]))]).await;
    assert!(!files["green-report/summary.txt"].contains(warning));
    assert!(captured::printed().contains("secrets are left out") && !captured::complained().contains(warning));
}

#[tokio::test]
async fn a_file_that_is_there_is_not_overwritten() {
    let stores = "GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores?";
    let (cluster, _) = cluster(vec![(stores, list("Store", &[readable_store()]))]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.tar.gz");
    std::fs::write(&path, "open to all").unwrap();
    let error = run(&cluster, &into(&path)).await.unwrap_err().to_string();
    assert!(error.contains("report.tar.gz is there already"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"open to all");
}

#[tokio::test]
async fn logs_are_of_this_store_and_of_containers_that_ended_too() {
    let pod = |name: &str, store: &str| {
        json!({
            "metadata": {"name": name, "labels": {"greencommerce.dev/store": store}},
            "status": {"containerStatuses": [{
                "name": "service", "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}},
            }]},
        })
    };
    let pods = list("Pod", &[pod("green-cart-0", "green"), pod("blue-cart-0", "blue")]);
    let logs = "GET /api/v1/namespaces/shop/pods/green-cart-0/log?";
    let files = reported(vec![
        ("GET /api/v1/namespaces/shop/pods?", pods),
        (logs, json!("2026-01-01T00:00:00Z password=hunter2\n")),
    ])
    .await;
    let names: Vec<&String> = files.keys().filter(|name| name.contains("/logs/")).collect();
    assert_eq!(
        names,
        ["green-report/logs/green-cart-0/service.log", "green-report/logs/green-cart-0/service.previous.log"]
    );
    assert!(names.iter().all(|name| files[*name] == "2026-01-01T00:00:00Z password=<redacted>\n"), "{files:?}");
}
