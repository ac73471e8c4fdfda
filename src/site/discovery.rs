//! Finding site directories: of the system, an environment, a user or an interpreter.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::pattern;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::index::MAX_INDEX;
use crate::privilege::sandbox::{Confinement, Needs, TIME_LIMIT};
use crate::privilege::{RunAs, child};
use crate::sys::root::{System, User};

#[derive(Debug, Default)]
pub struct SystemWide {
    /// Canonical paths.
    pub found: Vec<PathBuf>,
    /// What could not be examined, so that there may be more.
    pub errors: Vec<Error>,
}

/// The system-wide site directories that exist.
pub fn system_wide(config: &Config, system: &System) -> SystemWide {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for pattern in &config.site_directories {
        for path in pattern::directories(system.root(), pattern, &mut errors) {
            match system.canonical(&system.within(&path)) {
                Ok(path) => found.push(path),
                // It has just been removed, or a link leads out of the tree.
                Err(Error::Site { .. }) => {}
                Err(error) => errors.push(error),
            }
        }
    }
    SystemWide { found: unique(found), errors }
}

/// The site directories of the virtual environment at `path`.
pub fn in_environment(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Err(Error::site(path, if path.exists() { "is not a directory" } else { "does not exist" }));
    }
    let found = below(path);
    if found.is_empty() {
        return Err(Error::site(
            path,
            "is not a Python environment: there is no lib/python3.*/site-packages in it",
        ));
    }
    Ok(found)
}

/// The environments that are active in the caller's shell, the innermost first.
pub fn active() -> impl Iterator<Item = PathBuf> {
    ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(std::env::var_os).map(PathBuf::from)
}

/// The site directories of the calling user, where `pip install --user` installs.
pub fn of_user() -> Vec<PathBuf> {
    let base = std::env::var_os("PYTHONUSERBASE")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local")));
    base.filter(|base| base.is_absolute()).map(|base| below(&base)).unwrap_or_default()
}

/// The site directories that the interpreter `program` has on its path.
///
/// The program is run isolated, with an empty environment, and never as root: as its owner (the owner of the
/// link, in a virtual environment), as the cache user, or as nobody. These may not be able to run it, where
/// it lies in a private directory. Then the site directories are derived from its path.
pub fn of_interpreter(program: &Path, config: &Config, system: &System) -> Result<Vec<PathBuf>> {
    let failed = |why: String| Error::Unusable { path: program.to_owned(), why, hint: None };
    let program = on_path(program).ok_or_else(|| failed("no such program".to_owned()))?;
    let confinement = Confinement {
        needs: Needs { program: true, ..Needs::default() },
        required: config.require_sandbox,
        largest_file: MAX_INDEX,
        time_limit: TIME_LIMIT,
    };
    let answer = child::run(unprivileged(&program, system)?, &confinement, || ask(&program))?;
    answer.or_else(|why| {
        let found = below_program(&program);
        if found.is_empty() {
            Err(failed(format!("did not report its site directories: {why}")))
        } else {
            Ok(found)
        }
    })
}

/// The user who runs an interpreter.
fn unprivileged(program: &Path, system: &System) -> Result<RunAs> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(RunAs::Caller);
    }
    let owner = program.symlink_metadata().map_err(|error| Error::io("can't examine", program, error))?;
    Ok(RunAs::User(match owner.uid() {
        0 => system.cache_user().unwrap_or(User::NOBODY),
        uid => system.user(uid),
    }))
}

/// Runs an interpreter and returns the paths that it prints.
fn ask(program: &Path) -> std::result::Result<Vec<PathBuf>, String> {
    const SCRIPT: &str = "import os, site, sys
paths = dict.fromkeys(site.getsitepackages())
paths.update(dict.fromkeys(p for p in sys.path if os.path.basename(p) in ('site-packages', 'dist-packages')))
sys.stdout.write('\\0'.join(p for p in paths if os.path.isdir(p)))";
    let output = Command::new(program)
        .args(["-I", "-c", SCRIPT])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", output.status, message.lines().last().unwrap_or("no message")));
    }
    let answer = String::from_utf8(output.stdout).map_err(|_| "its answer is not UTF-8".to_owned())?;
    Ok(answer.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect())
}

/// The site directories of the installation that `program` lies in: first by its own path, which is right for
/// a virtual environment, then by the path that it is a link to.
fn below_program(program: &Path) -> Vec<PathBuf> {
    let resolved = std::fs::canonicalize(program).ok();
    let prefixes =
        [Some(program), resolved.as_deref()].into_iter().flatten().filter_map(|path| path.parent()?.parent());
    prefixes.map(below).find(|found| !found.is_empty()).unwrap_or_default()
}

/// The absolute path of a program as the shell would find it. A link as the last part is not followed, since
/// the path of `python` determines the virtual environment.
fn on_path(program: &Path) -> Option<PathBuf> {
    let candidates = if program.components().count() > 1 || program.is_absolute() {
        vec![std::path::absolute(program).ok()?]
    } else {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|directory| directory.join(program)).collect()
    };
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// The site directories below the prefix of an installation.
fn below(prefix: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for lib in ["lib", "lib64"] {
        let entries = std::fs::read_dir(prefix.join(lib)).into_iter().flatten().flatten();
        let mut versions: Vec<_> =
            entries.filter(|entry| entry.file_name().as_bytes().starts_with(b"python3")).collect();
        versions.sort_by_key(std::fs::DirEntry::file_name);
        found.extend(versions.iter().map(|version| version.path().join("site-packages")));
    }
    found.retain(|path| path.is_dir());
    unique(found.into_iter().filter_map(|path| std::fs::canonicalize(path).ok()))
}

/// Each path once, in the order of its first appearance.
pub fn unique(paths: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = Vec::new();
    for path in paths {
        if !seen.contains(&path) {
            seen.push(path);
        }
    }
    seen
}
