//! The environment of a site directory, whose packages can register hooks.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::registered::State;
use crate::encoding::shell_quoted;
use crate::error::{Error, Failure, Result};
use crate::interpreter_hook::{self, Setting};
use crate::site::is_of_interpreter;
use crate::sys::fs::{Links, Unreadable};
use crate::sys::resolve::Trust;
use crate::sys::root::System;

/// Below the prefix of an environment.
pub(super) const OF_ENVIRONMENT: &str = "share/epcache/hooks.d";

/// A site directory with the prefix that it is in: that of an environment, or `/usr/local`.
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
        let is_usual = matches!(name(0), Some(b"site-packages" | b"dist-packages"))
            && name(1).is_some_and(is_of_interpreter)
            && matches!(name(2), Some(b"lib" | b"lib64"));
        let prefix = site.ancestors().nth(3).filter(|_| is_usual)?;
        Some(Self { prefix: prefix.to_owned(), site: site.to_owned(), owner })
    }

    /// The directory of its registrations.
    pub fn directory(&self) -> PathBuf {
        self.prefix.join(OF_ENVIRONMENT)
    }

    /// The state of its registrations, unless one is overridden, masked or refused.
    pub(super) fn state(&self, system: &System) -> State {
        let setting = match self.setting(system) {
            Ok(setting) if setting.hooks => return State::Active,
            Ok(setting) => setting,
            Err(error) => return State::Refused(Failure::from(&error)),
        };
        let features = Setting { hooks: true, ..setting }.features();
        let options: String = features.iter().map(|name| format!(" --{name}")).collect();
        State::Disabled { hint: format!("epcache enable{options} {}", shell_quoted(&self.site)) }
    }

    /// What its owner has enabled. It is an error if others could have written that.
    fn setting(&self, system: &System) -> Result<Setting> {
        let file = self.site.join(interpreter_hook::PTH);
        let opened = system.entry(&file, Links::Refuse).map_err(|lost| lost.error.into());
        let opened = match opened.and_then(|entry| entry.open_file()) {
            Err(Unreadable::Missing) => return Ok(Setting::default()),
            opened => opened.map_err(|why| Error::io("can't read", &file, why))?,
        };
        system.resolve(&system.within(&file), Trust::Only(self.owner))?.check(&opened)?;
        let bytes = opened.read(interpreter_hook::MAX_FILE);
        Ok(Setting::of(&bytes.map_err(|why| Error::io("can't read", &file, why))?))
    }

    /// The error for a site directory that is in no environment.
    pub fn missing(site: &Path) -> Error {
        Error::Unusable {
            path: site.to_owned(),
            why: "has no hooks of its own: it is not PREFIX/lib/python3.*/site-packages or PREFIX/lib/pypy3.*/site-packages".to_owned(),
            hint: Some("name an environment with --venv".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_above_the_directory_of_the_interpreter() {
        for (site, prefix) in [
            ("/opt/venv/lib/python3.13/site-packages", Some("/opt/venv")),
            ("/opt/venv/lib64/python3.9/site-packages", Some("/opt/venv")),
            ("/opt/venv/lib/pypy3.11/site-packages", Some("/opt/venv")),
            ("/usr/local/lib/python3.13/dist-packages", Some("/usr/local")),
            ("/opt/venv/lib/python3.13/site-packages/x", None),
            ("/opt/venv/lib/python/site-packages", None),
            ("/opt/venv/libexec/python3.13/site-packages", None),
            ("/opt/target", None),
            ("/", None),
        ] {
            let found = Environment::of(Path::new(site), 7).map(|found| found.prefix);
            assert_eq!(found.as_deref(), prefix.map(Path::new), "{site}");
        }
    }
}
