//! A second store, in a namespace of its own: how long until it is Ready, and until it has sold something.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    cluster::kubectl::Kubectl,
    ui::Step,
    up::api::{Answer, Api},
};

const NAMESPACE: &str = "greencommerce-bench";
const NAME: &str = "bench";
const PORT: u16 = 30_990;
const DEADLINE: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(200);
const EMAIL: &str = "admin@bench.example";
const PASSWORD: &str = "measured twice, cut once";

/// Times from the moment the store is applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) ready: Duration,
    pub(super) first_order: Duration,
}

/// Makes the store, sells one item, and removes the store, also after a failure.
pub(super) fn measure(step: &Step, kubectl: &Kubectl) -> Result<Timing> {
    remove(step, kubectl)?;
    let timing = sell(step, kubectl);
    remove(step, kubectl)?;
    timing
}

fn sell(step: &Step, kubectl: &Kubectl) -> Result<Timing> {
    let query = ["get", "stores", "--namespace", "greencommerce", "--output=json"];
    let stores = kubectl.json(step, query)?.context("kubectl lists no stores")?;
    let store = stores["items"].get(0).context("there is no store to take version and image from")?;
    kubectl.apply(step, &namespace().to_string(), None)?;
    let applied = Instant::now();
    kubectl.command(step).args(["apply", "--filename=-"]).input(manifest(store).to_string()).run()?;
    step.say("waiting for Ready");
    await_ready(step, kubectl, applied)?;
    let ready = applied.elapsed();
    step.say("first order");
    order(step, kubectl)?;
    Ok(Timing { ready, first_order: applied.elapsed() })
}

fn await_ready(step: &Step, kubectl: &Kubectl, applied: Instant) -> Result<()> {
    loop {
        let query = ["get", "store", NAME, "--namespace", NAMESPACE, "--output=json"];
        if is_ready(&kubectl.json(step, query)?.unwrap_or_default()) {
            return Ok(());
        }
        ensure!(applied.elapsed() < DEADLINE, "the store was not Ready within {} s", DEADLINE.as_secs());
        thread::sleep(POLL);
    }
}

fn is_ready(store: &Value) -> bool {
    let conditions = store["status"]["conditions"].as_array().into_iter().flatten();
    let mut ready = conditions.filter(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    ready.any(|condition| condition["observedGeneration"] == store["metadata"]["generation"])
}

/// What a merchant and a shopper do: an account for each, a product, a cart, an order.
fn order(step: &Step, kubectl: &Kubectl) -> Result<()> {
    let create = ["admin", "create", "--email", EMAIL];
    kubectl
        .command(step)
        .args(["exec", "--stdin", "--namespace", NAMESPACE, "deployment/bench-auth", "--"])
        .arg("/usr/local/bin/greencommerce")
        .args(create)
        .input(PASSWORD)
        .run()?;
    let api = Api::new(&format!("http://localhost:{PORT}"));
    let admin = bearer(&api, EMAIL)?;
    let product = json!({
        "name": "Bag from sails", "description": "Sewn from old sails", "category": "bags",
        "variants": [{"sku": "BAG-1", "price": {"amount": 450_000, "currency": "NGN"}, "stock": 3}],
    });
    let product = created(api.post("/api/products", &[("authorization", &admin)], &product)?)?;
    let shopper = json!({"email": "ada@bench.example", "password": PASSWORD, "name": "Ada"});
    created(api.post("/api/auth/register", &[], &shopper)?)?;
    let shopper = bearer(&api, "ada@bench.example")?;
    let item = json!({"variant_id": product["variants"][0]["id"], "quantity": 1});
    let Answer { status, body } = api.post("/api/cart/items", &[("authorization", &shopper)], &item)?;
    ensure!(status == 200, "POST /api/cart/items answered {status}: {body}");
    let checkout = json!({
        "payment": {"method": "wallet"},
        "shipping_address": {"name": "Ada", "line1": "1 Broad Street", "city": "Lagos", "country": "NG"},
    });
    let headers = [("authorization", shopper.as_str()), ("idempotency-key", "the first order")];
    created(api.post("/api/orders", &headers, &checkout)?).map(drop)
}

fn bearer(api: &Api, email: &str) -> Result<String> {
    let token = api.log_in(email, PASSWORD)?.with_context(|| format!("{email} cannot log in"))?;
    Ok(format!("Bearer {token}"))
}

fn created(answer: Answer) -> Result<Value> {
    let Answer { status, body } = answer;
    ensure!(status == 201, "answered {status}: {body}");
    Ok(body)
}

fn remove(step: &Step, kubectl: &Kubectl) -> Result<()> {
    step.say("removing the store");
    for object in [["store", NAME], ["namespace", NAMESPACE]] {
        kubectl
            .command(step)
            .args(["delete", "--ignore-not-found", "--timeout=3m", "--namespace", NAMESPACE])
            .args(object)
            .run()?;
    }
    Ok(())
}

fn namespace() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    })
}

/// Everything by default, but for what the running store says about version and image.
fn manifest(store: &Value) -> Value {
    let mut spec = json!({
        "version": store["spec"]["version"],
        "exposure": {"nodePort": {"port": PORT}},
        "deletionPolicy": "Delete",
    });
    if !store["spec"]["image"].is_null() {
        spec["image"] = store["spec"]["image"].clone();
    }
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store",
        "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": spec,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_store_runs_what_the_first_one_runs() {
        let store = json!({"spec": {"version": "0.1.0", "image": {"tag": "t"}, "services": [{"name": "cart"}]}});
        let spec = manifest(&store)["spec"].clone();
        assert_eq!((&spec["version"], &spec["image"]["tag"]), (&json!("0.1.0"), &json!("t")));
        assert!(spec["services"].is_null());
    }

    #[test]
    fn only_the_present_generation_can_be_ready() {
        let store = |generation: u32| {
            json!({"metadata": {"generation": 2}, "status": {"conditions": [
                {"type": "Ready", "status": "True", "observedGeneration": generation}]}})
        };
        assert!(is_ready(&store(2)) && !is_ready(&store(1)) && !is_ready(&Value::Null));
    }
}
