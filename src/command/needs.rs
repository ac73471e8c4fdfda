//! What the sandbox must allow a process that works on site directories. It is computed before anything
//! is read, from paths alone.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::hook::Environment;
use crate::limits::INDEX_SIZE;
use crate::privilege::RunAs;
use crate::privilege::sandbox::{Confinement, Limits, Needs, Reach, TIME_LIMIT};
use crate::site::empty_directories::PYVENV_CFG;
use crate::site::is_egg;
use crate::store::location::{LOCATIONS, SYSTEM_CACHE};
use crate::store::target::{Operation, Target};
use crate::sys::root::System;

/// What `operation` on `targets` needs.
pub fn of<'t>(
    targets: impl IntoIterator<Item = &'t Target>,
    run_as: RunAs,
    operation: Operation,
    system: &System,
) -> Needs {
    let mut needs = Needs { system: system.clone(), ..Needs::default() };
    targets.into_iter().for_each(|target| add(&mut needs, target, operation, system));
    if run_as == RunAs::Caller && operation == Operation::Inspect {
        // `list` follows links to wherever a program of the caller would.
        needs.add(system.root().to_owned(), Reach::Read);
    }
    needs
}

/// Adds the cache directory, which [`prune`](crate::store::prune::prune) works on even where no site
/// directory is left.
pub fn add_cache_directory(needs: &mut Needs, system: &System) {
    if let Some(top) = SYSTEM_CACHE.top(system) {
        needs.add(top, Reach::Index);
    }
}

/// A confinement to these needs, for a process that writes indexes at most.
pub fn confinement(needs: Needs, required: bool) -> Confinement {
    Confinement { needs, required, limits: Limits::of_job(INDEX_SIZE), time_limit: TIME_LIMIT }
}

fn add(needs: &mut Needs, target: &Target, operation: Operation, system: &System) {
    let site = &target.site;
    needs.add(site.clone(), Reach::Read);
    match operation {
        Operation::Inspect | Operation::DryRun => {
            // `hooks list` reads the registrations.
            if let Some(environment) = Environment::of(site, 0) {
                needs.add(environment.directory(), Reach::Read);
            }
            // The sidecar is below the site directory.
            for location in LOCATIONS.into_iter().filter(|location| !location.is_in_site()) {
                if let Some((base, below)) = location.directory(site, system) {
                    needs.add(base.join(below), Reach::Read);
                }
            }
        }
        Operation::Refresh | Operation::RefreshImage => {
            if let Some(environment) = Environment::of(site, 0).filter(|_| target.location.is_in_site()) {
                needs.add(environment.directory(), Reach::Read);
            }
            if let Some((base, below)) = target.location.directory(site, system) {
                if target.location.is_in_site() && !is_egg(site) {
                    needs.made.push(base.join(&below));
                    needs.add(base.join(below), Reach::Index);
                } else {
                    if target.location.is_in_image() {
                        // No package has it.
                        needs.made.extend(base.parent().map(Path::to_owned));
                        needs.made.push(base.clone());
                    }
                    needs.add(base, Reach::Index);
                }
            }
            if !system.is_foreign() {
                add_interpreter(needs, site);
            }
        }
        Operation::Enable | Operation::Disable => needs.add(site.clone(), Reach::Change),
    }
}

/// Adds what [`find_empty_directories`](crate::site::empty_directories::find_empty_directories) looks at:
/// the directories of the interpreter.
///
/// In an environment only `pyvenv.cfg` names the place of the interpreter, and root must not read that
/// here. So the process may list all directories there, which reveals names only.
fn add_interpreter(needs: &mut Needs, site: &Path) {
    let above = |levels| site.ancestors().nth(levels);
    let (Some(library), Some(prefix)) = (above(1), above(3)) else { return };
    let Some(python) = library.file_name() else { return };
    match site.file_name().map(OsStr::as_bytes) {
        Some(b"site-packages") => {
            let file = prefix.join(PYVENV_CFG);
            if file.symlink_metadata().is_ok() {
                needs.add(file, Reach::File);
                needs.add("/".into(), Reach::List);
            } else {
                for lib in ["lib", "lib64"] {
                    needs.add(prefix.join(lib).join(python), Reach::List);
                }
            }
        }
        Some(b"dist-packages") if python == "python3" => {
            for lib in ["lib", "local/lib"] {
                needs.add(prefix.join(lib), Reach::List);
            }
        }
        Some(b"dist-packages") => {
            needs.add(library.to_owned(), Reach::List);
            if let Some(usr) = prefix.parent() {
                needs.add(usr.join("lib").join(python), Reach::List);
            }
        }
        _ => {}
    }
}
