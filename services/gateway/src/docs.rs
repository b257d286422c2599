//! The API document, and the same as a page for people, without scripts or anything from elsewhere.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse},
    routing::get,
};
use bytes::Bytes;
use kit::http::Problem;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use utoipa::openapi::OpenApi;

/// The page may show itself and nothing else.
const POLICY: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"),
);

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 0 auto; padding: 1rem }
summary { cursor: pointer; padding: .3rem 0 }
code, pre { font-family: ui-monospace, monospace; font-size: .9em }
pre { overflow-x: auto; padding: .6rem; border: 1px solid #8885; border-radius: .3rem }
.method { display: inline-block; min-width: 4.5rem; font-weight: bold }
details { border-bottom: 1px solid #8883 }
table { border-collapse: collapse } td { padding: .1rem 1rem .1rem 0; vertical-align: top }";

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Both forms of the document, made when somebody first asks: most gateways are never asked, and making them takes more
/// memory than all else that a gateway at rest holds.
struct Documents {
    describe: fn() -> OpenApi,
    made: OnceCell<Made>,
}

struct Made {
    json: Bytes,
    page: Bytes,
}

impl Documents {
    async fn get(&self) -> Result<&Made, Problem> {
        let made = self.made.get_or_try_init(async || {
            let document = serde_json::to_value((self.describe)())?;
            Ok(Made { json: serde_json::to_vec(&document)?.into(), page: page(&document).into() })
        });
        made.await.map_err(|error: serde_json::Error| Problem::internal(error))
    }
}

/// Where the document is found, as JSON and as a page.
pub(crate) fn routes(describe: fn() -> OpenApi) -> Router {
    Router::new()
        .route("/api/openapi.json", get(json))
        .route("/api/docs", get(html))
        .with_state(Arc::new(Documents { describe, made: OnceCell::new() }))
}

async fn json(State(documents): State<Arc<Documents>>) -> Result<impl IntoResponse, Problem> {
    let json = documents.get().await?.json.clone();
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json))
}

async fn html(State(documents): State<Arc<Documents>>) -> Result<impl IntoResponse, Problem> {
    let page = documents.get().await?.page.clone();
    Ok(([POLICY], Html(page)))
}

/// The page of `document` (OpenAPI 3.1).
fn page(document: &Value) -> String {
    let mut page = String::new();
    write_page(&mut page, document).expect("writing to a string does not fail");
    page
}

fn write_page(out: &mut String, document: &Value) -> fmt::Result {
    let title = escape(text(&document["info"]["title"]));
    let version = escape(text(&document["info"]["version"]));
    write!(out, "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>")?;
    write!(out, "<title>{title} API</title><style>{STYLE}</style><h1>{title} API <small>{version}</small></h1>")?;
    write!(out, "<p>The same for programs: <a href=/api/openapi.json>/api/openapi.json</a></p><h2>Operations</h2>")?;
    for (path, item) in members(&document["paths"]) {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                write_operation(out, method, path, operation)?;
            }
        }
    }
    write!(out, "<h2>Shapes</h2>")?;
    for (name, schema) in members(&document["components"]["schemas"]) {
        let name = escape(name);
        write!(out, "<details id='{name}'><summary><code>{name}</code></summary>{}</details>", pretty(schema))?;
    }
    write!(out, "</html>")
}

fn write_operation(out: &mut String, method: &str, path: &str, operation: &Value) -> fmt::Result {
    let summary = escape(text(&operation["summary"]));
    let (method, path) = (method.to_uppercase(), escape(path));
    write!(out, "<details><summary><span class=method>{method}</span> <code>{path}</code> {summary}</summary>")?;
    let description = escape(text(&operation["description"]));
    write!(out, "<p>{description}</p>")?;
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        write!(out, "<h4>Parameters</h4><table>")?;
        for parameter in parameters {
            let cell = |name: &str| escape(text(&parameter[name]));
            let (name, place, description) = (cell("name"), cell("in"), cell("description"));
            let needed = if parameter["required"] == true { "required" } else { "" };
            write!(out, "<tr><td><code>{name}</code><td>{place}<td>{needed}<td>{description}")?;
        }
        write!(out, "</table>")?;
    }
    for (kind, content) in members(&operation["requestBody"]["content"]) {
        write!(out, "<h4>Body: {}</h4>{}", escape(kind), shape(&content["schema"]))?;
    }
    write!(out, "<h4>Answers</h4><table>")?;
    for (status, response) in members(&operation["responses"]) {
        let shapes: String = members(&response["content"]).map(|(_, content)| shape(&content["schema"])).collect();
        write!(out, "<tr><td>{}<td>{}<td>{shapes}", escape(status), escape(text(&response["description"])))?;
    }
    write!(out, "</table></details>")
}

/// A link to a shape with a name, or the shape itself.
fn shape(schema: &Value) -> String {
    match schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        Some(name) => format!("<a href='#{0}'><code>{0}</code></a>", escape(name)),
        None => pretty(schema),
    }
}

fn pretty(value: &Value) -> String {
    format!("<pre>{}</pre>", escape(&serde_json::to_string_pretty(value).unwrap_or_default()))
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_operation_and_shape_is_on_the_page() {
        let page = page(&json!({
            "info": { "title": "Shop", "version": "1" },
            "paths": { "/api/things": { "post": {
                "summary": "Makes a <thing>",
                "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } } },
                "responses": { "201": { "description": "made" } },
            } } },
            "components": { "schemas": { "Thing": { "type": "object" } } },
        }));
        for part in ["<code>/api/things</code>", "Makes a &lt;thing&gt;", "href='#Thing'", "id='Thing'", "201"] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("<script"));
    }
}
