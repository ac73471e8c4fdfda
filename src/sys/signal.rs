//! What a process sets right before it does anything: package managers hand down a hostile state.
#![allow(unsafe_code)]

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::sys::stat::{Mode, umask};

/// The signals that a caller may have blocked or ignored for us. rpm blocks the first two.
const SIGNALS: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGTERM, Signal::SIGCHLD];

/// New directories are readable by all, whatever the caller's umask.
pub fn set_umask() {
    umask(Mode::from_bits_truncate(0o022));
}

/// With SIGCHLD ignored, as a caller may have left it, nobody could wait for a child.
pub fn hear_of_children() {
    set_default(Signal::SIGCHLD);
}

/// A file that grows beyond the limit is an error to be told, no reason to be killed.
pub fn outlive_large_files() {
    set(Signal::SIGXFSZ, SigHandler::SigIgn);
}

fn set_default(signal: Signal) {
    set(signal, SigHandler::SigDfl);
}

fn set(signal: Signal, handler: SigHandler) {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler of ours is installed or replaced.
    let _ = unsafe { sigaction(signal, &action) };
}

/// Default dispositions and an empty mask.
pub fn reset_signals() {
    SIGNALS.into_iter().for_each(set_default);
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// From here on nobody's Ctrl-C ends this process before it has seen how its child fared.
pub fn outlive_the_child() {
    reset_signals();
    let mask: SigSet = SIGNALS.into_iter().filter(|signal| *signal != Signal::SIGCHLD).collect();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None);
}

/// Closes every descriptor but the standard three. To be called before anything is opened.
pub fn close_inherited_descriptors() {
    // SAFETY: nothing has been opened yet, so no descriptor of ours is closed.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) == 0 {
            return;
        }
        // Linux before 5.9. Descriptors beyond this number are not met in practice.
        for descriptor in 3..4096 {
            libc::close(descriptor);
        }
    }
}
