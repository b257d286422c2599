//! How a service is deleted: without what it owns, or in the foreground.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{
    Cluster, DEPLOYMENTS, POLICIES, Resource, SERVICE_ACCOUNTS, SERVICES, STORE_SERVICES, Seen, Space, wait_until,
};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_mins(2);
const NAME: &str = "parcels";
const CHILDREN: [Resource; 4] = [DEPLOYMENTS, SERVICES, SERVICE_ACCOUNTS, POLICIES];

#[tokio::test]
async fn what_a_service_leaves_behind_is_taken_up_by_the_next_of_its_name_and_goes_with_that() -> Result<()> {
    let cluster = Cluster::elsewhere().await?;
    let space = cluster.namespace("cascade").await?;
    // Given a service, which runs no pod
    let service = json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService", "metadata": {"name": NAME},
        "spec": {"store": "elsewhere", "image": "registry.example.com/parcels:1", "replicas": 0},
    });
    space.apply(&service.to_string()).await?;
    owned_by_the_service(&space).await?;
    let deployment = uid(&space, DEPLOYMENTS).await?;

    // When it is deleted without what it owns, and comes again
    delete(&space, "orphan").await?;
    wait_until(&space, "the Deployment to belong to nobody", DEADLINE, async || {
        let owners = space.get(DEPLOYMENTS, NAME).await?["metadata"]["ownerReferences"].clone();
        Ok(Seen::when(owners.is_null(), owners.to_string()))
    })
    .await?;
    space.apply(&service.to_string()).await?;

    // Then it takes up what is there,
    owned_by_the_service(&space).await?;
    assert_eq!(uid(&space, DEPLOYMENTS).await?, deployment);

    // and takes it along when it is deleted in the foreground, which holds it up for nothing.
    delete(&space, "foreground").await?;
    for resource in CHILDREN {
        space.wait_gone(resource, NAME, DEADLINE).await?;
    }
    space.remove(DEADLINE).await
}

async fn delete(space: &Space, cascade: &str) -> Result<()> {
    let how = format!("--cascade={cascade}");
    let arguments = ["delete", "storeservice", NAME, &how, "--wait", "--timeout=2m", "--namespace", space.name()];
    space.kubectl().run(arguments).await.map(drop)
}

async fn owned_by_the_service(space: &Space) -> Result<()> {
    let owner = uid(space, STORE_SERVICES).await?;
    wait_until(space, "the service to own its children", DEADLINE, async || {
        for resource in CHILDREN {
            let child = space.find(resource, NAME).await?.unwrap_or_default();
            if child["metadata"]["ownerReferences"][0]["uid"] != owner {
                return Ok(Seen::NotYet(format!("{}: {}", resource.plural(), child["metadata"]["ownerReferences"])));
            }
        }
        Ok(Seen::Yes(()))
    })
    .await
}

async fn uid(space: &Space, resource: Resource) -> Result<Value> {
    let object = space.find(resource, NAME).await?.with_context(|| format!("no {} {NAME}", resource.plural()))?;
    Ok(object["metadata"]["uid"].clone())
}
