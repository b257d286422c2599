//! What a store uses and somebody else runs: here the cache, whose address is in a Secret.

use api::{Reason, Store};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::{
    dereference::{DereferenceError, Seen},
    verdict::Verdict,
};
use crate::framework::{Context, namespace};

/// The key of the cache's Secret that holds the address.
pub(super) const URL_KEY: &str = "url";

/// What may be known of the cache's address outside of reading it: not the address, which holds a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CacheAddress {
    /// There is no Secret.
    NoSecret,
    /// The Secret has no such key.
    NoKey,
    /// The value is no address that the services understand.
    Unusable,
    /// All is well.
    Known,
}

/// Reads the Secret, if the store's cache is somebody else's.
pub(super) async fn cache_address(context: &Context, store: &Store) -> Result<Option<CacheAddress>, DereferenceError> {
    let Some(external) = &store.spec.cache.external else { return Ok(None) };
    let (space, name) = (namespace(store), external.url_secret_ref.name.as_str());
    if let Some(secret) = context.cache.get::<Secret>(space, name) {
        return Ok(Some(judge(&secret)));
    }
    let recall = &context.cache.recall;
    if let Some(known) = recall.get(space, name) {
        return Ok(Some(known));
    }
    let before = recall.now();
    let api: Api<Secret> = Api::namespaced(context.client.clone(), space);
    let found = api.get_opt(name).await.map_err(DereferenceError::of("Secret", name))?;
    let address = found.map_or(CacheAddress::NoSecret, |secret| judge(&secret));
    recall.keep(before, space, name, address);
    Ok(Some(address))
}

fn judge(secret: &Secret) -> CacheAddress {
    let value = secret.data.as_ref().and_then(|data| data.get(URL_KEY));
    match value.map(|value| std::str::from_utf8(&value.0)) {
        None => CacheAddress::NoKey,
        // Anything else makes the services stop when they start.
        Some(Ok(url)) if url.trim().strip_prefix("redis://").is_some_and(|rest| !rest.is_empty()) => {
            CacheAddress::Known
        }
        Some(_) => CacheAddress::Unusable,
    }
}

/// Whether the cache can be used, as far as its Secret tells. Whether it answers is told by the services that use it.
pub(super) fn cache(secret: &str, seen: &Seen) -> Verdict {
    let invalid = |message: String| Err((Reason::SecretInvalid, message));
    match seen.cache_address {
        Some(CacheAddress::Known) => Ok(()),
        None | Some(CacheAddress::NoSecret) => Err((
            Reason::SecretMissing,
            format!("Secret {secret} does not exist: create it with the key {URL_KEY}, the address of the cache"),
        )),
        Some(CacheAddress::NoKey) => {
            invalid(format!("Secret {secret} has no key {URL_KEY}: put the address of the cache there"))
        }
        Some(CacheAddress::Unusable) => invalid(format!(
            "the key {URL_KEY} of Secret {secret} is no address: write redis://user:password@host:port/number, without TLS"
        )),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn secret(key: &str, value: &str) -> Secret {
        let data = [(key.to_owned(), ByteString(value.as_bytes().to_vec()))];
        Secret { data: Some(data.into()), ..Secret::default() }
    }

    fn told(address: CacheAddress) -> (Reason, String) {
        let seen = Seen { cache_address: Some(address), ..Seen::default() };
        cache("redis", &seen).unwrap_err()
    }

    #[test]
    fn only_an_address_that_the_services_understand_is_one() {
        assert_eq!(judge(&secret("url", "redis://:secret@redis:6379/1")), CacheAddress::Known);
        assert_eq!(judge(&secret("uri", "redis://redis")), CacheAddress::NoKey);
        for bad in ["", "redis:6379", "rediss://redis:6379", "redis://"] {
            assert_eq!(judge(&secret("url", bad)), CacheAddress::Unusable, "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_secret_is_told_with_what_to_do() {
        let (reason, message) = told(CacheAddress::NoSecret);
        assert_eq!(reason, Reason::SecretMissing);
        assert!(message.contains("create it with the key url"), "{message}");
        for address in [CacheAddress::NoKey, CacheAddress::Unusable] {
            assert_eq!(told(address).0, Reason::SecretInvalid);
        }
    }
}
