//! etcd, the API server, the controller manager and the scheduler.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    config,
    layout::{API_SERVER_PORT, Layout, SERVICE_NETWORK},
    pki,
    process::{Daemon, Supervisor},
};
use crate::tools::Toolbox;

pub(super) const ETCD: &str = "etcd";
pub(super) const API_SERVER: &str = "kube-apiserver";
const CONTROLLER_MANAGER: &str = "kube-controller-manager";
const SCHEDULER: &str = "kube-scheduler";

/// Writes certificates and configuration, where they are missing or differ.
pub(super) fn configure(layout: &Layout) -> Result<()> {
    pki::ensure_control_plane(layout)?;
    for user in ["admin", "controller-manager", "scheduler"] {
        write(&kubeconfig(layout, user), &config::kubeconfig(layout, user))?;
    }
    write(&layout.state.join("audit-policy.json"), &config::audit_policy())
}

/// The store and the API server: they start without anything else.
pub(super) fn foundation(layout: &Layout, tools: &Toolbox) -> Result<[Daemon; 2]> {
    Ok([etcd(layout, tools.path(ETCD)?), api_server(layout, tools.path(API_SERVER)?)])
}

/// Ends the controllers if there is no API server to work with. They would take every node for dead as soon as one is back, for
/// want of a sign of life since, and its pods out of service. Elsewhere they end by themselves, having lost their leases.
pub(super) fn end_without_api_server(supervisor: &Supervisor) -> Result<()> {
    if supervisor.is_alive(API_SERVER) {
        return Ok(());
    }
    [CONTROLLER_MANAGER, SCHEDULER].into_iter().try_for_each(|name| supervisor.end(name))
}

/// What needs a ready API server.
pub(super) fn controllers(layout: &Layout, tools: &Toolbox) -> Result<[Daemon; 2]> {
    let controller_manager = command(
        tools.path(CONTROLLER_MANAGER)?,
        &[
            ("kubeconfig", &path(&kubeconfig(layout, "controller-manager"))),
            ("bind-address", "127.0.0.1"),
            ("service-account-private-key-file", &path(&layout.key("service-accounts"))),
            ("root-ca-file", &path(&layout.certificate("ca"))),
            ("cluster-signing-cert-file", &path(&layout.certificate("ca"))),
            ("cluster-signing-key-file", &path(&layout.key("ca"))),
            ("allocate-node-cidrs", "false"),
            ("use-service-account-credentials", "true"),
            ("leader-elect", "false"),
            // Autoscaling in seconds instead of minutes: someone waits for it here.
            ("horizontal-pod-autoscaler-sync-period", "5s"),
            ("horizontal-pod-autoscaler-downscale-stabilization", "30s"),
            ("horizontal-pod-autoscaler-cpu-initialization-period", "30s"),
        ],
    );
    let scheduler = command(
        tools.path(SCHEDULER)?,
        &[
            ("kubeconfig", &path(&kubeconfig(layout, "scheduler"))),
            ("bind-address", "127.0.0.1"),
            ("leader-elect", "false"),
        ],
    );
    Ok([
        daemon(CONTROLLER_MANAGER, controller_manager, vec![layout.certificate("controller-manager")]),
        daemon(SCHEDULER, scheduler, vec![layout.certificate("scheduler")]),
    ])
}

/// Writes a file only when it would change, so that the processes that read it are left alone.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// `program --name=value …`
pub(super) fn command(program: &Path, flags: &[(&str, &str)]) -> Vec<String> {
    std::iter::once(path(program)).chain(flags.iter().map(|(name, value)| format!("--{name}={value}"))).collect()
}

pub(super) fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn etcd(layout: &Layout, program: &Path) -> Daemon {
    let (certificate, key, ca) =
        (path(&layout.certificate("etcd")), path(&layout.key("etcd")), path(&layout.certificate("ca")));
    let command = command(
        program,
        &[
            ("data-dir", &path(&layout.etcd())),
            ("listen-client-urls", "https://127.0.0.1:2379"),
            ("advertise-client-urls", "https://127.0.0.1:2379"),
            ("listen-peer-urls", "http://127.0.0.1:2380"),
            ("cert-file", &certificate),
            ("key-file", &key),
            ("trusted-ca-file", &ca),
            ("client-cert-auth", "true"),
        ],
    );
    daemon(ETCD, command, vec![layout.certificate("etcd")])
}

fn api_server(layout: &Layout, program: &Path) -> Daemon {
    let certificate = |name: &str| path(&layout.certificate(name));
    let key = |name: &str| path(&layout.key(name));
    let policy = layout.state.join("audit-policy.json");
    let command = command(
        program,
        &[
            ("etcd-servers", "https://127.0.0.1:2379"),
            ("etcd-cafile", &certificate("ca")),
            ("etcd-certfile", &certificate("etcd-client")),
            ("etcd-keyfile", &key("etcd-client")),
            // The bridge only: nothing outside this machine reaches it.
            ("bind-address", "10.244.0.1"),
            ("secure-port", &API_SERVER_PORT.to_string()),
            ("client-ca-file", &certificate("ca")),
            ("tls-cert-file", &certificate("apiserver")),
            ("tls-private-key-file", &key("apiserver")),
            ("service-account-issuer", "https://kubernetes.default.svc"),
            ("service-account-key-file", &path(&layout.pki().join("service-accounts.pub"))),
            ("service-account-signing-key-file", &key("service-accounts")),
            ("service-cluster-ip-range", SERVICE_NETWORK),
            ("authorization-mode", "Node,RBAC"),
            ("enable-admission-plugins", "NodeRestriction"),
            ("allow-privileged", "true"),
            ("kubelet-client-certificate", &certificate("kubelet-client")),
            ("kubelet-client-key", &key("kubelet-client")),
            ("kubelet-certificate-authority", &certificate("ca")),
            // There is no DNS for node names: `kubectl logs` and `exec` go by address.
            ("kubelet-preferred-address-types", "InternalIP"),
            ("requestheader-client-ca-file", &certificate("ca")),
            ("requestheader-allowed-names", "front-proxy"),
            ("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
            ("requestheader-group-headers", "X-Remote-Group"),
            ("requestheader-username-headers", "X-Remote-User"),
            ("proxy-client-cert-file", &certificate("front-proxy")),
            ("proxy-client-key-file", &key("front-proxy")),
            ("enable-aggregator-routing", "true"),
            ("audit-policy-file", &path(&policy)),
            ("audit-log-path", &path(&layout.audit_log())),
            // One file for the cluster's whole life: tests count in it.
            ("audit-log-maxsize", "10000"),
        ],
    );
    daemon(API_SERVER, command, vec![layout.certificate("apiserver"), policy])
}

fn kubeconfig(layout: &Layout, user: &str) -> PathBuf {
    layout.state.join(format!("{user}.kubeconfig"))
}

fn daemon(name: &str, command: Vec<String>, config: Vec<PathBuf>) -> Daemon {
    Daemon { name: name.to_owned(), netns: None, command, config }
}
