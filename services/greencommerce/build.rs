//! How the program is linked.

use std::io::Write as _;

/// Packs the places that the loader has to adapt: a list of a megabyte, which every process would read, becomes one of
/// some kilobytes (`DT_RELR`, which glibc knows since 2.36).
fn main() -> std::io::Result<()> {
    writeln!(std::io::stdout(), "cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs")
}
