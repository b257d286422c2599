//! Where kinds of objects lie in the API.

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    api: &'static str,
    plural: &'static str,
}

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident = $api:literal $plural:literal;)*) => {
        $($(#[$doc])* pub const $name: Resource = Resource { api: $api, plural: $plural };)*
    };
}

resources! {
    /// Namespaces.
    NAMESPACES = "/api/v1" "namespaces";
    /// Nodes.
    NODES = "/api/v1" "nodes";
    /// Pods.
    PODS = "/api/v1" "pods";
    /// Services.
    SERVICES = "/api/v1" "services";
    /// Service accounts.
    SERVICE_ACCOUNTS = "/api/v1" "serviceaccounts";
    /// Secrets.
    SECRETS = "/api/v1" "secrets";
    /// Configuration.
    CONFIG_MAPS = "/api/v1" "configmaps";
    /// Claims on volumes.
    CLAIMS = "/api/v1" "persistentvolumeclaims";
    /// Volumes.
    VOLUMES = "/api/v1" "persistentvolumes";
    /// Events.
    EVENTS = "/apis/events.k8s.io/v1" "events";
    /// Addresses behind Services.
    ENDPOINT_SLICES = "/apis/discovery.k8s.io/v1" "endpointslices";
    /// Deployments.
    DEPLOYMENTS = "/apis/apps/v1" "deployments";
    /// Stateful sets.
    STATEFUL_SETS = "/apis/apps/v1" "statefulsets";
    /// Jobs.
    JOBS = "/apis/batch/v1" "jobs";
    /// Autoscalers.
    AUTOSCALERS = "/apis/autoscaling/v2" "horizontalpodautoscalers";
    /// Disruption budgets.
    BUDGETS = "/apis/policy/v1" "poddisruptionbudgets";
    /// Ingresses.
    INGRESSES = "/apis/networking.k8s.io/v1" "ingresses";
    /// Network policies.
    POLICIES = "/apis/networking.k8s.io/v1" "networkpolicies";
    /// What Prometheus is told of pods, where the cluster knows it.
    POD_MONITORS = "/apis/monitoring.coreos.com/v1" "podmonitors";
    /// Leases, by which operators agree on their leader.
    LEASES = "/apis/coordination.k8s.io/v1" "leases";
    /// Roles of the whole cluster.
    CLUSTER_ROLES = "/apis/rbac.authorization.k8s.io/v1" "clusterroles";
    /// Stores.
    STORES = "/apis/greencommerce.dev/v1alpha1" "stores";
    /// Services of stores.
    STORE_SERVICES = "/apis/greencommerce.dev/v1alpha1" "storeservices";
    /// Databases of stores.
    STORE_DATABASES = "/apis/greencommerce.dev/v1alpha1" "storedatabases";
    /// Topics of stores.
    STORE_TOPICS = "/apis/greencommerce.dev/v1alpha1" "storetopics";
}

impl Resource {
    /// The name in addresses: `deployments`.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        self.plural
    }

    /// The list in one namespace, or of the whole cluster.
    pub(crate) fn list(self, namespace: Option<&str>) -> String {
        let Self { api, plural } = self;
        match namespace {
            Some(namespace) => format!("{api}/namespaces/{namespace}/{plural}"),
            None => format!("{api}/{plural}"),
        }
    }

    /// One object.
    pub(crate) fn object(self, namespace: Option<&str>, name: &str) -> String {
        format!("{}/{name}", self.list(namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_lie_where_the_api_server_keeps_them() {
        assert_eq!(PODS.object(Some("a"), "b"), "/api/v1/namespaces/a/pods/b");
        assert_eq!(NODES.object(None, "node-0"), "/api/v1/nodes/node-0");
        assert_eq!(STORES.list(None), "/apis/greencommerce.dev/v1alpha1/stores");
    }
}
