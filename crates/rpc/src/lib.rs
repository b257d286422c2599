//! Contracts of the calls between services. The documents are `proto/greencommerce/*.proto`; a field may be added, never
//! renumbered or changed.

macro_rules! contract {
    ($(#[$doc:meta])+ $name:ident, $package:literal) => {
        $(#[$doc])+
        pub mod $name {
            /// Version 1 of the contract.
            pub mod v1 {
                tonic::include_proto!($package);
            }
        }
    };
}

contract! {
    /// What other services ask of the catalogue.
    catalog, "greencommerce.catalog.v1"
}
contract! {
    /// What other services ask of the stock keeper.
    inventory, "greencommerce.inventory.v1"
}
contract! {
    /// What checkout asks of the carts.
    cart, "greencommerce.cart.v1"
}
contract! {
    /// What several contracts share.
    types, "greencommerce.types.v1"
}
