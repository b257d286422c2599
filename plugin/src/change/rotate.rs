//! When the new passwords are in use.
//!
//! The wish is an annotation, which no generation tells of: that the store is ready says nothing about it. What tells is the
//! StoreDatabase, by the time of each password, and the Deployments, by the hash of the login that their pods read.

use std::{collections::BTreeMap, time::Duration};

use api::{ANNOTATION_SECRETS, Reason, Store, StoreDatabase, StoreService, label};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{ResourceExt as _, api::ListParams};
use tokio::time::Instant;

use crate::{
    cli::{Goal, Patience},
    cluster::Cluster,
    duration::show,
    error::{Error, explain},
    output,
    status::{Cause, rotation},
    wait::{self, FAILURES, Judgement, judge},
};

/// How often a rotation is looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// What kept a rotation before this one from beginning may be out of the way, and the operator has to look again first.
const STALE: Duration = Duration::from_secs(5);

/// The passwords of a store and who uses them, at one moment. The Secrets themselves need not be readable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// When the password in each Secret took the place of another.
    passwords: BTreeMap<String, Option<Timestamp>>,
    /// Why a password cannot be replaced.
    blocked: Option<String>,
    services: Vec<Service>,
    /// StoreServices that make no sense, and why.
    pub(super) unreadable: Vec<String>,
}

/// A service whose database is one of the store's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    name: String,
    secret: String,
    /// Hash of the login that its pods are to have.
    login: Option<String>,
    /// Whether all its pods are as its Deployment describes them, and no other is left.
    rolled_out: bool,
}

/// Looks at the passwords of a store.
pub(super) async fn look(cluster: &Cluster, store: &str) -> Result<Seen, Error> {
    let failed =
        |what: &'static str| move |error: kube::Error| explain(&format!("read the {what} of Store {store}"), &error);
    let database = cluster.api::<StoreDatabase>().get_opt(store).await.map_err(failed("StoreDatabase"))?;
    let (services, unreadable) = cluster.services_of(store).await.map_err(failed("StoreServices"))?;
    let labels = format!("{}={store}", label::STORE);
    let deployments = cluster.api::<Deployment>().list(&ListParams::default().labels(&labels)).await;
    let deployments = deployments.map_err(failed("Deployments"))?;
    Ok(Seen { unreadable, ..seen(database.as_ref(), &services, &deployments.items) })
}

/// Waits until each password that was seen before is another, and the pods of every service have it; the time that took.
pub(super) async fn until_rolled(
    cluster: &Cluster,
    store: &str,
    before: &Seen,
    patience: Patience,
) -> Result<Duration, Error> {
    let begun = Instant::now();
    let mut last = "the API server has not answered".to_owned();
    let waiting = roll(cluster, store, before, patience.fail_fast, begun, &mut last);
    match tokio::time::timeout(patience.timeout, waiting).await {
        Ok(result) => result.map(|()| begun.elapsed()),
        Err(_) => Err(Error::failed(format!("waited {} in vain for new passwords: {last}", show(patience.timeout)))),
    }
}

async fn roll(
    cluster: &Cluster,
    name: &str,
    before: &Seen,
    fail_fast: bool,
    begun: Instant,
    last: &mut String,
) -> Result<(), Error> {
    let mut failures = 0;
    loop {
        match look_at_both(cluster, name).await {
            Ok((store, now)) => {
                failures = 0;
                let Some(mut what) = pending(before, &now) else { return Ok(()) };
                if let Some(why) = blocked(before, &now, begun.elapsed()) {
                    return Err(Error::failed(format!("the passwords cannot be replaced: {why}")));
                }
                let judgement = judge(store.as_ref(), Goal::Ready);
                if judgement.is_hopeless(fail_fast) {
                    return Err(wait::never(cluster, name, Goal::Ready, judgement.text()));
                }
                if let Judgement::Stuck(why) = judgement {
                    what = format!("{what}; {why}");
                }
                if what != *last {
                    output::progress(begun.elapsed(), &what);
                    *last = what;
                }
            }
            Err(error) if failures >= FAILURES => return Err(error),
            // The API server may be away for a moment.
            Err(_) => failures += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look_at_both(cluster: &Cluster, name: &str) -> Result<(Option<Store>, Seen), Error> {
    let store = cluster.api::<Store>().get_opt(name).await;
    let store = store.map_err(|error| explain(&format!("read Store {}/{name}", cluster.namespace), &error))?;
    Ok((store, look(cluster, name).await?))
}

/// A service may have a Secret of its own, which is no business of the store's StoreDatabase.
fn seen(database: Option<&StoreDatabase>, services: &[StoreService], deployments: &[Deployment]) -> Seen {
    let databases = database.and_then(|database| database.status.as_ref()).map(|status| status.databases.as_slice());
    let passwords: BTreeMap<String, Option<Timestamp>> = databases
        .unwrap_or_default()
        .iter()
        .map(|database| (database.secret_name.clone(), database.password_rotated.as_ref().map(|time| time.0)))
        .collect();
    let service = |service: &StoreService| {
        let secret = service.spec.database_secret().filter(|secret| passwords.contains_key(secret))?;
        let name = service.name_any();
        let deployment = deployments.iter().find(|deployment| deployment.name_any() == name)?;
        Some(Service { name, secret, login: login(deployment), rolled_out: is_rolled_out(deployment) })
    };
    let services = services.iter().filter_map(service).collect();
    Seen { services, blocked: database.and_then(refusal), passwords, unreadable: Vec::new() }
}

fn login(deployment: &Deployment) -> Option<String> {
    deployment.spec.template.metadata.as_ref()?.annotations.as_ref()?.get(ANNOTATION_SECRETS).cloned()
}

/// As `kubectl rollout status` sees it.
fn is_rolled_out(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.replicas.unwrap_or(1);
    deployment.status.as_ref().is_some_and(|status| {
        let updated = status.updated_replicas.unwrap_or(0);
        status.observed_generation == deployment.metadata.generation
            && updated >= wanted
            && status.replicas.unwrap_or(0) <= updated
            && status.available_replicas.unwrap_or(0) >= updated
    })
}

fn refusal(database: &StoreDatabase) -> Option<String> {
    let failed = |cause: &Cause| Reason::parse(&cause.reason).is_some_and(Reason::is_failure);
    rotation(database).filter(failed).map(|cause| cause.message)
}

/// What is still to come. A database or a service that has gone meanwhile is not waited for.
fn pending(before: &Seen, now: &Seen) -> Option<String> {
    let kept = now.passwords.iter().filter(|(secret, made)| before.passwords.get(*secret) == Some(made));
    let kept: Vec<&str> = kept.map(|(secret, _)| secret.as_str()).collect();
    if !kept.is_empty() {
        return Some(format!("new passwords are to come in the Secrets {}", kept.join(", ")));
    }
    // One that came meanwhile may have been given the login before.
    let is_old = |service: &Service| {
        let same = |known: &Service| known.secret == service.secret && known.login == service.login;
        service.login.is_none() || before.services.iter().any(same)
    };
    let old = names(&now.services, is_old);
    if !old.is_empty() {
        return Some(format!("new passwords are to come for: {old}"));
    }
    let rolling = names(&now.services, |service| !service.rolled_out);
    (!rolling.is_empty()).then(|| format!("pods are being replaced of: {rolling}"))
}

fn names(services: &[Service], which: impl Fn(&Service) -> bool) -> String {
    let names = services.iter().filter(|service| which(service)).map(|service| service.name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

/// Why the rotation does not begin, if that is of this rotation and not left from one before.
fn blocked<'a>(before: &Seen, now: &'a Seen, passed: Duration) -> Option<&'a str> {
    now.blocked.as_deref().filter(|_| now.blocked != before.blocked || passed >= STALE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    /// Databases by the time of their password, and services by the login of the database of that name.
    fn seen(passwords: &[(&str, Option<Timestamp>)], services: &[(&str, Option<&str>, bool)]) -> Seen {
        let service = |(name, login, rolled_out): &(&str, Option<&str>, bool)| Service {
            name: (*name).to_owned(),
            secret: name.split('-').next().unwrap_or_default().to_owned(),
            login: login.map(str::to_owned),
            rolled_out: *rolled_out,
        };
        Seen {
            passwords: passwords.iter().map(|(secret, made)| ((*secret).to_owned(), *made)).collect(),
            services: services.iter().map(service).collect(),
            ..Seen::default()
        }
    }

    #[test]
    fn every_password_then_every_template_then_every_pod_is_waited_for() {
        let before =
            seen(&[("auth", None), ("orders", at(1))], &[("auth", Some("1"), true), ("orders", Some("2"), true)]);
        let passwords = [("auth", at(5)), ("orders", at(5))];
        let wait = |passwords: &[_], services: &[_]| pending(&before, &seen(passwords, services)).unwrap_or_default();
        let roll = |auth, orders, done| [("auth", Some(auth), true), ("orders", Some(orders), done)];
        let half = [("auth", at(5)), ("orders", at(1))];
        assert_eq!(wait(&half, &roll("8", "9", true)), "new passwords are to come in the Secrets orders");
        assert_eq!(wait(&passwords, &roll("8", "2", true)), "new passwords are to come for: orders");
        assert_eq!(wait(&passwords, &roll("8", "9", false)), "pods are being replaced of: orders");
        assert_eq!(pending(&before, &seen(&passwords, &roll("8", "9", true))), None);
    }

    #[test]
    fn what_has_gone_is_not_waited_for_and_what_has_come_must_not_have_the_login_before() {
        let before =
            seen(&[("auth", at(1)), ("orders", at(1))], &[("auth", Some("1"), true), ("orders", Some("2"), true)]);
        let now = |login| seen(&[("auth", at(5))], &[("auth", Some("8"), true), ("auth-two", login, true)]);
        let two = Some("new passwords are to come for: auth-two".to_owned());
        assert_eq!((pending(&before, &now(Some("1"))), pending(&before, &now(None))), (two.clone(), two));
        assert_eq!(pending(&before, &now(Some("8"))), None);
    }

    #[test]
    fn what_kept_another_rotation_from_beginning_is_believed_a_little_later() {
        let stuck = |why: &str| Seen { blocked: Some(why.to_owned()), ..Seen::default() };
        let soon = Duration::from_secs(1);
        assert_eq!(blocked(&Seen::default(), &stuck("x"), soon), Some("x"));
        assert_eq!(blocked(&stuck("y"), &stuck("x"), soon), Some("x"));
        assert_eq!(blocked(&stuck("x"), &stuck("x"), soon), None);
        assert_eq!(blocked(&stuck("x"), &stuck("x"), STALE), Some("x"));
        assert_eq!(blocked(&stuck("x"), &Seen::default(), STALE), None);
    }
}
