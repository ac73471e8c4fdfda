//! Messages on standard error and, for triggers, in the journal.
//!
//! Where standard error is the journal's, as in a service, each line begins with its priority (sd-daemon(3)).
//! The journal adds the name of the program.
//!
//! Names in metadata are chosen by untrusted users, so every message goes through [`printable`].

use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock};

use crate::encoding::printable;
use crate::error::Error;

/// The log target of messages for the administrator.
const ADMIN: &str = "epcache::admin";
static USES_JOURNAL: AtomicBool = AtomicBool::new(false);
/// Whether standard error is the journal's.
static STDERR_IS_JOURNAL: AtomicBool = AtomicBool::new(false);
static IS_QUIET: AtomicBool = AtomicBool::new(false);
/// The connection to the journal, which is made once. Without a journal there is none.
static JOURNAL: OnceLock<Option<UnixDatagram>> = OnceLock::new();

/// Starts logging; with `journal`, to the journal as well. A trigger does so. It ignores the environment.
pub fn start(journal: bool) {
    log::set_max_level(log::LevelFilter::Info);
    // Only tests start it twice. The first start stays.
    let _ = log::set_logger(&Log);
    USES_JOURNAL.store(journal, Ordering::Relaxed);
    STDERR_IS_JOURNAL.store(!journal && stderr_is_journal(), Ordering::Relaxed);
}

/// Whether standard error is the stream that systemd connected to the journal. Its device and inode are in
/// `JOURNAL_STREAM`. Processes that redirect the stream inherit the variable all the same.
fn stderr_is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stderr| stream == *format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// From now on, nothing goes to standard error.
pub fn be_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

pub fn error(error: &Error) {
    match error.hint() {
        Some(hint) => log::error!("{error}; hint: {hint}"),
        None => log::error!("{error}"),
    }
}

/// Warns the administrator. In a trigger this goes to the journal only, since it does not concern the
/// transaction.
pub fn warn_admin(text: &str) {
    log::warn!(target: ADMIN, "{text}");
}

/// From now on, a panic is reported and then `end` is called, which ends this process. The released program does not
/// unwind, so nothing can catch a panic.
pub fn on_panic(end: impl Fn() + Send + Sync + 'static) {
    static REPORT: LazyLock<PanicHook> = LazyLock::new(std::panic::take_hook);
    LazyLock::force(&REPORT);
    std::panic::set_hook(Box::new(move |panic| {
        REPORT(panic);
        end();
    }));
}

type PanicHook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Connects to the journal, for a process that can't do that later.
pub fn connect_journal() {
    if USES_JOURNAL.load(Ordering::Relaxed) {
        let _ = journal();
    }
}

/// The connection to the journal, if there is one already.
pub fn journal_descriptor() -> Option<BorrowedFd<'static>> {
    JOURNAL.get()?.as_ref().map(AsFd::as_fd)
}

fn journal() -> Option<&'static UnixDatagram> {
    let connect = || {
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.connect("/dev/log").ok()?;
        Some(socket)
    };
    JOURNAL.get_or_init(connect).as_ref()
}

struct Log;

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
        let uses_journal = USES_JOURNAL.load(Ordering::Relaxed);
        let is_quiet = IS_QUIET.load(Ordering::Relaxed) || uses_journal && record.target() == ADMIN;
        if STDERR_IS_JOURNAL.load(Ordering::Relaxed) {
            let _ = writeln!(std::io::stderr().lock(), "<{priority}>{text}");
        } else if !is_quiet {
            let _ = writeln!(std::io::stderr().lock(), "epcache: {word}{text}");
        }
        if uses_journal {
            // The protocol of syslog(3). Facility 3 is "daemon".
            let message = format!("<{}>epcache: {text}", 3 << 3 | priority);
            let _ = journal().map(|socket| socket.send(message.as_bytes()));
        }
    }

    fn flush(&self) {}
}
