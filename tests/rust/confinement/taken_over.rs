//! A process with the confinement of a job's process, which runs attacks instead of the job.
//!
//! Such a process must have a single thread. So it begins before `main`, and before the threads of the tests:
//! this program is started again with a variable set.
#![allow(unsafe_code, clippy::exit)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use epcache::command::needs;
use epcache::privilege::sandbox::{Needs, Program};
use epcache::privilege::{RunAs, child};
use epcache::store::location;
use epcache::store::target::{Operation, Target};
use epcache::sys::account::User;
use epcache::sys::root::System;
use serde::{Deserialize, Serialize};

use super::actions::{Surroundings, all};
use super::mask::Mask;

const VARIABLE: &str = "EPCACHE_TEST_TAKEN_OVER";

/// The job whose process is taken over, its user, and the kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Victim {
    /// The user and group of the process.
    pub user: u32,
    /// The site directory whose index is refreshed; `None` for the process that runs an interpreter.
    pub site: Option<PathBuf>,
    /// The root of the system that it belongs to, where it is system-wide.
    pub root: Option<PathBuf>,
    /// What the kernel lacks.
    pub mask: Mask,
    /// The targets of the attacks.
    pub surroundings: Surroundings,
}

/// The result of each attempt: `allowed`, or the name of an error.
pub type Results = BTreeMap<String, String>;

/// Runs all attempts inside the process.
pub fn attempt_all(victim: &Victim) -> Results {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env_clear().env(VARIABLE, serde_json::to_string(victim).expect("JSON"));
    let output = command.output().expect("this program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[used]
// SAFETY: the function called needs nothing that exists only in `main`.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = begin;

extern "C" fn begin() {
    let Some(victim) = std::env::var_os(VARIABLE) else { return };
    let victim: Victim = serde_json::from_str(victim.to_str().expect("UTF-8")).expect("JSON");
    let results = be(&victim).unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    });
    println!("{}", serde_json::to_string(&results).expect("JSON"));
    std::process::exit(0);
}

fn be(victim: &Victim) -> epcache::error::Result<Results> {
    victim.mask.put_on().expect("root may");
    let identity = RunAs::User(User { uid: victim.user, gid: victim.user });
    let system = System::new(victim.root.as_deref())?;
    let needs = match &victim.site {
        Some(site) => {
            let location = if victim.root.is_some() { &location::SYSTEM_CACHE } else { &location::SITE };
            let target =
                Target { site: site.clone(), location, run_as: identity, place: None, is_known: true };
            needs::of([&target], identity, Operation::Refresh, &system)
        }
        None => Needs { program: Some(Program::Interpreter), ..Needs::default() },
    };
    let confinement = needs::confinement(needs, false);
    child::run(identity, &confinement, || all(&victim.surroundings))
}
