//! What people and programs are told: reports about site directories, and messages.
//!
//! Names in metadata are chosen by strangers, so whatever is printed goes through [`printable`].

use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::encoding::printable;
use crate::error::Error;

/// Says an error, and what helps against it.
pub fn error(error: &Error) {
    match error.hint() {
        Some(hint) => log::error!("{error}; hint: {hint}"),
        None => log::error!("{error}"),
    }
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
