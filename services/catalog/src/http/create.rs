//! `POST /api/products`

use axum::{extract::State, http::StatusCode, response::Response};
use db::outbox;
use events::CatalogEvent;
use kit::{
    auth::Staff,
    http::{IdempotencyKey, Idempotent, Json, Problem, TraceContext, answer_once},
};
use rpc::inventory::v1::{InitializeStockRequest, Stock, inventory_client::InventoryClient};
use serde::{Deserialize, Serialize};
use types::{Currency, Money, ProductId, Slug, UserId, VariantId};

use super::body::{ProductBody, etag, product_data, refused, sku_taken};
use crate::{
    App,
    domain::{NewProduct, Product, RawProduct, RawVariant, Variant, variant_id},
    store,
};

/// A product to be made.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewProduct)]
pub(crate) struct Body {
    /// Its name; its slug is made from it.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it is.
    #[schema(max_length = 10_000)]
    description: String,
    /// The name of its category, which is made where there is none of that name.
    #[schema(max_length = 200)]
    category: Option<String>,
    /// `draft` or `active`; `active` where nothing is said.
    status: Option<String>,
    /// Share of recycled material in percent.
    #[schema(minimum = 0, maximum = 100)]
    recycled_percent: Option<i64>,
    /// Greenhouse gases per unit, in grams of CO2 equivalent.
    #[schema(minimum = 0)]
    co2e_grams: Option<i64>,
    /// What of it is sold; at least one.
    #[schema(min_items = 1, max_items = 100)]
    variants: Vec<VariantBody>,
}

/// A variant to be made.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewVariant)]
struct VariantBody {
    /// The merchant's code, which no other variant of the shop has.
    #[schema(min_length = 1, max_length = 64)]
    sku: String,
    /// What tells it from the other variants of the product.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// Its price, in the store's currency.
    price: Money,
    /// Units there are of it; 0 where nothing is said.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    stock: Option<i64>,
}

/// Make a product
#[utoipa::path(
    post,
    path = "/api/products",
    tag = "catalog",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request repeatable")),
    request_body = Body,
    responses(
        (status = 201, description = "The product, with its ETag", body = ProductBody),
        (status = 400, description = "Not a product", body = Problem),
        (status = 401, description = "Not logged in", body = Problem),
        (status = 403, description = "Not staff", body = Problem),
        (status = 409, description = "Another product has a variant of that sku", body = Problem),
        (status = 422, description = "A value is not allowed", body = Problem),
        (status = 503, description = "Stock cannot be kept at the moment", body = Problem),
    ),
)]
pub(crate) async fn create(
    State(app): State<App>,
    Staff(caller): Staff,
    key: Option<IdempotencyKey>,
    trace: TraceContext,
    Json(body): Json<Body>,
) -> Result<Response, Problem> {
    let new = body.parse(app.currency).map_err(refused)?;
    let claimed = match key {
        Some(key) => match claim(&app, key, caller.user_id(), &body).await? {
            Ok(claimed) => Some(claimed),
            Err(answer) => return Ok(answer),
        },
        None => None,
    };
    let id = claimed.as_ref().map_or_else(ProductId::new, |claimed| ProductId::from_uuid(claimed.subject()));
    let outcome = make(&app, id, &new, claimed.as_ref(), trace).await;
    if let (Err(_), Some(claimed)) = (&outcome, &claimed) {
        abandon(&app, claimed).await;
    }
    outcome
}

/// Claims the request in a transaction of its own, because inventory is asked before the product is written.
async fn claim(
    app: &App,
    key: IdempotencyKey,
    caller: UserId,
    body: &Body,
) -> Result<Result<Idempotent, Response>, Problem> {
    let mut tx = app.database.begin("claim_product").await?;
    let claimed = key.claim(&mut tx, caller, body, ProductId::new()).await;
    if claimed.is_ok() {
        tx.commit().await?;
    }
    Ok(claimed)
}

/// Lets the client try again at once. Where that fails too, the claim ends by itself in a moment.
async fn abandon(app: &App, claimed: &Idempotent) {
    let outcome = async { claimed.abandon(&mut *app.database.pool().acquire().await?).await };
    if let Err(error) = outcome.await {
        tracing::warn!(error = %kit::telemetry::Chain(&error), "a claim was not let go");
    }
}

async fn make(
    app: &App,
    id: ProductId,
    new: &NewProduct,
    claimed: Option<&Idempotent>,
    trace: TraceContext,
) -> Result<Response, Problem> {
    let stocks = stocks(id, new);
    if !stocks.is_empty() {
        refuse_taken(app, new).await?;
        initialize_stock(app, &stocks, &trace).await?;
    }
    let mut tx = app.database.begin("create_product").await?;
    let category = match &new.category {
        Some(name) => Some(store::categories::find_or_create(&mut tx, name).await?),
        None => None,
    };
    let mut product = Product {
        id,
        slug: Slug::from_title(new.name.as_str()),
        name: new.name.clone(),
        description: new.description.clone(),
        category,
        status: new.status,
        recycled_percent: new.recycled_percent,
        co2e_grams: new.co2e_grams,
        version: 1,
        variants: variants(id, new),
    };
    product.slug = store::products::insert(&mut tx, &product).await.map_err(insert_problem)?;
    store::availability::assume(&mut tx, &stocks).await?;
    let event = CatalogEvent::Created(product_data(&product));
    outbox::append(&mut tx, event, trace.into_traceparent()).await?;
    let etag = etag(&product);
    let answer = answer_once(claimed, &mut tx, StatusCode::CREATED, Some(etag), &ProductBody::from(product)).await?;
    tx.commit().await?;
    app.signal.wake();
    Ok(answer)
}

fn variants(id: ProductId, new: &NewProduct) -> Vec<Variant> {
    let variant = |variant: &crate::domain::NewVariant| Variant {
        id: variant_id(id, &variant.sku),
        sku: variant.sku.clone(),
        name: variant.name.clone(),
        price: variant.price,
        available: variant.stock.unwrap_or(0),
    };
    new.variants.iter().map(variant).collect()
}

/// The first stock of those variants that came with one.
fn stocks(id: ProductId, new: &NewProduct) -> Vec<(VariantId, i64)> {
    new.variants.iter().filter_map(|variant| Some((variant_id(id, &variant.sku), variant.stock?))).collect()
}

/// Refuses codes that are taken before inventory hears of the product; two requests at the same time are told apart when
/// they write.
async fn refuse_taken(app: &App, new: &NewProduct) -> Result<(), Problem> {
    let skus: Vec<String> = new.variants.iter().map(|variant| variant.sku.to_string()).collect();
    let mut conn = app.database.pool().acquire().await?;
    let taken = store::variants::taken(&mut conn, &skus).await?;
    if taken.is_empty() { Ok(()) } else { Err(sku_taken().with("skus", taken)) }
}

async fn initialize_stock(app: &App, stocks: &[(VariantId, i64)], trace: &TraceContext) -> Result<(), Problem> {
    let stocks = stocks.iter().map(|(id, units)| Stock { variant_id: id.to_string(), on_hand: *units }).collect();
    let request = InitializeStockRequest { stocks };
    let attempt = || {
        let mut inventory = InventoryClient::new(app.inventory.clone());
        let call = kit::grpc::call(request.clone(), trace);
        async move { inventory.initialize_stock(call).await }
    };
    let outcome = kit::grpc::retrying(attempt).await;
    outcome.map(|_| ()).map_err(|status| kit::grpc::problem("inventory", status))
}

fn insert_problem(error: sqlx::Error) -> Problem {
    if store::variants::is_sku_taken(&error) { sku_taken().caused_by(error) } else { error.into() }
}

impl Body {
    fn parse(&self, currency: Currency) -> Result<NewProduct, Vec<crate::domain::Refusal>> {
        let raw = RawProduct {
            name: &self.name,
            description: &self.description,
            category: self.category.as_deref(),
            status: self.status.as_deref(),
            recycled_percent: self.recycled_percent,
            co2e_grams: self.co2e_grams,
        };
        let variants = self.variants.iter().map(|variant| RawVariant {
            sku: &variant.sku,
            name: variant.name.as_deref(),
            price: variant.price,
            stock: variant.stock,
        });
        NewProduct::parse(raw, variants, currency)
    }
}
