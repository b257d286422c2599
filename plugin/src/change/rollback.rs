//! To which version a store goes back, and how. Pure.

use api::{Store, UpgradeRecord, UpgradeResult};
use serde_json::{Value, json};

use crate::error::Error;

/// A way back.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// The version that is asked for now.
    pub(super) from: String,
    /// The version to go back to.
    pub(super) to: String,
    /// The merge patch that asks for it.
    pub(super) patch: Value,
}

/// The way back to `to`, or to the newest version that ran and is not the one asked for now.
///
/// After an upgrade that failed this is the version that still runs: the spec then asks for what is there.
pub(super) fn plan(store: &Store, to: Option<&str>) -> Result<Plan, Error> {
    let history = store.status.as_ref().map(|status| status.history.as_slice()).unwrap_or_default();
    let spec = &store.spec;
    let asked = reference(&spec.image.repository, spec.image.tag.as_deref().unwrap_or(&spec.version));
    let ran = || history.iter().filter(|record| record.result == UpgradeResult::Succeeded);
    let mut earlier = ran().filter(|record| record.to != spec.version || record.image != asked);
    let found = match to {
        Some(version) => ran().find(|record| record.to == version).ok_or_else(|| unknown(version, ran()))?,
        None => earlier.next().ok_or_else(|| {
            Error::failed(format!(
                "no version other than {} has run in this store: there is nothing to go back to",
                spec.version
            ))
        })?,
    };
    if found.to == spec.version && found.image == asked {
        return Err(Error::failed(format!("version {} is what the spec asks for already", found.to)));
    }
    Ok(Plan { from: spec.version.clone(), to: found.to.clone(), patch: patch(store, found)? })
}

/// The version, and as much of the image as the version alone would not give.
fn patch(store: &Store, record: &UpgradeRecord) -> Result<Value, Error> {
    let image = &store.spec.image;
    let (repository, tag) = split(&record.image)
        .ok_or_else(|| Error::failed(format!("the history names an image without a tag: {}", record.image)))?;
    let mut change = json!({});
    if repository != image.repository {
        change["repository"] = json!(repository);
    }
    if tag != record.to {
        change["tag"] = json!(tag);
    } else if image.tag.is_some() {
        // A tag in the spec would go before the version.
        change["tag"] = Value::Null;
    }
    let mut spec = json!({"version": record.to});
    if change.as_object().is_some_and(|fields| !fields.is_empty()) {
        spec["image"] = change;
    }
    Ok(json!({"spec": spec}))
}

fn reference(repository: &str, tag: &str) -> String {
    format!("{repository}:{tag}")
}

/// Repository and tag; the colon of a registry's port begins no tag.
fn split(image: &str) -> Option<(&str, &str)> {
    image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))
}

fn unknown<'a>(version: &str, ran: impl Iterator<Item = &'a UpgradeRecord>) -> Error {
    let mut versions: Vec<&str> = ran.map(|record| record.to.as_str()).collect();
    versions.dedup();
    let known = if versions.is_empty() { "no version".to_owned() } else { versions.join(", ") };
    Error::usage(format!("version {version} has not run in this store; its history has {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that asks for `version` with an image, and whose history is a list of version, image and result.
    fn store(version: &str, image: &Value, history: &[(&str, &str, &str)]) -> Store {
        let record = |(to, image, result): &(&str, &str, &str)| json!({"to": to, "image": image, "attempt": "a", "result": result, "started": "2026-01-01T00:00:00Z"});
        let history: Vec<Value> = history.iter().map(record).collect();
        serde_json::from_value(json!({
            "metadata": {"name": "green"},
            "spec": {"version": version, "image": image},
            "status": {"history": history},
        }))
        .unwrap()
    }

    const SHOP: &str = "greencommerce/services";

    #[test]
    fn the_newest_version_that_ran_before_is_taken() {
        let history = [
            ("1.2.0", "greencommerce/services:1.2.0", "Succeeded"),
            ("1.1.0", "greencommerce/services:1.1.0", "RolledBack"),
            ("1.0.0", "greencommerce/services:1.0.0", "Succeeded"),
            ("0.9.0", "greencommerce/services:0.9.0", "Succeeded"),
        ];
        let plan = plan(&store("1.2.0", &json!({"repository": SHOP}), &history), None).unwrap();
        assert_eq!((plan.from.as_str(), plan.to.as_str()), ("1.2.0", "1.0.0"));
        assert_eq!(plan.patch, json!({"spec": {"version": "1.0.0"}}));
    }

    #[test]
    fn after_a_failed_upgrade_the_spec_goes_back_to_what_runs() {
        let history = [
            ("1.1.0", "greencommerce/services:1.1.0", "RolledBack"),
            ("1.0.0", "greencommerce/services:1.0.0", "Succeeded"),
        ];
        assert_eq!(plan(&store("1.1.0", &json!({}), &history), None).unwrap().to, "1.0.0");
    }

    #[test]
    fn an_image_that_the_version_does_not_give_is_restored() {
        let history = [
            ("1.1.0", "greencommerce/services:1.1.0", "Succeeded"),
            ("1.0.0", "registry:5000/shop:1.0.0-abc", "Succeeded"),
        ];
        let plan = plan(&store("1.1.0", &json!({}), &history), None).unwrap();
        let image = json!({"repository": "registry:5000/shop", "tag": "1.0.0-abc"});
        assert_eq!(plan.patch, json!({"spec": {"version": "1.0.0", "image": image}}));
    }

    #[test]
    fn a_tag_that_would_go_before_the_version_is_removed() {
        let history = [
            ("1.1.0", "greencommerce/services:1.1.0-rc", "Succeeded"),
            ("1.0.0", "greencommerce/services:1.0.0", "Succeeded"),
        ];
        let plan = plan(&store("1.1.0", &json!({"tag": "1.1.0-rc"}), &history), None).unwrap();
        assert_eq!(plan.patch, json!({"spec": {"version": "1.0.0", "image": {"tag": null}}}));
    }

    #[test]
    fn another_image_of_the_same_version_counts_as_another() {
        let history = [
            ("1.0.0", "greencommerce/services:1.0.0-b", "Succeeded"),
            ("1.0.0", "greencommerce/services:1.0.0-a", "Succeeded"),
        ];
        let plan = plan(&store("1.0.0", &json!({"tag": "1.0.0-b"}), &history), None).unwrap();
        assert_eq!(plan.patch, json!({"spec": {"version": "1.0.0", "image": {"tag": "1.0.0-a"}}}));
    }

    #[test]
    fn only_versions_that_ran_can_be_named() {
        let history = [
            ("1.1.0", "greencommerce/services:1.1.0", "Failed"),
            ("1.0.0", "greencommerce/services:1.0.0", "Succeeded"),
            ("0.9.0", "greencommerce/services:0.9.0", "Succeeded"),
        ];
        let store = store("1.1.0", &json!({}), &history);
        assert_eq!(plan(&store, Some("0.9.0")).unwrap().to, "0.9.0");
        let error = plan(&store, Some("1.1.0")).unwrap_err();
        assert_eq!(error.to_string(), "version 1.1.0 has not run in this store; its history has 1.0.0, 0.9.0");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn without_another_version_there_is_no_way_back() {
        let history = [("1.0.0", "greencommerce/services:1.0.0", "Succeeded")];
        let store = store("1.0.0", &json!({}), &history);
        assert!(plan(&store, None).unwrap_err().to_string().contains("nothing to go back to"));
        assert!(plan(&store, Some("1.0.0")).unwrap_err().to_string().contains("asks for already"));
    }
}
