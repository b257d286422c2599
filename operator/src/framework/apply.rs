//! Writing children: only what differs, never what is someone else's.

use std::borrow::Cow;

use api::{ANNOTATION_APPLIED, MANAGED_BY, Reason, label};
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Resource, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams},
    core::DynamicObject,
};
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

use super::{
    Cached, Context, ReconcileError, Retry, content_hash,
    context::OPERATOR,
    difference, metrics,
    names::describe,
    untyped::{objects, to_value},
};

/// Why a child could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// The API server refused a write or could not be reached.
    #[error("cannot {verb} {object}")]
    Write {
        /// What was tried.
        verb: &'static str,
        /// Kind, namespace and name.
        object: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server refused a read or could not be reached.
    #[error("cannot read {object}")]
    Read {
        /// Kind, namespace and name.
        object: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// The name of a child belongs to something else.
    #[error("{object} exists and belongs to {owner}: rename or delete it, or choose another name")]
    NameTaken {
        /// Kind, namespace and name.
        object: String,
        /// Whose it is.
        owner: String,
    },
}

impl ReconcileError for ApplyError {
    fn reason(&self) -> Reason {
        match self {
            Self::Write { .. } => Reason::ApplyFailed,
            Self::Read { .. } => Reason::ReadFailed,
            Self::NameTaken { .. } => Reason::NameTaken,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // A quota, a policy, a right, a node port: nothing tells when it is given.
            Self::Write { source, .. } if is_refused(source) => Retry::Steady,
            // A name is given back by deleting an object that may bear no label of ours, so no watch would tell.
            Self::NameTaken { .. } => Retry::Steady,
            Self::Write { .. } | Self::Read { .. } => Retry::Backoff,
        }
    }
}

/// Whether the API server works and does not want this write.
fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 403 | 422))
}

/// An owner reference that makes `owner` the controller of a child.
pub(crate) fn owner_reference<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.name_any(),
        uid: owner.uid().unwrap_or_default(),
        controller: Some(true),
        // Only a foreground deletion would wait for the child, and asking for that takes a further permission.
        block_owner_deletion: None,
    }
}

/// Makes the cluster hold `desired`: writes it if the live object lacks any of it, or still has a field that was
/// applied before and is no longer wanted. Returns whether it wrote.
///
/// `desired` carries its namespace, its labels and, if it has an owner, the owner reference. With a resource version it is
/// written over that version alone: for what follows from what the object itself holds. An object that is being deleted is
/// left alone: its deletion wakes the owner again.
pub(crate) fn apply<K>(context: &Context, desired: K) -> impl Future<Output = Result<bool, ApplyError>> + Send
where
    K: Cached + Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
{
    // Large objects do not have to live as long as the call.
    let wanted = Wanted::of(&desired);
    drop(desired);
    let name = wanted.meta.name.as_deref().unwrap_or_default();
    let space = wanted.meta.namespace.as_deref().unwrap_or_default();
    let live = context.cache.body::<K>(space, name).map(Live::of);
    let api = objects::<K>(&context.client, space);
    bring(context, K::kind(&()), api, live, wanted)
}

/// A child as it is.
struct Live {
    meta: ObjectMeta,
    body: Value,
}

impl Live {
    fn of(body: Value) -> Self {
        let meta = ObjectMeta::deserialize(&body["metadata"]).expect("the cache holds well-formed objects");
        Self { meta, body }
    }
}

/// A child as it should be.
struct Wanted {
    /// Kind, namespace and name, for messages.
    object: String,
    meta: ObjectMeta,
    /// What to apply. It carries the hash of itself, so that a field which is no longer wanted shows as a difference.
    body: Value,
    /// The version to write it over, where it may be no other.
    over: Option<String>,
}

impl Wanted {
    fn of<K: Resource<DynamicType = ()> + Serialize>(desired: &K) -> Self {
        let mut body = to_value(desired);
        let mut meta = desired.meta().clone();
        let over = meta.resource_version.take();
        if let Some(metadata) = body["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        let hash = content_hash([body.to_string().as_bytes()]);
        body["metadata"]["annotations"][ANNOTATION_APPLIED] = Value::String(hash);
        Self { object: describe(desired), meta, body, over }
    }
}

/// What of a child is the same for all kinds.
async fn bring(
    context: &Context,
    kind: Cow<'static, str>,
    api: Api<DynamicObject>,
    live: Option<Live>,
    wanted: Wanted,
) -> Result<bool, ApplyError> {
    let Wanted { object, meta, mut body, over } = wanted;
    let name = meta.name.as_deref().unwrap_or_default();
    let live = match live {
        Some(live) => Some(live),
        None => match api.get_opt(name).await {
            // No watch has seen it. It may lack our label: then it is not ours to overwrite, and no watch tells of its end.
            Ok(Some(found)) => {
                check_owner(&found.metadata, &meta, &object)?;
                Some(Live::of(to_value(&found)))
            }
            Ok(None) => None,
            Err(source) => return Err(ApplyError::Read { object, source: Box::new(source) }),
        },
    };
    let why = match &live {
        Some(live) if live.meta.deletion_timestamp.is_some() => return Ok(false),
        Some(live) => {
            check_owner(&live.meta, &meta, &object)?;
            match difference::first(&live.body, &body) {
                Some(field) => format!("{field} differs"),
                None => return Ok(false),
            }
        }
        None => "it does not exist".to_owned(),
    };
    if let Some(version) = over {
        body["metadata"]["resourceVersion"] = Value::String(version);
    }
    match Box::pin(write(&api, name, &body, live.is_some())).await {
        Ok(()) => {
            metrics::wrote(&kind, "apply");
            context.written.note("apply", &object);
            tracing::info!(child = object, why, "applied");
            Ok(true)
        }
        Err(source) => Err(ApplyError::Write { verb: "apply", object, source: Box::new(source) }),
    }
}

/// Writes by server-side apply. What someone else added to a list may contradict what we want in it, such as a second
/// port of the same name; only then the whole list is replaced.
async fn write(api: &Api<DynamicObject>, name: &str, body: &Value, exists: bool) -> Result<(), kube::Error> {
    match api.patch_metadata(name, &PatchParams::apply(OPERATOR).force(), &Patch::Apply(body)).await {
        Err(kube::Error::Api(refusal)) if refusal.code == 422 && exists => {
            let replace = PatchParams { field_manager: Some(OPERATOR.to_owned()), ..PatchParams::default() };
            let replaced = api.patch_metadata(name, &replace, &Patch::Merge(body)).await;
            replaced.map(drop).map_err(|_| kube::Error::Api(refusal))
        }
        result => result.map(drop),
    }
}

/// Refuses to touch an object that something else made or controls.
fn check_owner(live: &ObjectMeta, desired: &ObjectMeta, object: &str) -> Result<(), ApplyError> {
    let taken = |owner: String| Err(ApplyError::NameTaken { object: object.to_owned(), owner });
    let label_of = |meta: &'_ ObjectMeta, key: &str| meta.labels.as_ref().and_then(|labels| labels.get(key)).cloned();
    if label_of(live, label::MANAGED_BY).as_deref() != Some(MANAGED_BY) {
        return taken("something that this operator did not make".to_owned());
    }
    if let Some(store) = label_of(live, label::STORE)
        && label_of(desired, label::STORE).as_ref() != Some(&store)
    {
        return taken(format!("the store {store}"));
    }
    match (controller(live), controller(desired)) {
        (Some(held), Some(wanted)) if wanted.uid != held.uid => {
            taken(format!("{} {} with the uid {}", held.kind, held.name, held.uid))
        }
        _ => Ok(()),
    }
}

fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::watcher::Event;

    use super::*;
    use crate::framework::{
        chain,
        error::is_conflict,
        labels,
        scenario::{Call, Scenario},
        standard_labels,
    };

    fn config_map(labels: std::collections::BTreeMap<String, String>, owner: Option<&str>) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some("routes".to_owned()),
                labels: Some(labels),
                owner_references: owner.map(|uid| {
                    vec![OwnerReference { uid: uid.to_owned(), controller: Some(true), ..OwnerReference::default() }]
                }),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    #[test]
    fn a_child_of_the_same_owner_may_be_written() {
        let ours = config_map(standard_labels("green", "gateway", "service"), Some("1"));
        assert!(check_owner(&ours.metadata, &ours.metadata, "routes").is_ok());
        let orphan = config_map(standard_labels("green", "gateway", "service"), None);
        assert!(check_owner(&orphan.metadata, &ours.metadata, "routes").is_ok());
    }

    #[test]
    fn objects_of_others_are_refused() {
        let ours = config_map(standard_labels("green", "gateway", "service"), Some("1"));
        for (live, owner) in [
            (config_map(labels([]), None), "something that this operator did not make"),
            (config_map(standard_labels("blue", "gateway", "service"), None), "the store blue"),
            (config_map(standard_labels("green", "gateway", "service"), Some("2")), "uid 2"),
        ] {
            let error = check_owner(&live.metadata, &ours.metadata, "routes").unwrap_err();
            assert!(error.to_string().contains(owner), "{error}");
        }
    }

    #[test]
    fn the_stamp_changes_when_a_field_goes_away_and_not_otherwise() {
        let hash = |map: ConfigMap| Wanted::of(&map).body["metadata"]["annotations"][ANNOTATION_APPLIED].clone();
        let both = || config_map(labels([("a", "1"), ("b", "2")]), None);
        assert_eq!(hash(both()), hash(both()));
        assert_ne!(hash(both()), hash(config_map(labels([("a", "1")]), None)));
    }

    const PATH: &str = "/api/v1/namespaces/shop/configmaps/routes";

    fn apply_line() -> String {
        format!("PATCH {PATH}?&force=true&fieldManager=greencommerce-operator")
    }

    fn routes(data: &str) -> ConfigMap {
        let mut map = config_map(standard_labels("green", "gateway", "routes"), Some("1"));
        map.metadata.namespace = Some("shop".to_owned());
        map.data = Some(labels([("routes.yaml", data)]));
        map
    }

    fn metadata() -> Value {
        serde_json::json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "routes"}})
    }

    /// As the API server would hold it: with the stamp, and with what others added.
    fn live(data: &str) -> ConfigMap {
        let mut live: ConfigMap = serde_json::from_value(Wanted::of(&routes(data)).body).unwrap();
        live.annotations_mut().insert("example.com/owner".to_owned(), "platform".to_owned());
        live
    }

    async fn apply_over(live: Option<ConfigMap>, calls: Vec<Call>) -> (Result<bool, ApplyError>, Vec<Value>) {
        let (scenario, context, mut writers) = Scenario::of(calls);
        if let Some(live) = live {
            writers.config_maps.apply_watcher_event(&Event::Apply(live));
        }
        let result = apply(&context, routes("a")).await;
        (result, scenario.finish())
    }

    #[tokio::test]
    async fn what_is_there_already_costs_no_call() {
        let (wrote, _) = apply_over(Some(live("a")), vec![]).await;
        assert!(!wrote.unwrap());
    }

    #[tokio::test]
    async fn what_differs_is_applied_with_one_call() {
        let (wrote, bodies) = apply_over(Some(live("b")), vec![Call::ok(apply_line(), metadata())]).await;
        assert!(wrote.unwrap());
        assert_eq!(bodies[0]["data"]["routes.yaml"], "a");
    }

    #[tokio::test]
    async fn what_no_watch_has_seen_is_asked_for_before_it_is_made() {
        let absent = Call::refused(format!("GET {PATH}"), 404, "not found");
        let (wrote, _) = apply_over(None, vec![absent, Call::ok(apply_line(), metadata())]).await;
        assert!(wrote.unwrap());
    }

    #[tokio::test]
    async fn what_no_watch_has_seen_yet_is_not_written_again() {
        let there = serde_json::to_value(live("a")).unwrap();
        let (wrote, _) = apply_over(None, vec![Call::ok(format!("GET {PATH}"), there)]).await;
        assert!(!wrote.unwrap());
    }

    #[tokio::test]
    async fn what_somebody_else_made_is_not_touched() {
        let (result, _) = apply_over(None, vec![Call::ok(format!("GET {PATH}"), metadata())]).await;
        assert_eq!(result.unwrap_err().reason(), Reason::NameTaken);
    }

    #[tokio::test]
    async fn the_end_of_what_somebody_else_made_is_looked_for_as_no_watch_tells_of_it() {
        let mut leaving = metadata();
        leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        let (result, _) = apply_over(None, vec![Call::ok(format!("GET {PATH}"), leaving)]).await;
        assert_eq!(result.unwrap_err().retry(), Retry::Steady);
    }

    #[tokio::test]
    async fn what_is_being_deleted_is_left_to_go() {
        let mut leaving = live("b");
        leaving.metadata.deletion_timestamp = Some(serde_json::from_value("2026-01-01T00:00:00Z".into()).unwrap());
        let (wrote, _) = apply_over(Some(leaving), vec![]).await;
        assert!(!wrote.unwrap());
    }

    #[tokio::test]
    async fn a_list_that_somebody_made_contradictory_is_replaced() {
        let refused = Call::refused(apply_line(), 422, "duplicate name");
        let replace = Call::ok(format!("PATCH {PATH}?&fieldManager=greencommerce-operator"), metadata());
        let (wrote, _) = apply_over(Some(live("b")), vec![refused, replace]).await;
        assert!(wrote.unwrap());
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_words_of_the_api_server() {
        let (result, _) = apply_over(Some(live("b")), vec![Call::refused(apply_line(), 403, "exceeded quota")]).await;
        let error = result.unwrap_err();
        assert_eq!(chain(&error), "cannot apply ConfigMap shop/routes: exceeded quota");
    }

    #[tokio::test]
    async fn what_is_refused_is_asked_for_steadily_and_an_api_server_in_trouble_is_let_be() {
        for (code, retry) in [(403, Retry::Steady), (422, Retry::Steady), (409, Retry::Backoff), (500, Retry::Backoff)]
        {
            let absent = Call::refused(format!("GET {PATH}"), 404, "not found");
            let (result, _) = apply_over(None, vec![absent, Call::refused(apply_line(), code, "no")]).await;
            assert_eq!(result.unwrap_err().retry(), retry, "{code}");
        }
    }

    #[tokio::test]
    async fn what_follows_from_one_version_is_written_over_that_alone() {
        let over = |version: &str| {
            let mut map = routes("a");
            map.metadata.resource_version = Some(version.to_owned());
            map
        };
        assert_eq!(Wanted::of(&over("7")).body, Wanted::of(&routes("a")).body, "the stamp knows no versions");
        let (scenario, context, mut writers) = Scenario::of(vec![Call::refused(apply_line(), 409, "modified")]);
        writers.config_maps.apply_watcher_event(&Event::Apply(live("b")));
        assert!(is_conflict(&apply(&context, over("7")).await.unwrap_err()));
        assert_eq!(scenario.finish()[0]["metadata"]["resourceVersion"], "7");
    }

    #[tokio::test]
    async fn only_what_was_written_is_noted() {
        let (scenario, context, mut writers) =
            Scenario::of(vec![Call::refused(apply_line(), 500, "not now"), Call::ok(apply_line(), metadata())]);
        writers.config_maps.apply_watcher_event(&Event::Apply(live("b")));
        apply(&context, routes("a")).await.unwrap_err();
        assert!(context.written.take().is_empty());
        apply(&context, routes("a")).await.unwrap();
        assert_eq!(Vec::from_iter(context.written.take()), ["apply ConfigMap shop/routes"]);
        scenario.finish();
    }
}
