//! The manifests of `e2e/tests/data/invalid` and the rules of the schemas, as the API server itself applies them.

use std::{collections::BTreeSet, fs, path::Path};

use axum::http::{Method, Request};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kubekit::Space;
use serde::Deserialize;
use serde_json::Value;

use crate::setup::cluster;

/// A file of `e2e/tests/data/invalid`.
#[derive(Deserialize)]
struct Invalid {
    /// A part of the message.
    expect: String,
    /// What is there already, where it is the change that is refused.
    before: Option<Value>,
    /// What must be refused.
    manifest: Value,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_of_every_kind_has_a_manifest_that_breaks_it_and_no_other() {
    let space = cluster().await.space().await;
    let definitions = api::crds();
    let mut unbroken: BTreeSet<(String, String)> = definitions.iter().flat_map(rules).collect();
    assert!(unbroken.len() > 80, "{unbroken:?}");
    let mut wrong = Vec::new();
    for (file, invalid) in manifests() {
        match &refused(&space, &definitions, &invalid).await[..] {
            [only] if only.contains(&invalid.expect) => {
                let kind = invalid.manifest["kind"].as_str().unwrap();
                unbroken.retain(|(of, message)| of != kind || !only.ends_with(message));
            }
            causes => wrong.push(format!("{file}: {:?} alone is expected, not {causes:?}", invalid.expect)),
        }
    }
    wrong.extend(unbroken.iter().map(|(kind, message)| format!("no file breaks this rule of {kind} alone: {message}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Kind and message of each rule. One that stands on several fields of a kind counts once.
fn rules(definition: &CustomResourceDefinition) -> Vec<(String, String)> {
    let kind = &definition.spec.names.kind;
    let messages = messages(&serde_json::to_value(definition).unwrap());
    messages.into_iter().map(|message| (kind.clone(), message)).collect()
}

fn messages(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(map) => {
            let own = map.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
            let own = own.map(|rule| rule["message"].as_str().unwrap().to_owned());
            own.chain(map.values().flat_map(messages)).collect()
        }
        Value::Array(list) => list.iter().flat_map(messages).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// The files by their names.
fn manifests() -> Vec<(String, Invalid)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/tests/data/invalid");
    let read = |file: fs::DirEntry| {
        let invalid = serde_yaml::from_str(&fs::read_to_string(file.path()).unwrap());
        (file.file_name().into_string().unwrap(), invalid.unwrap())
    };
    fs::read_dir(folder).unwrap().map(|file| read(file.unwrap())).collect()
}

/// All that the API server has against the manifest.
async fn refused(space: &Space<'_>, definitions: &[CustomResourceDefinition], invalid: &Invalid) -> Vec<String> {
    let mut manifest = invalid.manifest.clone();
    let (kind, name) = (manifest["kind"].as_str().unwrap(), manifest["metadata"]["name"].as_str().unwrap());
    let definition = definitions.iter().find(|one| one.spec.names.kind == kind).unwrap();
    let folder = format!(
        "/apis/{}/{}/namespaces/{}/{}",
        definition.spec.group,
        definition.spec.versions[0].name,
        space.name(),
        definition.spec.names.plural
    );
    let (method, path) = match &invalid.before {
        Some(before) => {
            space.apply(before).await;
            let path = format!("{folder}/{name}");
            let version = space.get(kind, name).await.unwrap()["metadata"]["resourceVersion"].clone();
            manifest["metadata"]["resourceVersion"] = version;
            (Method::PUT, path)
        }
        None => (Method::POST, folder),
    };
    // As kubectl asks, but that nothing would be stored.
    let request = Request::builder().method(method).uri(format!("{path}?fieldValidation=Strict&dryRun=All"));
    let request = request.header("content-type", "application/json").body(manifest.to_string().into_bytes()).unwrap();
    match space.cluster().admin().request::<Value>(request).await {
        Ok(_) => Vec::new(),
        Err(kube::Error::Api(answer)) => {
            let mut causes = answer.details.map(|details| details.causes).unwrap_or_default();
            // That it did not look any further is none.
            causes.retain(|cause| cause.field != "<nil>");
            let each = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message));
            if causes.is_empty() { vec![answer.message] } else { each.collect() }
        }
        Err(error) => vec![error.to_string()],
    }
}
