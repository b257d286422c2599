//! Volumes of data: what their claims must ask for, and whether they have it.
//!
//! The size is the one part of a claim that may change, only upwards, and only where its storage class agrees. A claim that
//! no volume is bound to holds nothing: one that asks for something else than the spec is made anew.

mod quantity;
#[cfg(test)]
mod tests;

use std::time::Duration;

use api::{ANNOTATION_STORAGE, ANNOTATION_STORE_UID, ConditionType, Reason, Storage};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
        storage::v1::StorageClass,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{Api, Resource, ResourceExt};

use self::quantity::less;
use crate::framework::{ApplyError, Context, apply, delete_as_seen};

const STORAGE: &str = "storage";

/// How often the class of a volume is looked at that cannot grow or is not there: storage classes are not watched.
pub(crate) const CLASS_POLL: Duration = Duration::from_millis(1500);

/// What is known of a volume before anything is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// The claim, if it exists.
    pub(crate) claim: Option<PersistentVolumeClaim>,
    /// The storage class of the claim; only asked for when it makes a difference ([`needs_class`]).
    pub(crate) class: Option<Class>,
}

/// What is known of a storage class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Whether it can grow volumes.
    Grows(bool),
    /// There is none of that name.
    Missing,
    /// The operator has no right to read classes, which belong to no namespace.
    Hidden,
}

/// Reads a storage class.
pub(crate) async fn read_class(context: &Context, name: &str) -> Result<Class, kube::Error> {
    match Api::<StorageClass>::all(context.client.clone()).get_opt(name).await {
        Ok(Some(class)) => Ok(Class::Grows(class.allow_volume_expansion == Some(true))),
        Ok(None) => Ok(Class::Missing),
        Err(kube::Error::Api(answer)) if answer.code == 403 => Ok(Class::Hidden),
        Err(error) => Err(error),
    }
}

/// Writes a claim. One that is to be made anew is deleted, in the version that was seen and no other: a volume may have
/// been bound to it since. Its end wakes whoever wants it, who then makes it. No pod holds it up: Kubernetes protects a
/// claim only from pods that have a node, and without a volume they get none. Returns whether anything was written.
pub(crate) async fn bring<O>(
    context: &Context,
    owner: &O,
    seen: Option<&PersistentVolumeClaim>,
    state: &State,
    wanted: PersistentVolumeClaim,
) -> Result<bool, ApplyError>
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match (state, seen) {
        (State::Replaced { .. }, Some(seen)) => delete_as_seen(context, owner, seen).await,
        _ => apply(context, wanted).await,
    }
}

/// What to write into a claim, and what there is to say about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    /// What the claim asks for: never less than it already does.
    pub(crate) size: Quantity,
    /// Its storage class: that of an existing claim never changes, and the cluster may have filled in its default.
    pub(crate) class: Option<String>,
    /// What the spec asked for, to be told from what people change on the claim by hand.
    pub(crate) asked: Asked,
    /// Whether the volume is as the spec wants it.
    pub(crate) state: State,
}

/// What a spec asked for when a claim was made or grown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    size: Quantity,
    class: Option<String>,
}

/// Whether a volume is as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There is no claim yet, or nothing is bound to it.
    Pending,
    /// Nothing is bound to the claim, because its storage class does not exist.
    Classless {
        /// The name of the class.
        class: String,
    },
    /// Nothing is bound to the claim, and it asks for something else than the spec.
    Replaced {
        /// What the spec wants.
        want: String,
    },
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
    /// The spec asks for less than it did.
    Larger {
        /// What it asked for before.
        have: String,
        /// What it wants now.
        want: String,
    },
    /// The spec asks for another storage class than the volume is in.
    OtherClass {
        /// The class of the volume; empty where it is in none.
        have: String,
        /// What the spec wants.
        want: String,
    },
}

/// Whether the claim's class must be read: no volume is bound to the claim, and the spec names the class, or one is, and the
/// claim asks for less than wanted.
pub(crate) fn needs_class(want: &Storage, claim: &PersistentVolumeClaim) -> bool {
    if is_unbound(claim) {
        return want.class_name.is_some();
    }
    requested(claim).is_some_and(|have| less(have, &Quantity::from(&want.size)))
}

/// What to ask for. `store`: uid of the Store whose data it is to be, if it is a Store's. What was asked for on behalf of a
/// former one counts no more: whoever takes its volume up takes it as it is.
pub(crate) fn claim(storage: &Storage, store: Option<&str>, observed: &Observed) -> Claim {
    let want = Asked { size: Quantity::from(&storage.size), class: storage.class_name.clone() };
    let new = |state| Claim { size: want.size.clone(), class: want.class.clone(), asked: want.clone(), state };
    let Some((claim, have)) = observed.claim.as_ref().and_then(|claim| Some((claim, requested(claim)?))) else {
        return new(State::Pending);
    };
    let is_ours = claim.annotations().get(ANNOTATION_STORE_UID).map(String::as_str) == store;
    let (asked, class) = (Asked::of(claim).filter(|_| is_ours), class_of(claim).map(str::to_owned));
    if is_unbound(claim) {
        return if is_as_asked(&want, have, asked.as_ref(), class.as_deref()) {
            let missing = class.clone().filter(|_| observed.class == Some(Class::Missing));
            let state = missing.map_or(State::Pending, |class| State::Classless { class });
            Claim { size: have.clone(), class, asked: want, state }
        } else {
            new(State::Replaced { want: want.to_string() })
        };
    }
    let mut asked = asked.unwrap_or_else(|| want.clone());
    // What the claim never got is nothing to go back to.
    if less(have, &asked.size) {
        asked.size = have.clone();
    }
    let held = |state| Claim { size: have.clone(), class: class.clone(), asked: asked.clone(), state };
    if let Some(other) = want.class.as_ref().filter(|other| Some(*other) != class.as_ref()) {
        return held(State::OtherClass { have: class.clone().unwrap_or_default(), want: other.clone() });
    }
    if less(have, &want.size) {
        return match too_small(observed.class, class.clone(), have, &want.size) {
            State::Resizing => {
                let asked = Asked { size: want.size.clone(), ..asked.clone() };
                Claim { size: want.size.clone(), class: class.clone(), asked, state: State::Resizing }
            }
            state => held(state),
        };
    }
    if less(&want.size, &asked.size) {
        return held(State::Larger { have: asked.size.0.clone(), want: want.size.0.clone() });
    }
    let asked = Asked { size: want.size.clone(), ..asked.clone() };
    Claim { asked, ..held(filled(claim, have)) }
}

/// Whether a claim that nothing is bound to is still what the spec wants. A class that the spec never named is the
/// cluster's default.
fn is_as_asked(want: &Asked, have: &Quantity, asked: Option<&Asked>, class: Option<&str>) -> bool {
    let same_size = !less(have, &want.size) && !less(&want.size, have);
    let same_class = match &want.class {
        Some(wanted) => class == Some(wanted.as_str()),
        None => asked.is_none_or(|asked| asked.class.is_none()),
    };
    same_size && same_class
}

fn too_small(observed: Option<Class>, class: Option<String>, have: &Quantity, want: &Quantity) -> State {
    let (have, want) = (have.0.clone(), want.0.clone());
    match observed {
        Some(Class::Grows(true)) => State::Resizing,
        Some(Class::Hidden) => State::Hidden { have, want },
        Some(Class::Grows(false) | Class::Missing) | None => State::Unsupported { class, have, want },
    }
}

/// The name of the claim's storage class.
pub(crate) fn class_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.storage_class_name.as_deref().filter(|name| !name.is_empty())
}

impl Claim {
    /// The spec of the claim.
    pub(crate) fn spec(&self) -> PersistentVolumeClaimSpec {
        PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: self.class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([(STORAGE.to_owned(), self.size.clone())].into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }
    }
}

impl Asked {
    /// What stands on the claim; nothing does on one that was made before this was noted.
    fn of(claim: &PersistentVolumeClaim) -> Option<Self> {
        let text = claim.annotations().get(ANNOTATION_STORAGE)?;
        let (size, class) = text.split_once(' ').map_or((text.as_str(), None), |(size, class)| (size, Some(class)));
        Some(Self { size: Quantity(size.to_owned()), class: class.map(str::to_owned) })
    }
}

/// The size, and the class if there is one.
impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.size.0)?;
        self.class.as_ref().map_or(Ok(()), |class| write!(f, " {class}"))
    }
}

impl State {
    /// Whether only something that no watch tells of can make it better.
    pub(crate) fn waits_for_its_class(&self) -> bool {
        matches!(self, Self::Unsupported { .. } | Self::Classless { .. })
    }

    /// The condition `StorageReady`: its status, reason and message. `claim` is the claim's name.
    pub(crate) fn condition(&self, claim: &str) -> (ConditionType, bool, Reason, String) {
        let name = format!("PersistentVolumeClaim {claim}");
        let (ready, reason, message) = match self {
            Self::Ready => (true, Reason::AllReady, format!("{name} has its size")),
            Self::Pending => (false, Reason::VolumePending, format!("{name} waits for a volume")),
            Self::Classless { class } => {
                let message = format!(
                    "{name} waits for storage class {class}, which does not exist: create it, or put the name of one that \
                     does as storage.className",
                );
                (false, Reason::StorageClassMissing, message)
            }
            Self::Replaced { want } => {
                (false, Reason::VolumePending, format!("{name} has no volume yet and is made anew, to ask for {want}"))
            }
            Self::Resizing => {
                (false, Reason::VolumeResizing, format!("{name} waits for its storage class to grow its volume"))
            }
            Self::Unsupported { .. } | Self::Hidden { .. } => {
                (false, Reason::VolumeExpansionUnsupported, self.why_it_cannot_grow(&name))
            }
            Self::Larger { have, want } => {
                let message = format!(
                    "{name} has {have} and cannot shrink to {want}: sizes only grow. Put {have} back as storage.size, or \
                     move the data to a store with a smaller volume",
                );
                (false, Reason::SpecInvalid, message)
            }
            Self::OtherClass { have, want } => {
                let (class, back) = match have.as_str() {
                    "" => ("no storage class".to_owned(), "take storage.className away".to_owned()),
                    have => (format!("storage class {have}"), format!("put {have} back as storage.className")),
                };
                let message = format!(
                    "{name} has a volume in {class}, which cannot move to {want}: {back}, or move the data to a store with \
                     the other class",
                );
                (false, Reason::SpecInvalid, message)
            }
        };
        (ConditionType::StorageReady, ready, reason, message)
    }

    fn why_it_cannot_grow(&self, name: &str) -> String {
        match self {
            Self::Hidden { have, want } => format!(
                "{name} has {have}, and this operator has no right to see whether its storage class can grow it to {want}. \
                 Where it can, set the claim's request to {want}",
            ),
            Self::Unsupported { class, have, want } => {
                let class = class.as_deref().unwrap_or("of the volume");
                format!(
                    "{name} has {have} and cannot grow to {want}: storage class {class} has no allowVolumeExpansion. Allow \
                     it there, put {have} back as storage.size, or move the data to a store with a larger volume",
                )
            }
            Self::Pending
            | Self::Classless { .. }
            | Self::Replaced { .. }
            | Self::Ready
            | Self::Resizing
            | Self::Larger { .. }
            | Self::OtherClass { .. } => String::new(),
        }
    }
}

fn requested(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get(STORAGE)
}

/// Whether surely no volume is bound to it. One whose volume is lost had data.
fn is_unbound(claim: &PersistentVolumeClaim) -> bool {
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).filter(|name| !name.is_empty());
    matches!(phase, None | Some("Pending")) && volume.is_none()
}

fn filled(claim: &PersistentVolumeClaim, requested: &Quantity) -> State {
    let status = claim.status.as_ref();
    if status.and_then(|status| status.phase.as_deref()) != Some("Bound") {
        return State::Pending;
    }
    let capacity = status.and_then(|status| status.capacity.as_ref()?.get(STORAGE));
    if capacity.is_some_and(|capacity| less(capacity, requested)) { State::Resizing } else { State::Ready }
}
