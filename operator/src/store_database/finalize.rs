//! The end of a database resource: what its deletion policy says about the data.

use api::{DeletionPolicy, StoreDatabase, label};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::ResourceExt;

use super::{dereference::administrator, error::Error, sql, validate};
use crate::framework::{
    Context, Refused, converse, delete, followed, goes_with_its_namespace, has_finalizer, namespace, of_server, reach,
    remove_finalizer,
};

/// Removes the data or leaves it, then lets the resource go. The server itself goes with its owner.
pub(super) async fn finalize(context: &Context, database: &StoreDatabase) -> Result<(), Error> {
    if !has_finalizer(database) {
        return Ok(());
    }
    match database.spec.deletion_policy {
        DeletionPolicy::Retain => {}
        DeletionPolicy::Delete => match remove_data(context, database).await {
            Err(error) if goes_with_its_namespace(context, database, &error).await => {}
            result => result?,
        },
    }
    remove_finalizer(context, database).await?;
    Ok(())
}

async fn remove_data(context: &Context, database: &StoreDatabase) -> Result<(), Error> {
    if database.spec.external.is_some() {
        let admin = administrator(context, database).await?;
        let removal = validate::removal(database, &admin)?;
        reach(context, &[removal.server.address()], Refused::GiveUp).await?;
        let conversation = sql::remove(&context.gate, &removal.server, &removal.tenancy, &removal.names);
        let span = of_server("remove", &removal.server.host, removal.server.port);
        converse(context, &removal.server.address(), Box::pin(followed(span, conversation))).await??;
    }
    let (namespace, name) = (namespace(database), database.name_any());
    for claim in context.cache.labelled::<PersistentVolumeClaim>(namespace, label::DATABASE, &name) {
        delete(context, database, &*claim).await?;
    }
    for secret in context.cache.labelled::<Secret>(namespace, label::DATABASE, &name) {
        delete(context, database, &*secret).await?;
    }
    Ok(())
}
