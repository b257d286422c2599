//! How the two programs are run.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use serde_json::json;

use super::{Identity, pki};

pub(super) const ADMIN: &str = "admin";
pub(super) const PUPPET: &str = "puppet";
pub(super) const AUDIT_LOG: &str = "audit.log";
/// Everybody who may do what the operator may.
pub(crate) const OPERATORS: &str = "operators";
const TOKENS: &str = "tokens.csv";
const AUDIT_POLICY: &str = "audit-policy.json";
/// As many operators as one test process ever starts.
pub(crate) const OPERATOR_LIMIT: u32 = 4000;

/// The user that the operator process of that number is.
pub(crate) fn operator(number: u32) -> Identity {
    Identity::of(&format!("operator-{number}"))
}

/// Loopback ports that were free a moment ago.
pub(super) struct Ports {
    etcd: u16,
    peer: u16,
    api_server: u16,
}

impl Ports {
    pub(super) fn free() -> Self {
        // All are held until all are known, so that no port is found twice.
        let held = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free"));
        let port = |listener: &TcpListener| listener.local_addr().expect("a listener has an address").port();
        Self { etcd: port(&held[0]), peer: port(&held[1]), api_server: port(&held[2]) }
    }

    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_server)
    }
}

pub(super) fn write_config(dir: &Path) -> io::Result<()> {
    fs::write(dir.join(TOKENS), tokens())?;
    fs::write(dir.join(AUDIT_POLICY), audit_policy())
}

/// Nothing here outlives the process: nobody waits for a disk.
pub(super) fn etcd(dir: &Path, ports: &Ports) -> Vec<String> {
    let (client, peer) = (format!("https://127.0.0.1:{}", ports.etcd), format!("http://127.0.0.1:{}", ports.peer));
    flags(&[
        ("data-dir", &path(dir, "etcd")),
        ("listen-client-urls", &client),
        ("advertise-client-urls", &client),
        ("listen-peer-urls", &peer),
        ("initial-advertise-peer-urls", &peer),
        ("initial-cluster", &format!("default={peer}")),
        ("cert-file", &path(dir, pki::CERTIFICATE)),
        ("key-file", &path(dir, pki::KEY)),
        ("trusted-ca-file", &path(dir, pki::AUTHORITY)),
        ("client-cert-auth", "true"),
        ("unsafe-no-fsync", "true"),
        ("log-level", "warn"),
    ])
}

pub(super) fn api_server(dir: &Path, ports: &Ports) -> Vec<String> {
    let (certificate, key, authority) = (path(dir, pki::CERTIFICATE), path(dir, pki::KEY), path(dir, pki::AUTHORITY));
    let (accounts, public) = (path(dir, pki::SERVICE_ACCOUNTS), path(dir, pki::SERVICE_ACCOUNTS_PUBLIC));
    flags(&[
        ("etcd-servers", &format!("https://127.0.0.1:{}", ports.etcd)),
        ("etcd-cafile", &authority),
        ("etcd-certfile", &certificate),
        ("etcd-keyfile", &key),
        ("bind-address", "127.0.0.1"),
        ("advertise-address", "127.0.0.1"),
        ("endpoint-reconciler-type", "none"),
        ("secure-port", &ports.api_server.to_string()),
        ("tls-cert-file", &certificate),
        ("tls-private-key-file", &key),
        ("token-auth-file", &path(dir, TOKENS)),
        ("service-account-issuer", "https://kubernetes.default.svc"),
        ("service-account-key-file", &public),
        ("service-account-signing-key-file", &accounts),
        ("service-cluster-ip-range", "10.96.0.0/14"),
        ("authorization-mode", "RBAC"),
        // Pods are never made here.
        ("disable-admission-plugins", "ServiceAccount"),
        ("audit-policy-file", &path(dir, AUDIT_POLICY)),
        ("audit-log-path", &path(dir, AUDIT_LOG)),
        ("audit-log-maxsize", "10000"),
    ])
}

/// `token,user,uid,"groups"`, see "Static token file" in the documentation of Kubernetes.
fn tokens() -> String {
    let line = |identity: &Identity, group: &str| {
        let Identity { user, token } = identity;
        format!("{token},{user},{user},\"{group}\"\n")
    };
    let masters = [ADMIN, PUPPET].map(|user| line(&Identity::of(user), "system:masters"));
    let operators = (0..OPERATOR_LIMIT).map(|number| line(&operator(number), OPERATORS));
    masters.into_iter().chain(operators).collect()
}

/// Writes only: reads are many, and nobody counts them here.
fn audit_policy() -> String {
    let writes = json!(["create", "update", "patch", "delete", "deletecollection"]);
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "users": ["system:apiserver"]},
            {"level": "Metadata", "verbs": writes},
            {"level": "None"},
        ],
    })
    .to_string()
}

fn flags(flags: &[(&str, &str)]) -> Vec<String> {
    flags.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_string_lossy().into_owned()
}
