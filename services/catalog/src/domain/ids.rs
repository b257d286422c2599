//! Ids that a repeated request makes again.

use sha2::{Digest, Sha256};
use types::{ProductId, Sku, VariantId};
use uuid::{Builder, Uuid};

/// The id of the variant `sku` of a new product: always the same for both, so that a request that is sent again gives the
/// same variants their stock. A `UUIDv7` of the product's time whose random part is a hash (RFC 9562, section 5.7).
#[must_use]
pub(crate) fn variant_id(product_id: ProductId, sku: &Sku) -> VariantId {
    let product: Uuid = product_id.as_uuid();
    let hash = Sha256::new().chain_update(product.as_bytes()).chain_update(sku.as_str()).finalize();
    let mut bytes = *product.as_bytes();
    for (byte, hashed) in bytes.iter_mut().zip(hash).skip(6) {
        *byte = hashed;
    }
    let mut id = Builder::from_bytes(bytes);
    id.set_version(uuid::Version::SortRand).set_variant(uuid::Variant::RFC4122);
    VariantId::from_uuid(id.into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_has_the_same_id_each_time_and_another_than_its_siblings() {
        let product = ProductId::new();
        let (small, large): (Sku, Sku) = ("TOTE-S".parse().unwrap(), "TOTE-L".parse().unwrap());
        assert_eq!(variant_id(product, &small), variant_id(product, &small));
        assert_ne!(variant_id(product, &small), variant_id(product, &large));
        assert_ne!(variant_id(product, &small), variant_id(ProductId::new(), &small));
        assert_eq!(variant_id(product, &small).as_uuid().get_version(), Some(uuid::Version::SortRand));
    }
}
