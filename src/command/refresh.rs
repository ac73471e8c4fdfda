//! `epcache refresh`: bring indexes up to date.

use super::{Status, Work};
use crate::cli::Refresh;
use crate::error::Result;
use crate::reconcile::Depth;
use crate::refresh::{refresh, revoke_if_present, thorough};
use crate::report::{self, SiteReport};
use crate::site::owner::Access;
use crate::site::select::Unnamed;

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
    let mut status = work.status;
    for (target, done) in
        work.for_each(|target, system| Ok(refresh(target, system, &request, arguments.dry_run)))
    {
        let done = done.unwrap_or_else(|error| SiteReport::failed(&target.site, &error));
        if done.unrevoked {
            revoke_if_present(target, &work.system).unwrap_or_else(|error| report::error(&error));
        }
        if done.error.is_some() {
            status = Status::Failed;
        }
        done.print(arguments.json);
    }
    Ok(status)
}
