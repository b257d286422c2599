//! `GET /api/search`

use axum::extract::State;
use kit::http::{Json, Problem, Query};
use serde::Deserialize;
use types::PageLimit;

use super::body::ProductBody;
use crate::{App, domain::SearchText, store};

/// What to search for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchQuery {
    /// Words of the name or the description, or the beginnings of them; a code; a category.
    #[param(max_length = 200)]
    q: String,
    /// Products to give at the most, 1 to 100; 20 where nothing is said.
    #[param(value_type = Option<u32>)]
    limit: Option<PageLimit>,
}

/// Products by what they are, best match first
#[utoipa::path(
    get,
    path = "/api/search",
    tag = "catalog",
    params(SearchQuery),
    responses(
        (status = 200, description = "The best matches", body = Vec<ProductBody>),
        (status = 400, description = "A parameter is missing or not one", body = Problem),
        (status = 422, description = "The text is too long", body = Problem),
    ),
)]
pub(crate) async fn search(
    State(app): State<App>,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Vec<ProductBody>>, Problem> {
    let text: SearchText = query.q.parse().map_err(|error| Problem::invalid_field("q", error))?;
    let found = store::search::search(&app.database, &text, query.limit.unwrap_or_default()).await?;
    Ok(Json(found.into_iter().map(ProductBody::from).collect()))
}
