//! What the service tests share.
