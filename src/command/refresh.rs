//! `epcache refresh`: bring indexes up to date.

use super::args::Refresh;
use super::output;
use super::selection::Unnamed;
use super::{Status, Work};
use crate::error::Result;
use crate::refresh::{Depth, Request, Sealing};
use crate::store::target::Operation;

pub fn run(arguments: &Refresh) -> Result<Status> {
    let operation = if arguments.dry_run { Operation::DryRun } else { Operation::Refresh };
    let work = Work::find(&arguments.site, &arguments.selection, Unnamed::One, operation)?;
    let mut request = Request::thorough();
    if arguments.full {
        request.depth = Depth::Everything;
    }
    request.seal = match (arguments.seal, arguments.selection.root.is_some() && !arguments.no_seal) {
        (true, _) => Sealing::Wanted,
        (false, true) => Sealing::IfPossible,
        (false, false) => Sealing::No,
    };
    request.names = arguments.json;
    let mut status = work.status;
    request.hooks = work.system_hooks();
    let mut reports = work.refresh(&request);
    if arguments.no_hooks {
        reports.iter_mut().for_each(|report| report.due.clear());
    }
    work.run_hooks(&mut reports, &request.hooks);
    for report in reports {
        if report.error.is_some() {
            status = Status::Failed;
        }
        output::site_report(&report, arguments.json);
    }
    Ok(status)
}
