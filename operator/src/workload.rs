//! Parts of pods that every workload of a store has in common. Pure.

use std::collections::BTreeMap;

use api::{ResourceAmounts, Resources};
use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, ConfigMapVolumeSource, EmptyDirVolumeSource, EnvVar, EnvVarSource,
        PersistentVolumeClaimVolumeSource, PodAffinity, PodAffinityTerm, PodSecurityContext, ResourceRequirements,
        SeccompProfile, SecretKeySelector, SecurityContext, Volume, VolumeMount, WeightedPodAffinityTerm,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
};

/// What a container gets when nothing is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DefaultResources {
    pub(crate) cpu_request: &'static str,
    pub(crate) memory_request: &'static str,
    pub(crate) memory_limit: &'static str,
}

impl DefaultResources {
    /// These amounts, overridden by those the user gave. Where one of the two amounts is given, the other follows it
    /// rather than contradict it: a lone limit is also the request, and a lone memory request has no limit.
    pub(crate) fn with(self, given: Option<&Resources>) -> ResourceRequirements {
        let requests = given.and_then(|given| given.requests.as_ref());
        let limits = given.and_then(|given| given.limits.as_ref());
        let (cpu_request, cpu_limit) = (cpu(requests), cpu(limits));
        let (memory_request, memory_limit) = (memory(requests), memory(limits));
        let default_limit = || memory_request.is_none().then(|| Quantity(self.memory_limit.to_owned()));
        let limits = [("cpu", cpu_limit.clone()), ("memory", memory_limit.clone().or_else(default_limit))];
        let requests = [
            ("cpu", cpu_request.or(cpu_limit).or_else(|| Some(Quantity(self.cpu_request.to_owned())))),
            ("memory", memory_request.or(memory_limit).or_else(|| Some(Quantity(self.memory_request.to_owned())))),
        ];
        ResourceRequirements { requests: Some(given_only(requests)), limits: Some(given_only(limits)), claims: None }
    }
}

fn cpu(amounts: Option<&ResourceAmounts>) -> Option<Quantity> {
    amounts?.cpu.as_ref().map(Quantity::from)
}

fn memory(amounts: Option<&ResourceAmounts>) -> Option<Quantity> {
    amounts?.memory.as_ref().map(Quantity::from)
}

fn given_only(amounts: [(&str, Option<Quantity>); 2]) -> BTreeMap<String, Quantity> {
    amounts.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount?))).collect()
}

/// What Pod Security "restricted" asks of a pod. Files on its volumes belong to `user`.
pub(crate) fn restricted_pod(user: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        fs_group: Some(user),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
        ..PodSecurityContext::default()
    }
}

/// What Pod Security "restricted" asks of a container, and a root file system that nobody writes to.
pub(crate) fn restricted_container() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        ..SecurityContext::default()
    }
}

/// A folder that lives and dies with the pod.
pub(crate) fn scratch(name: &str, size: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(size.to_owned())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// The entries of a ConfigMap as files.
pub(crate) fn config_map(name: &str, config_map: &str) -> Volume {
    let source = ConfigMapVolumeSource { name: config_map.to_owned(), ..ConfigMapVolumeSource::default() };
    Volume { name: name.to_owned(), config_map: Some(source), ..Volume::default() }
}

/// The volume of a claim.
pub(crate) fn claimed(name: &str, claim: &str) -> Volume {
    let source = PersistentVolumeClaimVolumeSource { claim_name: claim.to_owned(), read_only: None };
    Volume { name: name.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() }
}

/// Where a container sees a volume.
pub(crate) fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

/// Where a container sees a volume that it cannot write to.
pub(crate) fn mount_read_only(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount(volume, path) }
}

/// An environment variable with a value.
pub(crate) fn variable(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None }
}

/// An environment variable whose value is an entry of a Secret.
pub(crate) fn secret_variable(name: &str, secret: &str, key: &str) -> EnvVar {
    let entry = SecretKeySelector { name: secret.to_owned(), key: key.to_owned(), optional: None };
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource { secret_key_ref: Some(entry), ..EnvVarSource::default() }),
    }
}

/// Prefers a node where pods with these labels are. Each server of a store's data is alone of its kind, so the fewer
/// nodes hold them, the fewer can take the store down.
pub(crate) fn near(labels: BTreeMap<String, String>) -> Affinity {
    let term = PodAffinityTerm {
        label_selector: Some(LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }),
        topology_key: "kubernetes.io/hostname".to_owned(),
        ..PodAffinityTerm::default()
    };
    Affinity {
        pod_affinity: Some(PodAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: term,
            }]),
            ..PodAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// The tag of an image reference; its digest if it has no tag.
pub(crate) fn image_tag(image: &str) -> &str {
    let (reference, digest) =
        image.split_once('@').map_or((image, None), |(reference, digest)| (reference, Some(digest)));
    let last = reference.rsplit('/').next().unwrap_or(reference);
    last.split_once(':').map(|(_, tag)| tag).or(digest).unwrap_or("latest")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DEFAULTS: DefaultResources =
        DefaultResources { cpu_request: "20m", memory_request: "32Mi", memory_limit: "256Mi" };

    fn with(given: Value) -> Value {
        let given: Resources = serde_json::from_value(given).unwrap();
        serde_json::to_value(DEFAULTS.with(Some(&given))).unwrap()
    }

    #[test]
    fn a_tag_is_found_behind_a_registry_with_a_port() {
        for (image, expected) in [
            ("shop:1", "1"),
            ("localhost:5000/shop", "latest"),
            ("localhost:5000/shop:2", "2"),
            ("shop@sha256:ab", "sha256:ab"),
            ("shop:3@sha256:ab", "3"),
        ] {
            assert_eq!(image_tag(image), expected, "{image}");
        }
    }

    #[test]
    fn without_a_wish_the_defaults_hold() {
        let expected = json!({"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}});
        assert_eq!(serde_json::to_value(DEFAULTS.with(None)).unwrap(), expected);
    }

    #[test]
    fn a_lone_amount_is_never_contradicted_by_a_default() {
        assert_eq!(
            with(json!({"limits": {"cpu": "10m", "memory": "16Mi"}})),
            json!({"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "10m", "memory": "16Mi"}})
        );
        assert_eq!(
            with(json!({"requests": {"memory": "1Gi"}})),
            json!({"requests": {"cpu": "20m", "memory": "1Gi"}, "limits": {}})
        );
    }

    #[test]
    fn given_amounts_are_taken_over() {
        assert_eq!(
            with(json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}})),
            json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}})
        );
    }
}
