//! What a store uses and somebody else runs: here the cache, whose address is in a Secret.
//!
//! Nothing tells when a cache comes, goes or changes its passwords. One that answers is knocked at like every server that
//! serves, and asked again on the rounds; one that does not is asked again soon.

mod talk;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{ConditionType, Reason, Store};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

pub(super) use self::talk::CacheError;
use self::talk::{Address, ask};
use super::{
    dereference::{DereferenceError, Seen},
    verdict::Verdict,
};
use crate::framework::{Context, Wake, namespace, steady_pace, unready_for};

/// The key of the cache's Secret that holds the address.
pub(super) const URL_KEY: &str = "url";

/// For how long nobody asks a cache again that does not serve: until [`look_again`] has it looked at, whatever else happens.
const ASKED: SignedDuration = SignedDuration::from_millis(1400);

/// What is known of somebody else's cache; not its address, which holds a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExternalCache {
    /// There is no Secret.
    NoSecret,
    /// The Secret has no such key.
    NoKey,
    /// The value is no address that the services understand.
    Unusable,
    /// It has an address; nobody asks it, as the store sleeps.
    Unasked,
    /// It lets in whoever has its address, at this `host:port`.
    Serves(String),
    /// It does not.
    Fails(CacheError),
}

impl ExternalCache {
    /// Whether there is an address, be there who may.
    pub(super) fn is_known(&self) -> bool {
        matches!(self, Self::Unasked | Self::Serves(_) | Self::Fails(_))
    }
}

/// What was found at some time.
#[derive(Clone)]
struct Finding {
    cache: ExternalCache,
    at: Timestamp,
}

impl Finding {
    /// Whether it need not be asked anew. As soon as the Secret changes nothing of it is known any more.
    fn is_fresh(&self, context: &Context, store: &Store) -> bool {
        match &self.cache {
            // A Secret that the cache holds need not be remembered.
            ExternalCache::NoSecret | ExternalCache::NoKey | ExternalCache::Unusable => {
                secret_of(store).is_some_and(|name| context.cache.get::<Secret>(namespace(store), name).is_none())
            }
            ExternalCache::Unasked => store.spec.suspend,
            ExternalCache::Serves(address) => context.vigil.guards(address, &Wake::of(store)),
            ExternalCache::Fails(_) => context.clock.now().duration_since(self.at) < ASKED,
        }
    }
}

/// The store's cache, if it is somebody else's.
pub(super) async fn cache(context: &Context, store: &Store) -> Result<Option<ExternalCache>, DereferenceError> {
    let Some(secret) = secret_of(store) else { return Ok(None) };
    let known = context.cache.recall.get::<Finding>(namespace(store), secret);
    match known.filter(|known| known.is_fresh(context, store)) {
        Some(known) => Ok(Some(known.cache)),
        None => look(context, store, secret).await.map(Some),
    }
}

/// Those of a namespace's stores whose cache serves no longer, or cannot be looked at: they are to find out why. Of those whose
/// cache did not serve they know themselves when to look again.
pub(crate) async fn changed(context: &Context, space: &str) -> BTreeSet<Wake> {
    let asked = context.cache.within::<Store>(space).into_iter().map(async |store| {
        let secret =
            secret_of(&store).filter(|_| store.metadata.deletion_timestamp.is_none() && !store.spec.suspend)?;
        let known = context.cache.recall.get::<Finding>(space, secret)?;
        if !matches!(known.cache, ExternalCache::Serves(_)) {
            return None;
        }
        let found = look(context, &store, secret).await;
        (!matches!(found, Ok(ExternalCache::Serves(_)))).then(|| Wake::of(&*store))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// When to look again at a cache that does not serve.
pub(super) fn look_again(store: &Store, seen: &Seen) -> Option<Duration> {
    let fails = matches!(seen.external_cache, Some(ExternalCache::Fails(_)));
    fails.then(|| steady_pace(unready_for(store.status.as_ref(), ConditionType::CacheReady, seen.at)))
}

fn secret_of(store: &Store) -> Option<&str> {
    Some(store.spec.cache.external.as_ref()?.url_secret_ref.name.as_str())
}

/// Reads the Secret and asks the cache.
async fn look(context: &Context, store: &Store, secret: &str) -> Result<ExternalCache, DereferenceError> {
    let (space, recall) = (namespace(store), &context.cache.recall);
    let before = recall.now();
    let cache = match address(read(context, space, secret).await?.as_deref(), space) {
        Err(why) => why,
        Ok(_) if store.spec.suspend => ExternalCache::Unasked,
        Ok(address) => ask(context, &address).await.map_or_else(ExternalCache::Fails, |()| {
            let address = address.to_string();
            context.vigil.served(std::slice::from_ref(&address), Wake::of(store));
            ExternalCache::Serves(address)
        }),
    };
    recall.keep(before, space, secret, Finding { cache: cache.clone(), at: context.clock.now() });
    Ok(cache)
}

async fn read(context: &Context, space: &str, name: &str) -> Result<Option<Arc<Secret>>, DereferenceError> {
    if let Some(secret) = context.cache.get::<Secret>(space, name) {
        return Ok(Some(secret));
    }
    let api: Api<Secret> = Api::namespaced(context.client.clone(), space);
    let found = api.get_opt(name).await.map_err(DereferenceError::of("Secret", name))?;
    Ok(found.map(Into::into))
}

fn address(secret: Option<&Secret>, space: &str) -> Result<Address, ExternalCache> {
    let secret = secret.ok_or(ExternalCache::NoSecret)?;
    let value = secret.data.as_ref().and_then(|data| data.get(URL_KEY)).ok_or(ExternalCache::NoKey)?;
    let url = std::str::from_utf8(&value.0).ok();
    url.and_then(|url| Address::parse(url, space)).ok_or(ExternalCache::Unusable)
}

/// Whether the cache can be used.
pub(super) fn verdict(secret: &str, seen: &Seen) -> Verdict {
    let invalid = |message: String| Err((Reason::SecretInvalid, message));
    match &seen.external_cache {
        Some(ExternalCache::Serves(_) | ExternalCache::Unasked) => Ok(()),
        Some(ExternalCache::Fails(failure)) => Err((failure.reason(), failure.to_string())),
        None | Some(ExternalCache::NoSecret) => Err((
            Reason::SecretMissing,
            format!("Secret {secret} does not exist: create it with the key {URL_KEY}, the address of the cache"),
        )),
        Some(ExternalCache::NoKey) => {
            invalid(format!("Secret {secret} has no key {URL_KEY}: put the address of the cache there"))
        }
        Some(ExternalCache::Unusable) => invalid(format!(
            "the key {URL_KEY} of Secret {secret} is no address: write redis://user:password@host:port/number, without TLS"
        )),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn judge(key: &str, value: &str) -> Result<String, ExternalCache> {
        let data = [(key.to_owned(), ByteString(value.as_bytes().to_vec()))];
        let secret = Secret { data: Some(data.into()), ..Secret::default() };
        address(Some(&secret), "shop").map(|address| address.to_string())
    }

    fn told(cache: ExternalCache) -> (Reason, String) {
        let seen = Seen { external_cache: Some(cache), ..Seen::default() };
        verdict("redis", &seen).unwrap_err()
    }

    #[test]
    fn only_an_address_that_the_services_understand_is_one() {
        assert_eq!(judge("url", "redis://:secret@redis.cache.svc:6380/1\n"), Ok("redis.cache.svc:6380".to_owned()));
        assert_eq!(judge("uri", "redis://redis"), Err(ExternalCache::NoKey));
        for bad in ["", "redis:6379", "rediss://redis:6379", "redis://", "unix:///run/redis", "redis://redis/one"] {
            assert_eq!(judge("url", bad), Err(ExternalCache::Unusable), "{bad}");
        }
    }

    #[test]
    fn a_name_without_a_dot_is_that_of_a_service_beside_the_store() {
        assert_eq!(judge("url", "redis://redis"), Ok("redis.shop.svc:6379".to_owned()));
        assert_eq!(judge("url", "redis://[fd00::1]"), Ok("[fd00::1]:6379".to_owned()));
    }

    #[test]
    fn what_is_wrong_with_the_secret_is_told_with_what_to_do() {
        let (reason, message) = told(ExternalCache::NoSecret);
        assert_eq!(reason, Reason::SecretMissing);
        assert!(message.contains("create it with the key url"), "{message}");
        for cache in [ExternalCache::NoKey, ExternalCache::Unusable] {
            assert_eq!(told(cache).0, Reason::SecretInvalid);
        }
    }
}
