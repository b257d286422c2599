//! What the operator promises: it keeps what it made, leaves alone what is others', is quiet at rest, says how things
//! are, and honours the deletion policy.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    AUTOSCALERS, AuditLog, BUDGETS, CLAIMS, CONFIG_MAPS, Cluster, DEPLOYMENTS, JOBS, Lies, Mark, PODS, POLICIES,
    Resource, SECRETS, SERVICE_ACCOUNTS, SERVICES, STATEFUL_SETS, STORE_DATABASES, STORE_SERVICES, STORE_TOPICS,
    STORES, Seen, Space, Store, documents, unique, wait_until, workspace,
};
use serde_json::{Value, json};

/// From a deletion by hand until the child is there again.
const BACK: Duration = Duration::from_secs(2);
/// From `kubectl apply` to Ready, with room for a machine that does other things as well.
const READY: Duration = Duration::from_mins(5);
/// What the operator is called in the audit log.
const OPERATOR: &str = "system:serviceaccount:greencommerce-system:";

#[tokio::test]
async fn a_child_deleted_by_hand_is_back_within_two_seconds() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a store that is ready
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let routes = store.space().names(CONFIG_MAPS).await?;
    let routes = routes.iter().find(|name| name.starts_with(&store.child("gateway"))).context("no route table")?;
    let children = [
        (DEPLOYMENTS, store.child("inventory")),
        (SERVICES, store.child("cart")),
        (SERVICE_ACCOUNTS, store.child("orders")),
        (BUDGETS, store.child("gateway")),
        (POLICIES, store.child("cart")),
        (POLICIES, store.child("postgres")),
        (POLICIES, store.child("default-deny")),
        (AUTOSCALERS, store.child("catalog")),
        (CONFIG_MAPS, routes.clone()),
        (STORE_SERVICES, store.child("orders")),
        (STORE_TOPICS, topic(&store).await?),
    ];

    let mut late = Vec::new();
    for (resource, name) in children {
        // When a child is deleted by hand
        let before = store.space().get(resource, &name).await?["metadata"]["uid"].clone();
        store.space().delete(resource, &name).await?;

        // Then there is another in its place.
        let took = until_replaced(store.space(), resource, &name, &before).await?;
        if took > BACK {
            late.push(format!("{}/{name} after {took:?}", resource.plural()));
        }
    }
    ensure!(late.is_empty(), "back too late: {late:?}");
    store.wait_ready(READY).await?;
    cluster.shop()?.get("/api/products").send().await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn what_is_edited_by_hand_is_undone_and_what_others_add_stays() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let (space, cart, gateway) = (store.space(), store.child("cart"), store.child("gateway"));
    // Given children as the operator made them
    let deployment = space.get(DEPLOYMENTS, &cart).await?;
    let service = space.get(SERVICES, &gateway).await?;
    let container = |deployment: &Value| deployment["spec"]["template"]["spec"]["containers"][0].clone();

    // When somebody edits what the operator decides, and adds annotations of their own
    let mut edited = container(&deployment);
    edited["resources"] = json!({"requests": {"cpu": "999m"}, "limits": {"memory": "77Mi"}});
    let edit = json!({
        "metadata": {"annotations": {"example.com/owner": "platform"}},
        "spec": {"replicas": 0, "template": {"spec": {"containers": [edited], "terminationGracePeriodSeconds": 9}}},
    });
    space.patch(DEPLOYMENTS, &cart, &edit).await?;
    space.patch(SERVICES, &gateway, &json!({"spec": {"selector": {"app.kubernetes.io/name": "nobody"}}})).await?;

    // Then what the operator decides is as before
    let decided = |deployment: &Value| {
        let spec = &deployment["spec"];
        json!([
            spec["replicas"],
            container(deployment)["resources"],
            spec["template"]["spec"]["terminationGracePeriodSeconds"]
        ])
    };
    wait_until(space, "the edits to be undone", Duration::from_secs(10), async || {
        let now = space.get(DEPLOYMENTS, &cart).await?;
        let selector = space.get(SERVICES, &gateway).await?["spec"]["selector"].clone();
        let undone = decided(&now) == decided(&deployment) && selector == service["spec"]["selector"];
        Ok(Seen::when(undone, format!("{} {selector}", decided(&now))))
    })
    .await?;

    // and what is not its own stays, as does a restart by hand.
    cluster.kubectl().run(["rollout", "restart", &format!("deployment/{cart}"), "--namespace", space.name()]).await?;
    store.wait_rolled_out("cart", READY).await?;
    store.wait_ready(READY).await?;
    let now = space.get(DEPLOYMENTS, &cart).await?;
    assert_eq!(now["metadata"]["annotations"]["example.com/owner"], "platform");
    let restarted = &now["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"];
    ensure!(restarted.is_string(), "{now}");
    space.patch(DEPLOYMENTS, &cart, &json!({"metadata": {"annotations": {"example.com/owner": null}}})).await?;
    Ok(())
}

#[tokio::test]
async fn at_rest_the_operator_writes_nothing_for_a_minute() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a store that is ready, and an operator that has come to rest
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let before = hold_still(&store).await?;
    let log = cluster.audit_log();
    let rested = rest(&store, &log).await;

    // When a minute passes
    let mark = log.mark()?;
    tokio::time::sleep(Duration::from_mins(1)).await;

    // Then it has tried no write at all, though it was awake.
    let written = operators_writes(&log, mark)?;
    store.set_services(before).await?;
    rested?;
    assert_eq!(written, Vec::<String>::new());
    ensure!(log.since(mark)?.iter().any(|request| request.user.starts_with("system:")), "the audit log does not grow");
    Ok(())
}

/// Waits until the store is ready and nothing has been written for five seconds.
async fn rest(store: &Store, log: &AuditLog) -> Result<()> {
    store.wait_ready(READY).await?;
    let mut quiet = (log.mark()?, Instant::now());
    wait_until(store.space(), "five seconds without a write", Duration::from_mins(2), async || {
        let writes = operators_writes(log, quiet.0)?;
        if !writes.is_empty() {
            quiet = (log.mark()?, Instant::now());
        }
        Ok(Seen::when(quiet.1.elapsed() >= Duration::from_secs(5), format!("{} writes", writes.len())))
    })
    .await
}

/// Has the catalogue's autoscaler stay with the number of pods that it chose for the load of the tests before. Gives the
/// settings of before.
async fn hold_still(store: &Store) -> Result<Value> {
    let pods = store.space().get(DEPLOYMENTS, &store.child("catalog")).await?["spec"]["replicas"].clone();
    let services = store.get().await?["spec"]["services"].clone();
    let mut catalog = services.as_array().into_iter().flatten().find(|entry| entry["name"] == "catalog").cloned();
    let catalog = catalog.as_mut().context("the catalogue has no settings")?;
    catalog["autoscaling"]["minReplicas"] = pods.clone();
    catalog["autoscaling"]["maxReplicas"] = pods;
    store.set_service(catalog.clone()).await
}

/// What the operator wrote, but for the lease by which the leader says every few seconds that it lives.
fn operators_writes(log: &AuditLog, since: Mark) -> Result<Vec<String>> {
    let writes = log.writes_since(since, OPERATOR)?;
    Ok(writes.iter().filter(|request| request.resource != "leases").map(ToString::to_string).collect())
}

#[tokio::test]
async fn conditions_speak_of_the_present_generation_and_tell_no_two_stories() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a store that is ready
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;

    // When everything of ours in its namespace is read
    let mut seen = 0;
    for resource in [STORES, STORE_DATABASES, STORE_SERVICES, STORE_TOPICS] {
        for object in store.space().list(resource).await? {
            // Then each has conditions that are complete, of its generation, and of a type of their own.
            judge(&object).with_context(|| format!("{}/{}", resource.plural(), object["metadata"]["name"]))?;
            seen += 1;
        }
    }
    ensure!(seen >= 1 + 1 + 6 + 5, "{seen} objects are fewer than a store has");
    Ok(())
}

#[tokio::test]
async fn the_operator_answers_for_its_health_and_its_numbers() -> Result<()> {
    let cluster = Cluster::connect().await?;
    // Given the operator behind its Service
    let operator = cluster.operator();
    let services = operator.names(SERVICES).await?;
    let service = services.iter().find(|name| name.ends_with("-metrics")).context("no metrics Service")?;

    // When it is asked
    let health = operator.ask(service, "metrics", "/healthz").await?;
    let metrics = operator.ask(service, "metrics", "/metrics").await?;

    // Then it is well, and counts reconciliations by kind.
    ensure!(!health.to_lowercase().contains("error"), "{health}");
    for kind in ["Store", "StoreService", "StoreDatabase", "StoreTopic"] {
        let counted = metrics.lines().any(|line| !line.starts_with('#') && line.contains(&format!("\"{kind}\"")));
        ensure!(counted, "no number speaks of {kind}:\n{metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn a_store_keeps_its_data_by_default_and_leaves_nothing_when_told_so() -> Result<()> {
    let cluster = Cluster::elsewhere().await?;
    let space = cluster.namespace("life").await?;
    let manifest = fs::read_to_string(workspace().join("examples/minimal.yaml"))?;
    let name = documents(&manifest)?[0]["metadata"]["name"].as_str().context("a nameless example")?.to_owned();
    let store = Store::new((*space).clone(), &name);

    // Given the smallest store, which never says that it is ready before it is,
    let lies = Lies::watch_for(&store);
    space.apply(&manifest).await?;
    store
        .set_service(json!({"name": "orders", "env": [{"name": "ORDER_PAYMENT_TIMEOUT_SECONDS", "value": "10"}]}))
        .await?;
    store.wait_ready(READY).await?;
    lies.told().await?.expect_truth(&[false, true])?;
    // and in which a customer has an order that is not paid in time
    let customer = an_unpaid_order_expires(&store).await?;
    let secret = space.get(SECRETS, &store.child("auth-database")).await?["data"].clone();

    // When it is deleted
    let volumes = space.names(CLAIMS).await?;
    assert_eq!(volumes.len(), 3, "{volumes:?}");
    delete_and_wait(&store).await?;

    // Then its volumes stay, and everything that costs goes.
    assert_eq!(space.names(CLAIMS).await?, volumes);
    assert_eq!(leftovers(&space, &[CLAIMS, SECRETS]).await?, Vec::<String>::new());

    // When a store of the same name comes
    space.apply(&manifest).await?;
    // Then it waits to be told what to do with the data,
    wait_until(&space, "the store to see the data of the former one", READY, async || {
        let conditions = store.get().await?["status"]["conditions"].clone();
        let ready = conditions.as_array().and_then(|all| all.iter().find(|found| found["type"] == "Ready"));
        Ok(Seen::when(ready.is_some_and(|ready| ready["reason"] == "DataRetained"), conditions.to_string()))
    })
    .await?;
    assert_eq!(space.names(STATEFUL_SETS).await?, Vec::<String>::new());
    store.patch(&json!({"spec": {"adoptRetainedData": true}})).await?;
    store.wait_ready(READY).await?;

    // and takes it up: the customer is known, with the same database login.
    assert_eq!(space.get(SECRETS, &store.child("auth-database")).await?["data"], secret);
    let forward = space.forward(&store.child("gateway"), "http").await?;
    let known = forward.shop()?.login(&customer.0, &customer.1).await?;
    let orders = known.get("/api/orders").send().await?.expect(200)?.json()?;
    assert_eq!(orders["items"][0]["status"], "cancelled", "{orders}");
    drop(forward);

    // When it is told to delete its data, and is deleted
    store.patch(&json!({"spec": {"deletionPolicy": "Delete"}})).await?;
    wait_until(&space, "the parts to hear of it", READY, async || {
        let database = space.get(STORE_DATABASES, &store_database(&space).await?).await?;
        Ok(Seen::when(database["spec"]["deletionPolicy"] == "Delete", database["spec"].to_string()))
    })
    .await?;
    store.wait_ready(READY).await?;
    delete_and_wait(&store).await?;

    // Then it leaves nothing.
    wait_until(&space, "nothing to be left", READY, async || {
        let left = leftovers(&space, &[]).await?;
        Ok(Seen::when(left.is_empty(), format!("{left:?}")))
    })
    .await?;
    space.remove(READY).await
}

/// Orders in a store that gives ten seconds to pay, and waits until the order is cancelled and its stock is back. Gives
/// the customer's login.
async fn an_unpaid_order_expires(store: &Store) -> Result<(String, String)> {
    let forward = store.space().forward(&store.child("gateway"), "http").await?;
    let shop = forward.shop()?;
    let (email, password) = ("admin@example.com", unique("quiet harbour"));
    let deployment = format!("deployment/{}", store.child("auth"));
    let create = [
        "exec",
        "--stdin",
        "--namespace",
        store.space().name(),
        &deployment,
        "--",
        "/usr/local/bin/greencommerce",
        "admin",
        "create",
        "--email",
        email,
        "--name",
        "Administrator",
    ];
    let created = store.space().kubectl().attempt(create, &password).await?;
    ensure!(created.success, "{}", created.stderr);
    let staff = shop.login(email, &password).await?;
    let product = staff.product("Bench of a pier", 100, 1).await?;
    let customer = shop.customer("Ife").await?;
    customer.shop.put_into_cart(&product, 1).await?;
    let order = customer.shop.checkout(&unique("checkout")).send().await?.expect(201)?.json()?;
    let path = format!("/api/orders/{}", order["id"].as_str().unwrap_or_default());
    wait_until(store.space(), "the order to expire and its stock to come back", Duration::from_mins(1), async || {
        let order = customer.shop.get(&path).send().await?.expect(200)?.json()?;
        let stock = staff.stock(&product).await?;
        let expired = order["status"] == "cancelled" && stock["available"] == 1;
        Ok(Seen::when(expired, format!("{} {stock}", order["status"])))
    })
    .await?;
    Ok((customer.email, customer.password))
}

/// Deletes a store and waits until what it owned has gone after it.
pub(crate) async fn delete_and_wait(store: &Store) -> Result<()> {
    store.space().delete(STORES, store.name()).await?;
    store.space().wait_gone(STORES, store.name(), READY).await?;
    for resource in [STORE_DATABASES, STORE_SERVICES, STORE_TOPICS, DEPLOYMENTS, STATEFUL_SETS, PODS] {
        wait_until(store.space(), &format!("no {} to be left", resource.plural()), READY, async || {
            let names = store.space().names(resource).await?;
            Ok(Seen::when(names.is_empty(), format!("{names:?}")))
        })
        .await?;
    }
    Ok(())
}

/// What the operator made in a namespace and is still there, but for kinds that may be.
async fn leftovers(space: &Space, may_stay: &[Resource]) -> Result<Vec<String>> {
    let kinds = [
        STORES,
        STORE_DATABASES,
        STORE_SERVICES,
        STORE_TOPICS,
        DEPLOYMENTS,
        STATEFUL_SETS,
        JOBS,
        PODS,
        SERVICES,
        SERVICE_ACCOUNTS,
        CONFIG_MAPS,
        SECRETS,
        CLAIMS,
        AUTOSCALERS,
        BUDGETS,
        POLICIES,
    ];
    let mut left = Vec::new();
    for resource in kinds.into_iter().filter(|resource| !may_stay.contains(resource)) {
        let objects = space.names(resource).await?;
        // Every namespace has these two from Kubernetes itself.
        let ours = objects.into_iter().filter(|name| name != "default" && name != "kube-root-ca.crt");
        left.extend(ours.map(|name| format!("{}/{name}", resource.plural())));
    }
    Ok(left)
}

async fn until_replaced(space: &Space, resource: Resource, name: &str, before: &Value) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let now = space.find(resource, name).await?;
        if now.is_some_and(|now| &now["metadata"]["uid"] != before) {
            return Ok(begun.elapsed());
        }
        ensure!(begun.elapsed() < READY, "{}/{name} did not come back\n{}", resource.plural(), space.diagnosis().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn topic(store: &Store) -> Result<String> {
    let names = store.space().names(STORE_TOPICS).await?;
    names.into_iter().find(|name| name.starts_with(store.name())).context("a store without topics")
}

async fn store_database(space: &Space) -> Result<String> {
    space.names(STORE_DATABASES).await?.into_iter().next().context("a store without a database")
}

/// Conditions as the API conventions want them.
fn judge(object: &Value) -> Result<()> {
    let (generation, status) = (&object["metadata"]["generation"], &object["status"]);
    ensure!(&status["observedGeneration"] == generation, "observed {} of {generation}", status["observedGeneration"]);
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut types: Vec<&str> = conditions.iter().filter_map(|condition| condition["type"].as_str()).collect();
    ensure!(types.contains(&"Ready"), "no condition Ready among {types:?}");
    types.sort_unstable();
    let count = types.len();
    types.dedup();
    ensure!(types.len() == count, "a type stands twice among {types:?}");
    for condition in conditions {
        ensure!(&condition["observedGeneration"] == generation, "of another generation than {generation}: {condition}");
        ensure!(["True", "False", "Unknown"].iter().any(|status| condition["status"] == *status), "{condition}");
        let reason = condition["reason"].as_str().unwrap_or_default();
        ensure!(reason.starts_with(|c: char| c.is_ascii_uppercase()), "no reason: {condition}");
        ensure!(
            condition["lastTransitionTime"].is_string() && condition["message"].is_string(),
            "incomplete: {condition}"
        );
    }
    Ok(())
}
