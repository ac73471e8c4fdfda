//! A process that becomes what a job's process becomes, and then does something else.
//!
//! Such a process must have a single thread, so it begins before `main`, and so before the threads of
//! the tests: this very program, started again with a variable set.
#![allow(unsafe_code, clippy::exit)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use epcache::command::needs;
use epcache::privilege::sandbox::Needs;
use epcache::privilege::{RunAs, child};
use epcache::store::location;
use epcache::store::target::{Operation, Target};
use epcache::sys::root::{System, User};
use serde::{Deserialize, Serialize};

use super::actions::{Surroundings, all};
use super::mask::Mask;

const VARIABLE: &str = "EPCACHE_TEST_TAKEN_OVER";

/// Whose process of which job is taken over, on what kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Victim {
    /// As whom it runs, and its group.
    pub user: u32,
    /// The site directory whose index is refreshed; `None` for an interpreter that is asked.
    pub site: Option<PathBuf>,
    /// The root of the system that it belongs to, where it is system-wide.
    pub root: Option<PathBuf>,
    /// What the kernel lacks.
    pub mask: Mask,
    /// What can be attacked.
    pub surroundings: Surroundings,
}

/// What came of each attempt: `allowed`, or the name of an error.
pub type Results = BTreeMap<String, String>;

/// Has everything attempted from within.
pub fn attempt_all(victim: &Victim) -> Results {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env_clear().env(VARIABLE, serde_json::to_string(victim).expect("JSON"));
    let output = command.output().expect("this program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[used]
// SAFETY: what is called needs nothing that is only there in `main`.
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
            let target = Target { site: site.clone(), location, run_as: identity };
            needs::of([&target], identity, Operation::Refresh, &system)
        }
        None => Needs { program: true, ..Needs::default() },
    };
    let confinement = needs::confinement(needs, false);
    child::run(identity, &confinement, || all(&victim.surroundings))
}
