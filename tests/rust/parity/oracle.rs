//! Queries to the CPythons: one process for each interpreter and task, all at the same time.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The versions whose answers must be equal.
pub const VERSIONS: [&str; 4] = ["3.10", "3.11", "3.12", "3.13"];
/// The same, with 3.9.
pub const VERSIONS_FROM_3_9: [&str; 5] = ["3.9", "3.10", "3.11", "3.12", "3.13"];

/// An answer, or the class of the exception.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Answer<T> {
    /// CPython raises.
    Raises {
        /// Class of the exception.
        raises: String,
    },
    /// CPython answers.
    Gives(T),
}

/// Group, name and value.
pub type Triple = (String, String, String);

/// Asks each version about each case.
pub fn ask<T: DeserializeOwned>(
    versions: &[&'static str],
    task: &str,
    cases: &[Vec<u8>],
) -> Vec<(&'static str, Vec<Answer<T>>)> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut bytes = Vec::new();
    for case in cases {
        bytes.extend(u32::try_from(case.len()).expect("small").to_le_bytes());
        bytes.extend(case);
    }
    file.write_all(&bytes).expect("room for the cases");
    let running: Vec<_> = versions
        .iter()
        .filter_map(|version| {
            let python = interpreter(version)?;
            let child = Command::new(python)
                .args(["-I", "-S", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rust/parity/oracle.py"), task])
                .arg(file.path())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .expect("the interpreter starts");
            Some((*version, std::thread::spawn(|| child.wait_with_output())))
        })
        .collect();
    running
        .into_iter()
        .map(|(version, output)| {
            let output = output.join().expect("no panic").expect("the oracle's output");
            assert!(output.status.success(), "{version}: the oracle failed");
            let answers: Vec<_> = std::str::from_utf8(&output.stdout)
                .expect("JSON is UTF-8")
                .lines()
                .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
                .collect();
            assert_eq!(answers.len(), cases.len(), "{version}: an answer a case");
            (version, answers)
        })
        .collect()
}

/// The interpreter of a version: pyenv's, otherwise the first on the search path.
///
/// A missing one fails the test, so that parity tests are not skipped unnoticed.
/// `EPCACHE_MISSING_PYTHON=skip` allows a missing interpreter.
fn interpreter(version: &str) -> Option<PathBuf> {
    let name = format!("python{version}");
    let found = pyenv_versions()
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| is_patch_of(&name.to_string_lossy(), version)))
        .map(|path| path.join("bin").join(&name))
        .chain(
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).map(|path| path.join(&name)),
        )
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("EPCACHE_MISSING_PYTHON").is_some_and(|value| value == "skip"),
            "no {name} (pyenv install {version}, or EPCACHE_MISSING_PYTHON=skip to do without)"
        );
        eprintln!("skipped: no {name} on this machine");
    }
    found
}

fn is_patch_of(installed: &str, version: &str) -> bool {
    installed.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn pyenv_versions() -> Vec<PathBuf> {
    let asked = || {
        let output =
            Command::new("pyenv").arg("root").output().ok().filter(|output| output.status.success())?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end()))
    };
    let root = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(asked)
        .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".pyenv")));
    let listing = root.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
    let mut versions: Vec<_> = listing.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    versions.sort();
    versions
}
