//! The sample catalogue, loaded through the public API like any merchant's.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    admin,
    api::{Answer, Api},
    environment::Environment,
    store::Store,
};
use crate::{cluster::kubectl::Kubectl, digest::Key, ui::Step, workspace};

/// `cluster/sample/catalogue.yaml`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    products: Vec<Product>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    name: String,
    description: String,
    category: String,
    recycled_percent: u8,
    /// Per unit.
    co2e_grams: u32,
    variants: Vec<Variant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    sku: String,
    name: String,
    /// In minor units of the store's currency.
    price: u32,
    stock: u32,
}

/// Creates the products of which the shop has no variant yet.
pub(super) fn ensure(
    step: &Step,
    kubectl: &Kubectl,
    api: &Api,
    store: &Store,
    environment: &Environment,
) -> Result<()> {
    let products = read()?;
    let known = known_skus(api)?;
    let missing: Vec<&Product> = products.iter().filter(|product| !product.is_known(&known)).collect();
    if missing.is_empty() {
        step.note("unchanged");
        return Ok(());
    }
    let token = admin::log_in(step, kubectl, api, store, environment)?;
    let mut created = 0;
    for (index, product) in missing.iter().enumerate() {
        step.show(&format!("{} of {}: {}", index + 1, missing.len(), product.name));
        created += usize::from(create(api, &token, product)?);
    }
    step.note(format!("{created} products created"));
    Ok(())
}

/// Whether the product was created; one that staff archived is in no list but its codes stay taken.
fn create(api: &Api, token: &str, product: &Product) -> Result<bool> {
    let body = product.body();
    let authorization = format!("Bearer {token}");
    let key = format!("sample-{}", Key::new().part(body.to_string()).hex(32));
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", key.as_str())];
    let Answer { status, body } = api.post("/api/products", &headers, &body)?;
    match status {
        201 => Ok(true),
        409 => Ok(false),
        _ => bail!("POST /api/products answered {status} for {:?}: {}", product.name, body),
    }
}

fn known_skus(api: &Api) -> Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    let mut path = "/api/products?limit=100".to_owned();
    loop {
        let Answer { status, body } = api.get(&path)?;
        let items = body["items"].as_array();
        let Some(items) = items.filter(|_| status == 200) else { bail!("GET {path} answered {status}: {body}") };
        let variants = items.iter().filter_map(|product| product["variants"].as_array()).flatten();
        known.extend(variants.filter_map(|variant| variant["sku"].as_str().map(str::to_owned)));
        match body["next"].as_str() {
            Some(cursor) => path = format!("/api/products?limit=100&cursor={cursor}"),
            None => return Ok(known),
        }
    }
}

fn read() -> Result<Vec<Product>> {
    let file = workspace::root().join("cluster/sample/catalogue.yaml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let catalogue: Catalogue =
        serde_yaml::from_str(&text).with_context(|| format!("{} is not a catalogue", file.display()))?;
    Ok(catalogue.products)
}

impl Product {
    fn is_known(&self, known: &BTreeSet<String>) -> bool {
        self.variants.iter().any(|variant| known.contains(&variant.sku))
    }

    fn body(&self) -> Value {
        let variants: Vec<Value> = self
            .variants
            .iter()
            .map(|variant| {
                json!({
                    "sku": variant.sku,
                    "name": variant.name,
                    "price": {"amount": variant.price, "currency": "NGN"},
                    "stock": variant.stock,
                })
            })
            .collect();
        json!({
            "name": self.name,
            "description": self.description,
            "category": self.category,
            "recycled_percent": self.recycled_percent,
            "co2e_grams": self.co2e_grams,
            "variants": variants,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_large_varied_and_in_stock() {
        let products = read().unwrap();
        assert!(products.len() >= 60);
        let categories: BTreeSet<&str> = products.iter().map(|product| product.category.as_str()).collect();
        assert!(categories.len() >= 8);
        let variants: Vec<&Variant> = products.iter().flat_map(|product| &product.variants).collect();
        let skus: BTreeSet<&str> = variants.iter().map(|variant| variant.sku.as_str()).collect();
        assert_eq!(skus.len(), variants.len(), "codes are unique");
        assert!(variants.iter().all(|variant| variant.price > 0 && variant.stock > 0));
        assert!(products.iter().all(|product| (50..=100).contains(&product.recycled_percent)));
    }

    #[test]
    fn a_product_is_known_by_any_of_its_variants() {
        let product = &read().unwrap()[0];
        assert!(!product.is_known(&BTreeSet::new()));
        assert!(product.is_known(&BTreeSet::from([product.variants[1].sku.clone()])));
    }
}
