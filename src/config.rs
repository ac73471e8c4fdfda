//! The configuration: which site directories are system-wide, how strictly processes are confined, and how
//! long a trigger may take.
//!
//! `/etc/epcache/config.toml` overrides `/usr/lib/epcache/config.toml` key by key; without either, the
//! same defaults are compiled in.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::encoding::{printable, shell_quoted};
use crate::error::{Error, Result};
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
const KEYS: [&str; 3] = [SITE_DIRECTORIES, REQUIRE_SANDBOX, TRIGGER_TIMEOUT];
/// The longest that a trigger can be allowed to take, in seconds.
const MAX_TRIGGER_TIMEOUT: u64 = 3600;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Absolute glob patterns of the system-wide site directories.
    pub site_directories: Vec<String>,
    /// Whether a process does nothing unless it is confined in every way that this program knows.
    pub require_sandbox: bool,
    /// How long a trigger may take. The transaction of the package manager waits for it.
    pub trigger_timeout: Duration,
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
            require_sandbox: false,
            trigger_timeout: Duration::from_secs(120),
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
                config.merge(&text).map_err(|(line, why)| Error::Configuration { path, line, why })?;
            }
        }
        Ok(config)
    }

    /// Sets what `text` sets.
    ///
    /// An error says what is wrong, and in which line, counted from 1.
    pub fn merge(&mut self, text: &str) -> std::result::Result<(), (Option<usize>, String)> {
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            (line, error.message().to_owned())
        })?;
        for (key, value) in table {
            let line = find_key(text, &key);
            match key.as_str() {
                SITE_DIRECTORIES => self.site_directories = patterns(value).map_err(|why| (line, why))?,
                REQUIRE_SANDBOX => {
                    let wrong = || format!("{REQUIRE_SANDBOX} must be true or false");
                    self.require_sandbox = value.as_bool().ok_or_else(|| (line, wrong()))?;
                }
                TRIGGER_TIMEOUT => self.trigger_timeout = timeout(&value).map_err(|why| (line, why))?,
                _ => return Err((line, unknown_key(&key))),
            }
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

fn patterns(value: toml::Value) -> std::result::Result<Vec<String>, String> {
    let patterns: Vec<String> =
        value.try_into().map_err(|_| format!("{SITE_DIRECTORIES} must be a list of texts"))?;
    for pattern in &patterns {
        let path = PathBuf::from(pattern);
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return Err(format!("{}: must be an absolute path without ..", printable(pattern)));
        }
        glob::Pattern::new(pattern).map_err(|error| format!("{}: {error}", printable(pattern)))?;
    }
    Ok(patterns)
}

fn timeout(value: &toml::Value) -> std::result::Result<Duration, String> {
    let seconds = value.as_integer().and_then(|seconds| u64::try_from(seconds).ok());
    match seconds {
        Some(seconds @ 1..=MAX_TRIGGER_TIMEOUT) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("{TRIGGER_TIMEOUT} must be a number of seconds from 1 to {MAX_TRIGGER_TIMEOUT}")),
    }
}

fn unknown_key(key: &str) -> String {
    let nearest = KEYS
        .iter()
        .max_by(|one, other| strsim::jaro_winkler(key, one).total_cmp(&strsim::jaro_winkler(key, other)));
    let nearest = nearest.map_or(String::new(), |nearest| format!("; did you mean {nearest}?"));
    format!("unknown key {}{nearest}", printable(key))
}

/// The line in which a top-level key is set, or a table of that name begins.
fn find_key(text: &str, key: &str) -> Option<usize> {
    let sets = |line: &str| {
        let line = line.trim_start().trim_start_matches('[').trim_start().trim_start_matches(['"', '\'']);
        line.strip_prefix(key)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_'))
    };
    text.lines().position(sets).map(|index| index + 1)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> (Option<usize>, String) {
        Config::default().merge(text).expect_err("must be refused")
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
