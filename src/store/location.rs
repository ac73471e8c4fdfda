//! The locations where an index can lie, and the rules of each.
//!
//! A new location is one value in [`LOCATIONS`]. The rules are its fields: no other module asks which of
//! the locations it has before it.

use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use crate::freshness::Stamp;
use crate::limits::INDEX_SIZE;
use crate::site::SiteDir;
use crate::sys::caller;
use crate::sys::fs::{Links, OpenFile, Readers, Unreadable, is_writable_by_more, is_writable_by_others};
use crate::sys::root::System;
use crate::sys::tree::Entry;
use crate::sys::walk::Lost;

pub const FILE_NAME: &str = "index";
/// The directory of the index in a site directory.
pub const SIDECAR: &str = ".epcache";

/// A location for indexes, with the rules that apply to every index there.
#[derive(Debug, PartialEq, Eq)]
pub struct Location {
    base: Base,
    pub writer: Writer,
    /// A package manager fills the site directories, and its trigger runs us after each transaction. So the
    /// databases of package managers are the witnesses of a sealed index, and there must be one.
    pub managed: bool,
    /// Distributions may be recorded as settled. They may not where changes that leave the site
    /// directory's stamp alone happen without a refresh of this index.
    pub may_settle: bool,
    /// An index may be sealed. The same condition applies.
    pub may_seal: bool,
    /// Who may read the indexes and their directories.
    pub readers: Readers,
    /// What makes the directory usable, if that is always the same.
    pub hint: Option<&'static str>,
}

/// Where the directories of a location's indexes lie.
#[derive(Debug, PartialEq, Eq)]
enum Base {
    /// In each site directory, under this name. Made once: rewriting the index in it never changes the
    /// site directory's own stamp.
    Site(&'static str),
    /// Below this directory of the system, which repeats the paths of the site directories.
    System(&'static str),
    /// The same below this directory of `/usr`, for the site directories that are in `/usr` as well.
    Usr(&'static str),
    /// The same below this directory of the user's own cache directory.
    UserCache(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    SiteOwner,
    /// The system's user `epcache`.
    CacheUser,
    /// The user who calls.
    Caller,
    /// Root, who owns the system-wide site directories.
    Root,
}

/// Of environments, and of any other site directory that its owner refreshes.
pub static SITE: Location = Location {
    base: Base::Site(SIDECAR),
    writer: Writer::SiteOwner,
    managed: false,
    may_settle: true,
    may_seal: true,
    readers: Readers::Everybody,
    hint: None,
};

/// Of system-wide site directories.
pub static SYSTEM_CACHE: Location = Location {
    base: Base::System("var/cache/epcache"),
    writer: Writer::CacheUser,
    managed: true,
    may_settle: true,
    may_seal: true,
    readers: Readers::Everybody,
    hint: Some(
        "systemd-tmpfiles --create epcache.conf || install -d -o epcache -g epcache /var/cache/epcache",
    ),
};

/// Of system-wide site directories in an image, whose `/usr` is read-only later and whose `/var` begins empty.
pub static IMAGE: Location = Location {
    base: Base::Usr("lib/epcache/index"),
    writer: Writer::Root,
    managed: false,
    may_settle: true,
    may_seal: true,
    readers: Readers::Everybody,
    hint: Some("run it as root when the image is made, while /usr can be written to"),
};

/// Of site directories that the caller can only read. Their owner does not refresh this index.
pub static USER_CACHE: Location = Location {
    base: Base::UserCache("epcache"),
    writer: Writer::Caller,
    managed: false,
    may_settle: false,
    may_seal: false,
    readers: Readers::Owner,
    hint: None,
};

/// All locations, in the order in which readers try them.
pub static LOCATIONS: [&Location; 4] = [&SITE, &SYSTEM_CACHE, &IMAGE, &USER_CACHE];

impl Location {
    /// Whether the index is part of the site directory, and moves and vanishes with it.
    pub fn is_in_site(&self) -> bool {
        matches!(self.base, Base::Site(_))
    }

    /// Whether the indexes are part of an image, and do not change after it has been made. They are sealed by content, which
    /// no later change makes wrong, so nothing makes them stale; and no lock is left in the image.
    pub fn is_in_image(&self) -> bool {
        matches!(self.base, Base::Usr(_))
    }

    /// The directory below which all indexes of this location lie. `None` where each is in its own site
    /// directory, for root, and for a user without a home directory.
    pub fn top(&self, system: &System) -> Option<PathBuf> {
        match self.base {
            Base::Site(_) => None,
            Base::System(path) => Some(system.root().join(path)),
            Base::Usr(path) => Some(system.root().join("usr").join(path)),
            Base::UserCache(name) if system.caller_has_cache() => Some(user_cache()?.join(name)),
            Base::UserCache(_) => None,
        }
    }

    /// The directory of the index of `site`, in two parts: what exists beforehand, and what is made below.
    ///
    /// `None` for root, for a user without a home directory, and where the location is not for `site`.
    pub fn directory(&self, site: &Path, system: &System) -> Option<(PathBuf, PathBuf)> {
        if let Base::Site(name) = self.base {
            return Some((site.to_owned(), name.into()));
        }
        let below = system.within(site).strip_prefix("/").map(Path::to_owned).ok()?;
        if matches!(self.base, Base::Usr(_)) && !below.starts_with("usr") {
            return None;
        }
        Some((self.top(system)?, below))
    }

    pub fn index(&self, site: &Path, system: &System) -> Option<PathBuf> {
        let (base, below) = self.directory(site, system)?;
        Some(base.join(below).join(FILE_NAME))
    }

    /// Finds what one of these paths leads to. Only a user's own cache is outside of `system`.
    pub(crate) fn entry(&self, path: &Path, system: &System) -> Result<Entry, Lost> {
        match self.base {
            Base::UserCache(_) => Ok(Entry::of_running_system(path, Links::Refuse)),
            Base::Site(_) | Base::System(_) | Base::Usr(_) => system.entry(path, Links::Refuse),
        }
    }

    /// Whether readers trust an index here that belongs to `uid`: root; unless root alone writes here, the reader and
    /// the owner of the site directory; and for root's directories the user who writes here.
    fn trusts(&self, uid: u32, site_owner: u32, system: &System) -> bool {
        let is_one_s_own = uid == caller::uid() || uid == site_owner;
        let is_of_cache_user = || site_owner == 0 && system.cache_user().is_ok_and(|user| user.uid == uid);
        match self.writer {
            _ if uid == 0 => true,
            Writer::Root => false,
            Writer::CacheUser => is_one_s_own || is_of_cache_user(),
            Writer::SiteOwner | Writer::Caller => is_one_s_own,
        }
    }
}

/// `$XDG_CACHE_HOME`, by default `~/.cache`.
fn user_cache() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
}

/// An index file that a reader would trust.
#[derive(Debug)]
pub struct Found {
    pub location: &'static Location,
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// Its mtime in seconds.
    pub modified: i64,
}

/// Looks for indexes of `site` where a reader does, in its order. A file that is not trusted is given as a text: its
/// path, and the reason.
pub fn find(site: &SiteDir, system: &System) -> Vec<Result<Found, String>> {
    let Ok(site_stat) = rustix::fs::fstat(site) else { return Vec::new() };
    let in_location = |location: &'static Location| {
        let path = location.index(site.path(), system)?;
        let opened = match location.entry(&path, system) {
            Ok(entry) => entry.open_file(),
            Err(lost) => Err(lost.error.into()),
        };
        let is_changeable = |file: &Stat| match location.is_in_site() {
            true => is_writable_by_more(file, &site_stat),
            false => is_writable_by_others(file),
        };
        match read(opened, is_changeable, |uid| location.trusts(uid, site_stat.st_uid, system)) {
            Ok(found) => found.map(|(bytes, modified)| Ok(Found { location, path, bytes, modified })),
            Err(why) => Some(Err(format!("{}: skipped: {why}", path.display()))),
        }
    };
    LOCATIONS.into_iter().filter_map(in_location).collect()
}

/// The content and mtime of an index file that belongs to a trusted user, unless others may change it.
/// `None` where there is none.
fn read(
    opened: Result<OpenFile, Unreadable>,
    is_changeable: impl Fn(&Stat) -> bool,
    trusts: impl Fn(u32) -> bool,
) -> Result<Option<(Vec<u8>, i64)>, String> {
    let file = match opened {
        Ok(file) => file,
        Err(Unreadable::Missing) => return Ok(None),
        Err(why) => return Err(why.to_string()),
    };
    if is_changeable(&file.stat) {
        return Err("users other than its owner may write to it".to_owned());
    }
    if !trusts(file.stat.st_uid) {
        return Err(format!("owned by untrusted uid {}", file.stat.st_uid));
    }
    let bytes = file.read(INDEX_SIZE).map_err(|why| why.to_string())?;
    Ok(Some((bytes, Stamp::of(&file.stat).mtime_seconds())))
}
