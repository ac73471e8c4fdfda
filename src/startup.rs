//! What makes an interpreter of a site directory use the index from its start: `epcache.pth`, or for
//! Python 3.18 and newer `epcache.start` (PEP 829) with the package `_epcache_start`.
//!
//! What a `.pth` file does is paid by every start of the interpreter, so ours imports nothing: it puts
//! a finder in front of `sys.meta_path` that hands over to the package when a program imports one of a
//! few modules. The finder does nothing where the package is no longer on `sys.path` (pip's isolated
//! builds take the site directory away), or behind another module of its name, so that uninstalling the
//! package without disabling it first breaks nothing.
//!
//! Python 3.15 knows `.start` files, but whatever such a file names costs the import of `pkgutil` and
//! `re` at each start: 9 ms on a machine where the line of the `.pth` file takes 0.1 ms. And beside an
//! `epcache.start` the line would not be executed. So it is written only where there is nothing else.
//! It names no function of the package itself, since an interpreter prints a traceback at every start
//! when that is gone, but one that is written here, and adds the same finder. This is in a directory of
//! its own, because the byte code that an interpreter puts beside it would make the index of the site
//! directory stale.
//!
//! Everything is done relative to a descriptor of the site directory, as who owns it.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::site::SiteDir;

const PTH: &str = "epcache.pth";
const START: &str = "epcache.start";
/// The package that the `.start` file names, and what it is made of.
const MODULE: &str = "_epcache_start/__init__.py";
const MODULE_DIRECTORY: &str = "_epcache_start";
const MODULE_BYTE_CODE: &str = "_epcache_start/__pycache__";
/// The first version 3.x that executes no lines of `.pth` files.
const NEEDS_START: u32 = 18;
/// What all of them do their work with.
const ENTRY: &str = "epcache/_start.py";
/// The first line of each, by which they are known to be ours.
const MARK: &str = "# made by epcache enable; epcache disable removes it\n";
/// What the names of temporary files begin with. None ends in `.pth`: an interpreter that starts now
/// would run it.
const TEMPORARY: &str = ".epcache-enable.";
/// More than we ever write.
const MAX_FILE: u64 = 64 << 10;

/// What is to happen in an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// `importlib.metadata` and `importlib_metadata` answer from the index.
    pub accelerate: bool,
    /// pip refreshes the index when it ends.
    pub pip_hook: bool,
}

impl Setting {
    /// What is to be there for the interpreters of a site directory, in the order in which it is made.
    fn files(self, site: &Path) -> Vec<(&'static str, String)> {
        if minor_version(site).is_none_or(|version| version < NEEDS_START) {
            return vec![(PTH, self.pth())];
        }
        vec![(MODULE, self.module()), (START, format!("{MARK}{MODULE_DIRECTORY}:added\n"))]
    }

    /// `fullname` (of the `.pth` file itself) is a variable of the function `addpackage` of the module
    /// `site`, which executes the line. In a virtual environment it is executed twice; that it has been is
    /// noted where an interpreter notes which entries of `sys.path` it can't import from (by None, which is
    /// what `insert` returns).
    ///
    /// Compiling it is what it costs, most of all what an interpreter has not compiled before. So what the
    /// second time does not need is in quotes, and so is what only a module in question needs; the finder
    /// is a function that is its own `find_spec`, which costs less than a class; and there is no constant
    /// tuple, which alone costs 3.12 as much as a fifth of all this.
    fn pth(self) -> String {
        format!(
            "{MARK}import sys; fullname in sys.path_importer_cache or \
             exec('''{}; sys.path_importer_cache[fullname] = sys.meta_path.insert(0, EpcacheFinder)''')\n",
            self.finder().replace('\n', "\\n")
        )
    }

    /// A module that adds the finder when it is imported, which happens once.
    fn module(self) -> String {
        format!(
            "{MARK}import os\nimport sys\n\n\n{}\n\n\nsys.meta_path.insert(0, EpcacheFinder)\n\n\n\
             def added():\n    pass\n",
            self.finder()
        )
    }

    /// The statements that make the finder.
    fn finder(self) -> String {
        let chosen = [
            (self.accelerate, "importlib.metadata importlib_metadata"),
            // The second is what pip 9 has in its place.
            (self.pip_hook, "pip._internal pip.basecommand"),
        ];
        let modules: Vec<_> = chosen.iter().filter(|(wanted, _)| *wanted).map(|(_, names)| *names).collect();
        format!(
            "def EpcacheFinder(name, *rest):\n    \
             return eval(\"next((os.path.exists(place + '/_start.py') for place in \
             [(site or '.') + '/epcache' for site in sys.path if isinstance(site, str)] \
             if os.path.exists(place + '/__init__.py') or os.path.exists(place + '.py')), False) \
             and __import__('epcache._start')._start.find_spec(name) or None\") \
             if name in \"{}\".split() else None\n\
             EpcacheFinder.find_spec = EpcacheFinder",
            modules.join(" ")
        )
    }
}

/// The 18 of `lib/python3.18/site-packages`; `None` where interpreters of several versions may meet.
fn minor_version(site: &Path) -> Option<u32> {
    let library = site.parent()?.file_name()?.to_str()?;
    // With a `t` at its end, it is of the build without a global interpreter lock.
    library.strip_prefix("python3.")?.trim_end_matches('t').parse().ok()
}

/// Makes the interpreters of `site` start with `setting`; says whether anything had to be changed.
///
/// # Errors
/// When the Python package is not there, one of the files is somebody else's, or writing fails.
pub fn enable(site: &SiteDir, setting: Setting) -> Result<bool> {
    check_package(site)?;
    let wanted = setting.files(site.path());
    let mut changes = Vec::new();
    for (name, text) in &wanted {
        match read(site, name)? {
            File::Foreign => return Err(foreign(site, name)),
            File::Ours(old) if old == text.as_bytes() => {}
            File::Ours(_) | File::Missing => changes.push((*name, text)),
        }
    }
    for (name, text) in &changes {
        place_for(site, name)
            .and_then(|()| replace(site, name, text.as_bytes()))
            .map_err(|error| Error::io("can't write", &site.path().join(name), error))?;
    }
    Ok(!changes.is_empty())
}

/// Removes what [`enable`] has made; says whether there was anything.
///
/// # Errors
/// When something is there that can't be removed.
pub fn disable(site: &SiteDir) -> Result<bool> {
    let mut found = sweep(site).map_err(|error| Error::io("can't clear away", site.path(), error))?;
    // The module after what names it.
    for name in [PTH, START, MODULE] {
        match read(site, name)? {
            // Whoever was killed in between has left it empty.
            File::Missing if name == MODULE => {
                found |= rustix::fs::unlinkat(site, MODULE_DIRECTORY, AtFlags::REMOVEDIR).is_ok();
            }
            File::Missing => {}
            File::Foreign => {
                log::warn!("{}: not made by epcache, so it stays", site.path().join(name).display())
            }
            File::Ours(_) => {
                rustix::fs::unlinkat(site, name, AtFlags::empty())
                    .map_err(|error| Error::io("can't remove", &site.path().join(name), error.into()))?;
                found = true;
                if name == MODULE {
                    remove_place(site).map_err(|error| {
                        Error::io("can't remove", &site.path().join(MODULE_DIRECTORY), error)
                    })?;
                }
            }
        }
    }
    Ok(found)
}

/// What is found under the name of one of our files.
enum File {
    Missing,
    Ours(Vec<u8>),
    Foreign,
}

fn read(site: &SiteDir, name: &str) -> Result<File> {
    let failed = |error| Error::io("can't read", &site.path().join(name), error);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(site, name, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT) => return Ok(File::Missing),
        // A link, or a socket; or what should be a directory is none.
        Err(Errno::LOOP | Errno::NXIO | Errno::NOTDIR) => return Ok(File::Foreign),
        Err(error) => return Err(failed(error.into())),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Ok(File::Foreign);
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(if bytes.starts_with(MARK.as_bytes()) { File::Ours(bytes) } else { File::Foreign })
}

/// A reader sees the old file or the new one, and every user can read it whatever our umask.
fn replace(site: &SiteDir, name: &str, bytes: &[u8]) -> io::Result<()> {
    // Another process may have our number, in a container of its own.
    let moment = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let temporary = format!("{TEMPORARY}{}.{}{:09}", std::process::id(), moment.tv_sec, moment.tv_nsec);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let inner;
    let (directory, name) = match name.split_once('/') {
        Some((below, name)) => {
            inner = open_directory(site, below)?;
            (inner.as_fd(), name)
        }
        None => (site.as_fd(), name),
    };
    // Beside what it replaces: who is confined may not move it from one directory to another.
    let file = rustix::fs::openat(directory, &temporary, flags, mode)?;
    let written = rustix::fs::fchmod(&file, mode)
        .map_err(io::Error::from)
        .and_then(|()| std::fs::File::from(file).write_all(bytes))
        .and_then(|()| Ok(rustix::fs::renameat(directory, &temporary, directory, name)?));
    written.inspect_err(|_| {
        let _ = rustix::fs::unlinkat(directory, &temporary, AtFlags::empty());
    })
}

fn open_directory(site: &SiteDir, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(site, name, flags, Mode::empty())
}

/// Makes the directory for the module, which every user can enter whatever our umask.
fn place_for(site: &SiteDir, name: &str) -> io::Result<()> {
    if name != MODULE {
        return Ok(());
    }
    let mode = Mode::from_raw_mode(0o755);
    match rustix::fs::mkdirat(site, MODULE_DIRECTORY, mode) {
        Ok(()) => {
            // By its path, who is confined may not.
            Ok(rustix::fs::fchmod(open_directory(site, MODULE_DIRECTORY)?, mode)?)
        }
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes the directory of the module with its byte code, but nothing that somebody else has put there.
fn remove_place(site: &SiteDir) -> io::Result<()> {
    if let Ok(byte_code) = open_directory(site, MODULE_BYTE_CODE) {
        for entry in Dir::read_from(&byte_code)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name.starts_with(b"__init__.") {
                rustix::fs::unlinkat(&byte_code, entry.file_name(), AtFlags::empty())?;
            }
        }
    }
    for directory in [MODULE_BYTE_CODE, MODULE_DIRECTORY] {
        match rustix::fs::unlinkat(site, directory, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Removes temporary files of a process that was killed; says whether there were any.
fn sweep(site: &SiteDir) -> io::Result<bool> {
    let inner = open_directory(site, MODULE_DIRECTORY).ok();
    let mut found = false;
    for directory in [Some(site.as_fd()), inner.as_ref().map(AsFd::as_fd)].into_iter().flatten() {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            if entry.file_name().to_bytes().starts_with(TEMPORARY.as_bytes()) {
                rustix::fs::unlinkat(directory, entry.file_name(), AtFlags::empty())?;
                found = true;
            }
        }
    }
    Ok(found)
}

fn check_package(site: &SiteDir) -> Result<()> {
    // Followed where it is a link, as some installers make them: the interpreter follows it too.
    match rustix::fs::statat(site, ENTRY, AtFlags::empty()) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(()),
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(Error::Startup {
            path: site.path().to_owned(),
            why: "the Python package epcache is not installed there".to_owned(),
            hint: installation(site.path()),
        }),
        Err(error) => Err(Error::io("can't examine", &site.path().join(ENTRY), error.into())),
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

fn foreign(site: &SiteDir, name: &str) -> Error {
    Error::Startup {
        path: site.path().join(name),
        why: "not made by epcache, so it is not replaced".to_owned(),
        hint: format!("rename {name}, then run epcache enable again"),
    }
}
