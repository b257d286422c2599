//! Contracts of the calls between services.
