//! RPM. Its file triggers get the paths of changed files on standard input, or nothing.
//!
//! `%transfiletriggerin` gets the files of all packages installed in the transaction, or every matching
//! file of the database if our own package is among them. `%transfiletriggerpostun` gets nothing.
//! `%transfiletriggerun` runs before any file changes, if a package is replaced or erased: it calls with `--before`,
//! and the files of the packages that go are not read.

use super::{Database, PackageManager};

pub(super) const RPM: PackageManager = PackageManager {
    name: "rpm",
    help: "A file trigger of RPM; reads the changed paths from standard input",
    writes_list: true,
    root: || None,
    databases: DATABASES,
};

/// The databases of all formats, in the directories that distributions of Linux have chosen.
const DATABASES: &[Database] = &[
    Database { path: "/var/lib/rpm/rpmdb.sqlite", log: Some("/var/lib/rpm/rpmdb.sqlite-wal") },
    Database::at("/var/lib/rpm/Packages.db"),
    Database::at("/var/lib/rpm/Packages"),
    Database {
        path: "/usr/lib/sysimage/rpm/rpmdb.sqlite",
        log: Some("/usr/lib/sysimage/rpm/rpmdb.sqlite-wal"),
    },
    Database::at("/usr/lib/sysimage/rpm/Packages.db"),
    Database::at("/usr/lib/sysimage/rpm/Packages"),
    Database { path: "/usr/share/rpm/rpmdb.sqlite", log: Some("/usr/share/rpm/rpmdb.sqlite-wal") },
];
