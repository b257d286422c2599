//! The first administrator of the shop.

use anyhow::{Context as _, Result};

use super::{api::Api, environment::Environment, store::Store};
use crate::{cluster::kubectl::Kubectl, ui::Step};

/// Makes the account unless it can be logged in to.
pub(super) fn ensure(
    step: &Step,
    kubectl: &Kubectl,
    api: &Api,
    store: &Store,
    environment: &Environment,
) -> Result<()> {
    log_in(step, kubectl, api, store, environment).map(drop)
}

/// An access token of the administrator, who is made if need be.
pub(super) fn log_in(
    step: &Step,
    kubectl: &Kubectl,
    api: &Api,
    store: &Store,
    environment: &Environment,
) -> Result<String> {
    let (email, password) = (environment.admin_email(), environment.admin_password());
    if let Some(token) = api.log_in(email, password)? {
        return Ok(token);
    }
    step.say("greencommerce admin create");
    store.execute(
        step,
        kubectl,
        "auth",
        &["admin", "create", "--email", email, "--name", "Administrator"],
        password,
    )?;
    step.note("created");
    api.log_in(email, password)?.context("the administrator was made, but cannot log in")
}
