//! From an old index and the directory as it is now to a new index and the list of changes.
//!
//! The directory is listed once, and every distribution in it is asked for its stamps. Whoever shows
//! the stamps that the old index recorded is carried over unread; the others are read, and so is what
//! was opaque.
//!
//! # Why the answer is right
//! The site directory's stamp is taken before the listing and compared again at the end: when it
//! moved, everything is done again. A distribution's stamps are taken before it is read and recorded,
//! so a later change makes them wrong. What is left are changes that leave equal stamps behind, within
//! one tick of the file system's clock: so nothing is listed or read before the clock has passed the
//! ctime of what is about to be (see [`crate::freshness`]).

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::fs::Stat;

use crate::error::{Error, Result};
use crate::freshness::Stamp;
use crate::freshness::clock::{Clock, SETTLE_AFTER, UNFINISHED_AFTER, is_older_than};
use crate::index::Index;
use crate::metadata::top_level::Kind;
use crate::metadata::{Distribution, name};
use crate::site::distribution;
use crate::site::install_state::{is_complete, is_packaged};
use crate::site::text::Links;
use crate::site::{Listing, SiteDir};

/// How often everything is done again because the directory changed meanwhile.
const ATTEMPTS: usize = 4;

/// How closely the old index is compared with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The distributions' own stamps: enough for changes made by package managers.
    Directories,
    /// Those of the metadata files too: finds files edited in place.
    Files,
    /// Believe nothing, read everything.
    Everything,
}

/// What to do, and what the caller knows.
#[derive(Debug, Clone)]
pub struct Request {
    /// How closely to look.
    pub depth: Depth,
    /// File names of distributions to read in any case.
    pub hints: BTreeSet<Vec<u8>>,
    /// Whether whoever changed the directory is known to have finished.
    pub finished: bool,
    /// Whether a trigger follows what a package manager does here.
    pub managed: bool,
    /// Whether the new index is to be sealed.
    pub seal: Sealing,
}

/// Whether an index is made for copies of its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealing {
    /// It is not.
    No,
    /// If that is possible.
    IfPossible,
    /// It has to be, so that the caller is told if that is not possible.
    Wanted,
}

/// The new index, and how it came about.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// What the directory holds now.
    pub index: Index<'a>,
    /// What changed against the old index.
    pub changes: Changes,
    /// Distributions that were carried over.
    pub carried: usize,
    /// The check of all names in the directory, where the old index or the new one is sealed.
    pub names: u64,
    /// What was odd about distributions that were read: the path in the site directory and why.
    pub diagnostics: Vec<String>,
    /// How long the clock of the file system was waited for.
    pub waited: Duration,
}

/// File names of distributions, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the directory, and no distribution of that name was in the index.
    pub added: Vec<Vec<u8>>,
    /// With other stamps or content than in the index, or under another version.
    pub updated: Vec<Vec<u8>>,
    /// In the index, and no longer in the directory.
    pub removed: Vec<Vec<u8>>,
    /// Read from the disk.
    pub read: Vec<Vec<u8>>,
}

impl Changes {
    /// Those that are more than other stamps: what `new` says otherwise than `old`.
    #[must_use]
    pub fn apart_from_stamps(&self, old: &Index<'_>, new: &Index<'_>) -> Self {
        let find = |index: &'_ Index<'_>, name: &[u8]| {
            index.distributions.binary_search_by(|row| (*row.file_name).cmp(name)).ok()
        };
        let same = |name: &Vec<u8>| match (find(old, name), find(new, name)) {
            (Some(one), Some(other)) => old.distributions[one].same_content_as(&new.distributions[other]),
            _ => false,
        };
        let mut changes = self.clone();
        changes.updated.retain(|name| !same(name));
        changes
    }

    /// Whether the index said already what is on disk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.updated.is_empty() && self.removed.is_empty()
    }
}

/// Brings `old` up to date with what is in `site`. Nothing is written.
///
/// # Errors
/// When the directory can't be listed, or the machine lacks memory or descriptors.
pub fn reconcile<'a>(site: &SiteDir, old: Option<&Index<'a>>, request: &Request) -> Result<Outcome<'a>> {
    let failed = |error| Error::io("can't read", site.path(), error);
    let mut attempt = 1;
    let mut waited = Duration::ZERO;
    loop {
        let stamp = site.stamp().map_err(failed)?;
        let clock = Clock::of(site.as_fd(), stamp.ctime);
        let mut pass = Pass { site, clock, request, outcome: Outcome::new(stamp) };
        pass.outcome.index.settled = pass.outcome.wait_past(clock, stamp.ctime);
        pass.run(old).map_err(failed)?;
        waited += pass.outcome.waited;
        let quiet = site.still_is(stamp).map_err(failed)?;
        if quiet || attempt == ATTEMPTS {
            pass.outcome.index.settled &= quiet;
            pass.outcome.waited = waited;
            return Ok(pass.outcome);
        }
        attempt += 1;
    }
}

impl Outcome<'_> {
    fn new(site: Stamp) -> Self {
        Self {
            index: Index {
                site,
                settled: false,
                distributions: Vec::new(),
                order: Vec::new(),
                without: Vec::new(),
                seal: None,
            },
            names: 0,
            changes: Changes::default(),
            carried: 0,
            diagnostics: Vec::new(),
            waited: Duration::ZERO,
        }
    }

    /// [`Clock::wait_past`], with the time noted that it took.
    fn wait_past(&mut self, clock: Clock, ctime: i64) -> bool {
        let start = Instant::now();
        let passed = clock.wait_past(ctime);
        self.waited += start.elapsed();
        passed
    }
}

/// What is known of the old index.
#[derive(Clone, Copy)]
struct Old {
    /// Nothing in it can have been noted within a tick of a change.
    trusted: bool,
    /// The site directory holds the same names as then.
    same_listing: bool,
}

/// One look at the whole directory.
struct Pass<'s, 'a> {
    site: &'s SiteDir,
    clock: Clock,
    request: &'s Request,
    outcome: Outcome<'a>,
}

impl<'a> Pass<'_, 'a> {
    fn run(&mut self, old: Option<&Index<'a>>) -> std::io::Result<()> {
        let listing = self.site.list()?;
        if self.request.seal != Sealing::No || old.is_some_and(|old| old.seal.is_some()) {
            self.outcome.names = listing.checksum();
        }
        let names = &listing.distributions;
        self.outcome.index.distributions.reserve(names.len());
        let mut listed: Vec<(&[u8], u32)> = names.iter().map(AsRef::as_ref).zip(0..).collect();
        listed.sort_unstable();
        let trusted = old.is_some_and(|old| old.settled);
        let same_listing = old.is_some_and(|old| old.settled && old.site == self.outcome.index.site);
        let old_index = Old { trusted, same_listing };
        let mut known = old.map_or(&[][..], |old| &old.distributions).iter().peekable();
        for (file_name, position) in listed {
            while let Some(gone) = known.next_if(|known| *known.file_name < *file_name) {
                self.outcome.changes.removed.push(gone.file_name.to_vec());
            }
            let known = known.next_if(|known| *known.file_name == *file_name);
            if self.visit(file_name, known, old_index, &listing)? {
                self.outcome.index.order.push(position);
            }
        }
        let changes = &mut self.outcome.changes;
        changes.removed.extend(known.map(|gone| gone.file_name.to_vec()));
        changes.removed.sort();
        if let Some(old) = old {
            self.read_what_shared_a_place(old, &listing)?;
            self.recognise_upgrades(old);
        }
        Ok(())
    }

    /// Adds one listed distribution, read or carried over; says whether it is still there.
    fn visit(
        &mut self,
        file_name: &[u8],
        known: Option<&Distribution<'a>>,
        old: Old,
        listing: &Listing,
    ) -> std::io::Result<bool> {
        let Some(stat) = Links::Refuse.stat_listed(self.site.as_fd(), file_name)? else {
            self.outcome.changes.removed.extend(known.map(|gone| gone.file_name.to_vec()));
            return Ok(false);
        };
        let unchanged = match known {
            Some(known) if self.can_carry_over(known, stat, old, listing)? => Some(known),
            _ => None,
        };
        if let Some(known) = unchanged {
            let mut carried = known.clone();
            // What was known to be finished still is, having the stamps that it had then.
            carried.settled = carried.settled || self.is_installed(&carried);
            self.outcome.index.distributions.push(carried);
            self.outcome.carried += 1;
            return Ok(true);
        }
        let read = self.read_and_compare(file_name, stat, known, listing)?;
        let is_there = read.is_some();
        self.outcome.index.distributions.extend(read);
        Ok(is_there)
    }

    /// Reads a distribution, given its `lstat`, and notes what is different from what was known.
    fn read_and_compare(
        &mut self,
        file_name: &[u8],
        stat: Stat,
        known: Option<&Distribution<'_>>,
        listing: &Listing,
    ) -> std::io::Result<Option<Distribution<'static>>> {
        let read = self.read(file_name, stat, listing)?;
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
    /// gone or was read: that one may have taken some along that both had listed.
    fn read_what_shared_a_place(&mut self, old: &Index<'_>, listing: &Listing) -> std::io::Result<()> {
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
            self.outcome.carried -= 1;
            let read = match Links::Refuse.stat_listed(self.site.as_fd(), &known.file_name)? {
                Some(stat) => self.read_and_compare(&known.file_name, stat, Some(&known), listing)?,
                None => None,
            };
            if let Some(distribution) = read {
                self.outcome.index.distributions[row] = distribution;
            } else {
                self.outcome.index.distributions.remove(row);
                self.outcome.index.order.remove(row);
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

    fn can_carry_over(
        &self,
        known: &Distribution<'_>,
        stat: Stat,
        old: Old,
        listing: &Listing,
    ) -> std::io::Result<bool> {
        if self.request.depth == Depth::Everything
            || known.stamps.itself != Stamp::of(&stat)
            || self.request.hints.contains(&*known.file_name)
            // Its stamps may have been taken within a tick of a change.
            || !old.trusted && !known.settled
            || self.may_name_more(known)
            || !old.same_listing && !known.top_level.agrees_with(|name| listing.kind(name).is_some())
        {
            return Ok(false);
        }
        if known.identity.is_none() || known.entry_points.is_none() {
            // It need not have changed for that: somebody was not allowed to read it, or the disk failed.
            let now = distribution::read_whole(self.site.as_fd(), &known.file_name, Some(stat), listing)?;
            return Ok(now.is_some_and(|now| {
                now.distribution.stamps == known.stamps && now.distribution.same_content_as(known)
            }));
        }
        if self.request.depth == Depth::Directories && known.settled {
            return Ok(true);
        }
        Ok(distribution::stamps_now(self.site.as_fd(), known)? == known.stamps)
    }

    /// Whether names are opaque only because the installer was still at work on the files that they are
    /// those of.
    fn may_name_more(&self, known: &Distribution<'_>) -> bool {
        let from_files = known.top_level.kind == Kind::Opaque && known.stamps.files.is_some();
        from_files && !known.settled && self.is_installed(known)
    }

    /// Reads a distribution, given its `lstat`, when the clock has passed all its stamps.
    fn read(
        &mut self,
        file_name: &[u8],
        stat: Stat,
        listing: &Listing,
    ) -> std::io::Result<Option<Distribution<'static>>> {
        let mut waited = false;
        let mut seen = Some(stat);
        loop {
            let before = self.clock.now();
            let Some(mut reading) =
                distribution::read_whole(self.site.as_fd(), file_name, seen.take(), listing)?
            else {
                return Ok(None);
            };
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
            reading.distribution.settled &= passed && self.is_installed(&reading.distribution);
            self.note_diagnostics(file_name, reading.diagnostics);
            return Ok(Some(reading.distribution));
        }
    }

    /// Whether whoever installs this distribution must be done with it.
    fn is_installed(&self, distribution: &Distribution<'_>) -> bool {
        let is_older_than = |age| is_older_than(distribution.stamps.newest_ctime(), age);
        self.request.finished
            || is_older_than(UNFINISHED_AFTER)
            || is_older_than(SETTLE_AFTER) && self.is_complete(distribution)
    }

    fn is_complete(&self, distribution: &Distribution<'_>) -> bool {
        // Nobody has an index sealed while something is being installed.
        self.request.seal != Sealing::No
            || self.request.managed && is_packaged(distribution)
            || is_complete(self.site.as_fd(), distribution)
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

    /// A distribution that went and came under another version was updated.
    fn recognise_upgrades(&mut self, old: &Index<'_>) {
        let changes = &mut self.outcome.changes;
        if changes.added.is_empty() || changes.removed.is_empty() {
            return;
        }
        let key = |distributions: &[Distribution<'_>], file_name: &Vec<u8>| -> Option<String> {
            let row = distributions.binary_search_by(|row| (*row.file_name).cmp(file_name)).ok()?;
            distributions[row].key.as_deref().map(str::to_owned)
        };
        let gone: BTreeSet<_> =
            changes.removed.iter().filter_map(|name| key(&old.distributions, name)).collect();
        let new = &self.outcome.index.distributions;
        let (updated, added): (Vec<_>, Vec<_>) = std::mem::take(&mut changes.added)
            .into_iter()
            .partition(|name| key(new, name).is_some_and(|key| gone.contains(&key)));
        let came: BTreeSet<_> = updated.iter().filter_map(|name| key(new, name)).collect();
        changes.removed.retain(|name| key(&old.distributions, name).is_none_or(|key| !came.contains(&key)));
        changes.added = added;
        changes.updated.extend(updated);
        changes.updated.sort();
    }
}
