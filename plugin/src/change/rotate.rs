//! When the new passwords are in use.

use std::time::Duration;

use api::{ANNOTATION_SECRETS, label};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{ResourceExt as _, api::ListParams};
use tokio::time::Instant;

use crate::{
    cluster::Cluster,
    duration::show,
    error::{Error, explain},
    output,
};

/// How often the Deployments are looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// A Deployment whose pods read a Secret, and the hash of what they read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credential {
    deployment: String,
    hash: String,
}

/// The credentials that the store's services have. The hashes stand in the open; the Secrets need not be readable.
pub(super) async fn credentials(cluster: &Cluster, store: &str) -> Result<Vec<Credential>, Error> {
    let labels = format!("{}={store}", label::STORE);
    let list = cluster.api::<Deployment>().list(&ListParams::default().labels(&labels)).await;
    let list = list.map_err(|error| explain(&format!("list the Deployments of Store {store}"), &error))?;
    Ok(list.items.iter().filter_map(credential).collect())
}

fn credential(deployment: &Deployment) -> Option<Credential> {
    let annotations = deployment.spec.template.metadata.as_ref()?.annotations.as_ref()?;
    let hash = annotations.get(ANNOTATION_SECRETS)?.clone();
    Some(Credential { deployment: deployment.name_any(), hash })
}

/// Waits until no Deployment has the credentials that it had before; the time that took.
pub(super) async fn until_rolled(
    cluster: &Cluster,
    store: &str,
    before: &[Credential],
    timeout: Duration,
) -> Result<Duration, Error> {
    let begun = Instant::now();
    let mut told = None;
    loop {
        let old = unchanged(before, &credentials(cluster, store).await?);
        if old.is_empty() {
            return Ok(begun.elapsed());
        }
        let names = old.join(", ");
        if begun.elapsed() >= timeout {
            return Err(Error::failed(format!("waited {} in vain for new passwords of: {names}", show(timeout))));
        }
        if told.as_ref() != Some(&names) {
            output::progress(begun.elapsed(), &format!("new passwords are to come for: {names}"));
            told = Some(names);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Names of those that have what they had before. One that has gone meanwhile is not waited for.
fn unchanged(before: &[Credential], now: &[Credential]) -> Vec<String> {
    before
        .iter()
        .filter(|credential| now.contains(credential))
        .map(|credential| credential.deployment.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(deployment: &str, hash: &str) -> Credential {
        Credential { deployment: deployment.to_owned(), hash: hash.to_owned() }
    }

    #[test]
    fn only_credentials_that_are_as_before_are_waited_for() {
        let before = [credential("auth", "1"), credential("orders", "2"), credential("gone", "3")];
        let now = [credential("auth", "1"), credential("orders", "9"), credential("new", "4")];
        assert_eq!(unchanged(&before, &now), ["auth"]);
        assert!(unchanged(&before, &now[1..]).is_empty());
    }
}
