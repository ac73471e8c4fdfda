//! pacman, of Arch Linux. It has no trigger of ours yet.

use super::Database;

/// The directory with one subdirectory for each installed package and version.
pub(super) const DATABASES: &[Database] = &[Database::at("/var/lib/pacman/local")];
