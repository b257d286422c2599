//! A control plane with the custom resources, the operator's rights and the puppet: one for a test binary.

use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::{
    api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{ApiResource, ObjectMeta, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use tokio::{runtime::Runtime, task::JoinSet};
use waitkit::{eventually, wait_until};

use crate::{
    Audit, ControlPlane, Identity, Space,
    control_plane::flags::{self, OPERATOR_LIMIT, OPERATORS},
    puppet,
};

/// What a cluster is set up with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The definitions to install.
    pub crds: Vec<CustomResourceDefinition>,
    /// What the operator may do.
    pub rules: Vec<PolicyRule>,
}

/// A running cluster without nodes. Its puppet lives in a runtime of the cluster's own, as tests have one each.
#[derive(Debug)]
pub struct Cluster {
    // The puppet stops before the control plane does.
    _puppet: JoinSet<()>,
    control_plane: ControlPlane,
    kinds: Vec<ApiResource>,
    next_operator: AtomicU32,
    next_space: AtomicU32,
    _runtime: Runtime,
}

impl Cluster {
    /// Starts everything. It blocks, so call it outside of a runtime, or on a thread that may block.
    ///
    /// # Panics
    ///
    /// When a part does not start; the message says why.
    #[must_use]
    pub fn start(setup: &Setup) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("puppet")
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let mut puppet = JoinSet::new();
        let control_plane = runtime.block_on(async {
            let control_plane = ControlPlane::start().await;
            let client = control_plane.client(&ControlPlane::admin());
            install(&client, &setup.crds).await;
            grant(&client, &setup.rules).await;
            control_plane
        });
        runtime.block_on(async { puppet::play(&control_plane.client(&ControlPlane::puppet()), &mut puppet) });
        Self {
            kinds: kinds(&setup.crds),
            control_plane,
            next_operator: AtomicU32::new(0),
            next_space: AtomicU32::new(1),
            _puppet: puppet,
            _runtime: runtime,
        }
    }

    /// The servers.
    #[must_use]
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// What was written.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        self.control_plane.audit()
    }

    /// A client that may do everything, for the runtime of the caller.
    #[must_use]
    pub fn admin(&self) -> Client {
        self.control_plane.client(&ControlPlane::admin())
    }

    /// A namespace of the caller's own.
    pub async fn space(&self) -> Space<'_> {
        let number = self.next_space.fetch_add(1, Ordering::Relaxed);
        Space::new(self, &format!("test-{}-{number}", std::process::id())).await
    }

    /// Installs definitions, or replaces them by others of the same names.
    pub async fn install(&self, crds: &[CustomResourceDefinition]) {
        install(&self.admin(), crds).await;
    }

    /// The kinds whose objects make up the state of a namespace.
    pub(crate) fn kinds(&self) -> &[ApiResource] {
        &self.kinds
    }

    /// A name of its own for every operator process, so that the audit log tells them apart.
    pub(crate) fn next_operator(&self) -> Identity {
        let number = self.next_operator.fetch_add(1, Ordering::Relaxed);
        assert!(number < OPERATOR_LIMIT, "a cluster knows {OPERATOR_LIMIT} operators");
        flags::operator(number)
    }
}

async fn install(client: &Client, crds: &[CustomResourceDefinition]) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply("kubekit").force();
    for crd in crds {
        let name = crd.metadata.name.as_deref().unwrap_or_default();
        api.patch(name, &params, &Patch::Apply(crd)).await.expect("the definition is accepted");
        eventually("the definition to be served", || async {
            let served = api.get(name).await.ok().and_then(|crd| crd.status).and_then(|status| status.conditions);
            served.is_some_and(|all| all.iter().any(|one| one.type_ == "Established" && one.status == "True"))
        })
        .await;
    }
}

async fn grant(client: &Client, rules: &[PolicyRule]) {
    let metadata = ObjectMeta { name: Some(OPERATORS.to_owned()), ..ObjectMeta::default() };
    let role = ClusterRole { metadata: metadata.clone(), rules: Some(rules.to_vec()), aggregation_rule: None };
    let subject = Subject { kind: "Group".to_owned(), name: OPERATORS.to_owned(), ..Subject::default() };
    let role_ref = RoleRef { kind: "ClusterRole".to_owned(), name: OPERATORS.to_owned(), ..RoleRef::default() };
    let binding = ClusterRoleBinding { metadata, role_ref, subjects: Some(vec![subject]) };
    let params = PostParams::default();
    // The API server makes the rights of administrators right after its start.
    wait_until(crate::DEADLINE, "the operator's rights", || async {
        let api: Api<ClusterRole> = Api::all(client.clone());
        api.create(&params, &role).await.ok()
    })
    .await;
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    bindings.create(&params, &binding).await.expect("the operator gets its rights");
}

/// Owners come before what they own.
fn kinds(crds: &[CustomResourceDefinition]) -> Vec<ApiResource> {
    let built_in = [
        ("", "v1", "ConfigMap"),
        ("", "v1", "PersistentVolumeClaim"),
        ("", "v1", "Secret"),
        ("", "v1", "Service"),
        ("", "v1", "ServiceAccount"),
        ("apps", "v1", "Deployment"),
        ("apps", "v1", "StatefulSet"),
        ("autoscaling", "v2", "HorizontalPodAutoscaler"),
        ("batch", "v1", "Job"),
        ("networking.k8s.io", "v1", "Ingress"),
        ("networking.k8s.io", "v1", "NetworkPolicy"),
        ("policy", "v1", "PodDisruptionBudget"),
    ];
    let own = crds.iter().map(|crd| {
        let version = &crd.spec.versions[0].name;
        let kind = GroupVersionKind::gvk(&crd.spec.group, version, &crd.spec.names.kind);
        ApiResource::from_gvk_with_plural(&kind, &crd.spec.names.plural)
    });
    let built_in =
        built_in.map(|(group, version, kind)| ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)));
    own.chain(built_in).collect()
}
