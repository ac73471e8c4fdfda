//! `epcache disable`: remove what `epcache enable` wrote.

use super::Status;
use super::args::Disable;
use super::enable::{Done, find, print};
use crate::error::Result;
use crate::interpreter_hook;
use crate::store::target::Operation;

pub fn run(arguments: &Disable) -> Result<Status> {
    let work = find(&arguments.environments, Operation::Disable)?;
    let mut done = work.in_each(interpreter_hook::disable);
    work.refresh_after(&mut done, |target, done| {
        let index = target.location.index(&target.site, &work.system);
        done.changed && index.is_some_and(|index| index.symlink_metadata().is_ok())
    });
    let text =
        |done: &Done| format!("{}: {}", done.site, if done.changed { "disabled" } else { "not enabled" });
    Ok(print(work.status, &done, arguments.json, text))
}
