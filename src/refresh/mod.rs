//! Bringing the index of one site directory up to date.
//!
//! Stamps, listing and reading are [`mod@reconcile`]'s; here is what surrounds them: the old index,
//! the lock, the replacement, and what is done when something fails. Then the old index may be wrong
//! in a way that no reader can see (a package rebuilt in place does not move the site directory's
//! stamp), so it is removed; where even that fails, the report says that it must be revoked.

pub mod reconcile;
pub mod report;
pub mod seal;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use self::seal::is_natural;
use crate::error::{Error, Result};
use crate::index::{self, Index, Seal, parse, render};
use crate::refresh::reconcile::{Depth, Outcome, Request, Sealing, reconcile};
use crate::refresh::report::SiteReport;
use crate::site::{SiteDir, empty_directories};
use crate::store::index_dir::IndexDir;
use crate::store::invalidate::invalidate_if_present;
use crate::store::location::{self, Place};
use crate::store::target::Target;
use crate::sys::message;
use crate::sys::root::System;

/// How often it is done again because another process changed something meanwhile.
const ATTEMPTS: usize = 4;
/// How long a seal is waited for: until what was installed just before is old enough, and a little
/// more, since the wait begins anew when something else is installed meanwhile.
const PATIENCE: Duration = Duration::from_millis(4500);

/// Refreshes the index of `target`; with `dry_run` nothing is written.
#[must_use]
pub fn refresh(target: &Target, system: &System, request: &Request, dry_run: bool) -> SiteReport {
    let start = Instant::now();
    let mut report = SiteReport { site: target.site.to_string_lossy().into_owned(), ..SiteReport::default() };
    let request = Request { managed: target.place == Place::System, ..request.clone() };
    let done = if dry_run {
        rehearse(target, system, &request, &mut report)
    } else {
        write(target, system, &request, &mut report)
    };
    if let Err(error) = done {
        message::error(&error);
        report.error = Some(error.to_string());
    }
    report.seconds = start.elapsed().as_secs_f64();
    report
}

fn write(target: &Target, system: &System, request: &Request, report: &mut SiteReport) -> Result<()> {
    let result = SiteDir::open(target.site.clone()).and_then(|site| {
        let mut directory = IndexDir::open(target.place, &site, system)?;
        directory.lock();
        update(&site, target.place, &directory, system, request, report).inspect_err(|_| {
            // A failure to remove it is told by what follows from it.
            let _ = directory.discard();
        })
    });
    if result.is_err() {
        // Allowed to who owns the site directory; otherwise it is up to whoever called us.
        report.unrevoked = invalidate_if_present(target, system).is_err();
    }
    result
}

/// Writes until a look at the disk has nothing to add to what is written.
///
/// Who has the lock is mostly alone, so that one look is enough unless the site directory moved
/// meanwhile. Otherwise another process may have replaced our index by one that it began to make before
/// the last change, or we theirs; whoever was last looks again and sees it.
fn update(
    site: &SiteDir,
    place: Place,
    directory: &IndexDir,
    system: &System,
    request: &Request,
    report: &mut SiteReport,
) -> Result<()> {
    let mut request = request.clone();
    let mut diagnostics = BTreeSet::new();
    let mut attempt = 1;
    let start = Instant::now();
    if request.seal != Sealing::No {
        give_time_of_its_own(site, place);
    }
    loop {
        let bytes = directory.read()?.unwrap_or_default();
        let old = usable(&bytes, &directory.index());
        let mut outcome = reconcile(site, old.as_ref(), &request)?;
        if place == Place::User {
            // The directory is somebody else's, perhaps a package manager's that replaces files in
            // place and does not run us for this index. So readers must look at every distribution.
            outcome.index.distributions.iter_mut().for_each(|distribution| distribution.settled = false);
        }
        // The paths of another system are not those of this one.
        if !system.is_foreign() {
            let known = old.as_ref().map_or(&[][..], |old| &old.without);
            outcome.index.without = empty_directories::find_empty_directories(site.path(), known);
        }
        if request.seal != Sealing::No {
            let wait = seal::wait(&outcome.index, place, system);
            if place != Place::User && !wait.is_zero() && start.elapsed() + wait < PATIENCE {
                fill(report, &outcome);
                std::thread::sleep(wait);
                continue;
            }
            outcome.index.seal = sealed(&outcome, old.as_ref(), place, directory, system, request.seal);
        }
        let new = render(&outcome.index);
        fill(report, &outcome);
        diagnostics.append(&mut outcome.diagnostics.drain(..).collect());
        let written = new == bytes;
        if !written {
            directory.replace(&new, outcome.index.seal.as_ref().map(|seal| seal.time))?;
        }
        let quiet =
            site.still_is(outcome.index.site).map_err(|error| Error::io("can't stat", site.path(), error))?;
        if quiet && (written || directory.is_alone()) || attempt == ATTEMPTS {
            report.index = Some(directory.index().to_string_lossy().into_owned());
            tell(site, &diagnostics);
            return Ok(());
        }
        // What has been read need not be read again, unless it has changed.
        if request.depth == Depth::Everything {
            request.depth = Depth::Files;
        }
        request.hints.clear();
        attempt += 1;
    }
}

/// Sees to it that the time of the directory is one that nothing but a change has given it: one that
/// came with an archive may be that of everything in all archives of this maker.
fn give_time_of_its_own(site: &SiteDir, place: Place) {
    let made_up = |stamp| !is_natural(stamp);
    if place == Place::Sidecar && site.stamp().is_ok_and(made_up) {
        if let Err(error) = site.touch() {
            log::debug!("{}: can't be given another time: {error}", site.path().display());
        }
    }
}

/// The seal of the new index, if it can have one.
fn sealed(
    outcome: &Outcome<'_>,
    old: Option<&Index<'_>>,
    place: Place,
    directory: &IndexDir,
    system: &System,
    wanted: Sealing,
) -> Option<Seal<'static>> {
    match seal::seal(&outcome.index, outcome.names, place, system) {
        Ok(mut seal) => {
            // So that an index that says this already need not be written again.
            let before = old.and_then(|old| old.seal.as_ref()).map(|seal| seal.time);
            if let Some(time) = before.filter(|time| directory.modified() == Some(*time)) {
                seal.time = time;
            }
            Some(seal)
        }
        Err(why) => {
            if wanted == Sealing::Wanted {
                log::warn!("{}: not sealed: {why}", directory.index().display());
            }
            None
        }
    }
}

/// What [`refresh`] would do.
fn rehearse(target: &Target, system: &System, request: &Request, report: &mut SiteReport) -> Result<()> {
    let site = SiteDir::open(target.site.clone())?;
    examine(&site, system, request, |_, outcome| {
        fill(report, &outcome);
        tell(&site, &outcome.diagnostics.into_iter().collect());
    })
}

/// Compares the index that readers use with the disk, without writing anything: `then` gets the
/// path of that index, if there is a usable one, and what a refresh would come to.
///
/// # Errors
/// Those of [`reconcile()`].
pub fn examine<T>(
    site: &SiteDir,
    system: &System,
    request: &Request,
    then: impl FnOnce(Option<Examined<'_>>, Outcome<'_>) -> T,
) -> Result<T> {
    let found =
        location::find(site, system, |path, why| log::warn!("{}: passed over: {why}", path.display()));
    let index = found.as_ref().map(|found| (found, parse(&found.bytes)));
    let old = index.as_ref().and_then(|(_, index)| index.as_ref().ok());
    let outcome = reconcile(site, old, request)?;
    let examined =
        index.as_ref().map(|(found, index)| Examined { found, index: index.as_ref().map_err(|why| *why) });
    Ok(then(examined, outcome))
}

impl Examined<'_> {
    /// Whether it is sealed, and then, why readers do not find it proven in this copy of its tree.
    #[must_use]
    pub fn seal(&self, outcome: &Outcome<'_>, system: &System) -> Option<std::result::Result<(), seal::Why>> {
        let index = self.index.ok()?;
        let seal = index.seal.as_ref()?;
        Some(seal::prove(index, seal, self.found.modified, outcome.index.site, outcome.names, system))
    }
}

/// The index that a reader finds.
#[derive(Debug)]
pub struct Examined<'a> {
    /// The file.
    pub found: &'a location::Found,
    /// What it says, or why it says nothing.
    pub index: std::result::Result<&'a Index<'a>, index::Invalid>,
}

fn usable<'a>(bytes: &'a [u8], path: &std::path::Path) -> Option<Index<'a>> {
    if bytes.is_empty() {
        return None;
    }
    parse(bytes).inspect_err(|why| log::info!("{}: {why}; it is made anew", path.display())).ok()
}

/// Adds what an attempt has found to what earlier ones have done.
fn fill(report: &mut SiteReport, outcome: &Outcome<'_>) {
    let changes = &outcome.changes;
    for (names, found) in [
        (&mut report.added, &changes.added),
        (&mut report.updated, &changes.updated),
        (&mut report.removed, &changes.removed),
        (&mut report.read, &changes.read),
    ] {
        names.extend(found.iter().map(|name| String::from_utf8_lossy(name).into_owned()));
        names.sort();
        names.dedup();
    }
    report.waited += outcome.waited.as_secs_f64();
    report.carried = outcome.index.distributions.len().saturating_sub(report.read.len());
    report.settled = outcome.index.is_settled();
    report.sealed = outcome.index.seal.is_some();
}

/// Says what is odd about distributions that were read, but not endlessly: who made them wants that.
fn tell(site: &SiteDir, diagnostics: &BTreeSet<String>) {
    const MOST: usize = 10;
    let path = site.path().display();
    for diagnostic in diagnostics.iter().take(MOST) {
        log::warn!("{path}/{diagnostic}");
    }
    if let Some(more @ 1..) = diagnostics.len().checked_sub(MOST) {
        log::warn!("{path}: {more} more diagnostics; see epcache list");
    }
}

/// A request that compares the metadata files as well, as a person expects it.
#[must_use]
pub fn thorough() -> Request {
    Request {
        depth: Depth::Files,
        hints: std::collections::BTreeSet::default(),
        finished: false,
        managed: false,
        seal: Sealing::No,
    }
}
