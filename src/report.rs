//! What people and programs are told: reports about site directories, and messages.
//!
//! Names in metadata are chosen by strangers, so whatever is printed goes through [`printable`].

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::error::Error;

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

    /// Prints it as a line of text or of JSON. An error has been told already.
    pub fn print(&self, json: bool) {
        if json {
            json_line(self);
        } else if self.error.is_none() {
            line(self);
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

/// Writes one line to standard output. A reader that has gone away is not our failure.
pub fn line(text: impl fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes a value as one line of JSON.
pub fn json_line(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => line(text),
        Err(error) => log::error!("can't write JSON: {error}"),
    }
}

/// Says an error, and what helps against it.
pub fn error(error: &Error) {
    match error.hint() {
        Some(hint) => log::error!("{error}; hint: {hint}"),
        None => log::error!("{error}"),
    }
}

/// `text` with everything that could confuse a terminal or a log written as an escape: control
/// characters, and those that change the direction of text.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if odd(c) {
            let _ = write!(escaped, "{}", c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Says something that the administrator should know, but that is no concern of a transaction: a trigger
/// says it to the journal alone.
pub fn aside(text: &str) {
    log::warn!(target: ASIDE, "{text}");
}

/// Connects with the journal, for a process that can't do that later. No journal is no failure.
pub fn reach_journal() {
    if IN_JOURNAL.load(Ordering::Relaxed) {
        let _ = journal();
    }
}

/// The connection, for as long as this process lives.
fn journal() -> Option<&'static UnixDatagram> {
    static JOURNAL: OnceLock<Option<UnixDatagram>> = OnceLock::new();
    let connect = || {
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.connect("/dev/log").ok()?;
        Some(socket)
    };
    JOURNAL.get_or_init(connect).as_ref()
}

const ASIDE: &str = "epcache::aside";
/// Whether messages go to the journal as well.
static IN_JOURNAL: AtomicBool = AtomicBool::new(false);

/// Sends messages to standard error and, for triggers, to the journal as well.
struct Log;

/// Starts logging.
pub fn start(journal: bool) {
    log::set_max_level(log::LevelFilter::Info);
    // A second start, which only tests do, keeps the first.
    let _ = log::set_logger(&Log);
    IN_JOURNAL.store(journal, Ordering::Relaxed);
}

impl log::Log for Log {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("epcache")
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        let text = printable(&text);
        let (word, priority) = match record.level() {
            log::Level::Error => ("error: ", 3),
            log::Level::Warn => ("warning: ", 4),
            _ => ("", 6),
        };
        let in_journal = IN_JOURNAL.load(Ordering::Relaxed);
        if !in_journal || record.target() != ASIDE {
            let _ = writeln!(std::io::stderr().lock(), "epcache: {word}{text}");
        }
        if in_journal {
            // syslog(3)'s protocol; facility 3 is "daemon". No journal is no failure.
            let message = format!("<{}>epcache: {text}", 3 << 3 | priority);
            let _ = journal().map(|socket| socket.send(message.as_bytes()));
        }
    }

    fn flush(&self) {}
}
