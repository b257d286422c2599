//! Names of labels, annotations and finalizers that the operator writes.

/// Value of `app.kubernetes.io/managed-by` on every object the operator writes; its watches select it.
pub const MANAGED_BY: &str = "greencommerce";
/// Holds an object back until the operator has honoured its deletion policy.
pub const FINALIZER: &str = "greencommerce.dev/finalizer";
/// Hash of the fields the operator last applied to the object that carries it.
pub const ANNOTATION_APPLIED: &str = "greencommerce.dev/applied";
/// On a pod template: hash of the Secret with the address of its database, so that another password rolls the pods. Pods
/// without the present one hold up the end of a rotation.
pub const ANNOTATION_SECRETS: &str = "greencommerce.dev/secrets";
/// On a pod template: hash of the Secrets its variables are read from, so that a changed Secret rolls the pods.
pub const ANNOTATION_VARIABLES: &str = "greencommerce.dev/variables";
/// On a Store or a StoreDatabase: with any new value, every database gets a new password. On a database's Secret: the
/// value that its password was made for.
pub const ANNOTATION_ROTATE: &str = "greencommerce.dev/rotate";
/// On a database's Secret: when its password was replaced.
pub const ANNOTATION_ROTATED_AT: &str = "greencommerce.dev/rotated-at";
/// On a pod template: hash of the configuration that the operator wrote for its container, so that another one rolls the
/// pods.
pub const ANNOTATION_CONFIG: &str = "greencommerce.dev/config";
/// On a volume claim: uid of the Store whose data it holds. A claim outlives its store if the deletion policy says so.
pub const ANNOTATION_STORE_UID: &str = "greencommerce.dev/store-uid";
/// On a volume claim: size and class that the spec asked for, so that a claim that somebody made larger is told from a
/// spec that asks for less.
pub const ANNOTATION_STORAGE: &str = "greencommerce.dev/storage";

/// Label keys.
pub mod label {
    /// The service or part, for example `catalog` or `kafka`.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// The store.
    pub const INSTANCE: &str = "app.kubernetes.io/instance";
    /// The role within the store, for example `service`, `database`, `broker`, `cache`, `migration`.
    pub const COMPONENT: &str = "app.kubernetes.io/component";
    /// Always [`super::MANAGED_BY`].
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// The store an object belongs to; pods and claims with it wake the Store controller.
    pub const STORE: &str = "greencommerce.dev/store";
    /// The StoreService a pod belongs to; wakes the StoreService controller.
    pub const SERVICE: &str = "greencommerce.dev/service";
    /// The StoreDatabase a pod, claim or secret belongs to; wakes the StoreDatabase controller.
    pub const DATABASE: &str = "greencommerce.dev/database";
    /// On a migration: fingerprint of the image that it migrates for, and of the database that it migrates.
    pub const IMAGE: &str = "greencommerce.dev/image";
    /// `data` on the pods that hold a store's data: they prefer one another's node.
    pub const TIER: &str = "greencommerce.dev/tier";
}
