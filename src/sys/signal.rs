//! Signals, umask and descriptors: the process state that a caller may leave in a bad condition.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, sigaction, sigprocmask,
};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;

/// The signals that end a process. rpm blocks the first two while it runs a trigger.
const TERMINATION: [Signal; 4] = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGTERM];

/// Descriptors below this number are closed one by one on kernels before 5.9, which have no
/// `close_range`. It is the hard limit that systems of that time gave a process.
const MAX_DESCRIPTOR: i32 = 4096;

/// Makes new directories readable by all, whatever the caller's umask.
pub fn set_umask() {
    umask(Mode::from_bits_truncate(0o022));
}

/// Resets SIGCHLD. If it was inherited as ignored, `waitpid` would lose the status of a child.
pub fn restore_sigchld() {
    set_default(Signal::SIGCHLD);
}

/// Resets SIGPIPE, which the runtime of this program ignores. Other programs do not expect that.
pub fn restore_sigpipe() {
    set_default(Signal::SIGPIPE);
}

/// Ignores SIGXFSZ, so that a file beyond the size limit is an error and not the end of the process.
pub fn ignore_sigxfsz() {
    set(Signal::SIGXFSZ, SigHandler::SigIgn);
}

/// Resets the signals that end a process, and SIGCHLD, and unblocks all signals.
pub fn reset() {
    TERMINATION.into_iter().for_each(set_default);
    restore_sigchld();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Blocks the signals that end a process, so that it lives until its child has been reaped.
pub fn block_termination() {
    reset();
    let mask: SigSet = TERMINATION.into_iter().collect();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None);
}

/// Closes every descriptor but the standard three and `kept`. An unprivileged process must not reach what root's
/// caller has open.
///
/// For a process that has just been forked and works with none of the others.
pub fn close_descriptors_except(kept: &[Option<BorrowedFd<'_>>]) {
    let mut kept: Vec<i32> = kept.iter().flatten().map(AsRawFd::as_raw_fd).collect();
    kept.sort_unstable();
    let mut first = 3;
    for last in kept.iter().map(|kept| kept - 1).chain([i32::MAX]) {
        if first <= last {
            close(first, last);
        }
        first = last.saturating_add(2);
    }
}

/// Closes the descriptors from `first` to `last`.
fn close(first: i32, last: i32) {
    // SAFETY: the caller has promised that nothing here works with them any more.
    unsafe {
        #[cfg(target_os = "linux")]
        if libc::syscall(libc::SYS_close_range, first, last, 0) == 0 {
            return;
        }
        for descriptor in first..=last.min(MAX_DESCRIPTOR) {
            libc::close(descriptor);
        }
    }
}

/// The process that SIGTERM and SIGHUP are passed on to; 0 before it has started and after it has ended.
static RECEIVER: AtomicI32 = AtomicI32::new(0);
/// Signals that came before the receiver had started, a bit each.
static PENDING: AtomicU32 = AtomicU32::new(0);

/// Signal handling while a command runs in the foreground, as system(3) has it.
///
/// SIGINT and SIGQUIT do not end this process: a terminal sends them to the command as well. SIGTERM and
/// SIGHUP are passed on. Signals that the caller ignores are left ignored. The others get a handler, which
/// exec replaces by the default, so the command starts with the dispositions that this process was given.
#[derive(Debug)]
pub struct Forwarding {
    replaced: Vec<(Signal, SigAction)>,
}

impl Forwarding {
    pub fn start() -> Self {
        let mut replaced = Vec::new();
        for signal in TERMINATION {
            let handler = match signal {
                Signal::SIGTERM | Signal::SIGHUP => pass_on,
                _ => stay_alive,
            };
            let Some(before) = set(signal, SigHandler::Handler(handler)) else { continue };
            if matches!(before.handler(), SigHandler::SigIgn) {
                set(signal, SigHandler::SigIgn);
            } else {
                replaced.push((signal, before));
            }
        }
        Self { replaced }
    }

    /// Passes signals on to `process` from now on, and those that came before.
    pub fn set_receiver(&self, process: Pid) {
        RECEIVER.store(process.as_raw(), Ordering::SeqCst);
        let pending = PENDING.swap(0, Ordering::SeqCst);
        for signal in TERMINATION.into_iter().filter(|signal| pending & bit(*signal as i32) != 0) {
            let _ = kill(process, signal);
        }
    }

    /// Passes nothing on any more, and restores the dispositions.
    pub fn stop(self) {
        RECEIVER.store(0, Ordering::SeqCst);
        for (signal, before) in self.replaced {
            set(signal, before.handler());
        }
    }
}

extern "C" fn stay_alive(_: libc::c_int) {}

extern "C" fn pass_on(signal: libc::c_int) {
    let receiver = RECEIVER.load(Ordering::SeqCst);
    if receiver == 0 {
        PENDING.fetch_or(bit(signal), Ordering::SeqCst);
        return;
    }
    // The interrupted code may be about to look at errno.
    let errno = Errno::last_raw();
    if let Ok(signal) = Signal::try_from(signal) {
        let _ = kill(Pid::from_raw(receiver), signal);
    }
    Errno::set_raw(errno);
}

fn bit(signal: libc::c_int) -> u32 {
    1 << signal
}

fn set_default(signal: Signal) {
    set(signal, SigHandler::SigDfl);
}

/// Sets the disposition of a signal, and returns the one before.
fn set(signal: Signal, handler: SigHandler) -> Option<SigAction> {
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handlers in this file use atomics and kill(2) only, which is allowed in a handler.
    unsafe { sigaction(signal, &action) }.ok()
}
