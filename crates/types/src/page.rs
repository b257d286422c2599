//! Lists in pages.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::Invalid;

/// One page of a list: `{"items": […], "next": "cursor or null"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The entries of this page, in the list's stable order.
    pub items: Vec<T>,
    /// Where the next page starts: send it as `cursor`. Null on the last page.
    pub next: Option<String>,
}

/// How many entries a page may have: 1 to 100, 20 where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct PageLimit(i64);

/// Where a list goes on: the sort key of the last entry that was given, as text clients must not look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor<K>(pub K);

/// The cursor was not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the `next` of an earlier page of the same list")]
pub struct CursorError;

impl<T> Page<T> {
    /// The page of `rows`, of which one more than `limit` was fetched to learn whether there is a next page. `key` is the
    /// sort key of an entry.
    pub fn from_rows<K: Serialize>(mut rows: Vec<T>, limit: PageLimit, key: impl Fn(&T) -> K) -> Self {
        let size = limit.size();
        let more = rows.len() > size;
        rows.truncate(size);
        let next = if more { rows.last().map(|last| Cursor(key(last)).encode()) } else { None };
        Self { items: rows, next }
    }

    /// The same page with other entries.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), next: self.next }
    }
}

impl PageLimit {
    /// The number of entries a page shows.
    #[must_use]
    pub fn size(self) -> usize {
        usize::try_from(self.0).expect("1 to 100 by construction")
    }

    /// The number of rows to fetch: one more than the page shows.
    #[must_use]
    pub const fn fetch(self) -> i64 {
        self.0 + 1
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(20)
    }
}

impl TryFrom<i64> for PageLimit {
    type Error = Invalid;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        if (1..=100).contains(&number) { Ok(Self(number)) } else { Err(Invalid::new("must be 1 to 100")) }
    }
}

impl From<PageLimit> for i64 {
    fn from(limit: PageLimit) -> Self {
        limit.0
    }
}

impl<K: Serialize> Cursor<K> {
    /// The text for the client.
    #[must_use]
    pub fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&self.0).expect("sort keys are plain values"))
    }
}

impl<K: DeserializeOwned> Cursor<K> {
    /// Reads what [`Cursor::encode`] wrote.
    pub fn decode(text: &str) -> Result<Self, CursorError> {
        let json = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        serde_json::from_slice(&json).map(Self).map_err(|_| CursorError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_page_names_where_the_next_one_starts() {
        let limit = PageLimit::try_from(2).unwrap();
        let page = Page::from_rows(vec![1, 2, 3], limit, |number| *number);
        assert_eq!(page.items, [1, 2]);
        assert_eq!(Cursor::<i32>::decode(&page.next.unwrap()), Ok(Cursor(2)));
        assert_eq!(Page::from_rows(vec![1, 2], limit, |number| *number).next, None);
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        assert_eq!(Cursor::<i32>::decode("%%%"), Err(CursorError));
        assert_eq!(Cursor::<i32>::decode(&Cursor("text").encode()), Err(CursorError));
    }
}
