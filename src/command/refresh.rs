//! `epcache refresh`: bring indexes up to date.

use std::io::{self, IsTerminal as _};
use std::thread::sleep;
use std::time::Duration;

use super::args::Refresh;
use super::output;
use super::selection::Unnamed;
use super::{Status, Work};
use crate::error::Result;
use crate::freshness::clock::{SETTLE_AFTER, TICK};
use crate::refresh::report::SiteReport;
use crate::refresh::{Depth, Ended, Request, Sealing};
use crate::store::target::Operation;

pub fn run(arguments: &Refresh) -> Result<Status> {
    // What is written from now on is not that installer's work.
    let ended = arguments.after.clone().map(|name| Ended::now([name]));
    let operation = match arguments {
        Refresh { dry_run: true, .. } => Operation::DryRun,
        Refresh { usr: true, .. } => Operation::RefreshImage,
        _ => Operation::Refresh,
    };
    let work = Work::find(&arguments.site, &arguments.selection, Unnamed::One, operation)?;
    let mut request = Request::thorough();
    if arguments.full {
        request.depth = Depth::Everything;
    }
    request.seal = match (arguments.seal, arguments.selection.root.is_some() && !arguments.no_seal) {
        (false, false) => Sealing::No,
        // A reproducible build gives all files one time afterwards.
        _ if std::env::var_os("SOURCE_DATE_EPOCH").is_some_and(|time| !time.is_empty()) => {
            Sealing::ByContents
        }
        (true, _) => Sealing::Wanted,
        (false, true) => Sealing::IfPossible,
    };
    request.names = arguments.json;
    request.ended = ended;
    let mut status = work.status;
    request.hooks = work.system_hooks();
    let mut reports = work.refresh_and_deliver(&request, !arguments.no_hooks);
    let is_at_terminal = io::stdout().is_terminal() || io::stderr().is_terminal();
    if !arguments.dry_run && (arguments.wait || is_at_terminal) {
        settle(&work, request, &mut reports);
    }
    for report in reports {
        if report.error.is_some() {
            status = Status::Failed;
        }
        output::site_report(&report, arguments.json);
    }
    Ok(status)
}

/// Waits until young distributions are old enough to be settled, and refreshes once more. Those that need longer than
/// [`SETTLE_AFTER`] are not waited for.
fn settle(work: &Work, request: Request, reports: &mut [SiteReport]) {
    let is_soon = |left: &f64| *left <= SETTLE_AFTER.as_secs_f64();
    let left = reports.iter().filter_map(|report| report.settles_in).filter(is_soon).reduce(f64::max);
    let Some(left) = left.and_then(|left| Duration::try_from_secs_f64(left).ok()) else { return };
    let (seconds, guard) = (output::whole_seconds(left), SETTLE_AFTER.as_secs());
    log::info!("waiting {seconds} s until the last installation is {guard} s old");
    sleep(left + TICK);
    // With --full, everything has been read already.
    let request = Request { depth: Depth::Files, ..request };
    for (report, later) in reports.iter_mut().zip(work.refresh(&request)) {
        report.follow(later);
    }
}
