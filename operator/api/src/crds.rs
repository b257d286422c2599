//! The definitions to install.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{Store, StoreDatabase, StoreService, StoreTopic};

/// Every custom resource definition of the group, in the order they should be installed.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![Store::crd(), StoreService::crd(), StoreDatabase::crd(), StoreTopic::crd()]
}
