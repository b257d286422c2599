//! `greencommerce openapi`: one document for the whole public interface.

use std::io::{self, Write};

use utoipa::openapi::{
    InfoBuilder, OpenApi, OpenApiBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

/// The documents of all services as one.
pub(crate) fn merged() -> OpenApi {
    let info = InfoBuilder::new()
        .title("GreenCommerce")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The REST interface of a GreenCommerce shop."))
        .build();
    let mut document = OpenApiBuilder::new().info(info).build();
    for service in [auth::openapi(), catalog::openapi(), inventory::openapi(), cart::openapi(), orders::openapi()] {
        document.merge(service);
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document
}

/// Prints the document on standard output.
pub(crate) fn print() -> io::Result<()> {
    let text = merged().to_pretty_json().map_err(io::Error::other)?;
    writeln!(io::stdout(), "{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_whole() {
        let document = serde_json::to_value(merged()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        for path in ["/api/auth/register", "/api/products", "/api/inventory/{variant_id}", "/api/cart", "/api/orders"] {
            assert!(document["paths"][path].is_object(), "{path}");
        }
        assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    }

    #[test]
    fn every_schema_that_is_referred_to_is_there() {
        let document = serde_json::to_value(merged()).unwrap();
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap_or_default();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
