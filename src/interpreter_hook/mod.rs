//! `epcache.pth`: lets the interpreters of a site directory use the index from their start.
//!
//! An interpreter executes the line of this file each time it starts. The line imports the package
//! `epcache_startup` beside it, if that is there, with the features that are enabled. The package waits for
//! a program to import one of a few modules; everything else is in Python (`python/epcache_startup`).
//!
//! The same file says whether the hooks that packages of the environment register count: in a comment, so that
//! no interpreter does anything about it.
//!
//! The line reads the variable `sitedir` of the function in the standard library's `site.py` that executes
//! it, as the files of setuptools do. It does nothing once the package has been uninstalled. A copy in
//! front of it on `sys.path` is imported instead: a program there finds that copy's `epcache`, too.
//!
//! Everything is done relative to a descriptor of the site directory, as its owner.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::unistd::Uid;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use crate::encoding::shell_quoted;
use crate::error::{Error, Result};
use crate::site::{SiteDir, is_of_interpreter};
use crate::sys::fs::{self, Readers, Unreadable};

pub const PTH: &str = "epcache.pth";
/// The file with all features enabled.
const TEMPLATE: &str = include_str!("epcache.pth");
/// Its first line, which identifies a file as ours.
const MARK: &str = "# made by epcache enable; epcache disable removes it\n";
/// The line by which hooks count.
const HOOKS: &str = "# the hooks of this environment count\n";
/// The package that the line imports.
const PACKAGE: &str = "epcache_startup/__init__.py";
/// Prefix of temporary files. None ends in `.pth`: an interpreter that starts now would execute it.
const TEMPORARY: &str = ".epcache-enable.";
/// The oldest version of Python that the package is for.
const OLDEST: (u32, u32) = (3, 9);
/// More than any version of the file has.
pub const MAX_FILE: u64 = 64 << 10;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Setting {
    /// `importlib.metadata` and `importlib_metadata` answer from the index.
    pub accelerate: bool,
    /// pip refreshes the index when it ends.
    pub pip_hook: bool,
    /// The hooks that packages of the environment register count.
    pub hooks: bool,
}

impl Setting {
    /// All that interpreters do.
    const OF_INTERPRETERS: Self = Self { accelerate: true, pip_hook: true, hooks: false };

    /// What a file enables; nothing, if it is not ours.
    pub fn of(file: &[u8]) -> Self {
        let text = std::str::from_utf8(file).ok().filter(|text| text.starts_with(MARK)).unwrap_or_default();
        let is_argument = |name: &str| text.contains(&quoted(name));
        Self {
            accelerate: is_argument(ACCELERATE),
            pip_hook: is_argument(PIP_HOOK),
            hooks: text.contains(HOOKS),
        }
    }

    /// Their names, which are those of the options too.
    pub fn features(self) -> Vec<&'static str> {
        let features = [(ACCELERATE, self.accelerate), (PIP_HOOK, self.pip_hook), ("hooks", self.hooks)];
        features.into_iter().filter_map(|(name, enabled)| enabled.then_some(name)).collect()
    }

    /// Whether interpreters import the package.
    pub fn needs_package(self) -> bool {
        self.accelerate || self.pip_hook
    }

    fn pth(self) -> String {
        let hooks = if self.hooks { HOOKS } else { "" };
        let line = TEMPLATE.strip_prefix(MARK).filter(|_| self.needs_package()).unwrap_or_default();
        let line = line.replace(&Self::OF_INTERPRETERS.arguments(), &self.arguments());
        format!("{MARK}{hooks}{line}")
    }

    /// What interpreters do, as the arguments of a call in Python.
    fn arguments(self) -> String {
        let names = Self { hooks: false, ..self }.features();
        names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
    }
}

const ACCELERATE: &str = "accelerate";
const PIP_HOOK: &str = "pip-hook";

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// Enables exactly the features of `setting`; returns whether anything had to be changed.
///
/// Fails when the Python package is needed and not installed there, is not for that version of Python, or another program
/// made the file. The hint is for `caller`, the user who runs the command.
pub fn enable(site: &SiteDir, setting: Setting, caller: Uid) -> Result<bool> {
    if setting.needs_package() {
        check_version(site.path())?;
        check_package(site, caller)?;
    }
    let wanted = setting.pth();
    match read(site)? {
        File::Foreign => return Err(foreign(site)),
        File::Ours(old) if old == wanted.as_bytes() => return Ok(false),
        File::Ours(_) | File::Missing => {}
    }
    fs::replace(site, PTH, wanted.as_bytes(), TEMPORARY, None, Readers::Everybody)
        .map_err(|error| Error::io("can't write", &site.path().join(PTH), error))?;
    Ok(true)
}

/// Removes what [`enable`] wrote. Returns whether anything was removed.
pub fn disable(site: &SiteDir) -> Result<bool> {
    let swept = fs::sweep(site, TEMPORARY)
        .map_err(|error| Error::io("can't remove temporary files", site.path(), error))?;
    match read(site)? {
        File::Missing => Ok(swept),
        File::Foreign => {
            log::warn!("{}: not made by epcache, so it stays", site.path().join(PTH).display());
            Ok(swept)
        }
        File::Ours(_) => {
            rustix::fs::unlinkat(site, PTH, AtFlags::empty())
                .map_err(|error| Error::io("can't remove", &site.path().join(PTH), error))?;
            Ok(true)
        }
    }
}

/// What exists under the name of our file.
enum File {
    Missing,
    Ours(Vec<u8>),
    Foreign,
}

fn read(site: &SiteDir) -> Result<File> {
    match fs::read_regular(site, PTH, MAX_FILE) {
        Ok((bytes, _)) if bytes.starts_with(MARK.as_bytes()) => Ok(File::Ours(bytes)),
        Err(Unreadable::Missing) => Ok(File::Missing),
        Err(why @ Unreadable::Failed(_)) => Err(Error::io("can't read", &site.path().join(PTH), why)),
        _ => Ok(File::Foreign),
    }
}

/// Fails where the path names a version of Python that the package is not for, as in `lib/python3.6/site-packages`.
fn check_version(site: &Path) -> Result<()> {
    let name = site.parent().and_then(Path::file_name).and_then(OsStr::to_str).unwrap_or_default();
    let version = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    let parts = version.and_then(|version| version.split_once('.'));
    let number = |text: &str| text.parse::<u32>().ok();
    match parts.and_then(|(major, minor)| Some((number(major)?, number(minor)?))) {
        Some(version) if version < OLDEST => Err(Error::Unusable {
            path: site.to_owned(),
            why: format!("{name} is older than {}.{}, which the Python package needs", OLDEST.0, OLDEST.1),
            hint: Some("epcache refresh and epcache list work there as well".to_owned()),
        }),
        _ => Ok(()),
    }
}

/// Whether the Python package is installed there.
pub fn has_package(site: &SiteDir) -> Result<bool> {
    // Follows links, which some installers create: the interpreter follows them too.
    match rustix::fs::statat(site, PACKAGE, AtFlags::empty()) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(Error::io("can't examine", &site.path().join(PACKAGE), error)),
    }
}

fn check_package(site: &SiteDir, caller: Uid) -> Result<()> {
    if has_package(site)? {
        return Ok(());
    }
    Err(Error::Unusable {
        path: site.path().to_owned(),
        why: "the Python package epcache is not installed there".to_owned(),
        hint: Some(installation(site, caller)),
    })
}

/// How to install the package.
///
/// This is a command only for the owner of the site directory, and never for root: it runs a program of the
/// environment, or writes into a directory whose owner may have put links there.
fn installation(site: &SiteDir, caller: Uid) -> String {
    let path = site.path();
    let name =
        |path: Option<&Path>| path.and_then(Path::file_name).map_or(&[][..], OsStrExt::as_bytes).to_owned();
    let [version, lib, prefix] = [1, 2, 3].map(|level| path.ancestors().nth(level));
    let is_callers = rustix::fs::fstat(site).is_ok_and(|stat| stat.st_uid == caller.as_raw());
    match (&name(Some(path))[..], prefix) {
        (b"dist-packages", _) => "install the package python3-epcache of this system".to_owned(),
        _ if caller.is_root() || !is_callers => {
            "as the owner of that directory, install the package epcache there with pip".to_owned()
        }
        (b"site-packages", Some(prefix))
            if is_of_interpreter(&name(version)) && name(lib).starts_with(b"lib") =>
        {
            format!("{} -m pip install epcache", shell_quoted(&prefix.join("bin/python")))
        }
        _ => format!("python3 -m pip install --target {} epcache", shell_quoted(path)),
    }
}

fn foreign(site: &SiteDir) -> Error {
    Error::Unusable {
        path: site.path().join(PTH),
        why: "not made by epcache, so it is not replaced".to_owned(),
        hint: Some(format!("rename {PTH}, then run epcache enable again")),
    }
}

#[cfg(test)]
mod tests {
    use super::{MARK, Setting, TEMPLATE};

    #[test]
    fn the_template_enables_all_that_interpreters_do() {
        assert!(TEMPLATE.starts_with(MARK));
        assert_eq!(Setting::OF_INTERPRETERS.pth(), TEMPLATE);
        let one = Setting { accelerate: false, pip_hook: true, hooks: false };
        assert!(one.pth().ends_with(".enable(\"pip-hook\")\n"), "{}", one.pth());
    }

    #[test]
    fn what_a_file_enables_is_read_from_it() {
        for bits in 1..8 {
            let [accelerate, pip_hook, hooks] = [1, 2, 4].map(|bit| bits & bit != 0);
            let setting = Setting { accelerate, pip_hook, hooks };
            assert_eq!(Setting::of(setting.pth().as_bytes()), setting);
            let foreign = setting.pth().replace(MARK, "# made by somebody else\n");
            assert_eq!(Setting::of(foreign.as_bytes()).features(), [""; 0]);
        }
    }
}
