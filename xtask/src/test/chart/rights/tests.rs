use super::*;

const SCOPED: &str = r#"
kind: Deployment
metadata: {name: operator, namespace: system}
spec:
  template:
    spec:
      serviceAccountName: operator
      containers: [{env: [{name: LEASE_NAME, value: lease}, {name: WATCH_NAMESPACE, value: shops}]}]
---
kind: Role
metadata: {name: operator, namespace: shops}
rules:
  - {apiGroups: [""], resources: [secrets, namespaces], verbs: [get, patch]}
  - {apiGroups: [greencommerce.dev], resources: [stores], verbs: [watch]}
  - {apiGroups: [events.k8s.io], resources: [events], verbs: [create]}
---
kind: RoleBinding
metadata: {name: operator, namespace: shops}
roleRef: {kind: Role, name: operator}
subjects: [{kind: ServiceAccount, name: operator, namespace: system}]
---
kind: Role
metadata: {name: leader, namespace: system}
rules:
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}
  - {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [lease], verbs: [get, update]}
---
kind: RoleBinding
metadata: {name: leader, namespace: system}
roleRef: {kind: Role, name: leader}
subjects: [{kind: ServiceAccount, name: operator, namespace: system}]
---
kind: ClusterRole
metadata: {name: classes}
rules: [{apiGroups: [storage.k8s.io], resources: [storageclasses], verbs: [get]}]
---
kind: ClusterRoleBinding
metadata: {name: classes}
roleRef: {kind: ClusterRole, name: classes}
subjects: [{kind: ServiceAccount, name: operator, namespace: system}]
---
kind: ClusterRole
metadata: {name: view, labels: {rbac.authorization.k8s.io/aggregate-to-view: "true"}}
rules: [{apiGroups: [greencommerce.dev], resources: [stores], verbs: [watch]}]
---
kind: ClusterRole
metadata:
  name: edit
  labels: {rbac.authorization.k8s.io/aggregate-to-edit: "true", rbac.authorization.k8s.io/aggregate-to-admin: "true"}
rules: [{apiGroups: [greencommerce.dev], resources: [stores], verbs: [create]}]
"#;

/// What is wrong with the release when these words stand for others.
fn wrong(from: &str, to: &str) -> String {
    assert!(SCOPED.contains(from), "{from}");
    check(&SCOPED.replace(from, to)).map_or_else(|error| error.to_string(), |()| String::new())
}

#[test]
fn an_operator_of_one_namespace_that_can_lead_there_is_fine() {
    check(SCOPED).unwrap();
}

#[test]
fn an_operator_that_can_not_lead_is_found() {
    let cases = [
        ("metadata: {name: leader, namespace: system}", "metadata: {name: leader, namespace: shops}"),
        ("resourceNames: [lease]", "resourceNames: [another]"),
        ("roleRef: {kind: Role, name: leader}", "roleRef: {kind: Role, name: operator}"),
    ];
    for (from, to) in cases {
        let wrong = wrong(from, to);
        assert!(wrong.contains("coordination.k8s.io/leases"), "{from}: {wrong:?}");
    }
}

#[test]
fn an_operator_that_is_blind_or_sees_too_much_is_found() {
    assert_eq!(wrong("[storageclasses]", "[volumes]"), "the operator may not get storage.k8s.io/storageclasses");
    assert_eq!(wrong("value: shops", "value: others"), "the operator may not watch greencommerce.dev/stores");
    let everywhere = "[{apiGroups: [storage.k8s.io, ''], resources: [storageclasses, secrets], verbs: [get]}]";
    let classes = "[{apiGroups: [storage.k8s.io], resources: [storageclasses], verbs: [get]}]";
    assert_eq!(wrong(classes, everywhere), "whether the operator may get Secrets everywhere: true");
}

#[test]
fn people_without_their_roles_are_found() {
    assert_eq!(wrong("aggregate-to-view", "aggregate-to-none"), "whoever has the role view may not watch stores");
    assert_eq!(wrong("aggregate-to-admin", "aggregate-to-none"), "whoever has the role admin may not create stores");
}
