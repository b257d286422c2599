//! What a watch has seen of one kind, in the order of its keys.
//!
//! The library's store is a hash table with a copy of each name beside the object's own, and to find what is in a namespace
//! it looks at everything.

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Something that has a place among others of its kind.
pub(super) trait Keyed {
    /// Namespace and name with a slash between, which neither has.
    fn key(&self) -> &str;
}

/// Objects, each key once.
pub(super) struct Shelf<T>(RwLock<Vec<Arc<T>>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T: Keyed> Shelf<T> {
    /// The object of that name.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        let objects = self.read();
        let place = place_of(&objects, &key(namespace, name)).ok()?;
        Some(objects[place].clone())
    }

    /// Those of a namespace that are wanted, in the order of their names.
    pub(super) fn within(&self, namespace: &str, is_wanted: impl Fn(&T) -> bool) -> Vec<Arc<T>> {
        let (objects, prefix) = (self.read(), key(namespace, ""));
        let first = objects.partition_point(|object| object.key() < prefix.as_str());
        let them = objects[first..].iter().take_while(|object| object.key().starts_with(&prefix));
        them.filter(|object| is_wanted(object)).cloned().collect()
    }

    /// Everything.
    pub(super) fn all(&self) -> Vec<Arc<T>> {
        self.read().clone()
    }

    /// Puts an object in its place, instead of the one that was there.
    pub(super) fn put(&self, object: T) {
        let (object, mut objects) = (Arc::new(object), self.write());
        match place_of(&objects, object.key()) {
            Ok(place) => objects[place] = object,
            Err(place) => objects.insert(place, object),
        }
    }

    /// Takes away the object of that name.
    pub(super) fn remove(&self, namespace: &str, name: &str) {
        let mut objects = self.write();
        if let Ok(place) = place_of(&objects, &key(namespace, name)) {
            objects.remove(place);
        }
    }

    /// From now on these and no others.
    pub(super) fn replace(&self, objects: Vec<T>) {
        let mut objects: Vec<_> = objects.into_iter().map(Arc::new).collect();
        objects.sort_by(|one, other| one.key().cmp(other.key()));
        *self.write() = objects;
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<T>>> {
        self.0.read().expect("no code panics while holding this lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Arc<T>>> {
        self.0.write().expect("no code panics while holding this lock")
    }
}

/// The key of an object of that name.
pub(super) fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// Where an object of that key is, or would be.
fn place_of<T: Keyed>(objects: &[Arc<T>], key: &str) -> Result<usize, usize> {
    objects.binary_search_by(|object| object.key().cmp(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for String {
        fn key(&self) -> &str {
            self
        }
    }

    fn filled(keys: &[&str]) -> Shelf<String> {
        let shelf = Shelf::default();
        for key in keys {
            shelf.put((*key).to_owned());
        }
        shelf
    }

    fn names(objects: &[Arc<String>]) -> Vec<&str> {
        objects.iter().map(|object| object.as_str()).collect()
    }

    #[test]
    fn a_namespace_is_found_beside_others_that_begin_like_it() {
        let shelf = filled(&["shop/cart", "shop-2/auth", "shop/auth", "sho/cart", "shop0/cart", "shop/orders"]);
        assert_eq!(names(&shelf.within("shop", |_| true)), ["shop/auth", "shop/cart", "shop/orders"]);
        assert_eq!(names(&shelf.within("shop", |object| object.ends_with("cart"))), ["shop/cart"]);
        assert!(shelf.within("sh", |_| true).is_empty());
        assert!(shelf.get("shop-2", "auth").is_some() && shelf.get("shop", "2/auth").is_none());
    }

    #[test]
    fn a_key_is_there_once_and_gone_when_it_is_removed() {
        let shelf = filled(&["shop/cart", "shop/auth", "shop/cart"]);
        assert_eq!(names(&shelf.all()), ["shop/auth", "shop/cart"]);
        shelf.remove("shop", "cart");
        shelf.remove("shop", "never-there");
        assert_eq!(names(&shelf.all()), ["shop/auth"]);
    }

    #[test]
    fn what_replaces_everything_is_put_in_order() {
        let shelf = filled(&["shop/auth"]);
        shelf.replace(vec!["shop/orders".to_owned(), "shop/cart".to_owned()]);
        assert_eq!(names(&shelf.all()), ["shop/cart", "shop/orders"]);
        assert!(shelf.get("shop", "auth").is_none());
    }
}
