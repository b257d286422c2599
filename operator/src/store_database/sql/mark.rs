//! Whose a role on somebody else's server is: a comment on it says so.

/// What stands as a comment on the roles that a resource made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Kind, namespace and name of the resource.
    place: String,
    /// Uid of whom the data belongs to: another resource of this name, in this cluster or another, has another.
    uid: String,
    /// Whether what another resource of this name has left is taken up.
    adopts: bool,
}

/// Whose a role is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The resource's, and its comment says so.
    Ours,
    /// The resource's, but its comment does not say so yet.
    Unmarked,
    /// That of another resource of the same name.
    Namesakes,
    /// Somebody else's.
    Strangers,
}

impl Mark {
    /// The mark of a resource whose data belongs to the object with this uid.
    #[must_use]
    pub fn new(namespace: &str, name: &str, uid: &str) -> Self {
        Self { place: format!("StoreDatabase {namespace}/{name}"), uid: uid.to_owned(), adopts: false }
    }

    /// The same, where what another resource of this name has left is taken up or not.
    #[must_use]
    pub fn adopting(self, adopts: bool) -> Self {
        Self { adopts, ..self }
    }

    /// The comment.
    pub(super) fn text(&self) -> String {
        format!("{} uid {}", self.without_uid(), self.uid)
    }

    /// Kind, namespace and name of the resource.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The comment as it was before it named the uid.
    fn without_uid(&self) -> String {
        format!("{} {}", api::GROUP, self.place)
    }

    /// Whose a role with this comment is.
    pub(super) fn whose(&self, comment: Option<&str>) -> Whose {
        let Some(after) = comment.and_then(|comment| comment.strip_prefix(&self.without_uid())) else {
            return Whose::Strangers;
        };
        match after.strip_prefix(" uid ") {
            Some(uid) if uid == self.uid => Whose::Ours,
            Some(_) if self.adopts => Whose::Unmarked,
            Some(_) => Whose::Namesakes,
            None if after.is_empty() => Whose::Unmarked,
            // A name that goes on where ours ends.
            None => Whose::Strangers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_told_by_its_comment() {
        let mark = Mark::new("shop", "green", "7");
        let whose = |comment: &str| mark.whose(Some(comment));
        assert_eq!(mark.text(), "greencommerce.dev StoreDatabase shop/green uid 7");
        assert_eq!(whose(&mark.text()), Whose::Ours);
        assert_eq!(whose("greencommerce.dev StoreDatabase shop/green"), Whose::Unmarked);
        assert_eq!(whose("greencommerce.dev StoreDatabase shop/green uid 77"), Whose::Namesakes);
        for stranger in ["greencommerce.dev StoreDatabase shop/green-two uid 7", "the accountant's", ""] {
            assert_eq!(whose(stranger), Whose::Strangers, "{stranger}");
        }
        assert_eq!(mark.whose(None), Whose::Strangers);
    }
}
