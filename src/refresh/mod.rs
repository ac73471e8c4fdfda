//! Bringing the index of one site directory up to date.
//!
//! [`mod@reconcile`] compares the old index with the disk, as a [`Request`] asks, which gives an
//! [`Outcome`]. [`update`] surrounds it with what a written index needs: the lock, the replacement, the
//! [`seal`]. [`mod@examine`] compares without writing.
//!
//! When something fails, the old index may be wrong in a way that no reader can see: a package rebuilt in
//! place does not change the site directory's stamp. So it is removed. Where even that fails, the report
//! says that the caller must make it stale.

mod budget;
mod delivery;
mod examine;
mod outcome;
mod reconcile;
pub(crate) mod report;
mod request;
pub(crate) mod seal;
mod update;

use std::time::Instant;

pub use self::budget::Budget;
use self::delivery::Delivery;
pub(crate) use self::examine::{Examined, examine};
pub use self::outcome::{Changes, Outcome};
pub use self::reconcile::reconcile;
use self::report::SiteReport;
pub use self::request::{Depth, Ended, Request, Sealing};
use self::update::Update;
use crate::error::Result;
use crate::hook::journal::{Journal, Wanted};
use crate::index::parse;
use crate::site::retries::Retries;
use crate::store::index_dir::IndexDir;
use crate::store::invalidate::invalidate_open;
use crate::store::location;
use crate::store::target::{Operation, Target};
use crate::sys::message;
use crate::sys::root::System;

/// Refreshes the index of `target`. [`Operation::DryRun`] only reports what would change.
pub fn refresh(target: &Target, system: &System, request: &Request, operation: Operation) -> SiteReport {
    let start = Instant::now();
    let mut report = SiteReport { site: target.site.to_string_lossy().into_owned(), ..SiteReport::default() };
    let mut request = Request { managed: target.location.managed, ..request.clone() };
    if target.location.is_in_image() {
        request.seal = Sealing::ByContents;
    }
    let done = if operation == Operation::DryRun {
        dry_run(target, system, &request, &mut report)
    } else {
        write(target, system, &request, &mut report)
    };
    if let Err(error) = done {
        message::error(&error);
        report.error = Some(error.to_string());
    }
    if !request.names {
        report.forget_names();
    }
    report.seconds = start.elapsed().as_secs_f64();
    report
}

fn write(target: &Target, system: &System, request: &Request, report: &mut SiteReport) -> Result<()> {
    let mut opened = None;
    let result = target.open(system).and_then(|site| {
        let site = &*opened.insert(site);
        let mut directory = IndexDir::open(target.location, site, system)?;
        directory.lock();
        let hooks = delivery::hooks(target, system, request);
        let delivery = Delivery { site: site.path(), directory: &directory, hooks };
        let update = Update { site, location: target.location, directory: &directory, system, delivery };
        update.run(request, report).inspect_err(|_| {
            // An index that can't be removed either is made stale below.
            let _ = directory.discard();
        })
    });
    if result.is_err() {
        // The owner of the site directory may do that; otherwise our caller has to.
        report.must_invalidate = invalidate_open(opened.as_ref(), target, system).is_err();
    }
    result
}

fn dry_run(target: &Target, system: &System, request: &Request, report: &mut SiteReport) -> Result<()> {
    let site = target.open(system)?;
    let hooks = delivery::hooks(target, system, request);
    let mut found = location::find(&site, system).into_iter().flatten();
    let found = found.find(|found| found.location == target.location);
    let old = found.as_ref().and_then(|found| parse(&found.bytes).ok());
    let outcome = reconcile(&site, old.as_ref(), request, &Retries::default())?;
    report.add(&outcome);
    // Nothing runs after a refresh that only works out what it would do.
    if request.wanted != Wanted::Due {
        let journal = Journal::find(target, system).unwrap_or_else(|error| {
            message::error(&error);
            None
        });
        let journal = journal.unwrap_or_default();
        report.due = delivery::due(journal, &hooks, request.wanted, site.path(), &outcome.index);
    }
    report::log_diagnostics(&site, &outcome.diagnostics.into_iter().collect());
    Ok(())
}
