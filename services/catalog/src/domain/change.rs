//! Changes of a product: what is not named stays as it is.

use std::collections::HashSet;

use types::{Currency, LongText, Money, ShortText, Sku, VariantId};

use super::{Edit, Product, Refusal, Refusals, Status};

/// The most variants of one product.
const MOST_VARIANTS: usize = 100;

/// A change of a product. `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ProductChange {
    /// Its name.
    pub(crate) name: Option<ShortText>,
    /// What it is.
    pub(crate) description: Option<LongText>,
    /// Its category.
    pub(crate) category: Edit<ShortText>,
    /// Who sees it.
    pub(crate) status: Option<Status>,
    /// Share of recycled material in percent.
    pub(crate) recycled_percent: Edit<i16>,
    /// Greenhouse gases per unit, in grams of CO2 equivalent.
    pub(crate) co2e_grams: Edit<i64>,
    /// Variants to change, or to add, by their code.
    pub(crate) variants: Vec<VariantChange>,
}

/// A change of the variant of that code, or a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VariantChange {
    /// The merchant's code.
    pub(crate) sku: Sku,
    /// What tells it from the other variants.
    pub(crate) name: Edit<ShortText>,
    /// Its price.
    pub(crate) price: Option<Money>,
}

/// A change, as it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawChange<'a> {
    /// Its name.
    pub(crate) name: Option<&'a str>,
    /// What it is.
    pub(crate) description: Option<&'a str>,
    /// Its category.
    pub(crate) category: Edit<&'a str>,
    /// Who sees it.
    pub(crate) status: Option<&'a str>,
    /// Share of recycled material in percent.
    pub(crate) recycled_percent: Edit<i64>,
    /// Greenhouse gases per unit, in grams of CO2 equivalent.
    pub(crate) co2e_grams: Edit<i64>,
}

/// A change of a variant, as it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawVariantChange<'a> {
    /// The merchant's code.
    pub(crate) sku: &'a str,
    /// What tells it from the other variants.
    pub(crate) name: Edit<&'a str>,
    /// Its price.
    pub(crate) price: Option<Money>,
}

impl ProductChange {
    /// The change that was sent, or each field that cannot be: prices are in `currency`.
    pub(crate) fn parse<'a>(
        raw: RawChange<'a>,
        variants: impl ExactSizeIterator<Item = RawVariantChange<'a>>,
        currency: Currency,
    ) -> Result<Self, Vec<Refusal>> {
        let mut refusals = Refusals::default();
        let change = Self {
            name: refusals.parse_optional("name", raw.name),
            description: refusals.parse_optional("description", raw.description),
            category: raw.category.parse(|name| refusals.parse("category", name)),
            status: refusals.parse_optional("status", raw.status),
            recycled_percent: raw.recycled_percent.parse(|percent| refusals.recycled_percent(percent)),
            co2e_grams: raw.co2e_grams.parse(|grams| refusals.co2e_grams(grams)),
            variants: parse_variants(variants, currency, &mut refusals),
        };
        refusals.unless_refused(Some(change))
    }

    /// `product` as it is after this change; its category is left to the caller, who knows the names. New variants get
    /// their ids from `new_id`, and need a price.
    pub(crate) fn apply(
        &self,
        mut product: Product,
        mut new_id: impl FnMut() -> VariantId,
    ) -> Result<Product, Vec<Refusal>> {
        let mut refusals = Refusals::default();
        for (index, change) in self.variants.iter().enumerate() {
            match product.variants.iter_mut().find(|variant| variant.sku == change.sku) {
                Some(variant) => {
                    variant.price = change.price.unwrap_or(variant.price);
                    variant.name = change.name.clone().apply(variant.name.take());
                }
                None => match change.price {
                    Some(price) => product.variants.push(super::Variant {
                        id: new_id(),
                        sku: change.sku.clone(),
                        name: change.name.clone().apply(None),
                        price,
                        available: 0,
                    }),
                    None => refusals.add(format!("variants[{index}].price"), "is needed for a new variant"),
                },
            }
        }
        if product.variants.len() > MOST_VARIANTS {
            refusals.add("variants", format_args!("a product has at most {MOST_VARIANTS} variants"));
        }
        product.name = self.name.clone().unwrap_or(product.name);
        product.description = self.description.clone().unwrap_or(product.description);
        product.status = self.status.unwrap_or(product.status);
        product.recycled_percent = self.recycled_percent.apply(product.recycled_percent);
        product.co2e_grams = self.co2e_grams.apply(product.co2e_grams);
        product.version += 1;
        refusals.unless_refused(Some(product))
    }
}

fn parse_variants<'a>(
    variants: impl ExactSizeIterator<Item = RawVariantChange<'a>>,
    currency: Currency,
    refusals: &mut Refusals,
) -> Vec<VariantChange> {
    if variants.len() > MOST_VARIANTS {
        refusals.add("variants", format_args!("must be at most {MOST_VARIANTS} variants"));
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut parsed = Vec::with_capacity(variants.len());
    for (index, raw) in variants.enumerate() {
        let at = |field: &str| format!("variants[{index}].{field}");
        let sku: Option<Sku> = refusals.parse(at("sku"), raw.sku);
        let name = raw.name.parse(|name| refusals.parse(at("name"), name));
        let price = raw.price.and_then(|price| refusals.price(&at("price"), price, currency));
        let Some(sku) = sku else { continue };
        if !seen.insert(sku.clone()) {
            refusals.add(at("sku"), "must differ from the other variants'");
        }
        parsed.push(VariantChange { sku, name, price });
    }
    parsed
}

#[cfg(test)]
mod tests {
    use types::{ProductId, Slug};

    use super::*;
    use crate::domain::Variant;

    fn naira(amount: i64) -> Money {
        Money::new(amount, "NGN".parse().unwrap())
    }

    fn product() -> Product {
        Product {
            id: ProductId::new(),
            slug: Slug::from_title("Tote"),
            name: "Tote".parse().unwrap(),
            description: "".parse().unwrap(),
            category: None,
            status: Status::Active,
            recycled_percent: Some(80),
            co2e_grams: None,
            version: 3,
            variants: vec![Variant {
                id: VariantId::new(),
                sku: "TOTE".parse().unwrap(),
                name: Some("blue".parse().unwrap()),
                price: naira(100),
                available: 7,
            }],
        }
    }

    fn variant(sku: &str, price: Option<Money>) -> VariantChange {
        VariantChange { sku: sku.parse().unwrap(), name: Edit::Keep, price }
    }

    #[test]
    fn what_is_not_named_stays_as_it_is() {
        let before = product();
        let change = ProductChange { variants: vec![variant("TOTE", Some(naira(250)))], ..ProductChange::default() };
        let after = change.apply(before.clone(), VariantId::new).unwrap();
        let mut expected = before;
        expected.variants[0].price = naira(250);
        expected.version = 4;
        assert_eq!(after, expected);
    }

    #[test]
    fn null_empties_a_field() {
        let change = ProductChange { recycled_percent: Edit::Clear, ..ProductChange::default() };
        assert_eq!(change.apply(product(), VariantId::new).unwrap().recycled_percent, None);
    }

    #[test]
    fn an_unknown_code_adds_a_variant_which_needs_a_price() {
        let change = ProductChange { variants: vec![variant("LAMP", Some(naira(5)))], ..ProductChange::default() };
        assert_eq!(change.apply(product(), VariantId::new).unwrap().variants.len(), 2);
        let change = ProductChange { variants: vec![variant("LAMP", None)], ..ProductChange::default() };
        let refusals = change.apply(product(), VariantId::new).unwrap_err();
        assert_eq!(refusals[0].field, "variants[0].price");
    }
}
