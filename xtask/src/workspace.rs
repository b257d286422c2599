//! Where things lie in this checkout.

use std::path::PathBuf;

/// The root of the checkout this `xtask` was built from.
pub(crate) fn root() -> PathBuf {
    devenv::paths::workspace_root()
}
