//! What a report has.

/// A kind of object, as the API server's paths name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// `/api/v1` or `/apis/<group>/<version>`.
    pub(super) api: &'static str,
    pub(super) plural: &'static str,
}

const fn kind(api: &'static str, plural: &'static str) -> Kind {
    Kind { api, plural }
}

pub(super) const PODS: Kind = kind("/api/v1", "pods");
pub(super) const SECRETS: Kind = kind("/api/v1", "secrets");
pub(super) const NODES: Kind = kind("/api/v1", "nodes");
pub(super) const EVENTS: Kind = kind("/apis/events.k8s.io/v1", "events");
pub(super) const DEPLOYMENTS: Kind = kind("/apis/apps/v1", "deployments");

/// The store, and what the operator makes for it.
pub(super) const OF_A_STORE: [Kind; 16] = [
    kind("/apis/greencommerce.dev/v1alpha1", "stores"),
    kind("/apis/greencommerce.dev/v1alpha1", "storedatabases"),
    kind("/apis/greencommerce.dev/v1alpha1", "storeservices"),
    kind("/apis/greencommerce.dev/v1alpha1", "storetopics"),
    DEPLOYMENTS,
    kind("/apis/apps/v1", "statefulsets"),
    kind("/api/v1", "services"),
    kind("/api/v1", "persistentvolumeclaims"),
    kind("/apis/autoscaling/v2", "horizontalpodautoscalers"),
    kind("/apis/policy/v1", "poddisruptionbudgets"),
    kind("/apis/batch/v1", "jobs"),
    kind("/api/v1", "configmaps"),
    kind("/apis/networking.k8s.io/v1", "ingresses"),
    kind("/apis/networking.k8s.io/v1", "networkpolicies"),
    kind("/api/v1", "serviceaccounts"),
    PODS,
];
