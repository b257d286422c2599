//! Volumes of data: how large a claim must be, and whether it is. Pure, but for [`read_class`].
//!
//! A claim's size is the one part of it that may change, only upwards, and only where its storage class agrees.

use api::{ConditionType, Reason};
use k8s_openapi::{
    api::{core::v1::PersistentVolumeClaim, storage::v1::StorageClass},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::Api;

use crate::framework::Context;

const STORAGE: &str = "storage";

/// What is known of a volume before anything is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// The claim, if it exists.
    pub(crate) claim: Option<PersistentVolumeClaim>,
    /// The storage class of the claim; only asked for when the claim must grow.
    pub(crate) class: Option<Class>,
}

/// What is known of a storage class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Whether it can grow volumes.
    Grows(bool),
    /// The operator has no right to read classes, which belong to no namespace.
    Hidden,
}

/// Reads a storage class, if there is one of that name.
pub(crate) async fn read_class(context: &Context, name: &str) -> Result<Option<Class>, kube::Error> {
    match Api::<StorageClass>::all(context.client.clone()).get_opt(name).await {
        Ok(found) => Ok(found.map(|class| Class::Grows(class.allow_volume_expansion == Some(true)))),
        Err(kube::Error::Api(answer)) if answer.code == 403 => Ok(Some(Class::Hidden)),
        Err(error) => Err(error),
    }
}

/// The size to write into a claim, and what there is to say about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    /// What the claim asks for: never less than it already does.
    pub(crate) size: Quantity,
    /// Whether the volume is as large as the spec wants it.
    pub(crate) state: State,
}

/// Whether a volume is as large as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There is no claim yet, or nothing is bound to it.
    Pending,
    /// It is.
    Ready,
    /// The claim is larger than its volume still is.
    Resizing,
    /// The storage class cannot grow volumes.
    Unsupported {
        /// The class, where the claim names one.
        class: Option<String>,
        /// What the claim asks for.
        have: String,
        /// What the spec wants.
        want: String,
    },
    /// Whether the storage class can grow volumes cannot be known.
    Hidden {
        /// What the claim asks for.
        have: String,
        /// What the spec wants.
        want: String,
    },
}

/// Whether the claim asks for less than wanted, so that the storage class must be read.
pub(crate) fn must_grow(want: &Quantity, claim: Option<&PersistentVolumeClaim>) -> bool {
    claim.and_then(requested).is_some_and(|have| less(have, want))
}

/// The size to ask for.
pub(crate) fn claim(want: &Quantity, observed: &Observed) -> Claim {
    let Some(claim) = &observed.claim else {
        return Claim { size: want.clone(), state: State::Pending };
    };
    let Some(have) = requested(claim) else {
        return Claim { size: want.clone(), state: State::Pending };
    };
    if !less(have, want) {
        return Claim { size: have.clone(), state: filled(claim, have) };
    }
    let (wanted, held) = (want.0.clone(), have.0.clone());
    match observed.class {
        Some(Class::Grows(true)) => return Claim { size: want.clone(), state: State::Resizing },
        Some(Class::Hidden) => return Claim { size: have.clone(), state: State::Hidden { have: held, want: wanted } },
        Some(Class::Grows(false)) | None => {}
    }
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone());
    let state = State::Unsupported { class, have: held, want: wanted };
    Claim { size: have.clone(), state }
}

/// The name of the claim's storage class.
pub(crate) fn class_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.storage_class_name.as_deref().filter(|name| !name.is_empty())
}

impl State {
    /// The condition `StorageReady`: its status, reason and message. `claim` is the claim's name.
    pub(crate) fn condition(&self, claim: &str) -> (ConditionType, bool, Reason, String) {
        let (ready, reason, message) = match self {
            Self::Ready => (true, Reason::AllReady, format!("PersistentVolumeClaim {claim} has its size")),
            Self::Pending => {
                (false, Reason::VolumePending, format!("PersistentVolumeClaim {claim} waits for a volume"))
            }
            Self::Resizing => (
                false,
                Reason::VolumeResizing,
                format!("PersistentVolumeClaim {claim} waits for its storage class to grow its volume"),
            ),
            Self::Unsupported { class, have, want } => {
                let class = class.as_deref().unwrap_or("of the volume");
                let message = format!(
                    "PersistentVolumeClaim {claim} has {have} and cannot grow to {want}: storage class {class} has no \
                     allowVolumeExpansion. Allow it there, or move the data to a store with a larger volume",
                );
                (false, Reason::VolumeExpansionUnsupported, message)
            }
            Self::Hidden { have, want } => {
                let message = format!(
                    "PersistentVolumeClaim {claim} has {have}, and this operator has no right to see whether its storage \
                     class can grow it to {want}. Where it can, set the claim's request to {want}",
                );
                (false, Reason::VolumeExpansionUnsupported, message)
            }
        };
        (ConditionType::StorageReady, ready, reason, message)
    }
}

fn requested(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get(STORAGE)
}

fn filled(claim: &PersistentVolumeClaim, requested: &Quantity) -> State {
    let status = claim.status.as_ref();
    if status.and_then(|status| status.phase.as_deref()) != Some("Bound") {
        return State::Pending;
    }
    let capacity = status.and_then(|status| status.capacity.as_ref()?.get(STORAGE));
    if capacity.is_some_and(|capacity| less(capacity, requested)) { State::Resizing } else { State::Ready }
}

/// Whether one quantity is less than another; `false` when either cannot be read, so that nothing is grown by mistake.
fn less(one: &Quantity, other: &Quantity) -> bool {
    matches!((bytes(one), bytes(other)), (Some(one), Some(other)) if one < other)
}

/// A quantity of storage in thousandths of a byte
/// (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).
fn bytes(quantity: &Quantity) -> Option<i128> {
    let text = quantity.0.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let unit = unit(suffix)?;
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits = &fraction[..fraction.len().min(18)];
    let part: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let scale = 10_i128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(part.checked_mul(unit)? / scale)
}

/// The value of a suffix, in thousandths.
fn unit(suffix: &str) -> Option<i128> {
    let unit = match suffix {
        "m" => return Some(1),
        "" => 1,
        "k" => 1000,
        "M" => 1000_i128.pow(2),
        "G" => 1000_i128.pow(3),
        "T" => 1000_i128.pow(4),
        "P" => 1000_i128.pow(5),
        "E" => 1000_i128.pow(6),
        "Ki" => 1024,
        "Mi" => 1024_i128.pow(2),
        "Gi" => 1024_i128.pow(3),
        "Ti" => 1024_i128.pow(4),
        "Pi" => 1024_i128.pow(5),
        "Ei" => 1024_i128.pow(6),
        exponent => 10_i128.checked_pow(exponent.strip_prefix(['e', 'E'])?.trim_start_matches('+').parse().ok()?)?,
    };
    Some(unit * 1000)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity(text.to_owned())
    }

    fn bound(requested: &str, capacity: &str) -> PersistentVolumeClaim {
        serde_json::from_value(json!({
            "spec": { "storageClassName": "local-path", "resources": { "requests": { "storage": requested } } },
            "status": { "phase": "Bound", "capacity": { "storage": capacity } },
        }))
        .unwrap()
    }

    #[test]
    fn quantities_compare_across_their_notations() {
        for (less_one, more) in [("1Gi", "2Gi"), ("1G", "1Gi"), ("1023Mi", "1Gi"), ("1.4Gi", "1.5Gi"), ("5e8", "1G")] {
            assert!(less(&quantity(less_one), &quantity(more)), "{less_one} < {more}");
            assert!(!less(&quantity(more), &quantity(less_one)), "{more} < {less_one}");
        }
        for (one, other) in [("1Gi", "1024Mi"), ("1.5Gi", "1536Mi"), ("1k", "1000"), ("1e3", "1k"), ("1000m", "1")] {
            assert_eq!(bytes(&quantity(one)), bytes(&quantity(other)), "{one} = {other}");
        }
        for bad in ["", "x", "1Zi", "1.x"] {
            assert!(bad.is_empty() || bytes(&quantity(bad)).is_none(), "{bad}");
        }
    }

    #[test]
    fn without_a_claim_the_wanted_size_is_claimed() {
        let planned = claim(&quantity("5Gi"), &Observed::default());
        assert_eq!(planned, Claim { size: quantity("5Gi"), state: State::Pending });
    }

    #[test]
    fn a_claim_of_the_wanted_size_is_left_as_it_is_written() {
        let observed = Observed { claim: Some(bound("1Gi", "1Gi")), class: None };
        let planned = claim(&quantity("1024Mi"), &observed);
        assert_eq!(planned, Claim { size: quantity("1Gi"), state: State::Ready });
    }

    #[test]
    fn a_claim_that_somebody_made_larger_is_not_made_smaller() {
        let observed = Observed { claim: Some(bound("9Gi", "9Gi")), class: None };
        assert_eq!(claim(&quantity("5Gi"), &observed), Claim { size: quantity("9Gi"), state: State::Ready });
    }

    #[test]
    fn a_claim_grows_where_its_class_agrees() {
        let observed = Observed { claim: Some(bound("1Gi", "1Gi")), class: Some(Class::Grows(true)) };
        assert!(must_grow(&quantity("2Gi"), observed.claim.as_ref()));
        assert_eq!(claim(&quantity("2Gi"), &observed), Claim { size: quantity("2Gi"), state: State::Resizing });
        let after = Observed { claim: Some(bound("2Gi", "1Gi")), class: None };
        assert_eq!(claim(&quantity("2Gi"), &after).state, State::Resizing);
    }

    #[test]
    fn where_the_class_does_not_agree_the_condition_says_what_to_do() {
        let observed = Observed { claim: Some(bound("1Gi", "1Gi")), class: Some(Class::Grows(false)) };
        let planned = claim(&quantity("2Gi"), &observed);
        assert_eq!(planned.size, quantity("1Gi"));
        let (_, ready, reason, message) = planned.state.condition("data-shop-postgres-0");
        assert!(!ready);
        assert_eq!(reason, Reason::VolumeExpansionUnsupported);
        assert!(message.contains("cannot grow to 2Gi: storage class local-path"), "{message}");
    }
    #[test]
    fn where_the_class_cannot_be_seen_the_claim_is_left_to_people() {
        let observed = Observed { claim: Some(bound("1Gi", "1Gi")), class: Some(Class::Hidden) };
        let planned = claim(&quantity("2Gi"), &observed);
        assert_eq!(planned.size, quantity("1Gi"));
        let (_, ready, _, message) = planned.state.condition("data-shop-postgres-0");
        assert!(!ready && message.ends_with("set the claim's request to 2Gi"), "{message}");
    }
}
