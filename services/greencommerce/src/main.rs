//! Every service in one binary.

fn main() {}
