//! Makes a new index and a list of changes from an old index and the directory as it is now.
//!
//! The directory is listed once, and the stamps of each distribution in it are taken. Distributions whose
//! stamps are unchanged are carried over from the old index without being read. The others are read, and
//! so are those that were opaque. For a package manager's trigger, a directory that has its recorded stamp, and
//! an index in which nothing was uncertain, has the names of that index. It is listed only if the importable names
//! of a distribution that changed depend on what else is in it.
//!
//! # Why the result is right
//! The site directory's stamp is taken before the listing and compared again at the end: if it changed,
//! the pass is repeated. A distribution's stamps are taken before it is read, and these are recorded, so a
//! later change makes them differ. What is left are changes within one tick of the file system's clock,
//! which can leave equal stamps. So nothing is listed or read before the clock has passed its ctime (see
//! [`crate::freshness`]).
//!
//! How often something is repeated is bounded by [`Retries`].

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::Stat;

use super::budget::Selection;
use super::outcome::Outcome;
use super::request::{Depth, Request, Sealing};
use crate::error::{Error, Result};
use crate::freshness::Stamp;
use crate::freshness::clock::{Clock, SETTLE_AFTER, UNFINISHED_AFTER, is_older_than, now, time_after};
use crate::index::Index;
use crate::metadata::top_level::Kind;
use crate::metadata::{Distribution, Identity, name};
use crate::site::distribution::Reader;
use crate::site::install_state::{LastFiles, has_record, is_complete, is_named, is_packaged, last_files};
use crate::site::retries::Retries;
use crate::site::stamps::{stamps_now, stat_listed};
use crate::site::{LazyListing, SiteDir};
use crate::sys::fs::Links;

/// Brings `old` up to date with what is in `site`. Nothing is written.
pub fn reconcile<'a>(
    site: &SiteDir,
    old: Option<&Index<'a>>,
    request: &Request,
    retries: &Retries,
) -> Result<Outcome<'a>> {
    let failed = |error| Error::io("can't read", site.path(), error);
    let mut waited = Duration::ZERO;
    loop {
        let stamp = site.stamp().map_err(failed)?;
        let clock = Clock::of(site.as_fd(), stamp.ctime);
        let mut outcome = Outcome::new(stamp);
        outcome.index.settled = outcome.wait_past(clock, stamp.ctime);
        let mut unchanged = None;
        if let Some(old) = old.filter(|old| outcome.index.settled && is_up_to_date(old, stamp, request)) {
            let rows = with_recorded_stamps(site, old).map_err(failed)?;
            if rows == old.distributions.len() && site.still_is(stamp).map_err(failed)? {
                outcome.index = old.clone();
                outcome.waited += waited;
                return Ok(outcome);
            }
            unchanged = Some(rows);
        }
        let listing = &LazyListing::new(site, request.budget.distributions);
        let reader = Reader {
            site,
            links: Links::Refuse,
            listing: Some(listing),
            retries,
            too_large: usize::MAX,
            // Where nothing is being installed, there is nothing to find out.
            proves: !request.finished && request.seal == Sealing::No,
            seals: request.seal != Sealing::No,
        };
        let trusted = old.is_some_and(|old| old.settled);
        let same_listing = old.is_some_and(|old| old.settled && old.site == stamp);
        let selection = Selection::new(request.budget);
        let carries = request.depth != Depth::Everything;
        let mut pass =
            Pass { reader, listing, clock, request, trusted, same_listing, carries, selection, outcome };
        pass.run(old, unchanged).map_err(failed)?;
        waited += pass.outcome.waited;
        let quiet = site.still_is(stamp).map_err(failed)?;
        if quiet || !retries.take() {
            pass.outcome.index.settled &= quiet;
            pass.outcome.settles_at = pass.settles_at();
            pass.outcome.waited = waited;
            return Ok(pass.outcome);
        }
    }
}

/// Whether nothing but a changed stamp of a distribution could make a difference: the site directory has the
/// names of the old index, and nothing in that was uncertain.
fn is_up_to_date(old: &Index<'_>, site: Stamp, request: &Request) -> bool {
    old.site == site
        && old.is_settled()
        && old.seal.is_none()
        && old.distributions.len() <= request.budget.distributions
        && !old.distributions.iter().any(|row| row.is_opaque())
        && (request.depth, request.seal) == (Depth::Directories, Sealing::No)
        && request.hints.is_empty()
}

/// How many distributions of the old index, from the first one on, have the stamp that it recorded.
fn with_recorded_stamps(site: &SiteDir, old: &Index<'_>) -> io::Result<usize> {
    for (row, known) in old.distributions.iter().enumerate() {
        let stat = stat_listed(site.as_fd(), &known.file_name, Links::Refuse)?;
        if !stat.is_some_and(|stat| Stamp::of(&stat) == known.stamps.itself) {
            return Ok(row);
        }
    }
    Ok(old.distributions.len())
}

/// The first bytes of a name as a number. Names are in the order of these, which are compared faster; where they are
/// equal, the names decide.
fn prefix(file_name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = file_name.len().min(bytes.len());
    bytes[..length].copy_from_slice(&file_name[..length]);
    u64::from_be_bytes(bytes)
}

/// One pass over the whole directory.
struct Pass<'s, 'a> {
    reader: Reader<'s>,
    listing: &'s LazyListing<'s>,
    clock: Clock,
    request: &'s Request,
    /// No stamp of the old index is racy.
    trusted: bool,
    /// The site directory holds the same names as in the old index.
    same_listing: bool,
    /// Distributions are carried over from the old index.
    carries: bool,
    selection: Selection,
    outcome: Outcome<'a>,
}

impl<'a> Pass<'_, 'a> {
    /// Fills the outcome. `unchanged` is given where the names in the directory are those of the old index: so many
    /// of its first distributions have their recorded stamps.
    ///
    /// Where not all distributions fit into the index, all are read: which of them do is decided by content, and
    /// the old index does not have all of it.
    fn run(&mut self, old: Option<&Index<'a>>, unchanged: Option<usize>) -> io::Result<()> {
        let visited = match (old, unchanged) {
            (Some(old), Some(unchanged)) => self.visit_known(old, unchanged)?,
            _ => false,
        };
        if !visited {
            self.visit_all(old)?;
        }
        if self.carries && self.is_over_budget() {
            self.begin_again();
            self.carries = false;
            self.visit_all(old)?;
        }
        self.compare_those_left_out(old);
        if let Some(old) = old {
            self.outcome.changes.recognise_upgrades(old, &self.outcome.index);
        }
        Ok(())
    }

    fn is_over_budget(&self) -> bool {
        !self.selection.left_out().is_empty()
    }

    /// Drops what was found, for another pass.
    fn begin_again(&mut self) {
        let Index { site, settled, .. } = self.outcome.index;
        let waited = self.outcome.waited;
        self.outcome = Outcome::new(site);
        (self.outcome.index.settled, self.outcome.waited) = (settled, waited);
        self.selection = Selection::new(self.request.budget);
    }

    /// Visits the distributions of an index whose names are those in the directory, and in which nothing was
    /// uncertain. The first `unchanged` have been compared. Returns false, and has done nothing, where one has gone
    /// all the same: a file system may show the directory later than what is in it.
    fn visit_known(&mut self, old: &Index<'a>, unchanged: usize) -> io::Result<bool> {
        self.outcome.index.distributions.reserve(old.distributions.len());
        for (row, known) in old.distributions.iter().enumerate() {
            let distribution = match row < unchanged {
                true => known.clone(),
                false => match self.visit(&known.file_name, Some(known))? {
                    Some(distribution) => distribution,
                    None => {
                        self.begin_again();
                        return Ok(false);
                    }
                },
            };
            if !self.take(distribution, known.position) {
                return Ok(true);
            }
        }
        self.finish(Some(old))?;
        Ok(true)
    }

    fn visit_all(&mut self, old: Option<&Index<'a>>) -> io::Result<()> {
        let listing = self.listing.get()?;
        if self.request.seal != Sealing::No || old.is_some_and(|old| old.seal.is_some()) {
            self.outcome.names = listing.hash();
        }
        let names = &listing.distributions;
        self.outcome.index.distributions.reserve(names.len());
        let listed = names.iter().map(AsRef::as_ref).zip(0_u32..);
        let mut listed: Vec<(u64, &[u8], u32)> =
            listed.map(|(file_name, position)| (prefix(file_name), file_name, position)).collect();
        listed.sort_unstable();
        let mut known = old.map_or(&[][..], |old| &old.distributions).iter().peekable();
        for (_, file_name, position) in listed {
            while let Some(gone) = known.next_if(|known| *known.file_name < *file_name) {
                self.outcome.changes.removed.push(gone.file_name.to_vec());
            }
            let known = known.next_if(|known| *known.file_name == *file_name);
            if let Some(distribution) = self.visit(file_name, known)? {
                if !self.take(distribution, position) {
                    return Ok(());
                }
            }
        }
        self.outcome.changes.removed.extend(known.map(|gone| gone.file_name.to_vec()));
        self.finish(old)
    }

    /// Adds a distribution to the index. Returns false where those that were carried over do not fit, so that all
    /// have to be read.
    fn take(&mut self, mut distribution: Rc<Distribution<'a>>, position: u32) -> bool {
        if distribution.position != position {
            Rc::make_mut(&mut distribution).position = position;
        }
        self.selection.admit(&mut distribution);
        self.outcome.index.distributions.push(distribution);
        self.selection.bound(&mut self.outcome.index.distributions);
        !(self.carries && self.is_over_budget())
    }

    /// Finishes a pass after all distributions have been visited.
    fn finish(&mut self, old: Option<&Index<'a>>) -> io::Result<()> {
        self.outcome.changes.removed.sort();
        if let Some(old) = old.filter(|_| self.carries) {
            self.read_those_sharing_files(old)?;
        }
        self.selection.finish(&mut self.outcome.index.distributions);
        Ok(())
    }

    /// Records whether the distributions that do not fit into the index differ from the old one.
    fn compare_those_left_out(&mut self, old: Option<&Index<'_>>) {
        let changes = &mut self.outcome.changes;
        let mut updated: BTreeSet<Vec<u8>> = std::mem::take(&mut changes.updated).into_iter().collect();
        for file_name in self.selection.left_out() {
            let Some(row) = self.outcome.index.find(file_name) else { continue };
            let known = old.and_then(|old| old.find(file_name));
            if known.is_some_and(|known| known.stamps.agree_with(&row.stamps) && known.same_content_as(row)) {
                updated.remove(file_name);
                continue;
            }
            if known.is_some() {
                updated.insert(file_name.clone());
            }
            let name = String::from_utf8_lossy(file_name);
            self.outcome
                .diagnostics
                .push(format!("{name}: does not fit into the index; readers read its files"));
        }
        changes.updated = updated.into_iter().collect();
    }

    /// One listed distribution, read or carried over; `None` when it has gone.
    fn visit(
        &mut self,
        file_name: &[u8],
        known: Option<&Rc<Distribution<'a>>>,
    ) -> io::Result<Option<Rc<Distribution<'a>>>> {
        let Some(stat) = self.lstat(file_name)? else {
            self.outcome.changes.removed.extend(known.map(|gone| gone.file_name.to_vec()));
            return Ok(None);
        };
        let unchanged = match known {
            Some(known) if self.can_carry_over(known, stat)? => Some(known),
            _ => None,
        };
        if let Some(known) = unchanged {
            let mut carried = known.clone();
            // A settled distribution with unchanged stamps is still settled.
            if !carried.settled && self.is_installed(&carried) {
                Rc::make_mut(&mut carried).settled = true;
            }
            return Ok(Some(carried));
        }
        Ok(self.read_and_compare(file_name, stat, known.map(Rc::as_ref))?.map(Rc::new))
    }

    /// Reads a distribution, given its `lstat`, and records how it differs from the old index.
    fn read_and_compare(
        &mut self,
        file_name: &[u8],
        stat: Stat,
        known: Option<&Distribution<'_>>,
    ) -> io::Result<Option<Distribution<'static>>> {
        let read = self.read(file_name, stat)?;
        let changes = &mut self.outcome.changes;
        let Some(distribution) = &read else {
            changes.removed.extend(known.map(|gone| gone.file_name.to_vec()));
            return Ok(None);
        };
        changes.read.push(file_name.to_vec());
        match known {
            None => changes.added.push(file_name.to_vec()),
            Some(known)
                if !known.stamps.agree_with(&distribution.stamps) || !known.same_content_as(distribution) =>
            {
                changes.updated.push(file_name.to_vec());
            }
            Some(_) => {}
        }
        Ok(read)
    }

    /// Reads distributions that were carried over, but had files in the same directory as one that has
    /// gone or was read. Its installer may have removed files that both had listed.
    fn read_those_sharing_files(&mut self, old: &Index<'_>) -> io::Result<()> {
        let changes = &self.outcome.changes;
        let was_carried = |file_name: &[u8]| {
            let is = |name: &Vec<u8>| name.as_slice().cmp(file_name);
            changes.read.binary_search_by(is).is_err() && changes.removed.binary_search_by(is).is_err()
        };
        let mut left = BTreeSet::new();
        let mut anywhere = false;
        for gone in old.distributions.iter().filter(|known| !was_carried(&known.file_name)) {
            match gone.top_level.places() {
                Some(places) => left.extend(places),
                None => anywhere = true,
            }
        }
        if left.is_empty() && !anywhere {
            return Ok(());
        }
        let shares = |row: &Distribution<'_>| {
            let mut places = row.top_level.places().into_iter().flatten();
            row.top_level.kind == Kind::Inferred && places.any(|place| anywhere || left.contains(place))
        };
        let rows = &self.outcome.index.distributions;
        let doubtful: Vec<usize> =
            (0..rows.len()).filter(|row| was_carried(&rows[*row].file_name) && shares(&rows[*row])).collect();
        for row in doubtful.into_iter().rev() {
            let known = self.outcome.index.distributions[row].clone();
            let read = match self.lstat(&known.file_name)? {
                Some(stat) => self.read_and_compare(&known.file_name, stat, Some(&known))?,
                None => None,
            };
            if let Some(mut distribution) = read {
                distribution.position = known.position;
                let mut distribution = Rc::new(distribution);
                self.selection.admit(&mut distribution);
                self.outcome.index.distributions[row] = distribution;
            } else {
                self.outcome.index.distributions.remove(row);
                self.outcome.changes.removed.push(known.file_name.to_vec());
            }
        }
        let changes = &mut self.outcome.changes;
        changes.read.sort();
        changes.updated.sort();
        changes.removed.sort();
        changes.removed.dedup();
        Ok(())
    }

    fn lstat(&self, file_name: &[u8]) -> io::Result<Option<Stat>> {
        stat_listed(self.reader.site.as_fd(), file_name, Links::Refuse)
    }

    fn can_carry_over(&self, known: &Distribution<'_>, stat: Stat) -> io::Result<bool> {
        if !self.carries
            || known.stamps.itself != Stamp::of(&stat)
            || self.request.hints.contains(&*known.file_name)
            // Its stamps may be racy.
            || !self.trusted && !known.settled
            || self.may_name_more(known)
            || self.may_be_final(known)
            || self.lacks_content(known)
        {
            return Ok(false);
        }
        if !self.same_listing {
            let listing = self.listing.get()?;
            if !known.top_level.agrees_with(|name| listing.kind(name).is_some()) {
                return Ok(false);
            }
        }
        if known.is_opaque() {
            // It may be readable now although it has not changed: permissions or the disk were the reason.
            let now = self.reader.read(&known.file_name, Some(stat))?;
            return Ok(now.is_some_and(|now| {
                now.distribution.stamps == known.stamps && now.distribution.same_content_as(known)
            }));
        }
        if self.request.depth == Depth::Directories && known.settled {
            return Ok(true);
        }
        Ok(stamps_now(self.reader.site, known)? == known.stamps)
    }

    /// Whether the importable names are opaque only because the installer was still writing the files.
    fn may_name_more(&self, known: &Distribution<'_>) -> bool {
        let from_files = known.top_level.kind == Kind::Opaque && known.stamps.files.is_some();
        from_files && !known.settled && self.is_installed(known)
    }

    /// Whether a distribution that was not settled may be final by now, although no recorded stamp shows it:
    /// `RECORD` has changed, which was not needed for its names.
    fn may_be_final(&self, known: &Distribution<'_>) -> bool {
        let is_possible = self.reader.proves && !known.settled && known.stamps.files.is_none();
        is_possible && !self.is_installed(known) && has_record(self.reader.site, &known.file_name)
    }

    /// Whether an index that is to be sealed needs the content of a metadata file that was not wanted before.
    fn lacks_content(&self, known: &Distribution<'_>) -> bool {
        let repeats = |found: &Identity<'_>| found.name.is_some() || found.version.is_some();
        let is_repeated = known.identity.as_ref().is_some_and(repeats);
        self.reader.seals && is_repeated && known.contents.metadata.is_none()
    }

    /// Reads a distribution, given its `lstat`. If the clock has not passed one of its stamps, waits for that
    /// and reads it once more.
    fn read(&mut self, file_name: &[u8], stat: Stat) -> io::Result<Option<Distribution<'static>>> {
        let mut waited = false;
        let mut seen = Some(stat);
        loop {
            let before = self.clock.now();
            let reader = Reader { too_large: self.selection.too_large(file_name), ..self.reader };
            let Some(mut reading) = reader.read(file_name, seen.take())? else { return Ok(None) };
            let stamps = &mut reading.distribution.stamps;
            let passed = stamps.all().all(|stamp| self.clock.has_passed(stamp.ctime, before));
            if !passed && !waited {
                waited = true;
                if stamps.all().all(|stamp| self.outcome.wait_past(self.clock, stamp.ctime)) {
                    continue;
                }
            }
            stamps.mark_racy(|ctime| !self.clock.has_passed(ctime, before));
            self.outcome.index.settled &= passed;
            let is_done = reading.is_final || self.is_installed(&reading.distribution);
            reading.distribution.settled &= passed && is_done;
            if reading.is_too_large {
                self.selection.leave_out(&mut reading.distribution);
            }
            self.note_diagnostics(file_name, reading.diagnostics);
            return Ok(Some(reading.distribution));
        }
    }

    /// Whether the installer of this distribution must have finished.
    fn is_installed(&self, distribution: &Distribution<'_>) -> bool {
        let is_older_than = |age| is_older_than(distribution.stamps.newest_ctime(), age);
        self.request.finished
            || is_older_than(UNFINISHED_AFTER) && self.settles_by_age(distribution)
            || is_older_than(SETTLE_AFTER) && self.is_complete(distribution)
            || self.is_by_ended_installer(distribution)
    }

    /// Whether an incomplete distribution may settle at all. One without a name may be filled at any time, and only in a
    /// system-wide directory will a trigger report it.
    fn settles_by_age(&self, distribution: &Distribution<'_>) -> bool {
        self.request.managed || is_named(distribution)
    }

    /// Whether the installer that has ended wrote this distribution, and wrote it to the end.
    fn is_by_ended_installer(&self, distribution: &Distribution<'_>) -> bool {
        let Some(ended) = &self.request.ended else { return false };
        let newest = distribution.stamps.newest_ctime();
        let made = |last: LastFiles| ended.has_made(newest.max(last.newest_ctime), &last.installer);
        self.is_complete(distribution)
            && last_files(self.reader.site, &distribution.file_name).is_some_and(made)
    }

    fn is_complete(&self, distribution: &Distribution<'_>) -> bool {
        // For a seal, the caller ensures that nothing is being installed.
        self.request.seal != Sealing::No
            || self.request.managed && is_packaged(distribution)
            || is_complete(self.reader.site, distribution)
    }

    /// When everything that is too young now will be old enough to be settled, in ns.
    fn settles_at(&self) -> Option<i64> {
        let Index { site, settled, distributions, .. } = &self.outcome.index;
        let old_enough = |row: &Rc<Distribution<'_>>| {
            let age = if self.is_complete(row) { SETTLE_AFTER } else { UNFINISHED_AFTER };
            // A racy stamp is young, and no longer says how young.
            let is_racy = row.stamps.all().any(|stamp| stamp == Stamp::RACY);
            let newest = if is_racy { now() } else { row.stamps.newest_ctime() };
            time_after(newest, age)
        };
        let is_left_over = |row: &Rc<Distribution<'_>>| {
            !self.settles_by_age(row) && is_older_than(row.stamps.newest_ctime(), UNFINISHED_AFTER)
        };
        let young = distributions.iter().filter(|row| !row.settled && !is_left_over(row)).map(old_enough);
        young.chain((!settled).then(|| time_after(site.ctime, SETTLE_AFTER))).max()
    }

    fn note_diagnostics(&mut self, file_name: &[u8], diagnostics: Vec<String>) {
        let file_name_text = String::from_utf8_lossy(file_name);
        if name::is_pip_leftover(file_name) {
            let hint = "left behind by an interrupted pip, and every Python program sees it; hint: remove it";
            self.outcome.diagnostics.push(format!("{file_name_text}: {hint}"));
        }
        let diagnostics = diagnostics.into_iter().map(|why| format!("{file_name_text}: {why}"));
        self.outcome.diagnostics.extend(diagnostics);
    }
}
