//! What other services ask: variants with their current prices.

use std::collections::BTreeSet;

use rpc::{
    catalog::v1::{
        GetVariantsRequest, GetVariantsResponse, Variant,
        catalog_server::{Catalog, CatalogServer},
    },
    types::v1::Money,
};
use tonic::{Request, Response, Status, service::Routes};
use types::VariantId;
use uuid::Uuid;

use crate::{
    App,
    store::{self, variants::VariantForSale},
};

/// The most variants of one call.
const MOST_IDS: usize = 200;
/// The longest name of an order line, in characters.
const LONGEST_NAME: usize = 200;

/// The calls, over the service's state.
struct Calls(App);

/// The routes of the internal interface.
pub(crate) fn routes(app: App) -> Routes {
    Routes::new(CatalogServer::new(Calls(app)))
}

#[tonic::async_trait]
impl Catalog for Calls {
    async fn get_variants(
        &self,
        request: Request<GetVariantsRequest>,
    ) -> Result<Response<GetVariantsResponse>, Status> {
        let ids = ids(&request.into_inner().variant_ids)?;
        let variants = self.for_sale(&ids).await.map_err(failed)?;
        Ok(Response::new(GetVariantsResponse { variants: variants.into_iter().map(Variant::from).collect() }))
    }
}

impl Calls {
    async fn for_sale(&self, ids: &[Uuid]) -> Result<Vec<VariantForSale>, sqlx::Error> {
        let mut conn = self.0.database.pool().acquire().await?;
        store::variants::for_sale(&mut conn, ids).await
    }
}

fn ids(texts: &[String]) -> Result<Vec<Uuid>, Status> {
    if texts.len() > MOST_IDS {
        return Err(Status::invalid_argument("at most 200 variants can be asked for at once"));
    }
    let ids = texts.iter().map(|text| text.parse::<VariantId>().map(VariantId::as_uuid));
    let ids: Result<BTreeSet<_>, _> = ids.collect();
    ids.map(|ids| ids.into_iter().collect()).map_err(|_| Status::invalid_argument("variant_ids must be UUIDs"))
}

impl From<VariantForSale> for Variant {
    fn from(variant: VariantForSale) -> Self {
        let VariantForSale { id, product_id, sku, product_name, name, price_amount, price_currency } = variant;
        Self {
            variant_id: id.to_string(),
            product_id: product_id.to_string(),
            sku,
            name: full_name(&product_name, name.as_deref()),
            price: Some(Money { amount: price_amount, currency: price_currency }),
        }
    }
}

/// The product's name with the variant's behind it, cut to what an order line can hold.
fn full_name(product: &str, variant: Option<&str>) -> String {
    match variant {
        Some(variant) => {
            format!("{product}, {variant}").chars().take(LONGEST_NAME).collect::<String>().trim().to_owned()
        }
        None => product.to_owned(),
    }
}

/// What the caller is told about a failure of the database; the cause goes to the log only.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn failed(error: sqlx::Error) -> Status {
    let transient = db::is_transient(&error);
    tracing::error!(error = %kit::telemetry::Chain(&error), transient, "an internal call failed");
    if transient { Status::unavailable("the database does not answer") } else { Status::internal("the call failed") }
}

#[cfg(test)]
mod tests {
    use types::ShortText;

    use super::*;

    #[test]
    fn the_name_of_a_variant_fits_an_order_line() {
        assert_eq!(full_name("Tote", None), "Tote");
        assert_eq!(full_name("Tote", Some("blue")), "Tote, blue");
        let longest = "é".repeat(200);
        assert!(full_name(&longest, Some(&longest)).parse::<ShortText>().is_ok());
    }
}
