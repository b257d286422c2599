//! Passwords and keys become others, and nobody who shops notices.

use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use e2e::{Cluster, Crowd, Customer, SECRETS, STORE_DATABASES, Seen, Shop, Store, unique, wait_until};
use serde_json::{Value, json};

const READY: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_every_database_password_is_replaced() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a store under load
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let before = login_secrets(&store).await?;
    let crowd = Crowd::enter(&cluster).await?;

    // When new passwords are asked for, and when the passwords of then are older than they may get
    let asked = unique("rotation");
    store.patch(&json!({"metadata": {"annotations": {"greencommerce.dev/rotate": asked}}})).await?;
    let by_request = replaced(&store, &before).await;
    let between = login_secrets(&store).await?;
    let by_schedule = match rotate_by_age(&store, &between).await {
        Ok(()) => replaced(&store, &between).await,
        failed => failed,
    };
    store.patch(&json!({"spec": {"database": {"passwordRotation": null}}})).await?;
    let settled = store.wait_ready(READY).await;
    let report = crowd.leave().await?;

    // Then both times every login has become another, and no request has failed.
    println!("passwords: {report}");
    by_request?;
    by_schedule?;
    settled?;
    report.expect_no_failure()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_another_key_begins_to_sign_tokens() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a store under load, and somebody who logged in before
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let guest = cluster.shop()?;
    let (before, other) = (guest.customer("Halima").await?.shop, guest.customer("Ifeoma").await?);
    let crowd = Crowd::enter(&cluster).await?;

    // When another key is asked for as the guide says, is published, and after its five minutes begins to sign
    let signed = another_key_signs(&store, &other).await;
    let report = crowd.leave().await?;

    // Then no request has failed, and every service takes the tokens of both.
    println!("keys: {report}");
    let after = signed?;
    assert_ne!(key_of(&before)?, key_of(&after)?);
    for customer in [before, after] {
        for path in ["/api/auth/me", "/api/cart", "/api/orders"] {
            customer.get(path).send().await?.expect(200)?;
        }
    }
    report.expect_no_failure()
}

/// Lets passwords get an hour old at most, and makes those that are there older.
async fn rotate_by_age(store: &Store, secrets: &[Value]) -> Result<()> {
    store.patch(&json!({"spec": {"database": {"passwordRotation": {"interval": "1h"}}}})).await?;
    for secret in secrets {
        let name = secret["metadata"]["name"].as_str().context("a Secret without a name")?;
        let aged = json!({"metadata": {"annotations": {"greencommerce.dev/rotated-at": "2026-01-01T00:00:00Z"}}});
        store.space().patch(SECRETS, name, &aged).await?;
    }
    Ok(())
}

/// Waits until every login is another, and the one before closed.
async fn replaced(store: &Store, before: &[Value]) -> Result<()> {
    wait_until(store.space(), "every login to be another, and the one before closed", READY, async || {
        let after = login_secrets(store).await?;
        let all = after.len() == before.len()
            && after.iter().zip(before).all(|(after, before)| after["data"] != before["data"]);
        let database = store.space().get(STORE_DATABASES, store.name()).await?;
        let conditions = database["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let rotating = conditions.iter().find(|condition| condition["type"] == "Rotating").cloned().unwrap_or_default();
        let settled = rotating["status"] == "False" && rotating["reason"] == "Settled";
        Ok(Seen::when(all && settled, rotating.to_string()))
    })
    .await
}

/// The Secrets of a store's databases that hold a login.
async fn login_secrets(store: &Store) -> Result<Vec<Value>> {
    let mut secrets = store.space().select(SECRETS, &format!("greencommerce.dev/database={}", store.name())).await?;
    secrets.retain(|secret| secret["data"]["uri"].is_string());
    Ok(secrets)
}

/// Asks for another key to sign tokens with, sees it published, and lets its time come. Gives the first shop that somebody
/// enters with a token of it.
async fn another_key_signs(store: &Store, somebody: &Customer) -> Result<Shop> {
    // One that has not signed for long would not be replaced.
    five_minutes_pass(store).await?;
    let auth = format!("deploy/{}", store.child("auth"));
    let auth = ["exec", &auth, "--namespace", store.space().name(), "--"];
    let rotate = ["/usr/local/bin/greencommerce", "admin", "rotate-keys"];
    let key = store.space().kubectl().run([&auth[..], &rotate].concat()).await?.trim().to_owned();

    wait_until(store.space(), "the key to be published", READY, async || {
        let keys = somebody.shop.get("/.well-known/jwks.json").send().await?.expect(200)?.json()?;
        let published = keys["keys"].as_array().is_some_and(|keys| keys.iter().any(|held| held["kid"] == key));
        Ok(Seen::when(published, keys.to_string()))
    })
    .await?;
    five_minutes_pass(store).await?;
    wait_until(store.space(), "the key to sign", READY, async || {
        let entered = somebody.shop.login(&somebody.email, &somebody.password).await?;
        let signed = key_of(&entered)?;
        Ok(if signed == key { Seen::Yes(entered) } else { Seen::NotYet(signed) })
    })
    .await
}

/// Makes every key that signs tokens older.
async fn five_minutes_pass(store: &Store) -> Result<()> {
    let older = "UPDATE signing_keys SET created_at = created_at - interval '6 minutes'";
    store.query(&store.login("auth").await?, older).await.map(drop)
}

/// The id of the key that signed somebody's token.
fn key_of(somebody: &Shop) -> Result<String> {
    let token = somebody.token().context("nobody is logged in")?;
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap_or_default())?;
    let header: Value = serde_json::from_slice(&header)?;
    header["kid"].as_str().map(str::to_owned).context("a token that names no key")
}
