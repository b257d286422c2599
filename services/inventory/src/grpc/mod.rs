//! What other services ask: stock for new variants, reservations.

mod reserve;

use rpc::inventory::v1::{
    InitializeStockRequest, InitializeStockResponse, ReleaseRequest, ReleaseResponse, ReserveRequest, ReserveResponse,
    inventory_server::{Inventory, InventoryServer},
};
use tonic::{Request, Response, Status, metadata::MetadataMap, service::Routes};
use types::VariantId;

use crate::{App, domain::LARGEST_STOCK, store};

/// The most variants that get their first stock in one call.
const MOST_VARIANTS: usize = 1000;

/// The calls, over the service's state.
struct Calls(App);

/// The routes of the internal interface.
pub(crate) fn routes(app: App) -> Routes {
    Routes::new(InventoryServer::new(Calls(app)))
}

#[tonic::async_trait]
impl Inventory for Calls {
    async fn initialize_stock(
        &self,
        request: Request<InitializeStockRequest>,
    ) -> Result<Response<InitializeStockResponse>, Status> {
        let trace = traceparent(request.metadata());
        let first = first_stock(&request.into_inner())?;
        let mut tx = self.0.database.begin("initialize_stock").await.map_err(failed)?;
        store::stock::initialize(&mut tx, &first, trace).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        self.0.signal.wake();
        Ok(Response::new(InitializeStockResponse {}))
    }

    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveResponse>, Status> {
        let trace = traceparent(request.metadata());
        reserve::reserve(&self.0, &request.into_inner(), trace).await.map(Response::new)
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        let trace = traceparent(request.metadata());
        let order_id = id(&request.into_inner().order_id, "order_id")?;
        let mut tx = self.0.database.begin("release").await.map_err(failed)?;
        store::reservations::release(&mut tx, order_id, trace).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        self.0.signal.wake();
        Ok(Response::new(ReleaseResponse {}))
    }
}

/// The first stock of each variant, sorted by variant; of one that is named twice, the last.
fn first_stock(request: &InitializeStockRequest) -> Result<Vec<(VariantId, i64)>, Status> {
    if request.stocks.len() > MOST_VARIANTS {
        return Err(Status::invalid_argument("too many variants in one call"));
    }
    let mut first = std::collections::BTreeMap::new();
    for stock in &request.stocks {
        if !(0..=LARGEST_STOCK).contains(&stock.on_hand) {
            return Err(Status::invalid_argument("on_hand must be 0 to 1000000000"));
        }
        first.insert(id(&stock.variant_id, "variant_id")?, stock.on_hand);
    }
    Ok(first.into_iter().collect())
}

fn id<I: std::str::FromStr>(text: &str, field: &str) -> Result<I, Status> {
    text.parse().map_err(|_| Status::invalid_argument(format!("{field} must be a UUID")))
}

fn traceparent(metadata: &MetadataMap) -> Option<String> {
    metadata.get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// What the caller is told about a failure of the database. Every call may be repeated, so those of the moment are
/// UNAVAILABLE; the cause goes to the log only.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn failed(error: sqlx::Error) -> Status {
    let transient = db::is_transient(&error);
    tracing::error!(error = %kit::telemetry::Chain(&error), transient, "an internal call failed");
    if transient { Status::unavailable("the database does not answer") } else { Status::internal("the call failed") }
}
