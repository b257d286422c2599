//! One control plane for all tests of this binary, with what the chart would install.

use std::{path::PathBuf, sync::OnceLock};

use k8s_openapi::api::rbac::v1::PolicyRule;
use kubekit::{Cluster, Setup};

/// The operator's program: the one that `OPERATOR_PROGRAM` names, such as the one that images carry, else that of this build.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("OPERATOR_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_operator").into(), PathBuf::from)
}

const RULES_BEGIN: &str = r#"{{- define "greencommerce.rules" -}}"#;
const RULES_END: &str = "{{- end -}}";

/// The control plane, started by the first test that asks for it.
pub(crate) async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    tokio::task::spawn_blocking(|| CLUSTER.get_or_init(start)).await.expect("the control plane starts")
}

/// Starts a control plane.
pub(crate) fn start() -> Cluster {
    Cluster::start(&Setup { crds: api::crds(), rules: rules() })
}

/// What the chart grants to the operator, and nothing else: a right that is missing there is missing here.
fn rules() -> Vec<PolicyRule> {
    let template = include_str!("../../../charts/greencommerce/templates/rbac.yaml");
    let (_, rest) = template.split_once(RULES_BEGIN).expect("the chart defines the operator's rules");
    let (rules, _) = rest.split_once(RULES_END).expect("the definition ends");
    let mut rules: Vec<PolicyRule> = serde_yaml::from_str(rules).expect("the rules are plain YAML");
    let rule = |group: &str, resource: &str, verbs: &[&str]| PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        ..PolicyRule::default()
    };
    rules.push(rule("storage.k8s.io", "storageclasses", &["get"]));
    // A Role of the operator's own namespace grants these.
    rules.push(rule("coordination.k8s.io", "leases", &["get", "create", "update", "patch"]));
    rules
}
