//! The configuration files of the cluster's processes, as text: pure functions of the layout. JSON is YAML, so most of them are JSON.

use std::path::Path;

use serde_json::{Value, json};

use super::layout::{API_SERVER, BRIDGE, DNS_ADDRESS, Layout, NETWORK, Node, POD_NETWORK};

/// A kubeconfig for one user, named after its certificate.
pub(super) fn kubeconfig(layout: &Layout, user: &str) -> String {
    pretty(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "greencommerce", "cluster": {"server": API_SERVER, "certificate-authority": layout.certificate("ca")}}],
        "users": [{"name": user, "user": {"client-certificate": layout.certificate(user), "client-key": layout.key(user)}}],
        "contexts": [{"name": "greencommerce", "context": {"cluster": "greencommerce", "user": user}}],
        "current-context": "greencommerce",
    }))
}

/// Every request with user, verb and object: tests count writes at rest and verbs that are granted but unused.
pub(super) fn audit_policy() -> String {
    pretty(&json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }))
}

pub(super) fn kubelet(layout: &Layout, node: &Node) -> String {
    pretty(&json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address(),
        "containerRuntimeEndpoint": format!("unix://{}", node.socket().display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node.cgroup(),
        "failCgroupV1": false,
        "failSwapOn": false,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": layout.certificate("ca")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": layout.certificate(&node.name()),
        "tlsPrivateKeyFile": layout.key(&node.name()),
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": node.dir().join("resolv.conf"),
        "podLogsDir": node.dir().join("pod-logs"),
        "volumePluginDir": node.dir().join("volume-plugins"),
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        // Images come from archives, never from a registry: the kubelet must not collect them.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxPods": 200,
        "serializeImagePulls": false,
    }))
}

/// The kubelet asks for no address of its own before this network exists; node 0 is its gateway.
pub(super) fn cni(node: &Node) -> String {
    let index = node.index;
    pretty(&json!({
        "cniVersion": "1.0.0",
        "name": NETWORK,
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": index == 0,
                "ipMasq": false,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": node.dir().join("ipam"),
                    "ranges": [[{
                        "subnet": POD_NETWORK,
                        "rangeStart": format!("10.244.{index}.10"),
                        "rangeEnd": format!("10.244.{index}.250"),
                        "gateway": node.address(),
                    }]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    }))
}

pub(super) fn containerd(node: &Node, pause_image: &str) -> String {
    let text = |path: &Path| Value::from(path.to_string_lossy().into_owned()).to_string();
    // restrict_oom_score_adj: without CAP_SYS_RESOURCE runc may not lower its score and dies.
    // netns_mounts_under_state_dir: the pods' network namespaces are then known to be this cluster's.
    format!(
        r#"version = 2
root = {root}
state = {state}
oom_score = 0

[grpc]
  address = {socket}

[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  sandbox_image = "{pause_image}"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = {cni}

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false

[plugins."io.containerd.internal.v1.opt"]
  path = {opt}
"#,
        root = text(&node.dir().join("containerd")),
        state = text(&node.containerd_state()),
        socket = text(&node.socket()),
        cni = text(&node.dir().join("cni")),
        opt = text(&node.dir().join("opt")),
    )
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::of_this_machine()
    }

    #[test]
    fn the_pods_of_two_nodes_have_different_addresses_in_one_network() {
        let config = |index| -> Value { serde_json::from_str(&cni(&Node::new(&layout(), index))).unwrap() };
        let (zero, one) = (config(0), config(1));
        assert_eq!(zero["plugins"][0]["ipam"]["ranges"][0][0]["rangeStart"], "10.244.0.10");
        assert_eq!(one["plugins"][0]["ipam"]["ranges"][0][0]["rangeStart"], "10.244.1.10");
        assert_eq!(
            zero["plugins"][0]["ipam"]["ranges"][0][0]["subnet"],
            one["plugins"][0]["ipam"]["ranges"][0][0]["subnet"]
        );
        assert_eq!((&zero["plugins"][0]["isGateway"], &one["plugins"][0]["isGateway"]), (&json!(true), &json!(false)));
    }

    #[test]
    fn the_kubelet_serves_only_authenticated_clients_on_the_nodes_address() {
        let config: Value = serde_json::from_str(&kubelet(&layout(), &Node::new(&layout(), 1))).unwrap();
        assert_eq!(config["authentication"]["anonymous"]["enabled"], false);
        assert_eq!(config["address"], "10.244.1.1");
        assert_eq!(config["cgroupRoot"], "/greencommerce/node-1");
    }

    #[test]
    fn containerd_keeps_everything_below_the_clusters_folders() {
        let config = containerd(&Node::new(&layout(), 0), "docker.io/greencommerce/pause:1");
        for line in config.lines().filter(|line| line.contains("= \"/")) {
            let allowed = ["/var/lib/greencommerce/", "/run/greencommerce/", "/usr/lib/cni"];
            assert!(allowed.iter().any(|place| line.contains(place)), "{line}");
        }
        assert!(config.contains(r#"sandbox_image = "docker.io/greencommerce/pause:1""#));
    }

    #[test]
    fn a_kubeconfig_names_the_users_own_certificate() {
        let config: Value = serde_json::from_str(&kubeconfig(&layout(), "scheduler")).unwrap();
        assert_eq!(config["users"][0]["user"]["client-key"], "/var/lib/greencommerce/pki/scheduler.key");
    }
}
