//! One directory of registrations, and the judgement of the files in it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::environment::{Environment, OF_ENVIRONMENT};
use super::parse::{MAX_SIZE, is_name};
use super::program::Programs;
use super::registered::{Origin, Registered, State};
use super::registration::{Action, Registration};
use crate::error::{Error, Failure, Result};
use crate::settings::Mistake;
use crate::sys::fs::{self, Links, OpenFile, Unreadable};
use crate::sys::resolve::{self, Place, Trust};
use crate::sys::root::System;
use crate::sys::walk::Walk;

/// Where packages register hooks.
const PACKAGES: &str = "/usr/share/epcache/hooks.d";
/// Where administrators do.
const ADMINISTRATOR: &str = "/etc/epcache/hooks.d";
/// A link to it masks a registration.
const NOTHING: &[u8] = b"/dev/null";
/// The most registrations in one directory.
const MAX_REGISTRATIONS: usize = 1000;

/// The suffix of the files.
const SUFFIX: &str = ".toml";

/// A directory of registrations.
pub(super) struct Layer<'r> {
    /// As the running system sees it.
    pub directory: PathBuf,
    origin: Origin,
    /// The state of its registrations, unless one is overridden, masked or refused.
    state: State,
    system: &'r System,
    programs: Programs<'r>,
}

impl<'r> Layer<'r> {
    pub fn of_system(system: &'r System) -> [Self; 2] {
        [(PACKAGES, Origin::Packages), (ADMINISTRATOR, Origin::Administrator)].map(|(directory, origin)| {
            Self {
                directory: system.seen(Path::new(directory)),
                origin,
                state: State::Active,
                system,
                programs: Programs::new(None, system),
            }
        })
    }

    pub fn of_environment(environment: &'r Environment, state: State, system: &'r System) -> Self {
        Self {
            directory: environment.directory(),
            origin: Origin::Environment(environment.prefix.clone()),
            state,
            system,
            programs: Programs::new(Some(environment), system),
        }
    }
}

impl Layer<'_> {
    fn trust(&self) -> Trust {
        self.programs.trust()
    }

    /// All registrations in the directory, sorted by name. None where there is no directory.
    pub fn find(&mut self) -> Result<Vec<Registered>> {
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
        let (name, path) = (name_of(file_name), self.directory.join(file_name));
        let text = check_name(&name).and_then(|()| self.read(directory, file_name));
        let parsed = text.and_then(|found| {
            let parse = |(text, changed): (String, u64)| {
                parse(&name, &text).map(|parsed| Registration { changed, ..parsed })
            };
            found.map(parse).transpose()
        });
        let (state, registration) = match parsed {
            Ok(None) => (State::Masked, None),
            Ok(Some(mut registration)) => match self.judge_program(&mut registration) {
                Ok(()) => (self.state.clone(), Some(registration)),
                Err(why) => (State::Refused(why), Some(registration)),
            },
            Err(error) => (State::Refused(refusal(&error, &path)), None),
        };
        Registered { name, path, origin: self.origin.clone(), state, registration }
    }

    /// The text of a file and when it changed, if its owner is trusted. `None` if it is a mask.
    fn read(&self, directory: &Walk, file_name: &OsStr) -> Result<Option<(String, u64)>> {
        let path = self.directory.join(file_name);
        let not_regular = |place: &Place| match place.kind() {
            FileType::RegularFile => Ok(()),
            _ => Err(Error::site(&path, Unreadable::NotRegular.to_string())),
        };
        // The usual case: it is no link, so the open file is judged and read.
        if let Ok(file) = fs::open_file(directory.descriptor(), file_name, Links::Refuse) {
            let walk = directory.clone().at_open(file_name, &file.stat);
            not_regular(&resolve::end(&walk, self.trust())?)?;
            return Ok(Some((read_text(Ok(file), &path)?.1, walk.changed())));
        }
        let mut walk = directory.clone().to(Path::new(file_name), Links::Refuse)?;
        let mut place = resolve::end(&walk, self.trust())?;
        if place.kind() == FileType::Symlink {
            let text = rustix::fs::readlinkat(walk.descriptor(), "", Vec::new());
            if text.is_ok_and(|text| text.as_bytes() == NOTHING) {
                return Ok(None);
            }
            walk = directory.clone().to(Path::new(file_name), Links::Follow)?;
            place = resolve::end(&walk, self.trust())?;
        }
        not_regular(&place)?;
        let changed = walk.changed();
        let (parent, name) = walk.into_entry();
        let (file, text) = read_text(fs::open_file(&parent, &name, Links::Refuse), &path)?;
        place.check(&file)?;
        Ok(Some((text, changed)))
    }

    fn judge_program(&mut self, registration: &mut Registration) -> std::result::Result<(), Failure> {
        if !matches!(self.origin, Origin::Environment(_)) && registration.needs_environment() {
            let message = "it has a relative path, which only a hook of an environment may have".to_owned();
            return Err(Failure { message, hint: Some("make its paths absolute".to_owned()) });
        }
        let Action::Command(command) = &registration.action else { return Ok(()) };
        let Some(program) = command.first() else { return Ok(()) };
        let (_, walk) = self.programs.find(program).map_err(|error| Failure::from(&error))?;
        registration.changed = registration.changed.max(walk.changed());
        Ok(())
    }
}

/// The name of the hook that a file registers.
fn name_of(file_name: &OsStr) -> String {
    let name = file_name.to_string_lossy();
    name.strip_suffix(SUFFIX).unwrap_or(&name).to_owned()
}

fn check_name(name: &str) -> Result<()> {
    let why = "its name must have lower-case letters, digits, ., _ and - alone, begin with one of the first two, and \
               end in .toml";
    if is_name(name) { Ok(()) } else { Err(Error::Reported(Failure { message: why.to_owned(), hint: None })) }
}

fn parse(name: &str, text: &str) -> Result<Registration> {
    let wrong = |mistake: Mistake| Error::Reported(Failure { message: mistake.to_string(), hint: None });
    Registration::parse(name, text).map_err(wrong)
}

fn read_text(opened: std::result::Result<OpenFile, Unreadable>, path: &Path) -> Result<(OpenFile, String)> {
    let read = opened.and_then(|file| Ok((file.read(MAX_SIZE)?, file)));
    let (text, file) = read.map_err(|why| match why {
        Unreadable::TooLarge { .. } => Error::site(path, format!("larger than {} KiB", MAX_SIZE >> 10)),
        why => Error::io("can't read", path, why),
    })?;
    let text = String::from_utf8(text).map_err(|_| Error::site(path, "not UTF-8"))?;
    Ok((file, text))
}

/// Why a file is refused. Its own path is not repeated.
fn refusal(error: &Error, file: &Path) -> Failure {
    let message = match error {
        Error::Site { path, why } | Error::Unusable { path, why, .. } if path == file => why.clone(),
        Error::Io { doing, path, source } if path == file => format!("{doing}: {source}"),
        error => error.to_string(),
    };
    Failure { message, hint: error.hint() }
}

/// Whether there is no such directory. This takes one system call on the running system: most systems have no
/// registrations.
fn is_missing(directory: &Path, system: &System) -> bool {
    let found = system.entry(directory, Links::Follow).map_err(Errno::from);
    matches!(found.and_then(|entry| entry.stat()), Err(Errno::NOENT | Errno::NOTDIR))
}

/// The names of the files in a directory that may be registrations, sorted. At most one more than is allowed.
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

/// What the file at a canonical, seen path registers. In a directory of registrations it is judged as by
/// [`super::registry()`], but on its own: it is not compared with files of the same name. Anywhere else, only its
/// content is judged.
///
/// Root must not call it for a file of another user.
pub fn check(file: &Path, owner: u32, system: &System) -> Result<Registered> {
    let (directory, file_name) = (file.parent().unwrap_or(file), file.file_name().unwrap_or_default());
    let prefix = directory.ancestors().nth(3).filter(|_| directory.ends_with(OF_ENVIRONMENT));
    let environment =
        prefix.map(|prefix| Environment { prefix: prefix.to_owned(), site: PathBuf::new(), owner });
    let of_environment =
        environment.as_ref().map(|environment| Layer::of_environment(environment, State::Active, system));
    let mut layers = Layer::of_system(system).into_iter().chain(of_environment);
    if let Some(mut layer) = layers.find(|layer| layer.directory == directory) {
        let walk = system.top()?.to(&system.within(directory), Links::Follow)?;
        resolve::end(&walk, layer.trust())?;
        return Ok(layer.judge(&walk, file_name));
    }
    let name = name_of(file_name);
    let entry = system.entry(file, Links::Refuse)?;
    let parsed = check_name(&name)
        .and_then(|()| read_text(entry.open_file(), file))
        .and_then(|(_, text)| parse(&name, &text));
    let (state, registration) = match parsed {
        Ok(registration) => (State::Active, Some(registration)),
        Err(error) => (State::Refused(refusal(&error, file)), None),
    };
    Ok(Registered { name, path: file.to_owned(), origin: Origin::Administrator, state, registration })
}
