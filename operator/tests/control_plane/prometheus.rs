//! A Prometheus server that scrapes an operator: the chart's rules are in force, an alert is raised when what it tells of has
//! happened, and every panel of the dashboard has something to show.

use std::{collections::BTreeMap, fs, net::TcpListener, path::PathBuf, process::Stdio};

use kube::{Client, Config};
use kubekit::{Operator, Proxy, Space, eventually};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{
    setup::{cluster, program},
    story::service,
};

const RULES: &str = include_str!("../../../charts/greencommerce/files/alerts.yaml");
const DASHBOARD: &str = include_str!("../../../charts/greencommerce/files/dashboard.json");
const NO_LEADER: &str = "GreenCommerceOperatorNoLeader";

#[tokio::test(flavor = "multi_thread")]
async fn the_alerts_and_the_dashboard_ask_for_what_a_prometheus_has_of_an_operator() {
    let cluster = cluster().await;
    let (space, proxy) = (cluster.space().await, Proxy::start(cluster).await);
    // Given an operator with something that works, something that does not, and a watch that was refused
    let operator = space.operator(program(), Some(&proxy)).await;
    for object in [service(&json!({})), store(), topic()] {
        space.apply(&object).await;
    }
    space.ready("StoreService", "green-catalog").await;
    proxy.expire_watches();
    let prometheus = Prometheus::of(&space, &operator).await;

    // Then every rule is evaluated, and every panel shows something.
    eventually("the rules to be in force", || async {
        let rules = prometheus.rules().await;
        rules.len() > 5 && rules.values().all(|rule| rule["health"] == "ok" && rule["state"] != "firing")
    })
    .await;
    // Nobody competes for the lease here, so it is not held.
    for panel in panels().iter().filter(|panel| !panel.contains("lease_transitions")) {
        eventually(panel, || async { prometheus.query(panel).await > 0 }).await;
    }
    let state = async || prometheus.rules().await[NO_LEADER]["state"].clone();
    eventually("a leader to be seen", || async { state().await == "inactive" }).await;

    // And when the operator ends, that is told.
    operator.kill();
    eventually("the alert", || async { state().await == "pending" }).await;
}

/// What every panel of the dashboard asks for.
fn panels() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// It ends with the value.
struct Prometheus {
    client: Client,
    dir: PathBuf,
    _server: Child,
}

impl Prometheus {
    /// One that looks at an operator every second, under the labels that a `PodMonitor` would give it.
    async fn of(space: &Space<'_>, operator: &Operator) -> Self {
        let dir = std::env::temp_dir().join(format!("greencommerce-prometheus-{}", space.name()));
        fs::create_dir_all(&dir).unwrap();
        let rules = RULES.replace("OPERATOR_NAMESPACE", "green-system").replace("OPERATOR_NAME", "green-operator");
        fs::write(dir.join("rules.yaml"), rules).unwrap();
        let labels = json!({"namespace": "green-system", "pod": "green-operator-0"});
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{
                "job_name": "green-system/green-operator",
                "static_configs": [{"targets": [operator.ops().to_string()], "labels": labels}],
            }],
        });
        fs::write(dir.join("prometheus.yaml"), config.to_string()).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "prometheus", "--config.file=prometheus.yaml"])
            .args(["--storage.tsdb.path=data", &format!("--web.listen-address={address}")])
            .current_dir(&dir)
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .expect("Debian's package prometheus is installed");
        let mut config = Config::new(format!("http://{address}").parse().unwrap());
        config.root_cert = Some(Vec::new());
        let prometheus = Self { client: Client::try_from(config).unwrap(), dir, _server: server };
        eventually("Prometheus", || async { prometheus.ask("/api/v1/rules").await.is_some() }).await;
        prometheus
    }

    /// How many series an expression has at this moment.
    async fn query(&self, expression: &str) -> usize {
        let escaped: Vec<String> = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.ask(&format!("/api/v1/query?query={}", escaped.concat())).await.unwrap();
        answer["data"]["result"].as_array().map_or(0, Vec::len)
    }

    /// The rules that are in force, by the names of their alerts.
    async fn rules(&self) -> BTreeMap<String, Value> {
        let answer = self.ask("/api/v1/rules").await.unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap().iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
        rules.map(|rule| (rule["name"].as_str().unwrap().to_owned(), rule.clone())).collect()
    }

    async fn ask(&self, path: &str) -> Option<Value> {
        let request = axum::http::Request::get(path).body(Vec::new()).unwrap();
        self.client.request(request).await.ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // What is left is in the system's folder for what may be lost.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A store that waits for its parts: nothing runs here.
fn store() -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "metadata": {"name": "shop"},
        "spec": {"version": "1.0.0"},
    })
}

/// A topic on brokers that are nowhere.
fn topic() -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic", "metadata": {"name": "lost"},
        "spec": {"bootstrapServers": "127.0.0.1:9", "topicName": "lost"},
    })
}
