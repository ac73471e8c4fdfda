//! apk, of Alpine Linux. Its trigger gets the changed directories as arguments, or all that match when our own package
//! is installed. It gets nothing on standard input, and runs before apk writes its database.
//!
//! A commit hook calls with `--before` before any file changes, and again at the end, since the trigger does not run
//! where no site directory changed.

use super::{Database, PackageManager};

pub(super) const APK: PackageManager = PackageManager {
    name: "apk",
    help: "A trigger of apk; takes the changed directories",
    writes_list: false,
    root: || None,
    // The list of installed packages; the second is its path since the merge of `/lib` and `/usr/lib`.
    databases: &[Database::at("/lib/apk/db/installed"), Database::at("/usr/lib/apk/db/installed")],
};
