//! dpkg. Its trigger gets the names of triggers and no files, and the root of the system in `DPKG_ROOT`.

use std::path::PathBuf;

use super::{Database, PackageManager};

pub(super) const DPKG: PackageManager = PackageManager {
    name: "dpkg",
    help: "A trigger of dpkg; takes the names of the activated triggers, and honours DPKG_ROOT",
    writes_list: false,
    root,
    // The status of all packages, which is replaced at the end of each run.
    databases: &[Database::at("/var/lib/dpkg/status")],
};

/// The system whose packages changed, if it is not the running one. This is the only variable that a
/// trigger honours: with `--force-script-chrootless`, dpkg runs scripts outside of the tree.
fn root() -> Option<PathBuf> {
    std::env::var_os("DPKG_ROOT").map(PathBuf::from).filter(|root| root.is_absolute())
}
