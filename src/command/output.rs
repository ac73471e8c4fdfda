//! Standard output of the commands: lines of text, and JSON.

use std::io::Write as _;

use serde::Serialize;

use crate::encoding::printable;
use crate::refresh::report::SiteReport;

/// Prints the report of a refresh as a line of text or of JSON. An error is in JSON only, since it has been
/// reported on standard error.
pub fn site_report(report: &SiteReport, json: bool) {
    if json {
        json_line(report);
    } else if report.error.is_none() {
        line(&report.to_string());
    }
}

/// Prints `items` as one JSON array, or as a line of text each.
pub fn list<T: Serialize>(items: &[T], json: bool, text: impl Fn(&T) -> String) {
    if json {
        json_line(&items);
    } else {
        items.iter().for_each(|item| line(&text(item)));
    }
}

/// Prints one line. Characters that could confuse a terminal are escaped. That the reader has closed the
/// pipe is not an error.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", printable(text));
}

pub fn json_line(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => drop(writeln!(std::io::stdout().lock(), "{text}")),
        Err(error) => log::error!("can't write JSON: {error}"),
    }
}
