//! What other services ask of the carts.

use rpc::cart::v1::{
    GetCartRequest, GetCartResponse, Line,
    cart_server::{Cart, CartServer},
};
use tonic::{Request, Response, Status, service::Routes};
use types::UserId;

use crate::store::Carts;

/// The calls, as routes.
pub(crate) fn routes(carts: Carts) -> Routes {
    Routes::new(CartServer::new(Calls { carts }))
}

struct Calls {
    carts: Carts,
}

#[tonic::async_trait]
impl Cart for Calls {
    async fn get_cart(&self, request: Request<GetCartRequest>) -> Result<Response<GetCartResponse>, Status> {
        let customer = request.get_ref().customer_id.parse::<UserId>();
        let customer = customer.map_err(|_| Status::invalid_argument("customer_id must be a UUID"))?;
        let lines = self.carts.read(customer).await.map_err(|error| {
            tracing::error!(error = %kit::telemetry::Chain(&error), "a cart was not read");
            Status::unavailable("the carts do not answer")
        })?;
        let lines = lines
            .into_iter()
            .map(|line| Line { variant_id: line.variant_id.to_string(), quantity: line.quantity.get() })
            .collect();
        Ok(Response::new(GetCartResponse { lines }))
    }
}
