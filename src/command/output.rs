//! Standard output of the commands: lines of text, and JSON.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::encoding::{is_confusing, printable};
use crate::refresh::report::SiteReport;

/// Why standard output could not be written.
static FAILURE: OnceLock<String> = OnceLock::new();

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

/// A time in seconds since 1970, as in RFC 3339.
pub fn moment(seconds: u64) -> String {
    // The last second of the year 9999 is the last that has such a text.
    let since_1970 = Duration::from_secs(seconds.min(253_402_300_799));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_1970).to_string()
}

/// Prints one line. Characters that could confuse a terminal are escaped.
pub fn line(text: &str) {
    write(format!("{}\n", printable(text)).as_bytes());
}

/// Writes to standard output. What fails is remembered, and the work goes on.
fn write(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    record(stdout.write_all(bytes).and_then(|()| stdout.flush()));
}

/// Remembers the first failure to write to standard output.
pub fn record(written: io::Result<()>) {
    if let Err(error) = written {
        FAILURE.get_or_init(|| error.to_string());
    }
}

/// Reports that something could not be written to standard output; says whether there was such a failure.
pub fn report_failure() -> bool {
    let failure = FAILURE.get();
    if let Some(why) = failure {
        log::error!("can't write to standard output: {why}");
    }
    failure.is_some()
}

/// Prints a value as one line of JSON. Characters that could confuse a terminal are escaped, which leaves the
/// value as it is.
pub fn json_line(value: &impl Serialize) {
    let mut text = Vec::new();
    match value.serialize(&mut Serializer::with_formatter(&mut text, Escaping)) {
        Ok(()) => {
            text.push(b'\n');
            write(&text);
        }
        Err(error) => log::error!("can't write JSON: {error}"),
    }
}

/// A time to wait as people say it: rounded up, and at least a second.
pub fn whole_seconds(left: Duration) -> u64 {
    left.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}

/// Compact JSON with `\uXXXX` for characters that could confuse a terminal.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_confusing) {
            let (plain, tail) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut tail = tail.chars();
            for unit in tail.next().into_iter().flat_map(|c| c.encode_utf16(&mut [0; 2]).to_vec()) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = tail.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_a_date() {
        for (time, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_709_164_799, "2024-02-28T23:59:59Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(moment(time), expected);
        }
    }
}
