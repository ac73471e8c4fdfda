//! Finding site directories: of the system, an environment, a user or an interpreter.
//!
//! Every path is resolved by [`System::resolve`], so that no untrusted user decides where it leads. What is
//! found in an environment must be below it. Root opens no directory of another user: its owner lists it, in a
//! confined process.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::pattern::{self, Kind};
use super::{interpreter, is_of_interpreter, owner_list};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::limits::INTERPRETERS;
use crate::privilege::RunAs;
use crate::sys::account::User;
use crate::sys::caller;
use crate::sys::resolve::{Place, Trust};
use crate::sys::root::System;

/// What patterns of the configuration match.
#[derive(Debug, Default)]
pub struct Configured {
    pub found: Vec<Place>,
    /// What could not be examined, so that there may be more.
    pub errors: Vec<Error>,
}

/// The system-wide site directories that exist.
pub fn system_wide(config: &Config, system: &System) -> Configured {
    matching(Kind::SystemWide, &config.site_directories, system)
}

/// The site directories of the environments that the configuration names. Users other than root get those of their own
/// environments. Directories that are no environment are left out.
pub fn environments(config: &Config, system: &System) -> Configured {
    let Configured { found: prefixes, mut errors } =
        matching(Kind::Environments(config, system), &config.environments, system);
    let mut found: Vec<Place> = Vec::new();
    for prefix in prefixes.iter().filter(|prefix| caller::is_root() || prefix.owner == caller::uid()) {
        match below(prefix, &OF_ENVIRONMENT, config, system) {
            Ok(sites) => found.extend(sites),
            Err(error) => errors.push(error),
        }
    }
    Configured { found: once(found), errors }
}

fn matching(kind: Kind<'_>, patterns: &[String], system: &System) -> Configured {
    let mut matching = Configured::default();
    match system.top() {
        Err(error) => matching.errors.push(error.into()),
        Ok(top) => {
            for pattern in patterns {
                matching.found.extend(pattern::directories(kind, &top, pattern, &mut matching.errors));
            }
        }
    }
    matching.found = once(matching.found);
    matching
}

/// Each place once.
fn once(mut places: Vec<Place>) -> Vec<Place> {
    let mut seen = HashSet::new();
    places.retain(|place| seen.insert(place.path.clone()));
    places
}

/// The site directories of the virtual environment at `path`.
pub fn in_environment(path: &Path, config: &Config, system: &System) -> Result<Vec<Place>> {
    let environment = system.resolve(path, Trust::Owner)?;
    if !environment.is_directory {
        return Err(Error::site(path, "is not a directory"));
    }
    let found = below(&environment, &OF_ENVIRONMENT, config, system)?;
    if found.is_empty() {
        return Err(Error::site(
            path,
            "is not a Python environment: there is no lib/python3.*/site-packages or lib/pypy3.*/site-packages in it",
        ));
    }
    Ok(found)
}

/// The site directories of the prefix in which programs are installed beside them: an environment, or
/// `/usr/local`. None where it has none, or can't be examined.
pub fn in_prefix(path: &Path, config: &Config, system: &System) -> Vec<Place> {
    let prefix = system.resolve(path, Trust::Owner);
    prefix.and_then(|prefix| below(&prefix, &OF_PREFIX_ALONE, config, system)).unwrap_or_default()
}

/// The site directories of the calling user, where `pip install --user` installs.
pub fn of_user(config: &Config, system: &System) -> Result<Vec<Place>> {
    let base = std::env::var_os("PYTHONUSERBASE")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local")));
    let Some(base) = base.filter(|base| base.is_absolute()) else { return Ok(Vec::new()) };
    match existing(system.resolve(&base, Trust::Owner))? {
        Some(base) => below(&base, &OF_ENVIRONMENT, config, system),
        None => Ok(Vec::new()),
    }
}

/// The site directories of the interpreter `program`.
///
/// The interpreter is asked. For root it is asked as nobody, and only if the program, its libraries and everything
/// on the way are root's alone: a program of others is never run for root. Otherwise the site directories below its
/// prefix count.
///
/// The prefix is that of the directory which has the program. If the program is a link and there is nothing below
/// that prefix, it is that of the link's target: in a virtual environment, that is the base interpreter.
pub fn of_interpreter(program: &Path, config: &Config, system: &System) -> Result<Vec<Place>> {
    let failed = |why: String, hint| Error::Unusable { path: program.to_owned(), why, hint };
    let missing = || failed("no such program".to_owned(), None);
    let spelled = on_path(program, system).ok_or_else(missing)?;
    let (Some(parent), Some(name)) = (spelled.parent(), spelled.file_name()) else { return Err(missing()) };
    // A link as the last part is kept: in a virtual environment, it leads to the base interpreter.
    let itself = system.resolve(parent, Trust::Owner)?.path.join(name);
    let end = system.resolve(&system.within(&itself), Trust::Owner);

    let files = [Some(itself.clone()), end.as_ref().ok().map(|end| end.path.clone())];
    let mut prefixes = Vec::new();
    for prefix in files.iter().flatten().filter_map(|file| file.parent()?.parent()) {
        prefixes.push(system.resolve(&system.within(prefix), Trust::Owner)?);
    }
    let mut beside = Vec::new();
    for prefix in &prefixes {
        if beside.is_empty() {
            beside = below(prefix, &OF_PREFIX, config, system)?;
        }
    }
    retain_version(&mut beside, files.iter().flatten().filter_map(|file| file.file_name()));

    let is_roots = |place: &Place| place.is_roots;
    let only_roots = end.as_ref().is_ok_and(is_roots) && prefixes.iter().chain(&beside).all(is_roots);
    let nobody = RunAs::User(User::NOBODY);
    let run_as = match caller::is_root() {
        _ if system.is_foreign() => Err("a program of another system is not run"),
        true if !only_roots => Err("a program of others is not run for root"),
        true if nobody.check().is_err() => Err("root runs no program, and can't become another user here"),
        true => Ok(nobody),
        false => Ok(RunAs::Caller),
    };
    let reported = match run_as {
        Ok(run_as) => interpreter::ask(&itself, run_as, config)?,
        Err(why) => Err(format!("there are none beside it, and {why}")),
    };
    let found = reported.and_then(|paths| {
        let places = paths.iter().filter_map(|path| system.resolve(path, Trust::Owner).ok());
        let own = |place: &Place| prefixes.iter().any(|prefix| place.path.starts_with(&prefix.path));
        let found: Vec<Place> = places.filter(|place| place.is_directory && own(place)).collect();
        if found.is_empty() {
            Err("did not report a site directory below its prefix".to_owned())
        } else {
            Ok(found)
        }
    });
    match (found, end) {
        (Ok(found), _) => Ok(found),
        (Err(_), _) if !beside.is_empty() => Ok(beside),
        (Err(_), Err(error)) => Err(error),
        (Err(why), Ok(_)) => Err(failed(
            format!("no site directories found: {why}"),
            Some("name its site directories, or the interpreter that it starts".to_owned()),
        )),
    }
}

/// Keeps the directories of the version that one of `names` has, such as `python3.13`. Several versions, and PyPy,
/// may share a prefix. Debian's `python3` is for all of them.
fn retain_version<'n>(found: &mut Vec<Place>, names: impl Iterator<Item = &'n OsStr>) {
    let names: Vec<&OsStr> = names.chain([OsStr::new("python3")]).collect();
    let is_of_version = |place: &Place| {
        place.path.parent().and_then(Path::file_name).is_some_and(|name| names.contains(&name))
    };
    let versioned = names.iter().any(|name| {
        let version =
            name.as_bytes().strip_prefix(b"python").or_else(|| name.as_bytes().strip_prefix(b"pypy"));
        version.is_some_and(|version| version.starts_with(b"3."))
    });
    if versioned && found.iter().any(is_of_version) {
        found.retain(is_of_version);
    }
}

/// The absolute path of a program as the shell would find it. A link as the last part is not followed, since
/// the path of `python` determines the virtual environment. In another system, `PATH` is not known.
pub(super) fn on_path(program: &Path, system: &System) -> Option<PathBuf> {
    let is_path = program.components().count() > 1 || program.is_absolute();
    if system.is_foreign() {
        let candidates = match is_path {
            true => vec![Path::new("/").join(program)],
            false => PATH.map(|directory| Path::new(directory).join(program)).to_vec(),
        };
        return candidates.into_iter().find(|path| system.resolve(path, Trust::Owner).is_ok());
    }
    let candidates = if is_path {
        vec![std::path::absolute(program).ok()?]
    } else {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|directory| directory.join(program)).collect()
    };
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// Where programs are in another system.
const PATH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// The names of directories in which site directories are looked for, below a prefix.
struct Layout {
    libraries: &'static [&'static str],
    packages: &'static [&'static str],
}

/// What an environment has, and `pip install --user` makes.
const OF_ENVIRONMENT: Layout = Layout { libraries: &["lib", "lib64"], packages: &["site-packages"] };
/// What installers put beside programs.
const OF_PREFIX_ALONE: Layout = Layout { libraries: OF_ENVIRONMENT.libraries, packages: OF_PREFIX.packages };
/// What interpreters of Linux distributions have, in the order of their `sys.path`.
const OF_PREFIX: Layout = Layout {
    libraries: &["local/lib64", "local/lib", "lib64", "lib"],
    packages: &["site-packages", "dist-packages"],
};

/// The site directories below `prefix`. A link that leads out of it is an error.
fn below(prefix: &Place, layout: &Layout, config: &Config, system: &System) -> Result<Vec<Place>> {
    let mut libraries = Vec::new();
    for library in layout.libraries {
        libraries
            .extend(inside(prefix, prefix.path.join(library), system)?.filter(|it| !libraries.contains(it)));
    }
    if libraries.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for python in pythons(prefix.owner, &libraries, config, system)? {
        for packages in layout.packages {
            found.extend(inside(prefix, python.join(packages), system)?.filter(|it| !found.contains(it)));
        }
    }
    Ok(found)
}

/// The directory at a path below `prefix`, or `None` where there is none.
fn inside(prefix: &Place, path: PathBuf, system: &System) -> Result<Option<Place>> {
    let Some(place) = existing(system.resolve(&system.within(&path), Trust::Owner))? else { return Ok(None) };
    if !place.path.starts_with(&prefix.path) {
        return Err(Error::Unusable {
            why: format!("leads out of {} to {}", prefix.path.display(), place.path.display()),
            hint: Some("name the site directory that is meant".to_owned()),
            path,
        });
    }
    Ok(Some(place).filter(|place| place.is_directory))
}

/// The directories of interpreters, such as `lib/python3.13`, which the owner of the prefix lists.
fn pythons(owner: u32, libraries: &[Place], config: &Config, system: &System) -> Result<Vec<PathBuf>> {
    let names = owner_list::names(owner, libraries, is_of_interpreter, INTERPRETERS, config, system)?;
    let of_one = |(library, names): (&Place, Vec<Vec<u8>>)| {
        names.into_iter().map(|name| library.path.join(OsStr::from_bytes(&name))).collect::<Vec<_>>()
    };
    Ok(libraries.iter().zip(names).flat_map(of_one).collect())
}

/// A place, or `None` where there is nothing.
fn existing(resolved: Result<Place>) -> Result<Option<Place>> {
    match resolved {
        Ok(place) => Ok(Some(place)),
        Err(Error::Site { .. }) => Ok(None),
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotADirectory => Ok(None),
        Err(error) => Err(error),
    }
}

/// Each path once, in the order of its first appearance.
pub fn unique(paths: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    paths.into_iter().filter(|path| seen.insert(path.clone())).collect()
}
