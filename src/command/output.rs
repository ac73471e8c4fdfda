//! Standard output of the commands: lines of text, and JSON.

use std::io::Write as _;

use serde::Serialize;

use crate::encoding::printable;
use crate::refresh::report::SiteReport;

impl SiteReport {
    /// Prints it as a line of text or of JSON. An error has been told already.
    pub fn print(&self, json: bool) {
        if json {
            json_line(&self.to_string());
        } else if self.error.is_none() {
            line(&self.to_string());
        }
    }
}

/// Writes one line to standard output, with what could confuse a terminal escaped. A reader that has gone
/// away is not our failure.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", printable(text));
}

/// Writes a value as one line of JSON.
pub fn json_line(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => drop(writeln!(std::io::stdout().lock(), "{text}")),
        Err(error) => log::error!("can't write JSON: {error}"),
    }
}
