//! dpkg: names of triggers and no files; the root of the system in `DPKG_ROOT`.

use std::path::PathBuf;

/// The system whose packages changed, when it is not the running one. This is the only variable
/// that a trigger heeds: with `--force-script-chrootless`, dpkg runs scripts outside of the tree.
#[must_use]
pub fn root() -> Option<PathBuf> {
    std::env::var_os("DPKG_ROOT").map(PathBuf::from).filter(|root| root.is_absolute())
}
