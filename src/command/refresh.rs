//! `epcache refresh`: bring indexes up to date.

use super::args::Refresh;
use super::selection::Unnamed;
use super::{Status, Work};
use crate::error::Result;
use crate::refresh::reconcile::{Depth, Sealing};
use crate::refresh::thorough;
use crate::store::target::Access;

/// Refreshes what was named and prints a line a site directory.
///
/// # Errors
/// When the root or the configuration is not usable.
pub fn run(arguments: &Refresh) -> Result<Status> {
    let work = Work::find(&arguments.site, &arguments.selection, Unnamed::One, Access::Write)?;
    let mut request = thorough();
    if arguments.full {
        request.depth = Depth::Everything;
    }
    request.seal = match (arguments.seal, arguments.selection.root.is_some() && !arguments.no_seal) {
        (true, _) => Sealing::Wanted,
        (false, true) => Sealing::IfPossible,
        (false, false) => Sealing::No,
    };
    let mut status = work.status;
    for done in work.refresh(&request, arguments.dry_run) {
        if done.error.is_some() {
            status = Status::Failed;
        }
        done.print(arguments.json);
    }
    Ok(status)
}
