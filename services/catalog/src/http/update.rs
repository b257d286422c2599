//! `PATCH /api/products/{id}`

use axum::{extract::State, http::StatusCode, response::Response};
use db::outbox;
use events::CatalogEvent;
use kit::{
    auth::Staff,
    http::{IdempotencyKey, IfMatch, Json, Path, Problem, TraceContext, answer_once},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use types::{Currency, Money, ProductId, VariantId};

use super::body::{ProductBody, etag, product_data, refused, sku_taken, unknown_product};
use crate::{
    App,
    domain::{Edit, Product, ProductChange, RawChange, RawVariantChange, Refusal},
    store,
};

/// A change of a product: what is left out stays as it is, null empties what may be empty.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProductChange)]
pub(crate) struct Body {
    /// Its name. The slug stays, because addresses of products last.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// What it is.
    #[schema(max_length = 10_000)]
    description: Option<String>,
    /// The name of its category; null for none.
    #[serde(default, skip_serializing_if = "Edit::is_keep")]
    #[schema(value_type = Option<String>)]
    category: Edit<String>,
    /// `draft`, `active` or `archived`.
    status: Option<String>,
    /// Share of recycled material in percent; null where it is not known.
    #[serde(default, skip_serializing_if = "Edit::is_keep")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 100)]
    recycled_percent: Edit<i64>,
    /// Greenhouse gases per unit, in grams of CO2 equivalent; null where they are not known.
    #[serde(default, skip_serializing_if = "Edit::is_keep")]
    #[schema(value_type = Option<i64>, minimum = 0)]
    co2e_grams: Edit<i64>,
    /// Variants to change by their sku; one of a new sku is added. Those that are not named stay.
    #[serde(default)]
    variants: Vec<VariantChangeBody>,
}

/// A change of the variant of that sku, or a new one.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VariantChange)]
struct VariantChangeBody {
    /// The merchant's code.
    #[schema(min_length = 1, max_length = 64)]
    sku: String,
    /// What tells it from the other variants; null for nothing.
    #[serde(default, skip_serializing_if = "Edit::is_keep")]
    #[schema(value_type = Option<String>)]
    name: Edit<String>,
    /// Its price, in the store's currency. A new variant needs one.
    price: Option<Money>,
}

/// Change a product
#[utoipa::path(
    patch,
    path = "/api/products/{id}",
    tag = "catalog",
    params(
        ("id" = ProductId, Path),
        ("If-Match" = String, Header, description = "The ETag of the product that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request repeatable"),
    ),
    request_body = Body,
    responses(
        (status = 200, description = "The product after it, with its ETag", body = ProductBody),
        (status = 404, description = "No such product", body = Problem),
        (status = 409, description = "Another product has a variant of that sku", body = Problem),
        (status = 412, description = "The product has changed since it was read", body = Problem),
        (status = 422, description = "A value is not allowed", body = Problem),
        (status = 428, description = "If-Match is missing", body = Problem),
    ),
)]
pub(crate) async fn update(
    State(app): State<App>,
    Staff(caller): Staff,
    Path(id): Path<ProductId>,
    if_match: IfMatch,
    key: Option<IdempotencyKey>,
    trace: TraceContext,
    Json(body): Json<Body>,
) -> Result<Response, Problem> {
    let change = body.parse(app.currency).map_err(refused)?;
    let mut tx = app.database.begin("update_product").await?;
    let claimed = match key {
        Some(key) => match key.claim(&mut tx, caller.user_id(), &body, id).await {
            Ok(claimed) => Some(claimed),
            Err(answer) => return Ok(answer),
        },
        None => None,
    };
    let product = store::products::lock(&mut tx, id).await?.ok_or_else(unknown_product)?;
    if_match.check(product.version)?;
    let product = apply(&mut tx, &change, product).await?;
    store::products::update(&mut tx, &product).await.map_err(update_problem)?;
    let event = CatalogEvent::Updated(product_data(&product));
    outbox::append(&mut tx, event, trace.into_traceparent()).await?;
    let etag = etag(&product);
    let answer =
        answer_once(claimed.as_ref(), &mut tx, StatusCode::OK, Some(etag), &ProductBody::from(product)).await?;
    tx.commit().await?;
    app.signal.wake();
    Ok(answer)
}

async fn apply(conn: &mut PgConnection, change: &ProductChange, product: Product) -> Result<Product, Problem> {
    let mut product = change.apply(product, VariantId::new).map_err(refused)?;
    product.category = match &change.category {
        Edit::Keep => product.category,
        Edit::Clear => None,
        Edit::Set(name) => Some(store::categories::find_or_create(conn, name).await?),
    };
    Ok(product)
}

fn update_problem(error: sqlx::Error) -> Problem {
    if store::variants::is_sku_taken(&error) { sku_taken().caused_by(error) } else { error.into() }
}

impl Body {
    fn parse(&self, currency: Currency) -> Result<ProductChange, Vec<Refusal>> {
        let raw = RawChange {
            name: self.name.as_deref(),
            description: self.description.as_deref(),
            category: self.category.as_deref(),
            status: self.status.as_deref(),
            recycled_percent: self.recycled_percent,
            co2e_grams: self.co2e_grams,
        };
        let variants = self.variants.iter().map(|variant| RawVariantChange {
            sku: &variant.sku,
            name: variant.name.as_deref(),
            price: variant.price,
        });
        ProductChange::parse(raw, variants, currency)
    }
}
