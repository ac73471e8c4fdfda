//! Where the index of a site directory lies, and whose index is believed.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::index::MAX_INDEX;
use crate::site::SiteDir;
use crate::sys::root::System;

/// Below this directory, the paths of system-wide site directories are repeated.
pub const SYSTEM_CACHE: &str = "var/cache/epcache";
/// The directory beside the distributions, made once so that rewriting the index in it never touches
/// the site directory's own stamp.
pub const SIDECAR: &str = ".epcache";
/// The index itself.
pub const FILE_NAME: &str = "index";

/// One of the three places for an index, in the order in which readers try them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the site directory.
    Sidecar,
    /// In the system's cache directory.
    System,
    /// In the cache directory of the user who runs this.
    User,
}

/// All of them.
pub const PLACES: [Place; 3] = [Place::Sidecar, Place::System, Place::User];

impl Place {
    /// The directory that exists or is made beforehand, and what follows below it.
    ///
    /// `None` where there is no such place: a user without a home directory.
    #[must_use]
    pub fn directory(self, site: &Path, system: &System) -> Option<(PathBuf, PathBuf)> {
        let mirrored = || system.within(site).strip_prefix("/").map(Path::to_owned).ok();
        match self {
            Self::Sidecar => Some((site.to_owned(), SIDECAR.into())),
            Self::System => Some((system.root().join(SYSTEM_CACHE), mirrored()?)),
            Self::User => Some((user_cache()?.join("epcache"), mirrored()?)),
        }
    }

    /// The path of the index.
    #[must_use]
    pub fn index(self, site: &Path, system: &System) -> Option<PathBuf> {
        let (base, below) = self.directory(site, system)?;
        Some(base.join(below).join(FILE_NAME))
    }
}

/// `$XDG_CACHE_HOME`, by default `~/.cache`.
fn user_cache() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
}

/// An index file that a reader would believe.
#[derive(Debug)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its mtime, in seconds.
    pub modified: i64,
}

/// Looks for the index of `site` as a reader does: the first in a trusted file. What is passed over
/// is told to `passed_over`, with the reason.
pub fn find(site: &SiteDir, system: &System, mut passed_over: impl FnMut(&Path, String)) -> Option<Found> {
    let site_owner = rustix::fs::fstat(site.as_fd()).ok()?.st_uid;
    for place in PLACES {
        let Some(path) = place.index(site.path(), system) else { continue };
        match read(&path, |uid| {
            uid == 0
                || uid == nix::unistd::geteuid().as_raw()
                || uid == site_owner
                || place == Place::System && system.cache_user().is_ok_and(|user| user.uid == uid)
        }) {
            Ok(Some((bytes, modified))) => return Some(Found { path, bytes, modified }),
            Ok(None) => {}
            Err(why) => passed_over(&path, why),
        }
    }
    None
}

/// The content of an index file and its mtime, provided that its owner is trusted and nobody else may write to it.
fn read(path: &Path, trusts: impl Fn(u32) -> bool) -> Result<Option<(Vec<u8>, i64)>, String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(io::Error::from(error).to_string()),
    };
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if !meta.is_file() || meta.mode() & 0o022 != 0 {
        return Err("not a regular file that only its owner may write to".to_owned());
    }
    if !trusts(meta.uid()) {
        return Err(format!("owned by the stranger {}", meta.uid()));
    }
    if meta.len() > MAX_INDEX {
        return Err(format!("{} bytes, more than any index", meta.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
    file.take(MAX_INDEX).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(Some((bytes, meta.mtime())))
}
