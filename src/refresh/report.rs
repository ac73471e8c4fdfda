//! What a refresh did to one site directory.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use crate::encoding::{printable, shell_quoted};
use crate::error::Error;
use crate::hook::journal::Due;
use crate::site::SiteDir;
use crate::sys::message::error;
use crate::sys::root::System;

/// The most diagnostics that are logged for one site directory: the authors of distributions can cause any
/// number.
const MAX_DIAGNOSTICS: usize = 10;

/// What was done about one site directory. Serialized, this is a line of `--json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SiteReport {
    pub site: String,
    pub added: Vec<String>,
    /// Distributions that changed, or came under another version.
    pub updated: Vec<String>,
    pub removed: Vec<String>,
    pub read: Vec<String>,
    /// How many names these four lists have had, where nobody wants the names: there can be very many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) counts: Option<[usize; 4]>,
    /// How many were carried over from the old index unread.
    pub carried: usize,
    pub index: Option<String>,
    /// Whether the index can be proven right by the site directory's stamp alone.
    pub settled: bool,
    /// In how many seconds a refresh would settle it, if nothing else changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settles_in: Option<f64>,
    /// Whether it can be proven in a copy of its tree, such as an image.
    pub sealed: bool,
    pub seconds: f64,
    /// How much of that was waiting for the clock of the file system, so that no later change can leave the
    /// same stamps.
    #[serde(default)]
    pub waited: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The old index is still there although it may be wrong, so the caller must make it stale.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_invalidate: bool,
    /// The hooks that are to run now. They are not part of the report that is printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub due: Vec<Due>,
}

impl SiteReport {
    /// The report of a failure before anything was done. An index that is there may be wrong.
    pub fn failed(site: &Path, why: &Error) -> Self {
        error(why);
        Self {
            site: site.to_string_lossy().into_owned(),
            error: Some(why.to_string()),
            must_invalidate: true,
            ..Self::default()
        }
    }

    /// Replaces the names of distributions by their numbers.
    pub(super) fn forget_names(&mut self) {
        self.counts = Some(self.counts());
        for names in [&mut self.added, &mut self.updated, &mut self.removed, &mut self.read] {
            *names = Vec::new();
        }
    }

    /// Whether a distribution was added, updated or removed.
    pub(crate) fn has_changes(&self) -> bool {
        self.counts()[..3].iter().any(|count| *count > 0)
    }

    fn counts(&self) -> [usize; 4] {
        let lists = [&self.added, &self.updated, &self.removed, &self.read];
        self.counts.unwrap_or_else(|| lists.map(Vec::len))
    }

    /// Adds a later refresh of the same site directory.
    pub(crate) fn follow(&mut self, later: Self) {
        let earlier = std::mem::replace(self, later);
        let counts = self.counts.zip(earlier.counts);
        self.counts = counts.map(|(one, other)| std::array::from_fn(|kind| one[kind] + other[kind]));
        for (names, before) in [
            (&mut self.added, earlier.added),
            (&mut self.updated, earlier.updated),
            (&mut self.removed, earlier.removed),
            (&mut self.read, earlier.read),
        ] {
            add_names(names, before);
        }
        self.carried = earlier.carried;
        self.seconds += earlier.seconds;
        self.waited += earlier.waited;
    }

    /// Adds what one comparison with the disk has found to what earlier ones have.
    pub(super) fn add(&mut self, outcome: &Outcome<'_>) {
        let changes = &outcome.changes;
        for (names, found) in [
            (&mut self.added, &changes.added),
            (&mut self.updated, &changes.updated),
            (&mut self.removed, &changes.removed),
            (&mut self.read, &changes.read),
        ] {
            add_names(names, found.iter().map(|name| String::from_utf8_lossy(name).into_owned()));
        }
        self.waited += outcome.waited.as_secs_f64();
        self.carried = outcome.index.distributions.len().saturating_sub(self.read.len());
        self.settled = outcome.index.is_settled();
        self.settles_in = outcome.settles_in().map(|left| left.as_secs_f64());
        self.sealed = outcome.index.seal.is_some();
    }
}

fn add_names(names: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    names.extend(more);
    names.sort();
    names.dedup();
}

pub(super) fn log_diagnostics(site: &SiteDir, diagnostics: &BTreeSet<String>) {
    let path = site.path().display();
    for diagnostic in diagnostics.iter().take(MAX_DIAGNOSTICS) {
        log::warn!("{path}/{diagnostic}");
    }
    if let Some(more @ 1..) = diagnostics.len().checked_sub(MAX_DIAGNOSTICS) {
        let site = shell_quoted(site.path());
        log::warn!("{path}: {more} more diagnostics; hint: epcache list --site {site}");
    }
}

/// The command that refreshes the index of `site`, for a hint.
pub(crate) fn refresh_command(system: &System, site: &Path, seal: bool) -> String {
    let seal = if seal { " --seal" } else { "" };
    let root = match system.is_foreign() {
        true => format!(" --root {}", shell_quoted(system.root())),
        false => String::new(),
    };
    format!("epcache refresh{seal}{root} {}", shell_quoted(&system.within(site)))
}

impl fmt::Display for SiteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [added, updated, removed, read] = self.counts();
        write!(
            f,
            "{}: {added} added, {updated} updated, {removed} removed; {read} read, {} carried over in {:.1} ms",
            printable(&self.site),
            self.carried,
            self.seconds * 1e3,
        )?;
        if !self.settled {
            f.write_str("; not settled")?;
        }
        if self.sealed {
            f.write_str("; sealed")?;
        }
        Ok(())
    }
}
