//! `epcache disable`: undo what `epcache enable` has done.

use super::Status;
use super::args::Disable;
use super::enable::{Done, find, tell};
use crate::error::Result;
use crate::startup;
use crate::store::target::Access;

/// Removes the files that were made, and prints a line a site directory.
///
/// # Errors
/// When the configuration is not usable.
pub fn run(arguments: &Disable) -> Result<Status> {
    // It must be possible where there is no user for a system-wide index any more.
    let Some(work) = find("disable", &arguments.environments, Access::Read)? else {
        return Ok(Status::Usage);
    };
    let mut done = work.in_each(startup::disable);
    work.refresh_after(&mut done, |target, done| {
        let index = target.place.index(&target.site, &work.system);
        done.changed && index.is_some_and(|index| index.symlink_metadata().is_ok())
    });
    let said =
        |done: &Done| format!("{}: {}", done.site, if done.changed { "disabled" } else { "not enabled" });
    Ok(tell(work.status, &done, arguments.json, said))
}
