//! `epcache refresh`: bring indexes up to date.

use super::{Status, for_each};
use crate::cli::Refresh;
use crate::config::Config;
use crate::error::Result;
use crate::reconcile::Depth;
use crate::refresh::{refresh, revoke_if_present, thorough};
use crate::report::{self, SiteReport};
use crate::site::select::{Selected, Unnamed, select};
use crate::system::System;

/// Refreshes what was named and prints a line a site directory.
///
/// # Errors
/// When the root or the configuration is not usable.
pub fn run(arguments: &Refresh) -> Result<Status> {
    let system = System::new(arguments.selection.root.as_deref())?;
    let config = Config::load(system.root())?;
    let Selected { targets, errors } =
        select(&arguments.site, &arguments.selection, Unnamed::One, &config, &system);
    let mut status = Status::Done;
    for (_, error) in &errors {
        report::error(error);
        status = Status::Failed;
    }
    if targets.is_empty() && errors.is_empty() {
        log::info!("no site directories found");
    }
    let mut request = thorough();
    if arguments.full {
        request.depth = Depth::Everything;
    }
    let results = for_each(&targets, |target| refresh(target, &system, &request, arguments.dry_run));
    for (target, result) in targets.iter().zip(results) {
        let done = result.unwrap_or_else(|error| SiteReport::failed(&target.site, &error));
        if done.unrevoked {
            revoke_if_present(target, &system).unwrap_or_else(|error| report::error(&error));
        }
        if done.error.is_some() {
            status = Status::Failed;
        }
        done.print(arguments.json);
    }
    Ok(status)
}
