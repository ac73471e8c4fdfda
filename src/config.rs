//! The configuration: which site directories are system-wide, where environments are, how strictly processes are
//! confined, and how long a trigger and its hooks may take.
//!
//! `/etc/epcache/config.toml` overrides `/usr/lib/epcache/config.toml` key by key; without either, the
//! same defaults are compiled in.

use std::path::{Component, Path};
use std::time::Duration;

use crate::encoding::shell_quoted;
use crate::error::{Error, Result};
use crate::settings::{self, Mistake, Section};
use crate::sys::caller;
use crate::sys::fs::{self, Links, Unreadable};
use crate::sys::root::System;

/// The files. A later one overrides an earlier one.
const FILES: [&str; 2] = ["/usr/lib/epcache/config.toml", "/etc/epcache/config.toml"];
/// The largest configuration file that is read.
const MAX_SIZE: u64 = 1 << 20;
const SITE_DIRECTORIES: &str = "site-directories";
const REQUIRE_SANDBOX: &str = "require-sandbox";
const TRIGGER_TIMEOUT: &str = "trigger-timeout";
const HOOKS_TIMEOUT: &str = "hooks-timeout";
const ENVIRONMENTS: &str = "environments";
const KEYS: [&str; 5] = [SITE_DIRECTORIES, ENVIRONMENTS, REQUIRE_SANDBOX, TRIGGER_TIMEOUT, HOOKS_TIMEOUT];
/// The longest that a trigger or its hooks can be allowed to take, in seconds.
const MAX_TIMEOUT: i64 = 3600;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Absolute glob patterns of the system-wide site directories.
    pub site_directories: Vec<String>,
    /// Absolute glob patterns of environments, which `--all` selects.
    pub environments: Vec<String>,
    /// Whether a process does nothing unless it is confined in every way that this program knows.
    pub require_sandbox: bool,
    /// How long a trigger may take. The transaction of the package manager waits for it.
    pub trigger_timeout: Duration,
    /// How long all hooks of one transaction may take together.
    pub hooks_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let patterns = [
            "/usr/lib/python3/dist-packages",
            "/usr/lib/python3.*/site-packages",
            "/usr/lib64/python3.*/site-packages",
        ];
        Self {
            site_directories: patterns.map(str::to_owned).to_vec(),
            environments: Vec::new(),
            require_sandbox: false,
            trigger_timeout: Duration::from_secs(120),
            hooks_timeout: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Loads the configuration of `system`.
    ///
    /// An unknown key or value is an error.
    pub fn load(system: &System) -> Result<Self> {
        let mut config = Self::default();
        for file in FILES {
            let path = system.seen(Path::new(file));
            if let Some(text) = read(system, &path)? {
                let wrong = |Mistake { line, why }| Error::Configuration { path, line, why };
                config.merge(&text).map_err(wrong)?;
            }
        }
        Ok(config)
    }

    /// Sets what `text` sets.
    pub fn merge(&mut self, text: &str) -> settings::Result<()> {
        let mut section = Section::parse(text, &KEYS)?;
        if let Some(setting) = section.take(SITE_DIRECTORIES) {
            self.site_directories = setting.texts(pattern)?;
        }
        if let Some(setting) = section.take(ENVIRONMENTS) {
            self.environments = setting.texts(pattern)?;
        }
        if let Some(setting) = section.take(REQUIRE_SANDBOX) {
            self.require_sandbox = setting.flag()?;
        }
        if let Some(setting) = section.take(TRIGGER_TIMEOUT) {
            self.trigger_timeout = setting.seconds(MAX_TIMEOUT)?;
        }
        if let Some(setting) = section.take(HOOKS_TIMEOUT) {
            self.hooks_timeout = setting.seconds(MAX_TIMEOUT)?;
        }
        Ok(())
    }
}

fn read(system: &System, path: &Path) -> Result<Option<String>> {
    let refused = |why: &str| Error::Configuration { path: path.to_owned(), line: None, why: why.to_owned() };
    let failed = |why| match why {
        Unreadable::NotRegular | Unreadable::TooLarge { .. } => {
            refused("not a regular file of at most 1 MiB")
        }
        why => Error::io("can't read", path, why),
    };
    let entry = match system.entry(path, Links::Follow) {
        Err(lost) if lost.is_missing() => return Ok(None),
        found => found.map_err(|lost| Error::io("can't read", path, lost))?,
    };
    let file = match entry.open_file() {
        Err(Unreadable::Missing) => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let text = file.read(MAX_SIZE).map_err(failed)?;
    // It controls what root does, so only root may have written it.
    if caller::is_root() && (file.stat.st_uid != 0 || fs::is_writable_by_others(&file.stat)) {
        let file = shell_quoted(path);
        return Err(Error::Unusable {
            path: path.to_owned(),
            why: "not owned by root, or writable by others".to_owned(),
            hint: Some(format!("check what it says, then run chown root {file} && chmod go-w {file}")),
        });
    }
    String::from_utf8(text).map(Some).map_err(|_| refused("not UTF-8"))
}

fn pattern(text: &str) -> std::result::Result<String, String> {
    let path = Path::new(text);
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err("must be an absolute path without ..".to_owned());
    }
    glob::Pattern::new(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> (Option<usize>, String) {
        let Mistake { line, why } = Config::default().merge(text).expect_err("must be refused");
        (line, why)
    }

    #[test]
    fn a_typo_names_the_line_and_the_nearest_key() {
        let (line, why) = error_of("# ours\n\nsite-directorys = []\n");
        assert_eq!(line, Some(3));
        assert_eq!(why, "unknown key site-directorys; did you mean site-directories?");
    }

    #[test]
    fn broken_toml_names_the_line() {
        assert_eq!(error_of("a = 1\nsite-directories = ]\n").0, Some(2));
    }

    #[test]
    fn a_timeout_is_a_number_of_seconds_within_bounds() {
        for text in ["0", "-1", "3601", "1.5", "'60'", "true", "9223372036854775807"] {
            let (line, why) = error_of(&format!("trigger-timeout = {text}"));
            assert_eq!(line, Some(1), "{text}");
            assert_eq!(why, "trigger-timeout must be a number of seconds from 1 to 3600", "{text}");
        }
        let mut config = Config::default();
        config.merge("trigger-timeout = 3600").expect("right");
        assert_eq!(config.trigger_timeout, Duration::from_secs(3600));
    }

    #[test]
    fn a_pattern_must_be_absolute_and_well_formed() {
        for text in [
            "site-directories = ['lib']",
            "site-directories = ['/a/../b']",
            "site-directories = ['/a/[']",
            "site-directories = 3",
        ] {
            assert_eq!(error_of(text).0, Some(1), "{text}");
        }
    }
}
