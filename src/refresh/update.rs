//! Writing the index of one site directory, until it describes what is on disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::delivery::Delivery;
use super::outcome::Outcome;
use super::reconcile::reconcile;
use super::report::{SiteReport, log_diagnostics, refresh_command};
use super::request::{Depth, Request, Sealing};
use super::seal::{SealError, is_kernel_mtime, seal, time_to_wait};
use crate::change::Change;
use crate::encoding::shell_quoted;
use crate::error::{Error, Result};
use crate::index::{Index, Parsed, Seal, is_readable, parse_with_lines, render_over};
use crate::site::retries::Retries;
use crate::site::{SiteDir, empty_directories};
use crate::store::index_dir::IndexDir;
use crate::store::location::{Location, Writer};
use crate::sys::root::System;

/// How long a refresh waits until an index can be sealed. Longer than the 3 s after which everything is old
/// enough (`SETTLE_AFTER`), since the wait begins again if something else is installed meanwhile.
const SEAL_WAIT: Duration = Duration::from_millis(4500);

/// What an index is made from and where it is written.
pub(super) struct Update<'u> {
    pub site: &'u SiteDir,
    pub location: &'static Location,
    pub directory: &'u IndexDir,
    pub system: &'u System,
    pub delivery: Delivery<'u>,
}

impl Update<'_> {
    /// Writes the index, and repeats that until a comparison finds nothing to add.
    ///
    /// The process that holds the lock is mostly alone. Then one comparison is enough, unless the site
    /// directory changed meanwhile. Otherwise another process may have replaced our index by one that it
    /// began to make before the last change, or we theirs. The one that wrote last compares again and sees
    /// it.
    pub fn run(&self, request: &Request, report: &mut SiteReport) -> Result<()> {
        let mut request = request.clone();
        let retries = Retries::default();
        let mut diagnostics = BTreeSet::new();
        let mut unrecorded = Vec::new();
        let start = Instant::now();
        let needs_times = matches!(request.seal, Sealing::IfPossible | Sealing::Wanted);
        if needs_times {
            self.replace_mtime_that_was_set();
        }
        loop {
            let bytes = self.directory.read()?.unwrap_or_default();
            let parsed = parse_old(&bytes, &self.directory.index());
            let old = parsed.as_ref().map(|parsed| &parsed.index);
            let mut outcome = reconcile(self.site, old, &request, &retries)?;
            self.complete(&mut outcome, old);
            if needs_times {
                let wait = time_to_wait(&outcome.index, self.location, self.system);
                let in_time = !wait.is_zero() && start.elapsed() + wait < SEAL_WAIT;
                if self.location.may_seal && in_time && retries.take() {
                    report.add(&outcome);
                    std::thread::sleep(wait);
                    continue;
                }
            }
            if retries.are_used_up() && !self.directory.is_alone() {
                // No comparison follows that would notice another writer's change.
                outcome.index.settled = false;
            }
            let site = outcome.index.site;
            if request.seal == Sealing::ByContents {
                outcome.index.seal_by_contents();
                outcome.settles_at = None;
            } else if needs_times {
                outcome.index.seal = self.seal(&outcome, old, request.seal);
            }
            report.add(&outcome);
            diagnostics.append(&mut outcome.diagnostics.drain(..).collect());
            let carries_all = request.depth != Depth::Everything && old == Some(&outcome.index);
            let is_written =
                carries_all || self.write(&outcome.index, &bytes, parsed.as_ref(), &mut unrecorded)?;
            // Nothing was written since the comparison has seen that.
            let is_unchanged = carries_all
                || self
                    .site
                    .still_is(site)
                    .map_err(|error| Error::io("can't stat", self.site.path(), error))?;
            let done = is_unchanged && (is_written || self.directory.is_alone());
            if done || !retries.take() {
                report.index = Some(self.directory.index().to_string_lossy().into_owned());
                log_diagnostics(self.site, &diagnostics);
                report.due = self.delivery.due(request.wanted, &outcome.index, &unrecorded);
                return Ok(());
            }
            // What has been read need not be read again, unless it has changed.
            if request.depth == Depth::Everything {
                request.depth = Depth::Files;
            }
            request.hints.clear();
        }
    }

    /// Writes the index, or returns true where the old one has the same bytes. Changes for hooks that could not be
    /// recorded are added to `unrecorded`.
    fn write(
        &self,
        index: &Index<'_>,
        old: &[u8],
        parsed: Option<&Parsed<'_>>,
        unrecorded: &mut Vec<Change>,
    ) -> Result<bool> {
        let new = render_over(index, parsed);
        if !is_readable(&new) {
            let why = "an index of it would be larger than readers accept";
            return Err(Error::site(self.site.path(), why));
        }
        if new == old {
            return Ok(true);
        }
        unrecorded.append(&mut self.delivery.record(parsed.map(|parsed| &parsed.index), index));
        self.directory.replace(&new, index.seal.as_ref().and_then(Seal::time))?;
        Ok(false)
    }

    /// Applies the rules of the location to a new index, and adds the directories without distributions.
    fn complete(&self, outcome: &mut Outcome<'_>, old: Option<&Index<'_>>) {
        let index = &mut outcome.index;
        if !self.location.may_settle {
            // Readers must check each distribution.
            outcome.settles_at = None;
            index.distributions.iter_mut().for_each(|row| Rc::make_mut(row).settled = false);
        }
        // The paths of another system are not those of this one.
        if !self.system.is_foreign() {
            let known = old.map_or(&[][..], |old| &old.without);
            index.without = empty_directories::find_empty_directories(self.site.path(), known);
        }
    }

    /// Touches the site directory if its mtime was set explicitly (clamped by an archiver): such an mtime
    /// can recur after a later change.
    fn replace_mtime_that_was_set(&self) {
        let was_set = |stamp| !is_kernel_mtime(stamp);
        if self.location.writer == Writer::SiteOwner && self.site.stamp().is_ok_and(was_set) {
            if let Err(error) = self.site.touch() {
                log::debug!("{}: can't touch it: {error}", self.site.path().display());
            }
        }
    }

    /// The seal of the new index, if it can have one.
    fn seal(&self, outcome: &Outcome<'_>, old: Option<&Index<'_>>, wanted: Sealing) -> Option<Seal<'static>> {
        match seal(&outcome.index, outcome.names, self.location, self.system) {
            Ok(mut seal) => {
                // With the time that the file has already, an unchanged index is not written again.
                let before = old.and_then(|old| old.seal.as_ref()).and_then(Seal::time);
                let before = before.filter(|time| self.directory.modified() == Some(*time));
                if let (Seal::Times { time, .. }, Some(before)) = (&mut seal, before) {
                    *time = before;
                }
                Some(seal)
            }
            Err(why) => {
                if wanted == Sealing::Wanted {
                    let path = self.directory.index();
                    log::warn!("{}: not sealed: {why}; hint: {}", path.display(), self.hint(why));
                }
                None
            }
        }
    }

    /// What helps against the reason why an index is not sealed.
    fn hint(&self, why: SealError) -> String {
        let site = self.site.path();
        why.hint(&shell_quoted(site), &refresh_command(self.system, site, true))
    }
}

fn parse_old<'a>(bytes: &'a [u8], path: &Path) -> Option<Parsed<'a>> {
    if bytes.is_empty() {
        return None;
    }
    parse_with_lines(bytes).inspect_err(|why| log::info!("{}: {why}; it is replaced", path.display())).ok()
}
