//! `epcache watch`: refresh indexes whenever something is installed, until it is stopped.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::args::Watch;
use super::selection::Unnamed;
use super::{Status, Work, output};
use crate::error::{Error, Result};
use crate::refresh::Request;
use crate::refresh::report::SiteReport;
use crate::store::target::{Operation, Target};
use crate::sys::message;
use crate::sys::watch::Watched;

/// An installer makes many changes one after the other. They count as done after this time without a change.
const QUIET: Duration = Duration::from_millis(500);
/// The longest time from the first change to a refresh.
const MOST: Duration = Duration::from_secs(5);

pub fn run(arguments: &Watch) -> Result<Status> {
    let work = Work::find(&arguments.site, &arguments.selection, Unnamed::One, Operation::Refresh)?;
    let mut status = work.status;
    let failed = |error| Error::child(format!("can't watch directories: {error}"));
    let mut watched = Watched::new().map_err(failed)?;
    for (number, target) in work.targets.iter().enumerate() {
        let added = target.open(&work.system).and_then(|site| {
            watched.add(&site, number).map_err(|error| Error::io("can't watch", &target.site, error))
        });
        if let Err(error) = added {
            message::error(&error);
            status = Status::Failed;
        }
    }
    // The kernel reports every change after this, so nothing is missed.
    let mut to_refresh: BTreeSet<usize> = (0..work.targets.len()).collect();
    let mut is_first = true;
    let mut settles_at = None;
    while !watched.is_empty() {
        let targets: Vec<Target> = to_refresh.iter().map(|number| work.targets[*number].clone()).collect();
        for report in refresh(&work.about(targets, Operation::Refresh), arguments) {
            let settles = report.settles_in.and_then(|left| Duration::try_from_secs_f64(left).ok());
            settles_at = settles_at.max(settles.map(|left| Instant::now() + left.max(QUIET)));
            if is_first || report.error.is_some() || report.has_changes() {
                output::site_report(&report, arguments.json);
            }
        }
        is_first = false;
        let happened = watched.wait(settles_at, QUIET, MOST).map_err(failed)?;
        for number in happened.gone {
            log::error!(
                "{}: was removed or renamed, and is not watched any more",
                work.targets[number].site.display()
            );
            status = Status::Failed;
        }
        to_refresh = happened.changed;
        if to_refresh.is_empty() && settles_at.take().is_some() {
            // What was too young is old enough now.
            to_refresh = (0..work.targets.len()).collect();
        }
    }
    Ok(status)
}

fn refresh(work: &Work, arguments: &Watch) -> Vec<SiteReport> {
    let request = Request { hooks: work.system_hooks(), names: arguments.json, ..Request::thorough() };
    work.refresh_and_deliver(&request, !arguments.no_hooks)
}
