//! `epcache.pth`: lets the interpreters of a site directory use the index from their start.
//!
//! An interpreter executes the line of this file each time it starts. The line imports the package
//! `epcache_startup` beside it, if that is there, with the features that are enabled. The package waits for
//! a program to import one of a few modules; everything else is in Python (`python/epcache_startup`).
//!
//! The line reads the variable `sitedir` of the function in the standard library's `site.py` that executes
//! it, as the files of setuptools do. It puts that directory first on `sys.path` for the import, so that no
//! other module of the name is found, and does nothing once the package has been uninstalled.
//!
//! Everything is done relative to a descriptor of the site directory, as its owner.

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::site::SiteDir;

const PTH: &str = "epcache.pth";
/// The file with all features enabled.
const TEMPLATE: &str = include_str!("epcache.pth");
/// Its first line, which identifies a file as ours.
const MARK: &str = "# made by epcache enable; epcache disable removes it\n";
/// The package that the line imports.
const PACKAGE: &str = "epcache_startup/__init__.py";
/// Prefix of temporary files. None ends in `.pth`: an interpreter that starts now would execute it.
const TEMPORARY: &str = ".epcache-enable.";
/// More than any version of the file has.
const MAX_FILE: u64 = 64 << 10;

/// The features to enable in an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// `importlib.metadata` and `importlib_metadata` answer from the index.
    pub accelerate: bool,
    /// pip refreshes the index when it ends.
    pub pip_hook: bool,
}

impl Setting {
    const ALL: Self = Self { accelerate: true, pip_hook: true };

    /// The features by name.
    #[must_use]
    pub fn features(self) -> Vec<&'static str> {
        let features = [("accelerate", self.accelerate), ("pip-hook", self.pip_hook)];
        features.into_iter().filter_map(|(name, enabled)| enabled.then_some(name)).collect()
    }

    fn pth(self) -> String {
        TEMPLATE.replace(&Self::ALL.arguments(), &self.arguments())
    }

    /// The features as the arguments of a call in Python.
    fn arguments(self) -> String {
        self.features().iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    }
}

/// Enables exactly the features of `setting`; returns whether anything had to be changed.
///
/// # Errors
/// When the Python package is not installed there, another program made the file, or writing fails.
pub fn enable(site: &SiteDir, setting: Setting) -> Result<bool> {
    check_package(site)?;
    let wanted = setting.pth();
    match read(site)? {
        File::Foreign => return Err(foreign(site)),
        File::Ours(old) if old == wanted.as_bytes() => return Ok(false),
        File::Ours(_) | File::Missing => {}
    }
    replace(site, wanted.as_bytes())
        .map_err(|error| Error::io("can't write", &site.path().join(PTH), error))?;
    Ok(true)
}

/// Removes what [`enable`] wrote; returns whether there was anything.
///
/// # Errors
/// When a file can't be read or removed.
pub fn disable(site: &SiteDir) -> Result<bool> {
    let swept = sweep(site).map_err(|error| Error::io("can't clear away", site.path(), error))?;
    match read(site)? {
        File::Missing => Ok(swept),
        File::Foreign => {
            log::warn!("{}: not made by epcache, so it stays", site.path().join(PTH).display());
            Ok(swept)
        }
        File::Ours(_) => {
            rustix::fs::unlinkat(site, PTH, AtFlags::empty())
                .map_err(|error| Error::io("can't remove", &site.path().join(PTH), error.into()))?;
            Ok(true)
        }
    }
}

/// What lies under the name of our file.
enum File {
    Missing,
    Ours(Vec<u8>),
    Foreign,
}

fn read(site: &SiteDir) -> Result<File> {
    let failed = |error| Error::io("can't read", &site.path().join(PTH), error);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(site, PTH, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT) => return Ok(File::Missing),
        // A symbolic link, or a socket.
        Err(Errno::LOOP | Errno::NXIO) => return Ok(File::Foreign),
        Err(error) => return Err(failed(error.into())),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Ok(File::Foreign);
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(if bytes.starts_with(MARK.as_bytes()) { File::Ours(bytes) } else { File::Foreign })
}

/// Replaces the file atomically. Every user can read it, whatever our umask.
fn replace(site: &SiteDir, bytes: &[u8]) -> io::Result<()> {
    // A process in another container may have the same number.
    let moment = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let temporary = format!("{TEMPORARY}{}.{}{:09}", std::process::id(), moment.tv_sec, moment.tv_nsec);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let file = rustix::fs::openat(site, &temporary, flags, mode)?;
    let written = rustix::fs::fchmod(&file, mode)
        .map_err(io::Error::from)
        .and_then(|()| std::fs::File::from(file).write_all(bytes))
        .and_then(|()| Ok(rustix::fs::renameat(site, &temporary, site, PTH)?));
    written.inspect_err(|_| {
        let _ = rustix::fs::unlinkat(site, &temporary, AtFlags::empty());
    })
}

/// Removes temporary files of a process that was killed; returns whether there were any.
fn sweep(site: &SiteDir) -> io::Result<bool> {
    let mut found = false;
    for entry in Dir::read_from(site)? {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(TEMPORARY.as_bytes()) {
            rustix::fs::unlinkat(site, entry.file_name(), AtFlags::empty())?;
            found = true;
        }
    }
    Ok(found)
}

fn check_package(site: &SiteDir) -> Result<()> {
    // Follows links, which some installers create: the interpreter follows them too.
    match rustix::fs::statat(site, PACKAGE, AtFlags::empty()) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(()),
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(Error::Startup {
            path: site.path().to_owned(),
            why: "the Python package epcache is not installed there".to_owned(),
            hint: installation(site.path()),
        }),
        Err(error) => Err(Error::io("can't examine", &site.path().join(PACKAGE), error.into())),
    }
}

/// The command that installs the package.
fn installation(site: &Path) -> String {
    let name =
        |path: Option<&Path>| path.and_then(Path::file_name).map_or(&[][..], OsStrExt::as_bytes).to_owned();
    let [version, lib, prefix] = [1, 2, 3].map(|level| site.ancestors().nth(level));
    match (&name(Some(site))[..], prefix) {
        (b"dist-packages", _) => "install the package python3-epcache of this system".to_owned(),
        (b"site-packages", Some(prefix))
            if name(version).starts_with(b"python3") && name(lib).starts_with(b"lib") =>
        {
            format!("{} -m pip install epcache", prefix.join("bin/python").display())
        }
        _ => format!("python3 -m pip install --target {} epcache", site.display()),
    }
}

fn foreign(site: &SiteDir) -> Error {
    Error::Startup {
        path: site.path().join(PTH),
        why: "not made by epcache, so it is not replaced".to_owned(),
        hint: format!("rename {PTH}, then run epcache enable again"),
    }
}

#[cfg(test)]
mod tests {
    use super::{MARK, Setting, TEMPLATE};

    #[test]
    fn the_template_enables_every_feature() {
        assert!(TEMPLATE.starts_with(MARK));
        assert_eq!(Setting::ALL.pth(), TEMPLATE);
        let one = Setting { accelerate: false, pip_hook: true };
        assert!(one.pth().contains(".enable(\"pip-hook\");"), "{}", one.pth());
    }
}
