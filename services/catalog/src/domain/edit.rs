//! A change of a field that may be empty.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a change does to a field that may be empty. In JSON: left out, null, or a value; the field needs
/// `#[serde(default, skip_serializing_if = "Edit::is_keep")]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Edit<T> {
    /// Leaves it as it is.
    #[default]
    Keep,
    /// Empties it.
    Clear,
    /// Gives it this value.
    Set(T),
}

impl<T> Edit<T> {
    /// What the field has after this change, having had `current` before.
    pub(crate) fn apply(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Keep => current,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// The same change, its value parsed. A value that is refused, of which `parse` takes note, keeps the field.
    pub(crate) fn parse<U>(self, parse: impl FnOnce(T) -> Option<U>) -> Edit<U> {
        match self {
            Self::Keep => Edit::Keep,
            Self::Clear => Edit::Clear,
            Self::Set(value) => parse(value).map_or(Edit::Keep, Edit::Set),
        }
    }

    /// Whether it leaves the field as it is.
    pub(crate) const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

impl Edit<String> {
    /// The same change of borrowed text.
    pub(crate) fn as_deref(&self) -> Edit<&str> {
        match self {
            Self::Keep => Edit::Keep,
            Self::Clear => Edit::Clear,
            Self::Set(text) => Edit::Set(text),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Edit<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T: Serialize> Serialize for Edit<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Clear => serializer.serialize_none(),
            Self::Set(value) => serializer.serialize_some(value),
        }
    }
}
