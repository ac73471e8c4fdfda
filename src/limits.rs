//! The limits on what is read and written, each with its unit and its reason.
//!
//! Everything that untrusted users can make large has a limit here. Beyond it, a distribution is opaque and readers
//! read it themselves, so that an index can always be written. `python/epcache/_limits.py` has the limits that a
//! reader needs, under the same names.

/// Bytes of the largest METADATA or PKG-INFO that is read: long descriptions reach some 100 KiB.
pub const METADATA_SIZE: u64 = 8 << 20;
/// Bytes of the largest `entry_points.txt` that is read: real ones reach some 10 KiB.
pub const ENTRY_POINTS_SIZE: u64 = 1 << 20;
/// Bytes of the largest `top_level.txt` that is read: real ones have a line or two.
pub const TOP_LEVEL_SIZE: u64 = 1 << 20;
/// Bytes of the largest list of files that is read: real ones reach some MiB.
pub const FILES_SIZE: u64 = 16 << 20;

/// Bytes of the longest header of a metadata file that an index repeats.
pub const FIELD_LENGTH: usize = 1024;
/// Bytes of the importable names of one distribution.
pub const NAMES_LENGTH: usize = 64 << 10;
/// Bytes of the requirements of one distribution: real ones reach some 20 KiB.
pub const REQUIREMENTS_LENGTH: usize = 64 << 10;
/// Entry points of one distribution: real ones have some hundred.
pub const ENTRY_POINTS: usize = 10_000;
/// Bytes of the entry points of one distribution: of each its group, name and value.
pub const ENTRY_POINTS_LENGTH: usize = 1 << 20;

/// Distributions in one site directory. One with more has no index.
pub const DISTRIBUTIONS: usize = 100_000;
/// Bytes of the directory names of all distributions; escaped, a byte takes three. With more there is no index.
pub const DIRECTORY_NAMES: usize = 12 << 20;
/// Bytes of all entry points in one site directory. Each counts [`ENTRY_POINT_COST`] bytes more than its text.
pub const ALL_ENTRY_POINTS: usize = 32 << 20;
/// Bytes of all importable names in one site directory, with the names, versions and requirements of the
/// distributions.
pub const ALL_NAMES: usize = 32 << 20;
/// Bytes of the lines of all groups in a header.
pub const ALL_GROUPS: usize = 3 << 20;

/// Bytes that an entry point takes in memory, apart from its text.
pub const ENTRY_POINT_COST: usize = 128;
/// Bytes of the header line of a group, apart from its name: three numbers and the separators.
pub const GROUP_COST: usize = 36;

/// Bytes of the largest index. The limits above keep every index below it.
pub const INDEX_SIZE: u64 = 256 << 20;
/// Bytes of the largest header. The groups and three lists of rows take most of it.
pub const HEADER_SIZE: usize = 8 << 20;
/// Lines `without` in a header: an interpreter has about three such directories, and Debian's interpreters
/// share one site directory among all versions.
pub const WITHOUT_LINES: usize = 32;
/// Environments in one directory that a pattern of the configuration names.
pub const ENVIRONMENTS: usize = 10_000;
/// Directories of interpreters (`lib/python3.*`, `lib/pypy3.*`) in one environment: usually there is one.
pub const INTERPRETERS: usize = 64;
