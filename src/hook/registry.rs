//! Finding registrations, and saying which of them count.
//!
//! Those of the system are for its system-wide site directories: packages register hooks in one directory,
//! administrators in another, where a file of the same name overrides that of a package and a link to `/dev/null`
//! masks it. Those of an environment are for that environment alone, and count only after its owner has enabled
//! them.
//!
//! A registration makes others run a program. So its file, the program and every directory above them must belong
//! to root, or in an environment to its owner, and nobody else may write there ([`Trust::Only`]). What a hook runs
//! in a Python module is judged by the site directory in which it is found.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::registration::{Action, MAX_SIZE, Registration, SUFFIX, is_name};
use crate::error::{Error, Failure, Result};
use crate::store::location::SIDECAR;
use crate::sys::fs::{self, Links, Unreadable};
use crate::sys::resolve::{self, Place, Trust};
use crate::sys::root::System;
use crate::sys::walk::Walk;

/// Where packages register hooks.
const PACKAGES: &str = "/usr/share/epcache/hooks.d";
/// Where administrators do.
const ADMINISTRATOR: &str = "/etc/epcache/hooks.d";
/// Below the prefix of an environment.
const OF_ENVIRONMENT: &str = "share/epcache/hooks.d";
/// The file beside an index whose presence says that the owner has enabled the hooks of the environment.
pub const MARK: &str = "hooks";
/// A link to it masks a registration.
const NOTHING: &[u8] = b"/dev/null";
/// The most registrations in one directory.
const MAX_REGISTRATIONS: usize = 1000;

/// The prefix in which a site directory is: that of an environment, or `/usr/local`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Canonical paths, as the running system sees them.
    pub prefix: PathBuf,
    pub site: PathBuf,
    /// The owner of the site directory.
    pub owner: u32,
}

impl Environment {
    /// The environment of the site directory `PREFIX/lib/python3.*/site-packages`, as installers lay it out.
    pub fn of(site: &Path, owner: u32) -> Option<Self> {
        let name = |level| site.ancestors().nth(level).and_then(Path::file_name).map(OsStr::as_bytes);
        let is_python = |name: &[u8]| name.starts_with(b"python") || name.starts_with(b"pypy");
        let is_usual = matches!(name(0), Some(b"site-packages" | b"dist-packages"))
            && name(1).is_some_and(is_python)
            && matches!(name(2), Some(b"lib" | b"lib64"));
        let prefix = site.ancestors().nth(3).filter(|_| is_usual)?;
        Some(Self { prefix: prefix.to_owned(), site: site.to_owned(), owner })
    }

    /// Whether the owner has enabled its hooks.
    pub fn is_enabled(&self, system: &System) -> bool {
        let mark = self.site.join(SIDECAR).join(MARK);
        let place = system.resolve(&system.within(&mark), Trust::Only(self.owner));
        place.is_ok_and(|place| FileType::from_raw_mode(place.mode) == FileType::RegularFile)
    }
}

/// Where a registration was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Packages,
    Administrator,
    /// Of the environment with this prefix.
    Environment(PathBuf),
}

/// Whether a registration counts, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Active,
    /// By this file of the same name.
    Overridden(PathBuf),
    /// It is a link to `/dev/null`, and registers nothing.
    Masked,
    /// The hooks of the environment are not enabled.
    Disabled,
    Refused(Failure),
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Of the hook. It can be one that no hook may have, if it is refused.
    pub name: String,
    /// As the running system sees it.
    pub path: PathBuf,
    pub origin: Origin,
    pub state: State,
    /// `None` where the file was not read or is not valid.
    pub registration: Option<Registration>,
}

/// All that is registered.
#[derive(Debug, Default)]
pub struct Registry {
    /// Sorted by name, and of one name that which counts last.
    pub registered: Vec<Registered>,
    /// Why all that is in a directory does not count.
    pub errors: Vec<Error>,
    /// The directories that were looked in, whether they exist or not.
    pub directories: Vec<PathBuf>,
}

impl Registry {
    /// The registrations that count, in the order in which hooks run.
    pub fn active(&self) -> Vec<&Registration> {
        let active = self.registered.iter().filter(|registered| registered.state == State::Active);
        let mut active: Vec<_> = active.filter_map(|registered| registered.registration.as_ref()).collect();
        active.sort_by(|one, other| (one.order, &one.name).cmp(&(other.order, &other.name)));
        active
    }
}

/// What is registered for the system-wide site directories of `system`, or for an environment in it.
///
/// Root must not call it for an environment of another user: that user does, in a confined process.
pub fn registry(system: &System, environment: Option<&Environment>) -> Registry {
    let mut registry = Registry::default();
    for mut layer in layers(system, environment) {
        registry.directories.push(layer.directory.clone());
        let found = layer.find().unwrap_or_else(|error| {
            registry.errors.push(error);
            Vec::new()
        });
        for registered in &mut registry.registered {
            if let Some(by) = found.iter().find(|other| other.name == registered.name) {
                registered.state = State::Overridden(by.path.clone());
            }
        }
        registry.registered.extend(found);
    }
    registry.registered.sort_by(|one, other| one.name.cmp(&other.name));
    registry
}

/// Finds what the program of a hook is, if nobody but root and `owner` decides that. A relative path is one below
/// the prefix of the environment.
pub fn program(
    program: &str,
    environment: Option<&Environment>,
    owner: u32,
    system: &System,
) -> Result<Place> {
    let path =
        environment.map_or_else(|| PathBuf::from(program), |it| system.within(&it.prefix).join(program));
    let place = system.resolve(&path, Trust::Only(owner))?;
    let is_program = FileType::from_raw_mode(place.mode) == FileType::RegularFile && place.mode & 0o111 != 0;
    match is_program {
        true => Ok(place),
        false => Err(Error::site(&place.path, "is not an executable file")),
    }
}

/// A directory of registrations.
struct Layer<'r> {
    /// As the running system sees it.
    directory: PathBuf,
    origin: Origin,
    environment: Option<&'r Environment>,
    /// What its registrations are if nothing else is said of them.
    state: State,
    system: &'r System,
    /// Programs that were judged: several hooks may have the same one.
    programs: HashMap<String, std::result::Result<(), Failure>>,
}

fn layers<'r>(system: &'r System, environment: Option<&'r Environment>) -> Vec<Layer<'r>> {
    let layer = |directory, origin, state| Layer {
        directory,
        origin,
        environment,
        state,
        system,
        programs: HashMap::new(),
    };
    match environment {
        None => vec![
            layer(system.seen(Path::new(PACKAGES)), Origin::Packages, State::Active),
            layer(system.seen(Path::new(ADMINISTRATOR)), Origin::Administrator, State::Active),
        ],
        Some(environment) => {
            let state = if environment.is_enabled(system) { State::Active } else { State::Disabled };
            let origin = Origin::Environment(environment.prefix.clone());
            vec![layer(environment.prefix.join(OF_ENVIRONMENT), origin, state)]
        }
    }
}

impl Layer<'_> {
    fn owner(&self) -> u32 {
        self.environment.map_or(0, |environment| environment.owner)
    }

    fn trust(&self) -> Trust {
        Trust::Only(self.owner())
    }

    /// All registrations in the directory, sorted by name. None where there is no directory.
    fn find(&mut self) -> Result<Vec<Registered>> {
        if is_missing(&self.directory, self.system) {
            return Ok(Vec::new());
        }
        let walk = self.system.top()?.to(&self.system.within(&self.directory), Links::Follow)?;
        resolve::end(&walk, self.trust())?;
        let names = names(&walk).map_err(|error| Error::io("can't list", &self.directory, error))?;
        if names.len() > MAX_REGISTRATIONS {
            return Err(Error::Unusable {
                path: self.directory.clone(),
                why: format!("there are more than {MAX_REGISTRATIONS} registrations in it, so none counts"),
                hint: Some("remove what is not needed".to_owned()),
            });
        }
        Ok(names.iter().map(|name| self.judge(&walk, name)).collect())
    }

    /// What the file of this name in the directory is.
    fn judge(&mut self, directory: &Walk, file_name: &OsStr) -> Registered {
        let path = self.directory.join(file_name);
        let name = file_name.to_string_lossy();
        let name = name.strip_suffix(SUFFIX).unwrap_or(&name).to_owned();
        let mut registration = None;
        let state = match self.read(directory, file_name, &name) {
            Ok(None) => State::Masked,
            Ok(Some(text)) => match Registration::parse(&name, &text) {
                Ok(parsed) => {
                    let judged = self.judge_program(&parsed);
                    registration = Some(parsed);
                    judged.map_or_else(State::Refused, |()| self.state.clone())
                }
                Err(mistake) => {
                    let error =
                        Error::Configuration { path: path.clone(), line: mistake.line, why: mistake.why };
                    State::Refused(Failure::from(&error))
                }
            },
            Err(error) => State::Refused(Failure::from(&error)),
        };
        Registered { name, path, origin: self.origin.clone(), state, registration }
    }

    /// The text of a file, if it may be one and belongs to whom it must. `None` if it is a mask.
    fn read(&self, directory: &Walk, file_name: &OsStr, name: &str) -> Result<Option<String>> {
        let path = self.directory.join(file_name);
        let refused = |why: String| Error::site(&path, why);
        if !is_name(name) {
            return Err(refused(
                "its name must have lower-case letters, digits, ., _ and - alone, and begin with one of the first two"
                    .to_owned(),
            ));
        }
        let mut walk = directory.clone().to(Path::new(file_name), Links::Refuse)?;
        let mut place = resolve::end(&walk, self.trust())?;
        if FileType::from_raw_mode(place.mode) == FileType::Symlink {
            let text = rustix::fs::readlinkat(walk.descriptor(), "", Vec::new());
            if text.is_ok_and(|text| text.as_bytes() == NOTHING) {
                return Ok(None);
            }
            walk = directory.clone().to(Path::new(file_name), Links::Follow)?;
            place = resolve::end(&walk, self.trust())?;
        }
        if FileType::from_raw_mode(place.mode) != FileType::RegularFile {
            return Err(refused(Unreadable::NotRegular.to_string()));
        }
        let (parent, name) = walk.into_entry();
        let text = fs::open_file(&parent, &name, Links::Refuse).and_then(|file| {
            let text = file.read(MAX_SIZE)?;
            Ok((file, text))
        });
        let (file, text) = text.map_err(|why| match why {
            Unreadable::TooLarge { .. } => refused(format!("larger than {} KiB", MAX_SIZE >> 10)),
            why => Error::io("can't read", &path, why),
        })?;
        place.check(&file)?;
        String::from_utf8(text).map(Some).map_err(|_| refused("not UTF-8".to_owned()))
    }

    fn judge_program(&mut self, registration: &Registration) -> std::result::Result<(), Failure> {
        if self.environment.is_none() && registration.needs_environment() {
            let message = "it has a relative path, which only a hook of an environment may have".to_owned();
            return Err(Failure { message, hint: Some("make its paths absolute".to_owned()) });
        }
        let Action::Command(command) = &registration.action else { return Ok(()) };
        let Some(path) = command.first() else { return Ok(()) };
        if let Some(judged) = self.programs.get(path) {
            return judged.clone();
        }
        let judged = program(path, self.environment, self.owner(), self.system);
        let judged = judged.map(drop).map_err(|error| Failure::from(&error));
        self.programs.insert(path.clone(), judged.clone());
        judged
    }
}

/// Whether there is no such directory: one system call on the running system, which most have nothing registered
/// on.
fn is_missing(directory: &Path, system: &System) -> bool {
    let found = system.entry(directory, Links::Follow).map_err(Errno::from);
    matches!(found.and_then(|entry| entry.stat()), Err(Errno::NOENT | Errno::NOTDIR))
}

/// The names of the files in a directory that may be registrations, sorted. One more than may be there at most.
fn names(directory: &Walk) -> std::result::Result<Vec<std::ffi::OsString>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::new(fs::open_dir(directory.descriptor(), ".", Links::Refuse)?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name.ends_with(SUFFIX.as_bytes()) {
            found.push(OsStr::from_bytes(name).to_owned());
        }
        if found.len() > MAX_REGISTRATIONS {
            break;
        }
    }
    found.sort();
    Ok(found)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packages => f.write_str("packages"),
            Self::Administrator => f.write_str("administrator"),
            Self::Environment(prefix) => write!(f, "environment {}", prefix.display()),
        }
    }
}
