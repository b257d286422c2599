//! One control plane for all tests of this binary, with what the chart would install.

use std::{path::PathBuf, sync::OnceLock};

use k8s_openapi::{
    api::rbac::v1::PolicyRule, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kubekit::{Cluster, Setup};

use crate::candidates::LEASE_NAME;

/// The operator's program: the one that `OPERATOR_PROGRAM` names, such as the one that images carry, else that of this build.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("OPERATOR_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_operator").into(), PathBuf::from)
}

/// The control plane, started by the first test that asks for it.
pub(crate) async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    tokio::task::spawn_blocking(|| CLUSTER.get_or_init(start)).await.expect("the control plane starts")
}

/// Starts a control plane.
pub(crate) fn start() -> Cluster {
    start_with(Vec::new())
}

/// Starts one that knows further kinds.
pub(crate) fn start_with(further: Vec<CustomResourceDefinition>) -> Cluster {
    let crds = api::crds().into_iter().chain(further).collect();
    Cluster::start(&Setup { crds, rules: rules() })
}

/// What the chart grants to the operator, and nothing else: a right that is missing there is missing here.
fn rules() -> Vec<PolicyRule> {
    let template = include_str!("../../../charts/greencommerce/templates/rbac.yaml");
    let defined = ["rules", "leaderRules", "clusterRules", "namespaceRules"].map(|name| defined(template, name));
    defined.into_iter().flatten().collect()
}

/// The rules that a template defines under a name. Each is plain YAML but for the name of the Lease.
fn defined(template: &str, name: &str) -> Vec<PolicyRule> {
    let begin = format!(r#"{{{{- define "greencommerce.{name}" -}}}}"#);
    let (_, rest) = template.split_once(&begin).expect("the chart defines the rules");
    let (rules, _) = rest.split_once("{{- end -}}").expect("the definition ends");
    let rules = rules.replace(r#"{{ include "greencommerce.fullname" . | quote }}"#, LEASE_NAME);
    serde_yaml::from_str(&rules).expect("the rules are YAML")
}
