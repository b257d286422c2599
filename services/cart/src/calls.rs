//! What a cart asks the catalogue, in the words of this service.

use kit::{
    grpc::{call, problem, retrying},
    http::{Problem, TraceContext},
};
use rpc::catalog::v1::{GetVariantsRequest, Variant, catalog_client::CatalogClient};
use tonic::transport::Channel;
use types::{Invalid, Money, VariantId};

use crate::domain::Offer;

/// The catalogue has answered something that its contract rules out.
#[derive(Debug, thiserror::Error)]
enum BadAnswer {
    #[error("an id is malformed")]
    Id(#[from] uuid::Error),
    #[error("a value is out of its bounds")]
    Value(#[from] Invalid),
    #[error("a variant has no price")]
    NoPrice,
}

/// What the catalogue says of those of `variants` that can be bought.
pub(crate) async fn offers(
    client: &CatalogClient<Channel>,
    variants: &[VariantId],
    trace: &TraceContext,
) -> Result<Vec<Offer>, Problem> {
    if variants.is_empty() {
        return Ok(Vec::new());
    }
    let request = GetVariantsRequest { variant_ids: variants.iter().map(ToString::to_string).collect() };
    let answer = retrying(|| {
        let (mut client, request) = (client.clone(), call(request.clone(), trace));
        async move { client.get_variants(request).await }
    });
    let variants = answer.await.map_err(|status| problem("catalog", status))?.variants;
    variants.into_iter().map(offer).collect::<Result<_, _>>().map_err(Problem::internal)
}

fn offer(variant: Variant) -> Result<Offer, BadAnswer> {
    let price = variant.price.ok_or(BadAnswer::NoPrice)?;
    Ok(Offer {
        variant_id: variant.variant_id.parse()?,
        sku: variant.sku.parse()?,
        name: variant.name.parse()?,
        price: Money::new(price.amount, price.currency.parse()?).as_price()?,
    })
}
