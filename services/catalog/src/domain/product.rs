//! Products and their variants.

use std::{collections::HashSet, str::FromStr};

use types::{Currency, Invalid, LongText, Money, ProductId, ShortText, Sku, Slug, VariantId};

use super::{Refusal, Refusals};

/// The most variants of one product.
const MOST_VARIANTS: usize = 100;
/// The most units of a new variant.
const LARGEST_STOCK: i64 = 1_000_000_000;

/// A product as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Product {
    /// The product.
    pub(crate) id: ProductId,
    /// Its place in addresses.
    pub(crate) slug: Slug,
    /// Its name.
    pub(crate) name: ShortText,
    /// What it is.
    pub(crate) description: LongText,
    /// Its category.
    pub(crate) category: Option<Category>,
    /// Who sees it.
    pub(crate) status: Status,
    /// Share of recycled material in percent.
    pub(crate) recycled_percent: Option<i16>,
    /// Greenhouse gases per unit, in grams of CO2 equivalent.
    pub(crate) co2e_grams: Option<i64>,
    /// Counts the changes.
    pub(crate) version: i64,
    /// What of it is sold.
    pub(crate) variants: Vec<Variant>,
}

/// A category of products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Category {
    /// The category.
    pub(crate) id: i64,
    /// Its name.
    pub(crate) name: String,
}

/// What is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variant {
    /// The variant.
    pub(crate) id: VariantId,
    /// The merchant's code.
    pub(crate) sku: Sku,
    /// What tells it from the other variants.
    pub(crate) name: Option<ShortText>,
    /// Its price.
    pub(crate) price: Money,
    /// Units that can be ordered, as far as inventory has said.
    pub(crate) available: i64,
}

/// Who sees a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Staff, who are still writing it.
    Draft,
    /// Everybody.
    Active,
    /// Staff: it is not sold any more.
    Archived,
}

/// A product to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewProduct {
    /// Its name.
    pub(crate) name: ShortText,
    /// What it is.
    pub(crate) description: LongText,
    /// Its category.
    pub(crate) category: Option<ShortText>,
    /// Who sees it.
    pub(crate) status: Status,
    /// Share of recycled material in percent.
    pub(crate) recycled_percent: Option<i16>,
    /// Greenhouse gases per unit, in grams of CO2 equivalent.
    pub(crate) co2e_grams: Option<i64>,
    /// What of it is sold; at least one.
    pub(crate) variants: Vec<NewVariant>,
}

/// A variant to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewVariant {
    /// The merchant's code.
    pub(crate) sku: Sku,
    /// What tells it from the other variants.
    pub(crate) name: Option<ShortText>,
    /// Its price.
    pub(crate) price: Money,
    /// Units there are of it at first; where nothing is said, inventory starts with 0.
    pub(crate) stock: Option<i64>,
}

/// A product to be made, as it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawProduct<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// What it is.
    pub(crate) description: &'a str,
    /// Its category.
    pub(crate) category: Option<&'a str>,
    /// Who sees it.
    pub(crate) status: Option<&'a str>,
    /// Share of recycled material in percent.
    pub(crate) recycled_percent: Option<i64>,
    /// Greenhouse gases per unit, in grams of CO2 equivalent.
    pub(crate) co2e_grams: Option<i64>,
}

/// A variant to be made, as it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawVariant<'a> {
    /// The merchant's code.
    pub(crate) sku: &'a str,
    /// What tells it from the other variants.
    pub(crate) name: Option<&'a str>,
    /// Its price.
    pub(crate) price: Money,
    /// Units there are of it at first.
    pub(crate) stock: Option<i64>,
}

impl NewProduct {
    /// The product that was sent, or each field that cannot be: prices are in `currency`.
    pub(crate) fn parse<'a>(
        raw: RawProduct<'a>,
        variants: impl ExactSizeIterator<Item = RawVariant<'a>>,
        currency: Currency,
    ) -> Result<Self, Vec<Refusal>> {
        let mut refusals = Refusals::default();
        let name = refusals.parse("name", raw.name);
        let description = refusals.parse("description", raw.description);
        let category = refusals.parse_optional("category", raw.category);
        let status = refusals.parse("status", raw.status.unwrap_or(Status::Active.as_str()));
        let recycled_percent = raw.recycled_percent.and_then(|percent| refusals.recycled_percent(percent));
        let co2e_grams = raw.co2e_grams.and_then(|grams| refusals.co2e_grams(grams));
        let variants = parse_variants(variants, currency, &mut refusals);
        let product = name.zip(description).zip(status).map(|((name, description), status)| Self {
            name,
            description,
            category,
            status,
            recycled_percent,
            co2e_grams,
            variants,
        });
        refusals.unless_refused(product)
    }
}

fn parse_variants<'a>(
    variants: impl ExactSizeIterator<Item = RawVariant<'a>>,
    currency: Currency,
    refusals: &mut Refusals,
) -> Vec<NewVariant> {
    if !(1..=MOST_VARIANTS).contains(&variants.len()) {
        refusals.add("variants", format_args!("must be 1 to {MOST_VARIANTS} variants"));
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut parsed = Vec::with_capacity(variants.len());
    for (index, raw) in variants.enumerate() {
        let at = |field: &str| format!("variants[{index}].{field}");
        let sku: Option<Sku> = refusals.parse(at("sku"), raw.sku);
        let name = refusals.parse_optional(at("name"), raw.name);
        let price = refusals.price(&at("price"), raw.price, currency);
        if raw.stock.is_some_and(|units| !(0..=LARGEST_STOCK).contains(&units)) {
            refusals.add(at("stock"), format_args!("must be 0 to {LARGEST_STOCK}"));
        }
        if let Some((sku, price)) = sku.zip(price) {
            if !seen.insert(sku.clone()) {
                refusals.add(at("sku"), "must differ from the other variants'");
            }
            parsed.push(NewVariant { sku, name, price, stock: raw.stock });
        }
    }
    parsed
}

impl Product {
    /// Whether everybody sees it.
    #[must_use]
    pub(crate) fn is_public(&self) -> bool {
        self.status == Status::Active
    }
}

impl Status {
    /// Its name in the database and on the wire.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }
}

impl FromStr for Status {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "draft" => Ok(Self::Draft),
            "active" => Ok(Self::Active),
            "archived" => Ok(Self::Archived),
            _ => Err(Invalid::new("must be draft, active or archived")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naira() -> Currency {
        "NGN".parse().unwrap()
    }

    fn raw() -> RawProduct<'static> {
        RawProduct {
            name: "Tote of old sails",
            description: "",
            category: None,
            status: None,
            recycled_percent: None,
            co2e_grams: None,
        }
    }

    fn variant(sku: &str, amount: i64) -> RawVariant<'_> {
        RawVariant { sku, name: None, price: Money::new(amount, naira()), stock: None }
    }

    fn fields(result: Result<NewProduct, Vec<Refusal>>) -> Vec<String> {
        result.unwrap_err().into_iter().map(|refusal| refusal.field).collect()
    }

    #[test]
    fn a_product_is_for_sale_unless_something_else_is_said() {
        let product = NewProduct::parse(raw(), [variant("T", 1)].into_iter(), naira()).unwrap();
        assert_eq!(product.status, Status::Active);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let wrong =
            RawProduct { name: "", category: Some("\0"), recycled_percent: Some(101), co2e_grams: Some(-1), ..raw() };
        let euro = RawVariant { price: Money::new(1, "EUR".parse().unwrap()), ..variant("A", 1) };
        let variants = [variant("", -1), euro, RawVariant { stock: Some(-1), ..variant("B", 1) }];
        let expected = [
            "name",
            "category",
            "recycled_percent",
            "co2e_grams",
            "variants[0].sku",
            "variants[0].price.amount",
            "variants[1].price.currency",
            "variants[2].stock",
        ];
        assert_eq!(fields(NewProduct::parse(wrong, variants.into_iter(), naira())), expected);
    }

    #[test]
    fn two_variants_of_one_code_or_none_at_all_are_refused() {
        assert_eq!(fields(NewProduct::parse(raw(), [].into_iter(), naira())), ["variants"]);
        let twins = [variant("A", 1), variant("A", 2)];
        assert_eq!(fields(NewProduct::parse(raw(), twins.into_iter(), naira())), ["variants[1].sku"]);
    }
}
