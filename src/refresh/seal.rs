//! Sealing: what proves an index right in a copy of its tree, such as an image unpacked elsewhere.
//!
//! Of the stamps in an index only mtimes survive that, and those in whole seconds. So a sealed index
//! names further things that a reader compares: the time that its own file was given, which shows
//! whether times came along at all; all names in the site directory; and for a system-wide index the
//! databases of the package managers, since those replace files without the site directory moving.
//! `docs/reference/freshness.md` has the reasons. What is here decides whether an index may be sealed, and gives
//! the same proof as a reader.

use std::borrow::Cow;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FileType, Stat};

use crate::freshness::Stamp;
use crate::freshness::clock::{SETTLE_AFTER, now};
use crate::index::{Index, Seal, Witness};
use crate::store::location::Place;
use crate::sys::root::System;

const SECOND: i64 = 1_000_000_000;
/// A time that the kernel gave a file is at most so far from that of the inode: dpkg writes its
/// database, syncs and renames it. What is further away was set by a program, as a rule by one that
/// unpacks archives, and such times can be made up: the same for everything.
const NATURAL: i64 = 2 * SECOND;

/// The databases of package managers. Each transaction moves at least one of those of its manager.
const DATABASES: [&str; 11] = [
    "/var/lib/dpkg/status",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages.db",
    "/var/lib/rpm/Packages",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/usr/lib/sysimage/rpm/Packages",
    "/usr/share/rpm/rpmdb.sqlite",
    "/lib/apk/db/installed",
    "/usr/lib/apk/db/installed",
    "/var/lib/pacman/local",
];

/// Why an index can't be sealed, or does not give the proof of a sealed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Of a directory that is somebody else's.
    Foreign,
    /// Something changed in the last seconds, or will have by its clock.
    Young,
    /// A time may be the same for whatever is packed with it.
    MadeUp,
    /// The directory is the system's, and no package manager is known.
    NoDatabase,
    /// The index file does not have the time that it was given.
    Times,
    /// Another time, or other names in it.
    Directory,
    /// A package manager has been at work.
    Packages,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "nobody would be told of changes to a directory that is somebody else's",
            Self::Young => "it keeps changing, or has times in the future",
            Self::MadeUp => "a program has set its time or that of the package database, so that a later change may get the same",
            Self::NoDatabase => "there is no package database that would tell of later changes",
            Self::Times => "files have been given other times since it was sealed",
            Self::Directory => "the directory has changed since it was sealed",
            Self::Packages => "packages have changed since it was sealed",
        })
    }
}

/// Whether the kernel gave the time, by its clock, when it changed the file.
#[must_use]
pub fn is_natural(stamp: Stamp) -> bool {
    (0..=NATURAL).contains(&stamp.ctime.saturating_sub(stamp.mtime)) && is_a_time(stamp.mtime / SECOND)
}

/// How long to wait until nothing in `index` is so young that a later change may get its time.
#[must_use]
pub fn wait(index: &Index<'_>, place: Place, system: &System) -> Duration {
    let young = index.distributions.iter().filter(|row| !row.settled).map(|row| row.stamps.newest_ctime());
    let databases = databases(place, system).into_iter().filter_map(|(_, stat)| stat);
    let newest = young.chain(databases.map(|stat| Stamp::of(&stat).ctime)).fold(index.site.ctime, i64::max);
    let guard = i64::try_from(SETTLE_AFTER.as_nanos()).unwrap_or(i64::MAX);
    let left = newest.saturating_add(guard).saturating_sub(now());
    Duration::from_nanos(u64::try_from(left).unwrap_or(0))
}

/// The seal of `index`, if it can have one.
///
/// # Errors
/// Why it can't.
pub fn seal(index: &Index<'_>, names: u64, place: Place, system: &System) -> Result<Seal<'static>, Why> {
    if place == Place::User {
        return Err(Why::Foreign);
    }
    // A distribution that is still without metadata is left to the readers, like any other unsettled one.
    let named = |row: &&crate::metadata::Distribution<'_>| row.stamps.metadata.is_some();
    let unfinished = index.distributions.iter().filter(named).any(|row| !row.settled);
    if !index.settled || unfinished || !wait(index, place, system).is_zero() {
        return Err(Why::Young);
    }
    if !is_natural(index.site) {
        return Err(Why::MadeUp);
    }
    let databases = databases(place, system);
    if place == Place::System && databases.is_empty() {
        return Err(Why::NoDatabase);
    }
    // Logs beside a database count for what they hold alone.
    let is_log = |path: &str| path.ends_with("-wal");
    if databases
        .iter()
        .any(|(path, stat)| !is_log(path) && stat.as_ref().is_none_or(|stat| !is_natural(Stamp::of(stat))))
    {
        return Err(Why::MadeUp);
    }
    let witnesses = databases
        .into_iter()
        .map(|(path, stat)| Witness { path: Cow::Owned(path.into_bytes()), state: stat.as_ref().map(state) });
    Ok(Seal { time: now() / SECOND, names, witnesses: witnesses.collect() })
}

/// The proof that a reader gives: `modified` is the time of the index file in seconds, `site` the stamp
/// of the site directory and `names` the check of what is in it.
///
/// # Errors
/// What is not as it was.
pub fn prove(
    index: &Index<'_>,
    seal: &Seal<'_>,
    modified: i64,
    site: Stamp,
    names: u64,
    system: &System,
) -> Result<(), Why> {
    // Otherwise it is not a copy, and the directory is as it was.
    if index.site != site {
        if !is_same(seal.time, modified) {
            return Err(Why::Times);
        }
        let (then, now) = (index.site.mtime.div_euclid(SECOND), site.mtime.div_euclid(SECOND));
        if !is_same(then, now) || seal.names != names {
            return Err(Why::Directory);
        }
    }
    let moved = seal.witnesses.iter().any(|witness| {
        let path = Path::new(std::ffi::OsStr::from_bytes(&witness.path));
        match (witness.state, look(path, system).as_ref().map(state)) {
            (None, None) => false,
            (Some((time, size)), Some((time_now, size_now))) => !is_same(time, time_now) || size != size_now,
            _ => true,
        }
    });
    if moved { Err(Why::Packages) } else { Ok(()) }
}

/// Whether one time may be the other, truncated or rounded to a second.
fn is_same(recorded: i64, found: i64) -> bool {
    is_a_time(recorded) && is_a_time(found) && recorded.abs_diff(found) <= 1
}

/// 0 is what OSTree gives all files, 1 what Nix does.
fn is_a_time(seconds: i64) -> bool {
    seconds > 1
}

fn state(stat: &Stat) -> (i64, u64) {
    let stamp = Stamp::of(stat);
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    (stamp.mtime.div_euclid(SECOND).max(0), if is_file { stamp.size } else { 0 })
}

/// The databases that are there, and the logs that belong to them, there or not.
fn databases(place: Place, system: &System) -> Vec<(String, Option<Stat>)> {
    let mut found = Vec::new();
    if place != Place::System {
        return found;
    }
    for path in DATABASES {
        if let Some(stat) = look(Path::new(path), system) {
            found.push((path.to_owned(), Some(stat)));
            if path.ends_with(".sqlite") {
                let log = format!("{path}-wal");
                let stat = look(Path::new(&log), system);
                found.push((log, stat));
            }
        }
    }
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    found
}

fn look(path: &Path, system: &System) -> Option<Stat> {
    let seen = system.own_file(path).ok()??;
    rustix::fs::stat(seen).ok()
}
