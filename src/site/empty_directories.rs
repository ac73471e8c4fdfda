//! The directories on the path of an interpreter that hold no distributions: its standard library.
//!
//! An index records them, which saves readers a listing of each. They are derived from the path of the site
//! directory alone, and no program is run. One too many does no harm, since only what was seen there is
//! recorded.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::Dir;

use super::{is_egg, is_of_interpreter};
use crate::freshness::Stamp;
use crate::freshness::clock::Clock;
use crate::index::EmptyDirectory;
use crate::limits::WITHOUT_LINES;
use crate::metadata::name;
use crate::sys::fs::{CWD, Links, Unreadable, open_dir, read_regular};

/// The largest directory that is listed: a standard library has some hundred entries.
const MAX_ENTRIES: usize = 100_000;
/// The file that makes a prefix a virtual environment.
pub(crate) const PYVENV_CFG: &str = "pyvenv.cfg";
/// The largest `pyvenv.cfg` that is read: real ones have some 300 bytes.
const MAX_PYVENV_CFG: u64 = 64 << 10;

/// The directories without distributions on the path of the interpreter of `site`, a canonical path.
/// Those with the stamp that `old` recorded are not listed again.
pub fn find_empty_directories(site: &Path, old: &[EmptyDirectory<'_>]) -> Vec<EmptyDirectory<'static>> {
    let mut candidates = candidates(site);
    candidates.sort_unstable_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    candidates.dedup_by(|one, other| one.as_os_str() == other.as_os_str());
    let examine = |path: PathBuf| {
        let known = old.iter().find(|known| *known.path == *path.as_os_str().as_bytes());
        let stamp = stamp_if_empty(&path, known.map(|known| known.stamp), site)?;
        Some(EmptyDirectory { path: Cow::Owned(path.into_os_string().into_vec()), stamp })
    };
    candidates.into_iter().filter_map(examine).take(WITHOUT_LINES).collect()
}

/// The stamp of a directory, if it holds no distributions and its stamp is not racy. A directory that can't
/// be examined is no error: readers list it themselves.
fn stamp_if_empty(path: &Path, known: Option<Stamp>, site: &Path) -> Option<Stamp> {
    if is_egg(path) {
        return None;
    }
    let now = Stamp::of(&rustix::fs::stat(path).ok()?);
    if known == Some(now) {
        return known;
    }
    if std::fs::canonicalize(path).ok()? == site {
        return None;
    }
    let directory = open_dir(CWD, path, Links::Follow).ok()?;
    if !Clock::of(directory.as_fd(), now.ctime).wait_past(now.ctime) {
        return None;
    }
    for (number, entry) in Dir::read_from(&directory).ok()?.enumerate() {
        if number == MAX_ENTRIES || name::is_distribution(entry.ok()?.file_name().to_bytes()) {
            return None;
        }
    }
    let same = |stat: rustix::io::Result<rustix::fs::Stat>| stat.is_ok_and(|stat| Stamp::of(&stat) == now);
    (same(rustix::fs::fstat(&directory)) && same(rustix::fs::stat(path))).then_some(now)
}

/// The directories that an interpreter of `site` may have on its path.
fn candidates(site: &Path) -> Vec<PathBuf> {
    // P/lib/python3.12/site-packages
    let above = |levels| site.ancestors().nth(levels);
    let (Some(library), Some(prefix)) = (above(1), above(3)) else { return Vec::new() };
    let lib_name = above(2).and_then(Path::file_name).unwrap_or_default();
    let (Some(python), Some(name)) = (library.file_name(), site.file_name()) else { return Vec::new() };
    if !lib_name.as_bytes().starts_with(b"lib") || !is_of_interpreter(python.as_bytes()) {
        return Vec::new();
    }
    if name == "site-packages" {
        let home = match pyvenv_cfg(prefix, site) {
            None => Some(prefix.to_owned()),
            Some(text) => base(&text),
        };
        let libraries = |home: PathBuf| ["lib", "lib64"].map(|lib| home.join(lib).join(python));
        return home.map(libraries).into_iter().flatten().flat_map(with_extensions).collect();
    }
    if name != "dist-packages" {
        return Vec::new();
    }
    if python == "python3" {
        // Debian's /usr/lib/python3/dist-packages, which all of its interpreters share.
        let lib = prefix.join("lib");
        let local = prefix.join("local/lib");
        let local = versions(&local).into_iter().map(|version| local.join(version).join(name));
        return versions(&lib)
            .into_iter()
            .flat_map(|version| with_extensions(lib.join(version)))
            .chain(local)
            .collect();
    }
    // Debian's /usr/local/lib/python3.12/dist-packages, whose interpreter is in /usr.
    let mut found = vec![library.to_owned()];
    if let Some(usr) = prefix.parent().filter(|_| prefix.file_name() == Some(OsStr::new("local"))) {
        found.extend(with_extensions(usr.join("lib").join(python)));
    }
    found
}

/// A directory of the standard library, and that of its extension modules.
fn with_extensions(library: PathBuf) -> [PathBuf; 2] {
    let extensions = library.join("lib-dynload");
    [library, extensions]
}

/// The names in `lib` that begin with `python3.`.
fn versions(lib: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(lib).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    names.filter(|name| name.as_bytes().starts_with(b"python3.")).take(WITHOUT_LINES).collect()
}

/// The text of an environment's `pyvenv.cfg`, empty where it can't be read or belongs to neither root nor the
/// owner of `site`; `None` where there is none.
fn pyvenv_cfg(environment: &Path, site: &Path) -> Option<String> {
    match read_regular(CWD, environment.join(PYVENV_CFG), MAX_PYVENV_CFG) {
        Ok((text, stat)) => {
            let owner = rustix::fs::stat(site).ok()?.st_uid;
            let is_trusted = (stat.st_uid == 0 || stat.st_uid == owner) && stat.st_mode & 0o002 == 0;
            Some(String::from_utf8(text).ok().filter(|_| is_trusted).unwrap_or_default())
        }
        Err(Unreadable::Missing) => None,
        Err(_) => Some(String::new()),
    }
}

/// The prefix of the interpreter that an environment was created with, as its `pyvenv.cfg` gives it.
fn base(pyvenv_cfg: &str) -> Option<PathBuf> {
    let mut settings = pyvenv_cfg.lines().filter_map(|line| line.split_once('='));
    let (_, home) = settings.find(|(key, _)| key.trim().eq_ignore_ascii_case("home"))?;
    let home = Path::new(home.trim());
    let plain = home.is_absolute()
        && home.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
        && !home.as_os_str().as_bytes().contains(&0);
    home.parent().filter(|_| plain).map(Path::to_owned)
}
