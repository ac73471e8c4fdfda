//! dpkg. Its trigger gets the names of triggers and no files, and the root of the system in `DPKG_ROOT`.

use std::path::PathBuf;

use super::Database;

/// The status of all packages, which is replaced at the end of each run.
pub(super) const DATABASES: &[Database] = &[Database::at("/var/lib/dpkg/status")];

/// The system whose packages changed, if it is not the running one. This is the only variable that a
/// trigger honours: with `--force-script-chrootless`, dpkg runs scripts outside of the tree.
pub fn root() -> Option<PathBuf> {
    std::env::var_os("DPKG_ROOT").map(PathBuf::from).filter(|root| root.is_absolute())
}
