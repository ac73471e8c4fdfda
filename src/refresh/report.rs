//! What a refresh did to one site directory.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::encoding::printable;
use crate::error::Error;
use crate::sys::message::error;

/// What was done about one site directory. Serialized, this is a line of `--json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SiteReport {
    /// The site directory.
    pub site: String,
    /// Distributions that are new, by file name.
    pub added: Vec<String>,
    /// Distributions that changed, or came under another version.
    pub updated: Vec<String>,
    /// Distributions that are gone.
    pub removed: Vec<String>,
    /// Distributions that were read.
    pub read: Vec<String>,
    /// How many were carried over from the old index unread.
    pub carried: usize,
    /// The index, where there is one now.
    pub index: Option<String>,
    /// Whether the index can be proven right by the site directory's stamp alone.
    pub settled: bool,
    /// Whether it can be proven in a copy of its tree, such as an image.
    pub sealed: bool,
    /// How long it took.
    pub seconds: f64,
    /// How much of that the clock of the file system was waited for, so that no later change can leave
    /// the same stamps.
    #[serde(default)]
    pub waited: f64,
    /// Why it could not be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The old index is still there, and readers may believe it although nobody knows whether it is right.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unrevoked: bool,
}

impl SiteReport {
    /// Of a site directory that nothing could be done about: an index that is there may be wrong.
    #[must_use]
    pub fn failed(site: &Path, why: &Error) -> Self {
        error(why);
        Self {
            site: site.to_string_lossy().into_owned(),
            error: Some(why.to_string()),
            unrevoked: true,
            ..Self::default()
        }
    }
}

impl fmt::Display for SiteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} added, {} updated, {} removed; {} read, {} carried over in {:.1} ms",
            printable(&self.site),
            self.added.len(),
            self.updated.len(),
            self.removed.len(),
            self.read.len(),
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
