//! Listing directories as their owner. Root opens no directory of another user.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::Dir;
use rustix::io::Errno;

use crate::config::Config;
use crate::error::Result;
use crate::limits::INDEX_SIZE;
use crate::privilege::sandbox::{Confinement, Limits, Needs, Reach, TIME_LIMIT};
use crate::privilege::{RunAs, child};
use crate::sys::caller;
use crate::sys::fs::Links;
use crate::sys::resolve::Place;
use crate::sys::root::System;

/// The wanted names in each of `directories`, sorted, at most `most` of each. For root, a confined process of `owner`
/// lists them, and names that are not wanted are dropped from its answer. What can't be listed is empty.
pub fn names(
    owner: u32,
    directories: &[Place],
    is_wanted: impl Fn(&[u8]) -> bool,
    most: usize,
    config: &Config,
    system: &System,
) -> Result<Vec<Vec<Vec<u8>>>> {
    let run_as = match caller::is_root() {
        true => RunAs::User(system.reader(system.user(owner))),
        false => RunAs::Caller,
    };
    let mut needs = Needs { system: system.clone(), ..Needs::default() };
    directories.iter().for_each(|directory| needs.add(directory.path.clone(), Reach::List));
    let confinement = Confinement {
        needs,
        required: config.require_sandbox,
        limits: Limits::of_job(INDEX_SIZE),
        time_limit: TIME_LIMIT,
    };
    let list =
        || directories.iter().map(|directory| listed(&directory.path, &is_wanted, most, system)).collect();
    let mut lists: Vec<Vec<Vec<u8>>> = child::run(run_as, &confinement, list)?;
    for names in &mut lists {
        names.retain(|name| !name.contains(&b'/') && is_wanted(name));
        names.truncate(most);
    }
    Ok(lists)
}

fn listed(directory: &Path, is_wanted: impl Fn(&[u8]) -> bool, most: usize, system: &System) -> Vec<Vec<u8>> {
    let opened: std::result::Result<OwnedFd, Errno> =
        system.entry(directory, Links::Refuse).map_err(Errno::from).and_then(|entry| entry.open_dir());
    let entries = opened.and_then(Dir::new).into_iter().flatten().flatten();
    let mut names: Vec<Vec<u8>> = entries.map(|entry| entry.file_name().to_bytes().to_vec()).collect();
    names.retain(|name| is_wanted(name));
    names.sort();
    names.truncate(most);
    names
}
