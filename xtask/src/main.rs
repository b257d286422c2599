//! `cargo xtask`: run, test and measure GreenCommerce.

fn main() {}
