//! apk, of Alpine Linux. It has no trigger of ours yet.

use super::Database;

/// The list of installed packages; the second is its path since the merge of `/lib` and `/usr/lib`.
pub(super) const DATABASES: &[Database] =
    &[Database::at("/lib/apk/db/installed"), Database::at("/usr/lib/apk/db/installed")];
