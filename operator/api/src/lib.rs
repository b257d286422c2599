//! The custom resources of greencommerce.dev, and the names of their conditions and reasons.
