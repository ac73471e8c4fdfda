//! The programs that hooks run.

use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::environment::Environment;
use crate::encoding::shell_quoted;
use crate::error::{Error, Result};
use crate::sys::fs::Links;
use crate::sys::resolve::{self, Place, Trust};
use crate::sys::root::System;
use crate::sys::walk::Walk;

/// Finds the programs of hooks, and verifies that only trusted users can change them.
pub(crate) struct Programs<'r> {
    environment: Option<&'r Environment>,
    system: &'r System,
    /// The last directory that a program was found in: the next one is often in the same.
    directory: Option<(PathBuf, Walk)>,
    /// The last program: many hooks share an interpreter.
    last: Option<(PathBuf, Place, Walk)>,
}

impl<'r> Programs<'r> {
    /// For the hooks of an environment, or for the system's.
    pub fn new(environment: Option<&'r Environment>, system: &'r System) -> Self {
        Self { environment, system, directory: None, last: None }
    }

    /// Who must own everything, besides root.
    pub fn trust(&self) -> Trust {
        Trust::Only(self.environment.map_or(0, |environment| environment.owner))
    }

    /// Finds `program`; its descriptor is at the end of the walk. A relative path is below the prefix of the
    /// environment.
    ///
    /// Fails if it is no executable file, or if others than root and the environment's owner can change it.
    pub fn find(&mut self, program: &str) -> Result<(Place, Walk)> {
        let prefix = self.environment.map(|environment| self.system.within(&environment.prefix));
        let path = prefix.unwrap_or_default().join(program);
        if let Some((_, place, walk)) = self.last.as_ref().filter(|(known, ..)| *known == path) {
            return Ok((place.clone(), walk.clone()));
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::site(&path, "is not an executable file"));
        };
        let directory = match self.directory.take() {
            Some((known, walk)) if known == parent => walk,
            _ => self.system.top()?.to(parent, Links::Follow)?,
        };
        let found = directory.clone().to(Path::new(name), Links::Follow);
        self.directory = Some((parent.to_owned(), directory));
        let walk = found?;
        let place = resolve::end(&walk, self.trust())?;
        match place.kind() == FileType::RegularFile && place.mode & 0o111 != 0 {
            true => {
                self.last = Some((path, place.clone(), walk.clone()));
                Ok((place, walk))
            }
            false => Err(not_executable(&place)),
        }
    }
}

fn not_executable(place: &Place) -> Error {
    let is_file = place.kind() == FileType::RegularFile;
    Error::Unusable {
        path: place.path.clone(),
        why: "is not an executable file".to_owned(),
        hint: is_file.then(|| format!("chmod a+x {}", shell_quoted(&place.path))),
    }
}
