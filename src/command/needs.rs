//! What a process must reach that works on a site directory. It is settled before anything is read, by
//! places alone.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::privilege::RunAs;
use crate::privilege::sandbox::{Needs, Reach};
use crate::site::empty_directories::PYVENV_CFG;
use crate::site::is_egg;
use crate::store::location::{PLACES, Place, SIDECAR};
use crate::store::target::Target;
use crate::sys::root::System;

/// What is to be done there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Look at it and at its index.
    Look,
    /// Write its index.
    Refresh,
    /// Write files into it with which interpreters start.
    Enable,
}

/// Adds what must be reached of `target`.
fn add(needs: &mut Needs, target: &Target, purpose: Purpose, system: &System) {
    let site = &target.site;
    needs.add(site.clone(), Reach::Read);
    match purpose {
        Purpose::Look => {
            // The first is below the site directory.
            for place in PLACES.into_iter().filter(|place| *place != Place::Sidecar) {
                if let Some((base, below)) = place.directory(site, system) {
                    needs.add(base.join(below), Reach::Read);
                }
            }
        }
        Purpose::Refresh => {
            if target.place == Place::Sidecar && !is_egg(site) {
                let sidecar = site.join(SIDECAR);
                needs.made.push(sidecar.clone());
                needs.add(sidecar, Reach::Index);
            } else if let Some((base, _)) = target.place.directory(site, system) {
                needs.add(base, Reach::Index);
            }
            if !system.is_foreign() {
                add_interpreter(needs, site);
            }
        }
        Purpose::Enable => needs.add(site.clone(), Reach::Change),
    }
}

/// The same for all of `targets` that are worked on as `run_as`.
#[must_use]
pub fn of<'t>(
    targets: impl IntoIterator<Item = &'t Target>,
    run_as: RunAs,
    purpose: Purpose,
    system: &System,
) -> Needs {
    let mut needs = Needs::default();
    if run_as != RunAs::Caller {
        targets.into_iter().for_each(|target| add(&mut needs, target, purpose, system));
    }
    needs
}

/// Adds what [`find_empty_directories`](crate::site::empty_directories::find_empty_directories) looks at.
///
/// Where an environment's interpreter was installed is said by a file in it, which is not to be read
/// here: then directories are listed wherever they are, which tells names alone.
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

/// Adds what [`prune`](crate::store::prune::prune) works on, which it does also when there is no site directory left.
pub fn add_cache_directory(needs: &mut Needs, system: &System) {
    if let Some((base, _)) = Place::System.directory(system.root(), system) {
        needs.add(base, Reach::Index);
    }
}
