//! Sealing: what proves an index right in a copy of its tree, such as an unpacked image.
//!
//! In a copy only mtimes survive, in whole seconds. So a sealed index records more that a reader compares:
//! the time given to its own file, which shows whether times survived at all; all names in the site
//! directory; and for a managed location the databases of the package managers ([`Witness`]), because
//! those replace files without changing the site directory's stamp. `docs/reference/freshness.md` has the reasons.
//!
//! [`seal`] decides whether an index may be sealed, and [`prove`] gives the same proof as a reader.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FileType, Stat};

use crate::freshness::clock::{SETTLE_AFTER, TICK, now};
use crate::freshness::{SECOND, Stamp};
use crate::index::{Index, Seal, Witness};
use crate::package_manager;
use crate::store::location::Location;
use crate::sys::fs::Links;
use crate::sys::root::System;

/// How much older than its ctime an mtime from the kernel can be: dpkg writes its database, syncs and
/// renames it. An older mtime was set by a program, mostly one that unpacks archives, and such times can be
/// the same for everything.
const MAX_MTIME_LAG: i64 = 2 * SECOND;

/// Why an index can't be sealed, or is not proven by its seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    NotTracked,
    TooYoung,
    MtimeSet,
    DatabaseMtimeSet,
    NoDatabase,
    OtherTimes,
    DirectoryChanged,
    PackagesChanged,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTracked => "the directory belongs to another user, whose changes are not tracked",
            Self::TooYoung => "it keeps changing, or has times in the future",
            Self::MtimeSet => "the mtime of the directory was set explicitly and may recur",
            Self::DatabaseMtimeSet => "the mtime of the package database was set explicitly and may recur",
            Self::NoDatabase => "there is no package database that would show later changes",
            Self::OtherTimes => "files have been given other times since it was sealed",
            Self::DirectoryChanged => "the directory has changed since it was sealed",
            Self::PackagesChanged => "packages have changed since it was sealed",
        })
    }
}

impl SealError {
    /// What helps. `site` is the site directory for a shell, and `seal` the command that seals its index.
    pub fn hint(self, site: &str, seal: &str) -> String {
        match self {
            Self::NotTracked => format!("let its owner run {seal}"),
            Self::TooYoung => format!("{seal}, when no installer is running"),
            Self::MtimeSet => format!("touch {site} && {seal}"),
            Self::DatabaseMtimeSet => {
                format!("in the step that runs the package manager, and after it: {seal}")
            }
            Self::NoDatabase => {
                "seal environments only; nothing would show that system-wide packages have changed".to_owned()
            }
            Self::OtherTimes | Self::DirectoryChanged | Self::PackagesChanged => seal.to_owned(),
        }
    }
}

/// Whether the kernel set the mtime when something changed, and no program did afterwards.
pub(super) fn is_kernel_mtime(stamp: Stamp) -> bool {
    (0..=MAX_MTIME_LAG).contains(&stamp.ctime.saturating_sub(stamp.mtime)) && is_time(stamp.mtime / SECOND)
}

/// How long to wait until nothing in `index` is so young that a later change may get its time.
pub(super) fn time_to_wait(index: &Index<'_>, location: &Location, system: &System) -> Duration {
    let young = index.distributions.iter().filter(|row| !row.settled).map(|row| row.stamps.newest_ctime());
    let databases = databases(location, system).into_iter().filter_map(|database| database.stat);
    let newest = young.chain(databases.map(|stat| Stamp::of(&stat).ctime)).fold(index.site.ctime, i64::max);
    let guard = i64::try_from(SETTLE_AFTER.as_nanos()).unwrap_or(i64::MAX);
    let left = u64::try_from(newest.saturating_add(guard).saturating_sub(now())).unwrap_or(0);
    // What was too young when it was read may be old enough by now, and is read once more.
    match left > 0 || is_unfinished(index) {
        true => Duration::from_nanos(left) + TICK,
        false => Duration::ZERO,
    }
}

/// Whether something may still be written. A distribution that is still without metadata is left to the readers, like
/// any unsettled one.
fn is_unfinished(index: &Index<'_>) -> bool {
    index.distributions.iter().any(|row| row.stamps.metadata.is_some() && !row.settled)
}

/// The seal of `index`; `names` is the hash of all names in the site directory.
pub(super) fn seal(
    index: &Index<'_>,
    names: u64,
    location: &Location,
    system: &System,
) -> Result<Seal<'static>, SealError> {
    if !location.may_seal {
        return Err(SealError::NotTracked);
    }
    if !index.settled || !time_to_wait(index, location, system).is_zero() {
        return Err(SealError::TooYoung);
    }
    if !is_kernel_mtime(index.site) {
        return Err(SealError::MtimeSet);
    }
    let databases = databases(location, system);
    if location.managed && databases.is_empty() {
        return Err(SealError::NoDatabase);
    }
    let is_kernel_s = |stat: &Stat| is_kernel_mtime(Stamp::of(stat));
    // The time of a log proves nothing, only its size.
    if databases.iter().any(|database| !database.is_log && !database.stat.as_ref().is_some_and(is_kernel_s)) {
        return Err(SealError::DatabaseMtimeSet);
    }
    let witnesses = databases.into_iter().map(|database| Witness {
        path: Cow::Borrowed(database.path.as_bytes()),
        state: database.stat.as_ref().map(state),
    });
    Ok(Seal::Times { time: now() / SECOND, names, witnesses: witnesses.collect() })
}

/// Proves a sealed index as a reader does, but for what a comparison with the files proves. `modified` is the mtime of the index file in seconds, `site` the
/// stamp of the site directory, and `names` the hash of all names in it.
pub(super) fn prove(
    index: &Index<'_>,
    seal: &Seal<'_>,
    modified: i64,
    site: Stamp,
    names: u64,
    system: &System,
) -> Result<(), SealError> {
    let Seal::Times { time, names: sealed_names, witnesses } = seal else { return Ok(()) };
    // With the recorded stamp it is not a copy, and the directory is unchanged.
    if index.site != site {
        if !is_same(*time, modified) {
            return Err(SealError::OtherTimes);
        }
        if !is_same(index.site.mtime_seconds(), site.mtime_seconds()) || *sealed_names != names {
            return Err(SealError::DirectoryChanged);
        }
    }
    let has_changed = |witness: &Witness<'_>| {
        let path = Path::new(OsStr::from_bytes(&witness.path));
        match (witness.state, stat(path, system).as_ref().map(state)) {
            (None, None) => false,
            (Some((time, size)), Some((time_now, size_now))) => !is_same(time, time_now) || size != size_now,
            _ => true,
        }
    };
    if witnesses.iter().any(has_changed) { Err(SealError::PackagesChanged) } else { Ok(()) }
}

/// Whether both can be the same time, truncated or rounded to a second.
fn is_same(recorded: i64, found: i64) -> bool {
    is_time(recorded) && is_time(found) && recorded.abs_diff(found) <= 1
}

/// Whether these seconds are a time: OSTree gives all files 0, and Nix 1.
fn is_time(seconds: i64) -> bool {
    seconds > 1
}

/// What a witness records of a file: mtime in seconds and, if it is a regular file, size.
fn state(stat: &Stat) -> (i64, u64) {
    let stamp = Stamp::of(stat);
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    (stamp.mtime_seconds().max(0), if is_file { stamp.size } else { 0 })
}

/// A package manager's database as it is now, or the log of one.
struct Database {
    path: &'static str,
    /// `None` for a log that is not there.
    stat: Option<Stat>,
    is_log: bool,
}

/// The databases in the system, and their logs, there or not, sorted by path. None where the location is
/// not managed.
fn databases(location: &Location, system: &System) -> Vec<Database> {
    let mut found = Vec::new();
    if !location.managed {
        return found;
    }
    for package_manager::Database { path, log } in package_manager::databases() {
        let Some(seen) = stat(Path::new(path), system) else { continue };
        found.push(Database { path, stat: Some(seen), is_log: false });
        if let Some(log) = log {
            found.push(Database { path: log, stat: stat(Path::new(log), system), is_log: true });
        }
    }
    found.sort_unstable_by_key(|database| database.path);
    found
}

fn stat(path: &Path, system: &System) -> Option<Stat> {
    system.entry(&system.seen(path), Links::Follow).ok()?.stat().ok()
}
