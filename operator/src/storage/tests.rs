//! Which claim a spec and a claim lead to.

use api::{FINALIZER, StoreDatabase};
use serde_json::{Value, json};

use super::*;
use crate::framework::{
    is_conflict,
    scenario::{Call, Scenario, still},
};

fn quantity(text: &str) -> Quantity {
    Quantity(text.to_owned())
}

fn size(text: &str) -> Storage {
    Storage { size: api::Quantity::new(text), class_name: None }
}

fn in_class(text: &str, class: &str) -> Storage {
    Storage { class_name: Some(class.to_owned()), ..size(text) }
}

/// A claim in the class `local-path`, made for what is `asked`.
fn made(requested: &str, asked: Option<&str>, status: &Value) -> PersistentVolumeClaim {
    serde_json::from_value(json!({
        "metadata": {
            "name": "data", "namespace": "shop", "uid": "9", "resourceVersion": "5",
            "annotations": asked.map(|asked| json!({"greencommerce.dev/storage": asked})),
        },
        "spec": { "storageClassName": "local-path", "resources": { "requests": { "storage": requested } } },
        "status": status,
    }))
    .unwrap()
}

fn bound(requested: &str, capacity: &str) -> PersistentVolumeClaim {
    made(requested, None, &json!({ "phase": "Bound", "capacity": { "storage": capacity } }))
}

fn bound_as_asked(requested: &str, asked: &str) -> PersistentVolumeClaim {
    made(requested, Some(asked), &json!({ "phase": "Bound", "capacity": { "storage": requested } }))
}

fn pending(requested: &str, asked: Option<&str>) -> PersistentVolumeClaim {
    made(requested, asked, &json!({ "phase": "Pending" }))
}

fn planned(want: &Storage, claim: PersistentVolumeClaim, class: Option<Class>) -> Claim {
    super::claim(want, None, &Observed { claim: Some(claim), class })
}

fn told(state: &State) -> (bool, Reason, String) {
    let (_, ready, reason, message) = state.condition("data-shop-postgres-0");
    (ready, reason, message)
}

#[test]
fn without_a_claim_the_wanted_size_is_claimed() {
    let new = claim(&in_class("5Gi", "fast"), None, &Observed::default());
    assert_eq!((new.size, new.class, new.state), (quantity("5Gi"), Some("fast".to_owned()), State::Pending));
    assert_eq!(new.asked.to_string(), "5Gi fast");
}

#[test]
fn a_claim_of_the_wanted_size_is_left_as_it_is_written() {
    let kept = planned(&size("1024Mi"), bound("1Gi", "1Gi"), None);
    assert_eq!((kept.size, kept.state), (quantity("1Gi"), State::Ready));
    assert_eq!(kept.class.as_deref(), Some("local-path"));
}

#[test]
fn a_claim_that_somebody_made_larger_is_not_made_smaller() {
    for claim in [bound("9Gi", "9Gi"), bound_as_asked("9Gi", "5Gi")] {
        let kept = planned(&size("5Gi"), claim, None);
        assert_eq!((kept.size, kept.state), (quantity("9Gi"), State::Ready));
    }
}

#[test]
fn a_claim_grows_where_its_class_agrees() {
    let small = bound_as_asked("1Gi", "1Gi");
    assert!(needs_class(&size("2Gi"), &small));
    let grown = planned(&size("2Gi"), small, Some(Class::Grows(true)));
    assert_eq!((grown.size, grown.asked.to_string()), (quantity("2Gi"), "2Gi".to_owned()));
    assert_eq!(grown.state, State::Resizing);
    assert_eq!(planned(&size("2Gi"), bound("2Gi", "1Gi"), None).state, State::Resizing);
}

#[test]
fn where_the_class_does_not_agree_the_condition_says_what_to_do_and_the_former_size_heals_it() {
    let refused = planned(&size("2Gi"), bound_as_asked("1Gi", "1Gi"), Some(Class::Grows(false)));
    assert_eq!((refused.size, refused.asked.to_string()), (quantity("1Gi"), "1Gi".to_owned()));
    let never_noted = planned(&size("2Gi"), bound("1Gi", "1Gi"), Some(Class::Grows(false)));
    assert_eq!(never_noted.asked.to_string(), "1Gi");
    assert!(refused.state.waits_for_its_class());
    let (ready, reason, message) = told(&refused.state);
    assert_eq!((ready, reason), (false, Reason::VolumeExpansionUnsupported));
    assert!(message.contains("cannot grow to 2Gi: storage class local-path"), "{message}");
    assert!(message.contains("put 1Gi back"), "{message}");
    assert_eq!(planned(&size("1Gi"), bound_as_asked("1Gi", "1Gi"), None).state, State::Ready);
}

#[test]
fn where_the_class_cannot_be_seen_the_claim_is_left_to_people() {
    let left = planned(&size("2Gi"), bound("1Gi", "1Gi"), Some(Class::Hidden));
    assert_eq!(left.size, quantity("1Gi"));
    let (ready, _, message) = told(&left.state);
    assert!(!ready && message.ends_with("set the claim's request to 2Gi"), "{message}");
}

#[test]
fn a_spec_that_shrinks_is_told_to_put_back_what_the_volume_has() {
    let shrunk = planned(&size("2Gi"), bound_as_asked("5Gi", "5Gi"), None);
    assert_eq!((shrunk.size, shrunk.asked.to_string()), (quantity("5Gi"), "5Gi".to_owned()));
    let (ready, reason, message) = told(&shrunk.state);
    assert_eq!((ready, reason), (false, Reason::SpecInvalid));
    assert!(message.contains("sizes only grow. Put 5Gi back"), "{message}");
    assert_eq!(planned(&size("5Gi"), bound_as_asked("5Gi", "5Gi"), None).state, State::Ready);
}

#[test]
fn a_store_that_takes_up_a_larger_volume_takes_it_as_it_is() {
    let mut left = bound_as_asked("5Gi", "5Gi");
    left.annotations_mut().insert("greencommerce.dev/store-uid".to_owned(), "of the former".to_owned());
    let observed = Observed { claim: Some(left), class: None };
    let taken_up = claim(&size("2Gi"), Some("of this"), &observed);
    assert_eq!((taken_up.size, taken_up.asked.to_string()), (quantity("5Gi"), "2Gi".to_owned()));
    assert_eq!(taken_up.state, State::Ready);
    let own = claim(&size("2Gi"), Some("of the former"), &observed);
    assert!(matches!(own.state, State::Larger { .. }), "{own:?}");
}

#[test]
fn a_volume_stays_in_its_class() {
    let moved = planned(&in_class("5Gi", "fast"), bound_as_asked("5Gi", "5Gi"), None);
    assert_eq!(moved.class.as_deref(), Some("local-path"));
    let (ready, reason, message) = told(&moved.state);
    assert_eq!((ready, reason), (false, Reason::SpecInvalid));
    assert!(message.contains("put local-path back as storage.className"), "{message}");
    for want in [in_class("5Gi", "local-path"), size("5Gi")] {
        assert_eq!(planned(&want, bound_as_asked("5Gi", "5Gi local-path"), None).state, State::Ready);
    }
}

#[test]
fn a_claim_whose_class_does_not_exist_says_which_and_is_looked_at_again() {
    let want = in_class("1Gi", "local-path");
    let waiting = || pending("1Gi", Some("1Gi local-path"));
    assert!(needs_class(&want, &waiting()) && !needs_class(&size("1Gi"), &waiting()));
    let claim = planned(&want, waiting(), Some(Class::Missing));
    assert!(claim.state.waits_for_its_class());
    let (ready, reason, message) = told(&claim.state);
    assert_eq!((ready, reason), (false, Reason::StorageClassMissing));
    assert!(message.contains("storage class local-path"), "{message}");
    assert_eq!((claim.size, claim.class.as_deref()), (quantity("1Gi"), Some("local-path")));
    for known in [Class::Grows(false), Class::Hidden] {
        assert_eq!(planned(&want, waiting(), Some(known)).state, State::Pending);
    }
}

#[test]
fn a_claim_without_a_volume_is_made_anew_when_the_spec_asks_for_another() {
    for (want, seen) in [
        (size("1Gi"), pending("9Ti", Some("9Ti"))),
        (size("9Ti"), pending("1Gi", None)),
        (in_class("1Gi", "fast"), pending("1Gi", Some("1Gi"))),
        (size("1Gi"), pending("1Gi", Some("1Gi local-path"))),
    ] {
        let anew = planned(&want, seen, None);
        assert!(matches!(anew.state, State::Replaced { .. }), "{anew:?}");
        assert_eq!(told(&anew.state).1, Reason::VolumePending);
    }
    for (want, seen) in [
        (size("1Gi"), pending("1Gi", Some("1Gi"))),
        (size("1024Mi"), pending("1Gi", None)),
        (in_class("1Gi", "local-path"), pending("1Gi", None)),
    ] {
        assert_eq!(planned(&want, seen, None).state, State::Pending);
    }
}

#[test]
fn a_claim_that_has_or_had_a_volume_is_never_made_anew() {
    let lost = made("9Gi", Some("9Gi"), &json!({"phase": "Lost"}));
    let mut binding = pending("9Gi", Some("9Gi"));
    binding.spec.as_mut().unwrap().volume_name = Some("pvc-1".to_owned());
    for held in [lost, binding] {
        let kept = planned(&size("1Gi"), held, None);
        assert!(matches!(kept.state, State::Larger { .. }), "{kept:?}");
    }
}

const CLAIM: &str = "/api/v1/namespaces/shop/persistentvolumeclaims/data";

#[tokio::test]
async fn a_claim_is_deleted_only_in_the_version_that_had_no_volume() {
    let owner: StoreDatabase = serde_json::from_value(json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase",
        "metadata": {"name": "green", "namespace": "shop", "uid": "1", "generation": 3, "finalizers": [FINALIZER]},
        "spec": {"databases": []},
    }))
    .unwrap();
    let path = "/apis/greencommerce.dev/v1alpha1/namespaces/shop/storedatabases/green";
    let bound_since = Call::refused(format!("DELETE {CLAIM}?"), 409, "the ResourceVersion in the precondition differs");
    let (scenario, context, _) = Scenario::of(vec![still(path, &owner), bound_since]);
    let seen = pending("9Ti", Some("9Ti"));
    let anew = planned(&size("1Gi"), seen.clone(), None);
    let refused = bring(&context, &owner, Some(&seen), &anew.state, seen.clone()).await.unwrap_err();
    assert!(is_conflict(&refused));
    let preconditions = &scenario.finish()[1]["preconditions"];
    assert_eq!((&preconditions["uid"], &preconditions["resourceVersion"]), (&json!("9"), &json!("5")));
}
