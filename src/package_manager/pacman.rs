//! pacman, of Arch Linux. Its hooks get the paths of changed files on standard input, relative to the root of the
//! system; those of directories end in a slash.
//!
//! The hook after a transaction does not run when the transaction fails, though files may have changed by then.
//! An upgrade removes the old files before it writes the new ones. So a hook before the transaction calls with
//! `--before`. With `--root`, hooks run in a chroot of that system.

use super::{Database, PackageManager};

pub(super) const PACMAN: PackageManager = PackageManager {
    name: "pacman",
    help: "A hook of pacman; reads the changed paths from standard input",
    writes_list: true,
    root: || None,
    // The directory with one subdirectory for each installed package and version.
    databases: &[Database::at("/var/lib/pacman/local")],
};
